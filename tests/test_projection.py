"""Variable projection: its gradient, what it ends at, its starts, and when it is taken."""

from dataclasses import replace

import numpy as np
import pytest
from problems import digits
from threadpoolctl import threadpool_limits

from partsrep import (
    L1,
    NMF,
    SAE,
    BatchTopK,
    JumpReLU,
    PathNorm,
    Pursuit,
    TopK,
    compare,
    fit_all,
    restarts,
)
from partsrep.choices.codes import ReLU
from partsrep.choices.inference import Layer
from partsrep.choices.objective import L2, Objective
from partsrep.choices.parts import Parts
from partsrep.choices.problem import Problem
from partsrep.solvers import hals, projection

CODES = [ReLU(), TopK(2), JumpReLU(0.3)]
PARTS = {
    "free": Parts(),
    "unit": Parts(unit=True),
    "nonnegative": Parts(nonnegative=True),
    "unit-nonnegative": Parts(nonnegative=True, unit=True),
}


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def begun(problem, D, m=5, s=3):
    rng = np.random.RandomState(0)
    ridge = projection.ridge(problem)
    white = projection.White(D, problem.inference.bias, np.float64, ridge)
    V = rng.standard_normal((s, m, len(white.Q))) * 2
    P = problem.parts.project(np.abs(rng.standard_normal((s, m, D.shape[1]))))
    return projection.Descent(white, problem, V, P)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(60, 8), (6, 20)], ids=["tall", "wide"])
def test_coordinates_are_white_and_lose_nothing(shape, bias):
    D = np.random.RandomState(0).uniform(size=shape)
    inputs = np.column_stack([D, np.ones(len(D))]) if bias else D
    white = projection.White(D, bias, np.float64)
    np.testing.assert_allclose(white.Q @ white.Q.T, np.eye(len(white.Q)), atol=1e-8)
    np.testing.assert_allclose(white.Q.T @ white.R, D, atol=1e-8)
    weights = np.random.RandomState(1).standard_normal((1, 3, inputs.shape[1]))
    U, b = (weights[..., :-1], weights[..., -1]) if bias else (weights, None)
    V = white.coordinates(U, b)
    np.testing.assert_allclose(white.over_samples(V)[0], weights[0] @ inputs.T, atol=1e-8)
    again = white.coordinates(*(None if w is None else w[None] for w in white.encoder(V[0])))
    np.testing.assert_allclose(again, V, atol=1e-6)
    assert white.flexible == (shape[0] < shape[1])


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(60, 8), (6, 20), (8, 8)], ids=["tall", "wide", "square"])
def test_a_ridge_widens_the_coordinates(shape, bias):
    """In them an encoder for given codes is one product: that of ridge regression."""
    rng, ridge = np.random.RandomState(0), 0.7
    D, F = rng.uniform(size=shape), rng.standard_normal((1, 3, shape[0]))
    white = projection.White(D, bias, np.float64, ridge)
    np.testing.assert_allclose(white.Q.T @ white.R, D, atol=1e-8)
    U, b = white.encoder(white.summed(F)[0])
    centre = D.mean(axis=0) if bias else 0 * D[0]
    X, Y = D - centre, F[0] - F[0].mean(axis=1, keepdims=True) * bias
    wanted = np.linalg.solve(X.T @ X + ridge * np.eye(len(X.T)), X.T @ Y.T).T
    np.testing.assert_allclose(U, wanted, atol=1e-8)
    if bias:
        np.testing.assert_allclose(b, F[0].mean(axis=1) - wanted @ centre, atol=1e-8)
    V = white.coordinates(U[None], None if b is None else b[None])[0]
    np.testing.assert_allclose(np.sum((V @ white.metric) * V, axis=1), np.sum(U**2, axis=1))


