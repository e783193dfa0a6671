"""Finding one's way: what *previous* and *next* say, and what the results of a search show.

Both have the short titles of `_toc.yml`, where the pages themselves have a sentence.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import desc_parameterlist, desc_signature, toctree

NO_PROSE = (
    desc_parameterlist,
    nodes.Invisible,
    nodes.doctest_block,
    nodes.literal_block,
    nodes.math_block,
    nodes.raw,
    nodes.table,
)


def read_contents(app, env):
    """Each page's short title, and the part of the book that it stands in."""
    root = env.config.root_doc
    app.short = {root: ("Front page", "Front page")}
    for parent in sorted(env.toctree_includes, key=lambda page: page != root):  # parts first
        part = app.short.get(parent, ("", ""))[1]
        for tree in env.get_doctree(parent).findall(toctree):
            for title, page in tree["entries"]:
                app.short[page] = title or env.titles[page].astext(), tree.get("caption") or part


def name_neighbours(app, pagename, templatename, context, doctree):
    """Short titles, and the part's name where another part begins."""
    _, before, after = app.builder.relations.get(pagename, [None] * 3)
    part = app.short.get(pagename, ("", ""))[1]
    for where, page in (("prev", before), ("next", after)):
        if context.get(where) and page in app.short:
            title, its = app.short[page]
            context[where]["title"] = title if its in (part, title) else f"{its}: {title}"
    if pagename == "search":
        app.add_js_file("excerpts.js")
        app.add_js_file("search.js", loading_method="defer")


def excerpt(app, pagename, templatename, context, doctree):
    """Keep the words of each section of a page, for the search."""
    if doctree is not None:
        # The content of a theorem is a section too, without an address of its own.
        sections = [
            one
            for one in doctree.findall(nodes.section)
            if isinstance(one.parent, nodes.document | nodes.section)
        ]
        found = [(one["ids"][0], prose(one)) for one in sections]
        app.excerpts[pagename] = [section for section in found if section[1]]


def prose(section):
    """What is said in a section, without its title and without the sections in it."""
    own = [child for child in section.children[1:] if not isinstance(child, nodes.section)]
    said = re.sub(r"\s+", " ", "".join(words(own))).strip()
    return re.sub(r" +(?=[.,;:)])|(?<=\() +", "", said)


def words(children):
    """The words of nodes; a formula that cannot be read aloud is three dots."""
    for child in children:
        if isinstance(child, nodes.math):
            tex = child.astext()
            yield "…" if "\\" in tex or "_" in tex else tex
        elif isinstance(child, nodes.Text):
            yield child
        elif not isinstance(child, NO_PROSE) and not {"cell", "page-head"} & {*child["classes"]}:
            yield from words(child.children)
            within = isinstance(child, nodes.Inline) and not isinstance(child, desc_signature)
            yield "" if within else " "


def write_excerpts(app, failure):
    """A page from disk cannot read others to show what was found."""
    if not failure and app.builder.name == "html":
        text = json.dumps(app.excerpts, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        Path(app.outdir, "_static/excerpts.js").write_text(f"var excerpts = {text};\n")


def setup(app):
    app.add_js_file("way.js", loading_method="defer")
    app.add_css_file("way.css")
    app.connect("env-updated", read_contents)
    app.excerpts = {}
    app.connect("html-page-context", name_neighbours)
    app.connect("html-page-context", excerpt)
    app.connect("build-finished", write_excerpts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
