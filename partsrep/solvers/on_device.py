"""NMF on a device of torch's, such as a GPU: the descent of :mod:`partsrep.solvers.hals` there.

The data are copied to the device once, and once more in single precision where the descent begins
in it; what is decided from iteration to iteration is decided as there, so that a fit takes the same
path up to rounding. Several starts share their products.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..choices.objective import Objective
from ..choices.problem import Problem
from ..lazy import torch
from ..leastsquares import PIVOTS, ROUNDING, exact_nnls, n_sweeps, smallest
from ..progress import History, progress
from . import Factors, Settings, hals

STACK = 2**21  # columns of a stack's larger factors in all
SYSTEMS = 2**25  # numbers in the equations that are solved together: one system a sample


def check(problem: Problem, weighted: bool = False) -> None:
    """Raise a ValueError if this is no problem for this solver."""
    hals.check(problem, weighted)
    if weighted or not hals.plain(problem) or problem.objective != Objective():
        what = "a mask" if weighted else repr(problem)
        raise ValueError(
            "NMF solves on a device what has codes ≥ 0, parts ≥ 0 and no penalties or masks; here "
            f"is {what}: leave device=None."
        )


def solve(
    D: Any,
    begun: Iterable[Factors],
    problem: Problem,
    settings: Settings,
    *,
    weights: np.ndarray | None = None,
) -> Iterator[tuple[Factors, History]]:
    """As :func:`partsrep.solvers.hals.solve`."""
    there = _There(settings.device)
    steps = hals.Steps(there.descend, there.infer, there.residual, STACK)
    return hals.solve(_dense(D), begun, problem, settings, weights=weights, steps=steps)


def infer(
    D: Any,
    components: np.ndarray,
    problem: Problem,
    *,
    settings: Settings,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """The best codes (n, m) of D for given parts."""
    return _There(settings.device).infer(_dense(D), components, problem, weights=weights)


def _dense(D: Any) -> np.ndarray:
    if sp.issparse(D):
        raise ValueError(
            "NMF takes dense data on a device: give X.toarray(), if it fits there, or leave "
            "device=None."
        )
    return D


class _There:
    """Data on a device, and the :class:`partsrep.solvers.hals.Steps` that use them."""

    def __init__(self, device: Any):
        self.device = device
        self.held: dict[np.dtype, tuple[np.ndarray, torch.Tensor]] = {}

    def put(self, array: np.ndarray, dtype: Any = None) -> torch.Tensor:
        """A copy on the device."""
        return torch.tensor(np.ascontiguousarray(array, dtype), device=self.device)

    def data(self, D: np.ndarray) -> torch.Tensor:
        """The data there, copied once in each precision."""
        held = self.held.get(D.dtype)
        if held is None or held[0] is not D:
            held = self.held[D.dtype] = D, self.put(D)
        return held[1]

    def descend(
        self,
        D: np.ndarray,
        H: np.ndarray,
        components: np.ndarray,
        problem: Problem,
        histories: list[History],
        *,
        weights: np.ndarray | None = None,
        tol: float,
        max_iter: int,
        gain: float = 0.0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """As :func:`partsrep.solvers.hals.descend`."""
        data = self.data(D)
        norm = float(torch.linalg.vector_norm(data, dtype=torch.float64))
        m = components.shape[-2]
        found = tuple(
            self.put(factor.reshape(-1, m, factor.shape[-1]), D.dtype)
            for factor in (H.mT, components)
        )
        F, P, F_ahead, P_ahead = (factor.clone() for factor in found * 2)
        members = torch.arange(len(F), device=self.device)
        iterations = np.array([history.iterations for history in histories])
        pace = hals.Pace(iterations.shape, tol, gain, extrapolate=True)
        over = iterations >= max_iter
        for _ in progress(range(max_iter - iterations.min()), "NMF"):
            if over.any():  # those that are over leave the stack
                left = ~over
                on = self.put(left)
                found[0][members], found[1][members] = F, P
                histories = [
                    history for history, stays in zip(histories, left, strict=True) if stays
                ]
                F, P, F_ahead, P_ahead, members = (
                    of_stack[on] for of_stack in (F, P, F_ahead, P_ahead, members)
                )
                iterations = iterations[left]
                pace.keep(left)
            step = self.put(pace.step)
            of_codes, _ = _half_step(data, F, F_ahead, P_ahead, step)
            of_parts, change = _half_step(data.mT, P, P_ahead, F_ahead, step)
            iterations = iterations + 1
            # The one place where an iteration waits for the device.
            residual, change = torch.stack([torch.hypot(of_codes, of_parts), change]).cpu().numpy()
            residual, value = residual / (norm or 1.0), np.maximum(norm**2 + change, 0)
            hals.add(histories, iterations, value, residual)
            ended, back = pace.after(value, residual)
            over = ended | (iterations >= max_iter)
            if over.all():
                break
            if back.any():
                returns = self.put(back)
                F_ahead[returns], P_ahead[returns] = F[returns], P[returns]
        found[0][members], found[1][members] = F, P
        codes, parts = (factor.cpu().numpy() for factor in found)
        return codes.reshape(H.mT.shape).mT, parts.reshape(components.shape)

    def infer(
        self,
        D: np.ndarray,
        components: np.ndarray,
        problem: Problem,
        *,
        weights: np.ndarray | None = None,
        guess: np.ndarray | None = None,
    ) -> np.ndarray:
        """The best codes (n, m) by pivoting, all samples at once, in double precision; those of
        which it finds no end there are found here (:func:`partsrep.leastsquares.exact_nnls`)."""
        P = self.put(components, np.float64)
        cross = P @ self.data(D).mT.to(torch.float64)
        F = torch.zeros_like(cross) if guess is None else self.put(guess.T, np.float64)
        H, solved = (part.cpu().numpy() for part in _pivoted(P @ P.mT, cross, F))
        H = np.ascontiguousarray(H.T, components.dtype)
        if not solved.all():
            H[~solved] = exact_nnls(D[~solved], components)
        return H

    def residual(
        self,
        D: np.ndarray,
        H: np.ndarray,
        components: np.ndarray,
        problem: Problem,
        weights: np.ndarray | None = None,
    ) -> float:
        """As :func:`partsrep.solvers.optimality.kkt_residual`."""
        data = self.data(D)
        F, P = (self.put(factor, D.dtype) for factor in (H.T, components))
        codes = _stationarity(F, P @ P.mT, P @ data.mT)
        parts = _stationarity(P, F @ F.mT, F @ data)
        norm = float(torch.linalg.vector_norm(data, dtype=torch.float64))
        return float(torch.hypot(codes, parts)) / (norm or 1.0)


def _half_step(
    D: torch.Tensor, F: torch.Tensor, ahead: torch.Tensor, P: torch.Tensor, step: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Improve the rows F of D ≈ FᵀP from `ahead`, and move that past them, both in place.

    Returns the residuals before and ‖D − FᵀP‖² − ‖D‖² after, (s,), in double precision.
    """
    gram, cross = P @ P.mT, P @ D.mT
    residual = _stationarity(ahead, gram, cross)
    new = ahead.clone()
    _sweep(new, gram, cross, n_sweeps(D.shape[1], P.shape[-2]))
    change = (new * (gram @ new - 2 * cross)).sum((-2, -1), dtype=torch.float64)
    torch.clamp(new + step[:, None, None].to(new.dtype) * (new - F), min=0, out=ahead)
    F.copy_(new)
    return residual, change


