"""The two front doors, NMF and SAE: each turns its arguments into a Problem and solves it."""

import warnings
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from . import alternating, starts
from .codes import ACTIVATIONS, ReLU, TopK
from .gradient import Autoencoder, train
from .inference import ENCODERS, exact_nnls, linear_encoder
from .objective import Objective
from .parts import DECODERS, Parts
from .problem import Problem, factorization_loss, kkt_residual, squared_error
from .progress import progress
from .validation import check_choice, check_data, check_factor, check_integer, check_number


class _PartsModel(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What NMF and SAE share as scikit-learn transformers."""

    def fit_transform(self, X, y=None):
        """Fit, then return the codes of the same data: the same as ``fit(X).transform(X)``."""
        return self.fit(X).transform(X)

    def __sklearn_clone__(self):
        """A clone keeps a fitted `start` fitted: it is where to begin, not a recipe to refit."""
        copies = {
            name: value if name == "start" else clone(value, safe=False)
            for name, value in self.get_params(deep=False).items()
        }
        twin = type(self)(**copies)
        for attribute in ("_metadata_request", "_sklearn_output_config"):
            if hasattr(self, attribute):
                setattr(twin, attribute, getattr(self, attribute))
        return twin

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self._nonnegative()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _n_parts(self, D) -> int:
        """The number of parts asked for: that of the start, or as many as features, if "auto"."""
        if isinstance(self.n_components, str):
            check_choice("n_components", self.n_components, ("auto",))
            if self.start is None:
                return D.shape[1]
            start = self.start[1].T if isinstance(self.start, tuple) else self.start.components_
            return len(start)
        check_integer("n_components", self.n_components)
        return int(self.n_components)

    def _check_start(self) -> None:
        if self.start is None:
            return
        if isinstance(self.start, tuple):
            if len(self.start) != 2:
                raise ValueError(f"start must hold two arrays; got {len(self.start)}.")
        else:
            check_is_fitted(self.start, "components_", msg="start must be fitted: call fit on it.")
        if self.n_init != 1:
            raise ValueError(
                f"n_init={self.n_init} asks for several random starts, but start is given: "
                "leave out one of the two."
            )


class NMF(_PartsModel):
    r"""Nonnegative matrix factorization, :math:`\min_{H, X \ge 0} \|D - H X^T\|_F^2`, by HALS.

    Parameters
    ----------
    n_components : int or "auto"
        Number of parts m; "auto" takes that of `start`, else d.
    init : None, "random" or "nndsvda"
        None is "nndsvda" where m ≤ min(n, d) and `n_init` is 1, else "random".
    tol : float ≥ 0
        Stop when the scale-free KKT residual is at most this.
    max_iter : int
        Most iterations.
    random_state : int, RandomState or None
    n_init : int
        The best of so many random starts is kept.
    start : None, a fitted model or (H, X)
        Where to begin: the parts of a fitted model, with their best codes, or (H, X) of shapes
        (n, m) and (d, m). A clone keeps it.

    Attributes
    ----------
    components_ : ndarray (m, d)
        Xᵀ: the parts as rows.
    loss_ : float
        ‖D − HXᵀ‖²_F with the best H for the parts.
    reconstruction_err_ : float
        Its root.
    n_iter_ : int
    kkt_residual_ : float
        Distance from stationarity (:func:`partsrep.problem.kkt_residual`).
    history_ : dict of arrays over iterations
        "objective", "residual", "seconds".
    problem_ : Problem

    Raises
    ------
    ValueError
        NaN, infinity, negative, empty or non-numeric data; unknown or impossible settings.

    Notes
    -----
    More parts than samples or features are allowed, and then agreement says little. A sample of
    zeros gets codes of zero; a feature of zeros is zero in every part; all-zero data is fitted
    exactly by zero. The number of an iteration is one round of sweeps over codes and parts.

    References
    ----------
    Lee, Seung (1999), "Learning the parts of objects by non-negative matrix factorization";
    Cichocki, Phan (2009), "Fast local algorithms for large scale nonnegative matrix and tensor
    factorizations".

    Examples
    --------
    >>> import numpy as np
    >>> D = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [1.0, 3.0, 2.0]])
    >>> nmf = NMF(n_components=2, random_state=0).fit(D)
    >>> nmf.loss_ < 1e-6, nmf.transform(D).shape
    (True, (3, 2))
    """

    def __init__(
        self,
        n_components="auto",
        *,
        init=None,
        tol=1e-4,
        max_iter=1000,
        random_state=None,
        n_init=1,
        start=None,
    ):
        self.n_components = n_components
        self.init = init
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.n_init = n_init
        self.start = start

    def fit(self, X, y=None):
        """Factorize X, array or sparse matrix (n, d) ≥ 0."""
        D = check_data(self, X, reset=True, nonnegative=True, sparse=True)
        check_choice("init", self.init, (None, *starts.STARTS))
        check_number("tol", self.tol)
        check_integer("max_iter", self.max_iter)
        check_integer("n_init", self.n_init)
        self._check_start()
        rng = check_random_state(self.random_state)
        m = self._n_parts(D)

        best = None
        for _ in progress(range(self.n_init), "NMF starts"):
            P, history = alternating.hals(
                D, *self._start(D, m, rng), tol=self.tol, max_iter=self.max_iter
            )
            if best is None or history["objective"][-1] < best[1]["objective"][-1]:
                best = P, history
        self.components_, self.history_ = best
        self.problem_ = Problem(parts=Parts(nonnegative=True))
        self.n_iter_ = len(self.history_["objective"])
        H = exact_nnls(D, self.components_)
        self.loss_ = factorization_loss(D, H, self.components_)
        self.reconstruction_err_ = float(np.sqrt(self.loss_))
        self.kkt_residual_ = kkt_residual(D, H, self.components_)
        if self.history_["residual"][-1] > self.tol:
            warnings.warn(
                f"NMF stopped after max_iter={self.max_iter} iterations at a KKT residual of "
                f"{self.kkt_residual_:.1e}, above tol={self.tol:g}: raise max_iter or tol.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def transform(self, X):
        """Best codes H (n, m) ≥ 0 of X (n, d) for the fitted parts, sample by sample."""
        check_is_fitted(self)
        D = check_data(self, X, reset=False, nonnegative=True, sparse=True)
        return exact_nnls(D, self.components_.astype(D.dtype, copy=False))

    def inverse_transform(self, X):
        """The reconstruction H Xᵀ (n, d) of codes (n, m)."""
        check_is_fitted(self)
        return np.asarray(X) @ self.components_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _nonnegative(self) -> bool:
        return True

    def _start(self, D, m: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        if self.start is None:
            one_from_svd = m <= min(D.shape) and self.n_init == 1
            if self.init == "nndsvda" and not one_from_svd:
                raise ValueError(
                    'init="nndsvda" is one start with at most min(n_samples, n_features) = '
                    f"{min(D.shape)} parts; for n_components={m} and n_init={self.n_init} use "
                    'init="random".'
                )
            init = self.init or ("nndsvda" if one_from_svd else "random")
            return starts.STARTS[init](D, m, rng)
        if isinstance(self.start, tuple):
            H = check_factor(self.start[0], "H", (D.shape[0], m), D.dtype)
            X = check_factor(self.start[1], "X", (D.shape[1], m), D.dtype)
            H, components = np.maximum(H, 0), np.maximum(X.T, 0)
        else:
            X = check_factor(self.start.components_.T, "X", (D.shape[1], m), D.dtype)
            components = np.maximum(X.T, 0)
            H = exact_nnls(D, components)
        return starts.rescaled(D, H, components)


class SAE(_PartsModel):
    r"""Sparse autoencoder, H = f(D Uᵀ + b), D̂ = H Xᵀ + 1cᵀ.

    Minimises :math:`\frac1n \sum_i \|d_i - \hat d_i\|^2 + \text{penalties}` over U, X, b, c.

    Parameters
    ----------
    n_components : int or "auto"
        Number of units m; "auto" takes that of `start`, else d.
    activation : "relu" or one of ``ReLU() JumpReLU(threshold) TopK(k)``
        The function f that turns pre-activations into codes.
    decoder : "free", "unit", "nonnegative" or "unit-nonnegative"
        What the parts may be.
    encoder : "linear" or "tied"
        Weights of its own, or U = Xᵀ.
    bias : False, "encoder" or "both"
        Nothing, b, or b and c; with nonnegative parts c ≥ 0 too.
    penalty : None, ``L1(weight)``, ``KL(weight, target)`` or a list of these
    solver : "auto", "adam" or "alternating"
        "alternating" (least squares in turn) solves the untied ReLU layer without penalties
        or c. "auto" begins with that solution where U is untied (not for TopK with k < m/4) and
        goes on with Adam.
    start : None, a fitted model or (U, X) of shapes (m, d) and (d, m)
        A clone keeps it.
    learning_rate : float > 0 or None
        Adam's first step, relative to the root mean square of each weight array. None: 0.003
        from a solution, 0.03 from random weights and for TopK from a solution with other codes.
    max_epochs : int
        Most epochs of Adam (rounds, for "alternating").
    batch_size : int
        Samples a step.
    tol : float ≥ 0
        Least relative gain that counts as progress (see :func:`partsrep.gradient.train` for
        the stopping rule).
    random_state : int, RandomState or None
    n_init : int
        The best of so many starts is kept.

    Attributes
    ----------
    components_ : ndarray (m, d)
        Xᵀ: the parts as rows.
    encoder_ : ndarray (m, d)
        The encoder U.
    bias_ : ndarray (m,) or None
        The encoder bias b.
    decoder_bias_ : ndarray (d,) or None
        The decoder bias c.
    loss_ : float
        ‖D − D̂‖²_F on the training data, without penalties.
    history_ : dict of arrays
        "objective" (mean over samples, penalties included), "seconds", and from Adam
        "alive" and "step".
    n_iter_ : int
        Epochs or rounds of the last solver.
    module_ : torch.nn.Module
    problem_ : Problem

    Raises
    ------
    ValueError
        NaN, infinity, empty, sparse or non-numeric data, negative data for nonnegative parts;
        unknown or impossible settings.

    Notes
    -----
    Data of float32 is trained in float32, everything else in float64. A sample of zeros without
    biases has zero codes. More parts than samples or features are allowed.

    Examples
    --------
    >>> import numpy as np
    >>> D = np.kron(np.eye(2), np.ones((5, 3)))
    >>> sae = SAE(n_components=2, decoder="nonnegative", random_state=0).fit(D)
    >>> sae.loss_ < 1e-3, sae.transform(D).shape
    (True, (10, 2))
    """

    def __init__(
        self,
        n_components="auto",
        *,
        activation="relu",
        decoder="free",
        encoder="linear",
        bias=False,
        penalty=None,
        solver="auto",
        start=None,
        learning_rate=None,
        max_epochs=1000,
        batch_size=256,
        tol=1e-4,
        random_state=None,
        n_init=1,
    ):
        self.n_components = n_components
        self.activation = activation
        self.decoder = decoder
        self.encoder = encoder
        self.bias = bias
        self.penalty = penalty
        self.solver = solver
        self.start = start
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.tol = tol
        self.random_state = random_state
        self.n_init = n_init

    def fit(self, X, y=None):
        """Train on X, array (n, d)."""
        problem = self._problem()
        D = check_data(self, X, reset=True, nonnegative=problem.parts.nonnegative)
        if self.learning_rate is not None:
            check_number("learning_rate", self.learning_rate, above=True)
        check_number("tol", self.tol)
        for name in ("max_epochs", "batch_size", "n_init"):
            check_integer(name, getattr(self, name))
        self._check_start()
        rng = check_random_state(self.random_state)
        m = self._n_parts(D)
        problem.codes.check(m)

        best = None
        for _ in progress(range(self.n_init), "SAE starts"):
            module, history = self._solve(D, m, problem, rng)
            value = history["objective"].min()
            if best is None or value < best[0]:
                best = value, module, history
        _, self.module_, self.history_ = best
        self.problem_ = problem
        self.n_iter_ = len(self.history_["objective"])
        self.components_ = _array(self.module_.components)
        self.encoder_ = _array(self.module_.U)
        self.bias_ = _array(self.module_.bias)
        self.decoder_bias_ = _array(self.module_.offset)
        H = self._encode(D)
        self.loss_ = squared_error(D, self.inverse_transform(H))
        if not H.any() and D.any():
            warnings.warn(
                "No unit of the SAE is ever active: the threshold or the penalty is too large for "
                "the scale of the data.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def transform(self, X):
        """Codes H (n, m) of X (n, d); the codes of one sample depend on no other."""
        check_is_fitted(self)
        nonnegative = self.problem_.parts.nonnegative
        return self._encode(check_data(self, X, reset=False, nonnegative=nonnegative))

    def inverse_transform(self, X):
        """The reconstruction H Xᵀ + 1cᵀ (n, d) of codes (n, m)."""
        check_is_fitted(self)
        D_hat = np.asarray(X) @ self.components_
        return D_hat if self.decoder_bias_ is None else D_hat + self.decoder_bias_

    def _nonnegative(self) -> bool:
        return "nonnegative" in str(self.decoder)

    def _encode(self, D: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            codes = self.module_.encode(torch.as_tensor(D, dtype=self.module_.components.dtype))
        return codes.numpy().astype(D.dtype, copy=False)

    def _problem(self) -> Problem:
        """The four choices that the arguments name."""
        check_choice("decoder", self.decoder, DECODERS)
        check_choice("encoder", self.encoder, ENCODERS)
        check_choice("bias", self.bias, (False, "encoder", "both"))
        check_choice("solver", self.solver, ("auto", "adam", "alternating"))
        codes = self.activation
        if isinstance(codes, str):
            check_choice("activation", codes, ACTIVATIONS)
            codes = ACTIVATIONS[codes]
        penalty = self.penalty
        penalties = () if penalty is None else penalty
        penalties = tuple(penalties) if isinstance(penalties, list | tuple) else (penalties,)
        for name, choice in (("activation", codes), *(("penalty", p) for p in penalties)):
            if not callable(choice) or isinstance(choice, type):
                raise ValueError(f"{name}={choice!r} must be an object such as TopK(5) or L1(0.1).")
        problem = Problem(
            parts=replace(DECODERS[self.decoder], offset=self.bias == "both"),
            codes=codes,
            inference=replace(ENCODERS[self.encoder], bias=bool(self.bias)),
            objective=Objective(penalties),
        )
        if self.solver == "alternating" and not alternating.solves(problem):
            raise ValueError(
                'solver="alternating" needs a ReLU layer with an encoder of its own and neither '
                'penalties nor a decoder bias; use solver="auto" or "adam".'
            )
        return problem

    def _solve(
        self, D: np.ndarray, m: int, problem: Problem, rng: np.random.RandomState
    ) -> tuple[Autoencoder, dict[str, np.ndarray]]:
        """One start, solved."""
        weights, refined, history = self._begin(D, m, problem, rng)
        module = Autoencoder(problem, *(None if w is None else torch.tensor(w) for w in weights))
        if self.solver == "alternating":
            return module, history
        tensor = torch.as_tensor(D)
        if self.start is None and history is None:
            module.scale_to(tensor)
        module.make_kl_finite(tensor)
        default = 0.003 if refined else 0.03
        return module, train(
            module,
            tensor,
            learning_rate=default if self.learning_rate is None else self.learning_rate,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            tol=self.tol,
            rng=rng,
        )

    def _begin(self, D: np.ndarray, m: int, problem: Problem, rng: np.random.RandomState):
        """Weights (components, U, b, c) to begin from, whether they only need refinement, and the
        history of the solver that found them."""
        if isinstance(self.start, tuple):
            U = check_factor(self.start[0], "U", (m, D.shape[1]), D.dtype)
            X = check_factor(self.start[1], "X", (D.shape[1], m), D.dtype)
            begin, refined = (X.T.copy(), U, None, None), True
        elif self.start is not None:
            begin = self._from_fitted(D, m, problem)
            refined = _same_basin(getattr(self.start, "problem_", Problem()), problem)
        else:
            components = starts.samples(D, m, rng)
            begin, refined = (components, components.copy(), None, None), False

        by_turns = self.solver == "alternating" or (self.solver == "auto" and self.start is None)
        kindred = _relaxed(problem, m)
        if not by_turns or not alternating.solves(kindred):
            return begin, refined, None
        P, U, b, history = alternating.alternating_autoencoder(
            D, begin[0], kindred, tol=self.tol, max_rounds=min(self.max_epochs, 300)
        )
        return (P, U, b, None), _same_basin(kindred, problem), history

    def _from_fitted(self, D: np.ndarray, m: int, problem: Problem):
        """The parts of a fitted model, with its encoder or the one nearest to its codes."""
        start = self.start
        X = check_factor(start.components_.T, "X", (D.shape[1], m), D.dtype)
        components = problem.parts.project(X.T.copy())
        if hasattr(start, "encoder_"):
            given = (start.encoder_, start.bias_, start.decoder_bias_)
            return components, *(None if g is None else g.astype(D.dtype) for g in given)
        U, b = linear_encoder(D, problem.inference.bias)(exact_nnls(D, components).T)
        return components, U, b, None


def restarts(estimator: BaseEstimator, D, seeds: Iterable[int]) -> list[BaseEstimator]:
    """Fit clones of an estimator from random starts, one for each seed.

    Parameters
    ----------
    estimator : NMF or SAE
        An NMF begins at random unless it has a `start`: from the same deterministic start
        all seeds would agree, and the agreement would say nothing.
    D : array-like (n, d)
        The data.
    seeds : iterable of int
        Each becomes a `random_state`.

    Returns
    -------
    list of fitted estimators, in the order of the seeds.

    Examples
    --------
    >>> from partsrep import datasets
    >>> D = datasets.load("digits").D[:100]
    >>> len(restarts(NMF(n_components=4), D, seeds=range(3)))
    3
    """

    def begun_at(seed: int) -> BaseEstimator:
        fresh = clone(estimator).set_params(random_state=seed)
        if "init" in fresh.get_params() and fresh.start is None:
            fresh.set_params(init="random")
        return fresh

    return [begun_at(seed).fit(D) for seed in progress(list(seeds), "restarts")]


def _relaxed(problem: Problem, m: int) -> Problem:
    """The problem with ReLU and without offset and penalties, whose solution is a good start.

    Where TopK allows fewer than a quarter of the units, it is too far away, and the codes stay.
    """
    sparse = isinstance(problem.codes, TopK) and 4 * problem.codes.k < m
    return replace(
        problem,
        parts=replace(problem.parts, offset=False),
        codes=problem.codes if sparse else ReLU(),
        objective=Objective(),
    )


def _same_basin(solved: Problem, problem: Problem) -> bool:
    """Whether small steps from the solution of one problem lead to that of the other: selecting
    other codes than before does not."""
    return solved.codes == problem.codes or not isinstance(problem.codes, TopK)


def _array(weights: torch.Tensor | None) -> np.ndarray | None:
    return None if weights is None else weights.detach().numpy().copy()
