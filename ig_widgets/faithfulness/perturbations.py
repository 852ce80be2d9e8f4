"""Small changes of an input, drawn at random: what a map's promises are put to the test with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import TypeAlias

import torch
from torch import Tensor

from ig_widgets.baselines.base import check_positive
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError


class Perturbation(ABC):
    """Changes one example: called with it and its baseline, both (1, ...), and a generator of its own on the CPU."""

    @abstractmethod
    def __call__(self, inputs: Tensor, baselines: Tensor, generator: torch.Generator) -> Tensor:
        """The changed example, of the shape, dtype and device of `inputs`."""

    @abstractmethod
    def describe(self) -> str:
        """What it does, in few words, for a table."""


Perturb: TypeAlias = Callable[[Tensor, Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class subset(Perturbation):  # noqa: N801
    """A random share of the features is replaced by the baseline; of pictures whole pixels.

    `share` is that of the features, above 0 up to 1; None draws it evenly each time, at least one feature (the sets of
    Sensitivity-n: Ancona, Ceolini, Öztireli, Gross, 2018, over all n). Raises ArgumentTypeError, ArgumentValueError.
    """

    share: float | None = None

    def __post_init__(self) -> None:
        if self.share is not None:
            check_positive("share", self.share, " of the features")
            if self.share > 1:
                raise ArgumentValueError(f"share is that of the features and must be at most 1, got {self.share}.")

    def __call__(self, inputs: Tensor, baselines: Tensor, generator: torch.Generator) -> Tensor:
        """`inputs`, a part of them replaced."""
        shape = (1, 1, *inputs.shape[2:]) if inputs.dim() == 4 else inputs.shape
        features = torch.Size(shape).numel()
        share = float(torch.rand((), generator=generator, device="cpu")) if self.share is None else self.share
        taken = torch.zeros(features, dtype=torch.bool, device="cpu")
        taken[torch.randperm(features, generator=generator, device="cpu")[: max(1, round(share * features))]] = True
        return torch.where(taken.reshape(shape).to(inputs.device), baselines, inputs)

    def describe(self) -> str:
        """How much is replaced."""
        return f"{'random shares' if self.share is None else f'{self.share:.0%}'} of the features replaced"


@dataclass(frozen=True)
class square(Perturbation):  # noqa: N801
    """A square of a picture, anywhere in it, is replaced by the baseline (square removal, Yeh et al. 2019).

    `side` in pixels; None draws it each time, from 1 to the shorter side of the picture. Raises ArgumentTypeError,
    ArgumentValueError.
    """

    side: int | None = None

    def __post_init__(self) -> None:
        if self.side is not None and (isinstance(self.side, bool) or not isinstance(self.side, Integral)):
            raise ArgumentTypeError(f"side must be an integer, of pixels, got {self.side!r}.")
        if self.side is not None and self.side < 1:
            raise ArgumentValueError(f"side is in pixels and must be at least 1, got {self.side}.")

    def __call__(self, inputs: Tensor, baselines: Tensor, generator: torch.Generator) -> Tensor:
        """`inputs`, a square of them replaced. Raises ArgumentValueError for what is no picture, or is smaller."""
        if inputs.dim() != 4:
            raise ArgumentValueError(
                f"square is for pictures (batch, channels, height, width), and inputs has {inputs.dim()} dimensions; "
                f"use subset or noise."
            )
        height, width = inputs.shape[-2:]
        side = self.side or 1 + int(torch.randint(min(height, width), (), generator=generator, device="cpu"))
        if side > min(height, width):
            raise ArgumentValueError(f"side is {side}, and the picture {height} x {width} pixels; give a smaller one.")
        top, left = (
            int(torch.randint(size - side + 1, (), generator=generator, device="cpu")) for size in (height, width)
        )
        changed = inputs.clone()
        part = (..., slice(top, top + side), slice(left, left + side))
        changed[part] = baselines[part]
        return changed

    def describe(self) -> str:
        """How large it is."""
        return "a square replaced" if self.side is None else f"a square of {self.side} px replaced"


@dataclass(frozen=True)
class noise(Perturbation):  # noqa: N801
    """Each value is changed a little: normal, of standard deviation `sigma`, or even in (-`radius`, `radius`).

    In the units of the inputs. Raises ArgumentTypeError, ArgumentValueError unless one of both is a positive number.
    """

    sigma: float | None = None
    radius: float | None = None

    def __post_init__(self) -> None:
        if (self.sigma is None) == (self.radius is None):
            raise ArgumentValueError("noise takes either sigma (normal) or radius (even); give one of both.")
        name = "sigma" if self.radius is None else "radius"
        check_positive(name, getattr(self, name), ", in the units of the inputs")

    def __call__(self, inputs: Tensor, baselines: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """`inputs` under noise."""
        draw = torch.rand if self.sigma is None else torch.randn
        drawn = draw(inputs.shape, generator=generator, dtype=torch.float64, device="cpu")
        drawn = (self.radius or 0) * (2 * drawn - 1) if self.sigma is None else self.sigma * drawn
        return inputs + drawn.to(inputs.device, inputs.dtype)

    def describe(self) -> str:
        """How much of it."""
        return f"noise, sigma {self.sigma:g}" if self.sigma is not None else f"noise within {self.radius:g}"


class Draws:
    """The perturbed examples, each by its number: the same whatever is drawn before, and for each example alike."""

    def __init__(self, perturb: Perturb, inputs: Tensor, baselines: Tensor, count: int, seed: int) -> None:
        if not callable(perturb):
            raise ArgumentTypeError(
                f"perturb must be a callable (inputs, baselines, generator) -> perturbed inputs, e.g. subset(), got "
                f"{type(perturb).__name__}."
            )
        self._perturb, self._inputs, self._baselines = perturb, inputs, baselines
        generator = torch.Generator().manual_seed(seed)
        self._seeds = torch.randint(2**62, (count,), generator=generator, device="cpu").tolist()

    def __call__(self, example: int, number: int) -> Tensor:
        """Draw `number` of `example`: (1, ...). Raises ArgumentTypeError, ArgumentValueError for what is none."""
        one = slice(example, example + 1)
        generator = torch.Generator().manual_seed(self._seeds[number])
        # Copies: what is changed in place is not the next draw's input.
        drawn = self._perturb(self._inputs[one].clone(), self._baselines[one].clone(), generator)
        if not isinstance(drawn, Tensor):
            raise ArgumentTypeError(f"perturb must return a tensor like its input, got {type(drawn).__name__}.")
        if drawn.shape != self._inputs[one].shape:
            raise ArgumentValueError(
                f"perturb returned shape {tuple(drawn.shape)} for an input {tuple(self._inputs[one].shape)}; both must "
                f"be the same."
            )
        return drawn.detach().to(self._inputs.device, self._inputs.dtype)


def describe(perturb: Perturb) -> str:
    """What a perturbation is called in a table."""
    if isinstance(perturb, Perturbation):
        return perturb.describe()
    return str(getattr(perturb, "__name__", type(perturb).__name__))
