"""NMF on a device of torch's: the same results, or a clear word."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from problems import digits, low_rank, random_matrix
from scipy.optimize import nnls

from partsrep import L1, NMF, TopK, load, restarts, save

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
PROBLEMS = {
    "digits": digits(),
    "exact": low_rank(0),
    "more parts than features": random_matrix(3, 30, 4),
    "a zero sample and a zero feature": random_matrix(4, 40, 12) * (np.arange(12) > 0),
    "all zero": np.zeros((6, 5)),
    "large": random_matrix(5, 1000, 120),  # begins in single precision
    "tiny": 1e-140 * random_matrix(6, 40, 12),
}
PROBLEMS["a zero sample and a zero feature"][3] = 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", PROBLEMS)
def test_a_fit_there_is_the_fit_here(name, dtype, device):
    D = PROBLEMS[name].astype(dtype)
    if name == "tiny" and dtype == np.float32:
        D = (1e125 * PROBLEMS[name]).astype(dtype)
    settings = {"init": "random", "tol": 1e-5, "max_iter": 3000, "random_state": 0}
    here = NMF(6, **settings).fit(D)
    there = NMF(6, device=device, **settings)
    H = there.fit_transform(D)
    assert H.dtype == there.components_.dtype == dtype
    energy = float(np.vdot(D / (D.max() or 1), D / (D.max() or 1))) * float(D.max() or 1) ** 2
    assert abs(there.loss_ - here.loss_) <= 1e-5 * energy
    assert there.kkt_residual_ <= 1e-5
    assert len(there.history_["objective"]) == there.n_iter_
    scale = float(D.max() or 1)
    for codes, sample in zip(there.transform(D[:5]), D[:5].astype(float), strict=True):
        best = nnls(there.components_.T / scale, sample / scale)[1]
        assert np.linalg.norm(sample / scale - there.components_.T / scale @ codes) <= best + (
            1e-9 if dtype == np.float64 else 1e-5
        )


@pytest.mark.parametrize("device", DEVICES)
def test_the_first_iterations_are_the_same_to_rounding(device):
    D = digits()
    here, there = (
        NMF(8, init="random", tol=0, max_iter=20, random_state=0, device=where).fit(D)
        for where in (None, device)
    )
    np.testing.assert_allclose(there.history_["objective"], here.history_["objective"], rtol=1e-10)
    np.testing.assert_allclose(there.components_, here.components_, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("device", DEVICES)
def test_a_stack_of_restarts_is_each_alone(device):
    D = digits(200)
    nmf = NMF(5, init="random", tol=1e-6, device=device)
    together = restarts(nmf, D, 4)
    for seed, fit in enumerate(together):
        alone = NMF(5, init="random", tol=1e-6, device=device, random_state=seed).fit(D)
        assert fit.loss_ == pytest.approx(alone.loss_, rel=1e-9)


def test_codes_of_nearly_dependent_parts_are_the_best_ones():
    X = random_matrix(0, 3, 8)
    nmf = NMF(4, device="cpu").fit(random_matrix(1, 20, 8))
    nmf.components_ = np.vstack([X, X[0] + X[1]])
    D = random_matrix(2, 10, 8)
    H = nmf.transform(D)
    for codes, sample in zip(H, D, strict=True):
        best = nnls(nmf.components_.T, sample)[1]
        assert (codes >= 0).all()
        assert np.linalg.norm(sample - nmf.components_.T @ codes) == pytest.approx(best, abs=1e-10)


@pytest.mark.parametrize(
    "settings",
    [{"alpha_W": 0.1}, {"penalty": L1(0.1)}, {"codes": TopK(2)}, {"parts": "free"}],
    ids=str,
)
def test_what_it_does_not_solve_it_names(settings):
    with pytest.raises(ValueError, match="leave device=None"):
        NMF(3, device="cpu", **settings).fit(digits(50))


def test_masks_sparse_data_and_other_solvers_are_refused():
    D = digits(50)
    with pytest.raises(ValueError, match="a mask: leave device=None"):
        NMF(3, device="cpu").fit(D, mask=np.ones(D.shape, bool))
    with pytest.raises(ValueError, match="toarray"):
        NMF(3, device="cpu").fit(sp.csr_array(D))
    with pytest.raises(ValueError, match="solver='cd'"):
        NMF(3, device="cpu", solver="mu").fit(D)
    with pytest.raises(ValueError, match="device='nowhere' is not here"):
        NMF(3, device="nowhere").fit(D)
    assert not hasattr(NMF(3, device="cpu"), "partial_fit")


def test_a_model_that_was_fitted_there_is_stored(tmp_path):
    nmf = NMF(3, device=torch.device("cpu"), random_state=0).fit(digits(50))
    save(nmf, tmp_path / "nmf")
    again = load(tmp_path / "nmf")
    assert again.device == "cpu"
    np.testing.assert_array_equal(again.components_, nmf.components_)
