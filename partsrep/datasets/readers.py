"""One's own matrix from a file. Nothing is ever unpickled."""

import csv
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import safe_open
from scipy import sparse
from scipy.io import loadmat, mmread, whosmat

from ..disk import existing
from ..lazy import require, skimage
from ..validation import summed
from . import hdf5
from .dataset import Dataset
from .table import Table

DELIMITERS = {".csv": ",", ".tsv": "\t"}
IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm"}
#: How a missing value is often written; it is no name.
MISSING = {"", "na", "n/a", "#n/a", "null", "none"}
#: What lists the names of the arrays in a file, and what reads one of them.
Format = tuple[Callable[[Path], list[str]], Callable[[Path, str], Any]]


def from_file(
    path: str | Path,
    *,
    variable: str | None = None,
    header: bool | None = None,
    labels: str | None = None,
) -> Dataset:
    """Read a matrix, samples in rows, from one's own .npy .npz .csv .tsv .mat .mtx .safetensors
    .h5ad .h5 .parquet.

    A folder of images (.png .jpg .jpeg .bmp .tif .tiff .pgm) of one size is a matrix too: each
    image in the order of their names is a sample, its greys from 0 (black) to 1 the features.

    Numbers are kept as they are, NaN and negative ones too; integers become float64; sparse
    matrices stay sparse (.mat, .mtx, .h5ad, .h5, and .npz written by ``scipy.sparse.save_npz``).

    Of AnnData's .h5ad the matrix is X, unless `variable` names another, such as ``"raw/X"`` or
    ``"layers/counts"``; the names of cells and genes come with it. An .h5 may be Cell Ranger's, or
    hold any matrix. In .parquet columns are features; its index, or one column of text, names the
    samples.

    In .csv and .tsv a first row without a number after its first cell is a header and becomes
    `features`; a first column that is text, or has an empty header cell, becomes `samples`. The
    header may lack the cell above the names of the samples, as R writes it. A header made of
    numbers cannot be told from data, unless its first cell is empty and the rows or columns are
    named or numbered from 0 (as pandas writes them): `header` says what it is.

    A file that is damaged or holds no numeric matrix is a ValueError, and so is one of which
    `variable` or `header` must say more.

    Parameters
    ----------
    path : str or Path
    variable : str, optional
        Which array, if the file holds several; no other is read.
    header : bool, optional
        Whether the first row of a table is a header.
    labels : str, optional
        Which column says of each sample what class it is of: of `obs` in .h5ad, or of .parquet.

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
    tables = {
        suffix: (_one, lambda path, _, delimiter=delimiter: _table(path, delimiter, header))
        for suffix, delimiter in DELIMITERS.items()
    }
    if Path(path).is_dir():
        return _images(Path(path))
    path = existing(path)
    for suffix, read_labelled in LABELLED.items():
        listed, _ = FORMATS[suffix]
        tables[suffix] = listed, partial(read_labelled, labels=labels)
    if labels is not None and path.suffix.lower() not in LABELLED:
        raise ValueError(
            f"labels={labels!r} names a column of {' or '.join(LABELLED)}; {path.name} has none."
        )
    if variable is None and path.suffix.lower() == ".h5ad":
        variable = "X"  # AnnData's main matrix
    found = read(path, FORMATS | tables, variable)
    table = found if isinstance(found, Table) else Table(found)
    array = table.D
    if sparse.issparse(array):
        array = sparse.csr_matrix(summed(array))
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{path} holds {array.dtype}, not real numbers.")
    dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.float64
    return Dataset(
        name=path.stem,
        D=array.astype(dtype),
        about=f"Read from {path.name}, not scaled.",
        labels=table.labels,
        features=table.features,
        samples=table.samples,
    )


def _images(folder: Path) -> Dataset:
    """The images of a folder, one a sample."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)
    if not paths:
        raise IsADirectoryError(
            f"{folder} is a folder, not a file, and holds no images: their endings are "
            f"{' '.join(sorted(IMAGES))}."
        )
    rows, shape = [], None
    for path in paths:
        with _said_of(path):
            image = skimage.util.img_as_float64(skimage.io.imread(path))
            if image.ndim == 3:  # colours, and perhaps how far one sees through
                image = (
                    image[..., 0] if image.shape[2] < 3 else skimage.color.rgb2gray(image[..., :3])
                )
        shape = shape or image.shape
        if image.shape != shape or len(shape) != 2:
            raise ValueError(
                f"{path} is an image of shape {image.shape}, but {paths[0].name} has {shape}: all "
                "must be of one height and width, such as after cropping."
            )
        rows.append(image.ravel())
    names = np.array([path.name for path in paths])
    about = f"Images of {folder.name}, as greys from 0 (black) to 1."
    return Dataset(
        name=folder.name, D=np.array(rows), about=about, image_shape=shape, samples=names
    )


