"""Baselines from data: the mean of a data set, one of its samples, or a picture that the caller gives."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ig_widgets.baselines.base import Baseline, Parameter, as_pictures, check_seed, like, warn_unless_pictures
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.number_text import counted

# Each holds a copy of what it was given, as floats (N, channels, height, width) on the CPU, and is equal to itself
# only: to compare two would be to compare their pictures.


@dataclass(frozen=True, eq=False)
class mean(Baseline):  # noqa: N801
    """The mean of `pictures` (N, channels, height, width), of the picture's size: what is usual at each place.

    In [0, 1]; also an array (N, height, width, channels), of bytes or in [0, 1]. Raises ArgumentTypeError,
    ArgumentValueError.
    """

    pictures: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "pictures", as_pictures("pictures", self.pictures))

    def __repr__(self) -> str:
        return f"mean({_size(self.pictures)})"

    def __call__(self, pictures: Tensor) -> Tensor:
        """The mean, for each of `pictures`. Raises ArgumentValueError where the sizes differ."""
        warn_unless_pictures(self, pictures)
        return like(self.pictures.cpu().double().mean(0, keepdim=True), pictures, "mean")

    def describe(self) -> str:
        """How many pictures the mean is of."""
        return f"mean of {len(self.pictures)} pictures"


@dataclass(frozen=True, eq=False)
class samples(Baseline):  # noqa: N801
    """One of `pictures` (N, channels, height, width), of the picture's size: that at `index`, or one drawn by `seed`.

    What is attributed tells the picture from that one; what both share is not asked for. Forms and errors are those of
    `mean`.
    """

    pictures: Any
    index: int | None = None
    seed: int = 0

    parameters: ClassVar[tuple[Parameter, ...]] = (Parameter("seed", 0, 999, 1, 0),)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pictures", as_pictures("pictures", self.pictures))
        check_seed(self.seed)
        count = len(self.pictures)
        if self.index is None:
            return
        if isinstance(self.index, bool) or not isinstance(self.index, Integral):
            raise ArgumentTypeError(f"index must be an integer or None, got {self.index!r}.")
        if not -count <= self.index < count:
            raise ArgumentValueError(f"index must lie from 0 to {count - 1}, got {self.index}.")

    @property
    def chosen(self) -> int:
        """Which of them it is, from 0."""
        count = len(self.pictures)
        if self.index is not None:
            return int(self.index) % count
        return int(torch.randint(count, (), generator=torch.Generator().manual_seed(int(self.seed)), device="cpu"))

    def __repr__(self) -> str:
        return f"samples({_size(self.pictures)}, index {self.chosen})"

    def __call__(self, pictures: Tensor) -> Tensor:
        """The sample, for each of `pictures`. Raises ArgumentValueError where the sizes differ."""
        warn_unless_pictures(self, pictures)
        return like(self.pictures[self.chosen].unsqueeze(0), pictures, "samples")

    def describe(self) -> str:
        """Which, by its index, of how many."""
        return f"sample [{self.chosen}] of {len(self.pictures)}"


@dataclass(frozen=True, eq=False)
class inputs(Baseline):  # noqa: N801
    """A given `picture` (channels, height, width), or one for each example; with `resize` brought to the size needed.

    In [0, 1]; also an array (height, width, channels), of bytes or in [0, 1], or a PIL image. A picture of one channel
    serves all. Raises ArgumentTypeError, ArgumentValueError.
    """

    picture: Any
    resize: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "picture", as_pictures("picture", self.picture))

    def __repr__(self) -> str:
        return f"inputs({_size(self.picture)}{', resized' if self.resize else ''})"

    def __call__(self, pictures: Tensor) -> Tensor:
        """The picture, for each of `pictures`. Raises ArgumentValueError where the sizes differ."""
        warn_unless_pictures(self, pictures)
        made, size = self.picture, tuple(pictures.shape[-2:])
        if self.resize and made.shape[-2:] != size:
            made = F.interpolate(made.float(), size=size, mode="bilinear", antialias=True).clamp(0, 1)
        return like(made, pictures, "picture")

    def describe(self) -> str:
        """A given picture."""
        return "given picture"


def _size(pictures: Tensor) -> str:
    count, _, height, width = pictures.shape
    return f"{counted(count, 'picture')} of {width} x {height}"
