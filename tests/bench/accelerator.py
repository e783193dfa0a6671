"""A step of TopK autoencoders on an accelerator: ours, a dense autograd step and our peers' steps.

    python tests/bench/accelerator.py OUT.json [--seconds 300] [--small] [--device cuda]

Runs unattended, and writes OUT.json anew after each stage: what fails or does not import is a
reason in the record, and the rest goes on.

* "steps": for each precision the steps take turns, and tokens per second are medians over laps;
  peak memory is that of weights, moments and one step's arrays, the data not counted.
* "gradients": how far our two ways are from autograd's gradients in double precision.
* "waits": where a step of ours lets the host wait for the device.
* "epochs": our training loop with its evaluation.
* "fits": whole fits on the device beside the same on the CPU.
"""

import argparse
import json
import platform
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.nn.functional import linear

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS / "parity")]

LEARNING_RATE = 1e-3
BATCHES = 4
WARM_UP = 5  # steps
LAPS = 25


@dataclass(frozen=True)
class Case:
    """Features, parts, active codes a sample, samples a batch, steps a lap."""

    d: int
    m: int
    k: int
    batch: int
    steps: int


LARGE = Case(768, 16384, 32, 4096, steps=4)
SMALL = Case(32, 256, 4, 64, steps=1)


#: What torch calls them; in bfloat16 products alone are so, by autocast.
PRECISIONS = {"bfloat16": "highest", "float32": "highest", "tf32": "high"}


def main() -> None:
    arguments = read_arguments()
    device = torch.device(arguments.device)
    case = SMALL if arguments.small else LARGE
    laps = 2 if arguments.small else LAPS
    deadline = time.monotonic() + arguments.seconds
    record: dict[str, Any] = {"machine": machine(device), "case": asdict(case)}
    stages: dict[str, Callable[[float], Any]] = {
        "gradients": lambda end: gradients(device),
        "steps": lambda end: {
            precision: steps(case, precision, device, laps, started(end, i))
            for i, precision in enumerate(PRECISIONS)
        },
        "waits": lambda end: waits(case, device),
        "epochs": lambda end: epochs(case, device),
        "fits": lambda end: fits(device, end),
    }

    def started(end: float, i: int) -> float:
        """When the precision so numbered has to end, for all to get their part."""
        now = time.monotonic()
        return now + max(0.0, end - now) / (len(PRECISIONS) - i)

    for name, stage in stages.items():
        began = time.monotonic()
        # The last stages take seconds; they keep a quarter of the time.
        end = deadline if name == "fits" else deadline - arguments.seconds / 4
        record[name] = attempt(lambda stage=stage, end=end: stage(end))
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT.json")
    parser.add_argument("--seconds", type=float, default=300, help="after which no lap begins")
    parser.add_argument("--small", action="store_true", help="small sizes, for a test on the CPU")
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=default)
    return parser.parse_args()


def attempt(run: Callable[[], Any]) -> Any:
    """What a run returns, or why it does not."""
    try:
        return run()
    except Exception as error:  # the record says which
        last = traceback.format_exc().strip().splitlines()[-8:]
        return {"failed": f"{type(error).__name__}: {error}"[:500], "traceback": last}


def machine(device: torch.device) -> dict:
    found = {"device": platform.processor() or platform.machine(), "torch": torch.__version__}
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        found |= {
            "device": torch.cuda.get_device_name(device),
            "capability": ".".join(map(str, capability)),
            "cuda": torch.version.cuda,
            "memory": torch.cuda.get_device_properties(device).total_memory,
        }
    return found | {"python": platform.python_version(), "threads": torch.get_num_threads()}


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def half(precision: str, device: torch.device) -> Any:
    """The context of a forward pass."""
    if precision == "bfloat16":
        # Without its cache, which would keep the weights of the first step.
        return torch.autocast(device.type, dtype=torch.bfloat16, cache_enabled=False)
    return nullcontext()


