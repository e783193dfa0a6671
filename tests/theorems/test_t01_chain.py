"""T1: SVD ≤ semi-NMF ≤ NMF ≤ SAE ≤ nonnegative linear autoencoder ≤ projective ≤ orthogonal NMF.

Each model of the chain is also one of the model before it, with the same loss: what a model with
fewer constraints finds from there is at least as good. That, not luck with starts, is tested.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import digits, random_matrix, seeds

from partsrep import NMF, SAE, datasets, presets
from partsrep.leastsquares import exact_nnls
from partsrep.study.matching import unit_rows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SHORT = {"solver": "lbfgs", "max_epochs": 30}


def svd_tail(D, m):
    return float(np.sum(np.linalg.svd(D, compute_uv=False)[m:] ** 2))


def chain(D, m, seed):
    """The losses from the most constrained model on; each begins where the one before ended."""
    orthogonal = presets.orthogonal_nmf(m, init="random", random_state=seed).fit(D)
    P = unit_rows(orthogonal.components_)
    yield orthogonal.loss_

    projective = presets.projective_nmf(m, start=(D @ P.T, P.T), max_iter=50).fit(D)
    yield projective.loss_

    X = projective.components_.T
    nonnegative = SAE(m, decoder="nonnegative", encoder="nonnegative", start=(X.T, X), **SHORT)
    yield nonnegative.fit(D).loss_

    U, X = nonnegative.encoder_, nonnegative.components_.T
    sae = SAE(m, decoder="nonnegative", start=(U, X), **SHORT).fit(D)
    yield sae.loss_

    nmf = NMF(m, start=(sae.transform(D), sae.components_.T), max_iter=50).fit(D)
    yield nmf.loss_

    semi = presets.semi_nmf(m, start=(nmf.transform(D), nmf.components_.T), max_iter=50).fit(D)
    yield semi.loss_

    yield svd_tail(D, m)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(4, 14), st.integers(3, 8), st.integers(1, 3))
def test_t01_order(seed, n, d, m):
    D = random_matrix(seed, n, d)
    losses = np.array(list(chain(D, m, seed % 2**31)))
    assert (np.diff(losses) <= 1e-8 * (D**2).sum()).all(), losses


def test_t01_order_is_strict_on_digits():
    D = digits(200)
    losses = np.array(list(chain(D, 6, 0)))
    assert (np.diff(losses) < -1e-5 * (D**2).sum())[[0, 1, 2, 3, 5]].all(), losses


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 4))
def test_t01_inclusions_keep_the_loss(seed, m):
    """ReLU is inactive on nonnegative products, and D X are the best codes of orthogonal parts."""
    D = random_matrix(seed, 12, 8)
    owner = np.random.RandomState(seed).randint(m, size=8)
    X = unit_rows((np.arange(m)[:, None] == owner) * random_matrix(seed + 1, m, 8, zeros=0)).T
    assert np.allclose(exact_nnls(D, X.T), D @ X)
    free = random_matrix(seed + 2, 8, m)
    for parts in (X, free):
        sae = SAE.from_weights(parts.T, parts)
        assert np.allclose(sae.inverse_transform(sae.transform(D)), D @ parts @ parts.T)


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(1, 3))
def test_t01_any_encoder_with_nonnegative_codes_is_above_nmf(seed, m):
    """Whatever computed them, codes are no better than the best ones for the same parts."""
    D, X = random_matrix(seed, 12, 8), random_matrix(seed + 1, 8, m)
    H = np.tanh(D @ random_matrix(seed + 2, 8, 20)) @ random_matrix(seed + 3, 20, m)
    best = exact_nnls(D, X.T)
    assert np.sum((D - best @ X.T) ** 2) <= np.sum((D - H @ X.T) ** 2) + 1e-9


def test_t01_a_nonnegative_decoder_bias_is_one_more_part():
    data = datasets.load("planted", n_samples=60, n_parts=3)
    D = data.D + 0.5
    H, X, c = data.truth.H, data.truth.X, np.full(D.shape[1], 0.5)
    sae = SAE.from_weights(np.linalg.pinv(X), X, -np.linalg.pinv(X) @ c, c)
    assert np.allclose(sae.inverse_transform(sae.transform(D)), D), "exact with three units"
    assert svd_tail(D, 3) > 1, "below every NMF with three parts"
    more = np.column_stack([H, np.ones(len(D))]) @ np.column_stack([X, c]).T
    assert np.allclose(more, D), "and an NMF with four"


def test_t01_a_logistic_output_goes_below_the_singular_values():
    """n ≤ d makes all pre-activations possible, and σ(h xᵀ + 1cᵀ) has a higher rank than one."""
    rng = np.random.RandomState(0)
    h, x, c = rng.uniform(0.2, 0.8, 3), rng.standard_normal(5), rng.standard_normal(5)
    D = 1 / (1 + np.exp(-(np.outer(h, x) + c)))
    u = np.linalg.pinv(D) @ np.log(h / (1 - h))
    codes = 1 / (1 + np.exp(-(D @ u)))
    assert np.allclose(1 / (1 + np.exp(-(np.outer(codes, x) + c))), D)
    assert svd_tail(D, 1) > 1e-3
