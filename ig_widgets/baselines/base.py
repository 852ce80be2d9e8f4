"""The base class of baselines, its parameters as controls show them, and the checks that all share."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from ig_widgets.baselines.normalization import Levels, normalized

# How far pictures may leave [0, 1] before it is said: resizing overshoots at edges, no preprocessing stays so close.
_SLACK = 0.1


@dataclass(frozen=True)
class Parameter:
    """A number that a baseline is made with, as a control shows it: a field of the baseline, by `name`.

    `low`, `high`, `step`: where the control ends, and its steps; the class itself may take more. `default`: where it
    starts. `unit`: "px", or none. `per_channel`: a number for each channel, that is a colour, may be given instead.
    """

    name: str
    low: float
    high: float
    step: float
    default: float
    unit: str = ""
    per_channel: bool = False


class Baseline(ABC):
    """Makes a baseline of pictures, or of other inputs.

    `parameters`: what a control can set. `space`: "pictures" is given pictures (batch, channels, height, width), in
    which 0 is black and 1 is white, and returns such; "inputs" is given the model's input as it is, and returns such;
    "any" serves for either, since it makes the same of both: what normalises the channels may come before or after.
    """

    parameters: ClassVar[tuple[Parameter, ...]] = ()
    space: ClassVar[Literal["pictures", "inputs", "any"]] = "pictures"

    @abstractmethod
    def __call__(self, pictures: Tensor) -> Tensor:
        """The baseline of each of `pictures` (batch, channels, height, width), of their shape, dtype and device."""

    @abstractmethod
    def describe(self) -> str:
        """What it is, in few words, for a caption."""

    def normalized(self, mean: Levels, std: Levels) -> normalized:
        """This baseline for a model that takes (picture - mean) / std; see `igw.baselines.normalized`."""
        from ig_widgets.baselines.normalization import normalized

        return normalized(self, mean, std)


def beyond(given: Tensor) -> tuple[float, float] | None:
    """The least and the largest value, where they lie clearly outside of [0, 1]."""
    if not given.numel() or not given.is_floating_point():
        return None
    low, high = (float(value) for value in given.detach().aminmax())
    return (low, high) if low < -_SLACK or high > 1 + _SLACK else None


def warn_unless_pictures(baseline: Baseline, given: Tensor) -> None:
    """Warn where values clearly outside of [0, 1] are given to a baseline that takes 0 for black and 1 for white.

    A model's normalised input is mistaken for a picture more often than anything else: black, say, is then a tensor of
    zeros, which to that model is the mean colour.
    """
    if (ends := beyond(given)) is not None:
        warnings.warn(
            f"igw.baselines.{type(baseline).__name__} takes pictures in [0, 1], and is given values from "
            f"{ends[0]:.3g} to {ends[1]:.3g}. In a normalised input, (picture - mean) / std, 0 is not black but the "
            f"mean colour, so that this is not the baseline it is called. Add .normalized(mean=..., std=...) to it, "
            f"with the numbers of the preprocessing, or let the model take pictures in [0, 1].",
            UserWarning,
            stacklevel=3,
        )


def check_seed(seed: object) -> None:
    """Raise ArgumentTypeError, ArgumentValueError unless `seed` is an integer that torch takes."""
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise ArgumentTypeError(f"seed must be an integer, got {seed!r}.")
    if not 0 <= int(seed) < 2**63:
        raise ArgumentValueError(f"seed must be at least 0 and below 2**63, got {seed}.")


def check_positive(name: str, value: object, what: str) -> None:
    """Raise ArgumentTypeError, ArgumentValueError unless `value` is a positive number; `what` says of what."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ArgumentTypeError(f"{name} must be a number{what}, got {value!r}.")
    if not 0 < float(value) < float("inf"):
        raise ArgumentValueError(f"{name} must be a positive number{what}, got {value}.")


def as_pictures(name: str, given: object) -> Tensor:
    """`given` as a float tensor (N, channels, height, width) of its own, in [0, 1].

    Takes a floating tensor (N, channels, height, width) or (channels, height, width); an array of numpy's, (N, height,
    width, channels), (height, width, channels) or (height, width), floating or of unsigned integers; a PIL image.
    Raises ArgumentTypeError, ArgumentValueError that name `name`.
    """
    if isinstance(given, Tensor):
        values = given.detach().to("cpu", copy=True)
        floating = values.is_floating_point()
    else:
        convert = getattr(given, "convert", None)  # PIL's images, without importing it
        array = np.asarray(given if convert is None else convert("RGB"))
        floating = array.dtype.kind == "f"
        if array.dtype.kind == "u":
            array, floating = array.astype(np.float32) / np.iinfo(array.dtype).max, True
        if not floating:
            array = np.zeros(())
        array = array[..., None] if array.ndim == 2 else array
        values = torch.from_numpy(np.moveaxis(array, -1, -3).copy() if array.ndim > 2 else array.copy())
    if not floating:
        raise ArgumentTypeError(
            f"{name} must be floating pictures in [0, 1] (a tensor with the channels before height and width, an array "
            f"with them last), an array of bytes or a PIL image, got {type(given).__name__}"
            f"{f' of {given.dtype}' if isinstance(given, Tensor | np.ndarray) else ''}."
        )
    values = values.unsqueeze(0) if values.dim() == 3 else values
    if values.dim() != 4 or values.numel() == 0:
        raise ArgumentValueError(
            f"{name} must be pictures (N, channels, height, width) or one of them, got {tuple(values.shape)}."
        )
    if not (bool((values >= -1e-6).all()) and bool((values <= 1 + 1e-6).all())):  # NaN is neither
        low, high = float(values.min()), float(values.max())
        raise ArgumentValueError(
            f"{name} must lie in [0, 1], where 0 is black and 1 is white, and holds {low:.3g} to {high:.3g}."
        )
    return values.clamp(0, 1)


def like(made: Tensor, pictures: Tensor, name: str) -> Tensor:
    """`made` (1 or batch, channels or 1, height, width) in shape, dtype and device of `pictures`, in memory of its own.

    Raises ArgumentValueError, which names `name`, where it does not fit.
    """
    try:
        made = made.expand(pictures.shape)
    except RuntimeError:
        raise ArgumentValueError(
            f"{name} has pictures of shape {tuple(made.shape[1:])}, the picture explained is "
            f"{tuple(pictures.shape[1:])}; both must be the same."
        ) from None
    return made.to(device=pictures.device, dtype=pictures.dtype, copy=True).contiguous()
