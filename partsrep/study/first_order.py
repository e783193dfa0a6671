"""What a little noise does to NMF and to an autoencoder themselves, to first order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import minimize

from .freedom import freedom
from .matching import unit_rows

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
        found = minimize(value, start, jac=True, method="L-BFGS-B", bounds=bounds, options=OPTIONS)
        Y = both(found.x)[0].T
        parts, norms = unit_rows(X.T), np.linalg.norm(X, axis=0)[:, None]
        shift = (Y - parts * np.sum(parts * Y, axis=1, keepdims=True)) / norms
        return float(found.fun) * unit**2, shift * unit, found.x

    nmf_loss, nmf_shift, found = solved(nmf, np.zeros((d + n) * m), np.vstack([X == 0, H == 0]))
    start = np.concatenate([found[: d * m], np.zeros(inputs.shape[1] * m)])
    free = np.zeros((inputs.shape[1], m), bool)
    sae_loss, sae_shift, _ = solved(sae, start, np.vstack([X == 0, free]))
    rigid = freedom(H, X.T).rigid
    return FirstOrder(nmf_loss, sae_loss, nmf_shift, sae_shift, rigid)
