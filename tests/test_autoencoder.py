import copy
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from problems import digits, seeds
from scipy.optimize import nnls
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from partsrep import (
    KL,
    L0,
    L1,
    NMF,
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
    Logistic,
    PriorKL,
    Pursuit,
    ReLU,
    TopK,
    Unrolled,
    datasets,
    fit_all,
    presets,
    restarts,
)
from partsrep.choices.inference import Layer
from partsrep.choices.objective import Objective
from partsrep.choices.parts import Parts
from partsrep.choices.problem import Problem
from partsrep.solvers import adam, sparse_step
from partsrep.solvers.adam import evaluate
from partsrep.solvers.autoencoder import Autoencoder
from partsrep.solvers.training import SOLVERS

some = settings(deadline=None, max_examples=15)
ACTIVATIONS = {
    "relu": {"activation": ReLU()},
    "jump": {"activation": JumpReLU(0.2), "decoder": "unit"},
    "learned": {"activation": JumpReLU(0.2, bandwidth=0.1), "penalty": L0(0.1), "decoder": "unit"},
    "topk": {"activation": TopK(3)},
    "batchtopk": {"activation": BatchTopK(3)},
    "feature": {"activation": FeatureChoice(3, zipf=0.5)},
    "logistic": {"activation": Logistic(), "output": "logistic", "bias": "both"},
    "gaussian": {"activation": Gaussian(), "penalty": PriorKL(0.1), "bias": "both"},
    "pursuit": {"encoder": Pursuit(3)},
    "unrolled": {"encoder": Unrolled(3)},
}
each_activation = pytest.mark.parametrize("settings", ACTIVATIONS.values(), ids=ACTIVATIONS)


def random_weights(seed, m=4, d=6, count=2):
    rng = np.random.RandomState(seed)
    return [torch.from_numpy(rng.uniform(size=(m, d))) for _ in range(count)]


@each_activation
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_codes_of_a_sample_do_not_depend_on_its_batch(settings, dtype):
    D = digits(150)
    sae = SAE(8, max_epochs=5, dtype=dtype, random_state=0, **settings).fit(D)
    H = sae.transform(D)
    rtol = 1e-10 if dtype == "float64" else 1e-5
    for rows in ([3], [5, 3, 9], slice(100, 150)):
        np.testing.assert_allclose(sae.transform(D[rows]), H[rows], rtol=rtol, atol=rtol)
    assert sae.loss_ == pytest.approx(
        np.square(D - sae.inverse_transform(H)).sum(), rel=1e-4 if dtype == "float32" else 1e-10
    )


@pytest.mark.parametrize("codes", [BatchTopK(3), FeatureChoice(3)], ids=["batch", "feature"])
def test_frozen_thresholds_keep_the_budget_on_the_training_data(codes):
    D = digits(150)
    sae = SAE(8, activation=codes, max_epochs=20, random_state=0).fit(D)
    active = sae.transform(D) > 0
    assert active.sum() <= 3 * len(D) and active.sum() >= 0.9 * 3 * len(D)
    assert np.shape(sae.threshold_) == (() if isinstance(codes, BatchTopK) else (8,))


@given(seeds)
@some
def test_one_step_unrolled_is_the_layer_and_tied_steps_approach_the_best_codes(seed):
    D = torch.from_numpy(np.random.RandomState(seed).uniform(size=(5, 6)))
    P, U = random_weights(seed)
    one = Autoencoder(Problem(inference=Layer()), P, U).encode(D)
    assert torch.equal(one, (D @ U.T).clamp(min=0))
    # Steps of size 1/λ are those of ISTA: scale the parts, which keeps the reconstruction's set.
    P = P / np.linalg.norm(P.numpy(), 2)
    best = np.array([nnls(P.numpy().T, d)[0] @ P.numpy() for d in D.numpy()])
    errors = []
    for steps in (1, 10, 1000):
        module = Autoencoder(Problem(inference=Layer(tied=True, steps=steps)), P, None)
        errors.append((module(D).D_hat - torch.from_numpy(best)).square().sum().item())
    assert errors[0] >= errors[1] >= errors[2]
    assert errors[2] <= 0.05 * errors[0] + 1e-9


