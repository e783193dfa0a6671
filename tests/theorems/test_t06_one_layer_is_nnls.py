"""T6: nonnegative least squares is one ReLU layer iff the parts are orthogonal."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds

from partsrep import encodability_on
from partsrep.leastsquares import exact_nnls


def disjoint(seed, d, m):
    owner = np.random.RandomState(seed).permutation(np.arange(d) % m)
    return (owner[:, None] == np.arange(m)) * random_matrix(seed + 1, d, m, zeros=0)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 5), st.integers(0, 6))
def test_t06_if_for_all_data_of_any_sign(seed, m, more):
    X = disjoint(seed, m + more, m)
    D = np.random.RandomState(seed).standard_normal((40, m + more))
    U = (X / (X**2).sum(axis=0)).T
    assert np.allclose(np.maximum(D @ U.T, 0), exact_nnls(D, X.T), atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(2, 4), st.integers(0, 4))
def test_t06_only_if_even_on_nonnegative_data(seed, m, more):
    """Samples of the proof: where all codes are positive, in all directions, U has to be X⁺. One
    more sample off the cone, and no layer gives the codes."""
    d = m + more
    X = random_matrix(seed, d, m, zeros=0.5) + np.eye(d, m)
    gram, U = X.T @ X, np.linalg.pinv(X)
    overlaps = (np.abs(gram) > 0.1).sum(axis=1) > 1
    pushes = np.argwhere((U < -0.03) & overlaps[:, None])
    assume(len(pushes) and np.linalg.cond(X) < 20)
    j, p = pushes[0]
    H = np.random.RandomState(seed).uniform(3, 4, (4 * d, m))
    D = H @ X.T + 0.3 * np.tile(np.eye(d), (4, 1))
    assume((D @ U.T).min() > 0)
    beside = H[0] @ X.T - H[0, j] * X[:, j] + 3 * np.eye(d)[p]
    assert encodability_on(D, X).codes.all()
    answer = encodability_on(np.vstack([D, beside]), X)
    assert not answer.codes.all()


def test_t06_parts_without_a_region_of_their_own():
    """The example for which the region where only one part is active is empty on data ≥ 0."""
    X = np.array([[1.0, 1, 0], [1, 0, 1], [0, 1, 0], [0, 0, 1]])
    U = np.linalg.pinv(X)
    j, p = np.argwhere((U < -1e-9) & (np.abs(X.T @ X) > 0).sum(axis=1)[:, None].astype(bool))[0]
    h = np.ones(3)
    h[j] = 0
    d = X @ h
    d[p] += 0.01
    best = exact_nnls(d[None], X.T)[0]
    assert np.abs(best - np.maximum(U @ d, 0)).max() > 1e-4
