"""What data and settings are accepted, and the errors the others get: thin, over scikit-learn."""

from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import (
    check_array,
    check_non_negative,
    validate_data,
)


def check_data(
    estimator: BaseEstimator,
    X: Any,
    *,
    reset: bool,
    nonnegative: bool,
    in_place: bool = False,
    missing: bool = False,
    squares: bool = True,
) -> Any:
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
    in_place : bool
        Whether D is only read, where it lies: memory maps and scipy sparse matrices that store
        each entry once are accepted as they are. Otherwise D is an array in C order that may be
        written to.
    missing : bool
        Whether NaN is accepted.
    squares : bool
        Whether sums of squares must be possible in D's precision.

    Returns
    -------
    D : ndarray, CSR or CSC matrix (n, d)
        In float32 where X is float32, else in float64.

    Raises
    ------
    ValueError
        NaN, infinity, negative or masked entries, no samples, no features, one dimension, text,
        numbers whose squares are too large or too small for their precision, if these are needed.
    """
    if np.ma.is_masked(X):
        raise ValueError(
            "X is a masked array that hides entries: NMF takes fit(X.filled(0), mask=~X.mask)."
        )
    D = validate_data(
        estimator,
        summed(X) if in_place else X,
        reset=reset,
        accept_sparse=("csr", "csc") if in_place else False,
        dtype=(np.float64, np.float32),
        order=None if in_place else "C",
        force_writeable=not in_place,  # torch shares the memory and warns of read-only arrays
        ensure_all_finite="allow-nan" if missing else True,
    )
    if nonnegative:
        check_non_negative(D, f"{type(estimator).__name__} (its parts are nonnegative)")
    if squares:
        check_scale(D)
    return D


def summed(X: Any) -> Any:
    """A sparse matrix with each entry stored once, and a copy where it was not; others as they are.

    Formats that store positions may hold one several times, which stands for the sum. Sums over
    the stored numbers, such as norms, would take them one by one.
    """
    if not sp.issparse(X) or X.ndim != 2:
        return X
    D = X if X.format in ("csr", "csc") else X.tocsr()
    if not D.has_canonical_format:
        D = D.copy()
        D.sum_duplicates()
    return D


def check_scale(D: Any, degree: float = 2.0, dtype: Any = None) -> None:
    """Raise a ValueError where a sum of powers of D would overflow or vanish in a precision, by
    default D's own."""
    largest, dtype = peak(D), np.dtype(dtype or D.dtype)
    if largest == 0:
        return
    power, limits = degree * np.log(largest), np.finfo(dtype)
    if not np.log(limits.tiny) < power < np.log(limits.max) - np.log(D.size):
        raise ValueError(
            f"The largest entry of X, {largest:g}, is too {'large' if largest > 1 else 'small'} "
            f"for sums of {'squares' if degree == 2 else f'its power {degree:g}'} in {dtype}: "
            f"rescale the data, for instance X / {largest:g}."
        )


def peak(D: Any) -> float:
    """The largest magnitude in D, dense or sparse; NaN apart."""
    values = D.data if sp.issparse(D) else D
    return max(float(np.nanmax(values, initial=0)), -float(np.nanmin(values, initial=0)))


def check_mask(mask: Any, D: Any, *, columns: bool) -> tuple[np.ndarray, np.ndarray]:
    """Validate a mask or weights against the data.

    Parameters
    ----------
    mask : array-like (n, d)
        Boolean, or weights ≥ 0; 0 and False hide an entry.
    D : ndarray or sparse matrix (n, d)
        NaN only where it is hidden.
    columns : bool
        Whether every column must be seen somewhere.

    Returns
    -------
    D : ndarray (n, d)
        Zero where it is hidden.
    weights : ndarray (n, d)

    Raises
    ------
    ValueError
        Another shape, negative or infinite weights, a row or column that is wholly hidden, NaN in
        the data where it is seen, sparse data.
    """
    if sp.issparse(D):
        raise ValueError("mask= needs a dense array of data; call X.toarray() if it fits.")
    weights = check_array(mask, dtype=D.dtype, input_name="mask")
    if weights.shape != D.shape:
        raise ValueError(f"mask has shape {weights.shape}, but X has shape {D.shape}.")
    check_non_negative(weights, "mask (weights of the entries of X)")
    for axis, name in ((1, "row"), (0, "column"))[: 1 + columns]:
        hidden = np.flatnonzero(~weights.any(axis=axis))
        if len(hidden):
            raise ValueError(
                f"mask hides every entry of {name} {hidden[0]} ({len(hidden)} such in all): leave "
                f"these {name}s out of X and mask."
            )
    D = np.where(weights > 0, D, 0)
    unknown = np.argwhere(np.isnan(D))
    if len(unknown):
        raise ValueError(
            f"X contains NaN where the mask lets it be seen, first at {tuple(map(int, unknown[0]))}"
            ": hide these entries with mask=False there."
        )
    return D, weights


def check_shape(name: str, shape: tuple[int, ...], wanted: tuple[tuple[int, ...], ...]) -> None:
    """Raise a ValueError unless a shape is one of those that go with the other weights."""
    if shape not in wanted:
        raise ValueError(
            f"{name} has shape {tuple(shape)}, but with the other weights it must have "
            f"{' or '.join(map(str, wanted))}."
        )


def check_factor(F: Any, name: str, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """Validate a given factor (a start) against the shape it must have; a copy is returned."""
    F = check_array(F, dtype=dtype, copy=True, order="C", input_name=f"start's {name}")
    if F.shape != shape:
        raise ValueError(f"start's {name} has shape {F.shape}; this problem needs {shape}.")
    return F


def check_custom(F: Any, name: str, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """Validate W or H as scikit-learn does, with its messages; a copy is returned."""
    F = check_array(F, input_name=name, copy=True, order="C")
    for axis, which in enumerate(("first", "second")):
        if F.shape[axis] != shape[axis]:
            raise ValueError(
                f"Array with wrong {which} dimension passed to NMF (input {name}). "
                f"Expected {shape[axis]}, but got {F.shape[axis]}."
            )
    check_non_negative(F, f"NMF (input {name})")
    if F.dtype != dtype:
        raise TypeError(
            f"H and W should have the same dtype as X. Got {name}.dtype = {F.dtype}, X: {dtype}."
        )
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
