"""A set of parts: entries between 0 and 1."""

from dataclasses import dataclass

import numpy as np

from partsrep.choices.parts import PartSet


@dataclass(frozen=True)
class Bounded(PartSet):
    """The set {X : 0 ≤ x_jp ≤ 1}, by exact updates of one part after the other."""

    nonnegative = True
    columnwise = True  # features can be improved in separate blocks

    def project(self, components: np.ndarray) -> np.ndarray:
        """Nearest member."""
        return components.clip(0, 1)
