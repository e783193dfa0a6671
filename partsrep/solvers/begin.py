"""Where an autoencoder's training begins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..choices.codes import ReLU, TopK
from ..choices.inference import NNLS, Layer
from ..choices.objective import Objective
from ..choices.problem import Problem
from ..choices.units import Unit
from ..leastsquares import exact_nnls, linear_encoder
from ..threads import one_where_more_do_not_pay
from ..validation import check_factor
from . import Settings, Weights, adam, alternating, hals, starts
from .autoencoder import Autoencoder

# What a start is chosen on: so many samples; of so many starts the one that leads farthest by least
# squares in turn and, where codes are selected, by so many epochs.
ENOUGH, STARTS, TRIAL = 8192, 6, 120
NEAR_ENOUGH = Settings(tol=1e-3, max_iter=1000)  # of the NMFs among them
# Autoencoders that train as one stack have at most so many weights and codes of a batch together.
STACK = 2**23


def fresh(D: Any, m: int, problem: Problem, rng: np.random.RandomState) -> Weights:
    """Random weights: of a logistic layer small ones, else thinned samples."""
    if problem.objective.link != "linear" or (
        problem.codes.dimensionless and problem.codes.nonnegative
    ):
        return Weights(*starts.small(D, m, rng))
    components = starts.samples(D, m, rng)
    return Weights(components, components.copy())


def given(start: tuple, D: Any, m: int, unit: Unit) -> Weights:
    """U and X as they were given."""
    U = check_factor(start[0], "U", (m, D.shape[1]), D.dtype)
    X = check_factor(start[1], "X", (D.shape[1], m), D.dtype)
    return Weights(X.T / unit.parts, U * unit.parts)


def fitted(start: Any, D: Any, m: int, problem: Problem, unit: Unit) -> Weights:
    """The parts of a fitted model, with its encoder or the one nearest to its codes."""
    X = check_factor(start.components_.T / unit.parts, "X", (D.shape[1], m), D.dtype)
    if not hasattr(start, "encoder_"):
        return encoded(X.T, D, problem)
    components = problem.parts.project(X.T.copy())
    if not problem.inference.has_encoder:
        return Weights(components, components)
    learned = (
        (start.encoder_, unit.parts),
        (start.bias_, 1 / unit.codes),
        (start.decoder_bias_, 1 / unit.data),
    )
    U, b, c = (None if w is None else (w * factor).astype(D.dtype) for w, factor in learned)
    if problem.parts.unit and problem.codes.homogeneous:
        # The norms that the parts lose go to their codes.
        norms = np.linalg.norm(X, axis=0)
        U, b = U * norms[:, None], None if b is None else b * norms
    return Weights(components, U, b, c)


def encoded(components: np.ndarray, D: Any, problem: Problem) -> Weights:
    """Parts with the encoder nearest to their best codes."""
    components = problem.parts.project(components.copy())
    if not problem.inference.has_encoder:
        return Weights(components, components)
    some = some_of(D, np.random.RandomState(0), adam.ROWS)
    k = problem.codes.sparsity
    H = exact_nnls(some, components) if k is None else TopK(k).infer(some, components)
    U, b = linear_encoder(some, problem.inference.bias)(H.T)
    movable = problem.codes.homogeneous and alternating.has_norms_to_move(problem.parts)
    if movable and not problem.objective.terms("parts"):  # else their norms are what they cost
        components, U, b = alternating.with_unit_norm(components, U, b)
    return Weights(components, U, b)


def searched(
    D: Any, m: int, problem: Problem, rng: np.random.RandomState, settings: Settings
) -> Weights:
    """The best of a few solutions without penalties by least squares in turn, where that is
    possible; where codes are selected the best, after some epochs, of these, of NMFs and of thinned
    samples."""
    begin, kindred = fresh(D, m, problem, rng), relaxed(problem)
    if not alternating.solves(kindred):
        return begin
    seen = some_of(D, rng, ENOUGH)
    found = []
    for _ in range(STARTS):
        found.append(alternating.descend(seen, begin.components, kindred, settings))
        begin = fresh(D, m, problem, rng)
    found.sort(key=lambda run: run[1].arrays()["objective"].min())
    if problem.codes.sparsity is None or problem.parts.of_samples:
        return found[0][0]
    third = STARTS // 3
    candidates = [weights for weights, _ in found[:third]]
    nmf = replace(kindred, inference=NNLS())
    for _ in range(third):
        begun = starts.begin(seen, m, nmf, "random", rng)
        with one_where_more_do_not_pay(seen.size * m):
            [(factors, _)] = hals.solve(seen, [begun], nmf, NEAR_ENOUGH)
        candidates.append(encoded(factors.components.astype(seen.dtype), seen, problem))
    candidates += [fresh(D, m, problem, rng) for _ in range(third)]
    return best_of(candidates, seen, problem, rng, settings)


def best_of(
    candidates: list[Weights],
    D: np.ndarray,
    problem: Problem,
    rng: np.random.RandomState,
    settings: Settings,
) -> Weights:
    """The candidate that leads farthest in a few epochs, and how far."""
    m, d = candidates[0].components.shape
    candidates = candidates[: max(1, STACK // (m * (d + settings.batch_size)))]
    components, *others = together(candidates)
    module = Autoencoder(problem, torch.tensor(components), *map(tensor, others))
    samples = torch.as_tensor(D)
    module.scale_to(samples)
    module.make_kl_finite(samples)
    trial = replace(settings, learning_rate=0.03, max_iter=min(TRIAL, settings.max_iter))
    rngs = [np.random.RandomState(rng.randint(2**31)) for _ in candidates]
    adam.train(module, samples, rngs, trial)
    best = module.member(int(adam.evaluate(module, samples).argmin()), problem)
    return Weights._make(map(array, (best.dictionary, best.encoder, best.bias, best.offset)))


def relaxed(problem: Problem) -> Problem:
    """The problem with one layer of ReLU and without offset and penalties, whose solution is a good
    start."""
    parts, layer = problem.parts, problem.inference
    return replace(
        problem,
        parts=parts.with_offset(False),
        codes=ReLU(),
        inference=Layer(layer.tied, layer.bias, layer.nonnegative, gain=layer.gain),
        objective=Objective(),
    )


def some_of(D: Any, rng: np.random.RandomState, limit: int) -> np.ndarray:
    """So many samples at most, in memory."""
    if len(D) <= limit:
        return np.asarray(D[:])
    return np.asarray(D[np.sort(rng.choice(len(D), limit, replace=False))])


def together(weights: list[Weights]) -> Weights:
    """One array for each kind of weights, of one autoencoder or of several; no bias is one of 0."""
    if len(weights) == 1:
        return weights[0]
    stacked = []
    for kind in zip(*weights, strict=True):
        own = [array for array in kind if array is not None]
        full = [np.zeros_like(own[0]) if array is None else array for array in kind if own]
        stacked.append(np.stack(full) if own else None)
    return Weights._make(stacked)


def tensor(weights: np.ndarray | None) -> torch.Tensor | None:
    return None if weights is None else torch.tensor(weights)


def array(weights: torch.Tensor | None) -> np.ndarray | None:
    return None if weights is None else weights.detach().numpy().copy()
