"""What is minimised: the fourth of the four choices.

The fit is a divergence of D from its reconstruction, for an autoencoder the squared error. What is
added to it is a frozen dataclass:

* a penalty of an autoencoder has ``__call__(output)``, sees an :class:`Output` and is one term of a
  mean over samples; ``in_units(data, parts)`` is the same penalty, divided by data², for data and
  parts measured in these units (:meth:`partsrep.choices.problem.Problem.in_units`);
* a price of a factor of NMF has ``__call__(F)`` on arrays, rows F (m, n), and is added to the sum
  over samples, ‖D − HXᵀ‖²; ``system(F, gram, cross)`` adds it to the quadratic of the block solver
  (:func:`partsrep.leastsquares.normal_equations`): exactly, or from above with equality at F.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.special import xlogy

from ..lazy import torch
from ..leastsquares import blocks, priced
from ..validation import check_fields, check_integer, check_number, peak


@dataclass(frozen=True)
class Output:
    """One pass of an autoencoder, as its objective sees it.

    Parameters
    ----------
    D : tensor (n, d)
    Z : tensor (n, m)
        Pre-activations (those of the last step).
    H : tensor (n, m)
        Codes.
    D_hat : tensor (n, d)
        The reconstruction.
    module : partsrep.solvers.autoencoder.Autoencoder
        The weights; its `usage` (m,) is the share of samples on which each unit was active when the
        objective was last evaluated on all data.

    Notes
    -----
    All but D may have an axis more in front, one autoencoder each; so has the objective then.
    """

    D: torch.Tensor
    Z: torch.Tensor
    H: torch.Tensor
    D_hat: torch.Tensor
    module: Any


@dataclass(frozen=True)
class L1:
    r"""weight · mean over samples of :math:`\sum_j |h_{ij}|`, or :math:`\sum_j |h_{ij}| \|x_j\|`.

    Without `by_norm` it binds only where the decoder's norm is fixed: otherwise codes shrink and
    parts grow.

    Parameters
    ----------
    weight : float ≥ 0
        In units of data times parts' norm.
    by_norm : bool
        Whether each code counts with its part's norm, which then need not be fixed.
    """

    weight: float
    by_norm: bool = False

    def __post_init__(self):
        check_fields(self, check_number, "weight")

    def __call__(self, output: Output) -> torch.Tensor:
        sizes = output.H.abs()
        if self.by_norm:
            sizes = sizes * output.module.components.norm(dim=-1).unsqueeze(-2)
        return self.weight * sizes.sum(dim=-1).mean(dim=-1)

    def in_units(self, data: float, parts: float) -> L1:
        """The same penalty in other units."""
        return replace(self, weight=self.weight / data / (1 if self.by_norm else parts))


class _Quadratic:
    """A penalty whose weight alone has a unit, that of data squared."""

    def in_units(self, data: float, parts: float) -> Any:
        """The same penalty in other units."""
        return replace(self, weight=self.weight / data / data)


@dataclass(frozen=True)
class L0(_Quadratic):
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

    weight: float

    def __post_init__(self):
        check_fields(self, check_number, "weight")

    def __call__(self, output: Output) -> torch.Tensor:
        active = output.module.problem.codes.active(output.Z, output.module.threshold)
        return self.weight * active.sum(dim=-1).mean(dim=-1)


@dataclass(frozen=True)
class KL(_Quadratic):
    r"""weight · :math:`\sum_j KL(p \| \hat p_j)`, p̂_j the mean activation of unit j.

    :math:`KL(p\|q) = p \log(p/q) + (1-p) \log((1-p)/(1-q))`, infinite where q ≥ 1. A unit that
    is never active counts as q = `FLOOR`, so that it is penalised and the objective stays finite;
    a gradient to leave by it has not.

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
        check_fields(self, check_number, "weight")
        check_fields(self, check_number, "target", above=True)
        if self.target >= 1:
            raise ValueError(f"KL's target must be below 1; got {self.target!r}.")

    def __call__(self, output: Output) -> torch.Tensor:
        p, q = self.target, output.H.mean(dim=-2).clamp(min=self.FLOOR)
        inside = q.clamp(max=1 - torch.finfo(q.dtype).eps)
        divergence = p * (math.log(p) - inside.log())
        divergence = divergence + (1 - p) * (math.log1p(-p) - torch.log1p(-inside))
        return self.weight * torch.where(q < 1, divergence, torch.inf).sum(dim=-1)


