"""What data and settings are accepted, and the errors the others get: thin, over scikit-learn."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Number
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_array, check_non_negative, validate_data

from .lazy import is_tensor, torch


def as_array(X: Any, name: str = "X") -> Any:
    """Numbers as numpy knows them; what scikit-learn's checks can take stays as it is.

    Of a torch tensor, or a list of them, the values on the CPU, without gradients. Half precision
    (float16, bfloat16) becomes float32, which is exact.

    A ValueError for anything that numpy cannot read as an array, such as a DataLoader, a generator
    or a path; a tensor without values; dates and times; shards, which are not in memory.

    Examples
    --------
    >>> as_array(torch.ones(2, dtype=torch.bfloat16, requires_grad=True))
    array([1., 1.], dtype=float32)
    """
    if is_tensor(X):
        try:
            X = X.detach().cpu().resolve_neg()
            half = X.is_floating_point() and X.itemsize < 4
            return (X.float() if half else X).numpy()
        except (NotImplementedError, RuntimeError, TypeError) as error:
            raise ValueError(f"{name} is a torch tensor that is no array: {error}") from error
    if isinstance(X, list | tuple):
        return [as_array(row, name) if is_tensor(row) else row for row in X]
    if streamed(X):
        own = name if name.isidentifier() else "shards"
        raise ValueError(
            f"{name} are shards, and here it has to be in memory: give some of its rows, "
            f"{own}[:10_000] say, or np.asarray({own}) if all of it fits."
        )
    readable = any(hasattr(X, name) for name in ("__array__", "__array_interface__", "toarray"))
    if not (readable or isinstance(X, Number | memoryview)):
        raise ValueError(
            f"{name} is a {type(X).__name__}, which is no array: give one, or what numpy reads as "
            "one. Data (samples x features) may also be partsrep.datasets.shards(paths). Batches "
            "have to become one array, or files whose shards are given."
        )
    dtypes = getattr(X, "dtypes", getattr(X, "dtype", None))  # of a table's columns, or of an array
    if {getattr(dtype, "kind", None) for dtype in np.ravel(dtypes)} & {"M", "m"}:
        raise ValueError(
            f"{name} holds dates or times, which are no numbers without a unit and a zero: leave "
            "them out, or convert them."
        )
    half = str(getattr(X, "dtype", None)) in ("float16", "bfloat16")
    return X.astype(np.float32) if half else X


def streamed(X: Any) -> bool:
    """Whether data stay in files, as :func:`partsrep.datasets.shards` do."""
    return hasattr(X, "extremes")


def check_data(
    estimator: BaseEstimator,
    X: Any,
    *,
    reset: bool,
    nonnegative: bool,
    in_place: bool = False,
    missing: bool = False,
    squares: bool = True,
    stream: bool = False,
    dtype: Any = None,
) -> Any:
    """Validate the data X (n, d) of an estimator and return them as float32 or float64.

    A ValueError for NaN unless they may be `missing`, infinity, masked entries, negative ones if X
    has to be `nonnegative`, no samples, no features, one dimension, text, no array, and numbers
    whose `squares`, if needed, are too large or too small for their precision.

    With `reset` the estimator is fitted, and learns the number of features; else it compares it.
    What is read `in_place` may be a memory map or a scipy sparse matrix and comes as it is, with
    each entry stored once; else D is an array in C order that may be written to. In a `stream`
    shards stay in their files. Without a `dtype` float32 and half precision become float32, all
    else float64.
    """
    if np.ma.is_masked(X):
        raise ValueError(
            "X is a masked array that hides entries: NMF takes fit(X.filled(0), mask=~X.mask)."
        )
    if stream and streamed(X):
        D = validate_data(estimator, X, reset=reset, skip_check_array=True)
    else:
        X = as_array(X)
        with _within_floats("X"):
            D = validate_data(
                estimator,
                summed(X) if in_place else X,
                reset=reset,
                accept_sparse=("csr", "csc") if in_place else False,
                dtype=(np.float64, np.float32),
                order=None if in_place else "C",
                force_writeable=not in_place,  # torch shares the memory, and warns of read-only
                ensure_all_finite="allow-nan" if missing else True,
            )
    if nonnegative and extremes(D)[0] < 0:
        whom = f"{type(estimator).__name__} (its parts are nonnegative)"
        raise ValueError(f"Negative values in data passed to {whom}.")
    dtype = D.dtype if dtype is None else np.dtype(dtype)
    if squares:
        check_scale(D, dtype=dtype)
    return D if D.dtype == dtype else D.astype(dtype)


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


def check_matrix(X: Any, name: str, dtype: Any = (np.float64, np.float32), **checks: Any) -> Any:
    """A matrix that goes with no estimator, by scikit-learn's checks; see :func:`as_array`."""
    with _within_floats(name):
        return check_array(as_array(X, name), dtype=dtype, input_name=name, **checks)


