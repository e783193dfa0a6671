"""What is found does not depend on the unit of the data: every solver, preset and precision."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix

from partsrep import L1, L2, NMF, LogVolume, Simplex, TopK, UnitMean, presets
from partsrep.choices.parts import Parts
from partsrep.choices.problem import Problem
from partsrep.choices.units import Unit
from partsrep.solvers.divergences import beta_divergence
from partsrep.solvers.scale import measured, of_fit, power_of_four, put_back

SIGNED = np.random.RandomState(3).randn(14, 7)
POSITIVE = random_matrix(1, 14, 3) @ random_matrix(2, 3, 7) + 0.1 * random_matrix(4, 14, 7, 0)
KNOWN = np.random.RandomState(5).uniform(size=POSITIVE.shape) > 0.15

#: Model, data and the mask that a fit is given; the loss has the degree β in the data.
CASES = {
    "plain": (NMF(3), POSITIVE, None),
    "random": (NMF(3, init="random"), POSITIVE, None),
    "n_init": (NMF(3, init="random", n_init=3), POSITIVE, None),
    "nndsvd": (NMF(3, init="nndsvd"), POSITIVE, None),
    "nndsvdar": (NMF(3, init="nndsvdar"), POSITIVE, None),
    "spa": (NMF(3, init="spa"), POSITIVE, None),
    "masked": (NMF(3), POSITIVE, KNOWN),
    "unit": (NMF(3, parts="unit-nonnegative"), POSITIVE, None),
    "unit, any sign": (NMF(3, parts="unit"), SIGNED, None),
    "free, topk": (NMF(3, parts="free", codes=TopK(2)), SIGNED, None),
    "simplex": (NMF(3, codes=Simplex()), POSITIVE, None),
    "semi": (presets.semi_nmf(3), SIGNED, None),
    "semi, masked": (presets.semi_nmf(3), SIGNED, KNOWN),
    "convex": (presets.convex_nmf(3), SIGNED, None),
    "projective": (presets.projective_nmf(3), POSITIVE, None),
    "orthogonal": (presets.orthogonal_nmf(3), POSITIVE, None),
    "orthogonal codes": (presets.orthogonal_nmf(3, on="codes"), POSITIVE, None),
    "archetypal": (presets.archetypal(3), POSITIVE, None),
    "separable": (presets.separable_nmf(3), POSITIVE, None),
    "sparse": (presets.sparse_nmf(3), POSITIVE, None),
    "topk": (presets.topk_nmf(3, k=2), POSITIVE, None),
    "mu": (NMF(3, solver="mu"), POSITIVE, None),
    "mu, masked": (NMF(3, solver="mu", beta_loss=0.5), POSITIVE, KNOWN),
    "kl": (presets.kl_nmf(3), POSITIVE, None),
    "is": (presets.itakura_saito_nmf(3), POSITIVE, None),
    **{f"β = {b}": (NMF(3, solver="mu", beta_loss=b), POSITIVE, None) for b in (-0.5, 0.5, 1.5, 3)},
}
SCALES = [1e-300, 1e-17, 3e5, 1e11, 1e140]


def fitted(model, D, mask=None, max_iter=60):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        return model.set_params(random_state=0, max_iter=max_iter).fit(D, mask=mask)


def representable(scale, beta, dtype):
    """Whether data of a scale are numbers of a precision, and their loss one of float64."""
    data, loss = np.log10([float(np.finfo(dtype).max), float(np.finfo(float).max)])
    return abs(np.log10(scale)) < data - 2 and abs(beta * np.log10(scale)) < loss - 6


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_a_fit_of_data_in_another_unit_is_the_same_fit(name, few, dtype, monkeypatch):
    if not few:  # large data stay in single precision, or begin in it
        monkeypatch.setattr("partsrep.solvers.hals.FEW", 0)
    model, D, mask = CASES[name]
    beta = fitted(model, D.astype(dtype), mask).problem.objective.fit.beta
    energy = np.sum(np.abs(D) ** beta)
    loss, found = model.loss_, model.transform(D.astype(dtype)) @ model.components_
    objective, score = model.history_["objective"][-1], model.score(D.astype(dtype))
    # Where rounding decides how many iterations there are, two fits end so near to each other.
    close = {"rel": 2e-2, "abs": 1e-3 * energy}
    for scale in SCALES:
        if representable(scale, 1, dtype) and not representable(scale, beta, dtype):
            with pytest.raises(ValueError, match="rescale the data"):
                fitted(model, (scale * D).astype(dtype), mask)
        if not representable(scale, beta, dtype):
            continue
        scaled = (scale * D).astype(dtype)
        fitted(model, scaled, mask)
        assert model.loss_ / scale**beta == pytest.approx(loss, **close)
        assert model.reconstruction_err_ == pytest.approx(model.loss_**0.5)
        assert model.history_["objective"][-1] / scale**beta == pytest.approx(objective, **close)
        codes = model.transform(scaled)
        assert codes.dtype == model.components_.dtype == dtype
        error = codes @ (model.components_ / dtype(scale)).astype(dtype) - found
        assert np.linalg.norm(error) <= 0.1 * np.linalg.norm(D)
        assert model.score(scaled) == pytest.approx(score, abs=2e-2)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("power", [-60, 200])
def test_a_unit_that_is_a_power_of_four_is_exact(name, power):
    model, D, mask = CASES[name]
    beta = fitted(model, D, mask).problem.objective.fit.beta
    unit = 4.0**power
    if not representable(unit, beta, np.float64):
        return
    loss, D_hat = model.loss_, model.transform(D) @ model.components_
    codes = fitted(model, unit * D, mask).transform(unit * D)
    assert model.loss_ == pytest.approx(loss * unit**beta, rel=1e-9)
    assert codes @ model.components_ == pytest.approx(unit * D_hat, rel=1e-9)


PENALTIES = {
    "alpha": lambda c: {"alpha_W": 0.01 * c, "alpha_H": 0.02 * c},
    "alpha, l1": lambda c: {"alpha_W": 0.01 * c**1.5, "l1_ratio": 1.0},
    "L2, parts' L1": lambda c: {"penalty": [L2(0.3 * c), L1(0.5 * c**1.5, on="parts")]},
    "L1, unit": lambda c: {"penalty": L1(0.1 * c), "parts": "unit-nonnegative"},
    "volume": lambda c: {"penalty": LogVolume(0.05 * c**2, 0.1 * c)},
    "min_volume": lambda c: {"parts": UnitMean(), "penalty": LogVolume(0.05 * c**2)},
    "mu": lambda c: {"solver": "mu", "alpha_W": 0.01 * c, "alpha_H": 0.02 * c},
}  # fmt: skip


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [1e-17, 3e5, 1e11, 1e60])
def test_penalties_are_in_the_unit_of_the_data(name, dtype, scale):
    if not representable(scale, 2, dtype):
        return
    one, other = (
        fitted(NMF(3, init="random", tol=1e-6, **PENALTIES[name](c)), (c * POSITIVE).astype(dtype))
        for c in (1.0, scale)
    )
    assert other.loss_ / scale**2 == pytest.approx(one.loss_, rel=1e-2)
    # The objective too, up to what a change of the unit adds to the logarithm of a volume.
    first, last = (model.history_["objective"][[0, -1]] for model in (one, other))
    assert np.ptp(last) / scale**2 == pytest.approx(np.ptp(first), rel=1e-2)
    codes = other.transform((scale * POSITIVE).astype(dtype)).astype(float) / scale
    D_hat = codes @ other.components_.astype(float)
    assert np.allclose(D_hat, one.transform(POSITIVE.astype(dtype)) @ one.components_, atol=0.05)


def test_the_objective_in_the_history_is_the_penalised_loss_in_the_unit_of_the_data():
    D, volume = 1e7 * POSITIVE, LogVolume(1e12, 0.3)
    model = fitted(NMF(3, penalty=volume, alpha_W=1e5, alpha_H=0.0), D, max_iter=2000)
    P = model.components_
    penalties = D.shape[1] * 1e5 * np.sum(model.transform(D) ** 2)
    penalties += 1e12 * np.linalg.slogdet(P @ P.T + 0.3 * np.eye(3)).logabsdet
    expected = model.loss_ + penalties
    assert model.history_["objective"][-1] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["plain", "semi", "topk", "archetypal", "kl", "is", "β = 3"])
def test_codes_of_samples_of_any_size_are_those_of_each_alone(name, dtype, scale):
    model, D, _ = CASES[name]
    if not representable(scale, 1, dtype):
        return
    D = D.astype(dtype)
    codes = fitted(model, D).transform(D)
    # Mixtures of archetypes have a size of their own.
    if model.codes != Simplex():
        alone = np.vstack([model.transform(dtype(scale) * d[None]) for d in D]) / dtype(scale)
        np.testing.assert_allclose(alone, codes, rtol=1e-3, atol=1e-4 * codes.max())
    sizes = np.where(np.arange(len(D)) % 2, 1, max(min(scale, 1e25), 1e-25)).astype(dtype)[:, None]
    beside = model.transform(sizes * D)
    if model.codes != Simplex():
        np.testing.assert_allclose(beside / sizes, codes, rtol=1e-3, atol=1e-4 * codes.max())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("parts", ["nonnegative", "free", "unit-nonnegative"])
@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array])
def test_mini_batches_in_another_unit_give_the_same_parts(dtype, parts, convert):
    D = np.abs(SIGNED) if parts != "free" else SIGNED
    losses = []
    for scale in (1.0, 1e-17, 3e5, 1e15, 1e100 if dtype == np.float64 else 1e30):
        model = NMF(3, init="random", parts=parts, random_state=0)
        for _ in range(3):
            for rows in (slice(0, 7), slice(7, 14)):
                model.partial_fit(convert((scale * D[rows]).astype(dtype)))
        assert model.components_.dtype == dtype
        losses.append(model.loss_ / scale / scale)
    assert losses == pytest.approx([losses[0]] * len(losses), rel=1e-3)


def test_a_start_in_another_unit_is_the_same_start():
    H, X = random_matrix(8, 14, 3, 0), random_matrix(9, 7, 3, 0)
    one = fitted(NMF(3, start=(H, X)), POSITIVE, max_iter=2000)
    other = fitted(NMF(3, start=(1e50 * H, 1e30 * X)), 1e80 * POSITIVE, max_iter=2000)
    assert other.loss_ / 1e160 == pytest.approx(one.loss_, rel=1e-3)
    assert other.n_iter_ == pytest.approx(one.n_iter_, abs=2)
    continued = fitted(NMF(3, start=other), 1e80 * POSITIVE, max_iter=2000)
    assert continued.n_iter_ <= 3 and continued.loss_ <= other.loss_ * (1 + 1e-6)
    custom = NMF(3, init="custom", max_iter=2000).fit(1e80 * POSITIVE, W=1e50 * H, H=1e30 * X.T)
    assert custom.loss_ / 1e160 == pytest.approx(one.loss_, rel=1e-3)


@pytest.mark.parametrize("beta", [-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
@given(seed=st.integers(0, 1000), scale=st.floats(-60, 60))
@settings(deadline=None, max_examples=5)
def test_the_divergence_is_homogeneous(beta, seed, scale):
    D, H, P = random_matrix(seed, 6, 5), random_matrix(seed, 6, 2), random_matrix(seed, 2, 5)
    D = D if beta > 0 else D + 0.1
    for convert in (np.asarray, sp.csr_array):
        one = beta_divergence(convert(D), H, P, beta)
        other = beta_divergence(convert(10**scale * D), H, 10**scale * P, beta)
        assert other / 10 ** (scale * beta) == pytest.approx(one, rel=1e-9)


def test_units_are_powers_of_four_and_data_of_ordinary_size_stay_where_they_are():
    for number in (0.0, 1.0, 255.0, 1e-3, 4e3):
        assert power_of_four(number) == 1
    for number in (5e-324, 1e-300, 1e-17, 1e5, 1e300, np.finfo(float).max):
        unit = power_of_four(number)
        assert 1 <= number / unit < 4
        assert np.log2(unit) % 2 == 0
    D = np.array([[255.0, 3.0]])
    unit = of_fit(D, Problem())
    assert unit == Unit() and measured(D, unit) is D
    sparse = sp.csr_array(1e9 * D)
    largest = measured(sparse, of_fit(sparse, Problem())).max()
    assert sparse.max() == 255e9 and 1 <= largest < 4


def test_what_a_precision_cannot_hold_is_an_error():
    with pytest.raises(ValueError, match="codes are too large for float32: rescale the data"):
        put_back(np.full((2, 2), 1e30), 1e10, np.float32, "codes")
    D = np.full((20, 40), 2e38, np.float32)
    with pytest.raises(ValueError, match="too large for float32: rescale the data"):
        NMF(1, parts="unit-nonnegative").fit(D)


def test_parts_and_codes_that_both_have_a_scale_leave_none_to_choose():
    both = Problem(parts=Parts(unit=True), codes=Simplex())
    assert of_fit(1e9 * np.ones((2, 2)), both) == Unit()
    with pytest.raises(ValueError, match="rescale the data"):
        NMF(2, parts="unit", codes=Simplex()).fit(1e-160 * np.ones((3, 3)))