@dataclass(frozen=True)
class Hoyer(_Quadratic):
    r"""weight · mean over samples of 1 − sparseness(h_i).

    The sparseness :math:`(\sqrt m - \|h\|_1 / \|h\|_2) / (\sqrt m - 1)` lies between 0 (all codes
    equal) and 1 (at most one active); it does not depend on the codes' scale.

    Parameters
    ----------
    weight : float ≥ 0
        In units of data squared.

    References
    ----------
    Hoyer (2004), "Non-negative matrix factorization with sparseness constraints", section 3.1.
    """

    weight: float

    def __post_init__(self):
        check_fields(self, check_number, "weight")

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
class Decay:
    r"""Half the squares of the weights, :math:`\tfrac12 (\alpha \sum_{w<0} w^2 + \beta
    \sum_{w>0} w^2)`, over encoder and decoder, biases left out.

    Decay of the negative weights alone draws towards nonnegative ones, as NCAE does.

    Parameters
    ----------
    negative, positive : float ≥ 0
        α and β.

    References
    ----------
    Hosseini-Asl, Zurada, Nasraoui (2016), "Deep learning of part-based representation of data using
    sparse autoencoders with nonnegativity constraints", arXiv 1601.02733.
    """

    negative: float
    positive: float = 0.0

    def __post_init__(self):
        check_fields(self, check_number, "negative", "positive")

    def __call__(self, output: Output) -> torch.Tensor:
        module = output.module
        weights = [w for w in (module.components, module.encoder) if w is not None]
        low = sum(w.clamp(max=0).square().sum(dim=(-2, -1)) for w in weights)
        high = sum(w.clamp(min=0).square().sum(dim=(-2, -1)) for w in weights)
        return (self.negative * low + self.positive * high) / 2

    def in_units(self, data: float, parts: float) -> Decay:
        """The same penalty in other units of the data; those of parts and encoder must not
        change."""
        return Decay(self.negative / data / data, self.positive / data / data)


@dataclass(frozen=True)
class AuxK:
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
        check_fields(self, check_number, "weight")
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

    def in_units(self, data: float, parts: float) -> AuxK:
        """The same penalty: it is a squared error of the data."""
        return self

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
class PriorKL(_Quadratic):
    r"""weight · mean over samples of KL(q(z|d) ‖ N(0, I)), the price of a variational code.

    :math:`\tfrac12 \sum_j (\mu_j^2 + \sigma_j^2 - \log \sigma_j^2 - 1)`; for Gaussian codes.

    Parameters
    ----------
    weight : float ≥ 0
        For squared errors twice the noise's variance in units of data squared, times β; for
        Bernoulli β itself.

    References
    ----------
    Kingma, Welling (2014), "Auto-encoding variational Bayes", appendix B; Higgins et al. (2017),
    "β-VAE", equation 4.
    """

    weight: float

    def __post_init__(self):
        check_fields(self, check_number, "weight")

    def __call__(self, output: Output) -> torch.Tensor:
        log_variance = output.module.log_variance_of(output.D)
        terms = output.Z.square() + log_variance.exp() - log_variance - 1
        return self.weight * terms.sum(dim=-1).mean(dim=-1) / 2


