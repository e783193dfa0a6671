"""How sure the parts and codes of a fitted NMF are: intervals from refits to simulated data."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm, t
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..arguments import check_integer, check_number
from ..choices.parts import Parts
from ..choices.problem import Problem
from ..estimators import NMF
from ..leastsquares import exact_nnls, squared_error
from ..progress import progress
from ..validation import check_matrix
from .matching import match, nonnegative_parts, unit_rows
from .report import Report

PLAIN = Problem(Parts(nonnegative=True))
TOL = 1e-4  # of a refit: what is left is far less than what noise does
NOISE = 3  # standard deviations: a code or an entry of a part below it is simulated as 0
ROUNDS = 3  # refits that find the size of the noise
GRID = np.linspace(0, 12, 2401)  # true values, in standard deviations; beyond, 0 is far away


@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap(Report):
    """The result of :func:`bootstrap`; parts have norm 1, and codes the size that goes with it.

    Attributes
    ----------
    parts, codes : ndarray (m, d), ndarray (n, m)
        Those of the fit.
    parts_interval, codes_interval : ndarray (2, m, d), ndarray (2, n, m)
        The lower and the upper ends.
    noise : float
        The standard deviation of the noise, in the unit of the data.
    level : float
    """

    parts: np.ndarray
    codes: np.ndarray
    parts_interval: np.ndarray
    codes_interval: np.ndarray
    noise: float
    level: float

    def table(self) -> pd.DataFrame:
        """One row a part: the norm of what its entries' intervals are wide, relative to the part,
        and that of its codes' relative to the codes; and shares of intervals that exclude 0."""
        wide, codes_wide = (np.ptp(F, axis=0) for F in (self.parts_interval, self.codes_interval))
        sizes = np.linalg.norm(self.codes, axis=0)
        columns = {
            "width of the part": np.linalg.norm(wide, axis=1),
            "width of its codes": np.linalg.norm(codes_wide, axis=0) / np.where(sizes, sizes, 1),
            "entries above 0": (self.parts_interval[0] > 0).mean(axis=1),
            "codes above 0": (self.codes_interval[0] > 0).mean(axis=0),
        }
        return pd.DataFrame(columns).rename_axis("part")

    @property
    def _headline(self) -> str:
        return f"Intervals of {self.level:.0%} at noise of standard deviation {self.noise:.3g}"


