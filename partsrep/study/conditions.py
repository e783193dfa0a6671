"""The conditions, computed from NMF alone: can one layer give its codes, and what does it cost?"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import null_space
from scipy.optimize import linprog, minimize, nnls
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from .. import estimators
from ..arguments import check_integer, check_number
from ..leastsquares import BLOCK, exact_nnls, linear_encoder, squared_error
from ..solvers.blocked import (
    Blocked,
    added,
    blocked,
    checked,
    data_norm,
    is_blocked,
    widened_rows,
)
from ..validation import check_matrix
from .enclosure import loss_lower_bound, nearest_units
from .first_order import FirstOrder, first_order
from .matching import nonnegative_parts, unit_rows
from .places import certified_mcc
from .report import Report, amount

EPS = float(np.finfo(float).eps)
ROUNDING = 1e-13  # of the largest singular value: a direction that is smaller is rounding
ZERO = 1e-8  # a margin up to this is 0, where the largest entry of each feature is 1
INACTIVE = 1e-9  # of a part's largest code
SMALL = 1e-5  # a margin whose square, by which rows are divided, drowns in rounding


@dataclass(frozen=True, eq=False)
class Encodability:
    """Whether one layer can compute all codes of some patterns: the result of :func:`encodability`.

    Attributes
    ----------
    margin : ndarray (m,)
        Distance of x_j/‖x_j‖ from what must not reach it, between 0 and 1; infinite for a part
        that is in no pattern, whose unit can always be silent.
    encodable : ndarray (m,) of bool
        margin > tol.
    encoder : ndarray (m, d)
        The shortest row u_j with u_j·x_j = 1, u_j·x_k = 0 for the parts that occur together with j
        and ≤ 0 for the others; NaN where there is none.
    together : ndarray (m, m) of bool
        Which parts occur together in some pattern.
    """

    margin: np.ndarray
    encodable: np.ndarray
    encoder: np.ndarray
    together: np.ndarray

    @property
    def amplification(self) -> np.ndarray:
        """1/margin: the norm of the row of a part of norm 1, by which noise is amplified."""
        with np.errstate(divide="ignore"):
            return 1 / self.margin

    def table(self) -> pd.DataFrame:
        """One row a part."""
        columns = {
            "margin": self.margin,
            "encodable": self.encodable,
            "noise amplification": self.amplification,
            "occurs together with": self.together.sum(axis=1),
        }
        return pd.DataFrame(columns).rename_axis("part")

    def __repr__(self) -> str:
        return (
            f"Encodability: {self.encodable.sum()} of {len(self.margin)} parts, "
            f"least margin {amount(self.margin.min())}"
        )


def encodability(X: Any, patterns: Any, *, tol: float = 0.0) -> Encodability:
    r"""Ask for each part whether one ReLU layer can compute its code, whatever the amplitudes.

    With N(j) the parts that occur together with j in some pattern, a row :math:`u_j` gives the
    codes of part j for all amplitudes iff :math:`u_j^\top x_j = 1`, :math:`u_j^\top x_k = 0` on
    N(j) and :math:`u_j^\top x_k \le 0` on the other parts (claim T4). There is one iff

    .. math:: x_j \notin \mathrm{span}\{x_k : k \in N(j)\}
        + \mathrm{cone}\{x_k : k \notin N(j), k \ne j\} .

    The margin is the distance of :math:`x_j/\|x_j\|` from that set, a least-squares problem with
    free and nonnegative variables, and the residual is the row up to its length. An encoder bias
    does not help. Where amplitudes fill only a part of the orthant, the condition is sufficient:
    :func:`encodability_on` asks the data.

    1/margin is the norm of the shortest row for a part of norm 1, so that noise of standard
    deviation s in the data is noise of s/margin in the code. A margin does not test a fitted NMF:
    from noisy data about half of the codes that should be zero come out positive (claim T7), and
    ``H > 0`` has all pairs together. Whether one layer is good enough on given data,
    :func:`certificate` tells, also from NMF alone: its `upper` against `nmf.loss_`.

    Parameters
    ----------
    X : array-like (d, m)
        Parts as columns; for a fitted model ``components_.T``.
    patterns : array-like (p, m)
        Sets of parts that are active together, as booleans; or codes, whose positive entries count.
    tol : float ≥ 0
        A margin up to this does not count as encodable.

    Notes
    -----
    Whether a margin is 0 is decided where the largest entry of each feature is 1, so that it does
    not depend on the units of features: 0 is what is at most 1e-8 there. Parts nearer than 1e-13 to
    the span of others count as in it, and up to 1e-8 or so the error of a margin is about 1e-16
    divided by that distance. For a margin below 1e-5 the row need not be the shortest.

    Raises
    ------
    ValueError
        If shapes do not fit, or numbers are not finite.

    Examples
    --------
    Three parts in the plane: one at a time they can be told apart, all pairs cannot.

    >>> X = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    >>> encodability(X, np.eye(3)).margin.round(3)
    array([0.707, 0.707, 0.   ])
    >>> encodability(X, 1 - np.eye(3)).encodable
    array([False, False, False])
    """
    X = check_matrix(X, "X", np.float64)
    active = check_matrix(patterns, "patterns", np.float64) > 0
    check_number("tol", tol)
    m = X.shape[1]
    if active.shape[1] != m:
        raise ValueError(
            f"patterns has {active.shape[1]} columns, but X has {m} parts: X is (d, m), for a "
            "fitted model components_.T."
        )
    occurs = active.any(axis=0)
    together = (active.T.astype(float) @ active) > 0
    np.fill_diagonal(together, False)
    margin, encoder = _shortest_rows(X, occurs, together)
    # Units of features change rows, and lengths, but not whether there is a row.
    units = _peaks(X.T)
    balanced, rows = _shortest_rows(X / units[:, None], occurs, together)
    margin[balanced <= ZERO] = 0
    # The other row is not the shortest, but it loses no digits to units that are far apart.
    small = (margin <= SMALL) & (balanced > ZERO)
    encoder[small] = rows[small] / units
    shown = 1 / (_norms(encoder[small]) * _norms(X.T[small]))
    margin[small] = np.maximum(margin[small], shown)
    encodable = margin > tol
    encoder[~encodable] = np.nan
    return Encodability(margin, encodable, encoder, together)


def _shortest_rows(
    X: np.ndarray, occurs: np.ndarray, together: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Margins (m,) and rows (m, d): silent for a part that does not occur, NaN where none is."""
    m = X.shape[1]
    # In coordinates of the parts' span each problem is at most m × m.
    Q, R = np.linalg.qr(unit_rows(X.T).T)
    norms = _norms(X.T)
    margin, encoder = np.full(m, np.inf), np.zeros(X.T.shape)
    for j in np.flatnonzero(occurs):
        others = occurs & ~together[j] & (np.arange(m) != j)
        residual = _residual(R[:, j], R[:, together[j]], R[:, others])
        margin[j] = np.linalg.norm(residual)
        with np.errstate(divide="ignore", invalid="ignore"):
            encoder[j] = Q @ (residual / margin[j] ** 2) / norms[j]
    return margin, encoder