@given(seeds)
@some
def test_pursuit_takes_the_best_part_of_what_is_left(seed):
    D = torch.from_numpy(np.random.RandomState(seed).uniform(size=(3, 6)))
    (P,) = random_weights(seed, count=1)
    H = Autoencoder(Problem(inference=Pursuit(3)), P, None).encode(D).detach().numpy()
    for d, h in zip(D.numpy(), H, strict=True):
        residual, expected = d.copy(), np.zeros(4)
        for _ in range(3):
            gains = P.numpy() @ residual / np.linalg.norm(P.numpy(), axis=1)
            j = gains.argmax()
            step = max(gains[j], 0) / np.linalg.norm(P.numpy()[j])
            expected[j] += step
            residual -= step * P.numpy()[j]
        np.testing.assert_allclose(h, expected, atol=1e-12)


def test_a_pursuit_has_no_encoder():
    sae = SAE(4, encoder=Pursuit(2), max_epochs=3, random_state=0).fit(digits(60))
    assert not hasattr(sae, "encoder_")
    assert ((sae.transform(digits(60)) > 0).sum(axis=1) <= 2).all()
    sae.set_params(encoder="linear").fit(digits(60))
    assert sae.encoder_.shape == sae.components_.shape
    assert not hasattr(sae.set_params(encoder=Pursuit(2)).fit(digits(60)), "encoder_")


@pytest.mark.parametrize("solver", ["auto", "adam"])
def test_parts_in_the_hull_of_the_data_are_means_of_samples(solver):
    D = digits(60)
    sae = SAE(4, decoder=Hull(), solver=solver, max_epochs=30, random_state=0).fit(D)
    weights = sae.module_.dictionary.detach().numpy()
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights @ D, sae.components_)
    objective = sae.history_["objective"]
    assert sae.loss_ / len(D) == pytest.approx(objective.min()) and objective.min() < objective[0]


def test_parts_in_the_hull_lose_little_more_than_where_nmf_solves_for_the_codes():
    D = digits(60)
    sae = SAE(4, decoder=Hull(), max_epochs=30, random_state=0).fit(D)
    assert sae.loss_ < 1.03 * NMF(4, parts=Hull(), random_state=0).fit(D).loss_


@pytest.mark.parametrize("parts", [Hull(), Cone()], ids=repr)
def test_dead_units_of_combinations_become_samples(parts):
    """Above its threshold no unit is ever active, so that all are reinitialised."""
    D = digits(60)
    sae = SAE(4, decoder=parts, activation=JumpReLU(40.0), bias="encoder", random_state=0)
    dead = sae.set_params(solver="adam", max_epochs=40).fit(D)
    assert not dead.transform(D).any()
    weights = dead.module_.dictionary.detach().numpy()
    np.testing.assert_allclose(weights @ D, dead.components_)


