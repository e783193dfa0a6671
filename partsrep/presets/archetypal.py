"""Archetypal analysis."""

from ..choices.codes import Simplex
from ..choices.combinations import Hull
from ..estimators import NMF


def archetypal(n_components="auto", **settings) -> NMF:
    r"""Archetypal analysis: parts are means of samples, and samples mixtures of parts.

    .. math:: \min_{H,\, A \ge 0} \|D - H A D\|_F^2, \quad H 1 = 1,\; A 1 = 1

    The fitted model has the weights A (m, n) as `parts_weights_`.

    References
    ----------
    Cutler, Breiman (1994), "Archetypal analysis".

    Examples
    --------
    >>> import numpy as np
    >>> D = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [1.0, 1.0]])
    >>> np.sort(archetypal(3).fit(D).components_.sum(axis=1)).round(2)
    array([0., 4., 4.])
    """
    return NMF(n_components, parts=Hull(), codes=Simplex(), **settings)
