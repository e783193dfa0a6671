"""NMF with at most k codes for a sample."""

from ..choices.codes import TopK
from ..estimators import NMF


def topk_nmf(n_components="auto", k=3, **settings) -> NMF:
    r"""ℓ0-NMF: at most k codes for a sample.

    .. math:: \min_{H,\, X \ge 0} \|D - H X^\top\|_F^2, \quad \|h_i\|_0 \le k

    What a TopK autoencoder does, with codes that are searched for instead of encoded. The search is
    approximate.

    Parameters
    ----------
    k : int ≥ 1
        At most the number of parts.

    References
    ----------
    Peharz, Pernkopf (2012), "Sparse nonnegative matrix factorization with ℓ0-constraints".

    Examples
    --------
    >>> import numpy as np
    >>> D = np.random.RandomState(0).exponential(size=(20, 9))
    >>> int(np.count_nonzero(topk_nmf(4, k=2, random_state=0).fit_transform(D), axis=1).max())
    2
    """
    return NMF(n_components, codes=TopK(k), **settings)
