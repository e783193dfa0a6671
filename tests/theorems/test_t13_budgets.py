"""T13: a common budget is the least constraint; budgets for units must dominate their use."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds

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
