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

from ig_widgets.engine.place import Place
from ig_widgets.engine.transfers import is_queued

# A cell is short where it is not longer than this share of the lengths at both ends together.
_SHORT = 0.4


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
        slope = _pulled_back(d.to(wide), place.ends(grad)[0].to(wide), place, dims, eps / scale)
        return place.spread(slope * scale**-0.5, d), None, None, None


class Normalised(Function):
    """What norm layers give, as the caller has computed it (`y`): x, or x less its mean, over its length, weighed."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y: Tensor,
        mean: Tensor | None,
        weight: Tensor | None,
        dims: tuple[int, ...],
        scale: float,
        eps: float,
        centred: bool,
        place: Place,
    ) -> Tensor:
        ctx.save_for_backward(x, mean, weight)
        ctx.length, ctx.centred, ctx.place = (dims, scale, eps), centred, place
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, mean, weight = ctx.saved_tensors
        dims, scale, eps = ctx.length
        place = ctx.place
        wide = torch.promote_types(x.dtype, torch.float32)
        d = x.to(wide)
        if ctx.centred:
            d = d - (d.mean(dims, keepdim=True) if mean is None else mean)
        g = place.ends(grad.to(wide))[0]
        # The constant: norms are given over the root of a mean.
        g = g * (scale**-0.5 if weight is None else weight.to(wide) * scale**-0.5)
        slope = _pulled_back(d, g, place, dims, eps / scale)
        if ctx.centred:
            slope.sub_(slope.mean(dims, keepdim=True))
        return place.spread(slope, x), *[None] * 8


def _pulled_back(d: Tensor, g: Tensor, place: Place, dims: tuple[int, ...], eps: float) -> Tensor:
    """`g` times the mean Jacobian of d / sqrt(|d|^2 + eps) over each cell.

    In as few passes over memory as there are vectors; all else is one number for each.
    """
    sizes = torch.linalg.vector_norm(d, dim=dims, keepdim=True)
    begin, end = place.ends(d)
    run = end - begin
    far = torch.linalg.vector_norm(run, dim=dims, keepdim=True)
    l_a, l_b = place.ends(torch.addcmul(torch.full_like(sizes, eps), sizes, sizes).sqrt_())
    # To look costs little beside what it saves, but on an accelerator, which would be waited for.
    if not is_queued(d.device) and _is_short(far, l_a + l_b):
        return _over_short_cells(begin, run, far, l_a, l_b, g, dims)
    return _over_any_cells(begin, end, run, far, *place.ends(sizes), g, dims, eps)


def _is_short(far: Tensor, total: Tensor) -> bool:
    """Whether each cell is short beside the `total` of the lengths at both ends, and cubes of these are numbers."""
    info = torch.finfo(far.dtype)
    in_range = (total > info.tiny**0.2) & (total < info.max**0.2)
    return bool(((far <= _SHORT * total) & in_range).all())


def _over_short_cells(
    begin: Tensor, run: Tensor, far: Tensor, l_a: Tensor, l_b: Tensor, g: Tensor, dims: tuple[int, ...]
) -> Tensor:
    """Where nothing cancels, along d(s) = begin + s run with the length l(s) there, s from 0 to 1.

    The integral of 1 / l is 2 artanh(far / (l_a + l_b)) / far, as for the potential of a rod; those of 1 / l^3, s / l^3
    and s^2 / l^3 follow from it and the lengths at both ends. What is lost in the last counts times far^2.
    """
    total, square = l_a + l_b, far * far
    z = (far / total).clamp_min_(torch.finfo(far.dtype).eps ** 2)
    mean = z.atanh().div_(z).mul_(2).div_(total)
    room = torch.addcmul(-square, total, total)
    second = 2 / (room * l_b)
    first = second * total / l_a
    third = (mean - second * torch.addcmul(-square, l_b, total)).div_(square.clamp_min(torch.finfo(far.dtype).tiny))
    g_a, g_r = (g * begin).sum(dims, keepdim=True), (g * run).sum(dims, keepdim=True)
    result = g * mean
    result.addcmul_(begin, g_a * first + g_r * second, value=-1)
    return result.addcmul_(run, g_a * second + g_r * third, value=-1)


def _over_any_cells(
    begin: Tensor,
    end: Tensor,
    run: Tensor,
    far: Tensor,
    size_a: Tensor,
    size_b: Tensor,
    g: Tensor,
    dims: tuple[int, ...],
    eps: float,
) -> Tensor:
    """However far the ends are apart, and wherever they lie."""

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(dims, keepdim=True)

    tiny = torch.finfo(far.dtype).tiny
    step = far.clamp_min(tiny)
    # From the shorter end, whose own rounding is the smaller one; u = run / step.
    forward = size_a < size_b
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
