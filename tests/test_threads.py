"""The number of threads: small data get the same answer with any, and what was set comes back."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from problems import random_matrix
from threadpoolctl import threadpool_info, threadpool_limits

from partsrep import NMF, restarts
from partsrep.threads import WORK, one_where_more_do_not_pay


def blas():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_one_thread_where_more_do_not_pay_and_as_many_as_before_else():
    with threadpool_limits(2, user_api="blas"):
        before = blas()
        with one_where_more_do_not_pay(WORK):
            assert set(blas()) == {1}
            with one_where_more_do_not_pay(WORK):
                pass
            assert set(blas()) == {1}
        assert blas() == before
        with one_where_more_do_not_pay(WORK + 1):
            assert blas() == before
        with pytest.raises(KeyError), one_where_more_do_not_pay(1):
            raise KeyError
        assert blas() == before


def test_several_fits_at_once_leave_as_many_threads_as_before():
    D = random_matrix(0, 40, 12)
    with threadpool_limits(2, user_api="blas"):
        before = blas()
        with ThreadPoolExecutor(4) as pool:
            fits = list(pool.map(lambda seed: NMF(3, random_state=seed).fit(D), range(8)))
        assert blas() == before
    assert len(fits) == 8


@pytest.mark.parametrize("m", [5, 10])
def test_the_number_of_threads_does_not_change_the_answer(m):
    D = random_matrix(0, 300, 10) @ random_matrix(1, 10, 200) + 0.1 * random_matrix(2, 300, 200, 0)
    fits = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            fits.append((NMF(m, random_state=0).fit(D), *restarts(NMF(m, max_iter=20), D, [0, 1])))
    for one, two in zip(*fits, strict=True):
        assert one.loss_ == two.loss_
        assert np.array_equal(one.components_, two.components_)
