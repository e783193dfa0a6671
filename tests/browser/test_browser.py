"""Every page, from disk and with the network off, in a real browser."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PAGES = [TOC["root"], *(page["file"] for part in TOC["parts"] for page in part["chapters"])]
NOTEBOOKS = [page for page in PAGES if page.startswith("notebooks/")]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1400, "height": 900}


@pytest.fixture
def visit(browser, html):
    """Open a page with the network off; whatever goes wrong on it fails the test."""
    faults = []

    def visit(page, viewport, scheme="light", folder=html, **options):
        options |= {"viewport": viewport, "color_scheme": scheme, "offline": True}
        tab = browser.new_context(**options).new_page()
        scripts = options.get("java_script_enabled", True)  # without them each one is an error
        if scripts:
            tab.on("console", lambda said: said.type == "error" and faults.append(said.text))
            tab.on("pageerror", lambda error: faults.append(str(error)))
            tab.on("requestfailed", lambda request: faults.append(f"{request.url} failed"))
        name, _, anchor = page.partition("#")
        tab.goto((folder / f"{name}.html").as_uri() + (anchor and f"#{anchor}"))
        if scripts:
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


FIRST_PICTURE = """() => {
  const shown = [...document.querySelectorAll(".bd-article :is(img, svg, canvas)")];
  const boxes = shown.map((picture) => picture.getBoundingClientRect());
  return boxes.find((box) => box.width >= 60 && box.height >= 60).top + scrollY;
}"""


@pytest.mark.parametrize("page", [*NOTEBOOKS, "notebooks/template"])
def test_a_notebooks_first_picture_begins_in_the_first_screen(visit, page, request):
    own = {} if page in NOTEBOOKS else {"folder": request.getfixturevalue("html_of_template")}
    assert visit(page, DESK, **own).evaluate(FIRST_PICTURE) < 700


PROVING = "notebooks/uniqueness"


def test_a_proof_opens_by_click_and_by_key(visit):
    tab = visit(PROVING, DESK)
    proof = tab.locator(".proof-fold").first
    last = proof.locator("p").last
    assert not last.is_visible()
    proof.locator("summary").click()
    assert last.is_visible()
    proof.locator("summary").focus()
    tab.keyboard.press("Enter")
    assert not last.is_visible()


def test_a_link_into_a_proof_opens_it(visit):
    tab = visit(PROVING, DESK)
    proof = tab.locator(".proof-fold").nth(1)
    proof.evaluate("fold => fold.lastElementChild.id = 'inside'")
    tab.evaluate("location.hash = 'inside'")
    assert proof.locator("#inside").is_visible()
    assert tab.locator(".proof-fold[open]").count() == 1


def test_on_paper_every_proof_is_open_and_afterwards_none(visit):
    tab = visit(PROVING, DESK)
    tab.emulate_media(media="print")
    heights = "folds => folds.map((fold) => fold.getBoundingClientRect().height)"
    assert min(tab.locator(".proof-fold").evaluate_all(heights)) > 60
    tab.emulate_media(media="screen")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator(".proof-fold:not([open])").count() == 0
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.locator(".proof-fold[open]").count() == 0


def test_without_scripts_a_proof_can_be_read(visit):
    tab = visit(PROVING, DESK, java_script_enabled=False)
    proof = tab.locator(".proof-fold").first
    proof.locator("summary").click()
    assert proof.locator("p").last.is_visible()


def test_a_status_can_be_told_without_its_colour(visit):
    tab = visit("book/ledger", DESK)
    sign = "chip => getComputedStyle(chip, '::before').content.slice(1, 2)"
    signs = {
        name: tab.locator(f".status-{name}").first.evaluate(sign)
        for name in ("proved", "measured", "open", "refuted")
    }
    assert len(set(signs.values())) == 4 and not any(one.isalnum() for one in signs.values())
