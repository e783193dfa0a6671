"""Matrices whose rows lie in blocks elsewhere: on the workers of Dask, or in files.

The one place that knows where: whoever computes with a :class:`Blocked` matrix gives it a function
of one block, and adds up what that returns.
"""

import math
import os
import pickle
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from itertools import repeat
from tempfile import mkstemp
from typing import Any, NamedTuple

import numpy as np

from .. import leastsquares
from ..lazy import dask, distributed, is_dask
from ..leastsquares import BLOCK, normal_equations
from ..validation import streamed

ENTRIES = 2**22  # of shards in one block
FAN = 8  # sums that are added by one task
ROOM = 2  # times the data is what the workers' memory must hold for these to stay there


def is_blocked(X: Any) -> bool:
    """Whether data are a Dask array or shards, which :func:`blocked` takes."""
    return streamed(X) or is_dask(X)


class Blocked(np.lib.mixins.NDArrayOperatorsMixin):
    """A matrix (n, d) in blocks of rows, each of which is an array or is made into one when needed.

    Elementwise operations of numpy's are put off until a block is used. So are those of `each`;
    `keep` and `total` are carried out.

    Parameters
    ----------
    place : module-like
        Where its blocks are, `OnDask` or `Here`: how functions are called on them.
    blocks : list
        What that place knows them by.
    rows : list of int
        How many rows each has.
    d : int
        The number of columns.
    dtype : dtype
        The precision of what is made from it. Blocks may be of another.
    """

    #: The lowest and the highest entry, where they are known.
    extremes: tuple[float, float]

    def __init__(self, place: Any, blocks: list, rows: Sequence[int], d: int, dtype: Any):
        self.place, self.blocks, self.rows, self.dtype = place, blocks, rows, np.dtype(dtype)
        self.shape = sum(rows), d
        self.known: dict[Any, float] = {}  # sums over all blocks, by name

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def begins(self) -> list[int]:
        """The number of the row with which each block begins."""
        return [0, *np.cumsum(self.rows)[:-1].tolist()]

    def like(self, blocks: list, d: int, dtype: Any) -> "Blocked":
        """Other blocks with the same rows, in the same place."""
        return Blocked(self.place, blocks, self.rows, d, dtype)

    def beside(self, array: Any, name: str) -> "Blocked | None":
        """The rows of an array in memory, or of data of the same kind, in blocks like these; None
        of None. A ValueError unless it has as many."""
        if array is None:
            return None
        if len(array) != len(self):
            raise ValueError(f"{name} has {len(array)} rows, but X has {len(self)}.")
        return self.place.split(self, array)

    def __len__(self) -> int:
        return self.shape[0]

    def each(
        self,
        function: Callable,
        *others: Any,
        d: int | None = None,
        dtype: Any = None,
        **shared: Any,
    ) -> "Blocked":
        """A function of each block, and of those of others beside it, whenever it is used."""
        made = self.place.later(function, self._columns(others), shared)
        return self.like(made, d or self.shape[1], dtype or self.dtype)

    def keep(
        self,
        function: Callable,
        *others: Any,
        d: int | None = None,
        dtype: Any = None,
        **shared: Any,
    ) -> tuple["Blocked", Any]:
        """What a function of each block returns first, kept where the block is, and the sum of the
        tuples that it returns second, in the order of the blocks."""
        made, total = self.place.now(function, self._columns(others), shared, added)
        return self.like(made, d or self.shape[1], dtype or self.dtype), total

    def total(
        self, function: Callable, *others: Any, add: Callable | None = None, **shared: Any
    ) -> Any:
        """The sum of what a function of each block returns, a tuple, in the order of the blocks."""
        columns = self._columns(others)
        return self.place.now(partial(_for_its_sum, function), columns, shared, add or added)[1]

    def _columns(self, others: Sequence[Any]) -> Iterator[tuple]:
        """The block, and what goes with it of matrices, lists and None, one after the other."""
        columns = [
            repeat(None) if other is None else getattr(other, "blocks", other) for other in others
        ]
        return zip(self.blocks, *columns, strict=False)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        where = [isinstance(value, Blocked) for value in inputs]
        first = inputs[where.index(True)]
        matrices = [value for value, blocked in zip(inputs, where, strict=True) if blocked]
        numbers = [None if blocked else value for value, blocked in zip(inputs, where, strict=True)]
        dtype = np.result_type(first.dtype, *(n for n in numbers if isinstance(n, np.ndarray)))
        return first.each(_elementwise, *matrices[1:], ufunc=ufunc, inputs=numbers, dtype=dtype)

    def astype(self, dtype: Any, copy: bool = True) -> "Blocked":
        return self.each(_as_type, dtype=dtype, kind=np.dtype(dtype))

    def any(self, axis: int | None = None) -> Any:
        """Which columns, or with axis=None whether any, have an entry that is not 0."""
        columns = self.total(_columns_used)[0] > 0
        return columns if axis == 0 else bool(columns.any())

    def all(self) -> bool:
        return not np.logical_not(self).any()

    def mean(self, dtype: Any = np.float64) -> float:
        return float(self.total(_summed)[0]) / self.size

    def collected(self) -> Any:
        """All of it: a Dask array, or an array in memory."""
        return self.place.collected(self)


