"""Least squares in one factor: Gram matrices, sweeps, exact nonnegative codes, losses.

Data D (n, d) are dense or sparse, and never made dense; `weights` (n, d) ≥ 0 say what each entry
counts, None all once, and 0 hides it. Codes H are (n, m), `components` Xᵀ (m, d). Either factor is
held as rows: F (m, n) are codes for the parts P (m, d), or parts for codes, with Dᵀ and weightsᵀ.
Where a function takes a stack, (s, m, n) and (s, m, d), D is dense and without weights.
"""

import math
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import nnls

# The half step of accelerated HALS, whose sweeps share one product with the data.
SWEEPS = 2  # the fewest
LEFT = 1 / 4  # about the share of what is left to gain that a sweep leaves
BLOCK = 4096  # columns at a time, so that they stay in cache from sweep to sweep

# Squared errors and exact codes, in double precision.
PIECE = 2**15  # entries of the data at a time, so that what is made of them stays in cache
ROWS = 2048  # samples that are computed together
ENTRIES = 4_000_000  # the most entries in their matrices

# Exact codes by pivoting.
GUESSES = 2  # half steps for the first guess
PIVOTS = 20  # rounds of exchanges
WELL_POSED = 1e10  # the largest condition number
BENIGN = 1e3  # that with which an inverse costs no digits that count
ROUNDING = 1e-12  # what rounding leaves of zero


def blocks(n: int, size: int) -> list[slice]:
    """Slices that partition range(n) into chunks of `size`."""
    return [slice(begin, begin + size) for begin in range(0, n, size)]


