r"""The named methods: each a choice of parts, codes, inference and objective.

A preset is a function (n_components, ..., \*\*settings) that returns an unfitted
:class:`partsrep.NMF` or :class:`partsrep.SAE`; the settings are that one's own, such as
random_state, tol or start. What a method may do and what it returns is therefore written there.
:func:`catalogue` reads the docstrings and the choices here, and is the table of the book.

:func:`like` sets up the other method to find a fitted model's parts, and :func:`recipe` says why.

A new one is a function in `nmf` or `sae` whose docstring holds a title, the objective under
``.. math::`` and a reference, and one line in the table there.
"""

import re
from collections.abc import Callable
from inspect import getdoc

import pandas as pd

from .counterpart import like, recipe
from .describe import choices
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
    "like",
    "min_volume_nmf",
    "ncae",
    "nnsae",
    "orthogonal_nmf",
    "projective_nmf",
    "recipe",
    "sae_kl",
    "semi_nmf",
    "separable_nmf",
    "sparse_nmf",
    "topk_nmf",
    "vae",
]


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
