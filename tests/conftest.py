"""What several folders of tests share."""

from pathlib import Path

import pytest

from partsrep.book import build

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the rendered book, brought up to date; a warning of a page is an error here."""
    return build(ROOT).parent
