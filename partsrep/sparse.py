"""Autoencoder steps that touch only the selected codes: a quarter of the work where few are.

Of the five dense products of a step, D Uᵀ stays, for it says what is selected. The reconstruction,
the gradient of the codes and those of both weights are sums over the selected entries alone, and
autograd sees them as two functions: pre-activations on a support, and the decoder. What follows
from the loss, and any penalty on the selected values, composes with them.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag, linear

from .codes import BatchTopK, FeatureChoice, JumpReLU, ReLU, TopK
from .inference import Layer
from .problem import Problem

DENSITY = 0.09  # of selected codes, above which dense products are faster
WORK = 2**23  # n·d·m of a batch, below which the overhead of a step outweighs its products
NARROW = 512  # columns, up to which numpy's partition is faster than torch's topk
STRIDE = 61  # between the entries that a first guess of a batch's threshold looks at

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
    crow : tensor (rows + 1,)
        Where each row of the block diagonal matrix begins.
    col : tensor (r,)
        The column of each entry.
    """

    def __init__(self, entries: torch.Tensor, shape: torch.Size):
        *stack, n, m = shape
        self.entries, self.shape = entries, shape
        self.row, self.col = entries // m, entries % m
        if stack:
            self.col += self.row // n * m
        self.size = (shape.numel() // m, shape.numel() // n)
        self.crow = _offsets(self.row, self.size[0])

    @cached_property
    def by_column(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The order that goes through the entries column by column, their rows and the offsets."""
        col, order = self.col.sort(stable=True)
        return order, self.row[order], _offsets(col, self.size[1])

    def product(self, values: torch.Tensor, P: torch.Tensor) -> torch.Tensor:
        """H P for the matrix H with these values on the support; P (columns, d)."""
        return _sums(self.col, self.crow, values, P)

    def transposed_product(self, values: torch.Tensor, P: torch.Tensor) -> torch.Tensor:
        """Hᵀ P; P (rows, d)."""
        order, row, offsets = self.by_column
        return _sums(row, offsets, values[order], P)

    def sampled_product(self, A: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
        """The entries of A Bᵀ on the support; A (rows, d), B (columns, d)."""
        zeros = torch.sparse_csr_tensor(
            self.crow, self.col, A.new_zeros(len(self.col)), self.size, check_invariants=False
        )
        return torch.sparse.sampled_addmm(zeros, A, B.T, beta=0).values()


def _offsets(index: torch.Tensor, count: int) -> torch.Tensor:
    """Where each of the numbers below `count`, and what follows them, begins in a sorted index."""
    return torch.searchsorted(index, torch.arange(count + 1, device=index.device))


def _sums(
    index: torch.Tensor, offsets: torch.Tensor, values: torch.Tensor, P: torch.Tensor
) -> torch.Tensor:
    """Weighted sums of rows of P: a product with a CSR matrix, and faster than torch's own."""
    return embedding_bag(
        index, P, offsets, mode="sum", per_sample_weights=values, include_last_offset=True
    )


@dataclass(frozen=True, eq=False)
class SparseCodes:
    """Codes H (…, n, m) by the values on their support; the others are zero.

    Parameters
    ----------
    support : Support
    values : tensor (r,)
        With a graph, if the weights have gradients.

    Examples
    --------
    >>> D, U = torch.tensor([[3.0, 1.0], [2.0, 4.0]]), torch.eye(2)
    >>> codes = encode(D, U, None, TopK(1))
    >>> codes.values
    tensor([3., 4.])
    >>> codes.to_dense()
    tensor([[3., 0.],
            [0., 4.]])
    """

    support: Support
    values: torch.Tensor

    @property
    def shape(self) -> torch.Size:
        return self.support.shape

    def to_dense(self) -> torch.Tensor:
        """H with zeros written out."""
        zeros = self.values.new_zeros(self.shape.numel())
        return zeros.scatter(0, self.support.entries, self.values).view(self.shape)


class _PreActivations(torch.autograd.Function):
    """The entries of Z = D Uᵀ + b on a support, from a Z without a graph; D has no gradient."""

    @staticmethod
    def forward(ctx, D, U, b, Z, support):
        ctx.save_for_backward(D)
        ctx.support, ctx.shapes = support, (U.shape, None if b is None else b.shape)
        return Z.flatten()[support.entries]

    @staticmethod
    @once_differentiable
    def backward(ctx, slope):
        (D,), (of_U, of_b) = ctx.saved_tensors, ctx.shapes
        rows = D.expand(*of_U[:-2], *D.shape[-2:]).reshape(-1, D.shape[-1])
        slope_U = ctx.support.transposed_product(slope, rows).view(of_U)
        if of_b is None:
            return None, slope_U, None, None, None
        slope_b = slope.new_zeros(of_b.numel()).index_add_(0, ctx.support.col, slope)
        return None, slope_U, slope_b.view(of_b), None, None


class _Product(torch.autograd.Function):
    """H Xᵀ for codes by their values on a support."""

    @staticmethod
    def forward(ctx, values, components, support):
        ctx.save_for_backward(values, components)
        ctx.support = support
        D_hat = support.product(values, components.flatten(0, -2))
        return D_hat.view(*support.shape[:-1], components.shape[-1])

    @staticmethod
    @once_differentiable
    def backward(ctx, slope):
        values, components = ctx.saved_tensors
        slope, P = slope.reshape(-1, slope.shape[-1]), components.flatten(0, -2)
        slope_P = ctx.support.transposed_product(values, slope)
        return ctx.support.sampled_product(slope, P), slope_P.view(components.shape), None


def encode(
    D: torch.Tensor,
    U: torch.Tensor,
    b: torch.Tensor | None,
    codes: ReLU | JumpReLU | TopK | BatchTopK | FeatureChoice,
) -> SparseCodes:
    """H = f(D Uᵀ + b) for an f that keeps some pre-activations and drops the others.

    Parameters
    ----------
    D : tensor (n, d) or (…, n, d)
        Has no gradient.
    U : tensor (…, m, d)
    b : None or tensor (…, m)
    codes : ReLU, JumpReLU with a fixed threshold, TopK, BatchTopK or FeatureChoice
    """
    with torch.no_grad():
        if U.ndim == 2:
            Z = linear(D, U, b)
        else:
            Z = D @ U.mT if b is None else D @ U.mT + b.unsqueeze(-2)
        support = Support(selected(codes, Z), Z.shape)
    values = _PreActivations.apply(D, U, b, Z, support)
    # Only TopK selects what may be negative.
    return SparseCodes(support, values.relu())


def decode(
    codes: SparseCodes, components: torch.Tensor, offset: torch.Tensor | None
) -> torch.Tensor:
    """D̂ = H Xᵀ + 1cᵀ; components (…, m, d), offset None or (…, d)."""
    D_hat = _Product.apply(codes.values, components, codes.support)
    return D_hat if offset is None else D_hat + offset.unsqueeze(-2)


def forward(module: torch.nn.Module, D: torch.Tensor) -> tuple[torch.Tensor, SparseCodes]:
    """The reconstruction of a batch in training and its codes, where the problem :func:`pays`."""
    codes = encode(D, module.U, module.bias, module.problem.codes)
    return decode(codes, module.components, module.offset), codes


def selected(
    codes: ReLU | JumpReLU | TopK | BatchTopK | FeatureChoice, Z: torch.Tensor
) -> torch.Tensor:
    """Places in the flattened Z, in ascending order, that an activation keeps.

    Always as many as TopK is asked for; else positive ones only.
    """
    if isinstance(codes, TopK):
        m = Z.shape[-1]
        if Z.device.type == "cpu" and m <= NARROW:
            least = torch.from_numpy(np.partition(Z.numpy(), -codes.k, axis=-1)[..., [-codes.k]])
            places = _places((least <= Z).flatten())
            if len(places) * m == Z.numel() * codes.k:  # no ties
                return places
        within = Z.topk(codes.k, sorted=False).indices.view(-1, codes.k).sort().values
        return (within + torch.arange(len(within), device=Z.device)[:, None] * m).flatten()
    if isinstance(codes, BatchTopK) and Z.ndim == 2:
        return _largest(Z.flatten(), codes.k * len(Z))
    return _places(codes(Z).flatten() > 0)


def _largest(values: torch.Tensor, count: int) -> torch.Tensor:
    """Places of the largest positive values, in ascending order; sorts only what may be one.

    What a sample says, with four of its standard deviations, leaves a few more than the count.
    """
    sample = values[::STRIDE]
    rank = count / STRIDE
    rank = min(int(rank + 4 * rank**0.5) + 1, len(sample))
    places = _places(values > sample.topk(rank, sorted=False).values.min().clamp(min=0))
    if len(places) < count:
        places = _places(values > 0)
    if len(places) > count:
        places = places[values[places].topk(count, sorted=False).indices].sort().values
    return places


def _places(chosen: torch.Tensor) -> torch.Tensor:
    return chosen.nonzero().squeeze(1)


def pays(
    problem: Problem,
    n_samples: int,
    n_features: int,
    n_components: int,
    active: float | None = None,
) -> bool:
    """Whether a step by :func:`forward` is possible, and on a CPU faster than a dense one.

    Parameters
    ----------
    problem : Problem
    n_samples : int
        In a batch, those of a whole stack together.
    n_features, n_components : int
    active : None or float
        Active codes per sample; None: as many as the activation is asked for. One that does not
        limit them has to be measured.

    Examples
    --------
    >>> problem = Problem(codes=TopK(8), inference=Layer())
    >>> pays(problem, n_samples=256, n_features=784, n_components=128)
    True
    >>> pays(problem, n_samples=256, n_features=784, n_components=25)
    False
    """
    codes, layer, objective = problem.codes, problem.inference, problem.objective
    active = getattr(codes, "k", n_components) if active is None else active
    return (
        isinstance(codes, ReLU | JumpReLU | TopK | BatchTopK | FeatureChoice)
        and getattr(codes, "bandwidth", None) is None
        and isinstance(getattr(codes, "k", 0), int)  # the same for a whole stack
        and isinstance(layer, Layer)
        and layer.steps == 1
        and not objective.penalties
        and objective.link == "linear"
        and n_samples * n_features * n_components >= WORK
        and active <= DENSITY * n_components
    )
