"""How far a factorization is from its optimality conditions."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..choices.objective import Terms
from ..choices.parts import Parts
from ..choices.problem import Problem
from ..leastsquares import equations_by_block
from .blocked import Blocked, data_norm, part_equations, widened_rows


def idle_signs(H: Any, problem: Problem) -> np.ndarray:
    """Which parts (m,) no sample uses while their sign is free."""
    return ~H.any(axis=0) if problem.parts.signed else np.zeros(H.shape[1], bool)


def turned(H: Any, components: np.ndarray, problem: Problem) -> np.ndarray:
    """Parts with the sign of the idle ones changed, which costs nothing."""
    idle = idle_signs(H, problem)
    return problem.parts.project(np.where(idle[:, None], -components, components))


def kkt_residual(
    D: Any,
    H: np.ndarray,
    components: np.ndarray,
    problem: Problem | None = None,
    weights: np.ndarray | None = None,
) -> float:
    r"""Distance of a factorization from its optimality conditions, free of all scales.

    For an NMF, with M = (H Xᵀ − D) X and N = Hᵀ(H Xᵀ − D), they are M ≥ 0, M ∘ H = 0 and N ≥ 0,
    N ∘ Xᵀ = 0. The residual is the norm of what violates them, the other factor's parts scaled to
    norm 1, divided by ‖D‖_F; 0 at a stationary point, of order 1 at a random one. For other
    problems each factor's residual is that of its codes or parts, with the penalties put in. Parts
    of any sign that no code uses count with the sign that is worse.

    Parameters
    ----------
    D, H, components : ndarray (n, d) or sparse matrix, ndarray (n, m), ndarray (m, d)
        D, H and weights may also lie in blocks, as a Dask array's do.
    problem : Problem or None
        None: NMF, both factors nonnegative. Parts that depend on the data must be bound to D.
    weights : ndarray (n, d) ≥ 0 or None
        Of the squared errors.

    Examples
    --------
    >>> kkt_residual(np.eye(2), np.eye(2), np.eye(2))
    0.0
    """
    problem = (problem or Problem(parts=Parts(nonnegative=True))).against_data(D.shape)
    signs = [components]
    if idle_signs(H, problem).any():
        signs.append(turned(H, components, problem))
    unit = data_norm(D, weights) or 1.0
    return max(_violation(D, H, P, problem, weights) for P in signs) / unit


def _violation(D: Any, H: Any, P: np.ndarray, problem: Problem, weights: Any) -> float:
    """The norm of what violates the optimality conditions."""
    if isinstance(D, Blocked):
        squares = D.total(_squares_of_codes, weights, H, P=P, problem=problem)[0]
        equations = [(slice(None), *part_equations(D, weights, H))]
        [of_parts] = _residuals(problem.parts, problem.objective.terms("parts"), P, equations)
        return float(np.hypot(np.sqrt(squares), of_parts))
    weights_T = None if weights is None else weights.T
    residuals = []
    factors: list[tuple[Any, str, np.ndarray, tuple[Any, Any, Any]]] = [
        (problem.codes, "codes", H.T, (D, P, weights)),
        (problem.parts, "parts", P, (D.T, H.T, weights_T)),
    ]
    for allowed, factor, F, of in factors:
        terms = problem.objective.terms(factor)
        apart = allowed.columnwise and terms.columnwise
        residuals += _residuals(allowed, terms, F, equations_by_block(*of, apart))
    return float(np.linalg.norm(np.array(residuals)))


def _residuals(allowed: Any, terms: Terms, F: np.ndarray, equations: Iterable) -> list[float]:
    """Those of the columns of a factor as rows F, by their equations."""
    systems = ((F[:, block], gram, cross) for block, gram, cross in equations)
    return [allowed.residual(F, *terms.quadratic(F, gram, cross)) for F, gram, cross in systems]


def _squares_of_codes(D: Any, weights: Any, H: np.ndarray, P: np.ndarray, problem: Problem) -> Any:
    """Of a block's codes the squares of their residuals."""
    codes, terms = problem.codes, problem.objective.terms("codes")
    residuals: list[float] = []
    for rows, some, seen in widened_rows(D, weights):
        residuals += _residuals(codes, terms, H[rows].T, equations_by_block(some, P, seen, True))
    return (float(np.square(np.array(residuals)).sum()),)
