"""T4: which codes one layer can compute, against brute force and trained layers."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds
from scipy.optimize import linprog

from partsrep import SAE, datasets, encodability, encodability_on
from partsrep.leastsquares import exact_nnls
from partsrep.study.conditions import _unique_codes


def brute_force_margin(X, patterns, j):
    """The least distance over all choices of which cone coefficients are positive."""
    X = X / np.linalg.norm(X, axis=0)
    m = X.shape[1]
    near = [k for k in range(m) if k != j and (patterns[:, j] & patterns[:, k]).any()]
    rest = [k for k in range(m) if k != j and k not in near]
    best = np.inf
    for size in range(len(rest) + 1):
        for positive in combinations(rest, size):
            A = X[:, [*near, *positive]]
            weights = np.linalg.lstsq(A, X[:, j], rcond=1e-10)[0] if A.shape[1] else np.empty(0)
            if (weights[len(near) :] >= -1e-12).all():
                best = min(best, np.linalg.norm(X[:, j] - A @ weights))
    return best


def a_row_exists(X, patterns, j):
    """The definition as a linear program."""
    near = (patterns[patterns[:, j]]).any(axis=0)
    near[j] = False
    rest = ~near & (np.arange(X.shape[1]) != j)
    equal = np.vstack([X[:, [j]].T, X[:, near].T])
    found = linprog(
        np.zeros(len(X)),
        X[:, rest].T,
        np.zeros(rest.sum()),
        equal,
        np.eye(len(equal))[0],
        bounds=[(None, None)] * len(X),
    )
    return found.status == 0


def patterns_of(seed, p, m):
    """Random sets of parts; each part is in one."""
    return np.vstack([random_matrix(seed, p, m, zeros=0.6) > 0, np.eye(m) > 0])


def codes_of(seed, patterns, repeats=30):
    """Codes with all kinds of amplitudes on the patterns."""
    patterns = np.repeat(patterns, repeats, axis=0)
    return patterns * np.random.RandomState(seed).exponential(size=patterns.shape) ** 2


def small_integers(seed, d, m):
    """Parts among which dependence and membership in cones happen."""
    X = np.random.RandomState(seed).randint(0, 3, (d, m)).astype(float)
    return np.where(X.any(axis=0), X, 1)


@settings(max_examples=150, deadline=None)
@given(seeds, st.integers(2, 4), st.integers(1, 5), st.integers(0, 3))
def test_t04_margin_and_verdict_agree_with_brute_force(seed, d, m, p):
    X, patterns = small_integers(seed, d, m), patterns_of(seed + 1, p, m)
    answer = encodability(X, patterns)
    for j in range(m):
        assert answer.margin[j] == pytest.approx(brute_force_margin(X, patterns, j), abs=1e-7)
        assert answer.encodable[j] == a_row_exists(X, patterns, j)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(2, 5), st.integers(2, 6), st.integers(0, 4))
def test_t04_witness_rows_encode_all_amplitudes_and_nothing_else_does(seed, d, m, p):
    X, patterns = small_integers(seed, d, m), patterns_of(seed + 1, p, m)
    answer = encodability(X, patterns)
    H = codes_of(seed, patterns)
    found = np.maximum(H @ X.T @ np.nan_to_num(answer.encoder).T, 0)
    scale = H.max()
    assert np.allclose(found[:, answer.encodable], H[:, answer.encodable], atol=1e-6 * scale)
    norms = np.linalg.norm(answer.encoder, axis=1) * np.linalg.norm(X, axis=0)
    assert np.allclose(norms[answer.encodable], answer.amplification[answer.encodable])
    # On many amplitudes the data know no more than the patterns; a bias does not help.
    on_data = encodability_on(H @ X.T, X, H, bias=True)
    assert not on_data.codes[answer.margin < 1e-8].any()


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(1, 6), st.integers(0, 4))
def test_t04a_independent_parts_are_always_encodable(seed, m, more):
    X = random_matrix(seed, m + more, m) + np.eye(m + more, m)
    assert encodability(X, np.ones((1, m))).encodable.all()


def test_t04b_one_at_a_time_any_number_of_rays_is_encodable():
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    X = np.array([np.cos(angle), np.sin(angle), np.ones(12)])
    answer = encodability(X, np.eye(12))
    assert answer.encodable.all()
    H = codes_of(0, np.eye(12))
    assert np.abs(np.maximum(H @ X.T @ answer.encoder.T, 0) - H).max() < 1e-10
    inside = np.column_stack([X, [0, 0, 1]])
    assert encodability(inside, np.eye(13)).encodable.tolist() == [*[True] * 12, False]


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(2, 5), st.integers(2, 6))
def test_t04c_where_all_pairs_occur_it_is_the_rank_that_counts(seed, d, m):
    X = small_integers(seed, d, m)
    pairs = np.array([[k in pair for k in range(m)] for pair in combinations(range(m), 2)])
    answer = encodability(X, pairs)
    assert answer.encodable.all() == (np.linalg.matrix_rank(X) == m)


def test_t04c_codes_that_cannot_be_computed_need_not_cost_anything():
    X = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    H = codes_of(0, 1 - np.eye(3))
    answer = encodability_on(H @ X.T, X, H)
    assert not answer.codes.any()
    assert answer.reconstruction is True
    U, b = answer.witness
    assert np.allclose(np.maximum(H @ X.T @ U.T + b, 0) @ X.T, H @ X.T)


@pytest.mark.parametrize(
    ("block", "all_encodable"), [(3, True), (6, True), (10, True), (30, False)]
)
def test_t04d_blocks_that_occur_together(block, all_encodable):
    m, d = 30, 20
    X = random_matrix(5, d, m, zeros=0.7) + 1e-3
    patterns = np.kron(np.eye(m // block), np.ones((block, block)))
    encodable = encodability(X, patterns).encodable
    assert encodable.all() if all_encodable else not encodable.any()


@pytest.mark.parametrize("size", [3, 5, 8])
def test_t04e_the_bars_are_not_encodable_and_with_one_dropped_they_are(size):
    truth = datasets.load("bars", size=size, n_samples=400).truth
    answer = encodability(truth.X, truth.H)
    assert not answer.encodable.any()
    assert np.isnan(answer.encoder).all()
    kept = slice(1, None)
    H, X = truth.H[:, kept], truth.X[:, kept]
    dropped = encodability(X, H)
    assert dropped.encodable.all()
    assert np.allclose(np.maximum(H @ X.T @ dropped.encoder.T, 0), H, atol=1e-8)


def test_t04e_no_layer_reconstructs_the_bars():
    data = datasets.load("bars", size=5, n_samples=300)
    answer = encodability_on(data.D, data.truth.X)
    assert answer.reconstruction is False
    assert not answer.codes.any()
    assert (answer.error > 0.01).all()


def test_t04e_crosses_of_one_row_and_one_column_are_encodable():
    """Rows never occur together: then the others may be negative, and make up for the columns."""
    data = datasets.load("bars", size=5, probability=None, n_samples=300)
    answer = encodability(data.truth.X, data.truth.H)
    assert answer.encodable.all()
    found = np.maximum(data.D @ answer.encoder.T, 0)
    assert np.allclose(found, data.truth.H)
    assert encodability_on(data.D, data.truth.X).reconstruction is True


def test_t04_bounded_amplitudes_can_be_encodable_where_patterns_are_not():
    """x₁ = 3x₂ + x₃, patterns {1} and {2, 3}, amplitudes from 1 to 2: the row (1, −2) does."""
    X = np.array([[3.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    patterns = np.array([[True, False, False], [False, True, True]])
    assert not encodability(X, patterns).encodable[0]
    H = np.repeat(patterns, 50, axis=0) * np.random.RandomState(0).uniform(1, 2, (100, 3))
    assert np.allclose(np.maximum(H @ X.T @ [1, -2], 0), H[:, 0])
    assert encodability_on(H @ X.T, X, H).codes[0]


def test_t04_a_bias_can_help_where_codes_are_binary():
    """Both parts and their sum: the third unit counts, and a threshold tells two from one."""
    X = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    D, H = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.eye(3)
    alone = encodability_on(D, X, H).codes
    assert not alone[2]
    assert encodability_on(D, X, H, bias=True).codes.all()
    with_bias = encodability_on(D, X, H, bias=True)
    assert np.allclose(np.maximum(D @ with_bias.encoder.T + with_bias.bias, 0), H, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(2, 4), st.integers(2, 5), st.integers(0, 3))
def test_t04_reconstruction_is_answered_truly(seed, d, m, p):
    """True comes with a layer; False is never said where training finds one."""
    X, patterns = small_integers(seed, d, m), patterns_of(seed + 1, p, m)
    H = codes_of(seed, patterns, repeats=6)
    D = H @ X.T
    answer = encodability_on(D, X)
    scale = np.sum(D**2)
    if answer.reconstruction is True:
        U, b = answer.witness
        assert np.sum((D - np.maximum(D @ U.T + b, 0) @ X.T) ** 2) <= 1e-8 * scale
    if answer.reconstruction is False:
        trained = SAE(m, decoder="nonnegative", start=(np.linalg.pinv(X), X), solver="lbfgs")
        fixed = np.maximum(D @ trained.set_params(max_epochs=1).fit(D).encoder_.T, 0)
        assert np.sum((D - fixed @ X.T) ** 2) > 1e-9 * scale
    if np.linalg.matrix_rank(X) == m:
        assert answer.reconstruction is True


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(2, 4), st.integers(2, 6))
def test_t04_unique_codes_are_those_that_linear_programs_cannot_move(seed, d, m):
    X, H = small_integers(seed, d, m), random_matrix(seed + 1, 6, m, zeros=0.6)
    H = exact_nnls(H @ X.T, X.T)
    for h, unique in zip(H, _unique_codes(X, H), strict=True):
        spread = [linprog(sign * e, A_eq=X, b_eq=X @ h).fun for e in np.eye(m) for sign in (1, -1)]
        assert unique == (np.abs(np.add(spread[::2], spread[1::2])).max() < 1e-6)


def test_t04_a_reconstruction_is_not_denied_for_codes_that_could_be_others():
    """The image of all bars has many codes, so that it proves nothing against other units."""
    X = datasets.gallery()["crossing bars"].X.astype(float)
    H = np.vstack([np.eye(5), [[1, 1, 0, 0, 0]]])
    answer = encodability_on(H @ X.T, X, H)
    assert not answer.codes.all()
    assert answer.reconstruction is None


def test_t04_a_part_of_no_pattern_is_silent_and_asks_nothing_of_the_others():
    X = np.array([[1.0, 1.0], [0.0, 0.0]])
    answer = encodability(X, [[True, False]])
    assert answer.encodable.all()
    assert answer.margin.tolist() == [1, np.inf]
    assert answer.encoder.tolist() == [[1, 0], [0, 0]]
    assert len(answer.table()) == 2


@pytest.mark.parametrize("apart", [1e-3, 1e-8, 1e-9, 1e-10, 1e-12])
def test_t04_parts_that_are_nearly_the_same_still_span_a_plane(apart):
    """e₁ and e₁ + apart·e₂ span e₂; the first's span and the second's cone reach e₂, not −e₂."""
    near = np.array([[1.0, 1.0, 0.0], [0.0, apart, 1.0]])
    assert encodability(near, np.ones((1, 3))).margin.tolist() == [0, 0, 0]
    for sign in (1, -1):
        beside = near * [1, 1, sign]
        assert encodability(beside, [[1, 0, 1], [0, 1, 0]]).margin[2] == (sign < 0)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_t04_margins_do_not_depend_on_the_unit_of_the_data(scale):
    truth = datasets.load("bars", size=3, n_samples=50).truth
    H, X = truth.H[:, 1:], truth.X[:, 1:]
    plain, scaled = encodability(X, H), encodability(scale * X, H)
    assert scaled.margin == pytest.approx(plain.margin)
    assert scaled.encoder @ (scale * X) == pytest.approx(plain.encoder @ X, abs=1e-9)
    answer = encodability_on(scale * (H @ X.T), scale * X, H)
    assert answer.codes.all() and answer.reconstruction is True


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(2, 4), st.integers(1, 5), st.integers(0, 3))
def test_t04_units_of_features_do_not_change_what_is_encodable(seed, d, m, p):
    X, patterns = small_integers(seed, d, m), patterns_of(seed + 1, p, m)
    units = 10.0 ** -np.random.RandomState(seed).uniform(0, 12, d)
    plain, scaled = encodability(X, patterns), encodability(X * units[:, None], patterns)
    assert scaled.encodable.tolist() == plain.encodable.tolist()
    assert ((scaled.margin > 0) == plain.encodable).all()
    H = codes_of(seed, patterns, repeats=6)
    answers = (
        encodability_on(H @ X.T, X, H),
        encodability_on(H @ (X.T * units), X * units[:, None], H),
    )
    assert answers[0].codes.tolist() == answers[1].codes.tolist()
    assert answers[0].reconstruction is answers[1].reconstruction


@pytest.mark.parametrize("size", [1.0, 1e-5, 1e-8, 1e-11])
@pytest.mark.parametrize("overlap", [0.0, 1.0])
def test_t04_small_parts_beside_a_large_one_count_as_much(size, overlap):
    """Bars cannot be encoded, whatever else there is, in their pixels or not (and its code can)."""
    truth = datasets.load("bars", size=3, n_samples=100).truth
    rng = np.random.RandomState(0)
    X = np.zeros((10, 7))
    X[:9, :6], X[:9, 6], X[9, 6] = size * truth.X, overlap * rng.uniform(size=9), 1
    H = np.column_stack([truth.H, rng.uniform(size=100)])
    for codes in (H, None):
        answer = encodability_on(H @ X.T, X, codes)
        assert answer.codes.tolist() == [False] * 6 + [True]
        assert answer.reconstruction is False


@pytest.mark.parametrize(
    ("X", "patterns", "message"),
    [
        (np.eye(3), np.ones((1, 2)), "patterns has 2 columns, but X has 3 parts"),
        ([[np.nan]], [[1]], "X contains NaN"),
        (np.eye(2), np.empty((0, 2)), "0 sample"),
    ],
)
def test_bad_input_is_told(X, patterns, message):
    with pytest.raises(ValueError, match=message):
        encodability(X, patterns)
    with pytest.raises(ValueError, match="D has 4 features"):
        encodability_on(np.ones((2, 4)), np.eye(3))
