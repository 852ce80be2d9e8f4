"""Pictures of every usual form (PIL, arrays, tensors, files) as values in [0, 1], and such values in those forms."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError

Picture: TypeAlias = "Image.Image | npt.NDArray[Any] | Tensor | str | os.PathLike[str] | bytes"

FORMS = (
    "a PIL image, a file (a path or its bytes), an array (height, width) or (height, width, channels), or a tensor "
    "(channels, height, width), of uint8, uint16, or floats in [0, 1]"
)
_PICTURE_CHANNELS = (1, 3, 4)
# Of a resized picture, by rounding.
_SLACK = 1e-3
_LUMA = (0.299, 0.587, 0.114)
_TRANSPARENT = ("LA", "RGBA", "La", "RGBa", "PA")


@dataclass(frozen=True, eq=False)
class Pixels:
    """A picture as `values` (channels, height, width), floats in [0, 1].

    `like` makes of such values, of any number of channels, a picture in the form in which this one was given; of a PIL
    image one of 8 bits without transparency, or of the more bits that it has. `is_pil`: whether it is one.
    """

    values: Tensor
    like: Callable[[Tensor], Any] = field(repr=False)
    is_pil: bool = True

    @property
    def channels(self) -> int:
        """How many there are."""
        return self.values.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.values.shape[1], self.values.shape[2]


def is_picture(data: object) -> bool:
    """Whether this has the form of one picture: PIL, an array or a tensor of two or three dimensions, or a file."""
    if isinstance(data, Image.Image | bytes | bytearray):
        return True
    if isinstance(data, str | os.PathLike):
        return Path(data).is_file()
    if not isinstance(data, Tensor | np.ndarray):
        return False
    shape = tuple(data.shape)
    # Two dimensions of which one is 1 are a row of a table.
    return len(shape) in (3, 4) or (len(shape) == 2 and min(shape) > 1)


def pixels_of(picture: object, channels: int | None = None, name: str = "image") -> Pixels:
    """Returns the values of a picture; files are turned as EXIF says, and transparency is laid over white.

    `channels`: how many are wanted. Where a shape leaves it open which dimension they are, that decides, and else the
    custom of the type: arrays have them last, tensors first. `name`: of the argument, for errors.

    Raises ArgumentTypeError, ArgumentValueError where the picture has no usable form, or its white cannot be told.
    """
    if isinstance(picture, str | os.PathLike | bytes | bytearray):
        picture = opened(picture, name)
    if isinstance(picture, Image.Image):
        return _of_pil(picture, channels, name)
    if isinstance(picture, Tensor | np.ndarray):
        return _of_numbers(picture, channels, name)
    raise ArgumentTypeError(f"{name} must be {FORMS}, got {type(picture).__name__}.")


def opened(file: str | os.PathLike[str] | bytes | bytearray, name: str = "image") -> Image.Image:
    """Returns the picture in a file, of an animation the first frame. Raises ArgumentValueError."""
    is_bytes = isinstance(file, bytes | bytearray)
    called = f"{name} of {len(file)} bytes" if isinstance(file, bytes | bytearray) else f"{name} {os.fspath(file)!r}"
    try:
        with Image.open(io.BytesIO(file) if isinstance(file, bytes | bytearray) else file) as found:
            found.load()
            return found.copy() if found.format is None else _with_format(found)
    except FileNotFoundError:
        raise ArgumentValueError(f"{called} is not there.") from None
    except Exception as error:  # noqa: BLE001  (of a broken file Pillow raises almost anything)
        what = "holds no picture" if is_bytes else "is no picture"
        # Of bytes Pillow names an object, by its address.
        why = "" if is_bytes else f": {error}"
        raise ArgumentValueError(f"{called} {what} that can be read{why}.") from None


def _with_format(found: Image.Image) -> Image.Image:
    # A copy knows no format, by which the white of 32 bits is told.
    copied = found.copy()
    copied.format = found.format
    return copied


# ---------------------------------------------------------------- PIL


def _of_pil(image: Image.Image, channels: int | None, name: str) -> Pixels:
    if 0 in image.size:
        raise ArgumentValueError(f"{name} has no pixel: it is {image.width} x {image.height}.")
    turned = ImageOps.exif_transpose(image)
    turned.format = image.format
    depth = _depth_of(turned, name)
    if depth is not None:
        return Pixels(torch.from_numpy(depth.values)[None], depth.like)
    if turned.mode in _TRANSPARENT or "transparency" in turned.info:
        values = _bytes_of(turned.convert("RGBA"))
        # A model of four channels may see opacity; all others see what a person sees.
        if channels != 4:
            values = over_white(values)[: 1 if turned.mode in ("LA", "La", "L") else 3]
        return Pixels(values, to_pil)
    if turned.mode not in ("1", "L", "RGB"):
        try:
            turned = turned.convert("RGB")
        except ValueError as error:
            raise ArgumentValueError(f"{name} of the mode {image.mode} cannot be read: {error}") from None
    return Pixels(_bytes_of(turned.convert("L") if turned.mode == "1" else turned), to_pil)


def _bytes_of(image: Image.Image) -> Tensor:
    values = np.asarray(image, np.float32) / 255
    return torch.from_numpy(values[None] if values.ndim == 2 else np.moveaxis(values, 2, 0).copy())


@dataclass(frozen=True, eq=False)
class _Depth:
    """Greys of more than 8 bits as `values` in [0, 1]; `stored` are the same as the image holds them."""

    values: npt.NDArray[np.float32]
    stored: npt.NDArray[Any]
    white: float

    def like(self, made: Tensor) -> Image.Image:
        """In the image's own mode, if in grey."""
        if len(made) != 1:
            return to_pil(made)
        levels = made[0].cpu().double().numpy() * self.white
        is_float = self.stored.dtype.kind == "f"
        return Image.fromarray((levels if is_float else levels.round()).astype(self.stored.dtype))


