"""The layer whose thresholds the noise does not reach: supports that exact inference gets wrong."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np

from ..arguments import check_integer, check_number
from ..estimators import SAE
from ..validation import check_matrix
from .conditions import encodability


def margin_layer(
    X: Any, patterns: Any, noise: float, *, n_samples: int = 1, risk: float = 0.05
) -> SAE:
    r"""An SAE of given parts that recovers which of them are active, in spite of noise.

    Its rows :math:`u_j` are those of :func:`encodability`, the shortest ones that compute the codes
    of these patterns; its activation is JumpReLU with one threshold a unit,

    .. math:: \theta_j = s\, \|u_j\| \sqrt{2 \log (n m / \eta)} .

    Samples :math:`d_i = X h_i + s\, \varepsilon_i` with Gaussian noise then have, all n of them and
    with a probability of at least 1 − η, just the codes that are positive in :math:`h_i`, each with
    an error of at most :math:`\theta_j`, if the positive codes of part j exceed :math:`2 \theta_j`
    (claim T19). There may be more parts than features.

    Parameters
    ----------
    X : array-like (d, m)
        Parts as columns; for a fitted model ``components_.T``.
    patterns : array-like (p, m)
        Sets of parts that are active together, as for :func:`encodability`: of the codes H of an
        NMF for instance ``H > 0.1 * H.max(axis=0)``.
    noise : float ≥ 0
        s, the standard deviation of the noise in each feature. With 0 the activation is ReLU.
    n_samples : int ≥ 1
        n, how many samples shall be right together.
    risk : float between 0 and 1
        η, the probability that one of them is not.

    Returns
    -------
    SAE
        Fitted, with the parts as they are. As the `start` of an SAE with
        ``activation=JumpReLU(threshold, bandwidth)`` it is trained on, thresholds included.

    Raises
    ------
    ValueError
        If no row computes the codes of some part, or if shapes do not fit.

    Examples
    --------
    Twelve parts in three dimensions, one active at a time, and noise.

    >>> angles = np.arange(12) * np.pi / 6
    >>> X = np.array([np.cos(angles), np.sin(angles), np.ones(12)])
    >>> sae = margin_layer(X, np.eye(12), noise=0.01, n_samples=12)
    >>> D = np.eye(12) @ X.T + 0.01 * np.random.RandomState(0).standard_normal((12, 3))
    >>> bool(((sae.transform(D) > 0) == np.eye(12)).all())
    True
    """
    X = check_matrix(X, "X", np.float64)
    check_number("noise", noise)
    n_samples = check_integer("n_samples", n_samples)
    check_number("risk", risk, maximum=1, above=True)
    answer = encodability(X, patterns)
    if not answer.encodable.all():
        raise ValueError(
            f"No row computes the codes of parts {np.flatnonzero(~answer.encodable).tolist()} of "
            "these patterns: leave out the parts, or patterns that are only noise."
        )
    m = X.shape[1]
    lengths = np.linalg.norm(answer.encoder, axis=1)
    thresholds = noise * lengths * (2 * log(n_samples * m / risk)) ** 0.5
    return SAE.from_weights(answer.encoder, X, activation="jumprelu", threshold=thresholds)
