"""Data in files that are too large for memory: rows are read when they are asked for."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..disk import existing
from ..leastsquares import blocks
from .readers import read, tensors

# How numbers are stored, in safetensors' words, and as what they are read: bfloat16, which numpy
# does not know, is the upper half of a float32.
STORED = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
READ = {"f8": np.float64, "f4": np.float32, "f2": np.float32, "u2": np.float32}
BLOCK = 2**22  # entries that are looked at together


@dataclass(frozen=True)
class Shard:
    """A matrix within a file: where its numbers begin, of which kind and how many they are."""

    path: Path
    offset: int
    stored: str
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype:
        """The precision that rows are read in."""
        return np.dtype(READ[self.stored[1:]])

    def read(self, runs: Iterable[tuple[int, np.ndarray]]) -> None:
        """Fill buffers, each with the bytes of so many rows from one on."""
        # A mapping is slower to make than a few rows are to read, and could not stay: it holds
        # a file descriptor, and kills the process where the file shrinks.
        with open(self.path, "rb") as file:
            for row, buffer in runs:
                file.seek(self.offset + row * buffer.shape[1])
                if file.readinto(buffer) < buffer.size:
                    raise ValueError(f"{self.path} is shorter than it was: no row {row}.")


@dataclass(frozen=True, repr=False)
class Shards:
    """The rows of several files, one below the other; see :func:`shards`.

    ``D[rows]`` reads the rows of a slice, an array of integers or one integer; ``D.blocks(size)``
    goes through all of them; ``np.asarray(D)`` loads everything.
    """

    files: tuple[Shard, ...]
    precision: np.dtype | None = None

    @cached_property
    def _sizes(self) -> np.ndarray:
        """How many rows each file has."""
        return np.array([file.shape[0] for file in self.files])

    @cached_property
    def _ends(self) -> np.ndarray:
        """Where each file's rows end."""
        return np.cumsum(self._sizes)

    @property
    def shape(self) -> tuple[int, int]:
        return int(self._ends[-1]), self.files[0].shape[1]

    @property
    def dtype(self) -> np.dtype:
        return self.precision or self.files[0].dtype

    def astype(self, dtype: Any) -> "Shards":
        """The same rows, to be read in another precision."""
        return replace(self, precision=np.dtype(dtype))

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """The lowest and the highest entry; to know them, all files are read once."""
        blocks = self.blocks(max(BLOCK // self.shape[1], 1))
        low, high = zip(*((float(b.min()), float(b.max())) for b in blocks), strict=True)
        return min(low), max(high)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        n, d = self.shape
        return f"Shards({len(self.files)} files, {n} x {d}, {self.dtype})"

    def __getitem__(self, rows: Any) -> np.ndarray:
        n, d = self.shape
        index = np.arange(*rows.indices(n)) if isinstance(rows, slice) else np.asarray(rows)
        if (
            isinstance(rows, tuple)
            or index.ndim > 1
            or (index.size and index.dtype.kind not in "iu")
        ):
            raise IndexError("Rows are chosen by a slice, an integer or an array of integers.")
        outside = (index < -n) | (index >= n)
        if outside.any():
            raise IndexError(f"There is no row {index[outside][0]}: there are {n} rows.")
        index = np.where(index < 0, index + n, index).astype(np.intp)
        # File by file, and in each from front to back; rows that lie together are read together.
        order = np.argsort(index, axis=None, kind="stable")
        ordered = index.reshape(-1)[order]
        place = np.searchsorted(self._ends, ordered, side="right")
        within = ordered - (self._ends - self._sizes)[place]
        begins = np.flatnonzero(np.diff(ordered, prepend=-2) + np.diff(place, prepend=-1) != 1)
        stored = np.empty((len(ordered), d), self.files[0].stored)
        buffer = stored.view(np.uint8)
        runs = pairwise([*begins.tolist(), len(ordered)])
        for number, some in groupby(runs, lambda run: place[run[0]]):
            self.files[number].read((int(within[run]), buffer[run:end]) for run, end in some)
        if stored.dtype == STORED["BF16"]:
            stored = (stored.astype(np.uint32) << 16).view(np.float32)
        finite = np.isfinite(stored).all(axis=1)
        if not finite.all():
            first = np.argmin(finite)
            raise ValueError(
                f"{self.files[place[first]].path} holds NaN or infinity in row {within[first]}: "
                "mend or leave out such rows."
            )
        block = np.empty_like(stored, self.dtype)
        block[order] = stored
        return block.reshape(*index.shape, d)

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """All rows in order, so many at a time."""
        return (self[rows] for rows in blocks(len(self), size))

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)


def shards(paths: str | Path | Iterable[str | Path], *, variable: str | None = None) -> Shards:
    """Activations, or other data, in .npy and .safetensors files, without loading them.

    Only rows that are asked for are read. ``SAE`` and ``NMF`` take the result as their data, in
    `fit`, `transform` and `score`, and so do :func:`partsrep.restarts` of NMF and
    :func:`partsrep.certificate`; what needs all samples at once says so.

    Half precision (float16, bfloat16) is read as float32, which is exact. A file that is truncated,
    stored column by column, no matrix of floating point numbers, or not like the first, is a
    ValueError, and so are rows with NaN or infinity when they are read.

    Parameters
    ----------
    paths : path or iterable of paths
        In the order of the rows: ``sorted(Path("layer6").glob("*.npy"))``.
    variable : str, optional
        Which tensor of safetensors files that hold several.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for part in range(3):
    ...         np.save(Path(folder, f"{part}.npy"), np.full((4, 2), float(part)))
    ...     D = shards(sorted(Path(folder).glob("*.npy")))
    ...     D, D[3:5], D[[11, 0]]
    (Shards(3 files, 12 x 2, float64), array([[0., 0.],
           [1., 1.]]), array([[2., 2.],
           [0., 0.]]))
    """
    paths = [paths] if isinstance(paths, str | Path) else paths
    files = tuple(_shard(existing(path), variable) for path in paths)
    if not files:
        raise ValueError("shards needs at least one file; got no paths.")
    first = files[0]
    for file in files:
        if file.shape[1] != first.shape[1]:
            raise ValueError(
                f"{file.path} has {file.shape[1]} columns, but {first.path} has {first.shape[1]}."
            )
        if file.stored != first.stored:
            raise ValueError(
                f"{file.path} holds numbers of another kind ({file.stored}) than {first.path} "
                f"({first.stored})."
            )
    return Shards(files)


def _shard(path: Path, variable: str | None) -> Shard:
    """Where the matrix of one file lies."""
    shard = read(path, FORMATS, None if path.suffix.lower() == ".npy" else variable)
    if shard.stored[1:] not in READ:
        raise ValueError(f"{path} holds {shard.stored}, not float16, bfloat16, float32 or float64.")
    return shard


def _npy(path: Path, name: str) -> Shard:
    array = np.lib.format.open_memmap(path, mode="r")
    if not array.flags.c_contiguous:
        raise ValueError(
            "its numbers lie column by column, so that no row can be read without the whole; save "
            "np.ascontiguousarray of it."
        )
    # Whole numbers of two bytes are no bfloat16.
    stored = array.dtype.str if array.dtype.kind == "f" else array.dtype.name
    return Shard(path, array.offset, stored, array.shape)


def _tensor(path: Path, name: str) -> Shard:
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        tensor = json.loads(file.read(size))[name]
    stored = STORED.get(tensor["dtype"], tensor["dtype"])
    return Shard(path, 8 + size + tensor["data_offsets"][0], stored, tuple(tensor["shape"]))


FORMATS = {".npy": (lambda path: [""], _npy), ".safetensors": (tensors, _tensor)}
