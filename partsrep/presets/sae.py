r"""The named methods among the autoencoders; each is a :class:`partsrep.SAE`."""

from collections.abc import Callable

from ..choices.codes import Gaussian, Logistic
from ..choices.inference import Layer
from ..choices.objective import KL, Decay, PriorKL
from ..estimators import SAE
from ..validation import check_choice, check_number


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


def ncae(n_components="auto", beta=3.0, target=0.05, alpha=0.003, **settings) -> SAE:
    r"""NCAE: logistic in and out, whose negative weights decay.

    .. math:: \min_{U, X, b, c} \frac1{2n} \|D - \sigma(H X^\top + 1 c^\top)\|_F^2
        + \beta \sum_j KL(p \| \hat p_j) + \frac\alpha2 \sum_{w < 0} w^2,
        \quad H = \sigma(D U^\top + b)

    w runs over both layers' weights, p is `target`. The SAE's own objective is twice this one. Data
    must be between 0 and 1; where they are much smaller the decay wins, and all units fall silent.

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
    return _logistic(n_components, beta, target, Decay(negative=2 * alpha), settings)


def sae_kl(n_components="auto", beta=3.0, target=0.05, decay=0.003, **settings) -> SAE:
    r"""Classic sparse autoencoder: logistic in and out, with a wanted mean activation.

    .. math:: \min_{U, X, b, c} \frac1{2n} \|D - \sigma(H X^\top + 1 c^\top)\|_F^2
        + \beta \sum_j KL(p \| \hat p_j) + \frac\lambda2 \sum_w w^2,
        \quad H = \sigma(D U^\top + b)

    p is `target` and λ is `decay`. The SAE's own objective is twice this one. Data must be between
    0 and 1; where they are much smaller the decay wins, and all units fall silent.

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
    return _logistic(n_components, beta, target, Decay(2 * decay, 2 * decay), settings)


def _logistic(n_components, beta: float, target: float, decay: Decay, settings: dict) -> SAE:
    settings = {"max_epochs": 400, "tol": 1e-6, **settings}
    return SAE(
        n_components,
        activation=Logistic(),
        bias="both",
        output="logistic",
        penalty=[KL(2 * beta, target), decay],
        solver="lbfgs",
        **settings,
    )


def vae(n_components="auto", likelihood="gaussian", noise=0.1, **settings) -> SAE:
    r"""Variational autoencoder: Gaussian codes with a standard normal prior.

    .. math:: \min \frac1n \sum_i \mathbb{E}_{z \sim q(z|d_i)} [-\log p(d_i | z)]
        + KL(q(z|d_i) \| N(0, I))

    One linear layer each way. With likelihood "gaussian" p(d|z) has standard deviation `noise`, in
    units of the data, and the SAE's own objective is this one times 2·noise², with the average over
    z in closed form; with "bernoulli" data are in [0, 1], the output is logistic and z is drawn.

    References
    ----------
    Kingma, Welling (2014), "Auto-encoding variational Bayes".

    Examples
    --------
    >>> from partsrep import datasets
    >>> D = datasets.load("digits").D[:100]
    >>> vae(4, max_epochs=20, random_state=0).fit_transform(D).shape
    (100, 4)
    """
    return beta_vae(n_components, 1.0, likelihood, noise, **settings)


def beta_vae(n_components="auto", beta=4.0, likelihood="gaussian", noise=0.1, **settings) -> SAE:
    r"""β-VAE: a variational autoencoder whose prior counts β times.

    .. math:: \min \frac1n \sum_i \mathbb{E}_{z \sim q(z|d_i)} [-\log p(d_i | z)]
        + \beta\, KL(q(z|d_i) \| N(0, I))

    One linear layer each way; `likelihood` and `noise` as in :func:`vae`. With a Gaussian
    likelihood β only multiplies the noise's variance.

    References
    ----------
    Higgins et al. (2017), "β-VAE: learning basic visual concepts with a constrained variational
    framework".

    Examples
    --------
    >>> beta_vae(4, beta=2.0, noise=0.5).penalty
    PriorKL(weight=1.0)
    """
    check_choice("likelihood", likelihood, ("gaussian", "bernoulli"))
    check_number("noise", noise, above=True)
    check_number("beta", beta)
    gaussian = likelihood == "gaussian"
    solver = {"solver": "lbfgs", "max_epochs": 2000, "tol": 1e-5} if gaussian else {}
    return SAE(
        n_components,
        activation=Gaussian(),
        bias="both",
        output="linear" if gaussian else "logistic",
        loss="squared" if gaussian else "bernoulli",
        penalty=PriorKL(2 * noise**2 * beta if gaussian else beta),
        **{"solver": "adam", **solver, **settings},
    )


#: By name, as rows of the table.
AUTOENCODERS: dict[str, Callable[..., SAE]] = {
    "nnsae": nnsae,
    "ncae": ncae,
    "sae_kl": sae_kl,
    "vae": vae,
    "beta_vae": beta_vae,
}
