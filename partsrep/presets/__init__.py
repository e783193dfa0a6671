r"""The named methods: each a choice of parts, codes, inference and objective.

A preset is a function (n_components, ..., \*\*settings) that returns an unfitted
:class:`partsrep.NMF` or :class:`partsrep.SAE`; the settings are that one's own, such as
random_state, tol or start. What a method may do and what it returns is therefore written there.
:func:`catalogue` reads the docstrings and the choices here, and is the table of the book.

A new one is a function in `nmf` or `sae` whose docstring holds a title, the objective under
``.. math::`` and a reference, and one line in the table there.
"""

import re
from collections.abc import Callable
from dataclasses import fields, replace
from inspect import getdoc

import numpy as np
import pandas as pd

from ..estimators import NMF, SAE
from ..objective import BETA, Elastic
from ..parts import DECODERS
from .nmf import (
    FACTORIZATIONS,
    archetypal,
    convex_nmf,
    itakura_saito_nmf,
    kl_nmf,
    min_volume_nmf,
    orthogonal_nmf,
    projective_nmf,
    semi_nmf,
    separable_nmf,
    sparse_nmf,
    topk_nmf,
)
from .sae import AUTOENCODERS, beta_vae, ncae, nnsae, sae_kl, vae

__all__ = [
    "AUTOENCODERS",
    "FACTORIZATIONS",
    "archetypal",
    "beta_vae",
    "catalogue",
    "choices",
    "convex_nmf",
    "itakura_saito_nmf",
    "kl_nmf",
    "min_volume_nmf",
    "ncae",
    "nnsae",
    "orthogonal_nmf",
    "projective_nmf",
    "sae_kl",
    "semi_nmf",
    "separable_nmf",
    "sparse_nmf",
    "topk_nmf",
    "vae",
]


def choices(model: NMF | SAE) -> dict[str, str]:
    """The four choices of a model, fitted or not, in words.

    Examples
    --------
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
        "parts": names.get(_without_offset(problem.parts)) or _brief(problem.parts),
        "codes": _brief(problem.codes),
        "inference": _brief(problem.inference),
        "objective": " + ".join([*terms, *map(_brief, prices)]),
    }


def _brief(choice) -> str:
    """The repr of a dataclass without what is at its default."""
    given = [
        f"{field.name}={getattr(choice, field.name)!r}"
        for field in fields(choice)
        if getattr(choice, field.name) != field.default
    ]
    return f"{type(choice).__name__}({', '.join(given)})"


def catalogue(presets: dict[str, Callable] = FACTORIZATIONS) -> pd.DataFrame:
    """Presets as a table, from their docstrings and problems.

    Returns
    -------
    DataFrame
        A row for each preset: "method", the title; "minimises", the objective in LaTeX; the
        four choices "parts", "codes", "inference" and "objective"; "reference".

    Examples
    --------
    >>> catalogue().loc["archetypal", ["method", "parts", "codes"]].tolist()
    ['Archetypal analysis', 'Hull()', 'Simplex()']
    """
    return pd.DataFrame.from_dict(
        {
            name: _documented(getattr(preset, "func", preset)) | choices(preset())
            for name, preset in presets.items()
        },
        orient="index",
    )


def _documented(preset: Callable) -> dict[str, str]:
    """What a preset's docstring says of it: the title, the objective and the reference."""
    title, rest = getdoc(preset).split(":", maxsplit=1)
    objective = re.search(r"\.\. math:: (.*?)\n\n", rest, re.DOTALL)[1]
    reference = re.search(r"References\n-+\n(.*?)\n\n", rest, re.DOTALL)[1]
    texts = {"method": title, "minimises": objective, "reference": reference}
    return {key: " ".join(text.split()) for key, text in texts.items()}


def _without_offset(parts):
    """Parts as the tables of names have them."""
    return replace(parts, offset=False) if parts.offset else parts