def read(path: Path, formats: Mapping[str, Format], variable: str | None) -> Any:
    """The matrix in a file, or what its format reads it as, which has the shape of one."""
    suffix = path.suffix.lower()
    if suffix not in formats:
        raise ValueError(
            f"{path}: cannot read {suffix or 'a file without an ending'}; "
            f"known endings are {' '.join(formats)}."
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty.")
    listed, read_one = formats[suffix]
    with _said_of(path):
        names = listed(path)
    if variable is None and len(names) == 1:
        [variable] = names
    if variable not in names:
        wrong = "several arrays" if variable is None else f"no array named {variable!r}"
        held = [f"{name or 'without a name'} {_shape(read_one, path, name)}" for name in names]
        raise ValueError(
            f"{path} holds {wrong}; variable= says which to read. "
            f"It holds: {', '.join(held) or 'none'}."
        )
    with _said_of(path):
        array = read_one(path, variable)
    if len(array.shape) != 2 or 0 in array.shape:
        raise ValueError(
            f"{path} holds an array of shape {array.shape}; a matrix (samples x features) with at "
            "least one of each is needed."
        )
    return array


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """Whatever goes wrong is a ValueError: each format's reader has its own."""
    try:
        yield
    except Exception as error:
        suffix = path.suffix.lower()
        note = "" if suffix in DELIMITERS else " (pickled objects are never loaded)"
        raise ValueError(f"{path} cannot be read as {suffix}{note}: {error}") from error


def _shape(read_one: Callable, path: Path, name: str) -> Any:
    try:
        return read_one(path, name).shape
    except Exception:  # beside the array that is asked for it does not matter
        return "that cannot be read"


def _one(path: Path) -> list[str]:
    """The names in a file that holds one array."""
    return [""]


def _npy(path, name):
    with open(path, "rb") as handle:
        return np.lib.format.read_array(handle, allow_pickle=False)


def _npz_names(path):
    with np.load(path, allow_pickle=False) as file:
        return [""] if {"format", "shape", "data"} <= set(file.files) else file.files


def _npz(path, name):
    if not name:
        return sparse.load_npz(path)
    with np.load(path, allow_pickle=False) as file:
        return file[name]


def tensors(path):
    """The names in a file of safetensors, which is whole."""
    with safe_open(path, "np") as file:
        return list(file.keys())


def _tensor(path, name):
    with safe_open(path, "np") as file:
        return file.get_tensor(name)


def _parquet(path, name, labels=None):
    require("tables")
    frame = pd.read_parquet(path)
    if labels is not None and labels not in frame:
        raise ValueError(f"it has no column {labels!r}; it has {', '.join(map(str, frame))}.")
    classes = None if labels is None else frame.pop(labels).to_numpy()
    words = [column for column in frame if frame[column].dtype.kind not in "biuf"]
    if len(words) == 1 and isinstance(frame.index, pd.RangeIndex):
        frame = frame.set_index(words.pop())
    if words:
        raise ValueError(f"column {words[0]!r} holds {frame[words[0]].dtype}, not numbers.")
    named = not isinstance(frame.index, pd.RangeIndex)
    samples = frame.index.to_numpy(str) if named else None
    return Table(frame.to_numpy(), frame.columns.to_numpy(str), samples, classes)


FORMATS: dict[str, Format] = {
    ".npy": (_one, _npy),
    ".npz": (_npz_names, _npz),
    ".mat": (
        lambda path: [name for name, *_ in whosmat(path) if not name.startswith("__")],
        lambda path, name: loadmat(path, variable_names=[name])[name],
    ),
    ".mtx": (_one, lambda path, name: mmread(path)),
    ".safetensors": (tensors, _tensor),
    ".h5ad": (hdf5.names, hdf5.read),
    ".h5": (hdf5.names, hdf5.read),
    ".parquet": (_one, _parquet),
}
#: What reads the files that say of samples what class they are of.
LABELLED = {".h5ad": hdf5.read, ".parquet": _parquet}


def _table(path, delimiter, header):
    """The numbers, with the names of features and samples where there are any."""
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
    return Table(
        numbers.astype(float),
        features=np.array(first[named:], str) if header else None,
        samples=np.array(column, str) if named else None,
    )


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
                stacklevel=6,
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
