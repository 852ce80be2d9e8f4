"""The usual ways to bring a picture to the size of a model's input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from ig_widgets.figures.pixels import to_bytes

Size: TypeAlias = tuple[int, int]
Geometry: TypeAlias = Callable[[Tensor], Tensor]

_FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.NEAREST)
_MODES: tuple[dict[str, Any], ...] = (
    {"mode": "bilinear", "antialias": True},
    {"mode": "bilinear"},
    {"mode": "bicubic", "antialias": True},
    {"mode": "bicubic"},
    {"mode": "nearest"},
    {"mode": "area"},
)
# The shorter side is scaled to that share more than the cut: 256 for 224.
_MARGINS = (256 / 224, 1.0)


def geometries(size: Size, wanted: Size) -> Iterator[Geometry]:
    """Yields functions of pictures (channels, height, width) of this size to that one: as they are, stretched, cut."""
    if size == wanted:
        yield torch.Tensor.clone
        return
    for resample in _FILTERS:
        yield partial(_resized_bytes, size=wanted, resample=resample)
    for resample in _FILTERS:
        yield partial(resized, size=wanted, resample=resample)
    for mode in _MODES:
        yield partial(_interpolated, size=wanted, options=mode)
    for margin in _MARGINS:
        for resample in _FILTERS:
            yield partial(_cut, size=wanted, margin=margin, resample=resample)
    yield partial(_middle, size=wanted)


def resized(picture: Tensor, size: Size, resample: Image.Resampling = Image.Resampling.BICUBIC) -> Tensor:
    """Returns a picture stretched to this size, by Pillow."""
    height, width = size
    channels = [Image.fromarray(one.numpy()).resize((width, height), resample) for one in picture.float().cpu()]
    # Pillow overshoots at edges; a picture does not.
    return torch.from_numpy(np.stack([np.asarray(one) for one in channels])).to(picture).clamp(0, 1)


def _resized_bytes(picture: Tensor, size: Size, resample: Image.Resampling) -> Tensor:
    """As `resized`, but in 8 bits, of which Pillow cuts off what overshoots after each of its two passes."""
    height, width = size
    channels = [
        np.asarray(Image.fromarray(to_bytes(one[None])).resize((width, height), resample), np.float32)
        for one in picture.float()
    ]
    return torch.from_numpy(np.stack(channels) / 255).to(picture)


def covering(picture: Tensor, size: Size) -> Tensor:
    """Returns the middle of a picture that has the proportions of this size, resized to it."""
    (height, width), (rows, columns) = picture.shape[1:], size
    scale = min(width / columns, height / rows)
    return resized(_middle(picture, (max(1, round(rows * scale)), max(1, round(columns * scale)))), size)


def _interpolated(picture: Tensor, size: Size, options: dict[str, Any]) -> Tensor:
    return interpolate(picture[None].float(), size=size, **options)[0].to(picture)


def _cut(picture: Tensor, size: Size, margin: float, resample: Image.Resampling) -> Tensor:
    height, width = picture.shape[1:]
    scale = round(margin * min(size)) / min(height, width)
    return _middle(_resized_bytes(picture, (int(height * scale + 1e-6), int(width * scale + 1e-6)), resample), size)


def _middle(picture: Tensor, size: Size) -> Tensor:
    top, left = (round((have - want) / 2) for have, want in zip(picture.shape[1:], size, strict=True))
    if top < 0 or left < 0:
        # Too small to be cut: of another size, which fits nothing.
        return resized(picture, size)
    return picture[:, top : top + size[0], left : left + size[1]]
