"""From a problem back to a front door."""

from ..choices.inference import NNLS
from ..choices.objective import L1, Elastic, LogVolume, Objective
from ..choices.problem import Problem
from .nmf import NMF
from .sae import SAE


def from_problem(problem: Problem, n_components: int | str = "auto", **settings) -> NMF | SAE:
    """The unfitted estimator that solves a problem: an SAE if there is an encoder, else an NMF.

    Parameters
    ----------
    problem : Problem
    n_components : int or "auto"
    **settings
        Of the estimator, such as `random_state`, `start` and `n_init`.

    Raises
    ------
    ValueError
        If the objective is one that the arguments of `NMF` cannot say: L2 and other prices that
        depend on the size of the data.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from partsrep import Layer
    >>> from partsrep.choices.parts import Parts
    >>> nmf = Problem(parts=Parts(nonnegative=True))
    >>> [type(from_problem(p, 3)).__name__ for p in (nmf, replace(nmf, inference=Layer()))]
    ['NMF', 'SAE']
    """
    objective = problem.objective
    if problem.inference != NNLS():
        return SAE(
            n_components,
            activation=problem.codes,
            decoder=problem.parts,
            encoder=problem.inference,
            output=objective.link,
            loss=objective.fit,
            penalty=list(objective.penalties) or None,
            **settings,
        )
    penalties = [L1(2 * objective.codes.l1)] if objective.codes.l1 else []
    penalties += [objective.parts] if isinstance(objective.parts, LogVolume) else []
    said = Objective(
        beta=objective.beta,
        codes=Elastic(l1=objective.codes.l1),
        parts=penalties[-1] if objective.parts in penalties else Elastic(),
    )
    if said != objective:
        raise ValueError(f"NMF's arguments cannot say {objective!r} without the size of the data.")
    return NMF(
        n_components,
        parts=problem.parts,
        codes=problem.codes,
        beta_loss=objective.beta,
        solver="cd" if objective.beta == 2 else "mu",
        penalty=penalties or None,
        **settings,
    )
