"""Before an autoencoder is trained: will it find NMF's parts, and how much more will it lose?"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from ..arguments import check_integer
from ..choices.inference import Layer
from ..choices.parts import Parts
from ..choices.problem import Problem
from ..estimators import NMF, SAE, from_problem, restarts
from ..estimators.base import as_seeds, codes_of
from ..lazy import Lazy, matplotlib
from ..leastsquares import data_norm
from ..validation import check_matrix
from .compare import ACTIVE, Fit
from .conditions import certificate, encodability
from .first_order import displacement
from .matching import match
from .report import Report
from .verdict import (
    STARTS,
    WORDS,
    Agreement,
    begun,
    chance_of,
    compared,
    freedom_of,
    replaceable,
)

figures = Lazy("partsrep.figures")
WORK = 6e7  # samples · features · parts that are looked at: of more samples some are drawn
SEMI = 100  # iterations of semi-NMF
EPOCHS = 150  # of each autoencoder that is begun at NMF's parts
# Of the logistic function, fitted to 164 verdicts on generated problems: a verdict is as likely
# to be *agree* as *disagree* at this agreement, and in this width it turns.
CENTRE, WIDTH = 0.83, 0.035
SURE = 0.98  # no probability is above it, or below 1 − it
EXCESS = 1 / 3, 0.002  # how far the excess loss may be off: as a share of itself, and at least
ENCODABLE = 1e-3  # a margin below it is none
EXACT = 1e-5  # of ‖D‖²: an NMF with a smaller loss leaves nothing to compare with
REASONS = {
    "none": "an autoencoder that is begun at NMF's parts keeps them",
    "signs": "where signs are free, other parts are as good",
    "uniqueness": "NMF does not find its own parts again, or others have the same loss",
    "samples": "there are as many parts as samples",
    "optimiser": "NMF's fits end at different losses",
    "encodability": "parts that are active together are not independent, and one layer moves them",
    "noise": "one layer adds the noise of its codes, and that moves the parts",
    "encoder": "this encoder moves the parts",
    "selection": "with so few active codes the parts move",
    "output": "the output or the penalties move the parts",
}
SAME = 0.01  # losses of fits that differ by less are those of one optimum, or of equal ones


@dataclass(frozen=True)
class Step:
    """An autoencoder that is begun at NMF's parts, one choice away from the one before.

    Attributes
    ----------
    mcc : float
        Of its parts with those of NMF's fits, in the mean.
    agreement : float
        The same from chance, 0, to what NMF's fits have with each other, 1.
    gap : float
        Its loss minus NMF's, relative to ‖D‖².
    excess : float
        Its loss over NMF's, minus 1; NaN where NMF is exact.
    """

    mcc: float
    agreement: float
    gap: float
    excess: float


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(Report):
    """What :func:`predict` says before an autoencoder is trained.

    Attributes
    ----------
    agree : bool or None
        What :func:`partsrep.verdict` will say; None: undetermined.
    probability : float
        That it says *agree*, given that it says *agree* or *disagree*.
    excess : (float, float)
        Where the loss of the best autoencoder over that of the best NMF, minus 1, is expected; NaN
        where NMF is exact, so that there is nothing to compare with.
    certified_mcc : float or None
        The `mcc` of :func:`partsrep.certificate`: proved, not foretold.
    deciding_condition : str
        What the answer hangs on: signs, uniqueness, encodability, noise, selection, encoder,
        output, samples or optimiser; none where the methods are expected to agree.
    own : Agreement
        Of NMF's fits with each other.
    steps : dict of Step
        From NMF to the autoencoder, by the condition that each step asks for.
    evidence : dict
        What else was computed, by name. What is not known is not there, such as the first-order
        displacement where claim T17 does not hold.
    nmf : NMF
        The best fit.
    n_samples : int
        How many samples were looked at.
    """

    agree: bool | None
    probability: float
    excess: tuple[float, float]
    certified_mcc: float | None
    deciding_condition: str
    own: Agreement
    steps: dict[str, Step]
    evidence: dict[str, float | int]
    nmf: NMF
    n_samples: int

    @property
    def reason(self) -> str:
        """The prediction in a sentence."""
        why = REASONS[self.deciding_condition]
        return f"{WORDS[self.agree]}, probability of agree {self.probability:.2f}: {why}"

    _headline = reason

    def table(self) -> pd.DataFrame:
        """One row a quantity."""
        rows = {
            "agree": {True: "yes", False: "no", None: "undetermined"}[self.agree],
            "probability": self.probability,
            "deciding condition": self.deciding_condition,
            "excess loss, from": self.excess[0],
            "  to": self.excess[1],
            "certified MCC": "nothing proved" if self.certified_mcc is None else self.certified_mcc,
            "MCC from seed to seed": self.own.seed_mcc,
            "MCC by chance": self.own.chance,
            **self.evidence,
        }
        for condition, step in self.steps.items():
            rows[f"{condition}: agreement"] = step.agreement
            rows[f"{condition}: excess loss"] = step.excess
        return pd.DataFrame({"prediction": rows}, dtype=object)

    def plot(self) -> matplotlib.figure.Figure:
        """What each choice on the way from NMF to the autoencoder costs, in loss and in parts."""
        steps = self.steps.values()
        gaps = {"loss above NMF's": [0.0, *(step.gap for step in steps)]}
        mcc = [self.own.seed_mcc, *(step.mcc for step in steps)]
        return figures.walk(["NMF", *self.steps], gaps, mcc)


def predict(
    D: Any,
    n_components: int,
    sae: SAE | None = None,
    seeds: int | Iterable[int] = 5,
    *,
    random_state: Any = 0,
) -> Prediction:
    r"""Foretell :func:`partsrep.verdict` of NMF and an autoencoder, from NMF.

    NMF is fitted with a few seeds, each the best of five random starts, as `verdict` does.

    * *Undetermined* if these do not agree with each other, or if other parts have the same loss.
    * Else autoencoders are begun *at NMF's parts*, where the optimum nearest to NMF is soon found:
      one layer first, then one choice of `sae` after the other, and at last `sae` itself. How far
      its parts have moved, on the scale of `verdict`, and its loss are what is foretold. No
      autoencoder is trained from a start of its own.
    * A free decoder without a limit on the codes turns its parts at no loss (claim T2): *disagree*.
    * Of data with negative entries the rule knows nothing: *undetermined*.

    The probability is a logistic function of the agreement, fitted to generated problems, as the
    width of the interval of the excess loss is; a page of the book holds both against others.
    Nothing of this is proved, but `certified_mcc`, which :func:`partsrep.certificate` has of the
    samples that are looked at.

    Parameters
    ----------
    D : array-like (n, d)
        With negative entries, semi-NMF takes NMF's place.
    n_components : int
    sae : SAE or None
        Not changed. None: ReLU and a nonnegative decoder, or a free one for data with signs.
    seeds : int ≥ 2 or iterable of ints
        Of NMF.
    random_state : int, RandomState or None
        Of what is drawn: of large data, samples until n · d · m is 6·10⁷, `n_samples` says how
        many; and the mixtures that say what chance is.

    Raises
    ------
    ValueError
        Another number of parts in `sae`, or what the estimators say of bad data and settings.
    TypeError
        Another model in its place.

    Examples
    --------
    >>> from partsrep import datasets
    >>> foretold = predict(datasets.load("planted", n_samples=100, n_parts=4).D, 4)
    >>> foretold.agree, foretold.deciding_condition
    (True, 'none')

    >>> from partsrep import SAE
    >>> foretold = predict(datasets.load("planted", n_samples=100, n_parts=4).D, 4, SAE())
    >>> foretold.agree, foretold.deciding_condition
    (False, 'signs')
    """
    seeds = as_seeds(seeds, least=2)
    rng = check_random_state(random_state)
    m = check_integer("n_components", n_components)
    D = _drawn(check_matrix(D, "D"), m, rng)
    signs = bool((D < 0).any())
    allowed = Parts(nonnegative=not signs)
    sae = SAE(decoder=allowed) if sae is None else sae
    if not isinstance(sae, SAE):
        raise TypeError(f"sae must be an SAE, such as SAE(); got a {type(sae).__name__}.")
    if sae.n_components not in (None, "auto", m):
        raise ValueError(
            f"sae has n_components={sae.n_components!r}, but {m} parts are asked for: give it the "
            'same number, or "auto".'
        )
    sae = clone(sae).set_params(n_components=m)
    fits = restarts(begun(reference(m, signs), STARTS), D, seeds)
    best = min(fits, key=lambda fit: fit.loss_)
    chance = chance_of([Fit(fit, D).live_parts for fit in fits], D, rng)
    own = compared(fits, fits, D, "a", chance, 1, rng)
    others = replaceable(freedom_of(fits, D), chance)
    codes = Fit(best, D).active(ACTIVE)
    margin = encodability(best.components_.T, codes).margin
    proved = None if signs else certificate(best, D, max_epochs=EPOCHS)
    first = "noise" if margin.min() > ENCODABLE else "encodability"
    steps = {name: _step(model, best, fits, own, D) for name, model in _way(sae, first, allowed)}

    foretold = list(steps.values())[-1]
    probability = 1 - SURE if turns(sae.problem) else _probability(foretold.agreement)
    energy = data_norm(D) ** 2 or 1.0
    if signs:  # the rule was fitted to data without any
        agree, probability, condition = None, 0.5, "signs"
    elif not own.determined or others.any():
        spread = max(fit.loss_ for fit in fits) - best.loss_
        far = spread > SAME * max(best.loss_, EXACT * energy) and not others.any()
        agree = None
        condition = "samples" if len(D) <= m else "optimiser" if far else "uniqueness"
    else:
        agree, condition = probability > 0.5, "none"
        if not agree:  # the first step that leaves NMF's parts, or a decoder that may turn them
            left = [name for name, step in steps.items() if step.agreement <= CENTRE]
            condition = left[0] if left else "signs"
    evidence = {
        "parts that others can replace": int(others.sum()),
        "least margin": float(margin.min()),
        "median noise amplification": float(1 / max(np.median(margin), ENCODABLE)),
        "active parts a sample": float(codes.sum(axis=1).mean()),
        "first-order displacement of a part": (
            None if signs else displacement(codes_of(best, D), best.components_, D)
        ),
        "at most active": sae.problem.most_active,
        "samples / features": len(D) / D.shape[1],
        "NMF's loss / ‖D‖²": best.loss_ / energy,
        "certified excess / ‖D‖², at most": proved and proved.upper / energy,
    }
    return Prediction(
        agree=agree,
        probability=probability,
        excess=_interval(foretold.excess),
        certified_mcc=proved and proved.mcc,
        deciding_condition=condition,
        own=own,
        steps=steps,
        evidence={name: value for name, value in evidence.items() if value is not None},
        nmf=best,
        n_samples=len(D),
    )


def reference(m: int, signs: bool) -> NMF:
    """NMF; for data with signs semi-NMF, in few iterations: it creeps among parts of equal loss,
    which are no more telling for being exact."""
    return NMF(m, parts=Parts(), tol=1e-3, max_iter=SEMI) if signs else NMF(m)


def _drawn(D: np.ndarray, m: int, rng: np.random.RandomState) -> np.ndarray:
    """The samples that are looked at: all, or as many of them as `WORK` allows."""
    most = max(int(WORK / (D.shape[1] * m)), 10 * m)
    if len(D) <= most:
        return D
    return D[np.sort(rng.choice(len(D), most, replace=False))]


def _way(sae: SAE, first: str, allowed: Parts) -> Iterator[tuple[str, SAE]]:
    """From one layer on NMF's problem to `sae`, each by the condition that its choice asks for."""
    problem, m = Problem(allowed, inference=Layer()), sae.n_components
    for condition, change in {
        first: {},
        "encoder": {"inference": sae.problem.inference},
        "selection": {"codes": sae.problem.codes},
        "signs": {"parts": sae.problem.parts},
        "output": {"objective": sae.problem.objective},
    }.items():
        last, problem = problem, replace(problem, **change)
        if problem == sae.problem:
            yield condition, sae
            return
        if problem != last or not change:
            with suppress(ValueError):  # what lies on the way need not be a problem that is solved
                yield condition, from_problem(problem, m)


