import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds

from partsrep import leastsquares
from partsrep.leastsquares import (
    columnwise_loss,
    data_norm,
    exact_nnls,
    exact_simplex,
    factorization_loss,
    gram_matmul,
    linear_encoder,
    n_sweeps,
    nnls_sweep,
    nnls_sweeps,
    normal_equations,
    project_simplex,
    stationarity,
    with_penalty,
)

some = settings(deadline=None, max_examples=20)


def system(seed, weighted, n=6, m=3, d=8):
    """Data, parts, weights (or None), and the normal equations of the codes."""
    D, components = random_matrix(seed, n, d), random_matrix(seed + 1, m, d) + 0.1
    weights = random_matrix(seed + 2, n, d) if weighted else None
    return D, components, weights, *normal_equations(D, components, weights)


def weighted_error(D, D_hat, weights):
    return np.sum((1 if weights is None else weights) * (D - D_hat) ** 2)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
@some
@given(seed=seeds)
def test_normal_equations_are_the_error_as_a_quadratic(weighted, sparse, seed):
    D, components, weights, _, _ = system(seed, weighted)
    gram, cross = normal_equations(sp.csr_array(D) if sparse else D, components, weights)
    F = random_matrix(seed + 3, 3, 6)
    quadratic = np.vdot(F, gram_matmul(gram, F)) - 2 * np.vdot(F, cross)
    expected = weighted_error(D, F.T @ components, weights) - weighted_error(D, 0, weights)
    assert quadratic == pytest.approx(expected, rel=1e-10, abs=1e-10)
    # The same quadratic in the parts, from the other side.
    gram, cross = normal_equations(D.T, F, None if weights is None else weights.T)
    quadratic = np.vdot(components, gram_matmul(gram, components)) - 2 * np.vdot(components, cross)
    assert quadratic == pytest.approx(expected, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("order", "weighted"),
    [("C", False), ("C", True), ("F", False), ("F", True), ("sparse", False)],
)
@some
@given(seed=seeds, size=st.integers(1, 60))
def test_sums_over_the_data_are_exact_and_the_same_in_pieces(dtype, order, weighted, seed, size):
    D, components, weights, _, _ = system(seed, weighted)
    H = random_matrix(seed + 3, len(D), len(components)).astype(dtype)
    D, components = D.astype(dtype), components.astype(dtype)
    # Each entry in double precision; H Xᵀ is as exact as the factors' own.
    each = np.ones(D.shape) if weights is None else weights
    exact = sum(w * float(v) ** 2 for w, v in zip(each.flat, D.flat, strict=True))
    loss = weighted_error(D.astype(float), H.astype(float) @ components, weights)
    given_as = sp.csr_array(D) if order == "sparse" else np.asarray(D, order=order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leastsquares, "PIECE", size)
        assert data_norm(given_as, weights) ** 2 == pytest.approx(exact, rel=1e-13)
        rounding = 20 * float(np.finfo(dtype).eps)
        close = {"rel": rounding, "abs": rounding * exact}
        assert factorization_loss(given_as, H, components, weights) == pytest.approx(loss, **close)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_single_precision_stays_single_and_rows_lie_together(weighted, sparse):
    D, components, weights, _, _ = system(0, weighted)
    D, components = D.astype(np.float32), components.astype(np.float32)
    gram, cross = normal_equations(sp.csr_array(D) if sparse else D, components, weights)
    arrays = gram, cross, nnls_sweeps(np.zeros_like(cross), gram, cross), project_simplex(cross)
    for array in (*arrays, exact_nnls(D, components, l1=0.1, l2=0.1, weights=weights)):
        assert array.dtype == np.float32
        assert array.flags.c_contiguous


