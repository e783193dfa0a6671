"""Random problems and small data sets that several tests solve."""

import numpy as np
from hypothesis import strategies as st

from partsrep import datasets

seeds = st.integers(0, 2**31 - 1)


def random_matrix(seed: int, rows: int, columns: int, zeros: float = 0.3) -> np.ndarray:
    """Nonnegative, with exact zeros."""
    rng = np.random.RandomState(seed)
    return rng.exponential(size=(rows, columns)) * (rng.uniform(size=(rows, columns)) > zeros)


def low_rank(seed: int, n: int = 40, d: int = 12, m: int = 3) -> np.ndarray:
    """An exact NMF of rank m."""
    return random_matrix(seed, n, m) @ random_matrix(seed + 1, m, d)


def digits(samples: int = 400) -> np.ndarray:
    return datasets.load("digits").D[:samples]


def disjoint_parts(seed: int = 0) -> datasets.Dataset:
    """Planted parts that share no pixel: the factorization is unique and every part is found."""
    return datasets.load("planted", n_samples=200, n_parts=5, overlap=0.0, noise=0.0, seed=seed)
