"""T5: which sign constraints and ties of a linear encoder leave it exact."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds
from scipy.optimize import linprog

ids = st.integers(1, 4), st.integers(0, 4)


def sparse_parts(seed, d, m):
    X = random_matrix(seed, d, m, zeros=0.6)
    X[np.arange(m), np.arange(m)] = 1
    return X


def solvable(X, nonnegative):
    """Whether U X = I has a solution, row by row."""
    bounds = [(0 if nonnegative else None, None)] * len(X)
    targets = np.eye(X.shape[1])
    goal = np.zeros(len(X))
    return all(linprog(goal, A_eq=X.T, b_eq=e, bounds=bounds).status == 0 for e in targets)


@settings(max_examples=100, deadline=None)
@given(seeds, *ids)
def test_t05_free_needs_independent_parts(seed, m, more):
    X = np.round(sparse_parts(seed, m + more, m))
    assert solvable(X, nonnegative=False) == (np.linalg.matrix_rank(X) == m)


@settings(max_examples=100, deadline=None)
@given(seeds, *ids)
def test_t05_nonnegative_needs_private_features(seed, m, more):
    X = sparse_parts(seed, m + more, m)
    owners = X > 0
    private = [(owners[:, j] & (owners.sum(axis=1) == 1)).any() for j in range(m)]
    assert solvable(X, nonnegative=True) == all(private)


@settings(max_examples=100, deadline=None)
@given(seeds, *ids, st.booleans())
def test_t05_tied_needs_disjoint_parts(seed, m, more, disjoint):
    X = sparse_parts(seed, m + more, m)
    if disjoint:
        X *= X.max(axis=1, keepdims=True) == X
        X[np.arange(m), np.arange(m)] = 1
        X[:m] *= np.eye(m)
    gram = X.T @ X
    # Λ G = I has the only candidate Λ = 1/G_jj.
    exact = np.allclose(gram / gram.diagonal()[:, None], np.eye(m))
    assert exact == (((X > 0).sum(axis=1) <= 1).all())
    assert exact or not disjoint
