"""The benchmarks run, and count what they say they count; how many seconds is nobody's test."""

import json
import math
import subprocess
import sys
from pathlib import Path

import nmf
import numpy as np
import pytest
from measure import Run, machine, peak_memory, race, row
from sklearn.decomposition import NMF
from sklearn.decomposition._nmf import _initialize_nmf

BENCH = Path(__file__).with_name("bench.py")
SCALE = 0.01


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> list[dict]:
    out = tmp_path_factory.mktemp("bench") / "new" / "bench.json"
    only = "(target|digits|cost).*float32|sae (step|epoch large|overcomplete nonneg.*128)"
    subprocess.run(
        [sys.executable, BENCH, "--only", only, "--scale", str(SCALE), "--out", out],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return json.loads(out.read_text())


def test_every_row_keeps_what_was_promised(rows):
    assert len({row["name"] for row in rows}) == len(rows) == 15
    for found in rows:
        assert found["ours"] > 0 and found["peer"] > 0
        assert found["ratio"] == pytest.approx(found["peer"] / found["ours"])
        assert found["ours_wall"] > 0 and found["peer_wall"] > 0
        assert found["precision"] == "float32"
        assert (found["met"] is None) == (found["bar"] is None)
        assert found["machine"] == machine() | {"threads": 1}


def test_both_sides_reach_the_goal_and_no_sooner(rows):
    for found in rows:
        if "goal" in found:
            assert found["objective"] <= found["goal"] and found["peer_objective"] <= found["goal"]


def test_the_goal_is_what_scikit_learn_reaches_in_one_long_run(rows):
    found = next(row for row in rows if row["name"] == "nmf target digits float32")
    D, _ = nmf.load("digits", "float32", SCALE)
    start = _initialize_nmf(D, 16, init="nndsvda", random_state=0)

    def reached(iterations):
        model = NMF(16, init="custom", tol=0, max_iter=iterations)
        H = model.fit_transform(D, W=start[0].copy(), H=start[1].copy())
        error = D.astype(float) - H.astype(float) @ model.components_.astype(float)
        return np.sum(error**2) / np.sum(D.astype(float) ** 2)

    assert found["goal"] == pytest.approx(1.001 * reached(found["converged_iterations"]), rel=1e-6)
    assert reached(found["peer_iterations"] - 1) > found["goal"]


def test_both_sides_take_the_same_steps(rows):
    losses = [found for found in rows if found["name"].startswith("sae step")]
    assert len(losses) == 4
    for found in losses:
        assert found["objective"] == pytest.approx(found["peer_objective"], rel=1e-5)


def test_the_mean_of_the_ratios_is_geometric(rows):
    ratios = {row["name"]: row["ratio"] for row in rows if "target" in row["name"]}
    mean = ratios.pop("nmf target geometric mean float32")
    assert mean == pytest.approx(math.prod(ratios.values()) ** (1 / len(ratios)))


def test_the_least_number_of_iterations_is_found():
    for goal in range(1, 51):
        assert nmf.least(lambda count, goal=goal: count >= goal, 50) == goal
    assert nmf.least(lambda count: count >= 51, 50) is None


def test_runs_take_turns():
    turns = []
    first, second = race(2, lambda: turns.append("a"), lambda: turns.append("b") or 7)
    assert turns == ["a", "b", "a", "b"]
    assert (first.result, second.result) == (None, 7)


def test_what_never_ends_has_no_seconds_and_misses_its_bar():
    never, peer = race(1, None, lambda: None)
    found = row("never", never, peer, bar=("ratio", "≥", 2))
    assert (found["ours"], found["ratio"], found["met"]) == (None, 0, False)
    assert json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(("ratio", "met"), [(1.9, False), (2, True), (2.1, True)])
def test_a_bar_is_met_from_its_limit_on(ratio, met):
    assert row("x", Run(1, 1), Run(ratio, 1), bar=("ratio", "≥", 2))["met"] is met


def test_peak_memory_counts_arrays_that_are_gone_but_not_files(tmp_path):
    size = 2**26
    stored = tmp_path / "data.npy"
    np.save(stored, np.ones(size // 8))

    def run():
        assert np.load(stored, mmap_mode="r").sum() == size / 8
        for _ in range(3):
            np.ones(size // 8).sum()

    assert peak_memory(run) == pytest.approx(size, rel=0.05)


@pytest.mark.slow
def test_memory_is_measured_on_both_sides():
    (found,) = nmf.memory("sparse", SCALE)
    assert found["memory"] >= 0 and found["peer_memory"] >= 0


def test_the_record_of_an_accelerator_has_numbers_or_reasons(tmp_path):
    out = tmp_path / "record.json"
    script = BENCH.with_name("accelerator.py")
    subprocess.run(
        [sys.executable, script, out, "--small", "--device", "cpu", "--seconds", "20"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    record = json.loads(out.read_text())
    for found in record["steps"].values():
        for name, step in found.items():
            ours = name in ("ours", "ours, selected codes", "ours, dense", "dense autograd")
            assert ("failed" in step) or step["tokens_per_second"] > 0
            assert not ("failed" in step and ours)
        losses = [found[name]["losses"] for name in ("ours", "ours, selected codes")]
        for own in losses:
            assert own == pytest.approx(found["dense autograd"]["losses"], rel=0.02)
    for way, difference in record["gradients"].items():
        assert difference < (0.3 if "bfloat16" in way else 1e-5)
    assert all(ratios == [1] * len(ratios) for ratios in record["fits"].values())
