"""Data by name, with what is known about them, and one's own matrices from files."""

import json
from collections.abc import Callable
from contextlib import suppress
from difflib import get_close_matches
from inspect import signature

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state

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
    "excerpt",
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
        `networks` of ``partsrep.datasets``, such as ``noise=0.1`` for planted, ``split="test"`` for
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


def excerpt(
    description: str, n_samples: int = 400, n_features: int = 200, seed: int = 0
) -> np.ndarray:
    """A matrix (n, d) that is described in one line, cut to a size that can be fitted many times.

    Samples are drawn without replacement, from the seed; of more features those with the largest
    sums in these samples are kept, in their order. Samples and features that are zero are left out.
    Values are divided by the largest and rounded to single precision, so that they are the same
    numbers wherever they are made from the same files.

    Parameters
    ----------
    description : str
        A name as `load` takes it, and its parameters, such as ``"planted n_parts=6 noise=0.1"``.

    Examples
    --------
    >>> excerpt("digits", n_samples=200, n_features=30).shape
    (200, 30)
    """
    name, *given = description.split()
    parameters: dict = {}
    for one in given:
        key, _, value = one.partition("=")
        parameters[key] = value
        with suppress(ValueError):  # a text, such as the name of a layer
            parameters[key] = json.loads(value)
    D, rng = load(name, **parameters).D, check_random_state(seed)
    if D.shape[0] > n_samples:
        D = D[np.sort(rng.choice(D.shape[0], n_samples, replace=False))]
    D = D.toarray() if sp.issparse(D) else np.asarray(D, float)
    kept = np.sort(np.argsort(-D.sum(axis=0), kind="stable")[:n_features])
    D = D[:, kept][:, D[:, kept].any(axis=0)]
    D = D[D.any(axis=1)]
    return (D / D.max()).astype(np.float32).astype(float)


def _closest(word, words):
    matches = get_close_matches(word, words, n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""
