import numpy as np
import pytest
from hypothesis import given, settings
from problems import random_matrix, seeds

from partsrep import NMF, datasets, solutions
from partsrep.leastsquares import exact_nnls
from partsrep.study.matching import match, unit_rows


def by_hand(P):
    """An NMF with given parts."""
    nmf = NMF(len(P))
    nmf.components_ = P
    return nmf


def planted(offset):
    """Exact data of three parts with pure samples, and features of their own if not offset."""
    blobs = datasets.load("planted", n_samples=60, n_parts=3, part_size=3, overlap=0.3)
    P = blobs.truth.X.T + offset
    return blobs.truth.H @ P, P


@settings(max_examples=4)
@given(seeds)
def test_all_that_is_found_is_a_factorization_and_within_the_bounds(seed):
    H, P = random_matrix(seed, 12, 3, zeros=0.2), random_matrix(seed + 1, 3, 6, zeros=0.2)
    if not (H.any(axis=0).all() and P.any(axis=1).all()):
        return
    found = solutions(by_hand(P), H @ P, walks=1)
    product = exact_nnls(H @ P, found.parts) @ found.parts  # without what counts as 0
    for parts in found.others:
        assert parts.min() >= 0
        error = product - exact_nnls(product, parts) @ parts
        assert np.linalg.norm(error) < 1e-5 * np.linalg.norm(product)
        low, high = found.band[:, found.openness > 0]
        assert (parts[found.openness > 0] - high).max(initial=0) < 1e-9
        assert (low - parts[found.openness > 0]).max(initial=0) < 1e-9
    assert (found.alone <= found.openness).all()
    assert not (found.openness > found.at_most + 1e-6).any(), "within what is proved, if anything"


@settings(max_examples=4)
@given(seeds)
def test_no_random_part_takes_a_place_beyond_what_is_told(seed):
    """Brute force: parts t P that may replace one, the others staying."""
    rng = np.random.RandomState(seed)
    H, P = rng.uniform(size=(8, 3)) + 0.2, unit_rows(rng.uniform(size=(3, 5)) + 0.2)
    found = solutions(by_hand(P), H @ P, walks=0)
    for j in range(3):
        t = rng.uniform(-1, 1, (4000, 3)) * rng.choice([0.1, 1], (4000, 1))
        t[:, j] = 1
        moved = t @ P
        codes = H - H[:, [j]] * np.where(np.arange(3) == j, 0, t)[:, None]
        kept = (moved >= 0).all(axis=1) & (codes >= 0).all(axis=(1, 2))
        sines = np.sqrt(1 - (unit_rows(moved[kept]) @ P[j]) ** 2)
        # Corners are found toward and away from each part: the farthest may be another one.
        assert sines.max() <= found.alone[j] * 1.3
        assert found.alone[j] > 0


def test_two_parts_have_the_whole_set():
    """In the plane a part is between its axis and the outermost sample."""
    D = np.array([[3.0, 1.0], [2.0, 1.0], [1.0, 4.0]])
    found = solutions(by_hand(np.array([[3.0, 0.5], [0.5, 4.0]])), D)
    low, high = found.band
    outer = unit_rows(D[[0, 2]])
    assert low[0, 1] == pytest.approx(0, abs=1e-6) and high[0, 1] == pytest.approx(outer[0, 1])
    assert low[1, 0] == pytest.approx(0, abs=1e-6) and high[1, 0] == pytest.approx(outer[1, 0])


def test_unique_parts_are_held_and_dense_ones_are_not():
    """T3: zeros in both factors; a fit of the data, and its proof."""
    D, P = planted(0)
    found = solutions(NMF(3, tol=1e-6, n_init=3, random_state=0).fit(D), D)
    assert not found.openness.any() and found.rigid
    assert found.at_most.max() < 1e-2
    assert np.array_equal(*found.band)
    assert match(found.parts, P).mcc > 0.9999
    D, P = planted(0.3)
    found = solutions(NMF(3, tol=1e-6, n_init=3, random_state=0).fit(D), D)
    assert found.openness.min() > 0.1 and not found.rigid
    assert np.ptp(found.band, axis=0).max() > 0.05
    assert "for 0 of 3 parts" in repr(found)
    assert found.table()["open"].tolist() == found.openness.tolist()


def test_parts_that_move_but_together_while_dependent_codes_stay():
    """A torso that is in all samples, and whose share one limb's two positions take together."""
    poses = np.array([[1.0, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]])
    limbs = np.hstack([np.eye(4), [[0.5], [0.5], [0.5], [0.5]]])
    found = solutions(by_hand(limbs), poses @ limbs)
    assert not found.alone.any() and found.rigid is None
    assert found.openness == pytest.approx(0.447, abs=0.01), "from no torso to all of it"
    assert found.band[0, :, 4] == pytest.approx(0, abs=1e-6)
    assert found.band[1, :, 4] == pytest.approx(2**-0.5, abs=1e-6)
    for parts in found.others:
        assert np.abs(exact_nnls(poses @ limbs, parts) @ parts - poses @ limbs).max() < 1e-6


def test_neither_units_nor_the_order_count():
    D, P = planted(0.3)
    one = solutions(by_hand(P), D, walks=0)
    other = solutions(by_hand(1e-4 * P[::-1]), 1e3 * D, walks=0)
    assert other.alone[::-1] == pytest.approx(one.alone, abs=1e-5)
    assert other.band[:, ::-1] == pytest.approx(one.band, abs=1e-2), "ties have several corners"


def test_a_part_that_nothing_uses_may_be_anything():
    D, P = planted(0)
    found = solutions(by_hand(np.vstack([P, np.zeros(P.shape[1])])), D)
    assert found.openness.tolist() == [0, 0, 0, 1]
    assert found.band[:, 3].tolist() == [[0] * P.shape[1], [1] * P.shape[1]]
    assert np.isnan(found.at_most).all()


def test_dependent_parts_do_not_end_it():
    found = solutions(by_hand(np.array([[1.0, 0], [0, 1], [1, 1]])), random_matrix(0, 9, 2, 0.2))
    assert np.isfinite(found.openness).all() and not found.rigid


@pytest.mark.parametrize(
    ("P", "D", "walks", "said"),
    [
        (-np.eye(2), np.eye(2), 1, "solutions is for nonnegative parts"),
        (np.eye(2), np.ones((2, 3)), 1, "D has 3 features, but the parts have 2"),
        (np.eye(2), -np.eye(2), 1, "Negative"),
        (np.eye(2), np.eye(2), -1, "walks must be"),
    ],
)
def test_what_it_cannot_answer_is_an_error(P, D, walks, said):
    with pytest.raises(ValueError, match=said):
        solutions(by_hand(P), D, walks=walks)
