"""Random baselines: they ask what the picture has that chance has not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class uniform:  # noqa: N801
    """Each channel of each pixel drawn evenly between black and white, by `seed`, the same on every device."""

    seed: int = 0

    def __call__(self, pictures: Tensor) -> Tensor:
        """Noise in the shape of `pictures`."""
        generator = torch.Generator().manual_seed(self.seed)
        drawn = torch.rand(pictures.shape, generator=generator)
        return drawn.to(device=pictures.device, dtype=pictures.dtype)
