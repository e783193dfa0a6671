"""The classic sparse autoencoder."""

from ..choices.dense import Logistic
from ..choices.objective import KL, Decay
from ..estimators import SAE


def sae_kl(n_components="auto", beta=3.0, target=0.05, decay=0.003, **settings) -> SAE:
    r"""Classic sparse autoencoder: logistic in and out, with a wanted mean activation.

    .. math:: \min_{U, X, b, c} \frac1{2n} \|D - \sigma(H X^\top + 1 c^\top)\|_F^2
        + \beta \sum_j KL(p \| \hat p_j) + \frac\lambda2 \sum_w w^2,
        \quad H = \sigma(D U^\top + b)

    p is `target` and λ is `decay`. The SAE's own objective is twice this one. Data must be between
    0 and 1; where they are much smaller the decay wins, and no unit is active.

    References
    ----------
    Ng (2011), "Sparse autoencoder", CS294A lecture notes.

    Examples
    --------
    >>> from partsrep import datasets
    >>> D = datasets.load("digits").D[:100]
    >>> sae = sae_kl(8, max_epochs=20, random_state=0).fit(D)
    >>> bool(sae.history_["objective"][-1] < sae.history_["objective"][0])
    True
    """
    settings = {"max_epochs": 400, "tol": 1e-6, **settings}
    return SAE(
        n_components,
        activation=Logistic(),
        bias="both",
        output="logistic",
        penalty=[KL(2 * beta, target), Decay(2 * decay, 2 * decay)],
        solver="lbfgs",
        **settings,
    )
