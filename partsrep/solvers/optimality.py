"""How far a factorization is from its optimality conditions."""

from typing import Any

import numpy as np

from ..choices.parts import Parts
from ..choices.problem import Problem
from ..leastsquares import data_norm, equations_by_block


def idle_signs(H: np.ndarray, problem: Problem) -> np.ndarray:
    """Which parts (m,) no sample uses while their sign is free."""
    return np.logical_and(~H.any(axis=0), problem.parts.signed)


def turned(H: np.ndarray, components: np.ndarray, problem: Problem) -> np.ndarray:
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


def _violation(D: Any, H: np.ndarray, P: np.ndarray, problem: Problem, weights: Any) -> float:
    """The norm of what violates the optimality conditions."""
    of_codes, of_parts = problem.objective.terms("codes"), problem.objective.terms("parts")
    weights_T = None if weights is None else weights.T
    residuals = []
    for allowed, terms, F, equations in (
        (problem.codes, of_codes, H.T, (D, P, weights)),
        (problem.parts, of_parts, P, (D.T, H.T, weights_T)),
    ):
        apart = allowed.columnwise and terms.columnwise
        for block, gram, cross in equations_by_block(*equations, apart):
            begin = F[:, block]
            residuals.append(allowed.residual(begin, *terms.quadratic(begin, gram, cross)))
    return float(np.linalg.norm(np.array(residuals)))
