"""What the parts may be: the first of the four choices.

Parts are the columns of the decoder X (d, m); arrays hold them as rows, `components` = Xᵀ (m, d),
which solvers call P. With the codes fixed the loss is a quadratic of the parts,
q(P) = tr(Pᵀ G P) − 2⟨C, P⟩ with G = HᵀH and C = HᵀD, or one G for each feature where entries are
weighted (:func:`partsrep.leastsquares.normal_equations`). A set of parts is a frozen object with

* ``project(components)``: the nearest member of the set, or a better one found from it;
* ``improve(P, gram, cross)``: new parts in the set with a lower q, P itself unchanged;
* ``residual(P, gram, cross)``: 0 iff no small step within the set lowers q, and the same however
  a part and its code share their scale;
* ``bind(D)``: the set that goes with the data; where they do not matter, itself;
* ``nonnegative``, ``unit``, ``offset``: what holds for its members, see :class:`Parts`;
* ``homogeneous``: whether with X it contains sX for every s > 0;
* ``of_samples``: whether parts are made of samples, and the bound set has ``weights`` (m, n);
* ``columnwise``: whether ``improve`` may be given some features at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linear_sum_assignment

from ..lazy import is_tensor, torch
from ..leastsquares import apply, diagonal, project_simplex, stationarity, sweeps
from ..validation import check_fields, check_number

Array = TypeVar("Array")  # numpy array or torch tensor: `Parts.project` uses what both have


class PartSet:
    """What holds for a set of parts unless it says otherwise."""

    unit = False
    offset = False
    homogeneous = False
    of_samples = False
    columnwise = False

    def bind(self, D) -> PartSet:
        """The set itself: it is the same for all data."""
        return self


@dataclass(frozen=True)
class Parts(PartSet):
    r"""The set {X : x_j ≥ 0 if `nonnegative`, ‖x_j‖ = 1 if `unit`} and an offset c.

    Parameters
    ----------
    nonnegative : bool
        Whether every entry of a part is at least 0.
    unit : bool
        Whether every part has norm 1.
    offset : bool
        Whether the reconstruction has a decoder bias, D̂ = H Xᵀ + 1cᵀ. It obeys the same
        sign constraint as the parts: a nonnegative offset is one more part with a constant
        code.

    Examples
    --------
    >>> Parts(nonnegative=True, unit=True).project(np.array([[3.0, -1.0, 4.0]]))
    array([[0.6, 0. , 0.8]])
    """

    nonnegative: bool = False
    unit: bool = False
    offset: bool = False

    @property
    def homogeneous(self) -> bool:
        """A norm is a scale; signs are none."""
        return not self.unit

    @property
    def columnwise(self) -> bool:
        """A norm ties all features of a part together; signs do not."""
        return not self.unit

    def project(self, components: Array) -> Array:
        """Nearest member of the set, row by row; a zero row stays zero: it has no direction."""
        if self.nonnegative:
            components = components.clip(min=0)
        if self.unit:
            xp = torch if is_tensor(components) else np
            norms = xp.linalg.vector_norm(components, axis=-1, keepdims=True)
            components = components / (norms + (norms == 0))
        return components

    def improve(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """Row updates where the norm is fixed; else nonnegative sweeps, or all of least squares."""
        if self.unit:
            return _improve_rows(P, gram, cross, self._nearest_direction)
        if self.nonnegative:
            return sweeps(P, gram, cross)
        # The shortest way to a minimiser: parts whose partner is zero stay as they are. What a
        # direction below rounding error asks for is noise.
        noise = len(gram) * float(np.finfo(gram.dtype).eps)
        inverse = np.linalg.pinv(gram.T, rcond=noise, hermitian=True).T
        return P + apply(inverse, cross - apply(gram, P))

    def residual(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float:
        """Norm of the projected gradient; of the row updates where the norm is fixed."""
        if self.nonnegative and not self.unit:
            return stationarity(P, gram, cross)
        nearest = self._nearest_direction if self.unit else self.project
        return _residual_of_rows(P, gram, cross, nearest)

    def _nearest_direction(self, targets: np.ndarray) -> np.ndarray:
        """Nearest rows of norm 1, for every target: where all are ≤ 0 the best single feature."""
        directions = self.project(targets)
        lost = np.flatnonzero(~directions.any(axis=1))
        directions[lost, targets[lost].argmax(axis=1)] = 1
        return directions


def _curvature(gram: np.ndarray, P: np.ndarray) -> np.ndarray:
    """The G_kk (m, 1); where each feature has its own, the largest of each row."""
    return diagonal(gram, P).max(axis=1, keepdims=True)


def _improve_rows(
    P: np.ndarray,
    gram: np.ndarray,
    cross: np.ndarray,
    nearest: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    r"""HALS for any set that constrains each part by itself.

    With the other rows fixed, :math:`q = G_{kk} \|P_k - t_k\|^2` + const for the target
    :math:`t_k = P_k + (C_k - G_k P)/G_{kk}`: the best row is the member nearest to t_k. With a
    Gram matrix for each feature the same with their largest G_kk is an upper bound that touches q
    at P_k, so that q still never rises. A row whose partner is zero is left as it is.
    """
    P, curvature = P.copy(), _curvature(gram, P)
    for k in np.flatnonzero(curvature):
        row = slice(k, k + 1)
        P[row] = nearest(P[row] + (cross[row] - apply(gram[row], P)) / curvature[row])
    return P


def _residual_of_rows(
    P: np.ndarray,
    gram: np.ndarray,
    cross: np.ndarray,
    nearest: Callable[[np.ndarray], np.ndarray],
) -> float:
    """How far the updates of :func:`_improve_rows` would move, each made alone."""
    curvature = _curvature(gram, P)
    step = (cross - apply(gram, P)) / np.where(curvature > 0, curvature, 1)
    return _distance(P, np.where(curvature > 0, nearest(P + step), P), curvature)


def _distance(P: np.ndarray, Q: np.ndarray, curvature: np.ndarray) -> float:
    """√(Σ_k G_kk ‖P_k − Q_k‖²): a distance in units of the data, whatever the scale of a part."""
    return float(np.linalg.norm(np.sqrt(curvature) * (P - Q)))


class Rowwise(PartSet):
    """Parts that are constrained each by itself, and updated by its `project`."""

    def improve(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """Exact row updates."""
        return _improve_rows(P, gram, cross, self.project)

    def residual(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float:
        """How far the row updates would move."""
        return _residual_of_rows(P, gram, cross, self.project)


def sparseness(components: np.ndarray) -> np.ndarray:
    r"""Hoyer's sparseness of each part: 0 if all entries are equal, 1 if only one is not zero.

    .. math:: \mathrm{sparseness}(x) = \frac{\sqrt d - \|x\|_1 / \|x\|_2}{\sqrt d - 1}

    Parameters
    ----------
    components : ndarray (m, d), d ≥ 2
        Xᵀ.

    Returns
    -------
    ndarray (m,)
        NaN for a part that is zero: it has no shape.

    References
    ----------
    Hoyer (2004), "Non-negative matrix factorization with sparseness constraints", section 3.1.

    Examples
    --------
    >>> sparseness(np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 3.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]]))
    array([0.        , 1.        , 0.58578644])
    """
    root = math.sqrt(components.shape[1])
    norms = np.linalg.norm(components, axis=1)
    norms[norms == 0] = np.nan
    return (root - np.abs(components).sum(axis=1) / norms) / (root - 1)


@dataclass(frozen=True)
class Sparseness(Rowwise):
    r"""The set {X : x_j ≥ 0, sparseness(x_j) = `value`}, whatever the norm of a part.

    :func:`sparseness` is (√d − ‖x‖₁/‖x‖₂)/(√d − 1). The parts of a plain NMF can be dense or
    sparse as the data will have it; this sets the choice apart from the data.

    Parameters
    ----------
    value : float in (0, 1)
        Near 1 a part is nearly a single feature, near 0 nearly uniform.

    Raises
    ------
    ValueError
        If `value` is not between 0 and 1, or the data have fewer than two features.

    References
    ----------
    Hoyer (2004), "Non-negative matrix factorization with sparseness constraints"; there by
    projected gradients, here by exact updates of one part after the other.

    Examples
    --------
    >>> part = Sparseness(0.5).project(np.array([[4.0, 3.0, 2.0, 1.0]]))
    >>> sparseness(part).round(9)
    array([0.5])
    """

    value: float

    nonnegative = True
    homogeneous = True

    def __post_init__(self):
        check_fields(self, check_number, "value", above=True)
        if self.value >= 1:
            raise ValueError(f"Sparseness's value must be below 1; got {self.value!r}.")

    def project(self, components: np.ndarray) -> np.ndarray:
        r"""Nearest member, part by part.

        Among the members of norm 1 the nearest one, q, maximises ⟨q, x⟩; it is
        :math:`(x - \tau)_+` at norm 1, with the τ that gives its sum
        :math:`c = \sqrt d - \texttt{value} (\sqrt d - 1)`. The best norm is then max(⟨q, x⟩, 0):
        a part that points away from every member becomes zero.
        """
        d = components.shape[1]
        if d < 2:
            raise ValueError(f"Sparseness needs parts of at least 2 features; these have {d}.")
        c = math.sqrt(d) - self.value * (math.sqrt(d) - 1)
        order = np.argsort(-components, axis=1, kind="stable")
        ordered = np.take_along_axis(components, order, axis=1)
        ordered = ordered - ordered[:, :1]

        # ‖(x−τ)₊‖₁/‖(x−τ)₊‖₂ falls as τ rises. The support is the s largest entries, for the first
        # s at which τ = the next entry would give too much.
        counts = np.arange(1, d, dtype=ordered.dtype)
        sums, squares = ordered.cumsum(axis=1)[:, :-1], (ordered**2).cumsum(axis=1)[:, :-1]
        following = ordered[:, 1:]
        total = sums - counts * following
        square = squares - 2 * following * sums + counts * following**2
        short = np.count_nonzero(total**2 <= c**2 * square, axis=1, keepdims=True)
        s = (1 + short).astype(ordered.dtype)
        support = np.arange(d) < s

        # With mean μ and variance v on the support, τ = μ − c√(v/(s − c²)).
        head = np.where(support, ordered, 0)
        head[~head.any(axis=1), 0] = 1  # a support of equal entries: any member on it is as near
        centred = np.where(support, head - head.sum(axis=1, keepdims=True) / s, 0)
        spread = np.sqrt((centred**2).sum(axis=1, keepdims=True) / s)
        slack = np.sqrt(np.maximum(s - c**2, 0))
        direction = np.where(support, np.maximum(slack * centred + c * spread, 0), 0)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)

        nearest = np.empty_like(direction)
        np.put_along_axis(nearest, order, direction, axis=1)
        return nearest * np.maximum((nearest * components).sum(axis=1, keepdims=True), 0)


@dataclass(frozen=True)
class UnitMean(Rowwise):
    r"""The set {X : x_j ≥ 0, mean over features 1}: parts are distributions, d times their shares.

    Codes then carry all of the scale, in units of the data: those of a sample that is rebuilt
    exactly sum to its mean. A price that falls with the size of parts, such as
    :class:`partsrep.choices.objective.LogVolume`, cannot be evaded by small ones.

    References
    ----------
    Leplat, Ang, Gillis (2019), "Minimum-volume rank-deficient nonnegative matrix factorizations",
    with sums for means.

    Examples
    --------
    >>> UnitMean().project(np.array([[1.0, 0.0, 3.5], [-3.0, 9.0, 0.0]]))
    array([[0.25, 0.  , 2.75],
           [0.  , 3.  , 0.  ]])
    """

    nonnegative = True

    def project(self, components: np.ndarray) -> np.ndarray:
        """Nearest member, part by part (:func:`partsrep.leastsquares.project_simplex`)."""
        d = components.shape[1]
        return d * project_simplex(components.T / d).T


# The share by which a gain must be larger to count as larger. For the groups of features: passes
# at most, and the share of ‖D‖² that one must gain for another to follow.
TIE = 1e-6
PASSES, PASS_GAIN = 100, 1e-6


@dataclass(frozen=True)
class Disjoint(PartSet):
    r"""The set {X : x_j ≥ 0, every feature in at most one part}, so that XᵀX is diagonal.

    Nonnegative parts are orthogonal just if they share no feature: this is orthogonal NMF, a
    clustering of the features. Which part a feature belongs to is a discrete choice, so the start
    matters more than elsewhere. ``bind(D)`` gives the set that finds a good one.

    References
    ----------
    Ding, Li, Peng, Park (2006), "Orthogonal nonnegative matrix tri-factorizations for clustering".

    Examples
    --------
    >>> Disjoint().project(np.array([[3.0, 1.0, -1.0], [2.0, 4.0, -2.0]]))
    array([[3., 0., 0.],
           [0., 4., 0.]])
    """

    nonnegative = True
    homogeneous = True
    columnwise = True

    def bind(self, D) -> Groups:
        """The set for the data D (n, d), dense or sparse."""
        return Groups(D)

    def project(self, components: np.ndarray) -> np.ndarray:
        """Nearest member: the largest entry of each feature if it is positive, else none."""
        return _largest(components, components)

    def improve(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        r"""The minimiser: feature p goes to the part with the largest gain, entry C_kp/G_kk.

        A feature that is in part k alone lowers q by :math:`C_{kp}^2/G_{kk}` if C_kp > 0, else by
        nothing. Of parts that gain the same, it stays in its own. A part whose partner is zero
        keeps the features that no other part gains from.
        """
        curvature = diagonal(gram, P)
        entries = cross / np.where(curvature > 0, curvature, np.inf)
        gains = np.sqrt(curvature) * entries * np.where(P > 0, 1 + TIE, 1)
        return np.where(gains.max(axis=0) > 0, _largest(entries, gains), P * (curvature == 0))

    def residual(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float:
        """How far :meth:`improve` would move."""
        return _distance(P, self.improve(P, gram, cross), diagonal(gram, P))


@dataclass(frozen=True, eq=False)
class Groups(Disjoint):
    r"""Disjoint parts for the data D, from which no feature would rather change to another part.

    With the best codes h_k = D x_k for parts of norm 1, the loss is ‖D‖² − Σ_k ‖h_k‖². A feature p,
    a column d_p of D, that joins part k with an entry sin θ makes of h_k the code
    cos θ h_k + sin θ d_p. The best θ, with tan 2θ = 2⟨h_k, d_p⟩ / (‖h_k‖² − ‖d_p‖²), lengthens
    ‖h_k‖² by the gain r − (‖h_k‖² − ‖d_p‖²)/2, where r² = ((‖h_k‖² − ‖d_p‖²)/2)² + ⟨h_k, d_p⟩².
    Blocks of codes and parts alone get stuck early: there a feature is judged by codes that were
    fitted to its old part.

    Parameters
    ----------
    D : ndarray or sparse matrix (n, d) ≥ 0

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
                column = column.toarray()[:, 0] if sp.issparse(column) else column
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


