"""SAE against dense autograd, and against our peers where they are: a step of training, whole
epochs, and what is found in the same time."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from measure import Run, race, row, timed
from scipy.optimize import linear_sum_assignment
from torch.nn.functional import linear, mse_loss

from partsrep import SAE
from partsrep.choices.codes import ReLU, TopK
from partsrep.choices.inference import Layer
from partsrep.choices.parts import Parts
from partsrep.choices.problem import Problem
from partsrep.choices.selections import BatchTopK
from partsrep.solvers import Settings
from partsrep.solvers import sparse_step as quick
from partsrep.solvers.adam import RelativeAdam, train
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


def selected(Z: torch.Tensor, k: int, from_batch: bool) -> torch.Tensor:
    """Codes written out: the positive of the k largest a sample, or a sample on average; of all, if
    k is 0."""
    if not k:
        return Z.relu()
    # All of a batch choose together where the batch counts as one long row.
    rows = Z.flatten()[None] if from_batch else Z
    values, where = rows.topk(k * len(Z) // len(rows), sorted=False)
    return torch.zeros_like(rows).scatter(1, where, values.relu()).view_as(Z)


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
        H = selected(linear(D, encoder), case.k, activation == "batchtopk")
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


#: Samples, features, parts, activation, samples a batch, epochs, least ratio.
EPOCHS = {
    "small relu": (200, 20, 8, ReLU(), 64, 30, 1),
    "digits relu": (1797, 64, 16, ReLU(), 256, 20, 1),
    "digits topk": (1797, 64, 64, TopK(4), 256, 20, 1),
    "faces relu": (400, 4096, 32, ReLU(), 256, 3, 1),
    "mnist relu": (10000, 784, 49, ReLU(), 256, 3, 1),
    "mnist topk": (10000, 784, 128, TopK(8), 256, 3, 1),
    "tall relu": (50000, 784, 64, ReLU(), 256, 1, 1),
    "middle relu": (8192, 384, 512, ReLU(), 1024, 3, 1),
    "middle topk": (8192, 384, 512, TopK(16), 1024, 3, 1),
    "middle batchtopk": (8192, 384, 512, BatchTopK(16), 1024, 3, 1),
    "large topk": (16384, 384, 3072, TopK(24), 1024, 3, 2),
}


def epoch(name: str, scale: float) -> list[dict]:
    """Seconds of epochs as a fit takes them, with what is measured between them, against the
    steps of a dense autograd loop that measures nothing."""
    n, d, m, codes, size, epochs, bar = EPOCHS[name]
    if scale < 1:
        n, d, m, codes, size, epochs = 64, 16, 8, ReLU() if codes == ReLU() else TopK(2), 32, 1
    k = codes.sparsity or 0
    case = Case(d, m, k or m // 8, size, steps=1, repeats=1, bar=bar)
    D, start = mixture(case)
    D = D.repeat(-(-n // len(D)), 1)[:n] / D.square().mean().sqrt()
    rate = LEARNING_RATE

    def ours() -> float:
        module = Autoencoder(Problem(Parts(), codes, Layer()), start, start)
        rates = Settings(0.0, epochs, size, rate * d**0.5)  # relative to the weights
        return float(train(module, D, [np.random.RandomState(0)], rates).last["objective"])

    def dense() -> float:
        encoder, decoder = (torch.nn.Parameter(start.clone()) for _ in range(2))
        optimiser = torch.optim.Adam([decoder, encoder], lr=rate, fused=True)
        for _ in range(epochs):
            for rows in torch.randperm(n).split(size):
                optimiser.zero_grad()
                batch = D[rows]
                H = selected(linear(batch, encoder), k, codes.from_batch)
                loss = squared_error(H @ decoder, batch)
                loss.backward()
                optimiser.step()
        return loss.item()

    ours()
    dense()
    own, peer = race(5 if scale >= 1 else 1, ours, dense)
    return [
        row(
            f"sae epoch {name}",
            own,
            peer,
            bar=("ratio", "≥", bar),
            precision="float32",
            shape=[size, d, m],
            k=k,
            samples=n,
        )
    ]


def planted(n: int, d: int, m: int, k: int, signed: bool, seed: int) -> tuple:
    """Samples of k of m parts, more than there are features, with noise; and the parts."""
    rng = np.random.RandomState(seed)
    if signed:
        X = rng.standard_normal((m, d))
    else:
        X = rng.exponential(size=(m, d)) * (rng.uniform(size=(m, d)) < 0.2)
        X[np.arange(m), rng.randint(d, size=m)] += 0.5
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    chosen = rng.uniform(size=(n, m)).argpartition(k, axis=1)[:, :k]
    H = np.zeros((n, m))
    np.put_along_axis(H, chosen, 0.2 + rng.exponential(size=(n, k)), axis=1)
    D = H @ X
    D += 0.05 * D.std() * rng.standard_normal(D.shape)
    return (D / np.sqrt(np.square(D).mean())).astype("float32"), X


#: The recipe's rate that ends lowest of 0.001, 0.002, 0.004 and 0.008, for signed parts and others.
TUNED = {True: 0.008, False: 0.004}


def recipe(D: np.ndarray, m: int, k: int, epochs: int, rate: float, seed: int) -> tuple:
    """Encoder and parts of norm 1 by dense Adam, AuxK for what was idle for an epoch, and a step
    that rises for a twentieth and falls over the last fifth (Gao et al. 2024)."""
    generator, samples = torch.Generator().manual_seed(seed), torch.tensor(D)
    (n, d), size = D.shape, 256
    start = torch.randn(m, d, generator=generator)
    start /= start.norm(dim=1, keepdim=True)
    U, P = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimiser = torch.optim.Adam([P, U], lr=rate, fused=True)
    steps, done, since = epochs * -(-n // size), 0, torch.zeros(m)
    for _ in range(epochs):
        for rows in torch.randperm(n, generator=generator).split(size):
            share = min(1, (done + 1) / (0.05 * steps), (steps - done) / (0.2 * steps))
            optimiser.param_groups[0]["lr"] = rate * share
            done += 1
            optimiser.zero_grad()
            batch = samples[rows]
            Z = linear(batch, U)
            values, where = Z.topk(k, sorted=False)
            H = torch.zeros_like(Z).scatter(1, where, values.relu())
            residual = batch - H @ P
            loss = residual.square().sum(dim=1).mean()
            since = torch.where((H > 0).any(dim=0), 0, since + len(rows))
            idle = since >= n
            if idle.any():
                drive = torch.where(idle, Z, 0).relu()
                values, where = drive.topk(min(d // 2, int(idle.sum())), sorted=False)
                H = torch.zeros_like(Z).scatter(1, where, values)
                loss = loss + (residual.detach() - H @ P).square().sum(dim=1).mean() / 32
            loss.backward()
            with torch.no_grad():
                P.grad -= (P.grad * P).sum(dim=1, keepdim=True) * P
                optimiser.step()
                P /= P.norm(dim=1, keepdim=True)
    return U.detach().numpy(), P.detach().numpy()


def overcomplete(m: int, signed: bool, scale: float) -> list[dict]:
    """What the defaults of Adam find in at most the time of a tuned recipe: medians over seeds of
    the squared error, a part of that of zero codes, and of the matched cosine."""
    n, d, k, seeds, epochs = (16000, 64, 4, 3, (30, 20)) if scale >= 1 else (300, 8, 2, 1, (2, 2))
    m = m if scale >= 1 else 16
    found: list[list[tuple[Run, float, float]]] = [[], []]
    for seed in range(seeds):
        D, X = planted(n, d, m, k, signed, seed)

        def ours(D=D, seed=seed) -> tuple:
            sae = SAE(m, activation=TopK(k), solver="adam", max_epochs=epochs[0], random_state=seed)
            sae.fit(D)
            return sae.encoder_, sae.components_

        def peer(D=D, seed=seed) -> tuple:
            return recipe(D, m, k, epochs[1], TUNED[signed], seed)

        for kept, fit in zip(found, (ours, peer), strict=True):
            run = timed(fit)
            U, P = run.result
            H = TopK(k)(torch.tensor(D @ U.T)).numpy()
            cosines = P @ X.T / np.maximum(np.linalg.norm(P, axis=1, keepdims=True), 1e-12)
            pairs = linear_sum_assignment(-cosines)
            loss = float(np.square(D - H @ P).sum() / np.square(D).sum())
            kept.append((run, loss, float(cosines[pairs].mean())))
    (own, *reached), (other, *peers) = (
        (
            Run(median(run.cpu for run, *_ in kept), median(run.wall for run, *_ in kept)),
            median(loss for _, loss, _ in kept),
            median(cosine for *_, cosine in kept),
        )
        for kept in found
    )
    return [
        row(
            f"sae overcomplete {'signed' if signed else 'nonnegative'} {m}",
            own,
            other,
            bar=("loss_ratio", "≤", 1),
            precision="float32",
            shape=[n, d, m],
            k=k,
            objective=reached[0],
            peer_objective=peers[0],
            loss_ratio=reached[0] / peers[0],
            cosine=reached[1],
            peer_cosine=peers[1],
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
    **{f"sae epoch {name}": partial(epoch, name) for name in EPOCHS},
    **{
        f"sae overcomplete {'signed' if signed else 'nonnegative'} {m}": partial(
            overcomplete, m, signed
        )
        for signed, m in product((True, False), (128, 256))
    },
    **{f"sae peers {name}": partial(peers, name) for name in CASES},
}
