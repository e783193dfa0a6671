"""A room of the package imports only from the rooms above it."""

import ast
from pathlib import Path

import pytest

import partsrep

# From the ground up; the packages' front doors come last.
ROOMS = [
    "interrupt",
    "validation",
    "progress",
    "records",
    "threads",
    "matching",
    "figures",
    "inference",
    "parts",
    "codes",
    "objective",
    "problem",
    "scale",
    "starts",
    "descent",
    "alternating",
    "multiplicative",
    "projective",
    "autoencoder",
    "sparse",
    "gradient",
    "lbfgs",
    "online",
    "estimators",
    "storage",
    "convert",
    "presets",
    "compare",
    "verdict",
    "walk",
    "selection",
    "enclosure",
    "conditions",
    "datasets",
    "parameters",
    "lifeline",
    "book",
    "sweeps",
    "__main__",
    "__init__",
]
PACKAGE = Path(partsrep.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def room(file: Path) -> str:
    """The top-level module that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(file: Path) -> set[str]:
    """Rooms that a file imports, wherever in the file and however it spells it."""
    package = ("partsrep", *file.relative_to(PACKAGE).parts[:-1])
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            names += [f"{module}.{alias.name}" for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("partsrep.")} & set(ROOMS)


def test_every_room_has_its_place():
    assert {room(file) for file in FILES} == set(ROOMS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_only_from_above(file):
    above = ROOMS[: ROOMS.index(room(file)) + 1]
    assert imported_rooms(file) <= set(above)
