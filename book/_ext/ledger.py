"""The directive ``{ledger} FILE``: the claims of a YAML file as a table."""

from pathlib import Path

import yaml
from sphinx.util.docutils import SphinxDirective


class Ledger(SphinxDirective):
    """One row a claim: its status, what is claimed, and where proof, figure and test are."""

    required_arguments = 1  # the file, beside the page

    def run(self):
        path = Path(self.env.doc2path(self.env.docname)).parent / self.arguments[0]
        self.env.note_dependency(str(path))
        claims = yaml.safe_load(path.read_text())
        head = ["| | claim | shown by |", "| :--- | :--- | :--- |"]
        rows = [row(name, claim) for name, claim in claims.items()]
        return self.parse_text_to_nodes("\n".join([*head, *rows]))


def row(name: str, claim: dict) -> str:
    """A row of a Markdown table."""
    words = [claim["claim"]]
    for besides in claim.get("besides", []):
        words += [f"*{status}*: {text}" for status, text in besides.items()]
    shown = [f"{{prf:ref}}`{label}`" for label in claim["theorems"]]
    shown += [f"{{numref}}`{label}`" for label in claim["figures"]]
    shown += [f"`` {test} ``" for test in claim["tests"]]
    cells = [
        f"[**{name}**](../{claim['page']}.ipynb)<br>*{claim['status']}*",
        *map("<br>".join, (words, shown)),
    ]
    return f"| {' | '.join(cells)} |"


def setup(app):
    app.add_directive("ledger", Ledger)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
