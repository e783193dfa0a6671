"""The unit in which a solver computes, so that what it finds does not depend on the data's own.

Solvers form fourth powers of the data, compare with numbers near zero and round to single
precision. They meet data whose largest entry is of order 1: D is divided by a power of four, the
problem is put in that unit, and what is found is put back. All of that is exact.
"""

import math
import sys
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from ..choices.inference import NNLS
from ..choices.objective import Elastic, LogVolume
from ..choices.problem import Problem
from ..validation import peak

# Powers of two. Data whose largest entry lies between their inverse and them stay as they are: a
# copy of large data costs memory.
ORDINARY = 12
# The largest price in the unit of the data: any above forbids the factor as much. The smallest
# ridge of a volume: any below is rounding.
MOST, LEAST = 1e15, 1e-15


class Unit(NamedTuple):
    r"""D = data · D′, H = codes · H′ and X = parts · X′, where the primed are what solvers see.

    Parameters
    ----------
    data, codes, parts : float > 0
        Powers of two; in a fit, data = codes · parts.

    Examples
    --------
    >>> D = np.array([[3e-9, 1e-9]])
    >>> unit = Unit.of_fit(D, Problem())
    >>> unit.data == 2.0**-30, unit.codes == unit.parts == 2.0**-15
    (True, True)
    >>> Unit.of_fit(np.array([[3.0, 1.0]]), Problem())
    Unit(data=1.0, codes=1.0, parts=1.0)
    """

    data: float = 1.0
    codes: float = 1.0
    parts: float = 1.0

    @classmethod
    def of_fit(cls, D: Any, problem: Problem) -> "Unit":
        """That of a fit of D: codes and parts share it, unless what is allowed for one has a scale.

        Where it has for both, there is nothing to choose, and the unit is 1.
        """
        parts, data = problem.parts, power_of_four(peak(D))
        if problem.inference != NNLS():  # H = D X
            return cls(data, data, 1.0)
        if parts.of_samples or not homogeneous(problem.codes):
            return cls(data, 1.0, data) if parts.of_samples or parts.homogeneous else cls()
        if parts.homogeneous:
            return cls(data, math.sqrt(data), math.sqrt(data))
        return cls(data, data, 1.0)

    @classmethod
    def of_codes(cls, D: Any, components: np.ndarray, problem: Problem) -> "Unit":
        """That of the codes of D for given parts."""
        if problem.inference != NNLS():
            return cls()  # a product has no scale
        data, parts = power_of_four(peak(D)), power_of_four(peak(components))
        if not homogeneous(problem.codes):
            data = parts = max(data, parts)
        return cls(data, data / parts, parts)

    def measured(self, D: Any) -> Any:
        """D′; D itself where the unit is 1."""
        if self.data == 1:
            return D
        if not sp.issparse(D):
            return D / self.data
        D = D.copy()
        D.data /= self.data
        return D

    def problem(self, problem: Problem) -> Problem:
        """The problem in this unit: its prices are those of D′, H′ and X′."""
        objective = problem.objective
        if self == Unit() or (objective.codes == Elastic() == objective.parts):
            return problem
        prices = {
            name: _price(getattr(objective, name), getattr(self, name), self.data, objective.beta)
            for name in ("codes", "parts")
        }
        return replace(problem, objective=replace(objective, **prices))

    def objective(self, values: Any, problem: Problem, n_components: int) -> Any:
        """What an objective of D′ is for D, given the problem of D.

        Without prices it is a divergence, homogeneous of degree β.
        """
        volume, shift = problem.objective.parts, 0.0
        if isinstance(volume, LogVolume):  # log det(c² M) = 2m log c + log det M
            shift = volume.weight * 2 * n_components * math.log(self.parts)
        return values * _power(self.data, problem.objective.beta) + shift


def homogeneous(codes: Any) -> bool:
    """Whether with H the codes sH are allowed for every s > 0."""
    return getattr(codes, "homogeneous", False)


def power_of_four(number: float) -> float:
    """The one that brings a number ≥ 0 to [1, 4); 1 for numbers of ordinary size, and for 0."""
    exponent = math.frexp(number)[1] - 1
    if number == 0 or abs(exponent) < ORDINARY:
        return 1.0
    return math.ldexp(1.0, exponent // 2 * 2)


def put_back(F: np.ndarray, factor: float, dtype: Any, name: str) -> np.ndarray:
    """factor · F in a precision; a ValueError where that cannot hold it."""
    with np.errstate(over="ignore"):
        F = (F if factor == 1 else F * factor).astype(dtype)
    if not np.isfinite(F).all():
        raise ValueError(f"The {name} are too large for {np.dtype(dtype)}: rescale the data.")
    return F


def _power(unit: float, degree: float) -> float:
    """unit^degree, finite."""
    with np.errstate(over="ignore"):
        return min(float(np.float_power(unit, degree)), sys.float_info.max)


def _price(price: Elastic | LogVolume, factor: float, data: float, beta: float):
    """The price of a factor for F′ = F / factor, as a share of data^β."""
    worth = _power(data, -beta)
    if isinstance(price, LogVolume):
        delta = max(price.delta * _power(factor, -2), LEAST)
        return LogVolume(weight=min(price.weight * worth, MOST), delta=delta)
    l1, l2 = (
        min(weight * worth * _power(factor, degree), MOST)
        for weight, degree in ((price.l1, 1), (price.l2, 2))
    )
    return Elastic(l1=l1, l2=l2)
