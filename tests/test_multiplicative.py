"""Multiplicative updates: scikit-learn's iterates, descent, weights."""

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from problems import digits, random_matrix, seeds
from sklearn.decomposition import non_negative_factorization
from sklearn.exceptions import ConvergenceWarning

from partsrep import L1, L2, NMF, LogVolume, Simplex, TopK, compare
from partsrep import non_negative_factorization as factorize
from partsrep.choices.objective import Beta, Objective
from partsrep.choices.parts import Parts
from partsrep.choices.problem import Problem
from partsrep.solvers import Factors, Settings
from partsrep.solvers.divergences import beta_divergence
from partsrep.solvers.multiplicative import solve

BETAS = [-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0]
few = settings(deadline=None, max_examples=3)
each_beta = pytest.mark.parametrize("beta", BETAS)


def start(seed, n=10, d=8, m=3, zeros=0.0):
    """Data above 0 and factors above 0."""
    D = random_matrix(seed, n, d, zeros=zeros) + (0.1 if zeros == 0 else 0)
    return D, random_matrix(seed + 1, n, m, 0) + 0.1, random_matrix(seed + 2, m, d, 0) + 0.1


def solved(D, H, components, beta, *, iterations, weights=None, l1=0.0, l2=0.0):
    """Codes, parts and history, with penalties 2 l1 ‖F‖₁ + l2 ‖F‖² of both factors."""
    both = [(on, "data") for on in ("codes", "parts")]
    penalties = *(L1(2 * l1, *on) for on in both), *(L2(l2, *on) for on in both)
    problem = Problem(Parts(nonnegative=True), objective=Objective(Beta(beta), penalties=penalties))
    how = Settings(tol=0, max_iter=iterations)
    [(found, history)] = solve(D, [Factors(H, components)], problem, how, weights=weights)
    return found.codes, found.components, history


@each_beta
@pytest.mark.parametrize("sparse", [False, True])
@few
@given(seed=seeds)
def test_iterates_are_those_of_scikit_learn(beta, sparse, seed):
    # Where β < 1 and data are zero, scikit-learn's floor under reconstructions shows.
    D, H, components = start(seed, zeros=0.4 if sparse and beta >= 1 else 0)
    D = sp.csr_array(D) if sparse else D
    kept = H.copy(), components.copy()
    codes, parts, _ = solved(D, H, components, beta, iterations=12)
    with pytest.warns(ConvergenceWarning):
        # A tolerance of 0 would end scikit-learn's iterations never, but their number does.
        theirs = non_negative_factorization(
            D, H.copy(), components.copy(), n_components=3, init="custom", solver="mu",
            beta_loss=beta, tol=1e-300, max_iter=12,
        )  # fmt: skip
    assert np.allclose(codes, theirs[0], rtol=1e-6, atol=1e-9)
    assert np.allclose(parts, theirs[1], rtol=1e-6, atol=1e-9)
    assert np.array_equal(H, kept[0]) and np.array_equal(components, kept[1])


@each_beta
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("prices", [(0, 0), (0.1, 0), (0, 0.2)])
@settings(deadline=None, max_examples=2)
@given(seed=seeds)
def test_the_divergence_never_rises(beta, weighted, prices, seed):
    D, H, components = start(seed)
    weights = np.random.RandomState(seed).choice([0.0, 0.5, 2.0], size=D.shape)
    weights = weights if weighted else None
    l1, l2 = prices
    values = []
    for _ in range(30):
        values.append(
            2 * beta_divergence(D, H, components, beta, weights)
            + 2 * l1 * (H.sum() + components.sum())
            + l2 * (np.sum(H**2) + np.sum(components**2))
        )
        H, components, _ = solved(
            D, H, components, beta, iterations=1, weights=weights, l1=l1, l2=l2
        )
    assert np.all(np.diff(values) <= 1e-10 * abs(values[0]))
    assert values[-1] < values[0]


