"""The online rule of the nonnegative sparse autoencoder (NNSAE): one sample at a time."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning

from ..arguments import check_fields, check_number
from ..choices.dense import Logistic
from ..choices.inference import Layer
from ..choices.objective import Objective
from ..choices.parts import Parts
from ..choices.problem import Problem
from ..lazy import torch
from ..leastsquares import ROWS, blocks, squared_error
from ..progress import History, Interrupted, progress
from . import Settings, Weights

if TYPE_CHECKING:
    from .autoencoder import Autoencoder

ALIVE = 0.1  # of the largest part's norm: the norms of used and unused parts lie far apart


@dataclass(frozen=True)
class Online:
    r"""Settings of the online rule of :func:`partsrep.presets.nnsae`; by default its authors'.

    For a sample x, with the codes of a tied logistic layer,

    .. math::
        g = X^\top x, \quad h = \sigma(a \circ g + b), \quad \hat x = X h,

    three changes follow one another:

    1. *read-out*: :math:`X \leftarrow X + \eta\,(x - \hat x)\,h^\top` with
       :math:`\eta = \eta_0 / (\epsilon + \|h\|^2)`; nothing is propagated through the encoder;
    2. *decay*: negative weights lose the share α, the others the share β; α = 1 and β = 0 set
       negative weights to 0 and do nothing else;
    3. *intrinsic plasticity*, which brings each unit's codes to an exponential distribution of mean
       μ: :math:`\Delta b = \eta_{IP} (1 - (2 + 1/\mu) h + h^2 / \mu)` and
       :math:`\Delta a = \eta_{IP} / a + g \circ \Delta b`.

    Parameters
    ----------
    plasticity : float ≥ 0
        The rate η_IP.
    mean : float in (0, 1)
        The wanted mean activation μ.
    negative, positive : float in [0, 1]
        The decays α and β; nonnegative parts need α = 1.
    epsilon : float > 0
        The ε that bounds the step of samples without codes.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Examples
    --------
    >>> Online(plasticity=1e-4)
    Online(plasticity=0.0001, mean=0.2, negative=1.0, positive=0.0, epsilon=0.0002)
    """

    plasticity: float = 1e-3
    mean: float = 0.2
    negative: float = 1.0
    positive: float = 0.0
    epsilon: float = 2e-4

    def __post_init__(self):
        check_fields(self, check_number, "plasticity")
        check_fields(self, check_number, "negative", "positive", maximum=1)
        check_fields(self, check_number, "mean", maximum=1, above=True, below=True)
        check_fields(self, check_number, "epsilon", above=True)


def check(problem: Problem) -> None:
    """Raise a ValueError unless it is a tied logistic layer with gain and bias, free or nonnegative
    parts, and the squared error alone."""
    if not (
        problem.codes == Logistic()
        and problem.inference == Layer(tied=True, bias=True, gain=True)
        and problem.parts in (Parts(), Parts(nonnegative=True))
        and problem.objective == Objective()
    ):
        raise ValueError(
            'solver="online" needs logistic codes, a tied encoder with gain and bias, linear '
            'output and no penalties; use solver="auto" or "adam".'
        )


def start(
    D: np.ndarray, n_components: int, problem: Problem, rng: np.random.RandomState
) -> Weights:
    """As the authors begin: components from 0.0125 to 0.0625 and biases of −3; gains begin at 1.

    Nothing of that scales with the data, which are expected between 0 and a value from 0.25 to 1.
    """
    components = rng.uniform(0.0125, 0.0625, size=(n_components, D.shape[1])).astype(D.dtype)
    return Weights(components, bias=np.full(n_components, -3.0, D.dtype))


def codes(D: np.ndarray, components: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """H = σ(a ∘ (D X) + b), (n, m) or, for one sample, (m,)."""
    return expit(gain * (D @ components.T) + bias)


def epoch(
    D: np.ndarray,
    components: np.ndarray,
    gain: np.ndarray,
    bias: np.ndarray,
    *,
    learning_rate: float,
    rule: Online,
) -> None:
    """The steps of :class:`Online` for one sample of D after the other, in place, with the rate η₀.

    Components (m, d), the factors a and the biases b (m,) are of float64.
    """
    for x in D:
        g = components @ x
        h = expit(gain * g + bias)
        step = learning_rate / (rule.epsilon + h @ h)
        components += np.outer(step * h, x - h @ components)
        components -= rule.negative * np.minimum(components, 0)
        if rule.positive:
            components -= rule.positive * np.maximum(components, 0)
        shift = rule.plasticity * (1 - (2 + 1 / rule.mean) * h + h * h / rule.mean)
        bias += shift
        gain += rule.plasticity / gain + g * shift


def train(
    module: Autoencoder, D: torch.Tensor, rngs: list[np.random.RandomState], settings: Settings
) -> History:
    """Train a module by the online rule, in place, a fresh random order each epoch.

    It computes in double precision whatever the module's is. The rule descends no objective: what
    stays is the last epoch, not the best one. An epoch that ends with weights that are not finite
    or a gain that is not positive is undone, and training ends there with a warning. The module
    holds the last whole epoch when it is interrupted.

    Returns
    -------
    History
        Over epochs, the start first: "objective" (squared error, mean over samples), "alive" (parts
        with at least a tenth of the largest part's norm: logistic codes are never 0), "seconds".

    Raises
    ------
    ValueError
        If the rule leaves negative weights to nonnegative parts.
    Interrupted
        At Ctrl-C.
    """
    rule, [rng] = settings.rule or Online(), rngs
    if module.problem.parts.nonnegative and rule.negative < 1:
        raise ValueError(
            f"{rule} only shrinks negative weights, and these parts must be nonnegative: choose "
            'Online(negative=1.0), or decoder="free".'
        )
    samples = D.cpu().numpy()
    assert module.gain is not None and module.bias is not None  # what `check` has seen
    assert settings.learning_rate is not None  # whoever trains has chosen one
    learned = module.dictionary, module.gain, module.bias
    weights = [parameter.detach().cpu().numpy().astype(np.float64) for parameter in learned]
    components, gain, _ = weights
    history = History()

    def record(objective: float) -> None:
        norms = np.linalg.norm(components, axis=1)
        alive = int(np.sum((norms > 0) & (norms >= ALIVE * norms.max())))
        history.add(objective=objective, alive=alive)

    record(_objective(samples, *weights))
    try:
        for done in progress(range(settings.max_iter), "SAE, online"):
            order = rng.permutation(len(samples))
            with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
                epoch(samples[order], *weights, learning_rate=settings.learning_rate, rule=rule)
                objective = _objective(samples, *weights)
            if not (np.isfinite(objective) and (gain > 0).all()):
                warnings.warn(
                    f"The online rule diverged in epoch {done + 1}; what it had learned is kept. "
                    "Its steps fit data between 0 and 1: rescale the data, or lower learning_rate "
                    "or the plasticity.",
                    ConvergenceWarning,
                    stacklevel=3,
                )
                break
            record(objective)
            with torch.no_grad():
                for parameter, values in zip(learned, weights, strict=True):
                    parameter.copy_(torch.from_numpy(values))
    except KeyboardInterrupt:
        raise Interrupted(history) from None
    return history


def _objective(D: np.ndarray, components: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> float:
    """The mean over samples of the squared error, a few samples at a time."""
    parts = (D[rows] for rows in blocks(len(D), ROWS))
    errors = (squared_error(d, codes(d, components, gain, bias) @ components) for d in parts)
    return sum(errors) / len(D)
