"""Projective NMF."""

from ..choices.inference import Layer
from ..estimators import NMF


def projective_nmf(n_components="auto", **settings) -> NMF:
    r"""Projective NMF: the parts are their own encoder.

    .. math:: \min_{X \ge 0} \|D - D X X^\top\|_F^2

    A linear autoencoder with tied nonnegative weights.

    References
    ----------
    Yuan, Oja (2005), "Projective nonnegative matrix factorization for image compression and feature
    extraction".

    Examples
    --------
    >>> import numpy as np
    >>> D = np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 1.0], [4.0, 1.0, 1.0]])
    >>> nmf = projective_nmf(2, random_state=0).fit(D)
    >>> bool(np.allclose(nmf.transform(D), D @ nmf.components_.T))
    True
    """
    return NMF(n_components, inference=Layer(tied=True), **settings)
