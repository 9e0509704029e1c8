"""Instance norm whose gradient can be differentiated once more in few passes over memory.

PyTorch composes the second derivative of a group norm from many operations on whole tensors; here it takes a dozen. The first
derivative is PyTorch's own.

Symbols: N images, C channels, S pixels; per image and channel m is the mean of x over its pixels, r = 1 / sqrt(variance + eps),
z = r (x - m); w and b are the affine weights of a channel.

    y  = w z + b
    dx = r w (g - mean(g) - z mean(g z)),    dw = sum of g z over N and S,    db = sum of g over N and S,    with g = dy

For adjoints u of dx, a of dw and b' of db, with v1 = mean(u), v2 = mean(u z), m1 = mean(g), m2 = mean(g z) and
A = mean(u g) - v1 m1 - v2 m2:

    to g:  r w (u - v1 - z v2) + a z + b'
    to w:  sum over N of r S A
    to x:  r (q - mean(q) - z mean(q z)) - r^2 w A z,    with q = a g - r w (m2 u + v2 g)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class InstanceNorm(nn.GroupNorm):
    """One group per channel with affine weights, no running statistics: the "instancenorm" of published code."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) normalised maps."""
        if not torch.is_grad_enabled() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            return super().forward(input)
        return _Norm.apply(input, self.weight, self.bias, self.eps)  # type: ignore[no-any-return]


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        images, channels, height, width = x.shape
        # What is saved has to be the argument itself: a copy would cut it off from the second derivative.
        y, mean, rstd = torch.native_group_norm(x.contiguous(), weight, bias, images, channels, height * width, channels, eps)
        ctx.save_for_backward(x, weight, mean, rstd)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, rstd = ctx.saved_tensors
        arguments = g, x, weight, mean, rstd, ctx.needs_input_grad[:3]
        # Without a graph to keep, PyTorch's operation alone is faster.
        slopes = _NormBackward.apply(*arguments) if torch.is_grad_enabled() else _first_derivative(*arguments)
        return *slopes, None


def _first_derivative(
    g: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor | None, ...]:
    images, channels, height, width = x.shape
    return torch.ops.aten.native_group_norm_backward(  # type: ignore[no-any-return]
        g.contiguous(), x.contiguous(), mean, rstd, weight, images, channels, height * width, channels, list(wanted)
    )


class _NormBackward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, g: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, wanted: tuple[bool, bool, bool]
    ) -> tuple[Tensor | None, ...]:
        ctx.save_for_backward(g, x, weight, mean, rstd)
        ctx.set_materialize_grads(False)
        return _first_derivative(g, x, weight, mean, rstd, wanted)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, u: Tensor | None, a: Tensor | None, b: Tensor | None) -> tuple[Tensor | None, ...]:
        shaped, *saved = ctx.saved_tensors
        x, weight, mean, r = saved
        g, x = shaped.contiguous().flatten(2), x.contiguous().flatten(2)
        u = torch.zeros_like(g) if u is None else u.contiguous().flatten(2)
        pixels = g.shape[2]
        rw = r * weight
        m1, v1 = g.mean(dim=2), u.mean(dim=2)
        m2 = r * (_dot(g, x) / pixels - mean * m1)
        v2 = r * (_dot(u, x) / pixels - mean * v1)
        common = _dot(u, g) / pixels - v1 * m1 - v2 * m2
        slant = -rw * v2 if a is None else a - rw * v2
        to_g = to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            on_x = slant * r
            rest = -rw * v1 - on_x * mean if b is None else b - rw * v1 - on_x * mean
            to_g = _plus(rest, (u, rw), (x, on_x)).view(shaped.shape)
        if ctx.needs_input_grad[1]:
            mean_q = slant * m1 - rw * m2 * v1
            mean_qz = slant * m2 - rw * m2 * v2
            on_x = -r.square() * (mean_qz + rw * common)
            rest = -r * mean_q - on_x * mean
            to_x = _plus(rest, (u, -r * rw * m2), (g, r * slant), (x, on_x)).view(shaped.shape)
        if ctx.needs_input_grad[2]:
            to_weight = (r * common).sum(dim=0) * pixels
        return to_g, to_x, to_weight, None, None, None


def _dot(left: Tensor, right: Tensor) -> Tensor:
    """(N, C) sums over the pixels of (N, C, S) products."""
    return (left * right).sum(dim=2)  # a batch of small matrix products takes four times as long


def _plus(rest: Tensor, *terms: tuple[Tensor, Tensor]) -> Tensor:
    """(N, C, S): `rest` and the terms, each a (N, C, S) tensor times a factor; `rest` and factors are (N, C)."""
    (first, factor), *others = terms
    total = torch.addcmul(rest.unsqueeze(2), first, factor.unsqueeze(2))
    for tensor, factor in others:
        total.addcmul_(tensor, factor.unsqueeze(2))
    return total
