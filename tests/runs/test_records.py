"""Records: whole or not there, and always JSON."""

import json
import os

import numpy as np
import pytest

from partsrep.runs.records import write_json, write_record


def test_numpy_numbers_become_json(tmp_path):
    path = tmp_path / "record.json"
    write_record(path, {"seed": np.int64(3)}, {"mcc": np.float32(0.5), "agree": np.bool_(True)})
    assert json.loads(path.read_text()) == {
        "parameters": {"seed": 3},
        "metrics": {"mcc": 0.5, "agree": True},
    }


def test_replaces_an_older_record_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "record.json"
    for seed in (0, 1):
        write_record(path, {"seed": seed}, {})
    assert json.loads(path.read_text())["parameters"] == {"seed": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("value", [float("nan"), np.inf, {"nested": [np.float64("nan")]}])
def test_nan_is_an_error_that_keeps_the_older_record(tmp_path, value):
    path = tmp_path / "record.json"
    write_record(path, {"seed": 0}, {})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="NaN or infinity"):
        write_record(path, {}, {"loss": value})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("value", [np.arange(3), np.arange(1), object(), {1, 2}])
def test_other_kinds_are_an_error_that_names_them(tmp_path, value):
    with pytest.raises(TypeError, match=f"^value in the record for .*{type(value).__name__}"):
        write_record(tmp_path / "record.json", {}, {"value": value})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("metrics", "keys"),
    [
        ({"a": {"b": 1}, "a.b": 2}, r"\['a'\]\['b'\] and metrics\['a.b'\]"),
        ({"a": {"b": {"c": 1}, "b.c": 2}}, r"\['a'\]\['b'\]\['c'\] and metrics\['a'\]\['b.c'\]"),
        ({1: 1, "1": 2}, r"\[1\] and metrics\['1'\]"),
        ({"a": {True: 1, "true": 2}}, r"\['a'\]\[True\] and metrics\['a'\]\['true'\]"),
        ({"seed": 1, "metrics": {"seed": 2}}, "'metrics.seed' and metrics 'seed' would both be"),
        ({"metrics.error": 1, "error": 2}, "'error' and metrics 'metrics.error' would both be"),
    ],
)
def test_metrics_that_would_have_one_name_are_an_error(tmp_path, metrics, keys):
    """A table would keep one of them and lose the other."""
    with pytest.raises(ValueError, match=keys):
        write_record(tmp_path / "record.json", {"seed": 0}, metrics)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"a": {"b": float("nan")}}, "^a.b in the record for .* NaN or infinity, write None"),
        ({"a": 10**5000}, "^a in the record for .*4300 digits"),
        ({float("nan"): 1}, "JSON cannot say it"),
        ({"a": np.arange(2)}, r"^a in .* no ndarray, but lists: call its tolist\(\)"),
        ([1], "^metrics must be a mapping"),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path, metrics, words):
    with pytest.raises((TypeError, ValueError), match=words):
        write_record(tmp_path / "record.json", {}, metrics)


def test_impossible_places_are_errors(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write_record(tmp_path, {}, {})
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_record(tmp_path / "file" / "record.json", {}, {})


def test_a_missing_folder_does_not_cost_the_run(tmp_path):
    path = tmp_path / "of" / "mine" / "record.json"
    write_record(path, {}, {"loss": 0.5})
    assert json.loads(path.read_text())["metrics"] == {"loss": 0.5}
    with pytest.raises(FileNotFoundError, match="no folder"):
        write_json(tmp_path / "missing" / "record.json", {})


def test_readable_like_any_new_file(tmp_path):
    """A temporary file is private; the record must not inherit that."""
    write_record(tmp_path / "record.json", {}, {})
    (tmp_path / "other").touch()
    modes = {os.stat(path).st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1
