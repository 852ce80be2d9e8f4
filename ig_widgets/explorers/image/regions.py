"""Regions of a picture as plain data: a kind (rectangle, polygon, mask) with a box, points or runs.

`runs` are lengths of runs of pixels, row by row, outside and inside in turn, beginning with outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.faithfulness.regions import Mask, Region, region_mask, rows_crossed

_MOST_POINTS = 10_000
# Of all that is new at once, so that a message takes less than 50 ms, most of which ipywidgets needs: points (half a
# minute's drawing) and runs, how often outlines may pass the middle of a row of pixels, and pixels of masks to fill.
_MOST_NEW = {"points": 2_000, "runs": 20_000}
_MOST_CROSSINGS = 100_000
_MOST_PIXELS = 20_000_000
_LARGEST = 1e9

RegionData = dict[str, Any]


@dataclass(frozen=True)
class PictureRegions:
    """The regions of a picture of `height` x `width` pixels, as the selection panel has them."""

    height: int
    width: int

    def to_data(self, selection: Any) -> RegionData:
        """As `to_data`."""
        return to_data(selection, self.height, self.width)

    def from_data(self, data: object) -> Region:
        """As `from_data`."""
        return from_data(data, self.height, self.width)

    def mask(self, data: object) -> Mask:
        """As `mask_of`."""
        return mask_of(data, self.height, self.width)

    def check_new(self, data: Sequence[object]) -> None:
        """As `check_new`."""
        check_new(data, self.height, self.width)


def to_data(region: Region, height: int, width: int) -> RegionData:
    """Returns the data of a region. Raises ArgumentTypeError, ArgumentValueError where it holds no pixel."""
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
    """Returns the region of data that a browser sent. Raises ArgumentTypeError, ArgumentValueError."""
    if not isinstance(data, Mapping):
        raise ArgumentTypeError(f"a region must be a mapping, got {type(data).__name__}.")
    if len(data) == 2:
        match data.get("kind"), data:
            case "rectangle", {"box": [_, _, _, _] as box} if _are(box, {int, float}) and _within(box):
                return tuple(box)
            case "polygon", {"points": list(points)} if len(points) <= _MOST_POINTS and _are(points, {list, tuple}):
                flat = [*chain.from_iterable(points)]
                if set(map(len, points)) <= {2} and _are(flat, {int, float}) and _within(flat):
                    return np.array(points, dtype=np.float64).reshape(-1, 2)
            case "mask", {"runs": list(runs)} if 0 < len(runs) <= height * width + 1 and _are(runs, {int}):
                if min(runs) >= 0 and sum(runs) == height * width:
                    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    raise ArgumentValueError("a region must be a rectangle with a box, a polygon with points or a mask with runs.")


def mask_of(data: object, height: int, width: int) -> Mask:
    """Returns its pixels (height, width). Raises as `from_data`, and for a region that holds none."""
    return region_mask(from_data(data, height, width), height, width)


def check_new(regions: Sequence[object], height: int, width: int) -> None:
    """Raises as `mask_of` where one of these is not valid, and where checking them would take long."""
    for name, most in _MOST_NEW.items():
        given = sum(len(one[name]) for one in regions if isinstance(one, dict) and isinstance(one.get(name), list))
        if given > most:
            raise ArgumentValueError(f"new regions have {given} {name} in all, {most} are the most; simplify them.")
    found = [from_data(region, height, width) for region in regions]
    crossings = sum(int(np.subtract(*rows_crossed(one, height).T[::-1]).sum()) for one in found if _is_polygon(one))
    if crossings > _MOST_CROSSINGS:
        raise ArgumentValueError(
            f"the outlines of new regions cross {crossings} rows of pixels, {_MOST_CROSSINGS} are the most; simplify "
            f"them."
        )
    if len(found) > 1 and len(found) * height * width > _MOST_PIXELS:
        raise ArgumentValueError(
            f"{len(found)} new regions on {height} x {width} pixels are too many at once; give them one by one."
        )
    for one in found:
        region_mask(one, height, width)


def _is_polygon(region: Region) -> TypeGuard[npt.NDArray[np.float64]]:
    return isinstance(region, np.ndarray) and region.dtype == np.float64


def _are(values: list[Any], types: set[type]) -> bool:
    return set(map(type, values)) <= types


def _within(values: list[Any]) -> bool:
    """Whether all are of a usable size, which NaN is not."""
    return all(-_LARGEST <= value <= _LARGEST for value in values)
