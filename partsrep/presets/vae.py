"""Variational autoencoders."""

from ..arguments import check_choice, check_number
from ..choices.dense import Gaussian
from ..choices.objective import PriorKL
from ..estimators import SAE


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
