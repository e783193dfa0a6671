"""β-divergences of data from a reconstruction, in numpy."""

import numpy as np
import scipy.sparse as sp
from scipy.special import xlogy

from ..leastsquares import blocks, pieces
from ..validation import peak

# A reconstruction below this share of the largest entry counts as this much, so that no divergence
# from it is infinite.
FLOOR = float(np.finfo(np.float32).tiny)
BLOCK = 2**18  # entries of a reconstruction that are computed at a time


def beta_divergence(
    D, H: np.ndarray, components: np.ndarray, beta: float, weights: np.ndarray | None = None
) -> float:
    r"""The β-divergence of D from H Xᵀ; β = 2, 1, 0: half the squared error, Kullback–Leibler,
    Itakura–Saito.

    :math:`\sum_{ip} w_{ip} \frac{d^\beta + (\beta-1) \hat d^\beta - \beta d \hat d^{\beta-1}}
    {\beta(\beta-1)}`, with its limits at β = 0 and 1.

    Parameters
    ----------
    D : ndarray or sparse matrix (n, d)
        At least 0 unless β = 2; where β ≤ 0 a zero makes the divergence infinite. A sparse one
        without weights and with β = 1 or 2 costs what its nonzero entries cost.
    H, components : ndarray (n, m), (m, d)
    beta : float
    weights : None or ndarray (n, d) ≥ 0
        What each entry counts; where it is 0 the data does not matter.

    References
    ----------
    Févotte, Idier (2011), "Algorithms for nonnegative matrix factorization with the
    β-divergence".

    Examples
    --------
    >>> beta_divergence(np.array([[2.0]]), np.array([[1.0]]), np.array([[1.0]]), beta=2)
    0.5
    """
    return float(beta_divergences(D, H, components, beta, weights).sum())


def beta_divergences(
    D, H: np.ndarray, components: np.ndarray, beta: float, weights: np.ndarray | None = None
) -> np.ndarray:
    """The :func:`beta_divergence` of each sample from its reconstruction, (n,)."""
    seen = D if weights is None or sp.issparse(D) else np.where(weights > 0, D, 0)
    floor = FLOOR * (peak(seen) or 1.0)
    if sp.issparse(D) and weights is None and beta in (1, 2):
        return _sparse_beta_divergences(D, H, components, beta, floor)
    totals = []
    for rows in pieces(D, BLOCK):
        d = D[rows].toarray() if sp.issparse(D) else D[rows]
        each = _divergence(d, H[rows] @ components, beta, floor)
        if weights is not None:
            w = weights[rows]
            each = np.multiply(w, each, out=np.zeros_like(each), where=w > 0)
        totals.append(each.sum(axis=1))
    return np.concatenate(totals)


def _sparse_beta_divergences(
    D, H: np.ndarray, components: np.ndarray, beta: float, floor: float
) -> np.ndarray:
    """Those of zeros, Σ d̂^β / β over a row, and the difference where D is not zero."""
    H, components = H.astype(np.float64), components.astype(np.float64)
    if beta == 2:
        totals = np.einsum("ij,ij->i", H @ (components @ components.T), H) / 2
    else:
        totals = H @ components.sum(axis=1)
    D = D.tocoo()
    d_hat = sampled_product(H, components, D.row, D.col)
    extra = _divergence(D.data, d_hat, beta, floor) - _divergence(0.0, d_hat, beta, floor)
    # Where the fit is exact, rounding may leave less than nothing.
    return np.maximum(totals + np.bincount(D.row, extra, minlength=len(H)), 0)


def sampled_product(
    H: np.ndarray, components: np.ndarray, row: np.ndarray, column: np.ndarray
) -> np.ndarray:
    """The entries of H Xᵀ at some places, a few at a time."""
    H, X = np.ascontiguousarray(H), np.ascontiguousarray(components.T)
    entries = np.empty(len(row), H.dtype)
    for some in blocks(len(row), max(BLOCK // H.shape[1], 1)):
        np.einsum("ij,ij->i", H[row[some]], X[column[some]], out=entries[some])
    return entries


def _divergence(d: np.ndarray | float, d_hat: np.ndarray, beta: float, floor: float) -> np.ndarray:
    """The β-divergence of each entry, in double precision."""
    d, d_hat = np.asarray(d, np.float64), d_hat.astype(np.float64)
    if beta == 2:
        return (d - d_hat) ** 2 / 2
    of_zero = d_hat**beta / beta if beta > 0 else np.inf
    d_hat = np.maximum(d_hat, floor)
    with np.errstate(divide="ignore"):
        if beta == 1:
            each = xlogy(d, d / d_hat) - d + d_hat
        elif beta == 0:
            each = d / d_hat - np.log(d / d_hat) - 1
        else:
            mixed = d**beta + (beta - 1) * d_hat**beta - beta * d * d_hat ** (beta - 1)
            each = mixed / (beta * (beta - 1))
    return np.where(d > 0, np.maximum(each, 0), of_zero)  # rounding may leave less than 0
