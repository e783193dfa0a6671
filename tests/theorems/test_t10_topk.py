"""T10: k active codes a sample."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds

from partsrep import NMF, SAE, TopK, presets
from partsrep.leastsquares import exact_nnls
from partsrep.study.matching import unit_rows

sizes = st.integers(2, 5), st.integers(0, 5), st.integers(1, 5)


def parts(seed, d, m):
    return random_matrix(seed, d, m) + np.eye(d, m)


def loss(D, H, X):
    return np.sum((D - H @ X.T) ** 2)


def best_sparse_loss(D, X, k):
    """Over all supports of size k."""
    m = X.shape[1]
    errors = []
    for support in combinations(range(m), k):
        H = exact_nnls(D, X[:, support].T)
        errors.append(np.sum((D - H @ X[:, support].T) ** 2, axis=1))
    return np.min(errors, axis=0).sum()


@settings(max_examples=60, deadline=None)
@given(seeds, *sizes)
def test_t10_order_at_any_parts(seed, m, more, k):
    """NNLS ≤ the best k-sparse codes ≤ those of a TopK layer, whatever its encoder."""
    k = min(k, m)
    D, X = random_matrix(seed, 12, m + more), parts(seed + 1, m + more, m)
    U = np.random.RandomState(seed).standard_normal((m, m + more))
    codes = SAE.from_weights(U, X, activation=TopK(k)).transform(D)
    assert (np.count_nonzero(codes, axis=1) <= k).all()
    sparse = best_sparse_loss(D, X, k)
    assert loss(D, exact_nnls(D, X.T), X) <= sparse + 1e-9 <= loss(D, codes, X) + 2e-9
    relu = SAE.from_weights(U, X).transform(D)
    everything = SAE.from_weights(U, X, activation=TopK(m)).transform(D)
    assert np.allclose(relu, everything), "k = m is ReLU"


@settings(max_examples=60, deadline=None)
@given(seeds, *sizes)
def test_t10_exact_data_pass_for_k_at_least_the_true_one(seed, m, more, k):
    k = min(k, m)
    X, H = parts(seed, m + more, m), random_matrix(seed + 1, 20, m)
    H *= H.argsort(axis=1).argsort(axis=1) >= m - k
    sae = SAE.from_weights(np.linalg.pinv(X), X, activation=TopK(k))
    assert np.allclose(sae.transform(H @ X.T), H, atol=1e-8)
    if k > 1:
        fewer = SAE.from_weights(np.linalg.pinv(X), X, activation=TopK(k - 1))
        lost = (np.count_nonzero(H, axis=1) == k).any()
        assert np.allclose(fewer.transform(H @ X.T), H, atol=1e-8) != lost


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 5), st.integers(1, 6))
def test_t10_tied_top1_is_exact_inference(seed, m, d):
    """min_{j, h ≥ 0} ‖d − h x_j‖² = ‖d‖² − max_j (x_j·d)₊² for parts of norm 1."""
    D = np.random.RandomState(seed).standard_normal((15, d))
    X = unit_rows(np.random.RandomState(seed + 1).standard_normal((m, d))).T
    codes = SAE.from_weights(X.T, X, activation=TopK(1)).transform(D)
    closed = np.sum(D**2) - np.sum(np.maximum((D @ X).max(axis=1), 0) ** 2)
    assert np.isclose(loss(D, codes, X), closed)
    assert np.isclose(best_sparse_loss(D, X, 1), closed)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_t10_at_k_1_nonnegative_parts_come_for_free(seed):
    """The best part of a cluster of nonnegative samples is its leading singular vector, ≥ 0."""
    D = random_matrix(seed, 8, 5, zeros=0.2) + 1e-3
    x = np.linalg.svd(D)[2][0]
    assert (x > 0).all() or (x < 0).all()
    nmf = NMF(1, init="random", random_state=0, tol=1e-9).fit(D)
    assert np.isclose(nmf.loss_, np.sum(np.linalg.svd(D, compute_uv=False)[1:] ** 2), rtol=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_t10_top1_is_orthogonal_nmf_of_the_codes():
    D = random_matrix(0, 60, 3, zeros=0.7) @ random_matrix(1, 3, 10) + 0.01
    nmf = presets.orthogonal_nmf(3, on="codes", init="random", n_init=5, random_state=0).fit(D)
    X = unit_rows(nmf.components_).T
    sae = SAE.from_weights(X.T, X, activation=TopK(1))
    assert np.isclose(loss(D, sae.transform(D), X), nmf.loss_, rtol=1e-8), "no gap"


def test_t10_exactly_k_is_not_attained():
    """Codes with just two active parts come as near as one likes, and never there."""
    d, X = np.array([[1.0, 0.0]]), np.eye(2)
    losses = [loss(d, np.array([[1.0, epsilon]]), X) for epsilon in (1e-1, 1e-3, 1e-6)]
    assert losses[0] > losses[1] > losses[2] > 0
    assert best_sparse_loss(d, X, 2) == 0


def test_t10_the_scale_of_parts_decides_the_selection():
    """(H, X) and (HΔ, XΔ⁻¹) rebuild the same, but TopK selects other codes."""
    D, X = np.array([[2.0, 1.0]]), np.eye(2)
    scale = np.diag([1.0, 4.0])
    plain = SAE.from_weights(X.T, X, activation=TopK(1))
    scaled = SAE.from_weights(scale @ X.T, X @ np.linalg.inv(scale), activation=TopK(1))
    assert plain.transform(D).tolist() == [[2, 0]]
    assert scaled.transform(D).tolist() == [[0, 4]]
    relu = [SAE.from_weights(U, W) for U, W in ((X.T, X), (scale @ X.T, X @ np.linalg.inv(scale)))]
    assert np.allclose(*(sae.inverse_transform(sae.transform(D)) for sae in relu))


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(2, 6), st.integers(1, 5))
def test_t10_topk_is_a_threshold_of_each_sample(seed, m, k):
    k = min(k, m - 1)
    Z = torch.as_tensor(np.random.RandomState(seed).standard_normal((10, m)))
    threshold = Z.sort(dim=1, descending=True).values[:, k].clamp(min=0)
    assert torch.equal(TopK(k)(Z), torch.where(threshold[:, None] < Z, Z, 0))
