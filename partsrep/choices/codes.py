"""What the codes may be: the second of the four choices.

Each object is a set of allowed code rows, described by :class:`Codes`. It is a specification only:
what is learned lives in the module that is trained, what is computed in the solver. An autoencoder
needs the activation f, ``__call__``; NMF needs `infer`, and `improve` and `residual` for codes held
as rows F (m, n) and q(F) = tr(FᵀGF) − 2⟨C, F⟩ (:func:`partsrep.leastsquares.normal_equations`).

Here are the codes that NMF and autoencoders share; those that only autoencoders have are in
`selections`, `jumprelu` and `dense`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import check_fields, check_integer
from ..lazy import torch
from ..leastsquares import (
    columnwise_loss,
    exact_nnls,
    exact_simplex,
    gram_diagonal,
    gram_matmul,
    nnls_sweeps,
    normal_equations,
    project_simplex,
    stationarity,
    with_penalty,
)

GAIN = 1e-6  # relative, for which TopK.infer goes on looking for a better support
STEPS = 10  # projected gradient steps in one call of Simplex.improve
WIDE = 32  # columns a kept one, from which on most can be left out before any is ranked


@dataclass(frozen=True)
class Learned:
    """Weights that an activation learns, as they begin."""

    begin: torch.Tensor
    #: The powers of the units of data and of codes that they are measured in.
    unit: tuple[int, int] = (0, 0)
    #: Their lower bound.
    lower: float | None = None


class Codes:
    """What holds for codes unless they say otherwise."""

    nonnegative = True
    #: Whether f(sZ) = s f(Z), and with H the codes sH are allowed, for every s > 0.
    homogeneous = False
    #: Whether codes have no unit.
    dimensionless = False
    #: Whether some columns of F can be improved by themselves.
    columnwise = True
    #: Whether `infer` finds the best codes there are.
    exact = True
    #: Whether codes are selected from a whole batch.
    from_batch = False
    #: Whether codes have to exceed a threshold of their own, learned or not, and which.
    has_threshold = False
    threshold: float
    #: The number in which the members of a stack of autoencoders may differ.
    varies: str | None = None

    @property
    def sparsity(self) -> int | None:
        """Active codes of a sample: the most there may be, on average where `from_batch`."""
        return None

    @property
    def counterpart(self) -> tuple[Codes | None, str]:
        """What the other method allows in their place, or None, and why."""
        return None, "the theory knows nothing of such codes"

    @property
    def learns(self) -> tuple[str, ...]:
        """The names of what `learned` begins."""
        return ()

    @property
    def offers(self) -> tuple[str, ...]:
        """What some penalties need: "active" (their count, with a gradient) or "log_variance"."""
        return ()

    @property
    def is_activation(self) -> bool:
        """Whether an autoencoder can have such codes."""
        return type(self).__call__ is not Codes.__call__

    @property
    def is_set(self) -> bool:
        """Whether NMF can have such codes."""
        own, base = type(self), Codes
        missing = own.infer is base.infer or own.improve is base.improve
        return not missing and own.residual is not base.residual

    @property
    def has_support(self) -> bool:
        """Whether :meth:`support` says which codes are active."""
        return type(self).support is not Codes.support

    @property
    def has_gates(self) -> bool:
        """Whether each code is its pre-activation or 0, and :meth:`gates` says which."""
        return type(self).gates is not Codes.gates

    def check(self, n_components: int) -> None:
        """Raise a ValueError if there are too few parts."""
        if self.sparsity is not None and self.sparsity > n_components:
            raise ValueError(
                f"{self!r} needs at least {self.sparsity} parts, but n_components={n_components}."
            )

    def in_units(self, codes: float) -> Codes | None:
        """The same codes measured in this unit; None if they have a unit of their own."""
        return self if self.homogeneous or self.dimensionless else None

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        """The activation f of pre-activations (..., n, m)."""
        raise NotImplementedError

    def learned(self, components: torch.Tensor) -> dict[str, Learned]:
        """What the activation of each unit learns, by name."""
        return {}

    def activate(self, Z: torch.Tensor, learned: dict[str, torch.Tensor]) -> torch.Tensor:
        """The codes for pre-activations, given what was learned."""
        return self(Z)

    def log_variance(
        self, D: torch.Tensor, learned: dict[str, torch.Tensor]
    ) -> torch.Tensor | None:
        """The logarithms of the variances (n, m) of codes that are drawn; None for those that are
        not."""
        return None

    def support(self, Z: torch.Tensor) -> torch.Tensor:
        """Places in the flattened Z, in ascending order, of the codes that are kept."""
        raise NotImplementedError

    def gates(self, Z: np.ndarray) -> np.ndarray:
        """Which codes are active, for pre-activations as rows (…, m, n)."""
        raise NotImplementedError

    def frozen_threshold(
        self, Z: torch.Tensor, objective: Callable[[torch.Tensor], float]
    ) -> torch.Tensor:
        """What to compare pre-activations (n, m) with once training is over, so that the codes of a
        sample depend on no other; where that is ambiguous the better by an objective of thresholds.
        """
        raise NotImplementedError

    def improve(self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """A new F in the set, no column of which has a larger q."""
        raise NotImplementedError

    def residual(self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float | np.ndarray:
        """How far F is from stationary in the set, at the scale of the data and free of the scale
        that a part and its code share; of a stack an array."""
        raise NotImplementedError

    def infer(
        self,
        D: Any,
        components: np.ndarray,
        *,
        l1: float = 0.0,
        l2: float = 0.0,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """The best codes (n, m) of D for given parts, each sample by itself."""
        raise NotImplementedError


@dataclass(frozen=True)
class ReLU(Codes):
    """Nonnegative codes, the codes of NMF: f(z) = max(z, 0)."""

    homogeneous = True

    @property
    def counterpart(self) -> tuple[Codes, str]:
        return self, "H ≥ 0 is what ReLU gives (T1)"

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        return Z.clamp(min=0)

    def support(self, Z: torch.Tensor) -> torch.Tensor:
        return places(Z.flatten() > 0)

    def gates(self, Z: np.ndarray) -> np.ndarray:
        return Z > 0

    def improve(self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """A few sweeps of coordinate descent (:func:`partsrep.leastsquares.nnls_sweeps`)."""
        return nnls_sweeps(F, gram, cross)

    def residual(self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float | np.ndarray:
        return stationarity(F, gram, cross)

    def infer(self, D: Any, components: np.ndarray, **terms: Any) -> np.ndarray:
        """The exact solution (:func:`partsrep.leastsquares.exact_nnls`), sooner from a `guess`."""
        return exact_nnls(D, components, **terms)


@dataclass(frozen=True)
class TopK(Codes):
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
    >>> import torch
    >>> TopK(2)(torch.tensor([[3.0, 1.0, 2.0], [-1.0, -2.0, 4.0]]))
    tensor([[3., 0., 2.],
            [0., 0., 4.]])
    """

    k: int

    homogeneous = True
    exact = False
    varies = "k"

    @property
    def sparsity(self) -> int:
        return self.k

    @property
    def counterpart(self) -> tuple[Codes, str]:
        return self, "at most k active codes a sample, for k at least the true one (T10)"

    def __post_init__(self):
        check_fields(self, check_integer, "k")

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        if Z.requires_grad or not (isinstance(self.k, int) and _suits_numpy(Z)):
            return largest_kept(Z, self.k)
        kept = self.support(Z)
        values = Z.flatten().index_select(0, kept).clamp(min=0)
        return Z.new_zeros(Z.numel()).index_copy_(0, kept, values).view(Z.shape)

    def support(self, Z: torch.Tensor) -> torch.Tensor:
        """The k largest of each sample, also where they are negative."""
        m = Z.shape[-1]
        if _suits_numpy(Z):
            found = torch.from_numpy(_largest_of_rows(Z.numpy().reshape(-1, m), self.k))
            if len(found) * m == Z.numel() * self.k:  # no ties
                return found
        within = Z.topk(self.k, sorted=False).indices.view(-1, self.k).sort().values
        return (within + torch.arange(len(within), device=Z.device)[:, None] * m).flatten()

    def gates(self, Z: np.ndarray) -> np.ndarray:
        if self.k >= Z.shape[-2]:
            return Z > 0
        values = np.ascontiguousarray(Z.swapaxes(-1, -2))  # rows in one piece are parted faster
        least = np.partition(values, -self.k, axis=-1)[..., -self.k]
        return (least[..., None, :] <= Z) & (Z > 0)

    def improve(self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """Sweeps on the k largest codes, by what they contribute, then an exchange for each.

        From F = 0 this is orthogonal matching pursuit.
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
        partner = gram_diagonal(gram, F)
        gain = np.maximum(cross - gram_matmul(gram, F), 0) / np.sqrt(
            np.where(partner > 0, partner, 1)
        )
        entering = np.where(leaving | (F > 0), -1, gain).argmax(axis=0)
        support = F > 0
        np.put_along_axis(support, entering[None], True, axis=0)
        return _on_support(support, F, gram, cross)

    def _rank(self, F: np.ndarray, gram: np.ndarray) -> np.ndarray:
        """The place of each code in its column by what it contributes, √G_kk F_k; 0 is first."""
        # An active code of a zero part contributes nothing, but it comes before those not active.
        contribution = np.where(F > 0, np.sqrt(gram_diagonal(gram, F)) * F, -1)
        order = np.argsort(-contribution, axis=0, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(len(F))[:, None], axis=0)
        return rank

    def residual(self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float | np.ndarray:
        """Norm of the projected gradient over the codes that may move: 0 iff "basic feasible".

        Whether another support would be better, it does not say.
        """
        movable = (F > 0) | (np.count_nonzero(F, axis=0) < self.k)
        # Finite, for the slope there is multiplied by 0.
        never = -np.finfo(cross.dtype).max
        return stationarity(F, gram, np.where(movable, cross, never))

    def infer(self, D: Any, components: np.ndarray, **terms: Any) -> np.ndarray:
        """Pursuit and exchanges until none helps; then the exact codes of the support found."""
        if self.k >= len(components):
            return exact_nnls(D, components, **terms)
        gram, cross = normal_equations(D, components, terms.get("weights"))
        gram, cross = with_penalty(gram, cross, terms.get("l1", 0.0), terms.get("l2", 0.0))
        # Only the support counts here, and that of a quiet sample is that of a loud one.
        peaks = np.abs(cross).max(axis=0)
        cross = cross / np.where(peaks > 0, peaks, 1)
        F = np.zeros_like(cross)
        while True:
            better = self.improve(F, gram, cross)
            # A smaller gain is one of the sweeps, not of the support. Both sides are at most 0.
            before = columnwise_loss(F, gram, cross)
            lower = columnwise_loss(better, gram, cross) < (1 + GAIN) * before
            if not lower.any():
                break
            F = np.where(lower, better, F)
        return exact_nnls(D, components, allowed=F.T > 0, **terms)


@dataclass(frozen=True)
class Simplex(Codes):
    """Nonnegative codes that sum to 1: each sample is a mixture of the parts.

    For NMF only: it has no activation.

    References
    ----------
    O'Donoghue, Candès (2015), "Adaptive restart for accelerated gradient schemes", the scheme by
    function values, for the half step.

    Examples
    --------
    >>> Simplex().infer(np.array([[3.0, 1.0]]), np.array([[0.0, 0.0], [4.0, 0.0]]))
    array([[0.25, 0.75]])
    """

    counterpart = (None, "no activation gives such codes")

    def improve(self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """Projected gradient steps with Nesterov's momentum, which a column loses where q rises."""
        F = project_simplex(F)
        slope = gram_matmul(gram, F) - cross
        loss = np.einsum("kn,kn->n", F, slope - cross)
        ahead, slope_ahead, age = F, slope, np.zeros_like(loss)
        step = 1 / _steepness(gram)
        for _ in range(STEPS):
            G = project_simplex(ahead - step * slope_ahead)
            slope_G = gram_matmul(gram, G) - cross
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
        step = F - project_simplex(F - (gram_matmul(gram, F) - cross) / steepness)
        return float(np.linalg.norm(np.sqrt(steepness) * step))

    def infer(self, D: Any, components: np.ndarray, l1: float = 0.0, **terms: Any) -> np.ndarray:
        # An l1 penalty is the same for all members of the set.
        return exact_simplex(D, components, **terms)


def largest_kept(Z: torch.Tensor, count: int | torch.Tensor) -> torch.Tensor:
    """Of the last axis the largest `count`, where positive; 0 elsewhere. A stack may have a count
    for each member, (s,)."""
    most = count if isinstance(count, int) else int(count.max())
    largest, where = Z.topk(most, dim=-1)
    kept = largest.clamp(min=0)
    if not isinstance(count, int):
        place = Z.new_tensor(range(most))
        kept = kept * (place < count.view(-1, *[1] * (Z.ndim - 1)))
    return Z.new_zeros(Z.shape).scatter(-1, where, kept)


def _suits_numpy(Z: torch.Tensor) -> bool:
    """Whether numpy can rank the entries; it takes a half or a third of torch's time."""
    return Z.device.type == "cpu" and Z.dtype != torch.bfloat16


def _largest_of_rows(Z: np.ndarray, k: int) -> np.ndarray:
    """Places in the flattened Z (n, m), in ascending order, of the k largest of each row, and of
    what equals the last of them."""
    n, m = Z.shape
    if m < WIDE * k:
        return np.flatnonzero(np.partition(Z, -k, axis=1)[:, -k, None] <= Z)
    # The k-th largest of the maxima of 8k groups is at most the k-th largest value of the row, and
    # not much below it: few more than k values are left to rank.
    size = m // (8 * k)
    peaks = Z[:, : 8 * k * size].reshape(n, size, 8 * k).max(axis=1)
    found = np.flatnonzero(np.partition(peaks, -k, axis=1)[:, -k, None] <= Z)
    values, row = Z.ravel()[found], found // m
    count = np.bincount(row, minlength=n)
    left = np.full((n, max(k, count.max())), -np.inf, Z.dtype)
    left[np.arange(left.shape[1]) < count[:, None]] = values
    return found[np.partition(left, -k, axis=1)[row, -k] <= values]


def places(chosen: torch.Tensor) -> torch.Tensor:
    """Where a flat tensor is True, in ascending order."""
    if chosen.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(chosen.numpy()))  # faster than torch's
    return chosen.nonzero().squeeze(1)


def _on_support(
    support: np.ndarray, F: np.ndarray, gram: np.ndarray, cross: np.ndarray
) -> np.ndarray:
    """Sweeps over the codes on a support; the penalty of the others is infinite."""
    return nnls_sweeps(F, gram, np.where(support, cross, -np.inf))


def _better(A: np.ndarray, B: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """The better of two for each column."""
    return np.where(columnwise_loss(A, gram, cross) < columnwise_loss(B, gram, cross), A, B)


def _steepness(gram: np.ndarray) -> np.ndarray:
    """L, a bound on the largest eigenvalue: one number, or one for each column; 1 for zeros."""
    bound = np.abs(gram).sum(axis=0).max(axis=0)
    return np.where(bound > 0, bound, 1)
