"""The form of a rendered page: its head, its folded proofs, its chips and badges, its foot."""

import re
import shlex
from copy import copy
from functools import cache
from itertools import chain
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from partsrep.runs.book import overrules

ROOT = Path(__file__).parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PAGES = [page["file"] for part in TOC["parts"] for page in part["chapters"]]
NOTEBOOKS = [page for page in PAGES if page.startswith("notebooks/")]
TEMPLATE = "notebooks/template"
ASKED = yaml.safe_load((ROOT / "book/pages.yml").read_text())
LEDGER = yaml.safe_load((ROOT / "book/ledger.yml").read_text())


@pytest.fixture(scope="module")
def page(request):
    """Read a page of the book, or the template's, which is one of a book of its own."""

    @cache  # reading one takes a second
    def read(name):
        folder = request.getfixturevalue("html_of_template" if name == TEMPLATE else "html")
        return BeautifulSoup((folder / f"{name}.html").read_text(), "html.parser")

    return read


def test_what_is_asked_for_is_common_or_explained_before():
    assert sorted(ASKED["pages"]) == sorted(PAGES)
    for page, words in ASKED["pages"].items():
        for word in words or []:
            if word not in ASKED["first_course"]:
                assert PAGES.index(ASKED["explained"][word]) < PAGES.index(page), (page, word)
    used = set(chain.from_iterable(words or [] for words in ASKED["pages"].values()))
    assert used == {*ASKED["first_course"], *ASKED["explained"]}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_folded_code_without_anything_between_is_one_fold(page, name):
    cells = nbformat.read(ROOT / f"{name}.ipynb", 4).cells
    removed = [c for c in cells if "remove-cell" in c.metadata.get("tags", [])]
    shown = sum(c.cell_type == "code" for c in cells) - len(removed)
    article = page(name).select_one("article")
    assert len(article.select(".cell_input .highlight pre")) == shown, "no code is lost"
    folded = ".cell.tag_hide-input"
    assert not article.select(f"{folded}:not(:has(.cell_output)) + {folded}")


@pytest.mark.parametrize("name", [*PAGES, TEMPLATE])
def test_the_head_says_the_time_and_what_is_asked_for(page, name):
    article = copy(page(name).select_one("article"))
    head = article.select_one("h1").find_next_sibling()
    assert head["class"] == ["page-head"]
    asked = ASKED["pages"].get(name, ["matrix products"])
    if asked is None:
        assert not re.search(r"\d+ min", head.get_text())
        return
    assert all(word in head.get_text() for word in asked)
    links = {link.get_text() for link in head.select("a:not([href='#rerun'])")}
    assert links == set(asked) & set(ASKED["explained"])

    # Counted anew, from what stands open on the page.
    said = int(re.match(r"(\d+) min", head.get_text())[1])
    pictures = len(article.select("img"))
    unread = (
        "details, .dropdown, .rerun, .term-card, script, style, .headerlink, .cell_output table"
    )
    for closed in article.select(unread):
        closed.decompose()
    formulas = article.select(".math")
    extra = 2 * len([one for one in formulas if one.name == "span"])
    extra += 12 * (len(formulas) - extra // 2 + pictures)
    for one in formulas:
        one.decompose()
    counted = (len(article.get_text(" ").split()) * 60 / 230 + extra) / 60
    assert abs(said - counted) < 1 + 0.1 * counted


@pytest.mark.parametrize("name", [*PAGES, TEMPLATE])
def test_statements_stay_and_proofs_are_folded(page, name):
    shown = page(name)
    assert not shown.select(".theorem details.proof-fold")
    for proof in shown.select(".proof-fold"):
        assert proof.name == "details" and not proof.has_attr("open")
        assert proof.summary.get_text().strip() == "Proof"
        assert not proof.get_text().strip().removeprefix("Proof").strip().startswith("Proof.")
    source = ROOT / ("tests/examples/template.ipynb" if name == TEMPLATE else name)
    source = next(
        path for path in (source, *map(source.with_suffix, (".md", ".ipynb"))) if path.is_file()
    )
    assert len(shown.select("details.proof-fold")) == source.read_text().count("{prf:proof}")


@pytest.mark.parametrize("name", [*NOTEBOOKS, TEMPLATE])
def test_the_foot_has_the_line_the_time_and_the_executed_notebook(page, name, request):
    foot = page(name).select_one("#rerun")
    given = overrules(ROOT).get(f"{name}.ipynb", {"unit": 100.0})
    line = foot.select_one("pre").get_text().replace("\\\n", "")
    command, notebook, _out, *options = shlex.split(line)
    assert (command, notebook) == (".venv/bin/papermill", f"{name}.ipynb")
    assert options == [word for key, value in given.items() for word in ("-p", key, str(value))]
    assert re.search(r"it took \d+\s(s|minutes) when", foot.get_text())
    folder = request.getfixturevalue("html_of_template" if name == TEMPLATE else "html")
    path = (folder / name).parent / foot.select_one("a[download]")["href"]
    executed = nbformat.read(path, as_version=4)
    assert executed.metadata.papermill["parameters"].items() >= given.items()
    assert any(cell.get("outputs") for cell in executed.cells)


@pytest.mark.parametrize("name", PAGES)
def test_the_word_of_a_status_is_a_chip(page, name):
    shown = page(name)
    for status in ("proved", "measured", "open", "refuted"):
        assert not shown.find_all("em", string=re.compile(rf"^{status}[.:]?$", re.IGNORECASE))
        for chip in shown.select(f".status-{status}"):
            assert chip.get_text().lower().startswith(status)


def test_each_claim_shows_its_status_and_its_theorems_lead_there(page):
    ledger = page("book/ledger")
    held = {}
    for name, claim in LEDGER.items():
        row = ledger.select_one(f"tr#{name.lower()}")
        assert row.select_one(".status").get_text() == claim["status"]
        assert {code.get_text() for code in row.select("details code")} == set(claim["tests"])
        held |= dict.fromkeys(claim["theorems"], (name, claim))
    found = {}
    for one in PAGES:
        for badge in page(one).select("a.badge-of-claim"):
            found[badge.find_parent("div")["id"]] = badge
    assert set(found) == set(held)
    for label, (name, claim) in held.items():
        assert found[label]["href"].endswith(f"ledger.html#{name.lower()}")
        assert all(test in found[label]["title"] for test in claim["tests"])


def test_no_page_links_to_a_repository_that_nobody_named(page):
    for name in ("CITATION.cff", "pyproject.toml", "README.md"):
        assert "github.com" not in (ROOT / name).read_text(), name
    for name in PAGES:
        for link in page(name).select("a[href^=http]"):
            assert not re.search(r"github.com/partsrep|mybinder|colab", link["href"]), name