def _curvature(gram: torch.Tensor) -> torch.Tensor:
    """The G_kk, (..., m, 1); 0 where it is too small to be divided by."""
    diagonal = gram.diagonal(dim1=-2, dim2=-1)[..., None]
    dtype = np.dtype(str(gram.dtype).removeprefix("torch."))
    return torch.where(diagonal < smallest(dtype), 0, diagonal)


def _stationarity(F: torch.Tensor, gram: torch.Tensor, cross: torch.Tensor) -> torch.Tensor:
    """As :func:`partsrep.leastsquares.stationarity`, in double precision."""
    gradient = gram @ F - cross
    gradient = torch.where((F > 0) | (gradient < 0), gradient, 0)
    partner = _curvature(gram)
    squares = gradient.square().sum(-1, dtype=torch.float64)
    return (squares / torch.where(partner > 0, partner, 1)[..., 0]).sum(-1).sqrt()


def _sweep(F: torch.Tensor, gram: torch.Tensor, cross: torch.Tensor, times: int) -> None:
    """As :func:`partsrep.leastsquares.nnls_sweep`, a few times, in place."""
    curvature = _curvature(gram)
    dead = curvature == 0
    curvature = torch.where(dead, 1, curvature)
    target = torch.where(dead & (cross < 0), -torch.inf, cross / curvature)
    others = gram / curvature
    others.diagonal(dim1=-2, dim2=-1).copy_(-dead[..., 0].to(gram.dtype))
    row = torch.empty_like(F[:, :1])
    for _ in range(times):
        for k in range(F.shape[1]):
            one = slice(k, k + 1)
            torch.baddbmm(target[:, one], others[:, one], F, alpha=-1, out=row)
            torch.clamp(row, min=0, out=F[:, one])


def _pivoted(
    gram: torch.Tensor, cross: torch.Tensor, F: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The least F ≥ 0 of tr(FᵀGF) − 2⟨C, F⟩, and of which columns it was found, by exchanging every
    row with a wrong sign."""
    F = F[None]
    _sweep(F, gram[None], cross[None], hals.n_sweeps(len(gram), len(gram)))
    F = F[0]
    used = _curvature(gram) > 0
    scale = torch.where(used, gram.diagonal()[:, None], 1).sqrt()
    gram, cross = gram / (scale * scale.mT), cross / scale
    identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    solved = torch.zeros(F.shape[1], dtype=torch.bool, device=F.device)
    for columns in torch.arange(F.shape[1], device=F.device).split(SYSTEMS // gram.numel() + 1):
        support = (F[:, columns] > 0) & used
        for _ in range(PIVOTS):
            if not len(columns):
                break
            target = cross[:, columns]
            both = support.mT[:, :, None] & support.mT[:, None, :]
            systems = torch.where(both, gram, identity)
            wanted = torch.where(support, target, 0).mT[..., None]
            tried, info = torch.linalg.solve_ex(systems, wanted)
            tried = tried[..., 0].mT
            rounding = ROUNDING * target.abs().amax(0)
            wrong = torch.where(support, tried < 0, gram @ tried - target < -rounding)
            right = ~wrong.any(0) & (info == 0) & tried.isfinite().all(0)
            F[:, columns[right]] = tried[:, right] / scale
            solved[columns[right]] = True
            columns, support = columns[~right], (support ^ wrong)[:, ~right] & used
    return F, solved
