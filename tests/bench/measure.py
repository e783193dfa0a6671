"""What every benchmark measures with: seconds in turn, the peak of GEMM, memory, the machine."""

import gc
import math
import multiprocessing
import operator
import os
import platform
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import scipy
import sklearn
from threadpoolctl import threadpool_info

STATUS = Path("/proc/self/status")
BARS = {"≥": operator.ge, "≤": operator.le}


@dataclass(frozen=True)
class Run:
    """What a run took, in seconds, and what it returned."""

    cpu: float
    wall: float
    result: Any = None


#: A run whose goal is out of reach.
NEVER = Run(math.inf, math.inf)


def timed(run: Callable[[], Any]) -> Run:
    """One run under two clocks: the processor's, which a busy machine disturbs less, and ours."""
    # A collection would charge one run for the garbage of all.
    gc.disable()
    try:
        cpu, wall = time.process_time(), time.perf_counter()
        result = run()
        return Run(time.process_time() - cpu, time.perf_counter() - wall, result)
    finally:
        gc.enable()


def race(repeats: int, *runs: Callable[[], Any] | None) -> list[Run]:
    """The median seconds of each run, all taken in turn, so that a slow spell hits all alike.

    None stands for a run that never ends.
    """
    laps = [[NEVER if run is None else timed(run) for run in runs] for _ in range(repeats)]
    return [
        Run(median(lap.cpu for lap in own), median(lap.wall for lap in own), own[-1].result)
        for own in zip(*laps, strict=True)
    ]


def row(
    name: str,
    ours: Run,
    peer: Run,
    *,
    bar: tuple[str, str, float] | None = None,
    flops: tuple[float, float] | None = None,
    precision: str | None = None,
    **more,
) -> dict:
    """One row of the table: ratio = peer / ours, the bar judged, GEMM's share worked out.

    Parameters
    ----------
    bar : (field, "≥" or "≤", limit)
        What a field of this row has to be, such as ("ratio", "≥", 3).
    flops : (float, float)
        Useful operations of our run and of the peer's.
    """
    found = {
        "name": name,
        "ours": ours.cpu,
        "peer": peer.cpu,
        "ratio": peer.cpu / ours.cpu,
        "ours_wall": ours.wall,
        "peer_wall": peer.wall,
        "bar": None,
        "met": None,
        "gemm_share": None,
        "peer_gemm_share": None,
        "precision": precision,
        **more,
        "machine": machine(),
    }
    if flops:
        peak = gemm_peak(precision)
        found["gemm_share"] = flops[0] / ours.cpu / peak
        found["peer_gemm_share"] = flops[1] / peer.cpu / peak
    if bar:
        field, sign, limit = bar
        found["bar"], found["met"] = f"{field} {sign} {limit:g}", BARS[sign](found[field], limit)
    # What never happened has no seconds: JSON knows no infinity.
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in found.items()
    }


@cache
def gemm_peak(precision: str) -> float:
    """Operations a second of the best of some products of two large square matrices."""
    size = 1500
    A, B = np.random.RandomState(0).uniform(size=(2, size, size)).astype(precision)
    return 2 * size**3 / min(timed(lambda: A @ B).cpu for _ in range(10))


@cache
def machine() -> dict:
    """What the seconds depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": max((pool["num_threads"] for pool in pools), default=None),
        "blas": ", ".join(sorted({f"{pool['internal_api']} {pool['version']}" for pool in pools})),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "sklearn": sklearn.__version__,
    }


def peak_memory(run: Callable[[], Any]) -> int:
    """Anonymous bytes that `run` took at its peak, beyond what the process held before.

    Pages of a memory-mapped file are not anonymous: the system can drop them. Sampled every few
    milliseconds. Where Linux does not say it, Python's own count serves.
    """
    before, samples, over = anonymous_memory(), [], threading.Event()

    def watch():
        while not over.wait(0.003):
            samples.append(anonymous_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run()
    finally:
        over.set()
        watcher.join()
    return max([*samples, anonymous_memory()]) - before


def anonymous_memory() -> int:
    """Anonymous bytes of this process now."""
    if STATUS.exists():
        lines = STATUS.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    return tracemalloc.get_traced_memory()[0]


def apart(function: Callable, *arguments) -> Any:
    """The result of a call in a fresh process, whose memory nothing else has stirred."""
    # By default glibc keeps freed arrays of up to 32 MB, and their second use would go unseen.
    os.environ["MALLOC_MMAP_THRESHOLD_"] = str(2**17)
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
            return processes.submit(function, *arguments).result()
    finally:
        del os.environ["MALLOC_MMAP_THRESHOLD_"]
