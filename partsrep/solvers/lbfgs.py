"""L-BFGS: an autoencoder by quasi-Newton steps on all samples at once."""

import time

import numpy as np
import torch
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from ..choices.codes import Gaussian
from ..choices.problem import Problem
from ..progress import Interrupted, arrays
from .autoencoder import Autoencoder

MEMORY = 20  # steps whose curvature is remembered


def solves(problem: Problem) -> bool:
    """Whether :func:`train` can: weights within bounds, and an objective without noise."""
    bounded = problem.parts.bounds is not None
    return bounded and (not isinstance(problem.codes, Gaussian) or problem.objective.averaged)


# torch's threads and those of scipy's BLAS spin while they wait for their turn: ten times slower
# where both take part in each small step.
@threadpool_limits.wrap(limits=1, user_api="blas")
def train(
    module: Autoencoder, D: torch.Tensor, *, max_epochs: int, tol: float
) -> dict[str, np.ndarray]:
    """Minimise the module's objective on all of D in place; the best iterate is what stays.

    Parameters
    ----------
    module : Autoencoder
        Of a problem that :func:`solves` accepts; not a stack.
    D : tensor (n, d)
    max_epochs : int
        Most iterations.
    tol : float
        Least relative gain of an iteration.

    Returns
    -------
    history : dict of arrays over iterations
        The start first: "objective", "seconds".

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
    history = {"objective": [], "seconds": []}
    began, best = time.perf_counter(), (np.inf, begin)

    def put(flat: np.ndarray) -> None:
        with torch.no_grad():
            for own, part in zip(weights, np.split(flat, np.cumsum(sizes)[:-1]), strict=True):
                own.copy_(torch.as_tensor(part.reshape(own.shape)))

    def value_and_slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best
        put(flat)
        module.zero_grad()
        value = module.problem.objective(module(D))
        value.backward()
        slope = np.concatenate([w.grad.cpu().double().numpy().ravel() for w in weights])
        found = float(value.detach())
        if found < best[0]:
            best = found, flat.copy()
        # A line search steps back from what is not finite.
        return (found, slope) if np.isfinite(found) else (np.finfo(float).max, np.zeros_like(slope))

    def note(*_) -> None:
        history["objective"].append(best[0])
        history["seconds"].append(time.perf_counter() - began)

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
                "maxiter": max_epochs,
                "maxfun": 2 * max_epochs,
                "maxcor": MEMORY,
                "ftol": tol,
            },
        )
    except KeyboardInterrupt:
        raise Interrupted(arrays(history)) from None
    finally:
        put(best[1])
    return arrays(history)


def _bounds(module: Autoencoder, weights: list[torch.Tensor]) -> list[tuple] | None:
    """What the sets say of each weight."""
    parts, layer = module.problem.parts, module.problem.inference
    free, nonnegative = (None, None), (0, None)
    of = {
        module.dictionary: parts.bounds,
        module.offset: nonnegative if parts.nonnegative else free,
        module.encoder: nonnegative if layer.nonnegative else free,
        module.threshold: nonnegative,
    }
    return [of.get(own, free) for own in weights for _ in range(own.numel())]
