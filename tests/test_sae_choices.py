"""Every documented choice of an SAE: it fits and learns, or a ValueError names the way out.

And what `start` carries over, what training says of itself, and unrolled encoders.
"""

import copy
import warnings
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from problems import digits
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from partsrep import (
    KL,
    L0,
    L1,
    L2,
    NMF,
    NNLS,
    SAE,
    AuxK,
    BatchTopK,
    Cone,
    Decay,
    FeatureChoice,
    Gaussian,
    Hoyer,
    Hull,
    JumpReLU,
    Layer,
    Logistic,
    LogVolume,
    MutualChoice,
    PriorKL,
    Problem,
    Pursuit,
    ReLU,
    Simplex,
    TopK,
    Unrolled,
    datasets,
    presets,
)
from partsrep.choices.parts import DECODERS
from partsrep.leastsquares import exact_nnls
from partsrep.presets import Disjoint, Samples, Sparseness, UnitMean
from partsrep.solvers.adam import evaluate
from partsrep.solvers.autoencoder import Autoencoder

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ACTIVATIONS = {
    "relu": ReLU(),
    "jump": JumpReLU(0.1),
    "learned": JumpReLU(0.1, bandwidth=0.1),
    "topk": TopK(2),
    "batchtopk": BatchTopK(2),
    "feature": FeatureChoice(2, zipf=1.0),
    "logistic": Logistic(),
    "gaussian": Gaussian(),
}
ENCODERS = {
    "linear": "linear",
    "tied": "tied",
    "nonnegative": "nonnegative",
    "gain": Layer(tied=True, gain=True),
    "unrolled": Unrolled(2),
    "unrolled, tied": Unrolled(3, tied=True),
    "pursuit": Pursuit(2),
}
SETS = {"hull": Hull(), "cone": Cone(), "sparse": Sparseness(0.5), "mean": UnitMean()}
SETS |= {"apart": Disjoint()}
PARTS = {name: name for name in DECODERS} | SETS
PENALTIES = [L1(0.01), L1(0.01, by_norm=True), KL(0.01), Hoyer(0.01), Decay(0.01), AuxK(), L0(0.01)]
PENALTIES += [PriorKL(0.01), L2(0.01), LogVolume(0.1)]


def data():
    return digits(40)[:, 20:44]


def learns(**choices):
    """Fit; what is kept must be the best epoch, and the codes must rebuild the loss."""
    D = data()
    sae = SAE(4, random_state=0, max_epochs=3, **choices).fit(D)
    objective = sae.history_["objective"]
    assert np.isfinite(objective).all()
    if not sae.problem_.codes.from_batch:  # whose thresholds are frozen afterwards
        module = copy.copy(sae.module_)
        trained = sae.problem_.objective.against("sample", *D.shape)
        module.problem = replace(module.problem, objective=trained)
        kept = float(evaluate(module, torch.as_tensor(D)))
        assert kept == pytest.approx(objective.min(), rel=1e-6)
    D_hat = sae.inverse_transform(sae.transform(D))
    assert np.square(D - D_hat).sum() == pytest.approx(sae.loss_, rel=1e-6)
    return sae


