"""Two fitted models side by side: matched parts, losses, and where the difference comes from."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from . import figures
from .inference import exact_nnls
from .matching import match
from .problem import data_norm, squared_error


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
    """

    model: Any
    D: np.ndarray

    @cached_property
    def H(self) -> np.ndarray:
        return self.model.transform(self.D)

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


def _undefined(model: Any, reason: str) -> str:
    return (
        f"The gap cannot be split: this {type(model).__name__} {reason}, so nonnegative least "
        "squares on its parts is not what its own codes approximate. Compare .loss_a and .loss_b."
    )


@dataclass(frozen=True, eq=False)
class Split:
    """The losses of two models on the same samples, and the split of their difference.

    With L a model's loss and E the loss of exact nonnegative least-squares codes on its parts,
    L_b − L_a = (E_b − E_a) + ((L_b − E_b) − (L_a − E_a)): dictionary gap + amortisation gap.

    Attributes
    ----------
    loss_a, loss_b : float
        ‖D − D̂‖²_F.
    dictionary_gap : float
        E_b − E_a; reading it raises a ValueError where it is undefined (decoder bias,
        logistic output, negative codes).
    amortisation_gap : float
        (L_b − E_b) − (L_a − E_a); likewise.
    code_correlation : ndarray
        Pearson's correlation of the codes of each matched pair over the samples; NaN where
        a code does not vary.
    trivial : bool
        Whether the samples are linearly independent. Then a free encoder can realise any
        codes on them, and equal losses say nothing (claim T8).
    """

    a: Fit
    b: Fit
    pairs: np.ndarray

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

    @cached_property
    def code_correlation(self) -> np.ndarray:
        H_a, H_b = self.a.H[:, self.pairs[:, 0]], self.b.H[:, self.pairs[:, 1]]
        H_a, H_b = H_a - H_a.mean(axis=0), H_b - H_b.mean(axis=0)
        norms = np.linalg.norm(H_a, axis=0) * np.linalg.norm(H_b, axis=0)
        undefined = np.full(len(norms), np.nan)
        return np.divide((H_a * H_b).sum(axis=0), norms, undefined, where=norms > 0)

    @cached_property
    def trivial(self) -> bool:
        n, d = self.a.D.shape
        return n <= d and np.linalg.matrix_rank(self.a.D) == n

    def column(self) -> dict[str, Any]:
        """The entries of the table, relative to ‖D‖²; NaN where undefined."""
        energy = data_norm(self.a.D) ** 2 or 1.0
        try:
            gaps = self.dictionary_gap / energy, self.amortisation_gap / energy
        except ValueError:
            gaps = np.nan, np.nan
        varying = self.code_correlation[np.isfinite(self.code_correlation)]
        return {
            "relative loss, a": self.loss_a / energy,
            "relative loss, b": self.loss_b / energy,
            "dictionary gap": gaps[0],
            "amortisation gap": gaps[1],
            "median code correlation": np.median(varying) if len(varying) else np.nan,
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
        The same losses, gaps and code correlations on held-out samples.
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
        similarity = {"MCC": self.mcc, "MCC over live pairs": self.mcc_alive}
        return pd.DataFrame({name: {**similarity, **rows} for name, rows in columns.items()})

    def plot(self, image_shape: tuple[int, int] | None = None) -> Figure:
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
            return "undefined" if np.isnan(entry) else f"{entry:.4f}"

        return self.table().map(shown)


def compare(a: Any, b: Any, D: Any, heldout: Any = None) -> Comparison:
    r"""Compare two fitted models on the same data.

    Parts are matched one to one by cosine (:func:`partsrep.matching.match`). A part that is never
    active on D is dead and counts as zero.

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
    for model in (a, b):
        check_is_fitted(model, "components_")
    D = check_array(D, dtype=(np.float64, np.float32), input_name="D")
    fit_a, fit_b = Fit(a, D), Fit(b, D)
    matching = match(fit_a.live_parts, fit_b.live_parts)
    if heldout is not None:
        heldout = check_array(heldout, dtype=(np.float64, np.float32), input_name="heldout")
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
    )
