"""Orthogonal NMF, and the set of parts that share no feature."""

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ..arguments import check_choice
from ..choices.codes import TopK
from ..choices.parts import PartSet
from ..estimators import NMF
from ..leastsquares import gram_diagonal

TIE = 1e-6  # the share by which a gain must be larger to count as larger
PASSES = 100  # maximum number of passes over the features
PASS_GAIN = 1e-6  # the share of ‖D‖² that a pass must gain for another to follow


def orthogonal_nmf(n_components="auto", on="parts", **settings) -> NMF:
    r"""Orthogonal NMF: no feature in two parts, or no sample with two codes.

    .. math:: \min_{H,\, X \ge 0} \|D - H X^\top\|_F^2, \quad
        X^\top X \text{ or } H^\top H \text{ diagonal}

    Nonnegative columns are orthogonal just if they share no entry. On the parts this clusters the
    features; on the codes, the samples: k-means in which each sample has a scale of its own.

    Parameters
    ----------
    on : "parts" or "codes"
        Which factor is orthogonal. The codes begin at the samples that SPA finds, among which
        few remain without a sample; for several starts set ``init="random"``.

    References
    ----------
    Ding, Li, Peng, Park (2006), "Orthogonal nonnegative matrix tri-factorizations for clustering";
    Pompili, Gillis, Absil, Glineur (2014), "Two algorithms for orthogonal nonnegative matrix
    factorization with application to clustering".

    Examples
    --------
    >>> import numpy as np
    >>> D = np.array([[2.0, 2.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 3.0]])
    >>> H = orthogonal_nmf(2, on="codes").fit_transform(D)
    >>> np.count_nonzero(H, axis=1)
    array([1, 1, 1])
    """
    check_choice("on", on, ("parts", "codes"))
    if on == "parts":
        return NMF(n_components, parts=Disjoint(), **settings)
    return NMF(n_components, codes=TopK(1), **{"init": "spa"} | settings)


@dataclass(frozen=True)
class Disjoint(PartSet):
    r"""The set {X : x_j ≥ 0, every feature in at most one part}, so that XᵀX is diagonal.

    Nonnegative parts are orthogonal just if they share no feature: this is orthogonal NMF, a
    clustering of the features. Which part a feature belongs to is a discrete choice, so the start
    matters more than elsewhere. Bound to data the set finds a good one.

    Examples
    --------
    >>> Disjoint().project(np.array([[3.0, 1.0, -1.0], [2.0, 4.0, -2.0]]))
    array([[3., 0., 0.],
           [0., 4., 0.]])
    """

    nonnegative = True
    homogeneous = True
    columnwise = True

    def bind(self, D) -> "BoundDisjoint":
        """The set whose nearest member is improved on the data D (n, d), dense or sparse."""
        return BoundDisjoint(D)

    def project(self, components: np.ndarray) -> np.ndarray:
        return _largest(components, components)

    def improve(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        r"""The minimiser: feature p goes to the part with the largest gain, entry C_kp/G_kk.

        A feature that is in part k alone lowers q by :math:`C_{kp}^2/G_{kk}` if C_kp > 0, else by
        nothing. Of parts that gain the same, it stays in its own. A part whose partner is zero
        keeps the features that no other part gains from.
        """
        curvature = gram_diagonal(gram, P)
        entries = cross / np.where(curvature > 0, curvature, np.inf)
        gains = np.sqrt(curvature) * entries * np.where(P > 0, 1 + TIE, 1)
        return np.where(gains.max(axis=0) > 0, _largest(entries, gains), P * (curvature == 0))

    def residual(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float:
        return self.distance(P, self.improve(P, gram, cross), gram_diagonal(gram, P))


@dataclass(frozen=True, eq=False)
class BoundDisjoint(Disjoint):
    r"""Disjoint parts for data D ≥ 0, from which no feature would rather change to another part.

    With the best codes h_k = D x_k for parts of norm 1, the loss is ‖D‖² − Σ_k ‖h_k‖². A feature p,
    a column d_p of D, that joins part k with an entry sin θ makes of h_k the code
    cos θ h_k + sin θ d_p. The best θ, with tan 2θ = 2⟨h_k, d_p⟩ / (‖h_k‖² − ‖d_p‖²), lengthens
    ‖h_k‖² by the gain r − (‖h_k‖² − ‖d_p‖²)/2, where r² = ((‖h_k‖² − ‖d_p‖²)/2)² + ⟨h_k, d_p⟩².
    Blocks of codes and parts alone get stuck early: there a feature is judged by codes that were
    fitted to its old part.

    References
    ----------
    Hartigan, Wong (1979), "A K-means clustering algorithm", for moves of one at a time.
    """

    D: object

    def project(self, components: np.ndarray) -> np.ndarray:
        """The nearest member, improved: each feature in turn leaves its part for the best one.

        Parts have norm 1, or are zero.
        """
        X = super().project(components)
        norms = np.linalg.norm(X, axis=1, keepdims=True)
        X /= np.where(norms > 0, norms, 1)
        codes = X @ self.D.T
        energies = np.einsum("kn,kn->k", codes, codes)
        columns = self.D.tocsc() if sp.issparse(self.D) else self.D
        entries = columns.data if sp.issparse(self.D) else self.D
        for _ in range(PASSES):
            before = energies.sum()
            for p in range(X.shape[1]):
                column = columns[:, p]
                column = column.toarray().ravel() if sp.issparse(column) else column
                own = X[:, p].argmax()
                entry, X[own, p] = X[own, p], 0
                if entry:
                    codes[own] -= entry * column
                    rest = float(np.linalg.norm(X[own])) or math.inf  # a part without features
                    X[own] /= rest
                    codes[own] /= rest
                    energies[own] = codes[own] @ codes[own]

                half = (energies - column @ column) / 2
                shared = np.maximum(codes @ column, 0)
                gains = np.hypot(half, shared) - half
                best = gains.argmax()
                angle = np.arctan2(shared[best], half[best]) / 2
                X[best] *= np.cos(angle)
                X[best, p] = np.sin(angle)
                codes[best] = np.cos(angle) * codes[best] + np.sin(angle) * column
                energies[best] += gains[best]
            if energies.sum() - before <= PASS_GAIN * np.vdot(entries, entries):
                break
        return X


def _largest(components: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Keep, in each column, the entry with the largest gain if it is positive."""
    best = np.arange(len(gains))[:, None] == gains.argmax(axis=0)
    return np.where(best & (gains > 0), components, 0)
