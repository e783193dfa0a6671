"""The directive ``{ledger} FILE``: the claims of a YAML file as a table."""

from pathlib import Path

import yaml
from docutils import nodes
from folds import folded
from sphinx.util.docutils import SphinxDirective
from status import tests


class Ledger(SphinxDirective):
    """One row a claim: its status, what is claimed, and where proof, figure and test are."""

    required_arguments = 1  # the file, beside the page

    def run(self):
        path = Path(self.env.doc2path(self.env.docname)).parent / self.arguments[0]
        self.env.note_dependency(str(path))
        claims = yaml.safe_load(path.read_text())
        head = ["| claim | what it says | shown by |", "| :--- | :--- | :--- |"]
        lines = [row(name, claim) for name, claim in claims.items()]
        table = self.parse_text_to_nodes("\n".join([*head, *lines]))
        [body] = table[0].findall(nodes.tbody)
        for shown, (name, claim) in zip(body.findall(nodes.row), claims.items(), strict=True):
            shown["ids"].append(name.lower())
            shown[-1].append(held_by(name, claim))
        return table


def row(name: str, claim: dict) -> str:
    """A row of a Markdown table."""
    words = [claim["claim"]]
    for besides in claim.get("besides", []):
        words += [f"*{status}*: {text}" for status, text in besides.items()]
    shown = [f"{{prf:ref}}`{label}`" for label in claim["theorems"]]
    shown += [f"{{numref}}`{label}`" for label in claim["figures"]]
    cells = [
        f"[**{name}**](../{claim['page']}.ipynb)<br>*{claim['status']}*",
        *map("<br>".join, (words, shown)),
    ]
    return f"| {' | '.join(cells)} |"


def held_by(name: str, claim: dict) -> nodes.Node:
    """The claim's tests, folded, and the line that runs them."""
    names = nodes.bullet_list()
    for test in claim["tests"]:
        names += nodes.list_item("", nodes.paragraph("", "", nodes.literal(test, test)))
    line = f".venv/bin/python -m pytest tests/theorems -k t{int(name[1:]):02}"
    return folded(tests(claim), names, nodes.literal_block(line, line, language="bash"))


def setup(app):
    app.add_directive("ledger", Ledger)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
