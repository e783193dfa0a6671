from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from partsrep import L1, NMF, SAE, PathNorm, Simplex, TopK, datasets, presets, restarts
from partsrep.study.matching import match, unit_rows
from partsrep.study.selection import (
    Choice,
    choose_n_components,
    choose_penalty,
    consensus,
    speckle,
)


def planted(seed=0, **settings):
    given = {"n_samples": 80, "n_parts": 4, "part_size": 4, "overlap": 0.3, "noise": 0.1}
    return datasets.load("planted", seed=seed, **(given | settings))


def fits_of(parts, n_fits, junk, seed):
    """As many fits as asked for, each with the parts scaled, shuffled and a little off, and some,
    in turn, replaced by junk; and, for each of their parts, which it is (-1: junk)."""
    rng = np.random.RandomState(seed)
    fits, truth = [], []
    for fit in range(n_fits):
        which = rng.permutation(len(parts))
        components = parts[which] * (1 + 0.01 * rng.standard_normal(parts.shape))
        replaced = np.isin(which, np.arange(fit * junk, (fit + 1) * junk) % len(parts))
        components[replaced] = random_matrix(rng.randint(2**31), junk, parts.shape[1], zeros=0.8)
        which[replaced] = -1
        fits.append(SimpleNamespace(components_=components * rng.exponential(size=(len(parts), 1))))
        truth.append(which)
    return fits, np.array(truth)


@given(seed=seeds, junk=st.integers(0, 2))
@settings(deadline=None, max_examples=10)
def test_consensus_drops_what_was_found_once_and_finds_the_rest(seed, junk):
    parts = np.eye(8, 40) + np.eye(8, 40, 8) + np.eye(8, 40, 1)
    fits, truth = fits_of(parts, 10, junk, seed)
    common = consensus(fits)
    np.testing.assert_array_equal(common.kept, truth >= 0)
    assert match(common.components_, parts).mcc > 0.999
    assert common.silhouette > 0.9
    for part in range(8):
        assert len(np.unique(truth[common.labels == part])) == 1


def test_consensus_distances_are_to_the_nearest_others():
    fits, _ = fits_of(random_matrix(0, 6, 20), 11, 1, seed=0)
    fits[0].components_[2] = 0
    common = consensus(fits, threshold=2.0)
    stacked = unit_rows(np.concatenate([fit.components_ for fit in fits]))
    dead = ~stacked.any(axis=1)
    nearest = np.sort(cdist(stacked[~dead], stacked[~dead]), axis=1)[:, 1:4]  # ⌊0.3·11⌋ = 3
    assert dead[2] and np.isinf(common.distances.ravel()[dead]).all()
    np.testing.assert_array_equal(common.kept.ravel(), ~dead)
    np.testing.assert_allclose(common.distances.ravel()[~dead], nearest.mean(axis=1))


def test_a_consensus_part_is_the_median_of_its_cluster_and_the_most_found_comes_first():
    fits, _ = fits_of(np.eye(4, 30) + np.eye(4, 30, 1), 9, 1, seed=1)
    common = consensus(fits)
    sizes = np.bincount(common.labels[common.kept])
    assert sizes.tolist() == sorted(sizes, reverse=True) and len(set(sizes)) > 1
    stacked = np.array([unit_rows(fit.components_) for fit in fits])
    for part, label in zip(common.components_, range(4), strict=True):
        median = np.median(stacked[common.labels == label], axis=0)
        np.testing.assert_allclose(part, median / np.linalg.norm(median))


def test_a_given_threshold_decides_what_is_kept():
    fits, _ = fits_of(random_matrix(0, 6, 20), 6, 1, seed=0)
    common = consensus(fits, threshold=0.2)
    np.testing.assert_array_equal(common.kept, common.distances <= 0.2)
    assert common.threshold == 0.2


def test_fits_that_agree_keep_all_but_their_last_digits():
    parts = random_matrix(0, 5, 30)
    fits = [SimpleNamespace(components_=parts) for _ in range(6)]
    fits[0].components_ = parts + 1e-4
    common = consensus(fits)
    assert common.kept.all() and common.threshold == 0.1
    assert f"{common}" == "Consensus of 5 parts from 6 fits: 30 of 30 kept, silhouette 1.00"


def test_nmf_goes_on_from_a_consensus():
    data = planted()
    common = consensus(restarts(NMF(4), data.D, seeds=range(6)))
    nmf = NMF(start=common).fit(data.D)
    assert len(nmf.components_) == 4
    assert match(nmf.components_, common.components_).mcc > 0.99
    assert match(common.components_, data.truth.X.T).mcc > 0.99


def test_a_consensus_of_single_parts_has_no_silhouette():
    fits = restarts(NMF(1), planted().D, seeds=range(4))
    common = consensus(fits)
    assert np.isnan(common.silhouette) and match(common.components_, fits[0].components_).mcc > 0.99


