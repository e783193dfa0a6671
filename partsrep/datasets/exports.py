"""A fitted model in the tables that other programs read: cNMF's and SigProfiler's.

References
----------
Kotliar et al. (2019), "Identifying gene expression programs of cell-type identity and cellular
activity with single-cell RNA-Seq", https://github.com/dylkot/cNMF; Islam et al. (2022), "Uncovering
novel mutational signatures by de novo extraction with SigProfilerExtractor".
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from ..disk import write_whole
from .dataset import Dataset


def write_cnmf(
    fitted: Any, data: Dataset, folder: str | Path, name: str = "partsrep"
) -> list[Path]:
    """Write codes and parts as cNMF writes its consensus: cells × programs, and programs × genes.

    Programs are numbered from 1. The files are ``NAME.usages.k_M.consensus.txt``, the codes as the
    model has them, and ``NAME.spectra.k_M.consensus.txt``, the parts, separated by tabs.

    Parameters
    ----------
    fitted : NMF or SAE
    data : Dataset
        The names are its `samples` and `features`; without them 0, 1, 2 and so on.
    folder : str or Path
        Where to write; it must exist. Older files of these names are replaced.
    name : str
        What the files' names begin with.

    Returns
    -------
    list of Path

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from partsrep import NMF, datasets
    >>> digits = datasets.load("digits")
    >>> nmf = NMF(4, random_state=0).fit(digits.D)
    >>> with TemporaryDirectory() as folder:
    ...     [path.name for path in datasets.write_cnmf(nmf, digits, folder)]
    ['partsrep.usages.k_4.consensus.txt', 'partsrep.spectra.k_4.consensus.txt']
    """
    codes, parts = _factors(fitted, data)
    programs = np.arange(1, len(parts) + 1)
    parts.index = codes.columns = programs
    ending = f"k_{len(parts)}.consensus.txt"
    return _written(
        {f"{name}.usages.{ending}": codes, f"{name}.spectra.{ending}": parts}, Path(folder)
    )


def write_sigprofiler(fitted: Any, data: Dataset, folder: str | Path) -> list[Path]:
    """Write codes and parts as SigProfiler writes activities and signatures.

    A signature sums to 1 over the mutation types, and an activity counts mutations: each part is
    divided by its sum, and its codes take it. The files are ``Signatures.txt``, mutation types ×
    signatures, and ``Activities.txt``, samples × signatures, separated by tabs; signatures are
    called by the number of types and a letter, such as SBS96A. Activities are not rounded.

    Parameters
    ----------
    fitted, data, folder
        As for :func:`write_cnmf`.

    Raises
    ------
    ValueError
        If a part has a negative entry, or is zero: it is no signature.
    """
    codes, parts = _factors(fitted, data)
    sums = parts.sum(axis=1).to_numpy()
    wrong = np.flatnonzero((parts < 0).any(axis=1).to_numpy() | (sums == 0))
    if len(wrong):
        raise ValueError(
            f"part {wrong[0]} is zero or has negative entries, so that it is no signature: use "
            "parts that are nonnegative, and fewer of them."
        )
    parts.index = codes.columns = [f"SBS{parts.shape[1]}{_letters(j)}" for j in range(len(parts))]
    signatures, activities = parts.div(sums, axis=0).T, codes * sums
    signatures.index.name, activities.index.name = "MutationType", "Samples"
    return _written({"Signatures.txt": signatures, "Activities.txt": activities}, Path(folder))


def _factors(fitted: Any, data: Dataset) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The codes and the parts, with the names that the data have."""
    check_is_fitted(fitted)
    codes = pd.DataFrame(np.asarray(fitted.transform(data.D)), data.samples)
    return codes, pd.DataFrame(np.asarray(fitted.components_), columns=data.features)


def _letters(j: int) -> str:
    """A … Z, AA, AB and so on."""
    return (_letters(j // 26 - 1) if j >= 26 else "") + chr(ord("A") + j % 26)


def _written(tables: dict[str, pd.DataFrame], folder: Path) -> list[Path]:
    for name, table in tables.items():
        write_whole(folder / name, table.to_csv(sep="\t").encode(), "table")
    return [folder / name for name in tables]
