"""The one problem that NMF and every autoencoder here solve, as four choices."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from .codes import JumpReLU, ReLU, TopK
from .inference import NNLS, Layer
from .objective import Objective
from .parts import Parts


@dataclass(frozen=True)
class Problem:
    r"""min ‖D − (H Xᵀ + 1cᵀ)‖² + penalties, with four things to choose.

    Parameters
    ----------
    parts : Parts
        What X, and an offset c, may be.
    codes : ReLU, JumpReLU or TopK
        What H may be.
    inference : NNLS or Layer
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
    Layer(tied=False, bias=False)
    """

    parts: Parts = Parts()
    codes: ReLU | JumpReLU | TopK = ReLU()
    inference: NNLS | Layer = NNLS()
    objective: Objective = Objective()


def squared_error(D: np.ndarray, D_hat: np.ndarray) -> float:
    """‖D − D̂‖²_F in double precision."""
    residual = np.subtract(D, D_hat, dtype=np.float64)
    return float(np.vdot(residual, residual))


def gram_loss(norm: float, gram: np.ndarray, cross: np.ndarray, P: np.ndarray) -> float:
    """‖D − FᵀP‖²_F from ‖D‖_F, F Fᵀ and F D alone: exact to about 1e-16 ‖D‖², and never below 0."""
    return max(float(norm**2 - 2 * np.vdot(P, cross) + np.vdot(gram, P @ P.T)), 0.0)


def factorization_loss(D, H: np.ndarray, components: np.ndarray) -> float:
    """‖D − H Xᵀ‖²_F; a sparse D is never made dense."""
    if sp.issparse(D):
        return gram_loss(data_norm(D), H.T @ H, (D.T @ H).T, components)
    return squared_error(D, H @ components)


def stationarity(F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float:
    r"""How far the rows F ≥ 0 are from optimal: ‖projected gradient‖, partner rows at norm 1.

    The gradient of half the loss is G F − C; where F = 0 only its negative part counts. Dividing
    row k by √G_kk makes the value the same however a part and its code share their scale.
    """
    gradient = gram @ F - cross
    projected = np.where(F > 0, gradient, np.minimum(gradient, 0))
    scale = np.sqrt(gram.diagonal())[:, None]
    return float(np.linalg.norm(projected / np.where(scale > 0, scale, 1)))


def kkt_residual(D, H: np.ndarray, components: np.ndarray) -> float:
    r"""Distance of an NMF from its optimality conditions, free of all scales.

    With M = (H Xᵀ − D) X and N = Hᵀ(H Xᵀ − D), the conditions are M ≥ 0, M ∘ H = 0 and N ≥ 0,
    N ∘ Xᵀ = 0. The residual is the norm of what violates them, the other factor's parts scaled to
    norm 1, divided by ‖D‖_F; 0 at a stationary point, of order 1 at a random one.

    Parameters
    ----------
    D : ndarray or sparse matrix (n, d)
    H : ndarray (n, m) ≥ 0
    components : ndarray (m, d) ≥ 0
        Xᵀ.

    Examples
    --------
    >>> kkt_residual(np.eye(2), np.eye(2), np.eye(2))
    0.0
    """
    codes = stationarity(H.T, components @ components.T, (D @ components.T).T)
    parts = stationarity(components, H.T @ H, (D.T @ H).T)
    return float(np.hypot(codes, parts) / (data_norm(D) or 1.0))


def data_norm(D) -> float:
    """‖D‖_F, sparse D allowed."""
    return float(sp.linalg.norm(D) if sp.issparse(D) else np.linalg.norm(D))
