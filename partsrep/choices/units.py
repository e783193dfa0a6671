"""The unit in which a problem is solved."""

import sys
from typing import NamedTuple

import numpy as np


class Unit(NamedTuple):
    """D = data · D′, X = parts · X′, and so H = codes · H′ with codes = data / parts; the primed
    are what solvers see. `degree` is the power of the data's unit in the objective."""

    data: float = 1.0
    parts: float = 1.0
    degree: float = 2.0

    @property
    def codes(self) -> float:
        return self.data / self.parts

    @property
    def objective(self) -> float:
        """The unit of the objective."""
        return self.power(self.data, self.degree)

    @staticmethod
    def power(unit: float, degree: float) -> float:
        """unit^degree, finite and above 0."""
        with np.errstate(over="ignore"):
            power = float(np.float_power(unit, degree))
        return min(max(power, sys.float_info.min), sys.float_info.max)
