"""One point of a sweep: what it is named by, and how a worker runs it."""

import errno
import json
import os
import platform
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import file_digest
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distributed import get_worker
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from .book import code, digest
from .grid import RECORD_PATH
from .kernels import CAN_FORK, KernelServer, WarmKernel, execute, imported
from .parameters import RunError, read_notebook
from .records import flat, loads, validate, write_json

RECORD, EXECUTED, PARTS, PLAN = "record.json", "executed.ipynb", ".parts", "plan.json"
PACKAGES = ("partsrep", "numpy", "scipy", "scikit-learn", "torch", "papermill", "ipykernel")
#: What a full disk says: no room left, file too large, over quota.
FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_here = threading.local()


class PointFailed(Exception):
    """A point has ended with an error, which is in its record."""


class NoRecord(Exception):
    """A notebook has left no record of its own."""


class BadRecord(Exception):
    """What a notebook has left is no record."""


def disk_full(error: Exception) -> bool:
    """Whether an error means that no other point could be written either."""
    return isinstance(error, OSError) and error.errno in FULL


@dataclass(frozen=True)
class Job:
    """What the points of a sweep share."""

    notebook: str  # as the user named it
    source: str  # path of the copy that is run, so that an edit does not reach a sweep at work
    out: str  # folder of the points
    folder: str  # the kernels' working directory
    seconds: float  # how long a point may take
    code: str  # hash of the package's code
    notebook_code: str  # hash of the notebook's code
    records: bool  # whether the notebook takes a `record_path`
    token: str  # tells this sweep from any other


@dataclass(frozen=True)
class Point:
    """One run of the notebook."""

    name: str  # of its folder
    given: dict[str, Any]  # what the grid sets; the notebook has its defaults already
    parameters: dict[str, Any]  # all of them
    data: dict[str, str]  # sha256 of the files that they name


def point(notebook_code: str, package: str, given: dict, parameters: dict) -> Point:
    """A point, named by all that its record depends on."""
    texts = {text.strip() for part in _texts(parameters) for text in part.split(",")}
    named = sorted(filter(os.path.isfile, texts))
    files = {text: _sha256(text, os.stat(text).st_mtime_ns) for text in named}
    made_from = json.dumps([notebook_code, parameters, files, package], sort_keys=True)
    return Point(digest(made_from.encode()), given, parameters, files)


def _texts(value: Any) -> Iterator[str]:
    """The texts in a parameter, wherever in it: each may name files."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def notebook_code(notebook: NotebookNode) -> str:
    """Hash of a notebook's code, and of which cell has its parameters; how it looks is left out."""
    cells = [
        [c.source, "parameters" in (c.metadata.get("tags") or ())]
        for c in notebook.cells
        if c.cell_type == "code"
    ]
    return digest(json.dumps(cells).encode())


@cache
def _sha256(path: str, _changed: int) -> str:
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


@cache
def package_code() -> str:
    """Hash of the package's code, as this process has imported it."""
    return digest(*code())


def run(point: Point, job: Job) -> None:
    """Run a point and leave its executed notebook and then its record.

    An error in the record is raised as PointFailed. Other code of the package here than the
    sweep's, and a full disk, are raised as what ends the sweep.
    """
    if job.code != package_code():
        raise RunError(
            f"A worker on {platform.node()} has imported other code of partsrep than this "
            "sweep's: restart the workers."
        )
    try:
        record = stored(job.out, point)
        # Who ran it in this sweep may have died before it could tell the driver.
        if not record or record["machine"].get("sweep") != job.token:
            record = _run(point, job)
    except Exception as error:  # of whatever a notebook left behind: the other points go on
        if disk_full(error):
            raise
        raise PointFailed(f"{type(error).__name__}: {error}") from error
    if error := outcome(record):
        raise PointFailed(error)


def _run(point: Point, job: Job) -> dict[str, Any]:
    parts = Path(job.out, PARTS, f"{point.name}-{job.token}-{os.getpid()}")
    parts.mkdir(parents=True)
    try:
        kernel, metrics, error = _kernel(point, job), {}, None
        began = time.perf_counter()
        try:
            metrics = _execute(kernel, point, job, parts)
        except Exception as failed:  # whatever it is, it is of this point
            if disk_full(failed):
                raise
            error = _told(failed)
        seconds = time.perf_counter() - began
        record = as_record(point, job, metrics, error, seconds, kernel.ended if kernel else {})
        try:
            write_json(parts / RECORD, record)
        except (TypeError, ValueError, RecursionError) as wrong:  # such as NaN
            record |= {"metrics": {}, "error": _told(wrong)}
            write_json(parts / RECORD, record)
        folder = Path(job.out, point.name)
        folder.mkdir(exist_ok=True)
        if (parts / EXECUTED).exists():
            os.replace(parts / EXECUTED, folder / EXECUTED)
        os.replace(parts / RECORD, folder / RECORD)  # last: now the point is done
        return record
    finally:
        shutil.rmtree(parts, ignore_errors=True)


