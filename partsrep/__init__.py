"""partsrep: when do NMF and a sparse autoencoder find the same parts?"""

from .interrupt import quiet

quiet()  # before all else: the imports of the command take a while

# ruff: noqa: E402
from typing import TYPE_CHECKING

from .lazy import public

__version__ = "0.1.0"

if TYPE_CHECKING:  # each is imported when it is first asked for
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
    from .choices.inference import NNLS, Layer, Pursuit, Unrolled
    from .choices.objective import KL, L0, L1, AuxK, Decay, Hoyer, LogVolume, Objective, PriorKL
    from .choices.parts import Cone, Disjoint, Hull, Parts, Samples, Sparseness, UnitMean
    from .choices.problem import Problem
    from .estimators import NMF, SAE, fit_all, from_problem, non_negative_factorization, restarts
    from .solvers.online import Online
    from .storage import load, save
    from .study.compare import compare
    from .study.conditions import certificate, encodability, encodability_on, noise_law
    from .study.selection import choose_n_components, consensus
    from .study.verdict import verdict
    from .study.walk import to_topk_sae, walk

__getattr__, __dir__, __all__ = public(__name__)
