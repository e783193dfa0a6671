"""partsrep: when do NMF and a sparse autoencoder find the same parts?"""

from . import datasets, figures
from .codes import JumpReLU, ReLU, TopK
from .compare import compare
from .estimators import NMF, SAE, restarts
from .objective import KL, L1
from .problem import Problem

__version__ = "0.1.0"
__all__ = [
    "KL",
    "L1",
    "NMF",
    "SAE",
    "JumpReLU",
    "Problem",
    "ReLU",
    "TopK",
    "compare",
    "datasets",
    "figures",
    "restarts",
]
