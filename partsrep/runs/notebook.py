"""What the notebooks of the book share: claims for the tests, numbers for the prose, a record."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .records import write_record

__all__ = ["claim", "glue_all", "write_record"]


def claim(words: str, holds: object) -> None:
    """Print a line that the tests compare with the stored one.

    Examples
    --------
    >>> claim("the loss falls", np.float64(0.5) < 1)
    the loss falls: True
    """
    print(f"{words}: {bool(holds)}")


def glue_all(prefix: str, /, *values: Mapping[str, Any], **named: Any) -> None:
    """Glue texts and numbers, Python's or numpy's, for the prose: each as its prefix and name.

    They are given as to ``dict``: ``glue_all("walk_", numbers, seeds=seeds)``.
    """
    from myst_nb import glue  # of the book; the package does not need it

    for name, value in dict(*values, **named).items():
        glue(f"{prefix}{name}", np.asarray(value).item(), display=False)