@each_beta
@pytest.mark.parametrize("sparse", [False, True])
def test_the_residual_goes_to_zero_and_the_history_is_the_objective(beta, sparse):
    D, H, components = start(3)
    D = sp.csr_array(D) if sparse else D
    codes, parts, history = solved(D, H, components, beta, iterations=500)
    rows = history.arrays()
    assert rows["residual"][-1] < 1e-2
    expected = [beta_divergence(D, *start(3)[1:], beta), beta_divergence(D, codes, parts, beta)]
    assert np.allclose(rows["objective"], 2 * np.array(expected))


@each_beta
@few
@given(seed=seeds)
def test_a_weight_of_two_is_a_repeated_row(beta, seed):
    D, H, components = start(seed)
    weights = np.ones_like(D)
    weights[4] = 2
    codes, parts, _ = solved(D, H, components, beta, iterations=12, weights=weights)
    twice = [np.vstack([F, F[4]]) for F in (D, H)]
    repeated, same, _ = solved(*twice, components, beta, iterations=12)
    assert np.allclose(parts, same, rtol=1e-8)
    assert np.allclose(codes, repeated[:-1], rtol=1e-8)
    ones = solved(D, H, components, beta, iterations=12, weights=np.ones_like(D))
    none = solved(D, H, components, beta, iterations=12)
    assert np.allclose(ones[1], none[1], rtol=1e-8)


@each_beta
def test_hidden_entries_do_not_matter(beta):
    D, _, _ = start(0, n=15)
    seen = np.random.RandomState(0).uniform(size=D.shape) > 0.2
    common = {"solver": "mu", "beta_loss": beta, "init": "random", "tol": 0, "max_iter": 20}
    results = []
    for hidden in (1.0, 1e6, np.nan):
        data = np.where(seen, D, hidden)
        model = NMF(3, **common, random_state=0)
        results.append((model.fit_transform(data, mask=seen), model.components_, model.loss_))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


@each_beta
@pytest.mark.parametrize("sparse", [False, True])
def test_codes_of_new_data_meet_the_optimality_conditions(beta, sparse):
    D, _, _ = start(5, n=20)
    model = NMF(
        3, solver="mu", beta_loss=beta, init="random", tol=1e-8, max_iter=5000, random_state=0
    ).fit(D)
    H = model.transform(sp.csr_array(D) if sparse else D)
    D_hat = H @ model.components_
    up = D_hat ** (beta - 1) @ model.components_.T
    down = (D * D_hat ** (beta - 2)) @ model.components_.T
    assert np.linalg.norm(H * (up - down)) <= 1e-2 * np.linalg.norm(H * up)
    assert np.all(up - down >= -0.05 * up, where=H < 1e-12)
    alone = np.vstack([model.transform(d[None]) for d in D[:4]])
    assert np.allclose(alone @ model.components_, D_hat[:4], rtol=1e-2, atol=1e-2)


@each_beta
def test_single_precision_stays_single(beta):
    D = (digits(60) + 0.1).astype(np.float32)
    model = NMF(4, solver="mu", beta_loss=beta, tol=1e-2, random_state=0).fit(D)
    assert model.components_.dtype == model.transform(D).dtype == np.float32
    assert np.isfinite(model.components_).all()


