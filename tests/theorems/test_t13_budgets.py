"""T13: a common budget is the least constraint; budgets for units must dominate their use."""

from itertools import product

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds
from scipy.optimize import linprog

from partsrep import FeatureChoice, MutualChoice, TopK


@settings(max_examples=100, deadline=None)
@given(seeds, st.integers(1, 12), st.integers(1, 6), st.integers(1, 6), st.floats(0, 2))
def test_t13_mutual_choice_keeps_the_most(seed, n, m, k, zipf):
    """At orthonormal parts the loss is what is not kept: ‖Z‖² − Σ kept z²."""
    k = min(k, m)
    Z = torch.as_tensor(random_matrix(seed, n, m, zeros=0.2))
    kept = {
        choice: float((choice(Z) ** 2).sum()) for choice in (TopK(k), FeatureChoice(k, zipf=zipf))
    }
    mutual = MutualChoice(k)(Z)
    assert float((mutual**2).sum()) >= max(kept.values()) - 1e-12
    for choice in kept:
        assert torch.count_nonzero(choice(Z)) <= n * k
    assert torch.count_nonzero(mutual) <= n * k


@settings(max_examples=100, deadline=None)
@given(seeds, st.integers(2, 15), st.integers(1, 6), st.integers(1, 6), st.floats(0, 2))
def test_t13_feature_choice_needs_budgets_that_dominate(seed, n, m, k, zipf):
    """True codes pass iff the sorted budgets are at least the sorted numbers of uses."""
    k = min(k, m)
    H = random_matrix(seed, n, m, zeros=0.5)
    uses = np.count_nonzero(H, axis=0)
    choice = FeatureChoice(k, zipf=zipf)
    budgets = choice.budgets(n, m)
    passes = np.array_equal(choice(torch.as_tensor(H)).numpy(), H)
    assert passes == (np.sort(budgets) >= np.sort(uses)).all()


def test_t13_balanced_parts_and_a_zipf_law_do_not_go_together():
    """Of four parts each is in a quarter of the samples, and there are just so many codes."""
    H = torch.as_tensor(np.tile(np.eye(4), (25, 1)))
    assert torch.equal(FeatureChoice(1)(H), H)
    assert not torch.equal(FeatureChoice(1, zipf=1.0)(H), H)
    assert torch.equal(MutualChoice(1)(H), H)


def can_be_kept(D, mask):
    """Whether some layer has its largest pre-activations where the mask is, ties apart.

    A linear program in the rows u_j and the threshold θ ≥ 0: u_j·d_i ≥ θ + t on the mask, for a
    t > 0, and u_j·d_i ≤ θ off it. Where fewer are kept than may be, only positive ones are: θ = 0.
    """
    (n, d), m = D.shape, mask.shape[1]
    side = np.where(mask, -1.0, 1.0)
    rows = np.zeros((n, m, m * d + 2))
    for i, j in product(range(n), range(m)):
        rows[i, j, j * d : (j + 1) * d] = side[i, j] * D[i]
        rows[i, j, -2:] = -side[i, j], mask[i, j]
    highest = None if mask.sum() == n else 0
    bounds = [*[(None, None)] * (m * d), (0, highest), (None, 1)]
    aim = np.zeros(m * d + 2)
    aim[-1] = -1
    answer = linprog(aim, A_ub=rows.reshape(n * m, -1), b_ub=np.zeros(n * m), bounds=bounds)
    return -answer.fun > 1e-9


def shared(rows):
    """What multiples of one part miss of these samples."""
    return float(np.sum(np.linalg.svd(rows)[1][1:] ** 2))


def test_t13_for_one_layer_topk_can_be_exact_where_mutual_choice_is_not():
    """Every mask is tried on three samples of which one is the mean of the others."""
    D = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    least = []
    for entries in product([False, True], repeat=9):
        mask = np.reshape(entries, (3, 3))
        if mask.sum() <= 3 and can_be_kept(D, mask):
            # A sample without a code is lost; a part serves the samples that have no other.
            lost = np.sum(D[~mask.any(axis=1)] ** 2)
            alone = mask & (mask.sum(axis=1, keepdims=True) == 1)
            least.append(lost + sum(shared(D[column]) for column in alone.T if column.any()))
    assert np.isclose(min(least), 3 - 5**0.5)

    # It is attained, and TopK loses nothing.
    v = np.abs(np.linalg.svd(D[:2])[2][0])
    losses = {}
    for choice, X in {
        MutualChoice(1): np.array([v, [0, 1], [0, 0]]),
        TopK(1): D / np.linalg.norm(D, axis=1, keepdims=True),
    }.items():
        H = choice(torch.as_tensor(D @ X.T)).numpy()
        losses[choice] = np.sum((D - H @ X) ** 2)
    assert np.isclose(losses[MutualChoice(1)], min(least))
    assert losses[TopK(1)] < 1e-20


def test_t13_for_one_layer_mutual_choice_can_be_exact_where_topk_is_not():
    D = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    assert np.array_equal(MutualChoice(1)(torch.as_tensor(D)).numpy(), D)
    # TopK: one code for each of three samples, and two parts.
    two_parts = [
        shared(D[list(group)]) + shared(D[[i for i in range(3) if i not in group]])
        for group in ((0,), (1,), (2,))
    ]
    assert min(two_parts) > 0.3
