"""What data and settings are accepted, and the errors the others get: thin, over scikit-learn."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_non_negative, validate_data


def check_data(
    estimator: BaseEstimator, X: Any, *, reset: bool, nonnegative: bool, sparse: bool = False
) -> np.ndarray:
    """Validate the data matrix of an estimator and return it as float32 or float64.

    Parameters
    ----------
    estimator : estimator
        The estimator that is fitted (`reset=True`) or applied.
    X : array-like or sparse matrix (n, d)
        The book's D.
    reset : bool
        Whether the number of features is learned or compared.
    nonnegative : bool
        Whether negative entries are an error.
    sparse : bool
        Whether scipy sparse matrices are accepted.

    Returns
    -------
    D : ndarray, CSR or CSC matrix (n, d)
        In float32 where X is float32, else in float64.

    Raises
    ------
    ValueError
        NaN, infinity, negative entries, no samples, no features, one dimension, text.
    """
    D = validate_data(
        estimator,
        X,
        reset=reset,
        accept_sparse=("csr", "csc") if sparse else False,
        dtype=(np.float64, np.float32),
        order="C",
        force_writeable=True,  # torch shares the memory and warns of read-only arrays
    )
    if nonnegative:
        check_non_negative(D, f"{type(estimator).__name__} (its parts are nonnegative)")
    return D


def check_factor(F: Any, name: str, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """Validate a given factor (a start) against the shape it must have; a copy is returned."""
    F = check_array(F, dtype=dtype, copy=True, order="C", input_name=f"start's {name}")
    if F.shape != shape:
        raise ValueError(f"start's {name} has shape {F.shape}; this problem needs {shape}.")
    return F


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Raise a ValueError that lists the valid choices of a named setting."""
    if value not in choices:
        listed = ", ".join(map(repr, choices))
        raise ValueError(f"{name}={value!r} is not known; choose one of {listed}.")


def check_integer(name: str, value: Any, minimum: int = 1) -> None:
    """Raise a ValueError unless `value` is an integer of at least `minimum`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}; got {value!r}.")


def check_number(name: str, value: Any, minimum: float = 0.0, *, above: bool = False) -> None:
    """Raise a ValueError unless `value` is a finite number of at least (or above) `minimum`."""
    number = isinstance(value, Real) and not isinstance(value, bool) and np.isfinite(value)
    if not number or value < minimum or (above and value == minimum):
        bound = "above" if above else "of at least"
        raise ValueError(f"{name} must be a finite number {bound} {minimum:g}; got {value!r}.")
