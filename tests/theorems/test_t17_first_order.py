"""T17: what a little noise does to NMF and the autoencoder themselves, against actual optima."""

import numpy as np
import pytest
from hypothesis import given, settings
from problems import seeds
from scipy.optimize import minimize

from partsrep import NMF, noise_law, predict
from partsrep.study.first_order import displacement, first_order
from partsrep.study.matching import unit_rows

TIGHT = {"maxiter": 20_000, "maxfun": 10**6, "maxcor": 30, "ftol": 1e-16, "gtol": 1e-12}


def unique(seed, n=150, m=3, d=12):
    """Codes with pure samples and parts with private features: unique, and rigid."""
    rng = np.random.RandomState(seed)
    X = np.vstack([np.eye(m), rng.uniform(size=(d - m, m)) * (rng.uniform(size=(d - m, m)) < 0.6)])
    H = rng.uniform(0.5, 1.5, (n, m)) * (rng.uniform(size=(n, m)) < 0.5)
    H[:m] = np.eye(m)
    return H, X / np.linalg.norm(X, axis=0), rng.standard_normal((n, d))


def least(value, start, lower):
    bounds = np.column_stack([lower, np.full(len(lower), np.inf)])
    return minimize(value, start, jac=True, method="L-BFGS-B", bounds=bounds, options=TIGHT)


def optima(D, H, X, s):
    """Losses and parts of NMF and of an autoencoder, fitted to D from the truth.

    Variables are steps in units of s, and encoders act on the left singular vectors of D.
    """
    (n, m), d = H.shape, len(X)
    size = np.linalg.norm(H, axis=0) ** 0.5
    H, X = H / size, X * size

    def nmf(flat):
        codes, parts = H + s * flat[: n * m].reshape(n, m), X + s * flat[n * m :].reshape(d, m)
        rest = (codes @ parts.T - D) / s
        slope = [(rest @ parts).ravel(), (rest.T @ codes).ravel()]
        return np.sum(rest**2), 2 * np.concatenate(slope)

    inputs = np.linalg.svd(D, full_matrices=False)[0]
    pinv = inputs.T @ D @ np.linalg.pinv(X).T
    k = len(pinv)

    def sae(flat):
        Z = inputs @ (pinv + s * flat[: k * m].reshape(k, m))
        parts = X + s * flat[k * m :].reshape(d, m)
        codes = Z.clip(min=0)
        rest = (codes @ parts.T - D) / s
        slope = [(inputs.T @ (rest @ parts * (Z > 0))).ravel(), (rest.T @ codes).ravel()]
        return np.sum(rest**2), 2 * np.concatenate(slope)

    one = least(nmf, np.zeros((n + d) * m), -np.concatenate([H.ravel(), X.ravel()]) / s)
    start = np.concatenate([np.zeros(k * m), one.x[n * m :]])
    other = least(sae, start, np.concatenate([np.full(k * m, -np.inf), -X.ravel() / s]))
    parts = [unit_rows((X + s * x[-d * m :].reshape(d, m)).T) for x in (one.x, other.x)]
    return s**2 * one.fun, s**2 * other.fun, *parts


@pytest.mark.parametrize("seed", range(4))
def test_t17_actual_optima_are_where_the_law_says(seed):
    H, X, noise = unique(seed)
    s = 1e-3
    D = H @ X.T + s * noise
    law = noise_law(X, H, D).methods
    N, S, nmf, sae = optima(D, H, X, s)
    assert law.nmf_loss == pytest.approx(N, rel=1e-3)
    assert law.relative_gap == pytest.approx((S - N) / N, rel=0.05)
    assert np.linalg.norm(nmf - X.T - law.nmf_shift) < 0.02 * np.linalg.norm(nmf - X.T)
    assert np.linalg.norm(sae - X.T - law.sae_shift) < 0.03 * np.linalg.norm(sae - X.T)
    apart = law.sae_shift - law.nmf_shift
    assert np.linalg.norm(sae - nmf - apart) < 0.1 * np.linalg.norm(sae - nmf)
    assert law.displacement == pytest.approx(np.linalg.norm(sae - nmf), rel=0.1)


