"""Matrices in files of HDF5: AnnData's .h5ad, Cell Ranger's .h5, and any other's.

AnnData's package is not needed: of its format (https://anndata.readthedocs.io, "On-disk format")
this reads dense and sparse matrices, names, and columns of text or categories.
"""

from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from ..lazy import h5py
from .table import Table

RAW = {"raw/X": "raw/var", "raw.X": "raw.var"}  # the raw matrix and its features, now and once


def names(path: Path) -> list[str]:
    """The matrices in a file: of AnnData X first, then its layers and the raw one."""
    with h5py.File(path) as file:
        if "X" in file and "obs" in file:
            layers = [f"layers/{name}" for name in file.get("layers", ())]
            return ["X", *layers, *(name for name in RAW if name in file)]
        found: list[str] = []
        file.visititems(lambda name, item: found.append(name) if _is_matrix(item) else None)
        return found


def read(path: Path, name: str, labels: str | None = None) -> Table:
    """One of them, with the names of its samples and features; sparse stays sparse.

    `labels` names the column of AnnData's obs that says which class each sample is of.
    """
    with h5py.File(path) as file:
        features = RAW.get(name, "var")
        if "obs" in file and features in file:
            return Table(
                _matrix(file[name]),
                features=_index(file[features]),
                samples=_index(file["obs"]),
                labels=None if labels is None else _column(file, labels),
            )
        if labels is not None:
            raise ValueError(f"it has no obs, so that there are no labels {labels!r}.")
        group = file[name]
        if isinstance(group, h5py.Group) and "barcodes" in group:  # of Cell Ranger: genes × cells
            genes = group["features/name"] if "features" in group else group["gene_names"]
            counts = _compressed(group, sparse.csc_matrix, group["shape"][()])
            return Table(counts.T.tocsr(), features=_text(genes), samples=_text(group["barcodes"]))
        return Table(_matrix(group))


def _is_matrix(item: Any) -> bool:
    if isinstance(item, h5py.Dataset):
        return item.ndim == 2 and item.dtype.kind in "biuf"
    return {"data", "indices", "indptr"} <= set(item) and ("shape" in item or bool(_kind(item)))


def _kind(group: Any) -> str:
    """Which of its formats scipy would hold a sparse matrix in; empty: none is said."""
    kind = group.attrs.get("encoding-type", group.attrs.get("h5sparse_format", ""))
    return str(kind).removesuffix("_matrix")


def _matrix(item: Any) -> Any:
    if isinstance(item, h5py.Dataset):
        return item[()]
    shape = item.attrs["shape"] if "shape" in item.attrs else item.attrs["h5sparse_shape"]
    kinds = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix}
    return _compressed(item, kinds[_kind(item)], shape).tocsr()


def _compressed(group: Any, kind: Any, shape: Any) -> Any:
    arrays = (group[part][()] for part in ("data", "indices", "indptr"))
    matrix = kind(tuple(arrays), shape=tuple(int(size) for size in shape))
    matrix.check_format()
    return matrix


def _index(frame: Any) -> np.ndarray:
    """The names of the rows of a data frame: a group, or, as it was once, one structured array."""
    if isinstance(frame, h5py.Dataset):
        return frame[()][frame.dtype.names[0]].astype(str)
    return _text(frame[frame.attrs["_index"]])


def _column(file: Any, name: str) -> np.ndarray:
    """One column of obs, categories by their names."""
    frame = file["obs"]
    old = isinstance(frame, h5py.Dataset)
    columns = list(frame.dtype.names) if old else list(frame.attrs["column-order"])
    if name not in columns:
        raise ValueError(f"obs has no column {name!r}; it has {', '.join(columns)}.")
    column, categories = (frame[()] if old else frame)[name], f"uns/{name}_categories"
    if isinstance(column, h5py.Group):
        return _named(column["codes"][()], column["categories"])
    if old and categories in file:
        return _named(column, file[categories])
    return column[()] if column.dtype.kind in "biuf" else _text(column)


def _named(codes: np.ndarray, categories: Any) -> np.ndarray:
    """The category of each code; none has no name."""
    return np.where(codes < 0, "", _text(categories)[codes])


def _text(values: Any) -> np.ndarray:
    array = values[()]
    return array.astype(str) if array.dtype.kind == "S" else values.asstr()[()].astype(str)
