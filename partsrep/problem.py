"""The one problem that NMF and every autoencoder here solve, as four choices."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from .codes import ReLU
from .inference import (
    BLOCK,
    ENTRIES,
    NNLS,
    ROWS,
    Layer,
    Pursuit,
    blocks,
    normal_equations,
    width,
)
from .objective import KL, Decay, Objective
from .parts import Parts


@dataclass(frozen=True)
class Problem:
    r"""min ‖D − (H Xᵀ + 1cᵀ)‖² + penalties, with four things to choose.

    Parameters
    ----------
    parts : Parts
        What X, and an offset c, may be.
    codes : ReLU, TopK …
        What H may be.
    inference : NNLS, Layer or Pursuit
        How H comes from D.
    objective : Objective
        What is minimised.

    Examples
    --------
    NMF and an autoencoder with nonnegative parts differ in one choice:

    >>> from dataclasses import replace
    >>> nmf = Problem(parts=Parts(nonnegative=True))
    >>> sae = replace(nmf, inference=Layer())
    >>> sae.inference
    Layer(tied=False, bias=False, nonnegative=False, steps=1, gain=False)
    """

    parts: Parts = Parts()
    codes: Any = ReLU()
    inference: NNLS | Layer | Pursuit = NNLS()
    objective: Objective = Objective()

    def unit_of_parts(self, data: float) -> float | None:
        """The unit in which an autoencoder's parts are measured if that of the data is `data`.

        Codes have the rest. Parts have none (1) where their norm or the encoder says how large they
        are, and all of it where that is true of the codes. None if both is so, or if a choice does
        not know of units: such a problem has a unit of its own.

        Examples
        --------
        >>> from partsrep.codes import Logistic
        >>> Problem(inference=Layer()).unit_of_parts(255.0)
        1.0
        >>> Problem(codes=Logistic(), inference=Layer()).unit_of_parts(255.0)
        255.0
        """
        codes, parts, layer = self.codes, self.parts, self.inference
        penalties = self.objective.penalties
        known = codes.homogeneous or hasattr(codes, "in_units") or hasattr(codes, "dimensionless")
        if self.objective.link != "linear" or not known:
            return None
        if not all(hasattr(penalty, "in_units") for penalty in penalties):
            return None
        of_parts = parts.of_samples or hasattr(codes, "dimensionless")
        of_parts = of_parts or any(isinstance(penalty, KL) for penalty in penalties)
        of_codes = parts.unit or (layer.tied and not layer.gain and not isinstance(layer, Pursuit))
        of_codes = of_codes or any(isinstance(penalty, Decay) for penalty in penalties)
        if of_parts and of_codes:
            return None
        return data if of_parts else 1.0

    def in_units(self, data: float, parts: float) -> "Problem":
        """The same problem for data and parts that are measured in these units, its objective in
        units of data squared."""
        codes = self.codes
        if hasattr(codes, "in_units"):
            codes = codes.in_units(data / parts)
        penalties = tuple(penalty.in_units(data, parts) for penalty in self.objective.penalties)
        return replace(self, codes=codes, objective=replace(self.objective, penalties=penalties))


def squared_error(D: np.ndarray, D_hat: np.ndarray) -> float:
    """‖D − D̂‖²_F in double precision."""
    residual = np.subtract(D, D_hat, dtype=np.float64)
    return float(np.vdot(residual, residual))


def gram_loss(norm: float, gram: np.ndarray, cross: np.ndarray, P: np.ndarray) -> float:
    """‖D − FᵀP‖²_F from ‖D‖_F, F Fᵀ and F D alone: exact to about 1e-16 ‖D‖², and never below 0."""
    return max(float(norm**2 - 2 * np.vdot(P, cross) + np.vdot(gram, P @ P.T)), 0.0)


def factorization_loss(
    D: Any, H: np.ndarray, components: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """‖D − H Xᵀ‖²_F, each squared error times its weight; a sparse D is never made dense."""
    if sp.issparse(D):
        return gram_loss(data_norm(D), H.T @ H, (D.T @ H).T, components)
    return sum(
        squared_error(D[rows], H[rows] @ components)
        if weights is None
        else float(np.sum(weights[rows] * (D[rows] - H[rows] @ components) ** 2))
        for rows in blocks(len(D), ROWS)
    )


def idle_signs(H: np.ndarray, problem: Problem) -> np.ndarray:
    """Which parts (m,) no sample uses while their sign is free."""
    return ~H.any(axis=0) & (not problem.parts.nonnegative and not problem.parts.of_samples)


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
    problems each factor's residual is that of its codes or parts, with the prices put in. Parts
    of any sign that no code uses count with the sign that is worse.

    Parameters
    ----------
    D : ndarray or sparse matrix (n, d)
    H : ndarray (n, m)
    components : ndarray (m, d)
        Xᵀ.
    problem : Problem or None
        None: NMF, both factors nonnegative. Parts that depend on the data must be bound to D.
    weights : ndarray (n, d) ≥ 0 or None
        Of the squared errors.

    Examples
    --------
    >>> kkt_residual(np.eye(2), np.eye(2), np.eye(2))
    0.0
    """
    problem = problem or Problem(parts=Parts(nonnegative=True))
    signs = [components]
    if idle_signs(H, problem).any():
        signs.append(turned(H, components, problem))
    unit = data_norm(D, weights) or 1.0
    return max(_violation(D, H, P, problem, weights) for P in signs) / unit


def _violation(
    D: Any,
    H: np.ndarray,
    components: np.ndarray,
    problem: Problem,
    weights: np.ndarray | None,
) -> float:
    """The norm of what violates the optimality conditions."""
    weights_T = None if weights is None else weights.T
    prices = problem.objective
    residuals = [
        allowed.residual(F[:, block], *price.system(F, gram, cross))
        for allowed, price, F, equations in (
            (problem.codes, prices.codes, H.T, (D, components, weights)),
            (problem.parts, prices.parts, components, (D.T, H.T, weights_T)),
        )
        for block, gram, cross in equations_by_block(*equations, allowed)
    ]
    return float(np.linalg.norm(residuals))


def equations_by_block(
    D: Any, P: np.ndarray, weights: np.ndarray | None, allowed: Any
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """The quadratic (:func:`partsrep.inference.normal_equations`) of a few samples' codes at a
    time, if what is allowed lets them be treated apart, so that they stay in the cache."""
    size = D.shape[0]
    if allowed.columnwise and not sp.issparse(D):
        size = width(P) if weights is None else max(ENTRIES // len(P) ** 2, 1)
    for block in blocks(D.shape[0], size):
        samples = D if sp.issparse(D) else D[block]
        some = None if weights is None else weights[block]
        yield block, *normal_equations(samples, P, some)


def data_norm(D: Any, weights: np.ndarray | None = None) -> float:
    """‖D‖_F, or √Σ weights ∘ D², summed in double precision; sparse D allowed."""
    if sp.issparse(D):
        D = D.data[None]
    rows = blocks(len(D), BLOCK)
    if weights is None:
        energy = sum(np.einsum("ip,ip->", D[b], D[b], dtype=np.float64) for b in rows)
    else:
        energy = sum(
            np.einsum("ip,ip,ip->", weights[b], D[b], D[b], dtype=np.float64) for b in rows
        )
    return float(np.sqrt(energy))
