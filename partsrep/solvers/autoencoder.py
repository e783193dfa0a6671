"""Autoencoders as torch modules: the four choices put together, with the weights they need."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from ..choices.codes import Codes
from ..choices.jumprelu import above
from ..choices.objective import Output
from ..choices.problem import Problem
from ..choices.units import Unit
from . import Weights


def stacked(problems: list[Problem], device: Any = None) -> Problem | None:
    """One problem for a stack of autoencoders that differ in k or in the weights of penalties.

    These numbers become tensors, one entry a member. None if the problems differ in more.

    Examples
    --------
    >>> from partsrep.choices.codes import ReLU, TopK
    >>> stacked([Problem(codes=TopK(2)), Problem(codes=TopK(3))]).codes
    TopK(k=tensor([2, 3]))
    >>> stacked([Problem(codes=TopK(2)), Problem(codes=ReLU())]) is None
    True
    """
    first = problems[0]
    if all(problem == first for problem in problems):
        return first
    same = replace(first.objective, penalties=())
    for problem in problems:
        bare = replace(problem, codes=first.codes, objective=first.objective)
        if bare != first or replace(problem.objective, penalties=()) != same:
            return None
    penalties = [problem.objective.penalties for problem in problems]
    if len(set(map(len, penalties))) > 1:
        return None
    codes, *together = (
        _in_one(choices, device)
        for choices in ([problem.codes for problem in problems], *zip(*penalties, strict=True))
    )
    if codes is None or None in together:
        return None
    return replace(first, codes=codes, objective=replace(same, penalties=tuple(together)))


def _in_one(choices: Any, device: Any) -> Any:
    """One object with the numbers of all, None if they differ in anything else."""
    first = choices[0]
    if all(choice == first for choice in choices):
        return first
    own = first.varies
    if own is None or len(set(map(type, choices))) > 1:
        return None
    numbers = [getattr(choice, own) for choice in choices]
    if any(replace(choice, **{own: numbers[0]}) != first for choice in choices):
        return None
    together = copy.copy(first)
    dtype = torch.int64 if all(isinstance(number, int) for number in numbers) else torch.float64
    tensor = torch.tensor(numbers, dtype=dtype, device=device)
    object.__setattr__(together, own, tensor)  # checked one by one
    return together


class Autoencoder(nn.Module):
    """H = f(D Uᵀ + b), D̂ = link(H Xᵀ + 1cᵀ) for a problem whose codes are amortised.

    All weights may have an axis more in front: then it is a stack of autoencoders, and so are the
    codes and reconstructions of data (n, d), or of data (s, n, d), one batch each.

    Parameters
    ----------
    problem : Problem
        Parts that are made of samples are bound to them. Weights that it has no place for, such as
        those of a tied encoder, are not used.
    components, encoder : tensor (m, d)
        Xᵀ and U; None for U is Xᵀ.
    bias, offset : tensor (m,), (d,) or None
        b and c; None is zeros.
    """

    dictionary: torch.Tensor
    encoder: torch.Tensor | None
    gain: torch.Tensor | None
    bias: torch.Tensor | None
    offset: torch.Tensor | None
    samples: torch.Tensor  # only where parts are made of them
    frozen: torch.Tensor | None  # thresholds of a selection from batches, once it is over
    usage: torch.Tensor

    def __init__(
        self,
        problem: Problem,
        components: torch.Tensor,
        encoder: torch.Tensor | None,
        bias: torch.Tensor | None = None,
        offset: torch.Tensor | None = None,
    ):
        super().__init__()
        self.problem = problem
        layer, parts, codes = problem.inference, problem.parts, problem.codes
        zeros = torch.zeros_like(components[..., 0])

        def own(name: str, wanted: bool, value: torch.Tensor) -> None:
            self.register_parameter(name, nn.Parameter(value.clone()) if wanted else None)

        if parts.of_samples:
            parts.project(components.numpy())
            weights = torch.as_tensor(parts.weights, dtype=components.dtype)
            self.register_buffer("samples", torch.as_tensor(parts.D, dtype=components.dtype))
        else:
            weights = parts.project_tensor(components)
        own("dictionary", True, weights)
        own("encoder", not layer.tied, components if encoder is None else encoder)
        own("gain", layer.gain, torch.ones_like(zeros))
        own("bias", layer.bias, zeros if bias is None else bias)
        nowhere = torch.zeros_like(components[..., 0, :])
        own("offset", parts.offset, nowhere if offset is None else offset)
        self.begun = codes.learned(components)
        for name, learned in self.begun.items():
            own(name, True, learned.begin)
        self.register_buffer("frozen", None)
        self.register_buffer("usage", torch.ones_like(zeros), persistent=False)

    def member(self, index: int, problem: Problem) -> "Autoencoder":
        """One autoencoder of a stack, with a problem and weights of its own."""
        own = copy.deepcopy(self)
        own.problem = problem
        for name, weights in self.named_parameters():
            setattr(own, name, nn.Parameter(weights[index].detach().clone()))
        own.usage = self.usage[index].clone()
        return own

    @torch.no_grad()
    def put(self, weights: Weights) -> None:
        """Let other parts, encoder and biases take the place of its own."""
        if self.frozen is not None:
            raise ValueError(
                "The start has a threshold for each unit, which this solver does not know: take "
                'solver="adam", or give JumpReLU a bandwidth, with which thresholds are learned.'
            )
        components, *others = weights
        tensors = (None if w is None else torch.from_numpy(w).to(self.usage) for w in others)
        begun = Autoencoder(self.problem, torch.from_numpy(components).to(self.usage), *tensors)
        self.load_state_dict(begun.state_dict())

    @torch.no_grad()
    def measure(self, unit: Unit) -> None:
        """Measure data and parts in units so many times smaller than now: nothing else changes."""
        factors = {
            "dictionary": 1.0 if self.problem.parts.of_samples else unit.parts,
            "samples": unit.data,
            "encoder": 1 / unit.parts,
            "gain": 1 / unit.parts**2,
            "bias": unit.codes,
            "offset": unit.data,
            "frozen": unit.codes,
        }
        for name, learned in self.begun.items():
            data, codes = learned.unit
            factors[name] = unit.data**data * unit.codes**codes
        for name, factor in factors.items():
            weights = getattr(self, name, None)
            if weights is not None:
                weights.mul_(factor)

    def keeps_thresholds(self, codes: Codes) -> bool:
        """Whether its frozen thresholds stay in a training of these codes that begins with it."""
        same = self.frozen is not None and self.problem.codes == codes
        return same and not (self.learned or codes.from_batch)

    @torch.no_grad()
    def continue_from(self, other: "Autoencoder", same_codes: bool) -> None:
        """Take over what another one has learned beside U, X, b and c.

        Thresholds that were learned or frozen become those that are learned here; fixed ones stay
        fixed if both have the same activation. A selection from batches freezes its own.
        """
        if self.gain is not None and other.gain is not None:
            self.gain.copy_(other.gain)
        own, given = getattr(self, "samples", None), getattr(other, "samples", None)
        if (
            own is not None
            and given is not None
            and own.shape == given.shape
            and torch.allclose(own, given)  # else the weights have been found anew
        ):
            self.dictionary.copy_(other.dictionary)
        learned = other.learned
        if other.frozen is not None:
            learned.setdefault("threshold", other.frozen)
        for name, weights in self.learned.items():
            if name in learned:
                weights.copy_(learned[name])
        if same_codes and not (self.learned or self.problem.codes.from_batch):
            self.frozen = None if other.frozen is None else other.frozen.clone()

    @property
    def learned(self) -> dict[str, torch.Tensor]:
        """What the activation has learned, by name."""
        return {name: getattr(self, name) for name in self.begun}

    @property
    def components(self) -> torch.Tensor:
        """Xᵀ (m, d); of parts that are made of samples, their weights times these."""
        return self.dictionary @ self.samples if self.problem.parts.of_samples else self.dictionary

    @property
    def U(self) -> torch.Tensor:
        """Encoder weights (m, d)."""
        if self.encoder is not None:
            return self.encoder
        return self.components if self.gain is None else self.gain.unsqueeze(-1) * self.components

    @property
    def thresholds(self) -> np.ndarray | float | None:
        """What codes have to exceed: learned, frozen after a selection, or fixed."""
        learned = self.learned.get("threshold", self.frozen)
        if learned is not None:
            return learned.detach().numpy().copy()
        return self.problem.codes.threshold if self.problem.codes.has_threshold else None

    def activate(self, Z: torch.Tensor) -> torch.Tensor:
        """The codes for pre-activations."""
        if self.frozen is not None:
            return above(Z, self.frozen)
        return self.problem.codes.activate(Z, self.learned)

    def infer(self, D: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pre-activations and codes."""
        return self.problem.inference(D, self)

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
        if generator is not None and not self.problem.objective.averaged:
            log_variance = self.log_variance_of(D)
            if log_variance is not None:
                # Where the generator is, which need not be where the codes are.
                noise = H.new_empty(H.shape, device=generator.device).normal_(generator=generator)
                H = H + (log_variance / 2).exp() * noise.to(H)
        return Output(D, Z, H, self.decode(H), self)

    def log_variance_of(self, D: torch.Tensor) -> torch.Tensor | None:
        """The logarithms of the variances (n, m) of codes that are drawn, else None."""
        return self.problem.codes.log_variance(D, self.learned)

    @torch.no_grad()
    def project(self) -> None:
        """Put the weights back into their sets."""
        parts, layer = self.problem.parts, self.problem.inference
        self.dictionary.data = parts.project_tensor(self.dictionary)
        if self.offset is not None and parts.nonnegative:
            self.offset.clamp_(min=0)
        if layer.nonnegative and self.encoder is not None:
            self.encoder.clamp_(min=0)
        for name, weights in self.learned.items():
            if self.begun[name].lower is not None:
                weights.clamp_(min=self.begun[name].lower)

    def project_gradient(self) -> None:
        """Take from the gradient of unit-norm parts what only changes their norm."""
        gradient, parts = self.dictionary.grad, self.dictionary.detach()
        if self.problem.parts.unit and gradient is not None:
            along = torch.linalg.vecdot(gradient, parts).unsqueeze(-1)
            gradient.addcmul_(parts, along, value=-1)

    @torch.no_grad()
    def freeze(self, D: torch.Tensor) -> None:
        """Let thresholds that fit D take the place of a selection from batches."""

        def objective(thresholds: torch.Tensor) -> float:
            self.frozen = thresholds
            return float(self.problem.objective(self(D)))

        if self.problem.codes.from_batch:
            self.frozen = self.problem.codes.frozen_threshold(self.infer(D)[0], objective)

    @torch.no_grad()
    def scale_to(self, D: torch.Tensor) -> None:
        """Bring a rough start to the data's scale by one factor, which keeps the selection."""
        D_hat = self.decode(self.encode(D))
        if self.problem.objective.link != "linear":
            return
        energy = D_hat.square().sum(dim=(-2, -1), keepdim=True)
        factor = ((D * D_hat).sum(dim=(-2, -1), keepdim=True) / energy).clamp(min=1e-3)
        factor = torch.where(energy > 0, factor, 1)
        free, homogeneous = self.problem.parts.homogeneous, self.problem.codes.homogeneous
        if self.encoder is None:
            if free and homogeneous:
                self.dictionary.mul_(factor.sqrt())
        elif free:
            self.dictionary.mul_(factor)
        elif homogeneous:
            self.encoder.mul_(factor)

    @torch.no_grad()
    def make_kl_finite(self, D: torch.Tensor) -> None:
        """Bring mean activations below 1, where KL is finite, if the objective has such a penalty.

        Codes of one step without sparsity whose parts' norm is free get KL's target. Elsewhere one
        factor for all units, which keeps the selection, brings the largest mean to a half. Parts
        whose norm is free get the factor that the codes give up, so that the reconstruction stays.
        Logistic codes need nothing.
        """
        codes, parts = self.problem.codes, self.problem.parts
        single = self.problem.inference.single_layer and codes.sparsity is None
        for penalty in self.problem.objective.penalties:
            target = penalty.mean_activation
            if target is None or (codes.dimensionless and codes.nonnegative):
                continue
            means = self.encode(D).mean(dim=-2)
            free = self.encoder is not None and parts.homogeneous
            if free and codes.homogeneous and single:
                share = torch.where(means > 0, target / means, 1)
            else:
                share = (0.5 / means.amax(dim=-1, keepdim=True)).clamp(max=1).expand_as(means)
            if free:
                self.dictionary.div_(share.unsqueeze(-1))
            (self.dictionary if self.encoder is None else self.encoder).mul_(share.unsqueeze(-1))
            if self.bias is not None:
                self.bias.mul_(share)