@pytest.mark.parametrize("ridge", [0.0, 0.2])
@pytest.mark.parametrize("codes", CODES, ids=str)
def test_the_gradient_is_that_of_the_best_parts(codes, ridge):
    """Free parts are the exact best ones, so that φ itself can be differenced."""
    D = digits(120)
    penalties = (L2(0.3), L2(0.1, on="parts")) if codes == ReLU() else ()
    penalties += (PathNorm(ridge),) if ridge else ()
    problem = Problem(Parts(), codes, Layer(bias=True), Objective(penalties=penalties))
    descent = begun(problem.against_data(D.shape), D)
    V, P = descent.now.V, descent.now.P
    descent.step()
    direction = np.random.RandomState(2).standard_normal(V.shape)
    h = 1e-6

    def phi(t):
        moved = V + t * direction
        return descent._at(moved, descent.white.over_samples(moved), P).loss

    slope = (phi(h) - phi(-h)) / (2 * h)
    wanted = 2 * projection.dot(descent.gradient, direction)[:, 0, 0]
    np.testing.assert_allclose(slope, wanted, rtol=1e-4)


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("codes", CODES, ids=str)
@pytest.mark.parametrize("bias", [False, "encoder", "both"])
def test_its_objective_is_the_models_loss_and_only_falls(codes, name, bias):
    D = digits(150)
    sae = SAE(5, activation=codes, decoder=name, bias=bias, random_state=0).fit(D)
    objective = sae.history_["objective"]
    assert (np.diff(objective) <= 1e-9 * objective[0]).all()
    assert objective[-1] * len(D) == pytest.approx(sae.loss_, rel=1e-6)
    assert sae.loss_ == pytest.approx(np.sum((D - sae.inverse_transform(sae.transform(D))) ** 2))
    parts = PARTS[name].project(sae.components_)
    np.testing.assert_allclose(parts, sae.components_, atol=1e-9)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"activation": TopK(3)},
        {"activation": TopK(3), "decoder": "free"},
        {"activation": JumpReLU(0.2), "decoder": "unit-nonnegative"},
        {"bias": "both"},
        {"penalty": L1(0.3), "decoder": "unit-nonnegative"},
        {"penalty": [L1(0.1), L2(0.1, on="parts")]},
        {"penalty": PathNorm(0.1)},
        {"penalty": PathNorm(0.1), "decoder": "unit", "bias": "both"},
        {"penalty": PathNorm(0.1), "activation": TopK(3)},
    ],
    ids=str,
)
def test_adam_from_anywhere_ends_no_lower(settings):
    D = digits(300)
    sae = SAE(8, **{"decoder": "nonnegative", "random_state": 0} | settings).fit(D)
    assert sae.history_["solver"] == "projection"
    found = sae.history_["objective"].min()
    for start in (None, sae):
        adam = SAE(**sae.get_params() | {"solver": "adam", "start": start}).fit(D)
        assert found <= 1.01 * adam.history_["objective"].min()


@pytest.mark.parametrize("decoder", ["free", "unit"])
def test_free_parts_are_principal_components_in_closed_form(decoder):
    D = digits(300)
    floor = np.sum(np.linalg.svd(D, compute_uv=False)[6:] ** 2)
    one, other = restarts(SAE(6, decoder=decoder, bias="encoder"), D, 2)
    for sae in (one, other):
        assert sae.history_["solver"] == "principal components"
        assert sae.loss_ == pytest.approx(floor, rel=1e-9)
        assert sae.transform(D).min() > 0  # ReLU cuts nothing
    # The subspace is determined, the parts within are not.
    assert compare(one, other, D).mcc < 0.99
    signed = SAE(6, random_state=0).fit(D - D.mean(axis=0))
    assert signed.history_["solver"] == "projection"


def test_a_start_is_the_autoencoders_own_unless_it_is_asked_to_be_an_nmf(monkeypatch):
    D = digits(300)
    sae = SAE(8, decoder="nonnegative", random_state=0)
    nmf = SAE(**sae.get_params() | {"init": "nmf"}).fit(D)
    best = min(model.loss_ for model in restarts(NMF(8), D, 5))
    assert nmf.history_["objective"][0] * len(D) <= 1.1 * best
    by_adam = SAE(**sae.get_params() | {"init": "nmf", "solver": "adam", "max_epochs": 1}).fit(D)
    assert by_adam.history_["objective"][0] * len(D) <= 1.3 * best

    def no_nmf(*_):
        raise AssertionError("an NMF was fitted")

    monkeypatch.setattr(hals, "solve", no_nmf)
    for codes in (ReLU(), TopK(3), BatchTopK(3)):
        SAE(**sae.get_params() | {"activation": codes, "max_epochs": 2}).fit(D)
    with pytest.raises(AssertionError, match="an NMF was fitted"):
        SAE(**sae.get_params() | {"init": "nmf"}).fit(D)


def test_restarts_keep_what_a_start_is_asked_to_be():
    fits = restarts(SAE(4, decoder="nonnegative", init="nmf", max_epochs=3), digits(80), 2)
    assert [fit.init for fit in fits] == ["nmf", "nmf"]


