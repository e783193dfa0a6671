"""What a little noise does to NMF and to an autoencoder themselves, to first order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import minimize

from .freedom import freedom
from .matching import unit_rows

NOISE = 3  # standard deviations: what is below may be noise, where the truth is 0
STEPS = 300  # of the descent, of a fitted NMF: its own first step is nearly 0 already
OPTIONS = {"maxiter": 5000, "maxfun": 10**6, "maxcor": 30, "ftol": 1e-15, "gtol": 1e-9}


@dataclass(frozen=True)
class FirstOrder:
    """Both methods near exact data, to first order: the result of :func:`first_order`.

    Attributes
    ----------
    nmf_loss, sae_loss : float
        The least losses. The first is that of a convex problem, the second that of a local minimum.
    nmf_shift, sae_shift : ndarray (m, d)
        By how much the parts move, which have norm 1.
    rigid : True or None
        True: the exact NMF is rigid, as the claim asks. None: that is not known, and it may have
        other parts far beyond these shifts. See :func:`partsrep.study.freedom.freedom`.
    """

    nmf_loss: float
    sae_loss: float
    nmf_shift: np.ndarray = field(repr=False)
    sae_shift: np.ndarray = field(repr=False)
    rigid: bool | None

    @property
    def relative_gap(self) -> float:
        """The gap as a share of NMF's loss; 0 where both are 0."""
        return (self.sae_loss - self.nmf_loss) / self.nmf_loss if self.nmf_loss else 0.0

    @property
    def displacement(self) -> float:
        """How far apart the two sets of parts are, in the Frobenius norm."""
        return float(np.linalg.norm(self.sae_shift - self.nmf_shift))


def displacement(H: np.ndarray, components: np.ndarray, D: np.ndarray) -> float | None:
    r"""How far one layer moves the parts of a fitted NMF to first order in the noise (claim T17).

    The root mean square over the parts, which have norm 1, of the distance between NMF's and the
    ReLU autoencoder's in :func:`first_order`. Codes and parts below three standard deviations of
    what noise of the size of the residual does to them,
    :math:`s \sqrt{(X^\top X)^{-1}_{jj}}` and :math:`s \sqrt{(H^\top H)^{-1}_{jj}}`, count as zeros.

    None where the claim says nothing: parts that are dependent or not known to be rigid, as more
    than about 24 never are, or a part with too few samples: their codes and noise must span all
    features that are not zero everywhere. How small the noise must be is open.

    Parameters
    ----------
    H, components, D : ndarray (n, m), (m, d), (n, d) ≥ 0
    """
    seen = D.any(axis=0)
    D, X = D[:, seen], components[:, seen].T
    (n, d), m = D.shape, len(components)
    if min(n, d) <= m or min(np.linalg.matrix_rank(factor) for factor in (H, X)) < m:
        return None
    size, unit = np.linalg.norm(X, axis=0), D.max()
    D, H, X = D / unit, H * (size / unit), X / size
    noise = NOISE * np.linalg.norm(D - H @ X.T) / np.sqrt((n - m) * (d - m))
    H, X = (
        F * (noise * np.sqrt(np.linalg.inv(other.T @ other).diagonal()) < F)
        for F, other in ((H, X), (X, H))
    )
    E = D - H @ X.T
    if min(np.linalg.matrix_rank(factor) for factor in (H, X)) < m or not E.any():
        return None
    inputs = np.hstack([H / np.linalg.norm(H), E @ null_space(X.T) / np.linalg.norm(E)])
    for on in H.T > 0:
        used = inputs[on]
        if len(used) < d or np.linalg.matrix_rank(used.T @ used, hermitian=True) < d:
            return None
    if not freedom(H, X.T).rigid:
        return None
    _, _, nmf_shift, sae_shift = _limits(H, X, D, STEPS)
    return float(np.linalg.norm(sae_shift - nmf_shift)) / m**0.5


