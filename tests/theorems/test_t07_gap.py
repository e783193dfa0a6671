"""T7: the excess loss, the certificate and what noise costs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import digits, random_matrix, seeds
from scipy.stats import ortho_group

from partsrep import (
    NMF,
    SAE,
    Fixed,
    certificate,
    compare,
    datasets,
    encodability,
    encodability_on,
    noise_law,
)
from partsrep.leastsquares import exact_nnls
from partsrep.study.matching import match


def loss(D, H, X):
    return np.sum((D - H @ X.T) ** 2)


@settings(max_examples=100, deadline=None)
@given(seeds, st.integers(1, 6), st.integers(1, 8))
def test_t07_identity(seed, m, d):
    D, X = random_matrix(seed, 15, d), random_matrix(seed + 1, d, m)
    H, best = random_matrix(seed + 2, 15, m), exact_nnls(D, X.T)
    gram, M = X.T @ X, (best @ X.T - D) @ X
    difference = H - best
    right = np.vdot(difference @ gram, difference) + 2 * np.vdot(H, M)
    left = loss(D, H, X) - loss(D, best, X)
    assert abs(left - right) <= 1e-10 * (1 + loss(D, H, X) + np.sum(D**2))
    assert left >= -1e-10


def pinv_gap(D, X):
    Z = D @ np.linalg.pinv(X).T
    return Z, loss(D, np.maximum(Z, 0), X) - loss(D, exact_nnls(D, X.T), X)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(2, 5), st.integers(0, 5))
def test_t07_gap_of_the_pseudoinverse_and_its_bounds(seed, m, more):
    X = random_matrix(seed, m + more, m) + np.eye(m + more, m)
    X /= np.linalg.norm(X, axis=0)
    D = random_matrix(seed + 1, 20, m + more)
    Z, gap = pinv_gap(D, X)
    gram, negative = X.T @ X, np.minimum(Z, 0)
    roots = np.linalg.cholesky(gram)
    # ‖Z₋‖²_G − min_{H≥0}‖Z − H‖²_G, the second by NNLS in the metric of G.
    nearest = exact_nnls(Z @ roots, roots)
    exact = np.vdot(negative @ gram, negative) - loss(Z @ roots, nearest, roots.T)
    assert np.isclose(gap, exact, atol=1e-9)
    values = np.linalg.eigvalsh(gram)
    mass = np.sum(negative**2)
    coherence = np.abs(gram - np.eye(m)).max()
    first, second = (values[-1] - values[0]) * mass, 2 * (m - 1) * coherence * mass
    assert gap <= first + 1e-9 <= second + 2e-9


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_t07_no_gap_for_orthogonal_parts_or_codes_that_are_nonnegative(seed):
    X = ortho_group.rvs(6, random_state=seed % 2**31)[:, :3]
    signed = np.random.RandomState(seed).standard_normal((20, 6))
    assert pinv_gap(signed, X)[1] == pytest.approx(0, abs=1e-9)
    X = random_matrix(seed, 6, 3) + np.eye(6, 3)
    inside = (random_matrix(seed + 1, 20, 3) + 1) @ X.T
    assert pinv_gap(inside, X)[1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("k", [1, 3])
def test_t07_noise_law(k):
    rng = np.random.RandomState(k)
    n, d, m = 20_000, 24, 6
    X = random_matrix(1, d, m, zeros=0.5) + 0.2
    active = rng.uniform(size=(n, m)).argsort(axis=1) < k
    law = noise_law(X, k / m)
    H = active * rng.uniform(1, 2, (n, m))
    relative = []
    for noise in (1e-3, 1e-2):
        E = noise * rng.standard_normal((n, d))
        D = H @ X.T + E
        Z, gap = pinv_gap(D, X)
        mass = np.sum(np.minimum(Z, 0) ** 2) / (n * noise**2)
        assert mass == pytest.approx(law.negative_mass, rel=0.03)
        error = np.linalg.norm(np.maximum(Z, 0) - H)
        assert error <= law.amplification * np.linalg.norm(E)
        assert 0 < gap / (n * noise**2) <= law.gap
        relative.append(gap / loss(D, exact_nnls(D, X.T), X))
    assert relative[0] == pytest.approx(relative[1], rel=0.05), "it does not depend on the noise"
    assert max(relative) <= law.relative_gap


def test_t07_noise_law_wants_independent_parts_and_rates():
    with pytest.raises(ValueError, match="linearly independent"):
        noise_law(np.ones((3, 2)), 0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        noise_law(np.eye(3), 1.5)


def test_t07_supports_mislead_as_predicted():
    """Perfect parts, tiny noise: half of the zero codes turn positive."""
    rng = np.random.RandomState(0)
    n, d, m, k = 2000, 40, 16, 4
    owner = rng.permutation(np.arange(d) % m)
    X = ((owner[:, None] == np.arange(m)) / np.sqrt(d / m)).astype(float)
    H = (rng.uniform(size=(n, m)).argsort(axis=1) < k) * rng.uniform(1, 2, (n, m))
    D = np.maximum(H @ X.T + 1.0, 1.0) - 1.0
    D += 1e-3 * rng.standard_normal((n, d))
    nnls = SAE.from_weights(np.linalg.pinv(X), X)
    # The true support: a threshold far above the noise.
    true = SAE.from_weights(np.linalg.pinv(X), X, activation="jumprelu", threshold=0.1)
    result = compare(nnls, true, D)
    assert result.jaccard_expected == pytest.approx(k / (k + (m - k) / 2), abs=1e-6)
    assert result.jaccard == pytest.approx(result.jaccard_expected, abs=0.03)
    assert result.jaccard_thresholded == 1


# The certificate ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def on_digits():
    D = digits(300)
    nmf = NMF(8, n_init=3, init="random", random_state=0).fit(D)
    return D, nmf, certificate(nmf, D)


def test_t07_certificate_has_two_sides_and_a_witness(on_digits):
    D, nmf, found = on_digits
    tail = np.sum(np.linalg.svd(D, compute_uv=False)[8:] ** 2)
    assert found.lower == pytest.approx(tail - nmf.loss_)
    assert found.lower < 0 < found.upper
    assert not found.strict
    sae = found.sae
    assert (sae.components_ >= 0).all() and sae.decoder_bias_ is None
    D_hat = np.maximum(D @ sae.encoder_.T, 0) @ sae.components_
    assert np.sum((D - D_hat) ** 2) <= nmf.loss_ + found.upper
    terms = found.terms
    assert terms["svd"] <= terms["nmf"] <= terms["fine-tuned"] <= terms["best encoder"]
    encoders = ("pinv encoder", "least-squares encoder", "witness rows")
    assert terms["best encoder"] <= min(terms[name] for name in encoders)
    assert list(found.table().index) == list(terms)


def test_t07_every_trained_model_respects_the_lower_bound_and_fine_tuning_the_upper(on_digits):
    D, nmf, found = on_digits
    for settings_ in ({}, {"bias": "encoder"}, {"encoder": "tied"}, {"solver": "alternating"}):
        sae = SAE(8, decoder="nonnegative", random_state=1, max_epochs=60, **settings_).fit(D)
        assert sae.loss_ >= nmf.loss_ + found.lower
    again = SAE(8, decoder="nonnegative", start=found.sae, max_epochs=20).fit(D)
    assert again.loss_ <= nmf.loss_ + found.upper


@pytest.mark.parametrize("size", [3, 5, 8])
@pytest.mark.parametrize("seed", [0, 1])
def test_t07_certificate_of_the_full_bars_is_strict(size, seed):
    D = datasets.load("bars", size=size, seed=seed, value=0.25 + seed).D
    nmf = NMF(2 * size, n_init=5, init="random", random_state=seed).fit(D)
    found = certificate(nmf, D)
    assert found.strict
    assert found.lower == pytest.approx(found.terms["floor"] - found.terms["nmf"])
    for bias in (False, "encoder"):
        short = {"max_epochs": 100, "random_state": seed, "bias": bias}
        sae = SAE(2 * size, decoder="nonnegative", start=found.sae, **short).fit(D)
        assert sae.loss_ > nmf.loss_ + found.lower


def dropped_bar(seed):
    truth = datasets.load("bars", size=5, seed=seed).truth
    return truth.H[:, 1:] @ truth.X[:, 1:].T


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_t07_rounding_proves_nothing():
    """Both losses are 0 but for rounding, whichever is larger."""
    D = random_matrix(0, 20, 2) @ random_matrix(1, 2, 4)
    for seed in range(5):
        nmf = NMF(2, init="random", random_state=seed, tol=1e-12, max_iter=3000).fit(D)
        assert not certificate(nmf, D).strict


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("D", "m"),
    [
        (dropped_bar(0), 9),
        (dropped_bar(1), 9),
        (datasets.load("bars", size=2).D, 4),
        (datasets.load("bars", size=4, probability=None).D, 8),
        (datasets.load("planted", n_samples=200, n_parts=5).D, 5),
        (datasets.load("planted", n_samples=200, n_parts=5, overlap=0.4).D, 5),
        (datasets.load("swimmer").D, 17),
    ],
    ids=["a bar less", "a bar less, 1", "2 × 2", "crosses", "disjoint", "overlapping", "swimmer"],
)
def test_t07_nothing_is_strict_where_a_layer_is_exact(D, m):
    nmf = NMF(m, n_init=3, init="random", random_state=0).fit(D)
    found = certificate(nmf, D, max_epochs=100)
    assert not found.strict
    assert found.terms["floor"] == 0


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(2, 4), st.integers(2, 4), st.integers(0, 2), st.booleans())
def test_t07_what_is_strict_no_training_refutes(seed, rows, columns, dropped, pure):
    """Bars of all grids, with amplitudes of their own, some of them left out."""
    rng = np.random.RandomState(seed)
    X = np.hstack(
        [np.kron(np.eye(rows), np.ones((columns, 1))), np.tile(np.eye(columns), (rows, 1))]
    )
    X = X[:, dropped:] * rng.uniform(0.5, 2, X.shape[1] - dropped)
    m = X.shape[1]
    H = rng.uniform(size=(60, m)) * (rng.uniform(size=(60, m)) < 0.4) * 3
    D = (np.vstack([np.eye(m), H]) if pure else H) @ X.T
    nmf = NMF(m, start=(np.maximum(D @ np.linalg.pinv(X).T, 0), X), tol=1e-8).fit(D)
    found = certificate(nmf, D, max_epochs=60)
    assert found.strict is (found.lower > 0)
    if found.strict:
        assert encodability_on(D, X).reconstruction is not True
        sae = SAE(m, decoder="nonnegative", bias="encoder", n_init=3, random_state=0)
        sae.set_params(solver="lbfgs", max_epochs=60).fit(D)
        assert sae.loss_ > nmf.loss_ + found.lower
    if dropped or m >= len(X):
        assert not found.strict, "independent parts, or a part for each feature"


FULL_BARS = datasets.load("bars", size=3, n_samples=100)


@settings(max_examples=8, deadline=None)
@given(seeds, st.sampled_from([1e-12, 1e-9, 1e-4]), st.booleans())
def test_t07_units_of_features_do_not_change_what_is_strict(seed, least, faint):
    """Bars whose pixels have units of their own; and with one faint private pixel a part, which
    makes the parts independent, so that X⁺ is a layer without loss."""
    rng = np.random.RandomState(seed)
    H, X = FULL_BARS.truth.H, FULL_BARS.truth.X
    if faint:
        X = np.vstack([X, np.diag(least ** rng.uniform(0.5, 1, 6))])
    else:
        X = X * least ** rng.uniform(size=(9, 1))
    D = H @ X.T
    exact = SAE.from_weights(X.T, X)  # a model with these parts
    found = certificate(exact, D, max_epochs=20)
    assert found.lower <= found.upper
    assert found.strict is not faint
    assert encodability(X, H).encodable.tolist() == [faint] * 6
    answer = encodability_on(D, X, H)
    assert answer.codes.tolist() == [faint] * 6
    assert answer.reconstruction is faint
    if faint:
        U, b = answer.witness
        assert np.abs(np.maximum(D @ U.T + b, 0) - H).max() < 1e-4
        assert np.abs(np.maximum(D @ encodability(X, H).encoder.T, 0) - H).max() < 1e-4


@pytest.mark.parametrize("noise", [1e-9, 1e-6])
def test_t07_the_certificate_survives_noise(noise):
    rng = np.random.RandomState(0)
    D = FULL_BARS.D + noise * rng.uniform(size=FULL_BARS.D.shape)
    model = SAE.from_weights(FULL_BARS.truth.X.T, FULL_BARS.truth.X)
    clean = certificate(model, FULL_BARS.D, max_epochs=20)
    found = certificate(model, D, max_epochs=20)
    assert found.strict
    assert found.lower == pytest.approx(clean.lower, rel=0.1)


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(1, 4), st.sampled_from([1e-12, 1e-3, 1.0]), st.booleans())
def test_t07_lower_is_never_above_upper(seed, m, least, exact):
    """Any data, in any units of features, and any parts."""
    rng = np.random.RandomState(seed)
    X, D = random_matrix(seed, 6, m), random_matrix(seed + 1, 15, 6)
    D = random_matrix(seed + 2, 15, m) @ X.T if exact else D
    units = least ** rng.uniform(size=6)
    X, D = X * units[:, None], D * units
    if D.any():
        found = certificate(SAE.from_weights(X.T, X), D, max_epochs=10)
        assert found.lower <= found.upper
        assert not found.strict or not exact


def test_t07_parts_of_both_come_together_as_noise_goes():
    distances = []
    for noise in (1, 0.1):
        D = datasets.load("planted", n_samples=200, n_parts=4, overlap=0.3, noise=noise).D
        nmf = NMF(4, n_init=3, init="random", random_state=0, tol=1e-6).fit(D)
        sae = SAE(4, decoder="nonnegative", n_init=3, random_state=1).fit(D)
        distances.append(1 - match(nmf.components_, sae.components_).mcc)
    assert distances[1] < distances[0] / 30


def test_certificate_tells_bad_input():
    D = digits(50)
    nmf = NMF(3, random_state=0).fit(D)
    with pytest.raises(ValueError, match="D has 10 features, but the parts have 64"):
        certificate(nmf, D[:, :10])
    with pytest.raises(ValueError, match="Negative values"):
        certificate(nmf, -D)
    signed = SAE(3, max_epochs=2, random_state=0).fit(D)
    with pytest.raises(ValueError, match="these have negative entries"):
        certificate(signed, D)


@settings(max_examples=200, deadline=None)
@given(seeds, st.floats(0, 3))
def test_t07_the_larger_gap_at_an_optimum_has_halved_the_price(seed, curvature):
    """The three bounds for places on a line, with a price that changes as it likes."""
    rng = np.random.RandomState(seed)
    places = np.linspace(-1, 1, 41)
    E = curvature * (places - places[rng.randint(41)]) ** 2 + rng.uniform()
    price = rng.uniform(0, 2, 41) ** rng.randint(1, 4)
    nmf, sae = np.argmin(E), np.argmin(E + price)
    dictionary, amortisation = E[sae] - E[nmf], price[sae]
    assert dictionary + amortisation <= price[nmf] + 1e-12
    if dictionary > amortisation:
        assert price[sae] < price[nmf] / 2
    if sae != nmf and curvature > 1e-6:
        slope = (price[nmf] - price[sae]) / abs(places[sae] - places[nmf])
        assert dictionary <= slope**2 / curvature * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_t07_both_gaps_of_an_autoencoder_are_within_the_price(seed):
    rng = np.random.RandomState(seed)
    X = rng.uniform(size=(5, 12)) * (rng.uniform(size=(5, 12)) < 0.6) + np.eye(5, 12)
    H = rng.uniform(0.5, 1.5, (150, 5)) * (rng.uniform(size=(150, 5)) < 0.4)
    D = np.maximum(H @ X + 0.2 * rng.standard_normal((150, 12)), 0)
    nmf = NMF(5, start=(H, X.T), tol=1e-7, max_iter=3000).fit(D)
    sae = SAE(5, decoder="nonnegative", start=nmf).fit(D)
    fixed = SAE(5, decoder=Fixed(nmf.components_.T), start=nmf).fit(D)
    price = compare(nmf, fixed, D).amortisation_gap
    gaps = compare(nmf, sae, D)
    assert price > 1e-4 * np.sum(D**2)
    assert 0 < gaps.dictionary_gap < gaps.amortisation_gap
    assert gaps.dictionary_gap + gaps.amortisation_gap <= price * (1 + 1e-6)
    own = compare(sae, SAE(5, decoder=Fixed(sae.components_.T), start=sae).fit(D), D)
    # A step that the smaller price pays for, and no more.
    assert gaps.dictionary_gap <= price - own.b.loss + own.b.nnls_loss + 1e-6 * price
