"""The driver of a sweep: what is left to do goes to Dask, a window at a time."""

import logging
import math
import os
import pickle
import shutil
import signal
import statistics
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from multiprocessing import resource_tracker
from pathlib import Path

import cloudpickle
import nbformat
from dask.system import CPU_COUNT
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed
from filelock import FileLock, Timeout
from nbformat import NotebookNode

from ..arguments import check_integer, check_number
from ..progress import bar
from . import points as work
from .grid import RECORD_PATH, Grid, chosen, opened
from .parameters import Parameter, RunError
from .points import PARTS, PLAN, RECORD, Job, Point, PointFailed, disk_full
from .records import write_json

#: Points that the scheduler knows at a time: plenty for any cluster, and little for its memory.
WINDOW = 1000


@dataclass(frozen=True)
class Plan:
    """What a sweep is made of, and how far it is."""

    out: Path  #: folder of the points
    points: list[Point]  #: in the order of the grid
    todo: list[Point] = field(default_factory=list)  #: without a record
    done: list[Point] = field(default_factory=list)  #: with a record of metrics
    failed: list[Point] = field(default_factory=list)  #: with a record of an error
    seconds: list[float] = field(default_factory=list)  #: what the done ones took

    @property
    def varied(self) -> list[str]:
        """The parameters that differ between points."""
        first, *others = (point.parameters for point in self.points)
        return [name for name in first if any(other[name] != first[name] for other in others)]

    def estimate(self, workers: int | None = None) -> str:
        """How long what is left will take, from what the points before have taken."""
        workers = workers or CPU_COUNT
        each, todo = statistics.median(self.seconds or [0.5]), len(self.todo)
        seconds = max(each * todo / workers, each if todo else 0)
        words = f"{_clock(seconds)} for {todo} points at {each:.1f} s each on {workers} worker"
        words += "" if workers == 1 else "s"
        if self.seconds:
            return f"about {words}"
        return f"more than {words}; with --limit 3 three of them are timed"

    def __str__(self) -> str:
        states = {"to do": self.todo, "done": self.done, "failed": self.failed}
        varied = self.varied
        lines = []
        for state, group in states.items():
            for point in group:
                values = ", ".join(f"{name}={point.parameters[name]!r}" for name in varied)
                lines.append(f"{point.name}  {state:6}  {values}")
        counts = ", ".join(f"{len(group)} {state}" for state, group in states.items())
        return "\n".join([*lines, f"{len(lines)} points: {counts}"])


@dataclass
class Summary:
    """How a sweep ended."""

    out: Path  #: folder of the points
    cached: int  #: points that had metrics before
    errors: dict[str, str]  #: of each failed point, by the name of its folder, of now or of before
    left: int  #: points without a record
    done: int = 0  #: points that were run now and have metrics
    seconds: float = 0.0  #: from start to end

    @property
    def failed(self) -> int:
        """How many points have an error for a record."""
        return len(self.errors)

    def __str__(self) -> str:
        said = (
            f"{self.done} done, {self.failed} failed, {self.cached} cached, {self.left} left "
            f"in {_clock(self.seconds)}: {self.out}"
        )
        examples = {error: name for name, error in self.errors.items()}
        for error, count in Counter(self.errors.values()).most_common(5):
            said += f"\n  {count} × {error.splitlines()[0][:200]}  (such as {examples[error]})"
        return said

    __repr__ = __str__


def plan(notebook: str | os.PathLike, grid: Grid, out: str | os.PathLike) -> Plan:
    """What `sweep` with the same arguments would run; nothing is run or written."""
    return _plan(*opened(notebook), grid, Path(out))


def _plan(content: NotebookNode, parameters: dict[str, Parameter], grid: Grid, out: Path) -> Plan:
    hashes = work.notebook_code(content), work.package_code()
    planned = Plan(out, [work.point(*hashes, *values) for values in chosen(grid, parameters)])
    for point in planned.points:
        record = work.stored(out, point)
        if record is None:
            planned.todo.append(point)
        elif record["error"]:
            planned.failed.append(point)
        else:
            planned.done.append(point)
            planned.seconds.append(record["machine"]["seconds"])
    return planned


