import numpy as np
import pytest
from hypothesis import given
from problems import disjoint_parts, low_rank, random_matrix, seeds

from partsrep import NMF
from partsrep.study.freedom import _spare, freedom
from partsrep.study.matching import unit_rows


@given(seeds)
def test_what_is_spare_can_be_taken_and_no_more(seed):
    F = random_matrix(seed, 4, 9, zeros=0.2) + 1e-9
    spare = _spare(F)
    for j in range(4):
        for k in set(range(4)) - {j}:
            on = F[k] > 1e-3 * F[k].max()
            left = (F[j] - spare[j, k] * F[k])[on]
            assert left.min() == pytest.approx(0, abs=1e-12)


@given(seeds)
def test_what_can_take_a_parts_place_has_the_same_product(seed):
    """The moves written out: other factors, nonnegative, with the product and the cosines told."""
    H, P = random_matrix(seed, 12, 3, zeros=0.2), unit_rows(random_matrix(seed + 1, 3, 6, 0.2))
    if not (H.any(axis=0).all() and P.any(axis=1).all()):
        return
    lowest = np.ones(3)
    for j in range(3):
        for k in set(range(3)) - {j}:
            for without in (True, False):
                M, inverse = np.eye(3), np.eye(3)
                if without:
                    e = np.min(P[j, P[k] > 0] / P[k, P[k] > 0])
                    M[j, k], inverse[j, k], moved = -e, e, j
                else:
                    e = np.min(H[H[:, k] > 0, j] / H[H[:, k] > 0, k])
                    M[k, j], inverse[k, j], moved = e, -e, k
                parts, codes = M @ P, H @ inverse
                assert min(parts.min(), codes.min()) > -1e-12
                assert np.allclose(codes @ parts, H @ P)
                norm = np.linalg.norm(parts[moved])
                cosine = P[moved] @ parts[moved] / norm if norm > 1e-3 else 0
                lowest[moved] = min(lowest[moved], cosine)
    found = freedom(H, P)
    # What is below a thousandth of the largest counts as zero, and more may be taken then.
    assert (found.cosines <= lowest + 1e-9).all()
    if min(F[F > 0].min() for F in (P, H)) > 1e-3 * max(P.max(), H.max()):
        assert found.cosines == pytest.approx(lowest)
    if (lowest < 0.99).any():
        assert not found.rigid


def test_rigid_factors_are_left_by_no_small_step():
    """Brute force: of many directions none keeps the zeros nonnegative to first order."""
    rng = np.random.RandomState(0)
    kinds = set()
    for seed in range(60):
        H, P = random_matrix(seed, 8, 3, 0.4), random_matrix(seed + 100, 3, 6, 0.4)
        if not (H.any(axis=0).all() and P.any(axis=1).all()):
            continue
        found = freedom(H, P)
        kinds.add(found.rigid)
        A = rng.standard_normal((20000, 3, 3)) * (1 - np.eye(3))
        worst = np.minimum(
            np.where(P == 0, A @ P, np.inf).min(axis=(1, 2)),
            np.where(H == 0, -H @ A, np.inf).min(axis=(1, 2)),
        )
        assert not (found.rigid and (worst > 0).any())
    assert kinds == {True, None}


def test_units_and_order_do_not_count():
    H, P = random_matrix(0, 20, 4), random_matrix(1, 4, 8)
    sizes, order = np.array([1e-3, 1.0, 50.0, 7.0]), [2, 0, 3, 1]
    one, other = freedom(H, P), freedom((H / sizes)[:, order], (P * sizes[:, None])[order])
    assert other.cosines == pytest.approx(one.cosines[order])
    assert other.rigid == one.rigid


def test_a_part_that_nothing_uses_may_be_anything():
    H, P = random_matrix(0, 20, 3), random_matrix(1, 3, 8)
    H[:, 1] = 0
    assert freedom(H, P).cosines[1] == 0


def test_a_copy_may_be_anything():
    """Two equal parts: the codes of one can move to the other."""
    H, P = random_matrix(0, 20, 2, zeros=0.5), np.ones((2, 5))
    assert freedom(H, P).cosines.max() == 0


def test_planted_parts_are_held_and_one_too_many_is_not():
    D = disjoint_parts().D
    held, open_ = (NMF(m, tol=1e-6, n_init=5, max_iter=2000).fit(D) for m in (5, 6))
    found = freedom(held.transform(D), held.components_)
    assert found.rigid and found.cosines.min() > 0.999
    assert freedom(open_.transform(D), open_.components_).cosines.min() < 0.98


def test_one_part_is_rigid_and_none_are_not():
    assert freedom(np.ones((3, 1)), np.ones((1, 4))).rigid
    nothing = freedom(np.zeros((3, 2)), np.zeros((2, 4)))
    assert nothing.rigid is None and not nothing.cosines.any()


def test_dependent_parts_are_not_said_to_be_rigid():
    D = low_rank(0)
    nmf = NMF(5, max_iter=50).fit(D)
    assert freedom(nmf.transform(D), nmf.components_).rigid is None
