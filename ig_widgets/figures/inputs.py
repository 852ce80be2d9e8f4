"""Converts pictures, maps and texts in any usual form to those that figures draw."""

from __future__ import annotations

import itertools
import textwrap
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.figures.pixels import Picture, pixels_of, to_bytes, variants
from ig_widgets.texts import plain

Bytes: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float64]
Map: TypeAlias = Attribution | npt.NDArray[Any] | Tensor

# A user's text is a text: its dollar signs are no mathematics, its backslashes no TeX.
AS_TEXT: dict[str, Any] = {"parse_math": False, "usetex": False}
# More would be no caption.
_MOST_LINES = 100


def as_photo(picture: Picture) -> Bytes:
    """RGB (height, width, 3), 8 bit, of a picture in any form that `pixels_of` reads; of more channels, their mean.

    Raises ArgumentTypeError, ArgumentValueError.
    """
    pixels = pixels_of(picture, name="picture")
    rgb = variants(pixels.values, 3)
    shown = rgb[0] if rgb else pixels.values.mean(0, keepdim=True).expand(3, -1, -1)
    return to_bytes(shown)


def as_map(attribution: Map, photo: Bytes | None = None) -> Floats:
    """(height, width), as large as `photo` if there is one: summed over channels, which keeps completeness.

    Of an Attribution of one picture, or an array or tensor (height, width), (channels, height, width) or (1, channels,
    height, width). Raises ArgumentTypeError, ArgumentValueError.
    """
    values: object = attribution.attributions if isinstance(attribution, Attribution) else attribution
    if isinstance(values, Tensor):
        values = values.detach().cpu().double().numpy()
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        seen = f"an array of {values.dtype}" if isinstance(values, np.ndarray) else type(values).__name__
        raise ArgumentTypeError(f"attribution must be an Attribution of one picture or a map of numbers, got {seen}.")
    if values.ndim not in (2, 3, 4) or (values.ndim == 4 and len(values) != 1):
        raise ArgumentValueError(
            f"attribution must be that of one picture, (1, channels, height, width), or a map (height, width), got "
            f"{values.shape}."
        )
    if photo is not None and values.shape[-2:] != photo.shape[:2]:
        raise ArgumentValueError(
            f"attribution is {values.shape[-1]} x {values.shape[-2]} and picture {photo.shape[1]} x {photo.shape[0]} "
            f"pixels; give the picture as the model sees it, cropped and resized."
        )
    if not np.isfinite(values).all():
        raise ArgumentValueError("attribution holds NaN or infinite values, which have no colour.")
    # All leading dimensions at once: batch and channels, or neither.
    summed: Floats = values.astype(np.float64).reshape(-1, *values.shape[-2:]).sum(0)
    return summed


def wrapped(text: str, columns: int) -> str:
    """`text` in lines of at most `columns`, and at most 100 of them."""
    lines = (line for part in text.splitlines() for line in textwrap.wrap(plain(part, 10_000), columns))
    shown = list(itertools.islice(lines, _MOST_LINES + 1))
    return "\n".join(shown if len(shown) <= _MOST_LINES else [*shown[: _MOST_LINES - 1], "…"])
