"""SAE: the front door to sparse autoencoders."""

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass, replace

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .. import alternating, gradient, lbfgs, online, starts
from ..autoencoder import Autoencoder, stacked
from ..codes import (
    ACTIVATIONS,
    BatchTopK,
    FeatureChoice,
    Gaussian,
    JumpReLU,
    Logistic,
    ReLU,
    TopK,
)
from ..descent import in_memory
from ..inference import ENCODERS, Layer, Pursuit, blocks, exact_nnls, linear_encoder
from ..objective import L0, Objective, PriorKL
from ..parts import DECODERS, Cone, Hull, Parts
from ..problem import Problem, data_norm
from ..progress import Interrupted, progress
from ..validation import (
    as_array,
    check_choice,
    check_data,
    check_device,
    check_factor,
    check_integer,
    check_kind,
    check_matrix,
    check_number,
    check_weights,
    extremes,
)
from .base import PartsModel, alike, all_or_nothing
from .nmf import NMF

# Autoencoders that train as one stack have at most so many weights and codes of a batch together.
STACK = 2**23
# "auto" finds out on so many samples which of so many starts leads farthest: by least squares in
# turn and, where codes are selected, by so many epochs.
ENOUGH, STARTS, TRIAL = 8192, 6, 120
# Most rounds of least squares in turn.
ROUNDS = 300
# Epochs over which the objective has to fall by less than a part `tol`, or training ended too soon.
RECENT = 10
# Codes that depend on a batch until their thresholds are frozen.
SELECTIONS = (BatchTopK, FeatureChoice)
# What an argument takes: names, how objects are written, and whether an object is one of its kind.
# Activations and penalties may be home-made.
CHOICES = {
    "activation": (
        ACTIVATIONS,
        "ReLU() JumpReLU(threshold) TopK(k) BatchTopK(k) MutualChoice(k) FeatureChoice(k) "
        "Logistic() Gaussian()",
        lambda value: callable(value) and hasattr(value, "check") and hasattr(value, "homogeneous"),
    ),
    "decoder": (
        DECODERS,
        "Hull() Cone()",
        lambda value: isinstance(value, Parts | Hull | Cone),
    ),
    "encoder": (
        ENCODERS,
        "Unrolled(steps) Pursuit(k) Layer(tied,bias,steps)",
        lambda value: isinstance(value, Layer | Pursuit),
    ),
}
PENALTIES = (
    {},
    "L1(weight) L0(weight) KL(weight) Hoyer(weight) Decay(negative) AuxK() PriorKL(weight)",
    # An activation can be called too; a price of an NMF's factor has a system.
    lambda value: (
        is_dataclass(value)
        and callable(value)
        and not (hasattr(value, "check") or hasattr(value, "system"))
    ),
)


