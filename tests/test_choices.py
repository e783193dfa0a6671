"""Parts, codes and objective: three of the four choices, each a small object."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
import scipy.special
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds

from partsrep.choices.codes import ReLU, Simplex, TopK
from partsrep.choices.inference import Layer
from partsrep.choices.jumprelu import JumpReLU, above
from partsrep.choices.objective import (
    KL,
    L0,
    L1,
    L2,
    AuxK,
    Decay,
    Hoyer,
    LogVolume,
    Objective,
    Output,
    PathNorm,
    Terms,
)
from partsrep.choices.parts import DECODERS
from partsrep.choices.problem import Problem
from partsrep.choices.selections import BatchTopK, FeatureChoice
from partsrep.leastsquares import gram_matmul, normal_equations
from partsrep.solvers.autoencoder import Autoencoder
from partsrep.solvers.divergences import beta_divergence

some = settings(deadline=None, max_examples=20)
# The sets of codes that NMF can have, by name, and the members nearest to random codes H ≥ 0.
SETS = {"relu": ReLU(), "topk": TopK(2), "topk-1": TopK(1), "simplex": Simplex()}
MEMBERS = {
    "relu": lambda H: H,
    "topk": lambda H: TopK(2)(torch.tensor(H)).numpy(),
    "topk-1": lambda H: TopK(1)(torch.tensor(H)).numpy(),
    "simplex": lambda H: (H + 0.01) / (H + 0.01).sum(axis=1, keepdims=True),
}


def gaussian(seed, rows=7, columns=5):
    return torch.tensor(np.random.RandomState(seed).standard_normal((rows, columns)))


@pytest.mark.parametrize("name", DECODERS)
@given(seed=seeds)
def test_projection_is_a_projection_on_arrays_and_tensors(name, seed):
    parts, components = DECODERS[name], gaussian(seed)
    projected = parts.project(components)
    assert torch.allclose(parts.project(projected), projected)
    assert np.allclose(parts.project(components.numpy()), projected.numpy())
    if parts.nonnegative:
        assert (projected >= 0).all()
    if parts.unit:
        norms = projected.norm(dim=1)
        assert torch.allclose(norms[norms > 0], torch.ones(1, dtype=norms.dtype))
    if name == "free":
        assert torch.equal(projected, components)


@pytest.mark.parametrize("name", DECODERS)
@given(seed=seeds)
def test_projection_finds_the_nearest_member(name, seed):
    components = gaussian(seed, 1, 3) + torch.tensor([0.5, 0.0, 0.0])  # mostly not all negative
    nearest = DECODERS[name].project(components)
    others = DECODERS[name].project(gaussian(seed + 1, 200, 3))
    if DECODERS[name].unit:
        others = others[others.any(dim=1)]
        assume(nearest.any())  # a part with no positive entry has no direction
    assert (components - nearest).norm() <= (components - others).norm(dim=1).min() + 1e-12


def test_a_zero_part_stays_zero():
    assert not DECODERS["unit-nonnegative"].project(-np.ones((1, 3))).any()


@given(seed=seeds, k=st.integers(1, 5))
def test_topk_is_jumprelu_with_a_threshold_per_sample(seed, k):
    Z = gaussian(seed)
    H = TopK(k)(Z)
    assert ((H > 0).sum(dim=1) <= k).all()
    ordered = Z.sort(dim=1, descending=True).values
    for z, row, largest in zip(Z, H, ordered, strict=True):
        threshold = max(float(largest[k]), 0.0) if k < Z.shape[1] else 0.0
        assert torch.equal(row, JumpReLU(threshold)(z))


@given(seed=seeds)
def test_topk_with_all_parts_and_jumprelu_at_zero_are_relu(seed):
    Z = gaussian(seed)
    assert torch.equal(TopK(5)(Z), ReLU()(Z))
    assert torch.equal(JumpReLU(0)(Z), ReLU()(Z))


def codes_problem(seed, weighted=False, n=8, m=5, d=7):
    """Data, parts, weights (or None), and the normal equations of the codes."""
    D, components = random_matrix(seed, n, d), random_matrix(seed + 1, m, d)
    weights = random_matrix(seed + 2, n, d) if weighted else None
    return D, components, weights, *normal_equations(D, components, weights)


def errors(D, components, H, weights=None):
    """The squared error of each sample."""
    return np.sum((1 if weights is None else weights) * (D - H @ components) ** 2, axis=1)


def is_member(codes, H):
    if isinstance(codes, TopK) and np.any(np.count_nonzero(H, axis=1) > codes.k):
        return False
    if isinstance(codes, Simplex) and not np.allclose(H.sum(axis=1), 1):
        return False
    return H.min() >= 0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", SETS)
@some
@given(seed=seeds)
@example(seed=428)  # with a weight of 0 on all that an active code explains
def test_improved_codes_are_allowed_and_no_sample_is_worse(name, weighted, seed):
    D, components, weights, gram, cross = codes_problem(seed, weighted)
    F = np.ascontiguousarray(MEMBERS[name](random_matrix(seed + 3, 8, 5)).T)
    given_to_it = F.copy()
    improved = SETS[name].improve(F, gram, cross)
    assert np.array_equal(F, given_to_it)
    assert is_member(SETS[name], improved.T)
    before, after = (errors(D, components, codes.T, weights) for codes in (F, improved))
    assert np.all(after <= before * (1 + 1e-12) + 1e-12)
    assert after.sum() < before.sum()
    assert SETS[name].improve(F.astype("f"), gram.astype("f"), cross.astype("f")).dtype == "f"


@pytest.mark.parametrize("name", SETS)
@some
@given(seed=seeds)
def test_codes_from_outside_the_set_come_into_it(name, seed):
    _, _, _, gram, cross = codes_problem(seed)
    assert is_member(SETS[name], SETS[name].improve(random_matrix(seed + 3, 5, 8), gram, cross).T)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", SETS)
@settings(deadline=None, max_examples=5)
@given(seed=seeds)
def test_the_residual_falls_to_zero_and_is_zero_at_inferred_codes(name, weighted, seed):
    D, components, weights, *_ = codes_problem(seed, weighted)
    components += np.eye(5, 7)  # so that a few hundred steps are enough
    weights = weights + 0.3 if weighted else None
    gram, cross = normal_equations(D, components, weights)
    codes = SETS[name]
    F = np.ascontiguousarray(MEMBERS[name](random_matrix(seed + 3, 8, 5)).T)
    begin = codes.residual(F, gram, cross)
    for _ in range(300):
        F = codes.improve(F, gram, cross)
    assert codes.residual(F, gram, cross) <= 1e-3 * begin
    inferred = codes.infer(D, components, weights=weights).T
    assert codes.residual(inferred, gram, cross) <= 1e-9 * begin


@pytest.mark.parametrize("name", SETS)
@some
@given(seed=seeds)
@example(seed=232)  # a support that changes if all samples stop together
def test_inferred_codes_of_a_sample_depend_on_no_other(name, seed):
    D, components, *_ = codes_problem(seed)
    H = SETS[name].infer(D, components)
    for d, h in zip(D, H, strict=True):
        alone = SETS[name].infer(d[None], components)
        assert errors(d[None], components, alone) == pytest.approx(
            errors(d[None], components, h[None]), abs=1e-10
        )
    assert is_member(SETS[name], H)
    assert np.allclose(SETS[name].infer(sp.csr_array(D), components) @ components, H @ components)


@pytest.mark.parametrize("name", SETS)
@some
@given(seed=seeds, l2=st.sampled_from([0.0, 0.5]))
def test_inferred_codes_weigh_fit_penalties_and_hidden_entries(name, seed, l2):
    """No step from the inferred codes towards a member pays: the definition of a minimum."""
    D, components, weights, *_ = codes_problem(seed, weighted=True)
    weighed = {"l1": 0.2, "l2": l2}

    def value(H):
        penalty = 2 * weighed["l1"] * H.sum(axis=1) + l2 * np.sum(H**2, axis=1)
        return errors(D, components, H, weights) + penalty

    H = SETS[name].infer(D, components, weights=weights, **weighed)
    for step in (1e-4, 1e-2, 1.0):
        towards = MEMBERS[name](random_matrix(seed + 4, 8, 5))
        other = (1 - step) * H + step * towards
        if name.startswith("topk"):  # a step along the support found stays in the set
            other = H * (1 - step + step * towards)
        assert np.all(value(H) <= value(other) + 1e-9)


@some
@given(seed=seeds, l1=st.floats(0, 2), l2=st.floats(0, 20))
def test_one_code_under_penalties_is_found_in_closed_form(seed, l1, l2):
    D, components, *_ = codes_problem(seed)
    steepness = np.sum(components**2, axis=1) + l2 + 1e-300
    best = np.maximum(D @ components.T - l1, 0) / steepness
    gain = best**2 * steepness
    H = TopK(1).infer(D, components, l1=l1, l2=l2)
    assert np.allclose(np.sum(H**2 * steepness, axis=1), gain.max(axis=1), atol=1e-7)


def test_momentum_never_carries_simplex_codes_uphill():
    rng = np.random.RandomState(0)
    gram, cross = np.diag(rng.uniform(0.01, 1, size=4)), 0.1 * rng.uniform(size=(4, 30))
    losses = []
    for steps in range(40):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("partsrep.choices.codes.STEPS", steps)
            F = Simplex().improve(np.eye(4)[:, [0] * 30], gram, cross)
        losses.append(np.sum(F * (gram @ F - 2 * cross), axis=0))
    assert np.all(np.diff(losses, axis=0) <= 1e-15)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_topk_mostly_finds_the_best_of_all_supports(k):
    found, samples = 0, 0
    for seed in range(5):
        D, components, weights, *_ = codes_problem(seed, weighted=seed % 2 == 1, n=10, m=7, d=9)
        reached = errors(D, components, TopK(k).infer(D, components, weights=weights), weights)
        best = np.full(10, np.inf)
        roots = np.ones_like(D) if weights is None else np.sqrt(weights)
        for support in itertools.combinations(range(7), k):
            for i, (d, root) in enumerate(zip(D, roots, strict=True)):
                X = root[:, None] * components[list(support)].T
                best[i] = min(best[i], scipy.optimize.nnls(X, root * d)[1] ** 2)
        assert np.all(reached >= best - 1e-9)
        found += np.sum(reached <= best + 1e-9)
        samples += len(D)
    assert found >= (samples if k == 1 else 0.9 * samples)


@some
@example(4906)  # the last part gains a millionth
@given(seeds)
def test_topk_of_all_parts_is_nonnegative_least_squares(seed):
    D, components, *_ = codes_problem(seed)
    assert np.allclose(
        errors(D, components, TopK(5).infer(D, components)),
        errors(D, components, ReLU().infer(D, components)),
    )


@settings(deadline=None, max_examples=5)
@given(seeds)
def test_simplex_codes_are_those_of_a_general_solver(seed):
    D, components, *_ = codes_problem(seed, n=2)
    for d, reached in zip(D, errors(D, components, Simplex().infer(D, components)), strict=True):
        solved = scipy.optimize.minimize(
            lambda h, d=d: np.sum((d - h @ components) ** 2),
            np.full(5, 0.2),
            jac=lambda h, d=d: 2 * components @ (h @ components - d),
            bounds=[(0, None)] * 5,
            constraints={"type": "eq", "fun": lambda h: h.sum() - 1, "jac": lambda h: np.ones(5)},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 1000},
        )
        assert reached == pytest.approx(solved.fun, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "penalties",
    [(L1(0.6),), (L2(0.7),), (L1(0.6), L2(0.7), L2(0.2)), (LogVolume(2.0, delta=0.5),),
     (LogVolume(2.0, delta=0.5), L1(0.4, on="parts"))],
)  # fmt: skip
@some
@given(seed=seeds)
def test_a_penalty_is_majorised_by_its_quadratic_which_touches_it(penalties, weighted, seed):
    _, _, _, gram, cross = codes_problem(seed, weighted)
    F, other = random_matrix(seed + 3, 5, 8) + 0.1, random_matrix(seed + 4, 5, 8)
    penalty = Terms(penalties)
    with_it = penalty.quadratic(F, gram, cross)

    def rise(P):  # of the penalty, by the quadratic, from F to P
        def added(P):
            return np.vdot(P, gram_matmul(with_it[0] - gram, P) - 2 * (with_it[1] - cross))

        return added(P) - added(F)

    assert rise(other) >= penalty(other) - penalty(F) - 1e-9
    direction = other - F  # the same slope at F, by finite differences
    for h in (1e-5, -1e-5):
        assert rise(F + h * direction) / h == pytest.approx(
            (penalty(F + h * direction) - penalty(F)) / h, rel=1e-3, abs=1e-3
        )
    if penalty.elastic is not None:
        l1, l2 = penalty.elastic
        assert rise(other) == pytest.approx(penalty(other) - penalty(F))
        assert penalty(F) == pytest.approx(2 * l1 * F.sum() + l2 * np.sum(F**2))
    single = penalty.quadratic(F.astype("f"), gram.astype("f"), cross.astype("f"))
    assert [array.dtype for array in single] == ["f", "f"]


def test_values_for_a_factor_by_hand():
    P = np.array([[3.0, 4.0], [0.0, 2.0]])
    assert L1(1.0).value(P) == 9
    assert L2(0.5).value(P) == 14.5
    assert LogVolume(2.0, delta=1.0).value(P) == pytest.approx(2 * np.log(26 * 5 - 8**2))
    assert Terms()(P) == 0 and not Terms()


@pytest.mark.parametrize("per", ["sample", "entry", "data"])
@pytest.mark.parametrize("kind", [L1, L2, LogVolume])
@pytest.mark.parametrize("on", ["codes", "parts"])
def test_a_weight_counts_against_what_it_says(kind, on, per):
    """An autoencoder's mean over samples, a mean over entries and NMF's sum are one objective."""
    n, d, rng = 7, 3, np.random.RandomState(0)
    D, H, P = rng.uniform(size=(n, d)), rng.uniform(size=(n, 2)), rng.uniform(size=(2, d))
    if kind is LogVolume and on == "codes":
        return
    penalty = kind(0.3, per=per) if kind is LogVolume else kind(0.3, on=on, per=per)
    # What scikit-learn's alphas say: the codes' count with the features, the parts' with samples.
    counts = {"sample": n if on == "parts" else 1, "entry": n if on == "parts" else d, "data": 1}
    total = np.sum((D - H @ P) ** 2)
    total += counts[per] * replace(penalty, per="data").value(H if on == "codes" else P)
    problem = Problem(objective=Objective(penalties=(penalty,)))
    bound = problem.against_data(D.shape)
    terms = bound.objective.terms("codes")(H.T) + bound.objective.terms("parts")(P)
    assert np.sum((D - H @ P) ** 2) + terms == pytest.approx(total)
    tensors = (torch.tensor(array) for array in (H, D, H @ P))
    passed = dict(zip(("H", "D", "D_hat"), tensors, strict=True))
    mean = problem.objective.against("sample", n, d)(output(**passed, components=torch.tensor(P)))
    assert n * mean.item() == pytest.approx(total)
    for other in ("sample", "entry", "data"):  # and back
        again = problem.objective.against(other, n, d).against("data", n, d)
        [own] = again.penalties
        assert own.weight == pytest.approx(bound.objective.penalties[0].weight)


@pytest.mark.parametrize("beta", [2, 1.5, 1, 0.5, 0, -0.5, 3])
@pytest.mark.parametrize("weighted", [False, True])
@some
@given(seed=seeds)
def test_beta_divergence_is_the_sum_of_its_definition(beta, weighted, seed):
    D = random_matrix(seed, 6, 5, zeros=0.3 if beta > 0 else 0)
    H, components = random_matrix(seed + 1, 6, 3) + 0.1, random_matrix(seed + 2, 3, 5) + 0.1
    D_hat = H @ components
    if beta == 2:
        each = (D - D_hat) ** 2 / 2
    elif beta == 1:
        each = scipy.special.kl_div(D, D_hat)
    elif beta == 0:
        each = D / D_hat - np.log(D / D_hat) - 1
    else:
        each = (D**beta - D_hat**beta) / beta - D_hat ** (beta - 1) * (D - D_hat)
        each /= beta - 1
    weights = random_matrix(seed + 3, 6, 5) if weighted else None
    expected = np.sum(each if weights is None else weights * each)
    for data in (D, sp.csr_array(D), sp.csc_array(D)):
        value = beta_divergence(data, H, components, beta, weights)
        assert value == pytest.approx(expected, rel=1e-10, abs=1e-10)


@given(seeds)
def test_beta_divergence_in_blocks_without_hidden_data_and_at_zero(seed):
    D, H, components = (random_matrix(seed + i, 7, 7) for i in range(3))
    weights = random_matrix(seed + 3, 7, 7)
    for beta in (2.0, 1.0, 0.0):
        positive = D + 0.1
        value = beta_divergence(positive, H, components, beta, weights)
        hidden = np.where(weights > 0, positive, np.nan)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("partsrep.solvers.divergences.BLOCK", 20)
            assert beta_divergence(hidden, H, components, beta, weights) == pytest.approx(value)
            in_blocks = beta_divergence(sp.csr_array(D), H, components, 1.5)
        assert np.isfinite(value)
        assert in_blocks == pytest.approx(beta_divergence(D, H, components, 1.5))
    assert beta_divergence(np.zeros((1, 1)), H[:1], components[:, :1], 0) == np.inf


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TopK(0), "TopK's k must be an integer of at least 1; got 0"),
        (lambda: TopK(2.0), "got 2.0"),
        (lambda: TopK(True), "got True"),
        (lambda: JumpReLU(-1), "threshold must be a finite number of at least 0; got -1"),
        (lambda: JumpReLU(float("nan")), "got nan"),
        (lambda: L1(-0.1), "L1's weight must be"),
        (lambda: KL(1, target=0), "KL's target must be a finite number above 0"),
        (lambda: KL(1, target=1), "KL's target must be a finite number above 0 and below 1"),
        (
            lambda: L1(1.0, on="encoder"),
            "on='encoder' is not known; choose one of 'codes', 'parts'",
        ),
        (lambda: L1(1.0, per="batch"), "per='batch' is not known; choose one of 'sample', 'entry'"),
        (lambda: L1(1.0, on="parts", by_norm=True), "by_norm=True counts codes"),
        (lambda: L2(float("inf")), "L2's weight must be"),
        (lambda: LogVolume(1, per="pixel"), "per='pixel' is not known"),
        (lambda: PathNorm(1, per="pixel"), "per='pixel' is not known"),
        (lambda: LogVolume(-1), "LogVolume's weight must be"),
        (lambda: LogVolume(1, delta=0), "LogVolume's delta must be a finite number above 0"),
        (lambda: TopK(4).check(3), "needs at least 4 parts, but n_components=3"),
    ],
)
def test_impossible_settings_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def output(H, Z=None, D=None, D_hat=None, **module):
    """One pass, as a penalty sees it."""
    return Output(D, Z, H, D_hat, SimpleNamespace(log_variance_of=lambda D: None, **module))


def test_penalties_by_hand():
    H = torch.tensor([[0.25, 1.0], [0.75, 0.0]], dtype=torch.float64)
    assert float(L1(2.0)(output(H))) == pytest.approx(2 * (1.25 + 0.75) / 2)
    parts = torch.tensor([[3.0, 4.0], [0.0, 2.0]], dtype=torch.float64)
    weighted = (0.25 * 5 + 1.0 * 2 + 0.75 * 5) / 2
    assert float(L1(2.0, by_norm=True)(output(H, components=parts))) == pytest.approx(2 * weighted)
    rows = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    for c in (1.0, 10.0):  # what a part gives to its encoder row does not matter
        weights = {"components": parts / c, "U": rows * c}
        path_norm = float(PathNorm(0.5)(output(H, **weights)))
        assert path_norm == pytest.approx(0.5 * (25 * 1 + 4 * 2))
    p, means = 0.1, (0.5, 0.5)
    expected = sum(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)) for q in means)
    assert float(KL(3.0, target=p)(output(H))) == pytest.approx(3 * expected)
    signed = torch.tensor([[1.0, -2.0], [0.0, 3.0]], dtype=torch.float64)
    decay = Decay(negative=0.5, positive=0.1)
    weights = {"components": signed, "encoder": -signed}
    halves = 0.5 * 4 + 0.1 * 10, 0.5 * 10 + 0.1 * 4
    assert float(decay(output(H, **weights))) == pytest.approx(sum(halves) / 2)


@pytest.mark.parametrize(
    ("H", "sparseness"),
    [([1.0, 1.0, 1.0, 1.0], 0.0), ([0.0, 2.0, 0.0, 0.0], 1.0), ([0.0] * 4, 1.0)],
)
def test_hoyer_is_between_zero_and_one(H, sparseness):
    codes = torch.tensor([H], dtype=torch.float64, requires_grad=True)
    value = Hoyer(2.0)(output(codes))
    assert value.item() == pytest.approx(2 * (1 - sparseness))
    value.backward()
    assert torch.isfinite(codes.grad).all()


def test_l0_counts_active_codes_and_pulls_thresholds_near_them():
    codes = JumpReLU(0.5, bandwidth=0.2)
    Z = torch.tensor([[0.45, 1.0], [0.55, 0.0]], dtype=torch.float64)
    threshold = torch.full((2,), 0.5, dtype=torch.float64, requires_grad=True)
    module = {"problem": Problem(codes=codes), "learned": {"threshold": threshold}}
    value = L0(3.0)(output(codes.activate(Z, module["learned"]), Z, **module))
    assert value.item() == pytest.approx(3 * 2 / 2)
    value.backward()
    # Two codes of the first unit lie within half a width, none of the second.
    assert threshold.grad.tolist() == pytest.approx([-3 / 0.2 * 2 / 2, 0.0])


def test_the_gradient_of_a_jump_is_the_straight_through_one():
    codes = JumpReLU(0.5, bandwidth=0.2)
    Z = torch.tensor([[0.45, 1.0], [0.55, 0.2]], dtype=torch.float64, requires_grad=True)
    threshold = torch.full((2,), 0.5, dtype=torch.float64, requires_grad=True)
    slope = torch.tensor([[1.0, 2.0], [4.0, 8.0]], dtype=torch.float64)
    codes.activate(Z, {"threshold": threshold}).backward(slope)
    assert Z.grad.tolist() == [[0.0, 2.0], [4.0, 0.0]]
    assert threshold.grad.tolist() == pytest.approx([-0.5 / 0.2 * (1 + 4), 0.0])


def test_idle_units_are_those_never_used_or_those_far_below_the_law():
    law = 1 / torch.arange(1.0, 9.0, dtype=torch.float64)
    usage = law.clone()
    usage[6], usage[7] = law[6] / 10, 0.0
    assert AuxK().idle(usage).tolist() == [False] * 7 + [True]
    assert AuxK(zipf=True).idle(usage).tolist() == [False] * 6 + [True, True]


def test_idle_units_learn_from_the_residual_alone():
    torch.manual_seed(0)
    D = torch.rand(5, 3, dtype=torch.float64)
    weights = [torch.rand(4, 3, dtype=torch.float64) for _ in range(2)]
    problem = Problem(
        inference=Layer(), codes=TopK(1), objective=Objective(penalties=(AuxK(0.5, k=2),))
    )
    module = Autoencoder(problem, *weights)
    module.usage[:] = torch.tensor([1.0, 0.5, 0.0, 0.0])
    passed = module(D)
    AuxK(0.5, k=2)(passed).backward()
    assert (module.encoder.grad[:2] == 0).all() and (module.encoder.grad[2:] != 0).any()
    assert (module.dictionary.grad[:2] == 0).all()
    idle = passed.Z[:, 2:].clamp(min=0)
    expected = (D - passed.D_hat - idle @ weights[0][2:]).square().sum() / 5 / 2
    assert AuxK(0.5, k=2)(passed).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("zipf", [0.0, 1.0, 3.0])
def test_budgets_add_up_and_none_is_more_than_the_samples(zipf):
    for n, m, k in ((60, 4, 2), (7, 5, 5), (100, 30, 3), (1, 6, 2), (2, 3, 1)):
        budgets = FeatureChoice(k, zipf).budgets(n, m)
        assert budgets.sum() == k * n and (budgets >= 0).all() and (budgets <= n).all()
        assert (np.diff(budgets) <= 0).all()


def rank_of_use(column):
    """What Feature Choice sorts units by: how often they are positive, then their energy."""
    positive = column[column > 0]
    return -len(positive), -float((positive**2).sum())


@given(seeds)
def test_selections_from_a_batch_by_brute_force(seed):
    Z = torch.from_numpy(np.random.RandomState(seed).standard_normal((7, 5)))
    for k in (1, 3, 5):
        kept = BatchTopK(k)(Z)
        cut = np.sort(Z.numpy().ravel())[::-1][7 * k - 1]
        assert torch.equal(kept, torch.where(cut <= Z, Z, 0).clamp(min=0))
        choice = FeatureChoice(k, zipf=1.0)
        kept = choice(Z).numpy()
        by_use = sorted(range(5), key=lambda j: rank_of_use(Z[:, j]))
        for j, budget in zip(by_use, choice.budgets(7, 5), strict=True):
            column = Z[:, j].numpy()
            best = np.argsort(-column)[:budget]
            expected = np.zeros(7)
            expected[best] = np.maximum(column[best], 0)
            assert np.array_equal(kept[:, j], expected)


def frozen(codes, Z):
    """The thresholds where parts are orthonormal and Z are the codes that would be exact."""
    return codes.frozen_threshold(Z, lambda cuts: float((Z - above(Z, cuts)).square().sum()))


@given(seeds)
def test_frozen_thresholds_select_what_the_batch_selected(seed):
    Z = torch.from_numpy(np.random.RandomState(seed).standard_normal((9, 4)))
    for codes in (BatchTopK(2), FeatureChoice(2, zipf=0.5)):
        assert torch.equal(above(Z, frozen(codes, Z)), codes(Z))


def test_budgets_follow_the_units_wherever_they_stand():
    """Permuted units get the permuted codes: the law belongs to ranks of use, not to places."""
    rng = np.random.RandomState(0)
    Z = torch.from_numpy(rng.standard_normal((40, 6)) + np.linspace(-1, 1, 6))
    order = torch.from_numpy(rng.permutation(6))
    codes = FeatureChoice(2, zipf=1.0)
    assert torch.equal(codes(Z[:, order]), codes(Z)[:, order])
    uses = (codes(Z) > 0).sum(dim=0)
    assert (uses.diff() >= 0).all() and uses[-1] > 2 * uses[0]


@given(seeds)
def test_a_tie_at_a_frozen_threshold_stays_together_on_the_nearer_side(seed):
    """Repeated rows, which rounding may tear apart: all of them are active, or none."""
    rng = np.random.RandomState(seed)
    groups, times, units = 5, 8, 4
    rows = rng.uniform(0.1, 1, size=(groups, units))
    Z = torch.from_numpy(np.repeat(rows, times, axis=0))
    Z = Z * (1 + 4 * torch.finfo(Z.dtype).eps * torch.from_numpy(rng.randint(-2, 3, Z.shape)))
    for k in (1, 2, 3):
        for codes in (BatchTopK(k), FeatureChoice(k), FeatureChoice(k, zipf=1.0)):
            cuts = frozen(codes, Z)
            active = (above(Z, cuts) > 0).numpy()
            together = active.reshape(groups, times, units)
            assert (together.all(axis=1) == together.any(axis=1)).all()
            assert abs(active.sum() - k * len(Z)) <= times / 2
            assert np.array_equal((above(Z * (1 + 1e-12), cuts) > 0).numpy(), active)


def test_kl_is_zero_at_its_target_infinite_from_one_on_and_finite_for_a_dead_unit():
    at_target = torch.full((4, 2), 0.2, dtype=torch.float64)
    assert float(KL(1.0, target=0.2)(output(at_target))) == pytest.approx(0, abs=1e-12)
    assert float(KL(1.0)(output(torch.tensor([[1.5], [0.6]])))) == float("inf")
    dead = float(KL(1.0)(output(torch.zeros(3, 1))))
    assert 0 < dead < float("inf")


def test_objective_is_a_mean_over_samples_of_a_sum_over_features():
    D = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    zero = torch.zeros_like(D)
    H = torch.ones(2, 3)
    assert float(Objective()(output(H, D=D, D_hat=zero))) == pytest.approx((1 + 4 + 9 + 16) / 2)
    assert float(Objective(penalties=(L1(0.5),))(output(H, D=D, D_hat=D))) == pytest.approx(1.5)
