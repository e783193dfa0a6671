"""A matrix as a file holds it, with the names that stand beside it."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Table:
    """Numbers, samples in rows, dense or sparse; names of columns and rows; classes of rows."""

    D: Any
    features: np.ndarray | None = None
    samples: np.ndarray | None = None
    labels: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.D.shape
