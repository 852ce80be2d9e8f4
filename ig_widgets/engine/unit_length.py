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


def _pulled_back(begin: Tensor, end: Tensor, g: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    """`g` times the mean Jacobian of d / sqrt(|d|^2 + eps) between `begin` and `end`."""

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(dims, keepdim=True)

    run = end - begin
    far = dot(run, run).sqrt()
    u = run / far.clamp_min(torch.finfo(far.dtype).tiny)
    # From the shorter end, whose own rounding is the smaller one.
    shorter = torch.where(dot(begin, begin) < dot(end, end), begin, end)
    p = shorter - dot(shorter, u) * u
    # No eps, and a line through zero: there the function has no value either.
    square = (dot(p, p) + eps).clamp_min(torch.finfo(far.dtype).tiny)
    t_a, t_b = dot(begin, u), dot(end, u)
    l_a, l_b = (t_a * t_a + square).sqrt(), (t_b * t_b + square).sqrt()
    # (t_b l_a - t_a l_b) / (far square), each time by the form in which nothing cancels.
    beside = (t_a + t_b) / (t_b * l_a + t_a * l_b)
    across = (t_b * l_a - t_a * l_b) / (far * square)
    h = torch.where(t_a * t_b > 0, beside, torch.where(far > 0, across, square.rsqrt()))
    # The integrals of 1 / l, of square / l^3 and of t / l^3, over the distance.
    mean = torch.where(far > 0, (h * far).asinh() / far, h)
    bend = h / (l_a * l_b)
    lean = (t_a + t_b) / ((l_a + l_b) * l_a * l_b)
    g_u, g_p = dot(g, u), dot(g, p)
    return mean * (g - g_u * u) + (bend * square * g_u - lean * g_p) * u - (bend * g_p + lean * g_u) * p
