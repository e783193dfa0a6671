"""What the user types, NMF and SAE: arguments become a problem, and a solver's result a model."""

from typing import TYPE_CHECKING

from ..lazy import public

if TYPE_CHECKING:  # each is imported when it is first asked for: SAE brings torch
    from .base import fit_all, restarts
    from .nmf import NMF, non_negative_factorization
    from .sae import SAE
    from .translation import from_problem

__getattr__, __dir__, __all__ = public(__name__)
