"""Fits over the workers of a cluster are those of one machine, however many there are."""

import numpy as np
import pytest
from distributed import Client, LocalCluster
from problems import digits, disjoint_parts

from partsrep import NMF, SAE, TopK, fit_all, restarts, verdict


@pytest.fixture(scope="module", params=[1, 2])
def client(request):
    with (
        LocalCluster(
            n_workers=request.param,
            threads_per_worker=1,
            processes=False,
            dashboard_address=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_seeds_over_workers_are_those_of_one_machine(client):
    D = digits(100)
    there = restarts(NMF(4), D, 3, client=client)
    for seed, fit in enumerate(there):
        alone = NMF(4, init="random", random_state=seed).fit(D)
        np.testing.assert_array_equal(fit.components_, alone.components_)


def test_a_grid_over_workers_comes_back_in_order(client):
    D = digits(100)
    grid = [SAE(4, activation=TopK(k), max_epochs=3, random_state=0) for k in (1, 2, 4)]
    fits = fit_all(grid, D, client=client)
    assert [int((fit.transform(D) > 0).sum(axis=1).max()) for fit in fits] == [1, 2, 4]


def test_a_verdict_over_workers_is_that_of_one_machine(client):
    D = disjoint_parts().D
    methods = NMF(5), SAE(5, decoder="nonnegative", max_epochs=30)
    here, there = (verdict(D, *methods, seeds=2, client=where) for where in (None, client))
    assert (here.agree, round(here.mcc, 4)) == (there.agree, round(there.mcc, 4))


def test_what_is_wrong_with_a_fit_is_said_as_here(client):
    with pytest.raises(ValueError, match="Negative values"):
        restarts(NMF(4), -digits(50), 2, client=client)
