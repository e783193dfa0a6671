"""The table and the picture of a sweep, and the published records."""

import json
import shutil
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import SUM, write
from typer.testing import CliRunner

from partsrep.__main__ import app
from partsrep.runs import RunError, picture, records, results, sweep
from partsrep.runs.published import check, differences, publish
from partsrep.runs.records import as_lines, validate
from partsrep.runs.results import tidy


def command(*arguments) -> tuple[int, str]:
    """Run ``partsrep`` within this process: the exit code and what it said."""
    ran = CliRunner().invoke(app, list(map(str, arguments)))
    return ran.exit_code, ran.output


@pytest.fixture
def some(swept) -> list[dict]:
    """Records that a test may change."""
    return deepcopy(records(swept[0] / "out"))


def test_one_row_a_point_in_every_form(swept, tmp_path):
    out = swept[0] / "out"
    table = results(out)
    assert list(table.columns) == [
        *("seed", "noise", "sum", "error", "seconds", "cpu_seconds", "peak_memory", "host")
    ]
    assert table["seed"].tolist() == [0, 0, 1, 1, 2, 2], "in the order of the parameters"
    np.testing.assert_allclose(table["sum"], table["seed"] + table["noise"])
    csv, jsonl = tmp_path / "table.csv", tmp_path / "table.jsonl"
    code, _ = command("results", out, "--csv", csv, "--jsonl", jsonl)
    assert code == 0
    read = pd.read_csv(csv)
    assert read["sum"].tolist() == table["sum"].tolist()
    lines = [json.loads(line) for line in jsonl.read_text().splitlines()]
    for line in lines:
        validate(line)
    pd.testing.assert_frame_equal(results(jsonl), table)


def test_without_options_the_columns_are_named(swept):
    code, said = command("results", swept[0] / "out")
    assert code == 0 and "6 points; columns: seed, noise, sum, error" in said


def test_nested_and_clashing_metrics_have_names_of_their_own(some):
    some[0]["metrics"] = {"planted": {"mcc": 0.5}, "seed": 7, "error": 0.1}
    some[1] |= {"metrics": {}, "error": {"type": "KeyError", "message": "'a'", "cell": 2}}
    table = tidy(some[:2])
    assert set(table.attrs["metrics"]) == {"planted.mcc", "metrics.seed", "metrics.error"}
    failed = table[table["error"].notna()]
    assert failed["error"].tolist() == ["KeyError: 'a'"]
    assert failed["planted.mcc"].isna().all()


def test_two_metrics_of_one_name_are_refused_wherever_they_are_read(some, tmp_path):
    some[0]["metrics"] = {"a": {"b": 1}, "a.b": 2}
    (tmp_path / "some.jsonl").write_text(as_lines(some))
    with pytest.raises(RunError, match=r"line 1: metrics\['a'\]\['b'\] and metrics\['a.b'\]"):
        records(tmp_path / "some.jsonl")
    with pytest.raises(RunError, match="rename one"):
        tidy(some)
    some[0]["metrics"] = {"seed": 1, "metrics": {"seed": 2}}
    with pytest.raises(RunError, match=r"would both be the column 'metrics\.seed'"):
        tidy(some)


def test_a_key_that_comes_twice_is_refused_and_an_empty_line_is_none(some, tmp_path):
    lines = as_lines(some)
    path = tmp_path / "some.jsonl"
    path.write_text(lines.replace("\n", "\n\n"))
    assert len(records(path)) == 6
    path.write_text(lines.replace('"sum": ', '"sum": 7, "sum": ', 1))
    with pytest.raises(RunError, match="line 1: The key 'sum' comes twice"):
        records(path)


