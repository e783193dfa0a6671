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


NOTEBOOKS = [page for page in PAGES if page.startswith("notebooks/")]
PICTURES = ".bd-article :is(img, svg.figure, .live)"


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_first_picture_stands_in_the_first_screen(visit, page):
    tab = visit(page, DESK)
    tops = tab.locator(PICTURES).evaluate_all(
        "all => all.map(e => e.getBoundingClientRect()).filter(b => b.height > 40).map(b => b.top)"
    )
    assert tops[0] + tab.evaluate("scrollY") < 700


# The map has an interval in each of its cells, which are narrow on a phone.
@pytest.mark.parametrize("page", sorted({*NOTEBOOKS} - {"notebooks/phase"}))
def test_letters_of_drawings_are_large_enough_for_a_phone(visit, page):
    tab = visit(page, PHONE)
    sizes = tab.locator("svg.figure text").evaluate_all(
        "all => all.map(t => parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a"
        " / Math.cos(Math.atan2(t.getScreenCTM().b, t.getScreenCTM().a)))"
    )
    assert not sizes or min(sizes) >= 10.5  # of small print; the rest has 13
    assert not sizes or sorted(sizes)[len(sizes) // 2] >= 13


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ink_of_drawings_stands_out(visit, scheme):
    tab = visit("notebooks/sae", DESK, scheme)
    ink, blue, ground = tab.evaluate(
        r"""() => {
          const drawing = document.querySelector("svg.figure"), probe = document.createElement("i");
          probe.style.color = "var(--figure-blue)";
          document.body.append(probe);
          const colours = [drawing, probe].map((element) => getComputedStyle(element).color);
          return [...colours, getComputedStyle(document.body).backgroundColor].map(
            (colour) => colour.match(/[\d.]+/g).slice(0, 3).map((value) => value / 255));
        }"""
    )
    assert contrast(ink, ground) >= 7
    assert contrast(blue, ground) >= 4.5


def contrast(one, other):
    """WCAG 2 contrast ratio of two colours in sRGB."""
    light = []
    for colour in (one, other):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)
    return max(light) / min(light)