ONE, OTHER = (SimpleNamespace(components_=random_matrix(seed, 3, 9)) for seed in (0, 1))
DEAD = SimpleNamespace(components_=np.zeros((3, 9)))


@pytest.mark.parametrize(
    ("fits", "arguments", "message"),
    [
        ([], {}, "at least two fits.*got 0"),
        ([ONE], {}, "at least two fits.*got 1"),
        ([ONE, SimpleNamespace(components_=np.eye(2, 9))], {}, r"shapes \[\(2, 9\), \(3, 9\)\]"),
        ([ONE, OTHER], {"threshold": 0.01}, "Of 6 parts only 0 different.*consensus of 3"),
        ([DEAD, DEAD], {}, "Of 6 parts only 0 different"),
        ([ONE, DEAD, DEAD], {"threshold": 1e-3}, "Of 9 parts only"),
        ([ONE, OTHER], {"threshold": -1.0}, "threshold must be"),
    ],
)
def test_what_makes_no_consensus_is_told(fits, arguments, message):
    with pytest.raises(ValueError, match=message):
        consensus(fits, **arguments)


@given(n=st.integers(2, 40), d=st.integers(2, 40), holdout=st.floats(0.01, 0.5), seed=seeds)
@settings(deadline=None, max_examples=50)
def test_speckles_are_even_and_never_hide_a_whole_row_or_column(n, d, holdout, seed):
    hidden = ~speckle((n, d), holdout, np.random.RandomState(seed))
    assert hidden.shape == (n, d)
    for axis in (0, 1):
        assert np.ptp(hidden.sum(axis=axis)) <= 1
        assert not hidden.all(axis=axis).any()
    asked = holdout * max(n, d)
    assert hidden.sum() == min(n, d) * max(1, int(asked))


def test_speckles_are_drawn_anew():
    rng = np.random.RandomState(0)
    one, other = (speckle((30, 30), 0.1, rng) for _ in range(2))
    expected = 90 * 0.1  # of 90 hidden entries a tenth coincides
    assert abs((~one & ~other).sum() - expected) < 12


@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_the_planted_number_of_parts_is_found_and_stable(noise):
    choice = choose_n_components(planted(noise=noise).D, [5, 2, 3, 4], repeats=3)
    assert choice.best == 4
    table = choice.table()
    assert table.index.tolist() == [2, 3, 4, 5]
    assert table["held-out error"].idxmin() == 4
    assert (np.diff(table["training error"]) < 0).all()
    assert table["stability (MCC)"][4] > 0.99


class Means(BaseEstimator):
    """A model without parts to speak of: it predicts the mean of the entries that are seen."""

    def __init__(self, n_components=1, random_state=None, start="none"):
        self.n_components = n_components
        self.random_state = random_state
        self.start = start

    def fit(self, X, y=None, *, mask=None):
        self.fit_transform(X, mask=mask)
        return self

    def fit_transform(self, X, y=None, *, mask=None):
        mean = X.mean() if mask is None else X[mask].mean()
        self.components_ = np.full((self.n_components, X.shape[1]), mean / self.n_components)
        return np.ones((len(X), self.n_components))


def test_errors_are_relative_squared_errors_of_what_is_hidden_and_what_is_seen():
    D = random_matrix(0, 12, 10)
    choice = choose_n_components(D, [1, 3], estimator=Means(), repeats=3, random_state=7)
    rng = np.random.RandomState(7)
    for repeat in range(3):
        seen = speckle(D.shape, 0.1, rng)
        mean = D[seen].mean()
        for errors, entries in ((choice.heldout, D[~seen]), (choice.training, D[seen])):
            expected = np.sum((entries - mean) ** 2) / np.sum(entries**2)
            np.testing.assert_allclose(errors[:, repeat], expected)
    np.testing.assert_allclose(choice.stability, np.ones((2, 3)))


@pytest.mark.filterwarnings("ignore:The largest number")
def test_one_seed_gives_one_choice_and_hidden_entries_are_not_looked_at():
    D = planted(n_samples=30).D
    hidden = ~speckle(D.shape, 0.1, np.random.RandomState(3))  # that seed's first mask
    one, same, changed = (
        choose_n_components(data, [2, 4], repeats=2, random_state=3)
        for data in (D, D, np.where(hidden, D + 5, D))
    )
    np.testing.assert_array_equal(one.heldout, same.heldout)
    np.testing.assert_array_equal(one.stability, same.stability)
    np.testing.assert_allclose(one.training[:, 0], changed.training[:, 0], rtol=1e-9)
    assert (one.heldout[:, 0] < changed.heldout[:, 0]).all()


