"""T16: on data with one exact NMF loss zero is within reach iff a layer gives its codes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds
from scipy.optimize import linprog, minimize

from partsrep import SAE, TopK, datasets
from partsrep.study.matching import match

BARS = datasets.load("bars", size=3, n_samples=1).truth.X
DIVERGENCES = {  # of A > 0 and its slope in B > 0
    "squared error": lambda A, B: (np.sum((A - B) ** 2), 2 * (B - A)),
    "Kullback–Leibler": lambda A, B: (np.sum(A * np.log(A / B) - A + B), 1 - A / B),
    "Itakura–Saito": lambda A, B: (np.sum(A / B - np.log(A / B) - 1), (B - A) / B**2),
}


def bars(seed):
    """Single bars and some sums of which none holds all rows or all columns: one exact NMF."""
    rng = np.random.RandomState(seed)
    sums = (rng.uniform(size=(40, 6)) < 0.5) * rng.uniform(0.5, 1.5, (40, 6))
    sums = sums[sums.any(axis=1) & ~sums[:, :3].all(axis=1) & ~sums[:, 3:].all(axis=1)]
    return np.vstack([np.eye(6), sums[: 2 + seed % 4]])


def rows_for(D, H):
    """Encoder rows that give the codes exactly, for each part that has one."""
    rows = []
    for h in H.T:
        on = h > 0
        free = np.zeros(D.shape[1])
        row = linprog(free, D[~on], np.zeros(sum(~on)), D[on], h[on], bounds=(None, None))
        rows += [row.x] if row.status == 0 else []
    return np.array(rows)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@settings(max_examples=12, deadline=None)
@given(seeds)
def test_t16_zero_iff_a_layer_gives_the_codes(seed):
    H = bars(seed)
    D = H @ BARS.T
    rows = rows_for(D, H)
    if len(rows) == 6:
        exact = SAE.from_weights(rows, BARS)
        assert np.allclose(exact.inverse_transform(exact.transform(D)), D)
    lbfgs = {"solver": "lbfgs", "dtype": "float64", "max_epochs": 500}
    start = np.linalg.lstsq(D, H, rcond=None)[0].T
    sae = SAE(6, decoder="nonnegative", start=(start, BARS), **lbfgs).fit(D)
    if len(rows) == 6:
        assert sae.loss_ < 1e-7 * np.sum(D**2)
        assert match(sae.components_, BARS.T).mcc > 1 - 1e-6
    else:
        assert sae.loss_ > 1e-5 * np.sum(D**2)


def least(divergence, D, k, seed):
    """The least loss found of layers with nonnegative parts, TopK codes if k < 6."""
    rng = np.random.RandomState(seed)
    unit = D.sum() / len(D)

    def value(flat):
        U, V = flat.reshape(2, 6, -1)
        X = V**2
        norms = np.linalg.norm(X, axis=1)
        Z = D @ U.T
        on = (Z > 0) & (np.argsort(np.argsort(-Z * norms, axis=1), axis=1) < k)
        H = Z * on
        loss, slope = divergence(D + 1e-2, H @ X + 1e-2)
        to_u, to_x = ((slope @ X.T) * on).T @ D, H.T @ slope
        return loss / unit, np.concatenate([to_u.ravel(), (2 * V * to_x).ravel()]) / unit

    U = np.linalg.pinv(BARS) + 0.05 * rng.standard_normal((6, 9))
    start = np.concatenate([U.ravel(), np.sqrt(BARS.T + 0.01).ravel()])
    return minimize(value, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).fun


CROSSING = np.vstack(
    [
        np.eye(6),
        np.kron(np.eye(3), np.ones((3, 1))) @ np.eye(3, 6)
        + np.tile(np.eye(3), (3, 1)) @ np.eye(3, 6, k=3),
    ]
)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_t16_where_no_layer_does_every_divergence_stays_away_from_zero(name):
    """All single bars and all crosses of a row and a column, and then some with more bars."""
    assert len(rows_for(CROSSING @ BARS.T, CROSSING)) == 6, "at most one bar of each kind: a layer"
    more = np.array(
        [[1, 1, 0, 1, 1, 0], [0, 1, 1, 0, 1, 1], [1, 0, 1, 1, 0, 1], [1, 1, 0, 0, 1, 1]]
    )
    none = np.vstack([CROSSING, more])
    assert len(rows_for(none @ BARS.T, none)) < 6
    found = [
        min(least(DIVERGENCES[name], H @ BARS.T, 6, seed) for seed in range(3))
        for H in (CROSSING, none)
    ]
    assert found[0] < 1e-5
    assert found[1] > 30 * found[0] + 1e-4


@settings(max_examples=10, deadline=None)
@given(seeds, st.integers(2, 3))
def test_t16_topk_below_the_count_stays_away_from_zero(seed, k):
    """X⁺ is exact for TopK if no sample uses more than k parts; one that does, no TopK can have."""
    X = random_matrix(seed, 8, 4) + np.eye(8, 4)
    X /= np.linalg.norm(X, axis=0)
    H = random_matrix(seed + 1, 30, 4) * (np.random.RandomState(seed).permutation(4) < k)
    H = np.vstack([np.eye(4), H])
    for extra, exact in (([], True), ([np.ones(4)], False)):
        D = np.vstack([H, *extra]) @ X.T
        sae = SAE.from_weights(np.linalg.pinv(X), X, activation=TopK(k))
        loss = np.sum((D - sae.inverse_transform(sae.transform(D))) ** 2)
        assert (loss < 1e-12) == exact
        if not exact:
            trained = SAE(4, activation=TopK(k), start=sae, decoder="nonnegative", max_epochs=50)
            assert trained.fit(D).loss_ > 1e-6 * np.sum(D**2)
