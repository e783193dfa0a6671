"""What the codes may be: the second of the four choices.

Each object is a set of allowed code rows together with the activation f that maps pre-activations
Z (n, m) into it. Specifications only: whatever is learned lives in the module that is trained.
A new one is a frozen dataclass with ``__call__(Z)`` on tensors, ``check(n_components)`` and
``homogeneous``: whether f(sZ) = s f(Z) for every s > 0.
"""

from dataclasses import dataclass

import torch

from .validation import check_integer, check_number


@dataclass(frozen=True)
class ReLU:
    """Nonnegative codes, the codes of NMF: f(z) = max(z, 0)."""

    homogeneous = True

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        return Z.clamp(min=0)

    def check(self, n_components: int) -> None:
        """Any number of parts will do."""


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

    Parameters
    ----------
    k : int ≥ 1
        At most the number of parts.

    Examples
    --------
    >>> TopK(2)(torch.tensor([[3.0, 1.0, 2.0], [-1.0, -2.0, 4.0]]))
    tensor([[3., 0., 2.],
            [0., 0., 4.]])
    """

    k: int

    homogeneous = True

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


#: Activations by name.
ACTIVATIONS = {"relu": ReLU()}