@pytest.mark.parametrize("beta", [-0.5, 0.0, 0.5, 1.0, 1.5, 1.9, 2.0, 2.5, 3.0])
def test_data_that_are_fitted_exactly_end_at_once_with_a_loss_that_is_none(beta):
    rng = np.random.RandomState(0)
    products = [
        np.outer(rng.randint(1, 9, 6), rng.randint(1, 9, 5)).astype(float) for _ in range(4)
    ]
    extreme = [np.full((10, 6), 10.0), np.full((1, 4), 0.3), np.full((4, 1), 7.0), np.eye(1)]
    zeros = [np.zeros((5, 4))] if beta > 0 else []
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        for seed, D in enumerate([*products, *extreme, *zeros]):
            for m in (1, 2):
                model = NMF(m, solver="mu", beta_loss=beta, init="random", random_state=seed)
                model.set_params(max_iter=5000).fit(D)
                assert 0 <= model.loss_ <= 1e-4 * max(np.sum(D ** abs(beta)), 1)
            model = NMF(1, solver="mu", beta_loss=beta, random_state=seed).fit(D)
            assert 0 <= model.loss_ <= 1e-12 * max(np.sum(D ** abs(beta)), 1)
            assert model.n_iter_ <= 20
            assert np.isrealobj(model.history_["objective"])


@each_beta
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_codes_of_a_sample_do_not_depend_on_its_neighbours(beta, sparse, weighted):
    if sparse and weighted:
        return
    D = start(5, n=20)[0]
    model = NMF(3, solver="mu", beta_loss=beta, init="random", random_state=0).fit(D)
    D = D * np.geomspace(1e-9, 1e9, 20)[:, None]
    weights = np.random.RandomState(0).uniform(0.5, 2, D.shape)
    how = {"mask": weights} if weighted else {}
    convert = sp.csr_array if sparse else np.asarray
    together = model.transform(convert(D), **how)
    for i, codes in enumerate(together):
        own = {"mask": weights[[i]]} if weighted else {}
        alone = model.transform(convert(D[[i]]), **own)[0]
        np.testing.assert_allclose(codes, alone, rtol=1e-6, atol=1e-9 * alone.max())


def test_sparse_data_need_no_array_of_entries_by_parts():
    m, D = 60, sp.random_array((300, 2000), density=0.2, format="csr", rng=0)
    model = NMF(m, solver="mu", beta_loss=1, init="random", max_iter=2, tol=0, random_state=0)
    tracemalloc.start()
    model.fit(D)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < D.nnz * m * 8 / 2


def test_an_entry_that_is_zero_stays_zero():
    D, H, components = start(0)
    H[2, 1] = components[0, 3] = 0
    codes, parts, _ = solved(D, H, components, 1.0, iterations=5)
    assert codes[2, 1] == parts[0, 3] == 0
    assert np.count_nonzero(codes) == codes.size - 1


@pytest.mark.parametrize("beta", [0, -0.5])
def test_zeros_where_the_divergence_is_infinite_are_an_error(beta):
    settings = {"solver": "mu", "beta_loss": beta}
    D, zeros = random_matrix(0, 9, 4, zeros=0) + 0.1, np.eye(4)
    nmf = NMF(2, **settings).fit(D)
    calls = [nmf.fit, nmf.transform, nmf.score, lambda X: compare(nmf, nmf, X)]
    calls.append(lambda X: factorize(X, H=nmf.components_, update_H=False, **settings))
    for call in calls:
        with pytest.raises(ValueError, match="beta_loss <= 0 and X contains zeros"):
            call(zeros)
    hidden = nmf.transform(np.where(zeros, 0, 1), mask=1 - zeros)
    assert np.array_equal(hidden, nmf.transform(np.ones((4, 4)), mask=1 - zeros))


@pytest.mark.parametrize("kind", [{"parts": "free"}, {"parts": "unit"}, {"codes": TopK(1)},
                                  {"codes": Simplex()}, {"penalty": LogVolume(1.0)}])  # fmt: skip
def test_the_solver_says_which_problems_it_does_not_take(kind):
    with pytest.raises(ValueError, match=r"solver='mu' needs nonnegative parts.*use solver='cd'"):
        NMF(2, solver="mu", **kind).fit(np.ones((4, 4)))


def test_fewer_iterations_than_needed_are_told():
    with pytest.warns(ConvergenceWarning, match="Maximum number of iterations 10 reached") as told:
        NMF(4, solver="mu", max_iter=10, random_state=0).fit(digits(60))
    assert len(told) == 1
