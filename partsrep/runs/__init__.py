"""Sweeps: one notebook at many points, on one machine or on a cluster, and the table of it all."""

from ..lazy import require

require("runs")  # or the modules below fail at their imports, without saying what to install

# ruff: noqa: E402
from .driver import Plan, Summary, plan, sweep
from .grid import points
from .parameters import RunError
from .results import picture, records, results

__all__ = [
    "Plan",
    "RunError",
    "Summary",
    "picture",
    "plan",
    "points",
    "records",
    "results",
    "sweep",
]
