"""T3: exact data and linearly independent parts: the exact NMF is an exact autoencoder."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import low_rank, random_matrix, seeds

from partsrep import NMF, SAE, datasets, encodability
from partsrep.study.matching import match


def independent(seed, d, m):
    """Nonnegative parts, far from dependent."""
    return random_matrix(seed, d, m) + np.eye(d, m)


def rebuilt(U, X, D):
    sae = SAE.from_weights(U, X)
    return sae.inverse_transform(sae.transform(D)), sae.transform(D)


@settings(max_examples=100, deadline=None)
@given(seeds, st.integers(1, 8), st.integers(0, 8))
def test_t03_the_pseudoinverse_encodes_every_exact_nmf(seed, m, more):
    X, H = independent(seed, m + more, m), random_matrix(seed + 1, 20, m)
    D_hat, codes = rebuilt(np.linalg.pinv(X), X, H @ X.T)
    assert np.allclose(codes, H, atol=1e-8)
    assert np.allclose(D_hat, H @ X.T, atol=1e-8)


def test_t03_swimmer_is_encodable_though_its_codes_are_dependent():
    truth = datasets.load("swimmer").truth
    assert np.linalg.matrix_rank(truth.H) == 13 < np.linalg.matrix_rank(truth.X) == 17
    codes = rebuilt(np.linalg.pinv(truth.X), truth.X, truth.H @ truth.X.T)[1]
    assert np.allclose(codes, truth.H)
    assert encodability(truth.X, truth.H).encodable.all()


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_t03_the_encoder_is_not_identified(seed):
    """Any row may be added that no sample sees."""
    X, H = independent(seed, 8, 3), random_matrix(seed + 1, 20, 3)
    unseen = np.linalg.svd(X.T)[2][3:]
    U = np.linalg.pinv(X) + np.random.RandomState(seed).standard_normal((3, 5)) @ unseen
    assert np.allclose(rebuilt(U, X, H @ X.T)[1], H)
    # The same codes, and rows that look nothing like the parts.
    assert match(U, X.T).mcc < 0.9


def test_t03_unique_parts_are_found_by_both_and_dependent_solutions_by_none():
    data = datasets.load("planted", n_samples=100, n_parts=4, overlap=0.3)
    nmf = NMF(4, init="random", n_init=3, random_state=0, tol=1e-8).fit(data.D)
    sae = SAE(4, decoder="nonnegative", random_state=1, max_epochs=200).fit(data.D)
    for model in (nmf, sae):
        assert match(model.components_, data.truth.X.T).mcc > 0.999


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@settings(max_examples=10, deadline=None)
@given(seeds)
def test_t03_zero_loss_means_an_exact_nmf(seed):
    """Of rank m: the parts of any autoencoder without loss span the rows, and its codes are ≥ 0."""
    D = low_rank(seed, 30, 8, 2)
    sae = SAE(2, decoder="nonnegative", random_state=0, dtype="float64", solver="alternating")
    sae.fit(D)
    H = sae.transform(D)
    assert (H >= 0).all() and (sae.components_ >= 0).all()
    assert NMF(2, start=(H, sae.components_.T), max_iter=20).fit(D).loss_ <= sae.loss_ + 1e-9
