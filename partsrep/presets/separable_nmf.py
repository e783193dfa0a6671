"""Separable NMF, and the set of parts that are samples."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..choices.combinations import distances, indicator
from ..choices.parts import PartSet
from ..estimators import NMF


def separable_nmf(n_components="auto", **settings) -> NMF:
    r"""Separable NMF: the parts are samples.

    .. math:: \min_{H \ge 0,\; K} \|D - H D_K\|_F^2, \quad \lvert K \rvert = m

    Successive projections choose them: exactly if all samples are combinations of m that are
    linearly independent, nearly so with small noise. They are not improved afterwards.

    References
    ----------
    Gillis, Vavasis (2014), "Fast and robust recursive algorithms for separable nonnegative matrix
    factorization".

    Examples
    --------
    >>> import numpy as np
    >>> D = np.array([[1.0, 1.0], [0.0, 3.0], [5.0, 0.0]])
    >>> separable_nmf(2).fit(D).components_
    array([[0., 3.],
           [5., 0.]])
    """
    return NMF(n_components, parts=Samples(), **settings)


@dataclass(frozen=True)
class Samples(PartSet):
    """The set {X : each part is a sample, no two the same}: parts of a separable factorization.

    Which samples is decided by the start (SPA finds them where the data are separable), so
    `improve` changes nothing.

    References
    ----------
    Arora, Ge, Kannan, Moitra (2012), "Computing a nonnegative matrix factorization – provably".

    Examples
    --------
    >>> samples = Samples().bind(np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    >>> samples.project(np.array([[1.5, 0.0], [2.5, 0.0]]))
    array([[1., 1.],
           [2., 0.]])
    >>> samples.weights
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """

    of_samples = True
    trainable = False

    def bind(self, D) -> "BoundSamples":
        return BoundSamples(D)


class BoundSamples(PartSet):
    """One fit's parts P = A D among its samples D: each row of A is a row of the identity."""

    of_samples = True

    def __init__(self, D):
        self.D = D

    def project(self, components: np.ndarray) -> np.ndarray:
        """Nearest parts: the choice of samples with the least sum of squared distances."""
        if len(components) > self.D.shape[0]:
            raise ValueError(
                f"{len(components)} parts cannot be distinct samples: "
                f"there are only {self.D.shape[0]}."
            )
        chosen = linear_sum_assignment(distances(components, self.D))[1]
        self.weights = indicator(chosen, self.D)
        return self.weights @ self.D

    def improve(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        return P.copy()

    def residual(self, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> float:
        return 0.0  # no small step leads from one sample to another
