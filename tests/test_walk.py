from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from problems import disjoint_parts

from partsrep import (
    L0,
    L1,
    L2,
    NMF,
    SAE,
    BatchTopK,
    Bernoulli,
    Beta,
    Hoyer,
    JumpReLU,
    Layer,
    Logistic,
    LogVolume,
    Objective,
    Parts,
    PriorKL,
    Problem,
    Pursuit,
    ReLU,
    Samples,
    Simplex,
    TopK,
    UnitMean,
    from_problem,
    presets,
    to_topk_sae,
    walk,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_each_step_turns_one_choice():
    problems = list(to_topk_sae(3).values())
    for before, after in pairwise(problems):
        names = [field.name for field in fields(Problem)]
        assert sum(getattr(before, name) != getattr(after, name) for name in names) == 1
    assert problems[0] == Problem(parts=Parts(nonnegative=True))
    assert problems[-1] == Problem(Parts(unit=True), TopK(3), Layer())


NONNEGATIVE = Parts(nonnegative=True)
PROBLEMS = {
    **{f"walk: {name}": problem for name, problem in to_topk_sae(2).items()},
    **{
        name: preset(3).problem
        for name, preset in (presets.FACTORIZATIONS | presets.AUTOENCODERS).items()
    },
    "batch": Problem(
        Parts(offset=True), BatchTopK(2), Layer(bias=True), Objective(penalties=(L1(0.1),))
    ),
    "volume": Problem(UnitMean(), objective=Objective(penalties=(LogVolume(0.5),))),
    "alphas": NMF(3, alpha_W=0.1, alpha_H=0.2, l1_ratio=0.3, penalty=L1(0.1)).problem,
    "Poisson": Problem(NONNEGATIVE, objective=Objective(Beta(1.0))),
    "β = 1.5": Problem(NONNEGATIVE, objective=Objective(Beta(1.5), penalties=(L2(0.1),))),
    "penalised parts": Problem(
        Parts(), ReLU(), Layer(), Objective(penalties=(L1(0.1), L2(0.2, on="parts")))
    ),
    "volume of a decoder": Problem(Parts(), TopK(2), Layer(), Objective(penalties=(LogVolume(1),))),
    "one part's norm": Problem(
        Parts(unit=True), objective=Objective(penalties=(L1(0.1, by_norm=True),))
    ),
    "learned thresholds": Problem(
        Parts(unit=True), JumpReLU(0.1, 0.1), Layer(), Objective(penalties=(L0(0.1),))
    ),
    "pursuit": Problem(Parts(), ReLU(), Pursuit(2)),
    "steps": Problem(Parts(), ReLU(), Layer(tied=True, gain=True, bias=True, steps=3)),
    "pixels": Problem(
        Parts(offset=True), Logistic(), Layer(bias=True), Objective(Bernoulli(), "logistic")
    ),
} | {
    f"{per} of {on}": Problem(NONNEGATIVE, objective=Objective(penalties=(kind(0.25, on, per),)))
    for kind in (L1, L2)
    for on in ("codes", "parts")
    for per in ("sample", "entry", "data")
}


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_the_estimator_of_a_problem_has_and_solves_it(problem):
    D = disjoint_parts().D[:60] + 0.1
    D /= D.max()
    model = from_problem(problem, 3, random_state=0)
    assert isinstance(model, SAE if problem.inference.amortised else NMF)
    assert model.problem == problem
    model.set_params(**{"max_iter": 20} if isinstance(model, NMF) else {"max_epochs": 3})
    assert model.fit(D).problem == model.problem_ == problem


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"objective": Objective(link="logistic")}, "link='logistic'"),
        ({"objective": Objective(Bernoulli(), "logistic")}, "Bernoulli"),
        ({"objective": Objective(Beta(1.0)), "codes": TopK(2)}, "codes=ReLU"),
        ({"objective": Objective(Beta(1.0), penalties=(LogVolume(1.0),))}, "no penalties but"),
        ({"objective": Objective(penalties=(Hoyer(0.1),))}, "Hoyer"),
        ({"objective": Objective(penalties=(L1(0.1, by_norm=True),))}, "by_norm=True"),
        ({"parts": Parts(nonnegative=True, offset=True)}, "no offset"),
        ({"codes": BatchTopK(2)}, "BatchTopK"),
        ({"codes": Simplex(), "inference": Layer()}, "Simplex"),
        ({"parts": Samples(), "inference": Layer()}, "Samples"),
        ({"inference": Layer(), "objective": Objective(Beta(1.0))}, r"Beta\(beta=1.0\)"),
        ({"inference": Layer(), "objective": Objective(Bernoulli())}, "output"),
        ({"inference": Layer(), "objective": Objective(penalties=(L0(0.1),))}, "L0"),
        ({"inference": Layer(), "objective": Objective(penalties=(PriorKL(0.1),))}, "PriorKL"),
        ({"inference": Pursuit(2), "codes": TopK(2)}, "TopK"),
    ],
)
def test_what_neither_method_solves_is_named(change, named):
    with pytest.raises(ValueError, match=named):
        from_problem(replace(Problem(NONNEGATIVE), **change), 3)


