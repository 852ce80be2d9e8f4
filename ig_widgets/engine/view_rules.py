"""Where rows lie in what gives the same elements: views, indices, joins, paddings and repetitions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from types import EllipsisType

import torch
from torch import Tensor

from ig_widgets.engine.place import Place, Whereabouts
from ig_widgets.engine.row_call import Call, agreed, aligned, if_whole

# What may stand between brackets and gives a view.
_BASIC = (Integral, slice, EllipsisType, type(None))


def reshape(call: Call, result: Tensor, index: int) -> Place | None:
    """The same elements in the same order, counted otherwise."""
    tensor, place = call.moving[0]
    if result.numel() != tensor.numel():
        return None
    before = math.prod(tensor.shape[: place.dim]) * place.outer
    count = tensor.shape[place.dim] // (place.outer * place.step)
    ahead = 1
    for dim, size in enumerate(result.shape):
        if ahead * size > before:
            outer, rest = divmod(before, ahead)
            step, more = divmod(size, outer * count)
            return None if rest or more else Place(dim, step, outer)
        ahead *= size
    return None


def dims_in_front(call: Call, result: Tensor, index: int) -> Place | None:
    """What changes are dimensions behind those of the points."""
    tensor, place = call.moving[0]
    return if_whole(place, tensor, place.dim, result)


def _phantom(shape: Sequence[int]) -> Tensor:
    """Nothing but a shape and the strides that tell its dimensions apart."""
    return torch.empty(tuple(shape), device="meta")


def _dim_of(stride: int, size: int, tensor: Tensor) -> int | None:
    found = [d for d in range(tensor.dim()) if tensor.stride(d) == stride and tensor.shape[d] == size]
    return found[0] if len(found) == 1 else None


def views_of(call: Call, results: list[Tensor]) -> list[Whereabouts]:
    """Of operations that give views of one tensor: they are done to its shape alone, and strides tell what came out."""
    tensor, place = call.moving[0]
    phantom = _phantom(tensor.shape)
    if call.args and call.args[0] is tensor:
        outcome = call.func(phantom, *call.args[1:], **call.kwargs)
    else:
        outcome = call.func(*call.args, **{k: phantom if v is tensor else v for k, v in call.kwargs.items()})
    seen = [outcome] if isinstance(outcome, Tensor) else list(outcome)
    where: list[Whereabouts] = []
    for view, result in zip(seen, results, strict=True):
        dim = _dim_of(phantom.stride(place.dim), tensor.shape[place.dim], view)
        where.append(call.name if dim is None or view.shape != result.shape else place._replace(dim=dim))
    return where


def view(call: Call, result: Tensor, index: int) -> Place | None:
    """Stands in the table for `views_of`."""
    raise NotImplementedError


def view_property(call: Call, result: Tensor, index: int) -> Place | None:
    """Parts of complex numbers and transposed tensors, asked for as attributes."""
    name = getattr(getattr(call.func, "__self__", None), "__name__", "")
    if name in ("real", "imag", "data"):
        return aligned(call, result, index)
    found = views_of(call, [result])[0] if name in ("T", "mT", "H", "mH") else None
    return found if isinstance(found, Place) else None


def indexed(call: Call, result: Tensor, index: int) -> Place | None:
    """x[...]: slices and numbers make a view; lists of positions must leave the points as they are."""
    tensor, place = call.moving[0]
    if call.args[0] is not tensor or len(call.moving) > 1:
        return None
    given = call.args[1]
    parts = list(given) if isinstance(given, tuple) else [given]
    lists = [i for i, part in enumerate(parts) if isinstance(part, bool) or not isinstance(part, _BASIC)]
    if not lists:
        found = views_of(Call(call.name, torch.Tensor.__getitem__, call.args, {}, call.moving), [result])[0]
        return found if isinstance(found, Place) else None
    if place.dim != 0 or lists != list(range(lists[0], lists[-1] + 1)):
        return None
    if lists[0] > 0:
        used = sum(
            getattr(p, "ndim", 1) if getattr(p, "dtype", None) is torch.bool else p is not None for p in parts[1:]
        )
        kept = parts[0] == slice(None) if isinstance(parts[0], slice) else parts[0] is Ellipsis and used < tensor.dim()
        return if_whole(place, tensor, 0, result) if kept else None
    # x[arange(rows), positions]: one element of each point, in their order.
    first = torch.as_tensor(parts[0])
    count = tensor.shape[0]
    ordered = (
        place.outer == 1
        and first.dtype == torch.int64
        and first.shape == (count,)
        and first.tolist() == list(range(count))
    )
    flat = all(torch.as_tensor(parts[i]).dim() <= 1 for i in lists)
    return if_whole(place, tensor, 0, result) if ordered and flat else None


def cat(call: Call, result: Tensor, index: int) -> Place | None:
    """Joined along another dimension than that of the points."""
    dims = call.argument(1, "dim", "axis")
    dim = (0 if dims is None else dims) % result.dim()
    if any(p.dim == dim or t.dim() != result.dim() for t, p in call.moving):
        return None
    return agreed([p for _, p in call.moving])


def hstack(call: Call, result: Tensor, index: int) -> Place | None:
    """Joined along the second dimension."""
    beside = all(t.dim() == result.dim() > 1 and p.dim != 1 for t, p in call.moving)
    return agreed([p for _, p in call.moving]) if beside else None


def stack(call: Call, result: Tensor, index: int) -> Place | None:
    """Joined along a new dimension."""
    dims = call.argument(1, "dim", "axis")
    dim = (0 if dims is None else dims) % result.dim()
    return agreed([p._replace(dim=p.dim + (dim <= p.dim)) for _, p in call.moving])


def pad(call: Call, result: Tensor, index: int) -> Place | None:
    """Padded in other dimensions than that of the points."""
    tensor, place = call.moving[0]
    widths = call.argument(1, "pad")
    padded = widths[2 * (tensor.dim() - 1 - place.dim) :][:2]
    return None if any(padded) else if_whole(place, tensor, place.dim, result)


def repeat_interleave(call: Call, result: Tensor, index: int) -> Place | None:
    """Each element several times: of points the step grows."""
    tensor, place = call.moving[0]
    times, dim = call.argument(1, "repeats"), call.argument(2, "dim")
    if not isinstance(times, int) or dim is None:
        return None
    if dim % tensor.dim() == place.dim:
        return place._replace(step=place.step * times)
    return if_whole(place, tensor, place.dim, result)
