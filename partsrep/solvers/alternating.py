"""The alternating solver: an autoencoder by least squares in turn."""

import time

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from ..choices.codes import ReLU, TopK
from ..choices.inference import Layer
from ..choices.objective import Objective
from ..choices.parts import Parts, PartSet
from ..choices.problem import Problem
from ..leastsquares import data_norm, gram_loss, linear_encoder
from ..progress import arrays, progress


def solves(problem: Problem) -> bool:
    """Whether :func:`alternating_autoencoder` can solve a problem: a homogeneous layer of its
    own."""
    layer = problem.inference
    return (
        isinstance(problem.codes, ReLU | TopK)
        and isinstance(layer, Layer)
        and layer == Layer(bias=layer.bias)
        and not problem.parts.offset
        and problem.objective == Objective()
    )


# numpy does the work, torch only the activation: its threads would wait for numpy's by spinning.
@threadpool_limits.wrap(limits=1, user_api="openmp")
def alternating_autoencoder(
    D: np.ndarray, components: np.ndarray, problem: Problem, *, tol: float, max_rounds: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, dict[str, np.ndarray]]:
    r"""An autoencoder by least squares in turn.

    Each round: better codes for the present parts, as NMF finds them; the encoder that comes
    nearest to them by linear least squares; the codes it really gives, A = f(DUᵀ + b); better parts
    for those. The loss may rise in a round, so the best round is kept; it stops when twenty rounds
    together gain less than a part `tol`.

    Parameters
    ----------
    D : ndarray (n, d)
    components : ndarray (m, d)
        Parts to begin from; not changed.
    problem : Problem
        A problem that :func:`solves` accepts.

    Returns
    -------
    components (m, d), U (m, d), b (m,) or None, history : "objective" (mean over
        samples), "seconds". With ReLU parts have norm 1, if they are not made of samples.
    """
    codes, parts = problem.codes, problem.parts
    F, P = np.zeros((len(components), len(D)), D.dtype), parts.project(components)
    encoder = linear_encoder(D, problem.inference.bias)
    norm = data_norm(D)
    best, reference, since = np.inf, np.inf, 0
    history = {"objective": [], "seconds": []}
    began = time.perf_counter()
    for _ in progress(range(max_rounds), "SAE, alternating"):
        F = codes.improve(F, P @ P.T, P @ D.T)
        U, b = encoder(F)
        Z = D @ U.T if b is None else D @ U.T + b
        A = codes(torch.from_numpy(Z)).numpy().T

        gram, cross = A @ A.T, A @ D
        P = parts.improve(P, gram, cross)

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
    if isinstance(codes, ReLU) and has_norms_to_move(parts):
        kept = with_unit_norm(*kept)
    return *kept, arrays(history)


def has_norms_to_move(parts: PartSet) -> bool:
    """Whether parts of norm 1 stay in their set, and keep their weights of samples."""
    return (parts.homogeneous or parts.unit) and not parts.of_samples


def with_unit_norm(
    P: np.ndarray, U: np.ndarray, b: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Move each part's norm into its encoder row: ReLU is homogeneous, D̂ stays the same."""
    norms = np.linalg.norm(P, axis=1)
    return Parts(unit=True).project(P), U * norms[:, None], None if b is None else b * norms
