"""Where long work stands: a bar while it runs, a history when it is over."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .lazy import tqdm

#: Who is told how far the outermost loop is, `(description, done, of how many)`, bar or no bar.
listeners: list[Callable[[str, int, int], None]] = []


def progress(steps: Sequence, description: str) -> Iterator:
    """Yield the `steps`, with a bar from the second second on, where somebody can see it.

    It is shown in terminals and notebooks and silent in logs and pipes;
    ``TQDM_DISABLE=1`` in the environment silences it everywhere.
    """
    began, shown = time.perf_counter(), None
    listener = listeners.pop() if listeners else None  # so that the loops within find none
    try:
        for done, step in enumerate(steps):
            if listener is not None:
                listener(description, done, len(steps))
            # Made late, because a notebook pays twenty messages for a bar that nobody sees.
            if shown is None and time.perf_counter() - began > 1:
                shown = bar(total=len(steps), initial=done, desc=description, leave=False)
            yield step
            if shown is not None:
                shown.update()
    finally:
        if shown is not None:
            shown.close()
        if listener is not None:
            listeners.append(listener)


def bar(**options) -> tqdm.auto.tqdm:
    """A bar of tqdm's, where somebody can see it."""
    # `None` asks the stream whether it is a terminal, which a notebook's stream denies.
    kind = tqdm.auto.tqdm
    # Elsewhere tqdm has not imported its module for notebooks, and with it IPython.
    in_notebook = "tqdm.notebook" in sys.modules and issubclass(kind, tqdm.notebook.tqdm_notebook)
    silent = bool(os.environ.get("TQDM_DISABLE")) or (False if in_notebook else None)
    return kind(mininterval=0.5, disable=silent, **options)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during training. The module holds the best there was; `history` is that of so far."""

    def __init__(self, history: History):
        self.history = history


class History:
    """What a solver reached, step by step, and the seconds since it began.

    In a stack of autoencoders a quantity may be an array, one number for each.
    """

    solver = ""  # its name

    def __init__(self):
        self._began = time.perf_counter()
        self.rows: list[dict[str, Any]] = []

    def add(self, **reached: Any) -> None:
        """Note a step; unless it says which, the start is number 0."""
        own = {"iteration": len(self.rows)} | reached
        self.rows.append(own | {"seconds": time.perf_counter() - self._began})

    @property
    def last(self) -> dict[str, Any]:
        """The latest step."""
        return self.rows[-1]

    @property
    def iterations(self) -> int:
        """How many there were."""
        return self.last["iteration"] if self.rows else 0

    def arrays(self) -> dict[str, np.ndarray]:
        """One array a quantity."""
        return {name: np.array([row[name] for row in self.rows]) for name in self.rows[0]}

    def member(self, index: int) -> History:
        """That of one autoencoder of a stack."""
        own = History()
        own.solver = self.solver
        own.rows = [
            {name: value[index] if np.ndim(value) else value for name, value in row.items()}
            for row in self.rows
        ]
        return own
