"""The other method, set up to find the same parts, and why it is set up so."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from ..choices.codes import BatchTopK, FeatureChoice, JumpReLU, ReLU, TopK
from ..choices.inference import NNLS, Layer, Pursuit
from ..choices.objective import KL, L1, AuxK, Elastic, Objective
from ..choices.parts import DECODERS, PartSet
from ..choices.problem import Problem
from ..estimators import NMF, SAE
from .describe import brief, by_name

EVADED = "parts of any norm evade it (T11, T12)"
SAME_L1 = "the same penalty of the codes, at parts of a given norm (T11)"


class Setting(NamedTuple):
    """One row of the recipe: a choice, what it is here, and the other method's argument for it."""

    choice: str
    here: str
    argument: str
    value: Any
    because: str


def like(fitted: NMF | SAE, **settings) -> NMF | SAE:
    """The other method, unfitted, set up by the theory to find a fitted model's parts.

    :func:`recipe` says what is set and why; `settings`, of the other method, have the last word. It
    begins at the fitted model; ``start=None`` leaves it to find the parts by itself.

    Raises
    ------
    ValueError
        If the theory knows no counterpart; the message says why.

    Examples
    --------
    >>> from partsrep import NMF, compare, datasets
    >>> D = datasets.load("planted", n_samples=100, n_parts=4).D
    >>> nmf = NMF(4, random_state=0).fit(D)
    >>> sae = like(nmf).fit(D)
    >>> type(sae).__name__, bool(compare(nmf, sae, D).mcc > 0.99)
    ('SAE', True)
    """
    check_is_fitted(fitted, "components_")
    other = SAE if isinstance(fitted, NMF) else NMF
    chosen = {row.argument: row.value for row in _settings(fitted) if row.argument}
    chosen |= {"start": fitted, "random_state": fitted.random_state}
    return other(len(fitted.components_), **(chosen | settings))


def recipe(model: NMF | SAE) -> pd.DataFrame:
    """To make the other method behave like this one, fitted or not, set …: a table.

    Returns
    -------
    DataFrame
        A row for each choice: "here", what it is in the model; "set", the argument of the other
        method; "because", with the claim's id.

    Raises
    ------
    ValueError
        If the theory knows no counterpart; the message says why.

    Examples
    --------
    >>> recipe(NMF(8))["set"].tolist()[:3]
    ["decoder='nonnegative'", "activation='relu'", "encoder='linear'"]
    """
    rows = [
        {
            "choice": row.choice,
            "here": row.here,
            "set": f"{row.argument}={row.value!r}" if row.argument else "nothing",
            "because": row.because,
        }
        for row in _settings(model)
    ]
    start = {"choice": "start", "here": "fitted", "set": "start=<the fitted model>"}
    start["because"] = "an NMF optimum that can be encoded is one of the autoencoder (T9)"
    return pd.DataFrame([*rows, start]).set_index("choice")


def _settings(model: NMF | SAE) -> list[Setting]:
    if isinstance(model, NMF):
        problem = getattr(model, "problem_", None) or model._problem(np.ones((1, 1)))
        return _autoencoder(problem)
    return _factorization(getattr(model, "problem_", None) or model._problem())


def _autoencoder(nmf: Problem) -> list[Setting]:
    """The settings of an SAE for an NMF's problem."""
    decoder = by_name(nmf.parts)
    if not nmf.parts.trainable:
        raise _none(nmf.parts, "an autoencoder's decoder cannot be held in that set")
    if not isinstance(nmf.codes, ReLU | TopK):
        raise _none(nmf.codes, "no activation gives such codes")
    objective = nmf.objective
    if objective.beta != 2:
        raise _none(f"β = {objective.beta:g}", "an autoencoder here minimises squared error (T14)")
    l1 = objective.codes.l1
    if Objective(codes=Elastic(l1=l1)) != objective:
        raise _none(objective, "only an L1 penalty of the codes is one of an autoencoder")

    sparse = isinstance(nmf.codes, TopK)
    why_parts = "a free decoder would be PCA (T2)" if nmf.parts.nonnegative else "signed parts (T2)"
    if isinstance(decoder, str) and sparse:
        # An autoencoder selects by the codes' size, so that the parts must not take it from them.
        decoder = _unit(nmf.parts)
        why_parts += "; selection needs the parts' norm fixed (T10)"
    tied = nmf.inference == Layer(tied=True)
    rows = [
        Setting("parts", brief(nmf.parts), "decoder", decoder, why_parts),
        Setting(
            "codes",
            brief(nmf.codes),
            "activation",
            nmf.codes if sparse else "relu",
            "k active codes a sample, for k at least the true one (T10)"
            if sparse
            else "H ≥ 0 is what ReLU gives (T1)",
        ),
        Setting(
            "inference",
            brief(nmf.inference),
            "encoder",
            "tied" if tied else "linear",
            "tied already"
            if tied
            else "a tied or nonnegative encoder needs disjoint parts or private features (T5)",
        ),
        Setting("output", "linear", "output", "linear", "another link is another problem (T14)"),
        Setting("offset", "none", "bias", False, "a bias with signs does what no part can (T1)"),
    ]
    if l1 and nmf.parts.homogeneous:
        rows.append(_dropped(f"L1({2 * l1:g})", EVADED))
    elif l1:
        rows.append(Setting("penalty", f"L1({2 * l1:g})", "penalty", L1(2 * l1), SAME_L1))
    return rows


