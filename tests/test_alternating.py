from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from problems import digits, random_matrix, seeds

from partsrep import JumpReLU, TopK, Unrolled
from partsrep.choices.inference import NNLS, Layer
from partsrep.choices.objective import L1, Objective
from partsrep.choices.parts import Parts
from partsrep.choices.problem import Problem
from partsrep.solvers import Settings
from partsrep.solvers.alternating import descend, solves
from partsrep.solvers.optimality import kkt_residual

LAYER = Problem(parts=Parts(nonnegative=True), inference=Layer())


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
    assert solves(LAYER) and solves(replace(LAYER, codes=TopK(2)))
    for change in (
        {"codes": JumpReLU(0.1)},
        {"inference": Unrolled(2)},
        {"inference": NNLS()},
        {"inference": Layer(tied=True)},
        {"parts": Parts(offset=True)},
        {"objective": Objective(penalties=(L1(1.0),))},
    ):
        assert not solves(replace(LAYER, **change))


@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_alternating_returns_the_weights_of_its_best_round(nonnegative, bias):
    D = digits(300)
    problem = Problem(parts=Parts(nonnegative=nonnegative), inference=Layer(bias=bias))
    start = np.random.RandomState(0).uniform(size=(6, D.shape[1]))
    (P, U, b, c), history = descend(D, start, problem, Settings(tol=1e-4, max_iter=100))
    H = np.maximum(D @ U.T + (0 if b is None else b), 0)
    assert np.sum((D - H @ P) ** 2) / len(D) == pytest.approx(history.arrays()["objective"].min())
    assert np.allclose(np.linalg.norm(P, axis=1), 1)
    assert (b is None) == (not bias) and c is None
    assert not nonnegative or P.min() >= 0


def test_a_free_decoder_reaches_the_truncated_svd():
    D = digits(300)
    start = np.random.RandomState(0).uniform(size=(6, D.shape[1]))
    settings = Settings(tol=1e-6, max_iter=300)
    _, history = descend(D, start, Problem(inference=Layer()), settings)
    tail = np.sum(np.linalg.svd(D, compute_uv=False)[6:] ** 2)
    reached = history.arrays()["objective"].min() * len(D)
    assert reached == pytest.approx(tail, rel=1e-2)
    assert reached >= tail * (1 - 1e-9)
