"""Rules for products: of elements, of matrices, and quotients."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ig_widgets.engine import product_slopes
from ig_widgets.engine.secant.cell_mode import CellMode, Handler
from ig_widgets.engine.secant.lengths import length_of
from ig_widgets.engine.secant.norms import over_length
from ig_widgets.engine.secant.operations import Function, name_of


def _mul(mode: CellMode, func: Function, a: Any, b: Any, **kwargs: Any) -> Any:
    if mode.depends(a) and mode.depends(b):
        for d, factor in ((a, b), (b, a)):
            if (length := length_of(d, factor, inverse=True)) is not None:
                return over_length(mode, d, length, lambda: a.detach() * b.detach())
        return product_slopes.Product.apply(a, b, mode.place(a), mode.place(b))
    return func(a, b, **kwargs)


def _div(mode: CellMode, func: Function, a: Any, b: Any, *, rounding_mode: str | None = None) -> Any:
    if rounding_mode is not None:
        return NotImplemented
    if not mode.depends(b):
        return func(a, b)
    if mode.depends(a) and (length := length_of(a, b, inverse=False)) is not None:
        return over_length(mode, a, length, lambda: a.detach() / b.detach())
    with mode:
        return a * b.reciprocal()


def _rdiv(mode: CellMode, func: Function, b: Tensor, a: Any) -> Any:
    with mode:
        return b.reciprocal() * a


_MATRIX_PRODUCTS = frozenset(("matmul", "bmm", "mm"))


def _bilinear(mode: CellMode, func: Function, a: Any, b: Any, **kwargs: Any) -> Any:
    if mode.depends(a) and mode.depends(b):
        if name_of(func) in _MATRIX_PRODUCTS and a.dim() > 1 and b.dim() > 1 and not kwargs:
            return product_slopes.MatrixProduct.apply(a, b, mode.place(a), mode.place(b))
        return product_slopes.Bilinear.apply(a, b, lambda u, v: func(u, v, **kwargs), mode.place(a), mode.place(b))
    return func(a, b, **kwargs)


def _rmatmul(mode: CellMode, func: Function, b: Any, a: Any) -> Any:
    return _bilinear(mode, torch.matmul, a, b)


def _linear(mode: CellMode, func: Function, x: Any, weight: Any, bias: Any = None) -> Any:
    if not mode.depends(weight):
        return func(x, weight, bias)
    with mode:
        result = x @ weight.mT
        return result if bias is None else result + bias


def _add_product(product: Function) -> Handler:
    def handle(mode: CellMode, func: Function, c: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
        if not (mode.depends(a) and mode.depends(b)):
            return func(c, a, b, beta=beta, alpha=alpha)
        with mode:
            result = alpha * product(a, b)
            return result if beta == 0 else beta * c + result

    return handle


def _addcmul(mode: CellMode, func: Function, c: Any, a: Any, b: Any, *, value: Any = 1) -> Any:
    with mode:
        return c + value * (a * b)


def _addcdiv(mode: CellMode, func: Function, c: Any, a: Any, b: Any, *, value: Any = 1) -> Any:
    with mode:
        return c + value * (a / b)


def _lerp(mode: CellMode, func: Function, a: Any, b: Any, weight: Any) -> Any:
    if not mode.depends(weight):
        return func(a, b, weight)
    with mode:
        return a + weight * (b - a)


def _einsum(mode: CellMode, func: Function, equation: str, *operands: Any) -> Any:
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    moving = [i for i, operand in enumerate(operands) if mode.depends(operand)]
    if len(moving) < 2:
        return func(equation, *operands)
    if len(moving) > 2:
        return NotImplemented

    def product(a: Tensor, b: Tensor) -> Tensor:
        given = list(operands)
        given[moving[0]], given[moving[1]] = a, b
        return torch.einsum(equation, *given)

    a, b = (operands[i] for i in moving)
    return product_slopes.Bilinear.apply(a, b, product, mode.place(a), mode.place(b))


def _glu(mode: CellMode, func: Function, x: Tensor, dim: int = -1) -> Any:
    with mode:
        a, b = x.chunk(2, dim)
        return a * b.sigmoid()


PRODUCT_RULES: dict[str, Handler] = {
    "mul": _mul,
    "div": _div,
    "rtruediv": _rdiv,
    "rdiv": _rdiv,
    **dict.fromkeys(("matmul", "bmm", "mm", "mv", "dot", "inner", "outer", "ger"), _bilinear),
    "rmatmul": _rmatmul,
    "linear": _linear,
    "addmm": _add_product(torch.mm),
    "addmv": _add_product(torch.mv),
    "baddbmm": _add_product(torch.bmm),
    "addcmul": _addcmul,
    "addcdiv": _addcdiv,
    "lerp": _lerp,
    "einsum": _einsum,
    "glu": _glu,
}
