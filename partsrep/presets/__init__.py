r"""The named methods: each a choice of parts, codes, inference and objective.

A preset is a function (n_components, ..., \*\*settings) that returns an unfitted
:class:`partsrep.NMF` or :class:`partsrep.SAE`; the settings are that one's own, such as
random_state, tol or start, and n_components is a number or "auto". What a method may do and what it
returns is therefore written there.
:func:`catalogue` reads the docstrings and the choices here, and is the table of the book.

:func:`like` sets up the other method to find a fitted model's parts, and :func:`recipe` says why.

A new one is a file of its name, with the function, whose docstring holds a title, the objective
under ``.. math::`` and references, and with the set of parts or codes that only it uses; and a line
in the list here.
"""

from collections.abc import Callable
from functools import partial

import pandas as pd

from .archetypal import archetypal
from .convex_nmf import convex_nmf
from .counterpart import like, recipe
from .describe import choices, documented, named
from .divergences import itakura_saito_nmf, kl_nmf
from .min_volume_nmf import UnitMean, min_volume_nmf
from .ncae import ncae
from .nnsae import nnsae
from .orthogonal_nmf import Disjoint, orthogonal_nmf
from .projective_nmf import projective_nmf
from .sae_kl import sae_kl
from .semi_nmf import semi_nmf
from .separable_nmf import Samples, separable_nmf
from .sparse_nmf import Sparseness, sparse_nmf
from .topk_nmf import topk_nmf
from .vae import beta_vae, vae

#: By name, as rows of the table.
#:
#: :meta hide-value:
FACTORIZATIONS = named(
    semi_nmf,
    convex_nmf,
    projective_nmf,
    orthogonal_nmf,
    partial(orthogonal_nmf, on="codes"),
    archetypal,
    separable_nmf,
    sparse_nmf,
    topk_nmf,
    min_volume_nmf,
    kl_nmf,
    itakura_saito_nmf,
)
AUTOENCODERS = named(nnsae, ncae, sae_kl, vae, beta_vae)

__all__ = ["AUTOENCODERS", "FACTORIZATIONS", "Disjoint", "Samples", "Sparseness", "UnitMean"]
__all__ += ["catalogue", "choices", "like", "recipe"]
__all__ += [name for name in FACTORIZATIONS | AUTOENCODERS if name.isidentifier()]


def catalogue(presets: dict[str, Callable] = FACTORIZATIONS) -> pd.DataFrame:
    """Presets as a table, from their docstrings and problems.

    A row has the "method", a title; what it "minimises", in LaTeX; the four choices "parts",
    "codes", "inference" and "objective"; a "reference".

    Examples
    --------
    >>> catalogue().loc["archetypal", ["method", "parts", "codes"]].tolist()
    ['Archetypal analysis', 'Hull()', 'Simplex()']
    """
    rows = {name: documented(preset) | choices(preset()) for name, preset in presets.items()}
    return pd.DataFrame.from_dict(rows, orient="index")
