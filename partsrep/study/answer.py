"""The answer for a matrix of one's own: is it in order, which method to use on it, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy import sparse

from ..choices.codes import TopK
from ..estimators import NMF, SAE
from ..leastsquares import data_norm
from ..validation import check_matrix, extremes
from .compare import Fit
from .matching import match
from .prediction import CENTRE, EXACT, REASONS, Prediction, reference, turns
from .verdict import AGREED, DETERMINED, HELD, ROOM, Verdict

WORK = 4e6  # samples · features · parts that are looked at, of more samples some are drawn ...
ENTRIES = 4e6  # ... but two samples a feature, up to so many samples · features
ROWS = 10_000  # samples that are looked at, at most: more would not tell more
SEARCHED = 2e5  # samples · features that the number of parts is chosen by; at least 100 samples
LARGE = 5e6  # samples · features · parts above which an autoencoder is trained the shorter way
BETTER = 0.01  # an autoencoder that loses less by this share loses less
DECODERS = ("nonnegative", "free")


@dataclass(frozen=True)
class Answer:
    """Which method to use, and what that rests on: the result of :func:`answer`.

    Attributes
    ----------
    recommendation : "nmf", "sae", "either" or "nobody-can-tell"
    agree : bool or None
        The verdict; None, undetermined, also for semi-NMF of more than one part.
    excess : float or None
        The least loss of the autoencoders over that of the NMFs, minus 1; None where NMF is exact.
    predicted_excess : (float, float) or (None, None)
        What was expected of it.
    deciding_condition : str
        What the verdict hangs on; "none" where the methods agree.
    reasons : list of str
        Sentences.
    """

    recommendation: str
    agree: bool | None
    excess: float | None
    predicted_excess: tuple[float | None, float | None]
    deciding_condition: str
    reasons: list[str]


def described(
    D: Any, features: Sequence[str] | None = None, samples: Sequence[str] | None = None
) -> dict[str, int | float]:
    """Check a matrix (n, d), dense or sparse, and describe it in a few numbers.

    Raises
    ------
    ValueError
        An entry that is no finite number, by row and column counted from 1 and their names; fewer
        than two samples or features; no entry but 0.

    Examples
    --------
    >>> described(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]))["zeros"]
    0.5
    """
    n, d = D.shape
    values = D.data if sparse.issparse(D) else D
    if not np.isfinite(values).all():
        if sparse.issparse(D):
            coordinates = D.tocoo()
            wrong = np.flatnonzero(~np.isfinite(coordinates.data))
            i, j = coordinates.row[wrong[0]], coordinates.col[wrong[0]]
        else:
            wrong = np.argwhere(~np.isfinite(D))
            i, j = wrong[0]
        row, column = (
            f"{what} {place + 1}{f' ({str(names[place])!r})' if names is not None else ''}"
            for what, place, names in (("row", i, samples), ("column", j, features))
        )
        more = f", as {len(wrong) - 1} other entries" if len(wrong) > 1 else ""
        raise ValueError(
            f"{row}, {column} is {D[i, j]}{more}: no finite number. Fill it in, or drop its row; "
            "NMF alone takes it as missing, by fit(X, mask=...)."
        )
    if n < 2 or d < 2:
        raise ValueError(
            f"The matrix is {n} x {d}, with samples as rows: from one "
            f"{'sample' if n < 2 else 'feature'} no parts can be told. At least two of each are "
            f"needed{'; if the samples are columns, transpose it' if n < 2 < d else ''}."
        )
    low, high = extremes(D)
    if low == high == 0 or not values.any():
        raise ValueError("All entries are 0: there is nothing to find parts in.")
    filled = D.astype(bool)
    by_row, by_column = (np.asarray(filled.sum(axis=axis)).ravel() for axis in (1, 0))
    return {
        "samples": n,
        "features": d,
        "least entry": float(min(low, 0) if sparse.issparse(D) else low),
        "largest entry": high,
        "zeros": float(1 - by_row.sum() / (n * d)),
        "negative entries": int((values < 0).sum()),
        "samples without an entry": int((by_row == 0).sum()),
        "features without an entry": int((by_column == 0).sum()),
    }


def looked_at(D: Any, n_components: int | None = None, seed: int = 0) -> np.ndarray:
    """The rows that are looked at, dense and in their order: all that can be, else a draw by seed.

    So that it takes minutes, n is at most 10⁴ and n · d · m at most 4·10⁶; yet two samples a
    feature, as far as n · d is at most 4·10⁶, for an autoencoder of fewer can give them any codes.
    Without a number of parts, it is to be chosen: n · d is at most 2·10⁵, and n at least 100.
    """
    n, d = D.shape
    if n_components is None:
        most = max(SEARCHED / d, 100)
    else:
        most = max(WORK / (d * n_components), 2 * d)
        most = max(min(most, ENTRIES / d), 10 * n_components)
    most = int(min(most, ROWS))
    if n > most:
        D = D[np.sort(np.random.RandomState(seed).choice(n, most, replace=False))]
    return check_matrix(D.toarray() if sparse.issparse(D) else D, "D")


def methods(D: Any, n_components: int, decoder: str = "nonnegative", k: int = 0) -> tuple[NMF, SAE]:
    """The two methods that are compared on data: NMF and an autoencoder.

    It has TopK with at most k active codes a sample, or ReLU if k is 0.
    For data with negative entries semi-NMF takes NMF's place, and the decoder is free.
    """
    if decoder not in DECODERS:
        raise ValueError(f"decoder={decoder!r}: take one of {', '.join(DECODERS)}.")
    signs = extremes(D)[0] < 0
    nmf = reference(n_components, signs)
    activation = TopK(k) if k else "relu"
    if k:
        activation.check(n_components)
    sae = SAE(n_components, activation=activation, decoder="free" if signs else decoder)
    if D.size * n_components > LARGE:
        sae.set_params(solver="alternating")
    return nmf, sae


def answer(judged: Verdict, foretold: Prediction, D: Any) -> Answer:
    """Which method to use on D, by a verdict on it and the prediction that came before.

    Both are of the :func:`methods` for D, NMF first.

    `agree` is the verdict's, but for signed data and more than one part: then it is None, for
    semi-NMF's parts can be mixed with each other at no loss (H(I + εE) stays nonnegative for any
    E ≥ 0, and the parts, of any sign, take the inverse). A single part has no chance to be held
    against: it agrees above a cosine of 0.95. A free decoder without a limit on the codes, whose
    parts turn at no loss (claim T2), disagrees where NMF's are determined and the agreement is not
    above 0.8, although few seeds may leave that undecided.

    The *deciding condition* is "none" where the methods agree, and else the first of these:
    "signs" for signed data; where NMF's parts are not determined "samples" if there are no more
    samples than parts, else what the prediction says if it is undetermined too, else "uniqueness";
    where they are, the first step of the prediction that leaves NMF's parts, "signs" for a free
    decoder without such a step, and else "optimiser".

    The *recommendation*:

    * "nobody-can-tell" where it is undetermined.
    * Where the methods agree "either", but "nmf" where there are no more samples than features: an
      encoder can give linearly independent samples any codes, and learns nothing for new ones.
    * Where they disagree "sae" if all this holds: its loss is lower by more than 1 %, there are
      more samples than features, and it finds its own parts again from seed to seed, as far as a
      verdict asks that of NMF. Else "nmf", which does find its parts again.

    A loss below 10⁻⁵ of ‖D‖² is exact, and a loss relative to it undefined: None, and never lower.
    """
    n, d = D.shape
    signs = bool((D < 0).any())
    ours, theirs = judged.fits_a, judged.fits_b
    m = ours[0].n_components
    open_ = signs and m > 1
    agree = None if open_ else judged.agree
    # No start but NMF's own can be relied on there, and seeds need not show it beyond doubt.
    turned = turns(theirs[0].problem_) and judged.determined and judged.agreement <= AGREED
    if turned and agree is None and not open_:
        agree = False
    if m == 1:  # whose mixtures are itself, so that nothing is above chance
        agree = judged.mcc > HELD
    losses = [min(fit.loss_ for fit in fits) for fits in (ours, theirs)]
    exact = losses[0] <= EXACT * (data_norm(D) ** 2 or 1.0)
    excess = None if exact else losses[1] / losses[0] - 1
    condition = _condition(agree, judged.determined and not open_, signs, foretold, n <= m)
    low, high = foretold.excess
    expected = (None, None) if exact or np.isnan(low) else (low, high)

    reasons = [judged.reason[0].upper() + judged.reason[1:] + "."]
    if open_:
        reasons = [
            "The data have negative entries: NMF cannot take them, and semi-NMF, which can, may "
            "mix its parts with each other at no loss. So no data determine its parts."
        ]
    if turned and judged.agree is None and not open_:
        reasons = [
            "Disagree: a free decoder turns its parts at no loss (claim T2), and beyond chance "
            f"they match NMF's {judged.agreement:.2f} times as well as seeds of NMF, where "
            f"{AGREED} is asked."
        ]
    if m == 1:
        reasons = [
            "The best single part of nonnegative data is the leading right singular vector, for "
            f"both methods. Those that were found have a cosine of {judged.mcc:.3f}."
        ]
    if agree is None:
        use = "nobody-can-tell"
        reasons.append(
            f"What decides is {condition}: {REASONS[condition]}. Whichever method "
            "finds them, its parts are one choice among several: do not read more into them."
        )
    elif agree:
        use = "nmf" if n <= d else "either"
        reasons.append(
            "There are no more samples than features: an encoder can give such samples any codes "
            "(claim T8), and nothing says what it gives new ones. So NMF."
            if n <= d
            else "NMF where the parts are what you want: it has the least loss, exact codes and a "
            "certificate. An autoencoder where new samples, many and soon, need codes: it gives "
            "them by one matrix product."
        )
    else:
        again = n > d and excess is not None and excess < -BETTER
        use = "sae" if again and found_again(theirs, D, judged.chance) else "nmf"
        reasons.append(
            "The autoencoder loses less, and finds its own parts again from seed to seed."
            if use == "sae"
            else "NMF finds its own parts again from seed to seed; the autoencoder finds others "
            f"({condition}: {REASONS[condition]})."
        )
    return Answer(use, agree, excess, expected, condition, reasons)


def _condition(
    agree: bool | None, determined: bool, signs: bool, foretold: Prediction, few: bool
) -> str:
    """What the verdict hangs on; see :func:`answer`."""
    if agree:
        return "none"
    if signs:
        return "signs"
    if not determined:
        if few:
            return "samples"
        return "uniqueness" if foretold.agree is not None else foretold.deciding_condition
    moved = [name for name, step in foretold.steps.items() if step.agreement <= CENTRE]
    if moved:
        return moved[0]
    return "signs" if foretold.deciding_condition == "signs" else "optimiser"


def found_again(fits: Sequence, D: np.ndarray, chance: float) -> bool:
    """Whether fits of one method agree with each other as far as a verdict asks it of NMF."""
    parts = [Fit(fit, D).live_parts for fit in fits]
    own = np.mean([match(one, other).mcc for one, other in combinations(parts, 2)]) - chance
    return bool(own > ROOM and own >= DETERMINED * (1 - chance))
