"""Block-coordinate descent: it never goes up, ends at a stationary point, and knows no scale."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import digits, random_matrix, seeds

from partsrep import L1, L2, NMF, LogVolume, ReLU, Simplex, TopK
from partsrep.choices.combinations import Cone, Hull
from partsrep.choices.objective import Objective
from partsrep.choices.parts import DECODERS, Parts
from partsrep.choices.problem import Problem
from partsrep.presets import Disjoint, Samples, Sparseness
from partsrep.progress import History
from partsrep.solvers import Factors, Settings, hals
from partsrep.solvers.hals import descend, in_memory, solve
from partsrep.solvers.optimality import kkt_residual
from partsrep.solvers.starts import random

PLAIN = Problem(parts=Parts(nonnegative=True))
PARTS = {
    **DECODERS,
    "sparse": Sparseness(0.4),
    "disjoint": Disjoint(),
    "cone": Cone(),
    "hull": Hull(),
    "samples": Samples(),
}
CODES = {"relu": ReLU(), "topk": TopK(2), "simplex": Simplex()}
PENALTIES = {
    "l1": (L1(0.6, per="data"), L1(0.4, on="parts", per="data")),
    "l2": (L2(0.5, per="data"), L2(2.0, on="parts", per="data")),
    "volume": (L2(0.1), LogVolume(0.7, delta=0.2), L1(0.2, on="parts", per="data")),
}
few = settings(deadline=None, max_examples=3)
NONNEGATIVE = [name for name in PARTS if PARTS[name].nonnegative]
PROBLEMS = {
    f"{parts}, {codes}": Problem(PARTS[parts], CODES[codes]) for parts in PARTS for codes in CODES
} | {
    f"{parts}, {codes}, {name}": Problem(
        PARTS[parts], CODES[codes], objective=Objective(penalties=penalties)
    )
    for parts in NONNEGATIVE
    for codes in CODES
    for name, penalties in PENALTIES.items()
}


def begun(problem, seed, weighted=False, n=12, d=9, m=3):
    """Random data, perhaps signed, weights that hide a quarter, a start that is allowed, and the
    problem bound to the data."""
    rng = np.random.RandomState(seed)
    D = random_matrix(seed, n, d) + 0.01
    if not problem.parts.nonnegative:
        D += 0.3 * rng.standard_normal((n, d))
    weights = rng.choice([0.0, 1.0, 1.0, 3.0], size=(n, d)) if weighted else None
    if weighted:
        D = D * (weights > 0)
    problem = replace(problem, parts=problem.parts.bind(D))
    components = problem.parts.project(rng.uniform(size=(m, d)) + 0.1)
    H = problem.codes.infer(D, components, weights=weights)
    return D, H, components, problem, weights


def objective(D, H, components, problem, weights):
    """From its definition."""
    errors = (1 if weights is None else weights) * (D - H @ components) ** 2
    total = errors.sum()
    for penalty in problem.objective.penalties:
        F = H if penalty.on == "codes" else components
        if isinstance(penalty, L1):
            total += penalty.weight * F.sum()
        elif isinstance(penalty, L2):
            total += penalty.weight * np.sum(F**2)
        else:
            eigenvalues = np.linalg.eigvalsh(F @ F.T)
            total += penalty.weight * np.log(eigenvalues + penalty.delta).sum()
    return total


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
@settings(deadline=None, max_examples=2)
@given(seed=seeds)
def test_without_extrapolation_the_objective_never_rises(problem, weighted, seed):
    if weighted and problem.parts.of_samples:
        return
    D, H, components, problem, weights = begun(problem, seed, weighted)
    history, values = History(), [objective(D, H, components, problem, weights)]
    kept = H.copy(), components.copy()
    for iteration in range(1, 9):
        before = H, components
        H, components = descend(
            D, *before, problem, [history], weights=weights, tol=0, max_iter=iteration,
            extrapolate=False,
        )  # fmt: skip
        values.append(objective(D, H, components, problem, weights))
        if iteration == 1:
            assert np.array_equal(before[0], kept[0]) and np.array_equal(before[1], kept[1])
    scale = np.sum(D**2) + abs(values[0])
    assert np.all(np.diff(values) <= 1e-10 * scale)
    assert np.allclose(history.arrays()["objective"], values[1:], rtol=1e-8, atol=1e-9 * scale)
    assert history.arrays()["iteration"].tolist() == list(range(1, 9))
    assert min(H.min(), components.min() if problem.parts.nonnegative else 0) >= 0


# Cone, Hull and Simplex are solved by gradient steps, and converge more slowly.
EXACT = [
    name
    for name in PROBLEMS
    if not any(word in name for word in ("cone", "hull", "simplex", "samples"))
]


# With hidden entries free parts and parts of norm 1 may take very long.
@pytest.mark.parametrize(
    ("name", "weighted"),
    [(name, False) for name in EXACT]
    + [(name, True) for name in EXACT if name.startswith(("nonnegative", "disjoint"))],
)
@pytest.mark.parametrize("seed", [0])
def test_the_residual_goes_to_zero(name, weighted, seed):
    D, H, components, problem, weights = begun(PROBLEMS[name], seed, weighted)
    history = History()
    H, components = descend(
        D, H, components, problem, [history], weights=weights, tol=1e-6, max_iter=1500
    )
    assert history.last["residual"] <= 1e-6
    assert kkt_residual(D, H, components, problem, weights) <= 1e-5


@pytest.mark.parametrize("parts", ["cone", "hull", "nonnegative"])
@pytest.mark.parametrize("codes", ["relu", "simplex"])
def test_the_residual_goes_to_zero_by_gradient_steps_too(parts, codes):
    D, H, components, problem, _ = begun(PROBLEMS[f"{parts}, {codes}"], 1)
    history = History()
    H, components = descend(D, H, components, problem, [history], tol=1e-5, max_iter=3000)
    assert history.last["residual"] <= 1e-5
    assert kkt_residual(D, H, components, problem) <= 1e-4


@settings(deadline=None, max_examples=10)
@given(seeds, st.booleans())
def test_plain_nmf_never_rises_and_its_residual_goes_to_zero(seed, extrapolate):
    D = random_matrix(seed, 12, 9)
    H, components = random(D, 3, np.random.RandomState(seed))
    kept, history = (H.copy(), components.copy()), History()
    descend(
        D, H, components, PLAIN, [history], tol=1e-6, max_iter=20_000, extrapolate=extrapolate
    )  # fmt: skip
    values = history.arrays()["objective"]
    assert extrapolate or np.all(np.diff(values) <= 1e-10 * values[0])
    assert values[-1] <= values[0]
    assert history.last["residual"] <= 1e-6
    assert np.array_equal(H, kept[0]) and np.array_equal(components, kept[1])


def test_extrapolation_ends_as_well_and_sooner():
    D = digits(200)
    ends = []
    for seed in range(5):
        H, components = random(D, 6, np.random.RandomState(seed))
        for extrapolate in (False, True):
            history = History()
            descend(
                D, H, components, PLAIN, [history], tol=1e-4, max_iter=5000, extrapolate=extrapolate
            )
            ends.append((history.last["objective"], history.iterations))
    losses, iterations = np.array(ends).reshape(5, 2, 2).transpose(2, 1, 0)
    assert losses[1].mean() < 1.01 * losses[0].mean()
    assert np.max(losses[1] / losses[0]) < 1.05
    assert iterations[1].mean() < 0.8 * iterations[0].mean()


@pytest.mark.parametrize("extrapolate", [False, True])
@pytest.mark.parametrize("name", ["nonnegative, relu", "free, topk", "sparse, relu", "cone, relu"])
@few
@given(seed=seeds)
def test_descent_knows_no_scale_and_no_order(name, extrapolate, seed):
    D, H, components, problem, _ = begun(PROBLEMS[name], seed)

    def reached(D, H, components):
        bound = replace(problem, parts=PROBLEMS[name].parts.bind(D))
        components = bound.parts.project(components)
        return descend(
            D, H, components, bound, [History()], tol=0, max_iter=15, extrapolate=extrapolate
        )

    codes, parts = reached(D, H, components)
    rng = np.random.RandomState(seed)
    samples, features = rng.permutation(D.shape[0]), rng.permutation(D.shape[1])
    # Weights of samples have the scale of the codes: their parts take all of the data's.
    shared = 2.0 ** (20 if problem.parts.of_samples else 8)
    scaled = reached(2.0**20 * D, 2.0**20 / shared * H, shared * components)
    assert np.allclose(scaled[0] @ scaled[1], 2.0**20 * codes @ parts, rtol=1e-6, atol=1)
    shuffled = reached(D[samples], H[samples], components)
    assert np.allclose(shuffled[0] @ shuffled[1], (codes @ parts)[samples], rtol=1e-6, atol=1e-6)
    shuffled = reached(D[:, features], H, components[:, features])
    expected = (codes @ parts)[:, features]
    assert np.allclose(shuffled[0] @ shuffled[1], expected, rtol=1e-6, atol=1e-6)


@few
@given(seeds)
def test_the_scale_that_a_part_shares_with_its_code_is_free(seed):
    D, H, components, problem, weights = begun(PLAIN, seed, weighted=True)
    scales = np.array([100.0, 0.03, 1.0])
    (codes, parts), (others, rescaled) = (
        descend(D, *start, problem, [History()], weights=weights, tol=0, max_iter=10)
        for start in ((H, components), (H * scales, components / scales[:, None]))
    )
    assert np.allclose(others, codes * scales, rtol=1e-6, atol=1e-8 * others.max())
    assert np.allclose(rescaled, parts / scales[:, None], rtol=1e-6, atol=1e-8 * rescaled.max())


@pytest.mark.parametrize("name", ["nonnegative, relu", "free, relu", "sparse, topk"])
def test_a_part_that_starts_at_zero_comes_back(name):
    D, H, components, problem, _ = begun(PROBLEMS[name], 0, n=20)
    components[1] = 0
    _, parts = descend(D, H, components, problem, [History()], tol=1e-4, max_iter=500)
    assert parts[1].any()


def test_large_data_end_in_double_precision():
    D = digits(1797)
    assert D.dtype == np.float64 and D.size > hals.FEW
    nmf = NMF(4, init="random", tol=1e-9, max_iter=3000, random_state=0).fit(D)
    assert kkt_residual(D, nmf.transform(D), nmf.components_) <= 1.1e-9, "no float32 ends there"
    history = nmf.history_
    assert np.array_equal(history["iteration"], 1 + np.arange(nmf.n_iter_))
    assert np.all(np.diff(history["seconds"]) >= 0)


@pytest.mark.parametrize(
    ("samples", "dtype", "how", "close"),
    [
        (60, np.float64, {"tol": 1e-3, "max_iter": 60}, 1e-8),
        (60, np.float32, {"tol": 0.0, "max_iter": 8}, 1e-3),
        (1797, np.float64, {"tol": 0.0, "max_iter": 8}, 1e-3),  # it begins in single precision
        (1797, np.float32, {"tol": 0.0, "max_iter": 8}, 1e-3),
    ],
)
def test_a_stack_of_starts_descends_as_each_does_alone(samples, dtype, how, close):
    D = digits(samples).astype(dtype)
    begun = [Factors(*random(D, 4, np.random.RandomState(seed))) for seed in range(7)]
    shapes = []

    def seen(D, H, *args, **more):
        shapes.append(H.shape)
        return descend(D, H, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hals, "STACK", 5 * max(D.shape))
        patch.setattr(hals, "descend", seen)
        together = list(solve(D, iter(begun), PLAIN, Settings(**how)))
    assert {len(shape) == 3 and shape[0] for shape in shapes} >= {5, 2}
    lengths = []
    for start, ((H, components, _), history) in zip(begun, together, strict=True):
        [((own_H, own_components, _), own_history)] = solve(D, [start], PLAIN, Settings(**how))
        lengths.append(history.iterations)
        assert history.iterations == own_history.iterations <= how["max_iter"]
        # The model rounds few data of single precision, which a solver takes as double.
        assert H.dtype == components.dtype == hals.widened(D).dtype
        for of_all, of_one in ((H, own_H), (components, own_components)):
            np.testing.assert_allclose(of_all, of_one, rtol=close, atol=close * of_one.max())
        of_all, of_one = history.arrays(), own_history.arrays()
        for name in ("iteration", "objective", "residual"):
            np.testing.assert_allclose(of_all[name], of_one[name], rtol=close)
    assert len(together) == 7
    assert how["tol"] == 0 or len(set(lengths)) > 3, "each ends at its own time"


def test_only_what_is_plain_is_stacked():
    D = digits(20)
    assert hals._stacks(D, PLAIN, None)
    assert not hals._stacks(D, PLAIN, np.ones_like(D))
    assert not hals._stacks(sp.csr_array(D), PLAIN, None)
    for other in PROBLEMS.values():
        assert hals._stacks(D, other, None) == (other == PLAIN), other
    D, H, components, problem, _ = begun(PROBLEMS["sparse, topk"], 0)
    begin, how = Factors(H, components), Settings(tol=1e-3, max_iter=5)
    [(alone, _)] = solve(D, [begin], problem, how)
    for found, _ in solve(D, [begin] * 3, problem, how):
        assert np.array_equal(found[0], alone[0]) and np.array_equal(found[1], alone[1])


def test_a_mapped_file_is_seen_through_all_views(tmp_path):
    mapped = np.memmap(tmp_path / "D", np.float64, "w+", shape=(4, 6))
    for view in (mapped, mapped.T, mapped[1:], np.asarray(mapped), np.asarray(mapped).T[:2]):
        assert not in_memory(view)
    assert in_memory(np.ones((2, 2)).T)


def test_the_solver_says_which_problems_it_does_not_take():
    with pytest.raises(ValueError, match=r"'cd' does not handle beta_loss = 1.0; use solver='mu'"):
        NMF(2, beta_loss="kullback-leibler").fit(np.ones((4, 4)))
    for parts in (Cone(), Hull(), Samples()):
        with pytest.raises(ValueError, match=f"mask= does not go with .*{type(parts).__name__}"):
            NMF(2, parts=parts).fit(np.ones((4, 4)), mask=np.ones((4, 4)))
    for parts in ("free", "unit", Cone()):
        with pytest.raises(ValueError, match=r"alpha_H and L2\(.* need nonnegative parts"):
            NMF(2, parts=parts, alpha_W=0.1).fit(np.ones((4, 4)))
        with pytest.raises(ValueError, match=r"alpha_H and LogVolume\(.* need nonnegative parts"):
            NMF(2, parts=parts, penalty=LogVolume(1.0)).fit(np.ones((4, 4)))
