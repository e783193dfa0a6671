"""What every data set is handed over as: the matrix, and what is known about it."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse


@dataclass(frozen=True, eq=False)
class Truth:
    """The factors that made the data, D ≈ H Xᵀ, as far as they are known.

    Attributes
    ----------
    H : ndarray of shape (n, m), or None
        Codes, one row a sample.
    X : ndarray of shape (d, m), or None
        Parts, one column a part.
    names : list of m str, or None
        Names of the parts.
    """

    H: np.ndarray | None = None
    X: np.ndarray | None = None
    names: list[str] | None = None

    def __repr__(self) -> str:
        known = {key: a for key, a in (("H", self.H), ("X", self.X)) if a is not None}
        shapes = (f"{key} {a.shape[0]} x {a.shape[1]}" for key, a in known.items())
        return f"Truth({', '.join(shapes)})"


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """A nonnegative matrix D, samples in rows, and what is known about it.

    Attributes
    ----------
    name : str
    D : ndarray or scipy.sparse.csr_matrix of shape (n, d)
        The data. Text is sparse, everything else dense.
    about : str
        What the data are, how they were scaled, where they come from.
    image_shape : (height, width), or None
        Where each sample is a picture: ``D[i].reshape(image_shape)`` is upright.
    scene_shape : (height, width), or None
        Where the samples are the pixels of one scene: ``H[:, j].reshape(scene_shape)`` is the
        upright map of part j.
    labels : ndarray of shape (n,), or None
        Class of each sample: whole numbers from 0, or names.
    features : ndarray of d str, or None
        Names of the columns of D, such as a vocabulary.
    samples : ndarray of n str, or None
        Names of the rows of D.
    truth : Truth or None
        The factors behind the data, where they are known.
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
