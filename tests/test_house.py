"""The house's own rules: who asks what, and in which words."""

import ast
import re
from pathlib import Path

import pytest

import partsrep
from partsrep.choices.codes import Codes
from partsrep.choices.inference import Inference
from partsrep.choices.objective import Bernoulli, Beta, Penalty
from partsrep.choices.parts import PartSet

PACKAGE = Path(partsrep.__file__).parent
ROOT = PACKAGE.parent
FILES = sorted(PACKAGE.rglob("*.py"))
OUTSIDE = [file for file in FILES if file.parent.name != "choices"]
# Words that nobody outside would understand, in whole or as the beginning of one.
FORBIDDEN = (
    r"\bpriced\b",
    r"\bstrangers?\b",
    r"\bnervous",
    r"\bbent output",
    r"\brations?\b",
    r"\btwins?\b",
    r"\bnurser(y|ies)\b",
    r"\bfront doors?\b",
    r"\bROOMS\b",
    r"\bwhispers?\b",
    r"\bvalleys?\b",
    r"\bspecks?\b",
)
TEXTS = sorted(
    file
    for pattern in ("partsrep/**/*.py", "book/*.md", "book/*.yml", "notebooks/*.ipynb", "*.md")
    for file in ROOT.glob(pattern)
)


def subclasses(kind: type) -> set[str]:
    """The names of all choices of a kind."""
    return {kind.__name__}.union(*map(subclasses, kind.__subclasses__()))


CHOICES = set().union(*map(subclasses, (Codes, PartSet, Inference, Penalty))) | {
    Beta.__name__,
    Bernoulli.__name__,
}
KINDS = {Codes.__name__, PartSet.__name__, Inference.__name__, Penalty.__name__}


def asked(file: Path) -> list[str]:
    """The types that a file's calls of `isinstance` and `issubclass` name."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    return [
        name.id
        for call in calls
        if getattr(call.func, "id", "") in ("isinstance", "issubclass")
        for name in ast.walk(call.args[1])
        if isinstance(name, ast.Name)
    ]


@pytest.mark.parametrize("file", OUTSIDE, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_nobody_asks_a_choice_for_its_type(file):
    """Whether an argument is a choice at all may be asked, not which."""
    assert not (CHOICES - KINDS) & set(asked(file))


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_words_are_the_fields(file):
    text = file.read_text()
    found = [word for word in FORBIDDEN if re.search(word, text, re.IGNORECASE)]
    assert not found


def test_the_top_of_the_package_is_seen_at_a_glance():
    entries = {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert len(entries) <= 20


def test_what_is_shown_is_what_runs():
    """The code of CONTRIBUTING stands in the examples, which other tests use."""
    shown = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    run = [file.read_text() for file in (ROOT / "tests/examples").glob("*.py")]
    assert len(shown) == 4
    assert all(any(block in text for text in run) for block in shown)
