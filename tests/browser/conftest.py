"""Visits to the book, from disk and with the network off."""

import pytest


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
    seen = list(faults)  # closing a tab also ends what it still asks for
    for context in browser.contexts:
        context.close()
    assert not seen
