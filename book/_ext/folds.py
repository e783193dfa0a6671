"""Folds: what opens by a click, by a key, in print, and for a link that leads into it.

Every proof is one. A fold is HTML's ``<details>``, which needs no script; ``live/form.js`` opens it
where a browser does not do that by itself. Folded code that follows on folded code, with nothing
to see between, is in the same fold.
"""

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx_proof.nodes import proof_node


class fold(nodes.General, nodes.Element):
    """Its first child is the `summary`, the line that is always seen."""


class summary(nodes.TextElement):
    """The line of a fold."""


def folded(line: str, *content: nodes.Node, **attributes) -> fold:
    """A fold with a line of text."""
    return fold("", summary(line, line), *content, **attributes)


class FoldProofs(SphinxTransform):
    """``{prf:proof}`` becomes a fold; what it proves stays open."""

    default_priority = 800

    def apply(self):
        for proof in list(self.document.findall(proof_node)):
            [box] = proof
            first = box[0][0]  # sphinx-proof writes "Proof. " there, which the fold's line says
            first.parent.replace(first, nodes.Text(first.removeprefix("Proof. ")))
            proof.replace_self(folded("Proof", *box.children, classes=["proof-fold"]))


class FoldTogether(SphinxPostTransform):
    """The code of cells that show nothing else goes into the fold of the next such cell."""

    default_priority = 198  # before MyST-NB makes the folds
    formats = ("html",)

    def run(self, **kwargs):
        for cell in list(self.document.findall(is_folded)):
            place = cell.parent.index(cell)
            before = cell.parent[max(place - 1, 0)]
            if before is not cell and is_folded(before) and len(before) == 1:
                cell[0].insert(0, before[0].children)
                cell.parent.remove(before)


def is_folded(node: nodes.Node) -> bool:
    """Whether this is a cell whose code is folded."""
    return isinstance(node, nodes.container) and node.get("hide_mode") == "input"


def setup(app):
    for kind, tag in {fold: "details", summary: "summary"}.items():
        app.add_node(
            kind,
            html=(
                lambda writer, node, tag=tag: writer.body.append(writer.starttag(node, tag)),
                lambda writer, _, tag=tag: writer.body.append(f"</{tag}>\n"),
            ),
        )
    app.add_transform(FoldProofs)
    app.add_post_transform(FoldTogether)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
