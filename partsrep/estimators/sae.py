"""SAE: the front door to sparse autoencoders."""

import warnings
from dataclasses import replace

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .. import alternating, starts
from ..codes import ACTIVATIONS, ReLU, TopK
from ..gradient import Autoencoder, train
from ..inference import ENCODERS, exact_nnls, linear_encoder
from ..objective import Objective
from ..parts import DECODERS
from ..problem import Problem, squared_error
from ..progress import progress
from ..validation import check_choice, check_data, check_factor, check_integer, check_number
from .base import PartsModel


class SAE(PartsModel):
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
