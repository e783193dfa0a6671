"""T20: more parts than features, k codes a sample."""

from itertools import combinations, product

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds
from scipy.optimize import linprog

from partsrep import NMF, SAE, TopK, encodability


def ring(m):
    return np.array([np.roll([1, 1] + [0] * (m - 2), shift) for shift in range(m)])


def a_layer_exists(D, H, X, k):
    """The linear program: rows u_j and lengths 1/c_j in [1, 10] of the codes, with TopK's order.

    On: u_j·d_i = H_ij / c_j. Off: u_j·d_i is at most each active code of the sample, which are k.
    """
    (n, d), m = D.shape, X.shape[1]
    equal, limit = [], []
    for i, j in product(range(n), range(m)):
        active = np.flatnonzero(H[i])
        assert len(active) == k
        for part in [j] if H[i, j] else active:
            row = np.zeros(m * d + m)
            row[j * d : (j + 1) * d] = D[i]
            row[m * d + part] = -H[i, part]
            (equal if H[i, j] else limit).append(row / np.abs(row).max())
    bounds = [(None, None)] * (m * d) + [(1, 10)] * m
    zeros = np.zeros(len(limit)), np.zeros(len(equal))
    found = linprog(np.zeros(m * d + m), limit, zeros[0], equal, zeros[1], bounds=bounds)
    return found.status == 0


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(5, 8), st.integers(4, 8))
def test_t20_a_topk_layer_gives_all_codes_iff_all_margins_are_positive(seed, m, d):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((d, m))
    answer = encodability(X, ring(m))
    assume(not ((answer.margin > 0) & (answer.margin < 0.01)).any())
    # Each pattern with one amplitude far below the other, and the other way round.
    first, second = np.tile(ring(m), (2, 1)), np.zeros((2 * m, m))
    small = np.where(np.arange(2 * m) < m, np.arange(m * 2) % m, (np.arange(2 * m) + 1) % m)
    second[np.arange(2 * m), small] = 1
    H = first * np.where(second > 0, 1e-5, 1.0)
    H = np.vstack([H, ring(m)])
    assert a_layer_exists(H @ X.T, H, X, 2) == answer.encodable.all()
    if answer.encodable.all():
        codes = SAE.from_weights(answer.encoder, X, activation=TopK(2)).transform(H @ X.T)
        assert np.allclose(codes, H, rtol=1e-6, atol=1e-9)


def spans_meet(X, sets):
    """The dimension in which the spans of these sets of columns meet."""
    d = len(X)
    conditions = [np.eye(d) - X[:, S] @ np.linalg.pinv(X[:, S]) for S in sets]
    return d - np.linalg.matrix_rank(np.vstack(conditions), tol=1e-9)


def test_t20_every_way_to_assign_patterns_to_new_columns_only_renames_the_parts():
    """Brute force over the 10⁵ maps of the five pairs of a ring to pairs of new columns.

    A new column lies in all spans that it shall help to span. Five parts in four dimensions.
    """
    m, X = 5, np.random.RandomState(0).standard_normal((4, 5))
    patterns = [tuple(np.flatnonzero(row)) for row in ring(m)]
    room = {
        family: spans_meet(X, [list(patterns[S]) for S in family]) if family else 0
        for size in range(m + 1)
        for family in combinations(range(m), size)
    }
    pairs = list(combinations(range(m), 2))
    possible = 0
    for way in product(pairs, repeat=m):
        families = [tuple(S for S in range(m) if column in way[S]) for column in range(m)]
        if min(room[family] for family in families if family) == 0:
            continue
        # Two columns with the same line would not span a plane together.
        lines = [family for family in families if family and room[family] == 1]
        together = [set(a) & set(b) for a, b in combinations(lines, 2) if a == b]
        possible += not any(together)
    assert possible == 120  # the permutations of the five parts


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_t20_where_parts_only_occur_in_one_pattern_others_do_as_well(seed):
    """Without the condition on the sets: mix the two parts of each pair."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((4, 6))
    H = np.kron(np.eye(3), np.ones((1, 2))).repeat(10, axis=0) * rng.exponential(size=(30, 6))
    mixing = np.kron(np.eye(3), [[1.0, 0.0], [0.3, 1.0]])
    other, codes = X @ np.linalg.inv(mixing), H @ mixing.T
    assert (np.count_nonzero(codes, axis=1) <= 2).all()
    assert np.allclose(codes @ other.T, H @ X.T)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 6), st.integers(0, 3))
def test_t20_as_many_units_as_features_are_enough_for_anything(seed, d, more):
    D, X = random_matrix(seed, 15, d), np.eye(d, d + more)
    sae = SAE.from_weights(X.T, X)
    assert np.allclose(sae.inverse_transform(sae.transform(D)), D)
    assert np.allclose(NMF(d + more, start=(D @ X, X), max_iter=2).fit(D).loss_, 0)
