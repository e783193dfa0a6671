"""Autoencoder steps that touch only the selected codes: a quarter of the work where few are.

Of the five dense products of a step, D Uᵀ stays, for it says what is selected. The reconstruction,
the gradient of the codes and those of both weights are sums over the selected entries alone, where
these are few; elsewhere they are dense, but still without a graph.
"""

import warnings
from functools import cached_property

import numpy as np
import torch
from torch.nn.functional import embedding_bag, linear

from ..choices.codes import places
from ..choices.objective import Penalty
from ..choices.problem import Problem
from .autoencoder import Autoencoder

DENSITY = 0.09  # of selected codes, above which dense products are faster
WORK = 2**23  # n·d·m of a whole stack's batch, below which the overhead of sparse products is more

# torch says once a process that its CSR tensors are in beta; a training loop is no place for that.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)
    torch.zeros(1, 1).to_sparse_csr()


class Support:
    """Which entries of codes (…, n, m) are selected, row by row.

    A stack of matrices counts as one, block diagonal.

    Parameters
    ----------
    entries : tensor (r,) of int
        Places in the flattened codes, in ascending order.
    shape : (…, n, m)

    Attributes
    ----------
    size : (rows, columns)
        Of the block diagonal matrix.
    row, col : tensor (r,)
        Of each entry, in that matrix.
    member : tensor (r,)
        Which of the stack each entry belongs to.
    crow : tensor (rows + 1,)
        Where each row begins.
    """

    def __init__(self, entries: torch.Tensor, shape: torch.Size):
        n, m = shape[-2:]
        self.entries, self.shape = entries, shape
        self.size = (shape.numel() // m, shape.numel() // n)
        self.row = _quotient(entries, m)
        self.member = _quotient(self.row, n)
        self.col = entries - (self.row - self.member) * m
        self.crow = _offsets(self.row, self.size[0])

    @cached_property
    def by_column(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The order that goes through the entries column by column, their rows and the offsets."""
        if self.col.device.type == "cpu":
            # numpy sorts small integers by their digits.
            small = self.col.numpy().astype(np.min_scalar_type(self.size[1]))
            order = torch.from_numpy(small.argsort(kind="stable"))
        else:
            order = self.col.argsort(stable=True)
        col, row = self.col.index_select(0, order), self.row.index_select(0, order)
        return order, row, _offsets(col, self.size[1])

    def by_unit(self, values: torch.Tensor) -> torch.Tensor:
        """The sums over samples (…, m) of a matrix with these values on the support."""
        *stack, _, m = self.shape
        sums = values.new_zeros(self.size[1]).index_add_(0, self.col, values)
        return sums.view(*stack, m)

    def product(self, values: torch.Tensor, P: torch.Tensor) -> torch.Tensor:
        """H P for the matrix H with these values on the support; P (columns, d)."""
        return _sums(self.col, self.crow, values, P)

    def transposed_product(self, values: torch.Tensor, P: torch.Tensor) -> torch.Tensor:
        """Hᵀ P; P (rows, d), or one (n, d) for each of the stack."""
        order, row, offsets = self.by_column
        if len(P) < self.size[0]:
            row = row - len(P) * self.member.index_select(0, order)
        return _sums(row, offsets, values.index_select(0, order), P)

    def sampled_product(self, A: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
        """The entries of A Bᵀ on the support; A (rows, d), B (columns, d)."""
        zeros = torch.sparse_csr_tensor(
            self.crow, self.col, A.new_zeros(len(self.col)), self.size, check_invariants=False
        )
        return torch.sparse.sampled_addmm(zeros, A, B.T, beta=0).values()


def _quotient(index: torch.Tensor, divisor: int) -> torch.Tensor:
    """index // divisor, rounded down."""
    if index.device.type == "cpu":
        return torch.from_numpy(index.numpy() // divisor)  # faster than torch's
    return index // divisor


def _offsets(index: torch.Tensor, count: int) -> torch.Tensor:
    """Where each of the numbers below `count`, and what follows them, begins in a sorted list."""
    return torch.searchsorted(index, torch.arange(count + 1, device=index.device))


def _sums(
    index: torch.Tensor, offsets: torch.Tensor, values: torch.Tensor, P: torch.Tensor
) -> torch.Tensor:
    """Weighted sums of rows of P: a product with a CSR matrix, and faster than torch's own."""
    return embedding_bag(
        index, P, offsets, mode="sum", per_sample_weights=values, include_last_offset=True
    )


@torch.no_grad()
def layer_loss(
    module: Autoencoder, D: torch.Tensor, learn: bool = False, sparse: bool | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""The objective of a batch, where it :func:`applies`, and how often units are active.

    Under :class:`torch.autocast` dense products are in half precision, sums over few codes are not.

    With H = f(D Uᵀ + b), E = H Xᵀ + 1cᵀ − D, and G the entries of E X where H > 0, the gradients
    are 2/n times Hᵀ E for Xᵀ, Gᵀ D for U, and the sums of the rows of E for c and of G for b.
    Penalties 2 l₁ Σh + l₂ Σh² of a sample's codes add l₁ + l₂ h to the entries of G.

    Parameters
    ----------
    module : Autoencoder
        Or a stack of them.
    D : tensor (n, d)
        Or one for each member of a stack, (…, n, d).
    learn : bool
        Whether the weights get these gradients, in a stack each of its own loss.
    sparse : None or bool
        Whether the products run over the selected codes alone; None: where a CPU is faster so.

    Returns
    -------
    loss : tensor ()
        For a stack (…,). It has no graph.
    uses : tensor (m,)
        Samples on which each unit is active; for a stack (…, m).

    Examples
    --------
    >>> from partsrep.choices.codes import TopK
    >>> from partsrep.choices.inference import Layer
    >>> D, parts = torch.tensor([[3.0, 1.0], [2.0, 4.0]]), torch.eye(2)
    >>> module = Autoencoder(Problem(codes=TopK(1), inference=Layer()), parts, parts)
    >>> loss, uses = layer_loss(module, D, learn=True)
    >>> loss.item(), uses, module.dictionary.grad
    (2.5, tensor([1., 1.]), tensor([[ 0., -3.],
            [-8.,  0.]]))
    """
    with torch.enable_grad():  # tied encoders and parts made of samples are functions of weights
        encoder, parts = module.U, module.components
    U, P = encoder.detach(), parts.detach()
    b, c = (None if w is None else w.detach() for w in (module.bias, module.offset))
    codes, terms = module.problem.codes, module.problem.objective.terms("codes")
    l1, l2 = terms.elastic or (0.0, 0.0)
    *stack, m, d = P.shape
    Z = linear(D, U, b) if not stack else D @ U.mT
    if stack and b is not None:
        Z += b.unsqueeze(-2)
    n = Z.shape[-2]
    large = Z.numel() * d >= WORK
    if isinstance(codes.sparsity, int):  # the same for a whole stack
        H, few = None, codes.sparsity <= DENSITY * m
    else:
        H = codes(Z)
        active = H.sign()  # takes a fraction of the time of H > 0
        # A host that counts waits for its GPU.
        few = large and Z.device.type == "cpu" and int(active.sum()) <= DENSITY * Z.numel()
    if sparse is None:
        sparse = large and few
    if sparse:
        entries = codes.support(Z) if H is None else places(H.flatten() > 0)
        support, flat = Support(entries, Z.shape), P.flatten(0, -2)
        # Only TopK selects what may be negative.
        H = Z.flatten().index_select(0, entries).relu().to(P)
        E = support.product(H, flat).view(*Z.shape[:-1], d)
        active = H.sign()
        uses = support.by_unit(active)
    else:
        if H is None:
            H = codes(Z)
            active = H.sign()
        E = (H @ P).to(P)
        uses = active.sum(dim=-2, dtype=P.dtype)
    if c is not None:
        E += c.unsqueeze(-2)
    E -= D
    loss = torch.linalg.vector_norm(E, dim=(-2, -1)).square() / n
    if terms:
        costs = (2 * l1 + l2 * H) * H
        of_units = support.by_unit(costs) if sparse else costs.sum(dim=-2)
        loss += of_units.sum(dim=-1) / n
    if not learn:
        return loss, uses
    E *= 2 / n

    def penalised(G: torch.Tensor) -> torch.Tensor:
        return G.add_(active, alpha=2 / n * l1).add_(H, alpha=2 / n * l2) if terms else G

    if sparse:
        rows = E.flatten(0, -2)
        G = penalised(support.sampled_product(rows, flat).mul_(active))
        of_U = support.transposed_product(G, D.flatten(0, -2)).view_as(P)
        of_P = support.transposed_product(H, rows).view_as(P)
        if b is not None:
            of_b = support.by_unit(G)
    else:
        G = penalised((E @ P.mT).mul_(active))
        of_U, of_P = G.mT @ D, H.mT @ E
        if b is not None:
            of_b = G.sum(dim=-2)
    slopes = [(encoder, of_U), (parts, of_P)]
    if module.bias is not None:
        slopes.append((module.bias, of_b))
    if module.offset is not None:
        slopes.append((module.offset, E.sum(dim=-2)))
    for tensor, slope in slopes:
        slope = slope.to(tensor)
        if tensor.is_leaf:
            tensor.grad = slope if tensor.grad is None else tensor.grad + slope
        else:
            tensor.backward(slope, retain_graph=True)
    return loss, uses


def applies(problem: Problem) -> bool:
    """Whether :func:`layer_loss` is the problem's objective: one layer whose codes are selected
    pre-activations, and the squared error, with penalties of single codes at most."""
    codes, objective = problem.codes, problem.objective
    return (
        codes.has_support
        and not codes.learns
        and problem.inference.single_layer
        and all(of_single_codes(penalty) for penalty in objective.penalties)
        and objective.averaged
    )


def of_single_codes(penalty: Penalty) -> bool:
    """Whether it is 2 l₁ Σh + l₂ Σh², the same for a whole stack."""
    alone = penalty.on == "codes" and not penalty.by_norm
    return alone and not torch.is_tensor(penalty.weight) and penalty.elastic is not None
