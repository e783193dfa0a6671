"""What is imported when it is first used: heavy packages, and our modules that need one at once.

NMF and the comparison then start without torch and matplotlib, and work where these are not
installed. A package is taken from here, ``from .lazy import torch``, which type checkers read as
``import torch``; a module of ours that is heavy itself is ``figures = Lazy("partsrep.figures")``.
All else is imported at the top of a file. Three things would import torch too early, at the top of
a module: a base class (``class Autoencoder(torch.nn.Module)``; make the whole module `Lazy`), an
annotation that is evaluated (write ``from __future__ import annotations``), and a default value.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

# What an extra of pyproject.toml is for, and the modules that it brings.
EXTRAS = {
    "sae": ("SAE", ["torch"]),
    "plots": ("A plot", ["matplotlib"]),
    "data": ("This data set", ["h5py", "pooch", "skimage"]),
    "tables": ("A table in .parquet", ["pyarrow"]),
    "runs": (
        "The command partsrep",
        [
            *("cloudpickle", "distributed", "fastjsonschema", "filelock"),
            *("ipykernel", "markdown_it", "papermill", "psutil", "typer", "yaml"),
        ],
    ),
}


def load(name: str) -> ModuleType:
    """Import a module; if a package is missing that an extra brings, the error says which extra."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        for extra, (_, packages) in EXTRAS.items():
            if error.name in packages:
                raise _missing(error.name, extra) from error
        raise


def require(extra: str) -> None:
    """Raise the same error now, for modules that import an extra's packages at their top."""
    for package in EXTRAS[extra][1]:
        if find_spec(package) is None:
            raise _missing(package, extra)


def _missing(package: str, extra: str) -> ImportError:
    what = EXTRAS[extra][0]
    return ImportError(f'{what} needs {package}: pip install "partsrep[{extra}]"', name=package)


_made: list[Lazy] = []


class Lazy:
    """A module that is imported when something of it is first asked for.

    Parameters
    ----------
    name : str
        Its full name.

    Examples
    --------
    >>> json = Lazy("json")
    >>> json.dumps([1])
    '[1]'
    """

    def __init__(self, name: str) -> None:
        self._name, self._module = name, None
        _made.append(self)

    def __getattr__(self, attribute: str) -> Any:
        # Tools that look at whatever a module holds ask for such names, and must not import it.
        if attribute.startswith("__"):
            raise AttributeError(f"{self!r} is not asked for {attribute!r}.")
        if self._module is None:
            self._module = load(self._name)
        try:
            return getattr(self._module, attribute)
        except AttributeError:  # a submodule that the package itself does not import
            return load(f"{self._name}.{attribute}")

    def __repr__(self) -> str:
        return f"Lazy({self._name!r})"


def load_all() -> None:
    """Import now what was put off: for a process whose forks begin with their imports done."""
    for lazy in _made:  # which grows meanwhile
        with suppress(ImportError):
            load(lazy._name)


def public(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """The functions `__getattr__` and `__dir__` of a package that imports lazily, and `__all__`.

    Its public names are those that it imports under ``if TYPE_CHECKING:``, so that people and type
    checkers read ordinary imports; each is imported when it is first asked for.
    """
    module = sys.modules[package]
    source = ast.parse(module.__spec__.loader.get_source(package))
    [imports] = (node.body for node in source.body if isinstance(node, ast.If))
    homes = {alias.name: node.module for node in imports for alias in node.names}

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}", name=name, obj=module
            )
        home = homes[name]  # None for ``from . import name``
        value = getattr(load(f"{package}.{home}"), name) if home else load(f"{package}.{name}")
        setattr(module, name, value)
        return value

    return get, lambda: sorted({*vars(module), *homes}), sorted(homes)


def is_tensor(value: object) -> bool:
    """Whether a value is a torch tensor; before torch is imported, there are none."""
    return "torch" in sys.modules and isinstance(value, torch.Tensor)


def is_dask(value: object) -> bool:
    """Whether a value is a Dask array; before that is imported, there are none."""
    return "dask.array" in sys.modules and isinstance(value, dask.array.Array)


if TYPE_CHECKING:
    import dask
    import dask.array
    import distributed
    import h5py
    import matplotlib
    import matplotlib.figure
    import pooch
    import skimage.data
    import sklearn.cluster
    import sklearn.datasets
    import sklearn.metrics
    import sklearn.neighbors
    import torch
    import tqdm.auto
    import tqdm.notebook
else:
    dask, distributed = map(Lazy, ("dask", "distributed"))
    h5py, matplotlib = map(Lazy, ("h5py", "matplotlib"))
    pooch, skimage = map(Lazy, ("pooch", "skimage"))
    sklearn, torch, tqdm = map(Lazy, ("sklearn", "torch", "tqdm"))
