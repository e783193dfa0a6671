r"""The named methods among the factorizations; each is an :class:`partsrep.NMF`."""

from collections.abc import Callable
from functools import partial

from ..choices.codes import Simplex, TopK
from ..choices.inference import Layer
from ..choices.objective import LogVolume
from ..choices.parts import Cone, Disjoint, Hull, Samples, Sparseness, UnitMean
from ..estimators import NMF
from ..validation import check_choice


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


def orthogonal_nmf(n_components="auto", on="parts", **settings) -> NMF:
    r"""Orthogonal NMF: no feature in two parts, or no sample with two codes.

    .. math:: \min_{H,\, X \ge 0} \|D - H X^\top\|_F^2, \quad
        X^\top X \text{ or } H^\top H \text{ diagonal}

    Nonnegative columns are orthogonal just if they share no entry. On the parts this clusters the
    features; on the codes, the samples: k-means in which each sample has a scale of its own.

    Parameters
    ----------
    n_components : int or "auto"
    on : "parts" or "codes"
        Which factor is orthogonal. The codes begin at the samples that SPA finds, among which
        few remain without a sample; for several starts set ``init="random"``.

    References
    ----------
    Ding, Li, Peng, Park (2006), "Orthogonal nonnegative matrix tri-factorizations for clustering";
    Pompili, Gillis, Absil, Glineur (2014), "Two algorithms for orthogonal nonnegative matrix
    factorization with application to clustering".

    Examples
    --------
    >>> import numpy as np
    >>> D = np.array([[2.0, 2.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 3.0]])
    >>> H = orthogonal_nmf(2, on="codes").fit_transform(D)
    >>> np.count_nonzero(H, axis=1)
    array([1, 1, 1])
    """
    check_choice("on", on, ("parts", "codes"))
    if on == "parts":
        return NMF(n_components, parts=Disjoint(), **settings)
    return NMF(n_components, codes=TopK(1), **{"init": "spa"} | settings)


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


def sparse_nmf(n_components="auto", sparseness=0.7, **settings) -> NMF:
    r"""Sparse NMF: every part has the same given sparseness.

    .. math:: \min_{H,\, X \ge 0} \|D - H X^\top\|_F^2, \quad
        \frac{\sqrt d - \|x_j\|_1 / \|x_j\|_2}{\sqrt d - 1} = s

    Parameters
    ----------
    n_components : int or "auto"
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


def topk_nmf(n_components="auto", k=3, **settings) -> NMF:
    r"""ℓ0-NMF: at most k codes for a sample.

    .. math:: \min_{H,\, X \ge 0} \|D - H X^\top\|_F^2, \quad \|h_i\|_0 \le k

    What a TopK autoencoder does, with codes that are searched for instead of encoded. The search is
    approximate.

    Parameters
    ----------
    n_components : int or "auto"
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


def min_volume_nmf(n_components="auto", weight=1.0, delta=1.0, **settings) -> NMF:
    r"""Minimum-volume NMF: of the parts that fit, those that span the least.

    .. math:: \min_{H,\, X \ge 0} \|D - H X^\top\|_F^2
        + w \log\det(X^\top X + \delta I), \quad X^\top 1 = d\, 1

    Every part has mean 1, else small parts with large codes would do. The logarithm does not see
    the scale of the data, but the error does, in units of data squared.

    Parameters
    ----------
    n_components : int or "auto"
    weight : float ≥ 0
        The w, in units of data squared. Values from 1e-4 to 1e-3 of ‖D‖² served on planted data;
        1 is that share for ten thousand entries of order 1. Much more, and the parts move into
        the cloud of the data; much less, and the descent is slow.
    delta : float > 0
        The δ; the parts' ‖x_j‖² is at least d, so that 1 is small. The price is then never
        negative.

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


#: By name, as rows of the table.
FACTORIZATIONS: dict[str, Callable[..., NMF]] = {
    "semi_nmf": semi_nmf,
    "convex_nmf": convex_nmf,
    "projective_nmf": projective_nmf,
    "orthogonal_nmf": orthogonal_nmf,
    'orthogonal_nmf, on="codes"': partial(orthogonal_nmf, on="codes"),
    "archetypal": archetypal,
    "separable_nmf": separable_nmf,
    "sparse_nmf": sparse_nmf,
    "topk_nmf": topk_nmf,
    "min_volume_nmf": min_volume_nmf,
    "kl_nmf": kl_nmf,
    "itakura_saito_nmf": itakura_saito_nmf,
}
