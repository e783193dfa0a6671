"""Tables that fit: numbers under their heads, and on a phone each row a card.

It works on the written page, so that a table of a notebook, of Markdown and of a directive are one
kind: a head of one line, a first column that names its row, and in every cell the head of its
column, which a card shows beside it. The looks are in ``tables.css``.
"""

import copy
import re

from bs4 import BeautifulSoup

TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
STYLE = re.compile(r"<style type=\"text/css\">\s*(?:#T_[^<]*)?</style>")
# A number with its bound, sign, power of ten, unit or interval; what stands for none; yes or no.
NUMBER = re.compile(
    r"[≤≥<>~≈+−-]*\s?\d[\d.,]*(e[+-]?\d+)?(·10)?[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]*\s?[%×s]?(\s?±\s?\S+| of \d+| × \d+)?"
    r"|–|—|yes|no|"
)
FORMULA = re.compile(r"\\\((.*?)\\\)")
PHONE = 42  # letters in the width of a phone
MANY = 8  # columns, from which on they stand closer


def tidy(html: str) -> str:
    """A table as it is shown."""
    soup = BeautifulSoup(html, "html.parser")
    table = soup.table
    head, body = table.thead, table.tbody
    if not head or not body:
        return html
    _plain(table)
    _one_head(head)
    _no_spans(body)
    titles = (cell.get_text(" ", strip=True) for cell in head.tr.find_all(["th", "td"]))
    labels = [FORMULA.sub(r"\1", title) for title in titles]  # a card sets none
    rows = [row.find_all(["th", "td"], recursive=False) for row in body.find_all("tr")]
    if not rows or any(len(row) != len(labels) for row in rows):
        return html
    for row in rows:
        for label, cell in zip(labels, row, strict=True):
            said = cell.get_text(strip=True)
            if label and said and (cell is not row[0] or NUMBER.fullmatch(said)):
                cell["data-label"] = label  # a name says by itself what it is
    widths = []
    for title, column in zip(head.tr.find_all(["th", "td"]), zip(*rows, strict=True), strict=True):
        texts = [cell.get_text(" ", strip=True) for cell in column]
        if any(texts) and all(NUMBER.fullmatch(text) for text in texts):
            for cell in (title, *column):
                _add(cell, "number")
        words = title.get_text(" ", strip=True).split()
        widths.append(2 + max(len(text) for text in (*texts, *words)))
    _add(table, "tidy")
    if len(widths) == 2 and widths[1] < PHONE / 2:
        widths[0] = min(widths[0], PHONE / 2)  # names beside short values may break
    if sum(widths) > PHONE:
        _add(table, "cards")
    if len(widths) >= MANY:
        _add(table, "crowded")
    return str(table)


def _add(tag, name):
    tag["class"] = [*tag.get("class", []), name]


def _plain(table):
    """Without the ids (``T_…``), classes and borders that pandas writes."""
    for tag in (table, *table.find_all(["th", "td", "tr"])):
        for name in ("border", "halign", "style"):
            tag.attrs.pop(name, None)
        if tag.get("id", "").startswith("T_"):
            del tag["id"]
        kept = [name for name in tag.get("class", []) if name == "table"]
        tag.attrs.pop("class", None)
        if kept:
            tag["class"] = kept


def _one_head(head):
    """Two lines, of names over names or with the index's in a line of their own, become one."""
    lines = head.find_all("tr")
    if len(lines) == 2:
        above = [cell for cell in lines[0]("th") for _ in range(int(cell.get("colspan", 1)))]
        for over, cell in zip(above, lines[1]("th"), strict=True):
            words = (tag.get_text(" ", strip=True) for tag in (over, cell))
            cell.string = ", ".join(filter(None, words))
        lines[0].decompose()


def _no_spans(body):
    """A head of several rows is repeated in each, where a card needs it; tables hide it."""
    rows = body.find_all("tr")
    for place, row in enumerate(rows):
        for column, cell in enumerate(row.find_all("th", rowspan=True)):
            span = int(cell.attrs.pop("rowspan"))
            for below in rows[place + 1 : place + span]:
                again = copy.copy(cell)
                again["class"] = ["again"]
                below.find_all(["th", "td"])[column].insert_before(again)


def tidy_page(app, pagename, templatename, context, doctree):
    if "<table" in context.get("body", ""):
        body = TABLE.sub(lambda found: tidy(found[0]), context["body"])
        context["body"] = STYLE.sub("", body)


def setup(app):
    app.add_css_file("tables.css")
    app.connect("html-page-context", tidy_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
