"""One browser for the tests here."""

import os

import chromium
import pytest
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="session")
def browser():
    path = chromium.find()
    if path is None:
        pytest.skip("no Chromium: `make browser` gets one, PARTSREP_CHROMIUM names one")
    # Chromium refuses its sandbox to root, which containers run as.
    sandbox = [] if os.geteuid() else ["--no-sandbox"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=sandbox)
        yield browser
        browser.close()
