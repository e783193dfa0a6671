"""Parts that are combinations of samples, Xᵀ = A D, with weights A (m, n) of the samples D (n, d).

:class:`Cone` and :class:`Hull` say which combinations; a fit needs one bound to its samples.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy.sparse as sp

from ..leastsquares import gram_matmul, project_simplex
from .parts import PartSet, through_numpy

if TYPE_CHECKING:
    from torch import Tensor

# With the momentum kept, the loss of convex NMF and of archetypal analysis on digits depends on the
# steps taken in all, hardly on how many of them (2 to 20) follow one update of the codes. Five cost
# a few times as much as that update.
STEPS = 5
PROJECTION_STEPS = 100


class Combinations(PartSet):
    """What a cone and a hull of samples share."""

    of_samples = True
    centred = False  # whether the mean of the samples has no effect

    def bind(self, D) -> "BoundCone":
        """Begin a fit to the samples D (n, d), dense or sparse."""
        return BoundCone(self, D, spectral_norm(D, self.centred))

    def nearest_weights(self, A: np.ndarray) -> np.ndarray:
        """Nearest weights that are allowed."""
        raise NotImplementedError

    def project_tensor(self, trained: "Tensor") -> "Tensor":
        return through_numpy(self.nearest_weights, trained)


@dataclass(frozen=True)
class Cone(Combinations):
    r"""The set {X : Xᵀ = A D, A ≥ 0}: parts are nonnegative combinations of samples, convex NMF.

    The data may have any sign. :func:`partsrep.presets.convex_nmf` names the source, where the
    updates are multiplicative; here they are projected gradients.

    Examples
    --------
    >>> cone = Cone().bind(np.array([[2.0, 0.0], [1.0, 1.0]]))
    >>> cone.project(np.array([[3.0, 1.0], [0.0, 1.0]])).round(6)
    array([[3. , 1. ],
           [0.5, 0.5]])
    >>> cone.weights.round(6)
    array([[1. , 1. ],
           [0. , 0.5]])
    """

    homogeneous = True

    def nearest_weights(self, A: np.ndarray) -> np.ndarray:
        return np.maximum(A, 0)

    def project_tensor(self, trained: "Tensor") -> "Tensor":
        return trained.clamp(min=0)


@dataclass(frozen=True)
class Hull(Combinations):
    r"""The set {X : Xᵀ = A D, A ≥ 0, A1 = 1}: parts are means of samples, archetypes.

    With codes on the simplex too this is :func:`partsrep.presets.archetypal` analysis.

    Examples
    --------
    >>> hull = Hull().bind(np.array([[2.0, 0.0], [0.0, 2.0]]))
    >>> hull.project(np.array([[2.0, 2.0]])).round(6)
    array([[1., 1.]])
    """

    centred = True  # it has none on differences of weights with the same sum

    def nearest_weights(self, A: np.ndarray) -> np.ndarray:
        return project_simplex(A.T).T


class Descent(NamedTuple):
    """Where a descent stands: weights A and parts P = A D, those of the step before, and how many
    steps the momentum has grown for."""

    A: np.ndarray
    P: np.ndarray
    A_before: np.ndarray
    P_before: np.ndarray
    age: int = 0


class BoundCone(PartSet):
    r"""One fit's parts in the cone or the hull of its samples, and their weights.

    `project` begins at the nearest parts, and `improve` goes on from those returned last, by
    accelerated projected gradient steps in A on q(A D). The momentum lasts from call to call,
    because G and C change little, and is dropped where q would rise. Row k has its own step,
    1/(λ G_kk σ²), with λ the largest eigenvalue of G scaled to a unit diagonal and σ the `norm`
    that bounds what samples do to parts.

    References
    ----------
    Nesterov (1983), "A method of solving a convex programming problem with convergence rate
    O(1/k²)"; O'Donoghue, Candès (2015), "Adaptive restart for accelerated gradient schemes",
    section 3.2, function scheme.
    """

    of_samples = True

    def __init__(self, allowed: Combinations, D, norm: float):
        self.allowed, self.D, self.norm = allowed, D, norm
        self._reached: Descent | None = None

    @property
    def homogeneous(self) -> bool:
        return self.allowed.homogeneous

    def return_to(self, weights: np.ndarray) -> np.ndarray:
        """The parts that have these weights (m, n); `improve` then goes on from there."""
        P = weights @ self.D
        return self._arrived(Descent(weights, P, weights, P))

    def project(self, components: np.ndarray) -> np.ndarray:
        """Nearest parts, by steps from the sample nearest to each; exact for samples themselves,
        and for the parts that were returned last."""
        if self._reached is not None and np.array_equal(components, self._reached.P):
            return components.copy()
        A = indicator(distances(components, self.D).argmin(axis=1), self.D)
        P = A @ self.D
        identity = np.eye(len(components), dtype=A.dtype)
        reached = self._descend(Descent(A, P, A, P), identity, components, PROJECTION_STEPS)
        return self._arrived(reached._replace(age=0))  # the momentum of another quadratic

    def project_tensor(self, trained: "Tensor") -> "Tensor":
        return self.allowed.project_tensor(trained)

    def improve(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """A few steps from the parts that were returned last."""
        return self._arrived(self._descend(self._at(P), gram, cross, STEPS))

    def residual(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float:
        """How far one step of the weights would move, each part alone, times σ: a bound on how far
        the parts would move."""
        A, curvature = self._at(P).A, self.curvature(gram, P) * self.norm**2
        return self.distance(A, self._step(A, P, gram, cross, curvature), curvature)

    def _arrived(self, reached: Descent) -> np.ndarray:
        """The parts that are returned, whose descent and weights are kept."""
        self._reached, self.weights = reached, reached.A
        return reached.P.copy()

    def _at(self, P: np.ndarray) -> Descent:
        """Where the descent stands, which must be at P."""
        if self._reached is None or not np.array_equal(P, self._reached.P):
            raise ValueError(
                "Only the parts that a bound set returned last have known weights: project these."
            )
        return self._reached

    def _step(self, A, P, gram, cross, curvature) -> np.ndarray:
        """One projected gradient step from the weights A of P."""
        gradient = (gram_matmul(gram, P) - cross) @ self.D.T
        A = A - gradient / np.where(curvature > 0, curvature, np.inf)
        return self.allowed.nearest_weights(A)

    def _descend(self, begin: Descent, gram: np.ndarray, cross: np.ndarray, steps: int) -> Descent:
        """Lower q by a number of steps."""
        own = self.curvature(gram, cross)
        scale = np.sqrt(np.where(own > 0, own, 1))
        largest = float(np.linalg.eigvalsh(gram.T / scale / scale[:, 0]).max())
        curvature = own * (largest * self.norm**2)
        moving = (own > 0).astype(own.dtype)  # momentum leaves idle parts alone

        A, P, A_before, P_before, age = begin
        for _ in range(steps):
            momentum = age / (age + 3) * moving
            extrapolated = A + momentum * (A - A_before), P + momentum * (P - P_before)
            A_new = self._step(*extrapolated, gram, cross, curvature)
            P_new = A_new @ self.D
            A_before, P_before = A, P
            if np.vdot(P_new - P, gram_matmul(gram, P_new + P) - 2 * cross) <= 0:
                A, P, age = A_new, P_new, age + 1
            elif age:
                age = 0
            else:
                break  # a plain step does not help: what is left is rounding
        return Descent(A, P, A_before, P_before, age)


def spectral_norm(D, centred: bool = False) -> float:
    """The largest singular value, of D less its mean if `centred`; for a sparse D, which would not
    survive the subtraction, a bound on it."""
    if sp.issparse(D):
        start = np.ones(min(D.shape), D.dtype)  # ARPACK's own start is random
        return float(sp.linalg.svds(D, k=1, v0=start, return_singular_vectors=False)[0])
    return float(np.linalg.norm(D - D.mean(axis=0) if centred else D, 2))


def distances(components: np.ndarray, D) -> np.ndarray:
    """‖x_j − d_i‖² (m, n), up to a constant for each part."""
    squares = D.multiply(D).sum(axis=1) if sp.issparse(D) else (D * D).sum(axis=1)
    return np.asarray(squares).reshape(1, -1) - 2 * (components @ D.T)


def indicator(chosen: np.ndarray, D) -> np.ndarray:
    """The weights (m, n) that give the chosen samples."""
    weights = np.zeros((len(chosen), D.shape[0]), D.dtype)
    weights[np.arange(len(chosen)), chosen] = 1
    return weights
