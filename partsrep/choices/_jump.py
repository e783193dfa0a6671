"""The straight-through gradients of thresholds."""

import torch


def _pull(ctx, slope):
    """The slopes at the codes that are near their thresholds, summed over samples."""
    Z, threshold = ctx.saved_tensors
    near = (Z - threshold).abs() < ctx.bandwidth / 2
    return torch.where(near, slope, 0).sum(dim=-2, keepdim=True)


class Jump(torch.autograd.Function):
    """z where z > θ, else 0, and a gradient in θ as if the jump had a width."""

    @staticmethod
    def forward(ctx, Z, threshold, bandwidth):
        ctx.save_for_backward(Z, threshold)
        ctx.bandwidth = bandwidth
        return torch.where(threshold < Z, Z, 0)

    @staticmethod
    def backward(ctx, slope):
        Z, threshold = ctx.saved_tensors
        of_threshold = -threshold / ctx.bandwidth * _pull(ctx, slope)
        return torch.where(threshold < Z, slope, 0), of_threshold, None


class Step(torch.autograd.Function):
    """1 where z > θ, else 0, and a gradient in θ as if the step had a width."""

    @staticmethod
    def forward(ctx, Z, threshold, bandwidth):
        ctx.save_for_backward(Z, threshold)
        ctx.bandwidth = bandwidth
        return (threshold < Z).to(Z.dtype)

    @staticmethod
    def backward(ctx, slope):
        return None, -_pull(ctx, slope) / ctx.bandwidth, None
