"""Notebooks that import next to nothing, and a Dask cluster of separate processes."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from distributed import Client
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from partsrep.runs.book import script

PARAMETERS = """\
seed: int = 0  # of every draw
noise: float = 0.0  # of the data
record_path: str = ""  # where to write a record"""
RECORD = """\
import json
if record_path:
    with open(record_path, "w") as file:
        json.dump({"parameters": {}, "metrics": metrics}, file)"""
SUM = "metrics = {'sum': seed + noise}\nprint('sum', metrics['sum'])"
KERNEL = {"name": "python3", "language": "python", "display_name": "Python 3"}


def write(path: Path, code: str = SUM, parameters: str = PARAMETERS, prose: str = "# Tiny") -> Path:
    """A notebook with a parameters cell, some code, and the end that writes `metrics`."""
    cells = [
        new_markdown_cell(prose, id="title"),
        new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}),
        new_code_cell(code, id="code"),
        new_code_cell(RECORD, id="record"),
    ]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), path)
    return path


@contextmanager
def cluster(folder: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """A scheduler and two workers, started as one would by hand: its address and its process."""
    found = folder / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    where = ["--scheduler-file", str(found), "--dashboard-address", "127.0.0.1:0"]
    scheduler = [script("dask"), "scheduler", "--host", "127.0.0.1", "--port", "0", *where]
    worker = [script("dask"), "worker", "--nworkers", "2", "--nthreads", "1", *where, *options]
    running = [subprocess.Popen(command, **quiet) for command in (scheduler, worker)]
    try:
        deadline = time.monotonic() + 120
        while not found.exists():
            assert time.monotonic() < deadline, "no scheduler"
            time.sleep(0.05)
        with Client(scheduler_file=str(found), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
            address = client.scheduler.address
        yield address, running[0]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=120)


def snapshot(folder: Path) -> dict[Path, tuple[bytes, int]]:
    """What the files below a folder hold, and when they were written."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock")
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
