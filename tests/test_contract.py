"""Any problem is solved, or a ValueError says why not."""

import warnings
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest
import torch
from examples.bounded import Bounded
from examples.pull import Pull
from examples.soft_threshold import SoftThreshold

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
    Beta,
    Cone,
    Decay,
    Disjoint,
    FeatureChoice,
    Fixed,
    Gaussian,
    Hoyer,
    Hull,
    JumpReLU,
    Layer,
    Logistic,
    LogVolume,
    Objective,
    PathNorm,
    PriorKL,
    Problem,
    Pursuit,
    ReLU,
    Samples,
    Simplex,
    Sparseness,
    TopK,
    UnitMean,
    Unrolled,
    from_problem,
)
from partsrep.choices.objective import Bernoulli, Penalty
from partsrep.choices.parts import Parts
from partsrep.leastsquares import squared_error

NONNEGATIVE = Parts(nonnegative=True)
CODES = [
    ReLU(),
    TopK(2),
    Simplex(),
    JumpReLU(0.01),
    JumpReLU(0.01, bandwidth=0.01),
    BatchTopK(2),
    FeatureChoice(2),
    Logistic(),
    Gaussian(),
    SoftThreshold(0.01),
]
PARTS = [
    Parts(),
    NONNEGATIVE,
    Parts(unit=True),
    Parts(nonnegative=True, unit=True),
    Parts(nonnegative=True, offset=True),
    Sparseness(0.5),
    UnitMean(),
    Disjoint(),
    Cone(),
    Hull(),
    Samples(),
    Bounded(),
    Fixed(np.random.RandomState(1).exponential(size=(6, 3))),
]
LAYERS = [Layer(bias=True, nonnegative=True), Layer(tied=True), Unrolled(2)]
PENALTIES = [
    L1(0.01),
    L1(0.01, on="parts"),
    L1(0.01, by_norm=True),
    L1(0.01, per="entry"),
    L2(0.01),
    L2(0.01, on="parts", per="data"),
    LogVolume(0.01),
    LogVolume(0.01, per="sample"),
    PathNorm(0.01),
    PathNorm(0.01, per="data"),
    Pull(0.01),
    L0(0.01),
    KL(0.01),
    Hoyer(0.01),
    Decay(0.01),
    AuxK(),
    PriorKL(0.01),
]
FITS = [Beta(2.0), Beta(1.0), Beta(0.5), Bernoulli()]
SOLVERS = ["auto", "projection", "adam", "lbfgs", "alternating", "online"]


def data(n: int = 24, d: int = 6) -> np.ndarray:
    rng = np.random.RandomState(0)
    return rng.exponential(size=(n, 3)) @ rng.exponential(size=(3, d)) / 20 + 0.05


D = data()


