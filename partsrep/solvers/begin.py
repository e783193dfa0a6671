"""Where an autoencoder's training begins."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..choices.codes import ReLU, TopK
from ..choices.inference import Layer
from ..choices.objective import Objective
from ..choices.problem import Problem
from ..choices.units import Unit
from ..leastsquares import exact_nnls, linear_encoder
from ..threads import one_where_more_do_not_pay
from ..validation import check_weights
from . import Settings, Weights, adam, alternating, hals, projection, starts

# A start is the best of so many on so many samples, as far as they have so many codes together.
STARTS, ENOUGH, CODES = 8, 8192, 2**23
NEAR_ENOUGH = Settings(tol=1e-3, max_iter=1000)  # of NMFs to begin from
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
    U = check_weights(start[0], "start's U", D.dtype, (m, D.shape[1]))
    X = check_weights(start[1], "start's X", D.dtype, (D.shape[1], m))
    return Weights(X.T / unit.parts, U * unit.parts)


def fitted(start: Any, D: Any, m: int, problem: Problem, unit: Unit) -> Weights:
    """The parts of a fitted model, with its encoder or the one nearest to its codes."""
    X = check_weights(start.components_.T / unit.parts, "start's X", D.dtype, (D.shape[1], m))
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
    D: Any, m: int, problem: Problem, rng: np.random.RandomState, settings: Settings, init: str
) -> Weights:
    """The best of a few solutions without penalties but ridges, where that is possible."""
    kindred, seen = relaxed(problem), some_of(D, rng, ENOUGH)
    if kindred is not None and projection.solves(kindred) and projection.fits(seen.shape, m):
        number = max(1, min(STARTS, CODES // (m * len(seen))))
        number = 1 if projection.is_principal(problem) else number
        if init == "nmf":
            components, codes = nmfs(seen, m, kindred, rng, number)
        else:
            components = np.stack([starts.samples(seen, m, rng) for _ in range(number)])
            codes = None
        return projection.search(seen, components, codes, kindred, settings.tol)
    if init == "nmf":
        return encoded(nmfs(seen, m, problem, rng, 1)[0][0], seen, problem)
    if kindred is None or not alternating.solves(kindred):
        return fresh(D, m, problem, rng)
    begun = (fresh(D, m, problem, rng).components for _ in range(STARTS))
    found = [alternating.descend(seen, components, kindred, settings) for components in begun]
    return min(found, key=lambda run: run[1].arrays()["objective"].min())[0]


def nmfs(
    D: np.ndarray, m: int, problem: Problem, rng: np.random.RandomState, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Parts (s, m, d) and codes (s, m, n) of NMFs from random starts, with the problem's parts."""
    nmf = Problem(parts=problem.parts.with_offset(False))
    begun = [starts.begin(D, m, nmf, "random", rng) for _ in range(number)]
    with one_where_more_do_not_pay(D.size * m):
        found = [factors for factors, _ in hals.solve(D, begun, nmf, NEAR_ENOUGH)]
    parts = np.stack([factors.components for factors in found])
    return parts.astype(D.dtype), np.stack([factors.codes.T for factors in found]).astype(D.dtype)


def relaxed(problem: Problem) -> Problem | None:
    """The problem with one layer and without offset and penalties but ridges, whose solution is a
    good start; None for codes that have no such kin."""
    codes, layer = problem.codes, problem.inference
    if problem.objective.link != "linear" or (codes.dimensionless and codes.nonnegative):
        return None
    if not codes.has_gates:
        codes = ReLU() if codes.sparsity is None else TopK(codes.sparsity)
    return Problem(
        problem.parts.with_offset(False),
        codes,
        Layer(layer.tied, layer.bias, layer.nonnegative, gain=layer.gain),
        Objective(penalties=tuple(p for p in problem.objective.penalties if p.of_paths)),
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