@pytest.mark.filterwarnings("ignore:The largest number")
def test_fits_that_do_not_converge_are_told_of_once():
    estimator = NMF(max_iter=2, tol=1e-9)
    with pytest.warns(ConvergenceWarning, match="^12 fits stopped.*max_iter") as told:
        choose_n_components(planted().D, [2, 4, 3], estimator=estimator, repeats=2)
    assert sum(one.category is ConvergenceWarning for one in told) == 1
    assert {one.filename for one in told} == {__file__}


def made_up(heldout):
    heldout = np.array(heldout)
    return Choice(
        np.arange(1, len(heldout) + 1) * 2, heldout, heldout / 2, np.ones((len(heldout), 1))
    )


@pytest.mark.parametrize(
    ("heldout", "best"),
    [
        ([[5.0, 5], [3, 3], [1, 1], [2, 2]], 6),  # the least
        ([[5.0, 5], [2.9, 2.9], [1, 3], [4, 4]], 4),  # 2.9 ≤ 2 + 1, its standard error
        ([[5.0, 5], [3.1, 3.1], [1, 3], [4, 4]], 6),
        ([[1.0, 1], [1, 1], [1, 1]], 2),
    ],
)
def test_the_best_is_the_fewest_within_one_standard_error_of_the_least(heldout, best):
    choice = made_up(heldout)
    assert choice.best == best and isinstance(choice.best, int)
    assert f"{choice}".startswith(f"{best} parts") and "held-out error" in f"{choice}"
    assert f"<p>{best} parts" in choice._repr_html_() and "<table" in choice._repr_html_()


def test_a_choice_plots_what_its_table_says():
    choice = made_up([[0.5, 0.6], [0.1, 0.2], [0.2, 0.3]])
    upper, lower = choice.plot().axes
    heldout, training = (container.lines[0].get_ydata() for container in upper.containers)
    np.testing.assert_allclose(heldout, choice.table()["held-out error"])
    np.testing.assert_allclose(training, choice.table()["training error"])
    np.testing.assert_allclose(choice.table()["standard error"], 0.05)
    np.testing.assert_allclose(lower.lines[0].get_ydata(), choice.table()["stability (MCC)"])


def test_it_is_told_when_more_parts_might_be_better():
    with pytest.warns(UserWarning, match="largest number of parts tried, 3"):
        choose_n_components(planted().D, [2, 3], repeats=2)


def test_errors_of_rounding_are_equal():
    assert made_up([[0.6, 0.6], [1e-7, 1e-7], [1e-9, 1e-9]]).best == 4


class Wanted(BaseEstimator):
    """A model whose predictions are as far off as its number of parts is from a number."""

    def __init__(self, wanted=6, n_components=1, random_state=0):
        self.wanted, self.n_components, self.random_state = wanted, n_components, random_state

    def fit_transform(self, X, y=None, mask=None):
        self.components_ = np.eye(X.shape[1])
        return X * (0.9 - abs(self.n_components - self.wanted) / 100)

    def fit(self, X, y=None, mask=None):
        self.fit_transform(X)
        return self


@pytest.mark.parametrize(
    ("wanted", "tried"),
    [
        (1, [1, 2, 4, 8]),
        (6, [1, 2, 3, 4, 5, 6, 7, 8, 16]),
        (13, [1, 2, 4, 8, 10, 11, 12, 13, 14, 16, 18, 20]),
        (20, [1, 2, 4, 8, 16, 18, 19, 20]),
    ],
)
def test_without_values_the_number_of_parts_is_searched(wanted, tried):
    choice = choose_n_components(random_matrix(0, 30, 20) + 0.1, estimator=Wanted(wanted))
    assert choice.best == wanted
    assert choice.values.tolist() == tried


GOOD = random_matrix(0, 8, 6) + 0.1


