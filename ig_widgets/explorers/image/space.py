"""The space in which a model's inputs are pictures, found by asking preprocessing about pictures that are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers.image.geometry import Geometry, geometries
from ig_widgets.figures.pixels import to_bytes

Read = Callable[[Tensor], Tensor]

# By how much of white a photo may be off: two levels of 255.
_LEVELS = 2 / 255
# A picture of 8 bits is rounded when it is darkened, when it is resized, and when its result is compared.
_ROUNDING = 2.5 / 255
# Resizing may overshoot, of which 8 bits cut off what is beyond black and white.
_MOST_CUT = 0.05
# Of what is neither black nor white so much stays so, as a cut may leave a part.
_LEAST_KEPT = 0.1
# Of what is one colour in a picture so much may be another in the input, as at the edge of what is padded.
_MOST_UNEVEN = 0.25


@dataclass(frozen=True, eq=False)
class PictureSpace:
    """The model's input as pictures in which 0 is black and 1 is white: pixels = (input - black) / (white - black).

    `black` and `white` (1, channels, 1, 1). `mix`, where preprocessing exchanges or mixes colours: (3, 3), what each
    channel of the input has of red, green and blue; then input = black + mix @ pixels.
    """

    black: Tensor
    white: Tensor
    mix: Tensor | None = None

    def to_pictures(self, inputs: Tensor) -> Tensor:
        """Returns inputs (batch, channels, height, width) as pictures of that shape."""
        if self.mix is not None:
            return torch.einsum("pc,bchw->bphw", torch.linalg.inv(self.mix), inputs.float() - self.black)
        return (inputs.float() - self.black) / (self.white - self.black)

    def to_inputs(self, pictures: Tensor) -> Tensor:
        """Returns pictures as inputs."""
        if self.mix is not None:
            return torch.einsum("cp,bphw->bchw", self.mix.to(pictures.dtype), pictures) + self.black
        return pictures * (self.white - self.black) + self.black

    def to_bytes(self, inputs: Tensor, shown: tuple[int, ...] = ()) -> npt.NDArray[np.uint8]:
        """Returns one input (1, channels, height, width) as RGB (height, width, 3), 8 bit.

        `shown`: one channel to be drawn in grey, three as red, green and blue, or the mean of any other number; none:
        all there are.
        """
        return as_rgb(self.to_pictures(inputs)[0], shown)

    @property
    def colours(self) -> tuple[int, ...] | None:
        """Which of red, green and blue each channel of the input is; None where they are mixed."""
        if self.mix is None:
            return (0, 1, 2)
        share = self.mix.abs() / self.mix.abs().amax(1, keepdim=True).clamp(min=1e-12)
        alone = (share > 1e-2).sum(1) == 1
        return tuple(share.argmax(1).tolist()) if bool(alone.all()) else None


def as_rgb(picture: Tensor, shown: tuple[int, ...] = ()) -> npt.NDArray[np.uint8]:
    """Returns a picture (channels, height, width) as RGB (height, width, 3), 8 bit; `shown` as in `to_bytes`."""
    if shown:
        picture = picture[list(shown)]
    if len(picture) not in (1, 3):
        picture = picture.mean(0, keepdim=True)
    return np.ascontiguousarray(to_bytes(picture.expand(3, -1, -1)))


@dataclass(frozen=True, eq=False)
class Found:
    """What was found: the `space`, and what is `black` to the model (1, channels, height, width).

    `photo`: the picture itself, RGB, where no space shows it. `geometry`: how it was resized, where preprocessing
    scales each picture by its own statistics, so that others have to be put into this one's scale.
    """

    space: PictureSpace
    black: Tensor
    photo: npt.NDArray[np.uint8] | None = None
    geometry: Geometry | None = None


def find_space(read: Read, values: Tensor, inputs: Tensor) -> Found:
    """Returns the space of `inputs`, which `read` has made of the picture `values` (channels, height, width).

    `read` is asked about pictures of the same size in one colour, and about this one darkened. Preprocessing that
    scales each by its own statistics has no fixed black; then the scale is that of this picture, where it can be told.

    Raises ArgumentValueError where shapes depend on the pixels, and where neither black nor the photo can be told.
    """
    black, white = (_like(inputs, read(torch.full_like(values, level))) for level in (0.0, 1.0))
    space = _fixed(read, values, black, white)
    # What is padded is the same for all pictures, and says nothing.
    moves = (white.float() - black.float()).abs().amax(1, keepdim=True) > 1e-6
    is_even = space is not None and _is_even(space, black, white, moves)
    if space is not None and is_even and _is_affine(space, read, values, inputs, moves):
        return Found(space, black)
    own = _own_scale(values, inputs)
    if own is not None:
        return own
    if not torch.equal(read(values), inputs):
        raise ArgumentValueError(
            "preprocess makes another input of the same picture each time, so that neither photo nor black can be "
            "told; leave random cuts and changes out of it."
        )
    if space is not None and inputs.shape[-2:] == values.shape[-2:]:
        return Found(space, black, photo=as_rgb(values))
    raise ArgumentValueError(
        "preprocess scales each picture by its own statistics, or by a curve, so that it cannot be told what is black, "
        "nor how the photo looks: give the picture after that step, and as preprocess the others alone (or none)."
    )


def _like(inputs: Tensor, made: Tensor) -> Tensor:
    if made.shape != inputs.shape:
        raise ArgumentValueError(
            f"preprocess returned {tuple(inputs.shape)} for the image and {tuple(made.shape)} for a black picture of "
            f"its size; it must return one shape for pictures of one size."
        )
    return made


# ---------------------------------------------------------------- one scale for all pictures


def _fixed(read: Read, values: Tensor, black: Tensor, white: Tensor) -> PictureSpace | None:
    """Returns the space in which a black picture is 0 and a white one 1, None where these cannot be told apart."""
    if not bool(torch.isfinite(black).all() and torch.isfinite(white).all()):
        return None
    mix = _mix(read, values, black)
    if mix is not None:
        low = _levels(black, torch.ones_like(black, dtype=torch.bool))
        return PictureSpace(low, low + mix.sum(1).view(1, -1, 1, 1), mix)
    # What is padded is the same for both, and says nothing.
    moves = (white.float() - black.float()).abs() > 1e-6 * white.float().abs().clamp(min=1e-3)
    if not bool(moves.flatten(2).any(2).all()):
        return None
    return PictureSpace(_levels(black, moves), _levels(white, moves))


def _mix(read: Read, values: Tensor, black: Tensor) -> Tensor | None:
    """Returns what channels have of red, green and blue; None where each has its own alone, or they cannot be told."""
    if len(values) != 3 or black.shape[1] != 3:
        return None
    columns = []
    for channel in range(3):
        colour = torch.zeros_like(values)
        colour[channel] = 1
        change = _like(black, read(colour)).float() - black.float()
        moves = (change.abs() > 1e-6).any(1, keepdim=True).expand_as(change)
        if not bool(moves.any()) or not bool(torch.isfinite(change).all()):
            return None
        columns.append(_levels(change, moves).flatten())
    mix = torch.stack(columns, 1)
    size = mix.abs().amax(1, keepdim=True).clamp(min=1e-12)
    is_plain = bool(((mix / size).abs() - torch.eye(3).to(mix) < 1e-2).all())
    # Of grey in three channels colours cannot be told; it is shown as it is.
    return None if is_plain or abs(float(torch.linalg.det(mix / size))) < 1e-2 else mix


def _levels(uniform: Tensor, where: Tensor) -> Tensor:
    """Returns the median of each channel (1, channels, 1, 1) of the places `where` it says something."""
    channels = [uniform[0, i].float()[where[0, i]].median() for i in range(uniform.shape[1])]
    return torch.stack(channels).view(1, -1, 1, 1)


def _is_even(space: PictureSpace, black: Tensor, white: Tensor, moves: Tensor) -> bool:
    """Whether black and white are the same all over, but for what is padded."""
    for uniform, level in ((black, 0.0), (white, 1.0)):
        off = ((space.to_pictures(uniform) - level).abs() > _LEVELS).any(1, keepdim=True)
        if float(off[moves].float().mean()) > _MOST_UNEVEN:
            return False
    return True


def _is_affine(space: PictureSpace, read: Read, values: Tensor, inputs: Tensor, moves: Tensor) -> bool:
    """Whether half as bright a picture is half as bright in this space; of what is neither black, white nor padded."""
    picture = space.to_pictures(inputs)
    half = space.to_pictures(_like(inputs, read(values / 2)))
    between = ((picture > _LEVELS) & (picture < 1 - _LEVELS)).all(1, keepdim=True) & moves
    between = between.expand_as(picture)
    inside = ((values > _LEVELS) & (values < 1 - _LEVELS)).all(0).float().mean()
    if float(between.float().mean()) < _LEAST_KEPT * float(inside) * float(moves.float().mean()):
        # Most of it became black or white.
        return False
    if not bool(between.any()):
        return True
    off = (half - picture / 2).abs()[between] > _ROUNDING
    return float(off.float().mean()) <= _MOST_CUT


# ---------------------------------------------------------------- a scale of its own


def _own_scale(values: Tensor, inputs: Tensor) -> Found | None:
    """Returns the space in which `inputs` are the picture itself, scaled and moved in each channel."""
    if inputs.shape[1] != len(values) or not bool(torch.isfinite(inputs).all()):
        return None
    orders = [list(range(len(values)))] + ([[2, 1, 0]] if len(values) == 3 else [])
    flat = inputs[0].float().flatten(1)
    for geometry in geometries(_size(values), _size(inputs)):
        picture = geometry(values.float().cpu()).to(flat.device)
        for order in orders:
            if (fitted := _fit(picture[order].flatten(1), flat)) is not None:
                low, high = (one.view(1, -1, 1, 1) for one in fitted)
                mix = None if order == orders[0] else torch.diag((high - low).flatten())[:, order]
                return Found(PictureSpace(low, high, mix), low.to(inputs).expand_as(inputs).clone(), None, geometry)
    return None


def _size(picture: Tensor) -> tuple[int, int]:
    height, width = picture.shape[-2:]
    return height, width


def _fit(picture: Tensor, flat: Tensor) -> tuple[Tensor, Tensor] | None:
    """Returns what 0 and 1 become (channels,), if `flat` (channels, pixels) is `picture` but for scale and offset."""
    centred = picture - picture.mean(1, keepdim=True)
    spread = centred.square().sum(1)
    if not bool((spread > 1e-9).all()):
        return None
    slope = (centred * flat).sum(1) / spread
    low = flat.mean(1) - slope * picture.mean(1)
    off = (flat - slope[:, None] * picture - low[:, None]).abs()
    if bool((slope.abs() < 1e-9).any()) or bool((off > _LEVELS * slope.abs()[:, None]).float().mean() > 1e-3):
        return None
    return low, low + slope
