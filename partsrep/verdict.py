"""Whether two methods find the same parts: their agreement against one's own from seed to seed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state

from . import figures
from .compare import Fit
from .estimators import NMF, restarts
from .estimators.base import as_seeds
from .matching import match
from .validation import check_integer, check_matrix

# The rule: NMF must agree with itself so far; and so much less with the other method is the same.
DETERMINED, MARGIN = 0.8, 0.05
STARTS = 5  # of each fit of NMF, if it does not say itself how many


@dataclass(frozen=True, eq=False)
class Verdict:
    """The result of :func:`verdict`.

    Attributes
    ----------
    agree : True, False or None
        None: undetermined.
    mcc : float
        Mean MCC between the methods, over all pairs of their fits.
    seed_mcc : float
        Mean MCC between two fits of the reference, over all pairs.
    interval : (float, float)
        From 2.5 % to 97.5 % of the bootstrap distribution of mcc − seed_mcc.
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
    between: np.ndarray
    within: np.ndarray
    reference: str
    fits_a: list
    fits_b: list
    names: tuple[str, str]

    @property
    def mcc(self) -> float:
        return float(self.between.mean())

    @property
    def seed_mcc(self) -> float:
        return float(np.nanmean(self.within))

    @property
    def agree(self) -> bool | None:
        if self.seed_mcc < DETERMINED:
            return None
        low, high = self.interval
        return True if low > -MARGIN else False if high < -MARGIN else None

    @property
    def reason(self) -> str:
        """The verdict in a sentence."""
        a, b = self.names
        own = a if self.reference == "a" else b
        low, high = self.interval
        if self.seed_mcc < DETERMINED:
            return (
                f"undetermined: {own} does not agree with itself, its seed-to-seed MCC is "
                f"{self.seed_mcc:.2f}, below {DETERMINED}"
            )
        word = {True: "agree", False: "disagree", None: "undetermined"}[self.agree]
        return (
            f"{word}: the MCC between {a} and {b} minus that between seeds of {own} is "
            f"{self.mcc - self.seed_mcc:+.3f}, 95 % interval [{low:+.3f}, {high:+.3f}] against "
            f"−{MARGIN}"
        )

    def table(self) -> pd.DataFrame:
        """One row a quantity."""
        rows = {
            "agree": {True: "yes", False: "no", None: "undetermined"}[self.agree],
            "MCC between methods": self.mcc,
            "MCC from seed to seed": self.seed_mcc,
            "difference": self.mcc - self.seed_mcc,
            "  2.5 %": self.interval[0],
            "  97.5 %": self.interval[1],
            "seeds": len(self.between),
        }
        return pd.DataFrame({"verdict": rows}, dtype=object)

    def plot(self) -> Figure:
        """The MCCs between the methods beside those from seed to seed."""
        return figures.seeds(
            self.between.ravel(), self.within[np.triu_indices_from(self.within, 1)]
        )

    def _repr_html_(self) -> str:
        return f"<p>{self.reason}</p>{self._text().to_html()}"

    def __repr__(self) -> str:
        return f"{self.reason}\n{self._text()}"

    def _text(self) -> pd.DataFrame:
        return self.table().map(lambda entry: f"{entry:.3f}" if isinstance(entry, float) else entry)


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
    between the methods is held against that between fits of NMF: undetermined while NMF's own is
    under 0.8; agree if the difference is above −0.05 with 95 % confidence, disagree if it is below.

    The interval is a bootstrap one. What is drawn again are the fits of each method, not their
    pairs, which share fits; a fit is never paired with itself.

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
        Of the bootstrap.

    Returns
    -------
    Verdict

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
    differences = _bootstrap(between, within, reference, draws, check_random_state(random_state))
    low, high = np.nanpercentile(differences, [2.5, 97.5])
    names = type(a).__name__, type(b).__name__
    return Verdict((float(low), float(high)), between, within, reference, fits_a, fits_b, names)


def _several(estimator: BaseEstimator) -> BaseEstimator:
    """An NMF that keeps the best of several starts."""
    several = clone(estimator)
    if isinstance(several, NMF) and several.n_init == 1 and several.start is None:
        several.set_params(n_init=STARTS)
    return several


def _matrix(parts: list[np.ndarray], others: list[np.ndarray]) -> np.ndarray:
    return np.array([[match(one, other).mcc for other in others] for one in parts])


def _bootstrap(
    between: np.ndarray, within: np.ndarray, reference: str, draws: int, rng: np.random.RandomState
) -> np.ndarray:
    """Differences of the means (draws,), NaN where one fit of the reference was drawn alone."""
    S = len(between)
    # How often each fit was drawn.
    a, b = (rng.multinomial(S, np.full(S, 1 / S), size=draws).astype(float) for _ in range(2))
    own = a if reference == "a" else b
    mean_between = np.einsum("ri,ij,rj->r", a, between, b) / S**2
    pairs = S**2 - np.sum(own**2, axis=1)
    sums = np.einsum("ri,ij,rj->r", own, np.nan_to_num(within), own)
    mean_within = np.divide(sums, pairs, out=np.full(draws, np.nan), where=pairs > 0)
    return mean_between - mean_within
