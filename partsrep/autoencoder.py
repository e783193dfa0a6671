"""Autoencoders as torch modules: the four choices put together, with the weights they need."""

import copy
from dataclasses import fields, replace
from typing import Any

import torch
from torch import nn

from .codes import BatchTopK, FeatureChoice, Gaussian, JumpReLU, Logistic, ReLU, TopK, above
from .inference import Pursuit
from .objective import KL, L0, L1, AuxK, Hoyer, Output, PriorKL
from .problem import Problem

# The number in which the members of a stack may differ.
OWN = dict.fromkeys((L1, L0, KL, Hoyer, AuxK, PriorKL), "weight")
OWN |= {TopK: "k", BatchTopK: "k"}


def stacked(problems: list[Problem]) -> Problem | None:
    """One problem for a stack of autoencoders that differ in k or in the weights of penalties.

    These numbers become tensors, one entry a member. None if the problems differ in more.

    Examples
    --------
    >>> stacked([Problem(codes=TopK(2)), Problem(codes=TopK(3))]).codes
    TopK(k=tensor([2, 3]))
    >>> stacked([Problem(codes=TopK(2)), Problem(codes=ReLU())]) is None
    True
    """
    first = problems[0]
    if all(problem == first for problem in problems):
        return first
    objectives = [problem.objective for problem in problems]
    alike = replace(first, codes=ReLU(), objective=replace(objectives[0], penalties=()))
    for problem in problems:
        bare = replace(problem.objective, penalties=())
        if replace(problem, codes=ReLU(), objective=bare) != alike:
            return None
    if len({len(objective.penalties) for objective in objectives}) > 1:
        return None
    codes = _in_one([problem.codes for problem in problems])
    penalties = tuple(map(_in_one, zip(*(o.penalties for o in objectives), strict=True)))
    if codes is None or None in penalties:
        return None
    return replace(first, codes=codes, objective=replace(objectives[0], penalties=penalties))


def _in_one(choices: Any) -> Any:
    """One object with the numbers of all, None if they differ in anything else."""
    first, own = choices[0], OWN.get(type(choices[0]))
    if all(choice == first for choice in choices):
        return first
    shared = [field.name for field in fields(first) if field.name != own]
    if own is None or any(
        type(choice) is not type(first)
        or any(getattr(choice, name) != getattr(first, name) for name in shared)
        for choice in choices
    ):
        return None
    together = copy.copy(first)
    numbers = [getattr(choice, own) for choice in choices]
    dtype = torch.int64 if own == "k" else torch.float64
    object.__setattr__(together, own, torch.tensor(numbers, dtype=dtype))  # checked one by one
    return together


