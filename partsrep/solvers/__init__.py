"""How a problem is solved.

Every solver is a module with

* ``check(problem)``, which raises a ValueError that names the choice it cannot take and the way
  out;
* ``solve(D, starts, problem, settings)``, which yields for each start what it found and a
  :class:`partsrep.progress.History`; for an autoencoder's problem that is
  ``train(module, D, rngs, settings)``, which improves a module, or a stack of them, in place.

`hals`, `on_device`, `rowwise` (whose data are `blocked`: rows on other machines, or on disk),
`multiplicative` and `projective` find the :class:`Factors` of an NMF,
`projection`, `adam`, `lbfgs`, `alternating` and `online` the weights of an
:class:`partsrep.solvers.autoencoder.Autoencoder`.
`starts` and `begin` say where they start, `scale` in which unit; what is bound to data, such as a
cone of samples, is made for each run and dies with it.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Factors(NamedTuple):
    """D ≈ H Xᵀ: codes H (n, m), parts Xᵀ (m, d), and if they are made of samples Xᵀ = A D the
    weights A (m, n)."""

    codes: np.ndarray
    components: np.ndarray
    sample_weights: np.ndarray | None = None


class Weights(NamedTuple):
    """Parts Xᵀ (m, d), encoder U (m, d), encoder bias b (m,) and decoder bias c (d,)."""

    components: np.ndarray
    encoder: np.ndarray | None = None
    bias: np.ndarray | None = None
    offset: np.ndarray | None = None


@dataclass(frozen=True)
class Settings:
    """When a solver ends, and its steps."""

    tol: float  # the relative gain, or residual, below which it ends
    max_iter: int  # most iterations, rounds or epochs
    batch_size: int = 256  # samples a step
    learning_rate: float | None = None  # None: the solver's own
    rule: Any = None  # of the online solver
    device: Any = None  # of torch's, where an NMF is solved; None: here, without torch
