"""Minimum-volume NMF, and the set of parts of mean 1."""

from dataclasses import dataclass

import numpy as np

from ..choices.objective import LogVolume
from ..choices.parts import PartSet
from ..estimators import NMF
from ..leastsquares import project_simplex


def min_volume_nmf(n_components="auto", weight=1.0, delta=1.0, **settings) -> NMF:
    r"""Minimum-volume NMF: of the parts that fit, those that span the least.

    .. math:: \min_{H,\, X \ge 0} \|D - H X^\top\|_F^2
        + w \log\det(X^\top X + \delta I), \quad X^\top 1 = d\, 1

    Every part has mean 1 (in the paper sum 1), else small parts with large codes would do. The
    logarithm does not see the scale of the data, but the error does, in units of data squared.

    Parameters
    ----------
    weight : float ≥ 0
        The w, in units of data squared. Values from 1e-4 to 1e-3 of ‖D‖² served on planted data;
        1 is that share for ten thousand entries of order 1. Much more, and the parts move into
        the cloud of the data; much less, and the descent is slow.
    delta : float > 0
        The δ; the parts' ‖x_j‖² is at least d, so that 1 is small. The penalty is then
        never negative.

    References
    ----------
    Leplat, Ang, Gillis (2019), "Minimum-volume rank-deficient nonnegative matrix factorizations".

    Examples
    --------
    >>> import numpy as np
    >>> D = np.random.RandomState(0).exponential(size=(20, 9))
    >>> min_volume_nmf(2, weight=0.1, random_state=0).fit(D).components_.mean(axis=1).round(6)
    array([1., 1.])
    """
    return NMF(n_components, parts=UnitMean(), penalty=LogVolume(weight, delta), **settings)


@dataclass(frozen=True)
class UnitMean(PartSet):
    r"""The set {X : x_j ≥ 0, mean over features 1}: parts are distributions, d times their shares.

    Codes then carry all of the scale, in units of the data: those of a sample that is rebuilt
    exactly sum to its mean. A penalty that falls with the size of parts, such as
    :class:`partsrep.choices.objective.LogVolume`, cannot be evaded by small ones.

    Examples
    --------
    >>> UnitMean().project(np.array([[1.0, 0.0, 3.5], [-3.0, 9.0, 0.0]]))
    array([[0.25, 0.  , 2.75],
           [0.  , 3.  , 0.  ]])
    """

    nonnegative = True

    def project(self, components: np.ndarray) -> np.ndarray:
        d = components.shape[1]
        return d * project_simplex(components.T / d).T
