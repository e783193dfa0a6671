"""The page that `make pdf` prints: all chapters, and no link that leads nowhere."""

import re
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader, PdfWriter

ROOT = Path(__file__).parents[2]
LISTED = re.findall("(?:file|root): (.*)", (ROOT / "_toc.yml").read_text())


@pytest.fixture
def pdf(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "book"), str(ROOT / "tests/browser")])
    import pdf

    return pdf


def test_the_whole_book_is_one_page(html, pdf):
    listed = pdf.chapters()
    assert [page for _, _, page in listed] == LISTED
    leaves = {pdf.name(page): number for number, page in enumerate(LISTED, 2)}
    whole = BeautifulSoup(pdf.whole(listed, leaves), "html.parser")
    ids = [tag["id"] for tag in whole.find_all(id=True)]
    assert len(set(ids)) == len(ids)
    for link in whole.find_all("a", href=True):
        target = link["href"]
        assert re.match("https?:", target) or target[1:] in ids, link
    assert len(whole.find_all("article")) == len(LISTED)
    pieces = [value for piece in whole.select("svg *") for value in piece.attrs.values()]
    used = re.findall(r"(?:^|url\()#([^)\s]{7,})", "\n".join(map(str, pieces)), re.MULTILINE)
    assert len(used) > 1000 and set(used) <= set(ids), "a drawing lacks a piece"
    for picture in whole.find_all("img"):
        assert (html / picture["src"]).is_file()
    assert len(whole.select("[data-live] img")) >= 5, "live figures as their stills"
    assert not whole.select(".live, .term-card, .tag_hide-cell")
    entries = whole.select(".book-contents p")
    assert entries[3].get_text().startswith("4. NMF")
    assert [int(entry.find_all("span")[1].get_text()) for entry in entries] == [
        *range(3, len(LISTED) + 2)
    ]


def test_the_outline_is_appended_to_what_was_printed(pdf, tmp_path):
    listed = pdf.chapters()
    leaves = {pdf.name(page): leaf for leaf, (_, _, page) in enumerate(listed, 1)}
    path, blank = tmp_path / "book.pdf", PdfWriter()
    for _ in listed:
        blank.add_blank_page(width=10, height=10)
    blank.write(path)
    printed = path.read_bytes()

    pdf.add_outline(path, listed, leaves)
    assert path.read_bytes().startswith(printed)
    found = PdfReader(path, strict=True)
    expected, last = [], ""
    for leaf, (part, title, _) in enumerate(listed[1:], 1):
        if part != last:
            expected.append((part, leaf))
        expected.append((title.rpartition(": ")[2], leaf))
        last = part
    assert expected == [
        (entry.title, found.get_destination_page_number(entry)) for entry in flat(found.outline)
    ]


def flat(outline):
    """Entries in their order, of whatever depth."""
    for entry in outline:
        yield from flat(entry) if isinstance(entry, list) else [entry]