def test_a_nonnegative_encoder_is_nonnegative():
    sae = SAE(4, encoder="nonnegative", max_epochs=5, random_state=0).fit(digits(60))
    assert (sae.encoder_ >= 0).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"decoder": "nonnegative"},
        {"activation": TopK(2), "decoder": "unit"},
        {"activation": JumpReLU(0.1, bandwidth=0.1), "penalty": [L0(0.1), L1(0.1)]},
        {"penalty": [KL(0.1), Hoyer(0.1), Decay(0.1), AuxK()], "bias": "both"},
    ],
)
def test_a_stack_comes_out_as_each_would_alone(settings):
    D = digits(100)
    sae = SAE(5, solver="adam", max_epochs=15, batch_size=32, **settings)
    together = restarts(sae, D, seeds=range(3))
    for seed, one in enumerate(together):
        alone = SAE(**(sae.get_params() | {"random_state": seed})).fit(D)
        np.testing.assert_allclose(one.components_, alone.components_, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(
            one.history_["objective"], alone.history_["objective"][: len(one.history_["step"])]
        )
        assert one.loss_ == pytest.approx(alone.loss_, rel=1e-6)
        assert one.random_state == seed


def test_the_best_of_several_starts_is_kept():
    D = digits(100)
    fits = [SAE(5, solver="adam", max_epochs=10, random_state=0, n_init=n).fit(D) for n in (1, 4)]
    assert fits[1].history_["objective"].min() <= fits[0].history_["objective"].min() * 1.05
    assert fits[1].components_.shape == (5, 64)


class TestLBFGS:
    def test_it_ends_where_the_gradient_is_projected_to_zero(self):
        D = digits(80)
        sae = SAE(
            4, decoder="nonnegative", activation="logistic", bias="both", solver="lbfgs",
            penalty=Decay(0.1, 0.1), tol=1e-8, max_epochs=3000, random_state=0,
        ).fit(D)  # fmt: skip
        module = sae.module_
        module.zero_grad()
        module.problem.objective(module(torch.from_numpy(D))).backward()
        for weights in module.parameters():
            slope = weights.grad
            if weights is module.dictionary or weights is module.offset:
                assert (weights >= 0).all()
                slope = torch.where(weights > 0, slope, slope.clamp(max=0))
            assert slope.abs().max() < 1e-2 * sae.history_["objective"][-1]

    def test_what_it_cannot_do_is_said(self):
        for choice in ({"decoder": "unit"}, {"activation": Gaussian(), "output": "logistic"}):
            with pytest.raises(ValueError, match='solver="lbfgs" needs parts that are free'):
                SAE(3, solver="lbfgs", **choice).fit(digits(50))


def test_unit_parts_move_along_their_sphere():
    problem = Problem(Parts(unit=True), inference=Layer())
    P, U = random_weights(0)
    module = Autoencoder(problem, P, U)
    problem.objective(module(torch.rand(5, 6, dtype=torch.float64))).backward()
    module.project_gradient()
    radial = (module.dictionary.grad * module.dictionary).sum(dim=1)
    assert torch.allclose(radial, torch.zeros_like(radial), atol=1e-12)


def test_training_on_a_memory_map_or_shards_is_training_on_the_array(tmp_path):
    D = digits(200).astype(np.float32)
    np.save(tmp_path / "all.npy", D)
    for part, rows in enumerate(np.array_split(D, 3)):
        np.save(tmp_path / f"part{part}.npy", rows)
    sources = (
        D,
        np.load(tmp_path / "all.npy", mmap_mode="r"),
        datasets.shards([tmp_path / f"part{part}.npy" for part in range(3)]),
    )
    fits = [SAE(4, max_epochs=10, random_state=0).fit(source) for source in sources]
    for fit, source in zip(fits, sources, strict=True):
        np.testing.assert_array_equal(fit.components_, fits[0].components_)
        np.testing.assert_array_equal(fit.transform(source), fits[0].transform(D))
    np.save(tmp_path / "narrow.npy", D[:, :4])
    with pytest.raises(ValueError, match="X has 4 features"):
        fits[0].transform(datasets.shards([tmp_path / "narrow.npy"]))


@pytest.mark.parametrize("settings", [{}, {"activation": TopK(3)}], ids=["relu", "topk"])
def test_auto_comes_near_the_best_known_loss_from_a_cold_start(settings):
    D = digits(300)
    sae = SAE(8, decoder="nonnegative", random_state=0, **settings)
    best_nmf = min(restarts(NMF(8), D, range(5)), key=lambda nmf: nmf.loss_)
    cold = restarts(SAE(**(sae.get_params() | {"solver": "adam"})), D, seeds=range(5))
    warm = SAE(**(sae.get_params() | {"start": best_nmf})).fit(D)
    reference = min(fit.loss_ for fit in (*cold, warm))
    assert sae.fit(D).loss_ <= (1.05 if settings else 1.02) * reference


def test_a_start_at_nmf_keeps_its_parts():
    D = digits(200)
    nmf = NMF(6, random_state=0).fit(D)
    warm = SAE(6, decoder="nonnegative", start=nmf, random_state=0).fit(D)
    assert warm.loss_ <= 1.05 * nmf.loss_
    directions = [
        P / np.linalg.norm(P, axis=1, keepdims=True) for P in (nmf.components_, warm.components_)
    ]
    assert np.sum(directions[0] * directions[1], axis=1).min() > 0.95
    back = NMF(6, start=warm, random_state=0).fit(D)
    assert back.loss_ <= warm.loss_


@pytest.mark.parametrize("name", presets.AUTOENCODERS)
def test_each_preset_learns(name):
    D = digits(120)
    sae = presets.AUTOENCODERS[name](6, random_state=0).fit(D)
    mean = np.square(D - D.mean(axis=0)).sum()
    assert sae.loss_ < mean
    assert list(presets.catalogue(presets.AUTOENCODERS).index) == list(presets.AUTOENCODERS)


def test_ncae_is_twice_the_papers_objective():
    D = digits(50)
    sae = presets.ncae(5, max_epochs=30, random_state=0).fit(D)
    U, X, b, c = sae.encoder_, sae.components_.T, sae.bias_, sae.decoder_bias_
    H = 1 / (1 + np.exp(-(D @ U.T + b)))
    D_hat = 1 / (1 + np.exp(-(H @ X.T + c)))
    p, q = 0.05, H.mean(axis=0)
    J = np.square(D - D_hat).sum() / 2 / len(D)
    J += 3 * np.sum(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
    J += 0.003 / 2 * sum(np.square(np.minimum(W, 0)).sum() for W in (U, X))
    assert sae.history_["objective"].min() == pytest.approx(2 * J)


def test_a_linear_vae_comes_to_probabilistic_pca():
    rng = np.random.RandomState(0)
    scales, noise = np.array([3.0, 2.0, 0.05]), 0.5
    D = rng.standard_normal((2000, 3)) * scales @ np.linalg.qr(rng.standard_normal((3, 3)))[0]
    sae = presets.vae(3, noise=noise, max_epochs=300, random_state=0).fit(D)
    samples = torch.from_numpy(D)
    reached = evaluate(sae.module_, samples)

    # The optimum: X = V (Λ − noise²)^½ above the noise, and the posterior of that.
    mean = D.mean(axis=0)
    _, singular, V = np.linalg.svd(D - mean, full_matrices=False)
    P = np.sqrt(np.maximum(singular**2 / len(D) - noise**2, 0))[:, None] * V
    precision = P @ P.T + noise**2 * np.eye(3)
    U = np.linalg.solve(precision, P)
    variance = noise**2 * np.linalg.inv(precision).diagonal()
    module = copy.deepcopy(sae.module_)
    optimum = {
        "dictionary": P,
        "encoder": U,
        "bias": -U @ mean,
        "offset": mean,
        "spread": 0 * U,
        "log_variance": np.log(variance),
    }
    module.load_state_dict({name: torch.from_numpy(value) for name, value in optimum.items()})
    assert evaluate(module, samples) <= reached <= 1.01 * evaluate(module, samples)
    norms = np.linalg.norm(sae.components_, axis=1)
    assert norms.min() < 0.01
    cosines = np.abs(V[:2] @ sae.components_.T) / norms
    assert (cosines.max(axis=1) > 0.98).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "bernoulli"}, 'needs reconstructions in .0, 1.: output="logistic"'),
        ({"penalty": L0(1.0)}, "L0.weight=1.0. acts through learned thresholds"),
        ({"encoder": Pursuit(2), "bias": "encoder"}, "A pursuit has no encoder bias"),
        ({"decoder": Hull(), "bias": "both"}, 'bias="both" does not go with Hull'),
        ({"solver": "online"}, 'solver="online" needs logistic codes'),
        ({"activation": BatchTopK(9)}, "BatchTopK.k=9. needs at least 9 parts"),
        ({"activation": FeatureChoice(9)}, "FeatureChoice.k=9, zipf=0.0. needs at least 9 parts"),
        ({"dtype": "float16"}, "dtype='float16' is not known"),
        ({"output": "softmax"}, "output='softmax' is not known"),
        ({"encoder": "convolution"}, "encoder='convolution' is not known"),
    ],
)
def test_impossible_choices_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        SAE(4, **settings).fit(digits(50))


