import numpy as np
import pytest
from problems import random_matrix
from scipy.stats import norm

from partsrep import NMF, TopK, bootstrap, datasets
from partsrep.study.bootstrap import _interval, unit_parts
from partsrep.study.matching import match

SEEDS = range(8)


def planted(seed, noise=0.1, n_samples=100):
    choices = {"n_parts": 3, "part_size": 3, "overlap": 0.3, "noise": noise}
    return datasets.load("planted", seed=seed, n_samples=n_samples, **choices)


def fit(D, m=3):
    return NMF(m, init="random", n_init=3, random_state=0).fit(D)


def inside(truth, ends):
    return (ends[0] <= truth) & (truth <= ends[1])


def test_coverage_is_what_is_asked_for():
    """90 % of the true entries and codes, also of those that are 0, over data sets of one kind.

    About 2,900 parts' entries and codes: a share of 0.9 has a standard error below 0.01.
    """
    parts, codes, zeros = [], [], []
    for seed in SEEDS:
        blobs = planted(seed)
        sure = bootstrap(fit(blobs.D), blobs.D, draws=30, random_state=seed + 100)
        H, P = unit_parts(blobs.truth.H, blobs.truth.X.T)
        matching = match(P, sure.parts)
        order = matching.pairs[np.argsort(matching.pairs[:, 0]), 1]
        parts += [inside(P, sure.parts_interval[:, order])]
        codes += [inside(H, sure.codes_interval[:, :, order])]
        zeros += [parts[-1][P == 0], codes[-1][H == 0]]
        assert sure.noise == pytest.approx(0.1, rel=0.1)
    assert 0.87 <= np.mean(parts) <= 0.93
    assert 0.87 <= np.mean(codes) <= 0.93
    assert 0.87 <= np.concatenate(zeros).mean() <= 0.93, "where plain intervals cover too often"


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_an_interval_of_a_normal_value_covers_at_the_bound_and_away_from_it(level):
    """The probability of z in acceptance is that of μ in the interval: by quantiles of z."""
    quantiles = norm.ppf((np.arange(20000) + 0.5) / 20000)
    for truth in (0, 0.3, 1, 2, 4, 9.5, 30):
        low, high = _interval(2 * (truth + quantiles), np.full(20000, 2.0), level)
        assert (low >= 0).all() and (low <= high).all()
        assert inside(2 * truth, (low, high)).mean() == pytest.approx(level, abs=4e-3)


def test_what_does_not_vary_is_known():
    assert _interval(np.array([-1.0, 0, 2]), np.zeros(3), 0.9).tolist() == [[0, 0, 2]] * 2


def test_exact_data_leave_no_doubt():
    blobs = planted(0, noise=0.0)
    sure = bootstrap(fit(blobs.D), blobs.D, draws=3)
    assert np.ptp(sure.parts_interval, axis=0).max() < 1e-2
    assert sure.noise < 1e-3


def test_more_noise_and_fewer_samples_are_wider():
    def width(**choices):
        D = planted(1, **choices).D
        return bootstrap(fit(D), D, draws=10).table()["width of the part"].mean()

    plain = width()
    assert width(noise=0.2) == pytest.approx(2 * plain, rel=0.3)
    assert width(n_samples=400) == pytest.approx(plain / 2, rel=0.3)


def test_the_unit_of_the_data_and_the_seed_are_all_that_counts():
    D = planted(2).D
    one, same, other = (bootstrap(fit(scale * D), scale * D, draws=5) for scale in (1, 1, 1e-3))
    assert np.array_equal(one.parts_interval, same.parts_interval)
    assert other.noise == pytest.approx(1e-3 * one.noise, rel=1e-3)
    assert other.parts_interval == pytest.approx(one.parts_interval, abs=1e-3)
    assert 1e3 * other.codes_interval == pytest.approx(one.codes_interval, abs=1e-2)
    D[:, 4] = 0
    assert not bootstrap(fit(D), D, draws=5).parts_interval[:, :, 4].any(), "for sure"


def test_it_shows_itself():
    D = planted(0).D
    sure = bootstrap(fit(D), D, draws=2, level=0.5)
    assert repr(sure).startswith("Intervals of 50% at noise of standard deviation 0.")
    assert len(sure.table()) == 3


D = random_matrix(0, 12, 5)
NMF_OF_D = NMF(2, random_state=0).fit(D)
WRONG = {
    "another loss": (NMF(2, beta_loss=1, solver="mu").fit(D), D, {}, "squared error"),
    "sparse codes": (NMF(2, codes=TopK(1)).fit(D), D, {}, "squared error"),
    "a penalty": (NMF(2, alpha_W=0.1).fit(D), D, {}, "no penalty"),
    "other features": (NMF_OF_D, D[:, 1:], {}, "4 features, but the parts have 5"),
    "negative data": (NMF_OF_D, -D, {}, "Negative"),
    "no room for noise": (NMF_OF_D, D[:2], {}, "more of both than parts"),
    "no share": (NMF_OF_D, D, {"level": 90}, "level must be"),
    "one draw": (NMF_OF_D, D, {"draws": 1}, "draws must be"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_it_cannot_answer_is_an_error(what):
    nmf, data, settings, said = WRONG[what]
    with pytest.raises(ValueError, match=said):
        bootstrap(nmf, data, **settings)


def test_a_part_that_nothing_uses_is_an_error():
    nmf = NMF(2)
    nmf.components_ = np.zeros((2, 5))
    nmf.problem_ = nmf.problem
    with pytest.raises(ValueError, match="fit fewer parts"):
        bootstrap(nmf, D)
