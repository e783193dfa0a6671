"""One point of a sweep: what it is named by, and how a worker runs it."""

import errno
import json
import os
import platform
import shutil
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import file_digest
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import papermill
from distributed import get_worker
from nbclient.exceptions import CellTimeoutError
from papermill.exceptions import PapermillExecutionError
from papermill.utils import nb_language

from ..book import code, digest
from ..records import validate, write_whole
from .grid import RECORD_PATH, SweepError
from .kernels import Nursery, WarmKernel, imports

RECORD, EXECUTED, PARTS = "record.json", "executed.ipynb", ".parts"
PACKAGES = ("partsrep", "numpy", "scipy", "scikit-learn", "torch", "papermill", "ipykernel")
#: How errors of a full disk begin: no room left, file too large, over quota.
FULL = tuple(f"[Errno {number}]" for number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT))
_here = threading.local()


class PointFailed(Exception):
    """A point has ended with an error, which is in its record."""


@dataclass(frozen=True)
class Job:
    """What the points of a sweep share.

    Attributes
    ----------
    notebook : str
        As the user named it.
    source : str
        Path of the copy that is run, so that an edit does not reach a sweep at work.
    out : str
        Folder of the points.
    folder : str
        The kernels' working directory.
    seconds : float
        How long a point may take.
    code : str
        Hash of the package's code.
    records : bool
        Whether the notebook takes a ``record_path``.
    token : str
        Tells this sweep from any other.
    """

    notebook: str
    source: str
    out: str
    folder: str
    seconds: float
    code: str
    records: bool
    token: str


@dataclass(frozen=True)
class Point:
    """The parameters of a point, the sha256 of the files that they name, and its name."""

    name: str
    parameters: dict[str, Any]
    data: dict[str, str]


