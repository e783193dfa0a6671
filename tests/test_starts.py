import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import digits, low_rank, random_matrix, seeds
from scipy.stats import ks_2samp
from sklearn.decomposition._nmf import _initialize_nmf

from partsrep.solvers import starts


def rng(seed=0):
    return np.random.RandomState(seed)


def relative_error(D, H, components):
    return np.linalg.norm(D - H @ components) / np.linalg.norm(D)


@pytest.mark.parametrize("name", starts.STARTS)
@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_a_rescaled_start_is_nonnegative_and_no_factor_times_it_fits_better(name, seed):
    D = random_matrix(seed, 9, 7) + 0.01
    H, components = starts.rescaled(D, *starts.STARTS[name](D, 3, rng(seed)))
    assert H.min() >= 0 and components.min() >= 0
    loss = [np.sum((D - a * H @ components) ** 2) for a in (0.99, 1.0, 1.01)]
    assert loss[1] <= min(loss[0], loss[2])


@pytest.mark.parametrize("name", ["random", "nndsvd"])
@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_starts_are_scikit_learns_from_the_same_seed(name, seed):
    D = random_matrix(seed, 20, 12)
    theirs = _initialize_nmf(D, 5, init=name, random_state=seed)
    for our, their in zip(starts.STARTS[name](D, 5, rng(seed)), theirs, strict=True):
        np.testing.assert_allclose(our, their, rtol=0, atol=1e-10)


def test_nndsvda_fills_the_same_zeros_as_scikit_learn_but_at_the_scale_of_factors():
    D, m = random_matrix(0, 20, 12), 5
    for our, their, halves in zip(
        starts.STARTS["nndsvda"](D, m, rng()),
        _initialize_nmf(D, m, init="nndsvda", random_state=0),
        starts.nndsvd(D, m, rng()),
        strict=True,
    ):
        np.testing.assert_allclose(our[halves > 0], their[halves > 0], atol=1e-10)
        np.testing.assert_allclose(our[halves == 0], np.sqrt(their[halves == 0] / m))


def test_nndsvdar_fills_the_same_zeros_by_the_same_law_as_scikit_learn():
    D = random_matrix(0, 300, 200)
    unit = D.mean() / (D.mean() / 20) ** 0.5  # theirs is no start for data in other units
    filled = []
    for our, their, halves in zip(
        starts.STARTS["nndsvdar"](D, 20, rng()),
        _initialize_nmf(D, 20, init="nndsvdar", random_state=0),
        starts.nndsvd(D, 20, rng()),
        strict=True,
    ):
        np.testing.assert_allclose(our[halves > 0], their[halves > 0], atol=1e-10)
        filled.append([factor[halves == 0] for factor in (our, their)])
    for ours, theirs in filled:
        assert len(ours) > 1000 and ks_2samp(unit * ours, theirs).pvalue > 0.01


@pytest.mark.parametrize("data", [digits(), random_matrix(0, 200, 100, zeros=0)])
def test_raw_nndsvda_starts_above_the_data_and_rescaled_below(data):
    H, components = starts.STARTS["nndsvda"](data, 16, rng())
    assert relative_error(data, H, components) > 1
    assert relative_error(data, *starts.rescaled(data, H, components)) < 1


def test_the_leading_pair_of_data_in_blocks_is_kept_whole():
    # Both blocks have the singular value 2: the SVD may mix them with any signs.
    D = np.kron(np.eye(2), np.ones((2, 2)))
    H, components = starts.nndsvd(D, 1, rng())
    assert np.vdot(D, H @ components) == pytest.approx(np.linalg.norm(H @ components) * 2)


@pytest.mark.parametrize("name", ["random", "nndsvd", "nndsvda", "nndsvdar"])
@given(seed=seeds, unit=st.floats(1e-9, 1e9))
@settings(deadline=None, max_examples=10)
def test_a_start_of_data_in_other_units_is_the_same_start(name, seed, unit):
    D = random_matrix(seed, 12, 9)
    one, other = (starts.STARTS[name](c * D, 4, rng()) for c in (1.0, unit))
    for factor, same in zip(one, other, strict=True):
        np.testing.assert_allclose(same, unit**0.5 * factor, rtol=1e-6, atol=1e-6 * unit**0.5)


@pytest.mark.parametrize("name", starts.STARTS)
@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_matrix])
def test_starts_of_sparse_data_are_those_of_dense_data_and_never_dense(name, kind, monkeypatch):
    D = random_matrix(0, 20, 9)
    dense = starts.STARTS[name](D, 3, rng())
    shapes = []
    for at in (sp.csr_array, sp.csr_matrix, sp.csc_array, sp.csc_matrix):
        toarray = at.toarray
        monkeypatch.setattr(
            at, "toarray", lambda self, *a, _do=toarray, **k: shapes.append(self.shape) or _do(self)
        )
    sparse = starts.STARTS[name](kind(D), 3, rng())
    assert all(np.allclose(a, b) for a, b in zip(dense, sparse, strict=True))
    assert D.shape not in shapes


