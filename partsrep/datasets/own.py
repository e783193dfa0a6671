"""One's own matrix from a file. Nothing is ever unpickled."""

import csv
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from scipy import sparse
from scipy.io import loadmat, mmread

from .dataset import Dataset

DELIMITERS = {".csv": ",", ".tsv": "\t"}


def from_file(path: str | Path, *, variable: str | None = None) -> Dataset:
    """Read a matrix, samples in rows, from one's own file.

    Formats, by the end of the file's name: .npy .npz .csv .tsv .mat .mtx .safetensors.
    Numbers are kept as they are, NaN and negative ones too (the estimators say what they accept);
    integers become float64; sparse matrices stay sparse (.mat, .mtx, and .npz written by
    ``scipy.sparse.save_npz``).

    In .csv and .tsv a first row without a number after its first cell is a header and becomes
    `features`; a first column that is text, or has an empty header cell, becomes `samples`.
    A header made of numbers cannot be told from data: remove it first.

    Parameters
    ----------
    path : str or Path
    variable : str, optional
        Which array, if the file holds several.

    Returns
    -------
    Dataset

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no file at `path`.
    ValueError
        If the file is not of a known format, is damaged, holds no numeric matrix, or holds several
        arrays and `variable` does not say which.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from partsrep import datasets
    >>> with TemporaryDirectory() as folder:
    ...     table = Path(folder, "counts.csv")
    ...     _ = table.write_text("gene,a,b\\none,1,0\\ntwo,0,3\\n")
    ...     counts = datasets.from_file(table)
    >>> counts, counts.features.tolist(), counts.samples.tolist()
    (Dataset('counts', 2 x 2), ['a', 'b'], ['one', 'two'])
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file.")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    if suffix not in READERS and suffix not in DELIMITERS:
        known = " ".join([*DELIMITERS, *READERS])
        raise ValueError(
            f"{path}: cannot read {suffix or 'a file without an ending'}; "
            f"known endings are {known}."
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty.")
    features = samples = None
    try:
        if suffix in DELIMITERS:
            array, features, samples = _read_table(path, DELIMITERS[suffix])
            arrays = {"": array}
        else:
            arrays = READERS[suffix](path)
    except Exception as error:  # Each format's reader has its own errors for a damaged file.
        raise ValueError(
            f"{path} cannot be read as {suffix} (pickled objects are never loaded): {error}"
        ) from error
    return Dataset(
        name=path.stem,
        D=_matrix(_choose(arrays, variable, path), path),
        about=f"Read from {path.name}, not scaled.",
        features=features,
        samples=samples,
    )


def _read_npy(path):
    with open(path, "rb") as handle:
        return {"": np.lib.format.read_array(handle, allow_pickle=False)}


def _read_npz(path):
    with np.load(path, allow_pickle=False) as file:
        if {"format", "shape", "data"} <= set(file.files):
            return {"": sparse.load_npz(path)}
        return dict(file)


def _read_mat(path):
    return {name: a for name, a in loadmat(path).items() if not name.startswith("__")}


READERS = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".mat": _read_mat,
    ".mtx": lambda path: {"": mmread(path)},
    ".safetensors": load_file,
}


def _read_table(path, delimiter):
    with open(path, newline="", encoding="utf-8-sig") as handle:
        reader = csv.reader(handle, delimiter=delimiter)
        lines = [(reader.line_num, row) for row in reader if row]
    if not lines:
        raise ValueError("it has no rows.")
    width = len(lines[0][1])
    for number, row in lines:
        if len(row) != width:
            raise ValueError(f"line {number} has {len(row)} cells, the first row has {width}.")
    first = lines[0][1]
    has_header = not any(_is_number(cell) for cell in first[1:] or first)
    body = lines[1:] if has_header else lines
    if not body:
        raise ValueError("it has a header but no rows.")
    has_names = width > 1 and (
        (has_header and not first[0].strip()) or not any(_is_number(row[0]) for _, row in body)
    )
    D = np.empty((len(body), width - has_names))
    for i, (number, row) in enumerate(body):
        for j in range(has_names, width):
            if not _is_number(row[j]):
                raise ValueError(
                    f"line {number}, column {j + 1}: {row[j]!r} is not a number (columns are "
                    f"separated by {delimiter!r}, a missing value is written nan)."
                )
            D[i, j - has_names] = float(row[j])
    features = np.array(first[has_names:]) if has_header else None
    samples = np.array([row[0] for _, row in body]) if has_names else None
    return D, features, samples


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _choose(arrays, variable, path):
    if variable is None and len(arrays) == 1:
        return next(iter(arrays.values()))
    if variable in arrays:
        return arrays[variable]
    wrong = "holds several arrays" if variable is None else f"holds no array named {variable!r}"
    held = ", ".join(f"{name or 'without a name'} {a.shape}" for name, a in arrays.items())
    raise ValueError(f"{path} {wrong}; variable= says which to read. It holds: {held or 'none'}.")


def _matrix(array, path):
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{path} holds {array.dtype}, not real numbers.")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{path} holds an array of shape {array.shape}; a matrix (samples x "
            "features) with at least one of each is needed."
        )
    dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.float64
    return sparse.csr_matrix(array, dtype=dtype) if sparse.issparse(array) else array.astype(dtype)
