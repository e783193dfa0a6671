"""Sparse NMF, and the set of parts of a given sparseness."""

import math
from dataclasses import dataclass

import numpy as np

from ..arguments import check_fields, check_number
from ..choices.parts import PartSet
from ..estimators import NMF


def sparse_nmf(n_components="auto", sparseness=0.7, **settings) -> NMF:
    r"""Sparse NMF: every part has the same given sparseness.

    .. math:: \min_{H,\, X \ge 0} \|D - H X^\top\|_F^2, \quad
        \frac{\sqrt d - \|x_j\|_1 / \|x_j\|_2}{\sqrt d - 1} = s

    Parameters
    ----------
    sparseness : float in (0, 1)
        The s: near 1 a part is a single feature, near 0 uniform.

    References
    ----------
    Hoyer (2004), "Non-negative matrix factorization with sparseness constraints".

    Examples
    --------
    >>> import numpy as np
    >>> from partsrep.choices.parts import sparseness
    >>> D = np.random.RandomState(0).exponential(size=(20, 9))
    >>> sparseness(sparse_nmf(3, sparseness=0.6, random_state=0).fit(D).components_).round(6)
    array([0.6, 0.6, 0.6])
    """
    return NMF(n_components, parts=Sparseness(sparseness), **settings)


@dataclass(frozen=True)
class Sparseness(PartSet):
    r"""The set {X : x_j ≥ 0, sparseness(x_j) = `value`}, whatever the norm of a part.

    The parts of a plain NMF can be dense or sparse as the data will have it; this sets the
    :func:`partsrep.choices.parts.sparseness` apart from the data. Hoyer projects gradients; here
    one part after the other is updated exactly.

    Parameters
    ----------
    value : float in (0, 1)
        Near 1 a part is nearly a single feature, near 0 nearly uniform.

    Examples
    --------
    >>> from partsrep.choices.parts import sparseness
    >>> part = Sparseness(0.5).project(np.array([[4.0, 3.0, 2.0, 1.0]]))
    >>> sparseness(part).round(9)
    array([0.5])
    """

    value: float

    nonnegative = True
    homogeneous = True

    def __post_init__(self):
        check_fields(self, check_number, "value", maximum=1, above=True, below=True)

    def project(self, components: np.ndarray) -> np.ndarray:
        r"""Nearest member, part by part.

        Among the members of norm 1 the nearest one, q, maximises ⟨q, x⟩; it is
        :math:`(x - \tau)_+` at norm 1, with the τ that gives its sum
        :math:`c = \sqrt d - \texttt{value} (\sqrt d - 1)`. The best norm is then max(⟨q, x⟩, 0):
        a part that points away from every member becomes zero.
        """
        d = components.shape[1]
        if d < 2:
            raise ValueError(f"Sparseness needs parts of at least 2 features; these have {d}.")
        c = math.sqrt(d) - self.value * (math.sqrt(d) - 1)
        order = np.argsort(-components, axis=1, kind="stable")
        ordered = np.take_along_axis(components, order, axis=1)
        ordered = ordered - ordered[:, :1]

        # ‖(x−τ)₊‖₁/‖(x−τ)₊‖₂ falls as τ rises. The support is the s largest entries, for the first
        # s at which τ = the next entry would give too much.
        counts = np.arange(1, d, dtype=ordered.dtype)
        sums, squares = ordered.cumsum(axis=1)[:, :-1], (ordered**2).cumsum(axis=1)[:, :-1]
        following = ordered[:, 1:]
        total = sums - counts * following
        square = squares - 2 * following * sums + counts * following**2
        short = np.count_nonzero(total**2 <= c**2 * square, axis=1, keepdims=True)
        s = (1 + short).astype(ordered.dtype)
        support = np.arange(d) < s

        # With mean μ and variance v on the support, τ = μ − c√(v/(s − c²)).
        head = np.where(support, ordered, 0)
        head[~head.any(axis=1), 0] = 1  # a support of equal entries: any member on it is as near
        centred = np.where(support, head - head.sum(axis=1, keepdims=True) / s, 0)
        spread = np.sqrt((centred**2).sum(axis=1, keepdims=True) / s)
        slack = np.sqrt(np.maximum(s - c**2, 0))
        direction = np.where(support, np.maximum(slack * centred + c * spread, 0), 0)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)

        nearest = np.empty_like(direction)
        np.put_along_axis(nearest, order, direction, axis=1)
        return nearest * np.maximum((nearest * components).sum(axis=1, keepdims=True), 0)