@contextmanager
def _within_floats(name: str) -> Iterator[None]:
    """Python's integers have no bound, but floats have."""
    try:
        yield
    except OverflowError as error:
        raise ValueError(f"{name} holds a number beyond the range of floats: {error}.") from error


def check_weights(X: Any, name: str, dtype: Any, *shapes: tuple[int, ...]) -> np.ndarray:
    """Validate given weights of one of some shapes; a copy is returned."""
    X = as_array(X, name)
    X = X.toarray() if sp.issparse(X) else np.asarray(X)
    check_shape(name, X.shape, shapes)
    flat = check_matrix(X.reshape(1, -1), name, dtype, copy=True)
    return flat.reshape(X.shape)


def check_scale(D: Any, degree: float = 2.0, dtype: Any = None, name: str = "X") -> None:
    """Raise a ValueError where a sum of powers of D would overflow or vanish in a precision, by
    default D's own."""
    largest, dtype = peak(D), np.dtype(dtype or D.dtype)
    if largest == 0:
        return
    power, limits = degree * np.log(largest), np.finfo(dtype)
    if not np.log(limits.tiny) < power < np.log(limits.max) - np.log(math.prod(D.shape)):
        sums = "squares" if degree == 2 else f"its power {degree:g}"
        raise ValueError(
            f"The largest entry of {name}, {largest:g}, is too "
            f"{'large' if largest > 1 else 'small'} for sums of {sums} in {dtype}: rescale "
            f"{'the data' if name == 'X' else 'it'}, for instance {name} / {largest:g}."
        )


def extremes(D: Any) -> tuple[float, float]:
    """The lowest and the highest entry, of a sparse D of those stored; NaN do not count."""
    if streamed(D):
        return D.extremes
    values = D.data if sp.issparse(D) else D
    return float(np.nanmin(values, initial=np.inf)), float(np.nanmax(values, initial=-np.inf))


def peak(D: Any) -> float:
    """The largest magnitude in D, dense, sparse or in shards; NaN apart."""
    low, high = extremes(D)
    return max(high, -low, 0.0)


def check_mask(mask: Any, D: Any, *, columns: bool) -> tuple[np.ndarray, np.ndarray]:
    """The data, zero where a mask or weights ≥ 0 (n, d) hide them, and the weights.

    A ValueError for another shape, weights that are negative, infinite or beyond what can be
    squared, a row that is wholly hidden, or a column if all `columns` must be seen, NaN in the data
    where it is seen, and sparse data.
    """
    if sp.issparse(D):
        raise ValueError("mask= needs a dense array of data; call X.toarray() if it fits.")
    shape = np.shape(as_array(mask, "mask"))
    if shape != D.shape:
        raise ValueError(f"mask has shape {shape}, but X has shape {D.shape}.")
    weights = check_matrix(mask, "mask", D.dtype)
    check_non_negative(weights, "mask (weights of the entries of X)")
    check_scale(weights, name="mask")  # slopes are compared by their squares
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
    """Raise a ValueError unless a shape is one of those wanted."""
    if shape not in wanted:
        raise ValueError(
            f"{name} has shape {tuple(shape)}, but here it must have "
            f"{' or '.join(map(str, wanted))}."
        )


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


def check_estimator(name: str, value: Any) -> Any:
    """`value` if it is an estimator, fitted or not; else a TypeError."""
    if isinstance(value, type) or not hasattr(value, "get_params"):
        raise TypeError(
            f"{name} must be an instance of an estimator, such as NMF(5); got {_named(value)}."
        )
    return value


def check_fits(name: str, fits: Any) -> list[Any]:
    """Fitted models as a list.

    A ValueError for anything else: one model alone, estimators that are not fitted, arrays of
    parts.
    """
    wanted = f"{name} must be a list of fitted models, such as restarts(NMF(5), D, 5) returns"
    if not isinstance(fits, Iterable) or isinstance(fits, str):
        raise ValueError(f"{wanted}; got {_named(fits)}.")
    fits = list(fits)
    for fit in fits:
        if not hasattr(fit, "components_"):
            raise NotFittedError(f"{wanted}; it holds {_named(fit)}, which has no components_.")
    return fits


def _named(value: Any) -> str:
    """What a message shows of a value that is no model."""
    return repr(value) if hasattr(value, "get_params") else f"type {type(value).__name__}"


def check_device(device: Any) -> None:
    """Raise a ValueError unless torch can compute on a device, which may be None."""
    if device is None:
        return
    try:
        torch.zeros(1, device=torch.device(device)).cpu()
    except (AssertionError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        there = ["cpu"]
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        if accelerator is not None:
            count = torch.accelerator.device_count()
            there += [f"{accelerator.type}:{index}" for index in range(count)]
        raise ValueError(
            f"device={device!r} is not here: there is {', '.join(map(repr, there))}. A model from "
            "elsewhere trains on the CPU after set_params(device=None)."
        ) from error
