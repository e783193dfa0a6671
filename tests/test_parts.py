"""Sets of parts: what is in them, the nearest member, and descent within them."""

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds
from scipy.optimize import minimize, nnls

from partsrep import NMF, SAE, Cone, Hull
from partsrep.choices.parts import DECODERS, Parts, PartSet, sparseness
from partsrep.leastsquares import gram_matmul, normal_equations
from partsrep.presets import Disjoint, Samples, Sparseness, UnitMean

SPARSENESS = 0.6
SETS = {
    **DECODERS,
    "sparse": Sparseness(SPARSENESS),
    "mean": UnitMean(),
    "disjoint": Disjoint(),
    "cone": Cone(),
    "hull": Hull(),
    "samples": Samples(),
}
COMBINED = ["cone", "hull", "samples"]
few = settings(deadline=None, max_examples=20)
each_set = pytest.mark.parametrize("name", SETS)


def quadratic(P, gram, cross):
    return float(np.vdot(P, gram_matmul(gram, P)) - 2 * np.vdot(P, cross))


def random_problem(seed, n=15, d=9, m=4, weighted=False):
    """Signed data, positive codes and the quadratic of the parts."""
    rng = np.random.RandomState(seed)
    D = random_matrix(seed, n, 3) @ random_matrix(seed + 1, 3, d) + rng.standard_normal((n, d))
    H = rng.exponential(size=(n, m))
    weights = rng.choice([0.0, 0.5, 2.0], size=(d, n)) if weighted else None
    return D, H, *normal_equations(D.T, H.T, weights)


def start(D, seed, m=4):
    """Something to project: positive on the whole, near the data."""
    rng = np.random.RandomState(seed)
    return D[rng.choice(len(D), m, replace=False)] + rng.exponential(size=(m, D.shape[1]))


def of_sparseness(value, rows):
    """Rows ≥ 0 moved towards one feature or towards equal ones until they are just as sparse."""
    corner = np.eye(rows.shape[1])[rows.argmax(axis=1)]
    ends = np.where(sparseness(rows)[:, None] < value, corner, np.ones_like(rows))
    low, high = np.zeros((len(rows), 1)), np.ones((len(rows), 1))
    for _ in range(60):
        middle = (low + high) / 2
        sparse = sparseness(rows + middle * (ends - rows))[:, None]
        short = (sparse < value) == (sparseness(rows)[:, None] < value)
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return rows + low * (ends - rows)


def random_members(name, D, rng, count):
    """Rows that are in the set by construction, without the code under test."""
    n, d = D.shape
    if name in COMBINED:
        A = {
            "cone": lambda: rng.exponential(size=(count, n)) * (rng.uniform(size=(count, n)) < 0.2),
            "hull": lambda: rng.dirichlet(np.full(n, 0.1), count),
            "samples": lambda: np.eye(n)[rng.choice(n, count)],
        }
        return A[name]() @ D
    rows = rng.standard_normal((count, d))
    if name == "sparse":
        members = of_sparseness(SPARSENESS, rng.exponential(size=(count, d)))
        return members * rng.exponential(size=(count, 1))
    if SETS[name].nonnegative:
        rows = np.abs(rows) * (rng.uniform(size=rows.shape) < 0.5)
        rows[~rows.any(axis=1), 0] = 1
    if name == "mean":
        rows /= rows.mean(axis=1, keepdims=True)
    if SETS[name].unit:
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def assert_member(name, parts, P):
    """P is in the set, by the set's definition."""
    if parts.nonnegative:
        assert (P >= 0).all()
    if parts.unit:
        np.testing.assert_allclose(np.linalg.norm(P, axis=1), 1)
    if name == "sparse":
        alive = P[P.any(axis=1)]
        np.testing.assert_allclose(sparseness(alive), SPARSENESS, atol=1e-7)
    if name == "mean":
        np.testing.assert_allclose(P.mean(axis=1), 1)
    if name == "disjoint":
        assert (np.count_nonzero(P, axis=0) <= 1).all()
    if name in COMBINED:
        assert (parts.weights >= 0).all()
        np.testing.assert_allclose(parts.weights @ parts.D, P, atol=1e-12)
    if name in ("hull", "samples"):
        np.testing.assert_allclose(parts.weights.sum(axis=1), 1)
    if name == "samples":
        assert (np.count_nonzero(parts.weights, axis=1) == 1).all()
        assert (parts.weights.sum(axis=0) <= 1).all()


