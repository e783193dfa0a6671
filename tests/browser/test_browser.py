"""Every page, from disk and with the network off, in a real browser: it can be used without eyes,
hands, daylight or a fast line.

All that is asked of each page stands here, so that a page is opened once on each screen. The tests
come in the order of this file: those that change a page follow those that look at it.
"""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from pages import DESK, LISTED, NOTEBOOKS, PAGES


def fits_and_shows_its_mathematics(tab):
    assert tab.evaluate("document.documentElement.scrollWidth") <= tab.viewport_size["width"]
    assert tab.locator(".math:not(:has(mjx-container))").count() == 0, "mathematics not rendered"
    assert tab.locator("mjx-merror, [data-mjx-error]").count() == 0, "a formula has an error"
    assert tab.locator("mjx-container[tabindex='0']").count() == 0, "a formula is a tab stop"


def test_page_fits_a_desk_and_shows_its_mathematics(on_desk):
    fits_and_shows_its_mathematics(on_desk)


def test_page_fits_a_phone_and_shows_its_mathematics(on_phone):
    fits_and_shows_its_mathematics(on_phone)


# The map has an interval in each of its cells, which are narrow on a phone.
@pytest.mark.parametrize("on_phone", sorted({*PAGES} - {"notebooks/phase"}), indirect=True)
def test_letters_of_drawings_are_large_enough_for_a_phone(on_phone):
    sizes = on_phone.locator("svg.figure text").evaluate_all(
        "all => all.map(t => parseFloat(getComputedStyle(t).fontSize)"
        " * Math.hypot(t.getScreenCTM().a, t.getScreenCTM().b))"  # however a letter is turned
    )
    assert not sizes or min(sizes) >= 10.5  # of small print; the rest has 13
    assert not sizes or sorted(sizes)[len(sizes) // 2] >= 13


FIRST_PICTURE = """() => {
  const pictures = ".bd-article :is(img, svg, canvas, [data-live])";
  const shown = [...document.querySelectorAll(pictures)];
  const boxes = shown.map((picture) => picture.getBoundingClientRect());
  return boxes.find((box) => box.width >= 60 && box.height >= 60).top + scrollY;
}"""


@pytest.mark.parametrize("on_desk", NOTEBOOKS, indirect=True)
def test_a_notebooks_first_picture_begins_in_the_first_screen(on_desk):
    assert on_desk.evaluate(FIRST_PICTURE) < 700


def test_first_picture_of_the_template_too(visit, html_of_template):
    tab = visit("notebooks/template", DESK, folder=html_of_template)
    assert tab.evaluate(FIRST_PICTURE) < 700


@pytest.mark.parametrize("on_desk", LISTED[1:], indirect=True)
def test_current_entry_of_the_side_bar_is_in_view(on_desk):
    assert current_entry_is_in_view(on_desk)


def current_entry_is_in_view(tab):
    entry = tab.locator(".bd-links li.current > a").last.bounding_box()
    return 0 <= entry["y"] <= tab.viewport_size["height"] - entry["height"]


def test_page_has_no_serious_fault_of_access(on_desk):
    assert not serious_faults(on_desk)


# Without MathJax' own markup, beside which MathML is hidden to be read; and of code with one word
# of each kind in a colour: the others look the same.
LESS_TO_READ = """() => {
    document.querySelectorAll('mjx-container').forEach((one) => one.remove());
    const seen = new Set();
    for (const word of document.querySelectorAll('.highlight span')) {
        if (seen.has(word.className)) word.replaceWith(...word.childNodes);
        seen.add(word.className);
    }
}"""


def serious_faults(tab, **options):
    """What axe finds."""
    tab.evaluate(LESS_TO_READ)
    options |= {"preload": False, "resultTypes": ["violations"]}
    found = Axe().run(tab, options=options).response["violations"]
    bad = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    return [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in bad]


def test_on_a_desk_pictures_and_controls_have_a_name(on_desk):
    assert not without_a_name(on_desk)


def test_on_a_phone_pictures_and_controls_have_a_name(on_phone):
    assert not without_a_name(on_phone)


NAMED = {"image", "button", "link", "slider", "checkbox", "combobox", "searchbox", "textbox"}
FOLDED = "details:not([open])"


def without_a_name(tab):
    """What a screen reader has only a kind for, folded or not."""
    tab.evaluate(LESS_TO_READ)
    tab.evaluate(
        "folds => document.querySelectorAll(folds).forEach((one) => {"
        " one.open = true; one.dataset.folded = ''; })",
        FOLDED,
    )
    session = tab.context.new_cdp_session(tab)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    found = [
        session.send("DOM.describeNode", {"backendNodeId": node["backendDOMNodeId"]})["node"]
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in NAMED
        if not node["name"]["value"].strip()
    ]
    session.detach()
    tab.evaluate(
        "document.querySelectorAll('[data-folded]').forEach((one) => {"
        " one.open = false; delete one.dataset.folded; })"
    )
    return [(node["localName"], node["attributes"]) for node in found]


def test_page_is_light(on_desk):
    """At most 500 KiB of its own, the page and its pictures, and 2 MB with all that it loads."""
    for picture in on_desk.locator("img").all():  # those further down are loaded when they are near
        picture.evaluate("picture => { picture.loading = 'eager'; return picture.decode(); }")
    on_desk.wait_for_load_state("networkidle")
    asked = [request.url for request in on_desk.requests()]
    assert len(asked) < 100, "the browser remembers no more"
    page, *files = {Path(urlsplit(url).path): None for url in asked if url.startswith("file:")}
    shared = sum(path.stat().st_size for path in files if "_images" not in path.parts)
    pictures = sum(path.stat().st_size for path in files if "_images" in path.parts)
    own = page.stat().st_size + pictures
    assert page.suffix == ".html" and own <= 500 * 1024
    assert 500 * 1024 < shared + own <= 2 * 1024**2


def test_in_the_dark_a_page_is_dark_and_can_be_read(on_desk):
    on_desk.emulate_media(color_scheme="dark")
    on_desk.locator("html[data-theme=dark]").wait_for()
    on_desk.wait_for_timeout(300)  # colours fade
    rgba = "element => getComputedStyle(element).backgroundColor.match(/[\\d.]+/g).map(Number)"
    assert max(on_desk.locator("body").evaluate(rgba)[:3]) < 64
    for picture in on_desk.locator(".bd-article img").all():
        assert picture.evaluate(rgba)[3:] == [0], "a figure lies on a slab"
    # Only colours differ from those of the light page.
    assert not serious_faults(on_desk, runOnly=["color-contrast", "link-in-text-block"])


@pytest.mark.parametrize("on_phone", LISTED[1:], indirect=True)
def test_current_entry_of_the_side_bar_is_in_view_on_a_phone(on_phone):
    on_phone.locator(".primary-toggle").first.click()
    on_phone.wait_for_timeout(500)  # the bar slides in
    assert current_entry_is_in_view(on_phone)
