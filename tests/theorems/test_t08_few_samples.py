"""T8: where samples are linearly independent, an encoder of its own realises any codes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds

from partsrep import NMF, SAE, TopK, certificate, compare, datasets


def independent_samples(seed, n, d):
    return random_matrix(seed, n, d) + np.eye(n, d)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 8), st.integers(0, 5), st.integers(1, 6), st.integers(1, 6))
def test_t08_any_codes_are_realised(seed, n, more, m, k):
    D, H, X = (
        independent_samples(seed, n, n + more),
        *(random_matrix(seed + i, *size) for i, size in ((1, (n, m)), (2, (n + more, m)))),
    )
    U = (np.linalg.pinv(D) @ H).T
    assert np.allclose(SAE.from_weights(U, X).transform(D), H, atol=1e-8)
    k = min(k, m)
    sparse = H * (H.argsort(axis=1).argsort(axis=1) >= m - k)
    U = (np.linalg.pinv(D) @ sparse).T
    assert np.allclose(SAE.from_weights(U, X, activation=TopK(k)).transform(D), sparse, atol=1e-8)


def test_t08_a_tie_on_the_training_set_and_none_beyond():
    faces = datasets.load("faces").D
    D, new = faces[:60], faces[60:]
    assert np.linalg.matrix_rank(D) == len(D)
    nmf = NMF(6, init="random", random_state=0, max_iter=300, tol=1e-3).fit(D)
    U = (np.linalg.pinv(D) @ nmf.transform(D)).T
    sae = SAE.from_weights(U, nmf.components_.T)
    result = compare(nmf, sae, D, heldout=new)
    assert result.trivial and not result.heldout.trivial
    assert result.loss_b == pytest.approx(result.loss_a, rel=1e-6)
    assert result.heldout.amortisation_gap > 1e-3 * result.heldout.loss_a


def test_t08_the_certificate_knows_the_tie():
    D = independent_samples(3, 8, 12)
    nmf = NMF(3, init="random", random_state=0, tol=1e-8, max_iter=3000).fit(D)
    found = certificate(nmf, D, max_epochs=1000)
    assert found.upper < 1e-3 * nmf.loss_


def test_t08_thresholds_break_it():
    """JumpReLU cannot give a code between 0 and its threshold; ReLU can."""
    D, H = np.eye(2), np.array([[0.5], [2.0]])
    U, X = H.T, np.ones((2, 1))
    jump = SAE.from_weights(U, X, activation="jumprelu", threshold=1.0)
    assert jump.transform(D).tolist() == [[0], [2]]
    assert SAE.from_weights(U, X).transform(D).tolist() == [[0.5], [2]]
