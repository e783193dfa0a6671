"""NMF of rows that lie elsewhere: what a second worker brings, and the memory that it takes."""

import resource
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import dask.array as da
import numpy as np
from dask import delayed
from distributed import Client, LocalCluster
from measure import NEVER, Run, anonymous_memory, apart, peak_memory, row, timed
from sweeps import cluster, measured

from partsrep import NMF
from partsrep.datasets import shards

PARTS = 16
SETTINGS = {"init": "random", "random_state": 0, "tol": 0}
FEATURES, IN_FILE = 512, 100_000
GB = 2**30


def speed_up(scale: float) -> list[dict]:
    """Two workers against one, for the same ten rounds."""
    n = max(16, round(200_000 * scale))
    laps = []
    for workers in (2, 1):
        with cluster(workers):
            rng = da.random.default_rng(0)
            D = rng.random((n, FEATURES), chunks=(n // 16, -1), dtype=np.float32)
            D = D.persist()
            fit(D, 1)  # imports
            laps.append(measured(lambda D=D: fit(D, 10), 1))
    speedup = laps[1].wall / laps[0].wall
    return [row("dask speed-up", *laps, bar=("speedup", "≥", 1.8), speedup=speedup)]


def fit(D, rounds: int) -> NMF:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return NMF(PARTS, max_iter=rounds, **SETTINGS).fit(D)


def memory(scale: float) -> list[dict]:
    """GB at the peak for ten million rows in float16, of which one file is read again and again:
    of this process for shards, and the most of two workers."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "rows.npy")
        rows = np.lib.format.open_memmap(path, "w+", np.float16, (IN_FILE, FEATURES))
        rng = np.random.RandomState(0)
        X = rng.uniform(size=(PARTS, FEATURES)) * (rng.uniform(size=(PARTS, FEATURES)) < 0.4)
        for block in np.array_split(rows, 50):
            block[:] = rng.exponential(size=(len(block), PARTS)) @ X
        del rows, block
        files = max(1, round(100 * scale))
        here, taken = apart(of_shards, path, files)
        there, most = apart(of_workers, path, files)
    shape = [files * IN_FILE, FEATURES, PARTS]
    return [
        row(name, run, NEVER, bar=("memory", "≤", 1), memory=gb, peer_memory=None, shape=shape)
        for name, run, gb in (
            ("dask memory of shards", here, taken),
            ("dask memory of a worker", there, most),
        )
    ]


def of_shards(path: Path, files: int) -> tuple[Run, float]:
    D, before = shards([path] * files), anonymous_memory()
    run = []
    taken = peak_memory(lambda: run.append(timed(lambda: fit(D, 2).loss_)))
    return run[0], (before + taken) / GB


def of_workers(path: Path, files: int) -> tuple[Run, float]:
    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "memory_limit": GB}
    with LocalCluster(n_workers=2, **options) as running, Client(running) as client:
        cut = [slice(begin, begin + 20_000) for begin in range(0, IN_FILE, 20_000)]
        blocks = [
            da.from_delayed(delayed(copied)(path, file, some), (20_000, FEATURES), np.float16)
            for file in range(files)
            for some in cut
        ]
        run = measured(lambda: fit(da.concatenate(blocks), 2), 1)
        return run, max(client.run(peak).values()) / GB


def copied(path: Path, file: int, rows: slice) -> np.ndarray:
    """Some rows of the file, which stands for the one so numbered."""
    return np.array(np.load(path, mmap_mode="r")[rows])


def peak() -> int:
    """Bytes of this process at its peak."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


BENCHMARKS = {"dask speed-up": speed_up, "dask memory": memory}
