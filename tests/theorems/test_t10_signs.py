"""T10 and T11: what few active codes, or a penalty on codes, determine if the decoder is free."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import seeds

from partsrep import SAE, TopK
from partsrep.study.matching import unit_rows


def signed_loss(D, X, k):
    """The least loss of codes of any sign with at most k entries in a sample."""
    errors = []
    for support in combinations(range(X.shape[1]), k):
        Q = np.linalg.qr(X[:, support])[0]
        errors.append(np.sum((D - D @ Q @ Q.T) ** 2, axis=1))
    return np.min(errors, axis=0).sum()


def ring(rng, m, k, more=3):
    """Signed parts, and as many samples of neighbours in a ring as the theorem asks for."""
    X = rng.standard_normal((m + more, m))
    first = np.r_[np.ones(k), np.zeros(m - k)]
    patterns = [np.roll(first, shift) for shift in range(m)]
    H = np.repeat(patterns, (k - 1) * comb(m, k) + 1, axis=0)
    H = H * rng.uniform(0.5, 1.5, H.shape)
    return H, X


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(3, 5), st.integers(1, 3), st.sampled_from(["near", "shear", "turn"]))
def test_t10_true_k_determines_signed_parts(seed, m, k, kind):
    """No other dictionary is exact, not even one that differs in one part or by one turn."""
    rng = np.random.RandomState(seed)
    k = min(k, m - 1)
    H, X = ring(rng, m, k)
    D = H @ X.T
    scale = np.sum(D**2)
    assert signed_loss(D, X, k) < 1e-20 * scale
    order, lengths = rng.permutation(m), rng.uniform(0.5, 2, m) * rng.choice([-1, 1], m)
    assert signed_loss(D, X[:, order] * lengths, k) < 1e-20 * scale
    T = np.eye(m)
    if kind == "near":
        T += 0.1 * rng.standard_normal((m, m))
    elif kind == "shear":
        T[1, 0] = rng.uniform(0.1, 3) * rng.choice([-1, 1])
    else:
        angle = rng.uniform(0.1, 1)
        T[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert signed_loss(D, X @ T, k) > 1e-8 * scale


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(3, 6), st.integers(1, 4), st.floats(0.01, 100))
def test_t10_one_code_more_frees_the_sign(seed, m, k, t):
    rng = np.random.RandomState(seed)
    k = min(k, m - 1)
    H, X = ring(rng, m, k)
    X = np.abs(X) + np.eye(*X.shape)
    moved = X.copy()
    moved[:, 0] -= t * X[:, 1]
    if np.linalg.cond(moved) > 1e6:
        return
    sae = SAE.from_weights(np.linalg.pinv(moved), moved, activation=TopK(k + 1))
    codes = sae.transform(H @ X.T)
    assert np.allclose(codes @ moved.T, H @ X.T, atol=1e-6 * (1 + t))
    # The sign of the moved part: nonnegative for small t if and only if x₁ covers x₂.
    assert (moved[:, 0] >= 0).all() == (t * X[:, 1] <= X[:, 0]).all()


def test_t10_the_smallest_case():
    """One part a sample in three pixels: k = 2 admits a negative pixel, k = 1 does not."""
    U = np.array([[1.0, 0, 0], [2, 1, 0], [0, 0, 1]])
    X = np.linalg.inv(U)
    assert X.min() == -2
    for k, exact in ((2, True), (1, False)):
        sae = SAE.from_weights(U, X, activation=TopK(k))
        assert np.allclose(sae.transform(np.eye(3)) @ X.T, np.eye(3)) is exact


@pytest.mark.parametrize("k", [1, 2])
def test_t10_too_few_codes_lose_on_every_dictionary(k):
    """A pattern of three parts in general position; random and planted dictionaries of three."""
    rng = np.random.RandomState(k)
    X = rng.standard_normal((5, 3))
    D = rng.uniform(0.5, 1.5, (k * comb(3, k) + 1, 3)) @ X.T
    rivals = [X, *(D[rng.permutation(len(D))[:3]].T for _ in range(50))]
    assert min(signed_loss(D, rival, k) for rival in rivals) > 1e-6


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(2, 5))
def test_t11_pure_samples_make_planted_parts_the_cheapest(seed, m):
    """Every exact rival has its parts outside the cone of the data, and pays for it."""
    rng = np.random.RandomState(seed)
    P = unit_rows(rng.standard_normal((m, m + 2)))
    H = np.vstack([np.eye(m), rng.exponential(size=(10, m))])
    B = np.eye(m) + rng.exponential(size=(m, m)) * (rng.random_sample((m, m)) < 0.3)
    if np.linalg.cond(B) > 1e6:
        return
    rival = np.linalg.solve(B, P)
    codes = H @ B * np.linalg.norm(rival, axis=1)
    assert np.allclose(codes @ unit_rows(rival), H @ P)
    assert codes.sum() >= H.sum() - 1e-8
    if not np.allclose(B, np.diag(B.diagonal())):
        assert codes.sum() > H.sum() + 1e-8


def test_t11_without_pure_samples_the_samples_are_cheaper():
    D = np.array([[2.0, 1.0], [1.0, 2.0]])
    assert np.linalg.norm(D, axis=1).sum() < D.sum()
