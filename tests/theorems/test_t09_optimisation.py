"""T9: what gradient steps do to the codes, and where they stop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds

from partsrep import NMF, SAE
from partsrep.leastsquares import exact_nnls


def gradients(D, U, X):
    """Of ‖D − ReLU(DUᵀ)Xᵀ‖² in U and X, by automatic differentiation."""
    U, X = (torch.tensor(A, requires_grad=True) for A in (U, X))
    D = torch.tensor(D)
    ((D - (D @ U.T).clamp(min=0) @ X.T) ** 2).sum().backward()
    return U.grad.numpy(), X.grad.numpy()


def parts(seed, d, m):
    return random_matrix(seed, d, m) + np.eye(d, m)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 4), st.integers(0, 5))
def test_t09_gradient_of_the_encoder(seed, m, more):
    """∇U = 2 (M ∘ A)ᵀ D, and a step moves the pre-activations by −2η D Dᵀ (M ∘ A)."""
    D, X = random_matrix(seed, 10, m + more), parts(seed + 1, m + more, m)
    U = np.random.RandomState(seed).standard_normal((m, m + more))
    H = np.maximum(D @ U.T, 0)
    masked = ((H @ X.T - D) @ X) * (H > 0)
    slope = gradients(D, U, X)[0]
    assert np.allclose(slope, 2 * masked.T @ D, atol=1e-9)
    moved = D @ (U - 0.1 * slope).T - D @ U.T
    assert np.allclose(moved, -0.2 * D @ D.T @ masked, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_t09_on_whitened_data_it_is_nmfs_own_gradient_masked(seed):
    """D Dᵀ = I."""
    D = np.linalg.qr(np.random.RandomState(seed).standard_normal((9, 5)))[0].T
    X, U = parts(seed, 9, 3), np.random.RandomState(seed + 1).standard_normal((3, 9))
    H = np.maximum(D @ U.T, 0)
    gradient = 2 * (H @ X.T - D) @ X
    moved = D @ gradients(D, U, X)[0].T
    assert np.allclose(moved, gradient * (H > 0))


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(1, 3), st.integers(0, 4))
def test_t09_an_encodable_nmf_optimum_is_stationary(seed, m, more):
    D = random_matrix(seed, 12, m) @ parts(seed + 1, m + more, m).T
    nmf = NMF(m, init="random", random_state=seed % 1000, tol=1e-12, max_iter=3000)
    nmf.set_params(start=(random_matrix(seed, 12, m), parts(seed + 1, m + more, m))).fit(D)
    X = nmf.components_.T
    slope_U, slope_X = gradients(D, np.linalg.pinv(X), X)
    scale = np.sum(D**2)
    assert np.abs(slope_U).max() < 1e-5 * (1 + scale)
    assert np.abs(slope_X).max() < 1e-5 * (1 + scale)


def test_t09_at_an_inexact_encodable_optimum_too():
    """Data beside the cone, whose best codes a layer gives, zeros strictly inactive."""
    X = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    D = np.array([[2.0, 0.0, 0.3], [0.0, 1.0, -0.2 + 0.5], [1.0, 1.0, 0.1]])
    nmf = NMF(2, start=(D[:, :2], X), tol=1e-13, max_iter=5000).fit(D)
    P = nmf.components_
    H = nmf.transform(D)
    assert nmf.loss_ > 1e-4
    U = (np.linalg.pinv(D) @ H).T
    assert np.allclose(np.maximum(D @ U.T, 0), H, atol=1e-9)
    slope_U, slope_X = gradients(D, U, P.T)
    free = P.T > 1e-9
    assert np.abs(slope_U).max() < 1e-4
    assert np.abs(slope_X[free]).max() < 1e-4
    assert slope_X[~free].min(initial=0) > -1e-4


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_t09_a_dead_unit_is_stationary_where_nmf_is_not(seed):
    D, X = random_matrix(seed, 10, 6, zeros=0.1), parts(seed + 1, 6, 2)
    U = np.vstack([np.linalg.pinv(X)[0], -np.ones(6)])
    slope_U, slope_X = gradients(D, U, X)
    assert not slope_U[1].any() and not slope_X[:, 1].any()
    H = np.maximum(D @ U.T, 0)
    M = (H @ X.T - D) @ X
    assert M[:, 1].min() < 0, "NMF's code would rise"
    assert exact_nnls(D, X.T)[:, 1].max() > 0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_t09_multiplicative_updates_lock_zeros_and_descent_does_not():
    D = random_matrix(0, 12, 6, zeros=0)
    components = random_matrix(1, 2, 6, zeros=0)
    locked = components.copy()
    locked[0, :3] = 0
    begin = {"W": random_matrix(2, 12, 2, zeros=0), "H": locked}
    mu = NMF(2, init="custom", solver="mu", max_iter=50, tol=0).fit(D, **begin)
    cd = NMF(2, init="custom", max_iter=50).fit(D, **begin)
    assert not mu.components_[0, :3].any()
    assert cd.components_[0, :3].any()


def test_t09_a_warm_start_stays_in_nmfs_basin():
    D = random_matrix(4, 60, 5) @ random_matrix(5, 5, 20)
    nmf = NMF(5, init="random", random_state=0, tol=1e-7, max_iter=3000).fit(D)
    sae = SAE(5, decoder="nonnegative", start=nmf, max_epochs=30, random_state=0).fit(D)
    cosines = np.sum(sae.components_ * nmf.components_, axis=1) / (
        np.linalg.norm(sae.components_, axis=1) * np.linalg.norm(nmf.components_, axis=1)
    )
    assert cosines.min() > 0.999
