import numpy as np
import pytest

from partsrep import datasets
from partsrep.study.matching import unit_rows


def cosines_of(X):
    unit = X / np.linalg.norm(X, axis=0)
    return unit.T @ unit


# Swimmer


def test_swimmer_is_256_distinct_poses_of_17_parts_with_rank_13():
    swimmer = datasets.load("swimmer")
    D, H, X = swimmer.D, swimmer.truth.H, swimmer.truth.X
    assert D.shape == (256, 1024) and H.shape == (256, 17) and X.shape == (1024, 17)
    assert np.array_equal(D, H @ X.T)
    assert set(np.unique(D)) == {0, 1}
    assert len(np.unique(D, axis=0)) == 256
    assert np.linalg.matrix_rank(D) == np.linalg.matrix_rank(H) == 13
    assert np.linalg.matrix_rank(X) == 17


def test_every_swimmer_has_its_torso_and_one_position_of_each_limb():
    truth = datasets.load("swimmer").truth
    limbs = np.array([name.rsplit(" ", 1)[0] for name in truth.names])
    assert len(set(truth.names)) == 17
    for limb in ("torso", "left arm", "right arm", "left leg", "right leg"):
        assert np.all(truth.H[:, limbs == limb].sum(axis=1) == 1)


def test_the_average_swimmer_stands_upright():
    swimmer = datasets.load("swimmer")
    torso = swimmer.truth.X[:, 0].reshape(swimmer.image_shape)
    assert (torso.any(axis=1).sum(), torso.any(axis=0).sum()) == (12, 1)
    column = np.flatnonzero(torso.any(axis=0))[0]
    picture = swimmer.D.mean(axis=0).reshape(swimmer.image_shape)
    left, right = picture[:, column - 6 : column], picture[:, column + 1 : column + 7]
    assert np.array_equal(left, right[:, ::-1])


# Bars


def test_linear_bars_are_exactly_the_product_of_their_factors():
    bars = datasets.load("bars", size=5, probability=0.3, n_samples=200, value=0.5, seed=1)
    assert np.array_equal(bars.D, bars.truth.H @ bars.truth.X.T)
    assert bars.D.max() == 1.0
    assert np.linalg.matrix_rank(bars.truth.X) == 9


def test_bars_are_full_rows_and_columns():
    bars = datasets.load("bars", size=4)
    for j, name in enumerate(bars.truth.names):
        kind, i = name.split()
        picture = bars.truth.X[:, j].reshape(bars.image_shape)
        bar = picture[int(i)] if kind == "row" else picture[:, int(i)]
        assert np.all(bar == 1) and picture.sum() == 4


def test_saturating_bars_are_no_brighter_where_they_cross():
    linear = datasets.load("bars", seed=3)
    saturating = datasets.load("bars", seed=3, saturating=True)
    assert np.array_equal(saturating.truth.H, linear.truth.H)
    assert np.array_equal(saturating.D, (linear.D > 0).astype(float))
    assert linear.D.max() == 2


def test_the_bars_of_the_nnsae_paper():
    bars = datasets.load(
        "bars", size=9, probability=None, n_samples=1000, saturating=True, value=0.25
    )
    assert np.all(bars.truth.H[:, :9].sum(axis=1) == 1)
    assert np.all(bars.truth.H[:, 9:].sum(axis=1) == 1)
    assert np.all((bars.D > 0).sum(axis=1) == 17)
    assert set(np.unique(bars.D)) == {0, 0.25}
    assert len(np.unique(bars.truth.H, axis=0)) == 81


def test_bars_are_present_with_the_probability_asked_for():
    H = datasets.load("bars", size=10, probability=0.4, n_samples=4000).truth.H
    assert abs(H.mean() - 0.4) < 5 * np.sqrt(0.4 * 0.6 / H.size)


# Planted parts


def test_planted_parts_without_noise_are_exactly_the_product_of_their_factors():
    planted = datasets.load("planted", overlap=0.4)
    assert np.array_equal(planted.D, planted.truth.H @ planted.truth.X.T)
    assert np.allclose(planted.truth.X.max(axis=0), 1)
    active = planted.truth.H[planted.truth.H > 0]
    assert 0.5 <= active.min() < 0.52 and 1.48 < active.max() <= 1.5