@each_set
@pytest.mark.parametrize("weighted", [False, True])
@given(seed=seeds)
@few
def test_improve_descends_within_the_set(name, weighted, seed):
    D, _, gram, cross = random_problem(seed, weighted=weighted)
    parts = SETS[name].bind(D)
    P = parts.project(start(D, seed))
    assert_member(name, parts, P)
    value = quadratic(P, gram, cross)
    for _ in range(5):
        before = P.copy()
        better = parts.improve(P, gram, cross)
        assert np.array_equal(P, before)
        P = better
        assert_member(name, parts, P)
        value, last = quadratic(P, gram, cross), value
        assert value <= last + 1e-9 * (1 + abs(last))


@each_set
@pytest.mark.parametrize("weighted", [False, True])
def test_the_residual_falls_to_zero(name, weighted):
    D, _, gram, cross = random_problem(3, weighted=weighted)
    parts = SETS[name].bind(D)
    P = parts.project(start(D, 3))
    first = parts.residual(P, gram, cross)
    if name != "samples":
        assert first > 1e-2 * np.linalg.norm(D)
    for _ in range(2000):
        if parts.residual(P, gram, cross) < 1e-6 * np.linalg.norm(D):
            return
        P = parts.improve(P, gram, cross)
    pytest.fail(f"the residual is still {parts.residual(P, gram, cross)}")


@pytest.mark.parametrize("name", ["free", "nonnegative", "sparse", "disjoint"])
@given(seed=seeds)
@few
def test_the_residual_is_free_of_the_scale_of_parts(name, seed):
    D, H, gram, cross = random_problem(seed)
    parts, scale = SETS[name], np.array([[0.01], [1.0], [5.0], [300.0]])
    P = parts.project(start(D, seed))
    scaled = normal_equations(D.T, (H / scale.T).T)
    expected = parts.residual(P, gram, cross)
    assert parts.residual(P * scale, *scaled) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("value", [3.0, -3.0])
def test_the_cone_of_one_sample_is_a_ray(value):
    """One weight a ≥ 0: minimum and residual in closed form."""
    d = np.array([[1.0, -2.0, 2.0]])
    gram, cross = np.array([[4.0]]), value * d
    cone = Cone().bind(d)
    P = cone.project(d)
    best = max(value, 0) / 4
    expected = 3 * 2 * abs(1 - best)  # ‖d‖ √G |a − best|
    assert cone.residual(P, gram, cross) == pytest.approx(expected)
    np.testing.assert_allclose(cone.improve(P, gram, cross), best * d, atol=1e-12)


@each_set
@given(seed=seeds)
@few
def test_no_random_member_is_nearer_than_the_projection(name, seed):
    rng = np.random.RandomState(seed)
    D = random_problem(seed)[0]
    target = start(D, seed, m=1)
    # With data, disjoint parts are improved beyond the nearest.
    parts = SETS[name] if name == "disjoint" else SETS[name].bind(D)
    nearest = parts.project(target)
    others = random_members(name, D, rng, 100)
    # Combinations are projected by steps, near enough for a start.
    slack = 1e-3 * np.linalg.norm(target) if name in ("cone", "hull") else 1e-9
    distance = np.linalg.norm(target - nearest)
    assert distance <= np.linalg.norm(target - others, axis=1).min() + slack


