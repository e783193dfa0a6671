"""What the codes may be: the second of the four choices.

Each object is a set of allowed code rows. Specifications only: whatever is learned lives in the
module that is trained. A new one is a frozen dataclass with ``check(n_components)`` and

* for an autoencoder the activation f that maps pre-activations Z (..., n, m) into the set,
  ``__call__(Z)`` on tensors, and ``homogeneous``: whether f(sZ) = s f(Z) for every s > 0.
  ``in_units(codes)`` is the same f for codes measured in this unit; codes with ``dimensionless``
  have none. A selection from a whole batch also has ``threshold(Z, objective)``: what to compare
  with once training is over, so that the codes of a sample do not depend on the others, where
  that is ambiguous the better by an objective of thresholds;
* for NMF ``infer(D, components, l1=, l2=, weights=)``, the best codes (n, m) for given parts, each
  sample by itself, and for the block solver, which holds codes as rows F (m, n) and lowers
  q(F) = tr(FᵀGF) − 2⟨C, F⟩ (:func:`partsrep.inference.normal_equations`):

  - ``improve(F, gram, cross)``: a new F in the set, no column of which has a larger q;
  - ``residual(F, gram, cross)``: how far F is from stationary in the set, at the scale of the data
    and free of the scale that a part and its code share;
  - ``columnwise``: whether columns of F can be improved in separate blocks;
  - ``exact``: whether what `infer` finds is the best there is.
"""

from collections.abc import Callable, Iterable
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
from .validation import check_fields, check_integer, check_number

TIE = 100  # last digits of the largest value, within which values are equal but for rounding
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
        guess: np.ndarray | None = None,
    ) -> np.ndarray:
        """The exact solution (:func:`partsrep.inference.exact_nnls`)."""
        return exact_nnls(D, components, l1=l1, l2=l2, weights=weights, guess=guess)


class _Jump(torch.autograd.Function):
    """z where z > θ, else 0, and a gradient in θ as if the jump had a width."""

    @staticmethod
    def forward(ctx, Z, threshold, bandwidth):
        ctx.save_for_backward(Z, threshold)
        ctx.bandwidth = bandwidth
        return torch.where(threshold < Z, Z, 0)

    @staticmethod
    def backward(ctx, slope):
        Z, threshold = ctx.saved_tensors
        near = (Z - threshold).abs() < ctx.bandwidth / 2
        pull = torch.where(near, slope, 0).sum(dim=-2, keepdim=True)
        return torch.where(threshold < Z, slope, 0), -threshold / ctx.bandwidth * pull, None


class _Step(torch.autograd.Function):
    """1 where z > θ, else 0, and a gradient in θ as if the step had a width."""

    @staticmethod
    def forward(ctx, Z, threshold, bandwidth):
        ctx.save_for_backward(Z, threshold)
        ctx.bandwidth = bandwidth
        return (threshold < Z).to(Z.dtype)

    @staticmethod
    def backward(ctx, slope):
        Z, threshold = ctx.saved_tensors
        near = (Z - threshold).abs() < ctx.bandwidth / 2
        pull = torch.where(near, slope, 0).sum(dim=-2, keepdim=True)
        return None, -pull / ctx.bandwidth, None


