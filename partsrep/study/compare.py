"""Two fitted models side by side: matched parts, losses, and where the difference comes from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import orth, subspace_angles
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..choices.codes import TopK
from ..choices.parts import sparseness
from ..estimators.base import codes_of
from ..lazy import Lazy, matplotlib
from ..leastsquares import data_norm, exact_nnls, squared_error
from ..validation import check_integer, check_matrix
from .matching import match, unit_rows

figures = Lazy("partsrep.figures")
ACTIVE = 0.05  # of a unit's largest code: what a smaller one is, noise may have made


#: What the table says of each model by itself.
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
    """One fitted model on one data set.

    Attributes
    ----------
    D : ndarray (n, d)
    H : ndarray (n, m)
        The model's codes of D.
    loss : float
        L = ‖D − D̂‖²_F with the model's own codes.
    alive : int
        Units that are active on at least one sample.
    l0 : float
        Active codes a sample.
    hoyer : float
        Mean over samples of the sparseness of their codes, from 0 (all equal) to 1 (one active).
    hoyer_parts : float
        Mean sparseness of the live parts.
    negative_mass : float
        Share of the live parts' absolute sum that is negative.
    coherence : float
        Largest cosine, in absolute value, between two live parts.
    """

    model: Any
    D: np.ndarray

    @cached_property
    def H(self) -> np.ndarray:
        return codes_of(self.model, self.D)

    @property
    def live_parts(self) -> np.ndarray:
        """The parts (m, d), those that are never active set to zero."""
        return self.model.components_ * self.H.any(axis=0)[:, None]

    @cached_property
    def loss(self) -> float:
        return squared_error(self.D, self.model.inverse_transform(self.H))

    @cached_property
    def nnls_loss(self) -> float:
        """E: the loss of the best nonnegative codes for the model's parts.

        Raises
        ------
        ValueError
            For a model with a decoder bias, another output than the linear one or signed codes:
            its codes are not of that kind.
        """
        problem = getattr(self.model, "problem_", None)
        if problem is not None and problem.objective.link != "linear":
            raise ValueError(_undefined(self.model, f"has a {problem.objective.link} output"))
        if getattr(self.model, "decoder_bias_", None) is not None:
            raise ValueError(_undefined(self.model, "has a decoder bias"))
        if (self.H < 0).any():
            raise ValueError(_undefined(self.model, "has negative codes"))
        components = self.model.components_
        return squared_error(self.D, exact_nnls(self.D, components) @ components)

    @property
    def k(self) -> int | None:
        """At most so many codes of a sample are active by the model's own rule; None: any."""
        problem = getattr(self.model, "problem_", None)
        return None if problem is None else problem.most_active

    @cached_property
    def sparse_loss(self) -> float:
        """The loss of the best codes found with at most k active; E where there is no k.

        For each sample the better one of two: a search by exchanges, and the best codes on the
        model's own support.

        Raises
        ------
        ValueError
            Where E is undefined.
        """
        if self.k is None or self.k >= len(self.model.components_):
            return self.nnls_loss
        _ = self.nnls_loss
        P = self.model.components_
        searched = TopK(self.k).infer(self.D, P)
        own = exact_nnls(self.D, P, allowed=self.H > 0)
        errors = [np.sum((self.D - H @ P) ** 2, axis=1, dtype=float) for H in (searched, own)]
        return float(np.minimum(*errors).sum())

    @property
    def alive(self) -> int:
        return int(np.count_nonzero(self.H.any(axis=0)))

    @property
    def l0(self) -> float:
        return float(np.count_nonzero(self.H, axis=1).mean())

    @property
    def hoyer(self) -> float:
        return _mean_sparseness(self.H)

    @property
    def hoyer_parts(self) -> float:
        return _mean_sparseness(self.live_parts)

    @property
    def negative_mass(self) -> float:
        parts = self.live_parts
        return float(np.abs(parts[parts < 0]).sum() / (np.abs(parts).sum() or 1))

    @property
    def coherence(self) -> float:
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


def _undefined(model: Any, reason: str) -> str:
    return (
        f"The gap cannot be split: this {type(model).__name__} {reason}, so nonnegative least "
        "squares on its parts is not what its own codes approximate. Compare .loss_a and .loss_b."
    )


