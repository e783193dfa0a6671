"""Whether two methods find the same parts: their agreement against one's own from seed to seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state

from ..estimators import NMF, restarts
from ..estimators.base import as_seeds
from ..lazy import Lazy, matplotlib
from ..validation import check_integer, check_matrix
from .compare import Fit
from .matching import match, unit_rows
from .report import Report

# The rule, on scales where 0 is chance. Of the reference with itself, 1 being equal parts: so much.
# Of the other method with it, 1 being as much as with itself: so much.
DETERMINED, AGREED = 0.5, 0.8
figures = Lazy("partsrep.figures")
ROOM = 0.02  # between chance and the reference's own MCC, else there is nothing to measure
MIXTURES = 20  # of each kind that says what chance is, for each fit of the reference
STARTS = 5  # of each fit of NMF, if it does not say itself how many


@dataclass(frozen=True, eq=False, repr=False)
class Verdict(Report):
    """The result of :func:`verdict`.

    Attributes
    ----------
    chance : float
        What the reference's parts match with no method at all: the larger of the mean MCC with as
        many random samples and with as many random convex mixtures of the parts themselves, scaled
        to norm 1. Parts without zeros are much alike, and so is all that is made of them.
    interval : (float, float)
        From 2.5 % to 97.5 % of the bootstrap distribution of mcc − seed_mcc.
    agreement_interval : (float, float)
        The same of `agreement`, at the chance that was found.
    between : ndarray (S, S)
        MCC of each fit of a with each of b.
    within : ndarray (S, S)
        MCC between the fits of the reference; NaN on the diagonal.
    reference : "a" or "b"
        The method that is held against itself: the NMF; a if both are or neither is.
    fits_a, fits_b : list of fitted estimators
    names : (str, str)
    """

    interval: tuple[float, float]
    agreement_interval: tuple[float, float]
    chance: float
    between: np.ndarray
    within: np.ndarray
    reference: str
    fits_a: list
    fits_b: list
    names: tuple[str, str]

    _format = "score"

    @property
    def mcc(self) -> float:
        """Mean MCC between the methods, over all pairs of their fits."""
        return float(self.between.mean())

    @property
    def seed_mcc(self) -> float:
        """Mean MCC between two fits of the reference, over all pairs."""
        return float(np.nanmean(self.within))

    @property
    def agreement(self) -> float:
        """(mcc − chance) / (seed_mcc − chance): 0 is chance, 1 as much as the reference has with
        itself. NaN where the denominator is at most 0.02."""
        return float(_agreement(self.mcc, self.seed_mcc, self.chance))

    @property
    def determined(self) -> bool:
        """Whether the reference agrees with itself clearly more than by chance."""
        own = self.seed_mcc - self.chance
        return own > ROOM and own >= DETERMINED * (1 - self.chance)

    @property
    def agree(self) -> bool | None:
        """None: undetermined."""
        low, high = self.agreement_interval
        if not self.determined or low <= AGREED <= high:
            return None
        return low > AGREED

    @property
    def reason(self) -> str:
        """The verdict in a sentence."""
        a, b = self.names
        own = a if self.reference == "a" else b
        low, high = self.agreement_interval
        if not self.determined:
            return (
                f"undetermined: {own} does not agree with itself, its seed-to-seed MCC is "
                f"{self.seed_mcc:.2f}, where chance has {self.chance:.2f}"
            )
        word = {True: "agree", False: "disagree", None: "undetermined"}[self.agree]
        return (
            f"{word}: of the MCC between seeds of {own}, as far as it is above chance, that "
            f"between {a} and {b} has {self.agreement:z.2f}, 95 % interval "
            f"[{low:z.2f}, {high:z.2f}] against {AGREED}"
        )

    _headline = reason

    def table(self) -> pd.DataFrame:
        """One row a quantity."""
        rows = {
            "agree": {True: "yes", False: "no", None: "undetermined"}[self.agree],
            "MCC between methods": self.mcc,
            "MCC from seed to seed": self.seed_mcc,
            "MCC by chance": self.chance,
            "difference": self.mcc - self.seed_mcc,
            "  2.5 %": self.interval[0],
            "  97.5 %": self.interval[1],
            "agreement, chance 0, seeds 1": self.agreement,
            "agreement, 2.5 %": self.agreement_interval[0],
            "agreement, 97.5 %": self.agreement_interval[1],
            "seeds": len(self.between),
        }
        return pd.DataFrame({"verdict": rows}, dtype=object)

    def plot(self) -> matplotlib.figure.Figure:
        """The MCCs between the methods beside those from seed to seed."""
        within = self.within[np.triu_indices_from(self.within, 1)]
        return figures.seeds(self.between.ravel(), within)


def verdict(
    D: Any,
    a: BaseEstimator,
    b: BaseEstimator,
    seeds: int | Iterable[int] = 10,
    *,
    draws: int = 2000,
    random_state: Any = 0,
) -> Verdict:
    r"""Decide whether two methods find the same parts, as far as one of them finds its own again.

    Both are fitted with as many seeds, from random starts unless they have a `start`. The mean MCC
    between the methods, r, is held against that between fits of NMF, s, both above the chance c
    (:class:`Verdict`): undetermined while (s − c)/(1 − c) is under 0.5, or s − c at most 0.02;
    agree if the agreement (r − c)/(s − c) is above 0.8 with 95 % confidence, disagree if it is
    below.

    That NMF finds its parts again from seed to seed is evidence, not proof, that the data determine
    them. The intervals are bootstrap ones. What is drawn again are the fits of each method, not
    their pairs, which share fits; a fit is never paired with itself.

    Parameters
    ----------
    D : array-like (n, d)
    a, b : NMF or SAE
        Not changed; of fitted ones the settings count. An NMF with ``n_init=1`` and no `start` gets
        the best of five starts for each seed, as the rule wants. An SAE begins with the best of
        several short solutions anyway; set its `n_init` for more.
    seeds : int ≥ 2 or iterable of ints
        A number of seeds, or those of a; b gets as many others.
    draws : int
        Of the bootstrap.
    random_state : int, RandomState or None
        Of the bootstrap, and of the samples and mixtures that say what chance is.

    Raises
    ------
    ValueError
        Fewer than two seeds, or what the estimators say of bad data and settings.

    Examples
    --------
    >>> from partsrep import NMF, SAE, datasets
    >>> D = datasets.load("planted", n_samples=100, n_parts=4).D
    >>> verdict(D, NMF(4), SAE(4, decoder="nonnegative", max_epochs=50), seeds=3).agree
    True
    """
    seeds = as_seeds(seeds, least=2)
    if len(set(seeds)) < max(len(seeds), 2):
        raise ValueError(f"seeds must be at least two different ones; got {seeds}.")
    draws = check_integer("draws", draws)
    D = check_matrix(D, "D")
    # Were two fits begun at the same point, they could agree for that.
    others = [seed + max(seeds) - min(seeds) + 1 for seed in seeds]
    fits_a, fits_b = restarts(_several(a), D, seeds), restarts(_several(b), D, others)
    parts_a, parts_b = ([Fit(fit, D).live_parts for fit in fits] for fits in (fits_a, fits_b))
    reference = "b" if isinstance(b, NMF) and not isinstance(a, NMF) else "a"
    between = _matrix(parts_a, parts_b)
    own = parts_a if reference == "a" else parts_b
    within = _matrix(own, own)
    np.fill_diagonal(within, np.nan)
    rng = check_random_state(random_state)
    means = _bootstrap(between, within, reference, draws, rng)
    chance = _chance(own, D, rng)
    intervals = _interval(means[0] - means[1]), _interval(_agreement(*means, chance))
    names = type(a).__name__, type(b).__name__
    return Verdict(*intervals, chance, between, within, reference, fits_a, fits_b, names)


def _several(estimator: BaseEstimator) -> BaseEstimator:
    """An NMF that keeps the best of several starts."""
    several = clone(estimator)
    if isinstance(several, NMF) and several.n_init == 1 and several.start is None:
        several.set_params(n_init=STARTS)
    return several


def _matrix(parts: list[np.ndarray], others: list[np.ndarray]) -> np.ndarray:
    return np.array([[match(one, other).mcc for other in others] for one in parts])


def _agreement(mcc: Any, seed_mcc: Any, chance: float) -> np.ndarray:
    """Where between chance (0) and the reference with itself (1); NaN where these are the same."""
    room = np.asarray(seed_mcc) - chance
    return np.where(room > ROOM, (mcc - chance) / np.where(room > ROOM, room, 1), np.nan)


def _chance(fits: list[np.ndarray], D: np.ndarray, rng: np.random.RandomState) -> float:
    """The larger mean MCC of fits' parts with random samples and with mixtures of their own."""
    samples, mixtures = [], []
    for parts in fits:
        m = len(parts)
        for _ in range(MIXTURES):
            samples.append(match(parts, D[rng.choice(len(D), m, replace=len(D) < m)]).mcc)
            mixtures.append(match(parts, rng.dirichlet(np.ones(m), m) @ unit_rows(parts)).mcc)
    return float(max(np.mean(samples), np.mean(mixtures)))


def _interval(draws: np.ndarray) -> tuple[float, float]:
    """From 2.5 % to 97.5 %; NaN if all draws are."""
    known = draws[~np.isnan(draws)]
    return tuple(np.percentile(known, [2.5, 97.5]).tolist()) if len(known) else (np.nan, np.nan)


def _bootstrap(
    between: np.ndarray, within: np.ndarray, reference: str, draws: int, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Means between and within (draws,), the second NaN where one fit was drawn alone."""
    S = len(between)
    # How often each fit was drawn.
    a, b = (rng.multinomial(S, np.full(S, 1 / S), size=draws).astype(float) for _ in range(2))
    own = a if reference == "a" else b
    mean_between = np.einsum("ri,ij,rj->r", a, between, b) / S**2
    pairs = S**2 - np.sum(own**2, axis=1)
    sums = np.einsum("ri,ij,rj->r", own, np.nan_to_num(within), own)
    mean_within = np.divide(sums, pairs, out=np.full(draws, np.nan), where=pairs > 0)
    return mean_between, mean_within