def test_t17_a_fitted_nmf_tells_it_too():
    """Its codes and parts with small entries set to zero, in place of the truth."""
    H, X, noise = unique(0)
    s = 1e-3
    D = np.maximum(H @ X.T + s * noise, 0)
    nmf = NMF(3, init="random", n_init=3, random_state=0, tol=1e-8, max_iter=3000).fit(D)
    found = nmf.transform(D)
    parts = nmf.components_ * (nmf.components_ > 0.02 * nmf.components_.max())
    law = noise_law(parts.T, found * (found > 0.02 * found.max()), D).methods
    N, S, one, other = optima(D, H, X, s)
    assert law.nmf_loss == pytest.approx(N, rel=0.01)
    assert law.relative_gap == pytest.approx((S - N) / N, rel=0.1)
    assert law.displacement == pytest.approx(np.linalg.norm(other - one), rel=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_t17_a_prediction_has_the_distance_of_the_optima(seed):
    H, X, noise = unique(seed)
    s = 3e-3
    D = np.maximum(H @ X.T + s * noise, 0)
    foretold = predict(D, 3, seeds=2).evidence["first-order displacement of a part"]
    *_, nmf, sae = optima(D, H, X, s)
    assert foretold == pytest.approx(np.linalg.norm(sae - nmf) / 3**0.5, rel=0.1)
    assert displacement(1e-90 * H, X.T, 1e-90 * D) == pytest.approx(
        displacement(H, X.T, D), rel=0.02
    )


def test_t17_nothing_is_said_where_its_assumptions_fail():
    H, X, noise = unique(0)
    D = np.maximum(H @ X.T + 1e-3 * noise, 0)
    dead = np.insert(X, 2, 0, axis=0)
    assert displacement(H, X.T, D) == pytest.approx(displacement(H, dead.T, np.insert(D, 2, 0, 1)))
    nested, copied = X.copy(), X.copy()
    nested[:, 0], copied[:, 0] = X[:, 0] + X[:, 1], X[:, 1]
    for parts in (nested, copied):
        assert displacement(H, parts.T, np.maximum(H @ parts.T + 1e-3 * noise, 0)) is None
    seldom = H * (np.arange(len(H))[:, None] < [3, 150, 150])  # one sample of the first part
    assert displacement(seldom, X.T, np.maximum(seldom @ X.T + 1e-3 * noise, 0)) is None
    assert displacement(H[:10], X.T, D[:10]) is None
    few = predict(D[:10], 3, seeds=2)
    assert "first-order displacement of a part" not in few.table().index


def test_t17_the_error_of_the_law_is_of_the_next_order():
    H, X, noise = unique(0)
    errors = []
    for s in (1e-2, 1e-3):
        D = H @ X.T + s * noise
        law = first_order(H, X, D)
        N, S, nmf, _ = optima(D, H, X, s)
        errors.append(
            [
                abs(law.relative_gap - (S - N) / N),
                np.linalg.norm(nmf - X.T - law.nmf_shift) / s,
            ]
        )
    assert np.all(5 * np.array(errors[1]) < errors[0])


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_t17_the_law_knows_no_units_and_no_base_point(seed):
    """The size of the noise does not matter, nor which exact NMF within it the law starts from."""
    H, X, noise = unique(seed, n=40, d=8)
    rng = np.random.RandomState(seed)
    law, small = (first_order(H, X, H @ X.T + s * noise) for s in (1.0, 1e-4))
    assert small.nmf_loss == pytest.approx(1e-8 * law.nmf_loss, rel=1e-6)
    assert small.relative_gap == pytest.approx(law.relative_gap, rel=0.02, abs=1e-5)
    s = 1e-5
    base = H * (1 + s * rng.standard_normal(H.shape)), X * (1 + s * rng.standard_normal(X.shape))
    near = first_order(*base, H @ X.T + s * noise)
    assert near.nmf_loss == pytest.approx(s**2 * law.nmf_loss, rel=1e-3)
    assert near.relative_gap >= 0
    assert near.relative_gap == pytest.approx(law.relative_gap, rel=0.1, abs=1e-4)


def test_t17_it_says_whether_the_factors_are_rigid():
    """Nested parts are not: others with the same product are far from where the law puts them."""
    H, X, noise = unique(0)
    s = 1e-3
    assert noise_law(X, H, H @ X.T + s * noise).methods.rigid is True
    nested = X.copy()
    nested[:, 0] = X[:, 0] + X[:, 1]
    law = noise_law(nested, H, H @ nested.T + s * noise).methods
    other, codes = nested.copy(), H.copy()
    other[:, 0], codes[:, 1] = X[:, 0], H[:, 1] + H[:, 0]
    assert np.allclose(codes @ other.T, H @ nested.T)
    apart = unit_rows(other.T) - unit_rows(nested.T)
    assert np.linalg.norm(apart) > 10 * np.linalg.norm(law.nmf_shift)
    assert law.rigid is None


def test_t17_input_is_checked():
    H, X, _ = unique(0)
    with pytest.raises(ValueError, match="do not fit"):
        noise_law(X, H[1:], H @ X.T)
    with pytest.raises(ValueError, match="Negative values"):
        noise_law(X, -H, H @ X.T)
    with pytest.raises(ValueError, match="some sample uses"):
        noise_law(X, H * [0, 1, 1], H @ X.T)
