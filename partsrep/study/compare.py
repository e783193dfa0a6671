"""Two fitted models side by side: matched parts, losses, and where the difference comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import subspace_angles
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..arguments import check_integer
from ..choices.codes import TopK
from ..choices.parts import sparseness
from ..choices.problem import Problem
from ..estimators.base import codes_of
from ..lazy import Lazy, matplotlib
from ..leastsquares import data_norm, exact_nnls, squared_error
from ..validation import check_matrix, check_scale
from .matching import Matching, match, unit_rows
from .report import Report

figures = Lazy("partsrep.figures")
ACTIVE = 0.05  # of a unit's largest code: what a smaller one is, noise may have made

# What the table says of the difference of two models, and of each by itself.
GAPS = {
    "dictionary gap": "dictionary_gap",
    "amortisation gap": "amortisation_gap",
    "  of it selection": "selection_gap",
    "  of it encoder": "encoder_gap",
}
QUANTITIES = {
    "alive": "live parts",
    "l0": "active codes a sample",
    "hoyer": "sparseness of codes",
    "hoyer_parts": "sparseness of parts",
    "negative_mass": "negative mass of parts",
    "coherence": "coherence",
}


@dataclass(frozen=True, eq=False)
class Fit:
    """One fitted model on one data set D (n, d), and its codes H (n, m) of it."""

    model: Any
    D: np.ndarray
    H: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        # At once, so that data that the model refuses are refused by who gives them.
        object.__setattr__(self, "H", codes_of(self.model, self.D))

    @property
    def live_parts(self) -> np.ndarray:
        """The parts (m, d), those that are never active set to zero."""
        return self.model.components_ * self.H.any(axis=0)[:, None]

    @cached_property
    def loss(self) -> float:
        """L = ‖D − D̂‖²_F with the model's own codes."""
        return squared_error(self.D, self.model.inverse_transform(self.H))

    @cached_property
    def nnls_loss(self) -> float:
        """E: the loss of the best nonnegative codes for the model's parts.

        It is undefined, a ValueError, if the model's own codes are of another kind: with a decoder
        bias, another output than the linear one, or signs.
        """
        link = "linear" if self._problem is None else self._problem.objective.link
        for another, reason in (
            (link != "linear", f"a {link} output"),
            (getattr(self.model, "decoder_bias_", None) is not None, "a decoder bias"),
            ((self.H < 0).any(), "negative codes"),
        ):
            if another:
                raise ValueError(
                    f"The gap cannot be split: this {type(self.model).__name__} has {reason}, so "
                    "nonnegative least squares on its parts is not what its own codes approximate. "
                    "Compare .loss_a and .loss_b."
                )
        components = self.model.components_
        return squared_error(self.D, exact_nnls(self.D, components) @ components)

    @property
    def k(self) -> int | None:
        """At most so many codes of a sample are active by the model's own rule; None: any."""
        return None if self._problem is None else self._problem.most_active

    @property
    def _problem(self) -> Problem | None:
        return getattr(self.model, "problem_", None)

    @cached_property
    def sparse_loss(self) -> float:
        """The loss of the best codes found with at most k active; E where there is no k.

        For each sample the better one of two: a search by exchanges, and the best codes on the
        model's own support.
        """
        P, unlimited = self.model.components_, self.nnls_loss  # an error where that is undefined
        if self.k is None or self.k >= len(P):
            return unlimited
        searched = TopK(self.k).infer(self.D, P)
        own = exact_nnls(self.D, P, allowed=self.H > 0)
        rests = (np.subtract(self.D, H @ P, dtype=np.float64) for H in (searched, own))
        errors = [np.vecdot(rest, rest) for rest in rests]
        return float(np.minimum(*errors).sum())

    @property
    def alive(self) -> int:
        """Units that are active on at least one sample."""
        return int(np.count_nonzero(self.H.any(axis=0)))

    @property
    def l0(self) -> float:
        """Active codes a sample."""
        return float(np.count_nonzero(self.H, axis=1).mean())

    @property
    def hoyer(self) -> float:
        """Mean over samples of their codes' sparseness, from 0 (all equal) to 1 (one active)."""
        return _mean_sparseness(self.H)

    @property
    def hoyer_parts(self) -> float:
        """Mean sparseness of the live parts."""
        return _mean_sparseness(self.live_parts)

    @property
    def negative_mass(self) -> float:
        """Share of the live parts' absolute sum that is negative."""
        parts = self.live_parts
        return float(np.abs(parts[parts < 0]).sum() / (np.abs(parts).sum() or 1))

    @property
    def coherence(self) -> float:
        """Largest cosine, in absolute value, between two live parts."""
        directions = unit_rows(self.live_parts)
        cosines = np.abs(directions @ directions.T)
        np.fill_diagonal(cosines, 0)
        return float(cosines.max())

    def active(self, threshold: float = 0.0) -> np.ndarray:
        """Which codes are above a share of their unit's largest one, (n, m)."""
        return threshold * self.H.max(axis=0).clip(min=0) < self.H


