import dataclasses
from pathlib import Path

import numpy as np
import pytest
from examples.ramps import ramps

from partsrep import datasets
from partsrep.datasets import LOADERS, Truth


def test_an_unknown_name_is_answered_with_the_closest_and_all_valid_ones():
    with pytest.raises(ValueError) as error:
        datasets.load("MNIST-fashion")
    assert all(name in str(error.value) for name in LOADERS)
    with pytest.raises(ValueError, match="Did you mean 'olivetti'"):
        datasets.load("Olivetty")


def test_an_unknown_parameter_is_answered_with_the_closest_and_all_valid_ones():
    with pytest.raises(TypeError, match=r"'nois'.*Did you mean 'noise'.*n_parts.*activity"):
        datasets.load("planted", nois=0.1)


@pytest.mark.parametrize("name", ["digits", "faces", "cbcl", "swimmer"])
def test_a_set_without_parameters_says_that_it_takes_none(name):
    with pytest.raises(TypeError, match="takes none"):
        datasets.load(name, seed=1)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_an_unknown_split_is_refused(name):
    with pytest.raises(ValueError, match="'train' or 'test'; got 'validation'"):
        datasets.load(name, split="validation")


def test_a_data_set_is_frozen_and_prints_in_one_line():
    digits = datasets.load("digits")
    with pytest.raises(dataclasses.FrozenInstanceError):
        digits.D = None
    assert repr(digits) == "Dataset('digits', 1797 x 64, images 8 x 8)"
    assert repr(datasets.load("bars", size=3, n_samples=4).truth) == "Truth(H 4 x 6, X 9 x 6)"
    assert repr(Truth(H=np.ones((5, 2)))) == "Truth(H 5 x 2)"


def test_a_new_set_is_a_function_and_a_line(monkeypatch):
    monkeypatch.setitem(LOADERS, "ramps", ramps)
    first, again, other = (datasets.load("ramps", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.D, again.D) and not np.array_equal(first.D, other.D)
    assert np.linalg.matrix_rank(first.D) == 2
    # Where the falling ramp is 0 the rising one is alone.
    assert np.array_equal(first.D[:, -1], first.truth.H[:, 0])
    with pytest.raises(TypeError, match="Did you mean 'seed'"):
        datasets.load("ramps", seeds=1)


@pytest.mark.parametrize("name", LOADERS)
def test_each_set_has_its_row_in_the_book(name):
    page = Path(__file__).parents[2] / "book/data.md"
    assert f"\n| `{name}` | " in page.read_text()
