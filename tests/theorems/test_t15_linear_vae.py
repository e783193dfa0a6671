"""T15: the linear β-VAE is probabilistic PCA, so that its parts are principal directions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds

from partsrep import SAE, Gaussian, PriorKL
from partsrep.study.matching import match, unit_rows


def objective(S, W, V, noise, beta):
    """The linear VAE's negative bound, z|d ~ N(Vd, diag), optimal variances, d ~ N(Wz, noise)."""
    variance = beta * noise / (beta * noise + np.sum(W**2, axis=0))
    error = np.trace(S) - 2 * np.trace(W @ V @ S) + np.trace(W @ V @ S @ V.T @ W.T)
    error += variance @ np.sum(W**2, axis=0)
    prior = np.trace(V @ S @ V.T) + np.sum(variance - np.log(variance) - 1)
    return error / (2 * noise) + beta * prior / 2


def best_encoder(S, W, noise, beta):
    m = W.shape[1]
    return np.linalg.solve(W.T @ W + beta * noise * np.eye(m), W.T)


def principal(S, m, threshold):
    values, vectors = np.linalg.eigh(S)
    values, vectors = values[::-1][:m], vectors[:, ::-1][:, :m]
    return vectors * np.sqrt(np.maximum(values - threshold, 0))


def covariance(seed, d):
    A = np.random.RandomState(seed).standard_normal((d, d)) * np.arange(1, d + 1)
    return A @ A.T / d


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 3), st.floats(0.05, 1), st.floats(0.5, 8))
def test_t15_principal_directions_are_the_optimum(seed, m, noise, beta):
    """Directions with eigenvalues above β s², shortened by it; the others are pruned."""
    d, rng = 4, np.random.RandomState(seed)
    S = covariance(seed, d)
    W = principal(S, m, beta * noise)
    least = objective(S, W, best_encoder(S, W, noise, beta), noise, beta)
    for scale in (1e-3, 0.1, 1.0):
        for _ in range(20):
            other = W + scale * rng.standard_normal(W.shape)
            V = best_encoder(S, other, noise, beta)
            assert objective(S, other, V, noise, beta) >= least - 1e-9 * abs(least)
    # A rotation keeps the likelihood, but not the bound with a diagonal posterior.
    if m > 1 and (np.linalg.norm(W, axis=0) > 1e-3).all():
        turned = W @ np.linalg.qr(rng.standard_normal((m, m)))[0]
        assert objective(S, turned, best_encoder(S, turned, noise, beta), noise, beta) >= least


def parts_are_principal(X, cov, threshold):
    """Whether each part is a principal direction that stays."""
    W = principal(X @ cov @ X.T, X.shape[1], threshold)
    return match(unit_rows(X.T), np.abs(W.T)).mcc > 1 - 1e-6


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(2, 4))
def test_t15_parts_are_found_iff_disjoint_uncorrelated_and_distinct(seed, m):
    rng = np.random.RandomState(seed)
    d = 3 * m
    X = np.kron(np.eye(m), np.ones((3, 1))) * rng.uniform(0.5, 1.5, (d, 1))
    X /= np.linalg.norm(X, axis=0)
    distinct = np.diag(np.arange(1.0, m + 1))
    assert parts_are_principal(X, distinct, 0.1)
    correlated = distinct + 0.3 * (1 - np.eye(m))
    assert not parts_are_principal(X, correlated, 0.1)
    overlapping = X + 0.3 * random_matrix(seed, d, m, zeros=0.5) + 0.1
    assert not parts_are_principal(overlapping / np.linalg.norm(overlapping, axis=0), distinct, 0.1)
    assert not parts_are_principal(X, distinct, 1.5), "below β s² a part is pruned"
    # Equal values leave a whole space of directions.
    turn = np.linalg.qr(rng.standard_normal((m, m)))[0]
    S = X @ X.T
    for W in (X, X @ turn):
        assert np.allclose(S @ W, W)


@pytest.mark.parametrize("beta", [0.2, 2.5])
def test_t15_training_finds_them(beta):
    rng = np.random.RandomState(0)
    X = np.kron(np.eye(3), np.ones((2, 1))) / np.sqrt(2)
    D = rng.standard_normal((600, 3)) * [3.0, 2.0, 1.0] @ X.T
    D += 0.01 * rng.standard_normal(D.shape)
    # Errors are summed, so the weight is 2·s²·β; eigenvalues are 9, 4 and 1.
    vae = SAE(3, activation=Gaussian(), penalty=PriorKL(2 * beta), bias="both", random_state=0)
    vae.set_params(solver="lbfgs", max_epochs=2000).fit(D)
    W = vae.components_
    W = W[np.linalg.norm(W, axis=1) > 0.1]
    assert len(W) == (3 if beta < 1 else 2)
    cosines = np.abs(unit_rows(W) @ X)
    assert (cosines.max(axis=1) > 0.99).all()
