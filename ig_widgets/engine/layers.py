"""A question about a model asked of what its layers give: function, both ends and arguments."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ig_widgets.engine.activations import Activations, activations_at
from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.engine.from_layers import FromLayers
from ig_widgets.engine.groups import check_feature_mask
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.layout_search import layouts_of
from ig_widgets.engine.layouts import Layout
from ig_widgets.engine.model import (
    ForwardFunc,
    ForwardKwargs,
    as_args,
    as_kwargs,
)
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Tensors, make_ends
from ig_widgets.engine.reduction import Reduce
from ig_widgets.engine.target import TargetLike, make_target


@dataclass(frozen=True, eq=False)
class Inside:
    """The same question asked of what layers hold: function, both ends (batch, ...), further arguments.

    Of a layer that is called several times each call has an end of its own.
    """

    found: Activations
    layouts: tuple[Layout, ...]
    arguments: tuple[object, ...]
    keywords: dict[str, Any]

    @property
    def function(self) -> FromLayers:
        """The model's output of what the layers hold, then of `arguments` and `keywords`."""
        return self.found.function

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What the used calls hold at the inputs, batch first."""
        return self._by_example(self.found.inputs)

    @property
    def baselines(self) -> tuple[Tensor, ...]:
        """What the used calls hold at the baselines, batch first."""
        return self._by_example(self.found.baselines)

    def _by_example(self, values: Sequence[Tensor]) -> tuple[Tensor, ...]:
        moved = (v for v, used in zip(values, self.found.used, strict=True) if used)
        return tuple(layout.by_example(v) for layout, v in zip(self.layouts, moved, strict=True))

    def as_held(self, values: Sequence[Tensor]) -> Tensors:
        """Values like `inputs` in the shapes of what the layers give, those of several calls added up."""
        given = iter([layout.as_held(v) for layout, v in zip(self.layouts, values, strict=True)])
        every = [
            next(given) if used else torch.zeros_like(x)
            for x, used in zip(self.found.inputs, self.found.used, strict=True)
        ]
        members = tuple(t for _, t in self.found.added_up(every))
        return members if len(members) > 1 else members[0]

    def added_up(self, values: Sequence[Tensor]) -> Tensors:
        """Values (batch, ...), one for each of `inputs`, those of several calls added up, in the order of `as_held`.

        What the output does not depend on is left out.
        """
        members = tuple(sum((values[i] for i in own[1:]), values[own[0]]) for own in self.parts if own)
        return members if len(members) > 1 else members[0]

    def for_each(self, functions: Reduce) -> Reduce:
        """One function for each of `inputs`, of one for all, or one for each tensor that `as_held` gives."""
        if not isinstance(functions, tuple | list):
            return functions
        if len(functions) != len(self.parts):
            raise ArgumentValueError(
                f"reduce has {len(functions)} members for {len(self.parts)} tensors that layer gives; give one for "
                f"each, or one for all."
            )
        of = {i: function for own, function in zip(self.parts, functions, strict=True) for i in own}
        return tuple(of[i] for i in range(len(self.inputs)))

    @property
    def parts(self) -> list[list[int]]:
        """For each tensor that `as_held` gives: which of `inputs` are added up in it."""
        places = [sum(self.found.used[:i]) for i in range(len(self.found.used))]
        return [[places[i] for i in own if self.found.used[i]] for _, own in self.found.members]

    def by_part(self, values: Sequence[object]) -> list[object]:
        """Values as `as_held` gives them, batch first, where their shapes are those."""
        shapes = [tuple(self.found.inputs[own[0]].shape) for _, own in self.found.members]
        return [
            self.layouts[own[0]].by_example(v) if own and isinstance(v, Tensor) and tuple(v.shape) == shape else v
            for v, own, shape in zip(values, self.parts, shapes, strict=True)
        ]

    def masks(self, feature_mask: object) -> tuple[Tensor, ...] | None:
        """One mask for each of `inputs`, of one for each tensor that `as_held` returns."""
        members = [own for _, own in self.found.members]
        given = check_feature_mask(feature_mask, tuple(self.found.inputs[own[0]] for own in members))
        if given is None:
            return None
        of = {i: mask for own, mask in zip(members, given, strict=True) for i in own}
        return self._by_example([of[i] for i in range(len(self.found.inputs))])


def from_layer(
    forward_func: ForwardFunc,
    layer: Layer,
    inputs: object,
    baselines: object,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    *,
    target: TargetLike = None,
    cancel: threading.Event | None = None,
) -> Inside:
    """The same question asked of what `layer` holds.

    Raises as `activations_at`, and ArgumentTypeError or ArgumentValueError for inputs and baselines.
    """
    tensors, starts = make_ends(inputs, baselines, integers=True)
    make_target(target, len(tensors[0]))  # before the model is asked
    extra, keywords = as_args(additional_forward_args), as_kwargs(forward_kwargs)
    found = activations_at(
        forward_func,
        layer,
        inputs=tensors,
        baselines=starts,
        additional_forward_args=extra,
        forward_kwargs=keywords,
        output=output,
        cancel=cancel,
    )
    arguments = (*tensors, *extra)
    layouts = layouts_of(found, arguments, keywords, batch=tensors[0].shape[0])
    found.function.layouts = layouts
    return Inside(found, layouts, arguments, keywords)