def test_parameters_are_shown_as_they_are_whatever_their_name_and_kind(some):
    """Named like the table's own columns, None, lists, texts: no column is there twice."""
    for record, value in zip(some, [None, 3, None, 3, 5, 5], strict=True):
        own = {"error": 1, "seconds": [value], "k": value, "data": f"a{value}", "seed": 0}
        record |= {"parameters": own, "metrics": {"sum": 1.0, "seconds": 2.0}}
    table = tidy(some)
    assert table.attrs["parameters"] == [
        *("parameters.error", "parameters.seconds", "k", "data", "seed")
    ]
    assert table.attrs["metrics"] == ["sum", "metrics.seconds"]
    assert table.columns.is_unique and table["error"].isna().all()
    assert table["k"].tolist() == [3, 3, 5, 5, None, None]
    for x in ("k", "data", "parameters.seconds"):
        axes = picture(table, x, "seed", "sum").axes[0]
        assert len(axes.get_xticklabels()) == 3, "None is a value like others"
    picture(table, "seed", "sum", "parameters.seconds")


def test_two_factors_make_a_heat_map_of_means(some):
    again = deepcopy(some)
    for record in again:
        record["metrics"]["sum"] += 1.0
    figure = picture(tidy(some + again), "noise", "seed", "sum")
    [image] = figure.axes[0].images
    expected = [[seed + noise + 0.5 for noise in (0.0, 0.1)] for seed in (0, 1, 2)]
    np.testing.assert_allclose(image.get_array(), expected)
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["0", "0.1"]
    assert figure.axes[1].get_ylabel() == "sum\n± 6.4 at most"  # Student's 12.7 times 0.5


def test_a_metric_against_a_factor_is_a_line_for_each_of_another(some):
    groups = picture(tidy(some), "noise", "sum", "seed").axes[0].containers
    assert [group.get_label() for group in groups] == ["seed = 0", "seed = 1", "seed = 2"]
    np.testing.assert_allclose(groups[2].lines[0].get_ydata(), [2.0, 2.1])


def test_the_command_draws(swept, tmp_path):
    out = shutil.copytree(swept[0] / "out", tmp_path / "out")
    code, said = command("results", out, "--x", "noise", "--y", "seed", "--color", "sum")
    assert code == 0 and Path(said.strip()) == out / "figure.png"
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_said(some, tmp_path):
    for record, seed in zip(some, range(6), strict=True):
        record["parameters"]["seed"] = seed
    jsonl = tmp_path / "some.jsonl"
    jsonl.write_text(as_lines(some))
    command_line = "results", jsonl, "--x", "noise", "--y", "sum"
    code, said = command(*command_line, "--color", "seed")
    assert code == 2 and "It cannot be drawn: groups may hold 4 at most" in said
    code, said = command(*command_line, "--figure", tmp_path / "figure.xyz")
    assert code == 2 and "'xyz' is not supported" in said
    code, said = command("results", jsonl, "--figure", tmp_path / "figure.png")
    assert code == 2 and "give --x and --y too" in said


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"[" * 100_000, b"NaN", b"[1]", b"{"],
    ids=["binary", "deep", "NaN", "list", "torn"],
)
def test_what_is_no_record_is_named(tmp_path, content):
    (tmp_path / "a").mkdir()
    for path, where in ((tmp_path / "a/record.json", tmp_path), (tmp_path / "b.jsonl",) * 2):
        path.write_bytes(content)
        with pytest.raises(RunError, match=path.name):
            results(where)


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        (("nose", "sum", None), "x must be one of seed, noise; got 'nose'"),
        (("noise", None, None), "y must be one of seed, sum, .*; got None"),
        (("noise", "noise", "sum"), "y must be one of seed, sum, .*; got 'noise'"),
        (("text", "sum", None), "x must be one of seed, noise; got 'text'"),
        (("noise", "seed", None), "color must be one of sum, .*; got None"),
        (("noise", "sum", "sum"), "color must be one of seed, noise; got 'sum'"),
    ],
)
def test_wrong_columns_are_errors_that_show_the_right_ones(some, axes, words):
    if "text" in axes:
        for record in some:
            record["parameters"]["text"] = "planted"
    with pytest.raises(RunError, match=words):
        picture(tidy(some), *axes)


