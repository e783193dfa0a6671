"""Matching two dictionaries part by part, and how similar they are then."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..validation import check_matrix


@dataclass(frozen=True, eq=False)
class Matching:
    """Which part of one dictionary goes with which of the other, best pair first.

    Attributes
    ----------
    pairs, cosines : ndarray (r, 2) of int, ndarray (r,)
        Rows (i, j): part i of the first goes with part j of the second; and the cosine of each.
    mcc : float
        Sum of the cosines / max(m_a, m_b): 1 for equal parts; dead and unmatched parts
        count 0.
    mcc_alive : float
        Mean of the cosines: the same over live pairs only.
    """

    pairs: np.ndarray
    cosines: np.ndarray
    mcc: float
    mcc_alive: float


def unit_rows(components: np.ndarray) -> np.ndarray:
    """Scale each row to norm 1; a zero row stays zero."""
    # First by a power of two, which is exact: squares could overflow, or vanish.
    _, exponent = np.frexp(np.abs(components).max(axis=1, keepdims=True, initial=0))
    components = np.ldexp(components, -exponent)
    norms = np.linalg.norm(components, axis=1, keepdims=True)
    return components / np.where(norms > 0, norms, 1)


def nonnegative_parts(model: Any, D: Any, what: str) -> np.ndarray:
    """The parts (m, d) ≥ 0 of a fitted model; a ValueError where they are not, or not of D's."""
    P = check_matrix(model.components_, "components_", np.float64)
    if (P < 0).any():
        raise ValueError(f"{what} is for nonnegative parts: these have negative entries.")
    if P.shape[1] != D.shape[1]:
        raise ValueError(f"D has {D.shape[1]} features, but the parts have {P.shape[1]}.")
    return P


def match(components_a: np.ndarray, components_b: np.ndarray) -> Matching:
    r"""Match the rows of two dictionaries one to one so that the sum of cosines is largest.

    Solves :math:`\max_\pi \sum_i \cos(a_i, b_{\pi(i)})` over one-to-one maps π (the Hungarian
    method), then drops the pairs in which a part is dead, that is zero.

    Parameters
    ----------
    components_a, components_b : ndarray (m_a, d), (m_b, d)
        Parts as rows.

    Raises
    ------
    ValueError
        If the two have different numbers of features, or one is no matrix of finite real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> found = match(np.eye(3), np.eye(3)[[2, 0]])
    >>> found.pairs.tolist(), round(found.mcc, 3), found.mcc_alive
    ([[0, 1], [2, 0]], 0.667, 1.0)
    """
    A = check_matrix(components_a, "components_a", float)
    B = check_matrix(components_b, "components_b", float)
    if A.shape[1] != B.shape[1]:
        raise ValueError(
            f"Parts of shapes {A.shape} and {B.shape} cannot be matched: "
            "both must be (parts, features), with the same number of features."
        )
    cosines = (unit_rows(A) @ unit_rows(B).T).clip(-1, 1)  # rounding may go beyond
    rows, columns = linear_sum_assignment(cosines, maximize=True)
    both_alive = A[rows].any(axis=1) & B[columns].any(axis=1)
    rows, columns = rows[both_alive], columns[both_alive]
    order = np.argsort(-cosines[rows, columns], kind="stable")
    pairs = np.column_stack([rows, columns])[order]
    matched = cosines[pairs[:, 0], pairs[:, 1]]
    return Matching(
        pairs=pairs,
        cosines=matched,
        mcc=float(matched.sum() / max(len(A), len(B))),
        mcc_alive=float(matched.mean()) if len(matched) else 0.0,
    )
