"""Every page, from disk and with the network off, in a real browser."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

ROOT = Path(__file__).parents[2]
LISTED = re.findall("(?:file|root): (.*)", (ROOT / "_toc.yml").read_text())
PAGES = [*LISTED, "genindex", "py-modindex", "search"]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1400, "height": 900}


@pytest.fixture
def visit(browser, html):
    """Open a page with the network off; whatever goes wrong on it fails the test."""
    faults = []

    def visit(page, viewport, scheme="light"):
        tab = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True).new_page()
        tab.on("console", lambda said: said.type == "error" and faults.append(said.text))
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("requestfailed", lambda request: faults.append(f"{request.url} failed"))
        tab.goto((html / f"{page}.html").as_uri())
        tab.evaluate("window.MathJax?.startup?.promise")
        return tab

    yield visit
    for context in browser.contexts:
        context.close()
    assert not faults


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("page", PAGES)
def test_page_fits_its_screen_and_shows_its_mathematics(visit, page, viewport):
    tab = visit(page, viewport)
    assert tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert tab.locator(".math:not(:has(mjx-container))").count() == 0, "mathematics not rendered"
    assert tab.locator("mjx-merror, [data-mjx-error]").count() == 0, "a formula has an error"
    assert tab.locator("mjx-container[tabindex='0']").count() == 0, "a formula is a tab stop"


@pytest.mark.parametrize("page", PAGES)
def test_dark_page_is_dark(visit, page):
    tab = visit(page, DESK, scheme="dark")
    rgba = "element => getComputedStyle(element).backgroundColor.match(/[\\d.]+/g).map(Number)"
    assert max(tab.locator("body").evaluate(rgba)[:3]) < 64
    for picture in tab.locator(".bd-article img").all():
        assert picture.evaluate(rgba)[3:] == [0], "a figure lies on a slab"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_page_has_no_serious_fault_of_access(visit, page, scheme):
    tab = visit(page, DESK, scheme)
    # MathJax' own markup is read through the MathML that it hides beside it.
    found = Axe().run(tab, {"exclude": [["mjx-container"]]}).response["violations"]
    bad = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    assert not [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in bad]


@pytest.mark.parametrize("page", PAGES)
def test_page_is_light(visit, html, page):
    """At most 500 KiB of its own, the page and its pictures, and 2 MB with all that it loads."""
    tab = visit(page, DESK)
    asked = [(html / f"{page}.html").as_uri()]
    tab.on("request", lambda request: asked.append(request.url))
    tab.reload()
    tab.evaluate("window.MathJax?.startup?.promise")
    for picture in tab.locator("img").all():  # those further down are loaded when they are near
        picture.evaluate("picture => { picture.loading = 'eager'; return picture.decode(); }")
    files = {Path(urlsplit(url).path) for url in asked if url.startswith("file:")}
    shared = sum(path.stat().st_size for path in files if "_images" not in path.parts)
    pictures = sum(path.stat().st_size for path in files if "_images" in path.parts)
    own = (html / f"{page}.html").stat().st_size + pictures
    assert own <= 500 * 1024
    assert 500 * 1024 < shared + pictures <= 2 * 1024**2


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("page", LISTED[1:])
def test_current_entry_of_the_side_bar_is_in_view(visit, page, viewport):
    tab = visit(page, viewport)
    if viewport is PHONE:
        tab.locator(".primary-toggle").first.click()
        tab.wait_for_timeout(500)  # the bar slides in
    entry = tab.locator(".bd-links li.current > a").last.bounding_box()
    assert 0 <= entry["y"] <= viewport["height"] - entry["height"]


def test_a_term_shows_what_it_means_to_pointer_and_keys(visit):
    tab = visit("notebooks/encodability", DESK)
    term = tab.locator("a.term", has_text="ReLU").first
    card = tab.locator("#card-term-ReLU")
    assert not card.is_visible()
    term.hover()
    assert card.is_visible() and "sets negative ones to zero" in card.inner_text()
    card.hover()
    tab.wait_for_timeout(400)
    assert card.is_visible(), "the pointer may go to the card"
    tab.keyboard.press("Escape")
    assert not card.is_visible()
    tab.mouse.move(0, 0)
    term.focus()
    assert card.is_visible()
    assert term.get_attribute("aria-describedby") == "card-term-ReLU"
    tab.locator("a.term", has_text="MCC").first.focus()
    assert not card.is_visible(), "one card at a time"


def test_a_card_fits_a_phone(visit):
    tab = visit("notebooks/noise", PHONE)
    tab.set_default_timeout(5000)
    for term in tab.locator("a.term").all():
        term.focus()
        box = tab.locator(".term-card:not([hidden])").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]


def test_search_shows_the_words_around_what_it_found(visit):
    tab = visit("search", DESK)
    tab.goto(f"{tab.url.partition('?')[0]}?q=overcomplete")
    tab.locator(".search-summary", has_text="found").wait_for()
    results = tab.locator("#search-results li")
    assert results.count() > 5
    assert tab.locator("#search-results li:not(:has(.context))").count() == 0
    assert tab.locator("#search-results mark").count() > 0


def test_a_margin_note_falls_into_the_text_on_a_phone(visit):
    """No page has one yet: the rule is tried on one that is put into a page."""
    note = '<aside class="margin sidebar">A note.</aside>'
    put = f"article => article.querySelector('p').insertAdjacentHTML('afterend', '{note}')"
    for viewport, beside in (PHONE, False), (DESK, True):
        tab = visit("book/first_proofs", viewport)
        article = tab.locator(".bd-article")
        article.evaluate(put)
        note, text = tab.locator("aside.margin").bounding_box(), article.bounding_box()
        assert (note["x"] >= text["x"] + text["width"] * 0.9) == beside
