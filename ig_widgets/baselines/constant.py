"""Baselines of one colour: they ask what the picture has that an empty one has not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class constant:  # noqa: N801
    """One level for all pixels, or one for each channel; 0 is black and 1 is white."""

    value: float | tuple[float, ...]

    def __call__(self, pictures: Tensor) -> Tensor:
        """The colour, in the shape of `pictures`."""
        level = torch.as_tensor(self.value, dtype=pictures.dtype, device=pictures.device)
        return level.view(-1, 1, 1).expand_as(pictures).clone()


@dataclass(frozen=True)
class black(constant):  # noqa: N801
    """Black. Nothing is attributed to what is black in the picture: there, nothing changes along the path."""

    value: float | tuple[float, ...] = 0.0


@dataclass(frozen=True)
class white(constant):  # noqa: N801
    """White. Nothing is attributed to what is white in the picture."""

    value: float | tuple[float, ...] = 1.0


@dataclass(frozen=True)
class mean_grey:  # noqa: N801
    """The grey that is as bright as the picture on average: it asks for what is not brightness."""

    def __call__(self, pictures: Tensor) -> Tensor:
        """The grey of each picture, in its shape."""
        return pictures.mean(dim=(1, 2, 3), keepdim=True).expand_as(pictures).clone()
