"""The front door NMF: what it finds, what it keeps, what it refuses."""

import copy
import pickle
import signal
import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from hypothesis import given, settings
from problems import digits, disjoint_parts, low_rank, random_matrix, seeds
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import normalize

from partsrep import (
    KL,
    L1,
    L2,
    NMF,
    BatchTopK,
    JumpReLU,
    LogVolume,
    ReLU,
    Simplex,
    TopK,
    compare,
    fit_all,
    non_negative_factorization,
    restarts,
)
from partsrep.choices.combinations import Cone, Hull
from partsrep.choices.inference import NNLS, Layer
from partsrep.choices.objective import Objective
from partsrep.choices.parts import Parts
from partsrep.presets import Disjoint, Samples, Sparseness
from partsrep.solvers.optimality import kkt_residual

few = settings(deadline=None, max_examples=4)
KINDS = {
    "plain": {},
    "l1": {"alpha_W": 0.01, "alpha_H": 0.02, "l1_ratio": 1.0},
    "l2": {"alpha_W": 0.01, "alpha_H": 0.0},
    "penalties": {"penalty": [L1(0.1), LogVolume(1.0)], "codes": Simplex(), "tol": 1e-2},
    "volume": {"penalty": LogVolume(5.0), "alpha_W": 0.01, "alpha_H": 0.0},
    "free": {"parts": "free"},
    "unit": {"parts": "unit-nonnegative", "penalty": L1(0.5)},
    "topk": {"codes": TopK(2)},
    "simplex": {"codes": Simplex(), "tol": 1e-2},
    "sparse": {"parts": Sparseness(0.6)},
    "disjoint": {"parts": Disjoint()},
    "cone": {"parts": Cone(), "tol": 1e-2},
    "archetypes": {"parts": Hull(), "codes": Simplex(), "tol": 1e-2},
    "samples": {"parts": Samples()},
    "projective": {"inference": Layer(tied=True)},
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def quiet(nmf, D, **more):
    """Fit, and say whether a warning was given."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        H = nmf.fit_transform(D, **more)
    return H, [str(warning.message) for warning in told]


# What is found --------------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_codes_of_the_training_data_are_those_of_transform(kind, masked, dtype):
    D = digits(60).astype(dtype)
    nmf = NMF(4, random_state=0, max_iter=300).set_params(**kind)
    mask = np.random.RandomState(0).uniform(size=D.shape) < 0.9 if masked else None
    if masked and (nmf.inference is not None or isinstance(nmf.parts, Cone | Hull | Samples)):
        return
    H, _ = quiet(nmf, D, mask=mask)
    again = nmf.transform(D, mask=mask)
    assert H.dtype == again.dtype == nmf.components_.dtype == dtype
    tolerance = {np.float32: 1e-5, np.float64: 1e-10}[dtype] * H.max()
    if isinstance(nmf.codes, TopK) and dtype == np.float32:  # rounding may choose other supports
        tolerance = np.inf if (H > 0).mean() != (again > 0).mean() else tolerance
    assert np.allclose(again, H, rtol=0, atol=tolerance)
    alone = np.vstack(
        [nmf.transform(D[[i]], mask=None if mask is None else mask[[i]]) for i in range(5)]
    )
    assert np.allclose(alone, again[:5], rtol=0, atol=tolerance)
    weights = 1 if mask is None else mask
    error = np.sum(weights * (D - H.astype(float) @ nmf.components_) ** 2)
    assert nmf.loss_ == pytest.approx(error, rel=1e-4 if dtype == np.float32 else 1e-9)
    assert nmf.reconstruction_err_**2 == pytest.approx(nmf.loss_)


@each_kind
def test_without_a_warning_it_has_converged(kind):
    D = digits(60)
    nmf = NMF(4, random_state=0, max_iter=3000).set_params(**kind)
    H, told = quiet(nmf, D)
    if nmf.inference is None and not nmf.problem_.parts.of_samples:
        residual = kkt_residual(D, H, nmf.components_, nmf.problem_)
        assert nmf.kkt_residual_ == pytest.approx(residual, rel=1e-6, abs=1e-12)
    if nmf.problem_.codes.__class__ is not TopK:
        assert told or nmf.kkt_residual_ <= nmf.tol
    assert not told or nmf.n_iter_ == 3000
    history = nmf.history_
    assert set(history) == {"iteration", "objective", "residual", "seconds"}
    assert history["iteration"][-1] == nmf.n_iter_
    if nmf.problem_.parts.nonnegative:
        assert nmf.components_.min() >= 0
    if nmf.problem_.parts.of_samples:
        assert np.allclose(nmf.parts_weights_ @ D, nmf.components_)


def test_it_converges_on_every_small_problem():
    """One of these, seed 6, sends a careless extrapolation round in circles."""
    for seed in range(40):
        nmf = NMF(3, random_state=0, max_iter=500)
        _, told = quiet(nmf, random_matrix(seed, 15, 8))
        assert not told, seed
        assert nmf.kkt_residual_ <= nmf.tol, seed


@few
@given(seeds)
def test_codes_are_the_exact_ones_and_the_loss_is_theirs(seed):
    D = random_matrix(seed, 15, 8)
    nmf = NMF(3, random_state=0, max_iter=5000).fit(D)
    H = nmf.transform(D)
    assert np.array_equal(H, nmf.fit_transform(D))
    for d, h in zip(D, H, strict=True):
        _, error = scipy.optimize.nnls(nmf.components_.T, d)
        assert np.linalg.norm(d - h @ nmf.components_) == pytest.approx(error, abs=1e-8)
    assert nmf.kkt_residual_ == pytest.approx(kkt_residual(D, H, nmf.components_))
    assert min(H.min(), nmf.components_.min()) >= 0


@few
@given(seeds)
def test_penalties_are_on_scikit_learns_scale(seed):
    """Central differences of scikit-learn's objective, at the solution and where it is smooth."""
    D = random_matrix(seed, 10, 6) + 0.1
    settings = {"alpha_W": 0.02, "alpha_H": 0.01, "l1_ratio": 0.4}
    nmf = NMF(2, tol=1e-8, max_iter=20_000, random_state=0, **settings)
    H, _ = quiet(nmf, D)
    P = nmf.components_
    # d/dF of 1/2 ||D - HP||^2 + d a_W (r |H|_1 + (1-r)/2 |H|^2) + n a_H (the same of P)
    slopes = (
        (H @ P - D) @ P.T + 6 * 0.02 * (0.4 + 0.6 * H),
        H.T @ (H @ P - D) + 10 * 0.01 * (0.4 + 0.6 * P),
    )
    for F, slope in zip((H, P), slopes, strict=True):
        assert np.all(slope >= -1e-5)
        assert np.all(np.abs(slope) <= 1e-5, where=F > 1e-9)


def test_l1_is_a_mean_over_samples_and_nothing_else():
    D = digits(60)
    common = {"parts": "unit-nonnegative", "random_state": 0, "tol": 1e-8, "max_iter": 5000}
    one = NMF(4, penalty=L1(0.5), **common).fit(D)
    other = NMF(4, alpha_W=0.25 / 64, alpha_H=0.0, l1_ratio=1.0, **common).fit(D)
    assert one.problem_.objective.penalties == (L1(0.5),)
    assert other.problem_.objective.penalties == (L1(0.5 / 64, per="entry"),)
    [own] = other.problem_.against_data(D.shape).objective.penalties
    assert own.weight == pytest.approx(0.5)
    assert one.loss_ == pytest.approx(other.loss_)
    H = one.transform(D)
    slope = 2 * (H @ one.components_ - D) @ one.components_.T + 0.5
    assert np.all(np.abs(slope) <= 1e-6, where=H > 0) and slope.min() > -1e-6


def test_penalties_on_one_factor_add_up():
    D = digits(60)
    one = [LogVolume(3.0), L2(0.4, on="parts", per="data"), L1(0.2)]
    split = [LogVolume(1.0), L1(0.1), LogVolume(2.0), L2(0.1, on="parts", per="data"), L1(0.1)]
    fits = [
        NMF(3, penalty=penalty, alpha_H=alpha, l1_ratio=0.0, tol=1e-6, random_state=0).fit(D)
        for penalty, alpha in ((one, 0.0), (split, 0.3 / 60))
    ]
    assert fits[0].loss_ > 1.001 * NMF(3, random_state=0).fit(D).loss_
    for nmf in fits:
        assert nmf.kkt_residual_ <= 1e-6
    assert np.allclose(fits[0].components_, fits[1].components_, rtol=1e-6, atol=1e-6)


def test_parts_that_share_no_pixel_are_found():
    data = disjoint_parts()
    nmf = NMF(5, init="random", n_init=3, tol=1e-8, random_state=0).fit(data.D)
    truth = NMF(5, start=(data.truth.H, data.truth.X), max_iter=5).fit(data.D)
    assert compare(nmf, truth, data.D).mcc == pytest.approx(1, abs=1e-6)
    assert nmf.loss_ < 1e-8 * np.sum(data.D**2)


def planted(seed, n=80, d=20, m=3):
    """Parts and codes each of which has samples and features of its own: a unique NMF."""
    H, P = random_matrix(seed, n, m, 0.5), random_matrix(seed + 1, m, d, 0.5)
    H[:m], P[:, :m] = np.eye(m), np.eye(m)
    return H @ P, H, P


@pytest.mark.parametrize("init", [None, "random", "nndsvd", "nndsvdar", "spa"])
def test_separable_data_have_one_factorization_and_it_is_found(init):
    D, _, P = planted(0)
    nmf = NMF(3, init=init, tol=1e-10, max_iter=20_000, random_state=0)
    quiet(nmf, D)
    cosines = nmf.components_ @ P.T
    cosines /= np.linalg.norm(nmf.components_, axis=1)[:, None] * np.linalg.norm(P, axis=1)
    assert np.allclose(cosines.max(axis=0), 1, atol=1e-5)
    assert nmf.loss_ < 1e-8 * np.sum(D**2)


def test_samples_that_are_the_parts_are_found():
    D, _, P = planted(1)
    nmf = NMF(3, parts=Samples(), random_state=0).fit(D)
    assert np.array_equal(nmf.parts_weights_.sum(axis=1), [1, 1, 1])
    cosines = nmf.components_ @ P.T
    cosines /= np.linalg.norm(nmf.components_, axis=1)[:, None] * np.linalg.norm(P, axis=1)
    assert np.allclose(cosines.max(axis=0), 1)
    assert nmf.loss_ < 1e-12 * np.sum(D**2)


def test_free_parts_reach_the_truncated_svd():
    D = random_matrix(0, 30, 10)
    nmf = NMF(1, parts="free", tol=1e-9, max_iter=5000, random_state=0).fit(D)
    assert nmf.loss_ == pytest.approx(np.sum(np.linalg.svd(D)[1][1:] ** 2), rel=1e-6)


def signed_data():
    rng = np.random.RandomState(0)
    A, noise = rng.gamma(0.5, 1, (30, 8)), rng.randn(30, 8)
    return {
        "log-probabilities": np.log(rng.dirichlet(np.ones(8), 30)),
        "minus 5": A - 5,
        "negative": -A,
        "noise": noise,
        "mostly negative": noise - 1,
        "one positive feature": np.c_[-A[:, 1:], A[:, :1]],
        "one negative sample": np.r_[A[1:], -A[:1]],
        "nonnegative": A,
        "centred": A - A.mean(axis=0),
        "of rank 2": rng.randn(30, 2) @ rng.randn(2, 8),
        "two clouds": np.r_[A - 5, A + 5],
        "constant": -np.ones((10, 5)),
        "one sample": -A[:1],
        "one feature": noise[:, :1],
    }


@pytest.mark.parametrize("name", signed_data())
@pytest.mark.parametrize("parts", ["free", "unit"])
def test_semi_nmf_is_never_worse_than_the_svd_with_one_part_fewer(name, parts):
    D = signed_data()[name]
    spectrum = np.linalg.svd(D, compute_uv=False) ** 2
    starts = [{}, {"init": "random", "random_state": 1}, {"init": "random", "n_init": 3}]
    starts += [{"init": init} for init in ("nndsvda", "nndsvd", "spa")]
    for m in (1, 2, 4, 10):
        bound = spectrum[m - 1 :].sum()
        for begin in starts:
            if m <= min(D.shape) or begin.get("init", "random") == "random":
                nmf = NMF(m, parts=parts, **{"random_state": 0, "max_iter": 30, **begin})
                quiet(nmf, D)
                assert nmf.loss_ <= bound + 1e-6 * spectrum.sum(), (m, begin)
    if name in ("log-probabilities", "minus 5", "negative", "nonnegative"):
        # All samples lie in a half-space: the minimum is that of the SVD with as many parts.
        nmf = NMF(4, parts=parts, random_state=0).fit(D)
        assert nmf.loss_ == pytest.approx(spectrum[4:].sum(), rel=1e-4)


def test_other_seeds_turn_the_parts_of_semi_nmf():
    for m in (2, 3):
        a, b = restarts(NMF(m, parts="free"), -random_matrix(0, 30, 8), seeds=range(2))
        assert a.loss_ == pytest.approx(b.loss_, rel=1e-4)
        own, other = (normalize(nmf.components_) for nmf in (a, b))
        assert np.abs(own @ other.T).max(axis=1).min() < 0.999


@pytest.mark.parametrize("parts", ["free", "unit"])
def test_parts_of_any_sign_that_no_code_uses_turn_round(parts):
    D = signed_data()["minus 5"]
    energy = np.sum(D**2)
    given = np.abs(np.random.RandomState(0).randn(3, 8))
    for kind, how in (
        ({"codes": TopK(2)}, {}),
        ({"codes": TopK(2), "init": "random"}, {"mask": D < -1}),
        ({"start": (np.ones((30, 3)), given.T)}, {}),
        ({"init": "custom"}, {"W": np.ones((30, 3)), "H": given}),
    ):
        nmf = NMF(3, parts=parts, random_state=0, max_iter=50, **kind)
        quiet(nmf, D, **how)
        assert nmf.loss_ < 0.1 * energy
    # Where codes are zero although parts may turn, nothing is stationary.
    problem = NMF(3, parts=parts).problem
    assert kkt_residual(D, np.zeros((30, 3)), given, problem) > 0.1
    assert kkt_residual(-D, np.zeros((30, 3)), given, problem) > 0.1


@few
@given(seeds)
def test_scale_and_order_of_the_data_do_not_matter(seed):
    D = random_matrix(seed, 14, 8)
    H0, P0 = random_matrix(seed + 1, 14, 3, 0) + 0.1, random_matrix(seed + 2, 3, 8, 0) + 0.1
    rng = np.random.RandomState(seed)
    samples, features = rng.permutation(14), rng.permutation(8)

    def loss(D, H, P):
        nmf = NMF(3, start=(H, P.T), tol=1e-9, max_iter=20)
        quiet(nmf, D)
        return nmf.loss_

    expected = loss(D, H0, P0)
    assert loss(2.0**40 * D, H0, P0) == pytest.approx(2.0**80 * expected, rel=1e-6)
    shuffled = D[np.ix_(samples, features)]
    assert loss(shuffled, H0[samples], P0[:, features]) == pytest.approx(expected, rel=1e-6)


def test_the_best_of_several_starts_is_kept():
    D = digits(150)
    rng = np.random.RandomState(0)
    alone = [NMF(10, init="random", random_state=rng).fit(D).loss_ for _ in range(4)]
    best = NMF(10, n_init=4, random_state=np.random.RandomState(0)).fit(D)
    assert best.loss_ == pytest.approx(min(alone))
    assert max(alone) > min(alone) * (1 + 1e-4)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("convert", [np.asarray, np.float32, sp.csr_array])
@pytest.mark.parametrize("n_init", [1, 3])
@pytest.mark.parametrize("kind", [{}, KINDS["l1"], KINDS["free"], {"solver": "mu", "max_iter": 9}])
def test_many_fits_come_out_as_each_would_alone(kind, n_init, convert):
    D = convert(digits(60))
    nmf = NMF(4, init="random", n_init=n_init, **kind)
    many = restarts(nmf, D, seeds=[5, 2, 5])
    for seed, one in zip([5, 2, 5], many, strict=True):
        alone = clone(nmf).set_params(random_state=seed).fit(D)
        assert vars(one).keys() == vars(alone).keys()
        assert one.random_state == seed and one.n_features_in_ == 64
        assert one.n_iter_ == alone.n_iter_ and one.components_.dtype == alone.components_.dtype
        close = {"rtol": 1e-5, "atol": 1e-5 * alone.components_.max()}
        np.testing.assert_allclose(one.components_, alone.components_, **close)
        assert one.loss_ == pytest.approx(alone.loss_, rel=1e-6)
        assert one.kkt_residual_ == pytest.approx(alone.kkt_residual_, rel=1e-3)
        for name, path in alone.history_.items():
            if name != "seconds":
                np.testing.assert_allclose(one.history_[name], path, rtol=1e-3)


@pytest.mark.parametrize("change", [{"n_components": 3}, {"tol": 1e-2}, {"alpha_W": 0.1}])
def test_fits_of_different_models_are_each_their_own(change):
    D = digits(40)
    models = [NMF(2, random_state=0), NMF(2, random_state=0).set_params(**change)]
    for fit in fit_all(models, D):
        alone = clone(fit).fit(D)
        assert np.array_equal(fit.components_, alone.components_)
        assert fit.n_iter_ == alone.n_iter_


def test_one_generator_is_drawn_from_in_turn():
    D = digits(60)
    alone = np.random.RandomState(0)
    losses = [NMF(4, init="random", random_state=alone).fit(D).loss_ for _ in range(3)]
    shared = np.random.RandomState(0)
    fits = fit_all([NMF(4, init="random", random_state=shared) for _ in range(3)], D)
    assert [fit.loss_ for fit in fits] == pytest.approx(losses, rel=1e-6)
    assert len(set(losses)) == 3


# Masks and weights ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "l1", "volume", "free", "unit", "topk", "sparse"])
def test_what_is_hidden_does_not_matter(kind):
    D = digits(40)
    mask = np.random.RandomState(0).uniform(size=D.shape) < 0.8
    results = []
    for hidden in (0.0, 1e6, np.nan):
        nmf = NMF(3, random_state=0, max_iter=50).set_params(**KINDS[kind])
        H, _ = quiet(nmf, np.where(mask, D, hidden), mask=mask)
        new = nmf.transform(np.where(mask, D, hidden)[:7], mask=mask[:7])
        results.append((H, nmf.components_, nmf.loss_, nmf.kkt_residual_, new))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_a_hidden_entry_may_be_negative():
    D, mask = np.ones((4, 3)), np.ones((4, 3), bool)
    D[1, 1], mask[1, 1] = -1, False  # a common mark of what is missing
    assert NMF(1, random_state=0).fit(D, mask=mask).loss_ < 1e-6


@pytest.mark.parametrize("kind", ["plain", "free", "topk", "simplex"])
def test_weights_of_one_are_no_weights(kind):
    D = digits(40)
    models = [NMF(3, random_state=0, max_iter=2000).set_params(**KINDS[kind]) for _ in range(2)]
    for model, mask in zip(models, (None, np.ones(D.shape)), strict=True):
        quiet(model.set_params(tol=1e-5), D, mask=mask)
    assert models[0].loss_ == pytest.approx(models[1].loss_, rel=1e-3)
    assert models[0].transform(D) == pytest.approx(models[0].transform(D, mask=np.ones(D.shape)))


@few
@given(seeds)
def test_a_weight_of_two_is_a_repeated_row(seed):
    """What is stationary for one is so for the other, with the same loss and residual."""
    D = random_matrix(seed, 12, 7) + 0.1
    weights = np.ones_like(D)
    weights[5] = 2
    nmf = NMF(3, random_state=0, tol=1e-3, max_iter=500)
    H, _ = quiet(nmf, D, mask=weights)
    twice, codes = np.vstack([D, D[5]]), np.vstack([H, H[5]])
    assert nmf.loss_ == pytest.approx(np.sum((twice - codes @ nmf.components_) ** 2))
    residual = kkt_residual(twice, codes, nmf.components_)
    assert nmf.kkt_residual_ == pytest.approx(residual, rel=1e-6, abs=1e-12)
    assert residual <= 1e-3
    assert np.allclose(nmf.transform(twice), codes, atol=1e-8)


@pytest.mark.parametrize("solver", ["cd", "mu"])
def test_hidden_entries_of_low_rank_data_are_recovered(solver):
    D = low_rank(1, n=60, d=20, m=3)
    mask = np.random.RandomState(0).uniform(size=D.shape) < 0.8
    nmf = NMF(3, solver=solver, init="random", tol=1e-8, max_iter=5000, random_state=0)
    H, _ = quiet(nmf, np.where(mask, D, np.nan), mask=mask)
    error = np.where(mask, 0, D - nmf.inverse_transform(H))
    limit = {"cd": 1e-3, "mu": 0.05}[solver]
    assert np.linalg.norm(error) < limit * np.linalg.norm(np.where(mask, 0, D))


# Kinds of data --------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["cd", "mu"])
@pytest.mark.parametrize("convert", [sp.csr_matrix, sp.csr_array, sp.csc_array, sp.coo_array])
def test_sparse_data_give_the_same_factorization(solver, convert):
    D = random_matrix(3, 30, 12, zeros=0.7)
    common = {"n_components": 4, "solver": solver, "max_iter": 2000, "random_state": 0}
    dense, sparse = NMF(**common).fit(D), NMF(**common).fit(convert(D))
    assert np.allclose(sparse.components_, dense.components_, rtol=1e-6, atol=1e-8)
    assert sparse.loss_ == pytest.approx(dense.loss_)
    assert np.allclose(sparse.transform(convert(D)), dense.transform(D), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", ["l1", "volume", "topk", "simplex", "sparse", "cone", "samples"])
def test_sparse_data_give_the_same_factorization_of_other_kinds(kind):
    D = random_matrix(3, 30, 12, zeros=0.7)
    models = [NMF(3, random_state=0, max_iter=20).set_params(**KINDS[kind]) for _ in range(2)]
    for model, data in zip(models, (D, sp.csr_array(D)), strict=True):
        quiet(model, data)
    rel = 0.05 if kind == "cone" else 1e-6  # whose steps are shorter on sparse data
    assert models[1].loss_ == pytest.approx(models[0].loss_, rel=rel)


def test_explicit_zeros_are_zeros_and_negative_entries_are_refused():
    D = random_matrix(3, 10, 6, zeros=0.5)
    stored = sp.csr_array((D.ravel(), np.tile(np.arange(6), 10), np.arange(0, 61, 6)), D.shape)
    assert stored.nnz == 60 > np.count_nonzero(D)
    assert np.allclose(
        NMF(2, random_state=0).fit(stored).components_,
        NMF(2, random_state=0).fit(sp.csr_array(D)).components_,
    )
    stored.data[:] = 0
    assert NMF(2, random_state=0).fit(stored).loss_ == 0
    D[2, 3] = -1
    with pytest.raises(ValueError, match="Negative values in data"):
        NMF(2).fit(sp.csr_array(D))


def test_text_is_never_made_dense():
    """A dense copy of this matrix would take 80 GB."""
    D = sp.random_array((10**5, 10**5), density=1e-6, rng=np.random.default_rng(0), format="csr")
    nmf = NMF(2, init="random", tol=1.0, random_state=0).fit(D)
    assert 0 < nmf.loss_ < sp.linalg.norm(D) ** 2


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["cd", "mu"])
@pytest.mark.parametrize("n", [100, 1700])
def test_a_mapped_file_gives_the_same_factorization(tmp_path, order, dtype, solver, n):
    D = digits(n).astype(dtype)
    mapped = np.memmap(tmp_path / "D", dtype, "w+", shape=D.shape, order=order)
    mapped[:] = D
    mapped.flush()
    mapped = np.memmap(tmp_path / "D", dtype, "r", shape=D.shape, order=order)
    common = {"n_components": 3, "solver": solver, "tol": 1e-3, "random_state": 0}
    ours, theirs = (NMF(**common).fit(data) for data in (mapped, D))
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-2)
    assert ours.components_.dtype == dtype
    if n == 100:
        rtol = 1e-3 if dtype == np.float32 else 1e-6
        assert np.allclose(ours.components_, theirs.components_, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_integers_and_booleans_are_numbers(dtype):
    D = (4 * digits(50)).astype(dtype)
    as_floats = NMF(3, random_state=0).fit(D.astype(np.float64))
    as_they_are = NMF(3, random_state=0).fit(D)
    assert as_they_are.components_.dtype == np.float64
    assert np.array_equal(as_they_are.components_, as_floats.components_)
    assert np.array_equal(as_they_are.transform(D.tolist()), as_floats.transform(D))


@each_kind
@pytest.mark.parametrize("init", [None, "random"])
def test_single_precision_stays_single(kind, init):
    D = digits(50).astype(np.float32)
    nmf = NMF(3, init=init, random_state=0, max_iter=10).set_params(**kind)
    H, _ = quiet(nmf, D)
    assert nmf.components_.dtype == H.dtype == np.float32


@each_kind
@pytest.mark.parametrize(
    "D",
    [np.zeros((4, 3)), np.ones((1, 5)), np.ones((5, 1)), np.ones((4, 3)), np.diag([1.0, 0, 2, 0])],
    ids=["zeros", "sample", "feature", "constant", "zero rows"],
)
@pytest.mark.parametrize("m", [1, 2, 6])
def test_the_smallest_data(kind, D, m):
    nmf = NMF(m, random_state=0, max_iter=200).set_params(**kind)
    of_samples = isinstance(nmf.parts, Cone | Hull | Samples)
    needs = D.shape[1] >= 2 if isinstance(nmf.parts, Sparseness) else not of_samples or m <= len(D)
    if not needs or (isinstance(nmf.codes, TopK) and nmf.codes.k > m):
        with pytest.raises(ValueError, match=r"at least|distinct|only"):
            nmf.fit(D)
        return
    H, told = quiet(nmf, D)
    assert not [message for message in told if "Maximum number" not in message], told
    assert nmf.components_.shape == (m, D.shape[1]) and H.shape == (len(D), m)
    assert np.isfinite(nmf.components_).all() and np.isfinite(H).all()
    assert np.isfinite(nmf.kkt_residual_)
    assert nmf.loss_ <= np.sum(D**2) * (1 + 1e-9) or isinstance(nmf.codes, Simplex)
    if kind == {} and m == 6:
        assert nmf.loss_ <= 1e-6 * max(np.sum(D**2), 1e-300)


@pytest.mark.parametrize("solver", ["cd", "mu"])
def test_zeros_stay_zero(solver):
    D = low_rank(0, n=12, d=6)
    D[2], D[:, 4] = 0, 0
    nmf = NMF(3, solver=solver, max_iter=500, random_state=0)
    H, _ = quiet(nmf, D)
    assert not H[2].any()
    assert np.allclose(nmf.components_[:, 4], 0, atol=1e-12)


def test_n_components_auto_is_that_of_the_start_or_the_number_of_features():
    D = random_matrix(0, 10, 4)
    assert NMF(tol=0.1).fit(D).components_.shape == (4, 4)
    assert NMF(tol=0.1, start=NMF(2).fit(D)).fit(D).components_.shape == (2, 4)
    H, P = np.ones((10, 3)), np.ones((3, 4))
    assert NMF(tol=0.1, init="custom").fit(D, W=H, H=P).components_.shape == (3, 4)


# What is kept ---------------------------------------------------------------------------------


@each_kind
def test_a_fitted_model_survives_pickling_and_a_clone_does_not_remember(kind):
    D = digits(40)
    nmf = NMF(3, random_state=0, max_iter=10).set_params(**kind)
    quiet(nmf, D)
    twin = pickle.loads(pickle.dumps(nmf))
    assert np.array_equal(twin.transform(D), nmf.transform(D))
    fresh = clone(nmf)
    assert not hasattr(fresh, "components_")
    quiet(fresh, D)
    assert np.array_equal(fresh.components_, nmf.components_), "one seed, one result"


def state(nmf):
    return copy.deepcopy(vars(nmf))


def assert_as_before(nmf, before):
    np.testing.assert_equal(vars(nmf), before)


@pytest.fixture
def alarm():
    """A keyboard's interrupt after some seconds, wherever the program then is."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("settings", [{}, {"solver": "mu"}, {"inference": Layer(tied=True)}])
@pytest.mark.parametrize("fitted", [False, True])
def test_an_interrupted_fit_leaves_the_model_as_it_was(alarm, settings, fitted):
    D = digits(200)
    nmf = NMF(8, init="random", random_state=0, **settings)
    if fitted:
        nmf.fit(D[:, :30])
    nmf.set_params(n_init=10**6)  # would take days
    before = state(nmf)
    alarm(0.2)
    with pytest.raises(KeyboardInterrupt):
        nmf.fit(D)
    assert_as_before(nmf, before)
    assert not fitted or nmf.transform(D[:, :30]).shape == (200, 8)
    assert nmf.set_params(n_init=1).fit(D).components_.shape == (8, 64)


@pytest.mark.parametrize(
    ("change", "data", "more"),
    [
        ({}, np.full((4, 7), np.nan), {}),
        ({}, -np.ones((4, 7)), {}),
        ({"n_components": 0}, np.ones((4, 7)), {}),
        ({"init": "svd"}, np.ones((4, 7)), {}),
        ({"codes": TopK(9)}, np.ones((4, 7)), {}),
        ({"solver": "mu", "parts": "free"}, np.ones((4, 7)), {}),
        ({}, np.ones((4, 7)), {"mask": np.zeros((4, 7))}),
        ({"init": "custom"}, np.ones((4, 7)), {"W": np.ones((4, 2)), "H": np.ones((3, 7))}),
    ],
)
@pytest.mark.parametrize("fitted", [False, True])
def test_a_failed_fit_leaves_the_model_as_it_was(change, data, more, fitted):
    nmf = NMF(2, random_state=0)
    if fitted:
        nmf.fit(digits(20))
    nmf.set_params(**change)
    before = state(nmf)
    with pytest.raises(ValueError):
        nmf.fit(data, **more)
    assert_as_before(nmf, before)
    assert not fitted or nmf.n_features_in_ == 64


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["cd", "mu"])
def test_many_fits_are_all_made_or_none(alarm, solver):
    D = digits(200)
    models = [NMF(8, init="random", solver=solver, random_state=seed) for seed in range(3)]
    models[1].fit(D[:, :30])
    for model in models:
        model.set_params(n_init=10**6)
    before = [state(model) for model in models]
    alarm(0.3)
    with pytest.raises(KeyboardInterrupt):
        fit_all(models, D)
    with pytest.raises(ValueError, match="Negative values"):
        fit_all(models, -D)
    for model, kept in zip(models, before, strict=True):
        assert_as_before(model, kept)
        model.set_params(n_init=1)
    assert [len(fit.components_) for fit in fit_all(models, D)] == [8, 8, 8]


def test_a_refit_forgets_what_the_last_one_found():
    D = digits(30)
    nmf = NMF(2, parts=Samples(), random_state=0).fit(D)
    assert nmf.parts_weights_.shape == (2, 30)
    assert not hasattr(nmf.set_params(parts=None).fit(D), "parts_weights_")


def test_what_was_fitted_is_what_transform_uses():
    """Settings are for the next fit."""
    D = digits(40)
    nmf = NMF(3, random_state=0).fit(D)
    H = nmf.transform(D)
    assert np.array_equal(nmf.set_params(codes=TopK(1), alpha_W=9.0).transform(D), H)


def test_fewer_iterations_than_needed_are_told_once_with_what_to_do():
    message = "Maximum number of iterations 2 reached. Increase it"
    with pytest.warns(ConvergenceWarning, match=message) as told:
        NMF(4, max_iter=2, init="random", n_init=3, random_state=0).fit(digits(100))
    assert len(told) == 1
    with pytest.warns(ConvergenceWarning, match=message) as told:
        NMF(4, max_iter=2, random_state=0).fit_transform(digits(100))
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NMF(4, max_iter=2, tol=0, random_state=0).fit(digits(100))  # so many are what was wanted


# Starts ---------------------------------------------------------------------------------------


def test_a_custom_start_is_w_and_h():
    D = low_rank(0)
    H, P = random_matrix(5, 40, 3, 0), random_matrix(6, 3, 12, 0)
    kept = H.copy(), P.copy()
    one = NMF(3, init="custom", max_iter=5, tol=0).fit(D, W=H, H=P)
    other = NMF(3, start=(H, P.T), max_iter=5, tol=0).fit(D)
    assert np.allclose(one.components_, other.components_)
    assert np.array_equal(H, kept[0]) and np.array_equal(P, kept[1])
    codes, parts, iterations = non_negative_factorization(
        D, H, P, n_components=3, init="custom", max_iter=5, tol=0
    )
    assert np.array_equal(parts, one.components_) and iterations == one.n_iter_
    assert np.array_equal(codes, one.transform(D))
    only, same, _ = non_negative_factorization(D, H=P, n_components=3, update_H=False)
    assert np.array_equal(same, P)
    assert np.allclose([scipy.optimize.nnls(P.T, d)[0] for d in D], only, atol=1e-8)


@pytest.mark.parametrize(
    ("W", "H", "message"),
    [
        (np.ones((5, 3)), np.ones((3, 4)), r"wrong first dimension.*\(input W\)"),
        (np.ones((6, 2)), np.ones((3, 4)), r"wrong second dimension.*\(input W\)"),
        (np.ones((6, 3)), np.ones((2, 4)), r"wrong first dimension.*\(input H\)"),
        (np.ones((6, 3)), np.ones((3, 5)), r"wrong second dimension.*\(input H\)"),
        (-np.ones((6, 3)), np.ones((3, 4)), "Negative values"),
        (np.ones((6, 3)), np.full((3, 4), np.nan), "NaN"),
        (np.zeros((6, 3)), np.ones((3, 4)), r"\(input W\) is full of zeros"),
        (np.ones(6), np.ones((3, 4)), "Expected 2D array"),
        (None, np.ones((3, 4)), "W"),
        (np.ones((6, 3)), None, "H"),
    ],
)
@pytest.mark.parametrize("m", [3, "auto"])
def test_other_custom_starts_get_an_error(W, H, message, m):
    if m == "auto" and H is not None and len(H) == 2:
        return  # then it is W that does not fit
    with pytest.raises(ValueError, match=message):
        NMF(m, init="custom").fit(np.ones((6, 4)), W=W, H=H)


def test_a_custom_start_that_is_not_used_is_told():
    with pytest.warns(RuntimeWarning, match="init!='custom', provided W or H are ignored"):
        NMF(2).fit(np.ones((6, 4)), W=np.ones((6, 2)), H=np.ones((2, 4)))


def test_a_clone_keeps_a_fitted_start():
    D = digits(60)
    first = NMF(3, random_state=0).fit(D)
    again = clone(NMF(start=first))
    assert again.start is first
    assert again.fit(D).loss_ <= first.loss_ * (1 + 1e-9)
    other = NMF(start=first, parts=Sparseness(0.5)).fit(D)
    assert len(other.components_) == 3


# Settings -------------------------------------------------------------------------------------


def test_problem_names_the_four_choices():
    D = digits(30)
    plain = NMF(2, random_state=0).fit(D).problem_
    assert (plain.parts, plain.codes, plain.inference) == (Parts(nonnegative=True), ReLU(), NNLS())
    assert plain.objective == Objective()
    other = NMF(
        2, codes=Simplex(), parts=Sparseness(0.3), penalty=LogVolume(2.0), max_iter=5, tol=0,
    ).fit(D).problem_  # fmt: skip
    assert (other.parts, other.codes) == (Sparseness(0.3), Simplex())
    assert other.objective == Objective(penalties=(LogVolume(2.0),))
    cone = NMF(2, parts=Cone(), tol=0.1).fit(D)
    assert cone.problem_.parts == Cone(), "without the data"


@pytest.mark.parametrize("argument", ["parts", "codes", "inference", "penalty"])
@pytest.mark.parametrize("wrong", ["something", 3, TopK, [ReLU()], BatchTopK])
def test_there_is_no_problem_of_what_is_no_choice(argument, wrong):
    with pytest.raises(ValueError, match=f"{argument}="):
        _ = NMF(3, **{argument: wrong}).problem


def test_the_tags_say_whether_data_may_be_negative():
    for nmf, positive in (
        (NMF(), True),
        (NMF(parts="nonnegative"), True),
        (NMF(parts="unit-nonnegative"), True),
        (NMF(parts=Sparseness(0.5)), True),
        (NMF(parts=Disjoint()), True),
        (NMF(parts="free"), False),
        (NMF(parts="unit"), False),
        (NMF(parts=Cone()), False),
        (NMF(parts=Hull()), False),
        (NMF(parts=Samples()), False),
    ):
        assert nmf.__sklearn_tags__().input_tags.positive_only == positive, nmf
        assert nmf.__sklearn_tags__().input_tags.sparse
        D = np.random.RandomState(0).standard_normal((9, 4))
        nmf.set_params(n_components=2, random_state=0, tol=0.01)
        if positive:
            with pytest.raises(ValueError, match="Negative values in data"):
                nmf.fit(D)
        else:
            assert nmf.fit(D).loss_ < np.sum(D**2)


@pytest.mark.parametrize(
    ("nmf", "message"),
    [
        (NMF(0), "n_components must be an integer of at least 1; got 0"),
        (NMF(-1), "got -1"),
        (NMF(2.5), "got 2.5"),
        (NMF(True), "got True"),
        (NMF("many"), "n_components='many' is not known; choose one of 'auto', None, integer"),
        (NMF(3, init="svd"), "init='svd' is not known; choose one of None, 'random', 'nndsvd'"),
        (NMF(9, init="nndsvda"), r"n_components <= min\(n_samples, n_features\) = 4"),
        (NMF(9, init="spa"), "there are only 6"),
        (NMF(3, init="nndsvda", n_init=2), "is a single start: use n_init=1 or init='random'"),
        (NMF(3, init="spa", n_init=2), "is a single start: use n_init=1 or init='random'"),
        (NMF(3, init="custom"), "W"),
        (NMF(9, parts=Cone()), "there are only 6"),
        (NMF(9, parts=Cone(), init="random"), "there are only 6"),
        (NMF(3, tol=-1), "tol must be a finite number of at least 0; got -1"),
        (NMF(3, tol=np.nan), "tol must be a finite number"),
        (NMF(3, max_iter=0), "max_iter must be an integer"),
        (NMF(3, max_iter=2.0), "max_iter must be an integer"),
        (NMF(3, n_init=0), "n_init must be an integer"),
        (NMF(3, alpha_W=-1), "alpha_W must be a finite number of at least 0; got -1"),
        (NMF(3, alpha_H="other"), "alpha_H must be a finite number"),
        (NMF(3, alpha_W="same"), "alpha_W must be a finite number"),
        (NMF(3, l1_ratio=1.5), "l1_ratio must be .* at most 1; got 1.5"),
        (NMF(3, solver="sgd"), "solver='sgd' is not known; choose one of 'cd', 'mu'"),
        (NMF(3, beta_loss="poisson"), "beta_loss='poisson' is not known"),
        (NMF(3, beta_loss=np.inf, solver="mu"), "beta_loss must be a finite number"),
        (NMF(3, start=(np.ones((6, 3)),)), "start must hold two arrays; got 1"),
        (NMF(3, start=(np.ones((6, 2)), np.ones((4, 3)))), r"H has shape \(6, 2\).*\(6, 3\)"),
        (NMF(3, start=(np.ones((6, 3)), np.ones((3, 4)))), r"X has shape \(3, 4\).*\(4, 3\)"),
        (NMF(3, start=(np.ones((6, 3)), np.full((4, 3), np.nan))), "X contains NaN"),
        (NMF(3, start=(np.ones((6, 3)), np.ones((4, 3))), n_init=2), "leave out one"),
        (NMF(3, codes=TopK(4)), "needs at least 4 parts, but n_components=3"),
        (NMF(3, parts="positive"), "parts='positive' is not known; choose one of 'free'"),
        (NMF(3, parts=Sparseness), "parts"),
        (NMF(3, parts=["free"]), "parts"),
        (NMF(3, parts=3), "parts"),
        (NMF(3, parts=ReLU()), "parts"),
        (NMF(3, parts=Parts(nonnegative=True, offset=True)), "offset"),
        (NMF(3, codes="relu"), "codes"),
        (NMF(3, codes=TopK), "codes"),
        (NMF(3, codes=JumpReLU(0.1)), "codes|JumpReLU"),
        (NMF(3, codes=Parts()), "codes"),
        (NMF(3, inference="nnls"), "infer"),
        (NMF(3, inference=Layer()), "SAE for encoders of their own"),
        (NMF(3, inference=Layer(tied=True, bias=True)), "SAE for encoders of their own"),
        (NMF(3, inference=NNLS), "infer"),
        (NMF(3, inference=["x"]), "infer"),
        (NMF(3, solver="mu", inference=Layer(tied=True)), "solver|projective"),
        (NMF(3, penalty="l1"), "penalty='l1' is not known; choose one of L1.weight."),
        (NMF(3, penalty=KL(1.0)), r"cannot solve with penalty=KL"),
        (NMF(3, penalty=L1), r"Here: penalty=L1\(weight\)"),
    ],
)  # fmt: skip
def test_impossible_settings_get_an_error_that_says_what_to_do(nmf, message):
    with pytest.raises(ValueError, match=message):
        nmf.fit(np.ones((6, 4)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.ones((3, 5)), "5 features, but NMF is expecting 4 features"),
        (-np.ones((3, 4)), "Negative values in data"),
        (np.full((3, 4), np.nan), "contains NaN"),
    ],
)
def test_transform_refuses_what_fit_refuses(data, message):
    nmf = NMF(2, random_state=0).fit(np.ones((6, 4)))
    with pytest.raises(ValueError, match=message):
        nmf.transform(data)


# Mini-batches ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array])
def test_mini_batches_come_near_the_whole_fit(dtype, convert):
    D = digits(600).astype(dtype)
    nmf, rng = NMF(6, init="random", random_state=0), np.random.RandomState(0)
    for _ in range(10):
        order = rng.permutation(len(D))
        for first in range(0, len(D), 100):
            nmf.partial_fit(convert(D[order[first : first + 100]]))
    H = nmf.transform(convert(D))
    assert nmf.components_.dtype == H.dtype == dtype
    assert nmf.components_.min() >= 0
    whole = NMF(6, random_state=0).fit(D)
    assert np.sum((D - H @ nmf.components_) ** 2) < 1.05 * whole.loss_
    assert nmf.n_iter_ == 60


def test_the_attributes_after_a_mini_batch_are_those_of_the_batch():
    D = digits(100)
    nmf = NMF(3, random_state=0).partial_fit(D[:50]).partial_fit(D[50:])
    assert nmf.n_iter_ == 2 and nmf.n_features_in_ == 64
    assert nmf.loss_ > 0 and np.isfinite(nmf.kkt_residual_)
    assert not hasattr(nmf, "history_")
    assert not hasattr(NMF(3, random_state=0).fit(D).partial_fit(D), "history_")


def test_a_fit_can_be_continued_by_mini_batches_and_a_new_fit_begins_anew():
    D = digits(200)
    nmf = NMF(4, random_state=0).fit(D)
    whole = nmf.loss_
    for first in range(0, 200, 50):
        nmf.partial_fit(D[first : first + 50])
    assert np.sum((D - nmf.transform(D) @ nmf.components_) ** 2) < 1.1 * whole
    assert nmf.fit(D).loss_ == whole


def test_the_first_batch_may_be_smaller_than_the_number_of_parts():
    D = digits(60)
    nmf = NMF(8, random_state=0).partial_fit(D[:3])
    assert nmf.components_.shape == (8, 64) and np.isfinite(nmf.components_).all()
    for first in range(3, 60, 19):
        nmf.partial_fit(D[first : first + 19])
    assert np.isfinite(nmf.components_).all()


def test_a_mini_batch_that_does_not_fit_changes_nothing():
    nmf = NMF(2, random_state=0).partial_fit(np.eye(4))
    before = state(nmf)
    for batch, message in ((np.eye(5), "expecting 4 features"), (-np.eye(4), "Negative values")):
        with pytest.raises(ValueError, match=message):
            nmf.partial_fit(batch)
        assert_as_before(nmf, before)
    for kind in ({"solver": "mu"}, {"parts": Cone()}, {"inference": Layer(tied=True)}):
        with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as error:
            NMF(2, **kind).partial_fit(np.ones((4, 4)))
        assert "partial_fit needs solver='cd'" in str(error.value.__cause__)
