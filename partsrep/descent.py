"""Block-coordinate descent: NMF and its kin under squared error, one factor at a time.

Like every solver of `NMF`, this module has `check`, `factorize` and `infer`.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp

from . import starts
from .codes import ReLU
from .inference import apply
from .objective import Elastic, Objective
from .parts import Parts
from .problem import Problem, data_norm, equations_by_block, kkt_residual
from .progress import History, progress
from .validation import representable

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


def check(problem: Problem, weighted: bool) -> None:
    """Raise a ValueError if this is no problem for this solver."""
    if problem.objective.beta != 2:
        raise ValueError(
            "Invalid beta_loss parameter: solver 'cd' does not handle beta_loss = "
            f"{problem.objective.beta}; use solver='mu'."
        )
    if weighted and problem.parts.of_samples:
        raise ValueError(f"mask= does not go with {problem.parts!r}: hidden samples make no parts.")
    if problem.objective.parts != Elastic() and not problem.parts.nonnegative:
        raise ValueError(
            f"alpha_H and LogVolume need nonnegative parts, but these are {problem.parts!r}: set "
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
    codes, price = problem.codes, problem.objective.codes
    near = {"guess": guess} if codes == ReLU() else {}
    return codes.infer(D, components, l1=price.l1, l2=price.l2, weights=weights, **near)


def factorize(
    D: Any,
    H: np.ndarray,
    components: np.ndarray,
    problem: Problem,
    *,
    weights: np.ndarray | None = None,
    tol: float,
    max_iter: int,
) -> tuple[np.ndarray, np.ndarray, History]:
    """As :func:`descend`, from any start, to the best codes for the last parts.

    These differ from the codes on the way; where the residual with them is above `tol` the descent
    goes on. Codes that are only approximately the best are taken as they are.
    """
    rough, history = rounded(D, problem, weights), History()
    if not _plain(problem):
        components = problem.parts.project(components)
        H = infer(D, components, problem, weights=weights)
    elif problem.objective == Objective():
        H, components = starts.rescaled(rough, H, components)
    near = D.size <= FEW and kkt_residual(D, H, components, problem, weights) <= NEAR
    if rough is not D and not near:
        coarse = {"tol": max(tol, COARSE), "max_iter": max_iter, "gain": FINE}
        H, components = descend(rough, H, components, problem, history, **coarse)
    for halvings in range(REFINEMENTS):
        # H is taken again though it is not needed: the codes before it need not stay in memory.
        H, components = descend(
            D,
            H,
            components,
            problem,
            history,
            weights=weights,
            tol=tol / 2**halvings,
            max_iter=max_iter,
        )
        H = infer(D, components, problem, weights=weights, guess=H)
        residual = kkt_residual(D, H, components, problem, weights)
        if residual <= tol or history.iterations == max_iter or not problem.codes.exact:
            break
    history.last["residual"] = residual
    return H, components, history


def descend(
    D: Any,
    H: np.ndarray,
    components: np.ndarray,
    problem: Problem,
    history: History,
    *,
    weights: np.ndarray | None = None,
    tol: float,
    max_iter: int,
    gain: float = -np.inf,
    extrapolate: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Minimise ‖D − HXᵀ‖²_F + prices by improving the codes and the parts in turn.

    With one factor fixed the objective is a quadratic in the other, which the problem's codes and
    parts know how to lower. For two nonnegative factors that is a few sweeps of exact coordinate
    descent (accelerated HALS); there, once an iteration gains little, each factor is moved past its
    new value (extrapolation), and moved back if the objective rises. Without extrapolation it
    never rises.

    Parameters
    ----------
    D : ndarray or sparse matrix (n, d)
    H, components : ndarray
        The start, (n, m) and (m, d), within what is allowed; not changed.
    problem : Problem
        Its parts are bound to D if they depend on it.
    history : History
        Goes on from here; objectives include the prices.
    weights : ndarray (n, d) ≥ 0 or None
        Of the squared errors. Where a weight is 0, D must be 0.
    tol : float
        Stop when the residual of an iteration (:func:`partsrep.problem.kkt_residual`) is at most
        this.
    max_iter : int
        Most iterations in the whole history.
    gain : float
        Stop also when an iteration lowers the objective by less than this share.
    extrapolate : bool
        Whether extrapolation may be switched on.

    Returns
    -------
    H : ndarray (n, m)
    components : ndarray (m, d)

    References
    ----------
    Gillis, Glineur (2012), "Accelerated multiplicative updates and hierarchical ALS algorithms for
    nonnegative matrix factorization"; Ang, Gillis (2019), "Accelerating nonnegative matrix
    factorization algorithms using extrapolation", algorithm 3.
    """
    F, P = (np.array(factor, D.dtype, order="C") for factor in (H.T, components))
    extrapolate = extrapolate and _plain(problem)
    prices = problem.objective
    D_T, weights_T = D.T, None if weights is None else weights.T
    norm = data_norm(D, weights)
    # Where the next turn begins: the factors themselves, or copies that are ahead of them.
    F_ahead, P_ahead = F, P
    before, step, limit = np.inf, STEP, 1.0
    for iteration in progress(range(history.iterations + 1, max_iter + 1), "NMF"):
        codes, _ = _turn(
            D, weights, F, F_ahead, P_ahead, problem.codes, prices.codes, step, measured=False
        )
        parts, change = _turn(
            D_T, weights_T, P, P_ahead, F_ahead, problem.parts, prices.parts, step, measured=True
        )
        residual = float(np.hypot(codes, parts)) / (norm or 1.0)
        value = max(norm**2 + change, 0.0) + prices.codes(F_ahead) + prices.parts(P)
        history.add(iteration, value, residual)

        done = residual <= tol or 0 <= before - value < gain * abs(value)
        if F_ahead is F:
            if done:
                break
            if extrapolate and before - value < SLOW * abs(value):
                F_ahead, P_ahead = F.copy(), P.copy()
        elif done:  # so far only ahead: the last iteration is one that went nowhere past its end
            F_ahead, P_ahead = F, P
        elif value > before:
            F_ahead[:], P_ahead[:] = F, P
            limit, step = step, step / SHRINK
        else:
            step, limit = min(limit, GROW * step), min(1.0, GROW_LIMIT * limit)
        before = value
    return F.T, P