def stored(out: str | os.PathLike, point: Point) -> dict[str, Any] | None:
    """The record of a point, if it has a sound one."""
    try:
        return validate(loads(Path(out, point.name, RECORD).read_text()))
    except (OSError, ValueError, RecursionError):
        return None


def newest_plan(out: str | os.PathLike) -> list[str] | None:
    """The names of the points of the newest sweep in a folder, if it has left a sound plan."""
    try:
        return json.loads(Path(out, PLAN).read_text())["points"]
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None


def outcome(record: dict[str, Any]) -> str | None:
    """The error of a record in one line, if it has one."""
    error = record["error"]
    return error and f"{error['type']}: {error['message']}"


def as_record(
    point: Point, job: Job, metrics: dict, error: dict | None, seconds: float, used: dict
) -> dict[str, Any]:
    """The record of a point, as its schema has it."""
    return {
        "notebook": job.notebook,
        "parameters": point.parameters,
        "seed": point.parameters.get("seed"),
        "metrics": metrics,
        "error": error,
        "data": point.data,
        "code": job.code,
        "notebook_code": job.notebook_code,
        "machine": {
            "seconds": round(seconds, 3),
            "cpu_seconds": used.get("cpu_seconds"),
            "peak_memory": used.get("peak_memory"),
            "host": platform.node(),
            "sweep": job.token,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": _versions(),
        },
    }


@cache
def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def _told(error: Exception) -> dict[str, Any]:
    """An error as the record has it."""
    kind, message, cell = type(error).__name__, str(error), None
    if isinstance(error, PapermillExecutionError):
        kind, message, cell = error.ename, error.evalue, error.cell_index + 1
    return {"type": kind, "message": message[:2000], "cell": cell}


def _execute(kernel: WarmKernel | None, point: Point, job: Job, parts: Path) -> dict[str, Any]:
    """Run the notebook; its metrics."""
    handed_back = parts / "handed_back.json"
    given = point.given | ({RECORD_PATH: str(handed_back)} if job.records else {})
    cold = {"cwd": job.folder, "execution_timeout": job.seconds}
    try:
        with kernel or nullcontext():
            execute(Path(job.source), parts / EXECUTED, given, kernel, **cold)
    except PapermillExecutionError as failed:
        for number in FULL:
            if failed.ename == "OSError" and failed.evalue.startswith(f"[Errno {number}]"):
                raise OSError(number, failed.evalue) from failed
        raise
    except RuntimeError as died:  # nbclient's, of a kernel that is gone
        if kernel and kernel.timed_out:
            raise TimeoutError(f"It took longer than {job.seconds:g} s.") from died
        if code := kernel and kernel.ended.get("exit_code"):
            killed = ": it was killed, perhaps because memory ran out" if code == -9 else ""
            raise type(died)(f"The kernel died with exit code {code}{killed}.") from died
        raise
    return _read(handed_back) if job.records else {}


def _kernel(point: Point, job: Job) -> WarmKernel | None:
    """A warm kernel, where one can be."""
    if not CAN_FORK:
        return None
    server = getattr(_here, "server", None)
    if server is None or server.process.poll() is not None or _here.token != job.token:
        if server is not None:
            server.close()
        _here.server = KernelServer.of(imported([read_notebook(job.source)]))
        _here.token = job.token
    try:
        memory = get_worker().memory_manager.memory_limit
    except ValueError:  # not in a worker
        memory = None
    return WarmKernel(_here.server, job.folder, memory, job.seconds, seed=int(point.name[:8], 16))


def _read(handed_back: Path) -> dict[str, Any]:
    """The metrics that the notebook wrote."""
    try:
        metrics = loads(handed_back.read_text())["metrics"]
    except FileNotFoundError:
        raise NoRecord(f"The notebook wrote nothing to its {RECORD_PATH}.") from None
    except (LookupError, TypeError):
        metrics = None
    except (OSError, ValueError, RecursionError) as error:
        raise BadRecord(f"The notebook's record is not JSON: {error}") from error
    if not isinstance(metrics, dict):
        raise BadRecord('The notebook\'s record holds no object "metrics".')
    try:
        flat(metrics)
    except ValueError as error:
        raise BadRecord(f"The notebook's record: {error}") from error
    return metrics
