"""SAE against dense autograd, and against our peers where they are: a step of training."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from measure import race, row
from torch.nn.functional import linear, mse_loss

from partsrep.choices.codes import TopK
from partsrep.choices.inference import Layer
from partsrep.choices.parts import Parts
from partsrep.choices.problem import Problem
from partsrep.choices.selections import BatchTopK
from partsrep.solvers import sparse_step as quick
from partsrep.solvers.adam import RelativeAdam
from partsrep.solvers.autoencoder import Autoencoder

LEARNING_RATE = 1e-3
BATCHES = 8
ROOT = Path(__file__).resolve().parents[2]
PARITY = ROOT / "build" / "parity-venv" / "bin" / "python"


@dataclass(frozen=True)
class Case:
    """Features, parts, active codes a sample, samples a batch; steps a lap, laps, least ratio."""

    d: int
    m: int
    k: int
    batch: int
    steps: int
    repeats: int
    bar: float


CASES = {
    "A": Case(512, 4096, 32, 1024, steps=1, repeats=15, bar=2),
    "B": Case(784, 128, 8, 256, steps=50, repeats=15, bar=1.3),
}
ACTIVATIONS = {"topk": TopK, "batchtopk": BatchTopK}


def shrunk(case: Case, scale: float) -> Case:
    """A small case, for a test."""
    if scale >= 1:
        return case
    return Case(32, 64, 2, 32, steps=1, repeats=1, bar=case.bar)


def mixture(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """Batches of noisy sums of nonnegative parts, and a start with parts of norm 1."""
    rng = np.random.RandomState(0)
    n = BATCHES * case.batch
    H = rng.exponential(size=(n, case.m)) * (rng.uniform(size=(n, case.m)) < case.k / case.m)
    X = rng.uniform(size=(case.m, case.d)) * (rng.uniform(size=(case.m, case.d)) < 0.2)
    D = H @ X + 0.05 * rng.standard_normal((n, case.d))
    start = rng.standard_normal((case.m, case.d))
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    return torch.tensor(D, dtype=torch.float32), torch.tensor(start, dtype=torch.float32)


def squared_error(D_hat: torch.Tensor, D: torch.Tensor) -> torch.Tensor:
    """Mean over samples of the squared error, in torch's one pass each way."""
    return mse_loss(D_hat, D, reduction="none").sum(dim=-1).mean(dim=-1)


def sparse_step(case: Case, activation: str, start: torch.Tensor) -> Callable:
    """A function of a batch that takes our step and returns the loss."""
    problem = Problem(Parts(unit=True), ACTIVATIONS[activation](case.k), Layer())
    module = Autoencoder(problem, start, start)
    optimiser = RelativeAdam(module, LEARNING_RATE)
    # One rate for both arrays, as the peer has it.
    optimiser.rates = [LEARNING_RATE] * len(optimiser.rates)
    optimiser.shorten(torch.ones(()))

    def step(D: torch.Tensor) -> torch.Tensor:
        module.zero_grad()
        loss, _ = quick.layer_loss(module, D, learn=True)
        module.project_gradient()
        optimiser.step()
        module.project()
        return loss

    return step


def dense_step(case: Case, activation: str, start: torch.Tensor) -> Callable:
    """The same in plain torch, all codes written out."""
    encoder, decoder = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimiser = torch.optim.Adam([decoder, encoder], lr=LEARNING_RATE, eps=1e-30, fused=True)

    def step(D: torch.Tensor) -> torch.Tensor:
        optimiser.zero_grad()
        Z = linear(D, encoder)
        # All of a batch choose together where the batch counts as one long row.
        rows = Z.flatten()[None] if activation == "batchtopk" else Z
        values, where = rows.topk(case.k * len(Z) // len(rows), sorted=False)
        H = torch.zeros_like(rows).scatter(1, where, values.relu()).view_as(Z)
        loss = squared_error(H @ decoder, D)
        loss.backward()
        with torch.no_grad():
            along = (decoder.grad * decoder).sum(dim=1, keepdim=True)
            decoder.grad.addcmul_(decoder, along, value=-1)
            optimiser.step()
            decoder.div_(decoder.norm(dim=1, keepdim=True))
        return loss.detach()

    return step


def step(activation: str, name: str, scale: float) -> list[dict]:
    """Seconds of a complete step: forward, backward, gradient and parts projected, fused Adam."""
    case = shrunk(CASES[name], scale)
    D, start = mixture(case)
    batches = D.split(case.batch)

    def lap(take: Callable) -> list[float]:
        return [float(take(batches[i % BATCHES])) for i in range(case.steps)]

    steps = [make(case, activation, start) for make in (sparse_step, dense_step)]
    # The first steps fill the caches and the memory of the optimiser.
    for take in steps:
        lap(take)
    ours, peer = race(case.repeats, *(partial(lap, take) for take in steps))
    # Products with the data or its reconstruction, for each of the codes that are not zero.
    active, codes = (2 * case.batch * case.d * count for count in (case.k, case.m))
    return [
        row(
            f"sae step {activation} {name}",
            ours,
            peer,
            bar=("ratio", "≥", case.bar),
            flops=(case.steps * (codes + 4 * active), case.steps * 5 * codes),
            precision="float32",
            shape=[case.batch, case.d, case.m],
            k=case.k,
            objective=ours.result[-1],
            peer_objective=peer.result[-1],
            steps=case.steps,
        )
    ]


def stack(scale: float) -> list[dict]:
    """Seconds to train 32 seeds of a toy as one stack, against one after the other, dense."""
    case = shrunk(Case(64, 64, 4, 128, steps=20, repeats=5, bar=4), scale)
    seeds = 32 if scale >= 1 else 2
    D, start = mixture(case)
    batches = D.split(case.batch)
    problem = Problem(Parts(unit=True), TopK(case.k), Layer())
    starts = torch.stack([start.roll(i, dims=1) for i in range(seeds)])
    module = Autoencoder(problem, starts, starts)
    optimiser = RelativeAdam(module, LEARNING_RATE)

    def together() -> None:
        for i in range(case.steps):
            module.zero_grad()
            quick.layer_loss(module, batches[i % BATCHES], learn=True)
            module.project_gradient()
            optimiser.step()
            module.project()

    alone = [dense_step(case, "topk", start) for start in starts]

    def in_turn() -> None:
        for take in alone:
            for i in range(case.steps):
                take(batches[i % BATCHES])

    together()
    in_turn()
    ours, peer = race(case.repeats, together, in_turn)
    return [
        row(
            f"sae stack of {seeds}",
            ours,
            peer,
            bar=("ratio", "≥", case.bar),
            precision="float32",
            shape=[case.batch, case.d, case.m],
            k=case.k,
            steps=case.steps,
        )
    ]


def peers(name: str, scale: float) -> list[dict]:
    """The same step beside our peers' own, where `make parity` has made their environment."""
    if not PARITY.exists():
        return []
    with TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        subprocess.run(
            [PARITY, ROOT / "tests" / "parity" / "steps.py", name, str(scale), out],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return json.loads(out.read_text())


BENCHMARKS: dict[str, Callable[[float], list[dict]]] = {
    "sae stack": stack,
    **{
        f"sae step {activation} {name}": partial(step, activation, name)
        for activation, name in product(ACTIVATIONS, CASES)
    },
    **{f"sae peers {name}": partial(peers, name) for name in CASES},
}