def _step(model: SAE, nmf: NMF, fits: list, own: Agreement, D: np.ndarray) -> Step:
    """The autoencoder of this kind that is found from NMF's parts, against the fits of NMF."""
    epochs = min(model.max_epochs, EPOCHS)
    with warnings.catch_warnings():  # it may end before it has converged
        warnings.simplefilter("ignore", ConvergenceWarning)
        near = clone(model).set_params(start=nmf, n_init=1, max_epochs=epochs).fit(D)
    parts = Fit(near, D).live_parts
    between = np.array([[match(fit.components_, parts).mcc for fit in fits]])
    moved = replace(own, between=between)
    gap, energy = near.loss_ - nmf.loss_, data_norm(D) ** 2 or 1.0
    excess = gap / nmf.loss_ if nmf.loss_ > EXACT * energy else np.nan
    return Step(moved.mcc, moved.agreement, gap / energy, excess)


def turns(problem: Problem) -> bool:
    """Whether the parts can be turned, and the encoder back, without a loss (claim T2)."""
    free = Parts(unit=problem.parts.unit, offset=problem.parts.offset)
    layer = Layer(bias=problem.inference.bias)
    return problem == Problem(free, inference=layer)


def _probability(agreement: float) -> float:
    """That a verdict is *agree*, if the nearest autoencoder has this agreement."""
    if np.isnan(agreement):
        return 0.5
    return float(np.clip(expit((agreement - CENTRE) / WIDTH), 1 - SURE, SURE))


def _interval(excess: float) -> tuple[float, float]:
    """Around what the nearest autoencoder has."""
    share, least = EXCESS
    off = max(share * abs(excess), least)
    return excess - off, excess + off