@pytest.mark.parametrize("right", [False, True])
@some
@given(seed=seeds, m=st.integers(1, 8))
def test_the_guess_of_exact_codes_does_not_matter(right, seed, m):
    D, components = random_matrix(seed, 5, 9), random_matrix(seed + 1, m, 9)
    components[0] *= seed % 2  # a part of zeros too
    H = exact_nnls(D, components)
    guess = H if right else random_matrix(seed + 2, 5, m)
    assert np.allclose(exact_nnls(D, components, guess=guess), H, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("nearly", [1, 1e-3])
def test_exact_codes_are_as_exact_where_most_are_active(nearly, monkeypatch):
    """There the equations of the inactive ones are solved, unless the parts are nearly alike."""
    rng = np.random.RandomState(0)
    components = 10.0 ** rng.uniform(-3, 3, (12, 1)) * (1 + nearly * rng.uniform(-1, 1, (12, 40)))
    H = np.where(rng.uniform(size=(200, 12)) < 0.2, 0, rng.uniform(1, 2, (200, 12)))
    D = (H / np.linalg.norm(components, axis=1)) @ components
    D += 1e-3 * nearly * rng.standard_normal(D.shape)
    ways = []

    def spy(inverse, support, cross):
        ways.append(inverse)
        return off_supports(inverse, support, cross)

    off_supports = leastsquares._off_supports
    monkeypatch.setattr(leastsquares, "_off_supports", spy)
    found = exact_nnls(D, components, guess=H)
    assert bool(ways) is (nearly == 1)
    norms = np.linalg.norm(components, axis=1)
    slope = (found @ components - D) @ components.T / norms
    assert found.min() == 0 and np.count_nonzero(found) > 0.7 * found.size
    assert np.abs(slope[found > 0]).max() <= 1e-11 and slope.min() >= -1e-11


@pytest.mark.parametrize("kind", ["any", "repeated", "zero", "of all sizes"])
@pytest.mark.parametrize("weighted", [False, True])
@some
@given(seed=seeds, m=st.integers(2, 8), l1=st.sampled_from([0, 1e-6, 0.1, 10]), l2=st.booleans())
def test_exact_nnls_meets_the_optimality_conditions(kind, weighted, seed, m, l1, l2):
    D, components = random_matrix(seed, 5, 6) - 0.2, random_matrix(seed + 1, m, 6)
    weights = random_matrix(seed + 2, 5, 6) if weighted else np.ones((5, 6))
    if kind == "repeated":
        components[1] = 2 * components[0]
    elif kind == "zero":
        components[1] = 0
    elif kind == "of all sizes":
        components *= 10.0 ** np.random.RandomState(seed).randint(-4, 5, size=(m, 1))
    l2 = 1e-3 * np.sum(components**2) if l2 else 0
    H = exact_nnls(D, components, l1=l1, l2=l2, weights=weights if weighted else None)
    slope = (weights * (H @ components - D)) @ components.T + l1 + l2 * H
    scale = np.linalg.norm(D) * (np.linalg.norm(components, axis=1) + np.sqrt(l2) + 1e-300)
    assert H.min() >= 0
    assert np.all(slope >= -1e-8 * scale)
    assert np.all(np.abs(slope) <= 1e-8 * scale, where=H > 0)


@some
@given(seeds, st.booleans())
def test_codes_that_are_not_allowed_are_as_if_their_part_were_not_there(seed, sparse):
    D, components = random_matrix(seed, 4, 6), random_matrix(seed + 1, 3, 6)
    allowed = np.ones((4, 3), bool)
    allowed[:, 1] = False
    H = exact_nnls(sp.csr_array(D) if sparse else D, components, allowed=allowed)
    assert not H[:, 1].any()
    assert np.allclose(H[:, [0, 2]], exact_nnls(D, components[[0, 2]]))


@pytest.mark.parametrize("weighted", [False, True])
@some
@given(seed=seeds, l2=st.sampled_from([0, 0.3]), sparse=st.booleans(), inside=st.booleans())
def test_exact_simplex_meets_the_optimality_conditions(weighted, seed, l2, sparse, inside):
    components = random_matrix(seed + 1, 5, 7)
    D = random_matrix(seed, 4, 7)
    if inside:  # a mixture of the parts has no error at all
        D = np.random.RandomState(seed).dirichlet(np.ones(5), size=4) @ components
    weights = random_matrix(seed + 2, 4, 7) if weighted else np.ones((4, 7))
    data = sp.csr_array(D) if sparse else D
    H = exact_simplex(data, components, l2=l2, weights=weights if weighted else None)
    slope = (weights * (H @ components - D)) @ components.T + l2 * H
    level = np.sum(slope * H, axis=1, keepdims=True)
    assert H.min() >= 0
    assert np.allclose(H.sum(axis=1), 1, rtol=1e-14)
    # No code has a lower slope than those in use, whose slope is level.
    assert np.all(slope >= level - 1e-8)
    assert np.all(np.abs(slope - level) <= 1e-8, where=H > 0)


@some
@given(seeds, st.sampled_from([0, 1e6]))
def test_projection_on_the_simplex_subtracts_the_root_of_its_sum(seed, far):
    F = np.random.RandomState(seed).standard_normal((5, 4)) + far
    for f, projected in zip(F.T, project_simplex(F).T, strict=True):
        excess = lambda theta, f=f: np.maximum(f - theta, 0).sum() - 1  # noqa: E731
        theta = scipy.optimize.brentq(excess, f.min() - 1, f.max(), xtol=1e-14)
        assert np.allclose(projected, np.maximum(f - theta, 0), atol=1e-8)


@given(seeds, st.integers(1, 6), st.booleans())
def test_exact_nnls_agrees_with_scipy_sample_by_sample(seed, m, sparse):
    D, components = random_matrix(seed, 9, 5), random_matrix(seed + 1, m, 5)
    H = exact_nnls(sp.csr_array(D) if sparse else D, components)
    for d, h in zip(D, H, strict=True):
        best = scipy.optimize.nnls(components.T, d)[1] ** 2
        assert h.min() >= 0
        assert np.sum((d - h @ components) ** 2) == pytest.approx(best, abs=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
@settings(deadline=None, max_examples=5)
@given(seed=seeds)
def test_sweeps_never_raise_the_loss_and_reach_the_exact_solution(weighted, seed):
    D, components, weights, *_ = system(seed, weighted)
    components += np.eye(3, 8)  # so that a thousand sweeps are enough
    weights = weights + 0.3 if weighted else None
    gram, cross = normal_equations(D, components, weights)
    F = np.zeros((3, 6))
    losses = []
    for _ in range(1000):
        losses.append(weighted_error(D, F.T @ components, weights))
        nnls_sweep(F, gram, cross)
    assert np.all(np.diff(losses) <= 1e-12 * losses[0])
    best = weighted_error(D, exact_nnls(D, components, weights=weights) @ components, weights)
    assert losses[-1] == pytest.approx(best, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_sweep_updates_row_after_row(weighted):
    _, _, _, gram, cross = system(7, weighted)
    F = random_matrix(3, 3, 6)
    expected = F.copy()
    for j in range(6):
        G, f = gram if gram.ndim == 2 else gram[..., j], expected[:, j]
        for k in range(3):
            f[k] = max(0, f[k] + (cross[k, j] - G[k] @ f) / G[k, k])
    nnls_sweep(F, gram, cross)
    assert np.allclose(F, expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_an_entry_with_a_zero_partner_is_left_as_it_is_unless_it_has_a_penalty(weighted):
    gram = np.diag([4.0, 0.0])
    if weighted:  # the second column sees the second part
        gram = np.stack([gram, np.diag([4.0, 4.0])], axis=-1)
    F = np.array([[1.0, 2.0], [3.0, 5.0]])
    nnls_sweep(F, gram, np.array([[4.0, -4.0], [0.0, 0.0]]))
    assert F.tolist() == [[1.0, 0.0], [3.0, 0.0 if weighted else 5.0]]
    assert stationarity(F, gram, np.array([[4.0, -4.0], [0.0, 0.0]])) == 0
    nnls_sweep(F, gram, np.array([[4.0, -4.0], [-1.0, -1.0]]))
    assert F.tolist() == [[1.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("weighted", [False, True])
@some
@given(seed=seeds, times=st.integers(1, 5))
def test_a_half_step_is_sweeps_and_does_the_same_in_blocks(weighted, seed, times):
    _, _, _, gram, cross = system(seed, weighted)
    F = random_matrix(seed + 3, 3, 6)
    given_to_it = F.copy()
    whole = nnls_sweeps(F, gram, cross, times)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leastsquares, "BLOCK", 4)
        in_blocks = nnls_sweeps(F, gram, cross, times)
    assert np.allclose(whole, in_blocks, rtol=1e-12, atol=1e-14)
    assert np.array_equal(F, given_to_it)
    for _ in range(times):
        nnls_sweep(F, gram, cross)
    assert np.allclose(whole, F, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@some
@given(seed=seeds, s=st.integers(1, 4), n=st.integers(1, 9), m=st.integers(1, 5))
def test_a_stack_is_treated_as_each_of_its_members(dtype, seed, s, n, m):
    D = random_matrix(seed, n, 7).astype(dtype)
    P = np.stack([random_matrix(seed + i, m, 7) for i in range(s)]).astype(dtype)
    P[0, 0] *= seed % 2  # a part of zeros too
    F = np.stack([random_matrix(seed + 9 + i, m, n) for i in range(s)]).astype(dtype)
    close = {"rtol": 10 * m * np.finfo(dtype).eps, "atol": 100 * np.finfo(dtype).eps}
    system = normal_equations(D, P)
    penalised = with_penalty(*system, 0.25, 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leastsquares, "BLOCK", 4 * s)  # and in blocks
        found = [
            *system,
            *penalised,
            gram_matmul(system[0], F),
            nnls_sweeps(F, *system),
            nnls_sweeps(F, *penalised),
            stationarity(F, *system),
            columnwise_loss(F, *system),
        ]
    for i in range(s):
        own = normal_equations(D, P[i])
        own_penalised = with_penalty(*own, 0.25, 0.5)
        alone = [
            *own,
            *own_penalised,
            gram_matmul(own[0], F[i]),
            nnls_sweeps(F[i], *own),
            nnls_sweeps(F[i], *own_penalised),
            stationarity(F[i], *own),
            columnwise_loss(F[i], *own),
        ]
        for of_all, of_one in zip(found, alone, strict=True):
            assert of_all.dtype == of_one.dtype == dtype
            np.testing.assert_allclose(of_all[i], of_one, **close)


def test_a_dearer_product_is_worth_more_sweeps():
    counts = [n_sweeps(length, 7) for length in (1, 7, 7 * 15, 7 * 17, 7 * 65, 7 * 4100)]
    assert counts == [2, 2, 2, 3, 4, 7]


def test_a_partner_too_small_to_be_divided_by_counts_as_zero():
    F, gram = np.ones((2, 3)), np.diag([1e-300, 1.0])
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        nnls_sweep(F, gram, np.array([[1e-148] * 3, [2.0] * 3]))
        assert stationarity(F, gram, np.array([[1e-148] * 3, [2.0] * 3])) < 1e-100
    assert F.tolist() == [[1.0] * 3, [2.0] * 3]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_too_small_to_be_normal_become_zero(dtype):
    smallest = np.finfo(dtype).tiny
    cross = np.array([[smallest / 4, 4 * smallest]], dtype)
    assert nnls_sweeps(np.zeros_like(cross), np.ones((1, 1), dtype), cross).tolist() == [
        [0.0, 4 * smallest]
    ]


@pytest.mark.parametrize("weighted", [False, True])
@some
@given(seed=seeds)
def test_stationarity_is_zero_at_the_solution_alone_and_free_of_the_scale(weighted, seed):
    D, components, weights, gram, cross = system(seed, weighted)
    F = exact_nnls(D, components, weights=weights).T
    assert stationarity(F, gram, cross) <= 1e-12 * np.linalg.norm(D)
    F = F + random_matrix(seed + 3, 3, 6)
    value = stationarity(F, gram, cross)
    assert value > 0
    scale = np.array([[0.01], [1.0], [300.0]])
    scaled = normal_equations(D, components * scale, weights)
    assert stationarity(F / scale, *scaled) == pytest.approx(value)
    columns = [
        stationarity(F[:, [j]], gram if gram.ndim == 2 else gram[..., [j]], cross[:, [j]])
        for j in range(6)
    ]
    assert np.linalg.norm(columns) == pytest.approx(value)


@pytest.mark.parametrize("shape", [(30, 6), (6, 30)])
@given(seed=seeds, bias=st.booleans())
def test_linear_encoder_is_the_least_squares_map(shape, seed, bias):
    rng = np.random.RandomState(seed)
    D, F = rng.standard_normal(shape), rng.standard_normal((2, shape[0]))
    U, b = linear_encoder(D, bias)(F)
    inputs = np.column_stack([D, np.ones(len(D))]) if bias else D
    best = np.linalg.lstsq(inputs, F.T, rcond=None)[0]
    reached = U @ D.T + (b[:, None] if bias else 0)
    assert np.allclose(reached, (inputs @ best).T, atol=1e-3)
    assert (b is None) == (not bias)
