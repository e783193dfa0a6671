"""What models and presets are, in words."""

import re
from collections.abc import Callable
from dataclasses import fields
from inspect import getdoc

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
    if isinstance(model, NMF):
        problem = model._problem(np.ones((1, 1)))
        objective = problem.objective
        names = {beta: name for name, beta in BETA.items()}
        terms = [names.get(objective.beta, f"β = {objective.beta:g}")]
        penalties = [p for p in (objective.codes, objective.parts) if p != Elastic()]
    else:
        problem = model._problem()
        objective = problem.objective
        terms = [objective.fit, *(["logistic link"] if objective.link == "logistic" else [])]
        penalties = objective.penalties
    parts = by_name(problem.parts.with_offset(False))
    return {
        "parts": parts if isinstance(parts, str) else brief(problem.parts),
        "codes": brief(problem.codes),
        "inference": brief(problem.inference),
        "objective": " + ".join([*terms, *map(brief, penalties)]),
    }


def by_name(parts):
    """The name of a set of parts if it has one, else the set itself."""
    return next((name for name, named in DECODERS.items() if named == parts), parts)


def brief(choice) -> str:
    """The repr of a dataclass without what is at its default."""
    given = [
        f"{field.name}={getattr(choice, field.name)!r}"
        for field in fields(choice)
        if getattr(choice, field.name) != field.default
    ]
    return f"{type(choice).__name__}({', '.join(given)})"


def named(*presets: Callable) -> dict[str, Callable]:
    """Presets by their names, which hold the keywords of a partial one."""
    table = {}
    for preset in presets:
        function, keywords = getattr(preset, "func", preset), getattr(preset, "keywords", {})
        given = [f'{key}="{value}"' for key, value in keywords.items()]
        table[", ".join([function.__name__, *given])] = preset
    return table


def documented(preset: Callable) -> dict[str, str]:
    """What a preset's docstring says of it: the title, the objective and the reference."""
    title, rest = getdoc(getattr(preset, "func", preset)).split(":", maxsplit=1)
    objective = re.search(r"\.\. math:: (.*?)\n\n", rest, re.DOTALL)[1]
    reference = re.search(r"References\n-+\n(.*?)\n\n", rest, re.DOTALL)[1]
    texts = {"method": title, "minimises": objective, "reference": reference}
    return {key: " ".join(text.split()) for key, text in texts.items()}
