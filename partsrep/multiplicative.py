"""Multiplicative updates: NMF under any β-divergence.

Like every solver of `NMF`, this module has `check`, `factorize` and `infer`.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp

from .codes import ReLU
from .objective import Elastic, beta_divergence
from .parts import Parts
from .problem import Problem
from .progress import History, progress

TINY = float(np.finfo(np.float32).eps)
SMALL = float(np.finfo(np.float64).eps)
CHECK_EVERY = 10  # iterations between two looks at the divergence
ROWS = 512  # samples of a sparse D whose dense reconstruction is held at a time


def check(problem: Problem, weighted: bool) -> None:
    """Raise a ValueError if this is no problem for this solver."""
    nonnegative = problem.parts == Parts(nonnegative=True) and problem.codes == ReLU()
    if not nonnegative or not isinstance(problem.objective.parts, Elastic):
        raise ValueError(
            "solver='mu' needs nonnegative parts, codes=ReLU() and no LogVolume: use solver='cd'."
        )


def factorize(
    D: Any,
    H: np.ndarray,
    components: np.ndarray,
    problem: Problem,
    *,
    weights: np.ndarray | None = None,
    tol: float,
    max_iter: int,
) -> tuple[np.ndarray, np.ndarray, History]:
    r"""Minimise twice the β-divergence of D from H Xᵀ, plus prices.

    Each factor is multiplied by :math:`(\nabla^- / \nabla^+)^\gamma`, the two halves of its
    gradient, with the γ that makes the divergence fall: 1 for β in [1, 2], 1/(2−β) below,
    1/(β−1) above. Stops when ten iterations together lower the root of the divergence by less
    than `tol` of its value at the start. An entry that is zero stays zero.

    Returns
    -------
    H : ndarray (n, m)
    components : ndarray (m, d)
    history : History
        Of every tenth iteration.

    References
    ----------
    Févotte, Idier (2011), "Algorithms for nonnegative matrix factorization with the
    β-divergence", section 4.2.
    """
    F, P = np.array(H.T, order="C"), components.copy()
    history = _iterate(D, F, P, problem, weights, tol, max_iter, learn_parts=True)
    return F.T, P, history


def infer(
    D: Any,
    components: np.ndarray,
    problem: Problem,
    *,
    weights: np.ndarray | None = None,
    tol: float,
    max_iter: int,
) -> np.ndarray:
    """Codes (n, m) of D for given parts, from a constant start."""
    m = len(components)
    F = np.full((m, D.shape[0]), (float(D.mean()) / m) ** 0.5, D.dtype)
    _iterate(D, F, components, problem, weights, tol, max_iter, learn_parts=False)
    return F.T


def _iterate(
    D: Any,
    F: np.ndarray,
    P: np.ndarray,
    problem: Problem,
    weights: np.ndarray | None,
    tol: float,
    max_iter: int,
    learn_parts: bool,
) -> History:
    """Update F, and P if it is to be learned, in place."""
    beta, prices = problem.objective.beta, problem.objective
    weights_T = None if weights is None else weights.T
    history = History()

    def look(iteration: int, residual: float) -> float:
        divergence = 2 * beta_divergence(D, F.T, P, beta, weights)
        history.add(iteration, divergence + prices.codes(F) + prices.parts(P), residual)
        return divergence**0.5

    first = last = look(0, np.inf)
    for iteration in progress(range(1, max_iter + 1), "NMF, multiplicative"):
        residual = _multiply(F, P, D, weights, beta, prices.codes)
        if learn_parts:
            residual = np.hypot(residual, _multiply(P, F, D.T, weights_T, beta, prices.parts))
        if iteration == max_iter or (tol > 0 and iteration % CHECK_EVERY == 0):
            now = look(iteration, float(residual))
            if last - now < tol * first:
                break
            last = now
    return history


def _multiply(
    F: np.ndarray,
    P: np.ndarray,
    D: Any,
    weights: np.ndarray | None,
    beta: float,
    price: Elastic,
) -> float:
    """Update the rows F of D ≈ FᵀP in place; returns the scale-free residual before the update:
    the norm of F ∘ gradient, relative to that of F ∘ ∇⁺."""
    gamma = 1 / (2 - beta) if beta < 1 else 1 / (beta - 1) if beta > 2 else 1.0
    down, up = _halves(F, P, D, weights, beta)
    up = up + price.l1 + price.l2 * F
    up[up == 0] = TINY
    residual = np.linalg.norm(F * (up - down)) / (np.linalg.norm(F * up) or 1.0)
    F *= (down / up) ** gamma
    # Numbers below the smallest normal one are slow, and where β < 1 small ones overflow.
    F[(SMALL if beta < 1 else np.finfo(F.dtype).tiny) > F] = 0
    return float(residual)


def _halves(
    F: np.ndarray, P: np.ndarray, D: Any, weights: np.ndarray | None, beta: float
) -> tuple[np.ndarray, np.ndarray]:
    """The negative and the positive half of the divergence's gradient in F."""
    if beta == 2 and weights is None:
        return (D @ P.T).T, (P @ P.T) @ F
    floor = TINY if beta < 2 else 0.0
    if sp.issparse(D):
        entries = D.tocoo()
        D_hat = np.einsum("ij,ij->j", F[:, entries.row], P[:, entries.col])
        weighted = entries.data * np.maximum(D_hat, floor) ** (beta - 2)
        down = (sp.coo_array((weighted, (entries.row, entries.col)), D.shape).tocsr() @ P.T).T
        if beta == 1:
            return down, np.repeat(P.sum(axis=1)[:, None], F.shape[1], axis=1)
        blocks = [slice(first, first + ROWS) for first in range(0, F.shape[1], ROWS)]
        up = [P @ np.maximum(F[:, rows].T @ P, floor).T ** (beta - 1) for rows in blocks]
        return down, np.hstack(up)
    D_hat = np.maximum(F.T @ P, floor)
    seen = 1 if weights is None else weights
    down = P @ (seen * D * D_hat ** (beta - 2)).T
    return down, P @ (seen * D_hat ** (beta - 1)).T