@pytest.mark.parametrize("n_parts", [1, 2, 5, 9, 10, 16])
@pytest.mark.parametrize("part_size", [1, 4, 7])
def test_without_overlap_the_supports_are_disjoint(n_parts, part_size):
    X = datasets.load("planted", n_parts=n_parts, part_size=part_size).truth.X
    assert X.shape[1] == n_parts
    assert np.all((X > 0).sum(axis=0) == part_size**2)
    assert np.all((X > 0).sum(axis=1) <= 1)


@pytest.mark.parametrize("n_parts", [2, 5, 9, 10, 16])
@pytest.mark.parametrize("part_size", [1, 4, 7])
def test_overlap_raises_the_cosine_of_neighbours_steadily_from_zero_towards_one(n_parts, part_size):
    columns = int(np.ceil(np.sqrt(n_parts)))
    left = [j for j in range(n_parts - 1) if (j + 1) % columns]
    right = [j + 1 for j in left]
    cosines = [
        cosines_of(
            datasets.load(
                "planted", n_samples=1, n_parts=n_parts, part_size=part_size, overlap=overlap
            ).truth.X
        )[left, right].mean()
        for overlap in np.linspace(0, 0.95, 20)
    ]
    assert cosines[0] == 0 and cosines[-1] > 0.95
    assert np.all(np.diff(cosines) > 0) and np.max(np.diff(cosines)) < 0.1


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.8])
def test_planted_parts_are_linearly_independent(overlap):
    X = datasets.load("planted", overlap=overlap).truth.X
    assert np.linalg.matrix_rank(X) == X.shape[1]


