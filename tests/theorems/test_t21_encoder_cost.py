"""T21: what an encoder that is estimated by least squares costs on new samples."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds
from scipy.stats import norm, poisson


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 4), st.integers(1, 3))
def test_t21_at_given_samples_the_cost_is_the_leverage(seed, d, more):
    """E‖(Û − U∞) d‖² = c dᵀ(DᵀD)⁻¹d, the mean over all signs of the residuals."""
    rng, n = np.random.RandomState(seed), d + more
    D, new, U = rng.standard_normal((n, d)), rng.standard_normal(d), rng.standard_normal(d)
    sizes = 0.7 * np.array(list(product([-1, 1], repeat=n)))
    found = [((np.linalg.pinv(D) @ (D @ U + e) - U) @ new) ** 2 for e in sizes]
    assert np.isclose(np.mean(found), 0.49 * new @ np.linalg.solve(D.T @ D, new))


@settings(max_examples=100, deadline=None)
@given(st.integers(3, 200), st.floats(0, 30))
def test_t21_a_mean_never_raises_the_cost(n, a):
    """(1 + a²) E[1/‖a1 + g‖²] ≤ 1/(n − 2): a noncentral χ² is a Poisson mixture of central ones."""
    at_most = int(poisson.isf(1e-14, n * a**2 / 2)) + 2
    J = np.arange(at_most + 1)
    inverse = np.sum(poisson.pmf(J, n * a**2 / 2) / (n - 2 + 2 * J))
    assert (1 + a**2) * inverse <= (1 + 1e-9) / (n - 2)


@pytest.mark.parametrize(
    ("n", "d", "mean"), [(20, 5, 0.0), (20, 5, 3.0), (40, 20, 0.0), (40, 20, 1)]
)
def test_t21_the_cost_on_new_samples(n, d, mean):
    """Normal samples with a random covariance: d/(n − d − 1) times c, and less with a mean."""
    rng = np.random.RandomState(n + d)
    root = rng.standard_normal((d, d)) + 2 * np.eye(d)
    shift = mean * rng.standard_normal(d)
    moment = root @ root.T + np.outer(shift, shift)
    costs = []
    for _ in range(4000):
        D = rng.standard_normal((n, d)) @ root.T + shift
        costs.append(np.trace(np.linalg.solve(D.T @ D, moment)))
    found, error = np.mean(costs), 5 * np.std(costs) / len(costs) ** 0.5
    assert (d - 1) / (n - d - 1) - error < found < d / (n - d - 1) + error
    if not mean:
        assert abs(found - d / (n - d - 1)) < error


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 5), st.integers(1, 6))
def test_t21_relu_and_parts_pass_on_no_more(seed, m, d):
    """Against codes that are nonnegative ReLU helps; the roots of the losses differ by at most
    the largest singular value of the parts times the root of the cost."""
    rng = np.random.RandomState(seed)
    D, H, X = random_matrix(seed, 30, d), random_matrix(seed + 1, 30, m), rng.randn(d, m)
    U, V = rng.standard_normal((2, m, d))

    def size(A):
        return np.sqrt(np.mean(np.sum(A**2, axis=1)))

    codes, others = np.maximum(D @ U.T, 0), np.maximum(D @ V.T, 0)
    assert size(H - codes) <= size(H - D @ U.T) + 1e-12
    apart = np.linalg.norm(X, 2) * size(D @ (U - V).T)
    assert size(D - codes @ X.T) <= size(D - others @ X.T) + apart + 1e-9


def test_t21_the_loss_can_cost_more_than_the_codes():
    """Refuted: an excess loss of at most σ² times the cost of the codes, for errors of mean 0.

    One part (1, 0), samples (−3, z) with z standard normal, U∞ = (0, 1), Û = U∞ ± (0.05, 0): the
    pre-activation is z ∓ 0.15, and the loss (3 + its ReLU)², in closed form, plus z².
    """

    def loss(shift):
        linear = norm.pdf(shift) + shift * norm.cdf(shift)
        square = (1 + shift**2) * norm.cdf(shift) + shift * norm.pdf(shift)
        return 9 + 6 * linear + square

    excess = (loss(0.15) + loss(-0.15)) / 2 - loss(0)
    assert excess > 1.5 * 0.15**2