@pytest.mark.parametrize("name", starts.STARTS)
@pytest.mark.parametrize("sparse", [False, True])
def test_single_precision_stays(name, sparse):
    D = random_matrix(0, 20, 9).astype(np.float32)
    start = starts.STARTS[name](sp.csr_array(D) if sparse else D, 3, rng())
    double = starts.STARTS[name](D.astype(float), 3, rng())
    for factor, same in zip(start, double, strict=True):
        assert factor.dtype == np.float32
        np.testing.assert_allclose(factor, same, atol=1e-5)
    assert {factor.dtype for factor in starts.rescaled(D, *start)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", ["random", "nndsvd", "nndsvda", "nndsvdar"])
def test_starts_of_signed_data_are_nonnegative_and_not_zero(name):
    D = -random_matrix(0, 20, 9)
    H, components = starts.rescaled(D, *starts.STARTS[name](D, 3, rng()))
    assert H.min() >= 0 and components.min() >= 0
    assert H.any(axis=0).all() and components.any(axis=1).all()


@pytest.mark.parametrize("name", starts.STARTS)
def test_zero_data_gives_finite_starts(name):
    D = np.zeros((6, 4))
    assert all(np.isfinite(F).all() for F in starts.rescaled(D, *starts.STARTS[name](D, 3, rng())))


def separable(seed, m=6, n=60, d=15):
    """Rows of any scale, each a mixture of m anchors among them; and where the anchors are."""
    draw = rng(seed)
    weights = np.vstack([np.eye(m), draw.dirichlet(np.full(m, 0.5), n - m)])
    order = draw.permutation(n)
    D = (weights @ random_matrix(seed, m, d, zeros=0.1))[order]
    return D * 10.0 ** draw.uniform(-6, 6, (n, 1)), np.flatnonzero(order < m)


@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_spa_finds_the_anchors_of_separable_data_whatever_their_scale(seed):
    D, anchors = separable(seed)
    for data in (D, sp.csr_array(D), sp.csc_array(D)):
        assert sorted(starts.spa_rows(data, 6)) == anchors.tolist()
    H, components = starts.spa(D, 6, rng())
    np.testing.assert_array_equal(components, D[starts.spa_rows(D, 6)])
    sums = D.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(H @ components / sums, D / sums, atol=1e-10)


@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_spa_chooses_as_explicit_projections_do(seed):
    D = random_matrix(seed, 30, 8)
    R = D[D.any(axis=1)] / D[D.any(axis=1)].sum(axis=1, keepdims=True)
    explicit = []
    for _ in range(5):
        explicit.append(np.linalg.norm(R, axis=1).argmax())
        R = R - np.outer(R @ R[explicit[-1]], R[explicit[-1]]) / (R[explicit[-1]] ** 2).sum()
    assert starts.spa_rows(D, 5).tolist() == np.flatnonzero(D.any(axis=1))[explicit].tolist()


def test_spa_without_enough_independent_rows_goes_on_with_the_largest():
    D = np.array([[0, 0, 0], [2, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [3, 0, 0.0]])
    assert starts.spa_rows(D, 2).tolist() == [1, 3], "of equals the first; rows of zeros never"
    assert starts.spa_rows(D, 6).tolist() == [1, 3, 5, 4, 2, 0]
    H, components = starts.spa(D, 6, rng())
    np.testing.assert_allclose(H @ components, D, atol=1e-12)


@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_spa_of_low_rank_data_stops_at_its_rank_then_takes_distinct_rows(seed):
    D = low_rank(seed, m=4) * 10.0 ** rng(seed).uniform(-3, 3, (40, 1))
    for data in (D, D.astype(np.float32)):
        rows = starts.spa_rows(data, 9)
        sums = data[rows[4:]].sum(axis=1)
        assert len(set(rows)) == 9 and (np.diff(sums) <= 0).all()


@pytest.mark.parametrize("name", ["nndsvd", "nndsvda", "nndsvdar", "spa"])
def test_more_parts_than_the_start_can_take_are_an_error_that_says_what_to_do(name):
    with pytest.raises(ValueError, match=r'n_components=5.*init="random"'):
        starts.STARTS[name](np.ones((4, 9)), 5, rng())


def test_data_samples_are_distinct_rows_with_their_best_codes():
    D = random_matrix(0, 12, 9)
    for data in (D, sp.csr_array(D)):
        H, components = starts.data_samples(data, 12, rng())
        assert {tuple(row) for row in components} == {tuple(row) for row in D}
        np.testing.assert_allclose(H @ components, D, atol=1e-12)


def test_samples_are_thinned_rows_of_the_data_at_norm_one():
    D = np.diag([1.0, 2.0, 3.0])
    components = starts.samples(D, 2, rng())
    assert np.allclose(np.linalg.norm(components, axis=1), 1)
    assert (np.count_nonzero(components, axis=1) == 1).all()
    assert starts.samples(D, 5, rng()).shape == (5, 3)