def added(sums: Sequence[tuple]) -> tuple:
    """Tuples of numbers and arrays, added one by one in their order."""
    return tuple(reduce(np.add, each) for each in zip(*sums, strict=True))


def _for_its_sum(function: Callable, *block: Any, **shared: Any) -> tuple[None, Any]:
    return None, function(*block, **shared)


def _elementwise(block: Any, *others: Any, ufunc: Any, inputs: list) -> Any:
    blocks = iter((block, *others))
    return ufunc(*(next(blocks) if value is None else value for value in inputs))


def _as_type(block: Any, kind: np.dtype) -> Any:
    return block.astype(kind, copy=False)


def _columns_used(block: np.ndarray) -> tuple[np.ndarray]:
    return (np.count_nonzero(block, axis=0),)


def _summed(block: np.ndarray) -> tuple[float]:
    return (float(block.sum(dtype=np.float64)),)


class OnDask:
    """Blocks that are tasks of Dask: of a cluster, where there is a client, else of threads."""

    @staticmethod
    def matrix(X: Any, name: str = "X") -> Blocked:
        """A Dask array; a ValueError where its rows are not whole, or not counted."""
        if X.ndim != 2:
            raise ValueError(f"{name} has {X.ndim} dimensions, but data (n, d) have 2.")
        if np.isnan(X.shape).any():
            raise ValueError(
                f"{name} is a Dask array with chunks of unknown size: call "
                f"{name}.compute_chunk_sizes() first."
            )
        if len(X.chunks[1]) > 1:
            raise ValueError(
                f"{name} is cut through its {X.shape[1]} features: a worker needs whole rows, "
                f'{name}.rechunk({{0: "auto", 1: -1}}).'
            )
        if not X.size:
            raise ValueError(f"{name} has shape {X.shape}: there is nothing in it.")
        if not isinstance(X._meta, np.ndarray):
            raise ValueError(
                f"{name} is a Dask array of {type(X._meta).__name__}, and its blocks have to be "
                f"numpy's: {name}.map_blocks(lambda block: block.toarray())."
            )
        dtype = _precision(X.dtype, name)
        pairs = zip(OnDask.blocks(X), X.chunks[0], strict=True)
        blocks, rows = zip(*((block, rows) for block, rows in pairs if rows), strict=True)
        return Blocked(OnDask, list(blocks), list(rows), X.shape[1], dtype)

    @staticmethod
    def blocks(X: Any) -> list:
        """Those of an array, in the memory of the workers if there is room for them; else they are
        made anew each time."""
        blocks = list(X.to_delayed().ravel())
        try:
            workers = distributed.get_client().scheduler_info(n_workers=-1)["workers"].values()
        except (ImportError, ValueError):  # threads of this process, which have it or read it
            return blocks
        room = sum(worker["memory_limit"] or math.inf for worker in workers)
        return list(dask.persist(*blocks)) if ROOM * X.nbytes <= room else blocks

    @staticmethod
    def split(D: Blocked, array: Any) -> Blocked:
        array = dask.array.asarray(array)
        array = array.rechunk((tuple(D.rows), -1))
        return D.like(OnDask.blocks(array), array.shape[1], array.dtype)

    @staticmethod
    def later(function: Callable, columns: Iterator[tuple], shared: dict) -> list:
        call, shared = dask.delayed(_called, pure=False), _once(shared)
        return [call(function, shared, *block) for block in columns]

    @staticmethod
    def now(
        function: Callable, columns: Iterator[tuple], shared: dict, add: Callable
    ) -> tuple[list, Any]:
        made = OnDask.later(partial(_two, function), columns, shared)
        summand, add = dask.delayed(_summand, pure=False), dask.delayed(add, pure=False)
        sums = [summand(two) for two in made]  # or what is kept would go where it is added
        while True:  # a tree that depends on nothing but the number of blocks
            sums = [add(sums[i : i + FAN]) for i in range(0, len(sums), FAN)]
            if len(sums) == 1:
                break
        *made, total = dask.persist(*made, *sums)
        return made, total.compute()

    @staticmethod
    def collected(matrix: Blocked) -> Any:
        blocks = OnDask.later(np.asarray, zip(matrix.blocks, strict=True), {})
        shapes = [(rows, matrix.shape[1]) for rows in matrix.rows]
        parts = map(partial(dask.array.from_delayed, dtype=matrix.dtype), blocks, shapes)
        return dask.array.concatenate(list(parts))


