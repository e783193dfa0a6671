"""AnnData's, Cell Ranger's and other files of HDF5, tables in .parquet, and other programs' tables.

The files are written here as the formats say; AnnData's own files were read once, by hand.
"""

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from problems import low_rank, random_matrix

from partsrep import NMF, datasets

D = random_matrix(0, 6, 4).astype(np.float32)
CELLS, GENES = [f"cell{i}" for i in range(6)], [f"gene{i}" for i in range(4)]


def put(group, name, matrix):
    """A matrix as AnnData writes it."""
    if not sp.issparse(matrix):
        group[name] = matrix
        return
    inner = group.create_group(name)
    inner.attrs.update({"encoding-type": f"{matrix.format}_matrix", "shape": matrix.shape})
    for part in ("data", "indices", "indptr"):
        inner[part] = getattr(matrix, part)


def frame(file, name, index, columns=()):
    group = file.create_group(name)
    group.attrs.update({"_index": "_index", "column-order": [*dict(columns)]})
    group["_index"] = index
    for column, values in dict(columns).items():
        group[column] = values
    return group


@pytest.fixture
def cells(tmp_path):
    """A file of AnnData with everything that is read of one."""
    path = tmp_path / "cells.h5ad"
    with h5py.File(path, "w") as file:
        put(file, "X", sp.csr_matrix(D))
        obs = frame(file, "obs", CELLS, {"n": np.arange(6), "word": list("uvwxyz")})
        obs.attrs["column-order"] = ["n", "word", "kind"]
        kind = obs.create_group("kind")
        kind["codes"], kind["categories"] = np.array([0, 1, 0, -1, 1, 0], np.int8), ["a", "b"]
        frame(file, "var", GENES)
        put(file.create_group("layers"), "counts", sp.csc_matrix(2 * D))
        raw = file.create_group("raw")
        put(raw, "X", np.hstack([D, D]))
        frame(raw, "var", [f"raw{i}" for i in range(8)])
    return path


def dense(data):
    return data.D.toarray() if sp.issparse(data.D) else data.D


def test_the_matrix_of_anndata_comes_with_its_names_and_stays_sparse(cells):
    data = datasets.from_file(cells)
    assert sp.issparse(data.D)
    np.testing.assert_array_equal(dense(data), D)
    assert data.D.dtype == np.float32
    assert (data.samples.tolist(), data.features.tolist()) == (CELLS, GENES)
    assert data.labels is None


def test_layers_and_the_raw_matrix_are_asked_for_by_name(cells):
    np.testing.assert_array_equal(dense(datasets.from_file(cells, variable="layers/counts")), 2 * D)
    raw = datasets.from_file(cells, variable="raw/X")
    np.testing.assert_array_equal(raw.D, np.hstack([D, D]))
    assert raw.features[-1] == "raw7"
    with pytest.raises(ValueError, match=r"holds: X \(6, 4\), layers/counts \(6, 4\), raw/X"):
        datasets.from_file(cells, variable="counts")


@pytest.mark.parametrize(
    ("column", "labels"),
    [("kind", ["a", "b", "a", "", "b", "a"]), ("n", list(range(6))), ("word", list("uvwxyz"))],
)
def test_labels_are_a_column(cells, column, labels):
    assert datasets.from_file(cells, labels=column).labels.tolist() == labels


def test_a_column_that_is_not_there_is_an_error_that_lists_them(cells):
    with pytest.raises(ValueError, match="no column 'type'; it has n, word, kind"):
        datasets.from_file(cells, labels="type")


def test_files_of_old_versions(tmp_path):
    path = tmp_path / "old.h5ad"
    with h5py.File(path, "w") as file:
        put(file, "X", sp.csr_matrix(D))
        file["X"].attrs.pop("encoding-type"), file["X"].attrs.pop("shape")
        file["X"].attrs.update({"h5sparse_format": "csr", "h5sparse_shape": D.shape})
        put(file, "raw.X", np.hstack([D, D]))
        file["raw.var"] = np.array([(f"raw{i}",) for i in range(8)], [("index", "S8")])
        columns = [("index", "S8"), ("kind", "S2"), ("type", "i1")]
        names = np.array([*zip(CELLS, "uvwxyz", [0, 1, 0, -1, 1, 0], strict=True)], columns)
        file["uns/type_categories"] = ["a", "b"]
        file["obs"], file["var"] = names, np.array([(g,) for g in GENES], [("index", "S8")])
    data = datasets.from_file(path, labels="kind")
    np.testing.assert_array_equal(dense(data), D)
    assert (data.samples.tolist(), data.features.tolist()) == (CELLS, GENES)
    assert data.labels.tolist() == list("uvwxyz")
    raw = datasets.from_file(path, variable="raw.X", labels="type")
    np.testing.assert_array_equal(raw.D, np.hstack([D, D]))
    assert (raw.features[-1], raw.labels.tolist()) == ("raw7", ["a", "b", "a", "", "b", "a"])


