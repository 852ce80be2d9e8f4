"""Farthest picture as baseline: every pixel changes along the path, but much of the picture stays visible."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ig_widgets.baselines.base import Baseline, warn_unless_pictures


@dataclass(frozen=True)
class max_distance(Baseline):  # noqa: N801
    """The farthest picture, in L1: black where a channel is brighter than the middle, white elsewhere.

    Every value is moved by at least a half, so that none is blind to its own colour as it is with `constant`; it still
    tells a lot of the picture, and is no picture of absence. Sturmfels, Lundberg, Lee: Visualizing the Impact of
    Feature Attribution Baselines (Distill, 2020), The Maximum Distance Baseline.
    """

    def __call__(self, pictures: Tensor) -> Tensor:
        """The farthest of each of `pictures` within [0, 1]."""
        warn_unless_pictures(self, pictures)
        return (pictures <= 0.5).to(pictures.dtype)

    def describe(self) -> str:
        """The farthest picture."""
        return "farthest picture"
