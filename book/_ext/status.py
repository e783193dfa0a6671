"""What the ledger says of a claim is seen: a chip for its status, a badge on its theorems.

A status is named by ``*proved*``, ``*measured*``, ``*open*`` or ``*refuted*``, in a sentence, as a
term, or as the first word of a heading, and becomes a chip with a colour and a sign. A theorem that
holds up a claim has a badge with the claim's number, which leads to the ledger and its tests.
"""

from functools import cache
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

STATUSES = ("proved", "measured", "open", "refuted")


def chip(words: str) -> nodes.inline:
    """The chip of a status, with the words of the sentence."""
    return nodes.inline(words, words, classes=["status", f"status-{word(words)}"])


def word(words: str) -> str:
    """The status that words may name."""
    return words.strip(" .:").lower()


@cache  # every page asks
def claims(path: Path) -> dict[str, dict]:
    """The ledger, of books that have one."""
    return yaml.safe_load(path.read_text()) if path.is_file() else {}


def tests(claim: dict) -> str:
    """How many tests hold a claim."""
    count = len(claim["tests"])
    return f"{count} test{'s' * (count > 1)}"


class Chips(SphinxPostTransform):
    """Chips for the words of a status."""

    default_priority = 700

    def run(self):
        for node in list(self.document.findall(nodes.emphasis)):
            if word(node.astext()) in STATUSES:
                node.replace_self(chip(node.astext()))
        for term in self.document.findall(nodes.term):
            if word(term.astext()) in STATUSES:
                term.children = [chip(term.astext())]
        for title in filter(len, self.document.findall(nodes.title)):  # a margin note has none
            first, _, rest = title[0].astext().partition(":")
            if rest and word(first) in STATUSES:
                title[0:1] = [chip(first), nodes.Text(rest)]


class Badges(SphinxPostTransform):
    """Badges on theorems."""

    default_priority = 700

    def run(self):
        held = {
            label: (name, claim)
            for name, claim in claims(Path(self.env.srcdir, "book/ledger.yml")).items()
            for label in claim["theorems"]
        }
        ledger = self.app.builder.get_relative_uri(self.env.docname, "book/ledger")
        for theorem in self.document.findall(nodes.Admonition):
            if theorem.get("label") in held:
                name, claim = held[theorem["label"]]
                words = f"{name} · {tests(claim)}"
                badge = nodes.reference(
                    "",
                    "",
                    chip("proved"),
                    nodes.Text(f" {words}"),
                    classes=["badge-of-claim"],
                    internal=True,
                    refuri=f"{ledger}#{name.lower()}",
                    reftitle=f"Held by {', '.join(claim['tests'])}",
                )
                theorem[0].append(badge)


def setup(app):
    app.add_post_transform(Chips)
    app.add_post_transform(Badges)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
