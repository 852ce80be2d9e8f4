"""A baseline of pictures for a model that takes normalised ones."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ig_widgets.baselines.base import Baseline, beyond
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError

Levels: TypeAlias = float | Sequence[float] | Tensor | np.ndarray


@dataclass(frozen=True)
class normalized(Baseline):  # noqa: N801
    """`baseline`, for a model whose input is (picture - mean) / std.

    The input is turned back into a picture, the baseline made of that, and normalised: black becomes -mean / std.
    `mean` and `std`: those of the preprocessing, one number or one for each channel, of pictures in [0, 1]. The
    explorers translate by themselves and do not need this. Raises ArgumentTypeError, ArgumentValueError for numbers
    that cannot be, and for a baseline that is made of the model's input already.
    """

    baseline: Baseline
    mean: Levels
    std: Levels

    space: ClassVar[Literal["pictures", "inputs", "any"]] = "inputs"

    def __post_init__(self) -> None:
        if not isinstance(self.baseline, Baseline):
            raise ArgumentTypeError(f"baseline must be one of igw.baselines, got {type(self.baseline).__name__}.")
        if self.baseline.space == "inputs":
            raise ArgumentValueError(
                f"baseline {self.baseline.describe()!r} is made of the model's input as it is; leave .normalized out."
            )
        for name in ("mean", "std"):
            object.__setattr__(self, name, _levels(name, getattr(self, name)))
        if not all(level > 0 for level in np.atleast_1d(np.asarray(self.std))):
            raise ArgumentValueError(f"std must be positive in each channel, got {self.std}.")

    def __call__(self, inputs: Tensor) -> Tensor:
        """The baseline of `inputs` (batch, channels, height, width), normalised as they are.

        Warns where they are no pictures by this mean and std. Raises ArgumentValueError for other channels.
        """
        mean, std = (_per_channel(name, getattr(self, name), inputs) for name in ("mean", "std"))
        pictures = inputs.to(mean.dtype) * std + mean
        if (ends := beyond(pictures)) is not None:
            warnings.warn(
                f"With mean {self.mean} and std {self.std} these inputs are pictures from {ends[0]:.3g} to "
                f"{ends[1]:.3g}, which should lie in [0, 1]; give the mean and std that the preprocessing has.",
                UserWarning,
                stacklevel=2,
            )
        return ((self.baseline(pictures.clamp(0, 1)) - mean) / std).to(inputs.dtype)

    def describe(self) -> str:
        """The description of the baseline itself, since it looks the same."""
        return self.baseline.describe()


def _levels(name: str, given: object) -> float | tuple[float, ...]:
    """A number, or a tuple of one for each channel: values, so that two baselines can be compared."""
    # Preprocessing has them as (channels, 1, 1) as often as (channels,).
    flat = given.reshape(-1) if isinstance(given, Tensor | np.ndarray) and given.ndim else given
    listed = flat.tolist() if isinstance(flat, Tensor | np.ndarray) else flat
    members = tuple(listed) if isinstance(listed, Sequence) and not isinstance(listed, str) else (listed,)
    if not members or any(isinstance(level, bool) or not isinstance(level, Real) for level in members):
        raise ArgumentTypeError(f"{name} must be a number or one for each channel, got {given!r}.")
    if not all(math.isfinite(level) for level in members):
        raise ArgumentValueError(f"{name} must be finite, got {given!r}.")
    levels = tuple(float(level) for level in members)
    return levels if isinstance(listed, Sequence) else levels[0]


def _per_channel(name: str, levels: float | tuple[float, ...], inputs: Tensor) -> Tensor:
    """(channels or 1, 1, 1), on the device of the inputs, in at least float32."""
    dtype = torch.promote_types(inputs.dtype, torch.float32)
    level = torch.as_tensor(levels, dtype=dtype, device=inputs.device).view(-1, 1, 1)
    if inputs.dim() != 4 or len(level) not in (1, inputs.shape[1]):
        raise ArgumentValueError(
            f"{name} has {len(level)} levels, for inputs (batch, {len(level)}, height, width); got "
            f"{tuple(inputs.shape)}."
        )
    return level
