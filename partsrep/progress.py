"""Where long work stands: a bar while it runs, a history when it is over."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

import numpy as np

from .lazy import tqdm


def progress(steps: Sequence, description: str) -> Iterator:
    """Yield the `steps`, with a bar from the second second on, where somebody can see it.

    It is shown in terminals and notebooks and silent in logs and pipes;
    ``TQDM_DISABLE=1`` in the environment silences it everywhere.
    """
    began, shown = time.perf_counter(), None
    try:
        for done, step in enumerate(steps):
            # Made late, because a notebook pays twenty messages for a bar that nobody sees.
            if shown is None and time.perf_counter() - began > 1:
                shown = bar(total=len(steps), initial=done, desc=description, leave=False)
            yield step
            if shown is not None:
                shown.update()
    finally:
        if shown is not None:
            shown.close()


def bar(**options) -> tqdm.auto.tqdm:
    """A bar of tqdm's, where somebody can see it."""
    # `None` asks the stream whether it is a terminal, which a notebook's stream denies.
    silent = False if issubclass(tqdm.auto.tqdm, tqdm.notebook.tqdm_notebook) else None
    silenced = bool(os.environ.get("TQDM_DISABLE"))
    return tqdm.auto.tqdm(mininterval=0.5, disable=silenced or silent, **options)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during training. The module holds the best there was; `history` is that of so far."""

    def __init__(self, history: dict[str, np.ndarray]):
        self.history = history


def arrays(history: dict[str, list]) -> dict[str, np.ndarray]:
    """What was noted epoch by epoch, one array a quantity."""
    return {name: np.array(series) for name, series in history.items()}


class History:
    """What a solver reached, iteration by iteration, and the seconds since it began."""

    def __init__(self):
        self._began = time.perf_counter()
        self._rows: list[dict[str, float]] = []

    def add(self, iteration: int, objective: float, residual: float) -> None:
        """Note an iteration."""
        seconds = time.perf_counter() - self._began
        self._rows.append(
            {
                "iteration": iteration,
                "objective": objective,
                "residual": residual,
                "seconds": seconds,
            }
        )

    @property
    def last(self) -> dict[str, float]:
        """The latest iteration."""
        return self._rows[-1]

    @property
    def iterations(self) -> int:
        """How many there were."""
        return self.last["iteration"] if self._rows else 0

    def arrays(self) -> dict[str, np.ndarray]:
        """One array a quantity."""
        return {name: np.array([row[name] for row in self._rows]) for name in self._rows[0]}
