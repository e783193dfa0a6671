"""T2: with a free decoder the ReLU autoencoder is PCA, and so is semi-NMF."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds
from scipy.linalg import block_diag
from scipy.optimize import linprog

from partsrep import SAE, presets
from partsrep.study.matching import match


def optimum(D, m, seed):
    """U and X of the proof: H = P(c a 1ᵀ + B) ≥ 0 with P a > 0 where P is not zero."""
    P, S, Qt = (factor[..., :m] for factor in svd(D))
    Q = Qt
    rows = np.abs(P).max(axis=1) > 1e-10
    # An a with P a ≥ 1 on those rows, and none larger than it has to be.
    found = linprog(P[rows].sum(axis=0), -P[rows], -np.ones(rows.sum()), bounds=[(None, None)] * m)
    assert found.status == 0, "no positive vector: a component has lost its Perron vector"
    B = np.random.RandomState(seed).standard_normal((m, m))
    c = 1 + np.abs(P @ B).max()
    T = (np.outer(c * found.x, np.ones(m)) + B) / S[:, None]
    return (Q @ T).T, Q @ np.linalg.inv(T).T


def svd(D):
    P, S, Qt = np.linalg.svd(D, full_matrices=False)
    return P, S, Qt.T


def tail(D, m):
    return np.sum(svd(D)[1][m:] ** 2)


def loss(sae, D):
    return np.sum((D - sae.inverse_transform(sae.transform(D))) ** 2)


@settings(max_examples=60, deadline=None)
@given(seeds, st.lists(st.integers(2, 5), min_size=1, max_size=3), st.integers(1, 4))
def test_t02_loss_is_that_of_the_svd_on_reducible_data(seed, blocks, m):
    """Blocks that share no sample and no feature, and a sample of zeros."""
    sizes = [(2 * size, size) for size in blocks]
    D = block_diag(*(random_matrix(seed + i, *size, zeros=0) for i, size in enumerate(sizes)))
    D = np.vstack([D, np.zeros(D.shape[1])])
    m = min(m, D.shape[1])
    U, X = optimum(D, m, seed)
    sae = SAE.from_weights(U, X)
    assert abs(loss(sae, D) - tail(D, m)) <= 1e-9 * np.sum(D**2)


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(2, 4))
def test_t02_optimal_decoders_fill_an_open_set_and_are_no_parts(seed, m):
    D = random_matrix(seed, 20, 8, zeros=0)
    U, X = optimum(D, m, seed)
    # Any T near the proof's does as well; and so do the rays of the cone {t : D Q t ≥ 0}.
    near = np.eye(m) + 1e-4 * np.random.RandomState(seed).standard_normal((m, m))
    P, S, Q = (factor[..., :m] for factor in svd(D))
    rays = extreme(P, seed) / S[:, None]
    assume(np.linalg.cond(rays) < 1e4)
    decoders = []
    for encoder, decoder in (
        (U, X),
        (near.T @ U, X @ np.linalg.inv(near).T),
        ((Q @ rays).T, Q @ np.linalg.inv(rays).T),
    ):
        sae = SAE.from_weights(encoder, decoder)
        assert abs(loss(sae, D) - tail(D, m)) <= 1e-9 * np.sum(D**2)
        decoders.append(decoder.T)
    assert (X < 0).any()
    assert match(decoders[0], decoders[2]).mcc < 0.99


def extreme(P, seed):
    """Rays (m, m) of {t : P t ≥ 0}, in random directions; for m = 2 there are just two."""
    rng = np.random.RandomState(seed)
    m = P.shape[1]
    found = []
    while len(found) < m:
        cost = rng.standard_normal(m)
        t = linprog(cost, -P, np.zeros(len(P)), [P.sum(axis=0)], [1.0], bounds=[(None, None)] * m).x
        if np.linalg.matrix_rank(np.array([*found, t]), tol=1e-6) > len(found):
            found.append(t)
    return np.array(found).T


def test_t02_it_is_pca_out_of_sample():
    D = random_matrix(0, 30, 10, zeros=0.2)
    U, X = optimum(D, 4, 0)
    sae = SAE.from_weights(U, X)
    new = random_matrix(1, 200, 10, zeros=0.2)
    Q = svd(D)[2][:, :4]
    active = (new @ U.T > 0).all(axis=1)
    assert active.mean() > 0.9
    assert np.allclose(sae.inverse_transform(sae.transform(new))[active], new[active] @ Q @ Q.T)


def test_t02_with_biases_it_is_centred_pca_of_signed_data():
    rng = np.random.RandomState(0)
    D = rng.standard_normal((40, 6)) * np.arange(1, 7) + rng.standard_normal(6)
    mean = D.mean(axis=0)
    Q = svd(D - mean)[2][:, :3]
    T = rng.standard_normal((3, 3))
    U, X = (Q @ T).T, Q @ np.linalg.inv(T).T
    lift = 1 + np.abs((D - mean) @ U.T).max(axis=0)
    sae = SAE.from_weights(U, X, lift - U @ mean, mean - X @ lift)
    assert np.isclose(loss(sae, D), tail(D - mean, 3))


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_t02_semi_nmf_attains_the_svd(seed):
    D = random_matrix(seed, 15, 6, zeros=0)
    U, X = optimum(D, 2, seed)
    H = np.maximum(D @ U.T, 0)
    semi = presets.semi_nmf(2, start=(H, X), max_iter=5, tol=1e-6).fit(D)
    assert np.isclose(semi.loss_, tail(D, 2), rtol=1e-6)


def test_t02_semi_nmf_mixes_its_parts_at_no_loss():
    """Parts of a fit to signed data, moved by the proposition, are a fit of the same loss."""
    D = np.random.RandomState(0).standard_normal((30, 6))
    semi = presets.semi_nmf(3, random_state=0).fit(D)
    H, P = semi.transform(D), semi.components_
    codes = H + np.outer(H[:, 0], [0, 2, 0])
    parts = P - 2 * np.outer([1, 0, 0], P[1])
    assert (codes >= 0).all() and match(P[:1], parts[:1]).mcc < 0.95
    again = presets.semi_nmf(3, start=(codes, parts.T), max_iter=1).fit(D)
    assert again.loss_ <= np.sum((D - H @ P) ** 2) * (1 + 1e-12)
    assert np.isclose(np.sum((D - codes @ parts) ** 2), np.sum((D - H @ P) ** 2), rtol=1e-12)
