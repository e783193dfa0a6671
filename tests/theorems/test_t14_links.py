"""T14: other links are other problems."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds

from partsrep import NMF, SAE, compare


def logistic(Z):
    return 1 / (1 + np.exp(-Z))


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 4))
def test_t14_logistic_codes_reach_no_zero_that_a_part_covers(seed, m):
    D, X = random_matrix(seed, 10, 6, zeros=0.5), random_matrix(seed + 1, 6, m, zeros=0.3)
    U = np.random.RandomState(seed).standard_normal((m, 6))
    sae = SAE.from_weights(U, X, bias=np.full(m, -3.0), activation="logistic")
    D_hat = sae.inverse_transform(sae.transform(D))
    assert (D_hat[:, X.any(axis=1)] > 0).all()


def test_t14_one_logistic_part_cannot_come_near_all_amplitudes():
    """w σ(a w t + b) = t for t in [1, 2]: the best of a fine grid leaves a loss, ReLU none."""
    t = np.linspace(1, 2, 21)
    w, a, b = np.meshgrid(np.linspace(1.5, 6, 40), np.linspace(0, 3, 40), np.linspace(-4, 4, 40))
    w, a, b = (grid.reshape(-1, 1) for grid in (w, a, b))
    losses = np.sum((w * logistic(a * w * t + b) - t) ** 2, axis=1)
    assert losses.min() > 1e-6
    relu = SAE.from_weights([[1.0]], [[1.0]])
    assert np.allclose(relu.transform(t[:, None])[:, 0], t)


def test_t14_binary_codes_can_be_approached():
    """With two amplitudes, off and on, a steep logistic is as near as one likes."""
    D = np.array([[0.0], [1.0]])
    losses = []
    for steep in (5, 10, 20):
        sae = SAE.from_weights([[2.0 * steep]], [[1.0]], bias=[-steep], activation="logistic")
        losses.append(float(np.sum((D - sae.inverse_transform(sae.transform(D))) ** 2)))
    assert losses[0] > losses[1] > losses[2] > 0
    assert losses[2] < 1e-12


def test_t14_a_logistic_output_can_be_below_nmf_and_the_comparison_says_so():
    rng = np.random.RandomState(0)
    # The pre-activations are of rank 1, the data are not.
    D = logistic(np.outer(rng.uniform(0, 3, 6), rng.standard_normal(8)))
    tail = np.sum(np.linalg.svd(D, compute_uv=False)[1:] ** 2)
    x = np.linalg.svd(np.log(D / (1 - D)))[2][:1].T
    codes = np.log(D / (1 - D)) @ x
    sign = np.sign(codes.sum())
    U = (np.linalg.pinv(D) @ codes * sign).T
    sae = SAE(1, output="logistic", start=(U, sign * x), max_epochs=1, dtype="float64").fit(D)
    assert sae.loss_ < 0.1 * tail
    result = compare(NMF(1).fit(D), sae, D)
    assert result.loss_b < result.loss_a
    with pytest.raises(ValueError, match="logistic output"):
        _ = result.dictionary_gap
