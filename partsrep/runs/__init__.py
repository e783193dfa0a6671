"""Sweeps: one notebook at many points, on one machine or on a cluster, and the table of it all."""

from .driver import Plan, Summary, plan, sweep
from .grid import SweepError, points
from .results import picture, records, results

__all__ = [
    "Plan",
    "Summary",
    "SweepError",
    "picture",
    "plan",
    "points",
    "records",
    "results",
    "sweep",
]
