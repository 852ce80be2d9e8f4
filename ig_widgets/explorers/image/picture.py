"""Pictures: the one that a person gives, the input that a model takes, and the one that is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError

Picture: TypeAlias = Image.Image | npt.NDArray[Any] | Tensor
Preprocess: TypeAlias = Callable[[Any], Tensor]

_FORMS = "a PIL image, an array (height, width, 3) of bytes or in [0, 1], or a tensor (3, height, width) in [0, 1]"


@dataclass(frozen=True)
class PictureSpace:
    """The model's input as pictures in which 0 is black and 1 is white: pixels = (input - black) / (white - black).

    `black` and `white` are (1, channels, 1, 1): what preprocessing makes of a black and of a white picture.
    """

    black: Tensor
    white: Tensor

    def to_pictures(self, inputs: Tensor) -> Tensor:
        """Returns inputs (batch, channels, height, width) as pictures of that shape."""
        return (inputs.float() - self.black) / (self.white - self.black)

    def to_inputs(self, pictures: Tensor) -> Tensor:
        """Returns pictures as inputs."""
        return pictures * (self.white - self.black) + self.black

    def to_bytes(self, inputs: Tensor) -> npt.NDArray[np.uint8]:
        """Returns one input (1, channels, height, width) as RGB (height, width, 3), 8 bit."""
        picture = self.to_pictures(inputs)[0].clamp(0, 1).mul(255).round().to(torch.uint8).cpu()
        return np.ascontiguousarray(picture.expand(3, -1, -1).permute(1, 2, 0).numpy())


@dataclass(frozen=True)
class PreparedImage:
    """What the picture `source` becomes: `inputs` (1, channels, height, width), `black` (what preprocessing makes of a
    black picture, of the same shape), and the space in which both are pictures.
    """

    inputs: Tensor
    black: Tensor
    space: PictureSpace
    source: Any


def is_picture(data: object) -> bool:
    """Whether this has the form of a picture: a PIL image, an array (height, width, 1 or 3), a tensor (1 or 3, ...)."""
    if isinstance(data, Image.Image):
        return True
    shape = tuple(getattr(data, "shape", ()))
    channels = shape[0] if isinstance(data, Tensor) and shape else shape[-1] if shape else 0
    return isinstance(data, Tensor | np.ndarray) and len(shape) == 3 and channels in (1, 3)


def prepare(image: object, preprocess: Preprocess | None, like: Tensor | None) -> PreparedImage:
    """Returns a picture in the form that the model takes.

    `like`: a parameter of the model, whose dtype and device it gets, or None.

    Raises ArgumentTypeError, ArgumentValueError where the picture or what `preprocess` returns has no usable form.
    """
    _check(image)
    make = preprocess if preprocess is not None else _to_unit
    inputs, black, white = (
        _as_inputs(make(picture), like) for picture in (image, _uniform(image, 0), _uniform(image, 1))
    )
    if not inputs.shape == black.shape == white.shape:
        raise ArgumentValueError(
            f"preprocess returned {tuple(inputs.shape)} for the image and {tuple(black.shape)} for a black picture of "
            f"its size; it must return one shape for pictures of one size."
        )
    low, high = (t.float().flatten(2).median(dim=2).values.view(1, -1, 1, 1) for t in (black, white))
    if bool((high == low).any()):
        # Preprocessing that tells black from white in no fixed way: show the input's own range.
        low, high = (getattr(inputs.float(), f)().view(1, 1, 1, 1) for f in ("min", "max"))
        high = torch.where(high == low, low + 1, high)
    return PreparedImage(inputs, black, PictureSpace(low, high), image)


def prepare_like(picture: Any, image: PreparedImage, like: Tensor | None, preprocess: Preprocess | None) -> Tensor:
    """Returns another picture as the model's input: cut to the shape of `image`, resized, preprocessed.

    Raises as `prepare`, and ArgumentValueError where preprocessing makes something of another shape of it.
    """
    if isinstance(picture, np.ndarray):
        _check(picture)
        levels = np.rint(picture / _white_of(picture) * 255).clip(0, 255).astype(np.uint8)
        is_grey = levels.ndim == 3 and levels.shape[-1] == 1
        picture = Image.fromarray(levels[..., 0] if is_grey else levels).convert("RGB")
    width, height = _size_of(image.source)
    scale = min(picture.width / width, picture.height / height)
    box = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (picture.width - box[0]) // 2, (picture.height - box[1]) // 2
    cut = picture.convert("RGB").crop((left, top, left + box[0], top + box[1]))
    cut = cut.resize((width, height), Image.Resampling.BICUBIC)
    inputs = _as_inputs((preprocess or _to_unit)(_in_the_form_of(image.source, cut)), like)
    if inputs.shape != image.inputs.shape:
        raise ArgumentValueError(
            f"preprocess makes {tuple(inputs.shape)} of this picture and {tuple(image.inputs.shape)} of the one "
            f"explained; a baseline must have the same shape."
        )
    return inputs


def _check(image: object) -> None:
    if isinstance(image, Image.Image):
        return
    if isinstance(image, Tensor):
        ok = image.dim() == 3 and image.shape[0] in (1, 3) and image.is_floating_point()
        shape = f"{tuple(image.shape)} {image.dtype}"
    elif isinstance(image, np.ndarray):
        # The white of other integers cannot be told: numpy's default, int64, mostly holds bytes.
        ok = image.ndim == 3 and image.shape[2] in (1, 3) and image.dtype.kind in "fu"
        shape = f"{image.shape} {image.dtype}"
    else:
        raise ArgumentTypeError(f"image must be {_FORMS}, got {type(image).__name__}.")
    if not ok or 0 in image.shape:
        raise ArgumentValueError(f"image must be {_FORMS}, got {type(image).__name__} {shape}.")


def _uniform(image: Any, level: int) -> Any:
    if isinstance(image, Image.Image):
        # In the image's own mode where that is a plain one, so that preprocessing treats it as it treats the image.
        grey = Image.new("L", image.size, 255 * level)
        return grey.convert(image.mode if image.mode in ("L", "LA", "RGB", "RGBA") else "RGB")
    if isinstance(image, Tensor):
        return torch.full_like(image, level)
    return np.full_like(image, level * _white_of(image))


def _size_of(image: Any) -> tuple[int, int]:
    """Width and height."""
    if isinstance(image, Image.Image):
        return image.size
    height, width = image.shape[1:] if isinstance(image, Tensor) else image.shape[:2]
    return int(width), int(height)


def _in_the_form_of(image: Any, picture: Image.Image) -> Any:
    """Returns a picture in the type and shape of `image`, which preprocessing expects."""
    if isinstance(image, Image.Image):
        return picture
    channels = image.shape[0] if isinstance(image, Tensor) else image.shape[2]
    values = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    values = values[..., None] if values.ndim == 2 else values
    if isinstance(image, Tensor):
        return torch.from_numpy(values.copy()).permute(2, 0, 1).to(image) / 255
    return (
        (values / 255 * _white_of(image)).round().astype(image.dtype)
        if image.dtype.kind == "u"
        else ((values / 255).astype(image.dtype))
    )


def _white_of(image: npt.NDArray[Any]) -> int:
    return int(np.iinfo(image.dtype).max) if image.dtype.kind == "u" else 1


def _to_unit(image: Any) -> Tensor:
    if isinstance(image, Tensor):
        return image.unsqueeze(0)
    if isinstance(image, Image.Image):
        image = np.asarray(image.convert("RGB"))
    values = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32) / _white_of(image))
    return values.permute(2, 0, 1).unsqueeze(0)


def _as_inputs(value: object, like: Tensor | None) -> Tensor:
    if not isinstance(value, Tensor):
        raise ArgumentTypeError(f"preprocess must return a tensor (1, 3, height, width), got {type(value).__name__}.")
    inputs = value.detach().unsqueeze(0) if value.dim() == 3 else value.detach()
    if inputs.dim() != 4 or inputs.shape[0] != 1 or inputs.shape[1] not in (1, 3):
        raise ArgumentValueError(f"preprocess must return (1, 3, height, width), got {tuple(value.shape)}.")
    if not inputs.is_floating_point():
        raise ArgumentTypeError(f"preprocess must return floating values, got {inputs.dtype}; divide by 255 first.")
    return inputs if like is None else inputs.to(device=like.device, dtype=like.dtype)