def test_bernoulli_needs_data_between_zero_and_one():
    with pytest.raises(ValueError, match=r"loss='bernoulli' need data in \[0, 1\]"):
        SAE(4, loss="bernoulli", output="logistic").fit(digits(50) * 16)


def test_an_interrupted_fit_leaves_the_model_as_it_was(monkeypatch):
    D = digits(60)
    sae = SAE(4, solver="adam", max_epochs=5, random_state=0).fit(D)
    before = sae.components_

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setitem(SOLVERS, "adam", replace(SOLVERS["adam"], train=interrupt))
    with pytest.raises(KeyboardInterrupt):
        sae.fit(D)
    assert sae.components_ is before and sae.transform(D).shape == (60, 4)


@pytest.mark.parametrize(
    ("solver", "owner", "name"),
    [("adam", sparse_step, "layer_loss"), ("lbfgs", Objective, "__call__")],
)
def test_ctrl_c_during_epochs_keeps_the_best_so_far(monkeypatch, solver, owner, name):
    D = digits(60)
    seen = []
    call = getattr(owner, name)

    def interrupted(*arguments, **settings):
        found = call(*arguments, **settings)
        value = found[0] if solver == "adam" else found
        seen.append(float(value.detach()))
        if len(seen) == 30:
            raise KeyboardInterrupt
        return found

    sae = SAE(4, solver=solver, decoder="nonnegative", batch_size=60, random_state=0)
    monkeypatch.setattr(owner, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        sae.fit(D)
    monkeypatch.undo()
    assert sae.loss_ / 60 == pytest.approx(sae.history_["objective"].min(), rel=1e-9)
    assert sae.loss_ / 60 < 0.9 * seen[0]
    assert 1 < len(sae.history_["objective"]) < 30


def test_a_diverging_run_is_named():
    D = digits(60)
    with pytest.warns(ConvergenceWarning, match="diverged with learning_rate=100000"):
        sae = SAE(4, solver="adam", learning_rate=1e5, max_epochs=30, random_state=0).fit(D)
    assert np.isfinite(sae.components_).all() and np.isfinite(sae.loss_)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Adam diverged")
        SAE(4, start=sae, max_epochs=30).fit(D)


@pytest.mark.parametrize("rate", [1e5, 1e30, 1e200])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_that_blow_up_between_steps_are_undone(rate, dtype, capfd):
    sae = SAE(4, encoder=Unrolled(3), learning_rate=rate, max_epochs=8, random_state=0, dtype=dtype)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        sae.fit(digits(60))
    assert np.isfinite(sae.components_).all() and sae.score(digits(60)) > 0
    assert not capfd.readouterr().err.strip(), "no library below has anything to say"


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_an_objective_that_is_never_finite_is_said():
    sae = SAE(
        4,
        activation=TopK(2),
        encoder=Unrolled(3, tied=True),
        penalty=KL(0.1),
        start=(np.full((4, 64), 1e-3), np.full((64, 4), 1e-3)),
        max_epochs=3,
    )
    with pytest.warns(ConvergenceWarning, match="objective is inf above"):
        sae.fit(digits(60))


@pytest.mark.parametrize(
    "grid",
    [
        [{"activation": TopK(k), "random_state": k} for k in (1, 2, 4)],
        [{"activation": BatchTopK(k)} for k in (1, 2)],
        [{"penalty": L1(weight), "decoder": "unit"} for weight in (0.0, 0.1)],
        [{"penalty": [KL(weight), Hoyer(1.0)]} for weight in (0.5, 2.0)],
        [{"activation": JumpReLU(0.1, bandwidth=0.1), "penalty": L0(w)} for w in (0.01, 0.1)],
    ],
    ids=["k", "batch k", "L1", "KL", "L0"],
)
def test_a_grid_trains_as_one_stack_and_comes_out_as_each_would_alone(grid, monkeypatch):
    D = digits(80)
    common = {"solver": "adam", "max_epochs": 6, "batch_size": 30, "random_state": 0}
    models = [SAE(5, **{**common, **point}) for point in grid]
    alone = [clone(model).fit(D) for model in models]
    calls = []

    def counted(*arguments):
        calls.append(1)
        return adam.train(*arguments)

    monkeypatch.setitem(SOLVERS, "adam", replace(SOLVERS["adam"], train=counted))
    together = fit_all(models, D)
    assert len(calls) == 1
    for one, other in zip(alone, together, strict=True):
        assert np.allclose(one.components_, other.components_, rtol=1e-6, atol=1e-9)
        assert one.problem_ == other.problem_
        assert one.loss_ == pytest.approx(other.loss_, rel=1e-6)
        assert np.allclose(one.transform(D), other.transform(D), rtol=1e-6, atol=1e-9)


def test_models_of_other_kinds_are_fitted_one_after_the_other():
    D = digits(40)
    models = [SAE(3, max_epochs=2), SAE(3, max_epochs=2, activation=TopK(1)), NMF(3)]
    assert all(hasattr(model, "components_") for model in fit_all(models, D))
    assert fit_all([], D) == []


def test_only_nonnegative_parts_want_nonnegative_data():
    for decoder, wanted in (
        ("free", False),
        ("unit-nonnegative", True),
        (Parts(), False),
        (Parts(nonnegative=True), True),
        (Hull(), False),
    ):
        assert SAE(decoder=decoder).__sklearn_tags__().input_tags.positive_only is wanted


@pytest.mark.parametrize("chosen", [{"activation": TopK(3)}, {"penalty": L1(0.1)}])
def test_a_fit_in_half_precision_is_near_one_in_single(chosen):
    D = np.random.RandomState(0).uniform(size=(300, 16)).astype("float32")

    def fit(half):
        sae = SAE(8, solver="adam", max_epochs=8, random_state=0, **chosen)
        with (
            torch.autocast("cpu", dtype=torch.bfloat16, enabled=half, cache_enabled=False),
            pytest.warns(ConvergenceWarning),
        ):
            return sae.fit(D)

    half = fit(True)
    assert half.components_.dtype == np.float32
    assert half.loss_ == pytest.approx(fit(False).loss_, rel=0.02)
