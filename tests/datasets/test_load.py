import dataclasses

import numpy as np
import pytest

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
