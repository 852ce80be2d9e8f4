"""Rules for norms, variances and cosines."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ig_widgets.engine.place import Place
from ig_widgets.engine.secant.cell_mode import MOST_SCALES, CellMode, Handler, note_scales
from ig_widgets.engine.secant.operations import Function
from ig_widgets.engine.secant.path_mode import LeaveError, mark_computed
from ig_widgets.engine.unit_length import Length, Normalised, OverLength


def _normalised(
    mode: CellMode,
    x: Tensor,
    dims: tuple[int, ...],
    eps: float,
    y: Tensor,
    weight: Any,
    *,
    centred: bool = True,
    known: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """`y`, which is x over the root of its mean square, or of its variance, times a constant weight, plus a constant.

    `dims` are negative; `weight` (or None) can be broadcast to x. `known`: the mean, and one over the root.
    """
    place = mode.place(x)
    _refuse_across(x, dims, place)
    scale = 1 / math.prod(x.shape[dim] for dim in dims)
    if known is not None:
        mean, inverse = known
        note_scales(mode, "a norm", inverse, place, MOST_SCALES)
    else:
        flat, mean = x.detach(), None
        d = flat - flat.mean(dims, keepdim=True) if centred else flat
        squares = torch.linalg.vector_norm(d, dim=dims, keepdim=True).square_().mul_(scale)
        note_scales(mode, "a norm", squares.add_(eps), place, MOST_SCALES**2)
    return mark_computed(Normalised.apply(x, y.detach(), mean, weight, dims, scale, eps, centred, place), place)


def _refuse_across(x: Tensor, dims: tuple[int, ...], place: Place) -> None:
    across = {dim % x.dim() for dim in dims}
    if place.dim in across or (place.outer > 1 and any(dim <= place.dim for dim in across)):
        raise LeaveError("the secant rule does not hold here: a norm is taken across the points of the path")


def over_length(mode: CellMode, d: Tensor, length: Length, compute: Callable[[], Tensor]) -> Tensor:
    """What `compute` gives, d over its length, with the slope of that."""
    place = mode.place(d)
    if place.outer > 1 and any(dim % d.dim() <= place.dim for dim in length.dims):
        _refuse_across(d, length.dims, place)
    squares = torch.linalg.vector_norm(d.detach(), dim=length.dims, keepdim=True).square_().mul_(length.scale)
    note_scales(mode, "a norm", squares.add_(length.eps), place, MOST_SCALES**2)
    return mark_computed(OverLength.apply(d, compute(), length, place), place)


def _layer_norm(
    mode: CellMode, func: Function, x: Tensor, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    *_: Any, **__: Any,
) -> Any:  # fmt: skip
    if mode.depends(weight) or mode.depends(bias):
        return _scaled(mode, lambda: torch.nn.functional.layer_norm(x, shape, None, None, eps), weight, bias)
    y, mean, inverse = torch.native_layer_norm(x.detach(), shape, weight, bias, eps)
    known = (mean, inverse) if mean.dtype == torch.promote_types(x.dtype, torch.float32) else None
    return _normalised(mode, x, tuple(range(-len(shape), 0)), eps, y, weight, known=known)


def _scaled(mode: CellMode, norm: Callable[[], Tensor], weight: Any, bias: Any) -> Tensor:
    """A norm whose weight or bias moves along the path."""
    with mode:
        result = norm() if weight is None else norm() * weight
        return result if bias is None else result + bias


def _rms_norm(mode: CellMode, func: Function, x: Tensor, shape: Any, weight: Any = None, eps: Any = None) -> Any:
    if mode.depends(weight):
        return _scaled(mode, lambda: torch.nn.functional.rms_norm(x, shape, None, eps), weight, None)
    y = torch.nn.functional.rms_norm(x.detach(), shape, weight, eps)
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    return _normalised(mode, x, tuple(range(-len(shape), 0)), eps, y, weight, centred=False)


def _group_norm(
    mode: CellMode, func: Function, x: Tensor, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    *_: Any, **__: Any,
) -> Any:  # fmt: skip
    if mode.depends(weight) or mode.depends(bias):
        shape = (1, -1, *[1] * (x.dim() - 2))
        with mode:
            weight, bias = (None if p is None else p.view(shape) for p in (weight, bias))
        return _scaled(mode, lambda: torch.nn.functional.group_norm(x, groups, None, None, eps), weight, bias)
    y = torch.nn.functional.group_norm(x.detach(), groups, weight, bias, eps)
    with mode:
        parts = x.unflatten(1, (groups, -1))
    weight = None if weight is None else weight.view(1, groups, -1, *[1] * (x.dim() - 2))
    y = _normalised(mode, parts, tuple(range(2 - parts.dim(), 0)), eps, y.unflatten(1, (groups, -1)), weight)
    with mode:
        return y.flatten(1, 2)


def _instance_norm(
    mode: CellMode, func: Function, x: Tensor, running_mean: Any = None, running_var: Any = None, weight: Any = None,
    bias: Any = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5, *_: Any,
) -> Any:  # fmt: skip
    if not use_input_stats or running_mean is not None:
        return NotImplemented
    return _group_norm(mode, func, x, x.shape[1], weight, bias, eps)


def _vector_norm(
    mode: CellMode, func: Function, x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, **kwargs: Any
) -> Any:  # fmt: skip
    if ord not in (2, 2.0, None, "fro") or dim is None:
        return NotImplemented
    with mode:
        return (x * x).sum(dim, keepdim=keepdim).sqrt()


def _cosine(mode: CellMode, func: Function, a: Tensor, b: Tensor, dim: int = 1, eps: float = 1e-8) -> Any:
    with mode:
        lengths = (v.norm(dim=dim).clamp_min(eps) for v in (a, b))
        return (a * b).sum(dim) / next(lengths) / next(lengths)


def _variance(root: bool) -> Handler:
    def handle(mode: CellMode, func: Function, x: Tensor, dim: Any = None, *args: Any, **kwargs: Any) -> Any:
        if dim is None or isinstance(dim, bool) or args:
            return NotImplemented
        correction = kwargs.get("correction", int(kwargs.get("unbiased", True)))
        keepdim = kwargs.get("keepdim", False)
        dims = [dim] if isinstance(dim, int) else list(dim)
        count = 1
        for d in dims:
            count *= x.shape[d]
        with mode:
            d = x - x.mean(dim, keepdim=True)
            result = (d * d).sum(dim, keepdim=keepdim) / (count - correction)
            return result.sqrt() if root else result

    return handle


NORMS: dict[str, Handler] = {
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "vector_norm": _vector_norm,
    "linalg_vector_norm": _vector_norm,
    "cosine_similarity": _cosine,
    "var": _variance(False),
    "std": _variance(True),
}
