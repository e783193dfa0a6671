"""What a point of a sweep costs beside the work itself: ours against papermill, cold every time."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import papermill
import psutil
from distributed import Client, LocalCluster
from measure import Run, row
from nbformat.v4 import new_code_cell, new_notebook

from partsrep.runs import sweep

KERNEL = {"name": "python3", "language": "python", "display_name": "Python 3"}
LIGHT = "import torch\ntorch.zeros(9).sum()"
HEAVY = "import time\nwhile time.process_time() < 3: pass"


def overhead(scale: float) -> list[dict]:
    """Seconds a point of a notebook that imports torch and does next to nothing."""
    count = max(2, round(20 * scale))
    with TemporaryDirectory() as folder:
        notebook = write(Path(folder, "light.ipynb"), LIGHT)
        with cluster(2) as address:
            ours = measured(lambda: swept(notebook, count, address), count)
        commands = measured(lambda: [command(notebook, seed) for seed in range(count)], count)
        with ProcessPoolExecutor(2, get_context("spawn")) as pool:
            jobs = [(notebook, seed) for seed in range(count)]
            list(pool.map(papermills, jobs[:2]))  # the pool itself is not charged, nor is ours
            pooled = measured(lambda: list(pool.map(papermills, jobs)), count)
    return [
        row("sweep point, papermill in a loop", ours, commands, bar=("ratio", "≥", 4)),
        row("sweep point, papermill in a pool", ours, pooled),
    ]


def cores(scale: float) -> list[dict]:
    """Two workers against one, on points that keep a core busy."""
    count = max(2, 2 * round(5 * scale))
    laps = []
    with TemporaryDirectory() as folder:
        notebook = write(Path(folder, "heavy.ipynb"), HEAVY)
        for workers in (2, 1):
            with cluster(workers) as address:
                swept(notebook, workers, address)  # imports
                laps.append(measured(lambda at=address: swept(notebook, count, at), count))
    speedup = laps[1].wall / laps[0].wall
    return [row("sweep of two workers", *laps, bar=("speedup", "≥", 1.7), speedup=speedup)]


def write(path: Path, code: str) -> Path:
    cells = [
        new_code_cell("seed: int = 0  # of nothing", metadata={"tags": ["parameters"]}),
        new_code_cell(code),
    ]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), path)
    return path


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """The address of workers that have imported what they need."""
    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=workers, **options) as running, Client(running) as client:
        client.run(__import__, "partsrep.runs")
        yield running.scheduler_address


def swept(notebook: Path, count: int, address: str) -> None:
    with TemporaryDirectory() as out:
        ended = sweep(notebook, {"seeds": count}, out, scheduler=address)
        assert ended.done == count, ended


def command(notebook: Path, seed: int) -> None:
    script = Path(sys.executable).with_name("papermill")
    arguments = [notebook, notebook.with_suffix(f".{seed}.ipynb"), "-p", "seed", str(seed)]
    subprocess.run([script, "--no-progress-bar", *arguments], check=True, capture_output=True)


def papermills(job: tuple[Path, int]) -> None:
    notebook, seed = job
    out = notebook.with_suffix(f".{seed}.ipynb")
    papermill.execute_notebook(notebook, out, {"seed": seed}, progress_bar=False)


def measured(run: Callable, count: int) -> Run:
    """Seconds a point, of this process and all below it."""
    cpu, wall = used(), time.perf_counter()
    run()
    return Run((used() - cpu) / count, (time.perf_counter() - wall) / count)


def used() -> float:
    """Processor seconds of this process, its children, and theirs, those that have ended too."""
    mine = psutil.Process()
    return sum(sum(process.cpu_times()[:4]) for process in [mine, *mine.children(recursive=True)])


BENCHMARKS = {"sweep overhead": overhead, "sweep cores": cores}
