from itertools import product

import numpy as np
import pytest
from problems import digits, disjoint_parts

from partsrep import NMF, SAE, compare, datasets, restarts, verdict
from partsrep.study.freedom import Freedom
from partsrep.study.matching import match
from partsrep.study.verdict import Agreement, Verdict, _bootstrap

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SHORT = {"decoder": "nonnegative", "max_epochs": 40}


def made(between, within, chance, interval, single=None, cosines=None):
    within = np.full((3, 3), within)
    np.fill_diagonal(within, np.nan)
    best = Agreement(np.full((3, 3), between), within, chance, (-0.1, 0.1), interval)
    freedom = None if cosines is None else Freedom(np.array(cosines), None)
    rest = {"reference": "a", "fits_a": [], "fits_b": [], "names": ("NMF", "SAE")}
    return Verdict(**vars(best), single=single or best, freedom=freedom, **rest)


@pytest.mark.parametrize(
    ("within", "chance", "interval", "agree"),
    [
        (0.79, 0.6, (0.9, 1.1), None),  # less than half way from chance to 1
        (0.81, 0.6, (0.9, 1.1), True),
        (0.93, 0.9, (0.9, 1.1), None),
        (0.99, 0.975, (0.9, 1.1), None),  # more than half way, but there is no room
        (0.9, 0.6, (0.81, 1.2), True),
        (0.9, 0.6, (-0.2, 0.79), False),
        (0.9, 0.6, (0.79, 0.81), None),
        (0.9, 0.9, (np.nan, np.nan), None),
    ],
)
def test_the_rule(within, chance, interval, agree):
    found = made(0.85, within, chance, interval)
    assert found.agree is agree
    assert ("undetermined" in found.reason) == (agree is None)
    assert found.reason in repr(found)
    assert found.table().loc["seeds", "verdict"] == 3
    if within - chance <= 0.02:
        assert np.isnan(found.agreement)
    else:
        assert found.agreement == pytest.approx((0.85 - chance) / (within - chance))


def test_a_part_that_others_can_replace_leaves_it_undetermined():
    """Whatever the seeds say: here they agree."""
    held, loose = [0.999, 0.985], [0.999, 0.975]  # 0.95 of the way from 0.6 to 1 is 0.98
    assert made(0.98, 0.99, 0.6, (0.9, 1.1), cosines=held).agree is True
    found = made(0.98, 0.99, 0.6, (0.9, 1.1), cosines=loose)
    assert found.agree is None and not found.determined
    assert found.replaceable.tolist() == [False, True]
    assert "1 of 2 parts of NMF can be replaced" in repr(found)
    assert found.table().loc["parts that others can replace", "verdict"] == 1


def test_where_one_start_says_another_thing_the_optimiser_decides():
    worse = made(0.7, 0.99, 0.6, (0.2, 0.3))
    best = made(0.98, 0.99, 0.6, (0.9, 1.1), single=worse)
    assert best.agree is True and worse.agree is False
    assert best.optimiser_decides and not worse.optimiser_decides
    assert best.reason.endswith("from one start each: disagree, so the optimiser decides")
    assert (best.mcc_single, best.seed_mcc_single) == (worse.mcc, worse.seed_mcc)
    open_ = made(0.98, 0.99, 0.6, (0.9, 1.1), single=worse, cosines=[0.7])
    assert not open_.optimiser_decides, "nothing is decided"


def test_both_methods_get_the_same_chances():
    D = digits(60)
    for n_init, best in ((1, 5), (2, 2)):
        nmf, sae = NMF(3, n_init=n_init), SAE(3, n_init=n_init, **SHORT)
        found = verdict(D, nmf, sae, seeds=2)
        assert {fit.n_init for fit in (*found.fits_a, *found.fits_b)} == {best}
        one = [
            restarts(method.set_params(n_init=1), D, seeds)
            for method, seeds in ((nmf, 2), (sae, [2, 3]))
        ]
        pairs = [match(i.components_, j.components_).mcc for i, j in product(*one)]
        assert found.single.between.ravel() == pytest.approx(pairs)
        assert all(
            fit.loss_ <= single.loss_ * (1 + 1e-9)
            for fit, single in zip(found.fits_a, one[0], strict=True)
        )


