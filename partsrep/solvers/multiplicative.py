"""Multiplicative updates: NMF under any β-divergence.

As every solver of NMF this has `infer` too: the codes of other data.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..choices.codes import ReLU
from ..choices.objective import Terms
from ..choices.parts import Parts
from ..choices.problem import Problem
from ..leastsquares import pieces
from ..progress import History, progress
from . import Factors, Settings
from .divergences import BLOCK, beta_divergence, beta_divergences, sampled_product
from .hals import widened

CHECK_EVERY = 10  # iterations between two looks at the divergence


def check(problem: Problem, weighted: bool = False) -> None:
    """Raise a ValueError if this is no problem for this solver."""
    objective = problem.objective
    plain = problem.parts == Parts(nonnegative=True) and problem.codes == ReLU()
    if not plain or any(p.elastic is None or p.by_norm for p in objective.penalties):
        raise ValueError(
            "solver='mu' needs nonnegative parts, codes=ReLU() and no penalties but L1(weight) and "
            "L2(weight): use solver='cd'."
        )


def solve(
    D: Any,
    begun: Iterable[Factors],
    problem: Problem,
    settings: Settings,
    *,
    weights: np.ndarray | None = None,
) -> Iterator[tuple[Factors, History]]:
    """As :func:`descend`, from any starts."""
    D = widened(D)
    for start in begun:
        yield descend(D, start, problem.against_data(D.shape), settings, weights)


def descend(
    D: Any, start: Factors, problem: Problem, settings: Settings, weights: np.ndarray | None
) -> tuple[Factors, History]:
    r"""Minimise twice the β-divergence of D from H Xᵀ, plus penalties.

    Each factor is multiplied by :math:`(\nabla^- / \nabla^+)^\gamma`, the two halves of its
    gradient, with the γ that makes the divergence fall: 1 for β in [1, 2], 1/(2−β) below,
    1/(β−1) above. Stops when ten iterations together lower the root of the divergence by no more
    than `tol` of its value at the start, or at once where the start is stationary. An entry that is
    zero stays zero.

    The history is that of every tenth iteration.

    References
    ----------
    Févotte, Idier (2011), "Algorithms for nonnegative matrix factorization with the
    β-divergence", section 4.2.
    """
    F, P = np.array(start.codes.T, order="C"), start.components.copy()
    F, P, tol = np.maximum(F, 0), np.maximum(P, 0), settings.tol
    beta = problem.objective.beta
    of_codes, of_parts = problem.objective.terms("codes"), problem.objective.terms("parts")
    weights_T = None if weights is None else weights.T
    rounding = 10 * float(np.finfo(F.dtype).eps)
    history = History()

    def look(iteration: int, residual: float) -> float:
        divergence = 2 * beta_divergence(D, F.T, P, beta, weights)
        objective = divergence + of_codes(F) + of_parts(P)
        history.add(iteration=iteration, objective=objective, residual=residual)
        return divergence**0.5

    first = last = look(0, np.inf)
    for iteration in progress(range(1, settings.max_iter + 1), "NMF, multiplicative"):
        residual = np.hypot(
            _multiply(F, P, D, weights, beta, of_codes),
            _multiply(P, F, D.T, weights_T, beta, of_parts),
        )
        over = iteration == settings.max_iter or (iteration == 1 and residual <= rounding)
        if over or (tol > 0 and iteration % CHECK_EVERY == 0):
            now = look(iteration, float(residual))
            if over or last - now <= tol * first:
                break
            last = now
    return Factors(F.T, P), history


def infer(
    D: Any,
    components: np.ndarray,
    problem: Problem,
    *,
    weights: np.ndarray | None = None,
    settings: Settings,
) -> np.ndarray:
    """Codes (n, m) of D for given parts, sample by sample, in double precision.

    Each begins with equal codes that rebuild the sample's sum, and ends by itself, as in
    :func:`descend`.
    """
    components, problem = components.astype(np.float64), problem.against_data(D.shape)
    codes = []
    for rows in [slice(None)] if sp.issparse(D) else pieces(D, BLOCK):
        some = None if weights is None else weights[rows]
        codes.append(_codes(D[rows].astype(np.float64), components, problem, some, settings))
    return np.concatenate(codes)


def _codes(
    D: Any, P: np.ndarray, problem: Problem, weights: np.ndarray | None, settings: Settings
) -> np.ndarray:
    """Those of a few samples, which leave when they are done."""
    beta, terms, tol = problem.objective.beta, problem.objective.terms("codes"), settings.tol
    if weights is None:
        sums, share = np.asarray(D.sum(axis=1)).ravel(), P.sum()
    else:
        sums, share = (weights * D).sum(axis=1), weights @ P.sum(axis=0)
    level = np.divide(sums, share, out=np.zeros(D.shape[0]), where=np.asarray(share) > 0)
    H = np.repeat(level[:, None], len(P), axis=1)
    left, F = np.arange(len(H)), np.array(H.T, order="C")
    first = last = beta_divergences(D, H, P, beta, weights) ** 0.5
    for iteration in range(1, settings.max_iter + 1):
        _multiply(F, P, D, weights, beta, terms)
        if tol > 0 and iteration % CHECK_EVERY == 0:
            now = beta_divergences(D, F.T, P, beta, weights) ** 0.5
            on = last - now > tol * first
            H[left[~on]] = F.T[~on]
            if not on.any():
                return H
            left, F, D, first, last = left[on], F[:, on], D[on], first[on], now[on]
            weights = None if weights is None else weights[on]
    H[left] = F.T
    return H


def _multiply(
    F: np.ndarray, P: np.ndarray, D: Any, weights: np.ndarray | None, beta: float, terms: Terms
) -> float:
    """Update the rows F of D ≈ FᵀP in place; returns the scale-free residual before the update:
    the norm of F ∘ gradient, relative to that of F ∘ ∇⁺."""
    gamma = 1 / (2 - beta) if beta < 1 else 1 / (beta - 1) if beta > 2 else 1.0
    down, up = _halves(F, P, D, weights, beta)
    assert terms.elastic is not None  # what `check` has seen
    l1, l2 = terms.elastic
    up = up + l1 + l2 * F
    up[up == 0] = 1  # the partner is zero, and so is ∇⁻
    residual = np.linalg.norm(F * (up - down)) / (np.linalg.norm(F * up) or 1.0)
    F *= (down / up) ** gamma
    F[np.finfo(F.dtype).tiny > F] = 0  # slow
    return float(residual)


def _halves(
    F: np.ndarray, P: np.ndarray, D: Any, weights: np.ndarray | None, beta: float
) -> tuple[np.ndarray, np.ndarray]:
    """The negative and the positive half of the divergence's gradient in F.

    The second may have fewer columns than F, if they are all the same.
    """
    if beta == 2 and weights is None:
        return (D @ P.T).T, (P @ P.T) @ F
    floor = _floor(F.dtype, beta)
    plain = beta == 1 and weights is None
    if sp.issparse(D):
        entries = D.tocoo()
        D_hat = np.maximum(sampled_product(F.T, P, entries.row, entries.col), floor)
        ratio = entries.data / D_hat * D_hat ** (beta - 1)
        down = (type(D)((ratio, D.indices, D.indptr), shape=D.shape) @ P.T).T
        if not plain:
            rows = pieces(D, BLOCK)
            up = [P @ np.maximum(F[:, some].T @ P, floor).T ** (beta - 1) for some in rows]
    else:
        D_hat = np.maximum(F.T @ P, floor)
        if plain:
            down = P @ (D / D_hat).T
        else:
            slope = D_hat ** (beta - 1)
            slope = slope if weights is None else weights * slope
            down, up = P @ (D / D_hat * slope).T, [P @ slope.T]
    return down, P.sum(axis=1, keepdims=True) if plain else np.hstack(up)


def _floor(dtype: np.dtype, beta: float) -> float:
    """What a reconstruction counts as at least, so that D ∘ D̂^(β−2) is finite and to spare."""
    limits = np.finfo(dtype)
    most = float(limits.max) * float(limits.eps)
    return most ** (-1 / max(2 - beta, 1))
