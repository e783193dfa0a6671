"""The other method, set up to find the same parts, and why it is set up so."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from ..choices.codes import Codes, ReLU, TopK
from ..choices.inference import NNLS, Layer
from ..choices.objective import SQUARED, none
from ..choices.parts import DECODERS, PartSet
from ..choices.problem import Problem
from ..estimators import NMF, SAE
from .describe import brief, by_name


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
    begins at the fitted model; ``start=None`` leaves it to find the parts by itself. It is a
    ValueError, which says why, if the theory knows no counterpart.

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

    The frame has a row for each choice: "here", what it is in the model; "set", the argument of the
    other method; "because", with the claim's id. Without a counterpart it is a ValueError, as of
    :func:`like`.

    Examples
    --------
    >>> recipe(NMF(8))["set"].tolist()[:3]
    ["decoder='nonnegative'", "activation='relu'", "encoder='linear'"]
    """
    rows = [
        (choice, here, f"{argument}={value!r}" if argument else "nothing", because)
        for choice, here, argument, value, because in _settings(model)
    ]
    because = "an NMF optimum that can be encoded is one of the autoencoder (T9)"
    rows.append(("start", "fitted", "start=<the fitted model>", because))
    return pd.DataFrame(rows, columns=["choice", "here", "set", "because"]).set_index("choice")


def _settings(model: NMF | SAE) -> list[Setting]:
    problem = getattr(model, "problem_", None) or model.problem
    if isinstance(model, NMF):
        return _autoencoder(problem)
    settings = _factorization(problem)
    try:  # NMF's solver does not take all that it takes one by one
        NMF(**{row.argument: row.value for row in settings if row.argument}).check()
    except ValueError as error:
        raise ValueError(f"There is no counterpart of all choices together: {error}") from error
    return settings


def _autoencoder(nmf: Problem) -> list[Setting]:
    """The settings of an SAE for an NMF's problem."""
    if not nmf.parts.trainable:
        raise none(nmf.parts, "an autoencoder's decoder cannot be held in that set")
    if nmf.objective.fit != SQUARED:
        raise none(nmf.objective.fit, "an autoencoder here minimises squared error (T14)")
    codes, because = _codes(nmf.codes)
    activation = "relu" if codes == ReLU() else codes
    decoder, why_parts = by_name(nmf.parts), "signed parts (T2)"
    if nmf.parts.nonnegative:
        why_parts = "a free decoder would be PCA (T2)"
    if isinstance(decoder, str) and codes.sparsity is not None:
        # An autoencoder selects by the codes' size, so that the parts must not take it from them.
        decoder = _unit(nmf.parts)
        why_parts += "; selection needs the parts' norm fixed (T10)"
    encoder = "tied" if nmf.inference.tied else "linear"
    why_encoder = "a tied or nonnegative encoder needs disjoint parts or private features (T5)"
    if nmf.inference.tied:
        why_encoder = "tied already"
    return [
        Setting("parts", brief(nmf.parts), "decoder", decoder, why_parts),
        Setting("codes", brief(nmf.codes), "activation", activation, because),
        Setting("inference", brief(nmf.inference), "encoder", encoder, why_encoder),
        Setting("output", "linear", "output", "linear", "another link is another problem (T14)"),
        Setting("offset", "none", "bias", False, "a bias with signs does what no part can (T1)"),
        *_penalties(nmf),
    ]


def _factorization(sae: Problem) -> list[Setting]:
    """The settings of an NMF for an SAE's problem."""
    parts, layer, objective = sae.parts, sae.inference, sae.objective
    if not objective.averaged:
        raise none(f"{objective.link} output", "another link is another problem (T14)")
    if parts.offset:
        raise none(
            "a decoder bias",
            "a nonnegative one is one more part with a constant code, but one with signs does what "
            "no part can (T1): leave out the bias",
        )
    codes, because = _codes(sae.codes)
    if layer.most_active is not None:
        codes, because = TopK(layer.most_active), "a pursuit looks for the best k codes"
    allowed, why_parts = by_name(parts), "semi-NMF: both then only find a span (T2)"
    if parts.nonnegative:
        why_parts = "the same set"
    for penalty in objective.penalties:
        if penalty.by_norm and not isinstance(allowed, str):
            raise none(penalty, f"{parts!r} has no parts of norm 1 alone (T11)")
        if penalty.by_norm:
            allowed = _unit(parts)
    inference, why_layer = NNLS(), "what a layer comes near to, where codes are encodable (T4, T7)"
    if sae.codes == ReLU() and layer == Layer(tied=True) and parts == DECODERS["nonnegative"]:
        inference, why_layer = layer, "tied and nonnegative: projective NMF (T1)"
    return [
        Setting("parts", brief(parts), "parts", allowed, why_parts),
        Setting("codes", brief(sae.codes), "codes", codes, because),
        Setting("inference", brief(layer), "inference", inference, why_layer),
        *_penalties(sae),
    ]


def _codes(codes: Codes) -> tuple[Codes, str]:
    """What the other method allows in their place, and why."""
    other, because = codes.counterpart
    if other is None:
        raise none(codes, because)
    return other, because


def _penalties(problem: Problem) -> Iterator[Setting]:
    """One row for all that the other method has too, and one for each that it does without."""
    kept, reasons = [], {}
    for penalty in problem.objective.penalties:
        other, because = penalty.counterpart(problem)
        if other is None:
            yield Setting("penalty", brief(penalty), "", None, because)
        else:
            kept.append(other)
            reasons[because] = None
    if kept:
        value = kept[0] if len(kept) == 1 else kept
        here = " + ".join(map(brief, kept))
        yield Setting("penalty", here, "penalty", value, "; ".join(reasons))


def _unit(parts: PartSet) -> str:
    """The same signs at norm 1."""
    return "unit-nonnegative" if parts.nonnegative else "unit"