@dataclass(frozen=True)
class Cone(PartSet):
    r"""The set {X : Xᵀ = A D, A ≥ 0}: parts are nonnegative combinations of samples, convex NMF.

    The data may have any sign. ``bind(D)`` gives the set for some data, with the weights A.

    References
    ----------
    Ding, Li, Jordan (2010), "Convex and semi-nonnegative matrix factorizations", section 3; there
    by multiplicative updates, here by projected gradients.

    Examples
    --------
    >>> D = np.array([[2.0, 0.0], [1.0, 1.0]])
    >>> cone = Cone().bind(D)
    >>> parts = cone.project(np.array([[3.0, 1.0], [0.0, 1.0]]))
    >>> parts.round(6)
    array([[3. , 1. ],
           [0.5, 0.5]])
    >>> cone.weights.round(6)
    array([[1. , 1. ],
           [0. , 0.5]])
    """

    of_samples = True
    nonnegative = False

    def bind(self, D) -> Combinations:
        """The cone of the samples D (n, d), dense or sparse."""
        return Combinations(D, hull=False)


@dataclass(frozen=True)
class Hull(PartSet):
    r"""The set {X : Xᵀ = A D, A ≥ 0, A1 = 1}: parts are means of samples, archetypes.

    With codes on the simplex too this is archetypal analysis. ``bind(D)`` gives the set for some
    data, with the weights A.

    References
    ----------
    Cutler, Breiman (1994), "Archetypal analysis"; there by nonnegative least squares for each
    archetype, here by projected gradients.

    Examples
    --------
    >>> D = np.array([[2.0, 0.0], [0.0, 2.0]])
    >>> Hull().bind(D).project(np.array([[2.0, 2.0]])).round(6)
    array([[1., 1.]])
    """

    of_samples = True
    nonnegative = False

    def bind(self, D) -> Combinations:
        """The convex hull of the samples D (n, d), dense or sparse."""
        return Combinations(D, hull=True)


