"""What replaces a feature that is taken away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ig_widgets.baselines import blur
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.number_text import counted
from ig_widgets.engine.path import Baselines, Tensors, make_ends
from ig_widgets.faithfulness.subject import Subject

OneFill: TypeAlias = None | str | int | float | Tensor | Callable[..., Tensors]
Fill: TypeAlias = OneFill | tuple[OneFill, ...]

_NAMES = ("baseline", "blur", "mean", "noise")


def make_fill(fill: Fill, subject: Subject, baselines: Baselines, seed: int) -> tuple[tuple[Tensor, ...], str]:
    """What replaces each value of the subject's inputs, of their shape, dtype and device, and what it is called.

    "baseline" is `baselines`. For pictures (batch, channels, height, width), normalised or not: "blur" is
    `ig_widgets.baselines.blur`, "mean" the mean of each channel, "noise" normal noise of each channel's mean and
    standard deviation, drawn by `seed`, the same for each example. None is "baseline" where `baselines` is given, or a
    layer, else "blur". Of several inputs a tuple has one of these for each, a tensor for one. Raises ArgumentTypeError,
    ArgumentValueError.
    """
    of_layer = subject.inside is not None
    if fill is None:
        fill = "blur" if baselines is None and not of_layer else "baseline"
    if fill == "baseline" and isinstance(fill, str):
        return subject.baselines, "baseline" if baselines is None else _name(baselines)
    if isinstance(fill, tuple | list) and (subject.is_tuple or len(subject.inputs) > 1):
        return _each(fill, subject, baselines is not None or of_layer, seed)
    if baselines is not None and not of_layer:
        raise ArgumentValueError("baselines is heeded with fill='baseline' only; give one of both.")
    if isinstance(fill, str):
        return tuple(_named(fill, x, seed) for x in subject.inputs), fill
    if isinstance(fill, bool) or not (isinstance(fill, int | float | Tensor) or callable(fill)):
        raise ArgumentTypeError(
            f"fill must be one of {', '.join(_NAMES)}, a number, a tensor or a callable that is given the inputs, or a "
            f"tuple of these for several inputs, got {type(fill).__name__}."
        )
    try:
        return make_ends(subject.given, fill, integers=True)[1], _name(fill)
    except (ArgumentTypeError, ArgumentValueError) as error:
        # What it is checked by calls it baselines.
        error.add_note("This is about fill.")
        raise


def _each(fill: Sequence[Any], subject: Subject, has_baselines: bool, seed: int) -> tuple[tuple[Tensor, ...], str]:
    """Of a tuple of fills, one for each input."""
    if len(fill) != len(subject.inputs):
        raise ArgumentValueError(
            f"fill has {len(fill)} members, and there are {counted(len(subject.inputs), 'tensor')} to fill; give one "
            f"for each, or one for all."
        )
    ends = zip(fill, subject.inputs, subject.baselines, strict=True)
    found = [
        make_fill(
            "baseline" if one is None and has_baselines else one,
            Subject(subject.forward_func, (x,), (b,), is_tuple=False),
            None,
            seed,
        )
        for one, x, b in ends
    ]
    return tuple(values for (values,), _ in found), ", ".join(name for _, name in found)


def _named(fill: str, inputs: Tensor, seed: int) -> Tensor:
    if fill not in _NAMES:
        raise ArgumentValueError(f"fill must be one of {', '.join(_NAMES)}, got {fill!r}.")
    if inputs.dim() != 4:
        raise ArgumentValueError(
            f"fill={fill!r} is made of pictures (batch, channels, height, width), and inputs has shape "
            f"{tuple(inputs.shape)}; give baselines, or a fill of that shape (of several inputs a tuple of fills)."
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
