"""SAE: sparse autoencoders, as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..arguments import check_choice, check_integer, check_number
from ..choices.codes import Codes, ReLU
from ..choices.dense import Logistic
from ..choices.inference import ENCODERS, Inference
from ..choices.jumprelu import JumpReLU
from ..choices.objective import FITS, Bernoulli, Beta, Objective, Penalty
from ..choices.parts import DECODERS, PartSet
from ..choices.problem import Problem
from ..lazy import Lazy, torch
from ..leastsquares import blocks
from ..progress import History
from ..solvers import Settings
from ..solvers.online import Online
from ..validation import as_array, check_data, check_device, check_matrix, check_weights, extremes
from .base import Choices, PartsModel, all_or_nothing

adam = Lazy("partsrep.solvers.adam")
autoencoder = Lazy("partsrep.solvers.autoencoder")
begin = Lazy("partsrep.solvers.begin")
training = Lazy("partsrep.solvers.training")

# Epochs over which the objective has to fall by less than a part `tol`, or training ended too soon.
RECENT = 10
ACTIVATIONS = {"relu": ReLU(), "logistic": Logistic()}
INITS = ("random", "nmf")
CHOICES: Choices = {
    "activation": (
        ACTIVATIONS,
        "ReLU() JumpReLU(threshold) TopK(k) BatchTopK(k) MutualChoice(k) FeatureChoice(k) "
        "Logistic() Gaussian()",
        Codes,
    ),
    "decoder": (DECODERS, "Hull() Cone()", PartSet),
    "encoder": (ENCODERS, "Unrolled(steps) Pursuit(k) Layer(tied,bias,steps)", Inference),
    "loss": (
        {name: FITS[name] for name in ("squared", "bernoulli")},
        "Beta(2) Bernoulli()",
        Beta | Bernoulli,
    ),
    "penalty": (
        {},
        "L1(weight) L2(weight) L0(weight) KL(weight) Hoyer(weight) Decay(negative) AuxK() "
        "PriorKL(weight) LogVolume(weight) PathNorm(weight)",
        Penalty,
    ),
}


@dataclass(eq=False, repr=False)
class SAE(PartsModel):
    r"""Sparse autoencoder, H = f(D Uᵀ + b), D̂ = link(H Xᵀ + 1cᵀ).

    Minimises :math:`\frac1n \sum_i \|d_i - \hat d_i\|^2 + \text{penalties}` over U, X, b, c.

    Parameters
    ----------
    n_components : int or "auto"
        Number of units m; "auto" takes that of `start`, else d.
    activation : "relu", "logistic" or an object
        The function f that turns pre-activations into codes: ``ReLU()``, ``JumpReLU(threshold)``,
        ``TopK(k)``, ``BatchTopK(k)``, ``MutualChoice(k)``, ``FeatureChoice(k)``, ``Logistic()`` or
        ``Gaussian()``.
    decoder : "free", "unit", "nonnegative", "unit-nonnegative" or an object
        What the parts may be; ``Hull()`` and ``Cone()`` make them of samples, ``Fixed(X)``
        gives them.
    encoder : "linear", "tied", "nonnegative" or an object
        Weights of its own, or U = Xᵀ, or U ≥ 0; ``Unrolled(steps)``, ``Pursuit(k)``.
    bias : False, "encoder" or "both"
        Nothing, b, or b and c; with nonnegative parts c ≥ 0 too.
    output : "linear" or "logistic"
        The link.
    loss : "squared" or "bernoulli"
        The data-fit; "bernoulli" (cross-entropy) needs data in [0, 1] and logistic output.
    penalty : None, an object or a list of them
        ``L1``, ``L2``, ``L0``, ``KL``, ``Hoyer``, ``Decay``, ``AuxK``, ``PriorKL``, ``LogVolume``
        or ``PathNorm``.
    solver : "auto", "projection", "adam", "lbfgs", "alternating", "online" or ``Online(mean=0.1)``
        "projection" (:mod:`partsrep.solvers.projection`) is for ReLU, TopK and fixed JumpReLU with
        an untied layer; "auto" takes it where it fits and the data are not too large, else "adam"
        from its solution of the nearest such problem; for a selection among more than 2d units
        "adam" from its own start. "lbfgs" takes all samples at once,
        "alternating" is least squares in turn, "online" NNSAE's own rule. `history_` names it.
    init : "random" or "nmf"
        Where the search for a start begins: at thinned samples, which know nothing of NMF, or at
        the parts of NMFs from random starts.
    start : None, a fitted model or (U, X) of shapes (m, d) and (d, m)
        Of an SAE all that it has learned; a selection freezes its thresholds anew. A clone keeps
        it.
    learning_rate : float > 0 or None
        Adam's first step, relative to the root mean square of each weight array; where it is given
        "auto" is Adam. None: 0.003 from a solution, 0.03 from elsewhere and with penalties.
        Of "online" the rate itself; None: 0.01.
    max_epochs : int
        Most epochs of Adam (rounds, iterations).
    batch_size : int
        Samples a step.
    tol : float ≥ 0
        Least relative gain that counts as progress (see :func:`partsrep.solvers.adam.train` for
        the stopping rule).
    random_state : int, RandomState or None
    n_init : int
        The best of so many starts is kept. They train together, as one stack.
    device : None, str or torch.device
        Where Adam and L-BFGS train; None: the CPU. The fitted model is back on the CPU.
    dtype : None, "float32" or "float64"
        What to train in; None: that of the data, see below. Within
        ``torch.autocast(device_type, dtype=torch.bfloat16, cache_enabled=False)`` products of
        float32 are in half precision; the cache would keep weights that have changed since.

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
        "objective" (mean over samples, penalties included), "seconds", from Adam and variable
        projection "alive", from Adam "step"; and "solver", its name.
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

    n_components: int | str | None = "auto"
    _: KW_ONLY
    activation: str | Codes = "relu"
    decoder: str | PartSet = "free"
    encoder: str | Inference = "linear"
    bias: bool | str = False
    output: str = "linear"
    loss: str | Beta | Bernoulli = "squared"
    penalty: Penalty | list[Penalty] | None = None
    solver: str | Online = "auto"
    init: str = "random"
    start: Any = None
    learning_rate: float | None = None
    max_epochs: int = 1000
    batch_size: int = 256
    tol: float = 1e-4
    random_state: Any = None
    n_init: int = 1
    device: Any = None
    dtype: str | None = None

    _takes = CHOICES
    _parts = "decoder"
    _varied = ("random_state", "activation", "penalty")

    def __sklearn_is_fitted__(self) -> bool:
        """Parts that were put there by hand make no autoencoder: `from_weights` does."""
        return hasattr(self, "module_")

    def fit(self, X, y=None):
        """Train on X, array (n, d) or a memory map, tensor or shards of that shape.

        Shards are for "auto" and "adam", with parts that are not made of samples.

        Ctrl-C during epochs ends them: the model is fitted with the best so far. Before that it is
        left as it was.
        """
        self._fit([self], X)
        return self

    @classmethod
    def _together(cls, models: list[SAE]) -> bool:
        """Whether models can train as one stack."""
        single = models[0].n_init == 1 and super()._together(models)
        return single and autoencoder.stacked([model.problem for model in models]) is not None

    @staticmethod
    def _fit(models: list[SAE], X) -> None:
        """Fit models as one stack; each keeps the best of its starts."""
        first = models[0]
        with ExitStack() as fits:
            problems, rngs = [], []
            for model in models:
                fits.enter_context(all_or_nothing(model))
                problem, D, m = model._prepared(X)
                own = [check_random_state(model.random_state)]
                if model.n_init > 1:
                    seeds = own[0].randint(2**31, size=model.n_init)
                    own = [np.random.RandomState(seed) for seed in seeds]
                problems += [problem] * len(own)
                rngs += own
            found, interrupt = first._training.solve(D, m, problems, rngs)
            if interrupt is not None and len(models) > 1:
                raise interrupt
            runs = iter(found)
            for model in models:
                own = islice(runs, model.n_init)
                model._finished(D, *min(own, key=lambda run: first._reached(run[1])))
        if interrupt is not None:
            raise interrupt

    def _prepared(self, X) -> tuple[Problem, np.ndarray, int]:
        """The problem, the data and the number of parts, all checked."""
        check_device(self.device)
        problem = self.problem
        self._solver.check(problem)
        D = self._data(X, problem, reset=True)
        if self.learning_rate is not None:
            check_number("learning_rate", self.learning_rate, above=True)
        check_number("tol", self.tol)
        for name in ("max_epochs", "batch_size", "n_init"):
            check_integer(name, getattr(self, name))
        check_choice("init", self.init, INITS)
        self._check_start()
        m = self._n_parts(D)
        problem.codes.check(m)
        return problem, D, m

    def _finished(self, D: np.ndarray, module: autoencoder.Autoencoder, history: History) -> None:
        """Become what was found."""
        module = module.to("cpu")
        some = begin.tensor(begin.some_of(D, np.random.RandomState(0), adam.ROWS))
        selected, _ = adam.squared_error(module, some)
        module.freeze(some)
        frozen, _ = adam.squared_error(module, some)
        self._adopt(module)
        self.history_ = history.arrays() | {"solver": history.solver}
        self.n_iter_ = len(self.history_["objective"])
        self.loss_, active = adam.squared_error(module, D)
        for doubt in self._doubts(D, history, (frozen - selected) / len(some), active):
            warnings.warn(doubt, ConvergenceWarning, stacklevel=4)

    def _reached(self, history: History) -> float:
        """The objective of the weights that stay."""
        objective = history.arrays()["objective"]
        return float(objective[-1] if self._solver.keeps_last else objective.min())

    def _doubts(
        self, D: np.ndarray, history: History, frozen: float, active: bool
    ) -> Iterator[str]:
        """What speaks against a fit: its objective epoch by epoch, how much the thresholds that
        take a batch's place add to it, and whether any unit is active."""
        problem, parts = self.problem_, self.problem_.parts
        zero = problem.objective.against("sample", *D.shape).of_zero_codes(
            D, len(self.components_), parts.offset, parts.nonnegative
        )
        lowest = np.minimum.accumulate(history.arrays()["objective"])
        reached = self._reached(history) + frozen
        if not active and zero > 0:
            yield (
                "No unit of the SAE is ever active, so that it reconstructs no sample: "
                f"{_why_silent(problem)}."
            )
        elif reached > (1 + max(self.tol, 1e-6)) * zero:
            yield (
                f"The objective is {reached - zero:.3g} above that of codes of zero, {zero:.3g}: "
                "train longer (max_epochs), from another start (random_state, n_init, start) or "
                "with another learning_rate; weaker penalties or another activation fit better."
            )
        if frozen > max(0.1 * lowest[-1], 0.01 * zero):
            yield (
                f"The thresholds that {problem.codes!r} has after training raise the mean squared "
                f"error by {frozen:.3g}: it selected among codes that are equal or nearly so, as "
                "those of repeated samples are. TopK has no such threshold."
            )
        recent = min(RECENT, len(lowest) - 1)
        before, last = lowest[-1 - recent], lowest[-1]
        fell = before - last if before > last else 0.0  # both may be infinite
        unfinished = not self._solver.keeps_last and history.iterations >= self._settings.max_iter
        rounding = 1e3 * np.finfo(self.components_.dtype).eps * zero
        if unfinished and fell > max(self.tol * abs(lowest[-1]), rounding):
            share = fell / abs(lowest[-1]) if lowest[-1] else np.inf
            yield (
                f"Training ended after max_epochs={self.max_epochs} while the objective still "
                f"fell, by {share:.1e} of itself in the last {recent} epochs: "
                f"raise max_epochs, or tol={self.tol:g}."
            )

    def _adopt(self, module: autoencoder.Autoencoder) -> None:
        """The attributes that are a module's weights."""
        self.module_, self.problem_ = module, module.problem
        self.components_ = begin.array(module.components)
        vars(self).pop("encoder_", None)  # of a fit before
        if module.problem.inference.has_encoder:
            self.encoder_ = begin.array(module.U)
        self.bias_ = begin.array(module.bias)
        self.decoder_bias_ = begin.array(module.offset)
        self.threshold_ = module.thresholds

    @classmethod
    def from_weights(
        cls,
        encoder,
        decoder,
        bias=None,
        decoder_bias=None,
        activation="relu",
        threshold=None,
    ) -> SAE:
        """A fitted SAE with weights that were trained elsewhere: D̂ = f(D Uᵀ + b) Xᵀ + c.

        Parameters
        ----------
        encoder : array (m, d)
            The matrix U.
        decoder : array (d, m)
            X, the parts as columns.
        bias : None or array (m,)
            The vector b. Where the encoder sees D − c, this is b − U c.
        decoder_bias : None or array (d,)
            The vector c.
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
        codes = check_choice("activation", activation, names | {"jumprelu": None}, *kind)
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
            if codes is None:
                activation = JumpReLU(float(threshold.mean()))
            elif not (codes.from_batch or "threshold" in codes.learns):
                raise ValueError(
                    f"activation={activation!r} has no threshold to give: 'jumprelu' has, "
                    "JumpReLU with a bandwidth, BatchTopK and FeatureChoice."
                )
        elif codes is None or codes.from_batch:
            raise ValueError(
                f"activation={activation!r} needs its threshold, a number or one a unit."
            )

        sae = cls(
            m,
            activation=activation,
            bias="both" if decoder_bias is not None else "encoder" if bias is not None else False,
        )
        sae.check()
        solved = sae.problem
        solved.codes.check(m)
        U, X, b, c = weights.values()
        module = autoencoder.Autoencoder(solved, X.T, U, b, c)
        if threshold is not None and "threshold" in module.learned:
            module.learned["threshold"].data = torch.tensor(threshold).expand(m).clone()
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
        H = self._check_codes(X, self.components_.dtype)
        return self._mapped(self.module_.decode, H, self.n_features_in_)

    def _mapped(self, function: Callable, rows, width: int) -> np.ndarray:
        """What a function of the module makes of rows, some at a time."""
        mapped = np.empty((len(rows), width), self.components_.dtype)
        with torch.no_grad():
            for some in blocks(len(rows), adam.ROWS):
                mapped[some] = function(adam.batch(rows, some, self.module_)).cpu().numpy()
        return mapped

    @property
    def _solver(self) -> training.Solver:
        """How it is trained."""
        if isinstance(self.solver, Online):
            return training.SOLVERS["online"]
        return check_choice("solver", self.solver, training.SOLVERS)

    @property
    def _settings(self) -> Settings:
        limit = self._solver.limit or self.max_epochs
        return Settings(
            self.tol,
            int(min(self.max_epochs, limit)),
            int(self.batch_size),
            self.learning_rate,
            self.solver if isinstance(self.solver, Online) else None,
        )

    @property
    def _training(self) -> training.Training:
        return training.Training(self._solver, self._settings, self.start, self.device, self.init)

    def _data(self, X, problem: Problem, *, reset: bool):
        """X as what is trained on, or in the precision of the model; shards stay in their files."""
        whole = problem.parts.of_samples or not self._solver.streams
        D = check_data(
            self,
            X,
            reset=reset,
            nonnegative=problem.parts.nonnegative,
            stream=not (reset and whole),
            dtype=self.dtype if reset else self.components_.dtype,
        )
        link, fit = problem.objective.link, problem.objective.fit
        low, high = extremes(D) if link == "logistic" else (0, 1)
        if (low < 0 or high > 1) and (reset or fit == FITS["bernoulli"]):
            raise ValueError(
                f"output={link!r} and loss={self.loss!r} need data in [0, 1]; these reach from "
                f'{low} to {high}: scale them, or choose output="linear".'
            )
        return D

    @property
    def problem(self) -> Problem:
        """The four choices that the arguments name, fitted or not."""
        check_choice("bias", self.bias, (False, "encoder", "both"))
        check_choice("output", self.output, ("linear", "logistic"))
        check_choice("dtype", self.dtype, (None, "float32", "float64"))
        arguments = "activation", "decoder", "encoder", "loss"
        codes, parts, layer, fit = map(self._chosen, arguments)
        if fit == FITS["bernoulli"] and self.output != "logistic":
            raise ValueError('loss="bernoulli" needs reconstructions in (0, 1): output="logistic".')
        penalties = self._penalties()
        for penalty in penalties:
            if penalty.of_paths and not layer.has_encoder:
                raise ValueError(f"A pursuit has no encoder for {penalty!r}: choose another one.")
        if self.bias == "both":
            parts = parts.with_offset(True)
        if self.bias:
            if not layer.has_encoder:
                raise ValueError("A pursuit has no encoder bias: set bias=False.")
            layer = replace(layer, bias=True)
        return Problem(parts, codes, layer, Objective(fit, self.output, tuple(penalties)))


def _why_silent(problem: Problem) -> str:
    """What can keep the codes of a problem at zero."""
    causes = []
    if problem.objective.penalties:
        causes.append("its penalties may be larger than what codes gain")
    if problem.codes.has_threshold:
        causes.append("its threshold may be larger than all pre-activations")
    causes.append("training may have led there from its start, so try another random_state")
    return "; ".join(causes)
