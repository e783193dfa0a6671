"""partsrep: when do NMF and a sparse autoencoder find the same parts?"""

from .interrupt import quiet

quiet()  # before all else: what follows takes seconds

# ruff: noqa: E402
from . import convert, datasets, figures, presets
from .choices.codes import (
    BatchTopK,
    FeatureChoice,
    Gaussian,
    JumpReLU,
    Logistic,
    MutualChoice,
    ReLU,
    Simplex,
    TopK,
)
from .choices.combinations import Cone, Hull
from .choices.inference import Layer, Pursuit, Unrolled
from .choices.objective import KL, L0, L1, AuxK, Decay, Hoyer, LogVolume, PriorKL
from .choices.problem import Problem
from .estimators import NMF, SAE, fit_all, non_negative_factorization, restarts
from .solvers.online import Online
from .storage import load, save
from .study.compare import compare
from .study.conditions import certificate, encodability, encodability_on, noise_law
from .study.selection import choose_n_components, consensus
from .study.verdict import verdict
from .study.walk import to_topk_sae, walk

__version__ = "0.1.0"
__all__ = [
    "KL",
    "L0",
    "L1",
    "NMF",
    "SAE",
    "AuxK",
    "BatchTopK",
    "Cone",
    "Decay",
    "FeatureChoice",
    "Gaussian",
    "Hoyer",
    "Hull",
    "JumpReLU",
    "Layer",
    "LogVolume",
    "Logistic",
    "MutualChoice",
    "Online",
    "PriorKL",
    "Problem",
    "Pursuit",
    "ReLU",
    "Simplex",
    "TopK",
    "Unrolled",
    "certificate",
    "choose_n_components",
    "compare",
    "consensus",
    "convert",
    "datasets",
    "encodability",
    "encodability_on",
    "figures",
    "fit_all",
    "load",
    "noise_law",
    "non_negative_factorization",
    "presets",
    "restarts",
    "save",
    "to_topk_sae",
    "verdict",
    "walk",
]
