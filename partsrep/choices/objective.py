"""What is minimised: the fourth of the four choices.

An objective is a data-fit through a link, plus penalties. It is a mean over samples; NMF minimises
n times that, a sum over the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import xlogy

from ..arguments import check_choice, check_fields, check_integer, check_number
from ..lazy import torch
from ..leastsquares import ENTRIES, pieces, with_penalty
from .units import Unit

# The largest weight in a solver's unit: any above forbids the factor as much. The smallest ridge of
# a volume: any below is rounding.
LARGEST, SMALLEST = 1e15, 1e-15


@dataclass(frozen=True)
class Output:
    """One pass of an autoencoder, as its objective sees it.

    Parameters
    ----------
    D, D_hat : tensor (n, d)
        The data and their reconstruction.
    Z, H : tensor (n, m)
        Pre-activations (those of the last step) and codes.
    module : partsrep.solvers.autoencoder.Autoencoder
        The weights; its `usage` (m,) is the share of samples on which each unit was active when the
        objective was last evaluated on all data.
        All but D may have an axis more in front, one autoencoder each; so has the objective then.
    """

    D: torch.Tensor
    Z: torch.Tensor
    H: torch.Tensor
    D_hat: torch.Tensor
    module: Any


class Penalty:
    """What holds for a penalty unless it says otherwise.

    An autoencoder's solvers need ``__call__(output)``, a tensor of one number for each member of a
    stack, which is added to the mean over samples. NMF's need ``value(F)``, a number for the factor
    as rows F (codes (m, n) or parts (m, d)), which is added to the sum over the data, and either
    `elastic` or ``quadratic(F, gram, cross)``, the half step's quadratic
    (:func:`partsrep.leastsquares.normal_equations`) with the penalty put in: exactly, or from above
    with equality at F. Where `columnwise`, F, gram and cross come for some columns only.
    """

    weight: float
    #: The factor it acts on: "codes", "parts" or "weights" (of encoder and decoder).
    on: str = "codes"
    #: What the weight counts against: the squared error of a "sample", of an "entry", or of all
    #: the "data".
    per: str = "sample"
    #: The power of the factor's unit in its value; None: the data have to keep theirs.
    degree: float | None = None
    #: What the activation has to offer for it.
    needs: str | None = None
    #: Whether codes or parts cannot be measured in another unit.
    fixes_codes = False
    fixes_parts = False
    columnwise = True
    #: Whether each code counts with its part's norm.
    by_norm = False
    #: Whether it is weight · Σ_j ‖u_j‖² ‖x_j‖², over encoder rows and parts.
    of_paths = False
    #: The number in which the members of a stack of autoencoders may differ.
    varies: str | None = "weight"

    __dataclass_fields__: ClassVar[dict[str, Any]]  # a penalty is a dataclass

    @property
    def mean_activation(self) -> float | None:
        """The mean activation that it draws units to."""
        return None

    @property
    def elastic(self) -> tuple[float, float] | None:
        """(l1, l2) if it is 2 l1 ‖F‖₁ + l2 ‖F‖² for F ≥ 0."""
        return None

    @property
    def is_differentiable(self) -> bool:
        """Whether an autoencoder can have it."""
        return type(self).__call__ is not Penalty.__call__

    @property
    def is_quadratic(self) -> bool:
        """Whether NMF can have it."""
        half_step = self.elastic is not None or type(self).quadratic is not Penalty.quadratic
        return half_step and type(self).value is not Penalty.value

    def __call__(self, output: Output) -> torch.Tensor:
        """Its value for a batch of an autoencoder's."""
        raise NotImplementedError

    def value(self, F: np.ndarray) -> float:
        """Its value for a factor of NMF."""
        raise NotImplementedError

    def quadratic(
        self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The half step with the penalty."""
        assert self.elastic is not None  # else `is_quadratic` is not
        return with_penalty(gram, cross, *self.elastic)

    def of_zero_codes(self, n_components: int) -> float:
        """Its value where no unit is active and all weights are zero."""
        return 0.0

    def counterpart(self, problem: Any) -> tuple[Penalty | None, str]:
        """What the other method has in its place for a problem, None if nothing, and why."""
        raise none(self, "the other method has no such penalty")

    def against(self, per: str, n: int, d: int) -> Penalty:
        """The same penalty of n samples and d features, its weight against another error."""
        counts = {"data": 1, "sample": 1 if self.on == "codes" else n}
        counts["entry"] = d if self.on == "codes" else n
        if per == self.per or counts[per] == counts[self.per]:
            return self
        return replace(self, weight=self.weight * counts[self.per] / counts[per], per=per)

    def shift(self, unit: Unit, n_components: int) -> float:
        """What its value has besides that of the same penalty in a unit."""
        return 0.0

    def in_units(self, unit: Unit) -> Penalty | None:
        """The same penalty where data, codes and parts are measured in these units; None if it does
        not know of units."""
        if self.degree is None:
            return None
        factor = {"codes": unit.codes, "parts": unit.parts, "weights": 1.0}[self.on]
        weight = self.weight * unit.power(factor, self.degree) / unit.objective
        return replace(self, weight=min(weight, LARGEST))


def none(what: Any, reason: str) -> ValueError:
    """That there is no counterpart."""
    return ValueError(f"There is no counterpart of {what}: {reason}.")


@dataclass(frozen=True)
class Weighted(Penalty):
    """A penalty that is its weight ≥ 0 times something."""

    weight: float

    def __post_init__(self):
        check_fields(self, check_number, "weight")
        check_choice("per", self.per, ("sample", "entry", "data"))


@dataclass(frozen=True)
class Norm(Weighted):
    """A norm of codes or parts."""

    on: str = "codes"
    per: str = "sample"

    def __post_init__(self):
        super().__post_init__()
        check_choice("on", self.on, ("codes", "parts"))

    def __call__(self, output: Output) -> torch.Tensor:
        if self.on == "parts":
            return self.weight * self.entrywise(output.module.components).sum(dim=(-2, -1))
        return self.weight * self.entrywise(output.H).sum(dim=-1).mean(dim=-1)

    def entrywise(self, F: Any) -> Any:
        """What each entry, of an array or a tensor, adds."""
        raise NotImplementedError

    def counterpart(self, problem: Any) -> tuple[Penalty | None, str]:
        factors = {penalty.on for penalty in problem.objective.penalties}
        if problem.parts.homogeneous and factors == {self.on}:
            return None, "parts of any norm evade it (T11)"
        return self, "the same penalty, at parts whose norm is fixed or penalised (T11)"

    def value(self, F: np.ndarray) -> float:
        return float(self.weight * self.entrywise(F).sum(dtype=np.float64))


@dataclass(frozen=True)
class L1(Norm):
    r"""weight · mean over samples of :math:`\sum_j |h_{ij}|`, or :math:`\sum_j |h_{ij}| \|x_j\|`;
    on parts weight · :math:`\sum_{jp} |x_{jp}|`.

    It binds only where the other factor has a penalty too or a fixed norm: otherwise codes shrink
    and parts grow.

    Parameters
    ----------
    weight : float ≥ 0
        In units of data times the other factor.
    on : "codes" or "parts"
    per : "sample", "entry" or "data"
        What the weight counts against: the squared error of a sample, or of an entry, as
        scikit-learn's alphas do, or of all the data.
    by_norm : bool
        Whether each code counts with its part's norm, which then need not be fixed.
    """

    by_norm: bool = False

    degree = 1

    def __post_init__(self):
        super().__post_init__()
        if self.by_norm and self.on != "codes":
            raise ValueError('by_norm=True counts codes with their parts: set on="codes".')

    def entrywise(self, F: Any) -> Any:
        return abs(F)

    def __call__(self, output: Output) -> torch.Tensor:
        if not self.by_norm:
            return super().__call__(output)
        sizes = output.H.abs() * output.module.components.norm(dim=-1).unsqueeze(-2)
        return self.weight * sizes.sum(dim=-1).mean(dim=-1)

    def counterpart(self, problem: Any) -> tuple[Penalty | None, str]:
        if not self.by_norm:
            return super().counterpart(problem)
        plain = replace(self, by_norm=False)
        return plain, "the same penalty of the codes, at parts of norm 1 (T11)"

    @property
    def elastic(self) -> tuple[float, float]:
        return float(self.weight / 2), 0.0

    def in_units(self, unit: Unit) -> Penalty | None:
        # By norm it has the unit of the data.
        return super().in_units(unit._replace(parts=1.0) if self.by_norm else unit)


@dataclass(frozen=True)
class L2(Norm):
    r"""weight · mean over samples of :math:`\sum_j h_{ij}^2`; on parts weight · :math:`\|X\|_F^2`.

    It binds only where the other factor has a penalty too or a fixed norm.

    Parameters
    ----------
    weight : float ≥ 0
        In units of the other factor squared.
    on, per
        As for :class:`L1`.
    """

    degree = 2

    def entrywise(self, F: Any) -> Any:
        return F * F

    @property
    def elastic(self) -> tuple[float, float]:
        return 0.0, float(self.weight)


@dataclass(frozen=True)
class L0(Weighted):
    r"""weight · mean number of active codes, for JumpReLU with learned thresholds.

    The number's gradient is the thresholds' straight-through one.

    Parameters
    ----------
    weight : float ≥ 0
        In units of data squared: what an active code has to be worth.

    References
    ----------
    Rajamanoharan et al. (2024), "Jumping ahead: improving reconstruction fidelity with JumpReLU
    sparse autoencoders", equation 10.
    """

    degree = 0
    needs = "active"

    def __call__(self, output: Output) -> torch.Tensor:
        module = output.module
        active = module.problem.codes.active(output.Z, module.learned["threshold"])
        return self.weight * active.sum(dim=-1).mean(dim=-1)


@dataclass(frozen=True)
class KL(Weighted):
    r"""weight · :math:`\sum_j KL(p \| \hat p_j)`, p̂_j the mean activation of unit j.

    :math:`KL(p\|q) = p \log(p/q) + (1-p) \log((1-p)/(1-q))`, infinite where q ≥ 1. A unit that
    is never active counts as q = `FLOOR`: it is penalised and the objective stays finite, but there
    is no gradient that would activate it.

    Parameters
    ----------
    weight : float ≥ 0
    target : float in (0, 1)
        The wanted mean activation p.
    """

    target: float = 0.05

    FLOOR: ClassVar[float] = 1e-8
    degree = 0
    fixes_codes = True

    def __post_init__(self):
        super().__post_init__()
        check_fields(self, check_number, "target", maximum=1, above=True, below=True)

    def __call__(self, output: Output) -> torch.Tensor:
        return self.of_means(output.H.mean(dim=-2))

    @property
    def mean_activation(self) -> float:
        return self.target

    def of_zero_codes(self, n_components: int) -> float:
        return float(self.of_means(torch.zeros(n_components)))

    def counterpart(self, problem: Any) -> tuple[Penalty | None, str]:
        codes = problem.codes
        if not (codes.homogeneous and codes.sparsity is None and problem.parts.homogeneous):
            return super().counterpart(problem)
        return None, "parts of any norm evade it (T12)"

    def of_means(self, means: torch.Tensor) -> torch.Tensor:
        """The penalty of mean activations (..., m)."""
        p, q = self.target, means.clamp(min=self.FLOOR)
        inside = q.clamp(max=1 - torch.finfo(q.dtype).eps)
        divergence = p * (math.log(p) - inside.log())
        divergence = divergence + (1 - p) * (math.log1p(-p) - torch.log1p(-inside))
        return self.weight * torch.where(q < 1, divergence, torch.inf).sum(dim=-1)


@dataclass(frozen=True)
class Hoyer(Weighted):
    """weight · mean over samples of 1 − sparseness(h_i), whatever the codes' scale.

    The :func:`partsrep.choices.parts.sparseness` is 0 where all codes are equal, 1 where at most
    one is active.

    Parameters
    ----------
    weight : float ≥ 0
        In units of data squared.
    """

    degree = 0

    def __call__(self, output: Output) -> torch.Tensor:
        H = output.H
        root = math.sqrt(H.shape[-1])
        if root == 1:
            return self.weight * 0 * H.sum(dim=(-2, -1))
        norm = H.square().sum(dim=-1)
        # The norm of zeros has no gradient; such a sample is as sparse as can be.
        spread = H.abs().sum(dim=-1) / torch.where(norm > 0, norm, 1).sqrt()
        missing = torch.where(norm > 0, (spread - 1) / (root - 1), 0)
        return self.weight * missing.mean(dim=-1)


@dataclass(frozen=True)
class Decay(Penalty):
    r"""Half the squares of the weights, :math:`\tfrac12 (\alpha \sum_{w<0} w^2 + \beta
    \sum_{w>0} w^2)`, over encoder and decoder, biases left out.

    Decay of the negative weights alone draws towards nonnegative ones, as in
    :func:`partsrep.presets.ncae`.

    Parameters
    ----------
    negative, positive : float ≥ 0
        α and β.
    """

    negative: float
    positive: float = 0.0

    on = "weights"
    fixes_parts = True
    varies = None

    def __post_init__(self):
        check_fields(self, check_number, "negative", "positive")

    def __call__(self, output: Output) -> torch.Tensor:
        module = output.module
        weights = [w for w in (module.components, module.encoder) if w is not None]
        low = sum(w.clamp(max=0).square().sum(dim=(-2, -1)) for w in weights)
        high = sum(w.clamp(min=0).square().sum(dim=(-2, -1)) for w in weights)
        return (self.negative * low + self.positive * high) / 2

    def in_units(self, unit: Unit) -> Decay:
        return Decay(self.negative / unit.objective, self.positive / unit.objective)


@dataclass(frozen=True)
class PathNorm(Weighted):
    r"""weight · :math:`\sum_j \|u_j\|^2 \|x_j\|^2`, a ridge on the encoder.

    Each row counts with its part's norm, so that no exchange of scale between the two evades it;
    biases are left out. White noise of this variance in the input of each unit, drawn for each unit
    anew, adds as much to the mean squared error of a sample that no gate shuts.

    Parameters
    ----------
    weight : float ≥ 0
        In units of data squared; :func:`partsrep.choose_penalty` finds one by held-out samples.
    per : "sample", "entry" or "data"
        As for :class:`L1`.

    References
    ----------
    Neyshabur, Salakhutdinov, Srebro (2015), "Path-SGD: path-normalized optimization in deep neural
    networks"; Bishop (1995), "Training with noise is equivalent to Tikhonov regularization".
    """

    per: str = "sample"

    on = "weights"
    degree = 0
    of_paths = True

    def __call__(self, output: Output) -> torch.Tensor:
        energies = (w.square().sum(dim=-1) for w in (output.module.U, output.module.components))
        return self.weight * math.prod(energies).sum(dim=-1)

    def counterpart(self, problem: Any) -> tuple[None, str]:
        return None, "NMF has no encoder whose weights could be large"


@dataclass(frozen=True)
class AuxK(Weighted):
    r"""weight · mean squared error of what idle units make of the reconstruction's residual.

    The idle units' k largest pre-activations (of each sample, those above 0) are decoded without
    offset; the residual is what the others leave, and learns nothing from this term. So idle units
    learn to be of use. A unit is idle that was active on no sample; with `zipf` one that was active
    on less than half of what a power law, fitted to the units' ranks by use, says.

    Parameters
    ----------
    weight : float ≥ 0
    k : None or int ≥ 1
        None: half the number of features.
    zipf : bool

    References
    ----------
    Gao et al. (2024), "Scaling and evaluating sparse autoencoders", appendix A.2; Ayonrinde (2024),
    arXiv 2411.02124, for the power law.
    """

    weight: float = 1 / 32
    k: int | None = None
    zipf: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.k is not None:
            check_fields(self, check_integer, "k")

    def __call__(self, output: Output) -> torch.Tensor:
        module, Z = output.module, output.Z
        idle = self.idle(module.usage)
        if not idle.any():
            return torch.zeros_like(Z[..., 0, 0])
        k = min(self.k or max(output.D.shape[-1] // 2, 1), Z.shape[-1])
        drive = torch.where(idle.unsqueeze(-2), Z, 0).clamp(min=0)
        largest, where = drive.topk(k, dim=-1)
        codes = torch.zeros_like(drive).scatter(-1, where, largest)
        residual = (output.D - output.D_hat).detach()
        error = (residual - codes @ module.components).square().sum(dim=-1).mean(dim=-1)
        return self.weight * torch.where(idle.any(dim=-1), error, 0)

    def in_units(self, unit: Unit) -> AuxK:
        return self

    def counterpart(self, problem: Any) -> tuple[None, str]:
        return None, "NMF has no dead units to reinitialise (T9)"

    def idle(self, usage: torch.Tensor) -> torch.Tensor:
        """Which units (..., m) are idle, given the share of samples on which each is active."""
        if not self.zipf:
            return usage == 0
        ordered, where = usage.sort(dim=-1, descending=True)
        used = (ordered > 0).to(usage.dtype)
        rank = torch.arange(1.0, usage.shape[-1] + 1, dtype=usage.dtype, device=usage.device).log()
        level = torch.where(ordered > 0, ordered, 1).log()
        # Least squares of log use on log rank, over the units in use.
        count = used.sum(dim=-1, keepdim=True).clamp(min=1)
        centre = (used * rank).sum(dim=-1, keepdim=True) / count
        height = (used * level).sum(dim=-1, keepdim=True) / count
        spread = (used * (rank - centre).square()).sum(dim=-1, keepdim=True)
        slope = (used * (rank - centre) * (level - height)).sum(dim=-1, keepdim=True)
        law = height + slope / torch.where(spread > 0, spread, 1) * (rank - centre)
        idle = (ordered == 0) | (level < law - math.log(2))
        return torch.zeros_like(idle).scatter(-1, where, idle)


@dataclass(frozen=True)
class PriorKL(Weighted):
    r"""weight · mean over samples of KL(q(z|d) ‖ N(0, I)), the rate of a variational code.

    :math:`\tfrac12 \sum_j (\mu_j^2 + \sigma_j^2 - \log \sigma_j^2 - 1)`; for Gaussian codes, see
    :func:`partsrep.presets.beta_vae`.

    Parameters
    ----------
    weight : float ≥ 0
        For squared errors twice the noise's variance in units of data squared, times β; for
        Bernoulli β itself.
    """

    degree = 0
    needs = "log_variance"

    def __call__(self, output: Output) -> torch.Tensor:
        log_variance = output.module.log_variance_of(output.D)
        terms = output.Z.square() + log_variance.exp() - log_variance - 1
        return self.weight * terms.sum(dim=-1).mean(dim=-1) / 2


@dataclass(frozen=True)
class LogVolume(Weighted):
    r"""weight · :math:`\log\det(P P^T + \delta I)`, the volume that the rows of P span.

    It binds only where the other factor has a penalty too or a fixed norm or sum.

    Parameters
    ----------
    weight : float ≥ 0
        In units of data squared.
    delta : float > 0
        In units of parts squared; parts much smaller than its root cost nothing.
    per : "sample", "entry" or "data"
        As for :class:`L1`.

    References
    ----------
    Fu, Huang, Yang, Ma, Sidiropoulos (2016), "Robust volume minimization-based matrix
    factorization for remote sensing and document clustering".

    Examples
    --------
    >>> volume = LogVolume(weight=1.0, delta=1.0).value(np.diag([3.0, 2.0]))
    >>> round(volume, 3), round(math.log(10 * 5), 3)
    (3.912, 3.912)
    """

    delta: float = 0.1
    per: str = "data"

    on = "parts"
    degree = 0
    columnwise = False

    def __post_init__(self):
        super().__post_init__()
        check_fields(self, check_number, "delta", above=True)

    def __call__(self, output: Output) -> torch.Tensor:
        P = output.module.components
        spread = P @ P.mT + self.delta * torch.eye(P.shape[-2], dtype=P.dtype, device=P.device)
        return self.weight * torch.linalg.slogdet(spread).logabsdet

    def value(self, P: np.ndarray) -> float:
        return float(self.weight * np.linalg.slogdet(self._spread(P))[1])

    def quadratic(
        self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """By its tangent tr(M⁻¹ P Pᵀ), which majorises it: log det M is concave in M = PPᵀ + δI."""
        slope = (self.weight * np.linalg.inv(self._spread(P))).astype(gram.dtype)
        return gram + (slope if gram.ndim == 2 else slope[..., None]), cross

    def counterpart(self, problem: Any) -> tuple[Penalty, str]:
        return self, "the volume of the parts is the same in both"

    def of_zero_codes(self, n_components: int) -> float:
        return self.weight * n_components * math.log(self.delta)

    def shift(self, unit: Unit, n_components: int) -> float:
        return self.weight * 2 * n_components * math.log(unit.parts)

    def in_units(self, unit: Unit) -> Penalty | None:
        delta = max(self.delta / unit.power(unit.parts, 2), SMALLEST)
        return Penalty.in_units(replace(self, delta=delta), unit)

    def _spread(self, P: np.ndarray) -> np.ndarray:
        P = P.astype(np.float64)
        return P @ P.T + self.delta * np.eye(len(P))


@dataclass(frozen=True)
class Beta:
    """Twice the β-divergence, summed over entries; for β = 2 the squared error.

    See :func:`partsrep.solvers.divergences.beta_divergence`.
    """

    beta: float = 2.0

    @property
    def degree(self) -> float:
        """The power of the data's unit in it."""
        return self.beta

    @property
    def is_differentiable(self) -> bool:
        """Whether an autoencoder can have it: whether reconstructions may have any sign."""
        return self.beta == 2

    def __call__(self, D_hat: torch.Tensor, D: torch.Tensor) -> torch.Tensor:
        """The squared error of each entry."""
        return torch.nn.functional.mse_loss(D_hat, D.expand_as(D_hat), reduction="none")

    def of_constant(self, mean: np.ndarray, square: float, D_hat: Any) -> float:
        """The squared error of a sample, on average, from the same reconstruction of all."""
        return square + float(np.sum(D_hat * (D_hat - 2 * mean)))


@dataclass(frozen=True)
class Bernoulli:
    """The cross-entropy −d log d̂ − (1−d) log(1−d̂), summed over entries, for D and D̂ in [0, 1]."""

    degree = 0.0
    is_differentiable = True

    def __call__(self, D_hat: torch.Tensor, D: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.binary_cross_entropy(D_hat, D.expand_as(D_hat), reduction="none")

    def of_constant(self, mean: np.ndarray, square: float, D_hat: Any) -> float:
        return -float(np.sum(xlogy(mean, D_hat) + xlogy(1 - mean, 1 - D_hat)))


SQUARED = Beta(2.0)
#: Data-fits by name.
FITS = {
    "squared": SQUARED,
    "frobenius": SQUARED,
    "kullback-leibler": Beta(1.0),
    "itakura-saito": Beta(0.0),
    "bernoulli": Bernoulli(),
}


@dataclass(frozen=True)
class Objective:
    """fit(D, link(H Xᵀ + 1cᵀ)) + penalties, a mean over samples; the link is "linear" or
    "logistic"."""

    fit: Beta | Bernoulli = SQUARED
    link: str = "linear"
    penalties: tuple[Penalty, ...] = ()

    @property
    def beta(self) -> float:
        """β of the data-fit, for those who minimise a β-divergence."""
        if not isinstance(self.fit, Beta):
            raise ValueError(f"{self.fit!r} is no β-divergence.")
        return self.fit.beta

    @property
    def averaged(self) -> bool:
        """Whether Gaussian codes need not be drawn: E‖d − X(h + ε)‖² is known in closed form."""
        return self.fit == SQUARED and self.link == "linear"

    @property
    def knows_units(self) -> bool:
        """Whether all penalties can be measured in other units."""
        return all(penalty.in_units(Unit()) is not None for penalty in self.penalties)

    def __call__(self, output: Output) -> torch.Tensor:
        """Its value for a batch of an autoencoder's; penalties count per sample."""
        loss = self.fit(output.D_hat, output.D).sum(dim=-1).mean(dim=-1)
        variance = output.module.log_variance_of(output.D) if self.averaged else None
        if variance is not None:
            energy = output.module.components.square().sum(dim=-1)
            loss = loss + (variance.exp() * energy.unsqueeze(-2)).sum(dim=-1).mean(dim=-1)
        return loss + sum(penalty(output) for penalty in self.penalties)

    def against(self, per: str, n: int, d: int) -> Objective:
        """The same objective, all weights against the error of a sample, an entry or the data."""
        return replace(self, penalties=tuple(p.against(per, n, d) for p in self.penalties))

    def terms(self, factor: str) -> Terms:
        """The penalties on one factor."""
        return Terms([penalty for penalty in self.penalties if penalty.on == factor])

    def measured_back(self, values: Any, unit: Unit, n_components: int) -> Any:
        """Its values for the data, given those of the same objective in a unit."""
        shifts = [penalty.shift(unit, n_components) for penalty in self.penalties]
        return values * unit.objective + sum(shifts)

    def of_zero_codes(self, D: Any, n_components: int, offset: bool, nonnegative: bool) -> float:
        """Its value where all codes and, but for the best `offset`, if any, all weights are zero.

        D is read a few rows at a time; the offset may have to be `nonnegative`.

        Examples
        --------
        >>> D = np.array([[1.0, 0.0], [3.0, 0.0]])
        >>> [Objective().of_zero_codes(D, 1, offset, False) for offset in (False, True)]
        [5.0, 1.0]
        """
        n, d = D.shape
        energy, total = 0.0, np.zeros(d)
        for rows in pieces(D, ENTRIES):
            block = np.asarray(D[rows])
            energy += float(np.einsum("ij,ij->", block, block, dtype=np.float64))
            total += block.sum(axis=0, dtype=np.float64)
        mean = total / n
        best = 0.0 if self.link == "linear" else 0.5
        if offset:
            best = np.maximum(mean, best) if nonnegative else mean
        loss = max(self.fit.of_constant(mean, energy / n, best), 0.0)
        return loss + sum(penalty.of_zero_codes(n_components) for penalty in self.penalties)


@dataclass(frozen=True)
class Terms:
    """The penalties on one factor of NMF, as rows F, their weights against all the data."""

    penalties: Sequence[Penalty] = ()

    def __bool__(self) -> bool:
        return bool(self.penalties)

    def __call__(self, F: np.ndarray) -> float:
        return sum(penalty.value(F) for penalty in self.penalties)

    @property
    def columnwise(self) -> bool:
        """Whether some columns of F can be improved by themselves."""
        return all(penalty.columnwise for penalty in self.penalties)

    @property
    def elastic(self) -> tuple[float, float] | None:
        """(l1, l2) if they are 2 l1 ‖F‖₁ + l2 ‖F‖²."""
        l1 = l2 = 0.0
        for penalty in self.penalties:
            if penalty.elastic is None:
                return None
            l1, l2 = l1 + penalty.elastic[0], l2 + penalty.elastic[1]
        return l1, l2

    def quadratic(
        self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The half step's quadratic with all of them."""
        for penalty in self.penalties:
            gram, cross = penalty.quadratic(F, gram, cross)
        return gram, cross
