"""The functions on the book's page on weights: what is printed there is what is tested."""

import re
from collections.abc import Callable
from pathlib import Path

PAGE = Path(__file__).parents[1] / "book" / "weights.md"


def blocks() -> list[str]:
    """The page's blocks of Python, in order."""
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def mappings() -> dict[str, Callable]:
    """The functions by name."""
    names: dict = {}
    for block in blocks():
        if "def " in block:
            exec(block, names)
    return names
