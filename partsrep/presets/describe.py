"""A model's choices in words."""

from dataclasses import fields, replace

import numpy as np

from ..choices.objective import BETA, Elastic
from ..choices.parts import DECODERS
from ..estimators import NMF, SAE


def choices(model: NMF | SAE) -> dict[str, str]:
    """The four choices of a model, fitted or not, in words.

    Examples
    --------
    >>> from partsrep.presets import topk_nmf
    >>> choices(topk_nmf(8, k=3))
    {'parts': 'nonnegative', 'codes': 'TopK(k=3)', 'inference': 'NNLS()', 'objective': 'frobenius'}
    """
    names = {choice: name for name, choice in (DECODERS | BETA).items()}
    if isinstance(model, NMF):
        problem = model._problem(np.ones((1, 1)))
        objective = problem.objective
        terms = [names.get(objective.beta, f"β = {objective.beta:g}")]
        prices = [p for p in (objective.codes, objective.parts) if p != Elastic()]
    else:
        problem = model._problem()
        objective = problem.objective
        terms = [objective.fit, *(["logistic link"] if objective.link == "logistic" else [])]
        prices = objective.penalties
    return {
        "parts": names.get(without_offset(problem.parts)) or brief(problem.parts),
        "codes": brief(problem.codes),
        "inference": brief(problem.inference),
        "objective": " + ".join([*terms, *map(brief, prices)]),
    }


def brief(choice) -> str:
    """The repr of a dataclass without what is at its default."""
    given = [
        f"{field.name}={getattr(choice, field.name)!r}"
        for field in fields(choice)
        if getattr(choice, field.name) != field.default
    ]
    return f"{type(choice).__name__}({', '.join(given)})"


def without_offset(parts):
    """Parts as the tables of names have them."""
    return replace(parts, offset=False) if parts.offset else parts
