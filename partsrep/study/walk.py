"""The walk: one data set, from one problem to another by one choice at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..choices.codes import TopK
from ..choices.inference import Layer
from ..choices.parts import Parts
from ..choices.problem import Problem
from ..estimators import NMF, from_problem
from ..lazy import Lazy, matplotlib
from ..leastsquares import data_norm
from ..progress import progress
from .compare import Comparison, compare

figures = Lazy("partsrep.figures")


def to_topk_sae(k: int) -> dict[str, Problem]:
    """From NMF to a TopK autoencoder: each problem differs from the one before in one choice.

    Examples
    --------
    >>> list(to_topk_sae(3))
    ['NMF', 'one layer', 'k active', 'unit norm', 'any sign']
    """
    nmf = Problem(parts=Parts(nonnegative=True))
    layer = replace(nmf, inference=Layer())
    sparse = replace(layer, codes=TopK(k))
    unit = replace(sparse, parts=Parts(nonnegative=True, unit=True))
    free = replace(unit, parts=Parts(unit=True))
    return {"NMF": nmf, "one layer": layer, "k active": sparse, "unit norm": unit, "any sign": free}


@dataclass(frozen=True, eq=False)
class Walk:
    """The result of :func:`walk`: by step the problem, the fitted model, and the comparison of the
    first model (a) with it (b)."""

    problems: dict[str, Problem]
    models: dict[str, Any]
    comparisons: dict[str, Comparison]

    def table(self) -> pd.DataFrame:
        """A row a step: losses and gaps relative to ‖D‖², and the parts against the first ones."""
        rows = {}
        for name, result in self.comparisons.items():
            energy = data_norm(result.b.D) ** 2 or 1.0
            rows[name] = {
                "relative loss": result.loss_b / energy,
                "dictionary gap": result.dictionary_gap / energy,
                "selection gap": result.selection_gap / energy,
                "encoder gap": result.encoder_gap / energy,
                "MCC with the first": result.mcc,
                "live parts": result.b.alive,
                "active codes a sample": result.b.l0,
                "negative mass": result.b.negative_mass,
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("step")

    def plot(self, image_shape: tuple[int, int] | None = None) -> matplotlib.figure.Figure:
        """The gap, split, and the MCC at each step; with an `image_shape` the parts too."""
        table = self.table()
        gaps = {gap: table[f"{gap} gap"] for gap in ("dictionary", "selection", "encoder")}
        parts = None
        if image_shape is not None:
            parts = {name: self.matched_parts(name) for name in self.models}
        return figures.walk(
            list(self.models), gaps, table["MCC with the first"], parts, image_shape
        )

    def matched_parts(self, name: str) -> np.ndarray:
        """The parts (m, d) of a step in the order of the first's; zero where there is none."""
        result = self.comparisons[name]
        parts = np.zeros_like(result.a.model.components_)
        parts[result.pairs[:, 0]] = result.components_b
        return parts


def walk(
    D: Any,
    problems: Mapping[str, Problem],
    n_components: int,
    *,
    warm: bool = False,
    n_init: int = 3,
    random_state: int = 0,
    **settings,
) -> Walk:
    """Solve problems one after the other, and hold each solution against the first.

    Every problem that an estimator solves can be a step (:func:`partsrep.from_problem`): one whose
    codes are the best ones is solved by NMF, one whose codes are amortised by an autoencoder, with
    the penalties and the data-fit that it has. A choice without a counterpart there is named by a
    ValueError before anything is fitted.

    Parameters
    ----------
    D : array-like (n, d)
    problems : dict of Problem
        By the name of the step, such as :func:`to_topk_sae`; the first is the one to compare with.
    warm : bool
        Whether each step begins at the solution of the one before, which keeps it in that basin;
        else each is the best of `n_init` random starts.
    n_components, n_init, random_state
        Of every estimator.
    **settings
        Of every SAE, such as `max_epochs`.

    Raises
    ------
    ValueError
        No problems, or what the estimators say of bad data and settings.

    Examples
    --------
    >>> from partsrep import datasets
    >>> D = datasets.load("planted", n_samples=100, n_parts=4).D
    >>> steps = walk(D, to_topk_sae(3), 4, warm=True, max_epochs=20)
    >>> bool(steps.table()["MCC with the first"].iloc[1] > 0.99)
    True
    """
    if not isinstance(problems, Mapping) or not problems:
        raise ValueError("problems must hold at least one, by name, as to_topk_sae(3) does.")
    unfitted = {
        name: from_problem(problem, n_components, random_state=random_state)
        for name, problem in problems.items()
    }
    models: dict[str, Any] = {}
    last = None
    for name, model in progress(list(unfitted.items()), "steps"):
        own = {"init": "random"} if isinstance(model, NMF) else settings
        begin = {"n_init": n_init} if last is None else {"start": last}
        models[name] = model.set_params(**own, **begin).fit(D)
        last = model if warm else None
    first = next(iter(models.values()))
    comparisons = {name: compare(first, model, D) for name, model in models.items()}
    return Walk(dict(problems), models, comparisons)
