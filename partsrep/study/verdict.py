"""Whether two methods find the same parts: their agreement against one's own from seed to seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state

from ..arguments import check_integer
from ..choices.objective import Objective
from ..choices.parts import Parts
from ..choices.problem import Problem
from ..estimators import NMF, restarts
from ..estimators.base import as_seeds, codes_of
from ..lazy import Lazy, matplotlib
from ..validation import check_estimator, check_matrix
from .compare import Fit
from .freedom import Freedom, freedom
from .matching import match, unit_rows
from .report import Report

# The rule, on scales where 0 is chance. Of the reference with itself, 1 being equal parts: so much.
# Of the other method with it, 1 being as much as with itself: so much.
# Of a part with one that can take its place at the same loss, 1 being equal: so much.
DETERMINED, AGREED, HELD = 0.5, 0.8, 0.95
figures = Lazy("partsrep.figures")
ROOM = 0.02  # between chance and the reference's own MCC, else there is nothing to measure
WORDS = {True: "agree", False: "disagree", None: "undetermined"}
MIXTURES = 20  # of each kind that says what chance is, for each fit of the reference
STARTS = 5  # of each fit, if it does not say itself how many


@dataclass(frozen=True, eq=False)
class Agreement:
    """How well the fits of two methods match each other, and those of one of them itself.

    Attributes
    ----------
    between : ndarray (S, S)
        MCC of each fit of a with each of b.
    within : ndarray (S, S)
        MCC between the fits of the reference; NaN on the diagonal.
    chance : float
        What the reference's parts match with no method at all: the larger of the mean MCC with as
        many random samples and with as many random convex mixtures of the parts themselves, scaled
        to norm 1. Parts without zeros are much alike, and so is all that is made of them.
    interval : (float, float)
        From 2.5 % to 97.5 % of the bootstrap distribution of mcc − seed_mcc.
    agreement_interval : (float, float)
        The same of `agreement`, at the chance that was found.
    """

    between: np.ndarray
    within: np.ndarray
    chance: float
    interval: tuple[float, float]
    agreement_interval: tuple[float, float]

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


@dataclass(frozen=True, eq=False, repr=False)
class Verdict(Report, Agreement):
    """The result of :func:`verdict`: the :class:`Agreement` of the best of several starts.

    Attributes
    ----------
    single : Agreement
        The same of one start each, which is what a user gets.
    freedom : Freedom or None
        Which parts of the reference's best fit others can replace at the same loss. None where
        that is not asked: it is for NMF without penalties and limits on the codes.
    reference : "a" or "b"
        The method that is held against itself: the NMF; a if both are or neither is.
    fits_a, fits_b : list of fitted estimators
    names : (str, str)
    """

    single: Agreement
    freedom: Freedom | None
    reference: str
    fits_a: list
    fits_b: list
    names: tuple[str, str]

    _format = "score"

    @property
    def mcc_single(self) -> float:
        """The `mcc` of one start each."""
        return self.single.mcc

    @property
    def seed_mcc_single(self) -> float:
        """The `seed_mcc` of one start each."""
        return self.single.seed_mcc

    @property
    def replaceable(self) -> np.ndarray:
        """Which parts (m,) of the reference's best fit another part can replace at the same loss,
        with a cosine that is below 0.95 of the way from chance to 1. These are open, whatever two
        starts say."""
        return replaceable(self.freedom, self.chance)

    @property
    def determined(self) -> bool:
        """Whether the reference agrees with itself clearly more than by chance, and none of its
        parts is replaceable."""
        return super().determined and not self.replaceable.any()

    @property
    def optimiser_decides(self) -> bool:
        """Whether one start each would have another verdict."""
        return self.determined and self.single.agree is not self.agree

    @property
    def reason(self) -> str:
        """The verdict in a sentence."""
        a, b = self.names
        own = a if self.reference == "a" else b
        low, high = self.agreement_interval
        if self.replaceable.any():
            return (
                f"undetermined: {self.replaceable.sum()} of {len(self.replaceable)} parts of {own} "
                "can be replaced by others at the same loss"
            )
        if not self.determined:
            return (
                f"undetermined: {own} does not agree with itself, its seed-to-seed MCC is "
                f"{self.seed_mcc:.2f}, where chance has {self.chance:.2f}"
            )
        reason = (
            f"{WORDS[self.agree]}: beyond chance, {a} and {b} match {self.agreement:z.2f} times as "
            f"well as seeds of {own} (95 % interval {low:z.2f} to {high:z.2f}; the bar is {AGREED})"
        )
        if self.optimiser_decides:
            reason += f"; from one start each: {WORDS[self.single.agree]}, so the optimiser decides"
        return reason

    _headline = reason

    def table(self) -> pd.DataFrame:
        """One row a quantity."""
        rows = {
            "agree": {True: "yes", False: "no", None: "undetermined"}[self.agree],
            "parts that others can replace": (
                "unknown" if self.freedom is None else int(self.replaceable.sum())
            ),
            "MCC between methods": self.mcc,
            "MCC from seed to seed": self.seed_mcc,
            "MCC by chance": self.chance,
            "difference": self.mcc - self.seed_mcc,
            "  2.5 %": self.interval[0],
            "  97.5 %": self.interval[1],
            "agreement, chance 0, seeds 1": self.agreement,
            "agreement, 2.5 %": self.agreement_interval[0],
            "agreement, 97.5 %": self.agreement_interval[1],
            "one start each: MCC between methods": self.mcc_single,
            "  MCC from seed to seed": self.seed_mcc_single,
            "  agreement": self.single.agreement,
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
    client: Any = None,
) -> Verdict:
    r"""Decide whether two methods find the same parts, as far as one of them finds its own again.

    Both are fitted with as many seeds, each the best of as many random starts, unless they have a
    `start`. The mean MCC between the methods, r, is held against that between fits of NMF, s, both
    above the chance c (:class:`Agreement`).

    * *Undetermined* while (s − c)/(1 − c) is under 0.5 or s − c at most 0.02: NMF does not agree
      with itself. So too if other parts give NMF's best fit the same loss (:class:`Verdict`,
      `replaceable`): then starts may agree, and the data leave the parts open all the same.
    * *Agree* if the agreement (r − c)/(s − c) is above 0.8 with 95 % confidence, *disagree* if it
      is below; undetermined in between.

    Best against best says what the models share. One start against one start is what a user gets,
    `single`; where its verdict is another one, the optimiser decides.

    That NMF finds its parts again from seed to seed is evidence, not proof, that the data determine
    them. The intervals are bootstrap ones. What is drawn again are the fits of each method, not
    their pairs, which share fits; a fit is never paired with itself.

    Parameters
    ----------
    D : array-like (n, d)
    a, b : NMF or SAE
        Not changed; of fitted ones the settings count. One with ``n_init=1`` and no `start` gets
        the best of five starts for each seed.
    seeds : int ≥ 2 or iterable of ints
        A number of seeds, or those of a; b gets as many others.
    draws : int
        Of the bootstrap.
    random_state : int, RandomState or None
        Of the bootstrap, and of the samples and mixtures that say what chance is.
    client : None or distributed.Client
        Its workers fit (:func:`partsrep.fit_all`).

    Raises
    ------
    ValueError
        Fewer than two seeds, or what the estimators say of bad data and settings.
    TypeError
        An a or b that is no estimator.

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
    for name, method in (("a", a), ("b", b)):
        check_estimator(name, method)
    D = check_matrix(D, "D")
    # Were two fits begun at the same point, they could agree for that.
    others = [seed + max(seeds) - min(seeds) + 1 for seed in seeds]
    fitted = partial(restarts, D=D, client=client)
    fits_a, fits_b = fitted(begun(a, STARTS), seeds=seeds), fitted(begun(b, STARTS), seeds=others)
    single_a = fitted(begun(a, 1), seeds=seeds) if _begins_at_random(a) else fits_a
    single_b = fitted(begun(b, 1), seeds=others) if _begins_at_random(b) else fits_b
    reference = "b" if isinstance(b, NMF) and not isinstance(a, NMF) else "a"
    own = fits_a if reference == "a" else fits_b
    rng = check_random_state(random_state)
    chance = chance_of([Fit(fit, D).live_parts for fit in own], D, rng)
    best, single = (
        compared(*fits, D, reference, chance, draws, rng)
        for fits in ((fits_a, fits_b), (single_a, single_b))
    )
    return Verdict(
        **vars(best),
        single=single,
        freedom=freedom_of(own, D),
        reference=reference,
        fits_a=fits_a,
        fits_b=fits_b,
        names=(type(a).__name__, type(b).__name__),
    )


