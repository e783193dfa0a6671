"""The whole book as one typeset PDF: ``build/html`` printed by a headless Chromium, without LaTeX.

The pages' articles are put into one page, in the order of the side bar, which the browser prints.
It does so twice: only the first print tells on which leaf a chapter begins, as the contents say.
The outline that a reader of PDFs shows beside the pages has the chapters' short titles.
"""

import os
import re
import sys
from pathlib import Path

import chromium  # of tests/browser
import yaml
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright
from pypdf import PdfReader, PdfWriter

ROOT = Path(__file__).parents[1]
HTML = ROOT / "build/html"
LEFT_OUT = (
    ".headerlink, script, .term-card, .live, .tag_hide-input > details, .tag_hide-cell, "
    ".sd-tab-set > input, .copybtn, .onlyprint, .hero .sd-d-grid, td details > :not(summary)"
)
REFERENCE = re.compile(r"#([^)]+)")  # of a drawing to one of its own pieces
SETTINGS = """
document.querySelectorAll("details").forEach((one) => (one.open = !one.closest("table")));
document.querySelectorAll(".toggle-hidden").forEach((one) => one.classList.remove("toggle-hidden"));
"""


def chapters() -> list[tuple[str, str, str]]:
    """Part, title and page of each chapter, the sections of the reference among them."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    found = [("", "", contents["root"])]
    for part in contents["parts"]:
        for chapter in part["chapters"]:
            found.append((part["caption"], chapter["title"], chapter["file"]))
            found += [
                (part["caption"], f"{chapter['title']}: {section['title']}", section["file"])
                for section in chapter.get("sections", [])
            ]
    return found


def name(page: str, anchor: str = "") -> str:
    """The id in the one page for an id of a page."""
    return f"{page}--{anchor}".replace("/", "-")


def article(page: str, pages: set[str]) -> BeautifulSoup:
    """A page's article: proofs open, links within the book, pictures where they are."""
    path = HTML / f"{page}.html"
    found = BeautifulSoup(path.read_text(), "html.parser").find(class_="bd-article")
    for tag in found.select(LEFT_OUT):
        tag.decompose()
    seen = set()
    for tag in found.find_all(id=True):
        tag["id"] = name(page, tag["id"])
        if tag["id"] in seen:  # an anchor of MyST within the section that bears it
            del tag["id"]
        else:
            seen.add(tag["id"])
    for tag in found.select("svg *"):
        for key, value in tag.attrs.items():
            if key in ("href", "xlink:href") or "url(#" in value:
                tag[key] = REFERENCE.sub(lambda one: f"#{name(page, one[1])}", value)
    for tag in found.find_all("img"):
        tag["src"] = os.path.relpath(path.parent / tag["src"], HTML)
        tag["loading"] = "eager"
    for tag in found.find_all("a", href=True):
        target, _, anchor = tag["href"].partition("#")
        if ":" in target:
            continue
        other = os.path.relpath(path.parent / target, HTML) if target else f"{page}.html"
        other = other.removesuffix(".html")
        if other in pages:
            tag["href"] = f"#{name(other, anchor)}"
        else:  # a file, or an index that the PDF does not have
            del tag["href"]
    found["id"] = name(page)
    return found


def contents(
    listed: list[tuple[str, str, str]], articles: dict[str, BeautifulSoup], leaves: dict[str, int]
) -> str:
    """The table of contents: each chapter's number, and the leaf on which it begins if known."""
    lines, last = [], ""
    for part, title, page in listed[1:]:
        if part != last:
            lines.append(f"<h2>{part}</h2>")
            last = part
        leaf = leaves.get(name(page), "")
        section = ' class="section"' if ": " in title else ""
        number = articles[page].select_one("h1 .section-number")
        title = (number.get_text() if number else "") + title.rpartition(": ")[2]
        lines.append(
            f'<p{section}><a href="#{name(page)}"><span>{title}</span><span>{leaf}</span></a></p>'
        )
    return "\n".join(lines)


