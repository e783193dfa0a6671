"""A sweep of tiny notebooks: what it leaves, what it repeats, how its points are kept apart."""

import json
import math
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from statistics import median

import jsonschema
import nbformat
import papermill
import pytest
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from tiny import PARAMETERS, RECORD, SUM, snapshot, write
from typer.testing import CliRunner

from partsrep.__main__ import app
from partsrep.runs import RunError, plan, sweep
from partsrep.runs.driver import _job
from partsrep.runs.parameters import read_notebook
from partsrep.runs.points import Job, package_code, run
from partsrep.runs.records import SCHEMA, validate


def command(*arguments: str) -> tuple[int, str]:
    """Run ``partsrep sweep`` within this process: the exit code and what it said."""
    ran = CliRunner().invoke(app, ["sweep", *arguments])
    return ran.exit_code, ran.output


@pytest.fixture
def project(swept, tmp_path, monkeypatch):
    """A copy of that, as the current folder."""
    monkeypatch.chdir(shutil.copytree(swept[0], tmp_path / "project"))


def test_every_point_is_one_executed_notebook_and_one_record(swept):
    folder, said = swept
    found = sorted((folder / "out").glob("*/record.json"))
    assert len(found) == 6
    sums = {}
    for path in found:
        assert sorted(p.name for p in path.parent.iterdir()) == ["executed.ipynb", "record.json"]
        record = json.loads(path.read_text())
        jsonschema.validate(record, SCHEMA)
        given = record["parameters"]
        assert record["seed"] == given["seed"]
        assert record["error"] is None
        assert record["machine"]["peak_memory"] > 2**20
        assert record["machine"]["cpu_seconds"] > 0
        assert set(given) == {"seed", "noise"}
        sums[given["seed"], given["noise"]] = record["metrics"]["sum"]
        executed = nbformat.read(path.parent / "executed.ipynb", as_version=4)
        printed = [o.text for cell in executed.cells for o in cell.get("outputs", [])]
        assert printed == [f"sum {given['seed'] + given['noise']}\n"]
    assert sums == {(s, n): s + n for s in (0, 1, 2) for n in (0.0, 0.1)}
    assert "Dashboard: http://127.0.0.1:" in said
    assert "6 done, 0 failed, 0 cached, 0 left" in said
    assert {p.name for p in (folder / "out").iterdir() if p.name.startswith(".")} == {".lock"}


def test_what_is_done_is_not_repeated(project):
    before = snapshot(Path("out"))
    ended = sweep("tiny.ipynb", "grid.yml", "out")
    assert (ended.done, ended.cached, ended.failed, ended.left) == (0, 6, 0, 0)
    assert snapshot(Path("out")) == before


def test_a_dry_run_prints_the_points_and_the_time_and_writes_nothing(project):
    Path("more.yml").write_text("grid: {seed: [0, 1, 2], noise: [0.0, 0.1, 0.2]}")
    before = snapshot(Path())
    arguments = ["tiny.ipynb", "--grid", "more.yml", "--workers", "2", "--dry-run", "--out"]
    code, said = command(*arguments, "out")
    assert code == 0
    assert said.count("to do ") == 3 and said.count("done  ") == 6
    assert "seed=2, noise=0.2" in said
    assert "9 points: 3 to do, 6 done, 0 failed" in said
    took = [json.loads(path.read_text()) for path in Path("out").glob("*/record.json")]
    each = median(record["machine"]["seconds"] for record in took)
    assert f"about {1.5 * each:.0f} s for 3 points at {each:.1f} s each on 2 workers" in said
    assert snapshot(Path()) == before
    code, said = command(*arguments, "elsewhere")
    assert code == 0 and "more than" in said and "--limit 3" in said
    assert not Path("elsewhere").exists()


def test_a_point_is_named_by_all_that_its_record_depends_on(project):
    def left():
        return len(plan("tiny.ipynb", "grid.yml", "out").todo)

    assert left() == 0
    write(Path("tiny.ipynb"), prose="# Other words")
    assert left() == 0, "prose does not compute"
    write(Path("tiny.ipynb"), code=SUM + " ")
    assert left() == 6
    write(Path("tiny.ipynb"), parameters=PARAMETERS.replace("# of the data", "# other"))
    assert left() == 6


