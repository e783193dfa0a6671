"""Where a solver begins.

A start of `STARTS` takes the data D (n, d), dense or sparse, the number m of parts and a
RandomState, and returns codes H (n, m) and components (m, d). They are raw: what their scale is,
each says. :func:`rescaled` gives them that of the data. Where m is too large for a start, it is a
ValueError.

References
----------
Boutsidis, Gallopoulos (2008), "SVD based initialization: a head start for nonnegative matrix
factorization", for `nndsvd`; Gillis, Kumar (2015), "Exact and heuristic algorithms for
semi-nonnegative matrix factorization", for the half-space of `wide_cone`; Araújo et al. (2001),
"The successive projections algorithm for variable selection in spectroscopic multicomponent
analysis", and Gillis, Vavasis (2014), "Fast and robust recursive algorithms for separable
nonnegative matrix factorization", algorithm 1, for `spa_rows`; Hosseini-Asl, Zurada, Nasraoui
(2016), arXiv 1601.02733, for `small`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.extmath import randomized_svd, row_norms

from ..choices.codes import ReLU
from ..choices.objective import Objective
from ..choices.problem import Problem
from ..leastsquares import exact_nnls
from . import Factors
from .blocked import Blocked, added, data_norm, part_equations, widened_rows

LARGE = 2**24  # entries
# Heights of a cone over its width that are tried where no cone has all samples inside. Higher ones
# end lower, flatter ones begin lower; the flattest has codes nearly too large to be exact.
HEIGHTS = 0.1, 0.01, 0.001


def best_scale(D, H: Any, components: np.ndarray) -> float:
    """The scalar α = ⟨D, HXᵀ⟩ / ‖HXᵀ‖² that makes αHXᵀ fit D best; 1 where HXᵀ = 0."""
    gram, cross = part_equations(D, None, H) if isinstance(D, Blocked) else (H.T @ H, H.T @ D)
    energy = np.sum(gram * (components @ components.T))
    return float(np.sum(cross * components) / energy) if energy > 0 else 1.0


def rescaled(D, H: Any, components: np.ndarray) -> tuple[Any, np.ndarray]:
    """Share the best scalar between the two factors; where none above 0 helps, both stay."""
    scale = best_scale(D, H, components)
    root = scale**0.5 if scale > 0 else 1.0
    return H * root, components * root


def _level(D, n_components: int) -> float:
    """√(D̄/m), at which constant factors have the mean of D; of signed data that has none above 0,
    with the root mean square."""
    mean = float(D.mean(dtype=np.float64))
    level = mean if mean > 0 else data_norm(D) / (D.shape[0] * D.shape[1]) ** 0.5
    return (level / n_components) ** 0.5


def random(D, n_components: int, rng: np.random.RandomState) -> tuple[Any, np.ndarray]:
    """Half-normal factors, √(D̄/m)·|N(0, 1)| (:func:`_level`), drawn in scikit-learn's order: one
    seed gives the same start there."""
    n, d = D.shape
    scale = _level(D, n_components)
    components = scale * np.abs(rng.standard_normal((n_components, d)).astype(D.dtype, copy=False))
    if isinstance(D, Blocked):
        return scale * _drawn(D, n_components, rng), components
    H = scale * np.abs(rng.standard_normal((n, n_components)).astype(D.dtype, copy=False))
    return H, components


def _drawn(D: Blocked, m: int, rng: np.random.RandomState) -> Blocked:
    """Half-normal codes, the numbers that :func:`random` would draw at once; each block draws its
    own from where the generator stood."""
    states = []
    for rows in D.rows:
        states.append(rng.get_state())
        rng.standard_normal((rows, m))
    return D.like(states, m, np.float64).each(_half_normal, D.rows, m=m)


def _half_normal(state: tuple, rows: int, m: int) -> np.ndarray:
    rng = np.random.RandomState()
    rng.set_state(state)
    return np.abs(rng.standard_normal((rows, m)))


def nndsvd(
    D, n_components: int, rng: np.random.RandomState, fill: str | None = None
) -> tuple[Any, np.ndarray]:
    r"""Nonnegative halves of the leading singular pairs.

    Each pair splits as :math:`p q^T = (p_+ - p_-)(q_+ - q_-)^T`; of :math:`p_+ q_+^T` and
    :math:`p_- q_-^T` the one of larger norm is kept. Multiplicative updates can never leave the
    zeros that remain, so that `fill` may be "mean", :func:`_level`, or "random", half-normal
    numbers of a hundredth of it. The authors fill with the mean D̄ itself; but the factors are of
    the size of its root, so that this is another start in each unit of the data.

    Examples
    --------
    >>> H, components = nndsvd(np.diag([9.0, 4.0]), 2, np.random.RandomState(0))
    >>> np.round(H @ components, 6)
    array([[9., 0.],
           [0., 4.]])
    """
    if n_components > min(D.shape):
        raise ValueError(
            f"nndsvd takes its parts from singular pairs, and data of shape {D.shape} has only "
            f'{min(D.shape)} for n_components={n_components}: use init="random".'
        )
    if isinstance(D, Blocked):
        return _nndsvd_of_blocks(D, n_components, rng, fill == "mean")
    P, S, Qt = _svd(D, n_components, rng)
    # D ≥ 0 has a nonnegative leading pair (Perron, Frobenius), but where the first singular values
    # are equal the SVD may return any other.
    P[:, 0], Qt[0] = np.abs(P[:, 0]), np.abs(Qt[0])
    H, components = np.zeros_like(P), np.zeros_like(Qt)
    for j, (p, s, q) in enumerate(zip(P.T, S, Qt, strict=True)):
        halves = []
        for sign in (-1, 1):
            p_half, q_half = np.maximum(sign * p, 0), np.maximum(sign * q, 0)
            halves.append((p_half, q_half, np.linalg.norm(p_half), np.linalg.norm(q_half)))
        p, q, p_norm, q_norm = max(halves, key=lambda half: half[2] * half[3])
        if p_norm > 0 and q_norm > 0:
            H[:, j] = (s * q_norm / p_norm) ** 0.5 * p
            components[j] = (s * p_norm / q_norm) ** 0.5 * q
    for factor in (H, components):
        empty = factor <= 1e-6 * factor.max()  # the SVD's rounding
        factor[empty] = 0
        if fill == "mean":
            factor[empty] = _level(D, n_components)
        elif fill == "random":
            drawn = rng.standard_normal(empty.sum())
            factor[empty] = np.abs(_level(D, n_components) / 100 * drawn)
    return H, components


def _svd(D, rank: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Sketches of large data are thin and begin at the shorter side: long ones cost memory.
    lean = {"n_oversamples": 5, "transpose": D.shape[0] > D.shape[1]} if D.size > LARGE else {}
    return randomized_svd(D, rank, random_state=rng, **lean)


def _nndsvd_of_blocks(
    D: Blocked, m: int, rng: np.random.RandomState, filled: bool
) -> tuple[Blocked, np.ndarray]:
    """:func:`nndsvd` from sums over blocks; the left vectors are D V."""
    V, S, Qt = _svd_of_blocks(D, m, rng)
    Qt[0] = np.abs(Qt[0])
    p_norms = np.sqrt(D.total(_halves_of_block, V=V)[0])
    q_halves = np.stack([np.maximum(sign * Qt, 0) for sign in (-1, 1)])
    q_norms = np.linalg.norm(q_halves, axis=2)
    which, each = (p_norms * q_norms).argmax(axis=0), np.arange(m)
    p_norm, q_norm = p_norms[which, each], q_norms[which, each]
    both = (p_norm > 0) & (q_norm > 0)
    p_norm, q_norm = np.where(both, p_norm, 1), np.where(both, q_norm, 1)
    components = np.sqrt(both * S * p_norm / q_norm)[:, None] * q_halves[which, each]
    how = {"V": V, "signs": 2 * which - 1, "scales": np.sqrt(both * S * q_norm / p_norm)}
    H = D.each(_half_of_block, d=m, dtype=np.float64, **how)
    level = _level(D, m) if filled else 0.0
    largest = H.total(_largest, add=_maximum)[0]
    return H.each(_filled, largest=largest, level=level), _filled(
        components, components.max(), level
    )


def _svd_of_blocks(
    D: Blocked, rank: int, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """V (d, m), singular values and right vectors, D V the left ones: as :func:`_svd` of as many
    samples as features, or more, and from the same draw, but with sums of each pass alone."""
    W = rng.normal(size=(D.shape[1], rank + (5 if D.size > LARGE else 10)))
    for _ in range(7 if rank < 0.1 * min(D.shape) else 4):  # what randomized_svd does
        W = np.linalg.qr(D.total(_sketch_of_block, W=W)[1].T)[0]
    gram, cross = D.total(_sketch_of_block, W=W)
    values, E = np.linalg.eigh(gram)
    kept = values > len(values) * np.finfo(float).eps * values[-1]
    turn = E[:, kept] / np.sqrt(values[kept])  # D W turn is orthonormal
    U, S, Qt = np.linalg.svd(turn.T @ cross, full_matrices=False)
    found, d = min(len(S), rank), D.shape[1]
    V, singular, right = np.zeros((d, rank)), np.zeros(rank), np.zeros((rank, d))
    V[:, :found], singular[:found], right[:found] = (W @ turn @ U)[:, :found], S[:found], Qt[:found]
    return V, singular, right


def _sketch_of_block(D: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """YᵀY and YᵀD for Y = D W."""
    pairs = ((some @ W, some) for _, some, _ in widened_rows(D, None))
    return added([(Y.T @ Y, Y.T @ some) for Y, some in pairs])


def _left_vectors(D: np.ndarray, V: np.ndarray) -> np.ndarray:
    """D V of a block, the first one as in :func:`nndsvd`."""
    P = np.concatenate([some @ V for _, some, _ in widened_rows(D, None)])
    P[:, 0] = np.abs(P[:, 0])
    return P


def _halves_of_block(D: np.ndarray, V: np.ndarray) -> tuple[np.ndarray]:
    P = _left_vectors(D, V)
    return (np.stack([np.square(np.maximum(sign * P, 0)).sum(axis=0) for sign in (-1, 1)]),)


def _half_of_block(
    D: np.ndarray, V: np.ndarray, signs: np.ndarray, scales: np.ndarray
) -> np.ndarray:
    return scales * np.maximum(signs * _left_vectors(D, V), 0)


def _largest(H: np.ndarray) -> tuple[float]:
    return (float(H.max()),)


def _maximum(found: Any) -> tuple[float]:
    return max(found)


def _filled(factor: np.ndarray, largest: float, level: float) -> np.ndarray:
    """A factor with its zeros, and the rounding of the SVD, at a level."""
    return np.where(factor <= 1e-6 * largest, level, factor)


def wide_cone(D, components: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    r"""Parts of any sign for data of any sign, turned as given parts are: where semi-NMF begins.

    Nonnegative combinations of m flat-lying parts fill nearly a half-space of the first m singular
    directions, and all of m − 1 of them. So the best nonnegative codes fit about as well as the
    singular value decomposition with m − 1 parts, and with m where all samples lie in a half-space.
    Its axis is, of the singular directions and the mean direction of the samples, the one against
    which the samples have least. Parts with a sign of their own, in contrast, can lie where no
    sample has a positive share of any: then no step leads from codes of zero.

    What the given parts have across the axis says how the cone is turned about it; its height is
    drawn.

    Examples
    --------
    >>> D = -np.array([[1.0, 2.0], [2.0, 1.0]])
    >>> parts = wide_cone(D, np.eye(2), np.random.RandomState(0))
    >>> bool(np.allclose(exact_nnls(D, parts) @ parts, D))
    True
    """
    m, rank = len(components), min(len(components), *D.shape)
    P, S, Qt = _svd(D, rank, rng)
    coordinates, turned = P * S, components @ Qt.T
    axis = np.zeros((rank, 0))
    if m == rank:
        norms = np.linalg.norm(coordinates, axis=1, keepdims=True)
        mean = (coordinates / np.where(norms > 0, norms, 1)).sum(axis=0)
        mean /= np.linalg.norm(mean) or 1.0
        candidates = np.vstack([mean, -mean, np.eye(rank), -np.eye(rank)])
        against = np.square(np.minimum(coordinates @ candidates.T, 0)).sum(axis=0)
        against[~candidates.any(axis=1)] = np.inf
        axis = candidates[[against.argmin()]].T
    across = np.linalg.qr(np.hstack([axis, np.eye(rank)]))[0][:, axis.shape[1] :]
    # Orthonormal columns whose entries sum to 0: the corners of a simplex about 0, as rows.
    corners = np.linalg.qr(np.hstack([np.ones((m, 1)), turned @ across]), mode="complete")[0]
    corners = corners[:, 1 : 1 + across.shape[1]]
    directions = corners @ across.T
    if axis.size:
        # A sample at height a over the foot b is in the cone of height ε if a ≥ ε m max(−b·corner).
        height = (coordinates @ axis)[:, 0]
        width = m * (coordinates @ directions.T).min(axis=1, initial=0) * -1
        off = width > 0
        steepest = (height[off] / width[off]).min(initial=1.0)
        # A lower cone than the steepest will do as well, and other seeds are to show it.
        share = rng.uniform(0.5, 1)
        for most in [max(steepest, HEIGHTS[-1])] if steepest > 0 else HEIGHTS:
            cone = directions + share * most * axis.T
            left = coordinates - exact_nnls(coordinates, cone) @ cone
            if np.vdot(left, left) <= S[-1] ** 2:  # as good as one part fewer without signs
                break
        directions = cone
    return (directions @ Qt).astype(components.dtype)


def spa_rows(D, n_components: int) -> np.ndarray:
    r"""The rows of D ≥ 0 that all others are mixtures of, in the order of choice, by successive
    projections.

    Among the rows :math:`r_i = d_i / \|d_i\|_1` take the one of largest norm, of equals the first,
    project all rows on its orthogonal complement, and repeat. On separable data, where every row is
    a nonnegative combination of m linearly independent ones, these are found exactly. When no row
    is left that is independent of the chosen ones, the largest (by sum) of the others follow. The
    projections are never formed: with v the new direction, :math:`\|r_i\|^2` falls by
    :math:`(r_i^T v)^2`, one product with D a step.

    Examples
    --------
    >>> spa_rows(np.array([[1.0, 1.0], [0.0, 3.0], [5.0, 0.0]]), 2).tolist()
    [1, 2]
    """
    n, d = D.shape
    if n_components > n:
        raise ValueError(
            f"spa takes its parts from the rows of the data, and there are only {n} for "
            f'n_components={n_components}: use init="random".'
        )
    sums = np.asarray(D.sum(axis=1), dtype=np.float64).ravel()
    scale = np.divide(1, sums, out=np.zeros(n), where=sums > 0)
    left = (scale * row_norms(D)) ** 2
    rounding = 10 * n_components * float(np.finfo(D.dtype).eps) * left.max()
    directions = np.zeros((n_components, d), D.dtype)
    chosen: list[int] = []
    while len(chosen) < n_components and left.max() > rounding:
        row = int(left.argmax())
        v = _picked(D, [row])[0] * float(scale[row])
        for _ in range(2):  # once leaves a rest when v is nearly in the span
            v -= (directions @ v) @ directions
        v /= float(np.linalg.norm(v))
        left -= (scale * (D @ v)) ** 2
        left[row] = 0
        directions[len(chosen)] = v
        chosen.append(row)
    rest = np.argsort(-sums, kind="stable")
    rest = rest[~np.isin(rest, chosen)]
    return np.array([*chosen, *rest[: n_components - len(chosen)]], dtype=int)


def spa(D, n_components: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """The rows that :func:`spa_rows` finds as parts, and exact codes for them; nothing is drawn."""
    return _from_rows(D, spa_rows(D, n_components))


def data_samples(D, n_components: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows of D, drawn at random, as parts, and exact codes for them."""
    if n_components > D.shape[0]:
        raise ValueError(
            f"{n_components} parts cannot be samples: there are only {D.shape[0]} of these."
        )
    return _from_rows(D, rng.choice(D.shape[0], n_components, replace=False))