def sweep(
    notebook: str | os.PathLike,
    grid: Grid,
    out: str | os.PathLike,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    limit: int | None = None,
    timeout: float = 3600.0,
    retry: bool = False,
) -> Summary:
    """Run a notebook at every point of a grid.

    A point ends as ``out/NAME/executed.ipynb`` and ``out/NAME/record.json``, named by the hash of
    the notebook's code, its parameters, the files that they name, and the package's code. The
    record comes last and whole. A point that has one is not run again, so a sweep that was stopped
    goes on when it is started again. ``out/plan.json`` names the points of the newest sweep in the
    folder, which `partsrep.runs.results` shows. The notebook is given what the grid sets, and has
    its own defaults for the rest.

    A RunError says that the notebook or the grid is not in order, that another sweep is at work
    in `out`, or that the scheduler does not answer.

    Parameters
    ----------
    notebook : path
        With a cell tagged ``parameters``, among them ``record_path``, where it writes
        ``{"parameters": …, "metrics": …}`` (`partsrep.runs.records.write_record`).
    grid : path or mapping
        See `partsrep.runs.points`.
    out : path
        Folder of the points; made if it is not there.
    scheduler : str, optional
        Address of a Dask scheduler. Its workers must see `out` and have this package.
    workers : int, optional
        Processes on this machine, where no scheduler is given; one a core by default.
    limit : int, optional
        Run no more points than this.
    timeout : float
        Seconds that a point may take, without the imports of a fresh worker; inf for no limit.
    retry : bool
        Run only the points that have failed.
    """
    began, out = time.perf_counter(), Path(out).absolute()
    if scheduler and workers:
        raise RunError("The workers of a scheduler are its own: leave out one of the two.")
    try:
        for name, number in (("workers", workers), ("limit", limit)):
            if number is not None:
                check_integer(name, number)
        if timeout != math.inf:
            check_number("timeout", timeout, above=True)
    except ValueError as error:
        raise RunError(str(error)) from None
    content, parameters = opened(notebook)
    planned = _plan(content, parameters, grid, out)
    todo = (planned.failed if retry else planned.todo)[:limit]
    errors = {point.name: work.outcome(work.stored(out, point)) for point in planned.failed}
    summary = Summary(out, len(planned.done), errors, left=len(planned.todo))
    names = [point.name for point in planned.points]
    other = work.newest_plan(out) != names
    if todo or (other and (planned.done or planned.failed)):
        workers = workers or min(CPU_COUNT, len(todo))
        with _alone(out), _client(scheduler, workers) if todo else nullcontext() as client:
            if other:
                write_json(out / PLAN, {"notebook": Path(notebook).as_posix(), "points": names})
            if todo:
                job = _job(notebook, content, RECORD_PATH in parameters, out, timeout)
                _drive(client, job, todo, summary)
    summary.seconds = time.perf_counter() - began
    return summary


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep other drivers away from a folder; the lock ends with this process, however it ends."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(out / ".lock").acquire(timeout=0)
    except Timeout:
        raise RunError(
            f"Another sweep is at work in {out}: wait for it, or name another folder by --out."
        ) from None
    with lock:
        shutil.rmtree(out / PARTS, ignore_errors=True)  # of a sweep that was killed
        try:
            yield
        finally:
            shutil.rmtree(out / PARTS, ignore_errors=True)


def _job(
    notebook: str | os.PathLike, content: NotebookNode, records: bool, out: Path, timeout: float
) -> Job:
    """What the points share, a copy of the notebook as it was planned included."""
    token = uuid.uuid4().hex[:8]
    source = out / PARTS / f"{token}.ipynb"
    source.parent.mkdir()
    nbformat.write(content, source)
    return Job(
        notebook=Path(notebook).as_posix(),
        source=str(source),
        out=str(out),
        folder=os.getcwd(),
        seconds=min(threading.TIMEOUT_MAX, timeout),
        code=work.package_code(),
        notebook_code=work.notebook_code(content),
        records=records,
        token=token,
    )


