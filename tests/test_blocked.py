"""NMF of Dask arrays and of shards, whose rows lie elsewhere: one machine's descent."""

import os
import signal
import tempfile

import dask
import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp
from distributed import Client, LocalCluster
from problems import digits, low_rank, random_matrix

from partsrep import (
    L2,
    NMF,
    Hull,
    Simplex,
    Sparseness,
    TopK,
    certificate,
    choose_n_components,
    predict,
    restarts,
)
from partsrep.datasets import shards
from partsrep.leastsquares import squared_error
from partsrep.solvers import blocked, hals

D = random_matrix(0, 120, 24)
SIZE = 50  # rows of a block; the last has fewer
MASK = np.random.RandomState(1).uniform(size=D.shape) < 0.8
START = np.abs(random_matrix(2, 120, 4)), np.abs(random_matrix(3, 4, 24))
SEMI = NMF(4, parts="free", random_state=0).fit(D)
#: What is fitted, how, and with which arguments of `fit`.
FITS = {
    "plain": (D, {}, {}),
    "digits": (digits(200), {"init": None}, {}),
    "singular vectors": (D, {"init": "nndsvd"}, {}),
    "float32": (D.astype(np.float32), {}, {}),
    "tiny": (1e-140 * D, {}, {}),
    "all zero": (0 * D, {"init": None}, {}),
    "penalties": (D, {"alpha_W": 0.01, "l1_ratio": 0.5}, {}),
    "a penalty that is none of ours": (D, {"penalty": L2(0.1, on="parts")}, {}),
    "few codes": (D, {"codes": TopK(2)}, {}),
    "mixtures": (D, {"codes": Simplex()}, {}),
    "parts of norm 1": (D, {"parts": "unit-nonnegative"}, {}),
    "sparse parts": (D, {"parts": Sparseness(0.3)}, {}),
    "free parts": (D, {"parts": "free", "start": SEMI, "init": None}, {}),
    "a mask": (np.where(MASK, D, np.nan), {}, {"mask": MASK}),
    "weights": (D, {}, {"mask": 3 * np.abs(np.sin(np.arange(D.size).reshape(D.shape)))}),
    "W and H": (D, {"init": "custom"}, dict(zip("WH", START, strict=True))),
    "a start": (D, {"start": (START[0], START[1].T), "init": None}, {}),
    "a model as start": (D, {"start": NMF(4, random_state=1).fit(D), "init": None}, {}),
}


@pytest.fixture(autouse=True)
def in_this_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


def cut(X: np.ndarray, rows: int = SIZE) -> da.Array:
    return da.from_array(X, chunks=(rows, -1))


def nmf(**settings) -> NMF:
    return NMF(**{"n_components": 4, "init": "random", "random_state": 0} | settings)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A matrix as shards, read in the blocks of `cut`; what is kept goes to a folder of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def saved(X: np.ndarray):
        monkeypatch.setattr(blocked, "ENTRIES", SIZE * X.shape[1])
        np.save(tmp_path / "0.npy", X[:70])
        np.save(tmp_path / "1.npy", X[70:])
        return shards([tmp_path / "0.npy", tmp_path / "1.npy"])

    return saved


@pytest.mark.filterwarnings("ignore:Maximum number of iterations")
@pytest.mark.parametrize("name", FITS)
def test_twenty_rounds_are_those_of_one_machine(name):
    X, settings, given = FITS[name]
    here, there = (nmf(tol=0, max_iter=20, **settings) for _ in range(2))
    H, K = here.fit_transform(X, **given), there.fit_transform(cut(X), **given)
    assert isinstance(K, da.Array) and K.dtype == H.dtype and there.n_iter_ == here.n_iter_
    rtol = 1e-6 if X.dtype == np.float32 else 1e-10
    for ours, one in ((there.components_, here.components_), (K.compute(), H)):
        np.testing.assert_allclose(ours, one, rtol=0, atol=rtol * np.abs(one).max())
    assert there.loss_ == pytest.approx(here.loss_, rel=1e-6)
    assert there.kkt_residual_ == pytest.approx(here.kkt_residual_, rel=0.02)
    assert there.history_["objective"][-1] == pytest.approx(here.history_["objective"][-1])
    again = there.transform(cut(X), mask=given.get("mask"))
    assert isinstance(again, da.Array) and again.chunks[0] == cut(X).chunks[0]
    np.testing.assert_allclose(again.compute(), K.compute(), atol=2e-6 * np.abs(H).max())


