"""JumpReLU: codes above a threshold, which may be learned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arguments import check_fields, check_number
from ..lazy import Lazy, torch
from .codes import Codes, Learned, ReLU, places

jump = Lazy("partsrep.choices._jump")


@dataclass(frozen=True)
class JumpReLU(Codes):
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

    has_threshold = True
    counterpart = (ReLU(), "the threshold removes what noise makes of zeros (T7)")

    @property
    def learns(self) -> tuple[str, ...]:
        return () if self.bandwidth is None else ("threshold",)

    @property
    def offers(self) -> tuple[str, ...]:
        return () if self.bandwidth is None else ("active",)

    def __post_init__(self):
        check_fields(self, check_number, "threshold")
        if self.bandwidth is not None:
            check_fields(self, check_number, "bandwidth", above=True)

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        return above(Z, self.threshold)

    def learned(self, components: torch.Tensor) -> dict[str, Learned]:
        if self.bandwidth is None:
            return {}
        begin = torch.full_like(components[..., 0], self.threshold)
        return {"threshold": Learned(begin, unit=(0, 1), lower=0.0)}

    def activate(self, Z: torch.Tensor, learned: dict[str, torch.Tensor]) -> torch.Tensor:
        if self.bandwidth is None:
            return self(Z)
        return jump.Jump.apply(Z, learned["threshold"].unsqueeze(-2), self.bandwidth)

    def support(self, Z: torch.Tensor) -> torch.Tensor:
        return places(Z.flatten() > self.threshold)

    @property
    def has_gates(self) -> bool:
        return self.bandwidth is None

    def gates(self, Z: np.ndarray) -> np.ndarray:
        return self.threshold < Z

    def in_units(self, codes: float) -> JumpReLU:
        width = None if self.bandwidth is None else self.bandwidth / codes
        return JumpReLU(self.threshold / codes, width)

    def active(self, Z: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
        """1 where a code is above its learned threshold (..., m), else 0."""
        return jump.Step.apply(Z, threshold.unsqueeze(-2), self.bandwidth)


def above(Z: torch.Tensor, threshold: torch.Tensor | float) -> torch.Tensor:
    """Z where it is above fixed thresholds, a number or one for each unit (..., m); else 0."""
    if isinstance(threshold, torch.Tensor) and threshold.ndim:
        threshold = threshold.unsqueeze(-2)
    return torch.where(threshold < Z, Z, 0)
