"""The picture out of focus: it asks for detail, and keeps colour and light (Fong and Vedaldi, 2017, section 4.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class blur:  # noqa: N801
    """Gaussian blur; `sigma` in pixels, or None for a twentieth of the shorter side.

    The edge pixels are repeated outwards. Raises ValueError for a sigma that is not positive.
    """

    sigma: float | None = None

    def __post_init__(self) -> None:
        if self.sigma is not None and not (math.isfinite(self.sigma) and self.sigma > 0):
            raise ValueError(f"sigma must be a positive number of pixels, got {self.sigma}.")

    def __call__(self, pictures: Tensor) -> Tensor:
        """`pictures`, blurred."""
        sigma = self.sigma if self.sigma is not None else min(pictures.shape[-2:]) / 20
        radius = math.ceil(4 * sigma)
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float32, device=pictures.device)
        kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
        kernel = kernel / kernel.sum()
        flat = pictures.float().flatten(0, 1).unsqueeze(1)
        for shape, padding in (((1, 1, -1, 1), (0, 0, radius, radius)), ((1, 1, 1, -1), (radius, radius, 0, 0))):
            flat = F.conv2d(F.pad(flat, padding, mode="replicate"), kernel.view(shape))
        return flat.view(pictures.shape).to(pictures.dtype)
