"""Whatever dies, hangs or runs out: finished points stay, the rest goes on, records are whole."""

import gc
import json
import os
import resource
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import dask
import psutil
import pytest
from distributed import Client, KilledWorker, LocalCluster
from tiny import cluster, snapshot, write
from typer.testing import CliRunner

from partsrep.__main__ import app
from partsrep.runs import RunError, kernels, plan, sweep
from partsrep.runs.book import script
from partsrep.runs.driver import Summary, _drive
from partsrep.runs.points import Job, Point, PointFailed, package_code, run
from partsrep.runs.records import validate

SLOW = """\
import ctypes, os
open(f"started-{seed}-{os.getpid()}", "x").close()
ctypes.PyDLL(None).usleep(PAUSE)  # holds the interpreter's lock, so the kernel cannot end itself
metrics = {"seed": seed}"""


def slow(folder: Path, pause: int) -> Path:
    """A notebook that takes a while and notes by whom each point was started."""
    return write(folder / "slow.ipynb", SLOW.replace("PAUSE", str(1_000_000 * pause)))


def started(folder: Path) -> dict[int, list[int]]:
    """The kernels that each point was started by."""
    found: dict[int, list[int]] = {}
    for path in folder.glob("started-*"):
        _, seed, pid = path.name.split("-")
        found.setdefault(int(seed), []).append(int(pid))
    return found


def in_flight(folder: Path) -> list[int]:
    """Points that were started and have no record."""
    return sorted(set(started(folder)) - set(records(folder / "out")))


def records(out: Path) -> dict[int, dict]:
    """Every record by its seed; each is whole and there is one a point."""
    found = [json.loads(path.read_text()) for path in out.glob("*/record.json")]
    for record in found:
        validate(record)
    by_seed = {record["seed"]: record for record in found}
    assert len(by_seed) == len(found)
    return by_seed


def wait_for(condition, seconds: float = 300):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
    return found


