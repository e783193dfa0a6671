"""A data set with known truth: sums of two ramps."""

import numpy as np
from sklearn.utils import check_random_state

from partsrep.datasets import Dataset, Truth


def ramps(n_samples: int = 100, seed: int = 0) -> Dataset:
    """Sums of a rising and a falling ramp over ten features."""
    H = check_random_state(seed).rand(n_samples, 2)
    rising = np.linspace(0, 1, 10)
    X = np.stack([rising, rising[::-1]], axis=1)
    return Dataset(
        name="ramps",
        D=H @ X.T,
        about="Two ramps, generated; D = H Xᵀ exactly.",
        truth=Truth(H, X, ["rising", "falling"]),
    )
