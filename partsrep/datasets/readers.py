"""One's own matrix from a file. Nothing is ever unpickled."""

import csv
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from scipy import sparse
from scipy.io import loadmat, mmread, whosmat

from ..disk import existing
from ..validation import summed
from .dataset import Dataset

DELIMITERS = {".csv": ",", ".tsv": "\t"}
#: How a missing value is often written; it is no name.
MISSING = {"", "na", "n/a", "#n/a", "null", "none"}


def from_file(
    path: str | Path, *, variable: str | None = None, header: bool | None = None
) -> Dataset:
    """Read a matrix, samples in rows, from one's own .npy .npz .csv .tsv .mat .mtx .safetensors.

    Numbers are kept as they are, NaN and negative ones too; integers become float64; sparse
    matrices stay sparse (.mat, .mtx, and .npz written by ``scipy.sparse.save_npz``).

    In .csv and .tsv a first row without a number after its first cell is a header and becomes
    `features`; a first column that is text, or has an empty header cell, becomes `samples`. The
    header may lack the cell above the names of the samples, as R writes it. A header made of
    numbers cannot be told from data, unless its first cell is empty and the rows or columns are
    named or numbered from 0 (as pandas writes them): `header` says what it is.

    Parameters
    ----------
    path : str or Path
    variable : str, optional
        Which array, if the file holds several; no other is read.
    header : bool, optional
        Whether the first row of a table is a header.

    A file that is damaged or holds no numeric matrix is a ValueError, and so is one of which
    `variable` or `header` must say more.

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
    path = existing(path)
    suffix = path.suffix.lower()
    if suffix not in READERS and suffix not in DELIMITERS:
        known = " ".join([*DELIMITERS, *READERS])
        raise ValueError(
            f"{path}: cannot read {suffix or 'a file without an ending'}; "
            f"known endings are {known}."
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty.")
    features = samples = None
    wrong = f"{path} cannot be read as {suffix}"
    if suffix in READERS:
        wrong += " (pickled objects are never loaded)"
    try:
        if suffix in DELIMITERS:
            array, features, samples = _read_table(path, DELIMITERS[suffix], header)
            arrays = {"": array}
        else:
            arrays = READERS[suffix](path, variable)
    except Exception as error:  # Each format's reader has its own for a damaged file.
        raise ValueError(f"{wrong}: {error}") from error
    array = _choose(arrays, variable, path)
    if isinstance(array, Exception):
        raise ValueError(f"{wrong}: {array}") from array
    return Dataset(
        name=path.stem,
        D=_matrix(array, path),
        about=f"Read from {path.name}, not scaled.",
        features=features,
        samples=samples,
    )


def _arrays(names: Iterable[str], read: Callable, variable: str | None) -> dict[str, Any]:
    """The arrays by name, or the wanted one alone; errors take the place of unreadable ones."""
    names = list(names)
    arrays = {}
    for name in [variable] if variable in names else names:
        try:
            arrays[name] = read(name)
        except Exception as error:
            arrays[name] = error
    return arrays


def _read_npy(path, variable):
    with open(path, "rb") as handle:
        return {"": np.lib.format.read_array(handle, allow_pickle=False)}


def _read_npz(path, variable):
    with np.load(path, allow_pickle=False) as file:
        if {"format", "shape", "data"} <= set(file.files):
            return {"": sparse.load_npz(path)}
        return _arrays(file.files, file.__getitem__, variable)


def _read_mat(path, variable):
    def read(name):
        return loadmat(path, variable_names=[name])[name]

    names = (name for name, *_ in whosmat(path) if not name.startswith("__"))
    return _arrays(names, read, variable)


def _read_safetensors(path, variable):
    with safe_open(path, "np") as file:
        return _arrays(file.keys(), file.get_tensor, variable)


READERS = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".mat": _read_mat,
    ".mtx": lambda path, variable: {"": mmread(path)},
    ".safetensors": _read_safetensors,
}


def _read_table(path, delimiter, header):
    """The numbers, and the names of features and samples where there are any."""
    rows = _rows(path, delimiter)
    (head, first), *rest = rows.items()
    column = [row[0] for _, row in rest]  # but for the header, if it is one
    if header is None:
        _check_separator(list(rows.values())[:100], delimiter)
    one_short = {len(row) for _, row in rest} == {len(first) + 1}
    worded = not any(map(_is_number, first)) or _are_names(column)
    if one_short and (header or (header is None and worded)):
        # R leaves out the cell above the names of the samples.
        header, first = True, ["", *first]
    for line, row in rest:
        if len(row) != len(first):
            raise ValueError(
                f"line {line} has {len(row)} cells, the first row has {len(first)}. Where names "
                "of samples come first in each row, as R writes them, the header needs a cell "
                "above them: an empty one will do."
            )
    if header is None:
        header = _is_header(head, first, column)
    body = dict(rest) if header else rows
    if not body:
        raise ValueError(f"it has a header but no rows (columns are separated by {delimiter!r}).")
    column = [row[0] for row in body.values()]
    named = len(first) > 1 and ((header and not first[0].strip()) or _are_names(column))
    numbers = np.array([row[named:] for row in body.values()], object)
    wrong = np.argwhere(~_are_numbers(numbers))
    if len(wrong):
        i, j = wrong[0]
        raise ValueError(
            f"line {list(body)[i]}, column {j + 1 + named}: {numbers[i, j]!r} is not a number "
            f"(columns are separated by {delimiter!r}, a missing value is written nan)."
        )
    features = np.array(first[named:]) if header else None
    samples = np.array(column) if named else None
    return numbers.astype(float), features, samples


def _rows(path, delimiter):
    """The cells of the rows that are not blank, by the line in the file where each row ends."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            lines = {}
            for row in reader:
                lines[reader.line_num] = row
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not text in UTF-8: save it as that ({error}).") from error
    except csv.Error as error:
        raise ValueError(f"{error}.") from error
    rows = {line: row for line, row in lines.items() if row}
    if not rows:
        raise ValueError("it has no rows.")
    blank = [line for line in lines if line not in rows and min(rows) < line < max(rows)]
    if blank and all(len(row) == 1 for row in rows.values()):
        raise ValueError(f"line {blank[0]} is blank: a missing value is written nan.")
    return rows


