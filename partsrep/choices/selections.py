"""Codes that an autoencoder selects from a whole batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..arguments import check_fields, check_integer, check_number
from ..lazy import torch
from .codes import Codes, ReLU, largest_kept, places

TIE = 100  # last digits of the largest value, within which values are equal but for rounding
STRIDE = 61  # between the entries that a first guess of a batch's threshold looks at


@dataclass(frozen=True)
class Selection(Codes):
    """Nonnegative codes, the largest of a batch: k a sample on average."""

    k: int

    homogeneous = True
    from_batch = True

    def __post_init__(self):
        check_fields(self, check_integer, "k")

    @property
    def sparsity(self) -> int:
        return self.k

    @property
    def counterpart(self) -> tuple[Codes, str]:
        return ReLU(), (
            f"{self.k} is a mean: TopK allows the same codes only if its k is the largest number "
            "in a sample, which the setting does not tell (T13)"
        )

    def support(self, Z: torch.Tensor) -> torch.Tensor:
        return places(self(Z).flatten() > 0)


@dataclass(frozen=True)
class BatchTopK(Selection):
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

    varies = "k"

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        return largest_kept(Z.flatten(-2), self.k * Z.shape[-2]).view_as(Z)

    def frozen_threshold(
        self, Z: torch.Tensor, objective: Callable[[torch.Tensor], float]
    ) -> torch.Tensor:
        """The number that k·n of the pre-activations (n, m) exceed, at least 0 (:func:`_cuts`)."""
        return _cuts([Z.flatten()], [self.k * len(Z)], objective)[0]

    def support(self, Z: torch.Tensor) -> torch.Tensor:
        if Z.ndim > 2:  # each member of a stack by itself
            return super().support(Z)
        return _largest(Z.flatten(), self.k * len(Z))


#: Mutual Choice is BatchTopK by another name.
MutualChoice = BatchTopK


@dataclass(frozen=True)
class FeatureChoice(Selection):
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

    zipf: float = 0.0

    def __post_init__(self):
        super().__post_init__()
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

    def frozen_threshold(
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


def _cuts(
    columns: Iterable[torch.Tensor], budgets: list[int], objective: Callable[[torch.Tensor], float]
) -> torch.Tensor:
    """For each column what about a budget of its positive values exceed, with room on both sides.

    A tie that a budget would tear is above its cut or below as a whole. It is above where that
    lowers the objective, which takes cuts, and brings the number of all values above nearer to the
    sum of the budgets; ties that lower it most for a value come first.
    """
    uppers, lowers, above, tied = zip(*map(_sides, columns, budgets), strict=True)
    cuts, lowered, missing = torch.stack(uppers), torch.stack(lowers), sum(budgets) - sum(above)

    def moved(j: int) -> torch.Tensor:
        return torch.where(torch.arange(len(cuts), device=cuts.device) == j, lowered, cuts)

    reached = objective(cuts)
    gains = {j: (reached - objective(moved(j))) / tied[j] for j in range(len(cuts)) if tied[j]}
    for j in sorted(gains, key=gains.__getitem__, reverse=True):
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


def _largest(values: torch.Tensor, count: int) -> torch.Tensor:
    """Places of the largest positive values, in ascending order.

    What a sample says, with four of its standard deviations, leaves a few more than the count, and
    only these are looked at again.
    """
    sample = values[::STRIDE]
    rank = count / STRIDE
    rank = min(int(rank + 4 * rank**0.5) + 1, len(sample))
    found = places(values > sample.topk(rank, sorted=False).values.min().clamp(min=0))
    if len(found) < count:
        found = places(values > 0)
    if len(found) > count:
        rest = values[found].topk(len(found) - count, largest=False, sorted=False).indices
        found = found[torch.ones_like(found, dtype=torch.bool).index_fill_(0, rest, False)]
    return found
