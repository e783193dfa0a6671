"""The step of a layer, sparse and dense, against formulas written out in double precision, and
against dense autograd."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from partsrep.choices.codes import ReLU, TopK
from partsrep.choices.dense import Logistic
from partsrep.choices.inference import NNLS, Layer, Pursuit
from partsrep.choices.jumprelu import JumpReLU
from partsrep.choices.objective import KL, L1, L2, Objective
from partsrep.choices.parts import Parts
from partsrep.choices.problem import Problem
from partsrep.choices.selections import BatchTopK, FeatureChoice
from partsrep.solvers import sparse_step
from partsrep.solvers.autoencoder import Autoencoder
from partsrep.solvers.sparse_step import applies, layer_loss

TOLERANCE = {"float32": 1e-6, "float64": 1e-10}
CODES = [TopK(3), BatchTopK(3), ReLU(), JumpReLU(0.7), FeatureChoice(3), FeatureChoice(2, zipf=1.0)]


def data_and_weights(n=40, d=12, m=30, bias=True, offset=True, precision="float64", seed=0):
    """D, U, Xᵀ, b, c; a row where no code is positive, a row of zeros, a unit of zeros."""
    rng = np.random.RandomState(seed)
    D, U, components = (rng.standard_normal((rows, d)) for rows in (n, m, m))
    U = np.abs(U)
    D[3] = -np.abs(D[3])
    D[5] = 0
    U[7] = 0
    b = rng.uniform(-1, 0, m) if bias else None
    c = rng.standard_normal(d) if offset else None
    arrays = (D, U, components, b, c)
    return [None if array is None else array.astype(precision) for array in arrays]


def tensors(arrays):
    return [None if array is None else torch.tensor(array, requires_grad=True) for array in arrays]


def allowed(codes, Z):
    """The selection, written out: which entries of Z are kept."""
    n, m = Z.shape
    if isinstance(codes, TopK):
        kept = np.argsort(np.argsort(-Z, axis=1), axis=1) < codes.k
    elif isinstance(codes, BatchTopK):
        kept = np.argsort(np.argsort(-Z, axis=None)).reshape(n, m) < codes.k * n
    elif isinstance(codes, FeatureChoice):
        positive = np.maximum(Z, 0)
        by_use = np.lexsort((-np.sum(positive**2, axis=0), -np.count_nonzero(positive, axis=0)))
        budgets = np.empty(m, int)
        budgets[by_use] = codes.budgets(n, m)
        kept = np.argsort(np.argsort(-Z, axis=0), axis=0) < budgets
    else:
        kept = getattr(codes, "threshold", 0) < Z
    return kept & (Z > 0)


def reference(codes, D, U, components, b, c):
    """Codes, loss and gradients of mean ‖d − d̂‖², in double precision."""
    D, U, components = (array.astype(float) for array in (D, U, components))
    Z = D @ U.T + (0 if b is None else b.astype(float))
    kept = allowed(codes, Z)
    H = np.where(kept, Z, 0)
    error = H @ components + (0 if c is None else c.astype(float)) - D
    n = len(D)
    of_Z = np.where(kept, 2 / n * error @ components.T, 0)
    slopes = (of_Z.T @ D, 2 / n * H.T @ error, of_Z.sum(axis=0), 2 / n * error.sum(axis=0))
    return H, np.sum(error**2) / n, slopes


def network(codes, U, components, b=None, c=None):
    """What the loss asks of a module."""
    problem = Problem(codes=codes, inference=Layer())
    return SimpleNamespace(problem=problem, U=U, components=components, bias=b, offset=c)


def close(tensor, array, tolerance):
    error = np.linalg.norm(tensor.detach().numpy() - array)
    assert error <= tolerance * np.linalg.norm(array)


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize(("bias", "offset"), [(True, True), (False, False)])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("sparse", [True, False])
def test_codes_loss_and_gradients_are_those_of_the_formulas(codes, bias, offset, precision, sparse):
    arrays = data_and_weights(bias=bias, offset=offset, precision=precision)
    D, *weights = tensors(arrays)
    value, uses = layer_loss(network(codes, *weights), D.detach(), True, sparse)

    H, expected, slopes = reference(codes, *arrays)
    tolerance = TOLERANCE[precision]
    assert H.any() and not H[3].any() and not H[:, 7].any()
    assert value.dtype == D.dtype
    np.testing.assert_array_equal(uses, (H > 0).sum(axis=0))
    close(value, expected, tolerance)
    for tensor, slope in zip(weights, slopes, strict=True):
        if tensor is not None:
            close(tensor.grad, slope, tolerance)


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("own_batches", [False, True])
@pytest.mark.parametrize("sparse", [True, False])
def test_a_stack_does_what_its_members_do_alone(codes, own_batches, sparse):
    members = [tensors(data_and_weights(seed=seed)) for seed in range(3)]
    if not own_batches:
        members = [[members[0][0], *weights] for _, *weights in members]
    D, *stack = (torch.stack(parts).detach() for parts in zip(*members, strict=True))
    stack = [weights.requires_grad_() for weights in stack]
    values, uses = layer_loss(network(codes, *stack), D if own_batches else D[0], True, sparse)
    for i, (own, *weights) in enumerate(members):
        alone, active = layer_loss(network(codes, *weights), own.detach(), True, sparse)
        torch.testing.assert_close(values[i], alone)
        assert torch.equal(uses[i], active)
        for stacked, single in zip(stack, weights, strict=True):
            torch.testing.assert_close(stacked.grad[i], single.grad)


@pytest.mark.parametrize("codes", [ReLU(), TopK(3)])
@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("sparse", [True, False])
def test_penalties_of_single_codes_have_autograd_s_gradients(codes, stacked, sparse):
    members = [tensors(data_and_weights(seed=seed)) for seed in range(2)]
    D, *weights = (torch.stack(own).detach() for own in zip(*members, strict=True))
    D, *weights = (array if stacked else array[0] for array in (D, *weights))
    objective = Objective(penalties=(L1(0.3), L2(0.7)))
    problem = Problem(Parts(offset=True), codes, Layer(bias=True), objective)
    by_hand, by_autograd = (
        Autoencoder(problem, weights[1], weights[0], *weights[2:]) for _ in range(2)
    )
    loss, _ = layer_loss(by_hand, D, True, sparse)
    expected = problem.objective(by_autograd(D))
    expected.sum().backward()
    torch.testing.assert_close(loss, expected.detach())
    for own, other in zip(by_hand.parameters(), by_autograd.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad)


@pytest.mark.parametrize("sparse", [True, False])
def test_a_tied_encoder_gets_both_gradients(sparse):
    arrays = data_and_weights()[:2]
    D, U = tensors(arrays)
    layer_loss(network(TopK(3), U, U), D.detach(), True, sparse)
    _, _, (of_U, of_components, *_) = reference(TopK(3), *arrays, arrays[1], None, None)
    close(U.grad, of_U + of_components, 1e-10)


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("sparse", [True, False])
def test_a_batch_without_any_selected_code_has_no_gradient_but_the_offset_s(codes, sparse):
    D, U, components, _, c = tensors(data_and_weights())
    D = -D.detach().abs()
    value, _ = layer_loss(network(codes, U, components, None, c), D, True, sparse)
    assert value.item() == pytest.approx((c - D).square().sum(dim=1).mean().item())
    assert not U.grad.any() and not components.grad.any() and c.grad.any()


@pytest.mark.parametrize("codes", [TopK(8), BatchTopK(8)])
def test_300_steps_go_where_dense_autograd_goes(codes):
    rng = np.random.RandomState(0)
    n, d, m = 128, 32, 128
    truth = rng.exponential(size=(8 * n, m)) * (rng.uniform(size=(8 * n, m)) < 0.05)
    D = torch.tensor((truth @ rng.standard_normal((m, d))).astype("float32"))
    start = torch.tensor(rng.standard_normal((m, d)).astype("float32")) / d**0.5

    def dense(batch, U, components, b):
        Z = batch @ U.T + b
        kept = torch.tensor(allowed(codes, Z.detach().numpy()))
        loss = (batch - torch.where(kept, Z, 0) @ components).square().sum(dim=1).mean()
        loss.backward()
        return loss

    def sparse(batch, U, components, b):
        return layer_loss(network(codes, U, components, b), batch, learn=True, sparse=True)[0]

    def curve(learn):
        weights = [torch.nn.Parameter(start.clone()) for _ in range(2)]
        weights.append(torch.nn.Parameter(start.new_zeros(m)))
        optimiser, losses = torch.optim.Adam(weights, lr=3e-3, fused=True), []
        for i in range(300):
            optimiser.zero_grad()
            losses.append(learn(D[n * (i % 8) : n * (i % 8 + 1)], *weights).item())
            optimiser.step()
        return np.array(losses)

    ours, theirs = curve(sparse), curve(dense)
    assert theirs[-1] < 0.2 * theirs[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_ties_are_broken_somehow(codes, value):
    Z = torch.full((40, 30), value)
    places = codes.support(Z)
    kept = torch.zeros(Z.numel()).scatter(0, places, Z.flatten()[places].clamp(min=0))
    assert (places.diff() > 0).all()
    assert kept.sum() == codes(Z).sum()


def test_a_batch_selection_is_exact_whatever_its_sample_of_entries_says():
    rng = np.random.RandomState(0)
    normal = rng.standard_normal((50, 40))
    high, low, rounded, few = normal.copy(), normal.copy(), np.round(normal), normal - 2.5
    high.flat[::61] += 100
    low.flat[::61] -= 100
    for Z in (normal, high, low, rounded, few, normal[:1, :3]):
        places = BatchTopK(3).support(torch.tensor(Z)).numpy()
        best = np.sort(Z, axis=None)[::-1][: 3 * len(Z)]
        np.testing.assert_array_equal(np.sort(Z.flat[places])[::-1], best[best > 0])
        assert (np.diff(places) > 0).all()


PLAIN = Problem(codes=TopK(32), inference=Layer())


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize(("m", "sparse"), [(400, True), (8, False)])
def test_the_products_are_sparse_where_few_of_many_codes_are_active(codes, m, sparse, monkeypatch):
    """Of ReLU's codes few are active here too, if there are many."""
    D, U, components, b, _ = tensors(data_and_weights(n=300, d=400, m=m))
    b = b.detach() - 1.5 * (D @ U.T).std() * (m > 100)
    chosen = []

    class Noted(sparse_step.Support):
        def __init__(self, *arguments):
            chosen.append(True)
            super().__init__(*arguments)

    monkeypatch.setattr(sparse_step, "Support", Noted)
    layer_loss(network(codes, U.detach(), components.detach(), b), D.detach())
    assert bool(chosen) is sparse


