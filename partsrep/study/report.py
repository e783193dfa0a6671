"""How a result shows itself: a sentence, if it has one, and its table with named formats."""

import numpy as np
import pandas as pd

ROUNDING = 1e-12  # below it a residual is that of the arithmetic
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def amount(value: float) -> str:
    """Four digits of a number of any size, with a power of ten where zeros would hide them.

    >>> amount(1321.07), amount(0.0651), amount(28000), amount(2e-5)
    ('1321', '0.0651', '2.8·10⁴', '2·10⁻⁵')
    """
    return _raised(f"{value:z.4g}")


def residual(value: float) -> str:
    """A small number by its power of ten, or as a bound where it is rounding.

    >>> residual(0.57), residual(2e-5), residual(7e-31)
    ('0.57', '2·10⁻⁵', '≤ 10⁻¹²')
    """
    if abs(value) >= 0.01:
        return f"{value:.2f}"
    return "≤ 10⁻¹²" if abs(value) < ROUNDING else _raised(f"{value:.0e}")


def _raised(number: str) -> str:
    digits, _, power = number.partition("e")
    return f"{digits}·10{str(int(power)).translate(RAISED)}" if power else digits


# How a kind of number is written.
FORMATS = {
    "count": "{:z.0f}".format,  # also a mean number of iterations
    "few": "{:z.1f}".format,  # a mean of small counts
    "score": "{:z.3f}".format,  # a cosine, or another number up to one
    "loss": "{:z.4f}".format,  # relative to the energy of the data
    "close": "{:z.5f}".format,  # losses that differ little
    "ratio": "{:z.2f}".format,
    "share": "{:z.1%}".format,
    "percent": "{:z.2%}".format,  # where a tenth of one counts
    "amount": amount,
    "residual": residual,
}


class Report:
    """A result with a `table()`."""

    _headline = ""
    _format = "amount"  # of FORMATS

    def _repr_html_(self) -> str:
        return f"<p>{self._headline}</p>{self._shown().to_html()}"

    def __repr__(self) -> str:
        return f"{self._headline}\n{self._shown()}"

    def _shown(self) -> pd.DataFrame:
        return self.table().map(self._written)

    def _written(self, entry) -> str:
        if isinstance(entry, bool | np.bool_):
            return "yes" if entry else "no"
        if not isinstance(entry, float):
            return str(entry)
        return "undefined" if np.isnan(entry) else FORMATS[self._format](entry)
