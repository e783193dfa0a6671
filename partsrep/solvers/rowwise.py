"""NMF of data whose rows lie in blocks elsewhere: the descent of :mod:`partsrep.solvers.hals`.

A half step of the parts needs no more of the data than HᵀH and HᵀD. So each block does its own
codes' half step where it is, and returns its share of these sums, which are added in the order of
the blocks; the parts' half step is done here. It is the same descent up to rounding, and the same
to the bit for the same blocks wherever they are. All of it is in double precision, a few rows of a
block at a time, whatever the data are stored in.

Codes stay where their block is. What is lost with a worker of Dask's is made again there from the
start, by the parts of all iterations.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..choices.problem import Problem
from ..leastsquares import n_sweeps, normal_equations
from ..progress import History, progress
from . import Factors, Settings, hals
from .blocked import Blocked, added, data_norm, widened_rows
from .optimality import kkt_residual


def check(problem: Problem, weighted: bool = False) -> None:
    """Raise a ValueError if this is no problem for this solver."""
    hals.check(problem, weighted)
    codes, parts = problem.codes, problem.parts
    if parts.of_samples:
        raise ValueError(
            f"Parts within {parts!r} are made of samples, and no block has all of these: fit to a "
            "sample of the rows in memory, or take other parts."
        )
    if not (codes.columnwise and problem.objective.terms("codes").columnwise):
        raise ValueError(
            "Data in blocks need codes and penalties that know one sample at a time; here is "
            f"{problem!r}: fit to rows in memory."
        )


def solve(
    D: Blocked,
    begun: Iterable[Factors],
    problem: Problem,
    settings: Settings,
    *,
    weights: Any = None,
) -> Iterator[tuple[Factors, History]]:
    """As :func:`partsrep.solvers.hals.solve`; the codes it finds are :class:`Blocked`."""
    steps = hals.Steps(descend, infer, kkt_residual, stack=0)
    return hals.solve(D, begun, problem, settings, weights=weights, steps=steps)


def infer(
    D: Blocked,
    components: np.ndarray,
    problem: Problem,
    *,
    weights: Any = None,
    guess: Blocked | None = None,
    **_: Any,
) -> Blocked:
    """The best codes (n, m) of D for given parts, kept where D is."""
    problem = problem.against_data(D.shape)
    how: Any = {"components": components.astype(np.float64), "problem": problem}
    return D.keep(_inferred, weights, guess, d=len(components), dtype=np.float64, **how)[0]


def _inferred(
    D: np.ndarray,
    weights: np.ndarray | None,
    guess: np.ndarray | None,
    components: np.ndarray,
    problem: Problem,
) -> tuple[np.ndarray, tuple]:
    codes = [
        hals.infer(
            some, components, problem, weights=seen, guess=None if guess is None else guess[rows]
        )
        for rows, some, seen in widened_rows(D, weights)
    ]
    return np.concatenate(codes), ()


def descend(
    D: Blocked,
    H: Blocked,
    components: np.ndarray,
    problem: Problem,
    histories: list[History],
    *,
    weights: Any = None,
    tol: float,
    max_iter: int,
    gain: float = 0.0,
) -> tuple[Blocked, np.ndarray]:
    """As :func:`partsrep.solvers.hals.descend`, for one start."""
    P = P_ahead = np.array(components, np.float64, order="C")
    of_parts, begun = problem.objective.terms("parts"), histories[0].iterations
    norm, times = data_norm(D, weights), n_sweeps(D.shape[0], len(P))
    back: Any = False
    pace = hals.Pace((), tol, gain, hals.plain(problem))
    state = H.each(_begun)
    for iteration in progress(range(begun, max_iter), "NMF"):
        turn: Any = {"P": P_ahead.copy(), "problem": problem, "step": pace.step, "back": back}
        state, (squares, cost, gram, cross) = D.keep(_turn, weights, state, **turn)
        equations = [(slice(None), gram, cross)]
        parts, change = hals.improved(
            P, P_ahead, equations, problem.parts, of_parts, pace.step, times, measured=True
        )
        residual = np.hypot(np.sqrt(squares), parts) / (norm or 1.0)
        value = np.maximum(norm**2 + change, 0) + cost + of_parts(P)
        hals.add(histories, iteration + 1, value, residual)
        ended, back = pace.after(value, residual)
        if ended:
            break
        if back:
            P_ahead[...] = P
        if P_ahead is P and pace.step.any():
            P_ahead = P.copy()
    return state.each(_ended, d=len(P), dtype=np.float64), P


def _begun(H: np.ndarray) -> tuple[np.ndarray, None]:
    """Codes as rows, and where the next turn begins; None if it is there."""
    return np.array(H.T, np.float64, order="C"), None


def _ended(state: tuple[np.ndarray, np.ndarray | None]) -> np.ndarray:
    return state[0].T


def _turn(
    D: np.ndarray,
    weights: np.ndarray | None,
    state: tuple[np.ndarray, np.ndarray | None],
    *,
    P: np.ndarray,
    problem: Problem,
    step: np.ndarray,
    back: bool,
) -> tuple[tuple[np.ndarray, np.ndarray | None], tuple]:
    """A block's half step of codes: what they are then, and its share of the sums of squared
    residuals, of penalties, and of the parts' equations."""
    F, ahead = state
    F = F.copy()
    # Where the step is 0, nothing is ahead.
    extrapolated = F if step == 0 else F.copy() if back or ahead is None else ahead.copy()
    codes, terms = problem.codes, problem.objective.terms("codes")
    sums = []
    for rows, some, seen in widened_rows(D, weights):
        new = F[:, rows]
        end = new if extrapolated is F else extrapolated[:, rows]
        residual, _ = hals.half_step(some, seen, new, end, P, codes, terms, step, measured=False)
        equations = normal_equations(some.T, end, None if seen is None else seen.T)
        sums.append((np.square(residual), *equations))
    squares, gram, cross = added(sums)
    kept = F, None if extrapolated is F else extrapolated
    return kept, (squares, terms(extrapolated), gram, cross)
