"""The front doors, NMF and SAE: each turns its arguments into a Problem for a solver."""

from .base import fit_all, restarts
from .from_problem import from_problem
from .nmf import NMF, non_negative_factorization
from .sae import SAE

__all__ = ["NMF", "SAE", "fit_all", "from_problem", "non_negative_factorization", "restarts"]
