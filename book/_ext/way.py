"""Finding one's way: what *previous* and *next* say, and what the results of a search show.

Both have the short titles of `_toc.yml`, where the pages themselves have a sentence.
"""

import json
import re
from pathlib import Path

from bs4 import BeautifulSoup
from sphinx.addnodes import toctree


def read_contents(app, env):
    """Each page's short title, and the part of the book that it stands in."""
    app.short = {}
    for parent in env.toctree_includes:
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


def write_excerpts(app, failure):
    """The words of each section: a page from disk cannot read others to show what was found."""
    if failure or app.builder.name != "html":
        return
    pages = {
        page: sections(Path(app.outdir, f"{page}.html").read_text()) for page in app.env.found_docs
    }
    text = json.dumps(pages, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    Path(app.outdir, "_static/excerpts.js").write_text(f"var excerpts = {text};\n")


def sections(page: str) -> list[tuple[str, str]]:
    """A page's prose, an anchor and its words for each section."""
    article = BeautifulSoup(page, "html.parser").find(class_="bd-article")
    for left_out in article.select(
        "h1, h2, h3, .page-head, .headerlink, script, .cell, .live, .term-card, div.math, pre, "
        "nav, table"
    ):
        left_out.decompose()
    for formula in article.select("span.math"):
        tex = formula.get_text().strip("\\()")
        formula.replace_with("…" if "\\" in tex or "_" in tex else tex)
    found = []
    for section in reversed(article.find_all("section")):  # the inner ones first
        words = re.sub(r"\s+", " ", section.extract().get_text(" ")).strip()
        words = re.sub(r"\s+(?=[.,;:)])|(?<=\()\s+", "", words)
        found.append((section["id"], words))
    return [section for section in reversed(found) if section[1]]


def setup(app):
    app.add_js_file("way.js", loading_method="defer")
    app.add_css_file("way.css")
    app.connect("env-updated", read_contents)
    app.connect("html-page-context", name_neighbours)
    app.connect("build-finished", write_excerpts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
