"""The ledger names proofs, figures and tests that exist, for every claim."""

import ast
import re
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from docutils import nodes

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book/_ext"))

from ledger import held_by, row  # noqa: E402

LEDGER = yaml.safe_load((ROOT / "book/ledger.yml").read_text())
STATUSES = {"proved", "measured", "open", "refuted"}


def pages() -> dict[str, str]:
    """The text of each page, with the names of a notebook's figures at its end."""
    found = {f"book/{path.stem}": path.read_text() for path in ROOT.glob("book/*.md")}
    for path in ROOT.glob("notebooks/*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        text = [cell.source for cell in cells if cell.cell_type == "markdown"]
        figures = [cell.metadata.get("mystnb", {}).get("figure", {}).get("name") for cell in cells]
        text += [f":name: {name}" for name in figures if name]
        found[f"notebooks/{path.stem}"] = "\n".join(text)
    return found


PAGES = pages()
EVERYTHING = "\n".join(PAGES.values())
FIGURES = set(re.findall(r"^:name: (fig-\S+)$", EVERYTHING, re.MULTILINE))
# A theorem counts only with a proof behind it, before the next theorem.
CHUNKS = re.split(r"\{prf:(?:theorem|proposition|corollary)\}", EVERYTHING)[1:]
THEOREMS = {
    re.search(r"^:label: (\S+)$", chunk, re.MULTILINE)[1]
    for chunk in CHUNKS
    if "{prf:proof}" in chunk
}
TESTS = {
    node.name
    for path in ROOT.glob("tests/**/test_*.py")
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
}


def test_the_claims_are_numbered_without_a_gap():
    assert list(LEDGER) == [f"T{number}" for number in range(1, len(LEDGER) + 1)]


@pytest.mark.parametrize("name", LEDGER)
def test_proof_figure_and_test_exist(name):
    claim = LEDGER[name]
    for kind, existing in {"theorems": THEOREMS, "figures": FIGURES, "tests": TESTS}.items():
        assert claim[kind], f"{name} has no {kind}"
        assert set(claim[kind]) <= existing, f"{name}: {set(claim[kind]) - existing}"
    assert claim["page"] in PAGES
    number = f"t{int(name[1:]):02}"
    assert any(number in test for test in claim["tests"]), f"no test carries {name}"
    shown = [label for label in claim["theorems"] if f":label: {label}\n" in PAGES[claim["page"]]]
    assert shown, f"{claim['page']} proves nothing of {name}"


@pytest.mark.parametrize("name", LEDGER)
def test_a_status_is_one_of_four_and_an_open_one_has_its_reason(name):
    claim = LEDGER[name]
    assert claim["status"] in STATUSES
    for besides in claim.get("besides", []):
        [(status, text)] = besides.items()
        assert status in STATUSES
        if status == "open":
            assert len(re.findall(r"\w\.(?: |$)", text)) > 1, "and why?"


def test_the_directive_writes_a_row_for_each_claim():
    for name, claim in LEDGER.items():
        line = row(name, claim)
        assert line.count("|") == 4
        assert all(f"`{label}`" in line for label in claim["theorems"])


def test_a_row_runs_its_tests():
    for name, claim in LEDGER.items():
        shown = held_by(name, claim)
        assert {literal.astext() for literal in shown.findall(nodes.literal)} == set(claim["tests"])
        [line] = shown.findall(nodes.literal_block)
        assert line.astext().endswith(f" tests/theorems -k t{int(name[1:]):02}")