def block_width(F: np.ndarray) -> int:
    """How many columns of F, or of each F of a stack, are one block."""
    return max(BLOCK // math.prod(F.shape[:-2]), 1)


def pieces(D: Any, entries: int = PIECE) -> list[slice]:
    """Rows of D by the few, for sums over its entries."""
    return blocks(D.shape[0], max(entries // D.shape[1], 1))


def normal_equations(
    D, P: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    r"""The quadratic :math:`\mathrm{tr}(F^T G F) - 2\langle C, F\rangle` of codes for given parts.

    It is :math:`\sum_{ip} w_{ip} (D - F^T P)_{ip}^2` up to a constant. Without weights `gram`
    G = P Pᵀ is one matrix (m, m); with weights each sample j has its own, :math:`P\,
    \mathrm{diag}(w_j) P^T`, and G is (m, m, n). `cross` C = P Dᵀ is (m, n).

    Examples
    --------
    >>> normal_equations(np.array([[2.0, 3.0]]), np.array([[1.0, 1.0]]))
    (array([[2.]]), array([[5.]]))
    >>> normal_equations(np.array([[2.0, 3.0]]), np.array([[1.0, 1.0]]), np.array([[1.0, 0.0]]))
    (array([[[1.]]]), array([[2.]]))
    """
    if weights is None:
        return P @ P.mT, _times_transposed(P, D)
    weights = weights.astype(P.dtype, copy=False)
    seen = D.multiply(weights).tocsr() if sp.issparse(D) else D * weights
    # All Gram matrices are one product with the Khatri–Rao square of P; half of it is enough.
    first, second = np.triu_indices(len(P))
    half = (P[first] * P[second]) @ weights.T
    gram = np.empty((len(P), len(P), half.shape[1]), half.dtype)
    gram[first, second] = half
    gram[second, first] = half
    return gram, _times_transposed(P, seen)


def stack_matmul(stack: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The stack times a matrix, by one product instead of one a member."""
    *members, n = stack.shape
    flat = stack.reshape(math.prod(members), n)
    return (flat @ matrix).reshape(*members, matrix.shape[1])


def _times_transposed(P: np.ndarray, D) -> np.ndarray:
    """P Dᵀ, row by row in memory."""
    if P.ndim == 3:
        return stack_matmul(P, D.T)
    # OpenBLAS has a slow order for few rows in single precision.
    slow = D.dtype == np.float32 and not sp.issparse(D) and D.flags.c_contiguous
    return np.ascontiguousarray((D @ P.T.copy()).T) if slow or sp.issparse(D) else P @ D.T


def per_column(gram: np.ndarray, F: np.ndarray) -> bool:
    """Whether each column of F has a Gram matrix of its own; else all of one F share one."""
    return gram.ndim > F.ndim


def gram_matmul(gram: np.ndarray, F: np.ndarray) -> np.ndarray:
    """G F for one Gram matrix, or for one per column (:func:`per_column`)."""
    return np.einsum("kjn,jn->kn", gram, F) if per_column(gram, F) else gram @ F


def with_penalty(
    gram: np.ndarray, cross: np.ndarray, l1: float, l2: float
) -> tuple[np.ndarray, np.ndarray]:
    """The quadratic plus 2 l1·ΣF + l2‖F‖², as G + l2·I and C − l1."""
    identity = np.eye(cross.shape[-2], dtype=gram.dtype)
    return gram + l2 * (identity[..., None] if per_column(gram, cross) else identity), cross - l1


def columnwise_loss(F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """The quadratic tr(FᵀGF) − 2⟨C, F⟩ of each column of F, (..., n)."""
    return np.einsum("...kn,...kn->...n", F, gram_matmul(gram, F) - 2 * cross)


def gram_diagonal(gram: np.ndarray, F: np.ndarray) -> np.ndarray:
    """The G_kk that go with F: (..., m, 1), or (m, n) where each column has its own.

    One too small to be divided by is 0: a factor that shrinks for ever, as one with a penalty does
    whose partner has none, would drive its partner to infinity.
    """
    own = per_column(gram, F)
    curvature = gram.diagonal().T if own else gram.diagonal(axis1=-2, axis2=-1)[..., None]
    return np.where(curvature < smallest(gram.dtype), 0, curvature)


@cache
def smallest(dtype: np.dtype) -> float:
    """What a number below the smallest normal one is less than half of the last digit of."""
    limits = np.finfo(dtype)
    return limits.tiny / limits.eps


def stationarity(F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float | np.ndarray:
    """How far the rows F ≥ 0 are from optimal: ‖projected gradient‖, partner rows at norm 1.

    Dividing by √G_kk makes the value the same however a part and its code share their scale.
    """
    gradient = gram_matmul(gram, F)
    gradient -= cross
    gradient *= (F > 0) | (gradient < 0)
    partner = gram_diagonal(gram, F)
    partner = np.where(partner > 0, partner, 1)
    if per_column(gram, F):
        return np.sqrt(np.sum(gradient**2 / partner))
    return np.sqrt(np.sum(np.vecdot(gradient, gradient) / partner[..., 0], axis=-1))


def nnls_sweep(F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> None:
    r"""One sweep of exact coordinate descent on nonnegative least squares, in place.

    Minimises the quadratic over each row of F in turn, the others fixed:
    :math:`F_k \leftarrow \max(0, F_k + (C_k - G_k F)/G_{kk})`. This is HALS.

    An entry whose partner is zero (G_kk = 0, and so C_k = 0) does not matter to the loss and is
    left as it is, so that it can return once its partner does. If it has a penalty (C_k < 0) it
    goes.

    References
    ----------
    Cichocki, Phan (2009), "Fast local algorithms for large scale nonnegative matrix and tensor
    factorizations", algorithm 2.

    Examples
    --------
    >>> F = np.zeros((1, 2))
    >>> nnls_sweep(F, np.array([[4.0]]), np.array([[8.0, -8.0]]))
    >>> F
    array([[2., 0.]])
    """
    _update_rows(F, *_updates(gram, cross))


def _updates(gram: np.ndarray, cross: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """O and C with which an update is F_k ← max(0, C_k − Σ_j O_kj F_j): those given, over G_kk.

    O_kk = 0; where G_kk = 0, O_kk = −1 keeps F_k.
    """
    curvature = gram_diagonal(gram, cross)
    dead = curvature == 0
    curvature = np.where(dead, 1, curvature)
    target = cross / curvature
    k = np.arange(cross.shape[-2])
    if per_column(gram, cross):
        others = gram / curvature[:, None]
        others[k, k] = -dead.astype(gram.dtype)
    else:
        others = gram / curvature
        others[..., k, k] = -dead[..., 0].astype(gram.dtype)
    if dead.any():
        target[dead & (cross < 0)] = -np.inf
    return others, target


def _update_rows(F: np.ndarray, others: np.ndarray, target: np.ndarray, times: int = 1) -> None:
    """The innermost loop of NMF: three passes a row and no array that is made anew."""
    product = _columnwise_dot if per_column(others, F) else np.dot if F.ndim == 2 else np.vecmat
    row = np.empty_like(F[..., 0, :])
    zeros = np.zeros_like(row)  # a row against a row is faster than against the number 0
    rows_first = (array.swapaxes(0, F.ndim - 2) for array in (others, target, F))
    rows = list(zip(*rows_first, strict=True))
    for _ in range(times):
        for weights, wanted, own in rows:
            product(weights, F, out=row)
            np.subtract(wanted, row, out=row)
            np.maximum(row, zeros, out=own)


_columnwise_dot = partial(np.einsum, "jn,jn->n")


def n_sweeps(length: int, m: int) -> int:
    """How many sweeps go with a product of m parts and data over so many features (or samples).

    The product costs length/m times a sweep, so that one more pays until what is left to gain has
    fallen to about m/length.
    """
    return max(SWEEPS, 1 + int(math.log(max(length / m, 1), 1 / LEFT)))


def nnls_sweeps(
    F: np.ndarray, gram: np.ndarray, cross: np.ndarray, times: int = SWEEPS + 1
) -> np.ndarray:
    """The half step of accelerated HALS: a few times :func:`nnls_sweep`, on a copy.

    Gillis and Glineur stop when a sweep moves little against the first. A number that is known
    beforehand is as good, and what happens to one column does not depend on the others. Numbers
    below the smallest normal one become 0: they slow the processor down.

    References
    ----------
    Gillis, Glineur (2012), "Accelerated multiplicative updates and hierarchical ALS algorithms for
    nonnegative matrix factorization", section 4.
    """
    result = F.copy()
    for columns in blocks(F.shape[-1], block_width(F)):
        block = np.s_[..., columns]
        updates = _updates(gram[block] if per_column(gram, F) else gram, cross[block])
        # A block in one piece stays in the cache.
        rows = np.ascontiguousarray(result[block])
        _update_rows(rows, *updates, times)
        result[block] = rows
    result += smallest(F.dtype)
    result -= smallest(F.dtype)
    return result


def exact_nnls(
    D,
    components: np.ndarray,
    *,
    l1: float = 0.0,
    l2: float = 0.0,
    weights: np.ndarray | None = None,
    allowed: np.ndarray | None = None,
    guess: np.ndarray | None = None,
) -> np.ndarray:
    r"""Solve :math:`\min_{H \ge 0} \sum_{ip} w_{ip} (D - H X^T)_{ip}^2 + 2 l_1 \|H\|_1
    + l_2 \|H\|_F^2` exactly, sample by sample.

    It is an active-set method: pivoting by blocks of rows, and where that does not end or the parts
    are nearly dependent, that of Lawson and Hanson (1974).

    Parameters
    ----------
    D, components, weights
    l1, l2 : float ≥ 0
        Penalties of the codes.
    allowed : None or ndarray (n, m) of bool
        Which codes may differ from 0; None allows all.
    guess : None or ndarray (n, m)
        Codes that are nearly right: the solution does not depend on them, its cost does.

    References
    ----------
    Kim, Park (2011), "Fast nonnegative matrix factorization: an active-set-like method and
    comparisons", section 3, for the pivoting.

    Examples
    --------
    >>> exact_nnls(np.array([[2.0, -1.0]]), np.eye(2))
    array([[2., 0.]])
    >>> exact_nnls(np.array([[2.0, -1.0]]), np.eye(2), l1=0.5).round(9)
    array([[1.5, 0. ]])
    """
    D = D.tocsr() if sp.issparse(D) else D
    P = components.astype(np.float64)
    well_posed = weights is None and allowed is None and _independent(P)
    H = np.empty((D.shape[0], len(P)), components.dtype)
    for rows in blocks(len(H), max(min(ROWS, ENTRIES // len(P) ** 2), 1)):
        left = np.arange(len(H))[rows]
        if well_posed:
            near = None if guess is None else guess[rows].T.astype(np.float64)
            # A product of two precisions takes a slow way.
            system = normal_equations(D[rows].astype(np.float64, copy=False), P)
            F, solved = _by_pivoting(*with_penalty(*system, l1, l2), near)
            H[rows], left = F.T, left[~solved]
        some = None if weights is None else weights[left]
        problems = _least_squares(D[left], P, l2, some) if len(left) else ()
        for i, (A, target) in zip(left, problems, strict=True):
            A = A if allowed is None else A * allowed[i]  # a part of zeros is never used
            H[i] = _nnls(A, target, l1)
    return H


def _independent(P: np.ndarray) -> bool:
    """Whether the parts that are not zero are far from linear dependence, whatever their norms."""
    norms = np.linalg.norm(P, axis=1, keepdims=True)
    directions = P[norms[:, 0] > 0] / norms[norms[:, 0] > 0]
    spectrum = np.linalg.eigvalsh(directions @ directions.T)
    return not len(spectrum) or spectrum[-1] < WELL_POSED * spectrum[0]


def _by_pivoting(
    gram: np.ndarray, cross: np.ndarray, guess: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Least F ≥ 0 of the quadratic, rows with G_kk = 0 left at 0, and which columns were found.

    Guess each column's support by a few sweeps, solve the equations on it, exchange every row with
    a wrong sign, and repeat: from a good guess most are right at once.
    """
    F = np.zeros_like(cross) if guess is None else guess
    for _ in range(GUESSES if guess is None else 1):
        F = nnls_sweeps(F, gram, cross)
    used = gram.diagonal() > 0
    support = (F > 0) & used[:, None]
    scale = np.sqrt(np.where(used, gram.diagonal(), 1))[:, None]
    gram, cross = gram / (scale * scale.T), cross / scale
    rounding = ROUNDING * np.abs(cross).max(axis=0)
    solve = partial(_on_supports, gram)
    if used.all() and 2 * np.count_nonzero(support) > support.size:
        inverse = np.linalg.inv(gram)
        if np.linalg.norm(gram, 1) * np.linalg.norm(inverse, 1) < BENIGN:
            solve = partial(_off_supports, inverse)
    left = np.arange(F.shape[1])
    for _ in range(PIVOTS):
        active, target = support[:, left], cross[:, left]
        tried = solve(active, target)
        wrong = np.where(active, tried < 0, gram @ tried - target < -rounding[left])
        right = ~wrong.any(axis=0)
        F[:, left[right]] = tried[:, right] / scale
        support[:, left[~right]] ^= wrong[:, ~right]
        left = left[~right]
        if not len(left):
            break
    return F, ~np.isin(np.arange(F.shape[1]), left)


def _on_supports(gram: np.ndarray, support: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """The solution of G F = C on each column's support, 0 elsewhere."""
    F = np.zeros_like(cross)
    sizes = np.count_nonzero(support, axis=0)
    for size in np.unique(sizes[sizes > 0]):  # columns with as many active rows together
        columns = np.flatnonzero(sizes == size)
        rows = np.nonzero(support[:, columns].T)[1].reshape(-1, size)
        systems = gram.take(len(gram) * rows[:, :, None] + rows[:, None, :])
        targets = cross[rows, columns[:, None]]
        F[rows, columns[:, None]] = np.linalg.solve(systems, targets[..., None])[..., 0]
    return F


def _off_supports(inverse: np.ndarray, support: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """The same from the inverse of G: the multipliers that hold the other rows at 0 solve its
    equations, fewer where most rows are active, and less exactly where G is nearly singular."""
    free = inverse @ cross
    multipliers = _on_supports(inverse, ~support, free)
    return np.where(support, free - inverse @ multipliers, 0)


def exact_simplex(
    D, components: np.ndarray, *, l2: float = 0.0, weights: np.ndarray | None = None
) -> np.ndarray:
    r"""Solve :math:`\min_H \sum_{ip} w_{ip} (D - H X^T)_{ip}^2 + l_2 \|H\|_F^2` exactly, sample by
    sample, over nonnegative codes that sum to 1.

    With A h the reconstruction of a target t, :math:`A h - t = (A - t 1^T) h` on the simplex.
    The solution of :math:`\min_{u \ge 0} \|(A - t 1^T) u\|^2 + (1^T u - 1)^2` is a multiple of the
    h wanted: for u = s h and the best s the value rises with the error of h.

    Examples
    --------
    >>> exact_simplex(np.array([[3.0, 1.0]]), np.array([[0.0, 0.0], [4.0, 0.0]]))
    array([[0.25, 0.75]])
    """
    codes = []
    for A, target in _least_squares(D, components, l2, weights):
        errors = A - target[:, None]
        errors /= np.linalg.norm(errors) or 1
        multiple = nnls(np.vstack([errors, np.ones(len(components))]), np.eye(len(A) + 1)[-1])[0]
        codes.append(multiple / multiple.sum())
    return np.array(codes).astype(components.dtype)


def _least_squares(
    D, components: np.ndarray, l2: float, weights: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each sample an A and a t with ‖t − A h‖² its squared error plus l2‖h‖² (and const.)."""
    X = components.T.astype(np.float64)
    d, m = X.shape
    # l2‖h‖² is the squared error of m more features that want to be 0.
    ridge = math.sqrt(l2) * np.eye(m if l2 else 0, m)
    if weights is None:
        # ‖d − Xh‖² = ‖Qᵀd − Rh‖² + const for X = QR: each sample then costs m² instead of m·d.
        Q, R = np.linalg.qr(np.vstack([X, ridge]))
        targets = D @ Q[:d] if sp.issparse(D) else np.asarray(D, np.float64) @ Q[:d]
        for target in targets:
            yield R, target
    else:
        for i, root in enumerate(np.sqrt(weights, dtype=np.float64)):
            sample = D[[i]].toarray()[0] if sp.issparse(D) else D[i]
            target = np.append(root * sample, np.zeros(len(ridge)))
            yield np.vstack([root[:, None] * X, ridge]), target


def _nnls(A: np.ndarray, target: np.ndarray, l1: float) -> np.ndarray:
    """Minimise ‖target − A h‖² + 2 l1 1ᵀh over h ≥ 0."""
    if l1 and target.any():
        # One more feature that wants to be −1/ε, at ε·l1 in every part, adds 2 l1·1ᵀh and the
        # square (ε·l1·1ᵀh)². A solution has 2 l1·1ᵀh ≤ ‖target‖², so that with this ε the square
        # is at most 1e-10 ‖target‖², whatever the scales and the rank of A.
        epsilon = 2e-5 / np.linalg.norm(target)
        A = np.vstack([A, np.full(A.shape[1], epsilon * l1)])
        target = np.append(target, -1 / epsilon)
    return nnls(A, target)[0]


def project_simplex(F: np.ndarray) -> np.ndarray:
    """Nearest F with columns that are ≥ 0 and sum to 1: each loses one number, max(f − θ, 0).

    References
    ----------
    Duchi, Shalev-Shwartz, Singer, Chandra (2008), "Efficient projections onto the ℓ1-ball for
    learning in high dimensions", figure 1.

    Examples
    --------
    >>> project_simplex(np.array([[2.0, 0.25], [0.5, 0.25]]))
    array([[1. , 0.5],
           [0. , 0.5]])
    """
    shifted = F - F.max(axis=0)  # the same projection, without the cancellation of large numbers
    ordered = np.sort(shifted, axis=0)[::-1]
    counts = np.arange(1, len(F) + 1, dtype=F.dtype)[:, None]
    thresholds = (ordered.cumsum(axis=0) - 1) / counts
    last = np.count_nonzero(ordered > thresholds, axis=0) - 1
    return np.maximum(shifted - thresholds[last, np.arange(F.shape[1])], 0)


def linear_encoder(D: np.ndarray, bias: bool):
    """The function that takes codes F to the U (m, d) and b (m,) or None that come nearest to them.

    They minimise ‖F − (U Dᵀ + b)‖² + ε‖(U, b)‖², with ε a millionth of the mean eigenvalue of the
    Gram matrix: enough for data of any rank, too little to matter else.
    """
    inputs = np.column_stack([D, np.ones(len(D))]) if bias else D
    inputs = inputs.astype(np.float64)
    n, d = inputs.shape
    # Both forms are one ridge regression; the Gram matrix of the shorter side is cheaper.
    gram = inputs.T @ inputs if d <= n else inputs @ inputs.T
    gram[np.diag_indices_from(gram)] += 1e-6 * max(gram.trace() / len(gram), 1e-300)
    inverse = np.linalg.inv(gram)
    solution = inverse @ inputs.T if d <= n else inputs.T @ inverse

    def fit(F: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        weights = (solution @ F.T).T.astype(D.dtype)
        return (weights[:, :-1], weights[:, -1]) if bias else (weights, None)

    return fit


def squared_error(D: np.ndarray, D_hat: np.ndarray) -> float:
    """‖D − D̂‖²_F in double precision."""
    residual = np.subtract(D, D_hat, dtype=np.float64)
    return float(np.vdot(residual, residual))


def gram_loss(norm: float, gram: np.ndarray, cross: np.ndarray, P: np.ndarray) -> float:
    """‖D − FᵀP‖²_F from ‖D‖_F, F Fᵀ and F D alone: exact to about 1e-16 ‖D‖², and never below 0."""
    return max(float(norm**2 - 2 * np.vdot(P, cross) + np.vdot(gram, P @ P.T)), 0.0)


def factorization_loss(
    D: Any, H: np.ndarray, components: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """‖D − H Xᵀ‖²_F, each squared error times its weight; a sparse D is never made dense."""
    if sp.issparse(D):
        return gram_loss(data_norm(D), H.T @ H, (D.T @ H).T, components)
    return sum(
        squared_error(D[rows], H[rows] @ components)
        if weights is None
        else float(np.sum(weights[rows] * (D[rows] - H[rows] @ components) ** 2))
        for rows in pieces(D)
    )


def equations_by_block(
    D: Any, P: np.ndarray, weights: np.ndarray | None, columnwise: bool
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """The :func:`normal_equations` of a few samples' codes at a time, if they can be treated apart,
    so that they stay in the cache."""
    size = D.shape[0]
    if columnwise and not sp.issparse(D):
        size = block_width(P) if weights is None else max(ENTRIES // len(P) ** 2, 1)
    for block in blocks(D.shape[0], size):
        samples = D if sp.issparse(D) else D[block]
        some = None if weights is None else weights[block]
        yield block, *normal_equations(samples, P, some)


def data_norm(D: Any, weights: np.ndarray | None = None) -> float:
    """‖D‖_F, or √Σ weights ∘ D², summed in double precision; sparse D allowed."""
    if sp.issparse(D):
        D = D.data[:, None]
    energy = 0.0
    for rows in pieces(D):
        exact = D[rows].astype(np.float64, copy=False)
        energy += np.vdot(exact if weights is None else weights[rows] * exact, exact)
    return math.sqrt(energy)
