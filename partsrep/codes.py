"""What the codes may be: the second of the four choices.

Each object is a set of allowed code rows. Specifications only: whatever is learned lives in the
module that is trained. A new one is a frozen dataclass with ``check(n_components)`` and

* for an autoencoder the activation f that maps pre-activations Z (n, m) into the set,
  ``__call__(Z)`` on tensors, and ``homogeneous``: whether f(sZ) = s f(Z) for every s > 0;
* for NMF ``infer(D, components, l1=, l2=, weights=)``, the best codes (n, m) for given parts, each
  sample by itself, and for the block solver, which holds codes as rows F (m, n) and lowers
  q(F) = tr(FᵀGF) − 2⟨C, F⟩ (:func:`partsrep.inference.normal_equations`):

  - ``improve(F, gram, cross)``: a new F in the set, no column of which has a larger q;
  - ``residual(F, gram, cross)``: how far F is from stationary in the set, at the scale of the data
    and free of the scale that a part and its code share;
  - ``columnwise``: whether columns of F can be improved in separate blocks;
  - ``exact``: whether what `infer` finds is the best there is.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .inference import (
    apply,
    columnwise_loss,
    diagonal,
    exact_nnls,
    exact_simplex,
    normal_equations,
    priced,
    project_simplex,
    stationarity,
    sweeps,
)
from .validation import check_integer, check_number

GAIN = 1e-6  # relative, for which TopK.infer goes on looking for a better support
STEPS = 10  # projected gradient steps in one call of Simplex.improve


@dataclass(frozen=True)
class ReLU:
    """Nonnegative codes, the codes of NMF: f(z) = max(z, 0)."""

    homogeneous = True
    columnwise = True
    exact = True

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        return Z.clamp(min=0)

    def check(self, n_components: int) -> None:
        """Any number of parts will do."""

    def improve(self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """A few sweeps of coordinate descent (:func:`partsrep.inference.sweeps`)."""
        return sweeps(F, gram, cross)

    def residual(self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float:
        """Norm of the projected gradient (:func:`partsrep.inference.stationarity`)."""
        return stationarity(F, gram, cross)

    def infer(
        self,
        D,
        components: np.ndarray,
        *,
        l1: float = 0.0,
        l2: float = 0.0,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """The exact solution (:func:`partsrep.inference.exact_nnls`)."""
        return exact_nnls(D, components, l1=l1, l2=l2, weights=weights)


@dataclass(frozen=True)
class JumpReLU:
    """Codes that are zero or above one fixed threshold: f(z) = z if z > threshold, else 0.

    The threshold is in the units of the codes, so it binds only where the decoder's norm is fixed:
    otherwise larger codes and smaller parts step over it. The gradient is that of the identity
    where z > threshold and 0 elsewhere.

    Parameters
    ----------
    threshold : float ≥ 0
        With 0 this is ReLU.

    Examples
    --------
    >>> JumpReLU(threshold=0.5)(torch.tensor([[-1.0, 0.4, 0.6]]))
    tensor([[0.0000, 0.0000, 0.6000]])
    """

    threshold: float

    homogeneous = False

    def __post_init__(self):
        check_number("JumpReLU's threshold", self.threshold)

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        return torch.where(self.threshold < Z, Z, 0)

    def check(self, n_components: int) -> None:
        """Any number of parts will do."""


@dataclass(frozen=True)
class TopK:
    """Nonnegative codes with at most k active per sample: ReLU of the k largest, 0 elsewhere.

    The same as JumpReLU with a threshold *per sample*, the (k+1)-th largest pre-activation or 0.
    As codes of NMF this is ℓ0-NMF. The best support is a hard problem; what is found here is a
    support that no single exchange, with a few sweeps of coordinate descent, betters.

    Parameters
    ----------
    k : int ≥ 1
        At most the number of parts.

    References
    ----------
    Nguyen, Soussen, Idier, Djermoune (2019), "Non-negative orthogonal greedy algorithms", for the
    row that is most useful; Beck, Eldar (2013), "Sparsity constrained nonlinear optimization:
    optimality conditions and algorithms", for the residual and the exchanges.

    Examples
    --------
    >>> TopK(2)(torch.tensor([[3.0, 1.0, 2.0], [-1.0, -2.0, 4.0]]))
    tensor([[3., 0., 2.],
            [0., 0., 4.]])
    """

    k: int

    homogeneous = True
    columnwise = True
    exact = False

    def __post_init__(self):
        check_integer("TopK's k", self.k)

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        largest, where = Z.topk(self.k, dim=-1)
        return torch.zeros_like(Z).scatter(-1, where, largest.clamp(min=0))

    def check(self, n_components: int) -> None:
        """Raise a ValueError if there are fewer parts than active codes."""
        if self.k > n_components:
            raise ValueError(
                f"TopK(k={self.k}) needs at least {self.k} parts, but n_components={n_components}."
            )

    def improve(self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """Sweeps on the present support, then an exchange for each of the k codes.

        From F = 0 this is orthogonal matching pursuit. Of an F outside the set the k largest
        codes of a column, measured by what they contribute, are where it begins.
        """
        F = np.where(self._rank(F, gram) < self.k, F, 0)
        F = _on_support(F > 0, F, gram, cross)
        for place in range(self.k):
            F = _better(self._exchanged(F, place, gram, cross), F, gram, cross)
        return F

    def _exchanged(
        self, F: np.ndarray, place: int, gram: np.ndarray, cross: np.ndarray
    ) -> np.ndarray:
        """F with another row for the one at a place of each column's ranking."""
        leaving = (self._rank(F, gram) == place) & (F > 0)
        F = np.where(leaving, 0, F)
        partner = diagonal(gram)
        gain = np.maximum(cross - apply(gram, F), 0) / np.sqrt(np.where(partner > 0, partner, 1))
        entering = np.where(leaving | (F > 0), -1, gain).argmax(axis=0)
        support = F > 0
        np.put_along_axis(support, entering[None], True, axis=0)
        return _on_support(support, F, gram, cross)

    def _rank(self, F: np.ndarray, gram: np.ndarray) -> np.ndarray:
        """The place of each code in its column by what it contributes, √G_kk F_k; 0 is first.

        An active code of a zero part contributes nothing, but it comes before those not active.
        """
        contribution = np.where(F > 0, np.sqrt(diagonal(gram)) * F, -1)
        order = np.argsort(-contribution, axis=0, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(len(F))[:, None], axis=0)
        return rank

    def residual(self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float:
        """Norm of the projected gradient over the codes that may move with the others fixed.

        Where k codes are active these are the active ones, elsewhere all: 0 iff F is "basic
        feasible". Whether another support would be better, it does not say.
        """
        movable = (F > 0) | (np.count_nonzero(F, axis=0) < self.k)
        # Finite, for the slope there is multiplied by 0.
        never = -np.finfo(cross.dtype).max
        return stationarity(F, gram, np.where(movable, cross, never))

    def infer(
        self,
        D,
        components: np.ndarray,
        *,
        l1: float = 0.0,
        l2: float = 0.0,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """Pursuit and exchanges until none helps; then the exact codes of the support found.

        Approximate: the support need not be the best one.
        """
        gram, cross = priced(*normal_equations(D, components, weights), l1, l2)
        F = np.zeros_like(cross)
        while True:
            better = self.improve(F, gram, cross)
            # A smaller gain is one of the sweeps, not of the support. Both sides are at most 0.
            before = columnwise_loss(F, gram, cross)
            lower = columnwise_loss(better, gram, cross) < (1 + GAIN) * before
            if not lower.any():
                break
            F = np.where(lower, better, F)
        return exact_nnls(D, components, l1=l1, l2=l2, weights=weights, allowed=F.T > 0)


@dataclass(frozen=True)
class Simplex:
    """Nonnegative codes that sum to 1: each sample is a mixture of the parts.

    For NMF only: it has no activation.

    Notes
    -----
    An l1 price is the same for all members, so it changes nothing.

    Examples
    --------
    >>> Simplex().infer(np.array([[3.0, 1.0]]), np.array([[0.0, 0.0], [4.0, 0.0]]))
    array([[0.25, 0.75]])
    """

    columnwise = True
    exact = True

    def check(self, n_components: int) -> None:
        """Any number of parts will do."""

    def improve(self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """Projected gradient steps with Nesterov's momentum, which a column loses where q rises.

        An F outside the set is projected first.

        References
        ----------
        O'Donoghue, Candès (2015), "Adaptive restart for accelerated gradient schemes", the scheme
        by function values.
        """
        F = project_simplex(F)
        slope = apply(gram, F) - cross
        loss = np.einsum("kn,kn->n", F, slope - cross)
        ahead, slope_ahead, age = F, slope, np.zeros_like(loss)
        step = 1 / _steepness(gram)
        for _ in range(STEPS):
            G = project_simplex(ahead - step * slope_ahead)
            slope_G = apply(gram, G) - cross
            loss_G = np.einsum("kn,kn->n", G, slope_G - cross)
            lower = loss_G <= loss
            # The weight (t−1)/(t+2) of the t-th step since the momentum was lost.
            momentum = np.where(lower, age / (age + 3), 0)
            age = np.where(lower, age + 1, 0)
            G, slope_G = np.where(lower, G, F), np.where(lower, slope_G, slope)
            # The slope is linear: that of the point ahead needs no product of its own.
            ahead = G + momentum * (G - F)
            slope_ahead = slope_G + momentum * (slope_G - slope)
            F, slope, loss = G, slope_G, np.where(lower, loss_G, loss)
        return F

    def residual(self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float:
        """Length of a projected gradient step, in units of the data: √L‖F − Π(F − ∇/L)‖."""
        steepness = _steepness(gram)
        step = F - project_simplex(F - (apply(gram, F) - cross) / steepness)
        return float(np.linalg.norm(np.sqrt(steepness) * step))

    def infer(
        self,
        D,
        components: np.ndarray,
        *,
        l1: float = 0.0,
        l2: float = 0.0,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """The exact solution (:func:`partsrep.inference.exact_simplex`)."""
        return exact_simplex(D, components, l2=l2, weights=weights)


def _on_support(
    support: np.ndarray, F: np.ndarray, gram: np.ndarray, cross: np.ndarray
) -> np.ndarray:
    """Sweeps over the codes on a support; the price of the others is infinite."""
    return sweeps(F, gram, np.where(support, cross, -np.inf), enough=0)


def _better(A: np.ndarray, B: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """The better of two for each column."""
    return np.where(columnwise_loss(A, gram, cross) < columnwise_loss(B, gram, cross), A, B)


def _steepness(gram: np.ndarray) -> np.ndarray:
    """L, a bound on the largest eigenvalue: one number, or one for each column; 1 for zeros."""
    bound = np.abs(gram).sum(axis=0).max(axis=0)
    return np.where(bound > 0, bound, 1)


#: Activations by name.
ACTIVATIONS = {"relu": ReLU()}