def first_order(H: np.ndarray, X: np.ndarray, D: np.ndarray) -> FirstOrder:
    r"""Solve the limit problems of NMF and of the ReLU autoencoder at an exact NMF (claim T17).

    With :math:`E = D - H X^\top` they are

    .. math:: \min_{Y, W} \|E - H Y^\top - W X^\top\|_F^2
        \quad\text{and}\quad
        \min_{Y, C, V} \|E - H Y^\top - R X^\top\|_F^2 ,

    with Y ≥ 0 where X = 0 and W ≥ 0 where H = 0; :math:`V X = 0`, and R is
    :math:`E (X^+ + V)^\top + H C^\top` where H > 0, and its ReLU where H = 0. The first is a convex
    quadratic program. The second is not convex: it is solved from the first's Y and the encoder
    :math:`X^+`, and what is found is an upper bound.

    The claim asks for an exact NMF that is the only one, and rigid, and for enough samples. Of
    these `rigid` is looked at, by a linear program.

    Parameters
    ----------
    H, X : ndarray (n, m), (d, m) ≥ 0
        Codes and parts of exact data, with their zeros; the parts are independent.
    D : ndarray (n, d)
        The data, near :math:`H X^\top`.

    Examples
    --------
    Disjoint parts: a layer is least squares, and the two methods are the same.

    >>> rng = np.random.RandomState(0)
    >>> X, H = np.eye(3).repeat(2, axis=0), np.vstack([np.eye(3), rng.uniform(-1, 1, (40, 3))])
    >>> H = H.clip(min=0)
    >>> law = first_order(H, X, H @ X.T + 1e-3 * rng.standard_normal((43, 6)))
    >>> law.relative_gap < 1e-6, law.displacement < 1e-6
    (True, True)
    """
    return FirstOrder(*_limits(H, X, D, OPTIONS["maxiter"]), freedom(H, X.T).rigid)


def _limits(
    H: np.ndarray, X: np.ndarray, D: np.ndarray, max_iter: int
) -> tuple[float, float, np.ndarray, np.ndarray]:
    """The losses and shifts of a :class:`FirstOrder`, by so many iterations each."""
    # Codes and parts of one size: then curvatures are alike.
    size = np.sqrt(np.linalg.norm(H, axis=0) / np.linalg.norm(X, axis=0))
    H, X = H / size, X * size
    E = D - H @ X.T
    unit = float(np.linalg.norm(E)) or 1.0
    E = E / unit
    (n, m), d = H.shape, len(X)

    def both(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Y, and W or the rows of the encoder."""
        return flat[: d * m].reshape(d, m), flat[d * m :].reshape(-1, m)

    def nmf(flat: np.ndarray) -> tuple[float, np.ndarray]:
        Y, W = both(flat)
        rest = H @ Y.T + W @ X.T - E
        slope = np.concatenate([(rest.T @ H).ravel(), (rest @ X).ravel()])
        return float(np.vdot(rest, rest)), 2 * slope

    # All codes of a layer near the exact one, whose rows are in the span of the samples.
    given = E @ np.linalg.pinv(X).T
    inputs, _ = np.linalg.qr(np.hstack([H, E @ null_space(X.T)]))
    active = H > 0

    def sae(flat: np.ndarray) -> tuple[float, np.ndarray]:
        Y, T = both(flat)
        Z = given + inputs @ T
        on = active | (Z > 0)
        rest = H @ Y.T + (Z * on) @ X.T - E
        slope = np.concatenate([(rest.T @ H).ravel(), (inputs.T @ (rest @ X * on)).ravel()])
        return float(np.vdot(rest, rest)), 2 * slope

    def solved(value, start: np.ndarray, signs: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        bounds = np.where(signs.ravel(), 0.0, -np.inf)
        bounds = np.column_stack([bounds, np.full(len(bounds), np.inf)])
        options = OPTIONS | {"maxiter": max_iter}
        found = minimize(value, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        Y = both(found.x)[0].T
        parts, norms = unit_rows(X.T), np.linalg.norm(X, axis=0)[:, None]
        shift = (Y - parts * np.sum(parts * Y, axis=1, keepdims=True)) / norms
        return float(found.fun) * unit**2, shift * unit, found.x

    nmf_loss, nmf_shift, found = solved(nmf, np.zeros((d + n) * m), np.vstack([X == 0, H == 0]))
    start = np.concatenate([found[: d * m], np.zeros(inputs.shape[1] * m)])
    free = np.zeros((inputs.shape[1], m), bool)
    sae_loss, sae_shift, _ = solved(sae, start, np.vstack([X == 0, free]))
    return nmf_loss, sae_loss, nmf_shift, sae_shift
