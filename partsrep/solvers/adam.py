"""The loop that trains autoencoders by gradient steps, one or a stack of them at once."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch.optim.adam import adam

from ..choices.codes import ReLU, places
from ..choices.problem import Problem
from ..leastsquares import blocks
from ..progress import History, Interrupted, progress
from . import Settings, sparse_step
from .autoencoder import Autoencoder

PATIENCE = 10  # epochs without a gain before the step is halved
SMALLEST_STEP = 1e-3  # of the first step: then training is over
REVIVALS = 5  # times that dead units are reinitialised in spite of penalties
LAST = 0.2  # of all epochs, over which the step falls to zero
# An objective so many times that of the start, or of codes of zero, has blown up; a run of which
# nothing else remains has diverged.
BLOWN_UP = 10
CODES = 2**22  # that are computed at once
ROWS = 2**14  # samples that are looked at together between epochs
SEEN = 2**10  # samples that are looked at after each epoch, of many more
# What a penalty needs that the activation offers.
NEEDS = {
    "active": "learned thresholds, which {!r} has not: give JumpReLU a bandwidth, or take L1.",
    "log_variance": "variances, which {!r} has not: set activation=Gaussian(), or take KL or L1.",
}


def check(problem: Problem) -> None:
    """Raise a ValueError if no gradient leads through the problem."""
    parts, codes, objective = problem.parts, problem.codes, problem.objective
    if not problem.inference.amortised:
        raise ValueError(
            f"An autoencoder has an encoder, which {problem.inference!r} is not: give Layer(), "
            "or take NMF."
        )
    if not parts.trainable:
        raise ValueError(f"No gradient moves {parts!r}: choose other parts, or take NMF.")
    if not codes.is_activation:
        raise ValueError(f"{codes!r} is no activation, for it gives no codes: take NMF.")
    if not problem.inference.has_encoder and codes != ReLU():
        raise ValueError(
            f"A pursuit finds its codes itself, {codes!r} would have no effect: leave activation "
            'at "relu", or choose another encoder.'
        )
    if not objective.fit.is_differentiable:
        raise ValueError(
            f"An autoencoder's data-fit is the squared error or Bernoulli(), not {objective.fit!r}:"
            " reconstructions may have any sign; take NMF."
        )
    for penalty in objective.penalties:
        if not penalty.is_differentiable:
            raise ValueError(f"{penalty!r} has no gradient by which an autoencoder learns.")
        if penalty.needs is not None and penalty.needs not in codes.offers:
            raise ValueError(f"{penalty!r} acts through {NEEDS[penalty.needs].format(codes)}")


def train(
    module: Autoencoder, D: Any, rngs: list[np.random.RandomState], settings: Settings
) -> History:
    """Minimise the module's objective by Adam, in place; the best epoch is what stays.

    The rules see the objective after each epoch, on all samples, or of more than 4096 on 1024. In
    a stack each autoencoder goes by them on its own, and comes out as it would alone:

    * A weight array's step is `learning_rate` times its root mean square at the start; of
      thresholds at least times the norm of an encoder row.
    * In the last fifth of `max_epochs` the step falls linearly to zero.
    * After 10 epochs without a gain of a part `tol` the step is halved.
    * After an epoch that is the best so far, units that were active on no sample of it are
      reinitialised from badly reconstructed ones, as long as the step is the first one. With
      penalties, which may want units dead, that is done at most five times, in place of a halving.
    * An epoch that ends with an objective that is not finite is undone and the step is halved. If
      nothing was better than the start, a warning says so.
    * Training ends when the step is below a thousandth of the first one, or at `max_epochs`.

    Parameters
    ----------
    D : tensor (n, d), or anything with a length whose rows come by slices and by integer arrays
    rngs : list of RandomState
        One for each autoencoder.

    Returns
    -------
    History
        Over epochs, the start first: "objective", "alive" (units that are active on at least one
        sample), "step" (of the first), "seconds"; in a stack arrays.

    Raises
    ------
    Interrupted
        At Ctrl-C; the module then holds the best epoch so far.
    """
    generators = [torch.Generator().manual_seed(int(rng.randint(2**31))) for rng in rngs]
    shape = module.usage.shape[:-1]
    members = [(i,) for i in range(len(rngs))] if shape else [()]
    history, tol, learning_rate = History(), settings.tol, settings.learning_rate
    assert learning_rate is not None  # whoever trains has chosen one
    optimiser = RelativeAdam(module, learning_rate)
    seen = D if len(D) <= 4 * SEEN else batch(D, _sample(len(D)), module)
    step = torch.ones(shape, dtype=torch.float64)
    waited = torch.zeros(shape, dtype=torch.int64)
    revivals = torch.zeros_like(waited)

    def record(uses: torch.Tensor | None = None) -> torch.Tensor:
        value = evaluate(module, seen)
        if uses is not None:
            module.usage.copy_(uses / len(D))
        alive = (module.usage > 0).sum(dim=-1)
        history.add(
            objective=value.numpy()[()],
            alive=alive.cpu().numpy()[()],
            step=step.numpy().copy()[()],
        )
        return value

    best = reference = record()
    kept = [weights.detach().clone() for weights in optimiser.weights]
    try:
        for epoch in progress(range(settings.max_iter), "SAE, Adam"):
            uses = torch.zeros_like(module.usage, dtype=torch.float64)
            optimiser.shorten(step)
            batches = _batches(D, settings.batch_size, generators, shape)
            for i, rows in enumerate(batches):
                left = 1 - (epoch + i / len(batches)) / settings.max_iter
                optimiser.forget_gradients()
                uses += _learn(module, batch(D, rows, module), generators[0])
                module.project_gradient()
                optimiser.step(min(1, left / LAST))
                module.project()
            optimiser.flush()

            value = record(uses)
            better = value < best
            best = torch.where(better, value, best)
            _copy(kept, optimiser.weights, better)
            gained = best < reference - tol * reference.abs()
            reference = torch.where(gained, best, reference)
            waited = torch.where(gained, 0, waited + 1)

            broken = ~value.isfinite()
            stalled = (broken | (waited >= PATIENCE)) & (step > 0)
            waited[stalled] = 0
            dead = module.usage == 0
            dead &= not module.problem.parts.fixed
            # A shorter step would leave units where they are put.
            due = better & (step == 1) & (epoch + 1 < (1 - LAST) * settings.max_iter)
            if module.problem.objective.penalties:  # which may want them dead
                due = stalled & ~broken & (revivals < REVIVALS)
            anew = due & dead.any(dim=-1).cpu()
            revivals += anew
            for member, generator in zip(members, generators, strict=True):
                if anew[member]:
                    _revive(module, D, member, dead[member], optimiser, generator)
            if broken.any():
                _copy(optimiser.weights, kept, broken)
                optimiser.forget(broken)
            step = torch.where(stalled & ~anew, step / 2, step)
            step[step < SMALLEST_STEP] = 0
            if not step.any():
                break
    except KeyboardInterrupt:
        raise Interrupted(history) from None
    finally:
        _copy(optimiser.weights, kept, torch.ones(shape, dtype=torch.bool))
    values = history.arrays()["objective"]
    energy = float(batch(D, slice(ROWS), module).square().sum(dim=-1).mean())
    blown_up = ~(values <= BLOWN_UP * np.maximum(values[0], energy)).all(axis=0)
    if (blown_up & (values[0] <= np.nanmin(values, axis=0))).any():
        warnings.warn(
            f"Adam diverged with learning_rate={learning_rate:g}: no epoch was better than the "
            "start, which is kept. Lower learning_rate.",
            ConvergenceWarning,
            stacklevel=3,
        )
    return history


class RelativeAdam:
    """Adam with each array's step relative to its own size, in a stack each part of an array's."""

    def __init__(self, module: Autoencoder, learning_rate: float):
        stacked = module.usage.ndim - 1
        self.weights = list(module.parameters())
        fallback = _size(module.U, stacked)
        sizes = [_size(weights, stacked) for weights in self.weights]
        # A zero array takes the encoder's size; what is learned in the unit of codes, such as a
        # threshold, at least that of a row of it: it is compared with a sum over features, which is
        # far above where it begins.
        sizes = [torch.where(size > 0, size, fallback) for size in sizes]
        row = fallback * module.U.shape[-1] ** 0.5
        compared = [
            weights for name, weights in module.learned.items() if module.begun[name].unit == (0, 1)
        ]
        sizes = [
            torch.maximum(size, row) if any(weights is own for own in compared) else size
            for weights, size in zip(self.weights, sizes, strict=True)
        ]
        sizes = [torch.where(size > 0, size, 1) for size in sizes]
        largest = [float(size.max()) for size in sizes]
        self.rates = [learning_rate * size for size in largest]
        # What is 1 but for rounding is 1: then `step` has nothing to shorten.
        shares = [size / most for size, most in zip(sizes, largest, strict=True)]
        self.shares = [torch.where(share > 1 - 1e-6, 1, share).double().cpu() for share in shares]
        # Running means of the gradient and of its square.
        self.moments = {
            weights: (torch.zeros_like(weights), torch.zeros_like(weights))
            for weights in self.weights
        }
        self.counts = [weights.new_zeros((), dtype=torch.float32) for weights in self.weights]
        self.shorten(torch.ones(module.usage.shape[:-1]))

    def shorten(self, step: torch.Tensor) -> None:
        """Take so much of the first step from now on, a number for each member of the stack."""
        factors = [share * step for share in self.shares]
        # Adam's own step is the same for all: what is shorter is shortened afterwards.
        self.lengths = [rate * float(f.max()) for rate, f in zip(self.rates, factors, strict=True)]
        self.factors = [
            None
            if bool((factor == factor.max()).all())
            else _like((factor / factor.max()).to(weights), weights)
            for weights, factor in zip(self.weights, factors, strict=True)
        ]

    @torch.no_grad()
    def step(self, share: float = 1) -> None:
        """One step, or a share of one."""
        for weights, count, length, factor in zip(
            self.weights, self.counts, self.lengths, self.factors, strict=True
        ):
            assert weights.grad is not None  # of a step that was taken
            mean, square = self.moments[weights]
            before = weights.clone() if factor is not None else weights
            # Gradients scale with the data: the usual eps of 1e-8 would not.
            adam(
                [weights],
                [weights.grad],
                [mean],
                [square],
                [],
                [count],
                fused=True,
                lr=share * length,
                beta1=0.9,
                beta2=0.999,
                weight_decay=0,
                eps=1e-30,
                amsgrad=False,
                maximize=False,
            )
            if factor is not None:
                weights.copy_(torch.lerp(before, weights, factor))

    def forget_gradients(self) -> None:
        """Let the next gradients be those of one batch."""
        for weights in self.weights:
            weights.grad = None

    def forget(self, members: torch.Tensor) -> None:
        """Begin anew with the moments of some members of the stack."""
        for moments in self.moments.values():
            for moment in moments:
                moment.masked_fill_(_like(members, moment), 0)

    def flush(self) -> None:
        """Set to 0 the means that are below the smallest normal number, as those of dead units are
        after a while: they slow the processor down."""
        for mean, _ in self.moments.values():
            torch.hardshrink(mean, torch.finfo(mean.dtype).tiny, out=mean)


def evaluate(module: Autoencoder, D: Any) -> torch.Tensor:
    """The objective on all data, one number for each member of a stack; notes the units' use."""
    # The same noise each time, so that values compare.
    generator = torch.Generator(module.usage.device).manual_seed(0)
    shape = module.usage.shape[:-1]
    value = torch.zeros(shape, dtype=torch.float64, device=module.usage.device)
    uses = torch.zeros_like(module.usage, dtype=torch.float64)
    with torch.no_grad():
        for rows in blocks(len(D), max(1, min(ROWS, CODES // module.usage.numel()))):
            samples = batch(D, rows, module)
            if _by_hand(module):
                objective, active = sparse_step.layer_loss(module, samples)
            else:
                output = module(samples, generator)
                objective, active = module.problem.objective(output), _uses(output.H)
            value = value + len(samples) * objective.double()
            uses += active
        module.usage.copy_(uses / len(D))
    return (value / len(D)).cpu()


def squared_error(module: Autoencoder, D: Any) -> tuple[float, bool]:
    """‖D − D̂‖²_F in double precision, and whether any unit is ever active."""
    error, active = 0.0, False
    with torch.no_grad():
        for rows in blocks(len(D), ROWS):
            samples = batch(D, rows, module)
            H = module.encode(samples)
            error += float((samples - module.decode(H)).double().square().sum())
            active = active or bool(H.any())
    return error, active


def _learn(module: Autoencoder, D: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The weights' gradients on a batch; returns on how many samples each unit is active."""
    if _by_hand(module):
        return sparse_step.layer_loss(module, D, learn=True)[1]
    output = module(D, generator)
    module.problem.objective(output).sum().backward()
    return _uses(output.H)


def _by_hand(module: Autoencoder) -> bool:
    return module.frozen is None and sparse_step.applies(module.problem)


def _uses(H: torch.Tensor) -> torch.Tensor:
    """On how many samples each unit is active."""
    return H.detach().sign().abs().sum(dim=-2)


def _sample(n: int) -> np.ndarray:
    """Some of so many rows, the same each time."""
    # Not by the generator of the starts, which may be samples: they are fitted best.
    return np.sort(np.random.default_rng(0).choice(n, SEEN, replace=False))


def _batches(D: Any, batch_size: int, generators: list[torch.Generator], shape: tuple):
    """The rows of each step of an epoch; a stack has its own in each member."""
    n = len(D)
    if batch_size >= n:
        return [slice(0, n)]
    order = torch.stack([torch.randperm(n, generator=generator) for generator in generators])
    if isinstance(D, torch.Tensor):
        order = order.to(D.device)
    return order.view(*shape, n).split(batch_size, dim=-1)


def batch(D: Any, rows: Any, module: Autoencoder) -> torch.Tensor:
    """Some samples of a tensor, an array or shards, in the module's precision and place."""
    if isinstance(D, torch.Tensor):
        if isinstance(rows, slice):
            return D[rows]
        rows = torch.as_tensor(rows, device=D.device)
        return D.index_select(0, rows.flatten()).view(*rows.shape, -1)  # faster than D[rows]
    if isinstance(rows, slice):
        samples = D[rows]
    else:
        rows = np.asarray(rows)
        samples = D[rows.ravel()].reshape(*rows.shape, -1)
    return torch.tensor(samples).to(module.usage)


def _size(weights: torch.Tensor, stacked: int) -> torch.Tensor:
    return weights.detach().square().flatten(stacked).mean(dim=-1).sqrt()


def _like(member: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """One number for each member, with the axes of an array of weights."""
    member = member.to(weights.device)
    return member.reshape(member.shape + (1,) * (weights.ndim - member.ndim))


@torch.no_grad()
def _copy(
    to: Sequence[torch.Tensor], source: Sequence[torch.Tensor], members: torch.Tensor
) -> None:
    if members.any():
        for own, other in zip(to, source, strict=True):
            own.copy_(other if members.all() else torch.where(_like(members, own), other, own))


@torch.no_grad()
def _revive(
    module: Autoencoder,
    D: Any,
    member: tuple,
    dead: torch.Tensor,
    optimiser: RelativeAdam,
    generator: torch.Generator,
) -> None:
    """Point each dead unit at the residual of a badly reconstructed sample, drawn by its error."""
    n = len(D)
    seen = slice(0, n) if n <= SEEN else torch.randperm(n, generator=generator)[:SEEN]
    samples = batch(D, seen, module)
    output = module(samples)
    residual, H = samples - output.D_hat[member], output.H[member]
    if not residual.any():
        return
    chosen = torch.multinomial(
        residual.square().sum(dim=1).cpu(), int(dead.sum()), replacement=True, generator=generator
    )
    if module.problem.parts.of_samples:  # the samples themselves: weights have no residual
        chosen = torch.arange(n)[seen][chosen.cpu()]
        parts = module.samples[chosen]
        weights = torch.nn.functional.one_hot(chosen, n).to(module.dictionary)
    else:
        # The code of that sample is to be like others, or where they compete it is never active.
        active = H.flatten()[places(H.flatten() > 0)]
        level = active.mean() if len(active) else 1
        weights = parts = module.problem.parts.project_tensor(residual[chosen] / level)
    energy = parts.square().sum(dim=1, keepdim=True)
    module.dictionary[member][dead] = weights
    if module.encoder is not None:
        module.encoder[member][dead] = parts / torch.where(energy > 0, energy, 1)
    if module.bias is not None:
        module.bias[member][dead] = 0
    for name, weights in module.learned.items():
        weights[member][dead] = module.begun[name].begin.to(weights)[member][dead]
    renewed = {module.dictionary, module.encoder, module.bias, *module.learned.values()}
    for weights, moments in optimiser.moments.items():
        if weights in renewed:
            mean, square = (moment[member] for moment in moments)
            mean[dead] = 0
            # Zeros would make the first steps three times as long.
            square[dead] = square[~dead].mean(dim=0) if not dead.all() else 0