def _mean_sparseness(F: np.ndarray) -> float:
    """The mean sparseness of the rows that are not zero; NaN if there are none."""
    F = F[F.any(axis=1)]
    return float(sparseness(F).mean()) if len(F) and F.shape[1] > 1 else np.nan


@dataclass(frozen=True, eq=False)
class Split:
    """The losses of two models on the same samples, and the split of their difference.

    With L a model's loss and E the loss of exact nonnegative least-squares codes on its parts,
    L_b − L_a = (E_b − E_a) + ((L_b − E_b) − (L_a − E_a)): dictionary gap + amortisation gap. Of a
    model with at most k codes a sample, let K be the loss of the best such codes found (K = E for
    the others): L − E = (K − E) + (L − K), selection and encoder. Reading a gap raises a ValueError
    where E is undefined: decoder bias, logistic output, negative codes.
    """

    a: Fit
    b: Fit
    pairs: np.ndarray

    #: Whether a free encoder can realise any codes on the samples: none was fitted to these.
    trivial = False

    @property
    def loss_a(self) -> float:
        """‖D − D̂‖²_F of a."""
        return self.a.loss

    @property
    def loss_b(self) -> float:
        """Likewise of b."""
        return self.b.loss

    @property
    def dictionary_gap(self) -> float:
        """E_b − E_a."""
        return self.b.nnls_loss - self.a.nnls_loss

    @property
    def amortisation_gap(self) -> float:
        """(L_b − E_b) − (L_a − E_a)."""
        return (self.b.loss - self.b.nnls_loss) - (self.a.loss - self.a.nnls_loss)

    @property
    def selection_gap(self) -> float:
        """(K_b − E_b) − (K_a − E_a)."""
        a, b = self.a, self.b
        return (b.sparse_loss - b.nnls_loss) - (a.sparse_loss - a.nnls_loss)

    @property
    def encoder_gap(self) -> float:
        """(L_b − K_b) − (L_a − K_a)."""
        return (self.b.loss - self.b.sparse_loss) - (self.a.loss - self.a.sparse_loss)

    @property
    def jaccard(self) -> float:
        """Of the supports of both models' codes, over matched pairs, the mean over samples of the
        number of common ones / the number of those of either."""
        return self._jaccard(0.0)

    @property
    def jaccard_thresholded(self) -> float:
        """The same for codes above 5 % of their unit's largest one."""
        return self._jaccard(ACTIVE)

    @property
    def jaccard_expected(self) -> float:
        """What `jaccard` is if parts are perfect, one model has the true support, k of m codes, and
        noise makes half of the other's m − k positive: k / (k + (m − k)/2) (claim T7 vi). For k
        stands the smaller number of codes above the threshold."""
        m = len(self.pairs)
        k = min(active.sum(axis=1).mean() for active in self._supports(ACTIVE)) if m else np.nan
        return float(k / (k + (m - k) / 2))

    def _supports(self, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Which codes of the matched pairs are active in a and in b."""
        i, j = self.pairs.T
        return self.a.active(threshold)[:, i], self.b.active(threshold)[:, j]

    def _jaccard(self, threshold: float) -> float:
        a, b = self._supports(threshold)
        either = (a | b).sum(axis=1)
        shares = (a & b).sum(axis=1)[either > 0] / either[either > 0]
        return float(shares.mean()) if len(shares) else np.nan

    @cached_property
    def code_correlation(self) -> np.ndarray:
        """Pearson's, of the codes of each matched pair over the samples; NaN where a code does not
        vary."""
        H_a, H_b = self.a.H[:, self.pairs[:, 0]], self.b.H[:, self.pairs[:, 1]]
        varying = (np.ptp(H_a, axis=0) > 0) & (np.ptp(H_b, axis=0) > 0)
        a, b = (unit_rows((H - H.mean(axis=0)).T) for H in (H_a, H_b))
        return np.where(varying, np.vecdot(a, b), np.nan)

    def column(self) -> dict[str, Any]:
        """The entries of the table, relative to ‖D‖²; NaN where undefined."""
        energy = data_norm(self.a.D) ** 2 or 1.0
        try:
            gaps = {label: getattr(self, gap) / energy for label, gap in GAPS.items()}
        except ValueError:
            gaps = dict.fromkeys(GAPS, np.nan)
        varying = self.code_correlation[np.isfinite(self.code_correlation)]
        return {
            "relative loss, a": self.loss_a / energy,
            "relative loss, b": self.loss_b / energy,
            **gaps,
            "median code correlation": np.median(varying) if len(varying) else np.nan,
            "support Jaccard": self.jaccard,
            "  expected with perfect parts": self.jaccard_expected,
            f"  of codes above {ACTIVE:.0%}": self.jaccard_thresholded,
            **{
                f"{label}, {name}": getattr(fit, quantity)
                for quantity, label in QUANTITIES.items()
                for name, fit in (("a", self.a), ("b", self.b))
            },
            "a tie is trivial (rank = n)": self.trivial,
        }


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Report, Split, Matching):
    """The result of :func:`compare`: the `Split` of the training samples, and the `Matching`.

    Attributes
    ----------
    pairs, cosines : ndarray (r, 2), ndarray (r,)
        Part pairs[i, 0] of a goes with part pairs[i, 1] of b, best first; and their cosines.
    mcc, mcc_alive : float
        Sum of the cosines / max(m_a, m_b): dead and unmatched parts count 0; mean over live pairs.
    heldout : Split or None
        The same losses, gaps and codes on held-out samples.
    """

    heldout: Split | None
    draws: int
    random_state: Any

    _format = "loss"

    @property
    def name_a(self) -> str:
        """For tables and pictures."""
        return type(self.a.model).__name__

    @property
    def name_b(self) -> str:
        """Likewise."""
        return type(self.b.model).__name__

    @cached_property
    def trivial(self) -> bool:
        """Whether the training samples are linearly independent. Then a free encoder can realise
        any codes on them, and equal losses say nothing (claim T8)."""
        n, d = self.a.D.shape
        return n <= d and np.linalg.matrix_rank(self.a.D) == n

    @cached_property
    def nulls(self) -> dict[str, np.ndarray]:
        """MCC by chance (draws,): of a's parts with "random" ones (as many as b has alive,
        nonnegative if those are), and with b's, "shuffled": the features of each part in an order
        of its own."""
        rng = check_random_state(self.random_state)
        a, b = self.a.live_parts, self.b.live_parts
        alive = b.any(axis=1, keepdims=True)

        def random() -> np.ndarray:
            parts = rng.standard_normal(b.shape)
            return alive * (parts if (b < 0).any() else np.abs(parts))

        def shuffled() -> np.ndarray:
            return np.take_along_axis(b, rng.uniform(size=b.shape).argsort(axis=1), axis=1)

        nulls = {"random": random, "shuffled": shuffled}
        return {
            name: np.array([match(a, null()).mcc for _ in range(self.draws)])
            for name, null in nulls.items()
        }

    @cached_property
    def null_loss(self) -> float:
        """‖D − D̂‖² of exact codes for random nonnegative parts, as many as b has: what parts
        have to beat. With :class:`partsrep.Fixed` any such parts are a model of their own."""
        rng = check_random_state(self.random_state)
        parts = np.abs(rng.standard_normal(self.b.model.components_.shape))
        return squared_error(self.b.D, exact_nnls(self.b.D, parts) @ parts)

    @cached_property
    def principal_angles(self) -> np.ndarray:
        """Between what a's live parts span and what b's do, in radians, ascending."""
        spans = [fit.live_parts[fit.live_parts.any(axis=1)] for fit in (self.a, self.b)]
        if not all(map(len, spans)):
            return np.empty(0)
        return subspace_angles(*(span.T for span in spans))[::-1]

    @property
    def components_a(self) -> np.ndarray:
        """The parts (r, d) of a in matched order."""
        return self.a.model.components_[self.pairs[:, 0]]

    @property
    def components_b(self) -> np.ndarray:
        """Those of b."""
        return self.b.model.components_[self.pairs[:, 1]]

    def table(self) -> pd.DataFrame:
        """One row a quantity; losses and gaps relative to ‖D‖²."""
        null = {"  random parts, exact codes": self.null_loss / (data_norm(self.a.D) ** 2 or 1.0)}
        columns = {"training": null | self.column()}
        if self.heldout is not None:
            columns["held-out"] = self.heldout.column()
        angles = np.degrees(self.principal_angles)
        similarity = {
            "MCC": self.mcc,
            "MCC over live pairs": self.mcc_alive,
            **{f"  {name} parts, mean": null.mean() for name, null in self.nulls.items()},
            "largest principal angle (degrees)": angles.max() if len(angles) else np.nan,
        }
        return pd.DataFrame({name: {**similarity, **rows} for name, rows in columns.items()})

    def plot(self, image_shape: tuple[int, int] | None = None) -> matplotlib.figure.Figure:
        """Matched parts as pictures (given their `image_shape`), cosines and code correlations."""
        return figures.comparison(self, image_shape=image_shape)

    @property
    def _headline(self) -> str:
        return f"Comparison of {self.name_a} (a) and {self.name_b} (b)"


def compare(
    a: Any, b: Any, D: Any, heldout: Any = None, *, draws: int = 100, random_state: Any = 0
) -> Comparison:
    r"""Compare two fitted models on the same data.

    Parts are matched one to one by cosine (:func:`partsrep.study.matching.match`). A part that is
    never active on D is dead and counts as zero.

    Parameters
    ----------
    a, b : fitted models
        With ``components_`` (m, d), ``transform`` and ``inverse_transform``: NMF, SAE, or
        any scikit-learn decomposition that has them.
    D : array-like (n, d)
        The training data.
    heldout : array-like (n', d) or None
        Samples that neither model has seen. Where the training samples are linearly
        independent only these can tell the two apart.
    draws : int
        Of each null distribution.
    random_state : int, RandomState or None
        Of the nulls.

    Raises
    ------
    ValueError
        Data with NaN, infinity, no samples, or another number of features than the models have; so
        large or small that the loss is no number; a model that is not fitted.

    Examples
    --------
    >>> from partsrep import NMF, SAE, datasets
    >>> D = datasets.load("bars", seed=0).D
    >>> nmf = NMF(n_components=8, random_state=0).fit(D)
    >>> sae = SAE(n_components=8, decoder="nonnegative", start=nmf, max_epochs=1).fit(D)
    >>> bool(compare(nmf, sae, D).mcc > 0.9)
    True
    """
    draws = check_integer("draws", draws)
    for model in (a, b):
        check_is_fitted(model, "components_")
    D = _checked(D, "D")
    fit_a, fit_b = Fit(a, D), Fit(b, D)
    matching = vars(match(fit_a.live_parts, fit_b.live_parts))
    if heldout is not None:
        heldout = _checked(heldout, "heldout")
        heldout = Split(Fit(a, heldout), Fit(b, heldout), matching["pairs"])
    return Comparison(
        **matching, a=fit_a, b=fit_b, heldout=heldout, draws=draws, random_state=random_state
    )


def _checked(D: Any, name: str) -> np.ndarray:
    """Data whose losses are numbers."""
    D = check_matrix(D, name)
    check_scale(D, dtype=np.float64, name=name)
    return D