def _factorization(sae: Problem) -> list[Setting]:
    """The settings of an NMF for an SAE's problem."""
    parts, codes, layer, objective = sae.parts, sae.codes, sae.inference, sae.objective
    if objective.link != "linear" or objective.fit != "squared":
        raise _none(f"{objective.link} output", "another link is another problem (T14)")
    if parts.offset:
        raise _none(
            "a decoder bias",
            "a nonnegative one is one more part with a constant code, but one with signs does what "
            "no part can (T1): leave out the bias",
        )
    if not isinstance(codes, ReLU | JumpReLU | TopK | BatchTopK | FeatureChoice):
        raise _none(codes, "such codes are never zero, or signed (T14, T15)")
    why_parts = "the same set" if parts.nonnegative else "semi-NMF: both then only find a span (T2)"
    rows = [Setting("parts", brief(parts), "parts", by_name(parts), why_parts)]
    if isinstance(layer, Pursuit):
        chosen, why = TopK(layer.k), "a pursuit looks for the best k codes"
    elif isinstance(codes, TopK):
        chosen, why = codes, "at most k active codes a sample (T10)"
    elif isinstance(codes, BatchTopK | FeatureChoice):
        chosen = ReLU()
        why = (
            f"{codes.k} is a mean: TopK allows the same codes only if its k is the largest number "
            "in a sample, which the setting does not tell (T13)"
        )
    elif isinstance(codes, JumpReLU):
        chosen, why = ReLU(), "the threshold removes what noise makes of zeros (T7)"
    else:
        chosen, why = codes, "what ReLU gives is H ≥ 0 (T1)"
    rows.append(Setting("codes", brief(codes), "codes", chosen, why))
    linear = (
        isinstance(codes, ReLU) and layer == Layer(tied=True) and parts == DECODERS["nonnegative"]
    )
    rows.append(
        Setting(
            "inference",
            brief(layer),
            "inference",
            Layer(tied=True) if linear else NNLS(),
            "tied and nonnegative: projective NMF (T1)"
            if linear
            else "what a layer comes near to, where codes are encodable (T4, T7)",
        )
    )
    for penalty in objective.penalties:
        here = brief(penalty)
        by_norm = isinstance(penalty, L1) and penalty.by_norm
        plain = isinstance(penalty, L1) and not by_norm
        if isinstance(penalty, AuxK):
            rows.append(_dropped(here, "NMF has no dead units to revive (T9)"))
        elif by_norm and isinstance(by_name(parts), str):
            rows[0] = rows[0]._replace(value=_unit(parts))
            rows.append(Setting("penalty", here, "penalty", L1(penalty.weight), SAME_L1))
        elif plain and not parts.homogeneous:
            rows.append(Setting("penalty", here, "penalty", penalty, SAME_L1))
        elif plain or (isinstance(penalty, KL) and isinstance(codes, ReLU) and parts.homogeneous):
            rows.append(_dropped(here, EVADED))
        else:
            raise _none(penalty, "NMF has no such penalty")
    return rows


def _unit(parts: PartSet) -> str:
    """The same signs at norm 1."""
    return "unit-nonnegative" if parts.nonnegative else "unit"


def _dropped(penalty: str, because: str) -> Setting:
    return Setting("penalty", penalty, "", None, because)


def _none(what: Any, reason: str) -> ValueError:
    return ValueError(f"There is no counterpart of {what}: {reason}.")
