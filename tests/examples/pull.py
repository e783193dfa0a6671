"""A penalty that draws codes to one number, for NMF and for autoencoders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from partsrep.choices.objective import Output, Penalty
from partsrep.choices.units import Unit


@dataclass(frozen=True)
class Pull(Penalty):
    """weight · mean over samples of Σ_j (h_ij − target)²."""

    weight: float
    target: float = 1.0

    on = "codes"
    degree = 2

    def __call__(self, output: Output) -> torch.Tensor:
        return self.weight * (output.H - self.target).square().sum(dim=-1).mean(dim=-1)

    def value(self, F: np.ndarray) -> float:
        """The sum over samples."""
        return float(self.weight * np.sum((F - self.target) ** 2))

    def quadratic(
        self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """G + weight·I and C + weight·target: exact."""
        ridge = self.weight * np.eye(len(F), dtype=gram.dtype)
        return gram + (ridge if gram.ndim == 2 else ridge[..., None]), cross + (
            self.weight * self.target
        )

    def in_units(self, unit: Unit) -> Pull:
        """The same penalty in other units."""
        return Pull(super().in_units(unit).weight, self.target / unit.codes)