# With the momentum kept, the loss of convex NMF and of archetypal analysis on digits depends on the
# steps taken in all, hardly on how many of them (2 to 20) follow one update of the codes. Five cost
# a few times as much as that update.
STEPS = 5
PROJECTION_STEPS = 100


class Combinations(PartSet):
    r"""Parts P = A D that combine the samples D, with weights A ≥ 0, their rows of sum 1 in a hull.

    `improve` takes accelerated projected gradient steps in A on q(A D). The momentum lasts from
    call to call, because G and C change little, and is dropped where q would rise. Row k has
    its own step, 1/(λ G_kk σ²), with λ the largest eigenvalue of G scaled to a unit diagonal and σ
    the largest singular value of D. In a hull it is that of D less its mean, which has no effect on
    differences of weights with the same sum.

    Parameters
    ----------
    D : ndarray or sparse matrix (n, d)
    hull : bool

    Attributes
    ----------
    weights : ndarray (m, n)
        A of the parts that `project` or `improve` returned last.

    References
    ----------
    Nesterov (1983), "A method of solving a convex programming problem with convergence rate
    O(1/k²)"; O'Donoghue, Candès (2015), "Adaptive restart for accelerated gradient schemes",
    section 3.2, function scheme.
    """

    of_samples = True
    nonnegative = False

    def __init__(self, D, hull: bool):
        self.D, self.hull = D, hull
        self._norm = _spectral_norm(D, centred=hull)
        self._present = None, None  # weights and parts

    @property
    def weights(self) -> np.ndarray | None:
        """A of the parts that were returned last; None before that."""
        return self._present[0]

    def project(self, components: np.ndarray) -> np.ndarray:
        """Nearest parts, by steps from the sample nearest to each; exact for samples themselves."""
        weights = _indicator(_distances(components, self.D).argmin(axis=1), self.D)
        self._present = self._before = weights, weights @ self.D
        self._age = 0
        identity = np.eye(len(components), dtype=weights.dtype)
        projected = self._descend(identity, components, PROJECTION_STEPS)
        self._age = 0  # the momentum of another quadratic
        return projected

    def project_weights(self, weights: torch.Tensor) -> torch.Tensor:
        """Nearest weights (m, n) that are allowed."""
        if not self.hull:
            return weights.clamp(min=0)
        return torch.as_tensor(project_simplex(weights.numpy().T).T.copy())

    def improve(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """A few steps; P that are not the parts of the present weights are first projected."""
        self._recall(P)
        return self._descend(gram, cross, STEPS)

    def residual(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float:
        r"""How far one step would move, each part alone.

        :math:`\sigma (\sum_k G_{kk} \|A_k - \Pi(A_k - \nabla_k/(G_{kk}\sigma^2))\|^2)^{1/2}`, with
        ∇ the gradient of q/2 by A and Π the projection of weights: a bound on how far the parts
        would move, measured as in the other sets.
        """
        self._recall(P)
        weights, parts = self._present
        curvature = _curvature(gram, P) * self._norm**2
        return _distance(weights, self._step(weights, parts, gram, cross, curvature), curvature)

    def _recall(self, P: np.ndarray) -> None:
        """Make sure that the present weights are those of P."""
        if not np.array_equal(P, self._present[1]):
            self.project(P)

    def _step(self, A, P, gram, cross, curvature) -> np.ndarray:
        """One projected gradient step from the weights A of P."""
        gradient = (apply(gram, P) - cross) @ self.D.T
        A = A - gradient / np.where(curvature > 0, curvature, np.inf)
        return project_simplex(A.T).T if self.hull else np.maximum(A, 0)

    def _descend(self, gram: np.ndarray, cross: np.ndarray, steps: int) -> np.ndarray:
        """Lower q from the present weights; keeps and returns the new parts."""
        own = _curvature(gram, cross)
        scale = np.sqrt(np.where(own > 0, own, 1))
        largest = float(np.linalg.eigvalsh(gram.T / scale / scale[:, 0]).max())
        curvature = own * (largest * self._norm**2)
        moving = (own > 0).astype(own.dtype)  # momentum leaves idle parts alone

        (A, P), (A_before, P_before) = self._present, self._before
        for _ in range(steps):
            momentum = self._age / (self._age + 3) * moving
            ahead = A + momentum * (A - A_before), P + momentum * (P - P_before)
            A_new = self._step(*ahead, gram, cross, curvature)
            P_new = A_new @ self.D
            A_before, P_before = A, P
            if np.vdot(P_new - P, apply(gram, P_new + P) - 2 * cross) <= 0:
                A, P, self._age = A_new, P_new, self._age + 1
            elif self._age:
                self._age = 0
            else:
                break  # a plain step does not help: what is left is rounding
        self._present, self._before = (A, P), (A_before, P_before)
        return P.copy()


def _spectral_norm(D, centred: bool) -> float:
    """The largest singular value, of D less its mean if `centred`; for a sparse D a bound on it."""
    if sp.issparse(D):
        start = np.ones(min(D.shape), D.dtype)  # ARPACK's own start is random
        return float(sp.linalg.svds(D, k=1, v0=start, return_singular_vectors=False)[0])
    return float(np.linalg.norm(D - D.mean(axis=0) if centred else D, 2))


@dataclass(frozen=True)
class Samples(PartSet):
    """The set {X : each part is a sample, no two the same}: parts of a separable factorization.

    Which samples is decided by the start (SPA finds them where the data are separable), so
    `improve` changes nothing. ``bind(D)`` gives the set for some data.

    References
    ----------
    Arora, Ge, Kannan, Moitra (2012), "Computing a nonnegative matrix factorization – provably";
    Gillis, Vavasis (2014), "Fast and robust recursive algorithms for separable nonnegative matrix
    factorization".

    Examples
    --------
    >>> samples = Samples().bind(np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    >>> samples.project(np.array([[1.5, 0.0], [2.5, 0.0]]))
    array([[1., 1.],
           [2., 0.]])
    >>> samples.weights
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """

    of_samples = True
    nonnegative = False

    def bind(self, D) -> Chosen:
        """The set of the samples D (n, d), dense or sparse."""
        return Chosen(D)


class Chosen(PartSet):
    """Parts P = A D that are samples: each row of A is a row of the identity.

    Parameters
    ----------
    D : ndarray or sparse matrix (n, d)

    Attributes
    ----------
    weights : ndarray (m, n)
        A of the parts that `project` returned last.
    """

    of_samples = True
    nonnegative = False

    def __init__(self, D):
        self.D = D
        self.weights = None

    def project(self, components: np.ndarray) -> np.ndarray:
        """Nearest parts: the choice of samples with the least sum of squared distances."""
        if len(components) > self.D.shape[0]:
            raise ValueError(
                f"{len(components)} parts cannot be distinct samples: "
                f"there are only {self.D.shape[0]}."
            )
        chosen = linear_sum_assignment(_distances(components, self.D))[1]
        self.weights = _indicator(chosen, self.D)
        return self.weights @ self.D

    def improve(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """The same parts."""
        return P.copy()

    def residual(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float:
        """Always 0: no small step leads from one sample to another."""
        return 0.0


def _distances(components: np.ndarray, D) -> np.ndarray:
    """‖x_j − d_i‖² (m, n), up to a constant for each part."""
    squares = D.multiply(D).sum(axis=1) if sp.issparse(D) else (D * D).sum(axis=1)
    return np.asarray(squares).reshape(1, -1) - 2 * (components @ D.T)


def _indicator(chosen: np.ndarray, D) -> np.ndarray:
    """The weights (m, n) that give the chosen samples."""
    weights = np.zeros((len(chosen), D.shape[0]), D.dtype)
    weights[np.arange(len(chosen)), chosen] = 1
    return weights


#: The four decoder constraints by name.
DECODERS = {
    "free": Parts(),
    "unit": Parts(unit=True),
    "nonnegative": Parts(nonnegative=True),
    "unit-nonnegative": Parts(nonnegative=True, unit=True),
}
