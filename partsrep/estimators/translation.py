"""From a problem back to the estimator that solves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..choices.objective import FITS
from ..choices.problem import Problem
from .nmf import NMF

if TYPE_CHECKING:
    from .sae import SAE


def from_problem(problem: Problem, n_components: int | str = "auto", **settings) -> NMF | SAE:
    """The unfitted estimator whose `problem` this is: an SAE if there is an encoder, else an NMF.

    Parameters
    ----------
    **settings
        Of the estimator, such as `random_state`, `start` and `n_init`.

    Raises
    ------
    ValueError
        If neither solves it: the message names the choice that has no counterpart there.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from partsrep.choices.inference import Layer
    >>> from partsrep.choices.parts import Parts
    >>> nmf = Problem(parts=Parts(nonnegative=True))
    >>> [type(from_problem(p, 3)).__name__ for p in (nmf, replace(nmf, inference=Layer()))]
    ['NMF', 'SAE']
    """
    objective, layer = problem.objective, problem.inference
    if layer.amortised:
        from .sae import SAE

        estimator = SAE(
            n_components,
            activation=problem.codes,
            decoder=problem.parts,
            encoder=layer,
            output=objective.link,
            loss=objective.fit,
            penalty=list(objective.penalties) or None,
        )
    else:
        if objective.link != "linear" or objective.fit == FITS["bernoulli"]:
            raise ValueError(
                f"NMF has no {objective!r}: it reconstructs by H Xᵀ itself, and fits β-divergences."
            )
        estimator = NMF(
            n_components,
            parts=problem.parts,
            codes=problem.codes,
            solver="cd" if objective.fit == FITS["frobenius"] else "mu",
            beta_loss=objective.fit.beta,
            penalty=list(objective.penalties) or None,
        )
    estimator.set_params(**settings)
    estimator.check()
    return estimator
