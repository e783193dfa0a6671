"""What the parts may be: the first of the four choices.

Parts are the columns of the decoder X (d, m); arrays hold them as rows, `components` = Xᵀ (m, d).
A new set of parts is one frozen object with the attributes and the method of :class:`Parts`.
"""

from dataclasses import dataclass
from typing import TypeVar

Array = TypeVar("Array")  # numpy array or torch tensor: `project` uses only what both have


@dataclass(frozen=True)
class Parts:
    r"""The set {X : x_j ≥ 0 if `nonnegative`, ‖x_j‖ = 1 if `unit`} and an offset c.

    Parameters
    ----------
    nonnegative : bool
        Whether every entry of a part is at least 0.
    unit : bool
        Whether every part has norm 1.
    offset : bool
        Whether the reconstruction has a decoder bias, D̂ = H Xᵀ + 1cᵀ. It obeys the same
        sign constraint as the parts: a nonnegative offset is one more part with a constant
        code.

    Examples
    --------
    >>> import numpy as np
    >>> Parts(nonnegative=True, unit=True).project(np.array([[3.0, -1.0, 4.0]]))
    array([[0.6, 0. , 0.8]])
    """

    nonnegative: bool = False
    unit: bool = False
    offset: bool = False

    def project(self, components: Array) -> Array:
        """Nearest member of the set, row by row; a zero row stays zero: it has no direction."""
        if self.nonnegative:
            components = components.clip(min=0)
        if self.unit:
            norms = (components * components).sum(axis=1, keepdims=True) ** 0.5
            components = components / (norms + (norms == 0))
        return components


#: The four decoder constraints by name.
DECODERS = {
    "free": Parts(),
    "unit": Parts(unit=True),
    "nonnegative": Parts(nonnegative=True),
    "unit-nonnegative": Parts(nonnegative=True, unit=True),
}