class Autoencoder(nn.Module):
    """H = f(D Uᵀ + b), D̂ = link(H Xᵀ + 1cᵀ) for a problem whose inference is a layer or a pursuit.

    All weights may have an axis more in front: then it is a stack of autoencoders, and so are the
    codes and reconstructions of data (n, d), or of data (s, n, d), one batch each.

    Parameters
    ----------
    problem : Problem
        Parts that are made of samples are bound to them.
    components : tensor (m, d)
        Xᵀ.
    encoder : tensor (m, d)
        U; not used where the encoder is tied.
    bias : tensor (m,) or None
        The bias b, or None for zeros; not used where the layer has no bias.
    offset : tensor (d,) or None
        The offset c, or None for zeros; not used where the parts have no offset.
    """

    def __init__(
        self,
        problem: Problem,
        components: torch.Tensor,
        encoder: torch.Tensor,
        bias: torch.Tensor | None = None,
        offset: torch.Tensor | None = None,
    ):
        super().__init__()
        self.problem = problem
        layer, parts, codes = problem.inference, problem.parts, problem.codes
        zeros = torch.zeros_like(components[..., 0])

        def own(name: str, wanted: bool, value: torch.Tensor | None) -> None:
            self.register_parameter(name, nn.Parameter(value.clone()) if wanted else None)

        if parts.of_samples:
            parts.project(components.numpy())
            weights = torch.as_tensor(parts.weights, dtype=components.dtype)
            self.register_buffer("samples", torch.as_tensor(parts.D, dtype=components.dtype))
        else:
            weights = parts.project(components)
        own("dictionary", True, weights)
        own("encoder", not layer.tied, encoder)
        own("gain", layer.gain, torch.ones_like(zeros))
        own("bias", layer.bias, zeros if bias is None else bias)
        nowhere = torch.zeros_like(components[..., 0, :])
        own("offset", parts.offset, nowhere if offset is None else offset)
        gaussian = isinstance(codes, Gaussian)
        own("spread", gaussian, torch.zeros_like(components))
        own("log_variance", gaussian, zeros)
        learned = isinstance(codes, JumpReLU) and codes.bandwidth is not None
        own("threshold", learned, torch.full_like(zeros, codes.threshold) if learned else None)
        # Of a selection from batches, once it is frozen.
        self.register_buffer("frozen", None)
        self.register_buffer("usage", torch.ones_like(zeros), persistent=False)

    def member(self, index: int, problem: Problem) -> "Autoencoder":
        """One autoencoder of a stack, with a problem and weights of its own."""
        twin = copy.deepcopy(self)
        twin.problem = problem
        for name, weights in self.named_parameters():
            setattr(twin, name, nn.Parameter(weights[index].detach().clone()))
        twin.usage = self.usage[index].clone()
        return twin

    @torch.no_grad()
    def measure(self, data: float, parts: float) -> None:
        """Measure data and parts in units so many times smaller than now: nothing else changes."""
        codes = data / parts
        factors = {
            "dictionary": 1.0 if self.problem.parts.of_samples else parts,
            "samples": data,
            "encoder": 1 / parts,
            "gain": 1 / parts**2,
            "bias": codes,
            "offset": data,
            "spread": 1 / data,
            "threshold": codes,
            "frozen": codes,
        }
        for name, factor in factors.items():
            weights = getattr(self, name, None)
            if weights is not None:
                weights.mul_(factor)

    @torch.no_grad()
    def continue_from(self, other: "Autoencoder", same_codes: bool) -> None:
        """Take over what another one has learned beside U, X, b and c.

        Thresholds that were learned or frozen become those that are learned here; fixed ones stay
        fixed if both have the same activation. A selection from batches freezes its own.
        """
        for name in ("gain", "spread", "log_variance"):
            own, given = getattr(self, name), getattr(other, name)
            if own is not None and given is not None:
                own.copy_(given)
        own, given = getattr(self, "samples", None), getattr(other, "samples", None)
        both = own is not None and given is not None and own.shape == given.shape
        if both and torch.allclose(own, given):  # else the weights have been found anew
            self.dictionary.copy_(other.dictionary)
        given = other.frozen if other.threshold is None else other.threshold
        if given is not None and self.threshold is not None:
            self.threshold.copy_(given)
        elif given is not None and isinstance(self.problem.codes, JumpReLU) and same_codes:
            self.frozen = given.clone()

    @property
    def components(self) -> torch.Tensor:
        """Xᵀ (m, d); of parts that are made of samples, their weights times these."""
        return self.dictionary @ self.samples if self.problem.parts.of_samples else self.dictionary

    @property
    def U(self) -> torch.Tensor:
        """What multiplies the data, (m, d)."""
        if self.encoder is not None:
            return self.encoder
        return self.components if self.gain is None else self.gain.unsqueeze(-1) * self.components

    def activate(self, Z: torch.Tensor) -> torch.Tensor:
        """The codes for pre-activations."""
        if self.frozen is not None:
            return above(Z, self.frozen)
        if self.threshold is not None:
            return self.problem.codes.above(Z, self.threshold)
        return self.problem.codes(Z)

    def infer(self, D: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The last pre-activations and the codes."""
        if isinstance(self.problem.inference, Pursuit):
            return self._pursue(D)
        U = self.U
        drive = D @ U.mT
        if self.bias is not None:
            drive = drive + self.bias.unsqueeze(-2)
        Z, H = drive, self.activate(drive)
        if self.problem.inference.steps == 1:
            return Z, H
        product = self.components @ U.mT
        curvature = torch.linalg.matrix_norm(product, 2)
        step = (1 / torch.where(curvature > 0, curvature, 1))[..., None, None]
        for _ in range(self.problem.inference.steps - 1):
            Z = H + step * (drive - H @ product)
            H = self.activate(Z)
        return Z, H

    def _pursue(self, D: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        components = self.components
        norms = components.norm(dim=-1)
        norms = torch.where(norms > 0, norms, 1)
        directions = components / norms.unsqueeze(-1)
        gram = directions @ directions.mT
        # What the residual has of each part: it falls by what the parts share with the one taken.
        share = D @ directions.mT
        begin, H = share, torch.zeros_like(share)
        for _ in range(self.problem.inference.k):
            value, where = share.clamp(min=0).max(dim=-1, keepdim=True)
            taken = torch.zeros_like(share).scatter(-1, where, value)
            H = H + taken
            share = share - taken @ gram
        return begin, H / norms.unsqueeze(-2)

    def encode(self, D: torch.Tensor) -> torch.Tensor:
        """The codes (n, m); of Gaussian ones the means."""
        return self.infer(D)[1]

    def decode(self, H: torch.Tensor) -> torch.Tensor:
        """The reconstruction (n, d)."""
        D_hat = H @ self.components
        if self.offset is not None:
            D_hat = D_hat + self.offset.unsqueeze(-2)
        return D_hat.sigmoid() if self.problem.objective.link == "logistic" else D_hat

    def forward(self, D: torch.Tensor, generator: torch.Generator | None = None) -> Output:
        """One pass; a generator adds the noise of Gaussian codes, if it is not averaged exactly."""
        Z, H = self.infer(D)
        drawn = self.log_variance is not None and not self.problem.objective.averaged
        if drawn and generator is not None:
            noise = torch.randn(H.shape, dtype=H.dtype, device=H.device, generator=generator)
            H = H + (self.log_variance_of(D) / 2).exp() * noise
        return Output(D, Z, H, self.decode(H), self)

    def log_variance_of(self, D: torch.Tensor) -> torch.Tensor:
        """The logarithms of Gaussian codes' variances (n, m)."""
        return D @ self.spread.mT + self.log_variance.unsqueeze(-2)

    @torch.no_grad()
    def project(self) -> None:
        """Put the weights back into their sets."""
        parts, layer = self.problem.parts, self.problem.inference
        if parts.of_samples:
            self.dictionary.copy_(parts.project_weights(self.dictionary))
        else:
            self.dictionary.data = parts.project(self.dictionary)
        if self.offset is not None and parts.nonnegative:
            self.offset.clamp_(min=0)
        if layer.nonnegative:
            self.encoder.clamp_(min=0)
        if self.threshold is not None:
            self.threshold.clamp_(min=0)

    @torch.no_grad()
    def project_gradient(self) -> None:
        """Take from the gradient of unit-norm parts what only changes their norm."""
        if self.problem.parts.unit:
            along = torch.linalg.vecdot(self.dictionary.grad, self.dictionary).unsqueeze(-1)
            self.dictionary.grad.addcmul_(self.dictionary, along, value=-1)

    @torch.no_grad()
    def freeze(self, D: torch.Tensor) -> None:
        """Let thresholds that fit D take the place of a selection from batches."""

        def objective(thresholds: torch.Tensor) -> float:
            self.frozen = thresholds
            return float(self.problem.objective(self(D)))

        if isinstance(self.problem.codes, BatchTopK | FeatureChoice):
            self.frozen = self.problem.codes.threshold(self.infer(D)[0], objective)

    @torch.no_grad()
    def scale_to(self, D: torch.Tensor) -> None:
        """Bring a rough start to the data's scale by one factor, which keeps the selection."""
        D_hat = self.decode(self.encode(D))
        if self.problem.objective.link != "linear":
            return
        energy = D_hat.square().sum(dim=(-2, -1), keepdim=True)
        factor = ((D * D_hat).sum(dim=(-2, -1), keepdim=True) / energy).clamp(min=1e-3)
        factor = torch.where(energy > 0, factor, 1)
        if self.encoder is not None and not self.problem.parts.unit:
            self.dictionary.mul_(factor)
        elif self.problem.codes.homogeneous:
            U = self.dictionary if self.encoder is None else self.encoder
            U.mul_(factor.sqrt() if self.encoder is None else factor)

    @torch.no_grad()
    def make_kl_finite(self, D: torch.Tensor) -> None:
        """Bring mean activations below 1, where KL is finite, if the objective has such a penalty.

        ReLU units whose parts' norm is free get KL's target itself, and their parts the factor
        that the codes give up: the reconstruction stays. Elsewhere one factor for all units, which
        keeps the selection, brings the largest mean to a half. Logistic codes need nothing.
        """
        for penalty in self.problem.objective.penalties:
            if not isinstance(penalty, KL) or isinstance(self.problem.codes, Logistic):
                continue
            means = self.encode(D).mean(dim=-2)
            free = self.encoder is not None and not self.problem.parts.unit
            if free and isinstance(self.problem.codes, ReLU):
                share = torch.where(means > 0, penalty.target / means, 1)
                self.dictionary.div_(share.unsqueeze(-1))
            else:
                share = (0.5 / means.amax(dim=-1, keepdim=True)).clamp(max=1).expand_as(means)
            (self.dictionary if self.encoder is None else self.encoder).mul_(share.unsqueeze(-1))
            if self.bias is not None:
                self.bias.mul_(share)
