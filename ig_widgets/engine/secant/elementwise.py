"""Rules for operations that work element by element: clamps, activations, powers."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ig_widgets.engine import slopes
from ig_widgets.engine.kinks import CLAMPS, bounds
from ig_widgets.engine.secant.cell_mode import MOST_SCALES, CellMode, Handler, note_passing, note_scales
from ig_widgets.engine.secant.operations import Function, name_of, tensors_in

# Linear but for kinks: a difference quotient is exact.
_KINKED = """relu relu6 hardtanh leaky_relu abs absolute clamp clip clamp_min clamp_max threshold hardsigmoid
rrelu softshrink""".split()
_SMOOTH = """sigmoid expit tanh gelu silu mish softplus elu selu celu hardswish logsigmoid log_sigmoid softsign
tanhshrink exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square sin cos tan sinh cosh asin acos atan
arcsin arccos arctan asinh acosh atanh arcsinh arccosh arctanh erf erfc erfinv logit sinc lgamma""".split()
# Of these the lengths over which they bend grow with x.
_SCALED = frozenset(
    "log log2 log10 log1p sqrt rsqrt reciprocal square lgamma asinh arcsinh acosh arccosh softsign".split()
)
_INVERSE = {"reciprocal": 1, "rsqrt": 2}
_LEVELS_OFF = {"tanh": 2.0, "sigmoid": 4.0, "erf": 2.0, "softsign": 8.0, "atan": 8.0, "hardsigmoid": 6.0, "exp": 4.0}


def _elementwise(kinked: bool) -> Handler:
    def handle(mode: CellMode, func: Function, x: Any, *args: Any, **kwargs: Any) -> Any:
        others = tensors_in((args, kwargs))
        if not mode.depends(x) or any(mode.depends(other) or other.numel() > 1 for other in others):
            return NotImplemented
        if x.is_complex():
            # The others are differentiable as functions of a complex number.
            if kinked:
                return NotImplemented
            return slopes.Elementwise.apply(
                x, slopes.Smooth(lambda v: func(v, *args, **kwargs), name_of(func) in _SCALED), mode.place(x)
            )
        bounds = clamp_bounds(name_of(func), *args, **kwargs) if kinked else None
        if bounds is not None:
            note_passing(mode, name_of(func), x, mode.place(x), bounds[1] - bounds[0])
        elif (width := _LEVELS_OFF.get(name_of(func))) is not None:
            note_passing(mode, name_of(func), x, mode.place(x), width)
        if bounds is not None and x.element_size() >= 4:
            return slopes.Elementwise.apply(x, slopes.Clamp(*bounds), mode.place(x))
        if name_of(func) in _INVERSE:
            note_scales(mode, name_of(func), x, mode.place(x), MOST_SCALES ** _INVERSE[name_of(func)])
        op = lambda v: func(v, *args, **kwargs)  # noqa: E731
        kind = slopes.Kinked(op) if kinked else slopes.Smooth(op, name_of(func) in _SCALED)
        return slopes.Elementwise.apply(x, kind, mode.place(x))

    return handle


def clamp_bounds(name: str, *args: Any, **kwargs: Any) -> tuple[float, float] | None:
    """Between which values the operation is the identity, if it clamps to them."""
    if name in ("relu", "relu6"):
        return 0.0, 6.0 if name == "relu6" else math.inf
    return bounds(name, *args, **kwargs) if name in CLAMPS else None


def _abs(mode: CellMode, func: Function, x: Tensor) -> Any:
    if not x.is_complex():
        return slopes.Elementwise.apply(x, slopes.Kinked(torch.abs), mode.place(x))
    with mode:
        parts = torch.view_as_real(x)
        return (parts * parts).sum(-1).sqrt()


def _threshold(mode: CellMode, func: Function, x: Tensor, threshold: float, value: float, inplace: bool = False) -> Any:
    # Of a jump there is no slope.
    return _elementwise(True)(mode, func, x, threshold, value) if threshold == value else NotImplemented


def _rpow(mode: CellMode, func: Function, x: Tensor, base: Any) -> Any:
    if isinstance(base, Tensor) and (mode.depends(base) or base.numel() > 1):
        return NotImplemented
    return slopes.Elementwise.apply(x, slopes.Smooth(lambda v: torch.pow(base, v)), mode.place(x))


def _pow(mode: CellMode, func: Function, x: Any, exponent: Any, **kwargs: Any) -> Any:
    if isinstance(exponent, Tensor) and mode.depends(exponent):
        if mode.depends(x) or (isinstance(x, Tensor) and x.numel() > 1):
            return NotImplemented
        return slopes.Elementwise.apply(exponent, slopes.Smooth(lambda v: torch.pow(x, v)), mode.place(exponent))
    if isinstance(exponent, int | float) and exponent < 0:
        note_scales(mode, "pow", x, mode.place(x), MOST_SCALES ** (1 / -exponent))
    return slopes.Elementwise.apply(x, slopes.Smooth(lambda v: torch.pow(v, exponent), True), mode.place(x))


def _prelu(mode: CellMode, func: Function, x: Tensor, weight: Any) -> Any:
    with mode:
        return x.relu() - weight.view(1, -1, *[1] * (x.dim() - 2)) * (-x).relu()


ELEMENTWISE: dict[str, Handler] = {
    **dict.fromkeys(_KINKED, _elementwise(True)),
    **dict.fromkeys(_SMOOTH, _elementwise(False)),
    "abs": _abs,
    "absolute": _abs,
    "threshold": _threshold,
    "prelu": _prelu,
    "pow": _pow,
    "float_power": _pow,
    "rpow": _rpow,
}