def _from_rows(D, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    components = _picked(D, rows)
    return exact_nnls(D, components), components


def _picked(D, rows) -> np.ndarray:
    return D[rows].toarray() if sp.issparse(D) else D[rows]


def samples(D: np.ndarray, n_components: int, rng: np.random.RandomState) -> np.ndarray:
    """Parts (m, d) of norm 1 for an autoencoder: randomly thinned samples of the data."""
    chosen = rng.choice(len(D), n_components, replace=len(D) < n_components)
    components = D[chosen] * rng.uniform(size=(n_components, D.shape[1]))
    norms = np.linalg.norm(components, axis=1, keepdims=True)
    return (components / np.where(norms > 0, norms, 1)).astype(D.dtype)


def small(D: np.ndarray, n_components: int, rng: np.random.RandomState) -> tuple:
    """Components and encoder of a logistic layer: uniform up to √(6/(d + m + 1)), since codes of
    larger weights would saturate, and learn nothing."""
    shape = n_components, D.shape[1]
    most = (6 / (sum(shape) + 1)) ** 0.5
    return tuple(rng.uniform(0, most, shape).astype(D.dtype) for _ in range(2))


#: NMF's starts by name.
STARTS: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {
    "random": random,
    "nndsvd": nndsvd,
    "nndsvda": partial(nndsvd, fill="mean"),
    "nndsvdar": partial(nndsvd, fill="random"),
    "spa": spa,
}


def begin(
    D: Any, n_components: int, problem: Problem, init: str, rng: np.random.RandomState
) -> Factors:
    """Codes and parts for a problem by a start of `STARTS`, not yet within what is allowed."""
    codes, parts = problem.codes, problem.parts
    if init == "random" and parts.of_samples:
        return Factors(*data_samples(D, n_components, rng))
    H, components = STARTS[init](D, n_components, rng)
    if isinstance(D, Blocked) and parts.signed:
        raise ValueError(
            f"{parts!r} begin from singular vectors of all data, which lie in blocks: give start=, "
            "a model that was fitted to some of the rows, say."
        )
    if parts.signed and codes == ReLU() and problem.objective == Objective():  # semi-NMF
        components = wide_cone(D, components, rng)
    # Where parts or codes have a scale of their own, the start has it too.
    if parts.has_scale:
        sizes = np.abs(components).mean(axis=1, keepdims=True)
        components = components / np.where(sizes > 0, sizes, 1)
    elif not codes.homogeneous:
        amount = H.mean() * n_components if isinstance(H, Blocked) else H.sum(axis=1).mean()
        components = components * amount
    return Factors(H, components)
