"""A layer of the package imports only from the layers before it."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import partsrep

# From the ground up.
LAYERS = [
    "interrupt",
    "lazy",
    "disk",
    "arguments",
    "validation",
    "progress",
    "threads",
    "figures",
    "leastsquares",
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


def imported(file: Path, *, within: bool = False) -> set[str]:
    """What a file imports from the package, modules and names; also within functions, if wanted."""
    package = ("partsrep", *file.relative_to(PACKAGE).parts[:-1])
    tree = ast.parse(file.read_text())
    names = []
    for node in ast.walk(tree) if within else tree.body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            names += [module, *(f"{module}.{alias.name}" for alias in node.names)]
        elif within and isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Lazy":
            names += [name.value for name in node.args if isinstance(name, ast.Constant)]
    return {name for name in names if name.startswith("partsrep.")}


def imported_layers(file: Path) -> set[str]:
    """Layers that a file imports, wherever in the file and however it spells it."""
    return {name.split(".")[1] for name in imported(file, within=True)} & set(LAYERS)


def test_every_layer_has_its_place():
    assert {layer(file) for file in FILES} == set(LAYERS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_only_from_layers_before(file):
    before = LAYERS[: LAYERS.index(layer(file)) + 1]
    assert imported_layers(file) <= set(before)


def test_no_two_modules_import_each_other():
    """Neither directly nor through others; what a function imports when it is called does not
    count."""
    names = {
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts): file for file in FILES
    }
    graph = {
        name: {other for other in imported(file) if other in names and other != name}
        for name, file in names.items()
        if file.name != "__init__.py"
    }
    assert len(list(TopologicalSorter(graph).static_order())) >= len(graph)
