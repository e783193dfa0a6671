"""NMF: nonnegative matrix factorization and its kin, as a scikit-learn estimator."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import KW_ONLY, dataclass
from functools import partial
from itertools import chain, islice
from types import ModuleType
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, check_non_negative

from ..arguments import check_choice, check_integer, check_number
from ..choices.codes import Codes, ReLU
from ..choices.inference import NNLS, Inference, Layer
from ..choices.objective import FITS, L1, L2, Beta, Objective, Penalty
from ..choices.parts import DECODERS, PartSet
from ..choices.problem import Problem
from ..choices.units import Unit
from ..leastsquares import factorization_loss, normal_equations
from ..progress import History, progress
from ..solvers import Factors, Settings, hals, multiplicative, on_device, projective, scale, starts
from ..solvers.divergences import beta_divergence
from ..solvers.optimality import kkt_residual
from ..threads import one_where_more_do_not_pay
from ..validation import (
    check_custom,
    check_data,
    check_device,
    check_mask,
    check_scale,
    check_weights,
)
from .base import Choices, PartsModel, all_or_nothing

BETAS = {name: FITS[name] for name in ("frobenius", "kullback-leibler", "itakura-saito")}
SINGLE = ("nndsvd", "nndsvda", "spa", "custom")  # starts that are the same each time
# Of the weights of batches in the running mean. Theory wants 0.5 to 1; measured, slower is nearer.
BATCH_DECAY = 0.3
FIRST = 10  # iterations of a fit to the batch that a stream begins with
OUTWEIGHS = 2  # times the norm of all data before: this batch has four fifths of the energy
CHOICES: Choices = {
    "parts": (
        {**DECODERS, None: DECODERS["nonnegative"]},
        "Sparseness(value) Disjoint() UnitMean() Cone() Hull() Samples() Fixed(X)",
        PartSet,
    ),
    "codes": ({None: ReLU()}, "ReLU() TopK(k) Simplex()", Codes),
    "inference": ({None: NNLS()}, "NNLS() Layer(tied=True)", Inference),
    "penalty": ({}, "L1(weight) L2(weight) LogVolume(weight)", Penalty),
}
SOLVERS = {
    ("cd", NNLS()): hals,
    ("mu", NNLS()): multiplicative,
    ("cd", Layer(tied=True)): projective,
}


@dataclass(eq=False, repr=False)
class NMF(PartsModel):
    r"""Nonnegative matrix factorization, :math:`\min_{H, X \ge 0} \|D - H X^T\|_F^2` + penalties.

    It takes what scikit-learn's NMF takes, under the same names and with the same meaning: there
    ``W`` is the codes and ``H`` the parts. In scikit-learn's scaling, half the squared error (or
    the β-divergence), the penalties are d·alpha_W·(l1_ratio·‖W‖₁ + ½(1−l1_ratio)·‖W‖²) and the same
    with n·alpha_H for the parts. Other sets of parts and codes make other methods of it:
    :mod:`partsrep.presets` names them.

    Parameters
    ----------
    n_components : int, "auto" or None
        Number of parts m; "auto" takes that of the start, else d; None is d.
    init : None, "random", "nndsvd", "nndsvda", "nndsvdar", "spa" or "custom"
        "custom": W and H are given to `fit`. None: "nndsvda" where m ≤ min(n, d), the data
        are nonnegative and `n_init` is 1, else "random"; parts made of samples begin at "spa".
    solver : "cd" or "mu"
        "cd": block-coordinate descent, accelerated HALS where both factors are nonnegative;
        "mu": multiplicative updates, for every β.
    beta_loss : "frobenius", "kullback-leibler", "itakura-saito" or float
        The β of the divergence; "cd" solves "frobenius", β = 2.
    tol : float ≥ 0
        "cd" stops when the scale-free KKT residual is at most this, "mu" when ten iterations
        gain less than this share of the first error.
    max_iter : int or None
        Most iterations; None: 1000 for "cd", 200 for "mu".
    random_state : int, RandomState or None
    n_init : int
        The best of so many random starts is kept.
    alpha_W, alpha_H : float ≥ 0
        Penalties of codes and parts; alpha_H "same" is alpha_W.
    l1_ratio : float in [0, 1]
        Share of the L1 penalty; the rest is L2.
    parts : None, "nonnegative", "free", "unit", "unit-nonnegative" or an object
        What the parts may be; None is "nonnegative". The objects are ``Sparseness(v)``,
        ``Disjoint()``, ``Cone()``, ``Hull()``, ``Samples()``, ``Fixed(X)`` and others of partsrep's
        parts module.
    codes : None, ``ReLU()``, ``TopK(k)`` or ``Simplex()``
        What the codes may be; None is ``ReLU()``.
    inference : None, ``NNLS()`` or ``Layer(tied=True)``
        How codes come from data. None: the best ones. ``Layer(tied=True)``: H = DX, projective
        NMF.
    penalty : None, an object or a list of them
        More penalties: ``L1(weight)`` and ``L2(weight)`` on codes or parts, ``LogVolume(weight)``.
    start : None, a fitted model or (H, X)
        Where to begin: the parts of a fitted model, with their best codes, or (H, X) of shapes
        (n, m) and (d, m). A clone keeps it.
    device : None, str or torch.device
        Where "cd" computes, such as "cuda" (with torch); None: here. It takes dense data, parts and
        codes that are just nonnegative, no penalties and no mask, and follows the same path up to
        rounding. Starts are made here: on large data init="random" is the one that costs little.
    verbose, shuffle
        Accepted as scikit-learn's, without effect: progress shows by itself, and the order of the
        parts is fixed.

    Attributes
    ----------
    components_ : ndarray (m, d)
        Xᵀ: the parts as rows. Parts may also be put here by hand, for `transform`, `score` and
        `inverse_transform`.
    n_components_ : int
        The number m of parts.
    loss_ : float
        ‖D − HXᵀ‖²_F, over seen entries, each times its weight; for β ≠ 2 twice the divergence.
        Without penalties. H is the best one for the parts, with "mu" that of the last iteration.
    reconstruction_err_ : float
        Its root.
    n_iter_ : int
    kkt_residual_ : float
        Distance from stationarity (:func:`partsrep.solvers.optimality.kkt_residual`); for "mu" the
        norm of factor ∘ gradient relative to that of its positive half.
    history_ : dict of arrays over iterations
        "objective" (penalties included), "residual", "seconds".
    parts_weights_ : ndarray (m, n)
        Only for parts made of samples: ``components_ = parts_weights_ @ D``.
    problem_ : Problem

    Raises
    ------
    ValueError
        NaN, infinity, negative, empty or non-numeric data; data so large or small that the loss
        is no number; unknown or impossible settings; a mask of another shape or one that hides a
        whole row or column.

    Notes
    -----
    More parts than samples or features are allowed, and then agreement says little. A sample of
    zeros gets codes of zero; a feature of zeros is zero in every part; all-zero data is fitted
    exactly by zero. The unit of the data does not matter, as long as the loss is a number in it;
    weights of penalties are in it too, see :class:`partsrep.L1`. Data of float32 gives
    factors of float32; small ones are computed in double precision, and large ones of float64 begin
    in single and end in double precision.

    References
    ----------
    Lee, Seung (1999), "Learning the parts of objects by non-negative matrix factorization";
    Cichocki, Phan (2009), "Fast local algorithms for large scale nonnegative matrix and tensor
    factorizations"; Ang, Gillis (2019), "Accelerating nonnegative matrix factorization algorithms
    using extrapolation".

    Examples
    --------
    >>> import numpy as np
    >>> D = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [1.0, 3.0, 2.0]])
    >>> nmf = NMF(n_components=2, random_state=0).fit(D)
    >>> nmf.loss_ < 1e-6, nmf.transform(D).shape
    (True, (3, 2))

    Entries that are not known are hidden by a mask, and then predicted:

    >>> known = np.array([[True, True, True], [True, True, True], [True, True, False]])
    >>> H = NMF(n_components=2, tol=1e-8, random_state=0).fit_transform(D, mask=known)
    >>> H.shape
    (3, 2)
    """

    n_components: int | str | None = "auto"
    _: KW_ONLY
    init: str | None = None
    solver: str = "cd"
    beta_loss: str | float = "frobenius"
    tol: float = 1e-4
    max_iter: int | None = None
    random_state: Any = None
    n_init: int = 1
    alpha_W: float = 0.0
    alpha_H: float | str = "same"
    l1_ratio: float = 0.0
    parts: str | PartSet | None = None
    codes: Codes | None = None
    inference: Inference | None = None
    penalty: Penalty | list[Penalty] | None = None
    start: Any = None
    device: Any = None
    verbose: int = 0
    shuffle: bool = False

    _takes = CHOICES
    _parts = "parts"

    def fit(self, X, y=None, *, W=None, H=None, mask=None):
        """Factorize X, array or sparse matrix (n, d).

        Parameters
        ----------
        X : array-like or sparse matrix (n, d)
            The data D.
        W, H : None or array-like (n, m), (m, d)
            Codes and parts to begin from, with init="custom".
        mask : None or array-like (n, d)
            Which entries are seen, or their weights ≥ 0; hidden ones may be NaN.
        """
        self._fit([self], X, W, H, mask)
        return self

    def fit_transform(self, X, y=None, *, W=None, H=None, mask=None):
        """As :meth:`fit`, and return the codes (n, m).

        With solver="cd" they are those of ``transform(X)``. With "mu" they are those of the last
        iteration, and `transform` finds them anew: both are as near to the best ones as `tol` asks.
        """
        return self._fit([self], X, W, H, mask)[0]

    def _takes_batches(self) -> bool:
        """Whether there is a `partial_fit`; else an AttributeError says where there is one."""
        with suppress(ValueError):
            if self._solver is hals and not self.problem.parts.of_samples:
                return True
        raise AttributeError(
            "partial_fit needs solver='cd', inference=NNLS(), device=None and parts that are not "
            "made of samples."
        )

    @available_if(_takes_batches)
    def partial_fit(self, X, y=None):
        """Improve the parts by a mini-batch X (n', d), for data that come in pieces.

        The codes of the batch are the best ones for the present parts. What the parts depend on,
        HᵀH and HᵀD, is kept as a running mean over the batches, the t-th with weight t^−0.3, so
        that what early and poor parts left is forgotten. Several passes over the data in changing
        order come near a whole fit. A stream begins with parts of a short fit to its first batch,
        and begins anew at a batch with four times the energy ‖X‖² of all data before: its mean
        does, and its parts if a short fit to that batch gives it a lower objective. So it matters
        little how few or how small the first samples are. Batches that are all of few samples
        remain a poor guide: a penalty may remove parts that such a batch has no use for, and these
        stay away. Parts that are zero and were never used are reinitialised by each batch. `loss_`
        and `kkt_residual_` are those of the batch, `n_iter_` counts batches; there is no
        `history_`.

        References
        ----------
        Mairal, Bach, Ponce, Sapiro (2010), "Online learning for matrix factorization and sparse
        coding".
        """
        with all_or_nothing(self):
            for stale in ("parts_weights_", "history_"):
                vars(self).pop(stale, None)
            begun, streaming = hasattr(self, "components_"), hasattr(self, "_running")
            X, _, problem = self._checked(X, None, reset=not begun)
            m = self.n_components_ if begun else self._n_parts(X)
            nothing = np.zeros((m, m)), 0.0
            batch, *numbers, gram, cross = getattr(self, "_running", (0, *Unit(), *nothing))
            # Parts of a fit, or put here by hand, are never begun anew.
            seen, norm = getattr(self, "_seen", np.inf if begun else 0.0), scale.norm(X)
            anew = norm > OUTWEIGHS * seen
            if anew:
                batch, (gram, cross) = 0, nothing
            unit, means = Unit(*numbers), (gram, cross)
            if not gram.any():  # so far all batches were zero, or there was none
                unit = self._unit(X, problem)
            dtype, problem = X.dtype, problem.in_units(unit)
            components = self._parts_for(X) if begun else np.zeros((m, X.shape[1]))
            components = components.astype(np.float64) / unit.parts
            X = scale.measured(X, unit).astype(np.float64)  # later batches may be of another size
            idle = ~components.any(axis=1) & (means[0].diagonal() == 0)
            if anew or idle.any():
                problem.codes.check(m)
                begin = self._start(X, m, problem, unit, check_random_state(self.random_state))
                [(fitted, _)] = hals.solve(X, [begin], problem, Settings(tol=0, max_iter=FIRST))
                fresh = fitted.components
                filled = problem.parts.project(np.where(idle[:, None], fresh, components))
                tried = [filled, fresh] if anew and not idle.all() else [filled]
                components = min(tried, key=partial(hals.objective, X, problem=problem))
            share = (batch + 1) ** -BATCH_DECAY
            codes = hals.infer(X, components, problem)
            means = [
                (1 - share) * mean + share * now / len(codes)
                for mean, now in zip(means, normal_equations(X.T, codes.T), strict=True)
            ]
            gram, cross = (len(codes) * mean for mean in means)
            terms = problem.against_data(X.shape).objective.terms("parts")
            system = terms.quadratic(components, gram, cross)
            components = problem.parts.improve(components, *system)
            self._running = batch + 1, *unit, *means
            if np.isfinite(seen):
                self._seen = float(np.hypot(seen, norm))
            self._set(X, None, unit, Factors(codes.astype(dtype), components.astype(dtype)))
            self.n_iter_ = self.n_iter_ + 1 if streaming else 1
            self.kkt_residual_ = kkt_residual(X, codes, components, problem)
        return self

    def transform(self, X, *, mask=None):
        """Best codes H (n, m) of X (n, d) for the fitted parts, sample by sample.

        With solver="mu" they are the best ones as nearly as `tol` asks.
        """
        check_is_fitted(self)
        D, weights = self._check_data(X, mask, reset=False)
        components = self._parts_for(D)
        problem = getattr(self, "problem_", None) or self.problem
        self._solver.check(problem, weights is not None)
        unit = scale.of_codes(D, components, problem)
        H = self._solver.infer(
            scale.measured(D, unit),
            components / unit.parts,
            problem.in_units(unit),
            weights=weights,
            settings=self._settings,
        )
        return scale.put_back(H, unit.codes, D.dtype, "codes")

    def inverse_transform(self, X):
        """The reconstruction H Xᵀ (n, d) of codes (n, m)."""
        check_is_fitted(self)
        return self._check_codes(X, accept_sparse=("csr", "csc")) @ self.components_

    def _parts_for(self, D) -> np.ndarray:
        """The fitted parts, or those that were put in their place, in the precision of D."""
        components = check_array(self.components_, dtype=D.dtype, input_name="components_")
        if components.shape[1] != D.shape[1]:
            raise ValueError(
                f"X has {D.shape[1]} features, but the parts in components_ have "
                f"{components.shape[1]}."
            )
        if self._nonnegative:
            check_non_negative(components, "NMF (components_)")
        return components

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # Settings ---------------------------------------------------------------------------------

    @property
    def _settings(self) -> Settings:
        most = self.max_iter or {"cd": 1000, "mu": 200}[self.solver]
        return Settings(self.tol, most, device=self.device)

    def _check_data(self, X, mask, *, reset: bool) -> tuple[Any, np.ndarray | None]:
        # What a mask hides may be anything, so that signs are checked when it is hidden.
        masked, nonnegative = mask is not None, self._nonnegative
        how = {"in_place": True, "missing": masked, "squares": False}
        D = check_data(self, X, reset=reset, nonnegative=nonnegative and not masked, **how)
        if masked:
            D, mask = check_mask(mask, D, columns=reset)
            if nonnegative:
                check_non_negative(D, "NMF (its parts are nonnegative)")
        if self._fit_to.beta <= 0 and (D[mask > 0] if masked else D).min() == 0:
            raise ValueError(
                "When beta_loss <= 0 and X contains zeros, the solver may diverge. Add a small "
                "number to X, or use a positive beta_loss."
            )
        return D, mask

    @property
    def problem(self) -> Problem:
        """The four choices that the arguments name, fitted or not."""
        parts, codes, inference = map(self._chosen, ("parts", "codes", "inference"))
        penalties = (*self._alphas(), *self._penalties())
        return Problem(parts, codes, inference, Objective(self._fit_to, penalties=penalties))

    @property
    def _fit_to(self) -> Beta:
        """The data-fit."""
        if isinstance(self.beta_loss, str):
            return check_choice("beta_loss", self.beta_loss, BETAS)
        return Beta(check_number("beta_loss", self.beta_loss, -np.inf))

    def _alphas(self) -> Iterator[Penalty]:
        """scikit-learn's penalties, which count against half the error of an entry."""
        alpha_W = check_number("alpha_W", self.alpha_W)
        alpha_H = alpha_W if self.alpha_H == "same" else check_number("alpha_H", self.alpha_H)
        l1_ratio = check_number("l1_ratio", self.l1_ratio, maximum=1)
        for on, alpha in (("codes", alpha_W), ("parts", alpha_H)):
            l1, l2 = 2 * alpha * l1_ratio, alpha * (1 - l1_ratio)
            yield from [L1(l1, on=on, per="entry")] if l1 else []
            yield from [L2(l2, on=on, per="entry")] if l2 else []

    def _checked(self, X, mask, *, reset: bool) -> tuple[Any, np.ndarray | None, Problem]:
        """The data, their weights and the problem, which the solver can solve."""
        D, weights = self._check_data(X, mask, reset=reset)
        problem = self.problem
        check_choice("init", self.init, (None, *starts.STARTS, "custom"))
        check_number("tol", self.tol)
        if self.max_iter is not None:
            check_integer("max_iter", self.max_iter)
        check_integer("n_init", self.n_init)
        if self.n_init > 1 and self.init in SINGLE and self.start is None:
            raise ValueError(
                f"init={self.init!r} is a single start: use n_init=1 or init='random'."
            )
        self._check_start()
        if self.solver == "mu" and self.init in ("nndsvd", "spa") and self.start is None:
            warnings.warn(
                "The multiplicative update ('mu') solver cannot update zeros present in the "
                f"initialization, and init={self.init!r} has many: use init='nndsvda' or 'random'.",
                UserWarning,
                stacklevel=5,
            )
        self._solver.check(problem, weights is not None)
        return D, weights, problem

    @property
    def _solver(self) -> ModuleType:
        """The module that solves the problem."""
        check_choice("solver", self.solver, ("cd", "mu"))
        solver = SOLVERS.get((self.solver, self._chosen("inference")))
        if solver is None:
            raise ValueError(
                f"solver={self.solver!r} cannot solve with inference={self.inference!r}: give "
                "NNLS(), or Layer(tied=True) with solver='cd', or take SAE for encoders of their "
                "own."
            )
        if self.device is None:
            return solver
        check_device(self.device)
        if solver is not hals:
            raise ValueError(
                f"device={self.device!r} goes with solver='cd' and inference=NNLS(): give these, "
                "or leave device=None."
            )
        return on_device

    # Solving ----------------------------------------------------------------------------------

    @staticmethod
    def _fit(models, X, W=None, H=None, mask=None) -> list[np.ndarray]:
        """Fit models that differ in their seeds alone, from all their starts at once, and return
        their codes as arrays, whatever `set_output` asks for."""
        first = models[0]
        with ExitStack() as fits:
            for model in models:
                fits.enter_context(all_or_nothing(model))
                D, weights, problem, unit = model._prepared(X, mask)
                given = model._given(D, unit, W, H)
            fits.enter_context(one_where_more_do_not_pay(D.size * first._n_parts(D)))
            begun = chain.from_iterable(
                model._begun(D, problem, unit, given) for model in progress(models, "fits")
            )
            runs = first._solver.solve(D, begun, problem, first._settings, weights=weights)
            codes = []
            for model in models:
                codes.append(model._finished(D, weights, unit, islice(runs, model.n_init)))
            return codes

    def _prepared(self, X, mask) -> tuple[Any, np.ndarray | None, Problem, Unit]:
        """The data, their weights and the problem, all checked and in the data's unit, and this."""
        for stale in ("parts_weights_", "_running", "_seen"):
            vars(self).pop(stale, None)
        D, weights, problem = self._checked(X, mask, reset=True)
        unit = self._unit(D, problem)
        return scale.measured(D, unit), weights, problem.in_units(unit), unit

    @staticmethod
    def _unit(D, problem: Problem) -> Unit:
        """The unit of a fit, whose loss must be a number."""
        check_scale(D, problem.objective.fit.degree, np.float64)
        unit = scale.of_fit(D, problem)
        if unit.data == 1:
            check_scale(D)
        return unit

    def _begun(
        self, D, problem: Problem, unit: Unit, given: Factors | None = None
    ) -> Iterator[Factors]:
        """Once for each of `n_init` the codes and parts to begin from."""
        rng = check_random_state(self.random_state)
        m = len(given.components) if given else self._n_parts(D)
        problem.codes.check(m)
        if given:
            yield given
            return
        seen = hals.rounded(hals.widened(D), problem)
        for _ in progress(range(self.n_init), "NMF starts"):
            yield self._start(seen, m, problem, unit, rng)

    def _finished(self, D, weights, unit: Unit, runs: Iterable[tuple[Factors, History]]):
        """Keep the best run; returns its codes."""
        factors, history = min(runs, key=lambda run: run[1].last["objective"])
        codes, components = (factor.astype(D.dtype) for factor in factors[:2])
        codes = self._set(D, weights, unit, Factors(codes, components, factors.sample_weights))
        self.n_iter_ = history.iterations
        self.kkt_residual_ = history.last["residual"]
        self.history_ = history.arrays()
        objective = self.problem_.against_data(D.shape).objective
        values = self.history_["objective"]
        self.history_["objective"] = objective.measured_back(values, unit, len(components))
        if self.n_iter_ >= self._settings.max_iter and self.tol > 0:
            warnings.warn(
                f"Maximum number of iterations {self._settings.max_iter} reached. Increase it "
                f"to improve convergence: raise max_iter, or tol={self.tol:g}; the KKT "
                f"residual is {self.kkt_residual_:.1e}.",
                ConvergenceWarning,
                stacklevel=4,
            )
        return codes

    def _given(self, D, unit: Unit, W, H) -> Factors | None:
        """The start that `fit` was handed as W and H, if init is "custom"."""
        if self.init != "custom":
            if W is not None or H is not None:
                warnings.warn(
                    "When init!='custom', provided W or H are ignored. Set init='custom' to use "
                    "them as initialization.",
                    RuntimeWarning,
                    stacklevel=4,
                )
            return None
        for name, F in (("W", W), ("H", H)):
            if F is None:
                raise ValueError(
                    f"init='custom' begins from W= and H= given to fit: {name} is not."
                )
        m = np.shape(H)[0] if self.n_components == "auto" else self._n_parts(D)
        W = check_custom(W, "W", (D.shape[0], m), D.dtype)
        H = check_custom(H, "H", (m, D.shape[1]), D.dtype)
        for name, F in (("W", W), ("H", H)):
            if not F.any():
                raise ValueError(f"Array passed to NMF (input {name}) is full of zeros.")
        return Factors(W / unit.codes, H / unit.parts)

    def _start(self, D, m: int, problem: Problem, unit: Unit, rng) -> Factors:
        """Codes and parts to begin from, in the unit of D, not yet within what is allowed."""
        if self.start is None:
            return starts.begin(D, m, problem, self._named_start(D, m, problem), rng)
        given = isinstance(self.start, tuple)
        X = self.start[1] if given else self.start.components_.T
        X = check_weights(X, "start's X", D.dtype, (D.shape[1], m)) / unit.parts
        if given:
            H = check_weights(self.start[0], "start's H", D.dtype, (D.shape[0], m))
            return Factors(H / unit.codes, X.T)
        components = problem.parts.bind(D).project(X.T.copy())
        return Factors(ReLU().infer(D, components), components)

    def _named_start(self, D, m: int, problem: Problem) -> str:
        """The name of the start, which must be possible."""
        of_samples = problem.parts.of_samples
        from_svd = m <= min(D.shape) and not of_samples
        init = self.init
        if init is None and self.n_init == 1:
            init = "spa" if of_samples else "nndsvda" if from_svd and D.min() >= 0 else None
        init = init or "random"
        if init == "custom":
            raise ValueError(
                "init='custom' begins from W= and H= given to fit: partial_fit takes start=(H, X), "
                "of shapes (n, m) and (d, m), or a fitted model."
            )
        if init.startswith("nndsvd") and not from_svd:
            raise ValueError(
                f"init = '{init}' can only be used when n_components <= min(n_samples, "
                f"n_features) = {min(D.shape)}; n_components is {m}: use init='random'."
            )
        return init

    def _set(self, D, weights, unit: Unit, factors: Factors) -> np.ndarray:
        """The attributes that the parts and their codes have on some data, all in their unit;
        returns the codes in the data's own."""
        codes, components, sample_weights = factors
        self.problem_ = self.problem
        self.components_ = scale.put_back(components, unit.parts, components.dtype, "parts")
        self._n_components = len(components)  # scikit-learn's name
        if sample_weights is not None:
            self.parts_weights_ = sample_weights
        beta = self.problem_.objective.fit.beta
        if beta == 2:
            loss = factorization_loss(D, codes, components, weights)
        else:
            loss = 2 * beta_divergence(D, codes, components, beta, weights)
        self.loss_ = loss * unit.objective
        self.reconstruction_err_ = float(np.sqrt(self.loss_))
        return scale.put_back(codes, unit.codes, codes.dtype, "codes")


def non_negative_factorization(
    X,
    W=None,
    H=None,
    n_components="auto",
    *,
    init=None,
    update_H=True,
    solver="cd",
    beta_loss="frobenius",
    tol=1e-4,
    max_iter=200,
    alpha_W=0.0,
    alpha_H="same",
    l1_ratio=0.0,
    random_state=None,
    verbose=0,
    shuffle=False,
) -> tuple[np.ndarray, np.ndarray, int]:
    """NMF as a function, with scikit-learn's signature and meanings.

    Parameters
    ----------
    X, W, H
        As for :meth:`NMF.fit`.
    update_H : bool
        Whether the parts may change; if not, only the codes for the given H are found.
    n_components, init, solver, beta_loss, tol, max_iter, alpha_W, alpha_H, l1_ratio, random_state
        As for :class:`NMF`; so are `verbose` and `shuffle`.

    Returns
    -------
    W, H, n_iter : ndarray (n, m), ndarray (m, d), int
        Codes, parts and the number of iterations.

    Examples
    --------
    >>> import numpy as np
    >>> W, H, n_iter = non_negative_factorization(np.eye(3), n_components=2, random_state=0)
    >>> W.shape, H.shape
    ((3, 2), (2, 3))
    """
    given = locals()
    own = {name: given[name] for name in NMF().get_params() if name in given}
    nmf = NMF(**own).set_output(transform="default")
    if update_H:
        return nmf.fit_transform(X, W=W, H=H), nmf.components_, nmf.n_iter_
    if H is None:
        raise ValueError("update_H=False finds the codes for given parts: give these as H=.")
    if W is not None:
        warnings.warn(
            "When update_H=False, the provided initial W is not used.", RuntimeWarning, stacklevel=2
        )
    D, *_ = nmf._checked(X, None, reset=True)
    m = np.shape(H)[0] if n_components == "auto" else nmf._n_parts(D)
    nmf.components_ = check_custom(H, "H", (m, D.shape[1]), D.dtype)
    return nmf.transform(X), nmf.components_, 1
