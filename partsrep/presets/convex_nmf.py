"""Convex NMF."""

from ..choices.combinations import Cone
from ..estimators import NMF


def convex_nmf(n_components="auto", **settings) -> NMF:
    r"""Convex NMF: each part is a nonnegative combination of samples, of any sign.

    .. math:: \min_{H \ge 0,\; A \ge 0} \|D - H A D\|_F^2

    The fitted model has the weights A (m, n) as `parts_weights_`.

    References
    ----------
    Ding, Li, Jordan (2010), "Convex and semi-nonnegative matrix factorizations".

    Examples
    --------
    >>> import numpy as np
    >>> D = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    >>> nmf = convex_nmf(2).fit(D)
    >>> bool(np.allclose(nmf.parts_weights_ @ D, nmf.components_))
    True
    """
    return NMF(n_components, parts=Cone(), **settings)
