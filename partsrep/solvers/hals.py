"""Block-coordinate descent: NMF and its kin under squared error, one factor at a time.

As every solver of NMF this has `infer` too: the codes of other data.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..choices.codes import Codes, ReLU
from ..choices.objective import SQUARED, Objective, Terms
from ..choices.parts import Parts, PartSet
from ..choices.problem import Problem
from ..leastsquares import (
    columnwise_loss,
    data_norm,
    equations_by_block,
    factorization_loss,
    n_sweeps,
    nnls_sweeps,
)
from ..progress import History, progress
from . import Factors, Settings, starts
from .optimality import idle_signs, kkt_residual, turned

# An iteration that gains less than this share is slow, and going past its end then pays. The step
# grows while that lowers the objective (factors of Ang and Gillis) and shrinks when it does not.
SLOW = 0.03
STEP, GROW, GROW_LIMIT, SHRINK = 0.5, 1.05, 1.01, 2
# Up to this many entries double precision costs nothing.
FEW = 100_000
# Single precision is good enough until an iteration gains less than the share FINE or the residual
# falls below COARSE.
FINE, COARSE = 1e-5, 1e-4
# A start with a smaller residual has no long way to go.
NEAR = 1e-3
# The best codes for the last parts are not those on the way: so often the descent may go on, each
# time to half the tolerance, until the residual with them is small enough too.
REFINEMENTS = 10
# Codes under penalties that `infer` does not know: most half steps, and the residual that ends
# them, relative to the data.
HALF_STEPS, CLOSE = 1000, 1e-10
# What is just nonnegative, and improved by sweeps.
SWEPT = ReLU(), Parts(nonnegative=True)
# Columns of a stack's larger factors in all: more share nothing that is worth the memory.
STACK = 2**15


@dataclass(frozen=True)
class Steps:
    """What touches the data, here or on another device: :func:`descend`, :func:`infer` and the KKT
    residual; and how many columns of a stack's larger factors it takes in all."""

    descend: Callable
    infer: Callable
    residual: Callable
    stack: int


