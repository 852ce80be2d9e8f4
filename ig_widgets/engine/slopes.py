"""Operations whose backward pass takes the average slope over a cell of the path instead of the derivative.

A chunk holds points of the path as rows; row r and row r + 1 are the ends of cell r, and the gradient in row r is that
of cell r. For each operation y = f(x) the backward pass is linear in the gradient and gives back, for every cell,
sum of grad_y (y_b - y_a) = sum of grad_x (x_b - x_a) to rounding, whatever the size of the cell. Rows that begin no
cell get the gradient zero.

For one cell this is DeepLIFT's rescale rule: Shrikumar, Greenside, Kundaje, Learning Important Features Through
Propagating Activation Differences (2017), section 3.5; products are split as Shapley values would.
"""

# mypy: disable-error-code="override"

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

Op = Callable[[Tensor], Tensor]
Ends = Callable[[Tensor], tuple[Tensor, Tensor]]

# What lies in the processor's caches while a slope is worked out: of so many elements at a time.
_BLOCK = 1 << 19


class NoRowsError(Exception):
    """A tensor has no dimension along which its rows lie."""


class Rows:
    """Where the `count` points of a chunk lie: outermost in the first dimension, or in one of that size."""

    def __init__(self, count: int) -> None:
        self.count = count

    def axis(self, tensor: Tensor) -> tuple[int, int]:
        """The dimension, and how far apart in it neighbouring points are. Raises NoRowsError."""
        shape = tensor.shape
        if shape and shape[0] and shape[0] % self.count == 0:
            return 0, shape[0] // self.count
        for dim, size in enumerate(shape):
            if size == self.count:
                return dim, 1
        raise NoRowsError(tuple(shape))

    def ends(self, tensor: Tensor) -> tuple[Tensor, Tensor]:
        """Views of the beginnings and the ends of all cells."""
        dim, step = self.axis(tensor)
        cells = tensor.shape[dim] - step
        return tensor.narrow(dim, 0, cells), tensor.narrow(dim, step, cells)

    def middle(self, tensor: Tensor) -> Tensor:
        """The mean of both ends, as large as `tensor`; rows that begin no cell are as they were."""
        result = tensor.clone()
        begin, end = self.ends(tensor)
        self._cells(result).copy_(torch.lerp(begin, end, 0.5) if begin.is_floating_point() else begin)
        return result

    def spread(self, cells: Tensor, like: Tensor) -> Tensor:
        """`cells`, one for each, filled up with zeros to the size of `like`."""
        result = torch.zeros_like(like)
        self._cells(result).copy_(cells)
        return result

    def _cells(self, tensor: Tensor) -> Tensor:
        dim, step = self.axis(tensor)
        return tensor.narrow(dim, 0, tensor.shape[dim] - step)


# ---------------------------------------------------------------- element by element


@dataclass(frozen=True)
class Smooth:
    """Where ends lie close together, the derivative in the middle stands for the quotient."""

    op: Op

    def write(self, x: Tensor, y: Tensor, slope: Tensor, ends: Ends) -> None:
        y.copy_(self.op(x))
        wide = x.float() if x.element_size() < 4 else x
        (x_a, x_b), (y_a, y_b) = ends(wide), ends(y if wide is x else self.op(wide))
        run = x_b - x_a
        quotient = (y_b - y_a).div_(run)
        flat = self._too_close(x_a, x_b, run) | ~torch.isfinite(quotient)
        if bool(flat.any()):
            derivative = _derivative(self.op, (x_a + x_b) / 2)
            quotient = torch.where(flat, derivative, quotient)
        slope.copy_(quotient)

    def _too_close(self, x_a: Tensor, x_b: Tensor, run: Tensor) -> Tensor:
        # There a quotient is all rounding; the derivative is right to the square of `run`.
        limit = torch.finfo(run.dtype).eps ** (1 / 3)
        return ~(run.abs() > torch.maximum(x_a.abs(), x_b.abs()).mul_(limit))


@dataclass(frozen=True)
class Kinked(Smooth):
    """Linear but for kinks: a quotient is exact however close the ends are."""

    def _too_close(self, x_a: Tensor, x_b: Tensor, run: Tensor) -> Tensor:
        return run == 0


@dataclass(frozen=True)
class Clamp:
    """The identity between `low` and `high`, constant outside: what networks spend their time on, in seven steps."""

    low: float
    high: float

    def write(self, x: Tensor, y: Tensor, slope: Tensor, ends: Ends) -> None:
        torch.clamp(x, self.low, self.high, out=y)
        (x_a, x_b), (y_a, y_b) = ends(x), ends(y)
        run = x_b - x_a
        rise = torch.sub(y_b, y_a).div_(run)
        inside = torch.ops.aten.hardtanh_backward(
            torch.ones((), dtype=x.dtype, device=x.device), x_a, self.low, self.high
        )
        torch.where(run == 0, inside, rise, out=slope)


