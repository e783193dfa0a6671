"""A learned activation: each unit shrinks its codes by a number of its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from partsrep.arguments import check_fields, check_number
from partsrep.choices.codes import Codes, Learned


@dataclass(frozen=True)
class SoftThreshold(Codes):
    """Nonnegative codes f(z) = max(z − θ, 0), with a θ ≥ 0 that each unit learns.

    Parameters
    ----------
    begin : float ≥ 0
        The θ to begin with.
    """

    begin: float

    learns = ("threshold",)
    has_threshold = True

    def __post_init__(self):
        check_fields(self, check_number, "begin")

    @property
    def threshold(self) -> float:
        return self.begin

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        return (Z - self.begin).clamp(min=0)

    def learned(self, components: torch.Tensor) -> dict[str, Learned]:
        """The thresholds (m,), in the unit of codes and at least 0."""
        begin = torch.full_like(components[..., 0], self.begin)
        return {"threshold": Learned(begin, unit=(0, 1), lower=0.0)}

    def activate(self, Z: torch.Tensor, learned: dict[str, torch.Tensor]) -> torch.Tensor:
        """The codes for the thresholds that were learned."""
        return (Z - learned["threshold"].unsqueeze(-2)).clamp(min=0)

    def in_units(self, codes: float) -> SoftThreshold:
        """The same activation for codes in another unit."""
        return SoftThreshold(self.begin / codes)