def test_a_planted_part_is_one_blob_in_its_own_cell_of_the_picture():
    planted = datasets.load("planted", n_parts=6, part_size=4)
    assert planted.image_shape == (8, 12)
    for j in range(6):
        picture = planted.truth.X[:, j].reshape(planted.image_shape)
        cell = picture[4 * (j // 3) : 4 * (j // 3 + 1), 4 * (j % 3) : 4 * (j % 3 + 1)]
        assert np.count_nonzero(cell) == np.count_nonzero(picture) == 16


def test_noise_is_added_and_clipped_at_zero():
    clean = datasets.load("planted", n_samples=300)
    noisy = datasets.load("planted", n_samples=300, noise=0.1)
    assert noisy.D.min() == 0
    bright = clean.D > 0.6  # six standard deviations from the clipping
    error = (noisy.D - clean.D)[bright]
    assert abs(error.std() / 0.1 - 1) < 5 / np.sqrt(2 * len(error))
    assert abs(error.mean()) < 5 * 0.1 / np.sqrt(len(error))


def test_sweeping_overlap_or_noise_leaves_the_codes_alone():
    H = datasets.load("planted", seed=5).truth.H
    for changed in ({"overlap": 0.7}, {"noise": 0.2}, {"part_size": 3}):
        assert np.array_equal(datasets.load("planted", seed=5, **changed).truth.H, H)
    assert not np.array_equal(datasets.load("planted", seed=5, activity=0.5).truth.H, H)


def test_parts_are_active_with_the_probability_asked_for():
    H = datasets.load("planted", n_samples=4000, n_parts=20, activity=0.4).truth.H
    assert abs((H > 0).mean() - 0.4) < 5 * np.sqrt(0.4 * 0.6 / H.size)
    assert np.all(datasets.load("planted", activity=1.0).truth.H > 0)


# All that draw


@pytest.mark.parametrize("name", ["bars", "planted"])
def test_the_seed_decides_every_draw(name):
    noise = {"noise": 0.1} if name == "planted" else {}
    first, again, other = (datasets.load(name, seed=seed, **noise) for seed in (1, 1, 2))
    assert np.array_equal(first.D, again.D)
    assert not np.array_equal(first.D, other.D)


@pytest.mark.parametrize("name, rare", [("bars", "probability"), ("planted", "activity")])
def test_a_sample_left_without_a_part_gets_one_drawn_from_all(name, rare):
    data = datasets.load(name, n_samples=600, **{rare: 1e-6})
    assert np.all((data.truth.H > 0).sum(axis=1) == 1)
    assert np.all(data.truth.H.any(axis=0))
    assert np.all(data.D.any(axis=1))


@pytest.mark.parametrize(
    "name, parameter, value",
    [
        ("bars", "size", 1),
        ("bars", "size", 2.5),
        ("bars", "n_samples", 0),
        ("bars", "probability", 0),
        ("bars", "probability", 1.1),
        ("bars", "value", 0),
        ("bars", "value", float("nan")),
        ("planted", "n_samples", 0),
        ("planted", "n_parts", 0),
        ("planted", "n_parts", "9"),
        ("planted", "part_size", 0),
        ("planted", "overlap", 1),
        ("planted", "overlap", -0.1),
        ("planted", "overlap", float("nan")),
        ("planted", "activity", 0),
        ("planted", "activity", 1.1),
        ("planted", "noise", -0.1),
        ("planted", "noise", float("inf")),
    ],
)
def test_a_parameter_out_of_range_is_named_with_its_value(name, parameter, value):
    with pytest.raises(ValueError, match=f"{parameter} must be .*; got {value!r}"):
        datasets.load(name, **{parameter: value})


# Overcomplete


def test_overcomplete_parts_are_as_often_and_as_much_together_as_is_asked():
    made = datasets.load("overcomplete", n_samples=20_000, zipf=1, activity=0.1)
    truth = made.truth
    assert truth.X.shape == (12, 16) and np.allclose(np.linalg.norm(truth.X, axis=0), 1)
    assert np.allclose(made.D, truth.H @ truth.X.T) and made.D.any(axis=1).all()
    wanted = 1 / np.arange(1, 17)
    wanted *= 0.1 * 16 / wanted.sum()
    rates = (truth.H > 0).mean(axis=0)
    # An empty sample, of which there are about e^-1.6, gets one of the 16.
    assert rates == pytest.approx(wanted + (truth.H > 0).any(axis=1).mean() * 0.2 / 16, abs=0.02)


def test_overcomplete_parts_of_a_group_are_correlated_and_children_need_their_parents():
    free, bound, tree = (
        datasets.load("overcomplete", n_samples=5000, activity=0.3, **how).truth.H > 0
        for how in ({}, {"correlation": 0.8}, {"hierarchy": 1})
    )
    together = np.corrcoef(bound.T)
    same = np.arange(16)[:, None] % 4 == np.arange(16) % 4
    assert together[same].min() > 0.3 and np.abs(together[~same]).max() < 0.1
    assert np.abs(np.corrcoef(free.T)[~np.eye(16, dtype=bool)]).max() < 0.1
    alone = tree.sum(axis=1) == 1  # what an empty sample gets has no parent
    for j in range(2, 17):
        assert not (tree[:, j - 1] & ~tree[:, j // 2 - 1] & ~alone).any()
        assert (free[:, j - 1] & ~free[:, j // 2 - 1]).any()


def test_an_excerpt_has_so_many_samples_and_the_features_with_the_largest_sums():
    described = "overcomplete n_samples=300 noise=0.1 seed=5"
    D, again = (datasets.excerpt(described, 50, 8, seed=3) for _ in range(2))
    assert D.shape == (50, 8) and D.max() == 1 and np.array_equal(D, again)
    assert np.array_equal(D, D.astype(np.float32))
    assert not np.array_equal(D, datasets.excerpt(described, 50, 8, seed=4))
    whole = datasets.load("overcomplete", n_samples=300, noise=0.1, seed=5).D
    drawn = datasets.excerpt(described, 50, 12, seed=3)
    cosines = unit_rows(whole) @ unit_rows(drawn).T  # a sample up to the unit of the data
    assert np.array_equal((cosines > 1 - 1e-10).sum(axis=0), np.ones(50))
    largest = np.argsort(-drawn.sum(axis=0))[:8]
    assert np.allclose(D, drawn[:, np.sort(largest)] / drawn[:, largest].max(), rtol=1e-6)


@pytest.mark.parametrize(
    ("described", "error", "words"),
    [
        ("nowhere n=1", ValueError, "no data set"),
        ("digits layer=conv1", TypeError, "no parameter 'layer'"),
    ],
)
def test_an_excerpt_of_nothing_known_is_an_error(described, error, words):
    with pytest.raises(error, match=words):
        datasets.excerpt(described)