class SAE(PartsModel):
    r"""Sparse autoencoder, H = f(D Uᵀ + b), D̂ = link(H Xᵀ + 1cᵀ).

    Minimises :math:`\frac1n \sum_i \|d_i - \hat d_i\|^2 + \text{penalties}` over U, X, b, c.

    Parameters
    ----------
    n_components : int or "auto"
        Number of units m; "auto" takes that of `start`, else d.
    activation : "relu", "logistic" or an object
        The function f that turns pre-activations into codes: ``ReLU() JumpReLU(threshold) TopK(k)
        BatchTopK(k) FeatureChoice(k) Logistic() Gaussian()``.
    decoder : "free", "unit", "nonnegative", "unit-nonnegative" or an object
        What the parts may be; ``Hull()`` and ``Cone()`` make them of samples.
    encoder : "linear", "tied", "nonnegative" or an object
        Weights of its own, or U = Xᵀ, or U ≥ 0; ``Unrolled(steps)``, ``Pursuit(k)``.
    bias : False, "encoder" or "both"
        Nothing, b, or b and c; with nonnegative parts c ≥ 0 too.
    output : "linear" or "logistic"
        The link.
    loss : "squared" or "bernoulli"
        The misfit; "bernoulli" (cross-entropy) needs data in [0, 1] and logistic output.
    penalty : None, an object or a list of them
        ``L1 L0 KL Hoyer Decay AuxK PriorKL``.
    solver : "auto", "adam", "lbfgs", "alternating", "online" or ``Online(mean=0.1)``
        "alternating" (least squares in turn) solves untied layers without penalties or c. "auto"
        begins with the best of a few such solutions where U is untied, or if codes are selected
        with the best of these, NMFs and thinned samples after some epochs, and goes on with Adam.
        "lbfgs" takes all samples at once. "online" is NNSAE's own rule.
    start : None, a fitted model or (U, X) of shapes (m, d) and (d, m)
        Of an SAE all that it has learned; a selection freezes its thresholds anew. A clone keeps
        it.
    learning_rate : float > 0 or None
        Adam's first step, relative to the root mean square of each weight array. None: 0.003
        from a solution, 0.03 from random weights, where codes are selected and with penalties.
        Of "online" the rate itself; None: 0.01.
    max_epochs : int
        Most epochs of Adam (rounds, iterations).
    batch_size : int
        Samples a step.
    tol : float ≥ 0
        Least relative gain that counts as progress (see :func:`partsrep.gradient.train` for
        the stopping rule).
    random_state : int, RandomState or None
    n_init : int
        The best of so many starts is kept. They train together, as one stack.
    device : None, str or torch.device
        Where Adam and L-BFGS train; None: the CPU. The fitted model is back on the CPU.
    dtype : None, "float32" or "float64"
        What to train in; None: that of the data, see below.

    Attributes
    ----------
    components_ : ndarray (m, d)
        Xᵀ: the parts as rows.
    encoder_ : ndarray (m, d)
        The encoder U; a pursuit has none.
    bias_ : ndarray (m,) or None
        The encoder bias b.
    decoder_bias_ : ndarray (d,) or None
        The decoder bias c.
    threshold_ : None, float or ndarray (m,)
        What codes have to exceed: learned, or frozen after a selection from batches.
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
        NaN, infinity, empty or non-numeric data, numbers whose squares leave the range of their
        precision, negative data for nonnegative parts, data outside [0, 1] for logistic output,
        what is no array, such as a DataLoader; unknown or impossible settings, a device that is not
        there.
    TypeError
        Sparse data.

    Warns
    -----
    ConvergenceWarning
        Where training ended at `max_epochs` while the objective still fell by more than `tol` in
        ten epochs, or above the objective of codes of zero; where no unit is ever active; where
        the thresholds of a selection cost much. The online rule descends no objective and is not
        judged by the first.

    Notes
    -----
    Training sees the data divided by their root mean square, so that the unit of the data does not
    matter; what comes out, and the weights of penalties, are in the unit of the data.

    Data are an array or what numpy reads as one, a torch tensor, a memory map, or
    :func:`partsrep.datasets.shards`, which stay in their files. Data of float32, float16 or
    bfloat16 is trained in float32, everything else in float64. Codes and reconstructions are in the
    precision of the weights, whatever that of the data. A sample of zeros without biases has zero
    codes. More parts than samples or features are allowed.

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
        output="linear",
        loss="squared",
        penalty=None,
        solver="auto",
        start=None,
        learning_rate=None,
        max_epochs=1000,
        batch_size=256,
        tol=1e-4,
        random_state=None,
        n_init=1,
        device=None,
        dtype=None,
    ):
        self.n_components = n_components
        self.activation = activation
        self.decoder = decoder
        self.encoder = encoder
        self.bias = bias
        self.output = output
        self.loss = loss
        self.penalty = penalty
        self.solver = solver
        self.start = start
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.tol = tol
        self.random_state = random_state
        self.n_init = n_init
        self.device = device
        self.dtype = dtype

    def __sklearn_is_fitted__(self) -> bool:
        """Parts that were put there by hand make no autoencoder: `from_weights` does."""
        return hasattr(self, "module_")

    def fit(self, X, y=None):
        """Train on X, array (n, d) or a memory map, tensor or shards of that shape.

        Shards are for "auto" and "adam", with parts that are not made of samples.

        Ctrl-C during epochs ends them: the model is fitted with the best so far. Before that it is
        left as it was.
        """
        with all_or_nothing(self):
            problem, D, m = self._prepared(X)
            rng = check_random_state(self.random_state)
            rngs = [rng]
            if self.n_init > 1:
                seeds = rng.randint(2**31, size=self.n_init)
                rngs = [np.random.RandomState(seed) for seed in seeds]
            runs, interrupt = self._solve(D, m, [problem] * len(rngs), rngs)
            # The online rule keeps its last epoch, the others keep their best one.
            last = slice(-1, None) if self._solver == "online" else slice(None)
            module, history = min(runs, key=lambda run: run[1]["objective"][last].min())
            self._finished(D, module, history)
        if interrupt is not None:
            raise interrupt
        return self

    @staticmethod
    def _fit_together(models, X):
        """Fit models as one stack; None if they differ in more than seed, k and prices."""
        first, *others = models
        varied = ("random_state", "activation", "penalty")
        if first.n_init > 1 or not all(alike(first, other, varied) for other in others):
            return None
        prepared = [model._prepared(X) for model in models]
        problems, (D, m) = [problem for problem, _, _ in prepared], prepared[0][1:]
        if stacked(problems) is None:
            return None
        rngs = [check_random_state(model.random_state) for model in models]
        runs, interrupt = first._solve(D, m, problems, rngs)
        if interrupt is not None:
            raise interrupt
        return [model._finished(D, *run) for model, run in zip(models, runs, strict=True)]

    def _prepared(self, X) -> tuple[Problem, np.ndarray, int]:
        """The problem, the data and the number of parts, all checked."""
        check_device(self.device)
        problem = self._problem()
        _check_trainable(problem)
        D = self._data(X, problem, reset=True)
        if self.learning_rate is not None:
            check_number("learning_rate", self.learning_rate, above=True)
        check_number("tol", self.tol)
        for name in ("max_epochs", "batch_size", "n_init"):
            check_integer(name, getattr(self, name))
        self._check_start()
        m = self._n_parts(D)
        problem.codes.check(m)
        if problem.objective.link == "logistic":
            low, high = extremes(D)
            if low < 0 or high > 1:
                raise ValueError(
                    'output="logistic" reconstructs in (0, 1), but the data reach from '
                    f'{low:g} to {high:g}: scale them to [0, 1], or choose output="linear".'
                )
        return problem, D, m

    def _finished(self, D: np.ndarray, module: Autoencoder, history: dict) -> "SAE":
        """The fitted model with what was found."""
        module = module.to("cpu")
        some = _tensor(_some(D, np.random.RandomState(0), gradient.ROWS))
        selected, _ = gradient.squared_error(module, some)
        module.freeze(some)
        frozen, _ = gradient.squared_error(module, some)
        self._adopt(module)
        self.history_ = history
        self.n_iter_ = len(self.history_["objective"])
        self.loss_, active = gradient.squared_error(module, D)
        for doubt in self._doubts(D, history["objective"], (frozen - selected) / len(some), active):
            warnings.warn(doubt, ConvergenceWarning, stacklevel=3)
        return self

    def _doubts(
        self, D: np.ndarray, objective: np.ndarray, frozen: float, active: bool
    ) -> Iterator[str]:
        """What speaks against a fit: its objective epoch by epoch, how much the thresholds that
        take a batch's place add to it, and whether any unit is active."""
        problem = self.problem_
        parts = problem.parts
        zero = problem.objective.of_zero_codes(
            D, len(self.components_), parts.offset, parts.nonnegative
        )
        lowest = np.minimum.accumulate(objective)
        reached = (objective[-1] if self._solver == "online" else lowest[-1]) + frozen
        if not active and zero > 0:
            yield (
                "No unit of the SAE is ever active, so that it reconstructs no sample: "
                f"{_why_silent(problem)}."
            )
        elif reached > (1 + max(self.tol, 1e-6)) * zero:
            yield (
                f"The objective, {reached:.3g}, is above that of codes of zero, {zero:.3g}: train "
                "longer (max_epochs), from another start (random_state, n_init, start) or with "
                "another learning_rate; weaker penalties or another activation fit better."
            )
        if frozen > max(0.1 * lowest[-1], 0.01 * zero):
            yield (
                f"The thresholds that {problem.codes!r} has after training raise the mean squared "
                f"error by {frozen:.3g}: it selected among codes that are equal or nearly so, as "
                "those of repeated samples are. TopK has no such threshold."
            )
        epochs = min(self.max_epochs, ROUNDS) if self.solver == "alternating" else self.max_epochs
        recent = min(RECENT, len(lowest) - 1)
        fell = lowest[-1 - recent] - lowest[-1]
        unfinished = self._solver != "online" and len(lowest) >= epochs + (
            self.solver != "alternating"
        )
        rounding = 1e3 * np.finfo(self.components_.dtype).eps * zero
        if unfinished and fell > max(self.tol * abs(lowest[-1]), rounding):
            yield (
                f"Training ended after max_epochs={self.max_epochs} while the objective still "
                f"fell, by {fell / abs(lowest[-1]):.1e} of itself in the last {recent} epochs: "
                f"raise max_epochs, or tol={self.tol:g}."
            )

    def _adopt(self, module: Autoencoder) -> None:
        """The attributes that are a module's weights."""
        self.module_, self.problem_ = module, module.problem
        self.components_ = _array(module.components)
        if not isinstance(module.problem.inference, Pursuit):
            self.encoder_ = _array(module.U)
        self.bias_ = _array(module.bias)
        self.decoder_bias_ = _array(module.offset)
        learned = module.threshold if module.frozen is None else module.frozen
        fixed = getattr(module.problem.codes, "threshold", None)
        self.threshold_ = (
            _array(learned) if learned is not None else fixed if isinstance(fixed, float) else None
        )

    @classmethod
    def from_weights(
        cls,
        encoder,
        decoder,
        bias=None,
        decoder_bias=None,
        activation="relu",
        threshold=None,
    ) -> "SAE":
        """A fitted SAE with weights that were trained elsewhere: D̂ = f(D Uᵀ + b) Xᵀ + c.

        Parameters
        ----------
        encoder : array (m, d)
            U.
        decoder : array (d, m)
            X, the parts as columns.
        bias : None or array (m,)
            b. Where the encoder sees D − c, this is b − U c.
        decoder_bias : None or array (d,)
            c.
        activation : "relu", "logistic", "jumprelu" or an object
            f, as in the class.
        threshold : None, number ≥ 0 or array (m,)
            θ of "jumprelu", whose codes are z where z > θ, else 0; of JumpReLU with a bandwidth;
            or the frozen one of BatchTopK and FeatureChoice, which training freezes anew.

        Returns
        -------
        SAE
            Fitted, in float32 if all arrays are of at most that precision, else in float64; of
            torch's tensors the values count, wherever they are. Nothing is known of its training:
            there is no `loss_`, `history_` and `n_iter_`.

        Raises
        ------
        ValueError
            Shapes that do not fit together, NaN or infinity, numbers that are not real, a threshold
            that is negative, missing or of no use.

        Notes
        -----
        `fit` starts anew from the parameters, as that of a clone does. The thresholds are not among
        them: where "jumprelu" was given, the activation is JumpReLU with their mean. To go on from
        the weights and thresholds, give this model as `start`:
        ``SAE(activation=sae.activation, bias=sae.bias, start=sae)``.

        Examples
        --------
        >>> import numpy as np
        >>> sae = SAE.from_weights(np.eye(2), np.eye(2), None, None, "jumprelu", [1.0, 3.0])
        >>> sae.transform([[2.0, 2.0]])
        array([[2., 0.]])
        """
        names, *kind = CHOICES["activation"]
        check_kind("activation", activation, names | {"jumprelu": None}, *kind)
        jumps = isinstance(activation, str) and activation == "jumprelu"
        given = {"encoder": encoder, "decoder": decoder, "bias": bias, "decoder_bias": decoder_bias}
        given = {
            name: np.asarray(as_array(value, name))
            for name, value in given.items()
            if value is not None or "bias" not in name
        }
        single = all(np.can_cast(value.dtype, np.float32) for value in given.values())
        dtype = np.float32 if single else np.float64
        m, d = check_matrix(given["encoder"], "encoder", dtype).shape
        shapes = {"encoder": (m, d), "decoder": (d, m), "bias": (m,), "decoder_bias": (d,)}
        weights = dict.fromkeys(shapes)
        for name, value in given.items():
            weights[name] = torch.from_numpy(check_weights(value, name, dtype, shapes[name]))

        if threshold is not None:
            threshold = check_weights(threshold, "threshold", dtype, (), (m,))
            if (threshold < 0).any():
                raise ValueError(
                    "threshold must be at least 0. Where there is a ReLU before it, one below 0 is "
                    "the same as 0: give np.maximum(threshold, 0)."
                )
            if jumps:
                activation = JumpReLU(float(threshold.mean()))
            elif not isinstance(activation, SELECTIONS) and not getattr(
                activation, "bandwidth", None
            ):
                raise ValueError(
                    f"activation={activation!r} has no threshold to give: 'jumprelu' has, "
                    "JumpReLU with a bandwidth, BatchTopK and FeatureChoice."
                )
        elif jumps or isinstance(activation, SELECTIONS):
            raise ValueError(
                f"activation={activation!r} needs its threshold, a number or one a unit."
            )

        sae = cls(
            m,
            activation=activation,
            bias="both" if decoder_bias is not None else "encoder" if bias is not None else False,
        )
        solved = sae._problem()
        solved.codes.check(m)
        U, X, b, c = weights.values()
        module = Autoencoder(solved, X.T, U, b, c)
        if threshold is not None and module.threshold is not None:
            module.threshold.data = torch.tensor(threshold).expand(m).clone()
        elif threshold is not None:
            module.frozen = torch.tensor(threshold)
        sae._adopt(module)
        sae.n_features_in_ = d
        return sae

    def transform(self, X):
        """Codes H (n, m) of X (n, d), in the precision of the model, which is that of its weights.

        The codes of one sample depend on no other.
        """
        check_is_fitted(self)
        D = self._data(X, self.problem_, reset=False)
        return self._mapped(self.module_.encode, D, len(self.components_))

    def inverse_transform(self, X):
        """The reconstruction D̂ (n, d) of codes (n, m), in the precision of the model."""
        check_is_fitted(self)
        m, d = self.components_.shape
        H = check_matrix(X, "X", self.components_.dtype)
        if H.shape[1] != m:
            raise ValueError(f"X has {H.shape[1]} codes a sample, but the model has {m} parts.")
        return self._mapped(self.module_.decode, H, d)

    def _mapped(self, function: Callable, rows, width: int) -> np.ndarray:
        """What a function of the module makes of rows, some at a time."""
        mapped = np.empty((len(rows), width), self.components_.dtype)
        with torch.no_grad():
            for some in blocks(len(rows), gradient.ROWS):
                mapped[some] = function(gradient.batch(rows, some, self.module_)).cpu().numpy()
        return mapped

    @property
    def _solver(self) -> str:
        return "online" if isinstance(self.solver, online.Online) else self.solver

    @property
    def _batch(self) -> int:
        return int(self.batch_size)

    def _nonnegative(self) -> bool:
        parts = DECODERS.get(self.decoder) if isinstance(self.decoder, str) else self.decoder
        return getattr(parts, "nonnegative", False)

    def _data(self, X, problem: Problem, *, reset: bool):
        """X as what is trained on, or in the precision of the model; shards stay in their files."""
        whole = problem.parts.of_samples or self._solver not in ("auto", "adam")
        D = check_data(
            self,
            X,
            reset=reset,
            nonnegative=problem.parts.nonnegative,
            stream=not (reset and whole),
            dtype=self.dtype if reset else self.components_.dtype,
        )
        if problem.objective.fit == "bernoulli":
            low, high = extremes(D)
            if low < 0 or high > 1:
                raise ValueError(
                    f'loss="bernoulli" needs data in [0, 1]; these reach from {low:g} to {high:g}: '
                    "scale them."
                )
        return D

    def _problem(self) -> Problem:
        """The four choices that the arguments name."""
        check_choice("bias", self.bias, (False, "encoder", "both"))
        check_choice("output", self.output, ("linear", "logistic"))
        check_choice("loss", self.loss, ("squared", "bernoulli"))
        if not isinstance(self.solver, online.Online):
            check_choice("solver", self.solver, ("auto", "adam", "lbfgs", "alternating", "online"))
        check_choice("dtype", self.dtype, (None, "float32", "float64"))
        if self.loss == "bernoulli" and self.output != "logistic":
            raise ValueError('loss="bernoulli" needs reconstructions in (0, 1): output="logistic".')
        codes, parts, layer = (
            check_kind(name, getattr(self, name), *kind) for name, kind in CHOICES.items()
        )
        penalties = () if self.penalty is None else self.penalty
        penalties = tuple(penalties) if isinstance(penalties, list | tuple) else (penalties,)
        for penalty in penalties:
            check_kind("penalty", penalty, *PENALTIES)
        if self.bias == "both":
            if parts.of_samples:
                raise ValueError(f'bias="both" does not go with {parts!r}.')
            parts = replace(parts, offset=True)
        if self.bias:
            if isinstance(layer, Pursuit):
                raise ValueError("A pursuit has no encoder bias: set bias=False.")
            layer = replace(layer, bias=True)
        if any(isinstance(p, PriorKL) for p in penalties) and not isinstance(codes, Gaussian):
            raise ValueError(
                f"PriorKL is a price of Gaussian() codes; these are {codes!r}: set "
                "activation=Gaussian(), or take KL or L1."
            )
        learned = isinstance(codes, JumpReLU) and codes.bandwidth is not None
        if any(isinstance(p, L0) for p in penalties) and not learned:
            raise ValueError(
                f"L0 acts through learned thresholds, which {codes!r} has not: give JumpReLU a "
                "bandwidth, or take L1."
            )
        objective = Objective(penalties, fit=self.loss, link=self.output)
        problem = Problem(parts, codes, layer, objective)
        for solver, module, needs in (
            (
                "alternating",
                alternating,
                "ReLU or TopK, an encoder of its own with one step and "
                "neither penalties, a decoder bias nor another output",
            ),
            ("lbfgs", lbfgs, "parts that are free or nonnegative and codes without noise"),
            (
                "online",
                online,
                "logistic codes, a tied encoder with gain and bias, linear output and no penalties",
            ),
        ):
            if self._solver == solver and not module.solves(problem):
                raise ValueError(f'solver="{solver}" needs {needs}; use solver="auto" or "adam".')
        return problem

    def _solve(
        self, D: np.ndarray, m: int, problems: list[Problem], rngs: list[np.random.RandomState]
    ) -> tuple[list[tuple[Autoencoder, dict[str, np.ndarray]]], Interrupted | None]:
        """A solution of each problem from its random state, and what interrupted training.

        What is solved is the same problem for data with a root mean square of 1: so nothing depends
        on the unit of the data.
        """
        data = _root_mean_square(D)
        parts = None if self._solver == "online" else problems[0].unit_of_parts(data)
        units = (1.0, 1.0) if parts is None else (data, parts)
        measured = _measured(D, units[0])
        own = problems if parts is None else [problem.in_units(*units) for problem in problems]
        own = [_bound(problem, measured) for problem in own]
        runs, interrupt = self._solve_measured(measured, m, own, rngs, units)
        for problem, (module, history) in zip(problems, runs, strict=False):
            module.problem = _bound(problem, D)
            module.measure(*units)
            history["objective"] = units[0] ** 2 * history["objective"]
        return runs, interrupt

    def _solve_measured(
        self,
        D: np.ndarray,
        m: int,
        problems: list[Problem],
        rngs: list[np.random.RandomState],
        units: tuple[float, float],
    ) -> tuple[list[tuple[Autoencoder, dict[str, np.ndarray]]], Interrupted | None]:
        """The same for data and parts in given units, those of the data being divided out."""
        begun = [
            self._begin(D, m, problem, rng, units)
            for problem, rng in progress(list(zip(problems, rngs, strict=True)), "SAE starts")
        ]
        if self.solver == "alternating":
            return [
                (Autoencoder(problem, *map(_tensor, weights)), history)
                for problem, (weights, _, history) in zip(problems, begun, strict=True)
            ], None
        held = isinstance(D, np.ndarray) and in_memory(D)
        tensor = torch.as_tensor(D).to(self.device) if held else D
        together = max(1, STACK // (m * (D.shape[1] + self._batch)))
        if self._solver in ("lbfgs", "online") or problems[0].parts.of_samples:
            together = 1
        runs, interrupt = [], None
        for some in blocks(len(rngs), together):
            found, interrupt = self._descend(tensor, problems[some], begun[some], rngs[some], units)
            runs += found
            if interrupt is not None:
                break
        return runs, interrupt

    def _descend(self, D, problems: list[Problem], begun: list, rngs: list, units: tuple):
        """Go on from where some runs begin, together."""
        _, refined, history = begun[0]
        weights = _stacked([weights for weights, _, _ in begun])
        module = Autoencoder(stacked(problems), *map(_tensor, weights)).to(self.device)
        some = gradient.batch(D, slice(gradient.ROWS), module)
        if self.start is None and history is None and self._solver != "online":
            module.scale_to(some)
        given = getattr(self.start, "module_", None)
        if given is not None:
            given = copy.deepcopy(given).to(module.usage)
            given.measure(1 / units[0], 1 / units[1])
            codes = check_kind("activation", self.activation, *CHOICES["activation"])
            module.continue_from(given, same_codes=codes == self.start.problem_.codes)
        if given is None or not gradient.evaluate(module, some).isfinite().all():
            module.make_kl_finite(some)
        interrupt = None
        try:
            history = self._train(module, D, rngs, refined)
        except Interrupted as stop:
            history, interrupt = stop.history, stop
        if len(begun) == 1:
            return [(module, history)], interrupt
        return [
            (
                module.member(i, problem),
                {name: a if a.ndim == 1 else a[:, i] for name, a in history.items()},
            )
            for i, problem in enumerate(problems)
        ], interrupt

    def _train(self, module: Autoencoder, D, rngs: list, refined: bool) -> dict[str, np.ndarray]:
        """Let the solver improve a module, or a stack, in place."""
        if self.solver == "lbfgs":
            return lbfgs.train(module, D, max_epochs=self.max_epochs, tol=self.tol**2)
        if self._solver == "online":
            rate = 0.01 if self.learning_rate is None else self.learning_rate
            rule = None if self.solver == "online" else self.solver
            settings = {"epochs": self.max_epochs, "learning_rate": rate, "rule": rule}
            return online.train(module, D, rng=rngs[0], **settings)
        default = 0.003 if refined else 0.03
        return gradient.train(
            module,
            D,
            learning_rate=default if self.learning_rate is None else self.learning_rate,
            max_epochs=self.max_epochs,
            batch_size=self._batch,
            tol=self.tol,
            rngs=rngs,
        )

    def _begin(
        self,
        D: np.ndarray,
        m: int,
        problem: Problem,
        rng: np.random.RandomState,
        units: tuple[float, float],
    ):
        """Weights (components, U, b, c) to begin from, whether they only need refinement, and the
        history of the solver that found them."""
        if isinstance(self.start, tuple):
            U = check_factor(self.start[0], "U", (m, D.shape[1]), D.dtype)
            X = check_factor(self.start[1], "X", (D.shape[1], m), D.dtype)
            begin, refined = (X.T / units[1], U * units[1], None, None), True
        elif self.start is not None:
            begin = _from_fitted(self.start, D, m, problem, units)
            refined = _same_basin(getattr(self.start, "problem_", Problem()), problem)
        else:
            begin, refined = self._fresh(D, m, problem, rng), False

        by_turns = self.solver == "alternating" or (self.solver == "auto" and self.start is None)
        kindred = problem if self.solver == "alternating" else _relaxed(problem)
        if not by_turns or not alternating.solves(kindred):
            return begin, refined, None
        seen = np.asarray(D[:]) if self.solver == "alternating" else _some(D, rng, ENOUGH)
        found = []
        for _ in range(1 if self.solver == "alternating" else STARTS):
            found.append(
                alternating.alternating_autoencoder(
                    seen, begin[0], kindred, tol=self.tol, max_rounds=min(self.max_epochs, ROUNDS)
                )
            )
            begin = self._fresh(D, m, problem, rng)
        found.sort(key=lambda run: run[3]["objective"].min())
        *weights, history = found[0]
        if not hasattr(problem.codes, "k") or problem.parts.of_samples:
            # With penalties that is the solution of another problem.
            return (*weights, None), not problem.objective.penalties, history
        third = STARTS // 3
        candidates = [(*run[:3], None) for run in found[:third]]
        for _ in range(third):
            nmf = NMF(m, parts=kindred.parts, init="random", random_state=rng, tol=1e-3)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # near is near enough
                candidates.append(_from_fitted(nmf.fit(seen), seen, m, problem))
        candidates += [self._fresh(D, m, problem, rng) for _ in range(third)]
        return self._best_of(candidates, seen, problem, rng), False, history

    def _best_of(self, candidates: list, D: np.ndarray, problem: Problem, rng) -> tuple:
        """The candidate that leads farthest in a few epochs, and how far."""
        m, d = candidates[0][0].shape
        candidates = candidates[: max(1, STACK // (m * (d + self._batch)))]
        module = Autoencoder(problem, *map(_tensor, _stacked(candidates)))
        tensor = torch.as_tensor(D)
        module.scale_to(tensor)
        module.make_kl_finite(tensor)
        gradient.train(
            module,
            tensor,
            learning_rate=0.03,
            max_epochs=min(TRIAL, self.max_epochs),
            batch_size=self._batch,
            tol=self.tol,
            rngs=[np.random.RandomState(rng.randint(2**31)) for _ in candidates],
        )
        best = module.member(int(gradient.evaluate(module, tensor).argmin()), problem)
        weights = best.dictionary, best.encoder, best.bias, best.offset
        return tuple(None if w is None else _array(w) for w in weights)

    def _fresh(self, D: np.ndarray, m: int, problem: Problem, rng: np.random.RandomState):
        """Random weights: of a logistic layer small ones, else thinned samples."""
        if self._solver == "online":
            return online.start(D, m, rng)
        if isinstance(problem.codes, Logistic) or problem.objective.link == "logistic":
            return starts.small(D, m, rng)
        components = starts.samples(D, m, rng)
        return components, components.copy(), None, None


def _from_fitted(
    start, D: np.ndarray, m: int, problem: Problem, units: tuple[float, float] = (1.0, 1.0)
) -> tuple:
    """The parts of a fitted model, with its encoder or the one nearest to its codes."""
    data, size = units
    X = check_factor(start.components_.T / size, "X", (D.shape[1], m), D.dtype)
    components = problem.parts.project(X.T.copy())
    if isinstance(problem.inference, Pursuit):
        return components, components, None, None
    if hasattr(start, "encoder_"):
        given = (start.encoder_, size), (start.bias_, size / data), (start.decoder_bias_, 1 / data)
        U, b, c = (None if w is None else (w * factor).astype(D.dtype) for w, factor in given)
        if problem.parts.unit and problem.codes.homogeneous:
            # The norms that the parts lose go to their codes.
            norms = np.linalg.norm(X, axis=0)
            U, b = U * norms[:, None], None if b is None else b * norms
        return components, U, b, c
    sparse = hasattr(problem.codes, "k")
    some = D if isinstance(D, np.ndarray) else _some(D, np.random.RandomState(0), gradient.ROWS)
    H = TopK(problem.codes.k).infer(some, components) if sparse else exact_nnls(some, components)
    U, b = linear_encoder(some, problem.inference.bias)(H.T)
    if problem.codes.homogeneous and not problem.parts.of_samples:
        components, U, b = alternating.with_unit_norm(components, U, b)
    return components, U, b, None


def _check_trainable(problem: Problem) -> None:
    """Raise a ValueError where choices that are right elsewhere do not go with each other."""
    codes = problem.codes
    if isinstance(problem.inference, Pursuit) and codes != ReLU():
        raise ValueError(
            f"A pursuit finds its codes itself, {codes!r} would have no effect: leave activation "
            'at "relu", or choose another encoder.'
        )


def _why_silent(problem: Problem) -> str:
    """What can keep the codes of a problem at zero."""
    causes = []
    if problem.objective.penalties:
        causes.append("its penalties may be larger than what codes gain")
    if getattr(problem.codes, "threshold", None) is not None and hasattr(problem.codes, "above"):
        causes.append("its threshold may be larger than all pre-activations")
    causes.append("training may have led there from its start, so try another random_state")
    return "; ".join(causes)


def _relaxed(problem: Problem) -> Problem:
    """The problem with one layer of ReLU and without offset and penalties, whose solution is a good
    start."""
    parts, layer = problem.parts, problem.inference
    return replace(
        problem,
        parts=replace(parts, offset=False) if parts.offset else parts,
        codes=ReLU(),
        inference=replace(layer, steps=1) if isinstance(layer, Layer) else layer,
        objective=Objective(),
    )


def _same_basin(solved: Problem, problem: Problem) -> bool:
    """Whether small steps from the solution of one problem lead to that of the other: selecting
    other codes than before does not."""
    return solved.codes == problem.codes or not hasattr(problem.codes, "k")


class _Measured:
    """Rows of a memory map or of shards in another unit, divided when they are read."""

    def __init__(self, D, unit: float):
        self._D, self._unit = D, unit
        self.shape, self.dtype = D.shape, D.dtype

    def __len__(self) -> int:
        return len(self._D)

    def __getitem__(self, rows) -> np.ndarray:
        return np.asarray(self._D[rows]) / self._unit


def _measured(D, unit: float):
    """The data in another unit; what is not in memory stays where it is."""
    if unit == 1:
        return D
    return D / unit if isinstance(D, np.ndarray) and in_memory(D) else _Measured(D, unit)


def _root_mean_square(D) -> float:
    """That of the data, or of a sample of them; 1 for zeros."""
    some = _some(D, np.random.RandomState(0), gradient.ROWS)
    return data_norm(some) / some.size**0.5 or 1.0


def _bound(problem: Problem, D) -> Problem:
    """The problem with parts that are made of samples bound to these."""
    if not problem.parts.of_samples:
        return problem
    return replace(problem, parts=problem.parts.bind(np.asarray(D[:])))


def _some(D, rng: np.random.RandomState, most: int) -> np.ndarray:
    """So many samples at most, in memory."""
    if len(D) <= most:
        return np.asarray(D[:])
    return np.asarray(D[np.sort(rng.choice(len(D), most, replace=False))])


def _stacked(weights: list[tuple]) -> list[np.ndarray | None]:
    """One array for each kind of weights, of one autoencoder or of several; no bias is one of 0."""
    if len(weights) == 1:
        return list(weights[0])
    stacked = []
    for kind in zip(*weights, strict=True):
        given = [own for own in kind if own is not None]
        full = [np.zeros_like(given[0]) if own is None else own for own in kind if given]
        stacked.append(np.stack(full) if given else None)
    return stacked


def _tensor(weights: np.ndarray | None) -> torch.Tensor | None:
    return None if weights is None else torch.tensor(weights)


def _array(weights: torch.Tensor | None) -> np.ndarray | None:
    return None if weights is None else weights.detach().numpy().copy()
