"""Input shift: the same function of shifted inputs, and whether its map is the same."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, Cancelled
from ig_widgets.engine.layer_calls import Layer, Layers
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.norms import refuse_overflow
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Tensors, make_path
from ig_widgets.engine.progress import ProgressLike, progress_of, with_progress
from ig_widgets.engine.target import TargetLike
from ig_widgets.faithfulness.explainer import Explain, Explainer, relative_difference
from ig_widgets.faithfulness.maps import numbers
from ig_widgets.tables import html_table, text_table


@dataclass(frozen=True, eq=False)
class InputShift:
    """How far the map moves when inputs are shifted and the model takes the shift back: relative L2 (batch,).

    `baseline_shifted`: with the baseline shifted along; `baseline_left`: with the baseline where it was. Both float64,
    on the CPU; 0 is a map that is about the function, not about how its inputs are written. Where the map of x is all
    zeros it is the change itself. Prints as a table.
    """

    baseline_shifted: Tensor
    baseline_left: Tensor

    def __repr__(self) -> str:
        return text_table(_HEAD, self._rows(), right=True)

    def _repr_html_(self) -> str:
        return html_table(_HEAD, self._rows())

    def _rows(self) -> list[tuple[str, ...]]:
        pairs = zip(self.baseline_shifted.tolist(), self.baseline_left.tolist(), strict=True)
        return [(f"example {i}", *map(numbers, pair)) for i, pair in enumerate(pairs)]


Shift: TypeAlias = Tensor | float

_HEAD = ("change of the map, relative", "baseline shifted along", "baseline left where it was")


class _Shifted(nn.Module):
    """g(x) = f(x - shift) of one input or several, a module where f is one, since some methods ask for that."""

    def __init__(self, model: nn.Module, shifts: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.model = model
        self.shifts = shifts  # no buffers: they are no state of the model's

    def forward(self, *inputs: Any, **keywords: object) -> object:
        """f at the inputs, shifted back."""
        return self.model(*_shifted_back(inputs, self.shifts), **keywords)


def _twin(forward_func: ForwardFunc, shifts: tuple[Tensor, ...]) -> ForwardFunc:
    if isinstance(forward_func, nn.Module):
        return _Shifted(forward_func, shifts)

    def shifted(*inputs: Any, **keywords: object) -> object:
        return forward_func(*_shifted_back(inputs, shifts), **keywords)

    return shifted


def _shifted_back(arguments: tuple[Any, ...], shifts: tuple[Tensor, ...]) -> tuple[Any, ...]:
    moved = (x - by for x, by in zip(arguments, shifts, strict=False))
    return (*moved, *arguments[len(shifts) :])


@with_progress
def input_shift(
    forward_func: ForwardFunc,
    inputs: Tensors,
    shift: Shift | tuple[Shift, ...],
    *,
    explain: Explain | None = None,
    baselines: Baselines = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,
    chunk_size: int | None = None,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> InputShift:
    """The map of f at x, against that of its twin g(x) = f(x - shift) at x + shift, which says the same of the same.

    Kindermans, Hooker, Adebayo, Alber, Schütt, Dähne, Erhan, Kim: The (Un)reliability of Saliency Methods (2017),
    section 2. Integrated Gradients is invariant where the baseline is shifted along, as black is when pictures are
    written from -1 to 1 in place of 0 to 1; with a baseline that stays, zeros say, it is not.

    Args:
        forward_func, baselines, target, additional_forward_args, forward_kwargs, output, layer, chunk_size: as in
            `attribute`; the inputs are what is shifted, also where the map is that of a layer.
        inputs: a tensor (batch, ...) or a tuple of such.
        shift: a number, or a tensor that broadcasts to one example (1, ...); of several inputs one for all, or a tuple.
        explain: the method, (forward_func, inputs, baselines) -> Attribution or tensors; None is `attribute`.
        on_progress: called with (done, total) maps. cancel: when set, the run stops with the map in hand.

    Raises ArgumentTypeError, ArgumentValueError, Cancelled, and what `explain` raises.
    """
    tell = progress_of(on_progress)
    path, is_tuple = make_path(inputs, baselines), isinstance(inputs, tuple | list)
    shifts = _check_shifts(shift, path.inputs)
    # The twin holds the same modules, by other names.
    places: Any = None if layer is None else Layers(forward_func, layer, False).modules
    explainer = Explainer(
        explain,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        layer=places,
        chunk_size=chunk_size,
        cancel=cancel,
    )

    def moved(tensors: tuple[Tensor, ...], by: tuple[Tensor, ...] = shifts) -> Tensors:
        found = tuple(t + s for t, s in zip(tensors, by, strict=True))
        return found if is_tuple else found[0]

    # A shift of zeros brings the ends of the path to the form in which they were given.
    still = tuple(torch.zeros_like(by) for by in shifts)
    twin = _twin(forward_func, shifts)
    asked: list[tuple[ForwardFunc, Tensors, Tensors]] = [
        (forward_func, moved(path.inputs, still), moved(path.baselines, still)),
        (twin, moved(path.inputs), moved(path.baselines)),
        (twin, moved(path.inputs), moved(path.baselines, still)),
    ]
    maps = []
    for done, (function, points, start) in enumerate(asked, 1):
        if cancel is not None and cancel.is_set():
            raise Cancelled(f"Cancelled after {done - 1} of {len(asked)} maps.", None)
        maps.append(explainer(function, points, start))
        if tell is not None:
            tell(done, len(asked))
    changes = [relative_difference(other, maps[0]) for other in maps[1:]]
    refuse_overflow("A relative change", *changes)
    return InputShift(*changes)


def _check_shifts(shift: object, xs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """`shift` as one tensor for each input. Raises ArgumentTypeError, ArgumentValueError."""
    if not isinstance(shift, tuple | list):
        if isinstance(shift, Tensor) and len(xs) > 1:
            raise ArgumentTypeError(
                f"shift is one tensor for {len(xs)} inputs; give a tuple of {len(xs)}, or a number."
            )
        return tuple(_check_shift(shift, x) for x in xs)
    if len(shift) != len(xs):
        raise ArgumentValueError(f"shift has {len(shift)} members, inputs has {len(xs)}; give one for each.")
    return tuple(_check_shift(by, x) for by, x in zip(shift, xs, strict=True))


def _check_shift(shift: object, x: Tensor) -> Tensor:
    if isinstance(shift, bool) or not isinstance(shift, int | float | Tensor):
        raise ArgumentTypeError(f"shift must be a number or a tensor, got {type(shift).__name__}.")
    by = torch.as_tensor(shift, device=x.device).detach().to(x.device, x.dtype)
    try:
        by = by.expand(1, *x.shape[1:])
    except RuntimeError:
        raise ArgumentValueError(
            f"shift has shape {tuple(by.shape)}; it must broadcast to one example, {(1, *x.shape[1:])}."
        ) from None
    if not torch.isfinite(by).all():
        raise ArgumentValueError("shift holds NaN or infinite values.")
    return by
