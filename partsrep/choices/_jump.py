"""The straight-through gradients of thresholds."""

import torch


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
        near = (Z - threshold).abs() < ctx.bandwidth / 2
        pull = torch.where(near, slope, 0).sum(dim=-2, keepdim=True)
        return torch.where(threshold < Z, slope, 0), -threshold / ctx.bandwidth * pull, None


class Step(torch.autograd.Function):
    """1 where z > θ, else 0, and a gradient in θ as if the step had a width."""

    @staticmethod
    def forward(ctx, Z, threshold, bandwidth):
        ctx.save_for_backward(Z, threshold)
        ctx.bandwidth = bandwidth
        return (threshold < Z).to(Z.dtype)

    @staticmethod
    def backward(ctx, slope):
        Z, threshold = ctx.saved_tensors
        near = (Z - threshold).abs() < ctx.bandwidth / 2
        pull = torch.where(near, slope, 0).sum(dim=-2, keepdim=True)
        return None, -pull / ctx.bandwidth, None
