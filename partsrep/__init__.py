"""partsrep: when do NMF and a sparse autoencoder find the same parts?"""

from .interrupt import quiet

quiet()  # before all else: the imports of the command take a while

# ruff: noqa: E402
from typing import TYPE_CHECKING

from .lazy import public

__version__ = "0.1.0"

if TYPE_CHECKING:  # each is imported when it is first asked for
    from . import convert, datasets, figures, presets
    from .choices.codes import ReLU, Simplex, TopK
    from .choices.combinations import Cone, Hull
    from .choices.dense import Gaussian, Logistic
    from .choices.inference import NNLS, Layer, Pursuit, Unrolled
    from .choices.jumprelu import JumpReLU
    from .choices.objective import (
        KL,
        L0,
        L1,
        L2,
        AuxK,
        Bernoulli,
        Beta,
        Decay,
        Hoyer,
        LogVolume,
        Objective,
        PathNorm,
        PriorKL,
    )
    from .choices.parts import Fixed, Parts
    from .choices.problem import Problem
    from .choices.selections import BatchTopK, FeatureChoice, MutualChoice
    from .datasets.recording import record
    from .estimators import NMF, SAE, fit_all, from_problem, non_negative_factorization, restarts
    from .presets.min_volume_nmf import UnitMean
    from .presets.orthogonal_nmf import Disjoint
    from .presets.separable_nmf import Samples
    from .presets.sparse_nmf import Sparseness
    from .solvers.online import Online
    from .storage import load, save
    from .study.bootstrap import bootstrap
    from .study.compare import compare
    from .study.conditions import certificate, encodability, encodability_on, noise_law
    from .study.margins import margin_layer
    from .study.prediction import predict
    from .study.selection import choose_n_components, choose_penalty, consensus
    from .study.solutions import solutions
    from .study.stability import stability
    from .study.verdict import verdict
    from .study.walk import to_topk_sae, walk

__getattr__, __dir__, __all__ = public(__name__)
