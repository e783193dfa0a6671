"""Autoencoders as torch modules, and the loop that trains them by gradient steps."""

import math
import time

import numpy as np
import torch
from torch import nn

from .codes import ReLU
from .objective import KL
from .problem import Problem
from .progress import progress

PATIENCE = 10  # epochs without a gain before the step is halved
SMALLEST_STEP = 1e-3  # of the first step: then training is over
REVIVALS = 5  # times that dead units are begun anew


class Autoencoder(nn.Module):
    """H = f(D Uᵀ + b), D̂ = H Xᵀ + 1cᵀ for a problem whose inference is a layer.

    Parameters
    ----------
    problem : Problem
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
        zeros = components.new_zeros
        layer, parts = problem.inference, problem.parts
        bias = zeros(components.shape[0]) if bias is None else bias
        offset = zeros(components.shape[1]) if offset is None else offset
        self.components = nn.Parameter(parts.project(components))
        self.register_parameter("encoder", None if layer.tied else nn.Parameter(encoder))
        self.register_parameter("bias", nn.Parameter(bias) if layer.bias else None)
        self.register_parameter("offset", nn.Parameter(offset) if parts.offset else None)

    @property
    def U(self) -> torch.Tensor:
        return self.components if self.encoder is None else self.encoder

    def encode(self, D: torch.Tensor) -> torch.Tensor:
        return self.problem.codes(nn.functional.linear(D, self.U, self.bias))

    def decode(self, H: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(H, self.components.T, self.offset)

    def forward(self, D: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the reconstruction and the codes."""
        H = self.encode(D)
        return self.decode(H), H

    @torch.no_grad()
    def project(self) -> None:
        """Put the parts (and the offset) back into their set."""
        parts = self.problem.parts
        self.components.copy_(parts.project(self.components))
        if self.offset is not None and parts.nonnegative:
            self.offset.clamp_(min=0)

    @torch.no_grad()
    def scale_to(self, D: torch.Tensor) -> None:
        """Bring a rough start to the data's scale by one factor, which keeps the selection."""
        D_hat, _ = self(D)
        energy = D_hat.square().sum()
        if energy == 0:
            return
        factor = ((D * D_hat).sum() / energy).clamp(min=1e-3)
        if self.encoder is not None and not self.problem.parts.unit:
            self.components.mul_(factor)
        elif self.problem.codes.homogeneous:
            self.U.mul_(factor.sqrt() if self.encoder is None else factor)

    @torch.no_grad()
    def make_kl_finite(self, D: torch.Tensor) -> None:
        """Bring mean activations below 1, where KL is finite, if the objective has such a penalty.

        ReLU units whose parts' norm is free get KL's target itself, and their parts the factor
        that the codes give up: the reconstruction stays. Elsewhere one factor for all units, which
        keeps the selection, brings the largest mean to a half.
        """
        for penalty in self.problem.objective.penalties:
            if not isinstance(penalty, KL):
                continue
            means = self.encode(D).mean(dim=0)
            free = self.encoder is not None and not self.problem.parts.unit
            if free and isinstance(self.problem.codes, ReLU):
                share = torch.where(means > 0, penalty.target / means, 1)
                self.components.div_(share[:, None])
            else:
                share = (0.5 / means.max()).clamp(max=1).expand_as(means)
            self.U.mul_(share[:, None])
            if self.bias is not None:
                self.bias.mul_(share)


