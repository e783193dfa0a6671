"""Which factors can come near D at all: enclosures of every nonnegative factorization with a small
error, and the proof that no layer computes such codes.

What is proved in which arithmetic: data and bounds are floats, taken as the exact numbers that they
are. The bounds are computed in floats and rounded outward, so that they hold for all real factors.
That no unit has codes within them is a linear program; its solver only proposes the reason, a dual
solution, which is then found again and checked in whole numbers of any length.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from math import lcm
from typing import NamedTuple

import numpy as np
from scipy.linalg import qr, solve_triangular
from scipy.optimize import linprog

# Entries a part that may stand for it, and looks at choices of one for each part.
CANDIDATES, LOOKS = 40, 4000
# Relative to the largest entry of the data: how large the entries that stand for parts must be. A
# large one proves more, but where features have different units only a small one may be there.
LEAST = 10.0 ** -np.arange(1, 14)
SWEEPS, STILL = 30, 1e-3  # of narrowing, and the relative gain below which it has come to an end
ERRORS = 10.0 ** np.arange(-1, -6.1, -0.25)  # tried, relative to the least of these entries
VIOLATION = 1e-6  # relative to the largest code: above what a solver of linear programs tolerates
CLAIMED = 0.999  # of an error: the product that is its square is rounded
EPS = float(np.finfo(float).eps)
ROUNDING = 1e-12  # of a part's largest code
NEAR = 1e-8  # a direction of the samples that is so small is computed from exact residuals
WORK = 4e7  # samples times features times parts of one sweep
TRIES = 6  # of an exact proof, for as many parts
EXACT = 120  # samples of an exact proof: its time grows with their fourth power


class Enclosure(NamedTuple):
    r"""Bounds of all H ≥ 0, X ≥ 0 with ‖D − H Xᵀ‖_F ≤ error, up to the order of the parts.

    Each part j is scaled to :math:`X_{p_j j} = 1` at its own feature p_j.
    """

    H_least: np.ndarray
    H_most: np.ndarray
    X_least: np.ndarray
    X_most: np.ndarray


def fooling_set(
    D: np.ndarray, H: np.ndarray, X: np.ndarray, least: float = 0.1
) -> list[tuple[int, int]] | None:
    r"""One entry (i_j, p_j) of D for each part, no two of which one part can serve.

    At its entry a part with the largest share has at least :math:`D_{i_j p_j} / m`. Were it the
    same part at two entries j, k, then :math:`D_{i_j p_j} D_{i_k p_k} \le m^2 D_{i_j p_k}
    D_{i_k p_j}`. The entries are such that the left side is more than four times the right one,
    which leaves room for an error. So m such entries need m parts, and each part of a factorization
    with m has the largest share of just one of them.

    They are pairs (sample, feature), or None if the search finds none. H and X are a factorization
    that says where to look, and nothing rests on it; `least` is how large a part's share of its
    entry must be, relative to the largest entry of D.

    Examples
    --------
    >>> fooling_set(np.eye(2), np.eye(2), np.eye(2))
    [(0, 0), (1, 1)]
    >>> fooling_set(np.ones((2, 2)), np.eye(2), np.ones((2, 2))) is None
    True
    """
    m = X.shape[1]
    lit = 0.01 * D.max(axis=0) < D
    crowded = lit.sum(axis=1)[:, None] + lit.sum(axis=0) * (len(D) / D.shape[1])
    entries, owners = [], []
    for j in range(m):
        share = np.outer(H[:, j], X[:, j])
        own = np.flatnonzero((share >= 0.9 * D) & (share > least * D.max()))
        own = own[np.argsort(crowded.flat[own], kind="stable")]
        # Spread over features, so that the choices differ.
        feature = own % D.shape[1]
        turn = np.array([(feature[:r] == feature[r]).sum() for r in range(min(len(own), 400))])
        own = own[np.argsort(turn, kind="stable")][:CANDIDATES]
        entries += [divmod(int(place), D.shape[1]) for place in own]
        owners += [j] * len(own)
    if set(owners) != set(range(m)):
        return None
    rows, columns = np.array(entries).T
    across, own = D[rows][:, columns], D[rows, columns]
    apart = np.outer(own, own) > 4 * m**2 * across * across.T
    fits = apart & (np.subtract.outer(owners, owners) != 0)
    chosen = _one_each(np.array(owners), fits)
    return None if chosen is None else [entries[c] for c in sorted(chosen, key=owners.__getitem__)]


def _one_each(owners: np.ndarray, fits: np.ndarray) -> list[int] | None:
    """One candidate for each owner, all of which fit: depth first, the scarcest owner first."""
    looks = iter(range(LOOKS))

    def extend(chosen: list[int], left: np.ndarray, missing: set[int]) -> list[int] | None:
        if not missing:
            return chosen
        scarce = min(missing, key=lambda owner: np.count_nonzero(left & (owners == owner)))
        options = np.flatnonzero(left & (owners == scarce))
        for option in options[np.argsort(-(fits[options] & left).sum(axis=1), kind="stable")]:
            if next(looks, None) is None:
                return None
            found = extend([*chosen, option], left & fits[option], missing - {scarce})
            if found is not None:
                return found
        return None

    return extend([], np.ones(len(owners), bool), set(owners.tolist()))


def enclose(D: np.ndarray, entries: list[tuple[int, int]], error: float) -> Enclosure | None:
    r"""Enclose all nonnegative factorizations of D with an error, from a fooling set.

    Let :math:`\hat D = H X^\top` with ‖D − D̂‖_F ≤ ε. No entry of D̂ is further than ε from that of
    D. At its entry a part with the largest share has at least :math:`(D - \varepsilon)/m`. One part
    with the largest share at two entries j, k would have there
    :math:`(D_j - ε)(D_k - ε)/m^2 \le \hat D_{i_j p_k} \hat D_{i_k p_j}
    \le (D_{i_j p_k} + ε)(D_{i_k p_j} + ε)`; if that fails for all pairs, every entry has a part of
    its own, and parts get their names from the entries. What is then known of some factors bounds
    others, again and again: with :math:`R_{ip}` the bounds of what the other parts add to an entry,

    .. math:: D_{ip} - ε - R^{most}_{ip} \le H_{ij} X_{pj} \le D_{ip} + ε - R^{least}_{ip} .

    All this is rounded outward: the bounds hold in exact arithmetic, for the floats in D as they
    are.

    The `entries` are from :func:`fooling_set`. None where the error is too large for parts to get
    their names, or so small that no factorization has it.

    Examples
    --------
    >>> bounds = enclose(np.eye(2), [(0, 0), (1, 1)], 1e-3)
    >>> bounds.H_least.round(2), bounds.H_most.round(2)
    (array([[1., 0.],
           [0., 1.]]), array([[1., 0.],
           [0., 1.]]))
    """
    m = len(entries)
    rows, columns = np.array(entries).T
    own = _down(D[rows, columns] - error)
    across = D[rows][:, columns] + error
    apart = np.outer(own, own) > (1 + 10 * EPS) * m**2 * across * across.T
    if (own <= 0).any() or not (apart | np.eye(m, dtype=bool)).all():
        return None
    H_least, X_least = np.zeros((len(D), m)), np.zeros((D.shape[1], m))
    H_most, X_most = _up(D[:, columns] + error), np.full(X_least.shape, np.inf)
    H_least[rows, np.arange(m)] = _down(own / m)
    X_least[columns, np.arange(m)] = X_most[columns, np.arange(m)] = 1
    bounds = Enclosure(H_least, H_most, X_least, X_most)
    width = np.inf
    for _ in range(SWEEPS):
        for j in range(m):
            _narrow(D, error, bounds, j)
        if (H_least > H_most).any() or (X_least > X_most).any():
            return None
        before, width = width, float((H_most - H_least).sum())
        if width > (1 - STILL) * before:
            break
    return bounds


def _narrow(D: np.ndarray, error: float, bounds: Enclosure, j: int) -> None:
    """Better bounds for one part and its codes, in place."""
    others = np.arange(bounds.H_least.shape[1]) != j
    h_least, h_most = bounds.H_least[:, j], bounds.H_most[:, j]
    x_least, x_most = bounds.X_least[:, j], bounds.X_most[:, j]
    # What a sum of as many products can have lost by rounding, relative to the sum of all terms.
    lost = (len(others) + 8) * EPS
    rest = bounds.H_least[:, others] @ bounds.X_least[:, others].T
    most = D + error - rest + lost * (D + error + rest)
    with np.errstate(divide="ignore", invalid="ignore"):
        x_most[:] = np.fmin(x_most, np.fmin.reduce(_up(most / h_least[:, None]), axis=0))
        h_most[:] = np.fmin(h_most, np.fmin.reduce(_up(most / x_least), axis=1))
        if np.isfinite(bounds.X_most).all():
            rest = bounds.H_most[:, others] @ bounds.X_most[:, others].T
            least = D - error - rest - lost * (D + error + rest)
            x_least[:] = np.fmax(x_least, np.fmax.reduce(_down(least / h_most[:, None]), axis=0))
            h_least[:] = np.fmax(h_least, np.fmax.reduce(_down(least / x_most), axis=1))


def _up(A: np.ndarray) -> np.ndarray:
    """At least the exact result of the one operation that A was rounded after."""
    return np.nextafter(A, np.inf)


def _down(A: np.ndarray) -> np.ndarray:
    return np.nextafter(A, -np.inf)


class NearestUnit(NamedTuple):
    """One unit, ReLU(u·d + b), and its largest violation of the bounds on its codes.

    `dual` (2, n) is the solver's reason why no unit has less: weights ≥ 0 of the upper and of the
    lower bounds.
    """

    u: np.ndarray
    b: float
    violation: float
    dual: np.ndarray


def nearest_units(
    D: np.ndarray, least: np.ndarray, most: np.ndarray, bias: bool = True
) -> Iterator[NearestUnit]:
    r"""For each unit the one that comes nearest to codes within bounds, by linear programs.

    Unit j solves :math:`\min_{u, b, t} t` with :math:`u^\top d_i + b \le H^{most}_{ij} + t` for all
    i, and :math:`u^\top d_i + b \ge H^{least}_{ij} - t` where that is positive: where it is not,
    ReLU makes 0 of everything below. So t > 0 says that no unit gives such codes, as far as the
    solver's floats can be believed; :func:`refuted` does not believe them.

    The solver wants columns of D (n, r) of a size and far from parallel: give it a basis of the
    features, such as :func:`column_space`. The bounds `least` and `most` (n, m) are infinite where
    a code may be anything above. Without a `bias` b is 0.

    Examples
    --------
    The sum of two codes of 1 is 2, unless there is a bias:

    >>> D, H = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.ones((3, 1))
    >>> for bias in (False, True):
    ...     print([f"{layer.violation:.3f}" for layer in nearest_units(D, H, H, bias)])
    ['0.333']
    ['0.000']
    """
    inputs = np.column_stack([D, np.full(len(D), float(bias))])
    domain = [(None, None)] * inputs.shape[1] + [(0, None)]
    goal = np.eye(len(domain))[-1]
    for low, high in zip(least.T, most.T, strict=True):
        bounded, active = np.isfinite(high), low > ROUNDING * low.max()
        A = np.vstack([inputs[bounded], -inputs[active]])
        limits = np.concatenate([high[bounded], -low[active]])
        # The solver's tolerances are absolute.
        unit = np.abs(limits).max(initial=0) or 1.0
        slack = np.full((len(A), 1), -1.0)
        found = linprog(goal, np.hstack([A, slack]), limits / unit, bounds=domain, method="highs")
        *u, b, violation = unit * found.x
        dual = np.zeros((2, len(D)))
        dual[0, bounded], dual[1, active] = np.split(-found.ineqlin.marginals, [bounded.sum()])
        yield NearestUnit(np.array(u), b * bias, violation, dual)


def refuted(D: np.ndarray, low: np.ndarray, high: np.ndarray, dual: np.ndarray) -> bool:
    r"""Whether it is proved, in exact arithmetic, that no unit has codes within its bounds.

    The constraints of a unit are :math:`A (u, b) \le c`: a row :math:`(d_i, 1)` for an upper bound,
    its negative for a positive lower one. Weights y ≥ 0 with :math:`A^\top y = 0` and
    :math:`c^\top y < 0` leave no u and b (Farkas). They are zero but for the rows that the solver
    of :func:`nearest_units` says; these have one y up to scale, in whole numbers, and it is
    checked.

    The samples D themselves and the bounds `low` and `high` (n,) are taken as exact numbers; `dual`
    is that of :class:`NearestUnit`.

    Examples
    --------
    Without a bias, codes of 1 at two samples and at their sum cannot be; with one they can.

    >>> D, one = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]), np.ones(4)
    >>> dual = np.array([[0, 0, 1, 1], [1, 1, 0, 0]])
    >>> refuted(D, one, one, dual), refuted(D, one - 0.4, one - [0, 0, 0, 1], dual)
    (False, True)
    """
    above, below = (np.flatnonzero(weights > 0) for weights in dual)
    rows = np.concatenate([above, below])
    if not 0 < len(rows) <= EXACT or (low[below] <= 0).any():
        return False
    sign = np.repeat([1, -1], [len(above), len(below)])
    features = np.unique(np.vstack([D[rows].T, np.ones(len(rows))]), axis=0)
    A = np.array([sign * _whole(feature)[0] for feature in features if feature.any()])
    y = _only_relation(A)
    if y is None:
        return False
    y = y if y.sum() > 0 else -y
    limits = [Fraction(limit) for limit in [*high[above], *-low[below]]]
    return bool((y >= 0).all() and not (A @ y).any() and y @ limits < 0)


def _whole(A: np.ndarray) -> tuple[np.ndarray, int]:
    """Floats as Python's whole numbers N and one exponent e: A = N · 2^e exactly."""
    mantissa, exponent = np.frexp(A)
    exponent = np.where(A == 0, exponent.max(initial=-1100, where=A != 0), exponent) - 53
    least = int(exponent.min(initial=0))
    N = np.ldexp(mantissa, 53).astype(np.int64).astype(object)
    return N << (exponent - least).astype(object), least