def point(notebook: nbformat.NotebookNode, parameters: dict[str, Any], package: str) -> Point:
    """A point, named by all that its record depends on."""
    cells = [[c.source, c.metadata.get("tags")] for c in notebook.cells if c.cell_type == "code"]
    files = {
        text: _sha256(text, os.stat(text).st_mtime_ns)
        for value in parameters.values()
        if isinstance(value, str)
        for text in map(str.strip, value.split(","))
        if os.path.isfile(text)
    }
    made_from = json.dumps([cells, parameters, files, package], sort_keys=True)
    return Point(digest(made_from.encode()), parameters, files)


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

    Raises
    ------
    PointFailed
        If the record holds an error. Whatever else is raised is no fault of the point's, such as
        a full disk, and ends the sweep.
    """
    if job.code != package_code():
        raise SweepError(
            f"A worker on {platform.node()} has imported other code of partsrep than this "
            "sweep's: restart the workers."
        )
    record = stored(job.out, point)
    # Who ran it in this sweep may have died before it could tell the driver.
    if not record or record["machine"].get("sweep") != job.token:
        record = _run(point, job)
    if error := outcome(record):
        raise PointFailed(error)


def _run(point: Point, job: Job) -> dict[str, Any]:
    parts = Path(job.out, PARTS, f"{point.name}-{job.token}-{os.getpid()}")
    parts.mkdir(parents=True)
    try:
        began = time.perf_counter()
        metrics, error, used = _execute(point, job, parts)
        record = as_record(point, job, metrics, error, time.perf_counter() - began, used)
        try:
            write_whole(parts / RECORD, record)
        except (TypeError, ValueError) as wrong:  # such as NaN
            record |= {"metrics": {}, "error": _error(type(wrong).__name__, str(wrong))}
            write_whole(parts / RECORD, record)
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
        record = json.loads(Path(out, point.name, RECORD).read_text())
        validate(record)
    except (FileNotFoundError, ValueError):
        return None
    return record


def outcome(record: dict[str, Any]) -> str | None:
    """The error of a record in one line, if it has one."""
    error = record["error"]
    return error and f"{error['type']}: {error['message']}"


def as_record(
    point: Point,
    job: Job,
    metrics: dict | None,
    error: dict | None,
    seconds: float,
    used: dict,
) -> dict[str, Any]:
    """The record of a point, as its schema has it."""
    return {
        "notebook": job.notebook,
        "parameters": point.parameters,
        "seed": point.parameters.get("seed"),
        "metrics": metrics or {},
        "error": error,
        "data": point.data,
        "code": job.code,
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


def _error(kind: str, message: str, cell: int | None = None) -> dict[str, Any]:
    return {"type": kind, "message": message[:2000], "cell": cell}


def _execute(point: Point, job: Job, parts: Path) -> tuple[dict | None, dict | None, dict]:
    """The metrics, or else the error, and what the kernel used."""
    handed_back = parts / "handed_back.json"
    given = point.parameters | ({RECORD_PATH: str(handed_back)} if job.records else {})
    # On a busy machine a kernel's last words may take their time.
    options = {"parameters": given, "progress_bar": False, "iopub_timeout": 60}
    kernel = _kernel(point, job)
    try:
        with kernel:
            if isinstance(kernel, WarmKernel):
                options["km"] = kernel
            else:
                options |= {"cwd": job.folder, "execution_timeout": job.seconds}
            papermill.execute_notebook(job.source, parts / EXECUTED, **options)
        return *(_read(handed_back) if job.records else ({}, None)), _used(kernel)
    except PapermillExecutionError as failed:
        if failed.ename == "OSError" and failed.evalue.startswith(FULL):
            raise OSError(failed.evalue) from failed
        error = _error(failed.ename, failed.evalue, failed.cell_index + 1)
    except RuntimeError as died:  # nbclient's, of a kernel that is gone
        error = _error(type(died).__name__, str(died))
        if getattr(kernel, "timed_out", False):
            error = _error("TimeoutError", f"It took longer than {job.seconds:g} s.")
        elif code := _used(kernel).get("exit_code"):
            error["message"] = f"The kernel died with exit code {code}" + (
                ": it was killed, perhaps because memory ran out." if code == -9 else "."
            )
    except (CellTimeoutError, ValueError) as failed:
        error = _error(type(failed).__name__, str(failed))
    return None, error, _used(kernel)


def _kernel(point: Point, job: Job) -> WarmKernel | nullcontext:
    """A warm kernel, where one can be: processes can be forked safely on Linux alone."""
    notebook = nbformat.read(job.source, 4)
    if sys.platform != "linux" or nb_language(notebook) != "python":
        return nullcontext()
    nursery = getattr(_here, "nursery", None)
    if nursery is None or nursery.process.poll() is not None or _here.token != job.token:
        if nursery is not None:
            nursery.close()
        cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        _here.nursery, _here.token = Nursery(imports(cells)), job.token
    seed = int(point.name[:8], 16)
    return WarmKernel(_here.nursery, job.folder, _memory(), job.seconds, seed)


def _memory() -> int | None:
    """What Dask grants to this worker."""
    try:
        return get_worker().memory_manager.memory_limit
    except ValueError:  # not in a worker
        return None


def _used(kernel: WarmKernel | nullcontext) -> dict[str, Any]:
    return getattr(kernel, "ended", None) or {}


def _read(handed_back: Path) -> tuple[dict | None, dict | None]:
    """The metrics that the notebook wrote, or what is wrong with them."""
    try:
        record = json.loads(handed_back.read_text())
    except FileNotFoundError:
        return None, _error("NoRecord", f"The notebook wrote nothing to its {RECORD_PATH}.")
    except ValueError as error:
        return None, _error("BadRecord", f"The notebook's record is not JSON: {error}")
    if not isinstance(record, dict) or not isinstance(record.get("metrics"), dict):
        return None, _error("BadRecord", 'The notebook\'s record holds no object "metrics".')
    return record["metrics"], None