def test_only_a_plain_nmf_is_asked_for_other_parts():
    D = disjoint_parts().D
    assert verdict(D, NMF(5), NMF(5), seeds=2).freedom.rigid
    for nmf in (NMF(5, parts="free"), NMF(5, alpha_W=0.01), NMF(5, parts="unit-nonnegative")):
        found = verdict(D, nmf, NMF(5), seeds=2)
        assert found.freedom is None and not found.replaceable.any()
        assert "unknown" in repr(found)


def test_one_part_too_many_is_undetermined_though_seeds_agree():
    planted = datasets.load(
        "planted", n_parts=4, part_size=4, overlap=0.3, n_samples=100, activity=0.3
    )
    found = verdict(planted.D, NMF(5, max_iter=2000), SAE(5, **SHORT), seeds=4)
    assert found.agree is None and found.replaceable.any()


def test_dense_parts_that_data_leave_open_are_undetermined():
    """A part without zeros contains the others' supports, so exact factorizations are many; that
    all of them have high MCCs is chance, for so have random samples."""
    planted = datasets.load(
        "planted", n_parts=4, part_size=6, overlap=0.3, n_samples=200, activity=0.3
    )
    X = planted.truth.X + planted.truth.X.max()
    nmf = NMF(4, tol=1e-6, max_iter=2000)
    found = verdict(planted.truth.H @ X.T, nmf, SAE(4, **SHORT), seeds=4)
    assert found.agree is None
    assert found.seed_mcc > 0.8 and found.mcc > found.seed_mcc - 0.05
    assert found.chance > 0.8


def test_chance_is_that_of_samples_or_mixtures():
    """Of disjoint parts and samples that show one each: a part meets a sample of its own kind or of
    none; and a mixture by its share, for which drawing many anew is another estimate."""
    D = np.kron(np.eye(4), np.ones((25, 3)))
    found = verdict(D, NMF(4), SAE(4, **SHORT), seeds=3)
    assert found.seed_mcc > 0.999, "else the parts are others"
    rng = np.random.RandomState(1)
    kinds = np.mean(
        [len(set(rng.choice(np.repeat(range(4), 25), 4, replace=False))) / 4 for _ in range(4000)]
    )
    shares = rng.dirichlet(np.ones(4), (4000, 4))
    shares /= np.linalg.norm(shares, axis=2, keepdims=True)
    mixed = np.mean([match(np.eye(4), share).mcc for share in shares])
    assert found.chance == pytest.approx(max(kinds, mixed), abs=0.05)


def test_planted_parts_that_both_find_agree():
    found = verdict(disjoint_parts().D, NMF(5), SAE(5, **SHORT), seeds=4)
    assert found.agree is True
    assert found.mcc > 0.99 and found.seed_mcc > 0.99
    assert found.plot().axes


def test_a_free_decoder_disagrees():
    found = verdict(digits(150), NMF(6), SAE(6, max_epochs=30), seeds=4)
    assert found.agree is False
    assert found.interval[1] < -0.2
    assert found.agreement_interval[1] < 0.5


def test_more_parts_than_there_are_is_undetermined():
    """NMF does not find its own again."""
    found = verdict(digits(60), NMF(25, n_init=2, max_iter=60), SAE(25, **SHORT), seeds=3)
    assert found.agree is None
    assert found.seed_mcc < 0.78


