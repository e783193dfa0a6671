"""What the notebooks of the book share, each as one short call.

Claims for the tests, numbers for the prose, tables for the page, and a record for sweeps.
"""

import inspect
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pandas.io.formats.style import Styler
from sklearn.exceptions import ConvergenceWarning

from ..study.report import FORMATS
from .records import write_record

__all__ = [
    "allow_short_fits",
    "at_least",
    "claim",
    "glue_all",
    "keep_record",
    "mean",
    "styled",
    "write_record",
]


def allow_short_fits() -> None:
    """No warnings that a fit was cut off: what it has reached is what the page shows."""
    warnings.simplefilter("ignore", ConvergenceWarning)


def at_least(least: int, **parameters: int) -> None:
    """Refuse parameters below a number, by their names."""
    for name, value in parameters.items():
        if value < least:
            raise ValueError(f"{name}={value}: take at least {least}.")


def styled(
    numbers: pd.DataFrame | Mapping[str, Any], formats: str | Mapping[str, str] | None = None
) -> Styler:
    """A table with named formats, for all columns or by column; other columns stay as they are.

    A format is a key of ``FORMATS`` in ``partsrep/study/report.py``. Rows that have no names
    but their places show none, and what is not known is a dash.

    Examples
    --------
    >>> print(styled({"mcc": {"NMF": 0.98765}}, "score").to_string(delimiter=",").strip())
    ,mcc
    NMF,0.988
    """
    frame = pd.DataFrame(numbers)
    if isinstance(frame.columns, pd.MultiIndex):
        frame = frame.set_axis([", ".join(map(str, filter(None, c))) for c in frame], axis=1)
    kinds = dict.fromkeys(frame, formats) if isinstance(formats, str) else dict(formats or {})
    written = {c: FORMATS[kind] for c, kind in kinds.items()}
    unknown = kinds.keys() - set(frame)
    if unknown:
        raise ValueError(f"There are no columns {sorted(unknown)}.")
    style = frame.astype(dict.fromkeys(kinds, float)).style.format(written, na_rep="–")
    style = style.format_index(_short, axis="columns")
    if isinstance(frame.index, pd.RangeIndex):
        return style.hide(axis="index")
    return style.format_index(_short)


def _short(name: object) -> str:
    """A row's name: of a number, what somebody chose, as 0.01."""
    return f"{name:g}" if isinstance(name, float) else str(name)


def keep_record(metrics: Mapping[str, Any]) -> None:
    """Write the parameters of the notebook that runs, and what it measured, where it was asked to.

    The parameters are the names with a type in the ``parameters`` cell. A metric that is not a
    number, such as the interval of a single start, is left out, also within another.
    """
    notebook = sys.modules["__main__"]
    parameters = {name: getattr(notebook, name) for name in inspect.get_annotations(notebook)}
    if path := parameters.pop("record_path"):
        write_record(path, parameters, _known(metrics))


def _known(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are not NaN or infinite."""
    return {
        key: _known(value) if isinstance(value, Mapping) else value
        for key, value in metrics.items()
        if not isinstance(value, float | np.floating) or np.isfinite(value)
    }


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
