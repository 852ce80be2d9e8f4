"""What may be given as a map, and the features that it ranks."""

from __future__ import annotations

from numbers import Integral

import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError


def check_map(values: object, inputs: Tensor, name: str = "attributions", of: str = "inputs") -> Tensor:
    """What was attributed to each value of `inputs` (batch, ...), of their shape, detached.

    Of pictures (batch, channels, height, width) a map (batch, height, width) or (batch, 1, height, width) is taken too,
    and returned as (batch, 1, height, width); of a single one, (height, width) and (channels, height, width). Of a map
    of `layer=`, of what is made of each value, the sum counts: (batch, tokens, dims) for ids (batch, tokens). Raises
    ArgumentTypeError, ArgumentValueError that call it `name`, and the inputs `of`.
    """
    if not isinstance(values, Tensor):
        raise ArgumentTypeError(
            f"{name} must be an Attribution of these inputs, or a tensor like each, got {type(values).__name__}."
        )
    values, shape = values.detach(), tuple(inputs.shape)
    if values.dim() > len(shape) and tuple(values.shape[: len(shape)]) == shape:
        # What a layer makes of each value, the embedding of a token, say.
        values = values.flatten(len(shape)).sum(-1)
    seen = tuple(values.shape)
    if len(shape) == 4 and seen != shape:
        batch, _, height, width = shape
        flat = {(batch, height, width), (batch, 1, height, width), *([(height, width)] if batch == 1 else ())}
        if seen in flat:
            values = values.reshape(batch, 1, height, width)
        elif batch == 1 and seen == shape[1:]:
            values = values.unsqueeze(0)
    elif len(shape) > 1 and shape[0] == 1 and seen == shape[1:]:
        values = values.unsqueeze(0)
    if tuple(values.shape) != shape and tuple(values.shape) != (shape[0], 1, *shape[2:]):
        maps = f", or maps {(shape[0], *shape[2:])}" if len(shape) == 4 else ""
        raise ArgumentValueError(
            f"{name} has shape {seen}, {of} {shape}; it must be like {of}{maps}."
            f"{'' if of == 'layer' else ' For the map of what a layer gives, give layer too.'}"
        )
    if values.is_complex() or not torch.isfinite(values).all():
        raise ArgumentValueError(f"{name} holds values that are NaN, infinite or complex, which have no order.")
    return values


def by_feature(values: Tensor, *, by_pixel: bool = True) -> Tensor:
    """(batch, features), float64 on the CPU: of pictures (batch, channels, height, width) summed over channels."""
    wide = values.detach().cpu().double()
    if wide.dim() == 4 and by_pixel:
        wide = wide.sum(1)
    return wide.reshape(len(wide), -1)


def order_of(values: Tensor, shuffled: Tensor) -> Tensor:
    """The features (batch, features) of `values` by falling value; those of equal value as they come in `shuffled`."""
    return shuffled[values[:, shuffled].argsort(dim=1, descending=True, stable=True)]


def ranks_of(order: Tensor) -> Tensor:
    """Which place, from 0, each feature has in `order` (rows, features)."""
    return torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )


def mean_ranks(values: Tensor) -> Tensor:
    """The rank of each of `values` (rows, features), float64; equal values share the mean of theirs."""
    ordered = values.sort(dim=1).values
    first = torch.searchsorted(ordered, values, right=False)
    return (first + torch.searchsorted(ordered, values, right=True) - 1).double() / 2


def rank_correlation(one: Tensor, other: Tensor) -> Tensor:
    """Spearman's rank correlation of each row of two (rows, features); NaN where one has no order at all."""
    a, b = (ranks - ranks.mean(1, keepdim=True) for ranks in (mean_ranks(one), mean_ranks(other)))
    scale = a.norm(dim=1) * b.norm(dim=1)
    return torch.where(scale > 0, (a * b).sum(1) / scale, torch.nan).clamp(-1, 1)


def check_count(name: str, value: object, least: int, what: str) -> int:
    """`value` as an int of at least `least`; `what` says of what. Raises ArgumentTypeError, ArgumentValueError."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ArgumentTypeError(f"{name} must be an integer, {what}, got {value!r}.")
    if int(value) < least:
        raise ArgumentValueError(f"{name} is {what} and must be at least {least}, got {value}.")
    return int(value)


def numbers(value: float) -> str:
    """A number as tables show it; nothing for one that is not defined."""
    return "" if value != value else f"{value:.3g}"