class Elementwise(Function):
    """y = op(x), element by element; the slope is worked out in the forward pass and is all that is saved."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kind: Smooth | Clamp, rows: Rows) -> Tensor:
        y, slope = torch.empty_like(x), torch.empty_like(x)
        dim, step = rows.axis(x)
        flat = _as_rows(dim, x, y, slope)
        parts: Any = [(x, y, slope)]
        if flat is not None:
            # Blocks pay where memory is slow beside the processor; on an accelerator their number costs more.
            dim, width = 0, x.numel() if x.is_cuda else max(1, _BLOCK // len(flat[0]))
            parts = zip(*(t.split(width, 1) for t in flat), strict=True)

        def ends(t: Tensor) -> tuple[Tensor, Tensor]:
            cells = t.shape[dim] - step
            return t.narrow(dim, 0, cells), t.narrow(dim, step, cells)

        for x_, y_, slope_ in parts:
            slope_.narrow(dim, x_.shape[dim] - step, step).zero_()
            kind.write(x_, y_, ends(slope_)[0], ends)
        ctx.save_for_backward(slope)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return grad * ctx.saved_tensors[0], None, None


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
        (derivative,) = torch.autograd.grad(op(x).sum(), x)
    return torch.nan_to_num(derivative, nan=0.0)


# ---------------------------------------------------------------- products


class Product(Function):
    """a * b: the change of each factor counts with the mean of the other."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, rows: Rows) -> Tensor:
        ctx.save_for_backward(a, b)
        ctx.rows = rows
        return a * b

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        a, b = ctx.saved_tensors
        needs = ctx.needs_input_grad
        grad_a = (grad * ctx.rows.middle(b)).sum_to_size(a.shape).to(a.dtype) if needs[0] else None
        grad_b = (grad * ctx.rows.middle(a)).sum_to_size(b.shape).to(b.dtype) if needs[1] else None
        return grad_a, grad_b, None


class Bilinear(Function):
    """op(a, b), linear in each: the change of each counts with the mean of the other."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, op: Callable[[Tensor, Tensor], Tensor], rows: Rows) -> Tensor:
        ctx.save_for_backward(a, b)
        ctx.op, ctx.rows = op, rows
        return op(a, b)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        a, b = ctx.saved_tensors
        op, middle = ctx.op, ctx.rows.middle
        needs = ctx.needs_input_grad
        grad_a = _pull_back(lambda v: op(v, middle(b)), a, grad) if needs[0] else None
        grad_b = _pull_back(lambda v: op(middle(a), v), b, grad) if needs[1] else None
        return grad_a, grad_b, None, None


def _pull_back(linear: Op, at: Tensor, grad: Tensor) -> Tensor:
    with torch.enable_grad():
        at = at.detach().requires_grad_()
        (result,) = torch.autograd.grad(linear(at), at, grad)
    return result


# ---------------------------------------------------------------- soft-max


class Softmax(Function):
    """exp(x - c) over its sum, with a c that both ends of a cell share; of the logarithm too (`log`)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, log: bool, rows: Rows) -> Tensor:
        ctx.save_for_backward(x)
        ctx.dim, ctx.log, ctx.rows = dim, log, rows
        return x.log_softmax(dim) if log else x.softmax(dim)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        dim, rows = ctx.dim, ctx.rows
        x_a, x_b = rows.ends(x)
        g, _ = rows.ends(grad)
        c = torch.maximum(x_a, x_b).amax(dim, keepdim=True)
        c = torch.where(torch.isfinite(c), c, 0.0)
        e_a, e_b = (x_a - c).exp(), (x_b - c).exp()
        # Between equal or masked ends the slope of exp is exp itself.
        run = x_b - x_a
        slope_e = (e_b - e_a) / run
        slope_e = torch.where(run.abs() > torch.finfo(x.dtype).eps ** (1 / 3), slope_e, ((e_a + e_b) / 2))
        s_a, s_b = e_a.sum(dim, keepdim=True), e_b.sum(dim, keepdim=True)
        if ctx.log:
            ds = s_b - s_a
            slope_log = (s_b.log() - s_a.log()) / ds
            close = ~(ds.abs() > torch.finfo(x.dtype).eps ** (1 / 3) * s_a)
            slope_log = torch.where(close, 2 / (s_a + s_b), slope_log)
            result = g - slope_e * slope_log * g.sum(dim, keepdim=True)
        else:
            inner = (g * (e_a + e_b)).sum(dim, keepdim=True) / (2 * s_a * s_b)
            result = slope_e * (g * (1 / s_a + 1 / s_b) / 2 - inner)
        # A row that is masked altogether is NaN in the model's own output too, but in no row of its neighbours.
        return rows.spread(torch.nan_to_num(result, nan=0.0), x), None, None, None


# ---------------------------------------------------------------- the largest


class Largest(Function):
    """x at `index` along the last dimension, where the largest of a window lies.

    Between the ends the place may move from i_a to i_b. As x moves straight, the change of the largest is
    (1 - t) of the change at i_a and t of that at i_b, with t in [0, 1].
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, rows: Rows) -> Tensor:
        ctx.save_for_backward(x, index)
        ctx.rows = rows
        return x.gather(-1, index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, index = ctx.saved_tensors
        rows = ctx.rows
        x_a, x_b = rows.ends(x)
        i_a, i_b = rows.ends(index)
        g, _ = rows.ends(grad)
        before, after = (x_b.gather(-1, i) - x_a.gather(-1, i) for i in (i_a, i_b))
        change = x_b.gather(-1, i_b) - x_a.gather(-1, i_a)
        t = torch.nan_to_num((change - before) / (after - before), nan=0.5, posinf=0.5, neginf=0.5).clamp(0, 1)
        result = torch.zeros_like(x_a).scatter_add_(-1, i_a, g * (1 - t)).scatter_add_(-1, i_b, g * t)
        return rows.spread(result, x), None, None
