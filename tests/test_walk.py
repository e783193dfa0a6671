from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from problems import disjoint_parts

from partsrep import (
    L1,
    L2,
    NMF,
    NNLS,
    SAE,
    BatchTopK,
    Bernoulli,
    Beta,
    Layer,
    LogVolume,
    Objective,
    Problem,
    TopK,
    to_topk_sae,
    walk,
)
from partsrep.choices.parts import Parts
from partsrep.estimators import from_problem
from partsrep.presets import UnitMean

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_each_step_turns_one_choice():
    problems = list(to_topk_sae(3).values())
    for before, after in pairwise(problems):
        names = [field.name for field in fields(Problem)]
        assert sum(getattr(before, name) != getattr(after, name) for name in names) == 1
    assert problems[0] == Problem(parts=Parts(nonnegative=True))
    assert problems[-1] == Problem(Parts(unit=True), TopK(3), Layer())


@pytest.mark.parametrize(
    "problem",
    [
        *to_topk_sae(2).values(),
        Problem(
            Parts(offset=True), BatchTopK(2), Layer(bias=True), Objective(penalties=(L1(0.1),))
        ),
        Problem(UnitMean(), objective=Objective(penalties=(LogVolume(0.5),))),
        Problem(Parts(nonnegative=True), objective=Objective(penalties=(L1(0.25),))),
        Problem(Parts(nonnegative=True), objective=Objective(penalties=(L2(1.0, per="entry"),))),
        Problem(Parts(nonnegative=True), objective=Objective(Beta(1.0))),
    ],
)
def test_an_estimator_of_a_problem_solves_that_problem(problem):
    D = disjoint_parts().D[:60]
    model = from_problem(problem, 3, random_state=0)
    assert model.problem == problem
    model.set_params(**{"max_iter": 20} if isinstance(model, NMF) else {"max_epochs": 3})
    assert model.fit(D).problem_ == problem


@pytest.mark.parametrize(
    "model",
    [
        NMF(3, alpha_W=0.1, alpha_H=0.2, l1_ratio=0.5),
        NMF(3, solver="mu", beta_loss="kullback-leibler", alpha_W=0.1),
        NMF(3, parts="unit-nonnegative", penalty=L1(0.1, by_norm=True)),
        SAE(3, bias="both", penalty=[L1(0.1), L2(0.1, on="parts")], decoder="nonnegative"),
        SAE(3, output="logistic", loss="bernoulli"),
    ],
    ids=repr,
)
def test_a_problem_leads_back_to_itself(model):
    assert from_problem(model.problem, 3).problem == model.problem


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


@pytest.mark.parametrize(
    ("objective", "inference", "words"),
    [
        (Objective(Beta(1.0)), Layer(), "data-fit"),
        (Objective(Bernoulli(), "logistic"), NNLS(), "NMF has no"),
        (Objective(link="logistic"), NNLS(), "NMF has no"),
    ],
)
def test_what_has_no_counterpart_is_named(objective, inference, words):
    with pytest.raises(ValueError, match=words):
        from_problem(Problem(Parts(nonnegative=True), inference=inference, objective=objective), 3)


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