def _depth_of(image: Image.Image, name: str) -> _Depth | None:
    """Returns greys of more than 8 bits; None for all other modes."""
    if not (image.mode.startswith("I") or image.mode == "F"):
        return None
    stored = np.asarray(image)
    stored = stored.astype(stored.dtype.newbyteorder("="))
    values = stored.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    # Pillow converts bytes to the modes I and F as they are, and reads files of 16 bits into I.
    whites = {"I": (255, 65535), "F": (1, 255)}.get(image.mode, (65535,))
    if image.mode == "I" and image.format is not None:
        whites = (65535,)
    white = next((white for white in whites if high <= white), None)
    if not np.isfinite(values).all() or low < 0 or white is None:
        raise ArgumentValueError(
            f"{name} of the mode {image.mode} holds values from {low:.6g} to {high:.6g}, of which white cannot be "
            f"told; give an array in [0, 1]."
        )
    return _Depth((values / white).astype(np.float32), stored, white)


def to_pil(values: Tensor) -> Image.Image:
    """Returns values (channels, height, width) of one, three or four channels as a PIL image of 8 bits."""
    return Image.fromarray(to_bytes(values))


def to_bytes(values: Tensor) -> npt.NDArray[np.uint8]:
    """Returns values as 8 bits (height, width, channels), or (height, width) where there is one channel."""
    levels = values.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()
    return levels[0].copy() if len(levels) == 1 else np.ascontiguousarray(np.moveaxis(levels, 0, 2))


# ---------------------------------------------------------------- arrays and tensors


def _of_numbers(given: Tensor | npt.NDArray[Any], channels: int | None, name: str) -> Pixels:
    is_tensor = isinstance(given, Tensor)
    seen = f"{type(given).__name__} {tuple(given.shape)} {given.dtype}"
    values: Any = given.detach() if isinstance(given, Tensor) else given
    batched = values.ndim == 4
    if batched:
        if len(values) != 1:
            raise ArgumentValueError(f"{name} must be one picture, got {seen}.")
        values = values[0]
    if values.ndim not in (2, 3) or 0 in tuple(values.shape):
        raise ArgumentValueError(f"{name} must be {FORMS}, got {seen}.")
    last = values.ndim == 3 and _is_last(tuple(values.shape), channels, is_tensor)
    white = _white_of(values, seen, name)
    if isinstance(values, Tensor):
        # Of uint16 torch can do little, and nothing of floats but this is left as it is.
        unit = values if values.is_floating_point() else values.to(torch.float64).div(white).float()
    else:
        exact = np.asarray(values, values.dtype.newbyteorder("="))
        unit = torch.from_numpy((exact / np.float64(white)).astype(np.float64 if exact.itemsize > 4 else np.float32))
    unit = unit[None] if unit.ndim == 2 else unit.movedim(2, 0) if last else unit
    _check_range(unit, seen, name)

    def like(made: Tensor) -> Any:
        """In the given layout, but for the number of channels."""
        flat = made[0] if values.ndim == 2 and len(made) == 1 else made.movedim(0, 2) if last else made
        flat = flat[None] if batched else flat
        if isinstance(given, Tensor):
            whole = flat if given.is_floating_point() else flat.double().mul(white).round()
            return whole.to(given.device).to(given.dtype).contiguous()
        numbers = flat.cpu().double().numpy() * white
        return np.ascontiguousarray((numbers.round() if given.dtype.kind in "ub" else numbers).astype(given.dtype))

    return Pixels(unit.clone(), like, is_pil=False)


