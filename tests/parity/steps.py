"""A step of our peers' own training, beside ours; runs in the environment of `make parity`."""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import beside  # noqa: F401
import torch
from dictionary_learning.trainers.top_k import TopKTrainer
from measure import race, row
from overcomplete.sae import TopKSAE
from sae import BATCHES, CASES, LEARNING_RATE, Case, mixture, shrunk, sparse_step
from sparsify import SparseCoder, SparseCoderConfig


def overcomplete(case: Case) -> Callable:
    model = TopKSAE(case.d, case.m, top_k=case.k)
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def step(D: torch.Tensor) -> None:
        optimiser.zero_grad()
        _, _, D_hat = model(D)
        (D - D_hat).square().mean().backward()
        optimiser.step()

    return step


def dictionary_learning(case: Case) -> Callable:
    trainer = TopKTrainer(
        steps=10**6, activation_dim=case.d, dict_size=case.m, k=case.k, layer=0, lm_name="none",
        lr=LEARNING_RATE, warmup_steps=0, device="cpu",
    )  # fmt: skip
    counted = iter(range(1, 10**6))
    return lambda D: trainer.update(next(counted), D)


def sparsify(case: Case) -> Callable:
    model = SparseCoder(case.d, SparseCoderConfig(num_latents=case.m, k=case.k))
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def step(D: torch.Tensor) -> None:
        optimiser.zero_grad()
        model(D).fvu.backward()
        model.remove_gradient_parallel_to_decoder_directions()
        optimiser.step()
        model.set_decoder_norm_to_unit_norm()

    return step


PEERS = {
    "overcomplete": overcomplete,
    "dictionary_learning": dictionary_learning,
    "sparsify": sparsify,
}


def main(name: str, scale: float) -> None:
    """Print the rows of one case as JSON."""
    torch.set_num_threads(1)
    case = shrunk(CASES[name], scale)
    D, start = mixture(case)
    batches = D.split(case.batch)

    def lap(take: Callable) -> None:
        for i in range(case.steps):
            take(batches[i % BATCHES])

    steps = [sparse_step(case, "topk", start), *(make(case) for make in PEERS.values())]
    for take in steps:
        lap(take)
    ours, *peers = race(max(1, case.repeats // 3), *(partial(lap, take) for take in steps))
    rows = [
        row(
            f"sae step topk {name} and {peer}",
            ours,
            theirs,
            precision="float32",
            shape=[case.batch, case.d, case.m],
            k=case.k,
            steps=case.steps,
        )
        for peer, theirs in zip(PEERS, peers, strict=True)
    ]
    # A peer's import may print.
    Path(sys.argv[3]).write_text(json.dumps(rows))


if __name__ == "__main__":
    torch.manual_seed(0)
    main(sys.argv[1], float(sys.argv[2]))
