"""The pages of the book, and the screens that they are tried on."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
LISTED = re.findall("(?:file|root): (.*)", (ROOT / "_toc.yml").read_text())
PAGES = [*LISTED, "genindex", "py-modindex", "search"]
NOTEBOOKS = [page for page in LISTED if page.startswith("notebooks/")]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1400, "height": 900}
