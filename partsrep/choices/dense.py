"""Codes that are never zero: those of logistic and of variational autoencoders."""

from __future__ import annotations

from dataclasses import dataclass

from ..lazy import torch
from .codes import Codes, Learned

UNKNOWN = None, "such codes are never zero, or signed (T14, T15)"


@dataclass(frozen=True)
class Logistic(Codes):
    """Codes between 0 and 1: f(z) = 1 / (1 + exp(−z)). None is ever exactly 0.

    Examples
    --------
    >>> Logistic()(torch.tensor([[0.0]]))
    tensor([[0.5000]])
    """

    dimensionless = True
    counterpart = UNKNOWN

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        return Z.sigmoid()


@dataclass(frozen=True)
class Gaussian(Codes):
    """Codes of a variational autoencoder: in training normal around z, afterwards z itself.

    The logarithm of the variance is a second linear layer of its own, see
    :func:`partsrep.presets.vae`.
    """

    nonnegative = False
    dimensionless = True
    counterpart = UNKNOWN
    learns = ("spread", "log_variance")
    offers = ("log_variance",)

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        return Z

    def learned(self, components: torch.Tensor) -> dict[str, Learned]:
        """The second layer: its weights (m, d), and its bias (m,)."""
        return {
            "spread": Learned(torch.zeros_like(components), unit=(-1, 0)),
            "log_variance": Learned(torch.zeros_like(components[..., 0])),
        }

    def log_variance(self, D: torch.Tensor, learned: dict[str, torch.Tensor]) -> torch.Tensor:
        return D @ learned["spread"].mT + learned["log_variance"].unsqueeze(-2)
