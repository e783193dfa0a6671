"""What the data leave open: the other parts that an NMF could have with the same product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import null_space
from scipy.optimize import linprog
from scipy.sparse import eye_array, kron
from sklearn.utils import check_random_state

from ..arguments import check_integer
from ..leastsquares import exact_nnls
from ..progress import progress
from .bootstrap import fitted, unit_parts
from .freedom import DUST, freedom
from .matching import unit_rows
from .places import places_by_averages, places_by_enclosure
from .report import Report

WEIGHT = 100  # of a part of norm 1, at most, in what takes the place of another
ROUNDING = 1e-9  # of a part's or a code's largest entry: what a step leaves of 0
EXACT = 1e-12  # of the product: how far off factors may be that count as having it


@dataclass(frozen=True, eq=False, repr=False)
class Solutions(Report):
    """The result of :func:`solutions`; all parts have norm 1.

    Attributes
    ----------
    parts : ndarray (m, d)
        Those of the fit, without what counts as 0.
    band : ndarray (2, m, d)
        Of each entry the least and the largest value found. Not an enclosure: there may be more.
    alone : ndarray (m,)
        Of each part the sine of its largest angle with what can take its place while the other
        parts stay. 0 means that nothing can.
    openness : ndarray (m,)
        The same with all parts moving, at least `alone`: 0 where nothing was found, 1 for a part
        that could be one without a feature in common, or that nothing uses.
    at_most : ndarray (m,)
        What no factorization of the product exceeds, by proof; NaN where there is none.
    others : ndarray (r, m, d)
        Parts of whole factorizations with the same product, one a walk.
    rigid : True or None
        Whether no other factorization is near: :class:`partsrep.study.freedom.Freedom`.
    """

    parts: np.ndarray
    band: np.ndarray
    alone: np.ndarray
    openness: np.ndarray
    at_most: np.ndarray
    others: np.ndarray
    rigid: bool | None

    _format = "score"

    def table(self) -> pd.DataFrame:
        """One row a part."""
        columns = {"open": self.openness, "open alone": self.alone, "at most": self.at_most}
        return pd.DataFrame(columns).rename_axis("part")

    @property
    def _headline(self) -> str:
        held, m = int((self.openness == 0).sum()), len(self.openness)
        near = "; no other factorization is near" if self.rigid else ""
        return f"Solutions: no other place found for {held} of {m} parts{near}"


def solutions(nmf: Any, D: Any, *, walks: int = 3, random_state: Any = 0) -> Solutions:
    r"""Say how much of each part the data leave open: other nonnegative factors, the same product.

    With H the best codes of D for the fitted parts, all nonnegative :math:`H', X'` with
    :math:`H' X'^\top = H X^\top` fit the data just as well; if parts and codes are independent,
    these are the nonnegative :math:`X'^\top = T X^\top` with :math:`H' = H T^{-1} \ge 0`. The set
    is not convex for more than two parts. It is looked at from both sides.

    *From inside.* While the other parts stay, what can take the place of part j is a polytope,
    :math:`x' = X t \ge 0` with :math:`t_k \le t_j \min_{i: H_{ij} > 0} H_{ik} / H_{ij}` for
    :math:`k \ne j`. Linear programs, toward and away from each part, find corners of it; that they
    find just one point proves that nothing else can take its place. For two independent parts that
    is the whole set. Where codes are dependent, parts can also change together while the codes
    stay: that is a polytope too. From what is found `walks` go on: one part after the other becomes
    a random mixture of its corners. All of this are factorizations, so `band` and `openness` are
    never too wide. They may be too narrow: other parts that can but move together are not found.

    *From outside.* `at_most` holds for all factorizations with as many parts, by the proofs of
    claim T18 for the product (:func:`partsrep.study.places.certified_mcc`). They succeed where the
    parts have nearly pure samples and nearly private features.

    Where the product has one factorization (claim T3), openness is 0. Entries below a thousandth of
    the largest in their part or code count as 0, since a descent gets no nearer: so openness below
    a thousandth is 0 too.

    It is about the product, which contains the noise that was fitted: that holds parts too, as
    zeros do. How far noise moves them :func:`partsrep.bootstrap` says.

    Parameters
    ----------
    nmf : fitted NMF, or any model with ``components_`` (m, d) ≥ 0
    D : array-like (n, d) ≥ 0
    walks : int ≥ 0
        Each is 2m² linear programs; there are none where nothing moves.
    random_state : int, RandomState or None
        Of the mixtures.

    Raises
    ------
    ValueError
        If data or parts are negative, or numbers of features differ.

    Examples
    --------
    Two parts without zeros leave room, and zeros in both factors leave none:

    >>> import numpy as np
    >>> from partsrep import NMF
    >>> D = np.array([[2.0, 1.0], [1.0, 2.0]])
    >>> nmf = NMF(2, init="custom", tol=0, max_iter=1).fit(D, W=D, H=np.eye(2))
    >>> solutions(nmf, D).openness.round(3)
    array([0.447, 0.447])
    >>> solutions(NMF(2).fit(np.eye(2)), np.eye(2)).openness
    array([0., 0.])
    """
    D, P = fitted(nmf, D, "solutions")
    walks = check_integer("walks", walks, 0)
    rng = check_random_state(random_state)
    H, P = unit_parts(exact_nnls(D, P), P)
    P = _without(P, DUST)
    H, P = unit_parts(_without(H.T, DUST).T, P)
    used = H.any(axis=0) & P.any(axis=1)
    band, farthest = np.array([P, P]), np.ones(len(P))
    band[:, ~used], farthest[~used] = np.array([0, 1])[:, None, None], 0

    def note(j: int, found: np.ndarray) -> None:
        found = unit_rows(np.maximum(found, 0))
        band[0, j] = np.minimum(band[0, j], found.min(axis=0))
        band[1, j] = np.maximum(band[1, j], found.max(axis=0))
        farthest[j] = min(farthest[j], (found @ P[j]).min())

    rigid, live = freedom(H, P).rigid, np.flatnonzero(used)
    for j in () if rigid else live:
        note(j, _corners(H, P, j, live) @ P)
    alone = _sine(farthest)
    together = _same_codes(H, P, live)
    for j in live:
        note(j, together[:, j])
    others = []
    for _ in progress(range(walks if _sine(farthest)[live].any() else 0), "walks"):
        start = np.tensordot(rng.dirichlet(np.ones(len(together))), together, 1)
        codes, parts = unit_parts(H, start)
        for j in live:
            note(j, parts[j : j + 1])
        for j in rng.permutation(live):
            corners = _corners(codes, parts, j, live)
            note(j, corners @ parts)
            _replace(codes, parts, j, rng.dirichlet(np.ones(len(corners))) @ corners)
            note(j, parts[j : j + 1])
        others.append(parts)
    openness = _sine(farthest)
    band[:, openness == 0] = P[openness == 0]
    return Solutions(
        parts=P,
        band=band,
        alone=alone,
        openness=openness,
        at_most=_at_most(H, P) if used.all() else np.full(len(P), np.nan),
        others=np.reshape(others, (-1, *P.shape)),
        rigid=rigid,
    )


def _without(F: np.ndarray, share: float) -> np.ndarray:
    """The rows without what is below a share of their largest entry."""
    return np.where(share * F.max(axis=1, keepdims=True) < F, F, 0)


def _sine(cosines: np.ndarray) -> np.ndarray:
    """Sines of angles; what is less than zeros are known to is 0."""
    sine = np.sqrt(np.maximum(1 - cosines**2, 0))
    return np.where(sine <= DUST, 0, sine)


def _corners(H: np.ndarray, P: np.ndarray, j: int, live: np.ndarray) -> np.ndarray:
    """Weights t (c, m), t P of sum 1, of what can take the place of part j; the last is itself."""
    on = H[:, j] > 0
    limits = np.eye(len(P))
    limits[:, j] -= (H[on] / H[on, j, None]).min(axis=0)  # t_k ≤ least ratio · t_j
    signs = -P.T[P.any(axis=0)]
    known = np.vstack([signs, limits[live[live != j]]])[:, live]
    program = {
        "A_ub": known,
        "b_ub": np.zeros(len(known)),
        "A_eq": P[live].sum(axis=1)[None],
        "b_eq": [1.0],
        "bounds": (-WEIGHT, WEIGHT),
    }
    toward = P[live] @ P[live].T
    found = [linprog(aim, **program) for aim in [*toward, *-toward]]
    itself = np.eye(len(live))[live == j] / P[j].sum()
    corners = np.zeros((len(found) + 1, len(P)))
    corners[:, live] = [corner.x if corner.success else itself[0] for corner in found] + [itself[0]]
    return corners


def _same_codes(H: np.ndarray, P: np.ndarray, live: np.ndarray) -> np.ndarray:
    """Parts (c, m, d) ≥ 0 with the same product for the same codes, the given ones last.

    There are others only where the codes are linearly dependent: P + N Y with H N = 0. Each feature
    goes by itself, so that one program makes a part as large, or as small, as it can be everywhere.
    """
    N = np.zeros((len(P), 0))
    if len(live):
        directions = null_space(H[:, live], rcond=DUST)
        N = np.zeros((len(P), directions.shape[1]))
        N[live] = directions
    found, seen = [P], np.flatnonzero(P.any(axis=0))
    if N.any():
        known = -kron(eye_array(len(seen)), N, format="csr")
        for aim in [*N[live], *-N[live]]:
            program = {"A_ub": known, "b_ub": P[:, seen].T.ravel(), "bounds": (-WEIGHT, WEIGHT)}
            best = linprog(np.tile(aim, len(seen)), **program)
            if best.success:
                parts = P.copy()
                parts[:, seen] += N @ best.x.reshape(len(seen), -1).T
                found.insert(0, np.maximum(parts, 0))
    return np.array(found)


def _replace(H: np.ndarray, P: np.ndarray, j: int, t: np.ndarray) -> None:
    """Put t P in the place of part j, in place, and the codes that keep the product."""
    others = np.arange(len(P)) != j
    code = H[:, j] / t[j]
    H[:, others] -= np.outer(code, t[others])
    part = np.maximum(t @ P, 0)
    size = np.linalg.norm(part)
    P[j], H[:, j] = part / size, code * size
    # A solver keeps its bounds up to a tolerance, and zeros have to stay zeros.
    H[:], P[:] = _without(H.T.clip(0), ROUNDING).T, _without(P, ROUNDING)


def _at_most(H: np.ndarray, P: np.ndarray) -> np.ndarray:
    """Of each part the largest sine of its angle with any factorization's; NaN without proof."""
    D = H @ P
    loss = float(EXACT * np.linalg.norm(D)) ** 2
    proofs = [*places_by_averages(D, H, P, loss), *places_by_enclosure(D, H, P, loss)]
    if not proofs:
        return np.full(len(P), np.nan)
    return np.sin(max(proofs, key=lambda places: places.least_mcc(P)).angles(P))
