"""Find a Chromium for the tests; run as a script it gets one if there is none, as best it can."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """The browser's path: PARTSREP_CHROMIUM, one that is installed, or Playwright's own."""
    installed = [os.environ.get("PARTSREP_CHROMIUM"), *map(shutil.which, NAMES)]
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return next((path for path in [*installed, own] if path and Path(path).exists()), None)


def get() -> None:
    """Let Playwright download its Chromium, or else Debian's package manager install one."""
    ways = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if shutil.which("apt-get") and os.geteuid() == 0:
        ways += [["apt-get", "update"], ["apt-get", "install", "--yes", "chromium"]]
    for way in ways:
        if not find():
            try:
                subprocess.run(way, timeout=300)
            except subprocess.TimeoutExpired:
                print(f"{way[0]} took too long")


if __name__ == "__main__":
    find() or get()
    print("Browser for the tests:", find() or "none could be installed; those tests are skipped")