def test_data_that_parameters_name_are_part_of_the_point(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("tiny.ipynb"), parameters=PARAMETERS + '\ndata: str = "planted"  # set or file')
    Path("mine.csv").write_text("1,2")
    grid = {"grid": {"data": ["planted", "planted, mine.csv"]}}
    generated, mine = plan("tiny.ipynb", grid, "out").todo
    assert generated.data == {}
    digest = subprocess.run(["sha256sum", "mine.csv"], capture_output=True, text=True).stdout
    assert mine.data == {"mine.csv": digest.split()[0]}
    Path("mine.csv").write_text("1,3")
    same, other = plan("tiny.ipynb", grid, "out").todo
    assert same == generated
    assert other.name != mine.name


@pytest.mark.parametrize(
    "value", ["mine.csv", ["mine.csv"], [["a", "b, mine.csv"]], {"a": "mine.csv"}]
)
def test_files_are_found_wherever_a_parameter_names_them(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    write(Path("tiny.ipynb"), parameters=f"{PARAMETERS}\ndata = {value!r}")
    names = set()
    for content in ("1,2", "1,3"):
        Path("mine.csv").write_text(content)
        [point] = plan("tiny.ipynb", {"seeds": 1}, "out").todo
        names.add(point.name)
    assert len(names) == 2


def test_a_torn_or_foreign_record_counts_as_none(project):
    torn, foreign, *_ = sorted(Path("out").glob("*/record.json"))
    torn.write_text(torn.read_text()[:-9])
    foreign.write_text('{"parameters": {}, "metrics": {}}')
    assert len(plan("tiny.ipynb", "grid.yml", "out").todo) == 2


@pytest.mark.parametrize(
    "wrong",
    [{"metrics": None}, {"extra": 1}, {"error": "x"}, {"code": ""}, {"data": {"a": "b"}}],
)
def test_the_schema_refuses(swept, wrong):
    record = json.loads(next((swept[0] / "out").glob("*/record.json")).read_text())
    validate(record)
    with pytest.raises(ValueError, match="Not the record of a point"):
        validate(record | wrong)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(record | wrong, SCHEMA)


def test_wrong_input_ends_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "tiny.ipynb")
    (tmp_path / "grid.yml").write_text("grid: {sead: [0]}")
    code, said = command("tiny.ipynb", "--grid", "grid.yml", "--out", "out")
    assert code == 2
    assert "no parameter 'sead'; it has seed: int = 0, noise: float = 0.0" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()
    with pytest.raises(RunError, match="No scheduler answers at tcp:"):
        sweep("tiny.ipynb", {"seeds": 1}, "out", scheduler="tcp://127.0.0.1:1")
    with pytest.raises(RunError, match="leave out one of the two"):
        sweep("tiny.ipynb", {"seeds": 1}, "out", scheduler="tcp://127.0.0.1:1", workers=2)


# Every form in which a cell may set a parameter; papermill's own reading gets most of it wrong.
MANY = """\
\"\"\"The parameters.\"\"\"
import math
%matplotlib inline
seed: int = 0  # of every draw
pair = (1, 2)
text = 'a = b # c'  # width = 2*height
lines = \"\"\"a
b\"\"\"
one, (two, three) = 1, (2, 3)
four = five = 4; six: int | None = None
nested = {"a": [1, (2, 3)],  # a = 1
          "b": {"c": None}}
long = \\
    -1.5e-3
print(seed)
record_path: str = ""  # where to write a record"""
NAMES = ["pair", "text", "lines", "one", "two", "three", "four", "five", "six", "nested", "long"]


def test_a_notebook_keeps_the_defaults_that_the_grid_leaves_out(scheduler, tmp_path):
    folder = tmp_path / "a {folder}"  # papermill fills in what stands in braces
    folder.mkdir()
    code = f"metrics = {{name: repr(globals()[name]) for name in {['seed', *NAMES]}}}"
    notebook = write(folder / "many.ipynb", code, MANY)
    grid = {"grid": {"seed": [1], "nested": [{"a": ['x"\\\n', 1e-5, None, True]}]}}
    ended = sweep(notebook, grid, folder / "out", scheduler=scheduler)
    assert ended.done == 1, ended
    [path] = (folder / "out").glob("*/record.json")
    record = json.loads(path.read_text())
    names = {}
    exec(MANY.replace("%matplotlib inline", ""), names)
    expected = (
        {name: names[name] for name in NAMES}
        | {"seed": 1}
        | {k: v[0] for k, v in grid["grid"].items()}
    )
    assert record["metrics"] == {name: repr(value) for name, value in expected.items()}
    assert record["parameters"] == json.loads(json.dumps(expected))
    cells = nbformat.read(path.with_name("executed.ipynb"), as_version=4).cells
    [given] = [c.source for c in cells if "injected-parameters" in c.metadata.get("tags", [])]
    assigned = [line.split(" = ")[0] for line in given.splitlines() if " = " in line]
    assert assigned == ["seed", "nested", "record_path"]


