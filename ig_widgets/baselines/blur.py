"""Blurred picture as baseline: attributes to detail; colour and light stay (Fong and Vedaldi, 2017, section 4.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ig_widgets.baselines.base import Baseline, Parameter, check_positive


@dataclass(frozen=True)
class blur(Baseline):  # noqa: N801
    """Gaussian blur; `sigma` in pixels, or None for a twentieth of the shorter side.

    The edge pixels are repeated outwards. The kernel ends after 4 sigma, or the size of the picture if that is less.
    Each channel is mixed within itself by weights that add up to 1, so that a normalised input will do as well. Raises
    ArgumentTypeError, ArgumentValueError for a sigma that is not a positive number.
    """

    sigma: float | None = None

    space: ClassVar[Literal["pictures", "inputs", "any"]] = "any"
    parameters: ClassVar[tuple[Parameter, ...]] = (Parameter("sigma", 0.5, 50.0, 0.5, 10.0, "px"),)

    def __post_init__(self) -> None:
        if self.sigma is not None:
            check_positive("sigma", self.sigma, " of pixels")

    def __call__(self, pictures: Tensor) -> Tensor:
        """`pictures`, blurred."""
        height, width = pictures.shape[-2:]
        sigma = self.sigma if self.sigma is not None else min(height, width) / 20
        dtype = torch.float64 if pictures.dtype == torch.float64 else torch.float32
        rows, columns = (_mixing(size, float(sigma)).to(pictures.device, dtype) for size in (height, width))
        return (rows @ pictures.to(dtype) @ columns.T).to(pictures.dtype)

    def describe(self) -> str:
        """Blur, and its sigma."""
        return "blur" if self.sigma is None else f"blur, sigma {self.sigma:.1f} px"


def _mixing(size: int, sigma: float) -> Tensor:
    """How much each pixel of a line is given of each: (size, size), rows add up to 1; float64, on the CPU.

    As a matrix, since a convolution with a kernel as long as the line takes ten times as long.
    """
    radius = min(math.ceil(4 * sigma), size)
    offsets = torch.arange(-radius, radius + 1, device="cpu")
    kernel = torch.exp(-(offsets.double() ** 2) / (2 * sigma**2))
    source = (torch.arange(size, device="cpu")[:, None] + offsets).clamp(0, size - 1)
    mixing = torch.zeros(size, size, dtype=torch.float64, device="cpu")
    return mixing.scatter_add_(1, source, (kernel / kernel.sum()).expand(size, -1))
