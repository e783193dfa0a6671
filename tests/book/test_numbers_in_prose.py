"""Numbers in prose: what the formats print, and that sentences use the one that keeps them true."""

import ast
import re
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from docutils import nodes
from hypothesis import given
from hypothesis import strategies as st
from tiny_book import TEMPLATE

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book/_ext"))

from numbers_in_prose import bind, bound_of, in_words  # noqa: E402

PAGES = [*sorted([*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("book/*.md")]), TEMPLATE]


@pytest.mark.parametrize(
    ("value", "form", "words"),
    [
        (0.9996, "least.2f", "0.99"),
        (1.0, "least.2f", "1"),
        (0.9996, "score.2f", "1.00"),
        (1 + 1e-12, "score.3f", "1.000"),
        (0.0121, "most.1%", "1.3%"),
        (0.0121, "least.1%", "1.2%"),
        (3.2e-5, "most.0e", "4e-5"),
        (3.0, ".1f", "3"),
        (3.25, ".1f", "3.2"),
        (-0.0004, ".2f", "0.00"),
        (0.0, ".2f", "0"),
        (0.0001, "+.1%", "0.0%"),
        (-0.002, "+.1%", "-0.2%"),
        (12.0, "count", "12"),
        (7, "count", "7"),
        (3.0, "s", "3"),
        (0.3, "s", "0.3"),
        (1234.0, ".0e", "1e+03"),
        (3e-16, "below.1e-10", "1e-10"),
        (0.003, "below.0.5%", "0.5%"),
        (0.97, "above.0.9", "0.9"),
    ],
)
def test_a_number_says_nothing_impossible(value, form, words):
    assert in_words(repr(value), form) == words


@pytest.mark.parametrize(
    ("value", "form"), [(2.5, "count"), (float("nan"), "count"), (1.01, "score.2f")]
)
def test_a_number_of_another_kind_is_an_error(value, form):
    with pytest.raises(ValueError, match="is no"):
        in_words(repr(value), form)


@pytest.mark.parametrize(
    ("value", "form"), [(2e-10, "below.1e-10"), (0.05, "above.5%"), (float("nan"), "below.1")]
)
def test_a_number_beyond_its_bound_is_an_error(value, form):
    with pytest.raises(ValueError, match="the sentence is false"):
        in_words(repr(value), form)


@given(st.floats(-1e6, 1e6), st.integers(0, 4))
def test_bounds_are_rounded_to_the_side_that_keeps_them_true(value, digits):
    below, above = (float(in_words(repr(value), f"{side}.{digits}f")) for side in ("least", "most"))
    assert below <= value <= above
    assert above - below <= 1.000001 * 10.0**-digits


def test_names_are_glued_as_they_are():
    assert in_words("'semi-NMF'", "s") == "semi-NMF"


GLUED = r"\{glue:text\}`[^`]*?(?::(?P<form>[^:`]*))?`"
# A bound, the number right behind it.
BELOW = re.compile(rf"\bat least {GLUED}|{GLUED.replace('form', 'back')} or (?:more|above)\b")
ABOVE = re.compile(rf"\b(?:at most|up to|no more than|within) {GLUED}")
SCORE = re.compile(rf"\b(?:MCC|cosine)(?:\]\([^)]*\))?[^.`|]{{0,30}}{GLUED}")


def prose(path: Path) -> str:
    """The text of a page, of a notebook its Markdown cells."""
    if path.suffix == ".md":
        return path.read_text()
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_sentences_use_the_format_that_keeps_them_true(path):
    text = prose(path)
    scores = "score", "least", "most", "below", "above"
    kinds = (BELOW, "least"), (ABOVE, ("most", "below")), (SCORE, scores)
    for pattern, wanted in kinds:
        for found in pattern.finditer(text):
            form = found["form"] or (found.groupdict().get("back") or "")
            # Without a format a number is glued whole, as counts and names are.
            assert not form or form.startswith(wanted) or form == "count", found.group()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_starts_and_seeds_are_counts(path):
    counted = re.compile(rf"{GLUED} (?:\w+ )?(?:starts|seeds|data sets|runs)\b")
    for found in counted.finditer(prose(path)):
        assert found["form"] in (None, "count"), found.group()