def test_a_notebook_without_a_kernel_or_of_an_old_format_runs(scheduler, tmp_path):
    code = {"cell_type": "code", "language": "python", "outputs": [], "metadata": {}}
    sources = [PARAMETERS, SUM, RECORD]
    cells = [code | {"input": source} for source in sources]
    cells[0]["metadata"] = {"tags": ["parameters"]}
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}}
    (tmp_path / "old.ipynb").write_text(json.dumps(old | {"worksheets": [{"cells": cells}]}))
    ended = sweep(tmp_path / "old.ipynb", {"seeds": [3]}, tmp_path / "out", scheduler=scheduler)
    assert ended.done == 1, ended
    [path] = (tmp_path / "out").glob("*/record.json")
    assert json.loads(path.read_text())["metrics"] == {"sum": 3.0}


DIRTY = """\
import json, os, random, sys, warnings
import matplotlib, numpy
metrics = {
    "drawn": [random.random(), numpy.random.rand()],
    "folder": os.getcwd(),
    "leaked": [
        os.environ.get("LEAK"), getattr(json, "leak", None), getattr(numpy, "leak", None),
        "leak" in globals(), "/leak" in sys.path, matplotlib.rcParams["lines.linewidth"],
        len(warnings.filters), len(numpy.geterr()), numpy.geterr()["divide"],
    ],
}
leak = json.leak = numpy.leak = os.environ["LEAK"] = "yes"
sys.path.append("/leak")
matplotlib.rcParams["lines.linewidth"] = 9
numpy.seterr(divide="raise")
warnings.simplefilter("error")
numpy.linalg.norm = None
os.chdir("/")"""


def test_a_point_alone_and_after_fifty_others_leaves_the_same_record(scheduler, tmp_path):
    notebook = write(tmp_path / "dirty.ipynb", DIRTY)
    many = sweep(notebook, {"seeds": 51}, tmp_path / "many", scheduler=scheduler)
    alone = sweep(notebook, {"grid": {"seed": 50}}, tmp_path / "alone", scheduler=scheduler)
    assert (many.done, alone.done) == (51, 1)
    [path] = (tmp_path / "alone").glob("*/record.json")
    records = [
        json.loads((tmp_path / f / path.parent.name / path.name).read_text())
        for f in ("many", "alone")
    ]
    times = [record.pop("machine")["finished"] for record in records]
    assert times[0] <= times[1]
    assert records[0] == records[1]
    assert records[0]["metrics"]["leaked"][:5] == [None, None, None, False, False]
    drawn = [
        json.loads(path.read_text())["metrics"]["drawn"]
        for path in (tmp_path / "many").glob("*/record.json")
    ]
    assert len(set(map(str, drawn))) == 51, "points without a seed of their own still differ"


def test_a_warm_kernel_gives_the_outputs_of_a_cold_one(scheduler, tmp_path):
    code = """\
import numpy as np, pandas as pd, sys, threading
from matplotlib import pyplot
from IPython.display import HTML, display
display(HTML("<b>x</b>"))
print("out"); print("err", file=sys.stderr)
pyplot.plot([1, 2, 3])
pyplot.show()
class Thing: pass
metrics = {"main": Thing.__module__, "threads": threading.active_count() > 0}
print(__name__, sys.stdin.read() if False else "", np.float64(0.5))
!echo from a shell
pd.DataFrame({"a": [1]})"""
    notebook = write(tmp_path / "rich.ipynb", code)
    ended = sweep(notebook, {"grid": {"seed": 0}}, tmp_path / "out", scheduler=scheduler)
    assert ended.done == 1, ended
    [warm] = (tmp_path / "out").glob("*/executed.ipynb")
    papermill.execute_notebook(
        notebook,
        tmp_path / "cold.ipynb",
        {"record_path": "x.json"},
        cwd=tmp_path,
        progress_bar=False,
    )
    merge = CoalesceStreamsPreprocessor()  # where a stream is cut depends on the machine's load
    read = [nbformat.read(path, as_version=4) for path in (warm, tmp_path / "cold.ipynb")]
    outputs = [[c.get("outputs") for c in merge.preprocess(nb, {})[0].cells] for nb in read]
    assert outputs[0] == outputs[1]
    assert any("image/png" in output.get("data", {}) for output in outputs[0][3])


