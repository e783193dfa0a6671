"""What NMF and SAE share as scikit-learn transformers."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.exceptions import NotFittedError

from ..arguments import check_choice, check_integer
from ..lazy import sklearn
from ..leastsquares import ENTRIES, blocks, squared_error
from ..progress import progress
from ..solvers.scale import power_of_four
from ..validation import as_array, check_estimator, check_matrix, peak, streamed

#: What arguments take: names, how objects are written, and their base class.
Choices = dict[str, tuple[dict[str | None, Any], str, Any]]
BY_SEED = ("random", "nmf")  # starts that differ from seed to seed


@contextmanager
def all_or_nothing(estimator: BaseEstimator) -> Iterator[None]:
    """Leave an estimator as it was when a fit fails or is interrupted."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def codes_of(model: BaseEstimator, X: Any) -> np.ndarray:
    """The codes of X by a fitted model, as an array, whatever container `set_output` asks for."""
    return np.asarray(model.transform(X))


class PartsModel(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What NMF and SAE share as scikit-learn transformers."""

    _takes: Choices
    #: The argument that says what the parts may be.
    _parts: str
    #: The arguments in which models that are fitted together may differ.
    _varied: tuple[str, ...] = ("random_state",)

    def fit_transform(self, X, y=None):
        """Fit, then return the codes of the same data: the same as ``fit(X).transform(X)``."""
        return self.fit(X).transform(X)

    def score(self, X, y=None) -> float:
        r"""The share of variance explained, 1 − ‖D − D̂‖² / ‖D − 1μᵀ‖², μ the means of X's features.

        Both sums run over all samples in double precision: 0 is what the means themselves get, 1
        is perfect. Of constant data nothing can be explained: 1 if it is met exactly, else −∞.

        Examples
        --------
        >>> import numpy as np
        >>> from partsrep import NMF
        >>> D = np.outer([1.0, 2.0, 3.0], [1.0, 2.0])
        >>> round(NMF(1).fit(D).score(D), 6)
        1.0
        """
        error = unit = 0.0
        origin, seen = None, sklearn.preprocessing.StandardScaler()
        for block in _blocks_of_samples(X):
            D_hat = self.inverse_transform(codes_of(self, block))
            D = np.asarray(block.toarray() if sp.issparse(block) else block, dtype=np.float64)
            # In units of the first numbers squares neither overflow nor vanish.
            unit = unit or power_of_four(max(peak(D), peak(D_hat)))
            D, D_hat = D / unit, D_hat / unit
            error += squared_error(D, D_hat)
            # Seen from the first sample, constant features are exactly 0.
            origin = D[0] if origin is None else origin
            seen.partial_fit(D - origin)
        spread = float(seen.var_.sum() * seen.n_samples_seen_)
        if spread == 0:
            return 1.0 if error == 0 else -np.inf
        return 1 - error / spread

    def check(self) -> None:
        """Raise a ValueError if the solver cannot take a choice that the arguments name."""
        problem = self.problem  # first, since it says what is no choice at all
        self._solver.check(problem)

    def _chosen(self, argument: str) -> Any:
        """The choice that an argument names."""
        return check_choice(argument, getattr(self, argument), *self._takes[argument])

    def _penalties(self) -> list[Any]:
        """Those given as `penalty`: none, one or a list of them."""
        given = [] if self.penalty is None else self.penalty
        given = list(given) if isinstance(given, list | tuple) else [given]
        return [check_choice("penalty", each, *self._takes["penalty"]) for each in given]

    @property
    def _nonnegative(self) -> bool:
        """Whether the parts are; not as long as nothing says what they may be."""
        try:
            return self._chosen(self._parts).nonnegative
        except ValueError:
            return False

    @classmethod
    def _together(cls, models: list) -> bool:
        """Whether models can be fitted at once: they differ in what may vary alone."""
        first, *others = (model.get_params(deep=False) for model in models)
        return all(
            value is first[name] or (name != "start" and value == first[name])
            for other in others
            for name, value in other.items()
            if name not in cls._varied
        )

    def _check_codes(self, H, dtype: Any = (np.float64, np.float32), **accepted) -> Any:
        """Codes (n, m), any sign, of any container, as numbers of floating point."""
        H = check_matrix(H, "codes X", dtype, **accepted)
        if H.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {H.shape[1]} columns, but there are {self.n_components_} parts: "
                "inverse_transform takes codes (n, m) such as transform returns."
            )
        return H

    def __sklearn_clone__(self):
        """A clone keeps a fitted `start` fitted: it is where to begin, not a recipe to refit."""
        copies = {
            name: value if name == "start" else clone(value, safe=False)
            for name, value in self.get_params(deep=False).items()
        }
        copy = type(self)(**copies)
        for attribute in ("_metadata_request", "_sklearn_output_config"):
            if hasattr(self, attribute):
                setattr(copy, attribute, getattr(self, attribute))
        return copy

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self._nonnegative
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def n_components_(self) -> int:
        """The number of parts that the model has."""
        return len(self.components_)

    _n_features_out = n_components_  # scikit-learn's name

    def _n_parts(self, D) -> int:
        """The number of parts asked for: if "auto" that of the start, else as many as features."""
        if isinstance(self.n_components, str):
            check_choice("n_components", self.n_components, ("auto", None), "integer")
            if isinstance(self.start, tuple):
                return (1, *np.shape(self.start[1]))[-1]
            if self.start is not None:
                return len(self.start.components_)
        elif self.n_components is not None:
            return check_integer("n_components", self.n_components)
        return D.shape[1]

    def _check_start(self) -> None:
        if self.start is None:
            return
        if isinstance(self.start, tuple):
            if len(self.start) != 2:
                raise ValueError(f"start must hold two arrays; got {len(self.start)}.")
        elif not hasattr(self.start, "components_"):
            raise NotFittedError(
                "start must be fitted, or a tuple of two arrays: call fit on it, or see the "
                f"docstring. It is {self.start!r}."
            )
        if self.n_init != 1:
            raise ValueError(
                f"n_init={self.n_init} asks for several random starts, but start is given: "
                "leave out one of the two."
            )


def _blocks_of_samples(X: Any) -> Iterator[Any]:
    """The samples of any container that the estimators take, a few at a time."""
    if not streamed(X) and not hasattr(X, "columns"):
        X = X.tocsr() if sp.issparse(X) else np.atleast_1d(as_array(X))
    size = max(ENTRIES // max(X.shape[-1], 1), 1)
    read = X.iloc if hasattr(X, "iloc") else X
    for rows in blocks(max(X.shape[0], 1), size):
        yield read[rows]


def as_seeds(seeds: int | Iterable[int], least: int = 1) -> list[int]:
    """Seeds that were given one by one, or as their number; at least so many."""
    if isinstance(seeds, Integral):
        check_integer("seeds", seeds, least)
        return list(range(seeds))
    seeds = list(seeds) if isinstance(seeds, Iterable) and not isinstance(seeds, str) else [seeds]
    for seed in seeds:
        check_integer("each of seeds", seed, 0)
    return seeds


def restarts(
    estimator: BaseEstimator, D, seeds: int | Iterable[int], *, client: Any = None
) -> list[BaseEstimator]:
    """Fit clones of an estimator from random starts, one for each seed in order (:func:`fit_all`).

    Parameters
    ----------
    estimator : NMF or SAE
        An NMF begins at random unless it has a `start`: from the same deterministic start
        all seeds would agree, and the agreement would say nothing. Any other estimator of
        scikit-learn's with a `random_state` will do; its `init`, if it has one, becomes "random".
    D : array-like (n, d)
        The data.
    seeds : int or iterable of int
        Each becomes a `random_state`; a number of seeds stands for 0, 1, 2 and so on.
    client : None or distributed.Client
        Fit on its workers, as in :func:`fit_all`.

    Raises
    ------
    ValueError
        Seeds that are no integers ≥ 0, an estimator without `random_state`, or what the estimator
        says of bad data and settings.
    TypeError
        What is no estimator.

    Examples
    --------
    >>> from partsrep import NMF, datasets
    >>> D = datasets.load("digits").D[:100]
    >>> len(restarts(NMF(n_components=4), D, seeds=3))
    3
    """
    seeds, recipe = as_seeds(seeds), clone(check_estimator("estimator", estimator))
    if "random_state" not in recipe.get_params():
        raise ValueError(f"{estimator!r} has no random_state: each seed would give the same fit.")
    begun = recipe.get_params().get("init", "random") in BY_SEED
    if not begun and getattr(recipe, "start", None) is None:
        recipe.set_params(init="random")
    seeded = [clone(recipe).set_params(random_state=seed) for seed in seeds]
    return fit_all(seeded, D, client=client)


def fit_all(estimators: Iterable[BaseEstimator], D, *, client: Any = None) -> list[BaseEstimator]:
    """Fit estimators on the same data, as one stack where they can, and return them.

    Autoencoders can if they differ only in `random_state`, in the k of TopK or BatchTopK and in the
    weights of penalties: one fit then serves a whole grid. NMFs can if they differ only in
    `random_state`, their parts and codes are just nonnegative and nothing has a penalty. The others
    are fitted one after the other. Each comes out as it would alone, up to rounding.

    Parameters
    ----------
    estimators : iterable of NMF or SAE
    D : array-like (n, d)
        The data.
    client : None or distributed.Client
        Fit each estimator by itself on one of its workers, to which the data are sent once. What
        comes back are fitted copies, the same to the bit however many workers there are. An
        interruption cancels what is not done.

    Examples
    --------
    >>> from partsrep import SAE, TopK, datasets
    >>> D = datasets.load("digits").D[:100]
    >>> grid = [SAE(8, activation=TopK(k), max_epochs=5, random_state=0) for k in (1, 2, 4)]
    >>> [int((sae.transform(D) > 0).sum(axis=1).max()) for sae in fit_all(grid, D)]
    [1, 2, 4]
    """
    if not isinstance(estimators, Iterable):
        raise TypeError(f"estimators must be a list of them; got {estimators!r}.")
    estimators = [check_estimator("each of estimators", estimator) for estimator in estimators]
    if client is not None:
        return _on_workers(client, estimators, D)
    kinds = {type(estimator) for estimator in estimators}
    kind = kinds.pop() if len(kinds) == 1 else None
    stacks = hasattr(kind, "_together") and hasattr(kind, "_fit")
    if len(estimators) > 1 and stacks and kind._together(estimators):
        kind._fit(estimators, D)
        return estimators
    return [estimator.fit(D) for estimator in progress(estimators, "fits")]


def _on_workers(client: Any, estimators: list[BaseEstimator], D) -> list[BaseEstimator]:
    # Named by their content, these would be those of a call before, which may be on their way out.
    [data] = client.scatter([D], broadcast=True, hash=False)
    fits = client.map(_fitted, estimators, D=data, pure=False)
    try:
        return [fit.result() for fit in progress(fits, "fits")]
    finally:
        client.cancel(fits)


def _fitted(estimator: BaseEstimator, D) -> BaseEstimator:
    return estimator.fit(D)
