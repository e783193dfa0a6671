"""T7: the noise law to first order, its limit for small overlaps, and supports."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from partsrep import NMF, SAE, datasets
from partsrep.leastsquares import exact_nnls
from partsrep.study.matching import match


def dictionary(rng, m, d, overlap):
    """Unit parts whose Gram matrix is 1 + overlap·Δ with random Δ."""
    delta = rng.uniform(-0.3, 1, (m, m))
    gram = np.eye(m) + overlap * (delta + delta.T) / 2
    np.fill_diagonal(gram, 1)
    root = np.linalg.cholesky(gram)
    return root @ np.linalg.qr(rng.standard_normal((d, m)))[0].T, gram


def measured(P, active, s, n, rng):
    """(S − E)/(n s²) and E/(n s²) at codes with this pattern."""
    H = active * rng.uniform(1, 2, (n, len(P)))
    D = H @ P + s * rng.standard_normal((n, P.shape[1]))
    left = np.sum((D - exact_nnls(D, P) @ P) ** 2)
    right = np.sum((D - np.maximum(D @ np.linalg.pinv(P), 0) @ P) ** 2)
    return (right - left) / (n * s**2), left / (n * s**2)


def predicted(gram, d, active, draws, rng):
    off = ~active
    precision = np.linalg.inv(np.linalg.inv(gram)[np.ix_(off, off)])
    root = np.linalg.cholesky(precision).T
    g = rng.standard_normal((draws, off.sum()))
    negative = np.linalg.solve(root, g.T).T.clip(max=0)
    v = exact_nnls(g, root.T)
    first = np.sum(negative @ gram[np.ix_(off, off)] * negative, axis=1)
    gap = np.mean(first - np.sum((g - v @ root.T) ** 2, axis=1))
    return gap, d - active.sum() - np.mean((v > 0).sum(axis=1))


@pytest.mark.parametrize("seed", range(4))
def test_t07_first_order_law(seed):
    rng = np.random.RandomState(seed)
    m, d = 5, 12
    P, gram = dictionary(rng, m, d, overlap=0.5)
    active = np.arange(m) < seed
    gap, rest = predicted(gram, d, active, 40_000, rng)
    for s in (1e-3, 1e-2):
        found, loss = measured(P, active, s, 20_000, rng)
        assert found == pytest.approx(gap, rel=0.06)
        assert loss == pytest.approx(rest, rel=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_t07_small_overlaps_cost_their_square(seed):
    rng = np.random.RandomState(seed)
    m, d = 5, 8
    active = np.arange(m) < 2
    gaps = []
    for overlap in (0.02, 0.04):
        _, gram = dictionary(np.random.RandomState(seed), m, d, overlap)
        delta = gram - np.eye(m)
        squares, sums = (delta**2)[:, ~active].sum(axis=1), delta[:, ~active].sum(axis=1)
        share = np.where(active, 1, 0.5)
        law = share @ ((0.5 - 0.5 / np.pi) * squares + 0.5 / np.pi * sums**2)
        gap, _ = predicted(gram, d, active, 100_000, rng)
        assert gap == pytest.approx(law, rel=0.1)
        gaps.append(gap)
    assert gaps[1] / gaps[0] == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize(("m", "k"), [(12, 2), (16, 4)])
def test_t07_supports_of_exact_codes_have_the_binomials_mean(m, k):
    z = np.random.RandomState(m).standard_normal((40_000, m))
    z[:, :k] = 1
    false = np.arange(m - k + 1)
    mean = np.sum(binom.pmf(false, m - k, 0.5) * k / (k + false))
    assert np.mean(k / (z > 0).sum(axis=1)) == pytest.approx(mean, rel=0.01)
    assert mean > k / (k + (m - k) / 2)


def apart(a, b):
    """Distance per part, of norm 1, after the best matching."""
    return np.sqrt(max(0, 2 * np.mean(1 - match(a, b).cosines)))


WAYS = {
    "clipped noise": lambda D, s, rng: np.maximum(D + s * rng.standard_normal(D.shape), 0),
    "uneven brightness": lambda D, s, rng: D * rng.uniform(1 - s, 1 + s, D.shape),
    "an outlier": lambda D, s, rng: np.vstack([D[1:], D[0] + s * rng.exponential(size=D.shape[1])]),
}


@pytest.mark.parametrize("way", WAYS)
def test_t07_both_methods_parts_tend_to_the_unique_ones(way):
    """In whatever way the data tend to exact ones, and from random starts."""
    data = datasets.load("planted", n_parts=4, n_samples=150, part_size=3, overlap=0.3)
    distances = []
    for s in (0.1, 0.01, 0.001):
        D = WAYS[way](data.D, s, np.random.RandomState(0))
        nmf = NMF(4, init="random", n_init=3, random_state=0, tol=1e-8, max_iter=2000).fit(D)
        sae = SAE(4, decoder="nonnegative", random_state=0, max_epochs=200, tol=1e-8).fit(D)
        parts = [model.components_ for model in (nmf, sae)]
        distances.append([apart(a, b) for a, b in [*product(parts, [data.truth.X.T]), parts]])
    to_the_truth = np.array(distances)[:, :2]
    assert np.all(np.diff(to_the_truth, axis=0) < 0)
    assert np.max(distances[-1]) < 0.01


def test_t07_without_uniqueness_losses_tend_to_zero_and_parts_stay_apart():
    one, other = np.eye(2), np.array([[2.0, 1.0], [1.0, 2.0]])
    for s in (1e-2, 1e-4):
        D = other + s * np.array([[1.0, 0.0], [0.0, -1.0]])
        losses = [np.sum((D - H @ P) ** 2) for H, P in ((other, one), (one, other))]
        assert max(losses) == pytest.approx(2 * s**2)
    assert apart(one, other) > 0.4
