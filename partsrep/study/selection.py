"""How many parts, which of them last, what penalty: held-out error, stability, consensus."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise, repeat
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.stats import median_abs_deviation
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import has_fit_parameter

from ..arguments import check_integer, check_number
from ..choices.objective import PathNorm, Penalty
from ..estimators import NMF, SAE, restarts
from ..lazy import Lazy, matplotlib, sklearn
from ..leastsquares import data_norm
from ..progress import progress
from ..solvers.scale import power_of_four
from ..validation import check_estimator, check_fits, check_matrix, peak
from .matching import match, unit_rows
from .report import Report

figures = Lazy("partsrep.figures")
NEIGHBOURS = 0.3  # of the fits: so many must have found a part for it to be kept
SAME = 1e-5  # distance of parts of norm 1 that rounding may have made, in float32 too
EXACT = 1e-6  # relative squared error of what rough fits predict exactly
MOST = 64  # parts that a search tries
ROUGH = 1e-3  # residual of the fits in a search: their errors differ by less than masks make them


@dataclass(frozen=True, eq=False)
class Consensus:
    """What several fits have in common: the result of :func:`consensus`.

    Attributes
    ----------
    components_ : ndarray (m, d)
        The parts, of norm 1, those first that most fits agree on. They bear the name that they
        have in a fitted model, so that ``NMF(start=...)`` can go on from them.
    labels : ndarray (R, m) of int
        Which of these each part of each fit belongs to; -1 where it was dropped.
    distances : ndarray (R, m)
        Mean distance of each part to its nearest others; infinite where the part is zero.
    threshold : float
        The largest distance of a part that was kept for it.
    silhouette : float
        Mean silhouette of the clusters, 1 where the fits agree exactly; NaN for one part.
    """

    components_: np.ndarray
    labels: np.ndarray
    distances: np.ndarray
    threshold: float
    silhouette: float

    @property
    def kept(self) -> np.ndarray:
        """Which parts of the fits were kept, (R, m)."""
        return self.labels >= 0

    def __repr__(self) -> str:
        fits, m = self.labels.shape
        return (
            f"Consensus of {m} parts from {fits} fits: {self.kept.sum()} of {self.kept.size} kept, "
            f"silhouette {self.silhouette:.2f}"
        )


def consensus(fits: Iterable[Any], *, threshold: float | None = None) -> Consensus:
    r"""Find the parts that fits from several starts have in common.

    All parts are stacked at norm 1. One whose mean Euclidean distance to its
    :math:`\lfloor 0.3 R \rfloor` nearest others (at least one) is above the threshold was not found
    again and is dropped. The others are clustered by k-means into m groups, and each group's median
    (feature by feature), scaled to norm 1, is a part of the consensus.

    Parameters
    ----------
    fits : iterable of R ≥ 2 fitted models
        With ``components_`` of one shape, such as from :func:`partsrep.restarts`.
    threshold : float > 0 or None
        Two parts at distance t have the cosine 1 − t²/2. None: the median of all distances plus
        three robust standard deviations (1.4826 times the median absolute deviation each), but at
        least 0.1 (cosine 0.995): where all parts are found each time, how closely matters little.

    Raises
    ------
    ValueError
        Fewer than two fits, what is no list of fitted models, parts of different shapes, or fewer
        than m different parts kept.

    References
    ----------
    Kotliar et al. (2019), "Identifying gene expression programs of cell-type identity and cellular
    activity with single-cell RNA-Seq", methods: consensus NMF.

    Examples
    --------
    >>> from partsrep import NMF, datasets, restarts
    >>> D = datasets.load("planted", n_samples=60, n_parts=4, noise=0.05).D
    >>> common = consensus(restarts(NMF(n_components=4), D, seeds=range(5)))
    >>> common.components_.shape, bool(common.silhouette > 0.99)
    ((4, 144), True)
    """
    if threshold is not None:
        check_number("threshold", threshold, above=True)
    fits = check_fits("fits", fits)
    shapes = {np.shape(fit.components_) for fit in fits}
    if len(fits) < 2 or len(shapes) > 1:
        raise ValueError(
            "A consensus needs at least two fits with as many parts and features each; got "
            f"{len(fits)} with parts of shapes {sorted(shapes)}."
        )
    m = len(fits[0].components_)
    stacked = unit_rows(np.concatenate([fit.components_ for fit in fits]))
    alive = np.flatnonzero(stacked.any(axis=1))
    nearest = max(1, min(int(NEIGHBOURS * len(fits)), len(alive) - 1))

    distances = np.full(len(stacked), np.inf)
    if len(alive) > 1:
        others = sklearn.neighbors.NearestNeighbors(n_neighbors=nearest).fit(stacked[alive])
        distances[alive] = others.kneighbors()[0].mean(axis=1)
    if threshold is None:
        usual = distances[alive] if len(alive) else [0.0]
        threshold = max(0.1, np.median(usual) + 3 * median_abs_deviation(usual, scale="normal"))
    kept = np.flatnonzero(distances <= threshold)
    same = sklearn.cluster.DBSCAN(SAME, min_samples=1)
    different = len(set(same.fit_predict(stacked[kept]))) if len(kept) else 0
    if different < m:
        raise ValueError(
            f"Of {len(stacked)} parts only {different} different ones were found again within "
            f"threshold={threshold:.3g}, too few for a consensus of {m}: ask for fewer parts, or "
            "raise threshold."
        )

    members = sklearn.cluster.KMeans(m, n_init=10, random_state=0).fit(stacked[kept]).labels_
    rank = np.argsort(np.argsort(-np.bincount(members), kind="stable"))
    members = rank[members]
    labels = np.full(len(stacked), -1)
    labels[kept] = members
    medians = [np.median(stacked[labels == part], axis=0) for part in range(m)]
    silhouette = np.nan  # of one cluster, or of clusters of one
    if 1 < m < len(kept):
        silhouette = sklearn.metrics.silhouette_score(stacked[kept], members)
    return Consensus(
        components_=unit_rows(np.array(medians)),
        labels=labels.reshape(len(fits), m),
        distances=distances.reshape(len(fits), m),
        threshold=float(threshold),
        silhouette=float(silhouette),
    )


@dataclass(frozen=True, eq=False, repr=False)
class Choice(Report):
    """Fits with several numbers of parts: the result of :func:`choose_n_components`.

    Errors are squared and relative to the energy of the entries they are over.

    Attributes
    ----------
    values : ndarray (v,) of int
        The numbers of parts, ascending.
    heldout, training : ndarray (v, repeats)
        The errors on the entries that were hidden and on those that were seen.
    stability : ndarray (v, repeats·(repeats−1)/2)
        The MCC between each two fits of all entries from random starts.
    """

    values: np.ndarray
    heldout: np.ndarray
    training: np.ndarray
    stability: np.ndarray

    @property
    def standard_error(self) -> np.ndarray:
        """Of the mean held-out error over the masks, (v,)."""
        return self.heldout.std(axis=1, ddof=1) / self.heldout.shape[1] ** 0.5

    @property
    def best(self) -> int:
        """The fewest parts whose held-out error is within one standard error of the least, or 0.

        One of at most 10⁻⁶ counts as 0.
        """
        mean = self.heldout.mean(axis=1)
        least = mean.argmin()
        bound = mean[least] + self.standard_error[least]
        return int(self.values[mean <= max(bound, EXACT)][0])

    def table(self) -> pd.DataFrame:
        """One row a number of parts."""
        columns = {
            "held-out error": self.heldout.mean(axis=1),
            "standard error": self.standard_error,
            "training error": self.training.mean(axis=1),
            "stability (MCC)": self.stability.mean(axis=1),
        }
        return pd.DataFrame(columns, index=pd.Index(self.values, name="parts"))

    def plot(self) -> matplotlib.figure.Figure:
        """Both errors, and the stability, against the number of parts."""
        return figures.n_components(
            self.values, self.heldout, self.training, self.stability, self.best
        )

    @property
    def _headline(self) -> str:
        return f"{self.best} parts: the fewest within one standard error of the least error"


def choose_n_components(
    D: Any,
    values: Iterable[int] | None = None,
    *,
    estimator: BaseEstimator | None = None,
    holdout: float = 0.1,
    repeats: int = 5,
    random_state: int | np.random.RandomState | None = 0,
) -> Choice:
    """Choose the number of parts by how well hidden entries are predicted: a :class:`Choice`.

    For each number of parts and each of several masks, a share of the entries is hidden, the same
    masks for all numbers. The model is fitted to the others and predicts the hidden ones: too few
    parts miss structure, too many fit noise. Beside it stands the stability: how alike the
    parts of fits of all entries from random starts are.

    Parameters
    ----------
    D : array-like (n, d)
        The data, dense.
    values : iterable of int or None
        The numbers of parts to try. None: 1, 2, 4 and so on, up to the first above 4 that predicts
        worse than the best by more than its standard error; then what lies half-way between the
        best and its neighbours, until these are next to it. At most 64, and no more than there
        are samples or features; an error above 1 counts as 1, that of predicting zero.
    estimator : estimator or None
        Whose ``fit_transform`` takes a ``mask``; None: ``NMF(tol=1e-3)``: rough, as there are many
        fits. Its `n_components` and `random_state` are set here.
    holdout : float in (0, 0.5]
        The share of the entries that is hidden: the same number in each row and column, as far as
        it divides.
    repeats : int ≥ 2
        So many masks, and so many random starts.
    random_state : int, RandomState or None

    Raises
    ------
    ValueError
        Sparse data (masks are dense), NaN, data in which nothing can be hidden, values that are no
        different positive integers up to n, an estimator without masks.

    Warns
    -----
    UserWarning
        When the largest value is the best: more parts might be better.
    ConvergenceWarning
        Once for all fits, with their number.

    Notes
    -----
    It takes 2·repeats fits a value. With far too many parts nothing seen may hold a hidden entry,
    and its prediction can be wrong by any factor; such fits also converge slowest.

    References
    ----------
    Wold (1978), "Cross-validatory estimation of the number of components in factor and principal
    components models"; Owen, Perry (2009), "Bi-cross-validation of the SVD and the nonnegative
    matrix factorization". The rule of one standard error: Breiman et al. (1984), "Classification
    and regression trees".

    Examples
    --------
    >>> from partsrep import datasets
    >>> D = datasets.load("planted", n_samples=60, n_parts=3, part_size=4, noise=0.1).D
    >>> choose_n_components(D, [1, 2, 3, 4], repeats=3).best
    3
    """
    if sp.issparse(D):
        raise ValueError(
            "choose_n_components hides entries of D by dense masks and takes no sparse matrix: "
            "give it D.toarray(), or a sample of the rows of a large D."
        )
    D = check_matrix(D, "D")
    searched = values is None
    values = [] if searched else _checked_values(values, len(D))
    estimator = NMF(tol=ROUGH) if estimator is None else check_estimator("estimator", estimator)
    if not has_fit_parameter(estimator, "mask"):
        raise ValueError(f"{type(estimator).__name__} cannot hide entries: its fit has no mask.")
    check_number("holdout", holdout, maximum=0.5, above=True)  # half of the entries
    repeats = check_integer("repeats", repeats, 2)
    rng = check_random_state(random_state)
    masks = [speckle(D.shape, holdout, rng) for _ in range(repeats)]
    if not all(D[~mask].any() and D[mask].any() for mask in masks):
        raise ValueError("All hidden or all seen entries are 0: raise holdout, or drop empty rows.")
    seeds = [int(seed) for seed in rng.randint(2**31 - 1, size=repeats)]

    tried: dict[int, tuple] = {}  # by the number of parts: its errors, and its stability
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ConvergenceWarning)
        for m in _searched(tried, min(*D.shape, MOST)) if searched else progress(values, "parts"):
            model = clone(estimator).set_params(n_components=m)
            begun = [clone(model).set_params(random_state=seed) for seed in seeds]
            errors = np.array(list(map(_errors, begun, repeat(D), masks)))
            # Or one wild prediction would hide from a search what the other masks say.
            errors = errors.clip(max=1) if searched else errors
            parts = [fit.components_ for fit in restarts(model, D, seeds)]
            tried[m] = errors, [match(one, other).mcc for one, other in combinations(parts, 2)]
    _tell_once(told)
    choice = _choice(tried)
    values = choice.values
    most = min(*D.shape, MOST) if searched else values[-1]
    if choice.best == most > values[0]:
        warnings.warn(
            f"The largest number of parts tried, {values[-1]}, predicts best: try more.",
            stacklevel=2,
        )
    return choice


def _choice(tried: Mapping[int, tuple]) -> Choice:
    """What was tried so far, in order."""
    values = sorted(tried)
    errors, stability = zip(*(tried[m] for m in values), strict=True)
    heldout, training = np.moveaxis(np.array(errors), -1, 0)
    return Choice(np.array(values), heldout, training, np.array(stability))


def _searched(tried: Mapping[int, tuple], most: int) -> Iterator[int]:
    """The numbers of parts to try next, by what came out of those before."""
    m = 1
    while m <= most:
        yield m
        choice = _choice(tried)
        mean, error = choice.heldout.mean(axis=1), choice.standard_error
        least = mean.argmin()
        if (m > 4 and mean[-1] > mean[least] + error[least]) or mean[least] <= EXACT:
            break
        m = most if m < most < 2 * m else 2 * m
    while True:
        choice = _choice(tried)
        values, place = choice.values, int(np.searchsorted(choice.values, choice.best))
        around = values[max(place - 1, 0) : place + 2]
        between = [int(low + high) // 2 for low, high in pairwise(around) if high - low > 1]
        if not between:
            return
        yield from between


@dataclass(frozen=True, eq=False, repr=False)
class PenaltyChoice(Report):
    """Fits with several penalties: the result of :func:`choose_penalty`.

    Errors are squared and relative to the energy of the samples they are over.

    Attributes
    ----------
    penalties : list of v penalties, None for none
    heldout, training : ndarray (v, repeats)
        The errors on the samples that were held out, and on those that were seen.
    """

    penalties: list[Penalty | None]
    heldout: np.ndarray
    training: np.ndarray

    @property
    def best(self) -> Penalty | None:
        """The penalty with the least mean held-out error."""
        return self.penalties[self.heldout.mean(axis=1).argmin()]

    def table(self) -> pd.DataFrame:
        """One row a penalty."""
        columns = {
            "held-out error": self.heldout.mean(axis=1),
            "standard error": self.heldout.std(axis=1, ddof=1) / self.heldout.shape[1] ** 0.5,
            "training error": self.training.mean(axis=1),
        }
        return pd.DataFrame(columns, index=pd.Index(map(str, self.penalties), name="penalty"))

    @property
    def _headline(self) -> str:
        return f"{self.best}: the least error on held-out samples"


#: Ridges to try, relative to the mean squared norm of a sample.
RIDGES = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)


def choose_penalty(
    estimator: NMF | SAE,
    D: Any,
    penalties: Iterable[Penalty | None] | None = None,
    *,
    holdout: float = 0.2,
    repeats: int = 5,
    random_state: int | np.random.RandomState | None = 0,
) -> PenaltyChoice:
    r"""Choose a penalty by how well held-out samples are reconstructed: a :class:`PenaltyChoice`.

    An autoencoder of few samples can give these any codes (T8), so that its training loss says
    nothing of its encoder, and samples that it has not seen do. Several times a share of the
    samples is held out, the same ones for all penalties, and the model is fitted to the others.

    Parameters
    ----------
    estimator : NMF or SAE
        What is fitted; its `penalty` and `random_state` are set here.
    D : array-like (n, d)
        The data, dense.
    penalties : iterable of penalties or None
        Those to try, None for none. None: none, and :class:`partsrep.PathNorm` with
        :math:`10^{-5} \dots 10^{-2}` of the mean squared norm of a sample.
    holdout : float in (0, 0.5]
        The share of the samples that is held out.
    repeats : int ≥ 2
    random_state : int, RandomState or None

    Raises
    ------
    ValueError
        NaN, fewer than two samples, no penalties.

    Examples
    --------
    >>> from partsrep import datasets
    >>> given = {"n_parts": 4, "part_size": 10, "overlap": 0.3, "noise": 0.3}
    >>> D = datasets.load("planted", n_samples=600, seed=0, **given).D[:25]
    >>> choice = choose_penalty(SAE(4, decoder="nonnegative"), D, repeats=3)
    >>> sae = SAE(4, decoder="nonnegative", penalty=choice.best).fit(D)
    >>> choice.best is None
    False
    """
    check_estimator("estimator", estimator)
    D = check_matrix(D, "D")
    check_number("holdout", holdout, maximum=0.5, above=True)
    repeats = check_integer("repeats", repeats, 2)
    if len(D) < 2:
        raise ValueError("A penalty is chosen by held-out samples: D has to have two or more.")
    energy = data_norm(D) ** 2 / len(D)
    ridges = (PathNorm(share * energy) for share in RIDGES)
    penalties = [None, *ridges] if penalties is None else list(penalties)
    if not penalties:
        raise ValueError("penalties must be those to try, [None, PathNorm(0.1)] say.")
    rng = check_random_state(random_state)
    splits = [rng.permutation(len(D)) for _ in range(repeats)]
    seeds = [int(seed) for seed in rng.randint(2**31 - 1, size=repeats)]
    out = max(1, int(holdout * len(D)))
    models = [
        clone(estimator).set_params(penalty=penalty, random_state=seed)
        for penalty in penalties
        for seed in seeds
    ]
    errors = [
        _sample_errors(model, D[split[out:]], D[split[:out]])
        for model, split in zip(progress(models, "penalties"), len(penalties) * splits, strict=True)
    ]
    heldout, training = np.moveaxis(np.reshape(errors, (len(penalties), repeats, 2)), -1, 0)
    return PenaltyChoice(penalties, heldout, training)


def _sample_errors(model: NMF | SAE, D: np.ndarray, new: np.ndarray) -> tuple[float, float]:
    """The relative squared errors on new samples and on those that a model is fitted to."""
    model.fit(D)
    heldout, training = (
        _relative_error(some, model.inverse_transform(model.transform(some))) for some in (new, D)
    )
    return heldout, training


def _relative_error(D: np.ndarray, D_hat: np.ndarray, entries: np.ndarray | None = None) -> float:
    """‖D − D̂‖² / ‖D‖² over some entries, in a unit in which squares neither overflow nor vanish."""
    unit = power_of_four(peak(D))
    error = np.subtract(D, D_hat, dtype=np.float64) / unit
    return (data_norm(error, entries) / (data_norm(D / unit, entries) or 1)) ** 2


def speckle(shape: tuple[int, int], holdout: float, rng: np.random.RandomState) -> np.ndarray:
    """Hide a share of the entries of a matrix, as evenly over rows and columns as it divides.

    The mask is True where an entry is seen, and hides no row and no column as a whole, for a share
    in (0, 0.5]. A ValueError if there is only one row or column.

    Examples
    --------
    >>> mask = speckle((20, 10), 0.1, np.random.RandomState(0))
    >>> (~mask).sum(axis=0).tolist(), (~mask).sum(axis=1).tolist() == 20 * [1]
    ([2, 2, 2, 2, 2, 2, 2, 2, 2, 2], True)
    """
    if min(shape) < 2:
        raise ValueError(f"Data of shape {shape} cannot hide entries and still show every row.")
    lines, places = min(shape), max(shape)
    hidden = np.zeros((lines, places), dtype=bool)
    times = np.zeros(places, dtype=int)
    for line in hidden:
        seldom = np.lexsort((rng.uniform(size=places), times))
        line[seldom[: max(1, int(holdout * places))]] = True
        times += line
    return ~hidden if lines == shape[0] else ~hidden.T


def _errors(model: BaseEstimator, D: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """The relative squared errors on the entries that the mask hides, and on those it shows."""
    H = np.asarray(model.fit_transform(D, mask=mask))  # whatever `set_output` asks for
    hidden, seen = (_relative_error(D, H @ model.components_, only) for only in (~mask, mask))
    return hidden, seen


def _tell_once(told: list[warnings.WarningMessage]) -> None:
    """Give the caller's caller the warnings of many fits; those of convergence become one."""
    late = [one for one in told if issubclass(one.category, ConvergenceWarning)]
    for one in told:
        if one not in late:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if late:
        warnings.warn(
            f"{len(late)} fits stopped before they converged, which happens where there are too "
            f"many parts. The first said: {late[0].message}",
            ConvergenceWarning,
            stacklevel=3,
        )


def _checked_values(values: Iterable[int], n: int) -> list[int]:
    """The numbers of parts, ascending."""
    values = list(values) if isinstance(values, Iterable) else []
    if not values:
        raise ValueError("values must be the numbers of parts to try, range(2, 9) say.")
    for value in values:
        check_integer("each of values", value)
    if len(set(values)) < len(values) or max(values) > n:
        raise ValueError(
            f"values must be different numbers of parts, at most n_samples = {n}; got {values}."
        )
    return sorted(map(int, values))
