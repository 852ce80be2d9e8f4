"""Pictures: the one that a person gives, the input that a model takes, and the one that is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers.image.geometry import covering
from ig_widgets.explorers.image.preprocessing import Candidate, Preprocess, candidates, with_channels
from ig_widgets.explorers.image.space import Found, PictureSpace, as_rgb, find_space
from ig_widgets.figures.pixels import Picture, is_picture, pixels_of

__all__ = [
    "Picture",
    "PictureSpace",
    "PreparedImage",
    "Preprocess",
    "is_picture",
    "prepare",
    "prepare_like",
    "prepared",
]


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """What a picture becomes: `inputs` (1, channels, height, width), `black` (what is black to the model, of the same
    shape), and the `space` in which both are pictures. `made`: how it was made, and `found`, how it is shown.
    """

    inputs: Tensor
    made: Candidate
    found: Found

    @property
    def black(self) -> Tensor:
        """What is black to the model."""
        return self.found.black

    @property
    def space(self) -> PictureSpace:
        """The space in which inputs are pictures."""
        return self.found.space

    def photo(self, shown: tuple[int, ...] = ()) -> npt.NDArray[np.uint8]:
        """Returns the picture as RGB (height, width, 3), 8 bit; `shown` as in `PictureSpace.to_bytes`."""
        if self.found.photo is not None:
            return as_rgb(self.made.values, shown) if shown else self.found.photo
        return self.space.to_bytes(self.inputs, shown)


def prepare(
    image: object, preprocess: Preprocess | None, like: Tensor | None, channels: int | None = None
) -> PreparedImage:
    """Returns a picture in the form that the model takes, the first of `prepared`."""
    return next(prepared(image, preprocess, like, channels))


def prepared(
    image: object, preprocess: Preprocess | None, like: Tensor | None, channels: int | None = None
) -> Iterator[PreparedImage]:
    """Yields a picture in the forms that a model may take, the likeliest first: as it is, in grey, in RGB.

    `like`: a parameter of the model, whose dtype and device it gets, or None. `channels`: as many as the model seems to
    take, None where that is not known.

    Raises ArgumentTypeError, ArgumentValueError where the picture or what `preprocess` returns has no usable form.
    """
    pixels = pixels_of(image, channels)
    for candidate in candidates(pixels, preprocess, like, channels):
        inputs = candidate.inputs
        if preprocess is None:
            # Values in [0, 1] are a picture already.
            ends = torch.zeros(2, 1, inputs.shape[1], 1, 1, device=inputs.device)
            ends[1] = 1
            found = Found(PictureSpace(ends[0], ends[1]), torch.zeros_like(inputs))
        else:
            found = find_space(candidate.read, candidate.values, inputs)
        yield PreparedImage(inputs, candidate, found)


def prepare_like(picture: object, image: PreparedImage) -> Tensor:
    """Returns another picture as the model's input: cut to the shape of `image`, resized, preprocessed.

    Raises as `prepare`, and ArgumentValueError where preprocessing makes something of another shape of it.
    """
    values = with_channels(pixels_of(picture, len(image.made.values), "a picture"), len(image.made.values))
    fitted = covering(values, (image.made.values.shape[1], image.made.values.shape[2]))
    if image.found.geometry is not None:
        # In the scale of the explained picture: of its own it would not be a picture beside that one.
        inputs: Tensor = image.space.to_inputs(image.found.geometry(fitted).to(image.inputs.device)[None])
        return inputs.to(image.inputs)
    inputs = image.made.read(fitted)
    if inputs.shape != image.inputs.shape:
        raise ArgumentValueError(
            f"preprocess makes {tuple(inputs.shape)} of this picture and {tuple(image.inputs.shape)} of the one "
            f"explained; a baseline must have the same shape."
        )
    return inputs