def _once(shared: dict) -> Any:
    """What all tasks have in common, as one of Dask's."""
    return dask.delayed(shared, pure=False, traverse=False)


class Two(NamedTuple):
    """What a function of a block returned."""

    kept: Any
    summand: Any


def _called(function: Callable, shared: dict, *block: Any) -> Any:
    return function(*(b.kept if isinstance(b, Two) else b for b in block), **shared)


def _two(function: Callable, *block: Any, **shared: Any) -> Two:
    return Two(*function(*block, **shared))


def _summand(two: Two) -> Any:
    return two.summand


class Here:
    """Blocks that are read one after the other in this process; what is kept goes to files.

    A block is a function without arguments, or what it stands for.
    """

    @staticmethod
    def matrix(X: Any, name: str = "X") -> Blocked:
        """Shards, a few rows at a time."""
        size = max(ENTRIES // X.shape[1], 1)
        begins = range(0, len(X), size)
        rows = [min(size, len(X) - begin) for begin in begins]
        blocks = [partial(X.__getitem__, slice(begin, begin + size)) for begin in begins]
        return Blocked(Here, blocks, rows, X.shape[1], _precision(X.dtype, name))

    @staticmethod
    def split(D: Blocked, array: Any) -> Blocked:
        pairs = zip(D.begins, D.rows, strict=True)
        blocks = [partial(array.__getitem__, slice(begin, begin + rows)) for begin, rows in pairs]
        return D.like(blocks, array.shape[1], array.dtype)

    @staticmethod
    def later(function: Callable, columns: Iterator[tuple], shared: dict) -> list:
        return [partial(_with_values, function, block, shared) for block in columns]

    @staticmethod
    def now(
        function: Callable, columns: Iterator[tuple], shared: dict, add: Callable
    ) -> tuple[list, Any]:
        made, total = [], None
        for block in columns:
            kept, summand = _with_values(function, block, shared)
            made.append(None if kept is None else Spilled(kept))
            total = summand if total is None else add([total, summand])
        return made, total

    @staticmethod
    def collected(matrix: Blocked) -> np.ndarray:
        return np.concatenate([np.asarray(_value(b), matrix.dtype) for b in matrix.blocks])


def _with_values(function: Callable, block: tuple, shared: dict) -> Any:
    return function(*map(_value, block), **shared)


def _value(block: Any) -> Any:
    return block() if callable(block) else block


class Spilled:
    """A value in a file of its own among the temporary ones, which goes when this does."""

    def __init__(self, value: Any):
        handle, self.path = mkstemp(prefix="partsrep-")
        weakref.finalize(self, os.unlink, self.path)
        with open(handle, "wb") as file:
            pickle.dump(value, file, protocol=5)

    def __call__(self) -> Any:
        with open(self.path, "rb") as file:
            return pickle.load(file)


def _precision(dtype: Any, name: str) -> np.dtype:
    """That of what is made from data: float32 of float32 and half precision, else float64."""
    if dtype.kind not in "buif":
        raise ValueError(f"{name} holds {dtype}, and data are real numbers: convert it.")
    return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64)


def blocked(X: Any, name: str = "X") -> Blocked:
    """A Dask array or shards as a :class:`Blocked` matrix, whose numbers nobody has looked at.

    Examples
    --------
    >>> import dask.array as da
    >>> D = blocked(da.ones((5, 2), chunks=(2, 2)))
    >>> D.rows, D.total(lambda block: (block.sum(axis=0),))
    ([2, 2, 1], (array([5., 5.]),))
    """
    return (OnDask if is_dask(X) else Here).matrix(X, name)


