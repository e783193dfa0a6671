"""Visits to the book, from disk and with the network off."""

from contextlib import ExitStack, contextmanager

import pytest
from pages import DESK, PAGES, PHONE


@pytest.fixture
def visit(browser, html):
    """Open a page with the network off; whatever goes wrong on it fails the test."""
    with ExitStack() as open_tabs:

        def visit(page, viewport, folder=html, **options):
            return open_tabs.enter_context(tab_with(browser, folder, page, viewport, **options))

        yield visit


# What only looks at a page shares one visit to it: pytest runs the tests of one page together.
@pytest.fixture(scope="module", params=PAGES)
def on_desk(browser, html, request):
    """Each page on a wide screen."""
    with tab_with(browser, html, request.param, DESK) as tab:
        yield tab


@pytest.fixture(scope="module", params=PAGES)
def on_phone(browser, html, request):
    """Each page on a phone."""
    with tab_with(browser, html, request.param, PHONE) as tab:
        yield tab


@pytest.fixture(scope="module", params=PAGES)
def in_the_dark(browser, html, request):
    """Each page on a wide screen of a reader who likes it dark."""
    with tab_with(browser, html, request.param, DESK, color_scheme="dark") as tab:
        yield tab


@contextmanager
def tab_with(browser, folder, page, viewport, **options):
    """A tab with this page; its errors are ours."""
    faults = []
    context = browser.new_context(viewport=viewport, offline=True, **options)
    tab = context.new_page()
    scripts = options.get("java_script_enabled", True)  # without them each one is an error
    if scripts:
        tab.on("console", lambda said: said.type == "error" and faults.append(said.text))
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("requestfailed", lambda request: faults.append(f"{request.url} failed"))
    name, _, anchor = page.partition("#")
    tab.goto((folder / f"{name}.html").as_uri() + (anchor and f"#{anchor}"))
    if scripts:
        tab.evaluate("window.MathJax?.startup?.promise")
    yield tab
    seen = list(faults)  # closing a tab also ends what it still asks for
    context.close()
    assert not seen
