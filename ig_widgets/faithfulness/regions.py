"""Regions of a picture: rectangles, masks and polygons, all as the pixels that they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError

Mask: TypeAlias = npt.NDArray[np.bool_]
Region: TypeAlias = Sequence[float] | Sequence[Sequence[float]] | npt.NDArray[Any] | Tensor

_FORMS = "(left, top, right, bottom), a boolean mask (height, width) or a polygon (points, 2) of x, y"


def region_mask(region: Region, height: int, width: int) -> Mask:
    """The pixels that `region` holds, (height, width), True inside.

    `region` is a rectangle (left, top, right, bottom), a boolean mask (height, width), or a polygon (points, 2) of x
    and y, by the even-odd rule where it crosses itself. x and y are in pixels, from the top left corner of the picture:
    a pixel is held where its centre (column + 1/2, row + 1/2) is, so that right and bottom of a rectangle of integers
    are exclusive, and regions that share an edge share no pixel. What sticks out of the picture is cut off.

    Raises ArgumentTypeError, ArgumentValueError: not a region, NaN or infinite, a mask of another shape, a region
    outside of the picture or without any pixel.
    """
    values = _as_array(region)
    if values.dtype == np.bool_:
        if values.shape != (height, width):
            raise ArgumentValueError(
                f"region is a mask of shape {values.shape}, the picture is {(height, width)}; they must be the same."
            )
        mask = values.copy()
        seen = "is a mask that is False everywhere"
    else:
        if not np.isfinite(values).all():
            raise ArgumentValueError("region holds NaN or infinite numbers; give x and y in pixels.")
        mask = _inside(_corners(values), height, width)
        seen = _where(values, height, width)
    if not mask.any():
        raise ArgumentValueError(f"region {seen}: it holds no pixel; give one that covers the centre of at least one.")
    return mask


def part_mask(region: object, shape: tuple[int, ...], name: str = "region") -> Mask:
    """The features that `region` holds of an example of `shape`, True inside.

    Of pictures (channels, height, width): the pixels of `region_mask`. Of all else a boolean mask of that shape, or of
    its first dimensions: (time,) for (time, features). None and False are nothing of it, True is all.

    Raises as `region_mask`, but for a part that holds nothing.
    """
    own = shape[1:] if len(shape) == 3 else shape
    if region is None or isinstance(region, bool):
        return np.full(own, bool(region))
    if len(shape) == 3:
        return region_mask(region, *own)  # type: ignore[arg-type]
    values = _as_array(region, "a boolean mask of the features, True or None")
    if values.dtype != np.bool_:
        raise ArgumentTypeError(
            f"{name} must be a boolean mask of the features, True or None, got numbers; rectangles and polygons are "
            f"for pictures."
        )
    if values.ndim == 0 or values.ndim > len(own) or values.shape != own[: values.ndim]:
        raise ArgumentValueError(
            f"{name} is a mask of shape {values.shape}, the example {own}; they must be the same, or the same in the "
            f"first dimensions."
        )
    return np.broadcast_to(values.reshape(*values.shape, *[1] * (len(own) - values.ndim)), own).copy()


def _as_array(region: object, forms: str = _FORMS) -> npt.NDArray[Any]:
    if isinstance(region, Tensor):
        region = region.detach().cpu().numpy()
    try:
        values = np.asarray(region)
    except ValueError:  # rows of different lengths
        values = np.asarray(None)
    if values.dtype.kind not in "biuf":
        raise ArgumentTypeError(f"region must be {forms}, got {type(region).__name__}.")
    return values if values.dtype == np.bool_ else values.astype(np.float64)


def _corners(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The points (points, 2) around a rectangle or a polygon."""
    if values.shape == (4,):
        left, top, right, bottom = values
        # Turned around it would be the same polygon; as (left, top, right, bottom) it is a mistake.
        right, bottom = max(left, right), max(top, bottom)
        return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    if values.ndim != 2 or values.shape[1] != 2 or len(values) < 3:
        raise ArgumentValueError(
            f"region must be {_FORMS}, got numbers of shape {values.shape}; a polygon has 3 points or more."
        )
    return values


def _inside(points: npt.NDArray[np.float64], height: int, width: int) -> Mask:
    """The pixels with their centre inside of the polygon, by the even-odd rule, for thousands of points at once.

    An edge from (x0, y0) down to (x1, y1) is crossed by the middles y of rows with y0 <= y < y1, at x; the centres left
    of x, and not that on it, change sides. So a centre on an edge is inside of what lies to the right of it or below.
    """
    ends, rows = _edges(points), rows_crossed(points, height)
    counts = rows[:, 1] - rows[:, 0]
    edge = np.repeat(np.arange(len(ends)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts - rows[:, 0], counts)
    (x0, y0), (x1, y1) = ends[edge, 0].T, ends[edge, 1].T
    # An edge that is longer than numbers go has no crossing that could be told: left of the picture.
    with np.errstate(over="ignore", invalid="ignore"):
        # Multiplied first: of corners in halves of pixels the crossing is exact, wherever the polygon lies.
        at = np.nan_to_num(x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0))
    changes = np.zeros((height, width + 1), dtype=np.bool_)
    np.logical_xor.at(changes, (row, np.ceil(at - 0.5).clip(0, width).astype(np.intp)), True)
    # Each row crosses a closed line an even number of times: left of an odd number is right of an odd number.
    return np.logical_xor.accumulate(changes[:, :width], axis=1)


def rows_crossed(points: npt.NDArray[np.float64], height: int) -> npt.NDArray[np.intp]:
    """(edges, 2): the rows whose middle each edge of the polygon crosses, from the first to before the second."""
    return np.ceil(_edges(points)[:, :, 1] - 0.5).clip(0, height).astype(np.intp)


def _edges(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(edges, 2, 2): upper and lower end of each. An edge that two polygons share is so rounded alike in both."""
    ends = np.stack([points, np.roll(points, -1, axis=0)], axis=1)
    turned = ends[:, 0, 1] > ends[:, 1, 1]
    ends[turned] = ends[turned, ::-1]
    return ends


def _where(values: npt.NDArray[np.float64], height: int, width: int) -> str:
    """Why a region may hold nothing, in words."""
    xs, ys = (values[0::2], values[1::2]) if values.ndim == 1 else values.T
    numbers = ", ".join(f"{v:g}" for v in (xs.min(), ys.min(), xs.max(), ys.max()))
    if values.ndim == 1 and (values[2] <= values[0] or values[3] <= values[1]):
        return f"({', '.join(f'{v:g}' for v in values)}) is empty, its right must exceed its left, its bottom its top"
    if xs.max() <= 0 or ys.max() <= 0 or xs.min() >= width or ys.min() >= height:
        return f"({numbers}) lies outside of the picture, {width} wide and {height} high"
    return f"({numbers}) is too small or has no inside"
