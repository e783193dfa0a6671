"""T23: which of the exact encoders gradient descent ends at, and which weight decay selects."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds
from scipy.optimize import minimize

from partsrep import encodability
from partsrep.study.matching import unit_rows


def value_and_slope(U, D, X, decay=0.0):
    """‖D − ReLU(DUᵀ)Xᵀ‖² + decay ‖U‖², and its gradient in U."""
    Z = D @ U.T
    E = np.maximum(Z, 0) @ X.T - D
    slope = 2 * (E @ X * (Z > 0)).T @ D + 2 * decay * U
    return np.sum(E**2) + decay * np.sum(U**2), slope


def problem(seed, m, more, n=60):
    """Independent parts; codes such that those of the samples with a given part span all."""
    X = random_matrix(seed, m + more, m) + np.eye(m + more, m)
    H = random_matrix(seed + 1, n, m)
    assume(all(np.linalg.matrix_rank(H[H[:, j] > 0]) == m for j in range(m)))
    return H @ X.T, H, X, X @ np.linalg.pinv(X)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 4), st.integers(1, 5))
def test_t23_gradient_steps_leave_what_the_data_do_not_show(seed, m, more):
    """Any step sizes and batches, and with parts that are trained as well."""
    D, _, X, P = problem(seed, m, more)
    rng = np.random.RandomState(seed)
    U = start = rng.standard_normal(X.T.shape)
    for _ in range(50):
        batch = D[rng.randint(len(D), size=10)]
        E = np.maximum(batch @ U.T, 0) @ X.T - batch
        step = 1e-3 * rng.exponential()
        X = X - step * E.T @ np.maximum(batch @ U.T, 0)
        U = U - step * value_and_slope(U, batch, X)[1]
    moved = np.linalg.norm(U - start)
    assert np.allclose((U - start) @ (np.eye(len(P)) - P), 0, atol=1e-9 * (1 + moved))


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 4), st.integers(1, 5))
def test_t23_exact_encoders_are_the_pseudo_inverse_and_rows_off_the_span(seed, m, more):
    D, H, X, P = problem(seed, m, more)
    rng = np.random.RandomState(seed)
    free = rng.standard_normal(X.T.shape)
    exact = np.linalg.pinv(X) + free @ (np.eye(len(P)) - P)
    assert np.allclose(np.maximum(D @ exact.T, 0), H, atol=1e-8)
    inside = free @ P
    assume(np.linalg.norm(inside) > 1e-3)
    value, _ = value_and_slope(exact + 1e-3 * inside, D, X)
    assert value > 1e-9 * np.linalg.norm(inside) ** 2


def test_t23_descent_that_reaches_zero_ends_at_the_pseudo_inverse():
    """From tied rows, and with what the start had off the span from others."""
    reached = 0
    for seed in range(12):
        rng = np.random.RandomState(seed)
        X = rng.exponential(size=(6, 3)) + 2 * np.eye(6, 3)
        H = rng.exponential(size=(60, 3)) * (rng.random_sample((60, 3)) < 0.6)
        D, P = H @ X.T, X @ np.linalg.pinv(X)
        for U in (0.05 * X.T, 0.05 * np.abs(rng.standard_normal((3, 6)))):
            expected = np.linalg.pinv(X) + U @ (np.eye(6) - P)
            step = 0.4 / (np.linalg.norm(D, 2) * np.linalg.norm(X, 2)) ** 2
            for _ in range(4000):
                value, slope = value_and_slope(U, D, X)
                U = U - step * slope
            if value < 1e-10 * np.sum(D**2):
                reached += 1
                assert np.allclose(U, expected, atol=1e-3)
    assert reached >= 12


def shortest_exact_row(D, h):
    """min ‖u‖ with u·d = h where h > 0 and ≤ 0 elsewhere, by sequential quadratic programming."""
    on = h > 0
    constraints = [
        {"type": "eq", "fun": lambda u: D[on] @ u - h[on], "jac": lambda u: D[on]},
        {"type": "ineq", "fun": lambda u: -D[~on] @ u, "jac": lambda u: -D[~on]},
    ]
    options = {"maxiter": 500, "ftol": 1e-14}
    begin = np.linalg.lstsq(D, h, rcond=None)[0]
    solved = minimize(
        lambda u: (u @ u, 2 * u), begin, jac=True, constraints=constraints, options=options
    )
    return solved.x if solved.success else None


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(2, 4), st.integers(2, 5))
def test_t23_with_pure_samples_the_rows_with_the_margins_are_the_shortest(seed, d, m):
    """For any number of parts; one pure sample each, and one pair that occurs together."""
    X = unit_rows(np.abs(np.random.RandomState(seed).standard_normal((m, d)))).T
    H = np.vstack([np.eye(m), np.eye(m)[:1] * 2 + np.eye(m)[1:2]])
    answer = encodability(X, H)
    assume(answer.margin.min() > 0.2)
    for j in range(m):
        if j > 1:  # SLSQP wants independent equalities
            found = shortest_exact_row(H @ X.T, H[:, j])
            assume(found is not None)
            assert np.allclose(found, answer.encoder[j], atol=1e-4)
    U, D = answer.encoder, H @ X.T

    def flat(u, shape, decay):
        value, slope = value_and_slope(u.reshape(shape), D, X, decay)
        return value, slope.ravel()

    distances = []
    for decay in (1e-3, 1e-6):
        options = {"maxiter": 3000, "ftol": 1e-16, "gtol": 1e-12}
        arguments = U.ravel(), (U.shape, decay)
        solved = minimize(flat, *arguments, jac=True, method="L-BFGS-B", options=options)
        assert solved.fun <= decay * np.sum(U**2) * (1 + 1e-9), "no dearer than the rows"
        distances.append(np.linalg.norm(solved.x - U.ravel()))
    assert distances[1] <= max(0.1 * distances[0], 1e-4 * np.linalg.norm(U))


def test_t23_at_zero_nothing_moves():
    """A start at zero is one of dead units: 'small' is not 'zero'."""
    D, X = random_matrix(3, 20, 5), random_matrix(4, 5, 3)
    assert not value_and_slope(np.zeros_like(X.T), D, X)[1].any()