def _turn(
    D: Any,
    weights: np.ndarray | None,
    F: np.ndarray,
    ahead: np.ndarray,
    P: np.ndarray,
    allowed: Any,
    price: Any,
    step: float,
    measured: bool,
) -> tuple[float, float]:
    """Improve the rows F of D ≈ FᵀP from `ahead`, and move `ahead` past them, both in place.

    Returns the residual before and, if it is to be measured, ‖D − FᵀP‖² − ‖D‖² after.
    """
    residual = change = 0.0
    for block, gram, cross in equations_by_block(D, P, weights, allowed):
        system = price.system(ahead, gram, cross)
        begin = ahead[:, block]
        residual = np.hypot(residual, allowed.residual(begin, *system))
        new = allowed.improve(begin, *system)
        if measured:
            change += float(np.vdot(new, apply(gram, new) - 2 * cross))
        if ahead is not F:
            np.subtract(new, F[:, block], out=begin)
            begin *= step
            begin += new
            np.maximum(begin, 0, out=begin)
        F[:, block] = new
    return residual, change


def _plain(problem: Problem) -> bool:
    """Whether both factors are just nonnegative."""
    return problem.parts == Parts(nonnegative=True) and problem.codes == ReLU()


def rounded(D: Any, problem: Problem, weights: np.ndarray | None) -> Any:
    """D rounded to single precision, where the descent may begin with it; else D itself.

    Large data are twice as fast so. Few data stay in double precision, but rounded they take the
    same path wherever they came from, however many saddles it passes.
    """
    few = D.size <= FEW
    if D.dtype == np.float32 and not few:
        return D
    possible = few or (in_memory(D) and not sp.issparse(D))
    if not (_plain(problem) and weights is None and possible and representable(D, np.float32)):
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
