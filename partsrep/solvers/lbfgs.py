"""L-BFGS: an autoencoder by quasi-Newton steps on all samples at once."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from ..choices.problem import Problem
from ..progress import History, Interrupted
from . import Settings, adam
from .autoencoder import Autoencoder

MEMORY = 20  # steps whose curvature is remembered
Bounds = tuple[float | None, float | None]


def check(problem: Problem) -> None:
    """Raise a ValueError if its weights have no bounds, or its objective has noise."""
    adam.check(problem)
    noise = "log_variance" in problem.codes.offers and not problem.objective.averaged
    if problem.parts.bounds is None or noise:
        raise ValueError(
            'solver="lbfgs" needs parts that are free or nonnegative and codes without noise; use '
            'solver="auto" or "adam".'
        )


# torch's threads and those of scipy's BLAS spin while they wait for their turn: ten times slower
# where both take part in each small step.
@threadpool_limits.wrap(limits=1, user_api="blas")
def train(
    module: Autoencoder, D: torch.Tensor, rngs: list[np.random.RandomState], settings: Settings
) -> History:
    """Minimise the module's objective on all of D in place; the best iterate is what stays.

    An iteration has to gain the square of `tol`, relative to the objective.

    Returns
    -------
    History
        Over iterations, the start first: "objective", "seconds".

    Raises
    ------
    Interrupted
        At Ctrl-C.

    References
    ----------
    Byrd, Lu, Nocedal, Zhu (1995), "A limited memory algorithm for bound constrained optimization".
    """
    weights = list(module.parameters())
    sizes = [w.numel() for w in weights]
    begin = np.concatenate([w.detach().cpu().double().numpy().ravel() for w in weights])
    history, best = History(), (np.inf, begin)

    def put(flat: np.ndarray) -> None:
        with torch.no_grad():
            for own, part in zip(weights, np.split(flat, np.cumsum(sizes)[:-1]), strict=True):
                own.copy_(torch.as_tensor(part.reshape(own.shape)))

    def value_and_slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best
        put(flat)
        value = module.problem.objective(module(D))
        slopes = torch.autograd.grad(value, weights)
        slope = np.concatenate([each.cpu().double().numpy().ravel() for each in slopes])
        found = float(value.detach())
        if found < best[0]:
            best = found, flat.copy()
        # A line search steps back from what is not finite.
        return (found, slope) if np.isfinite(found) else (np.finfo(float).max, np.zeros_like(slope))

    def note(*_) -> None:
        history.add(objective=best[0])

    value_and_slope(begin)
    note()
    try:
        minimize(
            value_and_slope,
            begin,
            jac=True,
            method="L-BFGS-B",
            bounds=_bounds(module, weights),
            callback=note,
            options={
                "maxiter": settings.max_iter,
                "maxfun": 2 * settings.max_iter,
                "maxcor": MEMORY,
                "ftol": settings.tol**2,
            },
        )
    except KeyboardInterrupt:
        raise Interrupted(history) from None
    finally:
        put(best[1])
    return history


def _bounds(module: Autoencoder, weights: Sequence[torch.Tensor]) -> list[Bounds]:
    """What the sets say of each weight."""
    parts, layer = module.problem.parts, module.problem.inference
    assert parts.bounds is not None  # what `check` has seen
    free, nonnegative = (None, None), (0, None)
    bounds: dict[torch.Tensor | None, Bounds] = {
        module.dictionary: parts.bounds,
        module.offset: nonnegative if parts.nonnegative else free,
        module.encoder: nonnegative if layer.nonnegative else free,
    }
    bounds |= {w: (module.begun[name].lower, None) for name, w in module.learned.items()}
    return [bounds.get(own, free) for own in weights for _ in range(own.numel())]
