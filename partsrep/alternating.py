"""The alternating solver: an autoencoder by least squares in turn."""

import time

import numpy as np

from .codes import ReLU
from .inference import Layer, linear_encoder, nnls_sweep
from .objective import Objective
from .parts import Parts
from .problem import Problem, data_norm, gram_loss
from .progress import progress

# Two sweeps share one product with the data, which costs far more than a sweep.
SWEEPS = 2


def solves(problem: Problem) -> bool:
    """Whether :func:`alternating_autoencoder` can solve a problem: a ReLU layer of its own."""
    return (
        isinstance(problem.codes, ReLU)
        and isinstance(problem.inference, Layer)
        and not problem.inference.tied
        and not problem.parts.offset
        and problem.objective == Objective()
    )


def alternating_autoencoder(
    D: np.ndarray, components: np.ndarray, problem: Problem, *, tol: float, max_rounds: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, dict[str, np.ndarray]]:
    r"""A ReLU autoencoder by least squares in turn.

    Each round: better codes for the present parts by sweeps of nonnegative least squares; the
    encoder that comes nearest to them by linear least squares; the codes it really gives,
    A = ReLU(DUᵀ + b); the best parts for those. The loss may rise in a round, so the best round
    is kept; it stops when twenty rounds together gain less than a part `tol`.

    Parameters
    ----------
    D : ndarray (n, d)
    components : ndarray (m, d)
        Parts to begin from; not changed.
    problem : Problem
        A problem that :func:`solves` accepts.

    Returns
    -------
    components (m, d) of norm 1, U (m, d), b (m,) or None, history : "objective" (mean over
        samples), "seconds".
    """
    F, P = np.zeros((len(components), len(D)), D.dtype), components.copy()
    encoder = linear_encoder(D, problem.inference.bias)
    norm = data_norm(D)
    best, reference, since = np.inf, np.inf, 0
    history = {"objective": [], "seconds": []}
    began = time.perf_counter()
    for _ in progress(range(max_rounds), "SAE, alternating"):
        gram, cross = P @ P.T, P @ D.T
        for _ in range(SWEEPS):
            nnls_sweep(F, gram, cross)
        U, b = encoder(F)
        A = U @ D.T if b is None else U @ D.T + b[:, None]
        np.maximum(A, 0, out=A)

        gram, cross = A @ A.T, A @ D
        if problem.parts.nonnegative:
            for _ in range(SWEEPS):
                nnls_sweep(P, gram, cross)
        else:
            P = (np.linalg.pinv(gram, hermitian=True) @ cross).astype(D.dtype)

        loss = gram_loss(norm, gram, cross, P)
        if loss < best:
            best, kept = loss, (P.copy(), U, b)
        history["objective"].append(loss / len(D))
        history["seconds"].append(time.perf_counter() - began)
        since += 1
        if best < (1 - tol) * reference:
            reference, since = best, 0
        elif since >= 20:
            break
    return *_with_unit_norm(*kept), {name: np.array(values) for name, values in history.items()}


def _with_unit_norm(
    P: np.ndarray, U: np.ndarray, b: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Move each part's norm into its encoder row: ReLU is homogeneous, D̂ stays the same."""
    norms = np.linalg.norm(P, axis=1)
    return Parts(unit=True).project(P), U * norms[:, None], None if b is None else b * norms
