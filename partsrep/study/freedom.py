"""Which other parts have the same product: what no loss can tell from the parts that were found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from .matching import unit_rows

DUST = 1e-3  # of a part's or a code's largest entry: what a descent has not pressed to 0 yet
ROWS = 16  # of the linear program: constraints an unknown, of which the others are left out
SIZE = 10**5, 4 * 10**6  # of its matrix: entries that are always taken, and never exceeded


@dataclass(frozen=True, eq=False)
class Freedom:
    """The result of :func:`freedom`.

    Attributes
    ----------
    cosines : ndarray (m,)
        Of each part with the farthest one found that can take its place while the product H Xᵀ
        stays; 1 where none was found, 0 for a part that nothing uses.
    rigid : True or None
        True: no change of the factors to X(I + A), H(I − Aᵀ), A small and its diagonal 0, keeps
        them nonnegative, so that no other factors of this product are near. None: not known.
    """

    cosines: np.ndarray
    rigid: bool | None


def freedom(H: np.ndarray, components: np.ndarray) -> Freedom:
    r"""Look for other nonnegative factors with the same product :math:`H X^\top`.

    *Nested supports* are other factors (claim T3): where part j is positive wherever part k is,
    :math:`x_j - \varepsilon x_k` takes its place and :math:`h_k + \varepsilon h_j` that of the
    codes; likewise with parts and codes exchanged. For each pair the largest ε is taken. That
    nothing is found proves nothing. *Rigid* factors are isolated, by a linear program; others may
    still exist far away. Both are known up to entries below a thousandth of the largest in their
    part or code, which count as zeros.

    Parameters
    ----------
    H, components : ndarray (n, m), (m, d)
        Nonnegative codes and parts.

    Examples
    --------
    The first part holds the second one, and can do without it:

    >>> parts = np.array([[1.0, 1.0], [0.0, 1.0]])
    >>> freedom(np.eye(2), parts).cosines.round(3)
    array([0.707, 1.   ])
    >>> freedom(np.eye(2), np.eye(2)).rigid
    True
    """
    used = components.any(axis=1) & H.any(axis=0)
    P = unit_rows(components[used])
    H = H[:, used] * np.linalg.norm(components[used], axis=1)
    cosines = np.zeros(len(used))
    cosines[used] = np.minimum(_without_another(P), _with_another(H, P))
    return Freedom(cosines, _rigid(H, P) or None)


def _spare(F: np.ndarray) -> np.ndarray:
    """The largest ε (m, m) with F_j − ε F_k ≥ 0 for rows of F; 0 for j = k."""
    inside = DUST * F.max(axis=1, keepdims=True) < F
    spare = [(F[:, on] / row[on]).min(axis=1) for row, on in zip(F, inside, strict=True)]
    spare = np.reshape(spare, (len(F), len(F))).T
    np.fill_diagonal(spare, 0)
    return spare


def _without_another(P: np.ndarray) -> np.ndarray:
    """The lowest cosine (m,) of a part of norm 1 with x_j − ε x_k."""
    spare, gram = _spare(P), P @ P.T
    norm = np.sqrt(np.maximum(1 - 2 * spare * gram + spare**2, 0))
    # Of a copy nothing is left, and so it may be anything.
    cosines = np.divide(1 - spare * gram, norm, out=np.zeros_like(gram), where=norm > DUST)
    return cosines.min(axis=1, initial=1)


def _with_another(H: np.ndarray, P: np.ndarray) -> np.ndarray:
    """The lowest cosine (m,) of a part of norm 1 with x_k + ε x_j, where h_j − ε h_k ≥ 0."""
    spare, gram = _spare(H.T), P @ P.T
    norm = np.sqrt(1 + 2 * spare * gram + spare**2)
    return ((1 + spare * gram) / norm).min(axis=0, initial=1)


def _rigid(H: np.ndarray, P: np.ndarray) -> bool:
    """Whether A P ≥ 0 on the zeros of P and H A ≤ 0 on those of H only for A = 0, off its diagonal.

    That is so if all such A are 0 on the zeros, by a linear program, and the zeros leave none but
    A = 0 then. Some of the zeros may be enough, and are all that is looked at.
    """
    m = len(P)
    if m < 2:
        return m == 1
    if min(np.linalg.matrix_rank(factor, tol=DUST) for factor in (P, H)) < m:
        return False
    zeros = [np.argwhere(DUST * F.max(axis=1, keepdims=True) >= F) for F in (P, H.T)]
    others = ~np.eye(m, dtype=bool)
    unknown = m * (m - 1)
    size = np.clip(ROWS * unknown**2, *SIZE)
    step = max(1, -(-sum(map(len, zeros)) * unknown // size))
    kept, codes = zeros[0][::step], zeros[1][-len(zeros[0]) % step :: step]
    # (A P)_jp = Σ_k A_jk P_kp and −(H A)_ij = −Σ_k H_ik A_kj: a row for each zero (j, p) or (i, j).
    rows = np.zeros((len(kept) + len(codes), m, m))
    rows[np.arange(len(kept)), kept[:, 0]] = P[:, kept[:, 1]].T
    rows[np.arange(len(kept), len(rows)), :, codes[:, 0]] = -H[codes[:, 1]]
    asked = rows[:, others]
    if np.linalg.matrix_rank(asked, tol=DUST) < asked.shape[1]:
        return False
    most = linprog(-asked.sum(axis=0), -csr_array(asked), np.zeros(len(asked)), bounds=(-1, 1))
    return bool(most.success and -most.fun <= DUST)
