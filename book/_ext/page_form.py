"""What every page begins with: how long it takes, what it asks for, and a picture.

The time is counted from words, figures and formulas, first without the proofs, which are folded;
computed tables are looked at, not read.
What a page asks for is in ``book/pages.yml``. On the page of a notebook without a picture in front
of its parameters, the figure that the answer names stands there, or else the page's first.
"""

from pathlib import Path

import yaml
from docutils import nodes
from folds import fold
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.addnodes import pending_xref
from sphinx.transforms import SphinxTransform

WORDS = 230 / 60  # read in a second
SECONDS = {nodes.math: 2, nodes.math_block: 12, nodes.image: 12}  # for one of each
CLOSED = (HideCodeCellNode, nodes.raw, nodes.comment)


def seconds(node: nodes.Node, with_proofs: bool) -> float:
    """The time to read what is open on a page."""
    if isinstance(node, nodes.Text):
        return len(node.split()) / WORDS
    if isinstance(node, CLOSED) or "dropdown" in node.get("classes", []):
        return 0
    if isinstance(node, fold) and not with_proofs:
        return 0
    if type(node) in SECONDS:
        return SECONDS[type(node)]
    return sum(seconds(child, with_proofs) for child in node.children)


def minutes(page: nodes.Node) -> str:
    """Without the proofs and, if that is more, with them."""
    short, long = (max(1, round(seconds(page, proofs) / 60)) for proofs in (False, True))
    return f"{short} min" + (f", {long} with the proofs" if long > short else "")


def add_head(app, doctree, docname):
    """The line under the title."""
    form = Path(app.srcdir, "book/pages.yml")
    pages = yaml.safe_load(form.read_text()) if form.is_file() else {"pages": {}}
    if docname not in pages["pages"]:
        return
    asked = pages["pages"][docname]
    head = nodes.paragraph(classes=["page-head"])
    if asked is None:
        head += nodes.Text("To look up, not to read through")
    else:
        head += nodes.inline("", minutes(doctree), classes=["page-time"])
        needs = nodes.inline("", "You need " if asked else "You need nothing")
        for place, name in enumerate(asked):
            needs += nodes.Text(", " if place else "")
            explained = pages["explained"].get(name)
            if explained:
                uri = app.builder.get_relative_uri(docname, explained)
                needs += nodes.reference("", name, internal=True, refuri=uri)
            else:
                needs += nodes.Text(name)
        head += needs
    if Path(app.env.doc2path(docname)).suffix == ".ipynb":
        head += nodes.inline(
            "", "", nodes.reference("", "Run it again", internal=True, refid="rerun")
        )
    doctree.next_node(nodes.section).insert(1, head)


class LiftFigure(SphinxTransform):
    """The first figure of a notebook's page stands under its answer."""

    default_priority = 800

    def apply(self):
        if not str(self.document["source"]).endswith(".ipynb"):
            return
        page = self.document.next_node(nodes.section)
        first_cell = next(
            (child for child in page if "tag_parameters" in child.get("classes", [])), None
        )
        if first_cell is None:
            return
        answer = page.children[: page.index(first_cell)]
        if any(part.next_node(nodes.image) for part in answer):
            return
        figures = {name: one for one in page.findall(nodes.figure) for name in one["names"]}
        named = (
            found["reftarget"]
            for part in answer
            for found in part.findall(pending_xref)
            if found["reftarget"] in figures
        )
        name = next(named, next(iter(figures), None))
        if name is not None:
            figure = figures[name]
            figure.parent.remove(figure)
            page.insert(page.index(first_cell), figure)


def setup(app):
    app.connect("doctree-resolved", add_head)
    app.add_transform(LiftFigure)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