def bootstrap(
    nmf: Any, D: Any, *, level: float = 0.9, draws: int = 100, random_state: Any = 0
) -> Bootstrap:
    r"""Say how sure each entry of the parts and each code of a fitted NMF is, one by one.

    *Noise model.* The data are :math:`\max(H X^\top + s E, 0)`, with E standard normal and
    independent: one s for all entries, which is what the squared error presumes, and clipped at 0,
    since NMF's data are nonnegative. H and X are the fit's, but codes below three of their
    standard deviations, :math:`s / \|x_j\|`, and entries of parts below three of theirs,
    :math:`s / \|h_j\|`, are 0: with the noise left in, the bias at the bound would be another. s is
    such that a refit to simulated data loses as much as the fit did.

    *Refits.* `draws` data sets are simulated and fitted with the settings of `nmf`, begun at its
    parts and codes; their parts are scaled to norm 1 and matched. Of each entry not the refit's
    value is kept, which ends at 0, but where the loss would be least without that bound, all else
    fixed: for a code :math:`z_{ij} = h_{ij} - (H X^\top X - D X)_{ij} / (X^\top X)_{jj}`.

    *Formula.* With b the mean of these values minus what was simulated, their bias, and v their
    standard deviation, widened by Student's factor for so many draws, :math:`z - b` of the fit is
    taken as normal around the true :math:`\mu \ge 0` with the deviation v. The interval is all μ
    for which z − b is among the values of the highest likelihood ratio to the best nonnegative μ
    that have together the probability `level` (the unified intervals of Feldman and Cousins). Far
    from 0 it is :math:`z - b \pm 1.645\, v` for 90 %; at 0 it covers with `level` too, where
    clipped symmetric intervals cover too often.

    *What it assumes.* The parts are the only ones of their fit: it says nothing of what the data
    leave open (:func:`partsrep.solutions`), nor of another minimum or number of parts. Noise that
    differs from feature to feature or depends on the signal, such as counts', gives wrong widths,
    and so does noise so large that refits take other parts. Intervals hold one by one, not all at
    once.

    Parameters
    ----------
    nmf : fitted NMF
        With the squared error, nonnegative parts and codes, and no penalty. The scale between a
        part and its codes is free: parts are given norm 1.
    D : array-like (n, d) ≥ 0
        The data of the fit. Features that are 0 everywhere are 0 for sure.
    level : float in (0, 1)
        The share of intervals that contain the true value.
    draws : int ≥ 2
        Refits. Each costs about what a warm start does.
    random_state : int, RandomState or None
        Of the noise.

    Raises
    ------
    ValueError
        What is no fitted NMF, or one with another objective; data that NMF does not take or with
        another number of features; no more samples or features than parts; a part that is 0 or
        that nothing uses; a `level` that is no share.

    Examples
    --------
    >>> from partsrep import NMF, datasets
    >>> blobs = datasets.load("planted", n_parts=3, part_size=3, n_samples=80, noise=0.1)
    >>> nmf = NMF(3, n_init=3, random_state=0).fit(blobs.D)
    >>> sure = bootstrap(nmf, blobs.D, draws=20)
    >>> low, high = sure.parts_interval
    >>> low.shape, bool((low <= high).all()), round(sure.noise, 1)
    ((3, 36), True, 0.1)
    """
    D, P = fitted(nmf, D, "bootstrap")
    if getattr(nmf, "problem_", None) != PLAIN:
        raise ValueError(
            "bootstrap is for an NMF with the squared error, nonnegative parts and codes and no "
            f"penalty; got {nmf!r}."
        )
    level = check_number("level", level, maximum=1, above=True, below=True)
    draws = check_integer("draws", draws, 2)
    rng = check_random_state(random_state)
    (n, d), m = D.shape, len(P)
    if min(n, d) <= m:
        raise ValueError(
            f"{m} parts leave nothing to see noise by in data of {n} samples and {d} features: "
            "bootstrap needs more of both than parts."
        )
    H, P = _refit(D, exact_nnls(D, P), P)
    if not (H.any(axis=0) & P.any(axis=1)).all():
        raise ValueError("A part is 0, or all of its codes are: fit fewer parts.")
    own = _unbounded(D, H, P)
    seen, loss = D.any(axis=0), squared_error(D, H @ P)
    noise = np.sqrt(loss / ((n - m) * (d - m)))

    def planted() -> tuple[np.ndarray, np.ndarray]:
        """The codes and parts that are simulated: without what may be noise."""
        code = NOISE * noise < H
        part = NOISE * noise < P * np.linalg.norm(H, axis=0)[:, None]
        return np.where(code, H, 0), np.where(part, P, 0)

    def simulated(codes: np.ndarray, parts: np.ndarray) -> np.ndarray:
        error = noise * rng.standard_normal(D.shape)
        return np.where(seen, np.maximum(codes @ parts + error, 0), 0)

    for _ in range(ROUNDS if loss else 0):
        codes, parts = planted()
        sample = simulated(codes, parts)
        refitted = squared_error(sample, np.matmul(*_refit(sample, codes, parts)))
        noise *= np.sqrt(loss / refitted) if refitted else 1
    codes, parts = true = planted()
    sums = [np.zeros((2, *F.shape)) for F in true]
    for _ in progress(range(draws), "bootstrap"):
        sample = simulated(codes, parts)
        refit = _unbounded(sample, *_matched(parts, *_refit(sample, codes, parts)))
        for total, value, F in zip(sums, refit, true, strict=True):
            total += value - F, (value - F) ** 2
    ends, tail = [], (1 + level) / 2
    # Few draws leave the bias and the deviation uncertain themselves: Student's interval.
    wider = t.ppf(tail, draws - 1) / norm.ppf(tail) * np.sqrt((draws + 1) / (draws - 1))
    for z, (bias, square) in zip(own, (total / draws for total in sums), strict=True):
        deviation = wider * np.sqrt(np.maximum(square - bias**2, 0))
        ends.append(_interval(z - bias, deviation, level))
    return Bootstrap(P, H, ends[1], ends[0], float(noise), level)