def checked(
    D: Blocked, mask: Any, *, nonnegative: bool, columns: bool
) -> tuple[Blocked, Blocked | None]:
    """The data, zero where a mask or weights ≥ 0 (n, d) hide them, and the weights, once every
    block has been looked at.

    A ValueError that names the first row of a block with NaN, infinity or, if D has to be
    `nonnegative`, negative numbers; for a mask of another shape, with negative weights, or one that
    hides a whole row, or a column if all `columns` must be seen.
    """
    weights = None
    if mask is not None:
        if np.shape(mask) != D.shape:
            raise ValueError(f"mask has shape {np.shape(mask)}, but X has shape {D.shape}.")
        weights = D.beside(mask, "mask")
    low, high, seen = D.total(
        check_block, weights, D.begins, nonnegative=nonnegative, add=_extremes
    )
    if columns and weights is not None and not seen.all():
        hidden = np.flatnonzero(~seen)
        raise ValueError(
            f"mask hides every entry of column {hidden[0]} ({len(hidden)} such in all): leave "
            "these columns out of X and mask."
        )
    D = D if weights is None else D.each(_shown, weights)
    D.extremes = low, high
    return D, weights


def check_block(
    D: np.ndarray, weights: np.ndarray | None, begin: int, *, nonnegative: bool
) -> tuple[float, float, Any]:
    """The least and the largest entry of a block, and in which columns any is seen; its errors
    count rows from `begin` on."""
    if weights is not None:
        if not np.isfinite(weights).all() or np.min(weights) < 0:
            row = begin + int(np.argmin((np.isfinite(weights) & (weights >= 0)).all(axis=1)))
            raise ValueError(
                f"mask holds weights that are negative or not finite, first in row {row}."
            )
        if not weights.any(axis=1).all():
            row = begin + int(np.argmin(weights.any(axis=1)))
            raise ValueError(
                f"mask hides every entry of row {row}: leave such rows out of X and mask."
            )
        D = _shown(D, weights)
    low, high = float(D.min()), float(D.max())  # NaN if there is one
    if not (np.isfinite(low) and np.isfinite(high)):
        row = begin + int(np.argmin(np.isfinite(D).all(axis=1)))
        raise ValueError(
            f"X contains NaN or infinity, first in row {row}: mend or leave out such rows, or hide "
            "the entries by mask=."
        )
    if nonnegative and low < 0:
        row = begin + int(np.argmax((D < 0).any(axis=1)))
        raise ValueError(
            "Negative values in data passed to NMF (its parts are nonnegative), first in row "
            f"{row}."
        )
    return low, high, np.ones(D.shape[1], bool) if weights is None else weights.any(axis=0)


def _shown(D: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.where(weights > 0, D, 0)


def _extremes(found: Sequence[tuple]) -> tuple:
    low, high, seen = zip(*found, strict=True)
    return min(low), max(high), np.any(seen, axis=0)


def data_norm(D: Any, weights: Any = None) -> float:
    """:func:`partsrep.leastsquares.data_norm`, of blocks too, which are read once for it."""
    if not isinstance(D, Blocked):
        return leastsquares.data_norm(D, weights)
    known = "norm", id(weights)
    if known not in D.known:
        D.known[known] = math.sqrt(D.total(_energy, weights)[0])
    return D.known[known]


def _energy(D: np.ndarray, weights: np.ndarray | None) -> tuple[float]:
    return (leastsquares.data_norm(D, weights) ** 2,)


def factorization_loss(D: Any, H: Any, components: np.ndarray, weights: Any = None) -> float:
    """:func:`partsrep.leastsquares.factorization_loss`, of blocks too."""
    if not isinstance(D, Blocked):
        return leastsquares.factorization_loss(D, H, components, weights)
    return D.total(_loss, weights, H, components=components)[0]


def _loss(
    D: np.ndarray, weights: np.ndarray | None, H: np.ndarray, components: np.ndarray
) -> tuple[float]:
    return (leastsquares.factorization_loss(D, H, components, weights),)


def part_equations(D: Blocked, weights: Blocked | None, H: Any) -> tuple[np.ndarray, np.ndarray]:
    """The :func:`partsrep.leastsquares.normal_equations` of parts for given codes."""
    return D.total(_part_equations, weights, H)


def _part_equations(D: np.ndarray, weights: np.ndarray | None, H: np.ndarray) -> tuple:
    return added(
        [
            normal_equations(some.T, H[rows].T, None if seen is None else seen.T)
            for rows, some, seen in widened_rows(D, weights)
        ]
    )


def widened_rows(
    D: np.ndarray, weights: np.ndarray | None
) -> Iterator[tuple[slice, np.ndarray, np.ndarray | None]]:
    """A block's data in double precision, and their weights, a few rows at a time."""
    for rows in leastsquares.blocks(len(D), BLOCK):
        some = None if weights is None else weights[rows]
        yield rows, D[rows].astype(np.float64, copy=False), some
