"""What the notebooks glue reads in prose as a plain number or text."""

import json
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from partsrep.runs.notebook import glue_all, keep_record, mean


@pytest.fixture
def shell():
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(
    "value, text",
    [
        (3, "3"),
        (np.int64(3), "3"),
        (0.25, "0.25"),
        (np.float32(0.25), "0.25"),
        (np.array(0.25), "0.25"),
        (torch.tensor(0.25), "0.25"),
        (pd.Series([0.25, 0.5]).max(), "0.5"),
        (np.bool_(True), "True"),
        (None, "None"),
        ("digits", "'digits'"),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_a_value_is_glued_as_python_writes_it(value, text, shell):
    with capture_output() as shown:
        glue_all("a_", {"mapped": value}, named=value)
    glued = {out.metadata["scrapbook"]["name"]: out.data for out in shown.outputs}
    kind = "application/papermill.record/text/plain"
    assert {name: data[kind] for name, data in glued.items()} == {"a_mapped": text, "a_named": text}


def test_several_numbers_are_no_value():
    with pytest.raises(ValueError, match="size 1"):
        glue_all("a_", several=np.ones(2))


def test_a_record_leaves_out_what_is_no_number(tmp_path, monkeypatch):
    notebook = ModuleType("__main__")
    exec(f"seed: int = 3\nrecord_path: str = {str(tmp_path / 'record.json')!r}", vars(notebook))
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    within = {"mcc": 1.0, "mcc_within": np.nan}
    keep_record({"loss": np.float32(0.5), "gap": np.float32("nan"), "planted": within})
    assert json.loads((tmp_path / "record.json").read_text()) == {
        "parameters": {"seed": 3},
        "metrics": {"loss": 0.5, "planted": {"mcc": 1.0}},
    }


def test_a_mean_has_twice_its_standard_error():
    values = np.random.RandomState(0).standard_normal(12)
    number, within = mean("loss", values).values()
    assert number == pytest.approx(values.sum() / 12)
    variance = ((values - number) ** 2).sum() / 11
    assert within == pytest.approx(2 * (variance / 12) ** 0.5)
    # All pairs of twelve starts: six share none.
    assert mean("loss", values, 6)["loss_within"] == pytest.approx(2**0.5 * within)


@pytest.mark.filterwarnings("error")
def test_a_mean_without_an_interval_says_so():
    assert mean("loss", [3.0])["loss"] == 3 and np.isnan(mean("loss", [3.0])["loss_within"])
    assert np.isnan([*mean("loss", [1.0, 2.0, np.nan]).values()]).all()
