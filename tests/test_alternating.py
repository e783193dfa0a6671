from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from problems import digits, random_matrix, seeds

from partsrep import TopK
from partsrep.alternating import alternating_autoencoder, hals, solves
from partsrep.inference import NNLS, Layer
from partsrep.objective import L1, Objective
from partsrep.parts import Parts
from partsrep.problem import Problem, kkt_residual
from partsrep.starts import random

LAYER = Problem(parts=Parts(nonnegative=True), inference=Layer())


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_hals_never_raises_the_loss_and_its_residual_goes_to_zero(seed):
    D = random_matrix(seed, 12, 9)
    H, components = random(D, 3, np.random.RandomState(seed))
    kept = H.copy(), components.copy()
    _, history = hals(D, H, components, tol=1e-6, max_iter=20_000)
    assert np.all(np.diff(history["objective"]) <= 1e-10 * history["objective"][0])
    assert history["residual"][-1] <= 1e-6
    assert np.array_equal(H, kept[0]) and np.array_equal(components, kept[1])


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_hals_is_equivariant_to_scale_and_to_the_order_of_samples(seed):
    D = random_matrix(seed, 12, 9)
    H, components = random(D, 3, np.random.RandomState(seed))
    order = np.random.RandomState(seed).permutation(12)
    parts, _ = hals(D, H, components, tol=0, max_iter=20)
    scaled, _ = hals(1e6 * D, 1e3 * H, 1e3 * components, tol=0, max_iter=20)
    shuffled, _ = hals(D[order], H[order], components, tol=0, max_iter=20)
    assert np.allclose(scaled, 1e3 * parts, rtol=1e-6, atol=1e-6 * scaled.max())
    assert np.allclose(shuffled, parts, rtol=1e-6, atol=1e-6 * parts.max())


def test_a_part_that_starts_at_zero_comes_back():
    D = random_matrix(0, 20, 9, zeros=0)
    H, components = random(D, 3, np.random.RandomState(0))
    components[1] = 0
    parts, _ = hals(D, H, components, tol=1e-4, max_iter=500)
    assert parts[1].any()


@given(seeds)
def test_residual_is_the_violation_of_the_optimality_conditions(seed):
    D, H, P = (
        random_matrix(seed, 8, 6),
        random_matrix(seed + 1, 8, 2),
        random_matrix(seed + 2, 2, 6),
    )
    H, P = H + 0.1, P + 0.1  # interior: the projected gradient is the gradient
    scales = np.array([3.0, 0.2])
    R = H @ P - D
    M = R @ P.T / np.linalg.norm(P, axis=1)
    N = (H / np.linalg.norm(H, axis=0)).T @ R
    expected = np.hypot(np.linalg.norm(M), np.linalg.norm(N)) / np.linalg.norm(D)
    assert kkt_residual(D, H, P) == pytest.approx(expected)
    assert kkt_residual(7 * D, 7 * H * scales, P / scales[:, None]) == pytest.approx(expected)


def test_solves_says_which_problems_it_takes():
    assert solves(LAYER)
    for change in (
        {"codes": TopK(2)},
        {"inference": NNLS()},
        {"inference": Layer(tied=True)},
        {"parts": Parts(offset=True)},
        {"objective": Objective((L1(1.0),))},
    ):
        assert not solves(replace(LAYER, **change))


@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_alternating_returns_the_weights_of_its_best_round(nonnegative, bias):
    D = digits(300)
    problem = Problem(parts=Parts(nonnegative=nonnegative), inference=Layer(bias=bias))
    start = np.random.RandomState(0).uniform(size=(6, D.shape[1]))
    P, U, b, history = alternating_autoencoder(D, start, problem, tol=1e-4, max_rounds=100)
    H = np.maximum(D @ U.T + (0 if b is None else b), 0)
    assert np.sum((D - H @ P) ** 2) / len(D) == pytest.approx(history["objective"].min())
    assert np.allclose(np.linalg.norm(P, axis=1), 1)
    assert (b is None) == (not bias)
    assert not nonnegative or P.min() >= 0


def test_a_free_decoder_reaches_the_truncated_svd():
    D = digits(300)
    start = np.random.RandomState(0).uniform(size=(6, D.shape[1]))
    *_, history = alternating_autoencoder(
        D, start, Problem(inference=Layer()), tol=1e-6, max_rounds=300
    )
    tail = np.sum(np.linalg.svd(D, compute_uv=False)[6:] ** 2)
    assert history["objective"].min() * len(D) == pytest.approx(tail, rel=1e-2)
    assert history["objective"].min() * len(D) >= tail * (1 - 1e-9)
