"""The regions that a caller asks about, as names and boolean masks of each input."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.faithfulness.regions import Mask, part_mask
from ig_widgets.faithfulness.subject import Subject


def check_regions(regions: object, subject: Subject) -> tuple[list[str], list[tuple[Mask, ...]]]:
    """The names of `regions` and their masks, one for each input. Raises ArgumentTypeError, ArgumentValueError."""
    if isinstance(regions, Mapping):
        named = [(str(name), region) for name, region in regions.items()]
    elif isinstance(regions, list | tuple | np.ndarray | Tensor):
        named = [(str(i), region) for i, region in enumerate(regions, 1)]
    else:
        raise ArgumentTypeError(f"regions must be a list of regions or a mapping, got {type(regions).__name__}.")
    if not named:
        raise ArgumentValueError("regions is empty; give at least one.")
    if all(isinstance(region, int | float) and not isinstance(region, bool) for _, region in named):
        raise ArgumentTypeError("regions is a single region; put it into a list, or use audit_region.")
    shapes = [tuple(subject.inputs[own[0]].shape[1:]) for own in subject.parts]
    masks = []
    for name, region in named:
        try:
            masks.append(_masks_of(region, shapes))
        except (ArgumentTypeError, ArgumentValueError) as error:
            if len(named) > 1:
                error.add_note(f"This is region {name!r}.")
            raise
    return [name for name, _ in named], masks


def _masks_of(region: object, shapes: list[tuple[int, ...]]) -> tuple[Mask, ...]:
    """The masks of one region, for each tensor."""
    if len(shapes) == 1:
        masks: tuple[Mask, ...] = (part_mask(region, shapes[0]),)
    elif isinstance(region, tuple | list) and len(region) == len(shapes):
        masks = tuple(
            part_mask(part, shape, f"region[{i}]") for i, (part, shape) in enumerate(zip(region, shapes, strict=True))
        )
    else:
        seen = f"{len(region)} members" if isinstance(region, tuple | list) else type(region).__name__
        raise ArgumentTypeError(
            f"region must be a tuple of {len(shapes)}, for each input a mask of it, None (nothing) or True (all), got "
            f"{seen}."
        )
    if not any(mask.any() for mask in masks):
        raise ArgumentValueError("region holds nothing; give one that holds a pixel or a value at least.")
    return masks