@dataclass(frozen=True)
class JumpReLU:
    r"""Codes that are zero or above a threshold: f(z) = z if z > θ, else 0.

    The threshold is in the units of the codes, so it binds only where the decoder's norm is fixed:
    otherwise larger codes and smaller parts step over it. The gradient in z is that of the
    identity where z > θ and 0 elsewhere. With a bandwidth ε each unit learns its own θ, itself and
    not its logarithm, by the straight-through gradients

    .. math:: \partial f / \partial\theta = -\tfrac{\theta}{\varepsilon}\,
        1[|z - \theta| < \tfrac{\varepsilon}{2}], \qquad
        \partial\, 1[z > \theta] / \partial\theta = -\tfrac{1}{\varepsilon}\,
        1[|z - \theta| < \tfrac{\varepsilon}{2}].

    Parameters
    ----------
    threshold : float ≥ 0
        With 0 this is ReLU. Where it is learned, the value to begin with.
    bandwidth : None or float > 0
        The width ε within which a code pulls its threshold; None: the threshold is fixed.

    References
    ----------
    Rajamanoharan, Lieberum, Sonnerat, Conmy, Varma, Kramár, Nanda (2024), "Jumping ahead: improving
    reconstruction fidelity with JumpReLU sparse autoencoders", equations 11 and 12.

    Examples
    --------
    >>> JumpReLU(threshold=0.5)(torch.tensor([[-1.0, 0.4, 0.6]]))
    tensor([[0.0000, 0.0000, 0.6000]])
    """

    threshold: float
    bandwidth: float | None = None

    homogeneous = False

    def __post_init__(self):
        check_fields(self, check_number, "threshold")
        if self.bandwidth is not None:
            check_fields(self, check_number, "bandwidth", above=True)

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        return self.above(Z, self.threshold)

    def above(self, Z: torch.Tensor, threshold: torch.Tensor | float) -> torch.Tensor:
        """The codes for thresholds (..., m) that are learned, or for one that is not."""
        if self.bandwidth is None:
            return above(Z, threshold)
        return _Jump.apply(Z, threshold.unsqueeze(-2), self.bandwidth)

    def in_units(self, codes: float) -> "JumpReLU":
        """The same activation for codes in another unit."""
        width = None if self.bandwidth is None else self.bandwidth / codes
        return JumpReLU(self.threshold / codes, width)

    def active(self, Z: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
        """1 where a code is above its learned threshold (..., m), else 0."""
        return _Step.apply(Z, threshold.unsqueeze(-2), self.bandwidth)

    def check(self, n_components: int) -> None:
        """Any number of parts will do."""


def above(Z: torch.Tensor, threshold: torch.Tensor | float) -> torch.Tensor:
    """Z where it is above fixed thresholds, a number or one for each unit (..., m); else 0."""
    if isinstance(threshold, torch.Tensor) and threshold.ndim:
        threshold = threshold.unsqueeze(-2)
    return torch.where(threshold < Z, Z, 0)


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
        check_fields(self, check_integer, "k")

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        return _largest_kept(Z, self.k)

    def check(self, n_components: int) -> None:
        """Raise a ValueError if there are fewer parts than active codes."""
        _check_budget("TopK", self.k, n_components)

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
        partner = diagonal(gram, F)
        gain = np.maximum(cross - apply(gram, F), 0) / np.sqrt(np.where(partner > 0, partner, 1))
        entering = np.where(leaving | (F > 0), -1, gain).argmax(axis=0)
        support = F > 0
        np.put_along_axis(support, entering[None], True, axis=0)
        return _on_support(support, F, gram, cross)

    def _rank(self, F: np.ndarray, gram: np.ndarray) -> np.ndarray:
        """The place of each code in its column by what it contributes, √G_kk F_k; 0 is first.

        An active code of a zero part contributes nothing, but it comes before those not active.
        """
        contribution = np.where(F > 0, np.sqrt(diagonal(gram, F)) * F, -1)
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

        Approximate, unless all parts are allowed: the support need not be the best one.
        """
        if self.k >= len(components):
            return exact_nnls(D, components, l1=l1, l2=l2, weights=weights)
        gram, cross = priced(*normal_equations(D, components, weights), l1, l2)
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
        return exact_nnls(D, components, l1=l1, l2=l2, weights=weights, allowed=F.T > 0)


def _largest_kept(Z: torch.Tensor, count: int | torch.Tensor) -> torch.Tensor:
    """Of the last axis the largest `count`, where positive; 0 elsewhere. A stack may have a count
    for each member, (s,)."""
    most = count if isinstance(count, int) else int(count.max())
    largest, where = Z.topk(most, dim=-1)
    if not isinstance(count, int):
        place = torch.arange(most, device=Z.device)
        largest = torch.where(place < count.view(-1, *[1] * (Z.ndim - 1)), largest, 0)
    return torch.zeros_like(Z).scatter(-1, where, largest.clamp(min=0))


def _check_budget(name: str, k: int, n_components: int) -> None:
    """Raise a ValueError if there are fewer parts than active codes."""
    if k > n_components:
        raise ValueError(
            f"{name}(k={k}) needs at least {k} parts, but n_components={n_components}."
        )


@dataclass(frozen=True)
class BatchTopK:
    """Nonnegative codes with k active per sample on average: the k·n largest of a batch of n.

    This is also Mutual Choice: samples and units choose each other. What one sample gets depends
    on the others, so after training one threshold takes the batch's place.

    Parameters
    ----------
    k : int ≥ 1
        At most the number of parts.

    References
    ----------
    Bussmann, Leask, Nanda (2024), "BatchTopK sparse autoencoders"; Ayonrinde (2024), "Adaptive
    sparse allocation with mutual choice and feature choice sparse autoencoders", for the name.

    Examples
    --------
    >>> BatchTopK(1)(torch.tensor([[3.0, 2.0], [1.0, -1.0]]))
    tensor([[3., 2.],
            [0., 0.]])
    """

    k: int

    homogeneous = True

    def __post_init__(self):
        check_fields(self, check_integer, "k")

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        return _largest_kept(Z.flatten(-2), self.k * Z.shape[-2]).view_as(Z)

    def threshold(
        self, Z: torch.Tensor, objective: Callable[[torch.Tensor], float]
    ) -> torch.Tensor:
        """The number that k·n of the pre-activations (n, m) exceed, at least 0 (:func:`_cuts`)."""
        return _cuts([Z.flatten()], [self.k * len(Z)], objective)[0]

    def check(self, n_components: int) -> None:
        """Raise a ValueError if there are fewer parts than active codes."""
        _check_budget("BatchTopK", self.k, n_components)


#: Mutual Choice is BatchTopK by another name.
MutualChoice = BatchTopK


@dataclass(frozen=True)
class FeatureChoice:
    r"""Nonnegative codes where each unit chooses its samples, the largest of its own.

    The budgets :math:`m_1 \ge m_2 \ge \dots` have the sum k n over a batch of n samples, with
    :math:`m_j \propto j^{-zipf}` where that is at most n; what is above n goes to the others. The
    j-th budget is assigned to the unit with the j-th most positive pre-activations in the batch, of
    equals to that with the largest sum of squares. After training each unit has a threshold.

    Parameters
    ----------
    k : int ≥ 1
        Active codes per sample on average; at most the number of parts.
    zipf : float ≥ 0
        The exponent of the law of budgets; with 0 all units have the same.

    References
    ----------
    Ayonrinde (2024), "Adaptive sparse allocation with mutual choice and feature choice sparse
    autoencoders", arXiv 2411.02124.

    Examples
    --------
    >>> FeatureChoice(1)(torch.tensor([[3.0, 1.0], [2.0, 0.5]]))
    tensor([[3., 1.],
            [0., 0.]])
    >>> FeatureChoice(2, zipf=1.0).budgets(n_samples=60, n_components=4).tolist()
    [58, 28, 20, 14]
    """

    k: int
    zipf: float = 0.0

    homogeneous = True

    def __post_init__(self):
        check_fields(self, check_integer, "k")
        check_fields(self, check_number, "zipf")

    def budgets(self, n_samples: int, n_components: int) -> np.ndarray:
        """The m_j (m,), largest first, that sum to k·n."""
        law = np.arange(1.0, n_components + 1) ** -self.zipf
        shares, left = np.zeros(n_components), float(self.k * n_samples)
        full = np.zeros(n_components, bool)
        while not full.all():
            shares[~full] = left * law[~full] / law[~full].sum()
            over = ~full & (shares > n_samples)
            if not over.any():
                break
            shares[over] = n_samples
            left -= n_samples * np.count_nonzero(over)
            full |= over
        # Rounded as sums, so that the total stays; that may put 0 between two 1s.
        return -np.sort(-np.diff(np.round(shares.cumsum()), prepend=0).astype(int))

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        counts = self._counts(Z)
        largest, where = Z.topk(int(counts.max()), dim=-2)
        rank = torch.arange(len(largest.movedim(-2, 0)), device=Z.device)
        kept = torch.where(rank[:, None] < counts.unsqueeze(-2), largest.clamp(min=0), 0)
        return torch.zeros_like(Z).scatter(-2, where, kept)

    def threshold(
        self, Z: torch.Tensor, objective: Callable[[torch.Tensor], float]
    ) -> torch.Tensor:
        """For each unit (m,) the number that its budget of its pre-activations (n, m) exceeds, at
        least 0 (:func:`_cuts`)."""
        return _cuts(Z.T, self._counts(Z).tolist(), objective)

    def _counts(self, Z: torch.Tensor) -> torch.Tensor:
        """The budgets, each at its unit (..., m)."""
        positive = Z.detach().clamp(min=0)
        uses, energy = (positive > 0).sum(dim=-2), positive.square().sum(dim=-2)
        order = energy.argsort(dim=-1, descending=True, stable=True)
        by_use = uses.gather(-1, order).argsort(dim=-1, descending=True, stable=True)
        budgets = torch.as_tensor(self.budgets(*Z.shape[-2:]), device=Z.device)
        order = order.gather(-1, by_use)
        return torch.empty_like(uses).scatter(-1, order, budgets.expand_as(uses))

    def check(self, n_components: int) -> None:
        """Raise a ValueError if there are fewer parts than active codes."""
        _check_budget("FeatureChoice", self.k, n_components)


def _cuts(
    columns: Iterable[torch.Tensor], budgets: list[int], objective: Callable[[torch.Tensor], float]
) -> torch.Tensor:
    """For each column what about a budget of its positive values exceed, with room on both sides.

    A tie that a budget would tear is above its cut or below as a whole. It is above where that
    lowers the objective, which takes cuts, and brings the number of all values above nearer to the
    sum of the budgets; ties that lower it most for a value come first.
    """
    cuts, lowered, above, tied = zip(*map(_sides, columns, budgets), strict=True)
    cuts, lowered, missing = torch.stack(cuts), torch.stack(lowered), sum(budgets) - sum(above)

    def moved(j: int) -> torch.Tensor:
        return torch.where(torch.arange(len(cuts), device=cuts.device) == j, lowered, cuts)

    reached = objective(cuts)
    gains = {j: (reached - objective(moved(j))) / tied[j] for j in range(len(cuts)) if tied[j]}
    for j in sorted(gains, key=gains.get, reverse=True):
        if abs(missing - tied[j]) <= abs(missing) and (better := objective(moved(j))) < reached:
            cuts, reached, missing = moved(j), better, missing - tied[j]
    return cuts


def _sides(values: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor, int, int]:
    """Two cuts of the positive values, the first above the tie that `count` would tear and the
    second below it, how many values are above the first, and how many are in the tie.

    Values that differ by rounding alone are a tie. Where none is torn, both cuts are the same.
    """
    values = values.clamp(min=0)
    largest = values.max()
    if count == 0:
        return 1.5 * largest, 1.5 * largest, 0, 0
    last = values.topk(count).values[-1]
    if last == 0:
        return last, last, int((values > 0).sum()), 0
    rounding = TIE * torch.finfo(values.dtype).eps * largest
    over, tied = values > last + rounding, values >= last - rounding
    first, latest = values[tied & ~over].aminmax()
    lower = (first + torch.where(tied, 0, values).max()) / 2
    if tied.sum() == count:
        return lower, lower, count, 0
    upper = (latest + torch.where(over, values, 2 * largest).min()) / 2
    return upper, lower, int(over.sum()), int((tied & ~over).sum())


@dataclass(frozen=True)
class Logistic:
    """Codes between 0 and 1: f(z) = 1 / (1 + exp(−z)). None is ever exactly 0.

    Examples
    --------
    >>> Logistic()(torch.tensor([[0.0]]))
    tensor([[0.5000]])
    """

    homogeneous = False
    dimensionless = True

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        return Z.sigmoid()

    def check(self, n_components: int) -> None:
        """Any number of parts will do."""


@dataclass(frozen=True)
class Gaussian:
    """Codes of a variational autoencoder: in training normal around z, afterwards z itself.

    The logarithm of the variance is a second linear layer of its own.

    References
    ----------
    Kingma, Welling (2014), "Auto-encoding variational Bayes", section 2.4 and appendix B.
    """

    homogeneous = False
    dimensionless = True

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        return Z

    def check(self, n_components: int) -> None:
        """Any number of parts will do."""


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
    return sweeps(F, gram, np.where(support, cross, -np.inf))


def _better(A: np.ndarray, B: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """The better of two for each column."""
    return np.where(columnwise_loss(A, gram, cross) < columnwise_loss(B, gram, cross), A, B)


def _steepness(gram: np.ndarray) -> np.ndarray:
    """L, a bound on the largest eigenvalue: one number, or one for each column; 1 for zeros."""
    bound = np.abs(gram).sum(axis=0).max(axis=0)
    return np.where(bound > 0, bound, 1)


#: Activations by name.
ACTIVATIONS = {"relu": ReLU(), "logistic": Logistic()}
