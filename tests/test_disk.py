"""Files appear whole or not at all, whoever writes them."""

import os

import pytest

from partsrep.disk import existing, write_whole


def test_an_older_file_is_replaced_and_nothing_else_is_left(tmp_path):
    for content in (b"older", b"newer"):
        write_whole(tmp_path / "a.bin", content)
    assert (tmp_path / "a.bin").read_bytes() == b"newer"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_what_fails_half_way_leaves_the_older_file_alone(tmp_path, monkeypatch, fails):
    write_whole(tmp_path / "a.bin", b"older")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, fails, full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "a.bin", b"newer")
    assert (tmp_path / "a.bin").read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_impossible_places_are_named(tmp_path):
    with pytest.raises(IsADirectoryError, match=r"The model cannot be written to .*folder"):
        write_whole(tmp_path, b"", "model")
    with pytest.raises(FileNotFoundError, match=r"no folder .*none; make it"):
        write_whole(tmp_path / "none" / "a.bin", b"")


def test_only_a_file_exists(tmp_path):
    (tmp_path / "a.bin").touch()
    assert existing(str(tmp_path / "a.bin")) == tmp_path / "a.bin"
    with pytest.raises(IsADirectoryError, match="a folder, not a file"):
        existing(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"b\.bin: there is no such file"):
        existing(tmp_path / "b.bin")