@dataclass(frozen=True)
class Elastic:
    r"""2 l1 ‖F‖₁ + l2 ‖F‖²_F, the price of a factor with rows F.

    It binds only where the other factor has a price too or a fixed norm.

    Parameters
    ----------
    l1 : float ≥ 0
        In units of data times the other factor's norm.
    l2 : float ≥ 0
        In units of the other factor's norm squared.

    Examples
    --------
    >>> Elastic(l1=0.5, l2=2.0)(np.array([[1.0, 3.0]]))
    24.0
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self):
        check_fields(self, check_number, "l1", "l2")

    def __call__(self, F: np.ndarray) -> float:
        if self.l1 == self.l2 == 0:
            return 0.0
        entries = np.abs(F).sum(dtype=np.float64), np.square(F, dtype=np.float64).sum()
        return float(2 * self.l1 * entries[0] + self.l2 * entries[1])

    def system(
        self, F: np.ndarray, gram: np.ndarray, cross: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """G + l2·I and C − l1: exact for F ≥ 0, which l1 needs."""
        if self.l1 == self.l2 == 0:
            return gram, cross
        return priced(gram, cross, float(self.l1), float(self.l2))


@dataclass(frozen=True)
class LogVolume:
    r"""weight · :math:`\log\det(P P^T + \delta I)`, the volume that the rows of P span.

    It binds only where the other factor has a price too or a fixed norm or sum.

    Parameters
    ----------
    weight : float ≥ 0
        In units of data squared.
    delta : float > 0
        In units of parts squared; parts much smaller than its root cost nothing.

    Notes
    -----
    The logarithm of the determinant is concave in M = PPᵀ + δI, so that its tangent at the present
    P, tr(M⁻¹ P Pᵀ), majorises it: lowering that lowers the price.

    References
    ----------
    Fu, Huang, Yang, Ma, Sidiropoulos (2016), "Robust volume minimization-based matrix
    factorization for remote sensing and document clustering".

    Examples
    --------
    >>> volume = LogVolume(weight=1.0, delta=1.0)(np.diag([3.0, 2.0]))
    >>> round(volume, 3), round(math.log(10 * 5), 3)
    (3.912, 3.912)
    """

    weight: float
    delta: float = 0.1

    def __post_init__(self):
        check_fields(self, check_number, "weight")
        check_fields(self, check_number, "delta", above=True)

    def __call__(self, P: np.ndarray) -> float:
        return float(self.weight * np.linalg.slogdet(self._spread(P))[1])

    def system(
        self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """G + weight·(PPᵀ + δI)⁻¹ and C."""
        slope = (self.weight * np.linalg.inv(self._spread(P))).astype(gram.dtype)
        return gram + (slope if gram.ndim == 2 else slope[..., None]), cross

    def _spread(self, P: np.ndarray) -> np.ndarray:
        P = P.astype(np.float64)
        return P @ P.T + self.delta * np.eye(len(P))


@dataclass(frozen=True)
class Objective:
    """What is minimised: for an autoencoder (a call) the mean over samples of the misfit summed
    over features, plus the penalties; for NMF twice the β-divergence, plus the prices.

    Parameters
    ----------
    penalties : tuple
        Of an autoencoder: :class:`L1`, :class:`KL` …
    beta : float
        Of NMF; 2 is the squared error, see :func:`beta_divergence`.
    codes, parts : Elastic or LogVolume
        The price of each factor of NMF.
    fit : "squared" or "bernoulli"
        Of an autoencoder: squared errors, or −d log d̂ − (1−d) log(1−d̂) for D and D̂ in [0, 1].
    link : "linear" or "logistic"
        Of an autoencoder: what makes D̂ of H Xᵀ + 1cᵀ.
    """

    penalties: tuple = ()
    beta: float = 2.0
    codes: Elastic = Elastic()
    parts: Elastic | LogVolume = Elastic()
    fit: str = "squared"
    link: str = "linear"

    @property
    def averaged(self) -> bool:
        """Whether Gaussian codes need not be drawn: E‖d − X(h + ε)‖² is known in closed form."""
        return self.fit == "squared" and self.link == "linear"

    def __call__(self, output: Output) -> torch.Tensor:
        D_hat = output.D_hat
        losses = torch.nn.functional
        misfits = {"squared": losses.mse_loss, "bernoulli": losses.binary_cross_entropy}
        misfit = misfits[self.fit](D_hat, output.D.expand_as(D_hat), reduction="none")
        misfit = misfit.sum(dim=-1).mean(dim=-1)
        if self.averaged and output.module.log_variance is not None:
            variance = output.module.log_variance_of(output.D).exp()
            energy = output.module.components.square().sum(dim=-1)
            misfit = misfit + (variance * energy.unsqueeze(-2)).sum(dim=-1).mean(dim=-1)
        return misfit + sum(penalty(output) for penalty in self.penalties)

    def of_zero_codes(self, D: Any, n_components: int, offset: bool, nonnegative: bool) -> float:
        """The value where all codes and, but for the best offset, all weights are zero.

        Parameters
        ----------
        D : array-like (n, d)
            Read a few rows at a time.
        n_components : int
        offset, nonnegative : bool
            Whether the reconstruction has an offset, and whether that is at least 0.

        Examples
        --------
        >>> D = np.array([[1.0, 0.0], [3.0, 0.0]])
        >>> [Objective().of_zero_codes(D, 1, offset, False) for offset in (False, True)]
        [5.0, 1.0]
        """
        n, d = D.shape
        energy, total = 0.0, np.zeros(d)
        for rows in blocks(n, max(BLOCK // d, 1)):
            block = np.asarray(D[rows])
            energy += float(np.einsum("ij,ij->", block, block, dtype=np.float64))
            total += block.sum(axis=0, dtype=np.float64)
        mean = total / n
        best = 0.0 if self.link == "linear" else 0.5
        if offset:
            best = np.maximum(mean, best if self.link == "logistic" else 0) if nonnegative else mean
        if self.fit == "bernoulli":
            misfit = -float(np.sum(xlogy(mean, best) + xlogy(1 - mean, 1 - best)))
        else:
            misfit = energy / n + float(np.sum(best * (best - 2 * mean)))
        silent = Output(None, None, torch.zeros(1, n_components), None, None)
        kl = sum(float(p(silent)) for p in self.penalties if isinstance(p, KL))
        return max(misfit, 0.0) + kl


#: The divergences with a name of their own.
BETA = {"frobenius": 2.0, "kullback-leibler": 1.0, "itakura-saito": 0.0}

# A reconstruction below this share of the largest entry counts as this much, so that no divergence
# from it is infinite.
FLOOR = float(np.finfo(np.float32).tiny)
BLOCK = 2**18  # entries of a reconstruction that are computed at a time


def beta_divergence(
    D,
    H: np.ndarray,
    components: np.ndarray,
    beta: float,
    weights: np.ndarray | None = None,
) -> float:
    r"""The β-divergence of D from H Xᵀ; β = 2, 1, 0: half the squared error, Kullback–Leibler,
    Itakura–Saito.

    :math:`\sum_{ip} w_{ip} \frac{d^\beta + (\beta-1) \hat d^\beta - \beta d \hat d^{\beta-1}}
    {\beta(\beta-1)}`, with its limits at β = 0 and 1.

    Parameters
    ----------
    D : ndarray or sparse matrix (n, d)
        At least 0 unless β = 2; where β ≤ 0 a zero makes the divergence infinite.
    H : ndarray (n, m)
    components : ndarray (m, d)
        Xᵀ.
    beta : float
    weights : None or ndarray (n, d) ≥ 0
        What each entry counts; where it is 0 the data does not matter.

    Notes
    -----
    A sparse D without weights and with β = 1 or 2 costs what its nonzero entries cost.

    References
    ----------
    Févotte, Idier (2011), "Algorithms for nonnegative matrix factorization with the
    β-divergence".

    Examples
    --------
    >>> beta_divergence(np.array([[2.0]]), np.array([[1.0]]), np.array([[1.0]]), beta=2)
    0.5
    """
    return float(beta_divergences(D, H, components, beta, weights).sum())


def beta_divergences(
    D,
    H: np.ndarray,
    components: np.ndarray,
    beta: float,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """The :func:`beta_divergence` of each sample from its reconstruction, (n,)."""
    seen = D if weights is None or sp.issparse(D) else np.where(weights > 0, D, 0)
    floor = FLOOR * (peak(seen) or 1.0)
    if sp.issparse(D) and weights is None and beta > 0:
        return _sparse_beta_divergences(D, H, components, beta, floor)
    totals = []
    for rows in blocks(D.shape[0], max(BLOCK // D.shape[1], 1)):
        d = D[rows].toarray() if sp.issparse(D) else D[rows]
        each = _divergence(d, H[rows] @ components, beta, floor)
        if weights is not None:
            w = weights[rows]
            each = np.multiply(w, each, out=np.zeros_like(each), where=w > 0)
        totals.append(each.sum(axis=1))
    return np.concatenate(totals)


def _sparse_beta_divergences(
    D, H: np.ndarray, components: np.ndarray, beta: float, floor: float
) -> np.ndarray:
    """Those of zeros, Σ d̂^β / β over a row, and the difference where D is not zero."""
    H, components = H.astype(np.float64), components.astype(np.float64)
    if beta == 2:
        totals = np.einsum("ij,ij->i", H @ (components @ components.T), H) / 2
    elif beta == 1:
        totals = H @ components.sum(axis=1)
    else:
        rows = blocks(D.shape[0], max(BLOCK // D.shape[1], 1))
        totals = [_divergence(0.0, H[some] @ components, beta, floor).sum(axis=1) for some in rows]
        totals = np.concatenate(totals)
    D = D.tocoo()
    d_hat = sampled_product(H, components, D.row, D.col)
    extra = _divergence(D.data, d_hat, beta, floor) - _divergence(0.0, d_hat, beta, floor)
    # Where the fit is exact, rounding may leave less than nothing.
    return np.maximum(totals + np.bincount(D.row, extra, minlength=len(H)), 0)


def sampled_product(
    H: np.ndarray, components: np.ndarray, row: np.ndarray, column: np.ndarray
) -> np.ndarray:
    """The entries of H Xᵀ at some places, a few at a time.

    Examples
    --------
    >>> sampled_product(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]), [0, 1], [1, 0])
    array([2., 3.])
    """
    H, X = np.ascontiguousarray(H), np.ascontiguousarray(components.T)
    entries = np.empty(len(row), H.dtype)
    for some in blocks(len(row), max(BLOCK // H.shape[1], 1)):
        np.einsum("ij,ij->i", H[row[some]], X[column[some]], out=entries[some])
    return entries


def _divergence(d: np.ndarray | float, d_hat: np.ndarray, beta: float, floor: float) -> np.ndarray:
    """The β-divergence of each entry, in double precision."""
    d, d_hat = np.asarray(d, np.float64), d_hat.astype(np.float64)
    if beta == 2:
        return (d - d_hat) ** 2 / 2
    of_zero = d_hat**beta / beta if beta > 0 else np.inf
    d_hat = np.maximum(d_hat, floor)
    with np.errstate(divide="ignore"):
        if beta == 1:
            each = xlogy(d, d / d_hat) - d + d_hat
        elif beta == 0:
            each = d / d_hat - np.log(d / d_hat) - 1
        else:
            mixed = d**beta + (beta - 1) * d_hat**beta - beta * d * d_hat ** (beta - 1)
            each = mixed / (beta * (beta - 1))
    return np.where(d > 0, np.maximum(each, 0), of_zero)  # rounding may leave less than 0
