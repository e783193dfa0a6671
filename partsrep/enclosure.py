"""Which factors can come near D at all: enclosures of every nonnegative factorization with a small
error, and the proof that no layer computes such codes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog

# Entries a part that may stand for it, and looks at choices of one for each part.
CANDIDATES, LOOKS = 40, 4000
SWEEPS, STILL = 30, 1e-3  # of narrowing, and the relative gain below which it has come to an end
# Errors tried, relative to the largest entry of the data; a violation, on the same scale, that is
# far above what a solver of linear programs tolerates; and the share of an error that is claimed:
# the rest is room for rounding.
ERRORS, VIOLATION, CLAIMED = 10.0 ** np.arange(-1.5, -6.1, -0.25), 1e-3, 0.999
ROUNDING = 1e-12  # of a part's largest code
WORK = 4e7  # samples times features times parts of one sweep


@dataclass(frozen=True, eq=False)
class Enclosure:
    r"""Bounds of all H ≥ 0, X ≥ 0 with ‖D − H Xᵀ‖_F ≤ error, up to the order of the parts.

    Each part j is scaled to :math:`X_{p_j j} = 1` at its own feature p_j.

    Attributes
    ----------
    H_least, H_most : ndarray (n, m)
    X_least, X_most : ndarray (d, m)
    """

    H_least: np.ndarray
    H_most: np.ndarray
    X_least: np.ndarray
    X_most: np.ndarray


def fooling_set(D: np.ndarray, H: np.ndarray, X: np.ndarray) -> list[tuple[int, int]] | None:
    r"""One entry (i_j, p_j) of D for each part, no two of which one part can serve.

    Where :math:`D_{i_j p_k} D_{i_k p_j}` is 0, a part that is positive at both
    :math:`(i_j, p_j)` and :math:`(i_k, p_k)` would make an entry positive that is 0. So m such
    entries need m parts, and each part of a factorization with m serves just one of them.

    Parameters
    ----------
    D : ndarray (n, d)
    H, X : ndarray (n, m), (d, m)
        A factorization that says where to look; nothing rests on it.

    Returns
    -------
    list of (sample, feature), or None if the search finds no such entries

    Examples
    --------
    >>> fooling_set(np.eye(2), np.eye(2), np.eye(2))
    [(0, 0), (1, 1)]
    >>> fooling_set(np.ones((2, 2)), np.eye(2), np.ones((2, 2))) is None
    True
    """
    m = X.shape[1]
    crowded = (D > 0).sum(axis=1)[:, None] + (D > 0).sum(axis=0) * (len(D) / D.shape[1])
    entries, owners = [], []
    for j in range(m):
        share = np.outer(H[:, j], X[:, j])
        own = np.flatnonzero((share >= 0.99 * D) & (share > 0.1 * D.max()))
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
    across = D[rows][:, columns]
    fits = (across * across.T == 0) & (np.subtract.outer(owners, owners) != 0)
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

    Parameters
    ----------
    D : ndarray (n, d) ≥ 0
    entries : list of m (sample, feature)
        From :func:`fooling_set`.
    error : float > 0
        The ε. It should be far above rounding.

    Returns
    -------
    Enclosure, or None where the error is too large for parts to get their names.

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
    own = D[rows, columns] - error
    across = D[rows][:, columns] + error
    apart = np.outer(own, own) > m**2 * across * across.T
    if (own <= 0).any() or not (apart | np.eye(m, dtype=bool)).all():
        return None
    H_least, X_least = np.zeros((len(D), m)), np.zeros((D.shape[1], m))
    H_most, X_most = D[:, columns] + error, np.full(X_least.shape, np.inf)
    H_least[rows, np.arange(m)] = own / m
    X_least[columns, np.arange(m)] = X_most[columns, np.arange(m)] = 1
    bounds = Enclosure(H_least, H_most, X_least, X_most)
    width = np.inf
    for _ in range(SWEEPS):
        for j in range(m):
            _narrow(D, error, bounds, j)
        before, width = width, float((H_most - H_least).sum())
        if width > (1 - STILL) * before:
            break
    return bounds


def _narrow(D: np.ndarray, error: float, bounds: Enclosure, j: int) -> None:
    """Better bounds for one part and its codes, in place."""
    others = np.arange(bounds.H_least.shape[1]) != j
    h_least, h_most = bounds.H_least[:, j], bounds.H_most[:, j]
    x_least, x_most = bounds.X_least[:, j], bounds.X_most[:, j]
    most = D + error - bounds.H_least[:, others] @ bounds.X_least[:, others].T
    with np.errstate(divide="ignore", invalid="ignore"):
        x_most[:] = np.fmin(x_most, np.fmin.reduce(most / h_least[:, None], axis=0))
        h_most[:] = np.fmin(h_most, np.fmin.reduce(most / x_least, axis=1))
        if np.isfinite(bounds.X_most).all():
            least = D - error - bounds.H_most[:, others] @ bounds.X_most[:, others].T
            x_least[:] = np.fmax(x_least, np.fmax.reduce(least / h_most[:, None], axis=0))
            h_least[:] = np.fmax(h_least, np.fmax.reduce(least / x_most, axis=1))


class Layer(NamedTuple):
    """One unit, ReLU(u·d + b), and its largest violation of the bounds on its codes."""

    u: np.ndarray
    b: float
    violation: float


def layers(
    D: np.ndarray, least: np.ndarray, most: np.ndarray, bias: bool = True
) -> Iterator[Layer]:
    r"""For each unit the one that comes nearest to codes within bounds, by linear programs.

    Unit j solves :math:`\min_{u, b, t} t` with :math:`u^\top d_i + b \le H^{most}_{ij} + t` for all
    i, and :math:`u^\top d_i + b \ge H^{least}_{ij} - t` where that is positive: where it is not,
    ReLU makes 0 of everything below. So t > 0 proves that no unit gives such codes.

    Parameters
    ----------
    D : ndarray (n, d)
    least, most : ndarray (n, m)
        Infinite where a code may be anything above.
    bias : bool
        Whether there is a b; else it is 0.

    Examples
    --------
    The sum of two codes of 1 is 2, unless there is a bias:

    >>> D, H = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.ones((3, 1))
    >>> for bias in (False, True):
    ...     print([f"{layer.violation:.3f}" for layer in layers(D, H, H, bias)])
    ['0.333']
    ['0.000']
    """
    # Within the span of the samples there are fewer unknowns.
    _, size, V = np.linalg.svd(D, full_matrices=False)
    V = V[size > 1e-10 * size[0]]
    inputs = np.column_stack([D @ V.T, np.full(len(D), float(bias))])
    domain = [(None, None)] * inputs.shape[1] + [(0, None)]
    goal = np.eye(len(domain))[-1]
    for low, high in zip(least.T, most.T, strict=True):
        bounded, active = np.isfinite(high), low > ROUNDING * low.max()
        A = np.vstack([inputs[bounded], -inputs[active]])
        limits = np.concatenate([high[bounded], -low[active]])
        slack = np.full((len(A), 1), -1.0)
        solution = linprog(goal, np.hstack([A, slack]), limits, bounds=domain, method="highs")
        *u, b, violation = solution.x
        yield Layer(np.array(u) @ V, b * bias, violation)


def floor(D: np.ndarray, H: np.ndarray, X: np.ndarray, above: float = 0.0) -> tuple[float, str]:
    r"""A lower bound of the loss of every ReLU autoencoder with m units and nonnegative parts.

    Suppose one had a loss of at most ε². Its codes and parts would be within :func:`enclose`'s
    bounds. If for some unit no u and b give codes within them (:func:`layers`), there is
    none. The largest ε of a list with this proof gives the bound ε².

    Parameters
    ----------
    D : ndarray (n, d) ≥ 0
    H, X : ndarray (n, m), (d, m)
        An NMF. The proof does not rest on it, but the search for one does.
    above : float ≥ 0
        A bound that is not above this is of no use.

    Returns
    -------
    bound : float
        0 where no proof is found.
    reason : str

    Examples
    --------
    >>> floor(np.eye(3), np.eye(3), np.eye(3))
    (0.0, 'a layer gives codes within all bounds that were found')
    """
    peak = D.max()
    errors = ERRORS[(CLAIMED * ERRORS * peak) ** 2 > above]
    if not len(errors):
        return 0.0, f"a loss of {above:.1e} is above all that can be proved"
    # Some samples are enough: the loss on them is at most that on all.
    D, first = np.unique(D, axis=0, return_index=True)
    H, D = H[first], D / (peak or 1)
    most = int(max(WORK // (D.shape[1] * X.shape[1]), 1))
    some = np.sort(np.argsort((1e-3 * H.max(axis=0) < H).sum(axis=1), kind="stable")[:most])
    D, H = D[some], H[some]
    entries = fooling_set(D, H, X / (peak or 1))
    if entries is None:
        return 0.0, "no entries of the data were found that tell the parts apart"
    reason = "the zeros of the data are too few to tell the parts apart"
    for error in errors:
        bounds = enclose(D, entries, error)
        if bounds is None:
            continue
        reason = "a layer gives codes within all bounds that were found"
        for j, layer in enumerate(layers(D, bounds.H_least, bounds.H_most)):
            if layer.violation > VIOLATION:
                i, p = entries[j]
                bound = float((CLAIMED * error * peak) ** 2)
                return bound, (
                    f"in every factorization with a loss of at most {bound:.1e}, no layer gives "
                    f"the codes of the part that makes feature {p} of sample {first[some][i]}"
                )
    return 0.0, reason
