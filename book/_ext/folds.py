"""Folds: what opens by a click, by a key, in print, and for a link that leads into it.

Every proof is one. A fold is HTML's ``<details>``, which needs no script; ``live/form.js`` opens it
where a browser does not do that by itself.
"""

from docutils import nodes
from sphinx.transforms import SphinxTransform
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
    return {"parallel_read_safe": True, "parallel_write_safe": True}
