"""Every page can be used without eyes, hands or a fast line."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from pages import DESK, PAGES


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_page_has_no_serious_fault_of_access(visit, page, scheme):
    tab = visit(page, DESK, scheme)
    # MathJax' own markup is read through the MathML that it hides beside it.
    found = Axe().run(tab, {"exclude": [["mjx-container"]]}, {"preload": False}).response
    bad = [fault for fault in found["violations"] if fault["impact"] in ("serious", "critical")]
    assert not [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in bad]


@pytest.mark.parametrize("page", PAGES)
def test_page_is_light(visit, html, page):
    """At most 500 KiB of its own, the page and its pictures, and 2 MB with all that it loads."""
    tab = visit(page, DESK)
    asked = [(html / f"{page}.html").as_uri()]
    tab.wait_for_load_state("networkidle")
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
