"""Regions as the front end has them, plain data: a kind (rectangle, polygon, mask) with a box, points or runs.

`runs` are lengths of runs of pixels, row by row, outside and inside in turn, beginning with outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.faithfulness.regions import Mask, Region, region_mask

MOST_REGIONS = 32
_MOST_POINTS = 10_000

RegionData = dict[str, Any]


def to_data(region: Region, height: int, width: int) -> RegionData:
    """A region as Python gives it. Raises ArgumentTypeError, ArgumentValueError where it holds no pixel."""
    mask = region_mask(region, height, width)
    values = np.asarray(region)
    if values.dtype == np.bool_:
        flat = np.concatenate([[False], mask.ravel()])
        edges = np.flatnonzero(flat[1:] != flat[:-1])
        return {"kind": "mask", "runs": np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()}
    numbers = values.astype(float)
    if numbers.ndim == 1:
        return {"kind": "rectangle", "box": numbers.tolist()}
    return {"kind": "polygon", "points": numbers.tolist()}


def from_data(data: object, height: int, width: int) -> Region:
    """The way back, of data that a browser sent. Raises ArgumentTypeError, ArgumentValueError."""
    if not isinstance(data, Mapping):
        raise ArgumentTypeError(f"a region must be a mapping, got {type(data).__name__}.")
    match data.get("kind"), data:
        case "rectangle", {"box": [_, _, _, _] as box} if _are_numbers(box):
            return tuple(box)
        case "polygon", {"points": list(points)} if len(points) <= _MOST_POINTS:
            if all(isinstance(p, list | tuple) and len(p) == 2 and _are_numbers(p) for p in points):
                return np.array(points, dtype=np.float64)
        case "mask", {"runs": list(runs)} if _are_numbers(runs) and len(runs) <= height * width + 1:
            if all(isinstance(run, int) and 0 <= run <= height * width for run in runs) and sum(runs) == height * width:
                return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    raise ArgumentValueError("a region must be a rectangle with a box, a polygon with points or a mask with runs.")


def mask_of(data: object, height: int, width: int) -> Mask:
    """Its pixels (height, width). Raises as `from_data`, and for a region that holds none."""
    return region_mask(from_data(data, height, width), height, width)


def _are_numbers(values: list[Any] | tuple[Any, ...]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
