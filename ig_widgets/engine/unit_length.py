"""The average slope of d over its length, which every norm layer takes, along the straight line between two ends.

Taken apart into products, its slope over a cell that begins at zero has factors of 1 / eps that only cancel in part.
Along d(t) = p + t u, with u the unit vector from one end to the other and p orthogonal to it, the integral of its
Jacobian is elementary, and as bounded as the function is. It gives back what the function rises by, to rounding.
"""

# mypy: disable-error-code="override"

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ig_widgets.engine.rows import Place


@dataclass(frozen=True, eq=False)
class Length:
    """Of which tensor, over which dimensions (negative) something is the length: sqrt(scale * sum of squares + eps)."""

    of: Tensor
    dims: tuple[int, ...]
    scale: float
    eps: float = 0.0


class OverLength(Function):
    """d / length(d), as the caller has computed it (`y`)."""

    @staticmethod
    def forward(ctx: Any, d: Tensor, y: Tensor, length: Length, place: Place) -> Tensor:
        ctx.save_for_backward(d)
        ctx.length = length.dims, length.scale, length.eps
        ctx.place = place
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (d,) = ctx.saved_tensors
        dims, scale, eps = ctx.length
        place = ctx.place
        wide = torch.promote_types(d.dtype, torch.float32)
        begin, end = (t.to(wide) for t in place.ends(d))
        slope = _pulled_back(begin, end, place.ends(grad)[0].to(wide), dims, eps / scale)
        return place.spread(slope * scale**-0.5, d), None, None, None


class Normalised(Function):
    """What norm layers give, as the caller has computed it (`y`): x, or x less its mean, over its length, weighed."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y: Tensor,
        weight: Tensor | None,
        dims: tuple[int, ...],
        scale: float,
        eps: float,
        centred: bool,
        place: Place,
    ) -> Tensor:
        ctx.save_for_backward(x, *(() if weight is None else (weight,)))
        ctx.length, ctx.centred, ctx.place = (dims, scale, eps), centred, place
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, *weight = ctx.saved_tensors
        dims, scale, eps = ctx.length
        place = ctx.place
        wide = torch.promote_types(x.dtype, torch.float32)
        d = x.to(wide)
        if ctx.centred:
            d = d - d.mean(dims, keepdim=True)
        g = place.ends(grad.to(wide))[0]
        # The constant: norms are given over the root of a mean.
        g = g * (weight[0].to(wide) * scale**-0.5) if weight else g * scale**-0.5
        begin, end = place.ends(d)
        slope = _pulled_back(begin, end, g, dims, eps / scale)
        if ctx.centred:
            slope.sub_(slope.mean(dims, keepdim=True))
        return place.spread(slope, x), *[None] * 7


def _pulled_back(begin: Tensor, end: Tensor, g: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    """`g` times the mean Jacobian of d / sqrt(|d|^2 + eps) between `begin` and `end`.

    In as few passes over memory as there are vectors; all else is one number for each.
    """

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(dims, keepdim=True)

    def length(a: Tensor) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(a, dim=dims, keepdim=True)
        return norm

    run = end - begin
    far = length(run)
    tiny = torch.finfo(far.dtype).tiny
    step = far.clamp_min(tiny)
    # From the shorter end, whose own rounding is the smaller one; u = run / step.
    forward = length(begin) < length(end)
    shorter = torch.where(forward, begin, end)
    t = dot(shorter, run) / step
    p = torch.addcmul(shorter, run, t / step, value=-1)
    # No eps, and a line through zero: there the function has no value either.
    square = (dot(p, p) + eps).clamp_min(tiny)
    t_a, t_b = torch.where(forward, t, t - far), torch.where(forward, t + far, t)
    l_a, l_b = (t_a * t_a + square).sqrt(), (t_b * t_b + square).sqrt()
    # (t_b l_a - t_a l_b) / (far square), each time by the form in which nothing cancels.
    beside = (t_a + t_b) / (t_b * l_a + t_a * l_b)
    across = (t_b * l_a - t_a * l_b) / (far * square)
    h = torch.where(t_a * t_b > 0, beside, torch.where(far > 0, across, square.rsqrt()))
    # The integrals of 1 / l, of square / l^3 and of t / l^3, over the distance.
    mean = torch.where(far > 0, (h * far).asinh() / far, h)
    bend = h / (l_a * l_b)
    lean = (t_a + t_b) / ((l_a + l_b) * l_a * l_b)
    g_u, g_p = dot(g, run) / step, dot(g, p)
    # mean (g - g_u u) + (bend square g_u - lean g_p) u - (bend g_p + lean g_u) p
    result = g * mean
    result.addcmul_(run, ((bend * square - mean) * g_u - lean * g_p) / step)
    return result.addcmul_(p, bend * g_p + lean * g_u, value=-1)