@contextmanager
def _client(scheduler: str | None, workers: int) -> Iterator[Client]:
    """A client of the scheduler that was named, or of one with workers on this machine."""
    if scheduler:
        try:
            client = Client(scheduler, timeout=10, set_as_default=False)
        except (OSError, ValueError) as error:
            raise RunError(f"No scheduler answers at {scheduler}: {error}") from error
        try:
            yield client
        finally:
            with suppress(RuntimeError, OSError):  # if the scheduler is gone
                client.close()
        return
    quiet = {"dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    with _deaf_to_ctrl_c():
        cluster = LocalCluster(n_workers=workers, threads_per_worker=1, **quiet)
    try:
        with Client(cluster, set_as_default=False) as client:
            yield client
    except BaseException:  # Ctrl-C, a full disk: nobody waits for the points in flight
        for nanny in cluster.workers.values():
            nanny.close_gracefully()  # or it would start another
            if nanny.pid:
                os.kill(nanny.pid, signal.SIGKILL)
        raise
    finally:
        with suppress(TimeoutError):  # on a busy machine; the points are done all the same
            cluster.close()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """What is started within never hears Ctrl-C, which a terminal sends to all: the driver does.

    Threads and processes inherit the mask of signals, also those that the cluster starts later.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    resource_tracker.ensure_running()  # or its start would take the mask off the first worker
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _drive(
    client: Client, job: Job, todo: list[Point], summary: Summary, run: Callable = work.run
) -> None:
    """Have every point run, and count."""

    def submit(count: int) -> list[Future]:
        batch = list(islice(waiting, count))
        if not batch:
            return []
        # Packed, or the scheduler would import this package, PyTorch included, to look at it.
        packed = [cloudpickle.dumps(partial(run, point, job)) for point in batch]
        keys = [f"{point.name}-{job.token}" for point in batch]
        futures = client.map(lambda packed: pickle.loads(packed)(), packed, key=keys, pure=False)
        running.update(zip(futures, batch, strict=True))
        return futures

    running, waiting = {}, iter(todo)
    shown = bar(total=summary.cached + len(todo), initial=summary.cached, unit="point")
    shown.write(f"Dashboard: {client.dashboard_link}")
    with shown:
        finished = as_completed(submit(WINDOW), loop=client.loop)
        for future in finished:
            point = running.pop(future)
            error = _outcome(future, point, job)
            summary.left -= point.name not in summary.errors
            summary.errors.pop(point.name, None)
            if error:
                summary.errors[point.name] = error
            else:
                summary.done += 1
            shown.set_postfix(failed=summary.failed, cached=summary.cached, refresh=False)
            shown.update()
            if len(running) <= WINDOW // 2:
                finished.update(submit(WINDOW // 2))


def _outcome(future: Future, point: Point, job: Job) -> str | None:
    """The error of a point, if any; what ends the sweep is raised."""
    if future.status == "finished":
        return None
    if future.status != "error":
        raise RunError("The scheduler is gone; what is done is kept. Start the sweep again.")
    failed = future.exception()
    if isinstance(failed, PointFailed):
        return str(failed)
    if isinstance(failed, RunError | OSError):
        raise failed
    if not isinstance(failed, KilledWorker):  # such as of a worker without this package
        return f"{type(failed).__name__}: {failed}"
    message = "Every worker that tried this point was killed, perhaps for its memory."
    error = {"type": "KilledWorker", "message": message, "cell": None}
    record = work.as_record(point, job, {}, error, 0, {})
    folder = Path(job.out, point.name)
    try:
        folder.mkdir(exist_ok=True)
        write_json(folder / RECORD, record)
    except OSError as unwritten:
        if disk_full(unwritten):
            raise
    return work.outcome(record)


def _clock(seconds: float) -> str:
    """Such as 42 s, 7 min or 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