def _is_last(shape: tuple[int, ...], channels: int | None, is_tensor: bool) -> bool:
    """Whether the channels are the last dimension of three."""
    first, last = shape[0], shape[2]
    if (channels == first) != (channels == last):
        return channels == last
    if is_tensor:
        return last in _PICTURE_CHANNELS and first not in _PICTURE_CHANNELS and first > last
    # Channels first is what arrays of a tensor have.
    return last in (*_PICTURE_CHANNELS, 2) or first not in (1, 3)


def _white_of(values: Any, seen: str, name: str) -> int:
    """Returns the value of white. Raises ArgumentTypeError, ArgumentValueError where it cannot be told."""
    if isinstance(values, Tensor):
        known = {torch.bool: 1, torch.uint8: 255, torch.uint16: 65535}
        if values.is_floating_point() or values.dtype in known:
            return known.get(values.dtype, 1)
    elif values.dtype.kind == "f" or values.dtype == np.bool_:
        return 1
    elif values.dtype.kind == "u" and values.dtype.itemsize <= 2:
        return int(np.iinfo(values.dtype).max)
    raise ArgumentValueError(
        f"{name} must hold uint8, uint16, or floats in [0, 1], got {seen}, whose white cannot be told; of 8 bits in "
        f"such integers convert to uint8, else divide by the value of white."
    )


def _check_range(unit: Tensor, seen: str, name: str) -> None:
    if not bool(torch.isfinite(unit).all()):
        raise ArgumentValueError(f"{name} holds NaN or infinity, got {seen}; a picture's values are finite.")
    low, high = float(unit.min()), float(unit.max())
    if low >= -_SLACK and high <= 1 + _SLACK:
        return
    if low < 0:
        what = (
            "which looks like the normalised input of a model; give the picture before normalisation (image * std + "
            "mean), and the normalisation as preprocess=lambda image: (image - mean) / std"
        )
    elif high <= 256:
        what = "which looks like 8 bits; divide by 255, or convert to uint8"
    else:
        what = "divide by the value of white, or give uint16"
    raise ArgumentValueError(f"{name} must lie in [0, 1], got {seen} from {low:.3g} to {high:.3g}: {what}.")


# ---------------------------------------------------------------- channels


def over_white(values: Tensor) -> Tensor:
    """Returns values of two or four channels, the last of which is opacity, without it: laid over white."""
    return values[:-1] * values[-1:] + (1 - values[-1:])


def to_grey(values: Tensor) -> Tensor:
    """Returns (1, height, width) of colours (3, height, width), as Pillow weighs them."""
    weights = torch.tensor(_LUMA, dtype=values.dtype, device=values.device).view(3, 1, 1)
    return (values * weights).sum(0, keepdim=True)


def variants(values: Tensor, channels: int | None) -> list[Tensor]:
    """Returns the picture with that number of channels, or, None, in each that it can have: as it is, without opacity,
    in grey, in RGB. Nothing where it cannot have that number.
    """
    found = [values]
    if len(values) in (2, 4):
        found.append(over_white(values))
    plain = found[-1]
    if len(plain) == 3:
        found.append(to_grey(plain))
    elif len(plain) == 1:
        found.append(plain.expand(3, -1, -1))
    return [one for one in found if channels in (None, len(one))]