@pytest.mark.parametrize("name", ["plain", "a mask", "parts of norm 1"])
def test_shards_are_fitted_in_the_same_blocks_from_disk(name, files, tmp_path):
    X, settings, given = FITS[name]
    settings = {"tol": 0, "max_iter": 10, **settings}
    stored = files(np.nan_to_num(X))
    there, here = nmf(**settings).fit(cut(X), **given), nmf(**settings)
    H = here.fit_transform(stored, **given)
    np.testing.assert_array_equal(here.components_, there.components_)
    np.testing.assert_array_equal(H, there.fit_transform(cut(X), **given).compute())
    np.testing.assert_array_equal(
        here.transform(stored, **given), there.transform(cut(X), **given).compute()
    )
    del there
    assert {path.name for path in tmp_path.iterdir()} == {"0.npy", "1.npy"}


def test_chunks_without_rows_do_not_count():
    whole = da.concatenate([cut(D), cut(D - 9)])
    X = whole[whole[:, 0] > -5]
    X.compute_chunk_sizes()
    assert X.chunks[0][-1] == 0
    ours, one = (nmf(tol=1e-2).fit(data) for data in (X, D))
    np.testing.assert_allclose(ours.components_, one.components_, atol=1e-10)
    assert ours.transform(X).shape == (120, 4)


def test_large_data_are_in_double_precision_from_the_first_round_on():
    X = random_matrix(5, 1000, 120)
    assert X.size > hals.FEW
    here, there = (nmf(tol=1e-4).fit(data) for data in (X, cut(X, 500)))
    assert there.loss_ == pytest.approx(here.loss_, rel=1e-6)
    assert there.kkt_residual_ <= 1e-4


def test_there_may_be_fewer_singular_vectors_than_parts_or_samples_than_features():
    for X in (low_rank(0, 120, 24, 3), D.T):
        here, there = (nmf(init="nndsvda", tol=1e-2).fit(data) for data in (X, cut(X)))
        assert there.loss_ <= 1.01 * here.loss_ + 1e-3 * np.sum(X**2)