def _norms(A: np.ndarray) -> np.ndarray:
    """Norms of rows, where squares would overflow too."""
    return np.linalg.norm(A / _peaks(A.T)[:, None], axis=1) * _peaks(A.T)


def _peaks(A: np.ndarray) -> np.ndarray:
    """The largest entry of each column; 1 for a column of zeros."""
    peaks = np.abs(A).max(axis=0, initial=0)
    return np.where(peaks > 0, peaks, 1)


def _residual(target: np.ndarray, span: np.ndarray, cone: np.ndarray) -> np.ndarray:
    """The target minus its nearest point in span + cone."""
    P, size, _ = np.linalg.svd(span, full_matrices=False)
    P = P[:, size > ROUNDING * size.max(initial=0)]
    target, cone = target - P @ (P.T @ target), cone - P @ (P.T @ cone)
    # What is left of a part within the span is rounding, and no direction.
    cone = unit_rows(cone.T[np.linalg.norm(cone, axis=0) > ROUNDING]).T
    return target - cone @ nnls(cone, target)[0] if cone.shape[1] else target


@dataclass(frozen=True, eq=False)
class DataEncodability:
    """What one layer can do on given data: the result of :func:`encodability_on`.

    Attributes
    ----------
    codes : ndarray (m,) of bool
        Whether unit j can give the codes H_j on these samples.
    error : ndarray (m,)
        The largest error of the best unit that was found, relative to the largest code of the part.
    encoder, bias : ndarray (m, d), (m,)
        The best units; the bias is 0 unless there may be one.
    reconstruction : True, False or None
        Whether some layer gives codes, these or others, that reconstruct the data. True comes with
        the `witness`, False with a reason why there is none, None with neither.
    witness : (U, b) or None
    reason : str
    """

    codes: np.ndarray
    error: np.ndarray
    encoder: np.ndarray
    bias: np.ndarray
    reconstruction: bool | None
    witness: tuple[np.ndarray, np.ndarray] | None
    reason: str

    def __repr__(self) -> str:
        return (
            f"DataEncodability: {self.codes.sum()} of {len(self.codes)} units, "
            f"reconstruction {self.reconstruction}: {self.reason}"
        )


