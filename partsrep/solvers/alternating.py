"""The alternating solver: an autoencoder by least squares in turn."""

import numpy as np
from threadpoolctl import threadpool_limits

from ..choices.inference import Layer
from ..choices.objective import Objective
from ..choices.parts import Parts, PartSet
from ..choices.problem import Problem
from ..lazy import torch
from ..leastsquares import data_norm, gram_loss, linear_encoder
from ..progress import History, progress
from . import Settings, Weights, adam
from .autoencoder import Autoencoder


def solves(problem: Problem) -> bool:
    """Whether these are codes with a half step of their own, and a linear layer that is fitted to
    them, without penalties or an offset."""
    layer = problem.inference
    return (
        problem.codes.is_set
        and problem.codes.is_activation
        and problem.codes.homogeneous
        and layer == Layer(bias=layer.bias)
        and not problem.parts.offset
        and problem.objective == Objective()
    )


def check(problem: Problem) -> None:
    """Raise a ValueError if this is no problem for this solver."""
    adam.check(problem)
    if not solves(problem):
        raise ValueError(
            'solver="alternating" needs ReLU or TopK, an encoder of its own with one step and '
            'neither penalties, a decoder bias nor another output; use solver="auto" or "adam".'
        )


def train(
    module: Autoencoder, D: torch.Tensor, rngs: list[np.random.RandomState], settings: Settings
) -> History:
    """As :func:`descend`, from the parts of a module, in place."""
    begin = module.components.detach().cpu().numpy()
    weights, history = descend(D.cpu().numpy(), begin, module.problem, settings)
    module.put(weights)
    return history


# numpy does the work, torch only the activation: its threads would wait for numpy's by spinning.
@threadpool_limits.wrap(limits=1, user_api="openmp")
def descend(
    D: np.ndarray, components: np.ndarray, problem: Problem, settings: Settings
) -> tuple[Weights, History]:
    r"""An autoencoder by least squares in turn.

    Each round: better codes for the present parts, as NMF finds them; the encoder that comes
    nearest to them by linear least squares; the codes it really gives, A = f(DUᵀ + b); better parts
    for those. The loss may rise in a round, so the best round is kept; it stops when twenty rounds
    together gain less than a part `tol`. With ReLU parts have norm 1, where their set allows it.
    """
    codes, parts = problem.codes, problem.parts
    F, P = np.zeros((len(components), len(D)), D.dtype), parts.project(components)
    encoder = linear_encoder(D, problem.inference.bias)
    norm = data_norm(D)
    best, reference, since = np.inf, np.inf, 0
    history = History()
    for i in progress(range(1, settings.max_iter + 1), "SAE, alternating"):
        F = codes.improve(F, P @ P.T, P @ D.T)
        U, b = encoder(F)
        Z = D @ U.T if b is None else D @ U.T + b
        A = codes(torch.from_numpy(Z)).numpy().T

        gram, cross = A @ A.T, A @ D
        P = parts.improve(P, gram, cross)

        loss = gram_loss(norm, gram, cross, P)
        if loss < best:
            best, kept = loss, (P.copy(), U, b)
            of_samples = parts.weights if parts.of_samples else None
        history.add(iteration=i, objective=loss / len(D))
        since += 1
        if best < (1 - settings.tol) * reference:
            reference, since = best, 0
        elif since >= 20:
            break
    if codes.sparsity is None and has_norms_to_move(parts):
        kept = with_unit_norm(*kept)
    if of_samples is not None:  # the set remembers the weights of the parts it returned last
        kept = (parts.return_to(of_samples), *kept[1:])
    return Weights(*kept), history


def has_norms_to_move(parts: PartSet) -> bool:
    """Whether parts of norm 1 stay in their set, and keep their weights of samples."""
    return (parts.homogeneous or parts.unit) and not parts.of_samples


def with_unit_norm(
    P: np.ndarray, U: np.ndarray, b: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Move each part's norm into its encoder row: ReLU is homogeneous, D̂ stays the same."""
    norms = np.linalg.norm(P, axis=1)
    return Parts(unit=True).project(P), U * norms[:, None], None if b is None else b * norms