class Pace:
    """How far each descent (s,) of a stack goes past the end of an iteration, and when it ends.

    A `step` of 0 is not ahead. If one is ahead, the last iteration is still to be one that goes
    nowhere past its end.
    """

    def __init__(self, shape: tuple[int, ...], tol: float, gain: float, extrapolate: bool):
        self.tol, self.gain, self.extrapolate = tol, gain, extrapolate
        self.before, self.step, self.limit = np.full(shape, np.inf), np.zeros(shape), np.ones(shape)

    def keep(self, left: np.ndarray) -> None:
        """Of a stack those descents alone that are left."""
        self.before, self.step, self.limit = self.before[left], self.step[left], self.limit[left]

    def after(self, value: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which descents end after an iteration, and which are to go back to where it ended."""
        gained = self.before - value
        ahead = self.step > 0
        done = (residual <= self.tol) | ((gained >= 0) & (gained < self.gain * abs(value)))
        back = ahead & (done | (gained < 0))
        slow = self.extrapolate & (gained < SLOW * abs(value))
        on = np.where(back, self.step / SHRINK, np.minimum(self.limit, GROW * self.step))
        self.limit = np.where(back, self.step, np.minimum(1, GROW_LIMIT * self.limit))
        self.step = np.where(done, 0, np.where(ahead, on, np.where(slow, STEP, 0)))
        self.before = value
        return done & ~ahead, back


def check(problem: Problem, weighted: bool = False) -> None:
    """Raise a ValueError if this is no problem for this solver."""
    objective, parts = problem.objective, problem.parts
    if not problem.codes.is_set:
        raise ValueError(
            f"NMF cannot solve with codes={problem.codes!r}: give ReLU(), TopK(k) or Simplex(). "
            "Other activations and what an encoder needs are SAE's."
        )
    if parts.offset:
        raise ValueError("NMF has no offset: add a constant feature, or use SAE(bias='both').")
    if objective.fit != SQUARED:
        raise ValueError(
            "Invalid beta_loss parameter: solver 'cd' does not handle beta_loss = "
            f"{objective.beta}; use solver='mu'."
        )
    if weighted and parts.of_samples:
        raise ValueError(f"mask= does not go with {parts!r}: hidden samples make no parts.")
    for penalty in objective.penalties:
        if not penalty.is_quadratic or (penalty.by_norm and not parts.unit):
            raise ValueError(
                f"NMF cannot solve with penalty={penalty!r} here: it takes L1(weight) and "
                "L2(weight) on codes or parts, L1 with by_norm=True for parts of norm 1 "
                "(parts='unit-nonnegative'), and LogVolume(weight, delta)."
            )
        if penalty.on == "parts" and not parts.nonnegative:
            raise ValueError(
                f"alpha_H and {penalty!r} need nonnegative parts, but these are {parts!r}: set "
                "alpha_H=0 (the default takes alpha_W's)."
            )


def infer(
    D: Any,
    components: np.ndarray,
    problem: Problem,
    *,
    weights: np.ndarray | None = None,
    guess: np.ndarray | None = None,
    **_: Any,
) -> np.ndarray:
    """The best codes (n, m) of D for given parts, sample by sample; sooner from a good guess."""
    problem = problem.against_data(D.shape)
    codes, terms = problem.codes, problem.objective.terms("codes")
    if terms.elastic is None:
        return _descended(D, components, codes, terms, weights)
    l1, l2 = terms.elastic
    near = {"guess": guess} if codes == ReLU() else {}
    return codes.infer(D, components, l1=l1, l2=l2, weights=weights, **near)


def objective(D: Any, components: np.ndarray, problem: Problem) -> float:
    """Its value for given parts and their best codes."""
    codes, objective = infer(D, components, problem), problem.against_data(D.shape).objective
    penalties = objective.terms("codes")(codes.T) + objective.terms("parts")(components)
    return factorization_loss(D, codes, components) + penalties


def _descended(
    D: Any, components: np.ndarray, codes: Codes, terms: Terms, weights: np.ndarray | None
) -> np.ndarray:
    """Codes under penalties of any kind: half steps from the best codes without them."""
    H = codes.infer(D, components, weights=weights)
    unit = data_norm(D, weights) or 1.0
    apart = codes.columnwise and terms.columnwise
    for block, gram, cross in equations_by_block(D, components, weights, apart):
        F = H[block].T
        for _ in range(HALF_STEPS):
            system = terms.quadratic(F, gram, cross)
            if codes.residual(F, *system) <= CLOSE * unit:
                break
            F = codes.improve(F, *system)
        H[block] = F.T
    return H


def solve(
    D: Any,
    begun: Iterable[Factors],
    problem: Problem,
    settings: Settings,
    *,
    weights: np.ndarray | None = None,
    steps: Steps | None = None,
) -> Iterator[tuple[Factors, History]]:
    """As :func:`descend`, from any starts, to the best codes for the last parts.

    These differ from the codes on the way; where the residual with them is above `tol` the descent
    goes on. Codes that are only approximately the best are taken as they are.

    Several starts share their products with the data and their calls of numpy, most of the work on
    small data. Each takes the path that it would take alone, up to rounding.
    """
    D = widened(D)
    problem = problem.against_data(D.shape)
    steps = steps or Steps(descend, infer, kkt_residual, STACK)
    begun, rough, tol = iter(begun), rounded(D, problem, weights), settings.tol
    to_the_end = partial(steps.descend, max_iter=settings.max_iter)
    size = max(steps.stack // max(D.shape), 1) if _stacks(D, problem, weights) else 1
    while group := list(islice(begun, size)):
        bound = replace(problem, parts=problem.parts.bind(D))
        factors = [_allowed(D, rough, start, bound, weights, steps) for start in group]
        H, components = (np.stack(f) if len(f) > 1 else f[0] for f in zip(*factors, strict=True))
        histories = [History() for _ in group]
        del group, factors  # codes may be large
        near = D.size <= FEW and all(
            steps.residual(D, *fit, bound, weights) <= NEAR for fit in _members(H, components)
        )
        if rough is not D and not near:
            coarse: Any = {"tol": max(tol, COARSE), "gain": FINE}
            H, components = to_the_end(rough, H, components, bound, histories, **coarse)
        H, components = to_the_end(D, H, components, bound, histories, weights=weights, tol=tol)
        for fit, history in zip(_members(H, components), histories, strict=True):
            H, components = _refined(D, *fit, bound, history, settings, weights, steps)
            weights_of_samples = bound.parts.weights if bound.parts.of_samples else None
            yield Factors(H, components, weights_of_samples), history


def _stacks(D: Any, problem: Problem, weights: np.ndarray | None) -> bool:
    """Whether several starts of a problem can descend as one stack."""
    unpenalised = problem.objective == Objective()
    return plain(problem) and unpenalised and weights is None and not sp.issparse(D)


def widened(D: Any) -> Any:
    """The data in double precision, where that costs nothing: where they are few."""
    return D.astype(np.float64, copy=False) if D.size <= FEW else D


def _allowed(
    D: Any,
    rough: Any,
    start: Factors,
    problem: Problem,
    weights: np.ndarray | None,
    steps: Steps,
) -> tuple[np.ndarray, np.ndarray]:
    """A start within what is allowed, at the scale of the data."""
    H, components, _ = start
    if not plain(problem):
        components = problem.parts.project(components)
        H = steps.infer(D, components, problem, weights=weights)
        if idle_signs(H, problem).any():
            components = turned(H, components, problem)
            H = steps.infer(D, components, problem, weights=weights)
        return H, components
    H, components = np.maximum(H, 0), np.maximum(components, 0)
    unpenalised = problem.objective == Objective()
    return starts.rescaled(rough, H, components) if unpenalised else (H, components)


def _members(H: np.ndarray, components: np.ndarray) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Each factorization of a stack, or the only one."""
    return zip(H, components, strict=True) if components.ndim == 3 else [(H, components)]


def _refined(
    D: Any,
    H: np.ndarray,
    components: np.ndarray,
    problem: Problem,
    history: History,
    settings: Settings,
    weights: np.ndarray | None,
    steps: Steps,
) -> tuple[np.ndarray, np.ndarray]:
    """Go on from where a descent ended until the residual is small with the best codes too."""
    tol, max_iter = settings.tol, settings.max_iter
    for halvings in range(REFINEMENTS):
        if halvings:
            ends: Any = {"tol": tol / 2**halvings, "max_iter": max_iter, "weights": weights}
            H, components = steps.descend(D, H, components, problem, [history], **ends)
        H = steps.infer(D, components, problem, weights=weights, guess=H)
        residual = steps.residual(D, H, components, problem, weights)
        if residual <= tol or history.iterations == max_iter or not problem.codes.exact:
            break
        components = turned(H, components, problem)
    history.last["residual"] = residual
    return H, components


def descend(
    D: Any,
    H: np.ndarray,
    components: np.ndarray,
    problem: Problem,
    histories: list[History],
    *,
    weights: np.ndarray | None = None,
    tol: float,
    max_iter: int,
    gain: float = 0.0,
    extrapolate: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Minimise ‖D − HXᵀ‖²_F + penalties by improving the codes and the parts in turn.

    With one factor fixed the objective is a quadratic in the other, which the problem's codes and
    parts know how to lower. For two nonnegative factors that is a few sweeps of exact coordinate
    descent (accelerated HALS); there, once an iteration gains little, each factor is moved past its
    new value (extrapolation), and moved back if the objective rises. Without extrapolation it
    never rises.

    Parameters
    ----------
    D : ndarray or sparse matrix (n, d)
    H, components : ndarray
        The start, (n, m) and (m, d), within what is allowed; not changed. Or a stack of starts of a
        problem that stacks: each descends by itself.
    problem : Problem
        Its parts are bound to D if they depend on it.
    histories : list of History
        One for each start, which go on from here.
    weights : ndarray (n, d) ≥ 0 or None
        Of the squared errors. Where a weight is 0, D must be 0.
    tol, gain : float
        Stop when an iteration's residual (:func:`partsrep.solvers.optimality.kkt_residual`) is at
        most `tol`, or when it lowers the objective by less than the share `gain`.
    max_iter : int
        Most iterations in the whole history.
    extrapolate : bool
        Whether extrapolation may be switched on.

    References
    ----------
    Ang, Gillis (2019), "Accelerating nonnegative matrix factorization algorithms using
    extrapolation", algorithm 3.
    """
    F, P = found = tuple(np.array(factor, D.dtype, order="C") for factor in (H.mT, components))
    # Where the next turn begins: the factors themselves, or copies that are ahead of them.
    F_ahead, P_ahead = F, P
    of_codes, of_parts = problem.objective.terms("codes"), problem.objective.terms("parts")
    D_T, weights_T = D.T, None if weights is None else weights.T
    norm = data_norm(D, weights)
    # Numbers of one descent, or arrays (s,) of them.
    shape = F.shape[:-2]
    members: Any = np.arange(len(F)) if shape else ...  # an index
    iterations = np.reshape([history.iterations for history in histories], shape)
    pace = Pace(shape, tol, gain, extrapolate and plain(problem))
    over = iterations >= max_iter
    for _ in progress(range(max_iter - iterations.min()), "NMF"):
        if over.any():  # only in a stack: those that are over leave it
            found[0][members], found[1][members] = F, P
            left = ~over
            histories = [history for history, on in zip(histories, left, strict=True) if on]
            F, P, F_ahead, P_ahead = F[left], P[left], F_ahead[left], P_ahead[left]
            members, iterations = members[left], iterations[left]
            pace.keep(left)
        codes, _ = half_step(
            D, weights, F, F_ahead, P_ahead, problem.codes, of_codes, pace.step, measured=False
        )
        parts, change = half_step(
            D_T, weights_T, P, P_ahead, F_ahead, problem.parts, of_parts, pace.step, measured=True
        )
        iterations = iterations + 1
        residual = np.hypot(codes, parts) / (norm or 1.0)
        value = np.maximum(norm**2 + change, 0) + of_codes(F_ahead) + of_parts(P)
        add(histories, iterations, value, residual)
        ended, back = pace.after(value, residual)
        over = ended | (iterations >= max_iter)
        if over.all():
            break
        if back.any():
            F_ahead[back], P_ahead[back] = F[back], P[back]
        if F_ahead is F and pace.step.any():
            F_ahead, P_ahead = F.copy(), P.copy()
    found[0][members], found[1][members] = F, P
    return found[0].mT, found[1]


def add(histories: list[History], iterations: Any, values: Any, residuals: Any) -> None:
    """What one iteration of each descent reached."""
    reached = (np.ravel(numbers).tolist() for numbers in (iterations, values, residuals))
    for history, i, value, residual in zip(histories, *reached, strict=True):
        history.add(iteration=i, objective=value, residual=residual)


def half_step(
    D: Any,
    weights: np.ndarray | None,
    F: np.ndarray,
    extrapolated: np.ndarray,
    P: np.ndarray,
    allowed: Codes | PartSet,
    terms: Terms,
    step: np.ndarray,
    measured: bool,
) -> tuple[np.ndarray | float, np.ndarray | float]:
    """Improve the rows F of D ≈ FᵀP from `extrapolated`, and move that past them, both in place.

    Returns the residual before and, if it is to be measured, ‖D − FᵀP‖² − ‖D‖² after.
    """
    apart = allowed.columnwise and terms.columnwise
    equations = equations_by_block(D, P, weights, apart)
    times = n_sweeps(D.shape[1], P.shape[-2])
    return improved(F, extrapolated, equations, allowed, terms, step, times, measured)


def improved(
    F: np.ndarray,
    extrapolated: np.ndarray,
    equations: Iterable[tuple[Any, np.ndarray, np.ndarray]],
    allowed: Codes | PartSet,
    terms: Terms,
    step: np.ndarray,
    times: int,
    measured: bool,
) -> tuple[np.ndarray | float, np.ndarray | float]:
    """As :func:`half_step`, for the equations of columns of F, by so many sweeps if it is swept."""
    residual: float | np.ndarray = 0.0
    change: float | np.ndarray = 0.0
    improve = partial(nnls_sweeps, times=times) if allowed in SWEPT else allowed.improve
    for block, gram, cross in equations:
        begin = extrapolated[..., block]
        system = terms.quadratic(begin, gram, cross)
        residual = np.hypot(residual, allowed.residual(begin, *system))
        new = improve(begin, *system)
        if measured:
            change = change + columnwise_loss(new, gram, cross).sum(axis=-1, dtype=np.float64)
        if extrapolated is not F:
            np.subtract(new, F[..., block], out=begin)
            begin *= step[..., None, None].astype(F.dtype)
            begin += new
            np.maximum(begin, 0, out=begin)
        F[..., block] = new
    return residual, change


def plain(problem: Problem) -> bool:
    """Whether both factors are just nonnegative."""
    return problem.codes in SWEPT and problem.parts in SWEPT


def rounded(D: Any, problem: Problem, weights: np.ndarray | None = None) -> Any:
    """D rounded to single precision, where the descent may begin with it; else D itself.

    Large data are twice as fast so. Few data stay in double precision, but rounded they take the
    same path wherever they came from, however many saddles it passes.
    """
    few = D.size <= FEW
    if D.dtype == np.float32 and not few:
        return D
    possible = few or (isinstance(D, np.ndarray) and in_memory(D))
    if not (plain(problem) and weights is None and possible):
        return D
    single = D.astype(np.float32, copy=False)
    return single.astype(np.float64) if few else single


def in_memory(D: Any) -> bool:
    """Whether D is an array that does not lie in a mapped file."""
    while isinstance(D, np.ndarray):
        if isinstance(D, np.memmap):
            return False
        D = D.base
    return True
