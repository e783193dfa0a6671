"""Enclosures hold what they say: against factorizations that are known to be near."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import digits, random_matrix, seeds

from partsrep import NMF, datasets
from partsrep.enclosure import enclose, floor, fooling_set, layers


def grid(seed, rows=3, columns=3, n=40):
    """Bars with amplitudes, exactly."""
    rng = np.random.RandomState(seed)
    X = np.hstack(
        [np.kron(np.eye(rows), np.ones((columns, 1))), np.tile(np.eye(columns), (rows, 1))]
    )
    H = rng.uniform(0.5, 2, (n, rows + columns)) * (rng.uniform(size=(n, rows + columns)) < 0.35)
    return np.vstack([np.eye(rows + columns), H]), X


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(2, 4), st.integers(2, 4))
def test_a_fooling_set_needs_a_part_for_each_entry(seed, rows, columns):
    H, X = grid(seed, rows, columns)
    D = H @ X.T
    entries = fooling_set(D, H, X)
    assert entries is not None
    for a, (i, p) in enumerate(entries):
        assert D[i, p] > 0
        for j, q in entries[:a]:
            assert D[i, q] * D[j, p] == 0


def test_no_fooling_set_where_fewer_parts_do():
    D = random_matrix(0, 20, 2) @ random_matrix(1, 2, 6)
    H, X = np.hstack([D[:, :3], D[:, :1]]), random_matrix(2, 6, 4)
    assert fooling_set(D, H, X) is None
    dense = random_matrix(3, 10, 2, zeros=0) + 1
    assert fooling_set(dense @ np.ones((2, 5)), dense, np.ones((5, 2))) is None


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from([1e-5, 1e-4, 1e-3]))
def test_every_factorization_that_near_is_enclosed(seed, error):
    """Factors moved at random, as far as the error goes, in another order and scale."""
    H, X = grid(seed)
    D = H @ X.T
    entries = fooling_set(D, H, X)
    bounds = enclose(D, entries, error)
    assert bounds is not None
    rng = np.random.RandomState(seed)
    order = rng.permutation(X.shape[1])
    features = [p for _, p in entries]
    for _ in range(10):
        moved = [A * (1 + rng.uniform(-1, 1, A.shape)) + rng.uniform(size=A.shape) for A in (H, X)]
        shares = np.array([1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6, 0])
        for share in shares:
            near_H, near_X = (
                (1 - share) * A + share * B for A, B in zip((H, X), moved, strict=True)
            )
            if np.linalg.norm(D - near_H @ near_X.T) <= error:
                break
        near_H, near_X = near_H[:, order], near_X[:, order]
        # Each entry names the part with the largest share of it.
        names = [int((near_H[i] * near_X[p]).argmax()) for i, p in entries]
        assert sorted(names) == list(range(len(names)))
        scale = near_X[features, names]
        codes, parts = near_H[:, names] * scale, near_X[:, names] / scale
        slack = 1e-9
        assert (bounds.H_least - slack <= codes).all() and (codes <= bounds.H_most + slack).all()
        assert (bounds.X_least - slack <= parts).all() and (parts <= bounds.X_most + slack).all()


def test_bounds_close_in_on_the_only_factorization():
    H, X = grid(0)
    D = H @ X.T
    entries = fooling_set(D, H, X)
    widths = []
    for error in (1e-3, 1e-5):
        bounds = enclose(D, entries, error)
        widths.append(max((bounds.X_most - bounds.X_least).max(), 0))
        scale = X[[p for _, p in entries], range(6)]
        assert (bounds.X_least <= X / scale).all() and (X / scale <= bounds.X_most).all()
    assert widths[1] < 0.05 * widths[0] < 0.05


def test_too_large_an_error_says_nothing():
    H, X = grid(0)
    D = H @ X.T
    assert enclose(D, fooling_set(D, H, X), 0.5) is None


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 4), st.integers(2, 6), st.booleans())
def test_layers_find_codes_that_a_layer_made(seed, m, d, bias):
    rng = np.random.RandomState(seed)
    D = random_matrix(seed, 20, d)
    U, b = rng.standard_normal((m, d)), bias * rng.standard_normal(m)
    H = np.maximum(D @ U.T + b, 0)
    for j, layer in enumerate(layers(D, H, H, bias)):
        assert layer.violation < 1e-7 * (1 + H.max())
        assert np.allclose(np.maximum(D @ layer.u + layer.b, 0), H[:, j], atol=1e-6 * (1 + H.max()))
    assert all(layer.violation < 1e-7 for layer in layers(D, 0 * H, np.full(H.shape, np.inf)))


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 4))
def test_the_violation_is_the_least_one(seed, m):
    """No other u and b come nearer to codes that no layer gives."""
    rng = np.random.RandomState(seed)
    D, H = random_matrix(seed, 15, 3), random_matrix(seed + 1, 15, m)
    for j, layer in enumerate(layers(D, H, H)):
        z = D @ layer.u + layer.b
        worst = np.where(H[:, j] > 0, np.abs(z - H[:, j]), np.maximum(z, 0)).max()
        assert worst == pytest.approx(layer.violation, abs=1e-7)
        for _ in range(20):
            u, b = layer.u + 0.1 * rng.standard_normal(3), layer.b + 0.1 * rng.standard_normal()
            z = D @ u + b
            other = np.where(H[:, j] > 0, np.abs(z - H[:, j]), np.maximum(z, 0)).max()
            assert other >= layer.violation - 1e-7


@pytest.mark.parametrize("value", [1e-6, 1.0, 1e6])
def test_the_floor_scales_with_the_data(value):
    data = datasets.load("bars", size=3, n_samples=100, value=value)
    bound, reason = floor(data.D, data.truth.H, data.truth.X)
    unit, _ = floor(data.D / value, data.truth.H, data.truth.X / value)
    assert bound == pytest.approx(unit * value**2)
    assert bound > 0 and "no layer gives" in reason


def test_a_floor_that_is_of_no_use_is_not_looked_for():
    data = datasets.load("bars", size=3, n_samples=100)
    assert floor(data.D, data.truth.H, data.truth.X, above=1.0) == (
        0.0,
        "a loss of 1.0e+00 is above all that can be proved",
    )
    assert floor(data.D, data.truth.H, data.truth.X, above=1e-5)[0] > 1e-5


def test_real_data_have_no_floor():
    D = digits(200)
    nmf = NMF(6, random_state=0).fit(D)
    assert floor(D, nmf.transform(D), nmf.components_.T)[0] == 0
