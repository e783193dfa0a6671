"""Projective NMF: the parts are their own encoder, H = D X.

As every solver of NMF this has `infer` too: the codes of other data.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
from scipy.optimize import minimize

from ..choices.codes import ReLU
from ..choices.objective import Objective
from ..choices.parts import Parts
from ..choices.problem import Problem
from ..leastsquares import data_norm
from ..progress import History, progress
from . import Factors, Settings
from .hals import widened
from .starts import best_scale


def check(problem: Problem, weighted: bool = False) -> None:
    """Raise a ValueError if this is no problem for this solver."""
    plain = problem.parts == Parts(nonnegative=True) and problem.codes == ReLU()
    if not plain or weighted or problem.objective != Objective():
        raise ValueError(
            "inference=Layer(tied=True), projective NMF, needs nonnegative parts and neither a "
            "mask nor penalties nor another beta_loss."
        )


def infer(D: Any, components: np.ndarray, problem: Problem, **_: Any) -> np.ndarray:
    """The codes D X."""
    return D @ components.T


def solve(
    D: Any, begun: Iterable[Factors], problem: Problem, settings: Settings, *, weights: None = None
) -> Iterator[tuple[Factors, History]]:
    """As :func:`descend`, from any starts."""
    D = widened(D)
    for start in begun:
        yield descend(D, start.components, settings)


def descend(D: Any, components: np.ndarray, settings: Settings) -> tuple[Factors, History]:
    r"""Minimise :math:`\|D - D X X^T\|_F^2` over X ≥ 0 by L-BFGS-B.

    Parts are determined up to their order only: X has no free scale. It stops where the projected
    gradient of half the objective is at most tol·‖D‖²_F.

    References
    ----------
    Yuan, Oja (2005), "Projective nonnegative matrix factorization for image compression and feature
    extraction".
    """
    norm, tol, max_iter = data_norm(D) or 1.0, settings.tol, settings.max_iter
    components = np.maximum(components, 0)
    history = History()
    rounds = iter(progress(range(max_iter + 1), "NMF, projective"))

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        """‖D − DXXᵀ‖² and its gradient, both over ‖D‖²."""
        X = x.reshape(components.T.shape)
        H = D @ X
        S, Q, B = H.T @ H, X.T @ X, D.T @ H
        value = norm**2 - 2 * S.trace() + np.vdot(S, Q)
        return float(value) / norm**2, ((2 * X @ S + 2 * B @ Q - 4 * B) / norm**2).ravel()

    def note(x: np.ndarray) -> None:
        """Add to the history, and stop where the residual is small."""
        value, gradient = objective(x)
        projected = np.where(x > 0, gradient, np.minimum(gradient, 0))
        residual = float(np.linalg.norm(projected)) / 2
        history.add(iteration=next(rounds), objective=value * norm**2, residual=residual)
        if residual <= tol:
            raise StopIteration

    # D X Xᵀ is quadratic in X: the square root of the scalar that fits best.
    X = components.T * max(best_scale(D, D @ components.T, components), 0.0) ** 0.5
    x = X.ravel().astype(np.float64)
    with suppress(StopIteration):
        note(x)
        stuck = -1
        # It can lose its way at a saddle; restarted it goes on, until it makes no step at all.
        while stuck < history.iterations < max_iter and history.last["residual"] > tol:
            stuck = history.iterations
            left = max_iter - stuck
            x = minimize(
                objective,
                x,
                jac=True,
                method="L-BFGS-B",
                bounds=[(0, None)] * X.size,
                callback=note,
                options={"maxiter": left, "maxfun": 10 * left, "ftol": 0, "gtol": 0},
            ).x
    components = x.reshape(X.shape).T.astype(D.dtype)
    return Factors(D @ components.T, components), history