def planted(case: Case, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Batches of sums of k of m directions, in float32, and a start with parts of norm 1."""
    generator = torch.Generator(device).manual_seed(0)
    X, start = (
        torch.nn.functional.normalize(
            torch.randn(case.m, case.d, device=device, generator=generator), dim=1
        )
        for _ in range(2)
    )
    D = torch.zeros(BATCHES * case.batch, case.d, device=device)
    for _ in range(case.k):
        chosen = torch.randint(case.m, (len(D),), device=device, generator=generator)
        size = torch.rand(len(D), 1, device=device, generator=generator)
        D += size * X[chosen]
    return D / D.square().mean().sqrt(), start


# Each maker takes a case, a start, a precision and a device, and returns a step: a function of a
# batch that trains and returns the loss.


def ours(sparse: bool | None) -> Callable:
    """Our step; its products over the selected codes alone, dense, or as it chooses."""

    def make(case: Case, start: torch.Tensor, precision: str, device: torch.device) -> Callable:
        module, optimiser = model(case, start)
        from partsrep.solvers import sparse_step

        def step(D: torch.Tensor) -> torch.Tensor:
            module.zero_grad()
            with half(precision, device):
                loss, _ = sparse_step.layer_loss(module, D, learn=True, sparse=sparse)
            module.project_gradient()
            optimiser.step()
            module.project()
            return loss

        return step

    return make


def model(case: Case, start: torch.Tensor) -> tuple:
    """Our autoencoder and its optimiser, with the peers' rate for both arrays."""
    from partsrep.choices.codes import TopK
    from partsrep.choices.inference import Layer
    from partsrep.choices.parts import Parts
    from partsrep.choices.problem import Problem
    from partsrep.solvers.adam import RelativeAdam
    from partsrep.solvers.autoencoder import Autoencoder

    module = Autoencoder(Problem(Parts(unit=True), TopK(case.k), Layer()), start, start)
    optimiser = RelativeAdam(module, LEARNING_RATE)
    optimiser.rates = [LEARNING_RATE] * len(optimiser.rates)
    optimiser.shorten(torch.ones(()))
    return module, optimiser


def dense(case: Case, start: torch.Tensor, precision: str, device: torch.device) -> Callable:
    """Plain torch with all codes written out, autograd and fused Adam."""
    encoder, decoder = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimiser = torch.optim.Adam([decoder, encoder], lr=LEARNING_RATE, fused=True)

    def step(D: torch.Tensor) -> torch.Tensor:
        optimiser.zero_grad()
        with half(precision, device):
            Z = linear(D, encoder)
            values, where = Z.topk(case.k, sorted=False)
            D_hat = torch.zeros_like(Z).scatter(1, where, values.relu()) @ decoder
        loss = (D_hat - D).square().sum(dim=1).mean()
        loss.backward()
        with torch.no_grad():
            along = (decoder.grad * decoder).sum(dim=1, keepdim=True)
            decoder.grad.addcmul_(decoder, along, value=-1)
            optimiser.step()
            decoder.div_(decoder.norm(dim=1, keepdim=True))
        return loss.detach()

    return step


def overcomplete(case: Case, start: torch.Tensor, precision: str, device: torch.device) -> Callable:
    import beside  # noqa: F401
    from overcomplete.sae import TopKSAE

    peer = TopKSAE(case.d, case.m, top_k=case.k, device=str(device))
    optimiser = torch.optim.Adam(peer.parameters(), lr=LEARNING_RATE)

    def step(D: torch.Tensor) -> torch.Tensor:
        optimiser.zero_grad()
        with half(precision, device):
            D_hat = peer(D)[2]
            loss = (D - D_hat).square().mean()
        loss.backward()
        optimiser.step()
        return loss.detach()

    return step


def dictionary_learning(
    case: Case, start: torch.Tensor, precision: str, device: torch.device
) -> Callable:
    import beside  # noqa: F401
    from dictionary_learning.trainers.top_k import TopKTrainer

    trainer = TopKTrainer(
        steps=10**6, activation_dim=case.d, dict_size=case.m, k=case.k, layer=0, lm_name="none",
        lr=LEARNING_RATE, warmup_steps=0, device=str(device),
    )  # fmt: skip
    counted = iter(range(1, 10**6))

    def step(D: torch.Tensor) -> torch.Tensor:
        with half(precision, device):
            return torch.tensor(trainer.update(next(counted), D))

    return step


def saelens(case: Case, start: torch.Tensor, precision: str, device: torch.device) -> Callable:
    from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.saes.sae import TrainStepInput

    peer = TopKTrainingSAE(
        TopKTrainingSAEConfig(
            d_in=case.d, d_sae=case.m, k=case.k, device=str(device), dtype="float32",
            use_sparse_activations=False,  # they have no views on a GPU (torch 2.11)
        )
    )  # fmt: skip
    optimiser = torch.optim.Adam(peer.parameters(), lr=LEARNING_RATE)
    alive = torch.zeros(case.m, dtype=torch.bool, device=device)

    def step(D: torch.Tensor) -> torch.Tensor:
        with half(precision, device):
            loss = peer.training_forward_pass(
                TrainStepInput(
                    sae_in=D, coefficients={}, dead_neuron_mask=alive, n_training_steps=0,
                    is_logging_step=False,
                )
            ).loss  # fmt: skip
        loss.backward()
        torch.nn.utils.clip_grad_norm_(peer.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        return loss.detach()

    return step


MAKERS: dict[str, Callable] = {
    "ours": ours(None),
    "ours, selected codes": ours(True),
    "ours, dense": ours(False),
    "dense autograd": dense,
    "overcomplete": overcomplete,
    "dictionary_learning": dictionary_learning,
    "sae_lens": saelens,
}


def steps(case: Case, precision: str, device: torch.device, laps: int, end: float) -> dict:
    """Tokens per second and peak memory of each step in one precision."""
    torch.set_float32_matmul_precision(PRECISIONS[precision])
    D, start = planted(case, device)
    batches = D.split(case.batch)
    found: dict[str, dict] = {}
    ready: dict[str, Callable] = {}
    for name, make in MAKERS.items():

        def begin(make: Callable = make) -> tuple[Callable, dict]:
            wait(device)
            before = 0
            if device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(device)
                before = torch.cuda.memory_allocated(device)
            step = make(case, start, precision, device)
            losses = [float(step(batches[i % BATCHES])) for i in range(WARM_UP)]
            wait(device)
            used = {"losses": losses}
            if device.type == "cuda":
                used["peak_memory"] = torch.cuda.max_memory_allocated(device) - before
            return step, used

        begun = attempt(begin)
        if isinstance(begun, dict):
            found[name] = begun
        else:
            ready[name], found[name] = begun
    taken: dict[str, list[float]] = {name: [] for name in ready}
    for lap in range(laps):
        if lap and time.monotonic() > end:
            break
        for name, step in ready.items():
            wait(device)
            began = time.perf_counter()
            for i in range(case.steps):
                step(batches[(lap * case.steps + i) % BATCHES])
            wait(device)
            taken[name].append((time.perf_counter() - began) / case.steps)
    for name, seconds in taken.items():
        typical = median(seconds)
        found[name] |= {
            "laps": len(seconds),
            "steps": len(seconds) * case.steps,
            "seconds": typical,
            "least": min(seconds),
            "tokens_per_second": case.batch / typical,
        }
        print(f"{precision:9} {name:22} {case.batch / typical:12.0f} tokens/s", flush=True)
    return found


def gradients(device: torch.device) -> dict:
    """The norm of the difference to autograd's gradients in double precision, of their norm.

    Products in bfloat16 select other codes here and there.
    """
    case = Case(64, 512, 4, 256, steps=1)
    torch.set_float32_matmul_precision("highest")
    D, start = planted(case, device)
    D = D[: case.batch]
    encoder, decoder = (start.double().requires_grad_() for _ in range(2))
    Z = D.double() @ encoder.T
    values, where = Z.topk(case.k)
    D_hat = torch.zeros_like(Z).scatter(1, where, values.relu()) @ decoder
    (D_hat - D).square().sum(dim=1).mean().backward()

    def difference(sparse: bool, precision: str) -> float:
        from partsrep.solvers.sparse_step import layer_loss

        module, _ = model(case, start)
        with half(precision, device):
            layer_loss(module, D, learn=True, sparse=sparse)
        pairs = ((module.encoder, encoder), (module.dictionary, decoder))
        return max(
            float((own.grad - other.grad).norm() / other.grad.norm()) for own, other in pairs
        )

    return {
        f"{precision}, {'selected codes' if sparse else 'dense'}": attempt(
            lambda sparse=sparse, precision=precision: difference(sparse, precision)
        )
        for precision in ("float32", "bfloat16")
        for sparse in (True, False)
    }


def waits(case: Case, device: torch.device) -> Any:
    """For each way of ours the lines at which torch warns that the host waits."""
    if device.type != "cuda":
        return "only a GPU lets the host run ahead"
    D, start = planted(case, device)

    def warned(sparse: bool | None) -> list[str]:
        step = ours(sparse)(case, start, "float32", device)
        step(D[: case.batch])
        wait(device)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                step(D[: case.batch])
            finally:
                torch.cuda.set_sync_debug_mode("default")
        return [f"{Path(w.filename).name}:{w.lineno} {w.message}"[:200] for w in caught]

    return {str(way): attempt(lambda way=way: warned(way)) for way in (None, True, False)}


def epochs(case: Case, device: torch.device) -> dict:
    """Tokens per second of three epochs of our training loop, with what it evaluates."""
    from partsrep.solvers import Settings
    from partsrep.solvers.adam import train

    D, start = planted(case, device)

    def run(precision: str) -> dict:
        torch.set_float32_matmul_precision(PRECISIONS[precision])
        module, _ = model(case, start)
        settings = Settings(0.0, 3, case.batch, LEARNING_RATE * case.d**0.5)

        def go() -> Any:
            with half(precision, device):
                return train(module, D, [np.random.RandomState(0)], settings)

        go()
        wait(device)
        began = time.perf_counter()
        history = go()
        wait(device)
        seconds = time.perf_counter() - began
        return {
            "tokens_per_second": 3 * len(D) / seconds,
            "objective": [float(value) for value in history.arrays()["objective"]],
            "alive": int(history.last["alive"]),
        }

    return {precision: attempt(lambda p=precision: run(p)) for precision in PRECISIONS}


def fits(device: torch.device, end: float) -> dict:
    """Squared errors of whole fits on the device, a part of those on the CPU."""
    from partsrep import (
        KL,
        L1,
        SAE,
        BatchTopK,
        FeatureChoice,
        Gaussian,
        JumpReLU,
        PriorKL,
        TopK,
    )
    from partsrep.estimators.base import fit_all

    torch.set_float32_matmul_precision("highest")
    D = planted(Case(32, 24, 3, 128, steps=1), torch.device("cpu"))[0].numpy()
    D = np.abs(D)
    choices: dict[str, list[dict]] = {
        "relu": [{}],
        "nonnegative decoder, biases": [{"decoder": "nonnegative", "bias": "both"}],
        "topk": [{"activation": TopK(3)}],
        "topk, two starts": [{"activation": TopK(3), "n_init": 2}],
        "topk, a stack": [{"activation": TopK(2)}, {"activation": TopK(3)}],
        "batchtopk": [{"activation": BatchTopK(3)}],
        "featurechoice": [{"activation": FeatureChoice(3)}],
        "jumprelu": [{"activation": JumpReLU(0.1)}],
        "learned thresholds": [{"activation": JumpReLU(0.1, bandwidth=0.1)}],
        "l1": [{"penalty": L1(0.1)}],
        "l1, a stack": [{"penalty": L1(0.1)}, {"penalty": L1(0.2)}],
        "kl": [{"activation": "logistic", "penalty": KL(0.1)}],
        "gaussian": [{"activation": Gaussian(), "penalty": PriorKL(0.1)}],
        "float32": [{"activation": TopK(3), "dtype": "float32"}],
        "l-bfgs": [{"solver": "lbfgs"}],
    }

    def fit(chosen: list[dict], place: Any) -> list[SAE]:
        given = {"solver": "adam", "max_epochs": 5, "batch_size": 64, "random_state": 0}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fit_all([SAE(24, device=place, **given | own) for own in chosen], D)

    def ratio(chosen: list[dict]) -> list[float]:
        pairs = zip(fit(chosen, device), fit(chosen, "cpu"), strict=True)
        return [float(own.loss_ / other.loss_) for own, other in pairs]

    found = {}
    for name, chosen in choices.items():
        late = time.monotonic() > end
        found[name] = "no time left" if late else attempt(lambda chosen=chosen: ratio(chosen))
    return found


if __name__ == "__main__":
    main()
