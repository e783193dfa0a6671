"""From data to trained autoencoders: in which unit, from where, how many at once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..choices.codes import Codes
from ..choices.problem import Problem
from ..choices.units import Unit
from ..leastsquares import blocks, data_norm
from ..progress import History, Interrupted, progress
from . import Settings, Weights, adam, alternating, begin, lbfgs, online, projection
from .autoencoder import Autoencoder, stacked
from .hals import in_memory


@dataclass(frozen=True)
class Solver:
    """One way to train."""

    name: str
    check: Callable[[Problem], None]  # raises a ValueError
    train: Callable[..., History]  # by a module, data, random states and settings
    #: The weights to begin from, by data, number of parts, problem and random state.
    start: Callable[..., Weights] = begin.fresh
    searches: bool = False  # whether the start is chosen among several
    #: Whether it sees the data in units of their root mean square, and a start at their scale.
    scales: bool = True
    #: Whether data may stay in files; with it several autoencoders train as one stack.
    streams: bool = True
    keeps_last: bool = False  # whether the last epoch stays, not the best
    limit: int | None = None  # most epochs, whatever is asked for
    #: Adam's first step, relative to the weights: from a solution, and from anywhere else.
    rates: tuple[float, float] = (0.003, 0.03)


ADAM = Solver("adam", adam.check, adam.train)
PROJECTION = Solver("projection", projection.check, projection.train, searches=True, streams=False)
#: By name; "auto" is variable projection where the problem and the size of the data allow it.
SOLVERS = {
    "auto": replace(ADAM, searches=True),
    "projection": PROJECTION,
    "adam": ADAM,
    "lbfgs": Solver("lbfgs", lbfgs.check, lbfgs.train, streams=False),
    "alternating": Solver(
        "alternating", alternating.check, alternating.train, streams=False, limit=300
    ),
    "online": Solver(
        "online",
        online.check,
        online.train,
        online.start,
        scales=False,
        streams=False,
        keeps_last=True,
        rates=(0.01, 0.01),
    ),
}

Run = tuple[Autoencoder, History]


@dataclass(frozen=True)
class Training:
    """How autoencoders are trained."""

    solver: Solver
    settings: Settings
    start: Any = None  # or a fitted model, or (U, X)
    device: Any = None
    init: str = "random"  # or "nmf"

    def chosen(self, problem: Problem, shape: tuple[int, ...], m: int) -> Training:
        """With "auto" made certain: Adam's only where its settings are given, or what it alone can
        do is asked for; with its own start too, where a search leaves units dead."""
        if self.solver is not SOLVERS["auto"]:
            return self
        if projection.crowded(problem, shape[1], m):
            return replace(self, solver=ADAM)
        asked = self.device is not None or self.settings.learning_rate is not None
        if asked or self._keeps_thresholds(problem) or not projection.fits(shape, m):
            return self
        return replace(self, solver=PROJECTION) if projection.solves(problem) else self

    def _keeps_thresholds(self, problem: Problem) -> bool:
        """Whether each unit keeps a threshold that the start brings, and no choice names."""
        given = getattr(self.start, "module_", None)
        return given is not None and given.keeps_thresholds(problem.codes)

    def solve(
        self, D: Any, m: int, problems: list[Problem], rngs: list[np.random.RandomState]
    ) -> tuple[list[Run], Interrupted | None]:
        """A solution of each problem from its random state, and what interrupted training.

        What is solved is the same problem for data with a root mean square of 1, so that nothing
        depends on the unit of the data.
        """
        training = self.chosen(problems[0], D.shape, m)
        D = D if training.solver.streams else np.asarray(D[:])
        unit = problems[0].unit(root_mean_square(D)) if training.solver.scales else None
        unit = unit or Unit()
        n, d = D.shape
        measured = in_unit(D, unit.data)
        objectives = [problem.objective.against("sample", n, d) for problem in problems]
        own = [
            bound(replace(problem, objective=objective).in_units(unit), measured)
            for problem, objective in zip(problems, objectives, strict=True)
        ]
        runs, interrupt = training._solve(own, measured, m, rngs, unit)
        found = zip(problems, objectives, runs, strict=False)  # fewer, if interrupted
        for problem, objective, (module, history) in found:
            module.problem = problem
            module.measure(unit)
            history.solver = history.solver or training.solver.name
            for row in history.rows:
                row["objective"] = objective.measured_back(row["objective"], unit, m)
        return runs, interrupt

    def _solve(
        self, problems: list[Problem], D: Any, m: int, rngs: list, unit: Unit
    ) -> tuple[list[Run], Interrupted | None]:
        """The same, in a unit and bound to the data."""
        begun = [
            self._begin(D, m, problem, rng, unit)
            for problem, rng in progress(list(zip(problems, rngs, strict=True)), "SAE starts")
        ]
        held = isinstance(D, np.ndarray) and in_memory(D)
        tensor = torch.as_tensor(D).to(self.device) if held else D
        size = max(1, begin.STACK // (m * (D.shape[1] + self.settings.batch_size)))
        if not self.solver.streams or problems[0].parts.of_samples:
            size = 1
        runs: list[Run] = []
        for some in progress(list(blocks(len(rngs), size)), "SAE fits"):
            found, interrupt = self._descend(tensor, problems[some], begun[some], rngs[some], unit)
            runs += found
            if interrupt is not None:
                return runs, interrupt
        return runs, None

    def _begin(
        self, D: Any, m: int, problem: Problem, rng: np.random.RandomState, unit: Unit
    ) -> tuple[Weights, bool]:
        """Weights to begin from, and whether they only need refinement."""
        codes = problem.codes
        if isinstance(self.start, tuple):
            return begin.given(self.start, D, m, unit), True
        if self.start is not None:
            # Selecting other codes than before leads to another basin.
            refined = codes.sparsity is None or self._solved_codes(unit) == codes
            return begin.fitted(self.start, D, m, problem, unit), refined
        if self.solver.searches or self.init == "nmf":
            found = begin.searched(D, m, problem, rng, self.settings, self.init)
            # With penalties that is the solution of another problem.
            kin = begin.relaxed(problem)
            return found, kin is not None and solved(kin) and not problem.objective.penalties
        return self.solver.start(D, m, problem, rng), False

    def _solved_codes(self, unit: Unit) -> Codes | None:
        """What the codes of the model to start from may be, in a unit."""
        codes = getattr(self.start, "problem_", Problem()).codes
        return codes if unit.codes == 1 else codes.in_units(unit.codes)

    def _descend(
        self, D: Any, problems: list[Problem], begun: list, rngs: list, unit: Unit
    ) -> tuple[list[Run], Interrupted | None]:
        """Go on from where some runs begin, together."""
        weights = begin.together([weights for weights, _ in begun])
        problem = stacked(problems, self.device)
        assert problem is not None  # who trains several together has asked
        components, *others = weights
        module = Autoencoder(problem, torch.tensor(components), *map(begin.tensor, others))
        module = module.to(self.device)
        some = adam.batch(D, slice(adam.ROWS), module)
        if self.start is None and self.solver.scales and not begun[0][1]:
            module.scale_to(some)
        given = getattr(self.start, "module_", None)
        if given is not None:
            same = self._solved_codes(unit) == problems[0].codes
            given = copy.deepcopy(given).to(module.usage)
            given.measure(Unit(1 / unit.data, 1 / unit.parts))
            module.continue_from(given, same_codes=same)
        if given is None or not adam.evaluate(module, some).isfinite().all():
            module.make_kl_finite(some)
        rate = self.settings.learning_rate
        rate = self.solver.rates[0 if begun[0][1] else 1] if rate is None else rate
        settings = replace(self.settings, learning_rate=rate)
        interrupt = None
        try:
            history = self.solver.train(module, D, rngs, settings)
        except Interrupted as stop:
            history, interrupt = stop.history, stop
        if len(begun) == 1:
            return [(module, history)], interrupt
        members = [(module.member(i, p), history.member(i)) for i, p in enumerate(problems)]
        return members, interrupt


def solved(problem: Problem) -> bool:
    """Whether a search ends at a solution of the problem."""
    return projection.solves(problem) or alternating.solves(problem)


class Measured:
    """Rows of a memory map or of shards in another unit, divided when they are read."""

    def __init__(self, D: Any, unit: float):
        self._D, self._unit = D, unit
        self.shape, self.dtype = D.shape, D.dtype

    def __len__(self) -> int:
        return len(self._D)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.asarray(self._D[rows]) / self._unit


def in_unit(D: Any, unit: float) -> Any:
    """The data in another unit; what is not in memory stays where it is."""
    if unit == 1:
        return D
    return D / unit if isinstance(D, np.ndarray) and in_memory(D) else Measured(D, unit)


def root_mean_square(D: Any) -> float:
    """That of the data, or of a sample of them; 1 for zeros."""
    some = begin.some_of(D, np.random.RandomState(0), adam.ROWS)
    return data_norm(some) / some.size**0.5 or 1.0


def bound(problem: Problem, D: Any) -> Problem:
    """The problem with parts that are made of samples bound to these."""
    if not problem.parts.of_samples:
        return problem
    return replace(problem, parts=problem.parts.bind(np.asarray(D[:])))