@given(seed=seeds, value=st.floats(0.05, 0.95), d=st.integers(2, 7))
@few
def test_sparseness_projection_is_the_constrained_minimum(seed, value, d):
    rng = np.random.RandomState(seed)
    target = rng.standard_normal(d) + 0.5
    nearest = Sparseness(value).project(target[None])[0]
    if nearest.any():
        assert sparseness(nearest[None])[0] == pytest.approx(value, abs=1e-7)
    c = np.sqrt(d) - value * (np.sqrt(d) - 1)
    found = []
    for begin in of_sparseness(value, rng.exponential(size=(4, d))):
        result = minimize(
            lambda x: np.sum((x - target) ** 2),
            begin,
            jac=lambda x: 2 * (x - target),
            bounds=[(0, None)] * d,
            constraints={"type": "eq", "fun": lambda x: x.sum() - c * np.linalg.norm(x)},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 200},
        )
        off = abs(result.x.sum() - c * np.linalg.norm(result.x))
        if result.success and off < 1e-8:
            found.append(result.fun)
    distance = np.sum((nearest - target) ** 2)
    assert distance <= min(found, default=np.inf) + 1e-5
    assert distance <= np.sum(target**2) + 1e-12  # zero ends every ray of the set


@pytest.mark.parametrize("equal", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("value", [0.3, 0.5, 0.75, 0.9])  # at 0.5, (‖x‖₁/‖x‖₂)² is 4 of 9
def test_sparseness_of_equal_entries(equal, value):
    """Ties leave many nearest members; every one has ⟨q, x⟩ = c where x = 1 on its support."""
    target = np.zeros((1, 9))
    target[0, 2 : 2 + equal] = target[0, : max(equal - 7, 0)] = 1.0
    nearest = Sparseness(value).project(target)
    assert sparseness(nearest)[0] == pytest.approx(value, abs=1e-9)
    c = 3 - 2 * value
    if equal >= c**2:
        assert nearest.sum() == pytest.approx(c**2)  # norm ⟨q, x⟩ = c, sum c times that


def test_sparseness_at_its_ends():
    assert not Sparseness(0.5).project(np.zeros((2, 4))).any()
    assert not Sparseness(0.5).project(-np.ones((1, 4))).any()
    rows = np.array([[0, 0, 0], [0, 0, 2.0]])
    assert np.array_equal(np.isnan(sparseness(rows)), [True, False])
    for k in (1, 4, 16):
        row = np.where(np.arange(16) < k, -3.0, 0.0)[None]
        assert sparseness(row)[0] == pytest.approx((4 - np.sqrt(k)) / 3)


@given(seed=seeds)
@few
def test_disjoint_is_the_best_of_all_assignments(seed):
    D, _, gram, cross = random_problem(seed, d=4, m=2)
    target = np.random.RandomState(seed).standard_normal((2, 4))
    members, values = [], []
    for owners in product((None, 0, 1), repeat=4):
        mask = np.array([[owner == k for owner in owners] for k in (0, 1)])
        members.append(np.where(mask, target.clip(min=0), 0))
        best = np.where(mask, (cross / gram.diagonal()[:, None]).clip(min=0), 0)
        values.append(quadratic(best, gram, cross))
    distance = np.linalg.norm(target - Disjoint().project(target))
    assert distance == pytest.approx(min(np.linalg.norm(target - x) for x in members))
    P = Disjoint().project(start(D, seed, m=2))
    assert quadratic(Disjoint().improve(P, gram, cross), gram, cross) == pytest.approx(min(values))


@given(seed=seeds)
@few
def test_groups_leave_no_feature_that_would_rather_change(seed):
    """Of all partitions one feature away, each with its best parts of rank one, none is better."""
    rng = np.random.RandomState(seed)
    D = random_matrix(seed, 12, 7)
    parts = Disjoint().bind(D)
    P = parts.project(rng.exponential(size=(3, 7)))
    assert_member("disjoint", parts, P)
    np.testing.assert_allclose(np.linalg.norm(P, axis=1), 1)

    def loss(owners):
        groups = [D[:, owners == k] for k in range(3)]
        return sum(np.sum(np.linalg.svd(group, compute_uv=False)[1:] ** 2) for group in groups)

    owners = P.argmax(axis=0)
    energy = np.sum(D**2)
    # Its entries are those of the leading pair of each group.
    assert energy - np.sum((D @ P.T) ** 2) == pytest.approx(loss(owners), abs=1e-4 * energy)
    for p, k in product(range(7), range(3)):
        moved = owners.copy()
        moved[p] = k
        # The present part is a little behind its group's best, and so is the new one.
        assert loss(owners) <= loss(moved) + 0.01 * energy
    np.testing.assert_allclose(Disjoint().bind(sp.csr_matrix(D)).project(P), parts.project(P))
    assert parts.project(P.astype(np.float32)).dtype == np.float32


def test_groups_take_up_what_the_nearest_member_left():
    """Planted groups of features, from a start that puts all of them into one part."""
    rng = np.random.RandomState(0)
    owners = np.arange(20) % 4
    D = rng.exponential(size=(50, 4))[:, owners] * rng.uniform(0.5, 2, 20)
    P = Disjoint().bind(D).project(np.array([[1.0], [0.5], [0.5], [0.5]]) * np.ones(20))
    found = {tuple(np.flatnonzero(part)) for part in P}
    assert found == {tuple(np.flatnonzero(owners == k)) for k in range(4)}


@pytest.mark.parametrize("weighted", [False, True])
def test_free_parts_are_least_squares(weighted):
    D, H, *_ = random_problem(5)
    weights = np.random.RandomState(5).uniform(size=D.shape) if weighted else np.ones(D.shape)
    gram, cross = normal_equations(D.T, H.T, weights.T if weighted else None)
    P = Parts().improve(start(D, 5), gram, cross)
    for p, root in enumerate(np.sqrt(weights).T):
        expected = np.linalg.lstsq(root[:, None] * H, root * D[:, p])[0]
        np.testing.assert_allclose(P[:, p], expected, atol=1e-9)
    assert Parts().residual(P, gram, cross) < 1e-9


@pytest.mark.parametrize("name", ["unit", "unit-nonnegative", "sparse"])
@given(seed=seeds, shift=st.sampled_from([-3.0, 0.0, 1.0]))
@few
def test_the_update_of_one_row_is_its_global_minimum(name, seed, shift):
    """With one part there is one row, and no other member has a lower value, from any start."""
    rng = np.random.RandomState(seed)
    gram = rng.uniform(0.5, 2, (1, 1))
    cross = rng.standard_normal((1, 4)) + shift
    first, *members = random_members(name, np.ones((1, 4)), rng, 400)
    P = SETS[name].improve(first[None], gram, cross)
    value = quadratic(P, gram, cross)
    others = [quadratic(x[None], gram, cross) for x in [*members, *np.eye(4)[:, None]]]
    others = others[: len(members)] if name == "sparse" else others
    assert value <= min(others) + 1e-9
    if name == "unit":
        np.testing.assert_allclose(P, cross / np.linalg.norm(cross))
    assert SETS[name].residual(P, gram, cross) < 1e-12


def test_a_part_that_points_away_takes_its_best_feature():
    P = Parts(nonnegative=True, unit=True).improve(
        np.array([[0.6, 0.8, 0.0]]), np.array([[1.0]]), np.array([[-2.0, -3.0, -1.0]])
    )
    assert np.array_equal(P, [[0.0, 0.0, 1.0]])


@pytest.mark.parametrize("name", [name for name in SETS if name not in ("disjoint", "samples")])
def test_a_part_without_codes_waits(name):
    D, H, gram, cross = random_problem(1)
    H[:, 2] = 0
    parts = SETS[name].bind(D)
    P = parts.improve(parts.project(start(D, 1)), gram, cross)
    better = parts.improve(P, *normal_equations(D.T, H.T))
    assert P[2].any()
    assert np.isfinite(better).all()
    np.testing.assert_allclose(better[2], P[2], atol=1e-12)


@pytest.mark.parametrize("name", ["unit", "unit-nonnegative", "nonnegative", "sparse"])
def test_a_stack_is_improved_as_each_of_it_alone(name):
    parts, problems = SETS[name], [random_problem(seed)[-2:] for seed in (0, 1)]
    gram, cross = map(np.stack, zip(*problems, strict=True))
    gram[1, 2], gram[1, :, 2], cross[1, 2] = 0, 0, 0  # a part that no code of the second uses
    P = np.stack([parts.project(random_matrix(seed, *cross.shape[1:])) for seed in (2, 3)])
    alone = [parts.improve(*each) for each in zip(P, gram, cross, strict=True)]
    np.testing.assert_allclose(parts.improve(P, gram, cross), alone, rtol=1e-12)
    np.testing.assert_array_equal(alone[1][2], P[1, 2])


def test_a_disjoint_part_without_codes_keeps_what_nobody_else_gains_from():
    P = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    gram, cross = np.array([[2.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 4.0, -1.0], [0.0, 0.0, 0.0]])
    assert np.array_equal(Disjoint().improve(P, gram, cross), [[0.5, 2.0, 0.0], [0.0, 0.0, 1.0]])


def test_a_sparse_part_returns_from_zero():
    parts, gram = Sparseness(0.5), np.array([[2.0]])
    away = parts.improve(parts.project(np.ones((1, 4))), gram, -np.ones((1, 4)))
    assert not away.any()
    assert parts.improve(away, gram, np.array([[1.0, 2.0, 0.0, 0.0]])).any()


@given(seed=seeds)
@settings(deadline=None, max_examples=5)
def test_descent_in_cone_and_hull_ends_where_active_sets_do(seed):
    """With G = 1 the minimum of q is the nearest member, a nonnegative least-squares problem."""
    D = np.random.RandomState(seed).standard_normal((6, 5)) + 1
    targets = np.random.RandomState(seed + 1).standard_normal((2, 5))
    rows = np.vstack([D.T, np.full(6, 1e4)])  # one more feature that asks for the sum 1
    cone = [nnls(D.T, target)[0] for target in targets]
    hull = [nnls(rows, np.append(target, 1e4))[0] for target in targets]
    for name, weights in (("cone", cone), ("hull", hull)):
        parts = SETS[name].bind(D)
        P = parts.project(targets)
        for _ in range(1000):
            P = parts.improve(P, np.eye(2), targets)
        nearest = np.linalg.norm(targets - weights @ D, axis=1)
        np.testing.assert_allclose(np.linalg.norm(targets - P, axis=1), nearest, atol=1e-5)


def test_descent_in_the_hull_finds_planted_archetypes():
    rng = np.random.RandomState(0)
    vertices = rng.standard_normal((3, 5))
    H = np.vstack([np.eye(3), rng.dirichlet(np.ones(3), 20)])
    D = H @ vertices
    hull = Hull().bind(D)
    P = hull.project(D[5:8])
    gram, cross = normal_equations(D.T, H.T)
    for _ in range(300):
        P = hull.improve(P, gram, cross)
    np.testing.assert_allclose(P, vertices, atol=1e-5)


@pytest.mark.parametrize("bound", [Cone().bind, Hull().bind])
def test_only_parts_that_a_bound_set_returned_last_have_weights(bound):
    D, _, gram, cross = random_problem(2)
    parts, fresh = bound(D), bound(D)
    first = parts.project(start(D, 2))
    better = parts.improve(first, gram, cross)
    for P in (first, D[4:8]):
        for method in (parts.improve, parts.residual, fresh.improve):
            with pytest.raises(ValueError, match="project these"):
                method(P, gram, cross)
    np.testing.assert_allclose(parts.weights @ D, better)
    # Projected they begin anew: nothing of the fit before is left.
    for target in (D[4:8], first):
        ours, theirs = (some.improve(some.project(target), gram, cross) for some in (parts, fresh))
        assert np.array_equal(ours, theirs)


def test_samples_are_the_nearest_distinct_rows():
    D = np.random.RandomState(0).standard_normal((5, 3))
    targets = np.vstack([D[1], D[1], D[3]]) + 0.1  # two want the same sample
    samples = Samples().bind(D)
    P = samples.project(targets)
    best = min(np.sum((D[list(rows)] - targets) ** 2) for rows in permutations(range(5), 3))
    assert np.sum((P - targets) ** 2) == pytest.approx(best)
    assert np.array_equal(samples.project(D[[4, 0]]), D[[4, 0]])


@pytest.mark.parametrize("name", COMBINED)
def test_sparse_data_give_the_same_parts(name):
    D = random_matrix(0, 12, 6, zeros=0.6)
    H = random_matrix(1, 12, 3)
    results = []
    for data in (D, sp.csr_array(D), sp.csr_matrix(D)):
        parts = SETS[name].bind(data)
        P = parts.project(start(D, 0, m=3))
        for _ in range(100):
            P = parts.improve(P, *normal_equations(D.T, H.T))
        assert type(P) is np.ndarray
        assert_member(name, parts, P)
        results.append(P)
    # Centring, which a sparse matrix would not survive, only lengthens the steps.
    np.testing.assert_allclose(results[1], results[0], atol=1e-6)
    np.testing.assert_allclose(results[2], results[1])


@each_set
@pytest.mark.parametrize("weighted", [False, True])
def test_single_precision_stays(name, weighted):
    D, H, *_ = random_problem(0)
    D, H = D.astype(np.float32), H.astype(np.float32)
    gram, cross = normal_equations(D.T, H.T, np.ones_like(D).T if weighted else None)
    parts = SETS[name].bind(D)
    P = parts.project(start(D, 0).astype(np.float32))
    assert P.dtype == np.float32
    assert parts.improve(P, gram, cross).dtype == np.float32


@pytest.mark.parametrize("name", [name for name, parts in SETS.items() if parts.columnwise])
@given(seed=seeds)
@few
def test_columnwise_sets_may_be_improved_feature_by_feature(name, seed):
    D, _, gram, cross = random_problem(seed)
    whole = pieces = SETS[name].project(start(D, seed))
    for _ in range(50):
        whole = SETS[name].improve(whole, gram, cross)
        halves = [
            SETS[name].improve(pieces[:, half], gram, cross[:, half])
            for half in (np.s_[:4], np.s_[4:])
        ]
        pieces = np.hstack(halves)
    assert quadratic(pieces, gram, cross) == pytest.approx(quadratic(whole, gram, cross))


@pytest.mark.parametrize("value", [0, 1, -0.5, 1.5, float("nan"), "half", True, None])
def test_sparseness_must_be_between_its_ends(value):
    with pytest.raises(ValueError, match="Sparseness's value"):
        Sparseness(value)


def test_sets_say_what_they_need():
    with pytest.raises(ValueError, match="at least 2 features"):
        Sparseness(0.5).project(np.ones((2, 1)))
    with pytest.raises(ValueError, match="3 parts cannot be distinct samples: there are only 2"):
        Samples().bind(np.eye(2, 3)).project(np.eye(3))
    for unbound in (Cone(), Hull(), Samples()):
        for method in (unbound.improve, unbound.residual):
            with pytest.raises(NotImplementedError, match="bind it to the samples first"):
                method(np.eye(2), np.eye(2), np.eye(2))
        with pytest.raises(NotImplementedError, match="bind it to the samples first"):
            unbound.project(np.eye(2))


def test_binding_leaves_a_set_as_it_was():
    D = random_problem(0)[0]
    for parts in SETS.values():
        before = hash(parts), repr(parts)
        bound = parts.bind(D)
        bound.project(start(D, 0))
        assert (hash(parts), repr(parts)) == before and parts == eval(repr(parts))
        for name in ("nonnegative", "unit", "offset", "homogeneous", "of_samples", "columnwise"):
            assert getattr(bound, name) == getattr(parts, name), (parts, name)


def test_sets_tell_the_truth_about_themselves():
    D, rng = random_problem(0)[0], np.random.RandomState(0)
    for name, parts in SETS.items():
        P = D[:3] if name in COMBINED else parts.project(random_members(name, D, rng, 3))

        def inside(Q, parts=parts):
            bound = parts if parts == Disjoint() else parts.bind(D)
            # Combinations are projected by steps, near enough for a start.
            return np.linalg.norm(bound.project(Q) - Q) < 0.02 * np.linalg.norm(Q)

        assert inside(P)
        assert inside(3 * P) == parts.homogeneous, name
        assert (inside(-P) and name not in COMBINED) == parts.signed, name
        assert parts.has_scale == (not inside(3 * P) and name not in COMBINED), name
        if parts.bounds:
            wild = 9 * rng.standard_normal((3, D.shape[1]))
            assert np.array_equal(parts.project(wild), wild.clip(*parts.bounds))
    assert [name for name, parts in SETS.items() if parts.swept] == ["nonnegative"]
    assert [name for name, parts in SETS.items() if not parts.trainable] == ["samples"]


@pytest.mark.parametrize("name", [name for name, parts in SETS.items() if parts.trainable])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_nearest_tensor_is_the_nearest_array(name, dtype):
    """For each of a stack; of parts that are made of samples what is trained are their weights."""
    trained = torch.from_numpy(np.random.RandomState(0).standard_normal((2, 3, 7))).to(dtype)
    nearest = SETS[name].project_tensor(trained.requires_grad_())
    assert (nearest.dtype, nearest.shape) == (dtype, trained.shape)
    for own, target in zip(nearest.detach().numpy(), trained.detach().numpy(), strict=True):
        if name in COMBINED:
            assert own.min() >= 0 and (name == "cone" or np.allclose(own.sum(axis=1), 1))
            # Π(a) is the nearest member iff ⟨a − Π(a), b − Π(a)⟩ ≤ 0 for every member b.
            others = np.random.RandomState(1).dirichlet(np.ones(7), (50, 3))
            assert ((target - own) * (others - own)).sum(axis=-1).max() <= 1e-6
        else:
            np.testing.assert_allclose(own, SETS[name].project(target), rtol=1e-6)


@dataclass(frozen=True)
class Bounded(PartSet):
    """Parts with entries between 0 and 1: a set need only say what is near."""

    nonnegative = columnwise = True
    bounds = 0, 1

    def project(self, components):
        return components.clip(0, 1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("weighted", [False, True])
def test_a_set_of_ones_own_needs_only_its_projection(weighted):
    gram, cross = random_problem(0, weighted=weighted)[2:]
    P = begin = np.full((4, 9), 0.5)
    for _ in range(2000):
        P = Bounded().improve(P, gram, cross)
    result = minimize(
        lambda p: quadratic(p.reshape(4, 9), gram, cross),
        begin.ravel(),
        jac=lambda p: 2 * (gram_matmul(gram, p.reshape(4, 9)) - cross).ravel(),
        bounds=[Bounded.bounds] * 36,
        options={"ftol": 1e-15, "gtol": 1e-10},
    )
    assert quadratic(P, gram, cross) == pytest.approx(result.fun, rel=1e-8)
    assert Bounded().residual(P, gram, cross) < 1e-6
    X = np.random.RandomState(0).uniform(size=(6000 if not weighted else 40, 9))
    mask = X > 0.1 if weighted else None
    model = NMF(3, parts=Bounded(), random_state=0, tol=1e-2).fit(X, mask=mask)
    assert model.components_.min() >= 0 and model.components_.max() <= 1
    assert (np.diff(model.history_["objective"]) <= 1e-9).all()
    for solver in ("auto", "lbfgs"):
        sae = SAE(3, decoder=Bounded(), activation="logistic", solver=solver, random_state=0)
        parts = sae.set_params(max_epochs=100).fit(5 * X[:200]).components_
        assert parts.min() >= 0 and parts.max() == 1, "for such data the codes are too small"
        assert sae.history_["objective"][-1] < sae.history_["objective"][0]


def test_an_offset_is_a_matter_of_sets_that_have_one():
    assert Parts(nonnegative=True).with_offset(True) == Parts(nonnegative=True, offset=True)
    assert Parts(offset=True).with_offset(False) == Parts()
    assert Hull().with_offset(False) == Hull()
    with pytest.raises(ValueError, match=r"does not go with Sparseness\(value=0.6\)"):
        SETS["sparse"].with_offset(True)
