"""What each data set is handed over as: n samples of d features, and their m parts if known."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse


@dataclass(frozen=True, eq=False)
class Truth:
    """The factors that made the data, D ≈ H Xᵀ, as far as they are known.

    Codes H are n × m, one row a sample; parts X are d × m, one column a part.
    """

    H: np.ndarray | None = None
    X: np.ndarray | None = None
    names: list[str] | None = None  #: of the parts

    def __repr__(self) -> str:
        known = {key: a for key, a in (("H", self.H), ("X", self.X)) if a is not None}
        shapes = (f"{key} {a.shape[0]} x {a.shape[1]}" for key, a in known.items())
        return f"Truth({', '.join(shapes)})"


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """A nonnegative matrix D, samples in rows, and what is known about it.

    Attributes
    ----------
    D : ndarray or csr_matrix (n, d)
        The data. Text is sparse, everything else dense.
    about : str
        What the data are, how they were scaled, where they come from.
    image_shape : (height, width)
        Where each sample is a picture: ``D[i].reshape(image_shape)`` is upright.
    scene_shape : (height, width)
        Where the samples are the pixels of one scene: ``H[:, j].reshape(scene_shape)`` is the
        upright map of part j.
    labels : ndarray (n,)
        Class of each sample: whole numbers from 0, or names.
    features, samples : ndarray of str
        Names of the columns of D, such as a vocabulary, and of its rows.
    """

    name: str
    D: np.ndarray | sparse.csr_matrix
    about: str
    image_shape: tuple[int, int] | None = None
    scene_shape: tuple[int, int] | None = None
    labels: np.ndarray | None = None
    features: np.ndarray | None = None
    samples: np.ndarray | None = None
    truth: Truth | None = None

    def __repr__(self) -> str:
        n, d = self.D.shape
        images = "" if self.image_shape is None else ", images {} x {}".format(*self.image_shape)
        return f"Dataset({self.name!r}, {n} x {d}{images})"
