"""The one problem that NMF and every autoencoder here solve, as four choices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from .codes import Codes, ReLU
from .inference import NNLS, Inference
from .objective import Objective
from .parts import Parts, PartSet
from .units import Unit

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Problem:
    r"""min fit(D, link(H Xᵀ + 1cᵀ)) + penalties, with four things to choose.

    Parameters
    ----------
    parts, codes : PartSet, Codes
        What X, with an offset c, and H may be.
    inference, objective : Inference, Objective
        How H comes from D, and what is minimised.

    Examples
    --------
    NMF and an autoencoder with nonnegative parts differ in one choice:

    >>> from dataclasses import replace
    >>> from partsrep.choices.inference import Layer
    >>> nmf = Problem(parts=Parts(nonnegative=True))
    >>> sae = replace(nmf, inference=Layer())
    >>> sae.inference
    Layer(tied=False, bias=False, nonnegative=False, steps=1, gain=False)
    """

    parts: PartSet = Parts()
    codes: Codes = ReLU()
    inference: Inference = NNLS()
    objective: Objective = Objective()

    @property
    def most_active(self) -> int | None:
        """The most codes of a sample that may be active; None if that is not limited."""
        limit = None if self.codes.from_batch else self.codes.sparsity
        return self.inference.most_active if limit is None else limit

    def unit(self, data: float) -> Unit | None:
        """The unit of an autoencoder's problem if that of the data is `data`.

        Codes have it all, unless something fixes how large they are: then parts have. None if both
        are fixed, or if a choice does not know of units: such a problem has a unit of its own.

        Examples
        --------
        >>> from partsrep.choices.inference import Layer
        >>> from partsrep.choices.dense import Logistic
        >>> Problem(inference=Layer()).unit(255.0).parts
        1.0
        >>> Problem(codes=Logistic(), inference=Layer()).unit(255.0).parts
        255.0
        """
        penalties, parts = self.objective.penalties, self.parts
        known = self.codes.in_units(1.0) is not None and self.objective.knows_units
        if self.objective.link != "linear" or not known:
            return None
        fixed_codes = parts.of_samples or self.codes.dimensionless
        fixed_codes = fixed_codes or any(penalty.fixes_codes for penalty in penalties)
        fixed_parts = parts.has_scale or self.inference.fixes_parts
        fixed_parts = fixed_parts or any(penalty.fixes_parts for penalty in penalties)
        if fixed_codes and fixed_parts:
            return None
        return Unit(data, data if fixed_codes else 1.0, self.objective.fit.degree)

    def in_units(self, unit: Unit) -> Problem:
        """The same problem for data, codes and parts that are measured in this unit."""
        if unit.data == unit.parts == 1:
            return self
        penalties = tuple(_known(penalty.in_units(unit)) for penalty in self.objective.penalties)
        return replace(
            self,
            codes=self.codes if unit.codes == 1 else _known(self.codes.in_units(unit.codes)),
            objective=replace(self.objective, penalties=penalties),
        )

    def against_data(self, shape: tuple[int, int]) -> Problem:
        """The same problem of so many samples and features, as a sum over the data."""
        if not self.objective.penalties:
            return self
        return replace(self, objective=self.objective.against("data", *shape))


def _known(choice: Choice | None) -> Choice:
    """A choice in other units; :meth:`Problem.unit` is None where one does not know of them."""
    assert choice is not None
    return choice
