"""NMF on an accelerator and on the processor beside it: whole fits, and the codes of all samples.

    python tests/bench/on_device.py OUT.json [--device cuda]

The starts are the same random ones on both, and both use all threads they are given. Seconds are
those of one run each; the first fit on the device, which loads its libraries, is not timed.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch

from partsrep import NMF, restarts

CASES = [(2000, 784, 16), (20000, 784, 32), (60000, 784, 32)]  # n, d, m


def planted(n: int, d: int, m: int) -> np.ndarray:
    """Sparse codes, sparse parts and a little that neither explains."""
    rng = np.random.RandomState(0)
    H, P = (
        rng.exponential(size=shape) * (rng.uniform(size=shape) < 0.3) for shape in ((n, m), (m, d))
    )
    D = H @ P
    return D + 0.1 * D.mean() * rng.exponential(size=D.shape)


def seconds(task) -> tuple:
    begun = time.perf_counter()
    result = task()
    return result, time.perf_counter() - begun


def case(n: int, d: int, m: int, device: str) -> dict:
    D = planted(n, d, m)
    NMF(m, init="random", tol=0.5, random_state=0, device=device).fit(D[:100])
    there, on_device = seconds(lambda: NMF(m, init="random", random_state=0, device=device).fit(D))
    here, on_processor = seconds(lambda: NMF(m, init="random", random_state=0).fit(D))
    _, codes = seconds(lambda: there.transform(D))
    few = D[:2000]
    _, ten = seconds(lambda: restarts(NMF(m, device=device), few, 10))
    _, ten_here = seconds(lambda: restarts(NMF(m), few, 10))
    return {
        "case": {"n": n, "d": d, "m": m},
        "fit": {"device": on_device, "processor": on_processor},
        "ten_restarts_of_2000_samples": {"device": ten, "processor": ten_here},
        "codes": {"device": codes},
        "iterations": {"device": there.n_iter_, "processor": here.n_iter_},
        "loss_ratio": there.loss_ / here.loss_,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cuda")
    given = parser.parse_args()
    machine = {"device": given.device, "torch": torch.__version__, "threads": os.cpu_count()}
    if given.device.startswith("cuda"):
        machine["device"] = torch.cuda.get_device_name(given.device)
    cases = [case(*sizes, given.device) for sizes in CASES]
    given.out.write_text(json.dumps({"machine": machine, "cases": cases}, indent=1) + "\n")
