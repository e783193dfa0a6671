"""The registered prediction: written down first, of these matrices, by this predictor."""

import json
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from partsrep import datasets
from partsrep.runs.results import records
from partsrep.study.registered import foretold

ROOT = Path(__file__).parents[2]
FILE, OUTCOMES = (f"book/results/registered.{kind}" for kind in ("json", "jsonl"))
HELD = json.loads((ROOT / FILE).read_text())
POINTS = {(p["matrix"], p["n_components"], p["autoencoder"]): p for p in HELD["predictions"]}
CAME = {
    tuple(record["parameters"][name] for name in ("matrix", "n_components", "autoencoder")): record
    for record in records(ROOT / OUTCOMES)
}


def git(*arguments: str) -> bytes:
    ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)
    if ran.returncode:
        pytest.skip(f"no history here: {ran.stderr.decode().strip()}")
    return ran.stdout


def test_the_predictions_were_committed_before_the_outcomes_and_not_changed():
    first, *more = git("log", "--format=%H", "--reverse", "--", FILE).decode().split()
    assert not more, "the registered file was changed"
    outcomes = git("log", "--format=%H", "--reverse", "--", OUTCOMES).decode().split()
    for commit in outcomes:
        assert commit != first
        assert git("merge-base", first, commit).decode().strip() == first


def test_the_file_names_its_predictor():
    by = HELD["predictor"]
    for path, digest in by["sha256"].items():
        assert sha256(git("show", f"{by['commit']}:{path}")).hexdigest() == digest
    assert "partsrep/study/prediction.py" in by["sha256"]


def test_there_are_as_many_of_each_kind_as_are_asked_for():
    names = [matrix.split()[0] for matrix, *_ in POINTS]
    generated = [name for name in names if name in datasets.generators.LOADERS]
    layers = [name for name in names if name in datasets.networks.LOADERS]
    assert len(POINTS) == len(HELD["predictions"]) >= 50
    assert len(generated) >= 15 and len(layers) >= 20 and len(set(layers)) >= 5
    assert len(names) - len(generated) - len(layers) >= 20
    assert len({p["sha256"] for p in HELD["predictions"]}) == len(POINTS)


def test_each_has_a_probability_and_no_outcome():
    for point in HELD["predictions"]:
        assert 0 < point["probability"] < 1
        assert (point["probability"] > 0.5) == (point["agree"] == "agree") or (
            point["agree"] == "undetermined"
        )
        assert not {"verdict", "mcc", "excess", "agreement"} & set(point)


def test_outcomes_are_of_the_registered_matrices():
    assert set(CAME) <= set(POINTS)
    for point, record in CAME.items():
        assert record["error"] is None
        assert record["metrics"]["sha256"] == POINTS[point]["sha256"]


def test_a_registered_line_comes_out_again():
    point = POINTS["bars size=4", 8, "relu"]
    again = foretold(datasets.excerpt("bars size=4"), 8, "relu")
    assert {name: again[name] for name in ("sha256", "agree", "deciding_condition")} == {
        name: point[name] for name in ("sha256", "agree", "deciding_condition")
    }
    assert again["probability"] == pytest.approx(point["probability"], abs=0.01)
    assert again["excess_high"] == pytest.approx(point["excess_high"], rel=0.01)
