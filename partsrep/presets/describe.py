"""What models and presets are, in words."""

import re
from collections.abc import Callable
from dataclasses import fields
from inspect import getdoc

from ..choices.objective import FITS
from ..choices.parts import DECODERS
from ..estimators import NMF, SAE


def choices(model: NMF | SAE) -> dict[str, str]:
    """The four choices of a model, fitted or not, in words.

    Examples
    --------
    >>> from partsrep.presets import topk_nmf
    >>> choices(topk_nmf(8, k=3))
    {'parts': 'nonnegative', 'codes': 'TopK(k=3)', 'inference': 'NNLS()', 'objective': 'squared'}
    """
    problem = model.problem
    fit = next((name for name, named in FITS.items() if named == problem.objective.fit), None)
    terms = [fit or brief(problem.objective.fit)]
    terms += [] if problem.objective.link == "linear" else ["logistic link"]
    parts = by_name(problem.parts.with_offset(False))
    return {
        "parts": parts if isinstance(parts, str) else brief(problem.parts),
        "codes": brief(problem.codes),
        "inference": brief(problem.inference),
        "objective": " + ".join([*terms, *map(brief, problem.objective.penalties)]),
    }


def by_name(parts):
    """The name of a set of parts if it has one, else the set itself."""
    return next((name for name, named in DECODERS.items() if named == parts), parts)


def brief(choice) -> str:
    """The repr of a dataclass without what is at its default."""
    values = {field.name: getattr(choice, field.name) for field in fields(choice)}
    defaults = {field.name: field.default for field in fields(choice)}
    given = [f"{key}={value!r}" for key, value in values.items() if value != defaults[key]]
    return f"{type(choice).__name__}({', '.join(given)})"


def named(*presets: Callable) -> dict[str, Callable]:
    """Presets by their names, which hold the keywords of a partial one."""
    table = {}
    for preset in presets:
        given = [f'{key}="{value}"' for key, value in getattr(preset, "keywords", {}).items()]
        table[", ".join([getattr(preset, "func", preset).__name__, *given])] = preset
    return table


def documented(preset: Callable) -> dict[str, str]:
    """What a preset's docstring says of it: the title, the objective and the reference."""
    title, rest = getdoc(getattr(preset, "func", preset)).split(":", maxsplit=1)
    objective = re.search(r"\.\. math:: (.*?)\n\n", rest, re.DOTALL)[1]
    reference = re.search(r"References\n-+\n(.*?)\n\n", rest, re.DOTALL)[1]
    texts = {"method": title, "minimises": objective, "reference": reference}
    return {key: " ".join(text.split()) for key, text in texts.items()}