def _only_relation(A: np.ndarray) -> np.ndarray | None:
    """The y ≠ 0 with A y = 0, in whole numbers, if there is just one up to scale."""
    pivots: list[tuple[int, np.ndarray]] = []
    divisor = 1
    while (A := A[A.any(axis=1)]).size:
        row, column = A[0], np.flatnonzero(A[0])[0]
        pivots.append((column, row))
        # Entries stay minors of the matrix, which divide without a rest (Bareiss).
        A = (row[column] * A[1:] - np.outer(A[1:, column], row)) // divisor
        divisor = row[column]
    if len(pivots) != A.shape[1] - 1:
        return None
    y = np.array([Fraction(1)] * A.shape[1])
    for column, row in reversed(pivots):
        others = np.arange(len(y)) != column
        y[column] = -(row[others] @ y[others]) / row[column]
    common = lcm(*(entry.denominator for entry in y))
    return np.array([int(entry * common) for entry in y], dtype=object)


def column_space(D: np.ndarray) -> np.ndarray:
    r"""Orthonormal columns (n, r) that span the features of samples, whatever their units.

    A direction in which samples differ by no more than the rounding of their entries is still one
    that an encoder can use, if only with huge weights. In floats it would be noise. So features
    that are nearly combinations of others are replaced by what these leave, computed exactly.

    Examples
    --------
    >>> D = np.array([[1.0, 1.0, 2.0], [1.0, 1.0 + 1e-15, 2.0], [1.0, 1.0, 2.0]])
    >>> np.abs(column_space(D)).round(2)
    array([[0.58, 0.41],
           [0.58, 0.82],
           [0.58, 0.41]])
    """
    D = D[:, D.any(axis=0)]
    D = np.unique(np.ldexp(D, -np.frexp(np.abs(D).max(axis=0))[1]), axis=1)
    Q, R, order = qr(D, mode="economic", pivoting=True)
    size = np.abs(R.diagonal())
    rank = np.count_nonzero(size > NEAR * size.max(initial=0))
    Q, kept, rest = Q[:, :rank], order[:rank], order[rank:]
    weights, exponent = _whole(solve_triangular(R[:rank, :rank], R[:rank, rank:]))
    N, _ = _whole(D)
    left = (N[:, rest] << -exponent) - N[:, kept] @ weights
    left = left[:, left.any(axis=0)]
    left = (left / np.abs(left).max(axis=0, initial=1)).astype(float)
    for _ in range(2):
        left = left - Q @ (Q.T @ left)
    P, R, _ = qr(left, mode="economic", pivoting=True)
    # A multiple of the kept ones, rounded in its weights, leaves nothing across them.
    return np.hstack([Q, P[:, np.abs(R.diagonal()) > NEAR**0.5]])


