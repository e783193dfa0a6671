"""What the parts may be: the first of the four choices.

Parts are the columns of the decoder X (d, m); arrays hold them as rows, `components` = Xᵀ (m, d),
which solvers call P. With the codes fixed the loss is a quadratic of the parts,
q(P) = tr(Pᵀ G P) − 2⟨C, P⟩ with `gram` G = HᵀH and `cross` C = HᵀD, or one G for each feature
where entries are weighted (:func:`partsrep.leastsquares.normal_equations`).

A set of parts is a frozen dataclass that inherits from :class:`PartSet`. It has to say only what
its nearest member is; a set that ties its parts together also says how q is lowered.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..leastsquares import gram_diagonal, gram_matmul, nnls_sweeps, stationarity
from ..validation import check_matrix

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", np.ndarray, "Tensor")


class PartSet:
    r"""What holds for a set of parts unless it says otherwise.

    Its updates are HALS for any set that constrains each part by itself. With the other parts
    fixed, :math:`q = G_{kk} \|P_k - t_k\|^2` + const for the target
    :math:`t_k = P_k + (C_k - G_k P)/G_{kk}`: the best part is the member nearest to t_k. With a
    Gram matrix for each feature the same with their largest G_kk is an upper bound that touches q
    at P_k, so that q still never rises. A part that no code uses is left as it is.

    Attributes
    ----------
    nonnegative, unit, offset : bool
        What holds for its members, see :class:`Parts`.
    of_samples : bool
        Whether parts are combinations of samples, X = (A D)ᵀ. The set has to be bound to them.
    trainable : bool
        Whether an autoencoder can be trained within it.
    fixed : bool
        Whether it has one member only.
    D : array or sparse matrix (n, d)
        The samples, once it is bound to them.
    weights : ndarray (m, n)
        A of the parts that were returned last, once it is bound.
    """

    nonnegative = unit = offset = False
    of_samples = fixed = False
    trainable = True
    D: Any
    weights: np.ndarray

    @property
    def homogeneous(self) -> bool:
        """Whether with X it contains sX for every s > 0."""
        return False

    @property
    def columnwise(self) -> bool:
        """Whether `improve` may be given some features at a time."""
        return False

    @property
    def bounds(self) -> tuple[float | None, float | None] | None:
        """(low, high), None for infinity, if the set only bounds each entry; else None."""
        return None

    @property
    def swept(self) -> bool:
        """Whether parts are just nonnegative, so that a few sweeps are their half step."""
        return self.bounds == (0, None)

    @property
    def signed(self) -> bool:
        """Whether a part may change its sign."""
        return not (self.nonnegative or self.of_samples)

    @property
    def has_scale(self) -> bool:
        """Whether the set says how large its parts are, whatever the unit of the data."""
        return not (self.homogeneous or self.of_samples)

    def with_offset(self, offset: bool) -> "PartSet":
        """The set with or without an offset."""
        if offset:
            raise ValueError(f'bias="both" does not go with {self!r}: it has no decoder bias.')
        return self

    def bind(self, D) -> "PartSet":
        """Begin one fit to the data D (n, d), dense or sparse.

        Most sets are the same for all data and return themselves. What others return is state of
        the solver: it may change as the fit goes on, and no model's problem holds it.
        """
        return self

    def project(self, components: np.ndarray) -> np.ndarray:
        """The nearest member, or a better one found from it."""
        raise NotImplementedError(
            f"{self!r} has no project: "
            + ("bind it to the samples first." if self.of_samples else "it must say what is near.")
        )

    def return_to(self, weights: np.ndarray) -> np.ndarray:
        """The parts of a bound set of samples with these weights (m, n), to go on from there."""
        raise NotImplementedError(f"{self!r} has no weights of samples.")

    def project_tensor(self, trained: "Tensor") -> "Tensor":
        """Nearest member (…, m, d); of a set of samples its weights (…, m, n), unbound."""
        return through_numpy(self.project, trained)

    def nearest_rows(self, targets: np.ndarray) -> np.ndarray:
        """Nearest member, part by part."""
        return self.project(targets)

    def improve(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """New parts in the set with a lower q; P itself, or a stack of them, stays unchanged."""
        P, curvature = P.copy(), self.curvature(gram, P)
        used = curvature > 0
        curvature[~used] = 1
        each, everywhere = (slice(None),) * (P.ndim - 2), used.all()
        for k in np.flatnonzero(used.reshape(-1, P.shape[-2]).any(axis=0)):
            row = (*each, slice(k, k + 1))
            targets = P[row] + (cross[row] - gram_matmul(gram[row], P)) / curvature[row]
            nearest = self.nearest_rows(targets.reshape(-1, P.shape[-1])).reshape(targets.shape)
            P[row] = nearest if everywhere else np.where(used[row], nearest, P[row])
        return P

    def residual(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float | np.ndarray:
        """0 iff no small step within the set lowers q; free of how a part and its code share scale:
        here how far the updates of `improve` would move, each made alone."""
        curvature = self.curvature(gram, P)
        step = (cross - gram_matmul(gram, P)) / np.where(curvature > 0, curvature, 1)
        return self.distance(P, np.where(curvature > 0, self.nearest_rows(P + step), P), curvature)

    @staticmethod
    def curvature(gram: np.ndarray, P: np.ndarray) -> np.ndarray:
        """The G_kk (m, 1); where each feature has its own, the largest of each row."""
        return gram_diagonal(gram, P).max(axis=-1, keepdims=True)

    @staticmethod
    def distance(P: np.ndarray, Q: np.ndarray, curvature: np.ndarray) -> float:
        """√(Σ_k G_kk ‖P_k − Q_k‖²): in units of the data, whatever the scale of a part."""
        return float(np.linalg.norm(np.sqrt(curvature) * (P - Q)))


def through_numpy(nearest: Callable[[np.ndarray], np.ndarray], trained: "Tensor") -> "Tensor":
    """A function of matrices, for each of a stack of tensors."""
    stack = trained.detach().cpu().numpy().reshape(-1, *trained.shape[-2:])
    return trained.new_tensor(np.stack([nearest(each) for each in stack]).reshape(trained.shape))


@dataclass(frozen=True)
class Parts(PartSet):
    r"""The set {X : x_j ≥ 0 if `nonnegative`, ‖x_j‖ = 1 if `unit`} and an offset c.

    Parameters
    ----------
    nonnegative : bool
        Whether every entry of a part is at least 0.
    unit : bool
        Whether every part has norm 1.
    offset : bool
        Whether the reconstruction has a decoder bias, D̂ = H Xᵀ + 1cᵀ. It obeys the same
        sign constraint as the parts: a nonnegative offset is one more part with a constant
        code.

    Examples
    --------
    >>> Parts(nonnegative=True, unit=True).project(np.array([[3.0, -1.0, 4.0]]))
    array([[0.6, 0. , 0.8]])
    """

    nonnegative: bool = False
    unit: bool = False
    offset: bool = False

    @property
    def homogeneous(self) -> bool:
        return not self.unit

    @property
    def columnwise(self) -> bool:
        return not self.unit

    @property
    def bounds(self) -> tuple[float | None, float | None] | None:
        return None if self.unit else (0 if self.nonnegative else None, None)

    def with_offset(self, offset: bool) -> "Parts":
        return replace(self, offset=offset)

    def project(self, components: Array) -> Array:
        """Nearest member; a part that is zero stays zero: it has no direction."""
        if self.nonnegative:
            components = components.clip(min=0)
        if self.unit:
            if isinstance(components, np.ndarray):
                norms = np.sqrt(np.vecdot(components, components))[..., None]
            else:
                norms = components.norm(dim=-1, keepdim=True)
            components = components / (norms + (norms == 0))
        return components

    def project_tensor(self, trained: "Tensor") -> "Tensor":
        return self.project(trained)

    def nearest_rows(self, targets: np.ndarray) -> np.ndarray:
        """Nearest member, part by part; of norm 1 for every target, if it is to be."""
        nearest = self.project(targets)
        if self.unit and not (found := nearest.any(axis=1)).all():
            lost = np.flatnonzero(~found)  # no direction is near: the best single feature
            nearest[lost, targets[lost].argmax(axis=1)] = 1
        return nearest

    def improve(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """Row updates where the norm is fixed; else nonnegative sweeps, or all of least squares."""
        if self.unit:
            return super().improve(P, gram, cross)
        if self.nonnegative:
            return nnls_sweeps(P, gram, cross)
        # The shortest way to a minimiser: parts whose partner is zero stay as they are. What a
        # direction below rounding error asks for is noise.
        noise = len(gram) * float(np.finfo(gram.dtype).eps)
        inverse = np.linalg.pinv(gram.T, rcond=noise, hermitian=True).T
        return P + gram_matmul(inverse, cross - gram_matmul(gram, P))

    def residual(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float | np.ndarray:
        """Norm of the projected gradient; of the row updates where the norm is fixed."""
        return (stationarity if self.swept else super().residual)(P, gram, cross)


@dataclass(frozen=True, eq=False, repr=False)
class Fixed(PartSet):
    r"""The set {X} of one member: parts that are given, for which only codes are found.

    With random parts it is what a method has to beat: NMF then has exact codes, and an autoencoder
    trains its encoder alone.

    Parameters
    ----------
    X : array-like (d, m)
        Parts as columns; for a fitted model ``components_.T``.

    Examples
    --------
    >>> from partsrep import NMF
    >>> D = np.array([[2.0, 2.0, 0.0], [0.0, 0.0, 3.0]])
    >>> NMF(2, parts=Fixed([[1, 0], [1, 0], [0, 1]])).fit(D).loss_
    0.0
    """

    X: Any

    fixed = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "X", check_matrix(self.X, "X", float, copy=True))
        object.__setattr__(self, "nonnegative", bool((self.X >= 0).all()))

    def __repr__(self) -> str:
        return "Fixed({} features, {} parts)".format(*self.X.shape)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fixed) and np.array_equal(self.X, other.X)

    def __hash__(self) -> int:
        return hash((self.X.shape, self.X.tobytes()))

    def project(self, components: np.ndarray) -> np.ndarray:
        """The given parts, whatever they are asked to be near."""
        if components.shape[-2:] != self.X.T.shape:
            m, d = components.shape[-2:]
            raise ValueError(f"{self!r} do not fit {m} parts of {d} features: X is (d, m).")
        return np.broadcast_to(self.X.T, components.shape).astype(components.dtype)

    def improve(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        return self.project(P)

    def residual(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float | np.ndarray:
        return 0.0


def sparseness(components: np.ndarray) -> np.ndarray:
    r"""Hoyer's sparseness of each part: 0 if all entries are equal, 1 if only one is not zero.

    .. math:: \mathrm{sparseness}(x) = \frac{\sqrt d - \|x\|_1 / \|x\|_2}{\sqrt d - 1}

    It is NaN for a part that is zero, which has no shape.

    References
    ----------
    Hoyer (2004), "Non-negative matrix factorization with sparseness constraints", section 3.1.

    Examples
    --------
    >>> sparseness(np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 3.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]]))
    array([0.        , 1.        , 0.58578644])
    """
    root = math.sqrt(components.shape[1])
    peaks = np.abs(components).max(axis=1, keepdims=True)
    shapes = np.abs(components) / np.where(peaks > 0, peaks, np.nan)  # whose squares are numbers
    return (root - shapes.sum(axis=1) / np.linalg.norm(shapes, axis=1)) / (root - 1)


#: The four decoder constraints by name.
DECODERS = {
    "free": Parts(),
    "unit": Parts(unit=True),
    "nonnegative": Parts(nonnegative=True),
    "unit-nonnegative": Parts(nonnegative=True, unit=True),
}
