"""An attribution over its photo, drawn as the front end draws it (js/src/image/gl)."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt

from ig_widgets.engine.errors import ArgumentValueError

Map = npt.NDArray[np.floating[Any]]
Bytes = npt.NDArray[np.uint8]


def color_table(colormap: str) -> Bytes:
    """256 RGB colours (256, 3) of a matplotlib colour map. Raises ArgumentValueError for an unknown name."""
    if colormap not in matplotlib.colormaps:
        raise ArgumentValueError(
            f"colormap={colormap!r} is not one of matplotlib's; RdBu_r, PuOr_r and coolwarm suit signs."
        )
    table: Bytes = matplotlib.colormaps[colormap](np.linspace(0, 1, 256), bytes=True)[:, :3]
    return np.ascontiguousarray(table)


def scale_of(attribution: Map, clip: float) -> float:
    """The value that gets the end of the colour map: the `clip`-th percentile of |attribution|.

    Where that is 0, the largest value, so that the few pixels which are not zero can be seen; 1 for a map of zeros.
    """
    size = np.abs(attribution)
    return float(np.percentile(size, clip)) or float(size.max()) or 1.0


def compose(
    photo: Bytes, values: Map, scale: float, table: Bytes, opacity: float, sign: str = "all", ground: str = "grey"
) -> Bytes:
    """`values` (height, width) over `photo` (height, width, 3), each as opaque as the root of its share of scale.

    `sign` is "all", "positive" or "negative": what is left out is not painted. Below the colours the photo fades, with
    opacity, into light greys on which they are told apart.
    """
    original = photo.astype(np.float32)
    faded = 255 - 0.6 * (255 - original @ np.array([0.299, 0.587, 0.114], dtype=np.float32))
    below = original + (faded[..., None] - original) * (opacity if ground == "grey" else 0)
    shown = {"positive": np.maximum(values, 0), "negative": np.minimum(values, 0)}.get(sign, values)
    share = np.clip(shown / scale, -1, 1)
    colors = table[np.floor((share * 0.5 + 0.5) * 255 + 0.5).astype(np.uint8)].astype(np.float32)
    weight = (opacity * np.sqrt(np.abs(share)))[..., None]
    return np.rint(below * (1 - weight) + colors * weight).astype(np.uint8)
