r"""Variable projection: an autoencoder as a function of its encoder alone, by L-BFGS.

With gates M, which say what codes are active, the codes are A = M ∘ (U Dᵀ + b), as rows (m, n), and
the best parts for them are known. What is minimised is

.. math:: \varphi(U, b) = \min_{X \in \text{parts}} \|D - A^T X^T\|^2
    + \rho \sum_j \|u_j\|^2 \|x_j\|^2 .

* In coordinates in which the inputs, data and a 1 for the bias, are white, [D, 1] = Qᵀ R with
  Q Qᵀ = 1, all pre-activations are Z = V Q. As the gates seldom change, the Hessian in V is about
  B ⊗ 1 with B = (P Pᵀ) ∘ (M Mᵀ) / n, from which L-BFGS begins. A ridge ρ > 0 counts as so much
  more variance of the data.
* The line search is on φ itself: each trial has its gates and its best parts, and those of the
  accepted one stay. So the gradient is that of the loss with parts and gates held, M ∘ (P Pᵀ A −
  P Dᵀ) Qᵀ.
* Several starts are one stack (s, m, ·), and the worse half of it is dropped again and again.

A decoder bias is one more part, whose code is always 1.

References
----------
Golub, Pereyra (1973), "The differentiation of pseudo-inverses and nonlinear least squares problems
whose variables separate"; Danskin (1966) for the gradient; Nocedal, Wright (2006), "Numerical
optimization", algorithm 7.4, for the two loops.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import block_diag
from sklearn.utils.extmath import row_norms

from ..choices.codes import ReLU
from ..choices.inference import Layer
from ..choices.objective import Objective
from ..choices.parts import Parts
from ..choices.problem import Problem
from ..leastsquares import columnwise_loss, data_norm, nnls_sweeps, stack_matmul
from ..progress import History, Interrupted, progress
from ..threads import one_where_more_do_not_pay
from . import Settings, Weights, adam
from .alternating import has_norms_to_move, with_unit_norm
from .autoencoder import Autoencoder

MEMORY = 8  # steps that L-BFGS remembers
# The line search: how a step shrinks, how often, and the share of the slope's promise it has to
# keep.
SHRINK, TRIALS, PROMISE = 0.4, 8, 2e-4
RECENT = 4  # steps that have to gain something together
# Sweeps of nonnegative parts and of codes, half steps of other sets of parts.
SWEEPS, SWEEPS_OF_CODES, REFITS = 5, 2, 2
# Rounds of least squares in turn, of which the latest have to gain a share; steps of a heat.
ROUNDS, LATEST, GAIN = 100, 10, 2.5e-3
HEAT, HEAT_OF_SELECTIONS = 10, 20  # a selection settles later
# Where rounds are all there is to gain: so many in a heat, and their patience with the last start.
HEAT_OF_ROUNDS, PATIENT = 40, 60
# In closed form: the least share that counts, and how much more than needed makes codes positive.
WELL_POSED, MARGIN = 1e-8, 1.01
# A selection among more units than so many times the features leaves too many of them dead.
CROWDED = 2
# Below these limits the matrices of so many units, features or samples cost little.
UNITS, SIDE, ENTRIES = 256, 2048, 2**26


def solves(problem: Problem) -> bool:
    """Whether gates and least squares are all there is to the problem."""
    codes, parts, layer = problem.codes, problem.parts, problem.inference
    plain = replace(problem.objective, penalties=()) == Objective()
    known = codes.has_gates and not parts.of_samples and layer == Layer(bias=layer.bias)
    of_codes, of_parts = (problem.objective.terms(factor) for factor in ("codes", "parts"))
    l1, _ = of_parts.elastic or (0, 0)
    taken = (
        penalty.of_paths or (penalty.elastic is not None and not penalty.by_norm)
        for penalty in problem.objective.penalties
    )
    if not (plain and known and all(taken)):
        return False
    signed = l1 > 0 and not parts.nonnegative  # for which it is not elastic
    # A penalty on one factor alone makes it shrink and the other grow, for ever.
    held = not of_codes or of_parts or parts.has_scale
    return bool(held and not signed and (of_codes or not of_parts))


def fits(shape: tuple[int, ...], m: int) -> bool:
    """Whether data of this shape are few enough."""
    return m <= UNITS and min(shape) <= SIDE and shape[0] * shape[1] <= ENTRIES


def crowded(problem: Problem, d: int, m: int) -> bool:
    """Whether a search would leave many units dead, which Adam reinitialises."""
    return problem.codes.sparsity is not None and m > CROWDED * d


def check(problem: Problem) -> None:
    """Raise a ValueError if this is no problem for this solver."""
    adam.check(problem)
    if not solves(problem):
        raise ValueError(
            'solver="projection" needs ReLU, TopK or JumpReLU without a bandwidth, a linear layer '
            "of its own and linear output; PathNorm, L1 and L2 are the penalties it takes, these "
            'two on codes where parts have norm 1 or a penalty too; use solver="auto" or "adam".'
        )


def train(
    module: Autoencoder, D: Any, rngs: list[np.random.RandomState], settings: Settings
) -> History:
    """Minimise the module's objective from where it is, in place.

    Ends after `max_iter` steps, when four together gain less than `tol` each, or where no step
    helps.

    Returns
    -------
    History
        "objective", "alive" (units that are active on at least one sample) and "seconds", at the
        start and after each step.

    Raises
    ------
    Interrupted
        At Ctrl-C; the module then holds the best there was.
    """
    D = D.cpu().numpy()
    problem, history = loose(module.problem.against_data(D.shape)), History()
    P, U = (weights.detach().cpu().numpy()[None] for weights in (module.components, module.U))
    b, c = (
        None if w is None else w.detach().cpu().numpy()[None] for w in (module.bias, module.offset)
    )
    with one_where_more_do_not_pay(D.size * P.shape[1]):
        optimum = principal(D, P[0]) if is_principal(problem) else None
        if optimum is not None:
            P, U, b = optimum[0][None], optimum[1][None], None if b is None else 0 * b
        white = White(D, problem.inference.bias, D.dtype, ridge(problem))
        descent = Descent(white, problem, white.coordinates(U, b), with_offset(P, c))

        def record() -> None:
            active = descent.now.A[0, : P.shape[1]].any(axis=-1)
            history.add(
                objective=max(descent.now.loss[0], 0) / len(D), alive=np.count_nonzero(active)
            )

        record()
        if optimum is not None:
            history.solver = "principal components"
            module.put(descent.weights)
            return history
        try:
            for _ in progress(range(settings.max_iter), "SAE, variable projection"):
                descent.step()
                record()
                if descent.ended(settings.tol):
                    break
        except KeyboardInterrupt:
            raise Interrupted(history) from None
        finally:
            module.put(descent.weights)
    return history


def ridge(problem: Problem) -> float:
    """ρ."""
    return sum(penalty.weight for penalty in problem.objective.penalties if penalty.of_paths)


def norms_move(problem: Problem) -> bool:
    """Whether the norms of parts only say what share is the encoder's."""
    penalties = problem.objective.penalties
    scaled = problem.codes.homogeneous and problem.codes.sparsity is None
    return scaled and all(penalty.of_paths for penalty in penalties)


