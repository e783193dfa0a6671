"""Every page, from disk and with the network off, in a real browser."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PAGES = [TOC["root"], *(page["file"] for part in TOC["parts"] for page in part["chapters"])]
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


@pytest.mark.parametrize("page", PAGES)
def test_dark_page_is_dark(visit, page):
    tab = visit(page, DESK, scheme="dark")
    rgba = "element => getComputedStyle(element).backgroundColor.match(/[\\d.]+/g).map(Number)"
    assert max(tab.locator("body").evaluate(rgba)[:3]) < 64
    for picture in tab.locator(".bd-article img").all():
        assert picture.evaluate(rgba)[3:] == [0], "a figure lies on a slab"