@pytest.mark.parametrize(
    ("nmf", "scale", "dtype"),
    [
        (NMF(max_iter=20), 1e-30, np.float32),
        (NMF(codes=Simplex(), max_iter=20), 1e-30, np.float32),
        (presets.kl_nmf(max_iter=20), 1e-200, np.float64),
        (presets.kl_nmf(max_iter=20), 1e200, np.float64),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:The largest number")
def test_errors_do_not_depend_on_the_unit_of_the_data(nmf, scale, dtype):
    one, other = (
        choose_n_components((c * GOOD).astype(dtype), [1, 2], estimator=nmf, repeats=2)
        for c in (1, scale)
    )
    np.testing.assert_allclose(other.heldout, one.heldout, rtol=1e-3)
    np.testing.assert_allclose(other.training, one.training, rtol=1e-3)
    one, other = (
        choose_penalty(nmf.set_params(n_components=2), (c * GOOD).astype(dtype), [None], repeats=2)
        for c in (1, scale)
    )
    np.testing.assert_allclose(other.heldout, one.heldout, rtol=1e-3)


@pytest.mark.parametrize(
    ("D", "values", "arguments", "message"),
    [
        (sp.csr_array(GOOD), [2], {}, "takes no sparse matrix.*toarray"),
        (np.where(GOOD > 1, np.nan, GOOD), [2], {}, "D contains NaN"),
        (GOOD[:1], [1], {}, r"\(1, 6\) cannot hide"),
        (0 * GOOD, [2], {}, "entries are 0"),
        (-GOOD, [2], {}, "Negative values"),
        (GOOD, [], {}, "values must be the numbers of parts to try"),
        (GOOD, [2, 0], {}, "each of values must be an integer of at least 1; got 0"),
        (GOOD, [2.0], {}, "each of values must be an integer"),
        (GOOD, [2, 2], {}, r"different numbers of parts.*\[2, 2\]"),
        (GOOD, [9], {}, "at most n_samples = 8"),
        (GOOD, [2], {"holdout": 0}, "holdout must be a finite number above 0"),
        (GOOD, [2], {"holdout": 0.6}, "holdout must be .* at most 0.5"),
        (GOOD, [2], {"repeats": 1}, "repeats must be an integer of at least 2"),
        (GOOD, [2], {"estimator": SAE()}, "SAE cannot hide entries"),
    ],
)
def test_what_cannot_be_chosen_from_is_told(D, values, arguments, message):
    with pytest.raises(ValueError, match=message):
        choose_n_components(D, values, **arguments)


@pytest.mark.parametrize("codes", ["relu", TopK(2)], ids=str)
@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_a_ridge_that_held_out_samples_choose_helps_on_others(codes, noise):
    """Fewer samples than features: the training loss rises, that of new samples falls."""
    samples = planted(n_samples=600, part_size=10, noise=noise).D
    D, new = samples[:25], samples[25:]
    sae = SAE(4, activation=codes, decoder="nonnegative", random_state=0)
    choice = choose_penalty(sae, D, repeats=3)
    assert len(D) < D.shape[1] and choice.best is not None
    plain, held = (SAE(**sae.get_params() | {"penalty": p}).fit(D) for p in (None, choice.best))
    assert held.loss_ > plain.loss_
    errors = [
        np.sum((new - sae.inverse_transform(sae.transform(new))) ** 2) for sae in (plain, held)
    ]
    assert errors[1] < errors[0]


def test_a_penalty_is_chosen_by_the_samples_held_out():
    """What a fit by hand to the same samples has on the others; and in no unit of the data."""
    D = planted(n_samples=20).D
    given = [None, L1(0.05), L1(5.0)]
    nmf = NMF(3, parts="unit-nonnegative", max_iter=20)
    with pytest.warns(ConvergenceWarning):
        choice = choose_penalty(nmf, D, given, holdout=0.25, repeats=2, random_state=4)
    rng = np.random.RandomState(4)
    splits = [rng.permutation(20) for _ in range(2)]
    seeds = rng.randint(2**31 - 1, size=2)
    for i, (split, seed) in enumerate(zip(splits, seeds, strict=True)):
        out, seen = D[split[:5]], D[split[5:]]
        one = NMF(3, parts="unit-nonnegative", max_iter=20, penalty=given[1], random_state=seed)
        with pytest.warns(ConvergenceWarning):
            one.fit(seen)
        error = np.sum((out - one.inverse_transform(one.transform(out))) ** 2) / np.sum(out**2)
        assert choice.heldout[1, i] == pytest.approx(error)
        assert choice.training[1, i] == pytest.approx(one.loss_ / np.sum(seen**2), rel=1e-3)
    assert list(choice.table().index) == list(map(str, given))
    assert choice.penalties[choice.heldout.mean(axis=1).argmin()] == choice.best
    sae = SAE(2, decoder="nonnegative")
    one, other = (choose_penalty(sae, c * D, repeats=2).best for c in (1, 2.0**20))
    assert isinstance(one, PathNorm) and other.weight == pytest.approx(one.weight * 2.0**40)


@pytest.mark.parametrize(
    ("D", "settings", "message"),
    [
        (np.ones((1, 3)), {}, "two or more"),
        (np.ones((4, 3)), {"penalties": []}, "penalties must be those to try"),
        (np.ones((4, 3)), {"holdout": 0.6}, "holdout must be"),
        (np.ones((4, 3)), {"repeats": 1}, "repeats must be"),
        (np.array([[np.nan], [1.0]]), {}, "NaN"),
    ],
)
def test_what_no_penalty_can_be_chosen_from(D, settings, message):
    with pytest.raises(ValueError, match=message):
        choose_penalty(NMF(1), D, **settings)
