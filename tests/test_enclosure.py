"""Enclosures hold what they say: against factorizations that are known to be near."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import digits, random_matrix, seeds
from scipy.optimize import linprog

from partsrep import NMF, datasets
from partsrep.study.enclosure import (
    column_space,
    enclose,
    fooling_set,
    loss_lower_bound,
    nearest_units,
    refuted,
)


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
    """Also with a little noise in all entries, which leaves no zeros."""
    H, X = grid(seed, rows, columns)
    for noise in (0, 1e-6):
        D = H @ X.T + noise * random_matrix(seed, len(H), len(X), zeros=0)
        entries = fooling_set(D, H, X)
        assert entries is not None
        for a, (i, p) in enumerate(entries):
            assert D[i, p] > 0
            for j, q in entries[:a]:
                # One part cannot have the largest share, at least 1/m, of both.
                assert D[i, q] * D[j, p] * X.shape[1] ** 2 < D[i, p] * D[j, q]
                assert noise or D[i, q] * D[j, p] == 0


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
    for j, layer in enumerate(nearest_units(D, H, H, bias)):
        assert layer.violation < 1e-7 * (1 + H.max())
        assert np.allclose(np.maximum(D @ layer.u + layer.b, 0), H[:, j], atol=1e-6 * (1 + H.max()))
    assert all(
        layer.violation < 1e-7 for layer in nearest_units(D, 0 * H, np.full(H.shape, np.inf))
    )


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 4))
def test_the_violation_is_the_least_one(seed, m):
    """No other u and b come nearer to codes that no layer gives."""
    rng = np.random.RandomState(seed)
    D, H = random_matrix(seed, 15, 3), random_matrix(seed + 1, 15, m)
    for j, layer in enumerate(nearest_units(D, H, H)):
        z = D @ layer.u + layer.b
        worst = np.where(H[:, j] > 0, np.abs(z - H[:, j]), np.maximum(z, 0)).max()
        assert worst == pytest.approx(layer.violation, abs=1e-7)
        for _ in range(20):
            u, b = layer.u + 0.1 * rng.standard_normal(3), layer.b + 0.1 * rng.standard_normal()
            z = D @ u + b
            other = np.where(H[:, j] > 0, np.abs(z - H[:, j]), np.maximum(z, 0)).max()
            assert other >= layer.violation - 1e-7


def farkas(D, low, high):
    """Weights of bounds (2, n) that leave no unit, if there are any: another linear program."""
    A = np.vstack([np.column_stack([D, np.ones(len(D))])] * 2)
    A[len(D) :] *= -1
    limits = np.concatenate([high, -low])
    rows = np.concatenate([np.isfinite(high), low > 0])
    bounds = [(0, 1 if row else 0) for row in rows]
    found = linprog(np.where(rows, limits, 0), A_eq=A.T, b_eq=np.zeros(A.shape[1]), bounds=bounds)
    return found.fun, found.x.reshape(2, -1)


@settings(max_examples=80, deadline=None)
@given(seeds, st.integers(5, 9), st.integers(1, 3), st.booleans())
def test_a_proof_is_taken_only_if_whole_numbers_bear_it_out(seed, n, d, made):
    """No weights, right ones, made up or shaken, prove anything against codes that a unit has."""
    rng = np.random.RandomState(seed)
    D = rng.randint(0, 4, (n, d)).astype(float)
    low = rng.randint(0, 3, n).astype(float)
    if made:
        low = np.maximum(D @ rng.randint(-2, 3, d) + rng.randint(-2, 3), 0).astype(float)
    high = low + (rng.uniform(size=n) < 0.2)
    value, weights = farkas(D, low, high)
    proved = refuted(D, low, high, np.where(weights > 1e-9, weights, 0))
    assert not (made and proved)
    assert proved <= (value < -1e-9)
    if value > -1e-9:
        for _ in range(5):
            assert not refuted(D, low, high, rng.uniform(size=(2, n)) < 0.4)


def test_a_proof_stands_or_falls_with_the_last_bit():
    """Codes 1, 1 and 1 + 2⁻⁵² of three samples on a line, the middle one their mean."""
    D, one = np.array([[0.0], [1.0], [2.0]]), np.ones(3)
    dual = np.array([[1, 0, 1], [0, 1, 0]])
    assert not refuted(D, one, one, dual)
    assert refuted(D, np.nextafter(one, 2), one, dual)
    told_apart = np.column_stack([D, [0, 2.0**-52, 0]])  # by a unit with a huge weight
    assert not refuted(told_apart, np.nextafter(one, 2), one, dual)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 4), st.sampled_from([1e-16, 1e-12, 1e-7]))
def test_the_column_space_has_the_directions_that_rounding_hides(seed, r, size):
    """Integer columns, sums of these, and such a sum moved in one sample by a little."""
    rng = np.random.RandomState(seed)
    B = rng.randint(1, 100, (12, r)).astype(float)
    i = rng.randint(12)
    moved = B.sum(axis=1)
    moved[i] += max(size, np.spacing(moved[i]) / moved[i]) * moved[i]
    D = np.column_stack([B, B.sum(axis=1), 3 * B[:, 0], moved])
    D = D * 2.0 ** rng.randint(-40, 1, D.shape[1])
    Q = column_space(D)
    rank = np.linalg.matrix_rank(np.column_stack([B, np.eye(12)[i]]))
    assert np.allclose(Q.T @ Q, np.eye(rank), atol=1e-12)
    for column in (*B.T, np.eye(12)[i]):
        assert np.linalg.norm(column - Q @ (Q.T @ column)) < 1e-6 * np.linalg.norm(column)


@pytest.mark.parametrize("amplitudes", [False, True])
def test_the_floor_survives_noise(amplitudes):
    """Also that of rounding, which hides in the data with amplitudes."""
    data = datasets.load("bars", size=3, n_samples=100)
    rng = np.random.RandomState(0)
    H, X = data.truth.H, data.truth.X
    H = H * rng.uniform(0.5, 2, H.shape) if amplitudes else H
    clean, _ = loss_lower_bound(H @ X.T, H, X)
    assert clean > 1e-5
    for noise in (1e-15, 1e-12, 1e-9, 1e-6, 1e-5):
        D = H @ X.T + noise * rng.uniform(size=data.D.shape)
        bound, _ = loss_lower_bound(D, H, X, above=np.sum((D - H @ X.T) ** 2))
        assert bound == pytest.approx(clean, rel=0.5)


@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from([1e-12, 1e-6, 1.0]))
def test_the_floor_is_below_the_best_layer_for_the_true_codes(seed, least):
    """Whatever the units of features: least squares for the active codes is one layer."""
    data = datasets.load("bars", size=3, n_samples=100)
    units = least ** np.random.RandomState(seed).uniform(size=9)
    X = data.truth.X * units[:, None]
    D = data.truth.H @ X.T
    bound, _ = loss_lower_bound(D, data.truth.H, X)
    assert bound > 0
    inputs = np.column_stack([data.D, np.ones(len(D))])  # the same layers
    U = np.linalg.lstsq(inputs, data.truth.H, rcond=None)[0]
    D_hat = np.maximum(inputs @ U, 0) @ X.T
    assert bound < np.sum((D - D_hat) ** 2)


@pytest.mark.parametrize("value", [1e-100, 1e-6, 1.0, 1e6, 1e100])
def test_the_floor_scales_with_the_data(value):
    data = datasets.load("bars", size=3, n_samples=100, value=value)
    bound, reason = loss_lower_bound(data.D, data.truth.H, data.truth.X)
    unit, _ = loss_lower_bound(data.D / value, data.truth.H, data.truth.X / value)
    # By powers of two exactly; else the least error tried may be another one.
    assert bound == pytest.approx(unit * value**2, rel=0.7)
    exact, _ = loss_lower_bound(2.0**20 * data.D, data.truth.H, 2.0**20 * data.truth.X)
    assert exact == 2.0**40 * bound
    assert bound > 0 and "no layer gives" in reason


def test_a_floor_that_is_of_no_use_is_not_looked_for():
    data = datasets.load("bars", size=3, n_samples=100)
    assert loss_lower_bound(data.D, data.truth.H, data.truth.X, above=1.0) == (
        0.0,
        "a loss of 1.0e+00 is above all that can be proved",
    )
    assert loss_lower_bound(data.D, data.truth.H, data.truth.X, above=1e-5)[0] > 1e-5


def test_real_data_have_no_floor():
    D = digits(200)
    nmf = NMF(6, random_state=0).fit(D)
    assert loss_lower_bound(D, nmf.transform(D), nmf.components_.T)[0] == 0
