"""Converts pictures, maps and texts in any usual form to those that figures draw."""

from __future__ import annotations

import itertools
import textwrap
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.texts import plain

Bytes: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float64]
Picture: TypeAlias = Image.Image | npt.NDArray[Any] | Tensor
Map: TypeAlias = Attribution | npt.NDArray[Any] | Tensor

# A user's text is a text: its dollar signs are no mathematics, its backslashes no TeX.
AS_TEXT: dict[str, Any] = {"parse_math": False, "usetex": False}
# More would be no caption.
_MOST_LINES = 100


def as_photo(picture: Picture) -> Bytes:
    """RGB (height, width, 3), 8 bit, of a PIL image, an array (height, width), (height, width, 1 or 3) of bytes or in
    [0, 1], or a tensor (1 or 3, height, width) in [0, 1], a batch of one allowed.

    Raises ArgumentTypeError, ArgumentValueError.
    """
    if isinstance(picture, Image.Image):
        return np.asarray(picture.convert("RGB")).copy()
    if isinstance(picture, Tensor):
        values = np.asarray(picture.detach().cpu().to(torch.float64 if picture.is_floating_point() else picture.dtype))
        values = values[0] if values.ndim == 4 and len(values) == 1 else values
        values = np.moveaxis(values, 0, -1) if values.ndim == 3 else values
    elif isinstance(picture, np.ndarray):
        values = picture[..., None] if picture.ndim == 2 else picture
    else:
        raise ArgumentTypeError(f"picture must be a PIL image, an array or a tensor, got {type(picture).__name__}.")
    if values.ndim != 3 or values.shape[2] not in (1, 3) or values.size == 0:
        raise ArgumentValueError(
            f"picture must be an array (height, width, 3) or a tensor (3, height, width), got {tuple(picture.shape)}."
        )
    if values.dtype.kind == "f":
        if not (np.all(values >= -1e-3) and np.all(values <= 1 + 1e-3)):  # NaN is neither
            raise ArgumentValueError(
                f"picture must lie in [0, 1], got {values.min():.3g} to {values.max():.3g}; give the photo, not the "
                f"normalised input of the model."
            )
        values = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    elif values.dtype != np.uint8:
        raise ArgumentTypeError(f"picture must hold bytes, or floats in [0, 1], got {values.dtype}.")
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))


def as_map(attribution: Map, photo: Bytes) -> Floats:
    """(height, width), as large as `photo`: summed over channels, which keeps completeness.

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
    if values.shape[-2:] != photo.shape[:2]:
        raise ArgumentValueError(
            f"attribution is {values.shape[-1]} x {values.shape[-2]} and picture {photo.shape[1]} x {photo.shape[0]} "
            f"pixels; give the picture as the model sees it, cropped and resized."
        )
    if not np.isfinite(values).all():
        raise ArgumentValueError("attribution holds NaN or infinite values, which have no colour.")
    summed: Floats = values.astype(np.float64).reshape(-1, *values.shape[-2:]).sum(0)
    return summed


def wrapped(text: str, columns: int) -> str:
    """`text` in lines of at most `columns`, and at most 100 of them."""
    lines = (line for part in text.splitlines() for line in textwrap.wrap(plain(part, 10_000), columns))
    shown = list(itertools.islice(lines, _MOST_LINES + 1))
    return "\n".join(shown if len(shown) <= _MOST_LINES else [*shown[: _MOST_LINES - 1], "…"])