@dataclass(frozen=True, eq=False)
class Split:
    """The losses of two models on the same samples, and the split of their difference.

    With L a model's loss and E the loss of exact nonnegative least-squares codes on its parts,
    L_b − L_a = (E_b − E_a) + ((L_b − E_b) − (L_a − E_a)): dictionary gap + amortisation gap. Of a
    model with at most k codes a sample, let K be the loss of the best such codes found (K = E for
    the others): L − E = (K − E) + (L − K), selection and encoder.

    Attributes
    ----------
    loss_a, loss_b : float
        ‖D − D̂‖²_F.
    dictionary_gap : float
        E_b − E_a; reading it raises a ValueError where it is undefined (decoder bias,
        logistic output, negative codes).
    amortisation_gap : float
        (L_b − E_b) − (L_a − E_a); likewise.
    selection_gap : float
        (K_b − E_b) − (K_a − E_a); likewise.
    encoder_gap : float
        (L_b − K_b) − (L_a − K_a); likewise.
    code_correlation : ndarray
        Pearson's correlation of the codes of each matched pair over the samples; NaN where
        a code does not vary.
    jaccard : float
        Of the supports of both models' codes, over matched pairs, the mean over samples of the
        number of common ones / the number of those of either.
    jaccard_thresholded : float
        The same for codes above 5 % of their unit's largest one.
    jaccard_expected : float
        What `jaccard` is if the parts are perfect, one model's support is true with k of m codes,
        and noise makes half of the other's m − k positive: k / (k + (m − k)/2) (claim T7 vi). For k
        stands the smaller number of codes above the threshold.
    trivial : bool
        Whether they are training samples that are linearly independent. Then a free encoder can
        realise any codes on them, and equal losses say nothing (claim T8).
    """

    a: Fit
    b: Fit
    pairs: np.ndarray

    trivial = False  # no encoder was fitted to these samples

    @property
    def loss_a(self) -> float:
        return self.a.loss

    @property
    def loss_b(self) -> float:
        return self.b.loss

    @property
    def dictionary_gap(self) -> float:
        return self.b.nnls_loss - self.a.nnls_loss

    @property
    def amortisation_gap(self) -> float:
        return (self.b.loss - self.b.nnls_loss) - (self.a.loss - self.a.nnls_loss)

    @property
    def selection_gap(self) -> float:
        a, b = self.a, self.b
        return (b.sparse_loss - b.nnls_loss) - (a.sparse_loss - a.nnls_loss)

    @property
    def encoder_gap(self) -> float:
        return (self.b.loss - self.b.sparse_loss) - (self.a.loss - self.a.sparse_loss)

    @property
    def jaccard(self) -> float:
        return self._jaccard(0.0)

    @property
    def jaccard_thresholded(self) -> float:
        return self._jaccard(ACTIVE)

    @property
    def jaccard_expected(self) -> float:
        m = len(self.pairs)
        k = min(active.sum(axis=1).mean() for active in self._supports(ACTIVE)) if m else 0
        return float(k / (k + (m - k) / 2)) if m else np.nan

    def _supports(self, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Which codes of the matched pairs are active in a and in b."""
        i, j = self.pairs.T
        return self.a.active(threshold)[:, i], self.b.active(threshold)[:, j]

    def _jaccard(self, threshold: float) -> float:
        a, b = self._supports(threshold)
        either = (a | b).sum(axis=1)
        if not either.any():
            return np.nan
        return float(np.mean((a & b).sum(axis=1)[either > 0] / either[either > 0]))

    @cached_property
    def code_correlation(self) -> np.ndarray:
        H_a, H_b = self.a.H[:, self.pairs[:, 0]], self.b.H[:, self.pairs[:, 1]]
        H_a, H_b = H_a - H_a.mean(axis=0), H_b - H_b.mean(axis=0)
        norms = np.linalg.norm(H_a, axis=0) * np.linalg.norm(H_b, axis=0)
        undefined = np.full(len(norms), np.nan)
        return np.divide((H_a * H_b).sum(axis=0), norms, undefined, where=norms > 0)

    def column(self) -> dict[str, Any]:
        """The entries of the table, relative to ‖D‖²; NaN where undefined."""
        energy = data_norm(self.a.D) ** 2 or 1.0
        gaps = ("dictionary_gap", "amortisation_gap", "selection_gap", "encoder_gap")
        try:
            gaps = [getattr(self, gap) / energy for gap in gaps]
        except ValueError:
            gaps = [np.nan] * len(gaps)
        varying = self.code_correlation[np.isfinite(self.code_correlation)]
        return {
            "relative loss, a": self.loss_a / energy,
            "relative loss, b": self.loss_b / energy,
            "dictionary gap": gaps[0],
            "amortisation gap": gaps[1],
            "  of it selection": gaps[2],
            "  of it encoder": gaps[3],
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


@dataclass(frozen=True, eq=False)
class Comparison(Split):
    """The result of :func:`compare`: what `Split` has for the training samples, and the matching.

    Attributes
    ----------
    pairs : ndarray (r, 2)
        Part pairs[i, 0] of a goes with part pairs[i, 1] of b; best first.
    cosines : ndarray (r,)
        Of the pairs.
    mcc : float
        Sum of the cosines / max(m_a, m_b); dead and unmatched parts count 0.
    mcc_alive : float
        Mean cosine over the live pairs.
    heldout : Split or None
        The same losses, gaps and codes on held-out samples.
    nulls : dict of ndarray (draws,)
        MCC by chance: of a's parts with "random" ones (as many as b has alive, nonnegative if those
        are), and with b's, "shuffled": the features of each part in an order of its own.
    principal_angles : ndarray
        Between what a's live parts span and what b's do, in radians, ascending.
    components_a, components_b : ndarray (r, d)
        The parts in matched order.
    name_a, name_b : str
        For tables and pictures.
    """

    cosines: np.ndarray
    mcc: float
    mcc_alive: float
    heldout: Split | None
    name_a: str
    name_b: str
    draws: int
    random_state: Any

    @cached_property
    def trivial(self) -> bool:
        n, d = self.a.D.shape
        return n <= d and np.linalg.matrix_rank(self.a.D) == n

    @cached_property
    def nulls(self) -> dict[str, np.ndarray]:
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
    def principal_angles(self) -> np.ndarray:
        spans = [fit.live_parts[fit.live_parts.any(axis=1)] for fit in (self.a, self.b)]
        if not all(map(len, spans)):
            return np.empty(0)
        return subspace_angles(*(orth(span.T) for span in spans))[::-1]

    @property
    def components_a(self) -> np.ndarray:
        return self.a.model.components_[self.pairs[:, 0]]

    @property
    def components_b(self) -> np.ndarray:
        return self.b.model.components_[self.pairs[:, 1]]

    def table(self) -> pd.DataFrame:
        """One row a quantity; losses and gaps relative to ‖D‖²."""
        columns = {"training": self.column()}
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

    def _repr_html_(self) -> str:
        return self._text().to_html()

    def __repr__(self) -> str:
        return f"Comparison of {self.name_a} (a) and {self.name_b} (b)\n{self._text()}"

    def _text(self) -> pd.DataFrame:
        def shown(entry):
            if isinstance(entry, bool | np.bool_):
                return "yes" if entry else "no"
            if isinstance(entry, int):
                return str(entry)
            return "undefined" if np.isnan(entry) else f"{entry:z.4f}"

        return self.table().map(shown)


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

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        Data with NaN, infinity, no samples, or another number of features than the models have.
    sklearn.exceptions.NotFittedError
        If a model is not fitted.

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
    D = check_matrix(D, "D")
    fit_a, fit_b = Fit(a, D), Fit(b, D)
    matching = match(fit_a.live_parts, fit_b.live_parts)
    if heldout is not None:
        heldout = check_matrix(heldout, "heldout")
        heldout = Split(Fit(a, heldout), Fit(b, heldout), matching.pairs)
    return Comparison(
        fit_a,
        fit_b,
        matching.pairs,
        cosines=matching.cosines,
        mcc=matching.mcc,
        mcc_alive=matching.mcc_alive,
        heldout=heldout,
        name_a=type(a).__name__,
        name_b=type(b).__name__,
        draws=draws,
        random_state=random_state,
    )