def _check_separator(rows, delimiter):
    """Raise a ValueError where each row has as many of another separator."""
    for other in {*",;\t"} - {delimiter}:
        counts = {sum(cell.count(other) for cell in row) for row in rows}
        if len(counts) == 1 and counts != {0}:
            raise ValueError(
                f"each line has as many {other!r} ({counts.pop()}), but columns are separated by "
                f"{delimiter!r} here, and decimals by '.': rewrite it so, or say header=True or "
                "False if these belong to names."
            )


def _is_header(line, first, column):
    """Whether the first row is a header; a ValueError where it cannot be told."""
    cells = first[1:] or first
    if not all(map(_is_number, cells)):
        return not any(map(_is_number, cells)) and not all(map(_is_missing, cells))
    if _is_number(first[0]):
        if len(first) > 2 and _counts(first):
            warnings.warn(
                f"The first row is 0, 1, 2 … {len(first) - 1}, which is how columns without names "
                "are numbered. It is read as a sample: if it is a header, say header=True, else "
                "header=False.",
                stacklevel=4,
            )
        return False
    if not first[0].strip() and (_are_names(column) or _counts(column) or _counts(cells)):
        return True
    raise ValueError(
        f"line {line}, column 1: {first[0]!r} is not a number, but numbers follow: say "
        "header=True if the line is a header, header=False if it is a sample (a missing value is "
        "written nan)."
    )


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # 1_000 is a number in Python only


_are_numbers = np.vectorize(_is_number, otypes=[bool])


def _is_missing(cell):
    return cell.strip().lower() in MISSING


def _are_names(cells):
    """Whether no cell of a column is a number, and some are not just missing."""
    return not any(map(_is_number, cells)) and not all(map(_is_missing, cells))


def _counts(cells):
    """Whether cells are 0, 1, 2 and so on, as rows and columns without names are numbered."""
    return cells == [str(i) for i in range(len(cells))]


def _choose(arrays, variable, path):
    if variable is None and len(arrays) == 1:
        return next(iter(arrays.values()))
    if variable in arrays:
        return arrays[variable]
    wrong = "holds several arrays" if variable is None else f"holds no array named {variable!r}"
    held = ", ".join(
        f"{name or 'without a name'} {getattr(a, 'shape', 'that cannot be read')}"
        for name, a in arrays.items()
    )
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
    if sparse.issparse(array):
        return sparse.csr_matrix(summed(array), dtype=dtype)
    return array.astype(dtype)