@pytest.mark.parametrize("version", [2, 3])
def test_cell_rangers_matrices_have_cells_in_rows(tmp_path, version):
    path = tmp_path / "filtered.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        by_cell = sp.csc_matrix(D.T)
        for part in ("data", "indices", "indptr"):
            group[part] = getattr(by_cell, part)
        group["shape"], group["barcodes"] = by_cell.shape, CELLS
        group["features/name" if version == 3 else "gene_names"] = GENES
    data = datasets.from_file(path)
    assert sp.issparse(data.D)
    np.testing.assert_array_equal(dense(data), D)
    assert (data.samples.tolist(), data.features.tolist()) == (CELLS, GENES)


def test_any_hdf5_of_one_matrix_and_of_several(tmp_path):
    path = tmp_path / "mine.h5"
    with h5py.File(path, "w") as file:
        file["deep/D"], file["vector"] = D, np.arange(3)
    np.testing.assert_array_equal(datasets.from_file(path).D, D)
    with h5py.File(path, "a") as file:
        file["other"] = D[:2]
    with pytest.raises(ValueError, match=r"several arrays.*deep/D \(6, 4\), other \(2, 4\)"):
        datasets.from_file(path)


def test_what_is_wrong_with_a_file_is_said(tmp_path, cells):
    damaged = tmp_path / "damaged.h5ad"
    damaged.write_bytes(cells.read_bytes()[:600])
    with pytest.raises(ValueError, match=r"cannot be read as \.h5ad"):
        datasets.from_file(damaged)
    with h5py.File(cells, "a") as file:
        file["X/indices"][0] = 99
    with pytest.raises(ValueError, match=r"cannot be read as \.h5ad"):
        datasets.from_file(cells)
    with h5py.File(cells, "a") as file:
        del file["X"]
    with pytest.raises(ValueError, match="holds: layers/counts"):
        datasets.from_file(cells)
    with pytest.raises(ValueError, match="labels='kind' names a column of"):
        table = tmp_path / "table.csv"
        table.write_text("1,2\n3,4\n")
        datasets.from_file(table, labels="kind")


@pytest.mark.parametrize("named", ["by index", "by a column", "not at all"])
def test_parquet(tmp_path, named):
    table = pd.DataFrame(D, CELLS if named == "by index" else None, GENES)
    if named == "by a column":
        table.insert(0, "cell", CELLS)
    table["kind"] = list("aabbcc")
    path = tmp_path / "table.parquet"
    table.to_parquet(path)
    data = datasets.from_file(path, labels="kind")
    np.testing.assert_array_equal(data.D, D)
    assert data.features.tolist() == GENES
    assert (data.samples is None) if named == "not at all" else data.samples.tolist() == CELLS
    assert data.labels.tolist() == list("aabbcc")
    with pytest.raises(ValueError, match="no column 'nothing'"):
        datasets.from_file(path, labels="nothing")


def test_a_table_of_words_is_refused(tmp_path):
    path = tmp_path / "words.parquet"
    pd.DataFrame({"a": ["x", "y"], "b": ["u", "v"], "n": [1, 2]}).to_parquet(path)
    with pytest.raises(ValueError, match="column 'a' holds"):
        datasets.from_file(path)


def test_cnmfs_tables_hold_the_factors(tmp_path):
    data = datasets.Dataset(name="x", D=low_rank(0), about="", features=np.arange(12).astype(str))
    nmf = NMF(3, random_state=0).fit(data.D)
    usages, spectra = (
        pd.read_csv(path, sep="\t", index_col=0)
        for path in datasets.write_cnmf(nmf, data, tmp_path, "run")
    )
    assert usages.columns.tolist() == ["1", "2", "3"]
    assert spectra.columns.tolist() == data.features.tolist()
    np.testing.assert_allclose(usages.to_numpy() @ spectra.to_numpy(), data.D, atol=1e-2)


def test_signatures_sum_to_one_and_activities_count_mutations(tmp_path):
    data = datasets.Dataset(name="x", D=low_rank(0), about="", samples=np.arange(40).astype(str))
    nmf = NMF(3, random_state=0).fit(data.D)
    signatures, activities = (
        pd.read_csv(path, sep="\t", index_col=0)
        for path in datasets.write_sigprofiler(nmf, data, tmp_path)
    )
    assert (signatures.index.name, activities.index.name) == ("MutationType", "Samples")
    assert signatures.columns.tolist() == ["SBS12A", "SBS12B", "SBS12C"]
    np.testing.assert_allclose(signatures.sum(), 1)
    D_hat = activities.to_numpy() @ signatures.to_numpy().T
    np.testing.assert_allclose(D_hat, nmf.inverse_transform(nmf.transform(data.D)), atol=1e-9)
    nmf.components_[1] = 0
    with pytest.raises(ValueError, match="part 1 is zero"):
        datasets.write_sigprofiler(nmf, data, tmp_path)