def whole(listed: list[tuple[str, str, str]], leaves: dict[str, int]) -> str:
    """The one page."""
    head = BeautifulSoup((HTML / "book/index.html").read_text(), "html.parser").head
    styles = head.find_all("link", rel="stylesheet")
    mathematics = [tag for tag in head.find_all("script") if "mathjax" in str(tag).lower()]
    loaded = "".join(map(str, styles + mathematics)).replace("../", "")
    pages = {page for _, _, page in listed}
    articles = {page: article(page, pages) for page in pages}
    title = head.title.get_text().rpartition(" \u2014 ")[2]
    body = [
        f'<section class="cover"><h1>{title}</h1>{colophon()}</section>',
        f'<nav class="book-contents"><h1>Contents</h1>{contents(listed, articles, leaves)}</nav>',
        *(str(articles[page]) for _, _, page in listed),
    ]
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8">'
        f'<title>{title}</title>{loaded}<link rel="stylesheet" href="_static/pdf.css">'
        f'</head><body><main class="bd-content">{"".join(body)}</main></body></html>'
    )


def colophon() -> str:
    """Authors, version, date and licence, as at the foot of each page."""
    foot = BeautifulSoup((HTML / "search.html").read_text(), "html.parser").find(class_="foot")
    for tag in foot.select("a, .pdf-edition"):
        tag.decompose()
    return f"<p>{foot.get_text(' ').strip().strip('·').strip()}</p>"


def leaves_of(pdf: Path) -> dict[str, int]:
    """On which leaf each named place is."""
    reader = PdfReader(pdf)
    return {
        key.removeprefix("/"): reader.get_destination_page_number(place) + 1
        for key, place in reader.named_destinations.items()
    }


def add_outline(pdf: Path, listed: list[tuple[str, str, str]], leaves: dict[str, int]) -> None:
    """Parts, their chapters and the chapters' sections, each with its leaf.

    They are appended: in pypdf's copy of all pages some objects would stand twice.
    """
    whole = PdfWriter(pdf, incremental=True)

    def entry(title, leaf, above=None):
        return whole.add_outline_item(
            title=title, page_number=leaf - 1, parent=above, is_open=above is not None
        )

    entries = {}
    for part, title, page in listed[1:]:
        leaf = leaves[name(page)]
        if part not in entries:
            entries[part] = entry(part, leaf)
        chapter, _, section = title.partition(": ")
        if section:
            entry(section, leaf, entries[part, chapter])
        else:
            entries[part, chapter] = entry(chapter, leaf, entries[part])
    whole.write(pdf)


def make(browser: str) -> Path:
    """Print the book that stands in ``build/html``, and let its pages link to the PDF."""
    pdf, page = HTML / "partsrep.pdf", HTML / "whole.html"
    listed = chapters()
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # Chromium refuses it to root
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=sandbox)
        leaves = {}
        for _ in range(2):
            page.write_text(whole(listed, leaves))
            tab = opened.new_context(offline=True).new_page()
            tab.set_default_timeout(600_000)
            tab.goto(page.as_uri())
            tab.evaluate("MathJax.startup.promise")
            tab.evaluate(SETTINGS)
            tab.pdf(
                path=pdf,
                prefer_css_page_size=True,
                print_background=True,
                tagged=True,
            )
            tab.close()
            leaves = leaves_of(pdf)
        opened.close()
    page.unlink()
    add_outline(pdf, listed, leaves)
    hidden, shown = '<span class="pdf-edition" hidden>· <a data-href=', "<span>· <a href="
    for path in HTML.rglob("*.html"):
        path.write_text(path.read_text().replace(hidden, shown))
    return pdf


if __name__ == "__main__":
    browser = chromium.find()
    if not browser:
        sys.exit("No Chromium was found: `make browser` gets one, PARTSREP_CHROMIUM names one.")
    pdf = HTML / "partsrep.pdf"
    print(pdf if pdf.exists() else make(browser))  # a new book in build/html has none
