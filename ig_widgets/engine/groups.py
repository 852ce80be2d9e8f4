"""Groups of features, superpixels or the columns of one variable, whose attributions are added up."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError

FeatureMask: TypeAlias = None | Tensor | tuple[Tensor, ...]


def check_feature_mask(feature_mask: object, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
    """One integer tensor for each input, expanded to its shape: the group, from 0, that each feature belongs to.

    Groups may reach across the inputs. Raises ArgumentTypeError, ArgumentValueError.
    """
    if feature_mask is None:
        return None
    members = _members(feature_mask)
    if len(members) != len(inputs):
        raise ArgumentValueError(
            f"feature_mask has {len(members)} members, inputs has {len(inputs)}; give one for each."
        )
    return tuple(_check(m, x, f"feature_mask[{i}]" if len(members) > 1 else "feature_mask")
                 for i, (m, x) in enumerate(zip(members, inputs, strict=True)))  # fmt: skip


def check_mask_type(feature_mask: object) -> None:
    """Raise ArgumentTypeError unless it holds tensors of integers."""
    for i, mask in enumerate(members := () if feature_mask is None else _members(feature_mask)):
        _check_type(mask, f"feature_mask[{i}]" if len(members) > 1 else "feature_mask")


def _members(feature_mask: object) -> tuple[object, ...]:
    return tuple(feature_mask) if isinstance(feature_mask, tuple | list) else (feature_mask,)


def _check_type(mask: object, name: str) -> Tensor:
    if not isinstance(mask, Tensor):
        raise ArgumentTypeError(f"{name} must be a tensor of integers, got {type(mask).__name__}.")
    if mask.is_floating_point() or mask.is_complex() or mask.dtype == torch.bool:
        raise ArgumentTypeError(f"{name} must hold integers, the group of each feature, got {mask.dtype}.")
    return mask


def _check(mask: object, x: Tensor, name: str) -> Tensor:
    mask = _check_type(mask, name)
    try:
        expanded = mask.detach().to(x.device, torch.int64).expand(x.shape)
    except RuntimeError:
        raise ArgumentValueError(
            f"{name} has shape {tuple(mask.shape)}, its input {tuple(x.shape)}; it must broadcast to it: give "
            f"{(1, *x.shape[1:])}."
        ) from None
    if mask.numel() and int(mask.min()) < 0:
        raise ArgumentValueError(f"{name} holds {int(mask.min())}; groups are numbered from 0.")
    return expanded


def group_sums(attributions: tuple[Tensor, ...], masks: tuple[Tensor, ...]) -> Tensor:
    """The sums (batch, groups) of `attributions` (batch, ...) over each group of `masks`, like them in shape."""
    groups = 1 + max(int(mask.max()) for mask in masks)
    first = attributions[0]
    sums = torch.zeros(len(first), groups, dtype=first.dtype, device=first.device)
    for values, mask in zip(attributions, masks, strict=True):
        sums.scatter_add_(1, mask.reshape(len(mask), -1), values.reshape(len(values), -1).to(sums.dtype))
    return sums