def test_nothing_to_show_is_an_error(swept, some, tmp_path):
    with pytest.raises(RunError, match="no records in"):
        results(tmp_path)
    for record in some:
        record |= {"metrics": {}, "error": {"type": "E", "message": "", "cell": None}}
    table = tidy(some)
    table["sum"] = np.nan
    with pytest.raises(RunError, match="nothing to plot"):
        picture(table, "noise", "seed", "sum")
    torn = shutil.copytree(swept[0] / "out", tmp_path / "out")
    next(torn.glob("*/record.json")).write_text('{"metrics": {}}')
    code, said = command("results", torn)
    assert code == 2 and "record.json: Not the record of a point" in said


NEWER = "metrics = {'sum': 1000 + seed + noise}"


@pytest.fixture
def newer(swept, scheduler, tmp_path, monkeypatch) -> Path:
    """That sweep, and in the same folder, for four of the points, another of an edited notebook."""
    folder = shutil.copytree(swept[0], tmp_path / "newer")
    monkeypatch.chdir(folder)
    write(folder / "tiny.ipynb", NEWER)
    (folder / "fewer.yml").write_text("grid: {seed: [0, 1], noise: [0.0, 0.1]}")
    assert sweep("tiny.ipynb", "fewer.yml", "out", scheduler=scheduler).done == 4
    assert len(list(folder.glob("out/*/record.json"))) == 10
    return folder


def test_results_are_those_of_the_newest_sweep(newer, tmp_path):
    with pytest.warns(UserWarning, match="^6 records in out are not of its newest sweep"):
        table = results("out")
    assert len(table) == 4
    np.testing.assert_allclose(table["sum"], 1000 + table["seed"] + table["noise"])
    code, said = command("results", "out", "--csv", "t.csv", "--jsonl", "t.jsonl")
    assert code == 0 and said.startswith("6 records in out are not of its newest sweep")
    assert pd.read_csv("t.csv")["sum"].min() == 1000 and len(records("t.jsonl")) == 4
    code, said = command("results", "out", "--x", "noise", "--y", "seed", "--color", "sum")
    assert code == 0 and "6 records" in said


def test_the_older_notebook_or_grid_is_the_newest_sweep_again(newer, scheduler):
    """All its points are done; the plan alone changes."""
    write(newer / "tiny.ipynb")
    ended = sweep("tiny.ipynb", "grid.yml", "out", scheduler=scheduler)
    assert (ended.done, ended.cached) == (0, 6)
    with pytest.warns(UserWarning, match="^4 records"):
        table = results("out")
    assert len(table) == 6 and table["sum"].max() < 1000
    sweep("tiny.ipynb", "fewer.yml", "out", scheduler=scheduler)
    with pytest.warns(UserWarning, match="^6 records"):
        assert sorted(set(results("out")["seed"])) == [0, 1], "a point that has left the grid"


def test_a_newest_sweep_without_records_shows_no_older_ones(newer):
    plan = json.loads(Path("out/plan.json").read_text())
    Path("out/plan.json").write_text(json.dumps(plan | {"points": ["0" * 16]}))
    with pytest.raises(RunError, match="no records in out: 10 records in out are not of its"):
        results("out")


def test_without_a_plan_several_versions_are_refused(newer, tmp_path):
    """As in a file of lines, or in a folder of before there were plans, or whose plan is torn."""
    Path("out/plan.json").write_text("{")
    with pytest.raises(RunError, match="of 2 versions of the notebook"):
        results("out")
    code, said = command("results", "out", "--csv", "t.csv")
    assert code == 2 and "2 versions" in said and not Path("t.csv").exists()
    lines = [json.loads(path.read_text()) for path in sorted(Path("out").glob("*/record.json"))]

    def stored(found: list[dict]) -> Path:
        Path("t.jsonl").write_text("".join(json.dumps(record) + "\n" for record in found))
        return Path("t.jsonl")

    with pytest.raises(RunError, match="2 versions"):
        results(stored(lines))
    other = [line | {"code": "0" * 16} for line in lines[:1]]
    with pytest.raises(RunError, match="2 versions"):
        results(stored([line for line in lines if line["metrics"]["sum"] < 1000] + other))
    old = [{k: v for k, v in line.items() if k != "notebook_code"} for line in lines]
    with pytest.raises(
        RunError, match="several versions, or of several sweeps: 2 are of the point"
    ):
        results(stored(old))
    alone = [record for record in old if record["metrics"]["sum"] < 1000]
    assert len(results(stored(alone))) == 6, "records of before they said their version"


