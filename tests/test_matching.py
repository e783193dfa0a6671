from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import random_matrix, seeds

from partsrep.study.matching import match, unit_rows


@given(seeds, st.integers(1, 5), st.integers(1, 5))
def test_no_one_to_one_map_has_a_larger_sum_of_cosines(seed, m_a, m_b):
    A, B = random_matrix(seed, m_a, 6, zeros=0), random_matrix(seed + 1, m_b, 6, zeros=0)
    cosines = unit_rows(A) @ unit_rows(B).T
    if m_a > m_b:
        cosines = cosines.T
    best = max(
        sum(cosines[i, j] for i, j in enumerate(chosen))
        for chosen in permutations(range(cosines.shape[1]), cosines.shape[0])
    )
    found = match(A, B)
    assert found.cosines.sum() == pytest.approx(best)
    assert found.mcc == pytest.approx(best / max(m_a, m_b))


@given(seeds)
def test_permuting_and_scaling_parts_changes_nothing(seed):
    rng = np.random.RandomState(seed)
    A = random_matrix(seed, 5, 8, zeros=0)
    order = rng.permutation(5)
    found = match(A, A[order] * rng.uniform(0.1, 10, size=(5, 1)))
    assert found.mcc == pytest.approx(1)
    assert all(order[j] == i for i, j in found.pairs)


def test_hand_computed_case():
    A = np.array([[1.0, 0.0], [0.0, 2.0]])
    B = np.array([[3.0, 4.0], [5.0, 0.0]])
    found = match(A, B)
    assert found.pairs.tolist() == [[0, 1], [1, 0]]
    assert found.cosines == pytest.approx([1.0, 0.8])
    assert found.mcc == found.mcc_alive == pytest.approx(0.9)


def test_dead_and_unmatched_parts_count_zero():
    A = np.eye(4)
    dead = np.diag([1.0, 1.0, 0.0, 0.0])
    assert match(A, dead).mcc == pytest.approx(0.5)
    assert match(A, dead).mcc_alive == pytest.approx(1)
    assert len(match(A, dead).pairs) == 2
    assert match(A, A[:1]).mcc == pytest.approx(0.25)


def test_two_dead_dictionaries_have_nothing_in_common():
    found = match(np.zeros((2, 3)), np.zeros((2, 3)))
    assert (found.mcc, found.mcc_alive, len(found.pairs)) == (0, 0, 0)


def test_other_numbers_of_features_are_an_error():
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 4\) cannot be matched"):
        match(np.ones((2, 3)), np.ones((2, 4)))
