"""NMF under other divergences than the squared error."""

from ..estimators import NMF


def kl_nmf(n_components="auto", **settings) -> NMF:
    r"""Kullback–Leibler NMF: the likelihood of counts.

    .. math:: \min_{H,\, X \ge 0} \sum_{ip} d_{ip} \log\frac{d_{ip}}{\hat d_{ip}}
        - d_{ip} + \hat d_{ip}, \quad \hat D = H X^\top

    The parts are those of probabilistic latent semantic analysis.

    References
    ----------
    Lee, Seung (2001), "Algorithms for non-negative matrix factorization".

    Examples
    --------
    >>> import numpy as np
    >>> D = np.random.RandomState(0).poisson(3.0, size=(20, 9))
    >>> nmf = kl_nmf(2, tol=1e-8, max_iter=1000, random_state=0).fit(D)
    >>> bool(np.allclose(nmf.inverse_transform(nmf.transform(D)).sum(), D.sum()))
    True
    """
    return NMF(n_components, solver="mu", beta_loss="kullback-leibler", **settings)


def itakura_saito_nmf(n_components="auto", **settings) -> NMF:
    r"""Itakura–Saito NMF: relative errors, the same at every loudness. Data above 0.

    .. math:: \min_{H,\, X \ge 0} \sum_{ip} \frac{d_{ip}}{\hat d_{ip}}
        - \log\frac{d_{ip}}{\hat d_{ip}} - 1, \quad \hat D = H X^\top

    References
    ----------
    Févotte, Bertin, Durrieu (2009), "Nonnegative matrix factorization with the Itakura–Saito
    divergence: with application to music analysis".

    Examples
    --------
    >>> import numpy as np
    >>> D = np.random.RandomState(0).exponential(size=(20, 9))
    >>> louder = D * np.geomspace(1, 1e6, 20)[:, None]
    >>> losses = [itakura_saito_nmf(1, random_state=0).fit(data).loss_ for data in (D, louder)]
    >>> bool(np.isclose(*losses, rtol=1e-3))
    True
    """
    return NMF(n_components, solver="mu", beta_loss="itakura-saito", **settings)
