"""A gallery of necessity: for each condition a small matrix for which only that one fails."""

import tomllib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class Example:
    """An exact factorization D = H Xᵀ, and what an autoencoder does instead.

    All arrays hold fractions (dtype object), so that every check is exact;
    ``example.D.astype(float)`` is what models are fitted to.

    Attributes
    ----------
    fails, claim, about : str
        The condition that fails, while the others hold; its id in the ledger; what goes apart, and
        why, in words.
    D, H, X : ndarray (n, d), (n, m), (d, m)
        The data, and the factorization by NMF.
    rival : dict of ndarray
        What breaks the agreement: other factors "H" and "X", weights "U", or "y", the weights of
        samples in a proof.
    """

    fails: str
    claim: str
    about: str
    D: np.ndarray
    H: np.ndarray
    X: np.ndarray
    rival: dict[str, np.ndarray]


def exact(rows) -> np.ndarray:
    """An array of fractions."""
    return np.vectorize(Fraction, otypes=[object])(np.array(rows, object))


def gallery() -> dict[str, Example]:
    """The examples by name.

    Examples
    --------
    >>> from partsrep import datasets
    >>> for name, example in datasets.gallery().items():
    ...     print(f"{name}: {example.fails} ({example.claim})")
    signs: the decoder is nonnegative (T2)
    two answers: the factorization is unique (T3)
    crossing bars: the codes are encodable (T4)
    noise: the data are in the cone of the parts (T6)
    too few: k is at least the true number (T10)
    logistic output: the output is linear (T14)
    tied weights: the encoder has weights of its own (T5)
    dead unit: the optimiser finds the optimum (T9)
    """
    found = {}
    for name, known in tomllib.loads(Path(__file__).with_suffix(".toml").read_text()).items():
        words = (known[key] for key in ("fails", "claim", "about"))
        H, X = exact(known["H"]), exact(known["X"])
        D = exact(known["D"]) if "D" in known else H @ X.T
        rival = {key: exact(rows) for key, rows in known["rival"].items()}
        found[name] = Example(*words, D, H, X, rival)
    return found