def solve(problem: Problem, **settings) -> NMF | SAE | None:
    """The model, whose objective has not risen; None where a ValueError says why not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = from_problem(problem, 3, random_state=0, **settings)
        except ValueError as error:
            assert len(str(error)) > 30, "it says what is wrong and what to do"
            return None
        if isinstance(model, SAE):
            model.set_params(max_epochs=2, **({} if settings else {"solver": "adam"}))
        else:
            model.set_params(max_iter=4)
        model.fit(D)
    objective = model.history_["objective"]
    assert np.isfinite(objective).all()
    assert objective.min() <= objective[0]
    assert model.problem == model.problem_ == problem
    if isinstance(model, SAE) and settings.get("solver") != "online":
        check_last_objective(model)
    assert model.transform(D).shape == (len(D), 3)
    return model


def check_last_objective(model: SAE) -> None:
    """What the history says of the weights that stay is what they cost, in the unit of the data."""
    objective = model.problem.objective
    if model.problem.codes.from_batch or AuxK() in objective.penalties:
        return  # thresholds are frozen, and usage is counted, after the last epoch
    if model.problem.parts.of_samples and model.solver == "alternating":
        return  # it keeps parts, whose weights of samples are then found anew, and only nearly
    with torch.no_grad():
        value = objective.against("sample", *D.shape)(model.module_(torch.from_numpy(D)))
    assert model.history_["objective"].min() == pytest.approx(float(value), rel=1e-9, abs=1e-12)


def solved(problems) -> int:
    return sum(solve(problem) is not None for problem in problems)


def test_codes_parts_and_inference():
    found = {
        type(layer).__name__: solved(Problem(p, c, layer) for p, c in product(PARTS, CODES))
        for layer in (NNLS(), Pursuit(2))
    }
    assert found["NNLS"] >= 3 * (len(PARTS) - 1)
    assert found["Pursuit"] >= len(PARTS) - 1


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_codes_and_parts_of_a_layer(layer):
    problems = [Problem(p, c, layer) for p, c in product(PARTS, CODES)]
    assert solved(problems) == (len(PARTS) - 1) * (len(CODES) - 1), "all but Samples and Simplex"


@pytest.mark.parametrize("layer", [NNLS(), Layer()], ids=repr)
def test_codes_and_penalties(layer):
    penalties = [Objective(penalties=(p,)) for p in PENALTIES]
    unit = Parts(nonnegative=True, unit=True)
    assert solved(Problem(unit, c, layer, o) for c, o in product(CODES, penalties)) > 20


@pytest.mark.parametrize("layer", [NNLS(), Layer()], ids=repr)
def test_parts_and_penalties(layer):
    penalties = [Objective(penalties=(p,)) for p in PENALTIES]
    assert solved(Problem(p, ReLU(), layer, o) for p, o in product(PARTS, penalties)) > 50


def test_a_volume_is_measured_back_where_parts_have_the_unit():
    penalties = (LogVolume(0.5), KL(0.01))  # KL fixes the unit of codes
    problem = Problem(NONNEGATIVE, inference=Layer(), objective=Objective(penalties=penalties))
    assert solve(problem) is not None


@pytest.mark.parametrize("layer", [NNLS(), Layer()], ids=repr)
def test_fits_and_links(layer):
    found = solved(
        Problem(NONNEGATIVE, ReLU(), layer, Objective(fit, link))
        for fit, link in product(FITS, ("linear", "logistic"))
    )
    assert found == 3


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers(solver):
    problems = [
        Problem(p, c, layer, Objective(penalties=penalties))
        for p, c, layer, penalties in product(
            [Parts(), Parts(nonnegative=True, unit=True), Hull()],
            [ReLU(), TopK(2), BatchTopK(2), Logistic()],
            [Layer(), Layer(tied=True, bias=True, gain=True), Unrolled(2)],
            [(), (L1(0.01),)],
        )
    ]
    found = sum(solve(problem, solver=solver) is not None for problem in problems)
    assert found == len(problems) if solver in ("auto", "adam") else 0 < found < len(problems)


@pytest.mark.parametrize("solver", ["cd", "mu"])
def test_solvers_of_nmf(solver):
    problems = [
        Problem(NONNEGATIVE, c, layer, Objective(fit, penalties=penalties))
        for c, layer, fit, penalties in product(
            [ReLU(), TopK(2), Simplex()],
            [NNLS()],
            [Beta(2.0), Beta(1.0)],
            [(), (L1(0.01),), (LogVolume(0.01),), (Pull(0.01),)],
        )
    ]
    found = sum(solve(problem, solver=solver) is not None for problem in problems)
    assert 0 < found < len(problems)


def test_one_choice_changes_that_choice_alone():
    """From any problem that is solved to any other, by one choice at a time."""
    begin = Problem(NONNEGATIVE, objective=Objective(penalties=(L1(0.1), L2(0.1, on="parts"))))
    for change in (
        {"parts": Parts(nonnegative=True, unit=True)},
        {"codes": TopK(2)},
        {"inference": Layer()},
        {"objective": Objective(penalties=(LogVolume(0.01),))},
    ):
        problem = replace(begin, **change)
        assert solve(problem) is not None
        assert from_problem(problem, 3).problem == problem


@pytest.mark.parametrize("n", [200, 6000])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "problem",
    [
        Problem(NONNEGATIVE),
        Problem(Bounded()),
        Problem(NONNEGATIVE, objective=Objective(penalties=(Pull(0.1),))),
        Problem(NONNEGATIVE, objective=Objective(penalties=(LogVolume(0.1), L2(0.1)))),
        Problem(Bounded(), TopK(2), objective=Objective(penalties=(L1(0.01),))),
    ],
    ids=repr,
)
def test_blocks_do_not_matter(problem, masked, n):
    """Samples, and features, come in blocks where they are many: the same answer, repeated."""
    few = data(200)
    many = np.tile(few, (n // 200, 1))
    mask = np.tile(np.random.RandomState(0).uniform(size=few.shape) < 0.9, (n // 200, 1))
    given = {"mask": mask} if masked else {}
    model = from_problem(problem, 3, random_state=0).set_params(max_iter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(many, **given)
        H = model.transform(many, **given)
        alone = model.transform(many[:200], **({"mask": mask[:200]} if masked else {}))
    np.testing.assert_allclose(H[:200], alone, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(H[-200:], alone, rtol=1e-6, atol=1e-8)
    errors = (many - H @ model.components_) * (mask if masked else 1)
    assert model.loss_ == pytest.approx(squared_error(errors, 0), rel=1e-6)
    assert model.history_["objective"][-1] <= model.history_["objective"][0]


@dataclass(frozen=True)
class OfFactors(Penalty):
    """A penalty of which only NMF knows the value."""

    weight: float


@pytest.mark.parametrize(
    ("choice", "why"),
    [({"activation": Simplex()}, "no activation"), ({"penalty": OfFactors(0.1)}, "no gradient")],
)
def test_what_an_autoencoder_cannot_call_it_refuses(choice, why):
    with pytest.raises(ValueError, match=why):
        SAE(3, **choice).fit(data(20))


def test_tied_weights_have_no_sign_of_their_own():
    with pytest.raises(ValueError, match="tied=False"):
        Layer(tied=True, nonnegative=True)
