"""Rows of several files, read when they are asked for."""

import io
import pickle
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from partsrep.datasets.shards import shards

RNG = np.random.RandomState(0)
D = RNG.standard_normal((23, 4))
CUTS = (0, 7, 8, 23)


def write(path, array):
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        save_file({"acts": np.ascontiguousarray(array)}, path)
    return path


def cut(folder, suffixes, dtype=np.float64):
    """D in three files, with endings in turn."""
    return [
        write(folder / f"{i}{suffix}", D[begin:end].astype(dtype))
        for i, (begin, end, suffix) in enumerate(zip(CUTS[:-1], CUTS[1:], suffixes, strict=True))
    ]


ENDINGS = [(".npy",) * 3, (".safetensors",) * 3, (".npy", ".safetensors", ".npy")]


@pytest.mark.parametrize("suffixes", ENDINGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_rows_are_those_of_the_array_in_one_piece(tmp_path, suffixes, dtype):
    stream, whole = shards(cut(tmp_path, suffixes, dtype)), D.astype(dtype)
    assert (stream.shape, stream.dtype, len(stream)) == (whole.shape, whole.dtype, len(whole))
    for rows in (
        slice(None),
        slice(5, 9),
        slice(-2, None),
        slice(20, 2, -3),
        slice(9, 9),
        [22, 0, 7, 7, -1],
        [],
        np.array([3, 8], np.uint8),
        RNG.permutation(len(D)),
        12,
        -23,
    ):
        np.testing.assert_array_equal(stream[rows], whole[rows])
        assert stream[rows].dtype == dtype
    np.testing.assert_array_equal(np.asarray(stream), whole)
    assert np.asarray(stream, np.float16).dtype == np.float16


@pytest.mark.parametrize("size", [1, 5, 23, 100])
def test_blocks_go_through_all_rows_in_order(tmp_path, size):
    blocks = list(shards(cut(tmp_path, ENDINGS[2])).blocks(size))
    assert {len(block) for block in blocks[:-1]} <= {size} and len(blocks[-1]) <= size
    np.testing.assert_array_equal(np.vstack(blocks), D)


def test_one_path_of_one_file_and_the_order_of_several(tmp_path):
    first, _, third = cut(tmp_path, ENDINGS[0])
    np.testing.assert_array_equal(shards(str(first))[:], D[:7])
    np.testing.assert_array_equal(shards(p for p in (third, first))[:], np.vstack((D[8:], D[:7])))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_exactly_as_float32(tmp_path, dtype):
    half = torch.tensor(D).to(dtype)
    save_tensors({"acts": half}, tmp_path / "half.safetensors")
    stream = shards(tmp_path / "half.safetensors")
    assert stream.dtype == np.float32
    np.testing.assert_array_equal(stream[:], half.to(torch.float32).numpy())


def test_bytes_in_the_other_order(tmp_path):
    np.save(tmp_path / "big.npy", D.astype(">f8"))
    assert shards(tmp_path / "big.npy")[:].dtype.isnative
    np.testing.assert_array_equal(shards(tmp_path / "big.npy")[2:], D[2:])


def test_one_tensor_of_several(tmp_path):
    path = tmp_path / "layers.safetensors"
    save_file({"a": np.zeros((3, 4)), "b": D, "c": np.arange(3)}, path)
    np.testing.assert_array_equal(shards(path, variable="b")[:], D)
    for wrong in (None, "d"):
        with pytest.raises(ValueError, match=r"variable=.*a \(3, 4\), b \(23, 4\), c \(3,\)"):
            shards(path, variable=wrong)


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_no_file_is_loaded_whole(tmp_path, suffix):
    path = write(tmp_path / f"large{suffix}", np.ones((40_000, 64), np.float32))
    stream = shards([path] * 3)
    tracemalloc.start()
    stream[[0, 50_000, 119_999]]
    next(stream.blocks(100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 20


def test_it_travels_to_other_processes_as_paths(tmp_path):
    stream = shards(write(tmp_path / "a.npy", np.ones((1000, 64))))
    sent = pickle.dumps(stream)
    assert len(sent) < 2000
    np.testing.assert_array_equal(pickle.loads(sent)[-2:], stream[-2:])


def test_rows_that_are_not_there(tmp_path):
    stream = shards(cut(tmp_path, ENDINGS[0]))
    for row in (23, -24, [0, 99]):
        with pytest.raises(IndexError, match="no row"):
            stream[row]
    for rows in (D[:, 0] > 0, [0.5], "all", np.zeros((2, 2), int), (slice(2), 1)):
        with pytest.raises(IndexError, match="slice"):
            stream[rows]


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_what_is_not_finite_is_found_where_it_is_read(tmp_path, suffix, value):
    spoilt = D.copy()
    spoilt[5, 2] = value
    whole = write(tmp_path / "whole.npy", D)
    stream = shards([whole, write(tmp_path / f"spoilt{suffix}", spoilt)])
    np.testing.assert_array_equal(stream[: 23 + 5], np.vstack((D, spoilt))[: 23 + 5])
    with pytest.raises(ValueError, match=rf"spoilt{suffix} holds NaN or infinity in row 5"):
        stream[[0, 23, 22 + 23, 23 + 5]]


@pytest.mark.parametrize("suffixes", ENDINGS)
def test_extremes_and_other_precisions(tmp_path, suffixes, monkeypatch):
    monkeypatch.setattr(sys.modules["partsrep.datasets.shards"], "BLOCK", 20)  # of five rows
    stream = shards(cut(tmp_path, suffixes))
    assert stream.extremes == (D.min(), D.max())
    single = stream.astype(np.float32)
    assert (single.dtype, single.shape, stream.dtype) == (np.float32, D.shape, np.float64)
    np.testing.assert_array_equal(single[:], D.astype(np.float32))
    assert single[[3, 9]].dtype == single[3].dtype == next(single.blocks(2)).dtype == np.float32
    assert repr(single) == "Shards(3 files, 23 x 4, float32)"
    np.testing.assert_array_equal(single.astype("float64")[:], D)


def test_a_batch_opens_each_file_once_and_reads_rows_that_lie_together_at_once(
    tmp_path, monkeypatch
):
    """Many small files cost what is read of them, not their number times the batch."""
    stream = shards([write(tmp_path / f"{i}.npy", D) for i in range(5)])
    calls = {"open": 0, "read": 0}

    class Counted(io.BufferedReader):
        def __init__(self, path, mode):
            super().__init__(io.FileIO(path, mode))
            calls["open"] += 1

        def readinto(self, buffer):
            calls["read"] += 1
            return super().readinto(buffer)

    module = sys.modules["partsrep.datasets.shards"]
    monkeypatch.setattr(module, "open", Counted, raising=False)
    rows = np.array([25, 3, 24, 2, 100, 50, 26, 101, 4])
    np.testing.assert_array_equal(stream[rows], np.tile(D, (5, 1))[rows])
    assert calls == {"open": 4, "read": 4}
    stream[:]
    assert calls == {"open": 9, "read": 9}


def test_no_files():
    with pytest.raises(ValueError, match="at least one file"):
        shards([])


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        shards(tmp_path / "missing.npy")
    with pytest.raises(IsADirectoryError, match="a folder, not a file"):
        shards(tmp_path)


@pytest.mark.parametrize(
    "other, what",
    [
        (D[:, :3], "3 columns, but .* has 4"),
        (D.astype(np.float32), "another kind"),
        (D[0], "shape"),
        (D[:0], "shape"),
        (D.astype(int), "int64|I64"),
        (D.astype(np.uint16), "uint16|U16"),
        (D > 0, "bool|BOOL"),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_files_that_do_not_fit(tmp_path, suffix, other, what):
    whole, path = write(tmp_path / "whole.npy", D), write(tmp_path / f"other{suffix}", other)
    with pytest.raises(ValueError, match=what) as error:
        shards([whole, path])
    assert str(path) in str(error.value)


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
@pytest.mark.parametrize("left", [0, 5, 40, 300, -1])
def test_a_truncated_file(tmp_path, suffix, left):
    path = write(tmp_path / f"short{suffix}", D)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(ValueError, match=rf"short{suffix} (cannot be read|is empty)"):
        shards(path)


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_a_file_that_changes_afterwards(tmp_path, suffix):
    path = write(tmp_path / f"changed{suffix}", D)
    stream = shards(path)
    path.write_bytes(path.read_bytes()[:-9])
    np.testing.assert_array_equal(stream[:22], D[:22])
    for rows in (-1, slice(None), [0, 22]):
        with pytest.raises(ValueError, match=f"changed{suffix} is shorter than it was"):
            stream[rows]


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_pickles_and_other_formats(tmp_path, suffix):
    path = tmp_path / f"disguised{suffix}"
    for content in (pickle.dumps(D), b"PK\x03\x04" + bytes(200), b"text, not numbers"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"disguised{suffix} cannot be read"):
            shards(path)
    np.save(tmp_path / "objects.npy", np.array([[{}]]), allow_pickle=True)
    for name in ("objects.npy", "table.csv"):
        (tmp_path / "table.csv").touch()
        with pytest.raises(ValueError, match=name):
            shards(tmp_path / name)


def test_columns_first_would_need_the_whole_file(tmp_path):
    np.save(tmp_path / "columns.npy", np.asfortranarray(D))
    with pytest.raises(ValueError, match=r"column by column.*ascontiguousarray"):
        shards(tmp_path / "columns.npy")
