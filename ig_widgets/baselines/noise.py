"""Random baselines: attribute to what a picture has and noise has not.

Sturmfels, Lundberg, Lee: Visualizing the Impact of Feature Attribution Baselines (Distill, 2020), Alternative Baseline
Choices. Each is a single draw; where it happens to be close to the picture nothing is attributed, so that other seeds
are worth a look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ig_widgets.baselines.base import Baseline, Parameter, check_positive, check_seed, warn_unless_pictures

_SEED = Parameter("seed", 0, 999, 1, 0)


@dataclass(frozen=True)
class uniform(Baseline):  # noqa: N801
    """Each channel of each pixel drawn evenly between black and white, by `seed`, the same on every device.

    Raises ArgumentTypeError, ArgumentValueError for a seed that is no integer from 0.
    """

    seed: int = 0

    parameters: ClassVar[tuple[Parameter, ...]] = (_SEED,)

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def __call__(self, pictures: Tensor) -> Tensor:
        """Noise in the shape of `pictures`."""
        warn_unless_pictures(self, pictures)
        generator = torch.Generator().manual_seed(int(self.seed))
        drawn = torch.rand(pictures.shape, generator=generator, device="cpu")
        return drawn.to(device=pictures.device, dtype=pictures.dtype)

    def describe(self) -> str:
        """Noise, and its seed."""
        return f"noise, seed {self.seed}"


@dataclass(frozen=True)
class gaussian(Baseline):  # noqa: N801
    """The picture under Gaussian noise, truncated to [0, 1]: each channel of each pixel for itself, by `seed`.

    Drawn from the normal distribution around the picture's own value, of standard deviation `sigma` (black to white is
    1), under the condition that it lies in [0, 1]; nothing is clipped. That is the Gaussian baseline of Sturmfels,
    Lundberg and Lee (2020): as sigma grows it becomes `uniform`, as it falls the picture itself. The same on every
    device. Raises ArgumentTypeError, ArgumentValueError for a sigma that is not a positive number or a seed that is no
    integer from 0.
    """

    sigma: float = 0.5
    seed: int = 0

    parameters: ClassVar[tuple[Parameter, ...]] = (Parameter("sigma", 0.05, 2.0, 0.05, 0.5), _SEED)

    def __post_init__(self) -> None:
        check_positive("sigma", self.sigma, "")
        check_seed(self.seed)

    def __call__(self, pictures: Tensor) -> Tensor:
        """`pictures` under noise; what lies outside of [0, 1] is taken for black or white."""
        warn_unless_pictures(self, pictures)
        generator = torch.Generator().manual_seed(int(self.seed))
        drawn = torch.rand(pictures.shape, generator=generator, dtype=torch.float64, device="cpu")
        # By the inverse of the distribution function, between its values at black and at white.
        center = pictures.detach().cpu().double().clamp(0, 1)
        low, high = -center / self.sigma, (1 - center) / self.sigma
        at_low, at_high = torch.special.ndtr(low), torch.special.ndtr(high)
        noise = torch.special.ndtri(at_low + drawn * (at_high - at_low))
        # Clamped against rounding, and so that sigma times infinity is none.
        made = center + self.sigma * torch.minimum(torch.maximum(noise, low), high)
        return made.clamp(0, 1).to(device=pictures.device, dtype=pictures.dtype)

    def describe(self) -> str:
        """Noise around the picture, its sigma and its seed."""
        return f"picture under noise, sigma {self.sigma:.2f}, seed {self.seed}"
