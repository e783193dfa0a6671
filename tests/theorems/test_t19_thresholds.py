"""T19: the margins give the thresholds at which a layer recovers all supports, for any m and d."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds

from partsrep import NMF, SAE, JumpReLU, datasets, encodability, margin_layer
from partsrep.leastsquares import exact_nnls
from partsrep.study.matching import match


def problem(seed, d, m, p, n=60):
    """Encodable parts and patterns, and codes between 1 and 3 whose support is in a pattern."""
    rng = np.random.RandomState(seed)
    X = np.abs(rng.standard_normal((d, m)))
    patterns = np.vstack([random_matrix(seed + 1, p, m, zeros=0.7) > 0, np.eye(m) > 0])
    assume(encodability(X, patterns).margin.min() > 1e-3)
    H = patterns[rng.randint(len(patterns), size=n)] * (rng.random_sample((n, m)) < 0.8)
    return X, patterns, H * rng.uniform(1, 3, H.shape), rng


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(2, 8), st.integers(1, 9), st.integers(0, 2))
def test_t19_bounded_noise_never_changes_a_support(seed, d, m, p):
    """‖e‖ ≤ ρ and codes above 2ρ/δ_j; the worst directions, those of the rows, among the noise."""
    X, patterns, H, rng = problem(seed, d, m, p)
    rows = encodability(X, patterns).encoder
    lengths = np.linalg.norm(rows, axis=1)
    # The thresholds of Gaussian noise are s ‖u_j‖ t; here they are to be ρ ‖u_j‖.
    t = (2 * np.log(m / 0.5)) ** 0.5
    rho = 0.999 / (2 * lengths.max())
    layer = margin_layer(X, patterns, rho / t, risk=0.5)
    assert np.allclose(layer.threshold_, rho * lengths)
    E = rng.standard_normal((len(H), d))
    E[: len(H) // 2] = (rows * rng.choice([-1, 1], (m, 1)))[rng.randint(m, size=len(H) // 2)]
    E *= 0.999 * rho / np.linalg.norm(E, axis=1, keepdims=True)
    codes = layer.transform(H @ X.T + E)
    assert np.array_equal(codes > 0, H > 0)
    assert (np.abs(codes - H) <= layer.threshold_ * (1 + 1e-6) + 1e-9).all()


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(2, 8), st.integers(1, 9), st.integers(0, 2))
def test_t19_gaussian_noise_seldom_changes_one(seed, d, m, p):
    """At the largest noise that is admitted; by the union bound far more seldom than η = 1e-6."""
    X, patterns, H, rng = problem(seed, d, m, p)
    setting = {"n_samples": len(H), "risk": 1e-6}
    noise = 0.999 / (2 * margin_layer(X, patterns, 1.0, **setting).threshold_.max())
    layer = margin_layer(X, patterns, noise, **setting)
    codes = layer.transform(H @ X.T + noise * rng.standard_normal((len(H), d)))
    assert np.array_equal(codes > 0, H > 0)
    assert (np.abs(codes - H) <= layer.threshold_ + 1e-9).all()


def test_t19_more_parts_than_features_where_exact_inference_finds_no_support():
    blocks = np.kron(np.eye(8), np.ones((3, 3)))
    rng = np.random.RandomState(0)
    X = np.abs(rng.standard_normal((16, 24))) * (rng.random_sample((16, 24)) < 0.3) + 1e-3
    assert encodability(X, blocks).encodable.all()
    H = np.repeat(blocks, 10, axis=0) * rng.uniform(1, 2, (240, 24))
    noise = 0.5 / margin_layer(X, blocks, 1.0, n_samples=240).threshold_.max()
    D = H @ X.T + noise * rng.standard_normal((240, 16))
    layer = margin_layer(X, blocks, noise, n_samples=240)
    assert np.array_equal(layer.transform(D) > 0, H > 0)
    exact = exact_nnls(D, X.T)
    assert np.mean(((exact > 0) == (H > 0)).all(axis=1)) < 0.05


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_t19_from_a_fitted_nmf():
    """Noisy data: the NMF's own codes have the true supports in hardly any sample, the layer in
    nearly all; and as a start it gives its thresholds on."""
    truth = {"n_parts": 6, "part_size": 4, "overlap": 0.3, "activity": 0.3}
    planted = datasets.load("planted", n_samples=600, noise=0.05, **truth)
    nmf = NMF(6, n_init=3, random_state=0).fit(planted.D)
    H, parts = nmf.transform(planted.D), nmf.components_
    layer = margin_layer(parts.T, 0.1 * H.max(axis=0) < H, 0.05, n_samples=600)
    pairs = dict(match(planted.truth.X.T, parts).pairs)
    order = [pairs[j] for j in range(6)]
    right = {
        name: np.all((codes[:, order] > 0) == (planted.truth.H > 0), axis=1).mean()
        for name, codes in {"NMF": H, "layer": layer.transform(planted.D)}.items()
    }
    assert right["NMF"] < 0.1 and right["layer"] > 0.99
    learns = JumpReLU(float(layer.threshold_.mean()), bandwidth=1e-3)
    begun = SAE(activation=learns, start=layer, max_epochs=1, tol=0, random_state=0)
    assert np.allclose(begun.fit(planted.D).threshold_, layer.threshold_, rtol=0.2)


def test_t19_a_code_of_one_threshold_is_not_enough():
    """Between θ and 2θ noise can remove a code: the 2 is needed."""
    layer = margin_layer(np.eye(1), np.eye(1), 1.0, risk=0.5)
    theta = layer.threshold_[0]
    assert layer.transform([[1.5 * theta - 0.9 * theta]]) == 0
    assert layer.transform([[2.1 * theta - theta]]) > 0


def test_t19_without_noise_the_activation_is_relu():
    X, H = random_matrix(3, 5, 3) + np.eye(5, 3), random_matrix(4, 20, 3)
    layer = margin_layer(X, H, 0.0)
    assert not layer.threshold_.any()
    assert np.allclose(layer.transform(H @ X.T), H)


def test_t19_parts_without_a_margin_are_named():
    X = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    with pytest.raises(ValueError, match=r"parts \[2\]"):
        margin_layer(X, np.eye(3), 0.1)
    with pytest.raises(ValueError, match="risk"):
        margin_layer(X[:, :2], np.eye(2), 0.1, risk=0)
