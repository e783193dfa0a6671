"""The one problem that NMF and every autoencoder here solve, as four choices."""

from dataclasses import dataclass, replace
from typing import Any

from .codes import ReLU
from .inference import NNLS, Layer, Pursuit
from .objective import KL, Decay, Objective
from .parts import Parts


@dataclass(frozen=True)
class Problem:
    r"""min ‖D − (H Xᵀ + 1cᵀ)‖² + penalties, with four things to choose.

    Parameters
    ----------
    parts : Parts
        What X, and an offset c, may be.
    codes : ReLU, TopK …
        What H may be.
    inference : NNLS, Layer or Pursuit
        How H comes from D.
    objective : Objective
        What is minimised.

    Examples
    --------
    NMF and an autoencoder with nonnegative parts differ in one choice:

    >>> from dataclasses import replace
    >>> nmf = Problem(parts=Parts(nonnegative=True))
    >>> sae = replace(nmf, inference=Layer())
    >>> sae.inference
    Layer(tied=False, bias=False, nonnegative=False, steps=1, gain=False)
    """

    parts: Parts = Parts()
    codes: Any = ReLU()
    inference: NNLS | Layer | Pursuit = NNLS()
    objective: Objective = Objective()

    def unit_of_parts(self, data: float) -> float | None:
        """The unit in which an autoencoder's parts are measured if that of the data is `data`.

        Codes have the rest. Parts have none (1) where their norm or the encoder says how large they
        are, and all of it where that is true of the codes. None if both is so, or if a choice does
        not know of units: such a problem has a unit of its own.

        Examples
        --------
        >>> from partsrep.choices.codes import Logistic
        >>> Problem(inference=Layer()).unit_of_parts(255.0)
        1.0
        >>> Problem(codes=Logistic(), inference=Layer()).unit_of_parts(255.0)
        255.0
        """
        codes, parts, layer = self.codes, self.parts, self.inference
        penalties = self.objective.penalties
        known = codes.homogeneous or hasattr(codes, "in_units") or hasattr(codes, "dimensionless")
        if self.objective.link != "linear" or not known:
            return None
        if not all(hasattr(penalty, "in_units") for penalty in penalties):
            return None
        of_parts = parts.of_samples or hasattr(codes, "dimensionless")
        of_parts = of_parts or any(isinstance(penalty, KL) for penalty in penalties)
        own = layer.tied and not layer.gain and not isinstance(layer, Pursuit)
        of_codes = parts.has_scale or own
        of_codes = of_codes or any(isinstance(penalty, Decay) for penalty in penalties)
        if of_parts and of_codes:
            return None
        return data if of_parts else 1.0

    def in_units(self, data: float, parts: float) -> "Problem":
        """The same problem for data and parts that are measured in these units, its objective in
        units of data squared."""
        codes = self.codes
        if hasattr(codes, "in_units"):
            codes = codes.in_units(data / parts)
        penalties = tuple(penalty.in_units(data, parts) for penalty in self.objective.penalties)
        return replace(self, codes=codes, objective=replace(self.objective, penalties=penalties))
