"""What replaces a feature that is taken away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from ig_widgets.baselines import blur
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.path import Baselines, make_ends

Fill: TypeAlias = None | str | int | float | Tensor | Callable[[Tensor], Tensor]

_NAMES = ("baseline", "blur", "mean", "noise")


def make_fill(fill: Fill, inputs: Tensor, baselines: Baselines, seed: int) -> tuple[Tensor, str]:
    """What replaces each value of `inputs` (batch, ...), of their shape, dtype and device, and what it is called.

    "baseline" is `baselines`. For pictures (batch, channels, height, width), normalised or not: "blur" is
    `ig_widgets.baselines.blur`, "mean" the mean of each channel, "noise" normal noise of each channel's mean and
    standard deviation, drawn by `seed`, the same for each example. None is "baseline" where `baselines` is given, else
    "blur". Raises ArgumentTypeError, ArgumentValueError.
    """
    if fill is None:
        fill = "blur" if baselines is None else "baseline"
    if fill == "baseline" and isinstance(fill, str):
        return make_ends(inputs, baselines, integers=True)[1][0], "baseline" if baselines is None else _name(baselines)
    if baselines is not None:
        raise ArgumentValueError("baselines is heeded with fill='baseline' only; give one of both.")
    if isinstance(fill, str):
        return _named(fill, inputs, seed), fill
    if isinstance(fill, bool) or not (isinstance(fill, int | float | Tensor) or callable(fill)):
        raise ArgumentTypeError(
            f"fill must be one of {', '.join(_NAMES)}, a number, a tensor or a callable that is given the inputs, got "
            f"{type(fill).__name__}."
        )
    try:
        return make_ends(inputs, fill, integers=True)[1][0], _name(fill)
    except (ArgumentTypeError, ArgumentValueError) as error:
        # What it is checked by calls it baselines.
        error.add_note("This is about fill.")
        raise


def _named(fill: str, inputs: Tensor, seed: int) -> Tensor:
    if fill not in _NAMES:
        raise ArgumentValueError(f"fill must be one of {', '.join(_NAMES)}, got {fill!r}.")
    if inputs.dim() != 4:
        raise ArgumentValueError(
            f"fill={fill!r} is made of pictures (batch, channels, height, width), and inputs has shape "
            f"{tuple(inputs.shape)}; give baselines, or a fill of that shape."
        )
    if fill == "blur":
        return blur()(inputs)
    mean = inputs.mean(dim=(2, 3), keepdim=True)
    if fill == "mean":
        return mean.expand_as(inputs)
    deviation = (inputs - mean).square().mean(dim=(2, 3), keepdim=True).sqrt()
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(inputs.shape[1:], generator=generator, dtype=torch.float64, device="cpu")
    return mean + deviation * drawn.to(inputs.device, inputs.dtype)


def _name(fill: object) -> str:
    describe = getattr(fill, "describe", None)
    if callable(describe):
        return str(describe())
    if isinstance(fill, int | float):
        return f"{fill:g}"
    return "given tensor" if isinstance(fill, Tensor) else str(getattr(fill, "__name__", type(fill).__name__))
