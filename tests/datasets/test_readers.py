import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import skimage.io
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as torch_file
from scipy import sparse
from scipy.io import mmwrite, savemat

from partsrep.datasets import from_file

D = np.array([[0.0, 1.5, 2.0], [3.25, 0.0, np.nan]])
SPARSE = sparse.csr_matrix(np.array([[0.0, 1.5, 2.0], [3.25, 0.0, 0.0]]))

WRITERS = {
    "npy": lambda path, a: np.save(path, a),
    "npz": lambda path, a: np.savez(path, D=a),
    "csv": lambda path, a: np.savetxt(path, a, delimiter=","),
    "tsv": lambda path, a: np.savetxt(path, a, delimiter="\t"),
    "mat": lambda path, a: savemat(path, {"D": a}),
    "mtx": lambda path, a: mmwrite(path, a),
    "safetensors": lambda path, a: save_file({"D": a}, path),
}
SEVERAL = {
    "npz": lambda path, arrays: np.savez(path, **arrays),
    "mat": lambda path, arrays: savemat(path, arrays),
    "safetensors": lambda path, arrays: save_file(arrays, path),
}


class Bomb:
    """Raises when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_matrix_comes_back_as_it_was_nan_included(tmp_path, suffix):
    path = tmp_path / f"mine.{suffix}"
    WRITERS[suffix](path, D)
    mine = from_file(path)
    assert np.array_equal(mine.D, D, equal_nan=True) and mine.D.dtype == np.float64
    assert mine.name == "mine" and path.name in mine.about
    assert mine.features is None and mine.samples is None and mine.truth is None


def test_the_ending_may_be_in_capitals_and_the_path_a_string(tmp_path):
    WRITERS["csv"](tmp_path / "MINE.CSV", D)
    assert from_file(str(tmp_path / "MINE.CSV")).D.shape == (2, 3)


@pytest.mark.parametrize("suffix", ["mat", "mtx", "npz"])
def test_sparse_stays_sparse(tmp_path, suffix):
    path = tmp_path / f"mine.{suffix}"
    (sparse.save_npz if suffix == "npz" else WRITERS[suffix])(path, SPARSE)
    mine = from_file(path)
    assert mine.D.format == "csr"
    assert np.array_equal(mine.D.toarray(), SPARSE.toarray())


@pytest.mark.parametrize("stored", ["int64", "uint8", "bool", ">f8", "float64"])
def test_numbers_become_float64_without_change(tmp_path, stored):
    array = np.array([[0, 1], [1, 0]]).astype(stored)
    np.save(tmp_path / "a.npy", array)
    read = from_file(tmp_path / "a.npy").D
    assert read.dtype == np.float64 and read.dtype.isnative and np.array_equal(read, array)


def test_float32_stays_float32(tmp_path):
    np.save(tmp_path / "a.npy", D.astype(np.float32))
    assert from_file(tmp_path / "a.npy").D.dtype == np.float32


@pytest.mark.parametrize("suffix", SEVERAL)
def test_one_of_several_arrays_is_chosen_by_name(tmp_path, suffix):
    path = tmp_path / f"two.{suffix}"
    SEVERAL[suffix](path, {"counts": D, "other": np.ones((4, 5))})
    assert np.array_equal(from_file(path, variable="counts").D, D, equal_nan=True)
    for wrong in (None, "count"):
        with pytest.raises(ValueError) as error:
            from_file(path, variable=wrong)
        for part in (str(path), "counts (2, 3)", "other (4, 5)", "variable="):
            assert part in str(error.value)


@pytest.mark.parametrize("suffix", ["npy", "csv", "mtx"])
def test_a_variable_cannot_be_chosen_where_there_are_none(tmp_path, suffix):
    path = tmp_path / f"one.{suffix}"
    WRITERS[suffix](path, D)
    with pytest.raises(ValueError, match=r"no array named 'D'.*without a name \(2, 3\)"):
        from_file(path, variable="D")


# Tables


def table(tmp_path, text, suffix="csv"):
    path = tmp_path / f"table.{suffix}"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text, features, samples",
    [
        ("1,2\n3,4\n", None, None),
        ("a,b\n1,2\n3,4\n", ["a", "b"], None),
        ("id,a,b\ns,1,2\nt,3,4\n", ["a", "b"], ["s", "t"]),
        (",a,b\n0,1,2\n1,3,4\n", ["a", "b"], ["0", "1"]),
        (",a,b\n7,1,2\n5,3,4\n", ["a", "b"], ["7", "5"]),
        # pandas' DataFrame(D).to_csv(), with an index of names, of numbers from 0 or of others
        (",0,1\ns,1,2\nt,3,4\n", ["0", "1"], ["s", "t"]),
        (",0,1\n0,1,2\n1,3,4\n", ["0", "1"], ["0", "1"]),
        (",0,1\n7,1,2\n5,3,4\n", ["0", "1"], ["7", "5"]),
        (",400,410.5\n0,1,2\n1,3,4\n", ["400", "410.5"], ["0", "1"]),
        (",400,410.5\ns,1,2\nt,3,4\n", ["400", "410.5"], ["s", "t"]),
        ('\ufeff"",0,1\r\n"s",1,2\r\n"t",3,4\r\n', ["0", "1"], ["s", "t"]),
        # R's write.table(sep=","), with names of rows or their numbers
        ('"a","b"\n"s",1,2\n"t",3,4\n', ["a", "b"], ["s", "t"]),
        ('"a","b"\n"1",1,2\n"2",3,4\n', ["a", "b"], ["1", "2"]),
        ("400,410.5\ns,1,2\nt,3,4\n", ["400", "410.5"], ["s", "t"]),
        ('\ufeff"a, first","b"\r\n1,2\r\n\r\n3,4\r\n', ["a, first", "b"], None),
    ],
)
def test_a_header_and_a_column_of_names_are_recognised(tmp_path, text, features, samples):
    read = from_file(table(tmp_path, text))
    assert read.D.tolist() == [[1, 2], [3, 4]]
    assert features == (None if read.features is None else read.features.tolist())
    assert samples == (None if read.samples is None else read.samples.tolist())


AMBIGUOUS = "s,1,2\nt,3,4\n"


@pytest.mark.parametrize(
    "text, header, features, samples, D",
    [
        (AMBIGUOUS, False, None, ["s", "t"], [[1, 2], [3, 4]]),
        (AMBIGUOUS, True, ["1", "2"], ["t"], [[3, 4]]),
        ("s,1,2\n", False, None, ["s"], [[1, 2]]),
        ("400,410.5\n1,2\n", True, ["400", "410.5"], None, [[1, 2]]),
        ("400,410.5\n1,2\n", False, None, None, [[400, 410.5], [1, 2]]),
        (",2,3\n7,5,6\n", True, ["2", "3"], ["7"], [[5, 6]]),
        ("year,2,3\n1990,5,6\n", True, ["year", "2", "3"], None, [[1990, 5, 6]]),
        ("1,x,3\n4,5,6\n", True, ["1", "x", "3"], None, [[4, 5, 6]]),
        ("1,2\n7,5,6\n", True, ["1", "2"], ["7"], [[5, 6]]),
        ("a;b,c\nk;l,1\n", True, ["c"], ["k;l"], [[1]]),
        ("1\n2\n", True, ["1"], None, [[2]]),
    ],
)
def test_the_caller_can_say_what_the_first_row_is(tmp_path, text, header, features, samples, D):
    read = from_file(table(tmp_path, text), header=header)
    assert read.D.tolist() == D
    assert features == (None if read.features is None else read.features.tolist())
    assert samples == (None if read.samples is None else read.samples.tolist())


@pytest.mark.parametrize("index", [None, list("stu"), [0, 1, 2], [9, 4, 7]])
@pytest.mark.parametrize("columns", [None, list("ab"), [400, 410.5]])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_what_pandas_writes_comes_back_or_a_header_is_asked_for(tmp_path, suffix, columns, index):
    frame = pd.DataFrame([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], index=index, columns=columns)
    path = tmp_path / f"frame.{suffix}"
    frame.to_csv(path, sep="," if suffix == "csv" else "\t")
    if columns == [400, 410.5] and index == [9, 4, 7]:
        with pytest.raises(ValueError, match=r"line 1, column 1: '' .*header=True"):
            from_file(path)
        read = from_file(path, header=True)
    else:
        read = from_file(path)
    assert np.array_equal(read.D, frame)
    assert read.features.tolist() == [str(name) for name in frame.columns]
    assert read.samples.tolist() == [str(name) for name in frame.index]


def test_columns_that_count_from_0_are_told_of(tmp_path):
    """`DataFrame(D).to_csv(index=False)` looks like one more sample."""
    path = table(tmp_path, "0,1,2\n5,6,7\n")
    with pytest.warns(UserWarning, match="first row is 0, 1, 2 .* say header=True") as told:
        assert from_file(path).D.tolist() == [[0, 1, 2], [5, 6, 7]]
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert from_file(path, header=True).D.tolist() == [[5, 6, 7]]
        assert from_file(path, header=False).D.shape == (2, 3)
        from_file(table(tmp_path, "0,1\n1,0\n"))
        from_file(table(tmp_path, "0.0,1.0,2.0\n1,0,3\n"))


def test_a_table_of_one_column(tmp_path):
    assert from_file(table(tmp_path, "1\n2\n")).D.tolist() == [[1], [2]]
    assert from_file(table(tmp_path, "a\n1\n2\n")).features.tolist() == ["a"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("1,2\n3,x\n", "line 2, column 2: 'x' is not a number"),
        ("1,2\n3,\n", "line 2, column 2: '' is not a number"),
        ("1,x,3\n4,5,6\n", "line 1, column 2: 'x' is not a number"),
        ("a,b\n\n1,2\nt,4\n", "line 4, column 1: 't' is not a number"),
        (",2,3\n4,5,6\n", "line 1, column 1: '' is not a number.*header=True.*written nan"),
        (AMBIGUOUS, "line 1, column 1: 's' is not a number.*header=True.*header=False"),
        ("sample,400,410.5\ns0,1,2\ns1,3,4\n", "line 1, column 1: 'sample' .*header=True"),
        ("year,2,3\n1990,5,6\n", "line 1, column 1: 'year' .*header=True"),
        ("NA,2,3\n4,5,6\n", "line 1, column 1: 'NA' "),
        ("1,,\n3,4,5\n", "line 1, column 2: '' is not a number"),
        ("1,NA,NA\n3,4,5\n", "line 1, column 2: 'NA' is not a number"),
        ("NA,NA\n3,4\n", "line 1, column 1: 'NA' is not a number"),
        ("s,NA,n/a\nt,1,2\n", "line 1, column 2: 'NA' is not a number"),
        ("a,b\nNA,2\nNA,4\n", "line 2, column 1: 'NA' is not a number"),
        ("a,b\n1_000,2\n3,4\n", "line 2, column 1: '1_000' is not a number"),
        ("a,b\n1,2,\n3,4,\n", "line 2, column 3: '' is not a number"),
        ("a,b,c\n1,2\n3,4\n", "line 2 has 2 cells, the first row has 3"),
        ("a,b\n1,2,3\n4,5\n", "line 2 has 3 cells, the first row has 2.*as R writes"),
        ("1\n\n3\n", "line 2 is blank: a missing value is written nan"),
        ("1,2\n3,4\n5\n", "line 3 has 1 cells, the first row has 2"),
        ("1,2\n1,2,3\n", "line 2 has 3 cells, the first row has 2"),
        ("a;b\n1;2\n", "as many ';' .*separated by ','"),
        ("a;b\n1;2,5\n3;4,5\n", "as many ';' .*decimals by '\\.'"),
        ("weight, kg;size\n1;2,5\n", "as many ';'"),
        ("a\tb\n1\t2\n", r"as many '\\t'"),
        ("a,b\n", "a header but no rows"),
        ('"a\nb",c\n1,x\n', "line 3, column 2: 'x' is not a number"),
        ('a,b\n1,"2\n', "unexpected end of data"),
        ("\n\n", "no rows"),
    ],
)
def test_a_fault_in_a_table_is_named_with_its_place(tmp_path, text, message):
    path = table(tmp_path, text)
    with pytest.raises(ValueError, match=message) as error:
        from_file(path)
    assert str(path) in str(error.value)


def test_a_table_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "latin.csv"
    path.write_bytes("größe,b\n1,2\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.csv.*utf-8"):
        from_file(path)


# What is not a readable matrix


def test_no_file_a_folder_and_an_unknown_ending(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npy"):
        from_file(tmp_path / "none.npy")
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder\.npy"):
        from_file(tmp_path / "folder.npy")
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError) as error:
        from_file(tmp_path / "a.pkl")
    assert all(f".{suffix}" in str(error.value) for suffix in ["pkl", *WRITERS])


@pytest.mark.parametrize("suffix", WRITERS)
def test_an_empty_file_is_called_empty(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    path.touch()
    with pytest.raises(ValueError, match=rf"a\.{suffix} is empty"):
        from_file(path)


@pytest.mark.parametrize("suffix", sorted(set(WRITERS) - {"csv", "tsv"}))
def test_a_truncated_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    WRITERS[suffix](path, np.random.RandomState(0).uniform(size=(40, 30)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"a\.{suffix} cannot be read as \.{suffix}"):
        from_file(path)


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_pickle_in_disguise_is_never_loaded(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(pickle.dumps(Bomb()))
    why = "not text in UTF-8" if suffix in ("csv", "tsv") else "never loaded"
    with pytest.raises(ValueError, match=rf"a\.{suffix}.*{why}"):
        from_file(path)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_object_arrays_are_never_unpickled(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    WRITERS[suffix](path, np.array([[Bomb()]], dtype=object))
    with pytest.raises(ValueError, match=rf"a\.{suffix}.*never loaded"):
        from_file(path)


def test_what_cannot_be_read_beside_the_array_that_is_asked_for_does_not_matter(tmp_path):
    np.savez(tmp_path / "a.npz", D=D, names=np.array([Bomb()], dtype=object))
    cell = np.empty((1, 2), dtype=object)
    cell[:] = [[np.ones(2), np.ones(3)]]
    savemat(tmp_path / "a.mat", {"D": D, "names": cell})
    torch_file({"D": torch.tensor(D), "names": torch.ones(2, 2, dtype=torch.bfloat16)},
               tmp_path / "a.safetensors")  # fmt: skip
    for path in sorted(tmp_path.iterdir()):
        assert np.array_equal(from_file(path, variable="D").D, D, equal_nan=True)
        with pytest.raises(ValueError, match=r"holds several arrays.*D \(2, 3\)"):
            from_file(path)
        with pytest.raises(ValueError, match=r"never loaded|not real numbers"):
            from_file(path, variable="names")


def test_duplicates_of_a_sparse_file_are_summed(tmp_path):
    twice = sparse.csr_matrix((np.ones(4, np.uint8), [0, 0, 1, 1], [0, 2, 4]), shape=(2, 3))
    sparse.save_npz(tmp_path / "a.npz", twice)
    read = from_file(tmp_path / "a.npz").D
    assert read.nnz == 2 and np.array_equal(read.toarray(), twice.toarray())


@pytest.mark.parametrize(
    "array, message",
    [
        (np.array([["a", "b"]]), "not real numbers"),
        (np.array([[1 + 2j]]), "complex128, not real numbers"),
        (np.ones(3), r"shape \(3,\)"),
        (np.ones((2, 3, 4)), r"shape \(2, 3, 4\)"),
        (np.ones((0, 3)), r"shape \(0, 3\)"),
    ],
)
def test_an_array_that_is_no_real_matrix_is_refused(tmp_path, array, message):
    path = tmp_path / "a.npy"
    np.save(path, array)
    with pytest.raises(ValueError, match=message) as error:
        from_file(path)
    assert str(path) in str(error.value)


def test_cells_of_matlab_are_refused(tmp_path):
    path = tmp_path / "a.mat"
    cell = np.empty((1, 2), dtype=object)
    cell[:] = [[np.ones(2), np.ones(3)]]
    savemat(path, {"A": cell})
    with pytest.raises(ValueError, match="object, not real numbers"):
        from_file(path)


def images(folder, **extra):
    """Three images of 2 × 3 pixels, one in colour, and what they hold as greys from 0 to 1."""
    grey = np.array([[0, 51, 102], [153, 204, 255]], np.uint8)
    skimage.io.imsave(folder / "b.png", grey, check_contrast=False)
    skimage.io.imsave(folder / "a.PNG", 255 - grey, check_contrast=False)
    skimage.io.imsave(folder / "c.png", np.stack([grey] * 3, axis=-1), check_contrast=False)
    (folder / "notes.txt").write_text("no image")
    return np.array([255 - grey, grey, grey]).reshape(3, -1) / 255


def test_a_folder_of_images_is_a_matrix_in_the_order_of_their_names(tmp_path):
    expected = images(tmp_path)
    own = from_file(tmp_path)
    np.testing.assert_allclose(own.D, expected)
    assert own.image_shape == (2, 3) and own.samples.tolist() == ["a.PNG", "b.png", "c.png"]


def test_a_folder_that_is_no_matrix_says_which_image_is_at_fault(tmp_path):
    with pytest.raises(IsADirectoryError, match="holds no images"):
        from_file(tmp_path)
    images(tmp_path)
    skimage.io.imsave(tmp_path / "d.png", np.zeros((3, 3), np.uint8), check_contrast=False)
    with pytest.raises(ValueError, match=r"d.png is an image of shape \(3, 3\), but a.PNG has"):
        from_file(tmp_path)
    (tmp_path / "d.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"d\.png cannot be read"):
        from_file(tmp_path)
