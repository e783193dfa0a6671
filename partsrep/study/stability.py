"""Which parts come again in other fits, and whether the rest at least span the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import subspace_angles
from sklearn.utils import check_random_state

from ..validation import check_fits
from .matching import match, unit_rows
from .report import Report

AGAIN = 0.8  # from a part's chance, 0, to the same part, 1: as near the part counts as found again
SAME = 1e-3  # a cosine so near 1 is the same part, even where mixtures come as near
MIXTURES = 50  # that say what chance is


@dataclass(frozen=True, eq=False, repr=False)
class Stability(Report):
    """The result of :func:`stability`.

    Attributes
    ----------
    reappears : ndarray (m,)
        Of each part of the first fit the share of the other fits in which it is found again.
    subspace : float
        The parts that are not found again, in a fit, and those matched with them: mean squared
        cosine of the principal angles between what they span, over fits that miss some. 1: the
        same subspace. NaN where none are missed.
    chance : ndarray (m,)
        The mean cosine of each part with its match among random mixtures of the parts.
    cosines : ndarray (S, m)
        With its match in each of the other fits; 0 where it has none.
    """

    reappears: np.ndarray
    subspace: float
    chance: np.ndarray
    cosines: np.ndarray

    _format = "score"

    def table(self) -> pd.DataFrame:
        """One row a part."""
        columns = {
            "reappears": self.reappears,
            "mean cosine": self.cosines.mean(axis=0),
            "by chance": self.chance,
        }
        return pd.DataFrame(columns).rename_axis("part")

    @property
    def _headline(self) -> str:
        rest = "" if np.isnan(self.subspace) else f"; the rest share {self.subspace:.2f} of a span"
        return f"Stability: parts reappear in {self.reappears.mean():.0%} of fits{rest}"


def stability(
    fits: Sequence[Any], others: Sequence[Any] | None = None, *, random_state: Any = 0
) -> Stability:
    """Ask part by part whether the parts of one fit are found again by others.

    The parts of the first of `fits` are matched with those of each other fit. One with the cosine r
    is found again if (r − c)/(1 − c) is at least 0.8, or r 0.999, where c is the mean cosine of the
    same part with its match among as many random convex mixtures of the parts of norm 1. What is
    not found again may be the same parts in other coordinates: `subspace` compares what they span.

    Parameters
    ----------
    fits : sequence of fitted models
        Of one method, from starts of their own, such as :func:`partsrep.restarts` returns.
    others : sequence of fitted models or None
        Where to look for the first fit's parts: in fits of another method. None: in the rest of
        `fits`.
    random_state : int, RandomState or None
        Of the mixtures.

    Raises
    ------
    ValueError
        No other fit, fits to data with other features, or what is no list of fitted models.

    Examples
    --------
    >>> from partsrep import NMF, datasets, restarts
    >>> D = datasets.load("planted", n_samples=100, n_parts=4).D
    >>> stability(restarts(NMF(4, max_iter=2000), D, 3)).reappears
    array([1., 1., 1., 1.])
    """
    fits = check_fits("fits", fits)
    rest = fits[1:] if others is None else check_fits("others", others)
    if not fits or not rest:
        raise ValueError(
            "stability compares fits: give at least two, such as restarts(NMF(m), D, 5)."
        )
    first, rng = fits[0], check_random_state(random_state)
    parts = unit_rows(np.asarray(first.components_, float))
    m = len(parts)
    mixed = [rng.dirichlet(np.ones(m), m) @ parts for _ in range(MIXTURES)]
    chance = np.mean([_cosines(parts, mixture)[0] for mixture in mixed], axis=0)
    found = [_cosines(parts, fit.components_) for fit in rest]
    cosines = np.array([cosines for cosines, _ in found])
    again = 1 - cosines <= np.maximum((1 - AGAIN) * (1 - chance), SAME)
    shared = [
        np.mean(np.cos(subspace_angles(parts[missed].T, partners[missed].T)) ** 2)
        for missed, (_, partners) in zip(~again, found, strict=True)
        if partners[missed].any()
    ]
    subspace = float(np.mean(shared)) if shared else np.nan
    return Stability(again.mean(axis=0), subspace, chance, cosines)


def _cosines(parts: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each part (m,) the cosine with its match, and the match (m, d), 0 where it has none."""
    matching = match(parts, others)
    cosines, partners = np.zeros(len(parts)), np.zeros(parts.shape)
    own, other = matching.pairs.T
    cosines[own], partners[own] = matching.cosines, unit_rows(others[other])
    return cosines, partners