@quiet
@pytest.mark.parametrize("codes", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_each_activation_goes_with_each_decoder_and_encoder(codes):
    for parts in PARTS.values():
        learns(activation=codes, decoder=parts)
    for encoder in ENCODERS.values():
        if isinstance(encoder, Pursuit) and codes != ReLU():
            with pytest.raises(ValueError, match="A pursuit finds its codes itself"):
                learns(activation=codes, encoder=encoder)
        else:
            learns(activation=codes, encoder=encoder)


@quiet
@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_each_decoder_goes_with_each_encoder_and_output(parts):
    for encoder in ENCODERS.values():
        learns(decoder=parts, encoder=encoder)
    learns(decoder=parts, output="logistic", bias="encoder")


@quiet
@pytest.mark.parametrize("penalty", [(), KL(0.01)], ids=str)
@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_what_stays_is_in_its_set(parts, penalty):
    """The start too, brought to the scale of the data or to finite KL: it may be the best epoch."""
    module = learns(decoder=parts, penalty=penalty, solver="adam").module_
    kept = module.components.detach().clone()
    module.project()
    np.testing.assert_allclose(module.components.detach(), kept, rtol=1e-6, atol=1e-9)


@quiet
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_each_penalty_acts_or_names_the_way_out(penalty):
    for codes in ACTIVATIONS.values():
        wrong = {
            L0: codes != ACTIVATIONS["learned"] and "give JumpReLU a bandwidth",
            PriorKL: codes != Gaussian() and r"set activation=Gaussian\(\), or take KL or L1",
        }.get(type(penalty))
        if wrong:
            with pytest.raises(ValueError, match=wrong):
                learns(activation=codes, penalty=penalty)
        else:
            learns(activation=codes, penalty=penalty)


def test_sets_for_nmf_are_named():
    for choices, message in (
        ({"decoder": Samples()}, r"No gradient moves Samples\(\): choose other parts, or take NMF"),
        ({"activation": Simplex()}, r"Simplex\(\) is no activation, .*: take NMF"),
        ({"encoder": NNLS()}, r"which NNLS\(\) is not: give Layer\(\), or take NMF"),
    ):
        with pytest.raises(ValueError, match=message):
            SAE(4, **choices).fit(data())


@quiet
@pytest.mark.parametrize("solver", ["auto", "adam", "alternating"])
@pytest.mark.parametrize("parts", [Hull(), Cone()], ids=repr)
def test_a_problem_holds_no_data(parts, solver):
    """What is bound to them is the solver's: the same choices are the same problem."""
    sae = learns(decoder=parts, solver=solver)
    nmf = NMF(4, parts=parts, random_state=0, max_iter=5).fit(data())
    assert sae.problem_.parts == nmf.problem_.parts == parts
    assert sae.problem_ == sae.module_.problem == learns(decoder=parts).problem_


CONTINUED = (
    [(name, "linear", "free") for name in ACTIVATIONS]
    + [("relu", name, "free") for name in ENCODERS]
    + [("relu", "linear", name) for name in PARTS]
    + [("learned", "tied", "unit"), ("topk", "unrolled", "unit"), ("logistic", "gain", "free")]
)


@quiet
@pytest.mark.parametrize(("codes", "encoder", "parts"), CONTINUED)
def test_a_start_carries_the_whole_state(codes, encoder, parts):
    """One epoch of vanishing steps from a fitted model is that model."""
    D = data()
    for bias in (False, "encoder", "both"):
        if (encoder == "pursuit" and bias) or (parts in SETS and bias == "both"):
            continue
        choices = {
            "activation": ACTIVATIONS[codes],
            "encoder": ENCODERS[encoder],
            "decoder": PARTS[parts],
            "bias": bias,
            "penalty": {"learned": L0(0.05), "gaussian": PriorKL(0.1)}.get(codes),
        }
        fit = SAE(4, solver="adam", max_epochs=5, random_state=0, **choices).fit(D)
        again = SAE(4, start=fit, max_epochs=1, learning_rate=1e-13, **choices).fit(D)
        np.testing.assert_allclose(again.transform(D), fit.transform(D), rtol=1e-6, atol=1e-7)
        assert again.loss_ == pytest.approx(fit.loss_, rel=1e-6)
        if fit.threshold_ is not None:
            np.testing.assert_allclose(again.threshold_, fit.threshold_, rtol=1e-6)
        for name, weights in fit.module_.named_parameters():
            other = again.module_.get_parameter(name).detach()
            np.testing.assert_allclose(other, weights.detach(), rtol=1e-5, atol=1e-7, err_msg=name)


@quiet
def test_a_start_carries_imported_thresholds_and_those_of_a_selection():
    D, thresholds = data(), np.array([0.1, 0.4, 0.2, 0.3])
    rng = np.random.RandomState(0)
    U, X = rng.uniform(size=(4, 24)) / 5, rng.uniform(size=(24, 4)) / 5
    short = {"max_epochs": 1, "learning_rate": 1e-13}
    for codes in (JumpReLU(0.3, bandwidth=0.1), "jumprelu"):
        given = SAE.from_weights(U, X, activation=codes, threshold=thresholds)
        again = SAE(4, activation=given.activation, start=given, **short).fit(D)
        np.testing.assert_allclose(again.threshold_, thresholds)
        np.testing.assert_allclose(again.transform(D), given.transform(D), atol=1e-9)
    selecting = SAE(4, activation=BatchTopK(2), max_epochs=3, random_state=0).fit(D)
    learned = JumpReLU(0.5, bandwidth=0.1)
    again = SAE(4, activation=learned, start=selecting, **short).fit(D)
    np.testing.assert_allclose(again.threshold_, np.full(4, selecting.threshold_))
    np.testing.assert_allclose(again.transform(D), selecting.transform(D), atol=1e-9)


@quiet
@pytest.mark.parametrize("codes", ["jumprelu", JumpReLU(0.5, bandwidth=0.1), FeatureChoice(2)])
def test_an_imported_model_is_fitted_anew_like_its_clone(codes):
    D, thresholds = data(), np.array([3.0, 4.0, 5.0, 6.0])
    U = np.random.RandomState(0).uniform(size=(4, 24))
    given = SAE.from_weights(U, U.T, activation=codes, threshold=thresholds)
    said = JumpReLU(4.5) if codes == "jumprelu" else codes
    assert given.activation == said
    given.set_params(max_epochs=3, random_state=0)
    plain = SAE(4, activation=said, max_epochs=3, random_state=0)
    fits = [model.fit(D) for model in (clone(given), given, plain)]
    for fit in fits[:2]:
        np.testing.assert_array_equal(fit.threshold_, fits[2].threshold_)
        np.testing.assert_array_equal(fit.transform(D), fits[2].transform(D))


@quiet
def test_a_start_carries_the_gains_of_nnsae():
    D = data() / 4
    fit = presets.nnsae(4, max_epochs=5, random_state=0).fit(D)
    again = presets.nnsae(4, max_epochs=1, learning_rate=1e-12, start=fit, random_state=0)
    again.set_params(solver=presets.nnsae().solver).fit(D)
    # Plasticity is no part of the learning rate: its own is a thousandth a sample.
    gains = [model.module_.gain.detach().numpy() for model in (fit, again)]
    assert np.abs(gains[0] - 1).max() > 0.1
    np.testing.assert_allclose(gains[1], gains[0], atol=0.3 * np.abs(gains[0] - 1).max())


@quiet
@pytest.mark.parametrize("choices", [{}, {"decoder": "unit"}, {"activation": TopK(4)}])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", ["digits", "swimmer"])
def test_units_of_an_unrolled_encoder_live_for_every_number_of_steps(name, tied, choices):
    D = datasets.load(name).D[:60]
    for steps in (2, 5):
        encoder = Unrolled(steps, tied=tied)
        sae = SAE(8, encoder=encoder, max_epochs=8, random_state=0, **choices).fit(D)
        assert ((sae.transform(D) > 0).any(axis=0)).sum() >= 7
        assert sae.loss_ < 0.6 * np.sum(D**2)


@quiet
def test_more_steps_do_not_lose_what_one_layer_finds():
    """Separable data, where one layer is exact."""
    rng = np.random.RandomState(0)
    D = rng.exponential(size=(60, 4)) @ rng.uniform(size=(4, 9))
    for choices in ({}, {"activation": TopK(4)}):
        losses = [
            SAE(4, encoder=Unrolled(T), random_state=0, max_epochs=100, **choices).fit(D).loss_
            for T in (1, 2, 4)
        ]
        assert losses[0] < 1e-3 * np.sum(D**2)
        assert max(losses) < 2 * losses[0] + 1e-4 * np.sum(D**2)


@quiet
@pytest.mark.parametrize("rows", [16, 1000])
@pytest.mark.parametrize("decoder", [Hull(), Cone()], ids=str)
def test_dead_units_with_parts_of_samples_come_back_as_samples(decoder, rows, monkeypatch):
    monkeypatch.setattr("partsrep.solvers.adam.ROWS", rows)
    D = np.repeat(digits(5), 24, axis=0)
    sae = SAE(16, activation=TopK(1), decoder=decoder, solver="adam", random_state=0)
    sae.set_params(max_epochs=60).fit(D)
    assert sae.history_["alive"].min() < 16
    weights = sae.module_.dictionary.detach().numpy()
    np.testing.assert_allclose(sae.components_, weights @ D, atol=1e-9)
    assert (weights >= 0).all()


def test_unrolled_steps_come_to_the_best_codes_at_any_scale_of_the_parts():
    rng = np.random.RandomState(0)
    D, X = rng.uniform(size=(20, 7)), rng.uniform(size=(7, 3)) + np.eye(7, 3)
    for scale in (0.01, 1.0, 100.0):
        P = scale * X.T
        best = np.sum((D - exact_nnls(D, P) @ P) ** 2)
        low, high = np.linalg.eigvalsh(P @ P.T)[[0, -1]]
        excess = []
        for steps in (1, 2, 5, 20):
            problem = Problem(inference=Unrolled(steps, tied=True))
            module = Autoencoder(problem, torch.tensor(P), torch.tensor(P))
            with torch.no_grad():
                excess.append(
                    float((torch.tensor(D) - module(torch.tensor(D)).D_hat).square().sum())
                )
        excess = np.array(excess) - best
        bound = (1 - low / high) ** np.array([0, 1, 4, 19]) * excess[0]
        assert (excess <= bound + 1e-9 * np.sum(D**2)).all()


def said(sae, D):
    """What a fit warns of."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ConvergenceWarning)
        sae.fit(D)
    assert all(one.filename == __file__ for one in told)
    return " ".join(str(one.message) for one in told)


class TestWhatTrainingSays:
    @pytest.mark.parametrize("solver", ["projection", "adam", "lbfgs", "alternating"])
    def test_that_it_stopped_short(self, solver):
        D = digits(100)
        sae = SAE(6, decoder="nonnegative", solver=solver, random_state=0)
        if solver == "projection":  # else the search for a start has done most of the work
            sae.set_params(start=SAE(6, solver="adam", max_epochs=1, random_state=0).fit(D))
        assert "while the objective still fell" in said(sae.set_params(max_epochs=3, tol=1e-6), D)
        assert said(sae.set_params(max_epochs=3000, tol=1e-3), D) == ""

    def test_that_penalties_outweigh_all_codes(self):
        D = data()
        zero = np.sum(D**2) / len(D)
        for weight, solver in ((1e2, "auto"), (1e6, "auto"), (1e2, "adam")):
            sae = SAE(4, penalty=L1(weight), decoder="unit", solver=solver, random_state=0)
            assert "its penalties may be larger than what codes gain" in said(sae, D)
            assert sae.history_["objective"].min() == pytest.approx(zero, rel=1e-6)

    def test_that_it_is_worse_than_codes_of_zero(self):
        D = data()
        sae = SAE(4, penalty=L1(1e6), decoder="unit", max_epochs=2, random_state=0, solver="adam")
        zero = np.sum(D**2) / len(D)
        more = sae.fit(D).history_["objective"].min() - zero
        words = f"The objective is {more:.3g} above that of codes of zero, {zero:.3g}"
        assert words in said(sae, D)

    def test_that_no_unit_is_active_and_only_causes_that_are_there(self):
        D = data()
        told = said(SAE(3, activation=JumpReLU(1e6), decoder="unit", max_epochs=2), D)
        assert "its threshold may be" in told and "penalties" not in told
        silent = SAE(3, start=(-np.ones((3, 24)), np.ones((24, 3))), max_epochs=1)
        told = said(silent.set_params(learning_rate=1e-9), D)
        assert "No unit of the SAE" in told and "threshold" not in told and "penalt" not in told
        assert said(SAE(3, max_epochs=2), np.zeros((5, 4))) == ""

    @pytest.mark.parametrize("m", [4, 16])
    @pytest.mark.parametrize("name", ["repeated", "binary", "any"])
    @pytest.mark.parametrize(
        "codes",
        [BatchTopK(1), MutualChoice(2), FeatureChoice(1), FeatureChoice(2, zipf=1.0)],
        ids=str,
    )
    def test_that_frozen_thresholds_cost_much_where_they_do_and_only_there(self, codes, name, m):
        rng = np.random.RandomState(0)
        D = {
            "repeated": np.repeat(digits(5), 24, axis=0),
            "binary": (rng.uniform(size=(120, 6)) < 0.3).astype(float),
            "any": rng.uniform(size=(120, 8)),
        }[name]
        sae = SAE(m, activation=codes, random_state=0, max_epochs=40)
        assert ("after training raise" in said(sae, D)) == freezing_costs_much(sae, D)

    def test_that_frozen_thresholds_cost_much_where_no_other_could_help(self):
        """Three codes may be active, but all twelve are equal: so none is."""
        D, U = np.ones((3, 2)), np.full((4, 2), 0.5)
        still = {"start": (U, U.T * 2 / 3), "solver": "adam", "max_epochs": 1}
        for codes in (BatchTopK(1), MutualChoice(1)):
            sae = SAE(4, activation=codes, learning_rate=1e-13, **still)
            told = said(sae, D)
            assert sae.loss_ == pytest.approx(6) and freezing_costs_much(sae, D)
            assert "after training raise" in told


def freezing_costs_much(sae, D):
    """Whether the loss without batches is above the stated bound over that in training."""
    trained, zero = sae.history_["objective"].min(), np.sum(D**2) / len(D)
    lost = np.sum((D - sae.inverse_transform(sae.transform(D))) ** 2) / len(D)
    return lost - trained > max(0.1 * trained, 0.01 * zero)


@quiet
@pytest.mark.parametrize("zipf", [0.0, 1.0])
@pytest.mark.parametrize("m", [8, 16])
@pytest.mark.parametrize("distinct", [3, 5, 12])
def test_thresholds_of_repeated_samples_lose_nothing_of_what_was_learned(distinct, m, zipf):
    """Budgets tear the copies of a sample apart; which ties they get is chosen by the loss."""
    D = np.repeat(digits(distinct), 120 // distinct, axis=0)
    sae = SAE(m, activation=FeatureChoice(2, zipf=zipf), random_state=0, max_epochs=100).fit(D)
    assert sae.loss_ / len(D) <= sae.history_["objective"].min() * (1 + 1e-9)
    assert np.count_nonzero(sae.transform(D)) <= (2 + 0.5 / distinct) * len(D)


def test_l0_penalties_move_learned_thresholds():
    """In the median of starts; one may end where no code is near a threshold, and says so."""
    rng = np.random.RandomState(0)
    P = rng.uniform(size=(8, 16)) * (rng.uniform(size=(8, 16)) < 0.3)
    D = (rng.uniform(size=(200, 8)) < 0.3) * rng.uniform(0.5, 1.5, (200, 8)) @ P
    zero = np.sum(D**2) / len(D)
    sae = SAE(8, activation=JumpReLU(0.05, bandwidth=0.1), decoder="unit")
    sae.set_params(max_epochs=100, batch_size=50)
    weights, seeds = (0.001, 0.03, 0.3, 10.0), range(3)
    active, objective = np.zeros((2, len(weights), len(seeds)))
    for (i, weight), seed in product(enumerate(weights), seeds):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            sae.set_params(penalty=L0(weight), random_state=seed).fit(D)
        active[i, seed] = np.count_nonzero(sae.transform(D)) / len(D)
        objective[i, seed] = sae.history_["objective"].min()
        told = any("codes of zero" in str(warning.message) for warning in caught)
        assert told == (objective[i, seed] > (1 + sae.tol) * zero)
    active, objective = np.median(active, axis=1), np.median(objective, axis=1)
    assert (np.diff(active) < 0).all() and active[0] > 1.5 * active[2] and active[3] < 0.5
    assert (objective <= zero).all()


@quiet
@pytest.mark.parametrize("codes", [FeatureChoice(1), BatchTopK(1)], ids=["feature", "batch"])
def test_frozen_thresholds_keep_what_was_learned_of_discrete_data(codes):
    D = np.eye(8)[np.random.default_rng(0).integers(0, 8, 200)]
    sae = SAE(8, activation=codes, random_state=0, max_epochs=200).fit(D)
    assert sae.loss_ / len(D) <= 1.01 * sae.history_["objective"].min() + 1e-9
    assert (sae.transform(D) > 0).any(axis=0).all()


@quiet
def test_thresholds_are_frozen_on_samples_from_all_of_the_data(monkeypatch):
    """Ordered data: the first rows alone would give each unit another threshold."""
    monkeypatch.setattr("partsrep.solvers.adam.ROWS", 100)
    rng = np.random.RandomState(0)
    D = np.sort(rng.exponential(size=600))[:, None] * np.eye(3)[rng.randint(3, size=600)]
    sae = SAE(3, activation=BatchTopK(1), max_epochs=30, random_state=0).fit(D)
    assert np.mean(sae.transform(D) > 0) * 3 == pytest.approx(1, abs=0.25)
