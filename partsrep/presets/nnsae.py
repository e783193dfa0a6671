"""The nonnegative sparse autoencoder, NNSAE."""

from ..choices.codes import Logistic
from ..choices.inference import Layer
from ..estimators import SAE


def nnsae(n_components="auto", **settings) -> SAE:
    r"""NNSAE: a tied logistic layer that learns online and keeps its codes exponential.

    .. math:: H = \sigma(a \circ D X + b), \quad \hat D = H X^\top, \quad X \ge 0

    The rule (:class:`partsrep.solvers.online.Online`) descends the error of the read-out alone and
    moves gains a and biases b towards a mean activation: it has no objective in common. It expects
    data between 0 and a value from 0.25 to 1.

    References
    ----------
    Lemme, Reinhart, Steil (2012), "Online learning and generalization of parts-based image
    representations by non-negative sparse autoencoders".

    Examples
    --------
    >>> from partsrep import datasets
    >>> D = datasets.load("bars").D / 4
    >>> sae = nnsae(8, max_epochs=2, random_state=0).fit(D)
    >>> bool(sae.components_.min() >= 0)
    True
    """
    settings = {"max_epochs": 10, **settings}
    return SAE(
        n_components,
        activation=Logistic(),
        encoder=Layer(tied=True, gain=True),
        decoder="nonnegative",
        bias="encoder",
        solver="online",
        **settings,
    )
