"""Rules for the largest and the smallest: pools, amax, maximum."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ig_widgets.engine import slopes
from ig_widgets.engine.secant.cell_mode import CellMode, Handler
from ig_widgets.engine.secant.operations import Function
from ig_widgets.engine.secant.path_mode import mark_computed


def _max_pool(pool: Function) -> Handler:
    def handle(mode: CellMode, func: Function, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        wants_indices = kwargs.pop("return_indices", False)
        spatial = pool.__name__.removesuffix("_with_indices")[-2]
        dims = int(spatial)
        if x.dim() != dims + 2:
            return NotImplemented
        values, index = pool(x.detach(), *args, **kwargs)
        place = mode.place(x)
        if place.dim > 1 or place.outer > 1:
            return NotImplemented
        result = slopes.Largest.apply(x.flatten(2), index.flatten(2), place).view(values.shape)
        return (result, index) if wants_indices else result

    return handle


def _amax(mode: CellMode, func: Function, x: Tensor, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    dims = sorted({d % x.dim() for d in ([dim] if isinstance(dim, int) else dim or ())})
    if not dims or mode.place(x).dim in dims or mode.place(x).outer > 1:
        return NotImplemented
    with mode:
        flat = x.movedim(dims, tuple(range(-len(dims), 0))).flatten(-len(dims))
    index = flat.detach().argmax(-1, keepdim=True)
    result = mark_computed(slopes.Largest.apply(flat, index, mode.place(flat)), mode.place(flat))
    with mode:
        result = result.squeeze(-1)
        for d in dims if keepdim else ():
            result = result.unsqueeze(d)
    return result


def _max(mode: CellMode, func: Function, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    if args and isinstance(args[0], Tensor):
        return _maximum(mode, func, x, args[0])
    dim = kwargs.get("dim", args[0] if args else None)
    if not isinstance(dim, int):
        return NotImplemented
    keepdim = kwargs.get("keepdim", args[1] if len(args) > 1 else False)
    value = _amax(mode, func, x, dim, keepdim)
    if value is NotImplemented:
        return value
    return torch.return_types.max((value, x.detach().argmax(dim, keepdim)))


def _maximum(mode: CellMode, func: Function, a: Any, b: Any) -> Any:
    with mode:
        return torch.stack(torch.broadcast_tensors(a, b), -1).amax(-1)


def _minimum(mode: CellMode, func: Function, a: Any, b: Any) -> Any:
    with mode:
        return -torch.maximum(-a, -b)


def _amin(mode: CellMode, func: Function, x: Tensor, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    with mode:
        negative = -x
    value = _amax(mode, func, negative, dim, keepdim)
    return value if value is NotImplemented else -value


MAXIMA: dict[str, Handler] = {
    **{f"max_pool{n}d": _max_pool(getattr(F, f"max_pool{n}d_with_indices")) for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": _max_pool(getattr(F, f"adaptive_max_pool{n}d_with_indices")) for n in (1, 2, 3)},
    "amax": _amax,
    "amin": _amin,
    "max": _max,
    "maximum": _maximum,
    "minimum": _minimum,
}
