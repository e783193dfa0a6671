"""Data by name, with what is known about them, and one's own matrices from files."""

from collections.abc import Callable
from difflib import get_close_matches
from inspect import signature

from . import generators, networks, packages, registry
from .dataset import Dataset, Truth
from .exports import write_cnmf, write_sigprofiler
from .gallery import gallery
from .readers import from_file
from .recording import record
from .shards import shards

__all__ = [
    "Dataset",
    "Truth",
    "from_file",
    "gallery",
    "load",
    "record",
    "shards",
    "write_cnmf",
    "write_sigprofiler",
]

LOADERS: dict[str, Callable[..., Dataset]] = {
    **generators.LOADERS,
    **registry.LOADERS,
    **packages.LOADERS,
    **networks.LOADERS,
}


def load(name: str, **parameters) -> Dataset:
    """A data set by name.

    A missing file is a FileNotFoundError that says which, where to put it and where it comes from.

    Parameters
    ----------
    name : str
        Made on the spot, such as "bars", within dependencies, such as "digits", or from files that
        you supply or that are downloaded, such as "mnist"; the page on data lists them all, and so
        does the error on another name.
    **parameters
        Those of the function that bears the name in `generators`, `registry`, `packages` or
        `networks` of `partsrep.datasets`, such as ``noise=0.1`` for planted, ``split="test"`` for
        mnist and ``layer="conv4_3"`` for vgg16.

    Examples
    --------
    >>> from partsrep import datasets
    >>> datasets.load("digits")
    Dataset('digits', 1797 x 64, images 8 x 8)
    >>> datasets.load("bars", size=4, n_samples=100, seed=1).truth
    Truth(H 100 x 8, X 16 x 8)
    """
    if name not in LOADERS:
        raise ValueError(
            f"There is no data set {name!r}.{_closest(str(name).lower(), LOADERS)} "
            f"The names are: {', '.join(LOADERS)}."
        )
    known = signature(LOADERS[name]).parameters
    for parameter in set(parameters) - set(known):
        takes = f"It takes: {', '.join(known)}." if known else "It takes none."
        raise TypeError(
            f"The data set {name!r} has no parameter {parameter!r}."
            f"{_closest(parameter, known)} {takes}"
        )
    return LOADERS[name](**parameters)


def _closest(word, words):
    matches = get_close_matches(word, words, n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""
