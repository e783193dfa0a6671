"""partsrep: when do NMF and a sparse autoencoder find the same parts?"""

from . import datasets, figures, presets
from .codes import JumpReLU, ReLU, Simplex, TopK
from .compare import compare
from .estimators import NMF, SAE, non_negative_factorization, restarts
from .objective import KL, L1, LogVolume
from .problem import Problem
from .selection import choose_n_components, consensus

__version__ = "0.1.0"
__all__ = [
    "KL",
    "L1",
    "NMF",
    "SAE",
    "JumpReLU",
    "LogVolume",
    "Problem",
    "ReLU",
    "Simplex",
    "TopK",
    "choose_n_components",
    "compare",
    "consensus",
    "datasets",
    "figures",
    "non_negative_factorization",
    "presets",
    "restarts",
]