def loss_lower_bound(
    D: np.ndarray, H: np.ndarray, X: np.ndarray, above: float = 0.0
) -> tuple[float, str]:
    r"""A lower bound of the loss of every ReLU autoencoder with m units and nonnegative parts.

    Suppose one had a loss of at most ε². Its codes and parts would be within :func:`enclose`'s
    bounds. If for some unit no u and b give codes within them, there is none. The solver of
    :func:`nearest_units` looks for such a unit, and :func:`refuted` proves it in exact arithmetic.
    The largest ε of a list with this proof gives the bound ε².

    H and X are an NMF of D ≥ 0. The proof does not rest on it, but the search for one does. A bound
    that is not above `above` is of no use. Returned are the bound, 0 where no proof is found, and
    the reason.

    Examples
    --------
    >>> loss_lower_bound(np.eye(3), np.eye(3), np.eye(3))
    (0.0, 'a layer gives codes within all bounds that were found')
    """
    # A power of two scales floats exactly.
    exponent = int(np.frexp(D.max())[1])
    peak = float(np.ldexp(1.0, exponent))

    def claimed(error: float) -> float:
        return float((CLAIMED * error * peak) ** 2)

    if claimed(ERRORS[0]) <= above:
        return 0.0, f"a loss of {above:.1e} is above all that can be proved"
    # Some samples are enough: the loss on them is at most that on all.
    samples, first = np.unique(D, axis=0, return_index=True)
    H, X, D = H[first], X / peak, np.ldexp(samples, -exponent)
    most = int(max(WORK // (D.shape[1] * X.shape[1]), 1))
    some = np.sort(np.argsort((1e-3 * H.max(axis=0) < H).sum(axis=1), kind="stable")[:most])
    samples, D, H, first = samples[some], D[some], H[some], first[some]
    reason = "no entries of the data were found that tell the parts apart"
    tried: list = [None]
    inputs = None
    for least in LEAST:
        entries = fooling_set(D, H, X, least)
        if entries in tried:
            continue
        tried.append(entries)
        errors = ERRORS * min(D[entry] for entry in entries)
        if claimed(errors[0]) <= above:
            break
        errors = errors[[claimed(error) > above for error in errors]]
        tightest = next(filter(None, (enclose(D, entries, e) for e in errors[::-1])), None)
        if tightest is None:
            continue
        if inputs is None:
            inputs = column_space(D) * len(D) ** 0.5
        # Codes within the tightest bounds are, as a rule, within all: most programs are spared.
        codes = np.column_stack(
            [inputs @ unit.u + unit.b for unit in nearest_units(inputs, *tightest[:2])]
        )
        for error in errors:
            bounds = enclose(D, entries, error)
            if bounds is None:
                continue
            low, high = bounds.H_least, bounds.H_most
            size = high.max(axis=0)
            violation = np.maximum(codes - high, np.where(low > 0, low - codes, 0)).max(axis=0)
            left = np.flatnonzero(violation > VIOLATION * size)
            units = nearest_units(inputs, low[:, left], high[:, left])
            found = zip(units, left, strict=True)
            missed = (row for row in found if row[0].violation > VIOLATION * size[row[1]])
            reason = "a layer gives codes within all bounds that were found"
            for layer, j in islice(missed, TRIES):
                i, p = entries[j]
                if refuted(samples, low[:, j], high[:, j], layer.dual):
                    return claimed(error), (
                        f"in every factorization with a loss of at most {claimed(error):.1e}, no "
                        f"layer gives the codes of the part that makes feature {p} of sample "
                        f"{first[i]}"
                    )
                reason = "no layer was found that gives the codes, and no proof that none does"
    return 0.0, reason
