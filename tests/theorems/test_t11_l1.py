"""T11: L1 penalties on the codes."""

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds

from partsrep import SAE, Problem, Unrolled
from partsrep.choices.parts import Parts
from partsrep.leastsquares import exact_nnls
from partsrep.solvers.autoencoder import Autoencoder


@settings(max_examples=40, deadline=None)
@given(seeds, st.floats(1e-6, 1e6))
def test_t11_without_a_norm_the_penalty_is_evaded(seed, weight):
    """H/c and cX: the same reconstruction at a penalty as small as one likes."""
    H, X = random_matrix(seed, 8, 3), random_matrix(seed + 1, 5, 3)
    c = 1e9 * weight
    assert np.allclose((H / c) @ (c * X).T, H @ X.T)
    assert weight * np.sum(H / c) <= 1e-8 * np.sum(H)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 4), st.integers(0, 5), st.floats(0, 2))
def test_t11_orthogonal_parts_shrink_by_half_the_penalty(seed, m, more, weight):
    """min ‖d − Xh‖² + λ 1ᵀh for XᵀX = I: the tied ReLU layer with bias −λ/2."""
    D = np.random.RandomState(seed).standard_normal((20, m + more))
    X = np.linalg.qr(np.random.RandomState(seed + 1).standard_normal((m + more, m)))[0]
    layer = SAE.from_weights(X.T, X, bias=np.full(m, -weight / 2))
    best = exact_nnls(D, X.T, l1=weight / 2)
    assert np.allclose(layer.transform(D), best, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(2, 4), st.integers(0, 5))
def test_t11_tied_unrolled_steps_converge_geometrically(seed, m, more):
    """excess_T ≤ (1 − λmin/λmax)^T · excess_0, with parts scaled to λmax = 1."""
    X = random_matrix(seed, m + more, m) + np.eye(m + more, m)
    X /= np.linalg.norm(X, 2)
    D = random_matrix(seed + 1, 20, m + more)
    least = np.linalg.eigvalsh(X.T @ X)[0]
    loss = lambda H: np.sum((D - H @ X.T) ** 2)  # noqa: E731
    best = loss(exact_nnls(D, X.T))
    excess = [loss(np.zeros((20, m))) - best]
    tied = Problem(parts=Parts(nonnegative=True))
    for steps in (1, 2, 5, 10):
        problem = replace(tied, inference=Unrolled(steps, tied=True))
        module = Autoencoder(problem, torch.tensor(X.T), torch.tensor(X.T))
        with torch.no_grad():
            H = module.encode(torch.tensor(D)).numpy()
        assert loss(H) - best <= (1 - least) ** steps * excess[0] + 1e-9
        excess.append(loss(H) - best)
    assert (np.diff(excess) <= 1e-9).all()
