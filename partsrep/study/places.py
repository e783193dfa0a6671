"""Where the parts of every NMF and every autoencoder with at most a given loss must be.

What is proved in which arithmetic: data and loss are floats, taken as the exact numbers that they
are, and models compute with real numbers. Each float here has its share of rounding on the safe
side; for singular values that is the usual estimate of the error of a backward stable algorithm.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .enclosure import EPS, LEAST, WORK, enclose, fooling_set
from .matching import unit_rows

# How much of a sample, or of a feature, must be a part's own to count in its averages.
SHARES = 0.5, 0.7, 0.8, 0.9, 0.95, 0.99
SWEEPS = 50  # of bounds that improve each other


class Places(NamedTuple):
    """Each part of a model has, in some order, a multiple within a radius of its own centre.

    `centres` (m, d) and `radii` (m,), in the order of the parts that told where to look.
    """

    centres: np.ndarray
    radii: np.ndarray

    def angles(self, P: np.ndarray) -> np.ndarray:
        """Upper bounds (m,) of the angles of parts P (m, d) with those of any model."""
        norms = np.linalg.norm(self.centres, axis=1)
        inside = np.arcsin(np.minimum(self.radii / norms, 1))
        apart = np.linalg.norm(unit_rows(P) - self.centres / norms[:, None], axis=1)
        return np.minimum(inside + 2 * np.arcsin(apart / 2), np.pi / 2)

    def least_mcc(self, P: np.ndarray) -> float:
        """A lower bound of the MCC of parts P (m, d) with those of any model."""
        return float(np.cos(self.angles(P)).mean() - 4 * P.shape[1] * EPS)


def certified_mcc(D: np.ndarray, H: np.ndarray, P: np.ndarray, loss: float) -> float | None:
    r"""Bound from an NMF alone the MCC of its parts with those of all models that are as good.

    The models are all :math:`H', X' \ge 0` with as many parts and
    :math:`\|D - H' X'^\top\|_F^2 \le` `loss` (claim T18): every such NMF, and every autoencoder
    with nonnegative codes and parts and a linear output, however deep its encoder is and however it
    was trained.

    Two proofs are tried, :func:`places_by_averages` and :func:`places_by_enclosure`, at several
    places to look, and the best bound is kept. It is None where both fail, as they do for parts
    that the data leave open, for noise that is too large, and mostly for real data.

    Parameters
    ----------
    D : ndarray (n, d) ≥ 0
    H, P : ndarray (n, m), (m, d) ≥ 0
        The NMF. It says where to look, and nothing but the last step rests on it.
    loss : float

    Examples
    --------
    >>> H = P = np.eye(3)
    >>> certified_mcc(H @ P, H, P, 1e-4) > 0.99
    True
    >>> certified_mcc(np.ones((3, 3)), H, P, 1e-4) is None
    True
    """
    found = [*places_by_averages(D, H, P, loss), *places_by_enclosure(D, H, P, loss)]
    best = max((places.least_mcc(P) for places in found), default=0.0)
    return best if best > 0 else None


def places_by_averages(
    D: np.ndarray, H: np.ndarray, P: np.ndarray, loss: float
) -> Iterator[Places]:
    r"""Places from averages of nearly pure samples, and of nearly private features.

    Let :math:`w_j \ge 0` be weights of samples and :math:`q_j \ge 0` of features, each of norm 1,
    :math:`a_j = D^\top w_j`, and E the residual of a model with a loss of at most ε². Its average
    has

    .. math:: \|E^\top w_j\|^2 \le ε^2 - \mathrm{SVD}_m\big((1 - w_j w_j^\top) D\big) = \rho_j^2 ,

    since the rest of E is a residual of rank m too. With :math:`\lambda_j = q_j^\top a_j - \rho_j`
    and :math:`\omega_{jk} = q_k^\top a_j + \rho_j`, no part can serve two averages if
    :math:`\lambda_j \lambda_k > m^2 \omega_{jk} \omega_{kj}`. So each has a part of its own, and
    what the others add to it is at most ω.
    """
    n, d = D.shape
    m = len(P)
    slack = (n + d + 10 * m) * EPS  # of sums and products of nonnegative numbers, relative
    lost = 4 * slack * np.linalg.norm(D)  # of singular values

    def beyond(left: np.ndarray) -> float:
        singular = np.linalg.svd(left, compute_uv=False)
        return float(np.sum(np.maximum(singular[m:] - lost, 0) ** 2))

    def error(left: np.ndarray) -> float:
        return np.sqrt(max(loss * (1 + slack) - beyond(left) * (1 - slack), 0)) * (1 + slack)

    least = np.full(m, error(D))  # every average's error is at least that
    features = list(_averages(P, np.linalg.norm(H, axis=0)))
    for W in _averages(H.T, np.linalg.norm(P, axis=1)):
        A = W @ D
        if not any(_owners(A, Q, least, slack) for Q in features):
            continue
        errors = np.array([error(D - np.outer(w, a)) for w, a in zip(W, A, strict=True)])
        for Q in features:
            bounds = _owners(A, Q, errors, slack)
            if bounds is not None:
                own, others = bounds
                size = np.linalg.norm(A, axis=1) * (1 + slack) + errors
                radii = (errors + others @ (size / own)) * (1 + slack)
                yield Places(A, radii)


def _averages(F: np.ndarray, sizes: np.ndarray) -> Iterator[np.ndarray]:
    """Weights (m, n) of norm 1, on the columns of F (m, n) that are mostly one part's."""
    F = F * sizes[:, None]
    total = F.sum(axis=0)
    for share in SHARES:
        own = np.where(share * total <= F, F, 0)
        if own.any(axis=1).all():
            yield unit_rows(own)


def _owners(
    A: np.ndarray, Q: np.ndarray, errors: np.ndarray, slack: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """How much of its own part each average has at least (m,), and of others at most (m, m)."""
    m = len(A)
    shares = A @ Q.T
    own = shares.diagonal() * (1 - slack) - errors
    others = shares * (1 + slack) + errors[:, None]
    np.fill_diagonal(others, 0)
    apart = np.outer(own, own) > (1 + slack) * m**2 * others * others.T
    if (own <= 0).any() or not (apart | np.eye(m, dtype=bool)).all():
        return None
    least = own / m
    for _ in range(SWEEPS):
        taken = (others * others.T / least).sum(axis=1)
        least = np.maximum(least, (own - taken * (1 + slack)) * (1 - slack))
    return least, others


def places_by_enclosure(
    D: np.ndarray, H: np.ndarray, P: np.ndarray, loss: float
) -> Iterator[Places]:
    """Places from the bounds of :func:`partsrep.study.enclosure.enclose`, where data are nearly
    exact; no sample need be pure."""
    most = int(max(WORK // (D.shape[1] * len(P)), 1))
    # The loss on some samples is at most that on all. Those with few parts say most.
    some = np.sort(np.argsort((1e-3 * H.max(axis=0) < H).sum(axis=1), kind="stable")[:most])
    D, H = D[some], H[some]
    error = np.nextafter(np.sqrt(loss), np.inf)
    tried: list = [None]
    for least in LEAST:
        entries = fooling_set(D, H, P.T, least) if least * D.max() > error else None
        if entries in tried:
            continue
        tried.append(entries)
        bounds = enclose(D, entries, error)
        if bounds is not None and np.isfinite(bounds.X_most).all():
            low, high = bounds.X_least.T, bounds.X_most.T
            radii = np.linalg.norm(high - low, axis=1) / 2
            yield Places((low + high) / 2, radii * (1 + 4 * D.shape[1] * EPS))
