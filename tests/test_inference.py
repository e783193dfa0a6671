import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds

from partsrep.inference import exact_nnls, linear_encoder, nnls_sweep


@given(seeds, st.integers(1, 6), st.booleans())
def test_exact_nnls_agrees_with_scipy_sample_by_sample(seed, m, sparse):
    D, components = random_matrix(seed, 9, 5), random_matrix(seed + 1, m, 5)
    H = exact_nnls(sp.csr_array(D) if sparse else D, components)
    for d, h in zip(D, H, strict=True):
        best = scipy.optimize.nnls(components.T, d)[1] ** 2
        assert h.min() >= 0
        assert np.sum((d - h @ components) ** 2) == pytest.approx(best, abs=1e-8)


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_sweeps_never_raise_the_loss_and_reach_the_exact_solution(seed):
    D, components = random_matrix(seed, 6, 8), random_matrix(seed + 1, 3, 8) + 0.1
    gram, cross = components @ components.T, components @ D.T
    F = np.zeros((3, 6))
    losses = []
    for _ in range(3000):
        losses.append(np.sum((D - F.T @ components) ** 2))
        nnls_sweep(F, gram, cross)
    assert np.all(np.diff(losses) <= 1e-12 * losses[0])
    best = np.sum((D - exact_nnls(D, components) @ components) ** 2)
    assert losses[-1] == pytest.approx(best, rel=1e-6, abs=1e-9)


def test_a_row_with_a_zero_partner_is_left_as_it_is():
    F = np.array([[1.0, 2.0], [3.0, 4.0]])
    nnls_sweep(F, np.diag([2.0, 0.0]), np.array([[2.0, -2.0], [5.0, 5.0]]))
    assert F.tolist() == [[1.0, 0.0], [3.0, 4.0]]


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