def test_a_warm_kernel_has_what_the_package_imports_late(scheduler, tmp_path):
    code = """\
import sys
late = {"partsrep.estimators.nmf", "partsrep.figures", "partsrep.solvers.adam", "torch"}
metrics = {"missing": sorted(late - set(sys.modules))}
from partsrep import NMF, SAE, compare"""
    notebook = write(tmp_path / "late.ipynb", code)
    assert sweep(notebook, {"seeds": 1}, tmp_path / "out", scheduler=scheduler).done == 1
    [record] = (tmp_path / "out").glob("*/record.json")
    assert json.loads(record.read_text())["metrics"] == {"missing": []}


def test_a_notebook_without_a_record_path_has_no_metrics(scheduler, tmp_path):
    notebook = write(tmp_path / "tiny.ipynb", parameters="seed: int = 0  # of every draw")
    content = nbformat.read(notebook, as_version=4)
    content.cells = content.cells[:2]
    nbformat.write(content, notebook)
    ended = sweep(notebook, {"seeds": 2}, tmp_path / "out", scheduler=scheduler)
    assert ended.done == 2
    for path in (tmp_path / "out").glob("*/record.json"):
        assert json.loads(path.read_text())["metrics"] == {}


def test_workers_with_other_code_are_refused(tmp_path):
    notebook = write(tmp_path / "tiny.ipynb")
    [point] = plan(notebook, {"seeds": 1}, tmp_path).todo
    fields = {"notebook": "", "source": "", "folder": "", "seconds": 1, "records": True}
    fields["notebook_code"] = ""
    job = Job(out=str(tmp_path), code="other", token="", **fields)
    assert job.code != package_code()
    with pytest.raises(RunError, match="restart the workers"):
        run(point, job)
    assert list(tmp_path.iterdir()) == [notebook]


def test_a_point_whose_worker_died_before_it_could_tell_is_not_run_again(tmp_path):
    notebook, out = write(tmp_path / "tiny.ipynb"), tmp_path / "out"
    [point] = plan(notebook, {"seeds": 1}, out).todo
    where = {"source": str(notebook), "out": str(out), "folder": str(tmp_path)}
    fields = {"seconds": 60, "code": package_code(), "notebook_code": "0" * 16, "records": True}
    job = Job(notebook="tiny.ipynb", token="one", **where, **fields)
    run(point, job)
    before = snapshot(out)
    run(point, job)
    assert snapshot(out) == before
    run(point, replace(job, token="another"))
    assert snapshot(out) != before


def test_a_limit_leaves_the_rest(scheduler, project):
    Path("more.yml").write_text("grid: {seed: [0, 1, 2], noise: [0.0, 0.1, 0.2]}")
    planned = plan("tiny.ipynb", "more.yml", "out")
    assert (len(planned.todo), len(planned.done)) == (3, 6)
    code, said = command(
        *("tiny.ipynb", "--grid", "more.yml", "--out", "out"),
        *("--scheduler", scheduler, "--limit", "2"),
    )
    assert code == 0
    assert "2 done, 0 failed, 6 cached, 1 left" in said
    assert said.strip().splitlines()[-1] == (
        f"partsrep sweep tiny.ipynb --grid more.yml --out out --scheduler {scheduler}"
    )


@pytest.mark.parametrize("timeout", [math.inf, math.nan, 1e30])
def test_a_time_without_end_is_the_longest_that_a_timer_waits(tmp_path, timeout):
    notebook = write(tmp_path / "tiny.ipynb")
    job = _job(notebook, read_notebook(notebook), True, tmp_path, timeout)
    assert job.seconds == threading.TIMEOUT_MAX


@pytest.mark.parametrize(
    "number",
    [
        *({"timeout": seconds} for seconds in (float("nan"), 0, -1, -float("inf"), "3")),
        *({"limit": count} for count in (0, -1, 1.5, float("nan"), 10**30)),
        *({"workers": count} for count in (0, -1, True)),
    ],
    ids=str,
)
def test_a_number_that_is_none_is_said_before_anything_runs(number, tmp_path):
    notebook, [name] = write(tmp_path / "tiny.ipynb"), number
    with pytest.raises(RunError, match=f"^{name} must be"):
        sweep(notebook, {"seeds": 2}, tmp_path / "out", **number)
    assert not (tmp_path / "out").exists()
