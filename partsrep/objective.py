"""What is minimised: the fourth of the four choices.

The fit is a divergence of D from its reconstruction, for an autoencoder the squared error. What is
added to it is a frozen dataclass:

* a penalty of an autoencoder has ``__call__(H)`` on tensors, codes H (n, m), and is one term of a
  mean over samples;
* a price of a factor of NMF has ``__call__(F)`` on arrays, rows F (m, n), and is added to the sum
  over samples, ‖D − HXᵀ‖²; ``system(F, gram, cross)`` adds it to the quadratic of the block solver
  (:func:`partsrep.inference.normal_equations`): exactly, or from above with equality at F.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from scipy.special import xlogy

from .inference import priced
from .validation import check_number


@dataclass(frozen=True)
class L1:
    r"""weight · mean over samples of :math:`\sum_j |h_{ij}|`.

    It binds only where the decoder's norm is fixed: otherwise codes shrink and parts grow.

    Parameters
    ----------
    weight : float ≥ 0
        In units of data times parts' norm.
    """

    weight: float

    def __post_init__(self):
        check_number("L1's weight", self.weight)

    def __call__(self, H: torch.Tensor) -> torch.Tensor:
        return self.weight * H.abs().sum(dim=1).mean()


@dataclass(frozen=True)
class KL:
    r"""weight · :math:`\sum_j KL(p \| \hat p_j)`, p̂_j the mean activation of unit j.

    :math:`KL(p\|q) = p \log(p/q) + (1-p) \log((1-p)/(1-q))`, infinite where q ≥ 1. A unit that
    is never active counts as q = `FLOOR`, so that it is penalised and the objective stays finite.

    Parameters
    ----------
    weight : float ≥ 0
    target : float in (0, 1)
        The wanted mean activation p.
    """

    weight: float
    target: float = 0.05

    FLOOR = 1e-8

    def __post_init__(self):
        check_number("KL's weight", self.weight)
        check_number("KL's target", self.target, above=True)
        if self.target >= 1:
            raise ValueError(f"KL's target must be below 1; got {self.target!r}.")

    def __call__(self, H: torch.Tensor) -> torch.Tensor:
        p, q = self.target, H.mean(dim=0).clamp(min=self.FLOOR)
        inside = q.clamp(max=1 - torch.finfo(q.dtype).eps)
        divergence = p * (math.log(p) - inside.log())
        divergence = divergence + (1 - p) * (math.log1p(-p) - torch.log1p(-inside))
        return self.weight * torch.where(q < 1, divergence, torch.inf).sum()


@dataclass(frozen=True)
class Elastic:
    r"""2 l1 ‖F‖₁ + l2 ‖F‖²_F, the price of a factor with rows F.

    It binds only where the other factor has a price too or a fixed norm.

    Parameters
    ----------
    l1 : float ≥ 0
        In units of data times the other factor's norm.
    l2 : float ≥ 0
        In units of the other factor's norm squared.

    Examples
    --------
    >>> Elastic(l1=0.5, l2=2.0)(np.array([[1.0, 3.0]]))
    24.0
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self):
        check_number("Elastic's l1", self.l1)
        check_number("Elastic's l2", self.l2)

    def __call__(self, F: np.ndarray) -> float:
        if self.l1 == self.l2 == 0:
            return 0.0
        entries = np.abs(F).sum(dtype=np.float64), np.square(F, dtype=np.float64).sum()
        return float(2 * self.l1 * entries[0] + self.l2 * entries[1])

    def system(
        self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """G + l2·I and C − l1: exact for F ≥ 0, which l1 needs."""
        if self.l1 == self.l2 == 0:
            return gram, cross
        return priced(gram, cross, float(self.l1), float(self.l2))


@dataclass(frozen=True)
class LogVolume:
    r"""weight · :math:`\log\det(P P^T + \delta I)`, the volume that the rows of P span.

    It binds only where the other factor has a price too or a fixed norm or sum.

    Parameters
    ----------
    weight : float ≥ 0
        In units of data squared.
    delta : float > 0
        In units of parts squared; parts much smaller than its root cost nothing.

    Notes
    -----
    The logarithm of the determinant is concave in M = PPᵀ + δI, so that its tangent at the present
    P, tr(M⁻¹ P Pᵀ), majorises it: lowering that lowers the price.

    References
    ----------
    Fu, Huang, Yang, Ma, Sidiropoulos (2016), "Robust volume minimization-based matrix
    factorization for remote sensing and document clustering".

    Examples
    --------
    >>> volume = LogVolume(weight=1.0, delta=1.0)(np.diag([3.0, 2.0]))
    >>> round(volume, 3), round(math.log(10 * 5), 3)
    (3.912, 3.912)
    """

    weight: float
    delta: float = 0.1

    def __post_init__(self):
        check_number("LogVolume's weight", self.weight)
        check_number("LogVolume's delta", self.delta, above=True)

    def __call__(self, P: np.ndarray) -> float:
        return float(self.weight * np.linalg.slogdet(self._spread(P))[1])

    def system(
        self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """G + weight·(PPᵀ + δI)⁻¹ and C."""
        slope = (self.weight * np.linalg.inv(self._spread(P))).astype(gram.dtype)
        return gram + (slope if gram.ndim == 2 else slope[..., None]), cross

    def _spread(self, P: np.ndarray) -> np.ndarray:
        P = P.astype(np.float64)
        return P @ P.T + self.delta * np.eye(len(P))


@dataclass(frozen=True)
class Objective:
    """What is minimised: for an autoencoder (a call) the mean over samples of the squared error
    summed over features, plus the penalties; for NMF twice the β-divergence, plus the prices.

    Parameters
    ----------
    penalties : tuple
        Of an autoencoder: :class:`L1`, :class:`KL`.
    beta : float
        Of NMF; 2 is the squared error, see :func:`beta_divergence`.
    codes, parts : Elastic or LogVolume
        The price of each factor of NMF.
    """

    penalties: tuple = ()
    beta: float = 2.0
    codes: Elastic = Elastic()
    parts: Elastic | LogVolume = Elastic()

    def __call__(self, D: torch.Tensor, D_hat: torch.Tensor, H: torch.Tensor) -> torch.Tensor:
        fit = (D - D_hat).square().sum(dim=1).mean()
        return fit + sum(penalty(H) for penalty in self.penalties)


#: The divergences with a name of their own.
BETA = {"frobenius": 2.0, "kullback-leibler": 1.0, "itakura-saito": 0.0}

# A reconstruction below this counts as this much, so that no divergence from it is infinite.
FLOOR = float(np.finfo(np.float32).tiny)
BLOCK = 2**18  # entries of a reconstruction that are computed at a time


def beta_divergence(
    D,
    H: np.ndarray,
    components: np.ndarray,
    beta: float,
    weights: np.ndarray | None = None,
) -> float:
    r"""The β-divergence of D from H Xᵀ; β = 2, 1, 0: half the squared error, Kullback–Leibler,
    Itakura–Saito.

    :math:`\sum_{ip} w_{ip} \frac{d^\beta + (\beta-1) \hat d^\beta - \beta d \hat d^{\beta-1}}
    {\beta(\beta-1)}`, with its limits at β = 0 and 1.

    Parameters
    ----------
    D : ndarray or sparse matrix (n, d)
        At least 0 unless β = 2; where β ≤ 0 a zero makes the divergence infinite.
    H : ndarray (n, m)
    components : ndarray (m, d)
        Xᵀ.
    beta : float
    weights : None or ndarray (n, d) ≥ 0
        What each entry counts; where it is 0 the data does not matter.

    Notes
    -----
    A sparse D without weights and with β = 1 or 2 costs what its nonzero entries cost.

    References
    ----------
    Févotte, Idier (2011), "Algorithms for nonnegative matrix factorization with the
    β-divergence".

    Examples
    --------
    >>> beta_divergence(np.array([[2.0]]), np.array([[1.0]]), np.array([[1.0]]), beta=2)
    0.5
    """
    if sp.issparse(D) and weights is None and beta > 0:
        return _sparse_beta_divergence(D.tocoo(), H, components, beta)
    total = 0.0
    for rows in _blocks(D.shape[0], D.shape[1]):
        d = D[rows].toarray() if sp.issparse(D) else D[rows]
        d_hat = H[rows] @ components
        if weights is None:
            total += np.sum(_divergence(d, d_hat, beta))
        else:
            seen = weights[rows] > 0
            total += np.vdot(weights[rows][seen], _divergence(d[seen], d_hat[seen], beta))
    return float(total)


def _sparse_beta_divergence(D, H: np.ndarray, components: np.ndarray, beta: float) -> float:
    """That of zeros, Σ d̂^β / β over all entries, and the difference where D is not zero."""
    if beta == 2:
        H = H.astype(np.float64)
        total = np.vdot(H.T @ H, components @ components.T) / 2
    elif beta == 1:
        total = H.sum(axis=0, dtype=np.float64) @ components.sum(axis=1)
    else:
        blocks = (H[rows] @ components for rows in _blocks(*D.shape))
        total = sum(np.sum(_divergence(0.0, block, beta)) for block in blocks)
    for some in _blocks(D.nnz, H.shape[1]):
        d_hat = np.einsum("ij,ij->i", H[D.row[some]], components.T[D.col[some]])
        total += np.sum(_divergence(D.data[some], d_hat, beta) - _divergence(0.0, d_hat, beta))
    return float(total)


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of the rows of an array, so that a block has about `BLOCK` entries."""
    step = max(1, BLOCK // columns)
    return (slice(begin, begin + step) for begin in range(0, rows, step))


def _divergence(d: np.ndarray | float, d_hat: np.ndarray, beta: float) -> np.ndarray:
    """The β-divergence of each entry, in double precision."""
    d, d_hat = np.asarray(d, np.float64), d_hat.astype(np.float64)
    if beta == 2:
        return (d - d_hat) ** 2 / 2
    d_hat = np.maximum(d_hat, FLOOR)
    with np.errstate(divide="ignore"):  # β ≤ 0 at d = 0 is infinite
        if beta == 1:
            return xlogy(d, d / d_hat) - d + d_hat
        if beta == 0:
            return d / d_hat - np.log(d / d_hat) - 1
        mixed = d**beta + (beta - 1) * d_hat**beta - beta * d * d_hat ** (beta - 1)
    return mixed / (beta * (beta - 1))
