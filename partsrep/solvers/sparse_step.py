"""Autoencoder steps that touch only the selected codes: a quarter of the work where few are.

Of the five dense products of a step, D Uᵀ stays, for it says what is selected. The reconstruction,
the gradient of the codes and those of both weights are sums over the selected entries alone, where
these are few; elsewhere they are dense. Autograd sees a single function, :func:`layer_loss`.
"""

import warnings
from functools import cached_property

import numpy as np
import torch
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag, linear, pad

from ..choices.codes import places
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
        return order, self.row.index_select(0, order), _offsets(self.col, self.size[1])

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
    return pad(torch.bincount(index, minlength=count).cumsum(0), (1, 0))


def _sums(
    index: torch.Tensor, offsets: torch.Tensor, values: torch.Tensor, P: torch.Tensor
) -> torch.Tensor:
    """Weighted sums of rows of P: a product with a CSR matrix, and faster than torch's own."""
    return embedding_bag(
        index, P, offsets, mode="sum", per_sample_weights=values, include_last_offset=True
    )


class _LayerLoss(torch.autograd.Function):
    """:func:`layer_loss`, of a stack member by member."""

    @staticmethod
    def forward(ctx, D, U, P, b, c, codes, sparse):
        *stack, m, d = P.shape
        Z = linear(D, U, b) if not stack else D @ U.mT
        if stack and b is not None:
            Z += b.unsqueeze(-2)
        parts = P.detach()  # with a graph of its own a product would be slower
        limited = isinstance(codes.sparsity, int)  # the same for a whole stack
        count = codes.sparsity * (Z.numel() // m) if limited else None
        if not limited:
            H = codes(Z)
            count = int(H.count_nonzero())
        if sparse is None:
            sparse = Z.numel() * d >= WORK and count <= DENSITY * Z.numel()
        ctx.support = None
        if sparse:
            entries = codes.support(Z) if limited else places(H.flatten() > 0)
            ctx.support = support = Support(entries, Z.shape)
            # Only TopK selects what may be negative.
            H = Z.flatten().index_select(0, entries).relu()
            parts = parts.flatten(0, -2)
            E = support.product(H, parts).view(*Z.shape[:-1], d)
            uses = torch.bincount(support.col[H > 0], minlength=len(parts)).view(*stack, m)
        else:
            H = codes(Z) if limited else H
            E = H @ parts
            uses = (H > 0).sum(dim=-2)
        if c is not None:
            E += c.unsqueeze(-2)
        E -= D
        ctx.save_for_backward(D, parts, H, E)
        ctx.like = U, P, b, c
        ctx.mark_non_differentiable(uses)
        return torch.linalg.vector_norm(E, dim=(-2, -1)).square() / Z.shape[-2], uses

    @staticmethod
    @once_differentiable
    def backward(ctx, slope, _):
        D, parts, H, E = ctx.saved_tensors
        U, P, b, c = ctx.like
        support, factor = ctx.support, 2 / E.shape[-2] * slope
        if support is None:
            E = factor[..., None, None] * E
            G = E @ parts.mT
            G *= H > 0
            of_U, of_P = G.mT @ D, H.mT @ E
            of_b, of_c = G.sum(dim=-2), E.sum(dim=-2)
        else:
            rows = E.flatten(0, -2)
            each = factor.flatten().index_select(0, support.member)
            G = each * support.sampled_product(rows, parts) * (H > 0)
            of_U = support.transposed_product(G, D.flatten(0, -2)).view_as(U)
            of_P = support.transposed_product(each * H, rows).view_as(P)
            of_b = G.new_zeros(len(parts)).index_add_(0, support.col, G).view(P.shape[:-1])
            of_c = factor.unsqueeze(-1) * E.sum(dim=-2)
        return (
            None,
            of_U,
            of_P,
            None if b is None else of_b,
            None if c is None else of_c,
            None,
            None,
        )


def layer_loss(
    module: Autoencoder, D: torch.Tensor, sparse: bool | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""‖D − D̂‖²/n of a batch in training, where :func:`applies`, and how often units are active.

    With H = f(D Uᵀ + b), E = H Xᵀ + 1cᵀ − D, and G the entries of E X where H > 0, the gradients
    are 2/n times Hᵀ E for Xᵀ, Gᵀ D for U, and the sums of the rows of E for c and of G for b.

    Parameters
    ----------
    module : Autoencoder
        Or a stack of them.
    D : tensor (n, d)
        Or one for each member of a stack, (…, n, d). Has no gradient.
    sparse : None or bool
        Whether the products run over the selected codes alone; None: where a CPU is faster so.

    Returns
    -------
    loss : tensor ()
        For a stack (…,).
    uses : tensor (m,) of int
        Samples on which each unit is active; for a stack (…, m).

    Examples
    --------
    >>> from partsrep.choices.codes import TopK
    >>> from partsrep.choices.inference import Layer
    >>> D, parts = torch.tensor([[3.0, 1.0], [2.0, 4.0]]), torch.eye(2)
    >>> module = Autoencoder(Problem(codes=TopK(1), inference=Layer()), parts, parts)
    >>> loss, uses = layer_loss(module, D)
    >>> loss.backward()
    >>> loss.item(), uses, module.dictionary.grad
    (2.5, tensor([1, 1]), tensor([[ 0., -3.],
            [-8.,  0.]]))
    """
    weights = module.U, module.components, module.bias, module.offset
    return _LayerLoss.apply(D, *weights, module.problem.codes, sparse)


def applies(problem: Problem) -> bool:
    """Whether :func:`layer_loss` is the problem's objective: one layer whose codes are selected
    pre-activations, and the squared error without penalties."""
    codes, objective = problem.codes, problem.objective
    return (
        codes.has_support
        and not codes.learns
        and problem.inference.single_layer
        and not objective.penalties
        and objective.averaged
    )