def test_it_is_for_codes_that_are_selected():
    assert all(applies(replace(PLAIN, codes=codes)) for codes in CODES)


@pytest.mark.parametrize(
    "change",
    [
        {"codes": JumpReLU(0.5, bandwidth=0.1)},
        {"codes": Logistic()},
        {"inference": Layer(steps=2)},
        {"inference": Pursuit(3)},
        {"inference": NNLS()},
        {"objective": Objective(penalties=(L1(0.1, by_norm=True),))},
        {"objective": Objective(penalties=(L1(0.1), L2(0.1, on="parts")))},
        {"objective": Objective(penalties=(KL(0.1),))},
        {"objective": Objective(link="logistic")},
    ],
)
def test_other_problems_are_for_autograd(change):
    assert not applies(replace(PLAIN, **change))


@pytest.mark.parametrize("width", [1, 7, 31, 32, 33, 70])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_largest_of_wide_rows_are_found_as_of_narrow_ones(width, dtype):
    k = 3
    Z = torch.randn(2, 50, width * k, generator=torch.Generator().manual_seed(0)).to(dtype)
    Z[0, 0, :] = 1.0
    Z[1, 1, 0] = torch.nan
    Z[1, 2, :] = -torch.inf
    within = torch.zeros(Z.numel(), dtype=torch.bool)
    within[TopK(k).support(Z)] = True
    kept = within.view_as(Z)
    assert (kept.sum(dim=-1) == k).all()
    least = torch.where(kept, Z, torch.inf).nan_to_num(torch.inf).amin(dim=-1)
    most = torch.where(kept, -torch.inf, Z).nan_to_num(-torch.inf).amax(dim=-1)
    assert (least >= most).all()


@pytest.mark.parametrize("shape", [(40, 12), (2, 40, 12), (40, 200)])
def test_codes_without_a_graph_are_those_with_one(shape):
    Z = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(TopK(4)(Z), TopK(4)(Z.clone().requires_grad_()).detach())


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(("codes", "share"), [(ReLU(), 0.02), (TopK(3), 0.2)])  # some other codes
def test_a_step_in_half_precision_is_near_one_in_single(codes, share, sparse):
    generator = torch.Generator().manual_seed(0)
    D, P = (torch.randn(count, 16, generator=generator) for count in (64, 24))

    def step(half):
        module = Autoencoder(Problem(codes=codes, inference=Layer(bias=True)), P, P)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            loss, _ = layer_loss(module, D, learn=True, sparse=sparse)
        return loss, [weights.grad for weights in module.parameters()]

    (loss, slopes), (exact, wanted) = step(True), step(False)
    torch.testing.assert_close(loss, exact, rtol=0.02, atol=0)
    for slope, other in zip(slopes, wanted, strict=True):
        assert slope.dtype == torch.float32
        assert (slope - other).norm() < share * other.norm()