def fitted(nmf: Any, D: Any, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Data (n, d) and the parts (m, d) of a fitted model, all ≥ 0, for the function `what`."""
    check_is_fitted(nmf, "components_")
    D = check_matrix(D, "D", np.float64, ensure_non_negative=True)
    return D, nonnegative_parts(nmf, D, what)


def unit_parts(H: np.ndarray, P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes and parts with the same product, the parts of norm 1."""
    return H * np.linalg.norm(P, axis=1), unit_rows(P)


def _refit(D: np.ndarray, H: np.ndarray, P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The codes and parts of norm 1 of the minimum near some."""
    with warnings.catch_warnings():  # near is enough: it is far less than what noise does
        warnings.simplefilter("ignore", ConvergenceWarning)
        P = NMF(len(P), start=(H, P.T), tol=TOL).fit(D).components_
    return unit_parts(exact_nnls(D, P), P)


def _matched(parts: np.ndarray, H: np.ndarray, P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes and parts in the order of other parts; one that is 0 takes a place that is left."""
    own, other = match(parts, P).pairs.T
    order = np.empty(len(P), int)
    order[own] = other
    order[np.setdiff1d(range(len(P)), own)] = np.setdiff1d(range(len(P)), other)
    return H[:, order], P[order]


def _unbounded(D: np.ndarray, H: np.ndarray, P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each code and each entry of a part the best value of any sign, all others fixed."""

    def best(F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        curvature = gram.diagonal()[:, None]
        return F - (gram @ F - cross) / np.where(curvature > 0, curvature, 1)

    return best(H.T, P @ P.T, P @ D.T).T, best(P, H.T @ H, H.T @ D)


def _interval(z: np.ndarray, deviation: np.ndarray, level: float) -> np.ndarray:
    r"""The ends (2, ...) of the interval of :math:`\mu \ge 0`, where z is normal around μ.

    The likelihood ratio of z = μ + t is :math:`e^{-t^2/2}`, and that of z = a < 0, whose best μ is
    0, is :math:`e^{a \mu - \mu^2/2}`: so the values accepted at μ reach from
    :math:`(\mu^2 - t^2) / 2 \mu`, or :math:`\mu - t` if that is not negative, to
    :math:`\mu + t`, with the t for which their probability is the level.

    Examples
    --------
    >>> _interval(np.array([-1.0, 1.0, 5.0]), np.ones(3), 0.9).round(2)
    array([[0.  , 0.  , 3.36],
           [0.81, 2.64, 6.64]])
    """

    def least(reach: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.where(reach <= GRID, GRID - reach, (GRID**2 - reach**2) / (2 * GRID))

    below, above = np.zeros(GRID.shape), np.full(GRID.shape, norm.ppf((1 + level) / 2))
    for _ in range(50):
        reach = (below + above) / 2
        enough = norm.cdf(reach) - norm.cdf(least(reach) - GRID) >= level
        below, above = np.where(enough, below, reach), np.where(enough, reach, above)
    far = np.full(z.shape, above[-1])
    units = np.divide(z, deviation, out=far + GRID[-1], where=deviation > 0)
    inside = units <= GRID[-1] - above[-1]
    low = np.where(inside, np.interp(units, GRID + above, GRID), units - far)
    high = np.where(inside, np.interp(units, least(above)[1:], GRID[1:]), units + far)
    ends = np.array([low, high]) * deviation
    return np.where(deviation > 0, ends, np.maximum(z, 0))
