"""Small changes of an input, drawn at random: what a map's promises are put to the test with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ig_widgets.baselines.base import check_positive
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.path import Tensors


class Perturbation(ABC):
    """Changes one example: called with it and its baseline, both (1, ...), and a generator of its own on the CPU."""

    @abstractmethod
    def __call__(self, inputs: Tensor, baselines: Tensor, generator: torch.Generator) -> Tensor:
        """The changed example, of the shape, dtype and device of `inputs`."""

    def several(
        self, inputs: tuple[Tensor, ...], baselines: tuple[Tensor, ...], generator: torch.Generator
    ) -> tuple[Tensor, ...]:
        """Of an example that has several inputs: each changed for itself, one after the other."""
        return tuple(self(x, b, generator) for x, b in zip(inputs, baselines, strict=True))

    @abstractmethod
    def describe(self) -> str:
        """What it does, in few words, for a table."""


# Of several inputs: with tuples of them.
Perturb: TypeAlias = Callable[[Any, Any, torch.Generator], Tensors]


@dataclass(frozen=True)
class subset(Perturbation):  # noqa: N801
    """A random share of the features is replaced by the baseline; of pictures whole pixels, of several inputs all.

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
        return self.several((inputs,), (baselines,), generator)[0]

    def several(
        self, inputs: tuple[Tensor, ...], baselines: tuple[Tensor, ...], generator: torch.Generator
    ) -> tuple[Tensor, ...]:
        """A share of the features of all inputs together."""
        shapes = [(1, 1, *x.shape[2:]) if x.dim() == 4 else tuple(x.shape) for x in inputs]
        sizes = [torch.Size(shape).numel() for shape in shapes]
        features = sum(sizes)
        share = float(torch.rand((), generator=generator, device="cpu")) if self.share is None else self.share
        taken = torch.zeros(features, dtype=torch.bool, device="cpu")
        taken[torch.randperm(features, generator=generator, device="cpu")[: max(1, round(share * features))]] = True
        return tuple(
            torch.where(part.reshape(shape).to(x.device), b, x)
            for part, shape, x, b in zip(taken.split(sizes), shapes, inputs, baselines, strict=True)
        )

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
    """The perturbed examples, each by its number: the same whatever is drawn before, and for each example alike.

    `is_tuple`: whether a person's own perturbation is given tuples, as it is of several inputs.
    """

    def __init__(
        self,
        perturb: Perturb,
        inputs: tuple[Tensor, ...],
        baselines: tuple[Tensor, ...],
        count: int,
        seed: int,
        is_tuple: bool = False,
    ) -> None:
        if not callable(perturb):
            raise ArgumentTypeError(
                f"perturb must be a callable (inputs, baselines, generator) -> perturbed inputs, e.g. subset(), got "
                f"{type(perturb).__name__}."
            )
        self._perturb, self._inputs, self._baselines, self._is_tuple = perturb, inputs, baselines, is_tuple
        generator = torch.Generator().manual_seed(seed)
        self._seeds = torch.randint(2**62, (count,), generator=generator, device="cpu").tolist()

    def __call__(self, example: int, number: int) -> tuple[Tensor, ...]:
        """Draw `number` of `example`: (1, ...) of each input. Raises ArgumentTypeError, ArgumentValueError."""
        one = slice(example, example + 1)
        generator = torch.Generator().manual_seed(self._seeds[number])
        # Copies: what is changed in place is not the next draw's input.
        x, b = (tuple(t[one].clone() for t in tensors) for tensors in (self._inputs, self._baselines))
        drawn = self._drawn(x, b, generator)
        for changed, own in zip(drawn, self._inputs, strict=True):
            if not isinstance(changed, Tensor):
                raise ArgumentTypeError(f"perturb must return a tensor like its input, got {type(changed).__name__}.")
            if changed.shape != own[one].shape:
                raise ArgumentValueError(
                    f"perturb returned shape {tuple(changed.shape)} for an input {tuple(own[one].shape)}; both must "
                    f"be the same."
                )
        return tuple(t.detach().to(own.device, own.dtype) for t, own in zip(drawn, self._inputs, strict=True))

    def _drawn(self, x: tuple[Tensor, ...], b: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        if isinstance(self._perturb, Perturbation):
            return self._perturb.several(x, b, generator)
        if not self._is_tuple:
            found: Any = self._perturb(x[0], b[0], generator)
            return (found,)
        found = self._perturb(x, b, generator)
        if not isinstance(found, tuple | list) or len(found) != len(x):
            seen = f"{len(found)} of them" if isinstance(found, tuple | list) else type(found).__name__
            raise ArgumentTypeError(f"perturb must return a tuple of {len(x)} tensors like its inputs, got {seen}.")
        return tuple(found)


def describe(perturb: Perturb) -> str:
    """What a perturbation is called in a table."""
    if isinstance(perturb, Perturbation):
        return perturb.describe()
    return str(getattr(perturb, "__name__", type(perturb).__name__))
