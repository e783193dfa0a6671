"""What the notebooks of the book share: claims for the tests, numbers for the prose, a record."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .records import write_record

__all__ = ["claim", "glue_all", "mean", "write_record"]


def claim(words: str, holds: object) -> None:
    """Print a line that the tests compare with the stored one.

    Examples
    --------
    >>> claim("the loss falls", np.float64(0.5) < 1)
    the loss falls: True
    """
    print(f"{words}: {bool(holds)}")


def mean(key: str, values: ArrayLike, independent: int | None = None) -> dict[str, float]:
    """A mean over starts as `key`, and twice its standard error as `key` with ``_within``.

    Both are nan where a value is; the second also where there is one value. Of values over pairs
    of starts only as many are `independent` as there are pairs that share none.

    Examples
    --------
    >>> mean("loss", [1, 2, 3, 4, 5])["loss"]
    3.0
    """
    series = pd.Series(np.asarray(values, float))
    error = series.std(skipna=False) / (len(series) if independent is None else independent) ** 0.5
    return {key: float(series.mean(skipna=False)), f"{key}_within": float(2 * error)}


def glue_all(prefix: str, /, *values: Mapping[str, Any], **named: Any) -> None:
    """Glue texts and numbers, Python's or numpy's, for the prose: each as its prefix and name.

    They are given as to ``dict``: ``glue_all("walk_", numbers, seeds=seeds)``.
    """
    from myst_nb import glue  # of the book; the package does not need it

    for name, value in dict(*values, **named).items():
        glue(f"{prefix}{name}", np.asarray(value).item(), display=False)