@contextmanager
def driver(folder: Path, *arguments: str):
    """``partsrep sweep slow.ipynb`` of eight points, in a session of its own."""
    (folder / "grid.yml").write_text("seeds: 8")
    command = [script("partsrep"), "sweep", "slow.ipynb", "--grid", "grid.yml", "--out", "out"]
    running = subprocess.Popen(
        [*command, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        running.stdout.close()


FAILING = """\
import os, signal
from pathlib import Path
import numpy as np
metrics = {"seed": seed}
if not Path("mended").exists():
    if seed == 1:
        {}["nose"]
    elif seed == 3:
        grown = np.empty(2**28)
    elif seed == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    elif seed == 5:
        metrics = {"loss": float("nan")}
    elif seed == 6:
        record_path = ""
    elif seed == 7:
        os.kill(os.getppid(), signal.SIGKILL)
    elif seed == 8:
        metrics = [1, 2]"""


@pytest.fixture(scope="module")
def failed(scheduler, tmp_path_factory):
    """A sweep in which every point but the first fails in its own way."""
    folder = tmp_path_factory.mktemp("failing")
    write(folder / "failing.ipynb", FAILING)
    (folder / "grid.yml").write_text("seeds: 10")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        arguments = ["sweep", "failing.ipynb", "--grid", "grid.yml", "--out", "out"]
        arguments += ["--scheduler", scheduler, "--timeout", "1000600"]
        first = CliRunner().invoke(app, arguments)
        before = snapshot(folder / "out")
        (folder / "mended").touch()
        again = CliRunner().invoke(app, arguments)
        unchanged = snapshot(folder / "out")
        retried = CliRunner().invoke(app, [*arguments, "--retry"])
    return folder, first, before, again, unchanged, retried


def test_a_failed_point_is_recorded_with_its_error_and_the_rest_goes_on(failed):
    _folder, first, before, *_ = failed
    texts = {path: content for path, (content, _) in before.items() if path.name == "record.json"}
    found = {record["seed"]: record for record in map(json.loads, texts.values())}
    assert len(found) == len(texts) == 10
    fine = 0, 2, 9
    errors = {seed: found[seed]["error"] for seed in range(10) if seed not in fine}
    assert not any(found[seed]["error"] for seed in fine)
    assert errors[1] == {"type": "KeyError", "message": "'nose'", "cell": 4}
    assert "MemoryError" in errors[3]["type"]
    assert errors[4]["type"] == "DeadKernelError" and "code -9" in errors[4]["message"]
    assert errors[5]["type"] == "ValueError" and "NaN" in errors[5]["message"]
    assert errors[6]["type"] == "NoRecord"
    assert "imports what the notebook imports has died" in errors[7]["message"]
    assert errors[8]["type"] == "BadRecord"
    assert not any(found[seed]["metrics"] for seed in errors)
    assert first.exit_code == 1
    assert "3 done, 7 failed, 0 cached, 0 left" in first.output


ODD = """\
from pathlib import Path
place = Path(record_path)
out, name = place.parents[2], place.parent.name.split("-")[0]
if seed == 1:  # where the folder of the point would be
    (out / name).write_text("mine")
elif seed == 2:
    place.mkdir()
elif seed == 3:
    place.write_text("[" * 100_000)
elif seed == 4:
    place.write_text('{"metrics": {"a": ' + "9" * 5000 + "}}")
elif seed == 5:
    place.write_bytes(bytes(range(256)))
elif seed == 6:
    place.write_text('{"metrics": {"a": [Infinity]}}')
elif seed == 7:
    print("\\ud800")
elif seed == 8:
    place.write_text('{"metrics": {"a": {"b": 1}, "a.b": 2}}')
if 0 < seed < 7 or seed == 8:
    record_path = ""
metrics = {"seed": seed}"""


def test_a_point_whose_record_cannot_be_written_ends_nothing_else(scheduler, tmp_path):
    notebook, out = write(tmp_path / "odd.ipynb", ODD), tmp_path / "out"
    ended = sweep(notebook, {"seeds": 10}, out, scheduler=scheduler)
    found = records(tmp_path / "out")
    assert set(range(10)) - set(found) == {1}, "its folder cannot be made, so it has no record"
    errors = {seed: record["error"]["type"] for seed, record in found.items() if record["error"]}
    assert {seed: errors.pop(seed) for seed in (2, 3, 4, 5, 6, 8)} == {
        **dict.fromkeys((2, 3, 4, 5, 8), "BadRecord"),
        6: "ValueError",
    }
    assert set(errors) <= {7}, "whether a kernel can print that is not ours"
    assert ended.done == 9 - 6 - len(errors) and ended.left == 0
    assert any("FileExistsError" in error for error in ended.errors.values())
    assert not (out / ".parts").exists()
    again = plan(notebook, {"seeds": 10}, out)
    assert len(again.todo) == 1, "it is tried again"


def by_hand(folder: Path, code: str, seconds: float) -> dict:
    """The record of a point that runs within this process."""
    notebook = write(folder / "tiny.ipynb", code)
    [point] = plan(notebook, {"seeds": 1}, folder / "out").todo
    where = {"source": str(notebook), "out": str(folder / "out"), "folder": str(folder)}
    fields = {"code": package_code(), "notebook_code": "0" * 16, "records": True}
    job = Job(notebook="tiny.ipynb", token=folder.name, seconds=seconds, **where, **fields)
    with suppress(PointFailed):
        run(point, job)
    return records(folder / "out")[0]


def test_a_point_has_its_time_for_itself_and_imports_have_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    (tmp_path / "slowly.py").write_text("import time\ntime.sleep(6)")
    record = by_hand(tmp_path, "import slowly\nmetrics = {'seed': seed}", seconds=5)
    assert record["error"] is None
    assert record["machine"]["seconds"] < 5


@pytest.mark.parametrize("code", ["time.sleep(600)", "os._exit(3)", "os.kill(os.getpid(), 11)"])
def test_imports_that_hang_or_die_are_the_points_own(tmp_path, monkeypatch, code):
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(kernels, "IMPORTS", 10.0)
    (tmp_path / "badly.py").write_text(f"import os, time\n{code}")
    error = by_hand(tmp_path, "import badly\nmetrics = {}", seconds=5)["error"]
    assert error["type"] == ("TimeoutError" if "sleep" in code else "DeadKernelError"), error


def test_a_point_that_hangs_is_ended_in_the_kernel_or_in_an_import(scheduler, tmp_path):
    (tmp_path / "hangs.py").write_text("import time\ntime.sleep(600)")
    for name, code in {"loop": "while True: pass", "import": "import hangs"}.items():
        notebook = write(tmp_path / f"{name}.ipynb", code)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            ended = sweep(notebook, {"seeds": 1}, tmp_path / name, scheduler=scheduler, timeout=2)
        assert list(ended.errors.values()) == ["TimeoutError: It took longer than 2 s."]
        assert records(tmp_path / name)[0]["error"]["type"] == "TimeoutError"


def test_failed_points_are_tried_again_only_when_asked(scheduler, failed):
    folder, first, before, again, unchanged, retried = failed
    assert first.output.strip().splitlines()[-1] == (
        "partsrep sweep failing.ipynb --grid grid.yml --out out "
        f"--scheduler {scheduler} --timeout 1000600 --retry"
    )
    assert again.exit_code == 1
    assert "0 done, 7 failed, 3 cached, 0 left" in again.output
    assert unchanged == before
    assert retried.exit_code == 0, retried.output
    assert "7 done, 0 failed, 3 cached, 0 left" in retried.output
    found = records(folder / "out")
    assert all(found[seed]["metrics"] == {"seed": seed} for seed in range(10))


def test_a_killed_driver_takes_its_workers_along_and_loses_only_points_in_flight(
    scheduler, tmp_path, monkeypatch
):
    notebook = slow(tmp_path, pause=1)
    with driver(tmp_path, "--workers", "2") as running:
        wait_for(lambda: len(records(tmp_path / "out")) >= 3 and len(in_flight(tmp_path)) == 2)
        family = psutil.Process(running.pid).children(recursive=True)
        assert len(family) >= 6, "two workers, two processes that kernels come from, two kernels"
        running.kill()
        _, alive = psutil.wait_procs(family, timeout=60)
        assert not alive
    before, done = snapshot(tmp_path / "out"), set(records(tmp_path / "out"))
    assert 3 <= len(done) < 8

    monkeypatch.chdir(tmp_path)
    ended = sweep("slow.ipynb", "grid.yml", "out", scheduler=scheduler)
    assert notebook.exists() and (ended.cached, ended.done) == (len(done), 8 - len(done))
    assert sorted(records(tmp_path / "out")) == list(range(8))
    after = snapshot(tmp_path / "out")
    finished = {path: was for path, was in before.items() if ".parts" not in path.parts}
    assert after.items() >= finished.items()
    assert all(len(started(tmp_path)[seed]) == 1 for seed in done), "nothing is repeated"
    assert not any(".parts" in path.parts for path in after)


def test_killed_workers_and_kernels_of_a_cluster_end_no_sweep(scheduler, tmp_path, monkeypatch):
    """One kernel is killed, then one worker; only the kernel's point has an error."""
    slow(tmp_path, pause=2)
    monkeypatch.chdir(tmp_path)
    ended = []
    arguments = ("slow.ipynb", {"seeds": 8}, "out")
    at_work = threading.Thread(target=lambda: ended.append(sweep(*arguments, scheduler=scheduler)))
    at_work.start()
    [unlucky, *_] = wait_for(lambda: in_flight(tmp_path))
    os.kill(started(tmp_path)[unlucky][0], signal.SIGKILL)
    wait_for(lambda: unlucky in records(tmp_path / "out"))
    # A second driver keeps its hands off.
    with pytest.raises(RunError, match="Another sweep is at work"):
        sweep(*arguments, scheduler=scheduler)
    [orphan, *_] = wait_for(lambda: in_flight(tmp_path))
    kernel = psutil.Process(started(tmp_path)[orphan][0])
    kernel.parent().parent().kill()  # the worker; between them is what kernels come from
    kernel.wait(timeout=60)
    at_work.join(timeout=300)
    [summary] = ended
    assert (summary.done, summary.failed, summary.left) == (7, 1, 0)
    found = records(tmp_path / "out")
    assert sorted(found) == list(range(8))
    assert [seed for seed in found if found[seed]["error"]] == [unlucky]
    assert "exit code -9" in found[unlucky]["error"]["message"]
    again = {seed: len(by) for seed, by in started(tmp_path).items() if len(by) > 1}
    assert again == {orphan: 2}, "the point in flight was run again, and no other"


@pytest.mark.usefixtures("heard_sigint")
@pytest.mark.parametrize("send", [os.killpg, os.kill], ids=["terminal", "driver alone"])
def test_ctrl_c_ends_at_once_and_says_how_to_go_on(tmp_path, send):
    slow(tmp_path, pause=600)
    with driver(tmp_path, "--workers", "1") as running:
        wait_for(lambda: in_flight(tmp_path))
        family = psutil.Process(running.pid).children(recursive=True)
        send(running.pid, signal.SIGINT)  # to the group, as a terminal does: workers hear it too
        said, _ = running.communicate(timeout=120)
        _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive
    assert running.returncode == 130
    assert said.strip().splitlines()[-2:] == [
        "Stopped. What is done is kept; this goes on:",
        "partsrep sweep slow.ipynb --grid grid.yml --out out --workers 1",
    ]
    assert said.count("Stopped.") == 1 and "Traceback" not in said, "no worker says anything"
    assert not records(tmp_path / "out"), "to be interrupted is no fault of the point's"


def test_a_kernel_server_without_a_worker_ends_during_an_import(tmp_path, monkeypatch):
    hangs = "import ctypes, pathlib\npathlib.Path(__file__).with_name('importing').touch()\n"
    (tmp_path / "hangs.py").write_text(f"{hangs}ctypes.PyDLL(None).usleep(600_000_000)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    server = kernels.KernelServer(["hangs"])
    try:
        wait_for(lambda: (tmp_path / "importing").exists())
        server.process.stdin.close()
        server.process.wait(timeout=60)
    finally:
        server.process.kill()
        server.process.wait()
        server.process.stdout.close()


def test_a_kernel_server_that_nobody_listens_to_ends_and_its_kernel_too(tmp_path):
    server = kernels.KernelServer([])
    try:
        assert server.ready(60)
        server.process.stdout.close()
        connection = ["-f", str(tmp_path / "kernel.json")]
        server.ask(arguments=connection, folder=str(tmp_path), memory=None, seed=0)
        assert server.process.wait(timeout=60) == 0, "nothing is said about it"
        there = [one for one in psutil.process_iter(["cwd"]) if one.info["cwd"] == str(tmp_path)]
        assert not psutil.wait_procs(there, timeout=30)[1]
    finally:
        server.process.kill()
        server.process.wait()


@pytest.mark.usefixtures("heard_sigint")
@pytest.mark.parametrize("module", ["numpy", "dask"])
def test_ctrl_c_during_imports_is_quiet(tmp_path, module):
    """Of the package itself, or of the sweep: the driver has not begun."""
    slow(tmp_path, pause=0)
    # So that one can be sure when: the module says that it is being imported, and then waits.
    (tmp_path / module).mkdir()
    waits = "import pathlib, time\npathlib.Path('importing').touch()\ntime.sleep(600)"
    (tmp_path / module / "__init__.py").write_text(waits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        with driver(tmp_path) as running:
            wait_for(lambda: (tmp_path / "importing").exists())
            os.killpg(running.pid, signal.SIGINT)
            said, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said.startswith("Stopped.") and "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_killed_scheduler_ends_the_sweep_which_can_go_on(scheduler, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the points leave their notes
    notebook = slow(tmp_path, pause=0)
    with cluster(tmp_path) as (address, process):
        threading.Timer(1, process.kill).start()
        with pytest.raises(RunError, match="The scheduler is gone"):
            sweep(notebook, {"seeds": 500}, tmp_path / "out", scheduler=address)
    done = len(records(tmp_path / "out"))
    ended = sweep(notebook, {"seeds": 4}, tmp_path / "out", scheduler=scheduler)
    assert ended.failed == 0 and ended.cached + ended.done == 4 and ended.cached <= done


@contextmanager
def little_room(folder: Path):
    """A file system of 100 kB, or None where none can be mounted."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)]
    mounted = (
        shutil.which("mount")
        and not subprocess.run(["mount", *options], capture_output=True).returncode
    )
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_ends_the_sweep_with_whole_records(scheduler, tmp_path):
    notebook = write(tmp_path / "large.ipynb", "print('x' * 20_000)\nmetrics = {'seed': seed}")
    grid = {"seeds": 20}
    with little_room(tmp_path / "small") as small:
        if small:
            with pytest.raises(OSError, match="No space left on device"):
                sweep(notebook, grid, small / "out", scheduler=scheduler)
            found = records(small / "out")
            assert 0 < len(found) < 20
            assert not any(record["error"] for record in found.values())
            assert not list((small / "out").glob("*/*.part"))
            before = snapshot(small / "out")
            shutil.copytree(small / "out", tmp_path / "roomy")
    if small:
        ended = sweep(notebook, grid, tmp_path / "roomy", scheduler=scheduler)
        assert (ended.cached, ended.done) == (len(before) // 2, 20 - len(before) // 2)


def test_files_that_may_not_grow_end_the_sweep(tmp_path):
    """``ulimit -f``: the executed notebook is larger than a file may be."""
    write(tmp_path / "slow.ipynb", "print('x' * 100_000)\nmetrics = {'seed': seed}")
    (tmp_path / "grid.yml").write_text("seeds: 2")
    ran = subprocess.run(
        [script("partsrep"), "sweep", "slow.ipynb", "--grid", "grid.yml", "--workers", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    assert ran.returncode == 2
    assert "The sweep cannot go on: " in ran.stderr and "File too large" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not list(tmp_path.glob("build/sweeps/grid/*/record.json"))


FIELDS = {"source": "", "folder": "", "seconds": 1, "records": True, "token": "t"}
FIELDS["notebook_code"] = "0" * 16


def test_what_points_leave_behind_does_not_grow_with_their_number(tmp_path, monkeypatch):
    """Scheduler, worker and driver in one process: so all that any of them keeps is counted."""
    monkeypatch.setattr("partsrep.runs.driver.WINDOW", 20)
    job = Job(notebook="", out=str(tmp_path), code="", **FIELDS)
    known = []

    def submitted(*arguments, **options):
        futures = Client.map(client, *arguments, **options)
        known.append(len(client.futures))
        return futures

    def drive(seeds):
        todo = [Point(f"{seed:016x}", {}, {}, {}) for seed in seeds]
        summary = Summary(tmp_path, cached=0, errors={}, left=len(todo))
        _drive(client, job, todo, summary, lambda point, job: None)
        assert (summary.done, summary.left) == (len(todo), 0)
        del todo
        gc.collect()
        return len(gc.get_objects())

    # Logs of a bounded length grow until they are full.
    logs = {f"distributed.admin.{level}log-length": 10 for level in ("", "low-level-")}
    quiet = {"processes": False, "dashboard_address": None}
    with (
        dask.config.set(logs),
        LocalCluster(n_workers=1, threads_per_worker=1, **quiet) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        monkeypatch.setattr(client, "map", submitted)
        before = drive(range(50))
        after = drive(range(50, 250))
        assert after - before < 200  # less than an object a point
    assert max(known) < 40  # those of one window, and a few that are being forgotten


def test_a_point_that_kills_its_workers_is_recorded(scheduler, tmp_path):
    notebook = write(tmp_path / "tiny.ipynb")
    todo = plan(notebook, {"seeds": 2}, tmp_path).todo
    job = Job(notebook="tiny.ipynb", out=str(tmp_path), code=package_code(), **FIELDS)
    summary = Summary(tmp_path, cached=0, errors={}, left=2)

    def deadly(point, job):
        raise KilledWorker(point.name, SimpleNamespace(address="tcp://gone"), 4)

    with Client(scheduler, set_as_default=False) as client:
        _drive(client, job, todo, summary, deadly)
    found = records(tmp_path)
    assert {record["error"]["type"] for record in found.values()} == {"KilledWorker"}
    assert (summary.failed, summary.left) == (2, 0)
