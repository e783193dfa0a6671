"""The directive ``{ledger} FILE``: the claims of a YAML file as a table.

The tests of a claim are the one word *test*, a link to their source, which comes with the book;
their names are shown when a pointer rests on it.
"""

import re
import shutil
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
        homes = {
            test: file.stem
            for file in sources(self.env.srcdir)
            for test in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
        }
        head = ["| claim | what it says | shown by |", "| :--- | :--- | :--- |"]
        rows = [row(name, claim, homes) for name, claim in claims.items()]
        return self.parse_text_to_nodes("\n".join([*head, *rows]))


def row(name: str, claim: dict, homes: dict[str, str]) -> str:
    """A row of a Markdown table; `homes` says in which file each test is."""
    words = [claim["claim"]]
    for besides in claim.get("besides", []):
        words += [f"*{status}*: {text}" for status, text in besides.items()]
    shown = [f"{{prf:ref}}`{label}`" for label in claim["theorems"]]
    shown += [f"{{numref}}`{label}`" for label in claim["figures"]]
    tests = {}
    for test in claim["tests"]:
        tests.setdefault(homes[test], []).append(test)
    links = [
        f'<a href="../_static/tests/{home}.txt" title="{", ".join(names)}">test</a>'
        for home, names in tests.items()
    ]
    shown.append(", ".join(links))
    cells = [
        f"[**{name}**](../{claim['page']}.ipynb)<br>*{claim['status']}*",
        *map("<br>".join, (words, shown)),
    ]
    return f"| {' | '.join(cells)} |"


def sources(root: str) -> list[Path]:
    """The files of tests; the driver builds from a copy of the pages within the repository."""
    folders = Path(root), *Path(root).parents
    found = ([*folder.glob("tests/**/test_*.py")] for folder in folders)
    return next(filter(None, found), [])


def copy_tests(app):
    """The tests that claims name, as text, so that a browser shows them."""
    out = Path(app.outdir, "_static/tests")
    out.mkdir(parents=True, exist_ok=True)
    for file in sources(app.srcdir):
        shutil.copy(file, out / f"{file.stem}.txt")


def setup(app):
    app.add_directive("ledger", Ledger)
    app.connect("builder-inited", copy_tests)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
