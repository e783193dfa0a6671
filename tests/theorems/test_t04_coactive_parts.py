"""T4: random parts that occur in blocks, and why bars that cross cannot be encoded."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import binom

from partsrep import encodability
from partsrep.study.matching import unit_rows


@pytest.mark.parametrize(("m", "d", "block"), [(8, 6, 1), (8, 6, 2), (8, 5, 4), (9, 6, 3)])
def test_t04_random_parts_in_blocks(m, d, block):
    """Encodable with the probability that a fair coin shows at most d − B heads in m − B tosses."""
    rng = np.random.RandomState(m + d + block)
    patterns = np.kron(np.eye(m // block), np.ones((block, block)))
    draws = 600
    found = np.mean(
        [encodability(rng.standard_normal((d, m)), patterns).encodable[0] for _ in range(draws)]
    )
    chance = binom.cdf(d - block, m - block, 0.5)
    assert abs(found - chance) < 4 * np.sqrt(chance * (1 - chance) / draws) + 1e-9


@pytest.mark.parametrize("size", [3, 4])
def test_t04_entries_that_need_a_part_each_make_the_bars_unique(size):
    """The proof for the bars, in whole numbers: its entries, its two pixels, its sum."""
    rows = [{(a, b) for b in range(size)} for a in range(size)]
    columns = [{(a, b) for a in range(size)} for b in range(size)]
    bars = rows + columns
    own = [(a, (a + 1) % size) for a in range(size)] + [(b, b) for b in range(size)]
    for j, bar in enumerate(bars):
        assert own[j] in bar
        assert all(not (own[j] in bars[k] and own[k] in bar) for k in range(len(bars)) if k != j)
        assert sum(pixel in bar for pixel in own) == 2 < size
    # u·(j + k) + b = 1 for all k makes u·k = 0, then rows = columns makes b = 1: never inactive.
    u = [Fraction(1)] + [Fraction(0)] * (2 * size - 1)
    assert sum(u[:size]) != sum(u[size:])


def test_t04_fewer_coactive_parts_mean_larger_margins():
    P = unit_rows(np.random.RandomState(0).random_sample((5, 8)))
    alone = encodability(P.T, np.eye(5)).margin
    pairs = encodability(P.T, np.eye(5) + np.roll(np.eye(5), 1, axis=1)).margin
    together = encodability(P.T, np.ones((1, 5))).margin
    assert (alone >= pairs - 1e-12).all()
    assert (pairs >= together - 1e-12).all()
    assert alone.sum() > together.sum() + 1e-3
