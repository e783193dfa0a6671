"""The nonnegativity-constrained autoencoder, NCAE: the classic one with another decay."""

from ..choices.objective import Decay
from ..estimators import SAE
from .sae_kl import sae_kl


def ncae(n_components="auto", beta=3.0, target=0.05, alpha=0.003, **settings) -> SAE:
    r"""NCAE: logistic in and out, whose negative weights decay.

    .. math:: \min_{U, X, b, c} \frac1{2n} \|D - \sigma(H X^\top + 1 c^\top)\|_F^2
        + \beta \sum_j KL(p \| \hat p_j) + \frac\alpha2 \sum_{w < 0} w^2,
        \quad H = \sigma(D U^\top + b)

    w runs over both layers' weights, p is `target`. The SAE's own objective is twice this one. Data
    must be between 0 and 1; where they are much smaller the decay wins, and no unit is active.

    References
    ----------
    Hosseini-Asl, Zurada, Nasraoui (2016), "Deep learning of part-based representation of data using
    sparse autoencoders with nonnegativity constraints", arXiv 1601.02733.

    Examples
    --------
    >>> from partsrep import datasets
    >>> D = datasets.load("digits").D[:100]
    >>> sae = ncae(8, max_epochs=20, random_state=0).fit(D)
    >>> bool(sae.history_["objective"][-1] < sae.history_["objective"][0])
    True
    """
    sae = sae_kl(n_components, beta, target, **settings)
    sparsity, _ = sae.penalty
    return sae.set_params(penalty=[sparsity, Decay(negative=2 * alpha)])
