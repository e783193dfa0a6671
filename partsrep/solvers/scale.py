"""The unit in which a solver computes, so that what it finds does not depend on the data's own.

Solvers form fourth powers of the data, compare with numbers near zero and round to single
precision. NMF's meet data whose largest entry is of order 1: D is divided by a power of four, the
problem is put in that unit, and what is found is put back, all of it exact. An autoencoder's meet
data with a root mean square of 1.
"""

import math
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..choices.problem import Problem
from ..choices.units import Unit
from ..leastsquares import data_norm
from ..validation import peak

# Powers of two. Data whose largest entry lies between their inverse and them stay as they are: a
# copy of large data costs memory.
ORDINARY = 12


def of_fit(D: Any, problem: Problem) -> Unit:
    """The unit of a fit of D: codes and parts share it, unless what is allowed for one has a scale.

    Where it has for both, or a penalty does not know of units, there is nothing to choose, and the
    unit is 1.

    Examples
    --------
    >>> unit = of_fit(np.array([[3e-9, 1e-9]]), Problem())
    >>> unit.data == 2.0**-30, unit.codes == unit.parts == 2.0**-15
    (True, True)
    >>> of_fit(np.array([[3.0, 1.0]]), Problem()) == Unit()
    True
    """
    parts, data = problem.parts, power_of_four(peak(D))
    degree = problem.objective.fit.degree
    if not problem.objective.knows_units:
        return Unit(degree=degree)
    if problem.inference.amortised:  # H = D X
        return Unit(data, 1.0, degree)
    if parts.of_samples or not problem.codes.homogeneous:
        movable = parts.of_samples or parts.homogeneous
        return Unit(data, data, degree) if movable else Unit(degree=degree)
    return Unit(data, math.sqrt(data) if parts.homogeneous else 1.0, degree)


def of_codes(D: Any, components: np.ndarray, problem: Problem) -> Unit:
    """The unit of the codes of D for given parts."""
    degree = problem.objective.fit.degree
    if problem.inference.amortised or not problem.objective.knows_units:
        return Unit(degree=degree)  # a product has no scale
    data, parts = power_of_four(peak(D)), power_of_four(peak(components))
    if not problem.codes.homogeneous:
        data = parts = max(data, parts)
    return Unit(data, parts, degree)


def measured(D: Any, unit: Unit) -> Any:
    """D in a unit; D itself where that is 1."""
    if unit.data == 1:
        return D
    if not sp.issparse(D):
        return D / unit.data
    D = D.copy()
    D.data /= unit.data
    return D


def norm(D: Any) -> float:
    """‖D‖_F, of data whose squares may overflow or vanish."""
    unit = Unit(power_of_four(peak(D)))
    return data_norm(measured(D, unit)) * unit.data


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
