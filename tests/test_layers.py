"""A layer of the package imports only from the layers before it."""

import ast
from pathlib import Path

import pytest

import partsrep

# From the ground up.
LAYERS = [
    "interrupt",
    "lazy",
    "disk",
    "validation",
    "progress",
    "threads",
    "figures",
    "leastsquares",
    "divergences",
    "choices",
    "solvers",
    "estimators",
    "presets",
    "storage",
    "convert",
    "study",
    "datasets",
    "runs",
    "__main__",
    "__init__",
]
PACKAGE = Path(partsrep.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def layer(file: Path) -> str:
    """The top-level module that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_layers(file: Path) -> set[str]:
    """Layers that a file imports, wherever in the file and however it spells it."""
    package = ("partsrep", *file.relative_to(PACKAGE).parts[:-1])
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            names += [f"{module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Lazy":
            names += [
                argument.value for argument in node.args if isinstance(argument, ast.Constant)
            ]
    return {name.split(".")[1] for name in names if name.startswith("partsrep.")} & set(LAYERS)


def test_every_layer_has_its_place():
    assert {layer(file) for file in FILES} == set(LAYERS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_only_from_layers_before(file):
    before = LAYERS[: LAYERS.index(layer(file)) + 1]
    assert imported_layers(file) <= set(before)
