"""Operations whose backward pass takes the average slope over a cell of the path instead of the derivative.

A chunk holds points of the path; point r and r + 1 are the ends of cell r, and the gradient at point r is that of cell
r. Where points lie in a tensor is for the caller to know (`rows.py`). For each operation y = f(x) the backward pass is
linear in the gradient and gives back, for every cell, sum of grad_y (y_b - y_a) = sum of grad_x (x_b - x_a) to
rounding, whatever the size of the cell. Points that begin no cell get the gradient zero.

For one cell this is DeepLIFT's rescale rule: Shrikumar, Greenside, Kundaje, Learning Important Features Through
Propagating Activation Differences (2017), section 3.5; products are split as Shapley values would.
"""

# mypy: disable-error-code="override"

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ig_widgets.engine.place import Place
from ig_widgets.engine.transfers import is_queued

Op = Callable[[Tensor], Tensor]
Ends = Callable[[Tensor], tuple[Tensor, Tensor]]
# What lies in the processor's caches while a slope is worked out: of so many elements at a time.
_BLOCK = 1 << 19
# Where a derivative is needed by fewer elements than this share, these are picked out.
_FEW = 0.15


@dataclass(frozen=True)
class Smooth:
    """Where ends lie close together, the derivative in the middle stands for the quotient.

    `scaled`: the operation bends over lengths that grow with x, as powers and logarithms do; others over a length of 1.
    """

    op: Op
    scaled: bool = False

    def write(self, x: Tensor, y: Tensor, slope: Tensor, ends: Ends) -> None:
        y.copy_(self.op(x))
        wide = x.float() if x.element_size() < 4 else x
        (x_a, x_b), (y_a, y_b) = ends(wide), ends(y if wide is x else self.op(wide))
        run = x_b - x_a
        flat = self._too_close(x_a, run)
        quotient = torch.sub(y_b, y_a, out=slope if wide is x else torch.empty_like(run)).div_(run)
        if is_queued(x.device):
            # To look at values is to wait for them: all that may be needed is worked out, at once.
            flat |= torch.isfinite(quotient).logical_not_()
            torch.where(flat, _derivative(self.op, torch.add(x_a, run, alpha=0.5)), quotient, out=quotient)
        else:
            self._fill(quotient, flat, x_a, run)
            if not bool(torch.isfinite(quotient.sum())):
                self._fill(quotient, torch.isfinite(quotient).logical_not_(), x_a, run)
        if wide is not x:
            slope.copy_(quotient)

    def _fill(self, slope: Tensor, flat: Tensor, begin: Tensor, run: Tensor) -> None:
        """Write the derivative in the middle where the slope is `flat`."""
        count = int(flat.count_nonzero())
        if count > _FEW * flat.numel():
            torch.where(flat, _derivative(self.op, torch.add(begin, run, alpha=0.5)), slope, out=slope)
        elif count:
            # Of a few it is worked out where it is needed, as it costs more than all the rest.
            at = flat.flatten().nonzero()[:, 0]
            slope.put_(at, _derivative(self.op, begin.take(at).add_(run.take(at), alpha=0.5)))

    def _too_close(self, begin: Tensor, run: Tensor) -> Tensor:
        # There a quotient is all rounding; the derivative is right to the square of `run`.
        limit = torch.finfo(run.dtype).eps ** (1 / 3)
        size = begin.abs()
        return run.abs() <= (size if self.scaled else size.clamp_(max=1.0)).mul_(limit)


@dataclass(frozen=True)
class Kinked(Smooth):
    """Linear but for kinks: a quotient is exact however close the ends are."""

    def _too_close(self, begin: Tensor, run: Tensor) -> Tensor:
        return run == 0


@dataclass(frozen=True)
class Clamp:
    """The identity between `low` and `high`, constant outside: what networks spend their time on, in few steps."""

    low: float
    high: float

    def write(self, x: Tensor, y: Tensor, slope: Tensor, ends: Ends) -> None:
        x_a, x_b = ends(x)
        run = x_b - x_a
        # Where nothing moves the derivative stands for 0 / 0. To look for that costs less than to be prepared, but on
        # an accelerator, which would be waited for; and x may be written over.
        prepared = is_queued(x.device) or x.data_ptr() == y.data_ptr()
        inside = self._inside(x_a) if prepared else None
        torch.clamp(x, self.low, self.high, out=y)
        y_a, y_b = ends(y)
        torch.sub(y_b, y_a, out=slope).div_(run)
        if inside is None and not math.isfinite(float(slope.sum())):
            inside = self._inside(x_a)
        if inside is not None:
            torch.where(run == 0, inside, slope, out=slope)

    def _inside(self, x: Tensor) -> Tensor:
        one = torch.ones((), dtype=x.dtype, device=x.device)
        inside: Tensor = torch.ops.aten.hardtanh_backward(one, x, self.low, self.high)
        return inside


