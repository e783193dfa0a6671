"""T18: parts of all models that are good enough lie where an NMF alone says."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from problems import digits, seeds

from partsrep import NMF, SAE, TopK, certificate, datasets
from partsrep.leastsquares import exact_nnls
from partsrep.study.enclosure import fooling_set
from partsrep.study.matching import match
from partsrep.study.places import certified_mcc, places_by_averages, places_by_enclosure

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def loss_at(D, P):
    """The least loss at these parts."""
    return np.sum((D - exact_nnls(D, P) @ P) ** 2)


def blobs(noise, seed=0):
    choices = {"n_parts": 4, "part_size": 4, "overlap": 0.2, "activity": 0.3}
    return datasets.load("planted", n_samples=150, noise=noise, seed=seed, **choices)


def planted(seed, m, noise):
    """Parts with private features in random places, half of the samples pure."""
    rng = np.random.RandomState(seed)
    X = np.vstack([np.diag(rng.uniform(0.5, 2, m)), rng.uniform(size=(6, m))])
    H = rng.uniform(0.2, 1, (60, m)) * (rng.uniform(size=(60, m)) < 0.5)
    H[:30] = np.eye(m)[rng.randint(m, size=30)] * rng.uniform(0.2, 1, (30, 1))
    H[:m] = np.eye(m)
    D = np.maximum(H @ X.T + noise * rng.standard_normal((60, m + 6)), 0)
    return D, H, X.T, rng


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 4), st.sampled_from([0, 1e-5, 1e-3, 1e-2]), st.floats(1e-6, 0.5))
def test_t18_no_factorization_is_outside(seed, m, noise, step):
    """Other parts, mixed and bent by a step, are within the bound for their own loss."""
    D, H, P, rng = planted(seed, m, noise)
    directions = (
        rng.uniform(size=(m, m)) @ P,
        rng.standard_normal(P.shape),
        -P[:, rng.permutation(P.shape[1])],
    )
    for direction in directions:
        other = np.maximum(P + step * direction, 0)
        loss = loss_at(D, other)
        for places in (*places_by_averages(D, H, P, loss), *places_by_enclosure(D, H, P, loss)):
            assert places.least_mcc(P) <= match(P, other).mcc + 1e-12
            for centre, radius in zip(places.centres, places.radii, strict=True):
                along = np.maximum(other @ centre, 0) / np.sum(other**2, axis=1)
                nearest = np.linalg.norm(centre - along[:, None] * other, axis=1).min()
                assert nearest <= radius + 1e-9 * np.linalg.norm(centre)


@settings(max_examples=10, deadline=None)
@given(seeds, st.integers(2, 3), st.sampled_from([1e-3, 1e-2, 3e-2]), st.floats(1.0, 3.0))
def test_t18_parts_mixed_as_far_as_the_loss_allows(seed, m, noise, room):
    """Up to the very loss, in the direction that lowers the MCC most of some random ones."""
    D, H, P, rng = planted(seed, m, noise)
    P = NMF(m, start=(H, P.T), max_iter=200).fit(D).components_
    allowed = room * loss_at(D, P)
    bound = certified_mcc(D, exact_nnls(D, P), P, allowed)
    assume(bound is not None)
    for _ in range(5):
        direction = rng.uniform(size=(m, m)) @ P - P * rng.uniform(size=P.shape)
        low, high = 0.0, 1.0
        for _ in range(12):
            middle = (low + high) / 2
            within = loss_at(D, np.maximum(P + middle * direction, 0)) <= allowed
            low, high = (middle, high) if within else (low, middle)
        assert match(P, np.maximum(P + low * direction, 0)).mcc >= bound


@pytest.mark.parametrize("noise", [0, 1e-3, 1e-2, 5e-2])
def test_t18_trained_models_and_the_truth_keep_the_bound(noise):
    data = blobs(noise)
    nmf = NMF(4, init="random", n_init=3, random_state=0, tol=1e-8, max_iter=2000).fit(data.D)
    found = certificate(nmf, data.D, max_epochs=60)
    assert found.mcc > 0.95
    H = nmf.transform(data.D)
    cold = SAE(4, decoder="nonnegative", random_state=1, max_epochs=100).fit(data.D)
    others = {
        "cold": cold,
        "TopK": SAE(4, decoder="nonnegative", activation=TopK(3), start=cold).fit(data.D),
    }
    for model in others.values():
        bound = certified_mcc(data.D, H, nmf.components_, model.loss_)
        assert match(nmf.components_, model.components_).mcc >= (bound or 0)
        if model.loss_ <= nmf.loss_ + found.upper:
            assert match(nmf.components_, model.components_).mcc >= found.mcc
    assert match(nmf.components_, found.sae.components_).mcc >= found.mcc
    truth = data.truth.X.T
    bound = certified_mcc(data.D, H, nmf.components_, loss_at(data.D, truth))
    assert match(nmf.components_, truth).mcc >= bound > 0.9


def test_t18_the_bound_tends_to_one_with_the_noise():
    bounds = []
    for noise in (0.05, 0.01, 0.001, 0):
        D = blobs(noise).D
        nmf = NMF(4, init="random", n_init=3, random_state=0, tol=1e-10, max_iter=3000).fit(D)
        bounds.append(certificate(nmf, D, max_epochs=60).mcc)
    assert bounds == sorted(bounds)
    assert bounds[-1] > 1 - 1e-8


@settings(max_examples=10, deadline=None)
@given(seeds, st.sampled_from([1e-30, 1e-3, 1e4, 1e30]))
def test_t18_units_of_the_data_and_sizes_of_parts_do_not_matter(seed, unit):
    D, H, P, rng = planted(seed, 3, 1e-3)
    loss, sizes = loss_at(D, P), rng.uniform(0.1, 10, (3, 1))
    plain = certified_mcc(D, H, P, loss)
    scaled = certified_mcc(unit * D, unit * H / sizes.T, sizes * P, unit**2 * loss)
    assert scaled == pytest.approx(plain, abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(seeds, st.floats(0.05, 3.0))
def test_t18_open_parts_have_a_low_bound_or_none(seed, background):
    """Dense parts have other exact factorizations, far away where the background is bright."""
    _, H, P, _ = planted(seed, 3, 0.0)
    dense = P + background * P.max()
    D = H @ dense
    bound = certified_mcc(D, H, dense, 1e-6)
    assert bound is None or background < 1
    other = dense[[0, 1, 2]] - 0.999 * np.min(dense[0] / dense[1]) * dense[[1, 0, 0]] * [
        [1],
        [0],
        [0],
    ]
    assert loss_at(D, other) < 1e-6
    assert match(dense, other).mcc >= (bound or 0)


def test_t18_a_part_too_many_is_open():
    _, H, P, _ = planted(0, 3, 0.0)
    halves = np.vstack([P[:1] / 2, P])
    codes = np.hstack([H[:, :1], H[:, :1] / 2, H[:, 1:]])
    assert certified_mcc(codes @ halves, codes, halves, 1e-6) is None


def test_t18_nothing_is_claimed_for_digits():
    D = digits(100)
    found = certificate(NMF(6, random_state=0).fit(D), D, max_epochs=20)
    assert found.mcc is None
    assert "no bound of the MCC" in repr(found)


def test_t18_bars_need_no_pure_sample():
    """Nearly exact bars, each sample a row and a column at least: the enclosure says it."""
    truth = datasets.load("bars", size=3, n_samples=300).truth
    both = truth.H[:, :3].any(axis=1) & truth.H[:, 3:].any(axis=1)
    H, P = truth.H[both], truth.X.T
    D = H @ P
    if fooling_set(D, H, P.T):
        assert certified_mcc(D, H, P, 1e-8) > 0.99
    mixed = np.maximum(P + 1e-3 * np.random.RandomState(0).standard_normal(P.shape), 0)
    bound = certified_mcc(D, H, P, loss_at(D, mixed))
    assert match(P, mixed).mcc >= (bound or 0)