@pytest.fixture
def project(swept, tmp_path) -> Path:
    """A repository with one published sweep, the one of the others' tests."""
    root = tmp_path / "project"
    (root / "book/results").mkdir(parents=True)
    shutil.copytree(swept[0] / "out", root / "build/sweeps/tiny")
    shutil.copy(swept[0] / "tiny.ipynb", root)
    shutil.copy(swept[0] / "grid.yml", root / "book/results/tiny.yml")
    listed = "tiny: {notebook: tiny.ipynb, rtol: 0.01, atol: 0.001}"
    (root / "book/results/sweeps.yml").write_text(listed)
    publish(root)  # nothing is left to run
    return root


def change(root: Path, place: int, **changes) -> None:
    stored = root / "book/results/tiny.jsonl"
    lines = stored.read_text().splitlines()
    lines[place] = json.dumps(json.loads(lines[place]) | changes)
    stored.write_text("\n".join(lines) + "\n")


def test_published_records_come_in_the_order_of_the_grid(project):
    found = records(project / "book/results/tiny.jsonl")
    assert [(r["parameters"]["seed"], r["parameters"]["noise"]) for r in found] == [
        (seed, noise) for seed in (0, 1, 2) for noise in (0.0, 0.1)
    ]
    assert not list((project / "book/results").glob("*.part"))


def test_published_records_are_of_the_notebook_as_it_is(project):
    """After an edit, and again: the folder holds records of both versions."""
    for code, least in ((NEWER, 1000), (SUM, 0), (NEWER, 1000)):
        write(project / "tiny.ipynb", code)
        publish(project)
        found = records(project / "book/results/tiny.jsonl")
        sums = [r["parameters"]["seed"] + r["parameters"]["noise"] + least for r in found]
        np.testing.assert_allclose([record["metrics"]["sum"] for record in found], sums)
        assert len({record["notebook_code"] for record in found}) == 1
    (project / "book/results/tiny.yml").write_text("grid: {seed: [2], noise: [0.1]}")
    publish(project)
    [record] = records(project / "book/results/tiny.jsonl")
    assert record["metrics"]["sum"] == 1002.1


def test_a_sweep_that_is_listed_twice_is_an_error(project):
    listed = project / "book/results/sweeps.yml"
    listed.write_text(f"{listed.read_text()}\n{listed.read_text()}")
    with pytest.raises(RunError, match="key 'tiny' comes twice"):
        publish(project)


def test_a_stale_record_fails_and_one_within_its_tolerance_does_not(project):
    change(project, 0, metrics={"sum": 0.0009})
    change(project, 2, metrics={"sum": 1.009})
    change(project, 5, metrics={"sum": 2.2})
    [stale] = check(project, sample=6, seed=0)
    assert stale == "tiny, {'seed': 2, 'noise': 0.1}: metrics.sum was 2.2, now is 2.1"


def test_a_point_whose_data_are_elsewhere_is_left_out_and_named(project, capsys):
    absent = "from partsrep.datasets.files import DataNotFound\n" + SUM
    absent += "\nif seed == 2: raise DataNotFound('Put it at there.')"
    absent += "\nif seed == 1 and noise: open('a file of the project')"
    write(project / "tiny.ipynb", absent)
    change(project, 0, metrics={"sum": 7.0})
    first, second, *_ = check(project, sample=6, seed=0)
    assert first == "tiny, {'seed': 0, 'noise': 0.0}: metrics.sum was 7.0, now is 0.0"
    assert second.startswith("tiny, {'seed': 1, 'noise': 0.1}")  # any other file is missed
    said = capsys.readouterr().out
    assert said.count("left out") == 2 and "'seed': 2" in said and "Put it at there." in said


