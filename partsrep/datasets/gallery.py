"""A gallery of necessity: for each condition a small matrix for which only that one fails."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True, eq=False)
class Example:
    """An exact factorization D = H Xᵀ, and what an autoencoder does instead.

    All arrays hold fractions (dtype object), so that every check is exact;
    ``example.D.astype(float)`` is what models are fitted to. What breaks the agreement is the
    `rival`: other factors "H" and "X", weights "U", or "y", the weights of samples in a proof.
    """

    fails: str  #: the condition that fails; the others hold
    claim: str  #: its id in the ledger
    about: str  #: what goes apart, and why, in words
    H: np.ndarray  #: codes (n, m) of the NMF
    X: np.ndarray  #: its parts (d, m)
    D: np.ndarray  #: the data (n, d)
    rival: dict[str, np.ndarray]


def exact(rows) -> np.ndarray:
    """An array of fractions."""
    return np.array([[Fraction(entry) for entry in row] for row in rows], dtype=object)


def _product(H: np.ndarray, X: np.ndarray) -> dict[str, np.ndarray]:
    """Factors and the data that they make."""
    return {"D": H @ X.T, "H": H, "X": X}


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
    one, two = exact(np.eye(2, dtype=int)), exact([[2, 1], [1, 2]])
    ends = exact([[1, 0], [0, 1], [1, 1]])
    overlap = exact([[1, 0], [1, 1], [0, 1]])
    # Two rows and three columns of a 2 × 3 image, each alone, and two pairs of columns.
    rows, columns = (np.eye(size, dtype=int) for size in (2, 3))
    bars = exact(np.hstack([np.repeat(rows, 3, axis=0), np.tile(columns, (2, 1))]))
    codes = exact([*np.eye(5, dtype=int).tolist(), [0, 0, 1, 1, 0], [0, 0, 1, 0, 1]])
    odds = [[Fraction(2**power, 1 + 2**power) for power in row] for row in ((1, 2), (2, 4))]
    return {
        "signs": Example(
            "the decoder is nonnegative",
            "T2",
            "A free decoder turns its parts by any matrix near T, the encoder by its inverse, and "
            "nothing is lost: no part of NMF is found.",
            **_product(one, one),
            rival={"U": two, "X": exact([[2, -1], [-1, 2]]) / 3},
        ),
        "two answers": Example(
            "the factorization is unique",
            "T3",
            "D = I·D = D·I: both are exact, and one layer computes the codes of either. The start "
            "decides which parts are found.",
            **_product(one, two),
            rival={"H": two, "X": one, "U": one},
        ),
        "crossing bars": Example(
            "the codes are encodable",
            "T4",
            "The unit of the first column has to be as bright in both pairs as alone, so it gives "
            "1 for all columns together. These are all rows together, and on rows it is inactive: "
            "without a bias it gives at most 0 there. Parts and codes are unique, so that no other "
            "layer is exact.",
            **_product(codes, bars),
            # The sum of these samples is zero; the third unit's outputs add up to at least 1.
            rival={"y": exact([[-1, -1, -1, 0, 0, 1, 1]])[0]},
        ),
        "noise": Example(
            "the data are in the cone of the parts",
            "T6",
            "The third sample is off the cone. Its best code is (0, ½), and no layer gives that "
            "beside the codes of the two parts.",
            D=exact([[1, 0], [1, 1], [0, 1]]),
            H=exact([[1, 0], [0, 1], [0, Fraction(1, 2)]]),
            X=exact([[1, 1], [0, 1]]),
            # The sum of these samples is zero; the second unit's outputs add up to at least ½.
            rival={"y": exact([[-1, 1, -1]])[0]},
        ),
        "too few": Example(
            "k is at least the true number",
            "T10",
            "With one active code a sample, a part between the first and the third sample is worth "
            "more than the first sample itself.",
            **_product(ends, one),
            rival={"X": exact([[2, 0], [1, 1]])},
        ),
        "logistic output": Example(
            "the output is linear",
            "T14",
            "One unit with logistic output has no loss, where no matrix of rank 1 is exact, nor "
            "NMF with one part.",
            **_product(exact(odds), one),
            # Logits are these times log 2.
            rival={"H": exact([[1], [2]]), "X": exact([[1], [2]])},
        ),
        "tied weights": Example(
            "the encoder has weights of its own",
            "T5",
            "The parts share a feature. A free encoder is exact, a tied one is not, whatever its "
            "parts.",
            **_product(ends, overlap),
            rival={"U": exact([[2, 1, -1], [-1, 1, 2]]) / 3},
        ),
        "dead unit": Example(
            "the optimiser finds the optimum",
            "T9",
            "The second unit is inactive on all samples. No gradient reaches it, and the second "
            "sample is lost for good.",
            **_product(one, one),
            rival={"U": exact([[1, 0], [-1, -1]]), "X": one},
        ),
    }
