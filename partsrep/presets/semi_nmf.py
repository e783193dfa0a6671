"""Semi-NMF."""

from ..estimators import NMF


def semi_nmf(n_components="auto", **settings) -> NMF:
    r"""Semi-NMF: nonnegative codes of signed data, parts of any sign.

    .. math:: \min_{H \ge 0,\; X} \|D - H X^\top\|_F^2

    Where every sample has a positive share of a common direction, as data ≥ 0 have, the minimum is
    that of the singular value decomposition, and the parts can be turned without a loss.

    References
    ----------
    Ding, Li, Jordan (2010), "Convex and semi-nonnegative matrix factorizations".

    Examples
    --------
    >>> import numpy as np
    >>> D = np.array([[1.0, -2.0], [-1.0, 3.0], [0.0, 0.5]])
    >>> semi_nmf(2, random_state=0).fit(D).loss_ < 1e-3
    True
    """
    return NMF(n_components, parts="free", **settings)
