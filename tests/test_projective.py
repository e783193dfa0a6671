"""Projective NMF: its gradient, its optimality conditions, its codes."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from problems import digits, random_matrix, seeds
from scipy.optimize import approx_fprime

from partsrep import L1, NMF, TopK
from partsrep.choices.inference import Layer

few = settings(deadline=None, max_examples=10)


def projective(m, **settings):
    return NMF(m, inference=Layer(tied=True), random_state=0, **settings)


def loss(D, X):
    return np.sum((D - D @ X @ X.T) ** 2)


@few
@given(seeds)
def test_the_end_is_stationary_and_the_gradient_there_is_that_of_finite_differences(seed):
    D = random_matrix(seed, 12, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = projective(2, tol=1e-7, max_iter=5000).fit(D)
    X = model.components_.T
    gradient = approx_fprime(X.ravel(), lambda x: loss(D, x.reshape(X.shape)), 1e-7)
    gradient = gradient.reshape(X.shape) / 2 / np.sum(D**2)
    projected = np.where(X > 0, gradient, np.minimum(gradient, 0))
    assert X.min() >= 0
    assert np.linalg.norm(projected) <= 1e-5
    assert model.kkt_residual_ <= 1e-7


@few
@given(seeds)
def test_the_residual_is_the_projected_gradient_on_the_way_too(seed):
    D = random_matrix(seed, 12, 6)
    model = projective(2, tol=0.01, max_iter=100).fit(D)
    X = model.components_.T
    R = D @ X @ X.T - D
    gradient = (D.T @ R + R.T @ D) @ X / np.sum(D**2)
    projected = np.where(X > 0, gradient, np.minimum(gradient, 0))
    assert model.kkt_residual_ == pytest.approx(np.linalg.norm(projected), rel=1e-6, abs=1e-9)
    assert model.history_["objective"][-1] == pytest.approx(model.loss_, rel=1e-9)
    assert model.loss_ == pytest.approx(loss(D, X), rel=1e-9)
    assert np.all(np.diff(model.history_["objective"]) <= 1e-9 * np.sum(D**2))


def test_codes_are_the_parts_applied_to_the_data():
    D = digits(100)
    model = projective(4)
    H = model.fit_transform(D)
    assert np.allclose(H, D @ model.components_.T)
    assert np.allclose(model.transform(D[:5]), H[:5])


def test_disjoint_blocks_are_found():
    """Rank-one blocks that share neither samples nor features are reproduced exactly."""
    rng = np.random.RandomState(0)
    D = np.zeros((12, 9))
    for block in range(3):
        a, b = rng.uniform(1, 2, (4, 1)), rng.uniform(1, 2, (1, 3))
        D[4 * block : 4 * block + 4, 3 * block : 3 * block + 3] = a @ b
    model = projective(3, tol=1e-8).fit(D)
    assert model.loss_ < 1e-10 * np.sum(D**2)
    assert np.allclose(model.components_ @ model.components_.T, np.eye(3), atol=1e-5)


def test_sparse_data_and_single_precision():
    D = random_matrix(0, 30, 8, zeros=0.6)
    dense, sparse = projective(3).fit(D), projective(3).fit(sp.csr_array(D))
    assert np.allclose(sparse.components_, dense.components_, atol=1e-4)
    single = projective(3).fit(D.astype(np.float32))
    assert single.components_.dtype == single.transform(D.astype(np.float32)).dtype == np.float32


def test_zero_data_get_zero_codes():
    model = projective(2).fit(np.zeros((5, 4)))
    assert np.isfinite(model.components_).all() and model.loss_ == 0


@pytest.mark.parametrize("kind", [{"parts": "free"}, {"codes": TopK(1)}, {"alpha_W": 0.1},
                                  {"penalty": L1(1.0)}])  # fmt: skip
def test_it_says_what_it_does_not_take(kind):
    with pytest.raises(ValueError, match="projective NMF, needs nonnegative parts"):
        projective(2, **kind).fit(np.ones((4, 4)))
    with pytest.raises(ValueError, match="projective NMF, needs nonnegative parts"):
        projective(2).fit(np.ones((4, 4)), mask=np.ones((4, 4)))
