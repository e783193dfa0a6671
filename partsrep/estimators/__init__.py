"""The front doors, NMF and SAE: each turns its arguments into a Problem for a solver."""

from .base import fit_all, restarts
from .doors import front_door
from .nmf import NMF, non_negative_factorization
from .sae import SAE

__all__ = ["NMF", "SAE", "fit_all", "front_door", "non_negative_factorization", "restarts"]
