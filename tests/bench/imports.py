"""What importing us takes: NMF, comparison and conditions, against what they build on."""

import os
import subprocess
import sys
import time
from statistics import median

from measure import Run, row

OURS = "from partsrep import NMF, certificate, compare, encodability, verdict"
PEER = "import sklearn.base, pandas"


def cold(scale: float) -> list[dict]:
    """Whole processes, in turn; the bar is 1 / 1.3."""
    laps = [[process(code) for code in (OURS, PEER)] for _ in range(max(2, round(7 * scale)))]
    ours, peer = (
        Run(median(lap.cpu for lap in own), median(lap.wall for lap in own))
        for own in zip(*laps, strict=True)
    )
    return [row("import, scikit-learn and pandas", ours, peer, bar=("ratio", "≥", 0.77))]


def process(code: str) -> Run:
    """A fresh interpreter that runs some code."""
    cpu, wall = used(), time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return Run(used() - cpu, time.perf_counter() - wall)


def used() -> float:
    """Processor seconds of the children that have ended."""
    times = os.times()
    return times.children_user + times.children_system


BENCHMARKS = {"import": cold}
