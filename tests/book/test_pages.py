"""The rendered book: complete, readable without a network, no dead link, no mute picture."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup

from partsrep.runs.book import published

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages(html) -> dict[Path, BeautifulSoup]:
    return {
        path: BeautifulSoup(path.read_text(), "html.parser")
        for path in sorted(html.rglob("*.html"))
        if "_static" not in path.parts
    }


def test_table_of_contents_lists_every_page():
    listed = re.findall("(?:file|root): (.*)", (ROOT / "_toc.yml").read_text())
    found = [*ROOT.glob("book/**/*.md"), *ROOT.glob("notebooks/*.ipynb")]
    assert sorted(listed) == sorted(str(p.relative_to(ROOT).with_suffix("")) for p in found)


def test_nothing_is_fetched_from_a_network(pages, html):
    for path, page in pages.items():
        wanted = [tag["src"] for tag in page.find_all(src=True)]
        wanted += [tag["href"] for tag in page.find_all("link", href=True)]
        assert not [url for url in wanted if urlsplit(url).netloc], path
    for path in html.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", path.read_text()), path


def test_every_internal_link_resolves(pages):
    ids = {path: {tag["id"] for tag in page.find_all(id=True)} for path, page in pages.items()}
    for path, page in pages.items():
        for tag in page.find_all("a", href=True):
            url = urlsplit(tag["href"])
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            assert target.is_file(), f"{path}: {tag['href']}"
            if url.fragment and target in ids:
                assert unquote(url.fragment) in ids[target], f"{path}: {tag['href']}"


def test_every_picture_has_words(pages):
    for path, page in pages.items():
        for picture in page.find_all("img"):
            words = picture.get("alt", "")
            # Without words Sphinx puts the file's name there.
            assert words and not words.endswith((".png", ".svg")), f"{path}: {picture}"
        for drawing in page.select("svg.figure"):
            assert drawing.get("aria-label"), f"{path}: {drawing}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=lambda path: path.stem)
def test_data_that_a_page_uses_are_shown(path):
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    if "datasets.load(" in code:
        pictures = [cell for cell in cells if "figures.data(" in cell.source]
        # Its code is fixed by published records: it shows a drawing and held-out samples.
        if path.stem == "two_methods":
            pictures = [
                c for c in cells if "fig-sae-sum.svg" in c.source or "figures.samples(" in c.source
            ]
        assert pictures


def test_no_picture_is_shown_twice_in_a_page(pages):
    for path, page in pages.items():
        drawn = [str(drawing) for drawing in page.select("svg.figure")]
        assert len(drawn) == len(set(drawn)), path


def test_a_page_weighs_little(pages):
    for path in pages:
        if path.parent.name == "notebooks":
            assert path.stat().st_size <= 500 * 1024, f"{path}: {path.stat().st_size}"


def test_published_parameters_are_shown(html):
    for notebook, parameters in published(ROOT).items():
        page = BeautifulSoup((html / notebook).with_suffix(".html").read_text(), "html.parser")
        code = "\n".join(cell.get_text() for cell in page.select(".cell_input"))
        for name, value in parameters.items():
            assert f"{name} = {value!r}" in code
            defaults = re.search(rf"^{name}: \w+ =", code, re.MULTILINE)
            assert not defaults, "the quick defaults are hidden"


def test_no_check_of_a_page_fails(pages):
    """A check says what is true, so that a reader need not know whether False is good."""
    for path, page in pages.items():
        printed = "\n".join(output.get_text() for output in page.select(".cell_output pre"))
        assert not re.findall(r"^.*: False$", printed, re.MULTILINE), path


def test_no_zero_has_a_sign(pages):
    for path, page in pages.items():
        for shown in page.select(".cell_output, .pasted-text, td"):
            found = re.findall(r"(?<![\w.])[-−]0(?:\.0+)?(?![\w.])", shown.get_text(" "))
            assert not found, f"{path}: {shown.get_text(' ')[:200]}"


def test_a_term_is_linked_at_its_first_use_and_has_a_card(pages, html):
    page = pages[html / "notebooks/encodability.html"]
    terms = [link["href"] for link in page.select("a.term")]
    assert len(terms) >= 10 and len(set(terms)) == len(terms), "linked once"
    cards = {card["id"] for card in page.select(".term-card")}
    assert cards == {f"card-{link.partition('#')[2]}" for link in terms}
    assert not page.select("h1 a.term, h2 a.term, .cell a.term, a a.term")
    first = page.select_one(".bd-article p:not(.page-head)").get_text()
    assert first.startswith("Question. NMF") and page.select_one("p a.term").get_text() == "NMF"


def test_previous_and_next_are_short(pages, html):
    """They are the titles of the side bar; the part is named where another one begins."""
    page = pages[html / "notebooks/phase.html"]
    said = [tag.get_text() for tag in page.select(".prev-next-title")]
    assert said == ["Both on one data set", "The conditions: A chain of losses"]


def test_each_page_says_how_to_cite_it_and_what_it_is(pages, html):
    for path, page in pages.items():
        if path.parent == html:  # the indices, and what leads to the front page
            continue
        cited = page.select_one("details.cite pre").get_text()
        title = page.find("title").get_text().partition(" — ")[0]
        assert f"title        = {{{title}}}," in cited and "Version 0.1.0" in cited
        foot = page.select_one(".foot").get_text(" ")
        assert re.search(
            r"version 0\.1\.0 · built \d\d \w+ \d{4} · BSD-3-Clause",
            foot.replace("\n", " ").replace("  ", ""),
        ), foot
        assert page.select_one(".pdf-edition").has_attr("hidden"), "there is no PDF"


def test_one_number_for_chapter_figure_and_statement(pages, html):
    page = pages[html / "notebooks/encodability.html"]
    chapter = page.select_one("h1 .section-number").get_text().strip(". ")
    numbered = page.select(".bd-article .caption-number, .bd-article .proof-title .caption-number")
    assert numbered
    for number in numbered:
        assert re.search(rf"\b{chapter}\.\d+", number.get_text()), number


def test_the_reference_says_what_its_docstrings_say(pages, html):
    for path in sorted((html / "book/api").glob("*.html")):
        for entry in pages[path].select("dl.py"):
            head, said = entry.find("dt"), entry.find("dd")
            known = {name.get_text() for name in head.select(".sig-param > .n")}
            for field in said.select(":scope > .field-list > dt"):
                title, about = field.get_text(strip=True), field.find_next_sibling("dd")
                assert title != "Type:", f"{head['id']}: a sentence with a colon is no type"
                first = about.select("li > p:first-child > strong, :scope > p:first-child > strong")
                named = {name.get_text().strip("*") for name in first}
                if title == "Parameters:" and known:
                    assert not named - known, f"{head['id']}: a sentence among the parameters"
        for wrong in pages[path].select(".field-list ol[start]"):
            raise AssertionError(f"{path}: a letter with a dot is no list: {wrong}")


def test_neighbours_have_short_titles(pages):
    for path, page in pages.items():
        for title in page.select(".prev-next-title"):
            assert not title.get_text().startswith(":") and len(title.get_text()) <= 50, path