def replaceable(freedom: Freedom | None, chance: float) -> np.ndarray:
    """Which parts others can replace that are clearly different; none if that is not known."""
    cosines = np.ones(0) if freedom is None else freedom.cosines
    return cosines - chance < HELD * (1 - chance)


def _begins_at_random(method: BaseEstimator) -> bool:
    """Whether it can keep the best of several random starts."""
    settings = method.get_params(deep=False)
    return "n_init" in settings and settings.get("start") is None


def begun(method: BaseEstimator, starts: int) -> BaseEstimator:
    """The method with one start, or with several unless it says itself how many."""
    method = clone(method)
    if _begins_at_random(method) and (starts == 1 or method.n_init == 1):
        method.set_params(n_init=starts)
    return method


def freedom_of(fits: list, D: np.ndarray) -> Freedom | None:
    """That of the best fit, if the product of its factors is all that the objective sees."""
    if not isinstance(fits[0], NMF):
        return None
    best = min(fits, key=lambda fit: fit.loss_)
    fit_to = Objective(best.problem_.objective.fit)
    if best.problem_ != Problem(Parts(nonnegative=True), objective=fit_to):
        return None
    return freedom(codes_of(best, D), best.components_)


def compared(
    fits_a: list,
    fits_b: list,
    D: np.ndarray,
    reference: str,
    chance: float,
    draws: int,
    rng: np.random.RandomState,
) -> Agreement:
    """The fits of two methods, and those of the reference, matched in all pairs."""
    parts_a, parts_b = ([Fit(fit, D).live_parts for fit in fits] for fits in (fits_a, fits_b))
    own = parts_a if reference == "a" else parts_b
    between, within = _matrix(parts_a, parts_b), _matrix(own, own)
    np.fill_diagonal(within, np.nan)
    means = _bootstrap(between, within, reference, draws, rng)
    intervals = _interval(means[0] - means[1]), _interval(_agreement(*means, chance))
    return Agreement(between, within, chance, *intervals)


def _matrix(parts: list[np.ndarray], others: list[np.ndarray]) -> np.ndarray:
    return np.array([[match(one, other).mcc for other in others] for one in parts])


def _agreement(mcc: Any, seed_mcc: Any, chance: float) -> np.ndarray:
    """Where between chance (0) and the reference with itself (1); NaN where these are the same."""
    room = np.asarray(seed_mcc) - chance
    return np.where(room > ROOM, (mcc - chance) / np.where(room > ROOM, room, 1), np.nan)


def chance_of(fits: list[np.ndarray], D: np.ndarray, rng: np.random.RandomState) -> float:
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