def train(
    module: Autoencoder,
    D: torch.Tensor,
    *,
    learning_rate: float,
    max_epochs: int,
    batch_size: int,
    tol: float,
    rng: np.random.RandomState,
) -> dict[str, np.ndarray]:
    """Minimise the module's objective by Adam, in place; the best epoch is what stays.

    The rules, all of which see the objective on the whole data after each epoch:

    * A weight array's step is `learning_rate` times its root mean square at the start, so that
      the path does not depend on the units of the data.
    * After 10 epochs without a gain of a part `tol`, dead units begin anew from the worst
      reconstructed samples (at most five times); if there are none, the step is halved.
    * An epoch that ends with an objective that is not finite is undone and the step is halved.
    * Training ends when the step is below a thousandth of the first one, or at `max_epochs`.

    Returns
    -------
    history : dict of arrays over epochs
        The start first: "objective", "alive" (units that are active on at least one
        sample), "step" (of the first), "seconds".
    """
    objective = module.problem.objective
    generator = torch.Generator().manual_seed(int(rng.randint(2**31)))
    optimiser = _adam(module, learning_rate)
    step, waited, revivals = 1.0, 0, 0
    history = {"objective": [], "alive": [], "step": [], "seconds": []}
    began = time.perf_counter()

    def record() -> tuple[float, torch.Tensor]:
        with torch.no_grad():
            D_hat, H = module(D)
            value = float(objective(D, D_hat, H))
        alive = (H != 0).any(dim=0)
        entries = (value, int(alive.sum()), step, time.perf_counter() - began)
        for series, entry in zip(history.values(), entries, strict=True):
            series.append(entry)
        return value, alive

    value, alive = record()
    best, reference, kept = value, value, _weights(module)
    for _ in progress(range(max_epochs), "SAE, Adam"):
        order = torch.randperm(len(D), generator=generator)
        for batch in order.split(batch_size) if batch_size < len(D) else [slice(None)]:
            optimiser.zero_grad()
            D_hat, H = module(D[batch])
            objective(D[batch], D_hat, H).backward()
            optimiser.step()
            module.project()

        value, alive = record()
        if value < best:
            best, kept = value, _weights(module)
        waited += 1
        if best < reference - tol * abs(reference):
            reference, waited = best, 0
        broken = not math.isfinite(value)
        if broken or waited >= PATIENCE:
            waited = 0
            if not broken and not alive.all() and revivals < REVIVALS:
                revivals += 1
                _revive(module, D, ~alive, optimiser, generator)
                continue
            if broken:
                module.load_state_dict(kept)
            step /= 2
            optimiser = _adam(module, learning_rate * step) if broken else _halved(optimiser)
            if step < SMALLEST_STEP:
                break
    module.load_state_dict(kept)
    return {name: np.array(series) for name, series in history.items()}


def _adam(module: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Adam with each array's step relative to its own size; a zero array takes the encoder's."""
    fallback = _size(module.U) or 1.0
    groups = [
        {"params": [weights], "lr": learning_rate * (_size(weights) or fallback)}
        for weights in module.parameters()
    ]
    # Gradients scale with the data: the usual eps of 1e-8 would not.
    return torch.optim.Adam(groups, eps=1e-30, fused=True)


def _size(weights: torch.Tensor) -> float:
    return float(weights.detach().square().mean().sqrt())


def _halved(optimiser: torch.optim.Adam) -> torch.optim.Adam:
    for group in optimiser.param_groups:
        group["lr"] /= 2
    return optimiser


def _weights(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weights.clone() for name, weights in module.state_dict().items()}


@torch.no_grad()
def _revive(
    module: Autoencoder,
    D: torch.Tensor,
    dead: torch.Tensor,
    optimiser: torch.optim.Adam,
    generator: torch.Generator,
) -> None:
    """Point each dead unit at the residual of a badly reconstructed sample, drawn by its error."""
    residual = D - module(D)[0]
    if not residual.any():
        return
    chosen = torch.multinomial(
        residual.square().sum(dim=1), int(dead.sum()), replacement=True, generator=generator
    )
    parts = module.problem.parts.project(residual[chosen])
    energy = parts.square().sum(dim=1, keepdim=True)
    module.components[dead] = parts
    if module.encoder is not None:
        module.encoder[dead] = parts / torch.where(energy > 0, energy, 1)
    if module.bias is not None:
        module.bias[dead] = 0
    for weights in (module.components, module.encoder, module.bias):
        for moment in ("exp_avg", "exp_avg_sq") if weights is not None else ():
            optimiser.state[weights][moment][dead] = 0
