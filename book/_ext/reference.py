"""The reference: the first line of what a property or a field says is a sentence of its own.

Napoleon takes what stands before a colon there for the type, as in "1/margin: the norm of …".
"""


def begin_a_paragraph(app, what, name, obj, options, lines):
    if what in ("attribute", "data", "property"):
        lines.insert(0, "")


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", begin_a_paragraph, priority=400)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