def test_sweeps_of_one_notebook_are_run_again_together(project):
    """One of them sets less than the other, and some points are of both."""
    results = project / "book/results"
    with (results / "sweeps.yml").open("a") as listed:
        listed.write("\nseeds: {notebook: tiny.ipynb, rtol: 0, atol: 0}\n")
    (results / "seeds.yml").write_text("grid: {seed: [1, 2]}")
    lines = (results / "tiny.jsonl").read_text().splitlines()
    held = [record for record in map(json.loads, lines) if record["parameters"]["seed"]]
    default = held[0]["parameters"]["noise"]
    held = [record for record in held if record["parameters"]["noise"] == default]
    held[1]["metrics"]["sum"] = 7.0
    (results / "seeds.jsonl").write_text("\n".join(map(json.dumps, held)))
    [stale] = check(project, sample=6, seed=0)
    assert stale.startswith("seeds, {'seed': 2, ") and "metrics.sum was 7.0, now is 2.0" in stale


def test_records_that_are_made_once_stay(project):
    listed = project / "book/results/sweeps.yml"
    listed.write_text(listed.read_text().replace("}", ", once: true}"))
    write(project / "tiny.ipynb", NEWER)
    before = (project / "book/results/tiny.jsonl").read_bytes()
    publish(project)
    assert (project / "book/results/tiny.jsonl").read_bytes() == before


def test_a_mean_may_move_within_its_standard_error_and_no_further():
    """Ten starts find one of two minima: other starts are no difference, another is."""
    rng = np.random.RandomState(0)

    def mean(values):
        return {"mcc": values.mean(), "mcc_se": values.std(ddof=1) / len(values) ** 0.5}

    def starts(share, better=1.0):
        return mean(np.where(rng.uniform(size=10) < share, 0.86, better))

    shares = np.repeat([0.0, 0.02, 0.1, 0.3, 0.5, 0.9], 1000)
    alarms = [list(differences(starts(p), starts(p), 0.001, 1e-5)) for p in shares]
    assert np.mean(list(map(bool, alarms))) < 1e-3
    for share in (0.0, 0.1):
        assert list(differences(starts(share), starts(share, better=0.7), 0.001, 1e-5))
    assert list(differences(starts(0.0), starts(1.0), 0.001, 1e-5)), "each start elsewhere"


def test_a_standard_error_is_only_that_of_a_metric_of_its_name():
    assert list(differences({"a_se": 1.0}, {"a_se": 2.0}, 0, 0)) == ["a_se was 1.0, now is 2.0"]
    none = {"a": None, "a_se": None}
    assert not list(differences(none, none, 0, 0))
    assert list(differences({"a": 1.0, "a_se": None}, {"a": 1.1, "a_se": None}, 0, 0.05))
    assert list(differences({"a": 1.0, "a_se": 9.0}, none, 0, 0)) == ["a was 1.0, now is None"]


def test_records_of_two_versions_are_stale(project):
    change(project, 0, code="0" * 16)
    [stale] = check(project, sample=0, seed=0)
    assert stale.startswith("tiny: ") and "2 versions of the notebook or of the package" in stale


def test_records_must_be_those_of_the_grid(project, monkeypatch):
    grid = project / "book/results/tiny.yml"
    grid.write_text("grid: {seed: [0, 1, 2, 3], noise: [0.0]}")
    change(project, 0, error={"type": "E", "message": "", "cell": None})
    assert check(project, sample=0, seed=0) == [
        "tiny: 1 points of its grid have no record",
        "tiny: 3 records are of no point of its grid",
        "tiny: 1 records hold an error",
    ]
    monkeypatch.chdir(project)
    code, said = command("check", "--sample", 0, "--seed", 5)
    assert code == 1 and "--seed 5" in said and "make results" in said
