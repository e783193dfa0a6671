"""The reference: what a property or a field says begins with a sentence, and not with its type.

Napoleon takes what stands before a colon there for the type, as in "1/margin: the norm of …".
So it does not see that colon.
"""

HIDDEN = "\N{RATIO}"


def hide_colon(app, what, name, obj, options, lines):
    if lines and what in ("attribute", "data", "property"):
        lines[0] = lines[0].replace(": ", HIDDEN + " ")


def show_colon(app, what, name, obj, options, lines):
    lines[:] = [line.replace(HIDDEN, ":") for line in lines]


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", hide_colon, priority=400)  # napoleon has 500
    app.connect("autodoc-process-docstring", show_colon, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