@pytest.mark.filterwarnings("ignore:Maximum number of iterations")
@pytest.mark.parametrize("dtype", [np.float16, np.int32, bool])
def test_other_numbers_are_read_as_they_are(dtype):
    X = np.where(D > 1, 3, 0).astype(dtype)
    here, there = (nmf(tol=0, max_iter=3).fit(data) for data in (X, cut(X)))
    assert there.components_.dtype == here.components_.dtype
    np.testing.assert_allclose(there.components_, here.components_, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Maximum number of iterations")
def test_restarts_are_each_alone():
    few = {"tol": 0, "max_iter": 5}
    together = restarts(NMF(4, **few), cut(D), 2)
    for seed, fit in enumerate(together):
        alone = nmf(random_state=seed, **few).fit(cut(D))
        np.testing.assert_array_equal(fit.components_, alone.components_)
    twice = nmf(n_init=2, **few).fit(cut(D))
    assert twice.loss_ <= together[0].loss_ != together[1].loss_


@pytest.mark.parametrize("where", ["Dask", "shards"])
def test_a_certificate_comes_from_sums(files, where):
    X = D.astype(np.float32).astype(float)
    fit = nmf(tol=1e-3).fit(X)
    whole = certificate(fit, X, max_epochs=30)
    there = certificate(fit, cut(X) if where == "Dask" else files(X), max_epochs=30)
    assert there.terms["nmf"] == pytest.approx(whole.terms["nmf"])
    for bounds in (whole, there):
        assert bounds.terms["svd"] == pytest.approx(whole.terms["svd"], rel=1e-8)
        assert bounds.lower == pytest.approx(whole.lower)
    singular = np.linalg.svd(X, compute_uv=False)
    assert there.terms["svd"] <= np.sum(singular[4:] ** 2)
    loss = squared_error(X, there.sae.inverse_transform(there.sae.transform(X)))
    assert loss == pytest.approx(there.sae.loss_) and loss <= there.terms["nmf"] + there.upper
    assert loss <= there.terms["least-squares encoder"] and loss <= there.terms["pinv encoder"]
    assert not there.strict and "blocks" in there.reason


def test_what_the_codes_of_a_dask_array_are_for():
    fit = nmf(tol=1e-3).fit(D)
    assert fit.score(cut(D)) == pytest.approx(fit.score(D))
    back = fit.inverse_transform(fit.transform(cut(D)))
    assert isinstance(back, da.Array)
    np.testing.assert_allclose(back.compute(), fit.inverse_transform(fit.transform(D)))


def test_a_cluster_of_any_size_gives_the_same_bits_and_loses_no_fit(monkeypatch):
    X, settings = cut(digits(200)), {"tol": 0, "max_iter": 10}
    with dask.config.set(scheduler="synchronous"):
        alone = nmf(**settings)
        H = alone.fit_transform(X).compute()
    workers = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with (
        dask.config.set(scheduler=None),
        LocalCluster(**workers) as cluster,
        Client(cluster) as client,
    ):
        two = nmf(**settings)
        codes = two.fit_transform(X)
        np.testing.assert_array_equal(two.components_, alone.components_)
        assert {len(blocks) > 0 for blocks in client.has_what().values()} == {True}
        np.testing.assert_array_equal(codes.compute(), H)

        killed, add = [], hals.add

        def kill_one(histories, iteration, *reached):
            add(histories, iteration, *reached)
            if iteration == 6:
                killed.append(min(client.run(os.getpid).values()))
                os.kill(killed[0], signal.SIGKILL)

        monkeypatch.setattr(hals, "add", kill_one)
        bereft = nmf(**settings).fit(X)
        assert killed and killed[0] not in client.run(os.getpid).values()
        np.testing.assert_array_equal(bereft.components_, alone.components_)
        assert bereft.n_iter_ == alone.n_iter_ == 10
        with pytest.raises(ValueError, match=r"NaN or infinity, first in row 170"):
            nmf().fit(cut(np.where(np.arange(200)[:, None] == 170, np.nan, digits(200))))


ROW = np.arange(len(D))[:, None]
BAD = {
    "NaN or infinity, first in row 71": lambda: nmf().fit(cut(np.where(ROW == 71, np.nan, D))),
    "NaN or infinity, first in row 110": lambda: SEMI.transform(
        cut(np.where(ROW >= 110, np.inf, D))
    ).compute(),
    "Negative values .* first in row 3": lambda: nmf().fit(cut(np.where(ROW == 3, -1, D))),
    "Negative values .* first in row 99": lambda: (
        nmf().fit(D).transform(cut(np.where(ROW == 99, -1, D))).compute()
    ),
    "compute_chunk_sizes": lambda: nmf().fit(cut(D)[cut(D)[:, 0] > 0.5]),
    r"rechunk\(": lambda: nmf().fit(da.from_array(D, chunks=(50, 8))),
    "3 dimensions": lambda: nmf().fit(da.ones((4, 3, 2))),
    "nothing in it": lambda: nmf().fit(da.ones((0, 3))),
    "real numbers": lambda: nmf().fit(cut(D + 1j)),
    "csr_array.*toarray": lambda: nmf().fit(cut(D).map_blocks(sp.csr_array)),
    "init='spa' looks at all data": lambda: nmf(init="spa").fit(cut(D)),
    "begin from singular vectors.*start=": lambda: nmf(parts="free").fit(cut(D)),
    "solver='cd'": lambda: nmf(solver="mu").fit(cut(D)),
    "device=None": lambda: nmf(device="cpu").fit(cut(D)),
    "some rows of X at a time": lambda: nmf().partial_fit(cut(D)),
    "no block has all of these": lambda: nmf(parts=Hull(), init=None).fit(cut(D)),
    "mask has shape": lambda: nmf().fit(cut(D), mask=MASK[:, :3]),
    "mask has 5 rows": lambda: nmf().fit(D).transform(cut(D), mask=MASK[:5]),
    "mask hides every entry of row 60": lambda: nmf().fit(cut(D), mask=MASK & (ROW != 60)),
    "mask hides every entry of column 2": lambda: nmf().fit(
        cut(D), mask=MASK & (np.arange(D.shape[1]) != 2)
    ),
    "not finite, first in row 80": lambda: nmf().fit(
        cut(D), mask=np.where(ROW == 80, -1, 1.0 + 0 * D)
    ),
    "D is a Dask array.*compute": lambda: choose_n_components(cut(D), [2, 3]),
    "D is a Dask array.*10_000": lambda: predict(cut(D), 3),
    "leave client=None": lambda: restarts(nmf(), cut(D), 2, client=0),
    "parts have 5|5 features": lambda: certificate(nmf().fit(D), cut(D[:, :5])),
    "features": lambda: nmf().fit(D).transform(cut(D[:, :5])),
}


@pytest.mark.filterwarnings("ignore:Maximum number of iterations")
@pytest.mark.parametrize("message", BAD)
def test_what_it_cannot_do_it_says(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