def test_penalties_of_nmf_are_those_of_the_autoencoder():
    """One step from NMF with both penalties to one layer: the optimum of NMF costs the same."""
    D = disjoint_parts().D
    penalties = (L1(0.3), L2(0.2), L2(0.1, on="parts"), LogVolume(2.0))
    nmf = Problem(Parts(nonnegative=True), objective=Objective(penalties=penalties))
    steps = walk(
        D, {"NMF": nmf, "layer": replace(nmf, inference=Layer())}, 5, warm=True, max_epochs=1
    )
    factorized, trained = steps.models.values()
    end, begin = factorized.history_["objective"][-1], trained.history_["objective"][0] * len(D)
    assert begin == pytest.approx(end, rel=0.05), "one layer gives nearly the best codes"
    assert trained.problem_.objective == factorized.problem_.objective


@pytest.fixture(scope="module")
def steps():
    return walk(disjoint_parts().D, to_topk_sae(3), 5, n_init=1, max_epochs=20)


def test_the_walk_holds_every_step_against_the_first(steps):
    assert list(steps.models) == list(to_topk_sae(3)) == list(steps.table().index)
    first, *others = steps.models.values()
    assert isinstance(first, NMF) and all(isinstance(model, SAE) for model in others)
    table = steps.table()
    assert table.loc["NMF", "MCC with the first"] == pytest.approx(1)
    assert table.loc["one layer", "MCC with the first"] > 0.99
    energy = np.sum(disjoint_parts().D ** 2)
    gaps = table[["dictionary gap", "selection gap", "encoder gap"]].sum(axis=1)
    losses = np.array([model.loss_ for model in steps.models.values()])
    assert gaps.to_numpy() == pytest.approx((losses - losses[0]) / energy, abs=1e-9)
    assert steps.plot().axes


def test_parts_are_in_the_order_of_the_first(steps):
    first = steps.models["NMF"].components_
    assert np.array_equal(steps.matched_parts("NMF"), first)
    for name, result in steps.comparisons.items():
        parts = steps.matched_parts(name)
        for (i, j), cosine in zip(result.pairs, result.cosines, strict=True):
            assert np.array_equal(parts[i], steps.models[name].components_[j])
            product = parts[i] @ first[i]
            norms = np.linalg.norm(parts[i]) * np.linalg.norm(first[i])
            assert product / norms == pytest.approx(cosine)


def test_a_warm_walk_begins_each_step_at_the_one_before():
    nmf = Problem(parts=Parts(nonnegative=True))
    problems = {"a": nmf, "b": replace(nmf, inference=Layer())}
    warm = walk(disjoint_parts().D, problems, 5, warm=True, max_epochs=5)
    assert warm.models["b"].start is warm.models["a"]
    assert warm.comparisons["b"].mcc > 0.999


def test_a_step_that_nobody_solves_is_named_before_anything_is_fitted(monkeypatch):
    nmf = Problem(Parts(nonnegative=True))
    steps = {"NMF": nmf, "KL": replace(nmf, inference=Layer(), objective=Objective(Beta(1.0)))}
    monkeypatch.setattr(NMF, "fit", lambda *_: pytest.fail("a fit began"))
    with pytest.raises(ValueError, match="data-fit"):
        walk(disjoint_parts().D, steps, 3)
