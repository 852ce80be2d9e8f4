"""Baselines of one colour: attribute to what a picture has and an empty one has not."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ig_widgets.baselines.base import Baseline, Parameter, warn_unless_pictures
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError


@dataclass(frozen=True)
class constant(Baseline):  # noqa: N801
    """One level for all pixels, or one for each channel; 0 is black and 1 is white.

    Nothing is attributed to what has that colour in the picture: there, nothing changes along the path. Raises
    ArgumentTypeError, ArgumentValueError for a value that is no number, or not in [0, 1].
    """

    value: float | tuple[float, ...]

    parameters: ClassVar[tuple[Parameter, ...]] = (Parameter("value", 0.0, 1.0, 0.01, 0.5, per_channel=True),)

    def __post_init__(self) -> None:
        levels = self.value if isinstance(self.value, tuple) else (self.value,)
        if not levels or any(isinstance(level, bool) or not isinstance(level, Real) for level in levels):
            raise ArgumentTypeError(f"value must be a number or a tuple of one for each channel, got {self.value!r}.")
        if not all(0 <= level <= 1 for level in levels):
            raise ArgumentValueError(f"value must lie in [0, 1], where 0 is black and 1 is white, got {self.value}.")

    def __call__(self, pictures: Tensor) -> Tensor:
        """The colour, in the shape of `pictures`. Raises ArgumentValueError for another number of channels."""
        warn_unless_pictures(self, pictures)
        level = torch.as_tensor(self.value, dtype=pictures.dtype, device=pictures.device).view(-1, 1, 1)
        if len(level) not in (1, pictures.shape[1]):
            raise ArgumentValueError(
                f"value has {len(level)} levels, the picture {pictures.shape[1]} channels; give one, or one for each."
            )
        return level.expand_as(pictures).clone()

    def describe(self) -> str:
        """Grey or colour, and its level."""
        if isinstance(self.value, tuple):
            return f"colour {', '.join(f'{level:.2f}' for level in self.value)}"
        return f"grey {self.value:.2f}"


@dataclass(frozen=True)
class black(constant):  # noqa: N801
    """Black. Nothing is attributed to what is black in the picture: there, nothing changes along the path."""

    value: float | tuple[float, ...] = 0.0

    parameters: ClassVar[tuple[Parameter, ...]] = ()

    def describe(self) -> str:
        """Black."""
        return "black" if self.value == 0 else super().describe()


@dataclass(frozen=True)
class white(constant):  # noqa: N801
    """White. Nothing is attributed to what is white in the picture."""

    value: float | tuple[float, ...] = 1.0

    parameters: ClassVar[tuple[Parameter, ...]] = ()

    def describe(self) -> str:
        """White."""
        return "white" if self.value == 1 else super().describe()


@dataclass(frozen=True)
class mean_grey(Baseline):  # noqa: N801
    """The grey that is as bright as the picture on average: it asks for what is not brightness."""

    def __call__(self, pictures: Tensor) -> Tensor:
        """The grey of each picture, in its shape."""
        warn_unless_pictures(self, pictures)
        return pictures.mean(dim=(1, 2, 3), keepdim=True).expand_as(pictures).clone()

    def describe(self) -> str:
        """Mean grey."""
        return "mean grey"


@dataclass(frozen=True)
class zeros(Baseline):  # noqa: N801
    """A tensor of zeros, as the model takes it: what many papers and libraries call the zero baseline.

    That is black only where the model takes pictures in [0, 1]. With an input that is normalised, (picture - mean) /
    std, zero is the mean colour of the training set, a middle grey; black is `black`. Its `space` is "inputs": it is
    given the model's input, not a picture, and is not translated.
    """

    space: ClassVar[Literal["pictures", "inputs"]] = "inputs"

    def __call__(self, pictures: Tensor) -> Tensor:
        """Zeros in the shape of the inputs, here called `pictures`."""
        return torch.zeros_like(pictures)

    def describe(self) -> str:
        """Zeros of the model's input."""
        return "zeros of the model's input"