class Elementwise(Function):
    """y = op(x), element by element; the slope is worked out in the forward pass and is all that is saved.

    `in_place`: y takes the place of x, as the model has asked for.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kind: Smooth | Clamp, place: Place, in_place: bool = False) -> Tensor:
        y, slope = x if in_place else torch.empty_like(x), torch.empty_like(x)
        step = place.step
        (opened, dim), (y_, _), (slope_, _) = (place.opened(t) for t in (x, y, slope))
        flat = _as_rows(dim, opened, y_, slope_)
        parts: Any = [(opened, y_, slope_)]
        if flat is not None:
            # Blocks pay where memory is slow beside the processor; on an accelerator their number costs more.
            dim, width = 0, x.numel() if is_queued(x.device) else max(1, _BLOCK // len(flat[0]))
            parts = zip(*(t.split(width, 1) for t in flat), strict=True)

        def ends(t: Tensor) -> tuple[Tensor, Tensor]:
            cells = t.shape[dim] - step
            return t.narrow(dim, 0, cells), t.narrow(dim, step, cells)

        for x_, y_, slope_ in parts:
            slope_.narrow(dim, x_.shape[dim] - step, step).zero_()
            kind.write(x_, y_, ends(slope_)[0], ends)
        ctx.save_for_backward(slope)
        if in_place:
            ctx.mark_dirty(x)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (slope,) = ctx.saved_tensors
        # Nobody asks twice, and fresh memory costs more than the product.
        result = grad * slope.conj() if slope.is_complex() or slope.dtype != grad.dtype else slope.mul_(grad)
        return result, None, None, None


def _as_rows(dim: int, *tensors: Tensor) -> list[Tensor] | None:
    """The tensors as matrices with the rows first, in the order of memory, if all lie in the same one without gaps."""
    first = tensors[0]
    strides = first.stride()
    order = sorted(range(first.dim()), key=lambda d: (d != dim, -strides[d], d))
    turned = [t.permute(order) for t in tensors]
    if any(t.stride() != first.stride() for t in tensors) or not all(t.is_contiguous() for t in turned):
        return None
    return [t.view(t.shape[0], -1) for t in turned]


def _derivative(op: Op, x: Tensor) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = op(x)
        (derivative,) = torch.autograd.grad(y, x, torch.ones_like(y))
    return torch.nan_to_num(derivative.conj().resolve_conj(), nan=0.0)


class Softmax(Function):
    """The soft-max of x along `dim`, or its logarithm (`log`).

    With L the logarithmic mean of a share p at both ends, its change is L times that of log p, for each exactly; and as
    shares sum to one, that of the logarithm of the sum of exp is the mean of the changes of x, weighted by L. So the
    slopes are those of the soft-max itself with L in the place of p: they sum up for any ends, however far apart.
    `safe`: zeros, where all is masked (-inf), as attention has it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, log: bool, place: Place, safe: bool) -> Tensor:
        y = x.log_softmax(dim) if log else x.softmax(dim)
        # A row that is masked throughout shows in any sum.
        if safe and (is_queued(x.device) or not bool(torch.isfinite(y.sum()))):
            y.masked_fill_((x == -torch.inf).all(dim, keepdim=True), 0.0)
        ctx.save_for_backward(x, y)
        ctx.dim, ctx.log, ctx.place = dim, log, place
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, y = ctx.saved_tensors
        dim, place = ctx.dim, ctx.place
        (x_a, x_b), (y_a, y_b) = place.ends(x), place.ends(y)
        g, _ = place.ends(grad)
        if ctx.log:
            run, p_a, p_b = y_b - y_a, y_a.exp(), y_b.exp()
        else:
            # By how much the logarithm of the sum of exp changes is told by the largest share.
            (m_a, m_b), (n_a, n_b) = (place.ends(t.amax(dim, keepdim=True)) for t in (x, y))
            run, p_a, p_b = (x_b - x_a).sub_((m_b - m_a).sub_((n_b / n_a).log_())), y_a, y_b
        # Between equal ends the logarithmic mean is the share itself; what is masked at both has none.
        close = run.abs() <= torch.finfo(x.dtype).eps ** (1 / 3)
        mean = torch.where(close, torch.lerp(p_a, p_b, 0.5), torch.sub(p_b, p_a).div_(run))
        total = mean.sum(dim, keepdim=True)
        if is_queued(total.device) or not bool(torch.isfinite(total.sum())):
            total = mean.nan_to_num_(nan=0.0).sum(dim, keepdim=True)
        total.clamp_min_(torch.finfo(total.dtype).tiny)
        if ctx.log:
            result = torch.addcmul(g, mean, g.sum(dim, keepdim=True).div_(total), value=-1)
        else:
            result = g.sub((mean * g).sum(dim, keepdim=True).div_(total)).mul_(mean)
        return place.spread(result, x), None, None, None, None


class Largest(Function):
    """x at `index` along the last dimension, where the largest of a window lies.

    Between the ends the place may move from i_a to i_b. As x moves straight, the change of the largest is
    (1 - t) of the change at i_a and t of that at i_b, with t in [0, 1].
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, place: Place) -> Tensor:
        ctx.save_for_backward(x, index)
        ctx.place = place
        return x.gather(-1, index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, index = ctx.saved_tensors
        place = ctx.place
        x_a, x_b = place.ends(x)
        i_a, i_b = place.ends(index)
        g, _ = place.ends(grad)
        before, after = (x_b.gather(-1, i) - x_a.gather(-1, i) for i in (i_a, i_b))
        change = x_b.gather(-1, i_b) - x_a.gather(-1, i_a)
        t = torch.nan_to_num((change - before) / (after - before), nan=0.5, posinf=0.5, neginf=0.5).clamp(0, 1)
        result = torch.zeros_like(x_a).scatter_add_(-1, i_a, g * (1 - t)).scatter_add_(-1, i_b, g * t)
        return place.spread(result, x), None, None
