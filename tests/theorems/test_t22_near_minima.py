"""T22: where an exact NMF is rigid, an autoencoder has a minimum near it, unique or not."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from problems import seeds
from scipy.optimize import linprog, minimize

from partsrep.leastsquares import exact_nnls
from partsrep.study.matching import match, unit_rows

TURN = np.pi / 3 * np.arange(6)
CORNERS, BETWEEN = (np.column_stack([np.cos(a), np.sin(a)]) for a in (TURN, TURN + np.pi / 6))
# A star of two triangles: samples at the corners of its inner hexagon, six distances each.
STAR = np.vstack([size * (0.75**0.5 - BETWEEN @ BETWEEN.T / 3**0.5) for size in (0.7, 1, 1.3)])
SIDES = np.maximum((0.75**0.5 - CORNERS @ BETWEEN.T).round(14), 0)
TRIANGLES = [unit_rows(SIDES[first::2]) for first in (0, 1)]


def codes(P):
    return np.maximum((STAR @ np.linalg.pinv(P)).round(14), 0)


def fitted(D, P):
    """An autoencoder from X⁺ and P, by L-BFGS on inputs of one size; parts of norm 1, loss."""
    inputs, size, _ = np.linalg.svd(D, full_matrices=False)
    k, m = len(size), len(P)
    start = [(inputs.T @ D @ np.linalg.pinv(P)).ravel(), P.ravel()]

    def value(flat):
        Z, X = inputs @ flat[: k * m].reshape(k, m), flat[k * m :].reshape(P.shape)
        rest = Z.clip(min=0) @ X - D
        slope = [(inputs.T @ (rest @ X.T * (Z > 0))).ravel(), (Z.clip(min=0).T @ rest).ravel()]
        return np.sum(rest**2), 2 * np.concatenate(slope)

    bounds = [(None, None)] * (k * m) + [(0, None)] * P.size
    options = {"maxiter": 5000, "maxfun": 10**5, "ftol": 1e-16, "gtol": 1e-13}
    found = minimize(
        value, np.concatenate(start), jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    return unit_rows(found.x[k * m :].reshape(P.shape)), found.fun


@pytest.mark.parametrize("P", TRIANGLES)
def test_t22_the_star_has_two_rigid_exact_nmfs(P):
    H = codes(P)
    assert np.allclose(H @ P, STAR)
    assert match(*TRIANGLES).mcc < 0.9
    # All changes with the same product are Y = X B and W = −H Bᵀ: none off the diagonal is allowed.
    m = len(P)
    rows = [-np.kron(x, row) for j, row in enumerate(np.eye(m)) for x in P.T[P[j] == 0]]
    rows += [np.kron(row, h) for j, row in enumerate(np.eye(m)) for h in H[H[:, j] == 0]]
    # B as a vector (k, j): the first ask (X B)_pj ≥ 0, the second (H Bᵀ)_ij ≤ 0.
    for k, j in permutations(range(m), 2):
        for sign in (1, -1):
            goal = np.zeros((m, m))
            goal[k, j] = sign
            most = linprog(-goal.ravel(), np.array(rows), np.zeros(len(rows)), bounds=(-1, 1))
            assert -most.fun < 1e-9


@settings(max_examples=8, deadline=None)
@given(seeds)
def test_t22_an_autoencoder_has_a_minimum_near_each_of_them(seed):
    noise = np.random.RandomState(seed).standard_normal(STAR.shape)
    for s in (1e-3, 1e-2):
        for P, other in (TRIANGLES, TRIANGLES[::-1]):
            found, _ = fitted(STAR + s * noise, P)
            assert np.linalg.norm(found - P) < 5 * s
            assert match(found, other).mcc < 0.9


@settings(max_examples=8, deadline=None)
@given(seeds)
def test_t22_a_higher_sphere_holds_a_minimum(seed):
    """The first part: exact codes on a sphere lose more than X⁺ does in its centre."""
    rng = np.random.RandomState(seed)
    s, r = 1e-3, 0.05
    P = TRIANGLES[0]
    D = STAR + s * rng.standard_normal(STAR.shape)
    centre = np.sum((D - np.maximum(D @ np.linalg.pinv(P), 0) @ P) ** 2)
    lowest = np.inf
    for _ in range(100):
        step = rng.standard_normal(P.shape)
        low, high = 0.0, 1.0
        for _ in range(30):
            middle = (low + high) / 2
            X = unit_rows(np.maximum(P + middle * step, 0))
            low, high = (middle, high) if np.linalg.norm(X - P) < r else (low, middle)
        lowest = min(lowest, np.sum((D - exact_nnls(D, X) @ X) ** 2))
    assert lowest > centre
    found, loss = fitted(D, P)
    assert loss <= centre
    assert np.linalg.norm(found - P) < r
