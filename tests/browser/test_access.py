"""Every page can be used without eyes, hands, daylight or a fast line."""

from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe


def test_page_has_no_serious_fault_of_access(on_desk):
    assert not serious_faults(on_desk)


def test_dark_page_is_dark(in_the_dark):
    rgba = "element => getComputedStyle(element).backgroundColor.match(/[\\d.]+/g).map(Number)"
    assert max(in_the_dark.locator("body").evaluate(rgba)[:3]) < 64
    for picture in in_the_dark.locator(".bd-article img").all():
        assert picture.evaluate(rgba)[3:] == [0], "a figure lies on a slab"


def test_dark_page_can_be_read(in_the_dark):
    assert not serious_faults(in_the_dark, runOnly=["color-contrast", "link-in-text-block"])


def serious_faults(tab, **options):
    """What axe finds; only colours differ between a light page and a dark one."""
    # MathJax' own markup is read through the MathML that it hides beside it.
    options |= {"preload": False, "resultTypes": ["violations"]}
    found = Axe().run(tab, {"exclude": [["mjx-container"]]}, options).response["violations"]
    bad = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    return [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in bad]


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
