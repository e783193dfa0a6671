"""What is minimised: the fourth of the four choices.

The fit is the squared error, a mean over samples of a sum over features; each penalty is a frozen
dataclass with ``__call__(H)`` that returns a scalar tensor.
"""

import math
from dataclasses import dataclass

import torch

from .validation import check_number


@dataclass(frozen=True)
class L1:
    r"""weight · mean over samples of :math:`\sum_j |h_{ij}|`.

    It binds only where the decoder's norm is fixed: otherwise codes shrink and parts grow.

    Parameters
    ----------
    weight : float ≥ 0
        In units of data times parts' norm.
    """

    weight: float

    def __post_init__(self):
        check_number("L1's weight", self.weight)

    def __call__(self, H: torch.Tensor) -> torch.Tensor:
        return self.weight * H.abs().sum(dim=1).mean()


@dataclass(frozen=True)
class KL:
    r"""weight · :math:`\sum_j KL(p \| \hat p_j)`, p̂_j the mean activation of unit j.

    :math:`KL(p\|q) = p \log(p/q) + (1-p) \log((1-p)/(1-q))`, infinite where q ≥ 1. A unit that
    is never active counts as q = `FLOOR`, so that it is penalised and the objective stays finite.

    Parameters
    ----------
    weight : float ≥ 0
    target : float in (0, 1)
        The wanted mean activation p.
    """

    weight: float
    target: float = 0.05

    FLOOR = 1e-8

    def __post_init__(self):
        check_number("KL's weight", self.weight)
        check_number("KL's target", self.target, above=True)
        if self.target >= 1:
            raise ValueError(f"KL's target must be below 1; got {self.target!r}.")

    def __call__(self, H: torch.Tensor) -> torch.Tensor:
        p, q = self.target, H.mean(dim=0).clamp(min=self.FLOOR)
        inside = q.clamp(max=1 - torch.finfo(q.dtype).eps)
        divergence = p * (math.log(p) - inside.log())
        divergence = divergence + (1 - p) * (math.log1p(-p) - torch.log1p(-inside))
        return self.weight * torch.where(q < 1, divergence, torch.inf).sum()


@dataclass(frozen=True)
class Objective:
    """Mean over samples of the squared error summed over features, plus the penalties."""

    penalties: tuple = ()

    def __call__(self, D: torch.Tensor, D_hat: torch.Tensor, H: torch.Tensor) -> torch.Tensor:
        fit = (D - D_hat).square().sum(dim=1).mean()
        return fit + sum(penalty(H) for penalty in self.penalties)