# What follows a number that depends on where a fit began, or on the draw of the data.
INTERVAL = re.compile(
    r" \((?:± \{glue:text\}`(?P<within>[^`]*):(?:most|score)[^`]*`"
    r"|\{glue:text\}`(?P<low>[^`]*):least[^`]*` to \{glue:text\}`(?P<high>[^`]*):most[^`]*`)\)"
)
FIXED = yaml.safe_load((ROOT / "tests/book/fixed_numbers.yml").read_text())
NAMES = {name for pages in FIXED.values() for names in pages.values() for name in names.split()}


def measured(text: str) -> list[tuple[str, str]]:
    """Each number with decimals, and what follows it; halves of intervals are none of them."""
    found = []
    for glued in re.finditer(GLUED.replace("[^`]*?", "(?P<name>[^`]*?)"), text):
        name, form = glued["name"].rpartition("::")[2], glued["form"] or ""
        if form in ("", "s", "count") or form.startswith(("below", "above")):
            continue
        if not re.search("_(?:within|low|high)(?:_|$)", name):
            found.append((name, text[glued.end() :]))
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_number_has_its_interval_or_cannot_move(path):
    # Which minimum a start ends in is chance, and another machine may end elsewhere.
    for name, rest in measured(prose(path)):
        half = INTERVAL.match(rest)
        if half is None:
            assert name in NAMES, f"{name} has no interval (see fixed_numbers.yml)"
            continue
        ends = [half["within"]] if half["within"] else [half["low"], half["high"]]
        assert {re.sub("_(within|low|high)", "", e.rpartition("::")[2]) for e in ends} == {name}


def test_what_cannot_move_is_on_a_page():
    text = "\n".join(map(prose, PAGES))
    assert {name for name in NAMES if f"{name}:" not in text} == set()


def test_each_row_of_the_answer_is_over_data_sets_or_says_that_nothing_is_measured():
    rows = [r for r in (ROOT / "book/answer.md").read_text().splitlines() if r.startswith("| **")]
    assert len(rows) >= 10
    for row in rows:
        for cell in row.split(" | ")[1:3]:
            numbers = measured(cell)
            assert numbers or "measured" in cell, cell
            for name, rest in numbers:
                ends = INTERVAL.match(rest)
                assert ends and ends["low"], f"{name}: a mean over starts is of one data set"
                assert "/gallery.ipynb::gallery_" in ends["low"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_bound_is_called_one(path):
    words = {
        "below": r"\b(?:below|less than|fewer than|within)\b",
        "above": r"\b(?:above|more than)\b",
    }
    text = prose(path)
    for bound in re.finditer(r"\{glue:text\}`[^`]*:(below|above)\.[^`]*`", text):
        before = text[: bound.start()].rpartition("\n")[2]
        assert re.search(words[bound[1]], before), bound.group()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_bound_in_prose_is_one_of_a_check_cell(path):
    bounds = re.findall(r":(?:below|above)\.([^`]*)`", prose(path))
    if path.suffix == ".md" or not bounds or path.stem == "verdicts":
        return  # that page's code is as its records know it: its bounds are in test_verdicts.py
    checks = [
        cell.source
        for cell in nbformat.read(path, as_version=4).cells
        if "nbval-check-output" in cell.metadata.get("tags", [])
    ]
    numbers = {
        node.value
        for source in checks
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float)
    }
    assert {bound for bound in bounds if bound_of(bound) not in numbers} == set()


def test_a_match_without_its_interval_is_seen():
    [(name, rest)] = measured("MCC {glue:text}`x_mcc:score.2f`, and {glue:text}`x_n:count` starts")
    assert name == "x_mcc" and not INTERVAL.match(rest)


def test_no_line_breaks_after_plus_or_minus():
    page = nodes.paragraph("", "a loss of 3 (± ", nodes.emphasis("", "0.2"), nodes.Text(")"))
    page.insert(0, nodes.Text("± 1, "))
    bind(None, page)
    assert page.astext().count("±\u00a0") == 2
    assert "± " not in page.astext()
