import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from problems import digits, random_matrix, seeds
from sklearn.decomposition._nmf import _initialize_nmf

from partsrep import starts


@pytest.mark.parametrize("name", starts.STARTS)
@given(seed=seeds)
def test_a_start_is_nonnegative_and_no_factor_times_it_fits_better(name, seed):
    D = random_matrix(seed, 9, 7) + 0.01
    H, components = starts.STARTS[name](D, 3, np.random.RandomState(seed))
    assert H.min() >= 0 and components.min() >= 0
    loss = [np.sum((D - a * H @ components) ** 2) for a in (0.99, 1.0, 1.01)]
    assert loss[1] <= min(loss[0], loss[2])


def test_nndsvda_is_scikit_learns_times_one_number():
    D = digits()
    H, components = starts.nndsvda(D, 8, np.random.RandomState(0))
    H_raw, components_raw = _initialize_nmf(D, 8, init="nndsvda", random_state=0)
    ours, theirs = H @ components, H_raw @ components_raw
    factor = np.vdot(ours, theirs) / np.vdot(theirs, theirs)
    assert np.allclose(ours, factor * theirs)
    error = np.linalg.norm(D - ours) / np.linalg.norm(D)
    raw = np.linalg.norm(D - theirs) / np.linalg.norm(D)
    assert error < 1 < raw, "unlike the raw start, the rescaled one is nearer to D than zero is"


def test_starts_of_sparse_data_are_those_of_dense_data():
    D = random_matrix(0, 20, 9)
    for start in starts.STARTS.values():
        dense = start(D, 3, np.random.RandomState(0))
        sparse = start(sp.csr_array(D), 3, np.random.RandomState(0))
        assert all(np.allclose(a, b) for a, b in zip(dense, sparse, strict=True))


def test_samples_are_thinned_rows_of_the_data_at_norm_one():
    D = np.diag([1.0, 2.0, 3.0])
    components = starts.samples(D, 2, np.random.RandomState(0))
    assert np.allclose(np.linalg.norm(components, axis=1), 1)
    assert (np.count_nonzero(components, axis=1) == 1).all()
    assert starts.samples(D, 5, np.random.RandomState(0)).shape == (5, 3)