@pytest.mark.parametrize(
    ("settings", "solver"),
    [
        ({}, "projection"),
        ({"activation": TopK(2)}, "projection"),
        ({"activation": JumpReLU(0.1)}, "projection"),
        ({"activation": JumpReLU(0.1, bandwidth=0.1)}, "adam"),
        ({"activation": BatchTopK(2)}, "adam"),
        ({"encoder": "tied"}, "adam"),
        ({"encoder": "nonnegative"}, "adam"),
        ({"learning_rate": 0.01}, "adam"),
        ({"device": "cpu"}, "adam"),
        ({"penalty": L1(0.1)}, "adam"),  # codes would shrink and parts grow, for ever
        ({"penalty": L1(0.1), "decoder": "unit"}, "projection"),
        ({"penalty": L1(0.1, by_norm=True)}, "adam"),
        ({"penalty": PathNorm(0.1)}, "projection"),
        ({"penalty": [PathNorm(0.1), L1(0.1)]}, "adam"),
        ({"penalty": PathNorm(0.1), "encoder": "tied"}, "adam"),
        ({"solver": "lbfgs"}, "lbfgs"),
    ],
    ids=str,
)
def test_auto_says_which_solver_it_took(settings, solver):
    sae = SAE(4, decoder="nonnegative", random_state=0, max_epochs=3)
    assert sae.set_params(**settings).fit(digits(60)).history_["solver"] == solver


def test_many_units_are_for_adam():
    assert projection.fits((1797, 64), 16) and projection.fits((60000, 784), 49)
    assert not projection.fits((10**6, 784), 49)
    assert not projection.fits((10**4, 384), 3072)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_selection_among_many_units_is_for_adam():
    """Of four times as many units as features variable projection leaves a third dead."""
    rng = np.random.RandomState(0)
    D = (rng.uniform(size=(600, 64)) < 0.06) * rng.exponential(size=(600, 64))
    D = D @ rng.standard_normal((64, 16))
    fits = {s: SAE(64, activation=TopK(4), decoder="unit", solver=s, max_epochs=120, random_state=0)
            for s in ("auto", "projection")}  # fmt: skip
    fits = {name: sae.fit(D) for name, sae in fits.items()}
    assert fits["auto"].history_["solver"] == "adam"
    assert fits["auto"].history_["alive"][-1] > fits["projection"].history_["alive"][-1]
    assert fits["auto"].loss_ < fits["projection"].loss_
    few = SAE(32, activation=TopK(4), random_state=0, max_epochs=2).fit(D)
    assert few.history_["solver"] == "projection"


def test_what_it_cannot_take_is_an_error_that_says_what_it_can():
    with pytest.raises(ValueError, match="ReLU, TopK or JumpReLU without a bandwidth"):
        SAE(4, activation=BatchTopK(2), solver="projection").fit(digits(60))
    with pytest.raises(ValueError, match=r"A pursuit has no encoder for PathNorm\("):
        SAE(4, encoder=Pursuit(2), penalty=PathNorm(0.1)).fit(digits(60))


def test_several_fits_are_those_of_each_alone():
    D = digits(120)
    grid = [SAE(5, decoder="nonnegative", activation=TopK(k), random_state=k) for k in (1, 2, 3)]
    for together, alone in zip(fit_all(grid, D), grid, strict=True):
        np.testing.assert_array_equal(
            together.components_, SAE(**alone.get_params()).fit(D).components_
        )


def test_ctrl_c_keeps_the_best_so_far(monkeypatch):
    D, step = digits(300), projection.Descent.step

    def interrupted(descent):
        if len(descent.now.V) == 1 and len(descent.losses) == 2:
            raise KeyboardInterrupt
        step(descent)

    start = SAE(6, solver="adam", decoder="nonnegative", max_epochs=1, random_state=0).fit(D)
    monkeypatch.setattr(projection.Descent, "step", interrupted)
    sae = SAE(6, decoder="nonnegative", start=start)
    with pytest.raises(KeyboardInterrupt):
        sae.fit(D)
    assert sae.n_iter_ == 3 and sae.loss_ < start.loss_
    assert sae.loss_ == pytest.approx(sae.history_["objective"][-1] * len(D))


@pytest.mark.parametrize("D", [np.zeros((5, 4)), np.ones((5, 4)), np.eye(4), np.ones((1, 4))])
@pytest.mark.parametrize("codes", [ReLU(), TopK(1)], ids=str)
def test_data_with_little_in_them(D, codes):
    sae = SAE(2, activation=codes, decoder="nonnegative", random_state=0).fit(D)
    rank = np.linalg.svd(D, compute_uv=False)
    assert sae.loss_ <= np.sum(rank[1:] ** 2) + 1e-9
    assert np.isfinite(sae.components_).all() and np.isfinite(sae.encoder_).all()


def test_its_problem_says_what_norms_are_free():
    for parts in PARTS.values():
        loose = projection.loose(Problem(parts, ReLU(), Layer()))
        assert loose.parts == replace(parts, unit=False)
        assert projection.loose(Problem(parts, TopK(2), Layer())).parts == parts