def loose(problem: Problem) -> Problem:
    """The problem without a norm of its parts, where that can be the encoder's."""
    parts = problem.parts
    known = Parts(parts.nonnegative, parts.unit, parts.offset)
    if not (norms_move(problem) and parts == known):
        return problem
    return replace(problem, parts=replace(known, unit=False))


def is_principal(problem: Problem) -> bool:
    """Whether nothing but ReLU bars the solution by principal components."""
    plain = problem.codes == ReLU() and not problem.objective.penalties
    return plain and loose(problem).parts == Parts()


def principal(D: np.ndarray, P: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The optimal parts, free ones, and encoder that begin at parts P (m, d), in closed form.

    No m linear units leave less of D than the first m singular directions E. In the span of these
    the codes of any m independent parts are linear; of data D ≥ 0 the first direction has a
    positive share in each sample, and enough of it in each unit makes all codes ≥ 0, so that ReLU
    cuts nothing. None where a sample has none of it, or the parts are dependent there.
    """
    n, d = D.shape
    m, dtype = len(P), D.dtype
    if m > min(n, d) or D.min() < 0:
        return None
    D = D.astype(np.float64, copy=False)
    values, E = np.linalg.eigh(D.T @ D if d <= n else D @ D.T)
    values, E = values[::-1][:m], E[:, ::-1][:, :m]
    if not values[-1] > WELL_POSED * values[0]:
        return None
    E = E.T if d <= n else (D.T @ E / np.sqrt(values)).T
    scores = D @ E.T
    first = scores[:, 0] * np.sign(scores[:, 0].sum())
    shown = D.any(axis=1)
    within = P @ E.T
    if (first[shown] <= WELL_POSED * first.max()).any() or np.linalg.cond(within) > 1 / WELL_POSED:
        return None
    to_codes = np.linalg.inv(within).T  # codes = scores @ to_codesᵀ
    lacking = np.max(-(scores @ to_codes.T)[shown] / first[shown, None], axis=0)
    # A little more than is needed, for samples not seen.
    to_codes[:, 0] += MARGIN * np.maximum(lacking, 0) * np.sign(scores[:, 0].sum())
    if np.linalg.cond(to_codes) > 1 / WELL_POSED:
        return None
    return (np.linalg.inv(to_codes).T @ E).astype(dtype), (to_codes @ E).astype(dtype)


def search(
    D: np.ndarray,
    components: np.ndarray,
    codes: np.ndarray | None,
    problem: Problem,
    tol: float,
) -> Weights:
    """The one of several starts that leads farthest in heats of a few steps.

    A start is parts with their codes; without codes rounds of least squares in turn find them, and
    better parts. The problem has no offset, and no penalties but ridges.
    """
    problem = loose(problem.against_data(D.shape))
    with one_where_more_do_not_pay(D.size * components.shape[1]):
        white = White(D, problem.inference.bias, np.float32, ridge(problem))
        components = components.astype(np.float32)
        stack = Descent(white, problem, *in_turn(white, problem, components, codes))
        heat = HEAT if problem.codes.sparsity is None else HEAT_OF_SELECTIONS
        while len(stack.now.V) > 1:
            for _ in range(heat):
                stack.step()
                if stack.ended(tol):
                    break
            stack.keep(np.argsort(stack.now.loss, kind="stable")[: (len(stack.now.V) + 1) // 2])
        return Weights._make(None if w is None else w.astype(D.dtype) for w in stack.weights)


def in_turn(
    white: White, problem: Problem, P: np.ndarray, F: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Encoders V and parts P from parts, for a stack of starts.

    A round: better codes F ≥ 0 for the parts, the encoder nearest to them, the codes that it really
    gives, better parts for these.
    """
    gates = problem.codes.gates if problem.codes.homogeneous else ReLU().gates
    # Where an encoder gives all codes that are wanted, rounds are a descent, and heats, themselves.
    patience = PATIENT if white.flexible else 1
    rounds, lowest = (ROUNDS * patience, []) if F is None else (1, [])
    F = np.zeros((*P.shape[:-1], white.Q.shape[1]), P.dtype) if F is None else F
    for _ in range(rounds):
        gram, cross = P @ P.mT, white.over_samples(P @ white.R.T)
        F = nnls_sweeps(F, gram, cross, SWEEPS_OF_CODES)
        wanted = F
        if white.flexible:  # those of inactive codes are to lie below the kink, not on it
            below = np.minimum(cross - gram @ F, 0) - 1e-2 * F.mean()
            wanted = np.where(F > 0, F, below)
        V = white.summed(wanted)
        Z = white.over_samples(V)
        A = Z * gates(Z)
        gram, cross = A @ A.mT, white.summed(A) @ white.R
        P = refitted(problem, P, gram, cross)
        P = revived(white, problem, P, A)
        loss = white.energy + columnwise_loss(P, gram, cross).sum(axis=-1)
        if problem.parts.homogeneous:  # codes are compared at parts of norm 1
            norms = np.linalg.norm(P, axis=-1, keepdims=True)
            norms += norms == 0
            P, F, V = P / norms, F * norms, V * norms
        lowest.append(loss.min())
        if white.flexible and len(P) > 1 and len(lowest) % HEAT_OF_ROUNDS == 0:
            kept = np.argsort(loss, kind="stable")[: (len(P) + 1) // 2]
            P, F, V = P[kept], F[kept], V[kept]
        if (
            len(lowest) > LATEST
            and patience * (lowest[-1 - LATEST] - lowest[-1]) < GAIN * lowest[-1]
        ):
            break
    return V, P


def revived(white: White, problem: Problem, P: np.ndarray, A: np.ndarray) -> np.ndarray:
    """Parts whose unit is active on no sample become what a badly rebuilt sample lacks."""
    if problem.parts.fixed:
        return P
    dead = np.logical_not(A.any(axis=-1))
    for i in np.flatnonzero(dead.any(axis=-1)):
        shares = white.over_samples((P[i] @ white.R.T)[None])[0]
        errors = white.squares + np.einsum("kn,kn->n", A[i], P[i] @ P[i].T @ A[i] - 2 * shares)
        units = np.flatnonzero(dead[i])
        worst = np.argsort(-errors, kind="stable")[: len(units)]
        worst = worst[errors[worst] > 1e-6 * white.energy / len(errors)]
        lacks = white.Q[:, worst].T @ white.R - A[i][:, worst].T @ P[i]
        P[i, units[: len(worst)]] = problem.parts.project(lacks)
    return P


def refitted(problem: Problem, P: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """Better parts for the codes of a stack; with a row more an offset too."""
    parts, terms = problem.parts, problem.objective.terms("parts")
    if parts.swept and not parts.offset and not terms:
        return nnls_sweeps(P, gram, cross, SWEEPS)
    refits = 1 if parts.bounds == (None, None) else REFITS
    if parts == Parts(parts.nonnegative, unit=True) and not terms:
        for _ in range(refits):
            P = parts.improve(P, gram, cross)
        return P
    bare = parts.with_offset(False)
    free = Parts(nonnegative=parts.nonnegative)
    m = P.shape[1] - parts.offset
    new = P.copy()
    for own, G, C in zip(new, gram, cross, strict=True):
        for _ in range(refits):
            of_parts = terms.quadratic(own[:m], G[:m, :m], C[:m] - G[:m, m:] @ own[m:])
            own[:m] = bare.improve(own[:m], *of_parts)
            if parts.offset:
                own[m:] = free.improve(own[m:], G[m:, m:], C[m:] - G[m:, :m] @ own[:m])
    return new


def with_offset(P: np.ndarray, c: np.ndarray | None) -> np.ndarray:
    """The parts, and the offset as one more."""
    return P if c is None else np.concatenate([P, c[:, None]], axis=1)


class White:
    """Data D (n, d) in coordinates in which the inputs, with a bias [D, 1], are white: D = Qᵀ R.

    A ridge makes them wider than they are, so that Q Qᵀ is less than 1; `metric` K then says how
    large encoder rows are, ‖u‖² = v K vᵀ.
    """

    def __init__(self, D: np.ndarray, bias: bool, dtype: Any, ridge: float = 0.0):
        self.energy, self.squares = data_norm(D) ** 2, row_norms(D, squared=True)
        D = D.astype(np.float64, copy=False)
        n, d = D.shape
        values, E = spectrum(D.T @ D if d <= n else D @ D.T)
        E = E if d <= n else D.T @ (E / np.sqrt(values))
        inputs, values = D, values + ridge
        if bias:  # one more input, whose weight the ridge leaves free
            E = block_diag(E, 1)
            inputs = np.column_stack([D, np.ones(n)])
            scores = inputs @ E
            wider = np.append(np.full(len(values), ridge), 0)
            values, turned = spectrum(scores.T @ scores + np.diag(wider))
            E = E @ turned
        sizes = np.sqrt(values)
        Q = (inputs @ (E / sizes)).T
        self.Q = Q.astype(dtype, order="C")
        self._to, self._from = (E * sizes).astype(dtype), (E / sizes).astype(dtype)
        self.R = np.ascontiguousarray(self._to[:d].T)
        self._bias = bias
        self.metric = self._from[:d].T @ self._from[:d] if ridge else None

    @property
    def flexible(self) -> bool:
        """Whether an encoder gives any pre-activations that are wanted, at no cost."""
        return self.metric is None and len(self.Q) == self.Q.shape[1]

    def coordinates(self, U: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        """V (s, m, r) of encoders."""
        return (U if b is None else np.concatenate([U, b[..., None]], axis=-1)) @ self._to

    def encoder(self, V: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """U and b of V (m, r)."""
        weights = V @ self._from.T
        return (weights[:, :-1], weights[:, -1]) if self._bias else (weights, None)

    def over_samples(self, V: np.ndarray) -> np.ndarray:
        """V Q (s, m, n)."""
        return stack_matmul(V, self.Q)

    def summed(self, A: np.ndarray) -> np.ndarray:
        """A Qᵀ (s, m, r)."""
        return stack_matmul(A, self.Q.T)


def spectrum(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors, without those that are rounding."""
    values, E = np.linalg.eigh(gram)
    kept = values > 1e-10 * values[-1]
    return values[kept], E[:, kept]


class State(NamedTuple):
    """Encoders V, pre-activations Z, codes A, parts P and φ of a stack."""

    V: np.ndarray
    Z: np.ndarray
    A: np.ndarray
    P: np.ndarray
    loss: np.ndarray

    def of(self, members: Any) -> State:
        """That of some members."""
        return State(*(array[members] for array in self))


class Descent:
    """L-BFGS for a stack of encoders V (s, m, r) with parts P.

    With an offset the parts and codes have one row more, whose codes are 1.
    """

    def __init__(self, white: White, problem: Problem, V: np.ndarray, P: np.ndarray):
        self.white, self.problem, self.m = white, problem, V.shape[1]
        self.l1, self.l2 = problem.objective.terms("codes").elastic or (0.0, 0.0)
        self.ridge = ridge(problem)
        # What L-BFGS remembers: moves of V, and how the gradient changed by them.
        self.moves: list[np.ndarray] = []
        self.changes: list[np.ndarray] = []
        self.gradient: np.ndarray | None = None
        self.failures = np.zeros(len(V), int)
        self.losses: list[np.ndarray] = []
        self.now = self._at(V, white.over_samples(V), P)

    def _at(self, V: np.ndarray, Z: np.ndarray, P: np.ndarray) -> State:
        """The state of encoders, with parts found from P."""
        A = Z * self.problem.codes.gates(Z)
        loss = self.white.energy + np.zeros(len(V))
        if self.l1 or self.l2:
            loss += ((2 * self.l1 + self.l2 * A) * A).sum(axis=(1, 2))
        if self.problem.parts.offset:
            A = np.concatenate([A, np.ones_like(A[:, :1])], axis=1)
        gram, cross = A @ A.mT, self.white.summed(A) @ self.white.R
        if self.ridge:
            units = np.arange(self.m)
            gram[:, units, units] += self.ridge * ((V @ self.white.metric) * V).sum(axis=-1)
        P = refitted(self.problem, P, gram, cross)
        of_parts = self.problem.objective.terms("parts")
        loss += columnwise_loss(P, gram, cross).sum(axis=-1, dtype=float)
        loss += [of_parts(own[: self.m]) for own in P]
        return State(V, Z, A, P, loss)

    def step(self) -> None:
        """One step of each member."""
        A, P, m = self.now.A, self.now.P, self.m
        G = P @ P.mT
        error = (G @ A)[:, :m] - self.white.over_samples(P[:, :m] @ self.white.R.T)
        A, G = A[:, :m], G[:, :m, :m]
        gates = A > 0
        gradient = self.white.summed((error + self.l1 + self.l2 * A) * gates)
        if self.ridge:
            energies = np.einsum("skk->sk", G)[..., None]
            gradient += self.ridge * energies * (self.now.V @ self.white.metric)
        if self.gradient is not None:
            self._remember(gradient - self.gradient)
        self.gradient = gradient

        gates = gates.astype(G.dtype)
        identity = np.eye(m, dtype=G.dtype)
        B = (G + self.l2 * identity) * (gates @ gates.mT) / gates.shape[-1]
        own = np.einsum("skk->sk", B)[..., None]
        least = np.maximum(1e-2 * own, 1e-4 * own.max(axis=1, keepdims=True))
        inverse = np.linalg.inv(B + (least + (least == 0)) * identity)
        direction = -self._newton(gradient, inverse)
        downhill = dot(gradient, direction) < 0
        direction = np.where(downhill, direction, -inverse @ gradient)
        self._search(direction, dot(gradient, direction)[:, 0, 0])
        self.losses.append(self.now.loss)

    def _remember(self, change: np.ndarray) -> None:
        """Keep the last move and what it changed, where that shows curvature."""
        sizes = np.sqrt(dot(self.moved, self.moved) * dot(change, change))
        curved = dot(self.moved, change) > 1e-10 * sizes
        self.moves = [*self.moves, np.where(curved, self.moved, 0)][-MEMORY:]
        self.changes = [*self.changes, np.where(curved, change, 0)][-MEMORY:]

    def _newton(self, q: np.ndarray, inverse: np.ndarray) -> np.ndarray:
        """The gradient times the inverse Hessian that L-BFGS makes of this first guess."""
        passed = []
        for move, change in zip(self.moves[::-1], self.changes[::-1], strict=True):
            rho = inverse_of(dot(move, change))
            passed.append((rho, rho * dot(move, q)))
            q = q - passed[-1][1] * change
        q = inverse @ q
        if self.moves:
            move, change = self.moves[-1], self.changes[-1]
            scale = dot(move, change) * inverse_of(dot(change, inverse @ change))
            q = q * np.where(scale > 0, scale, 1)
        for (rho, alpha), move, change in zip(passed[::-1], self.moves, self.changes, strict=True):
            q = q + move * (alpha - rho * dot(change, q))
        return q

    def _search(self, direction: np.ndarray, slope: np.ndarray) -> None:
        """Go along a direction, in each member as far as keeps its slope's promise, or nowhere."""
        ahead = self.white.over_samples(direction)
        found = State(*(array.copy() for array in self.now))
        t, left = np.ones((len(slope), 1, 1), direction.dtype), np.arange(len(slope))
        for _ in range(TRIALS):
            some = self.now.of(left)
            V, Z = some.V + t[left] * direction[left], some.Z + t[left] * ahead[left]
            tried = self._at(V, Z, some.P)
            good = tried.loss <= some.loss + PROMISE * t[left, 0, 0] * slope[left]
            for own, new in zip(found, tried, strict=True):
                own[left[good]] = new[good]
            left = left[~good]
            if not len(left):
                break
            t[left] *= SHRINK
        self.moved, self.now = found.V - self.now.V, found
        failed = np.isin(np.arange(len(slope)), left)
        self.failures = np.where(failed, self.failures + 1, 0)
        for old in (*self.moves, *self.changes):  # where nothing helped, begin anew
            old[left] = 0

    def ended(self, tol: float) -> bool:
        """Whether no member goes on."""
        recent = self.losses[-1 - RECENT :]
        slow = len(recent) > RECENT and recent[0] - recent[-1] <= RECENT * tol * abs(recent[-1])
        return bool(np.all(slow | (self.failures > 1)))

    def keep(self, members: np.ndarray) -> None:
        """Drop the others."""
        self.now, self.failures = self.now.of(members), self.failures[members]
        self.moved = self.moved[members]
        if self.gradient is not None:
            self.gradient = self.gradient[members]
        self.moves = [move[members] for move in self.moves]
        self.changes = [change[members] for change in self.changes]
        self.losses = []

    @property
    def weights(self) -> Weights:
        """Those of the best member. Norms of ReLU's parts are the encoder's, where they may be."""
        best = int(self.now.loss.argmin())
        P, (U, b) = self.now.P[best], self.white.encoder(self.now.V[best])
        P, c = P[: self.m], P[self.m] if self.problem.parts.offset else None
        if norms_move(self.problem) and has_norms_to_move(self.problem.parts):
            P, U, b = with_unit_norm(P, U, b)
        return Weights(P, U, b, c)


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """⟨a, b⟩ of each member (s, 1, 1)."""
    return np.einsum("smr,smr->s", a, b)[:, None, None]


def inverse_of(a: np.ndarray) -> np.ndarray:
    """1/a, 0 for 0."""
    return np.divide(1, a, out=np.zeros_like(a), where=a != 0)
