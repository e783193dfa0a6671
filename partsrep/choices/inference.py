"""How codes come from data: the third of the four choices.

NMF solves a nonnegative least-squares problem for each sample; an autoencoder applies one layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..arguments import check_fields, check_integer
from ..lazy import torch


class Inference:
    """What holds for an inference unless it says otherwise.

    It is called on data and a :class:`partsrep.solvers.autoencoder.Autoencoder`, whose weights
    `components`, `U`, `bias` and `activate` it uses.
    """

    #: Whether U is the decoder, U = Xᵀ, and whether it then has a factor for each unit.
    tied = False
    gain = False
    #: Whether there is an encoder bias b, and whether U ≥ 0.
    bias = False
    nonnegative = False
    #: Whether an encoder is trained; else each sample has its best codes.
    amortised = True
    #: Whether there is an encoder U.
    has_encoder = True

    @property
    def single_layer(self) -> bool:
        """Whether the codes are those of one layer's first pass."""
        return False

    @property
    def most_active(self) -> int | None:
        """The most active codes of a sample, if the inference limits them."""
        return None

    @property
    def fixes_parts(self) -> bool:
        """Whether the data and the codes say how large the parts are."""
        return self.tied and not self.gain and self.has_encoder

    def __call__(self, D: torch.Tensor, module: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """The pre-activations and the codes that a module's weights give."""
        raise NotImplementedError


@dataclass(frozen=True)
class NNLS(Inference):
    r"""The best codes: :math:`h = \arg\min_{h \ge 0} \|d - X h\|^2` for each sample d."""

    amortised = False
    has_encoder = False


@dataclass(frozen=True)
class Layer(Inference):
    r"""One layer: H = f(D Uᵀ + b), with f the problem's codes; or some, with the same weights.

    With T steps, the codes of the layer are improved T − 1 times:

    .. math:: H \leftarrow f(H + s\,[(D - H X^\top) U^\top + b]), \qquad
        s = 1 / \|X^\top U^\top\|_2.

    Tied to the decoder, s is one over the largest eigenvalue of XᵀX: these are the steps of a
    proximal gradient method for the best codes, and none of them raises the squared error of a
    sample with ReLU codes and no bias. Codes that rebuild the data exactly stay if b = 0.

    Parameters
    ----------
    tied : bool
        Whether the encoder is the decoder, U = Xᵀ, instead of weights of its own.
    bias : bool
        Whether there is an encoder bias b.
    nonnegative : bool
        Whether U ≥ 0.
    steps : int ≥ 1
        The number T of steps.
    gain : bool
        Whether each unit of a tied encoder has a factor of its own, U = diag(a) Xᵀ.

    References
    ----------
    Gregor, LeCun (2010), "Learning fast approximations of sparse coding", for the steps.
    """

    tied: bool = False
    bias: bool = False
    nonnegative: bool = False
    steps: int = 1
    gain: bool = False

    def __post_init__(self):
        check_fields(self, check_integer, "steps")
        if self.gain and not self.tied:
            raise ValueError("gain=True needs tied=True: weights of its own have any gain.")
        if self.nonnegative and self.tied:
            raise ValueError("nonnegative=True needs tied=False: tied ones have the parts' sign.")

    @property
    def single_layer(self) -> bool:
        return self.steps == 1

    def __call__(self, D: torch.Tensor, module: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """The last pre-activations and the codes that a module's weights give."""
        U = module.U
        drive = D @ U.mT
        if module.bias is not None:
            drive = drive + module.bias.unsqueeze(-2)
        Z, H = drive, module.activate(drive)
        if self.steps == 1:
            return Z, H
        product = module.components @ U.mT
        # It raises where weights have blown up, of which the solver is to hear by the objective.
        curvature = torch.linalg.matrix_norm(product.nan_to_num(), 2)
        step = (1 / torch.where(curvature > 0, curvature, 1))[..., None, None]
        for _ in range(self.steps - 1):
            Z = H + step * (drive - H @ product)
            H = module.activate(Z)
        return Z, H


def Unrolled(steps: int, **layer: bool) -> Layer:
    """A :class:`Layer` of so many steps."""
    return Layer(steps=steps, **layer)


@dataclass(frozen=True)
class Pursuit(Inference):
    """Matching pursuit: k times the part that the residual has most of, and what it has of it.

    There is no encoder: the decoder's parts do it, so that the codes follow it as it changes.

    Parameters
    ----------
    k : int ≥ 1
        Steps, and so the most active codes per sample.

    References
    ----------
    Mallat, Zhang (1993), "Matching pursuits with time-frequency dictionaries"; Costa, Fel, Lubana,
    Tolooshams, Ba (2025), "From flat to hierarchical: extracting sparse representations with
    matching pursuit", for autoencoders.
    """

    k: int

    tied = True  # to the decoder, without anything of its own
    has_encoder = False

    def __post_init__(self):
        check_fields(self, check_integer, "k")

    @property
    def most_active(self) -> int:
        return self.k

    def __call__(self, D: torch.Tensor, module: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """The first pre-activations and the codes that a module's parts give."""
        norms = module.components.norm(dim=-1)
        norms = torch.where(norms > 0, norms, 1)
        directions = module.components / norms.unsqueeze(-1)
        gram = directions @ directions.mT
        # What the residual has of each part: it falls by what the parts share with the one taken.
        share = D @ directions.mT
        begin, H = share, torch.zeros_like(share)
        for _ in range(self.k):
            value, where = share.clamp(min=0).max(dim=-1, keepdim=True)
            taken = torch.zeros_like(share).scatter(-1, where, value)
            H = H + taken
            share = share - taken @ gram
        return begin, H / norms.unsqueeze(-2)


#: The encoders by name.
ENCODERS = {"linear": Layer(), "tied": Layer(tied=True), "nonnegative": Layer(nonnegative=True)}
