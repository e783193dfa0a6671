"""How a result shows itself: a sentence, if it has one, and its table."""

import numpy as np
import pandas as pd


class Report:
    """A result with a `table()`."""

    _headline = ""
    _digits = ".4g"

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
        return "undefined" if np.isnan(entry) else format(entry, self._digits)