def encodability_on(
    D: Any, X: Any, H: Any = None, *, bias: bool = False, tol: float = 1e-5
) -> DataEncodability:
    r"""Ask whether one ReLU layer can compute codes on given samples, or reconstruct these.

    *Codes*: is there for each part a row with :math:`u_j^\top d_i + b_j = H_{ij}` where that is
    positive and ≤ 0 elsewhere? *Reconstruction*: is there a U with
    :math:`X\,\mathrm{ReLU}(U d_i + b) = d_i` for all i? The second is weaker where codes are not
    unique. It is answered True with a layer: for the given codes, or for those of fewer parts
    that are linearly independent and still enough. It is answered False if samples are not in the
    cone of the parts, or if no unit gives the codes that are unique, by linear programs. All this
    is decided in floats, up to `tol`; a proof in exact arithmetic is :func:`certificate`'s.

    Parameters
    ----------
    D : array-like (n, d)
    X : array-like (d, m)
        Parts as columns, ≥ 0 or not.
    H : array-like (n, m) or None
        The codes; None: exact nonnegative least squares.
    bias : bool
        Whether the layer may have an encoder bias.
    tol : float ≥ 0
        An error up to this counts as 0: of a code relative to the largest code of its part, of a
        reconstruction relative to the largest entry of its feature, and, measured along each part,
        relative to the largest code of that. So neither the units of features nor the sizes of
        parts matter. Below 1e-9 it is that.

    Examples
    --------
    The third part is the sum of the others: its codes cannot be computed, but it is not needed.

    >>> X = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    >>> H = np.random.RandomState(0).exponential(size=(20, 3)) * np.tile(1 - np.eye(3), (7, 1))[:20]
    >>> answer = encodability_on(H @ X.T, X, H)
    >>> answer.codes, answer.reconstruction
    (array([False, False, False]), True)
    """
    D = check_matrix(D, "D", np.float64)
    X = check_matrix(X, "X", np.float64)
    if D.shape[1] != len(X):
        raise ValueError(f"D has {D.shape[1]} features, but X, (d, m), has {len(X)} rows.")
    if H is not None:
        H = check_matrix(H, "H", np.float64)
        if H.shape != (len(D), X.shape[1]):
            raise ValueError(f"H has shape {H.shape}, but D and X ask for {(len(D), X.shape[1])}.")
    check_number("tol", tol)
    tol = max(tol, INACTIVE)
    # In units in which the largest entry of each feature, and of each part, is 1.
    units = np.where(D.any(axis=0), _peaks(D), _peaks(X.T))
    D, X = D / units, X / units[:, None]
    sizes = _peaks(X)
    X = X / sizes
    best = exact_nnls(D, X.T)
    # Along a part, rounding of the data may be more than the part itself.
    along = tol * best.max(axis=0) + ROUNDING * np.abs(X).sum(axis=0) / np.sum(X**2, axis=0)

    def reconstructed(D_hat: np.ndarray) -> bool:
        E = D - D_hat
        coefficients = E @ X / np.sum(X**2, axis=0)
        used = best.any(axis=0)
        return bool((np.abs(E) <= tol).all() and (np.abs(coefficients) <= along)[:, used].all())

    in_the_cone = reconstructed(best @ X.T)
    if H is not None:
        H = H * sizes
    elif in_the_cone:
        H = best
    else:  # which codes are nearest depends on the units
        H = exact_nnls(D * units, (X * units[:, None]).T)
    U, b, error = _units(D, H, bias, tol)
    codes = error <= tol

    def reconstructs(U: np.ndarray, b: np.ndarray) -> bool:
        return reconstructed(np.maximum(D @ U.T + b, 0) @ X.T)

    def in_own_units(U: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return U / units / sizes[:, None], b / sizes

    def answer(reconstruction, witness, reason) -> DataEncodability:
        witness = witness and in_own_units(*witness)
        return DataEncodability(codes, error, *in_own_units(U, b), reconstruction, witness, reason)

    if not in_the_cone:
        return answer(False, None, "some samples are not in the cone of the parts")
    if codes.all() and reconstructs(U, b):
        return answer(True, (U, b), "the units for the given codes do it")
    enough = _independent_and_enough(D, X, reconstructed)
    if enough is not None:
        fewer = np.zeros_like(U)
        fewer[enough] = np.linalg.pinv(X[:, enough])
        if reconstructs(fewer, 0 * b):
            reason = f"{len(enough)} parts that are linearly independent are enough"
            return answer(True, (fewer, 0 * b), reason)
    unique = _unique_codes(X, best)
    if unique.any():
        *_, missed = _units(D[unique], best[unique], bias, tol, _peaks(best))
        missed = np.flatnonzero(missed > tol)
        if len(missed):
            reason = (
                f"no unit gives the codes of part {missed[0]}, on {unique.sum()} samples with "
                "unique codes"
            )
            return answer(False, None, reason)
    return answer(None, None, "no layer was found, and no proof that there is none")


def _units(
    D: np.ndarray, H: np.ndarray, bias: bool, tol: float, sizes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (m, d) and biases (m,) of the units that come nearest to codes, and their errors (m,)
    relative to sizes, by default the largest codes."""
    P, size, V = np.linalg.svd(D, full_matrices=False)
    # With weights so large that a direction shows, rounding would show as much.
    real = size > 10 * EPS / tol * size[0]
    back = V[real] / size[real, None] * len(D) ** 0.5
    units = list(nearest_units(P[:, real] * len(D) ** 0.5, H, H, bias))
    U, b = np.array([unit.u for unit in units]) @ back, np.array([unit.b for unit in units])
    error = np.abs(np.maximum(D @ U.T + b, 0) - H).max(axis=0)
    return U, b, error / (_peaks(H) if sizes is None else sizes)


def _independent_and_enough(
    D: np.ndarray, X: np.ndarray, reconstructed: Callable[[np.ndarray], bool]
) -> np.ndarray | None:
    """Parts, dropped one by one from the rest, in whose cone all samples still are."""
    left = list(range(X.shape[1]))
    for j in range(X.shape[1]):
        if np.linalg.matrix_rank(X[:, left]) == len(left):
            return np.array(left)
        fewer = [k for k in left if k != j]
        if reconstructed(exact_nnls(D, X[:, fewer].T) @ X[:, fewer].T):
            left = fewer
    return np.array(left) if np.linalg.matrix_rank(X[:, left]) == len(left) else None


def _unique_codes(X: np.ndarray, H: np.ndarray) -> np.ndarray:
    """Which samples have no other codes h ≥ 0 with the same X h.

    Others would differ by a v ≠ 0 with X v = 0 that is ≥ 0 off the support.
    """
    null = null_space(X)
    if not null.shape[1]:
        return np.ones(len(H), bool)
    # Of the largest code of all, so little is rounding even in a part that is never larger.
    inactive = np.maximum(INACTIVE * H.max(axis=0), 100 * EPS * H.max())
    supports, which = np.unique(inactive < H, axis=0, return_inverse=True)
    unique = []
    for support in supports:
        off = null[~support]
        # A v that is zero off the support, else one that is not: off·w within [0, 1], Σ largest.
        fixed = np.linalg.matrix_rank(off, tol=INACTIVE) == null.shape[1] if len(off) else False
        if fixed:
            domain = [(None, None)] * null.shape[1]
            limits = np.concatenate([np.zeros(len(off)), np.ones(len(off))])
            found = linprog(-off.sum(axis=0), np.vstack([-off, off]), limits, bounds=domain)
            fixed = -found.fun <= INACTIVE
        unique.append(fixed)
    return np.array(unique)[which.ravel()]


@dataclass(frozen=True)
class NoiseLaw:
    r"""What noise costs one layer, to first order: the result of :func:`noise_law`.

    Attributes
    ----------
    negative_mass : float
        :math:`E\|Z_-\|^2 / (n s^2)` of the least-squares codes Z.
    gap : float
        An upper bound of the excess loss (S − N)/(n s²).
    relative_gap : float
        The same of (S − N)/N: it does not depend on the noise.
    amplification : float
        ‖ReLU(Z) − H‖ ≤ amplification · ‖E‖.
    methods : FirstOrder or None
        Where data were given, NMF and the autoencoder themselves, which choose their parts: see
        :func:`partsrep.study.first_order.first_order`.
    """

    negative_mass: float
    gap: float
    relative_gap: float
    amplification: float
    methods: FirstOrder | None = field(default=None, repr=False)


def noise_law(X: Any, activity: Any, D: Any = None) -> NoiseLaw:
    r"""What noise costs one layer to first order: at given parts (T7), or with its own (T17).

    For :math:`D = H X^\top + E`, E Gaussian and independent of variance s², small s and many
    samples, the encoder :math:`X^+` has
    :math:`E\|Z_-\|^2 = n \tfrac{s^2}{2} \sum_j (1-\rho_j) (G^{-1})_{jj}`, with :math:`\rho_j` the
    share of samples in which part j is active. The excess loss is at most
    :math:`(\lambda_{\max} - \lambda_{\min})\|Z_-\|^2` with the eigenvalues of G, and NMF's own loss
    at least :math:`n s^2 (d - m)`. Noise that is clipped at 0 behaves differently.

    With data, `methods` has the losses of NMF and of the autoencoder themselves, the gap between
    them and how far their parts move, for these data, whatever the noise is, to first order. From
    an NMF: its parts and codes, with zeros where noise alone can have made them positive. The claim
    is about rigid factors, and `methods.rigid` says whether these are: True, or None if that is not
    known, and then the numbers are no law.

    Parameters
    ----------
    X : array-like (d, m)
        Parts as columns, linearly independent.
    activity : float or array-like (m,), or (n, m) with data
        The ρ, or the codes themselves.
    D : array-like (n, d) or None
        Data near the product of these codes and parts.

    Raises
    ------
    ValueError
        If the parts are linearly dependent, or rates are not between 0 and 1.

    Examples
    --------
    Orthogonal parts lose nothing:

    >>> noise_law(np.eye(4)[:, :2], 0.5)
    NoiseLaw(negative_mass=0.5, gap=0.0, relative_gap=0.0, amplification=1.0)
    """
    X = check_matrix(X, "X", np.float64)
    d, m = X.shape
    if D is not None:
        H = check_matrix(activity, "activity", np.float64, ensure_non_negative=True)
        D = check_matrix(D, "D", np.float64)
        if H.shape != (len(D), m) or D.shape[1] != d:
            raise ValueError(
                f"X, the codes and D do not fit: {X.shape}, {H.shape} and {D.shape}, but they must "
                "be (d, m), (n, m) and (n, d)."
            )
        if not H.any(axis=0).all():
            raise ValueError("The law is for parts that some sample uses: drop the others.")
        activity = (H > 0).mean(axis=0)
    if np.shape(activity) not in ((), (m,)):
        raise ValueError(
            f"activity has shape {np.shape(activity)}, but it must be one number, or ({m},) with a "
            "rate for each part; codes (n, m) are taken with data: noise_law(X, codes, D)."
        )
    rates = np.broadcast_to(np.asarray(activity, float), (m,))
    if not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError(f"activity must be between 0 and 1; got {activity!r}.")
    if np.linalg.matrix_rank(X) < m:
        raise ValueError("The law is for linearly independent parts, and these are dependent.")
    methods = None if D is None else first_order(H, X, D)
    gram = X.T @ X
    values = np.linalg.eigvalsh(gram)
    mass = float((1 - rates) @ np.linalg.inv(gram).diagonal() / 2)
    gap = float(values[-1] - values[0]) * mass
    relative = gap / (d - m) if d > m else np.inf
    return NoiseLaw(mass, gap, relative, float(values[0] ** -0.5), methods)


@dataclass(frozen=True, eq=False, repr=False)
class Certificate(Report):
    """How far the best autoencoder can be from an NMF: the result of :func:`certificate`.

    Attributes
    ----------
    lower, upper : float
        S* − L(nmf) lies between them.
    mcc : float or None
        The parts of every NMF and every autoencoder whose loss is at most L(nmf) + upper, those of
        least loss among them, match the given ones with at least this MCC; None where nothing is
        proved.
    sae : SAE
        Whose loss is at most L(nmf) + upper.
    terms : dict of float
        The losses behind the bounds: "nmf" is L(nmf); "svd" and "floor" are below S*, the second
        0 if nothing was proved; the others are those of autoencoders.
    reason : str
        What the proof says, or why there is none.
    """

    lower: float
    upper: float
    mcc: float | None
    sae: estimators.SAE
    terms: dict[str, float]
    reason: str

    @property
    def strict(self) -> bool:
        """lower > 0: there is a proof, checked in exact arithmetic, that every such autoencoder
        stays above L(nmf)."""
        return self.lower > 0

    def table(self) -> pd.DataFrame:
        """The terms, as losses and relative to L(nmf)."""
        table = pd.DataFrame({"loss": self.terms})
        table["loss − L(nmf)"] = table["loss"] - self.terms["nmf"]
        return table

    @property
    def _headline(self) -> str:
        strict = "strict" if self.strict else "not strict"
        parts = "no bound of the MCC" if self.mcc is None else f"MCC ≥ {self.mcc:.4f}"
        bounds = f"{amount(self.lower)} ≤ S* − L(nmf) ≤ {amount(self.upper)}"
        return f"{bounds}, {parts}, {strict}: {self.reason}"


def certificate(nmf: Any, D: Any, *, max_epochs: int = 300) -> Certificate:
    r"""Bound from NMF alone how much more the best autoencoder with as many parts must lose.

    S* is the least loss of all ReLU autoencoders with m units, nonnegative decoder and linear
    output, with or without an encoder bias (claims T1, T7).

    Above: on NMF's own parts a few encoders are tried, the best one is fitted by L-BFGS, and then
    all weights are, of which the best iterate is kept. Below: the singular values,
    :math:`\mathrm{SVD}_m \le S^*`, and the proof of
    :func:`partsrep.study.enclosure.loss_lower_bound`, which can succeed where NMF is exact or
    nearly so.

    And where the parts of all models must be that are not above that upper bound,
    :func:`partsrep.study.places.certified_mcc` says (claim T18): on nearly exact data, or where
    each part has nearly pure samples and nearly private features, and little noise.

    What is proved in which arithmetic: the data are the exact numbers that their floats are, and
    autoencoders compute with real numbers. The proof of `loss_lower_bound` rests on bounds rounded
    outward and on a linear program whose dual solution is checked in whole numbers. Losses and
    singular values are floats, and each bound has its share of their rounding; for the singular
    values that is the usual estimate of the error of a backward stable algorithm.

    Parameters
    ----------
    nmf : fitted NMF, or any model with ``components_`` (m, d) ≥ 0
        L(nmf) is the loss of the codes that exact nonnegative least squares has for them.
    D : array-like, Dask array or shards (n, d) ≥ 0
        Of the latter two the rows stay where they are: there the bounds are the singular values and
        encoders on NMF's own parts, with no proof of strictness and no MCC.
    max_epochs : int
        Most iterations of each of the two fits.

    Raises
    ------
    ValueError
        If data or parts are negative, or numbers of features differ.

    Examples
    --------
    Bars that cross, rows and columns of a 3 × 3 image: NMF is exact, and no autoencoder is.

    >>> from partsrep import NMF, datasets
    >>> D = datasets.load("bars", size=3, n_samples=100).D
    >>> bars = certificate(NMF(6, n_init=5, random_state=0).fit(D), D)
    >>> bars.strict, bars.lower > 1e-5, bars.sae.loss_ > 1
    (True, True, True)

    Planted parts with a little noise: no optimal model of either method has others.

    >>> blobs = datasets.load("planted", n_parts=3, n_samples=100, noise=0.01)
    >>> certificate(NMF(3, n_init=2, random_state=0).fit(blobs.D), blobs.D).mcc > 0.99
    True
    """
    check_is_fitted(nmf, "components_")
    elsewhere = is_blocked(D)
    if elsewhere:
        D, _ = checked(blocked(D, "D"), None, nonnegative=True, columns=False)
    else:
        D = check_matrix(D, "D", np.float64, ensure_non_negative=True)
    P = nonnegative_parts(nmf, D, "A certificate")
    max_epochs = check_integer("max_epochs", max_epochs)
    if elsewhere:
        return _certificate_by_sums(D, P, max_epochs)
    m = len(P)
    # The second one is more exact where the units of features are far apart.
    units = _peaks(D)
    answers = exact_nnls(D, P), exact_nnls(D / units, P / units)
    loss, H = min(((squared_error(D, H @ P), H) for H in answers), key=lambda answer: answer[0])
    singular = np.linalg.svd(D, compute_uv=False)
    singular = np.maximum(singular - max(D.shape) * EPS * singular[0], 0)
    terms = {"nmf": loss, "svd": float(np.sum(singular[m:] ** 2))}

    encoders = _encoders(D, P, H)
    losses = {name: squared_error(D, np.maximum(D @ U.T, 0) @ P) for name, U in encoders.items()}
    terms |= losses
    U = _best_encoder(D, P, encoders[min(losses, key=losses.get)], max_epochs)
    terms["best encoder"] = squared_error(D, np.maximum(D @ U.T, 0) @ P)
    settings = {"decoder": "nonnegative", "solver": "lbfgs", "max_epochs": max_epochs, "tol": 1e-6}
    with warnings.catch_warnings():  # any autoencoder is an upper bound, near its minimum or not
        warnings.simplefilter("ignore", ConvergenceWarning)
        sae = estimators.SAE(m, start=(U, P.T), **settings).fit(D)
    terms["fine-tuned"] = sae.loss_

    rounded = _rounded(H, P)
    most = _interval(D, loss, rounded)[1]
    bound, reason = 0.0, "no proof is known where an autoencoder is found that is as good"
    if sae.loss_ > loss:
        bound, reason = loss_lower_bound(D, H, P.T, above=most)
    terms["floor"] = bound
    codes, P = np.maximum(D @ sae.encoder_.T, 0), sae.components_
    # What rounding changes in the codes goes through the decoder.
    carried = (D.shape[1] + m) * EPS * data_norm(D @ np.abs(sae.encoder_).T @ P)
    upper = _interval(D, sae.loss_, _rounded(codes, P) + carried)[1]
    upper -= _interval(D, loss, rounded)[0]
    # SVD_m ≤ L(nmf), whatever rounding makes of two losses that are 0.
    return Certificate(
        lower=max(min(terms["svd"] - most, 0.0), bound - most),
        upper=upper,
        mcc=certified_mcc(D, H, nmf.components_.astype(float), most + max(upper, 0)),
        sae=sae,
        terms=terms,
        reason=reason,
    )


def _rounded(H: np.ndarray, P: np.ndarray) -> float:
    """A bound of ‖·‖_F of what rounding changes in a product of nonnegative matrices."""
    terms = (H > 0).astype(float) @ (P > 0)  # of the sum that each entry is
    return EPS * data_norm(terms * (H @ P))


def _interval(D: np.ndarray, loss: float, rounded: float) -> tuple[float, float]:
    """Where a loss ‖E‖² really is, if it was computed from an E with an error up to `rounded`."""
    root, summed = loss**0.5, D.size * EPS
    return max(root * (1 - summed) - rounded, 0) ** 2, (root * (1 + summed) + rounded) ** 2


def _encoders(D: np.ndarray, P: np.ndarray, H: np.ndarray) -> dict[str, np.ndarray]:
    """Encoders (m, d) for parts P and codes H, by name."""
    nearest, _ = linear_encoder(D, bias=False)(H.T)
    encoders = {"least-squares encoder": nearest}
    if np.linalg.matrix_rank(P) == len(P):
        encoders["pinv encoder"] = np.linalg.pinv(P).T
    peaks = H.max(axis=0)
    rows = encodability(P.T, 1e-6 * np.where(peaks > 0, peaks, 1) < H).encoder
    encoders["witness rows"] = np.where(np.isnan(rows), nearest, rows)
    return encoders


def _best_encoder(D: np.ndarray, P: np.ndarray, U: np.ndarray, max_epochs: int) -> np.ndarray:
    """Minimise ‖D − ReLU(DUᵀ)P‖² over U alone by L-BFGS; the best iterate."""
    norm = data_norm(D) ** 2 or 1.0
    if isinstance(D, Blocked):
        value_and_slope = partial(D.total, _slope_of_block, P=P, scale=2 / norm)
    else:
        value_and_slope = partial(_value_and_slope, D, P @ P.T, D @ P.T, 2 / norm)
    best = np.inf, U

    def kept(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best
        tried = flat.reshape(U.shape)
        value, slope = value_and_slope(U=tried)
        value = 1 + value / norm
        if value < best[0]:
            best = value, tried.copy()
        return value, slope.ravel()

    options = {"maxiter": max_epochs, "maxcor": 20, "ftol": 1e-12, "gtol": 1e-12}
    minimize(kept, U.ravel(), jac=True, method="L-BFGS-B", options=options)
    return best[1]


def _value_and_slope(
    D: np.ndarray, gram: np.ndarray, cross: np.ndarray, scale: float, U: np.ndarray
) -> tuple[float, np.ndarray]:
    """‖D − ReLU(DUᵀ)P‖² − ‖D‖², and its slope in U times scale/2, for P Pᵀ and D Pᵀ."""
    H = np.maximum(D @ U.T, 0)
    M = H @ gram - cross
    return float(np.vdot(H, M - cross)), scale * (M * (H > 0)).T @ D


def _slope_of_block(D: np.ndarray, U: np.ndarray, P: np.ndarray, scale: float) -> tuple:
    pieces = (some for _, some, _ in widened_rows(D, None))
    return added([_value_and_slope(some, P @ P.T, some @ P.T, scale, U) for some in pieces])


def _certificate_by_sums(D: Blocked, P: np.ndarray, max_epochs: int) -> Certificate:
    """A certificate from sums over blocks of rows alone.

    The singular values are those of DᵀD: a sum of n products has an error of at most the longest
    chain of additions times EPS, and by Weyl's inequality no eigenvalue moves by more than that.
    """
    m, d = P.shape
    loss, rounded, energy, cross, gram = D.total(_nmf_of_block, P=P)
    chain = BLOCK + max(D.rows) // BLOCK + len(D.rows) + d
    moved = chain * EPS * energy
    largest = np.linalg.eigvalsh(gram)[::-1][:m]
    tail = energy - moved - float(np.sum(np.maximum(largest, 0) + moved))
    terms = {"nmf": loss, "svd": max(tail, 0.0)}
    ridge = 1e-6 * max(gram.trace() / d, 1e-300) * np.eye(d)  # as in `linear_encoder`
    encoders = {"least-squares encoder": np.linalg.solve(gram + ridge, cross.T).T}
    if np.linalg.matrix_rank(P) == m:
        encoders["pinv encoder"] = np.linalg.pinv(P).T
    losses = {name: D.total(_encoded_block, U=U, P=P)[0] for name, U in encoders.items()}
    terms |= losses
    U = _best_encoder(D, P, encoders[min(losses, key=losses.get)], max_epochs)
    sae = estimators.SAE.from_weights(U, P.T)
    sae.loss_, apart, carried = D.total(_encoded_block, U=U, P=P)
    terms["best encoder"] = sae.loss_
    most = _interval(D, loss, rounded**0.5)
    carried = (d + m) * EPS * carried**0.5
    upper = _interval(D, sae.loss_, apart**0.5 + carried)[1] - most[0]
    return Certificate(
        lower=min(terms["svd"] - most[1], 0.0),
        upper=upper,
        mcc=None,
        sae=sae,
        terms=terms,
        reason="a proof needs all rows at once, and these lie in blocks: certify some of them",
    )


def _nmf_of_block(D: np.ndarray, P: np.ndarray) -> tuple:
    """Of a block the loss of the best codes, the square of what rounding changes in it, ‖D‖², HᵀD
    and DᵀD."""
    sums = []
    for _, some, _ in widened_rows(D, None):
        H = exact_nnls(some, P)
        loss, rounded = squared_error(some, H @ P), _rounded(H, P) ** 2
        sums.append((loss, rounded, float(np.vdot(some, some)), H.T @ some, some.T @ some))
    return added(sums)


def _encoded_block(D: np.ndarray, U: np.ndarray, P: np.ndarray) -> tuple:
    """Of a block the loss of an autoencoder and, squared, what rounding changes in its product and
    what carries that of its codes."""
    sums = []
    for _, some, _ in widened_rows(D, None):
        H = np.maximum(some @ U.T, 0)
        carried = data_norm(some @ np.abs(U).T @ P) ** 2
        sums.append((squared_error(some, H @ P), _rounded(H, P) ** 2, carried))
    return added(sums)
