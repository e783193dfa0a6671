"""The published records still come out: a few at random, `make check-results` does more."""

import random
from pathlib import Path

import pytest

from partsrep.sweeps.published import check

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_random_sample_of_the_published_records_still_comes_out():
    seed = random.randrange(10**6)
    assert not check(ROOT, sample=2, seed=seed), f"partsrep check --sample 2 --seed {seed}"