def test_its_numbers_are_those_of_the_fits():
    D = digits(150)
    found = verdict(D, NMF(4), SAE(4, **SHORT), seeds=[3, 5, 4])
    assert [fit.random_state for fit in found.fits_a] == [3, 5, 4]
    assert not {fit.random_state for fit in found.fits_b} & {3, 4, 5}
    for i, j in product(range(3), repeat=2):
        pair = compare(found.fits_a[i], found.fits_b[j], D)
        assert found.between[i, j] == pytest.approx(pair.mcc)
        if i != j:
            own = match(found.fits_a[i].components_, found.fits_a[j].components_).mcc
            assert found.within[i, j] == pytest.approx(own)
    assert found.mcc == pytest.approx(found.between.mean())
    assert found.seed_mcc == pytest.approx(found.within[np.triu_indices(3, 1)].mean())
    assert found.interval[0] <= found.mcc - found.seed_mcc <= found.interval[1]
    assert found.agreement_interval[0] <= found.agreement <= found.agreement_interval[1]
    room = found.seed_mcc - found.chance
    assert found.agreement == pytest.approx((found.mcc - found.chance) / room)
    best_of_five = restarts(NMF(4, n_init=5), D, [3, 5, 4])
    for fit, best in zip(found.fits_a, best_of_five, strict=True):
        assert np.array_equal(fit.components_, best.components_)


def test_the_reference_is_the_nmf_and_fitted_models_are_cloned():
    D = digits(100)
    nmf, sae = NMF(3, random_state=0).fit(D), SAE(3, **SHORT)
    components = nmf.components_.copy()
    found = verdict(D, sae, nmf, seeds=2)
    assert found.reference == "b"
    assert found.within[0, 1] == pytest.approx(match(*(f.components_ for f in found.fits_b)).mcc)
    assert np.array_equal(nmf.components_, components)
    assert verdict(D, sae, sae, seeds=2).reference == "a"


def test_one_method_against_itself_does_not_agree_for_equal_starts():
    """Its fits are others in both places, so that no pair is a fit with itself."""
    found = verdict(digits(100), NMF(6, n_init=2, max_iter=20), NMF(6, n_init=2, max_iter=20), 3)
    assert found.between.max() < 1 - 1e-9


def test_a_start_is_kept():
    D = disjoint_parts().D
    nmf = NMF(5, random_state=0).fit(D)
    found = verdict(D, NMF(5, start=nmf), SAE(5, start=nmf, **SHORT), seeds=2)
    assert found.seed_mcc == pytest.approx(1)


def test_the_bootstrap_resamples_fits_and_covers():
    """Fits that scatter about two centres: the interval covers the true difference about as often
    as it says; one that took all pairs for independent would be far too short."""
    rng = np.random.RandomState(0)
    covered, naive = 0, 0
    for _ in range(200):
        S = 10
        a, b = 0.1 * rng.standard_normal(S), 0.1 * rng.standard_normal(S)
        # An effect of each fit on all of its pairs; the expected difference is −0.02.
        between = 0.88 + np.add.outer(a, b)
        within = 0.90 + np.add.outer(a, a)
        np.fill_diagonal(within, np.nan)
        drawn = np.subtract(*_bootstrap(between, within, "a", 400, rng))
        low, high = np.nanpercentile(drawn, [2.5, 97.5])
        covered += low <= -0.02 <= high
        pairs = within[np.triu_indices(S, 1)]
        width = 1.96 * np.sqrt(between.var() / between.size + pairs.var() / pairs.size)
        naive += abs(between.mean() - pairs.mean() + 0.02) <= width
    assert covered >= 170
    assert naive < 150


def test_the_draws_come_from_the_seed():
    D = digits(80)
    first, again, other = (
        verdict(D, NMF(3), SAE(3, **SHORT), 3, random_state=seed).interval for seed in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        (1, "seeds must be an integer of at least 2"),
        ([1, 1], "at least two different ones"),
        ([], "at least two different ones"),
    ],
)
def test_seeds_are_checked(seeds, message):
    with pytest.raises(ValueError, match=message):
        verdict(datasets.load("bars").D, NMF(3), SAE(3), seeds)
