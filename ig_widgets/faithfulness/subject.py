"""What a check is about: a function of tensors, what these are replaced by, and which of them a map is of."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.layers import Inside, from_layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.number_text import counted
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Tensors, make_ends
from ig_widgets.engine.target import TargetLike
from ig_widgets.faithfulness.maps import check_map


@dataclass(frozen=True, eq=False)
class Subject:
    """A function of `inputs`, and the `baselines` that take their place: tensors (batch, ...), equal in shape.

    Of the user's inputs, or of what a layer gives (`inside`): the function then begins there, and what lies before is
    as it is at the user's inputs. `is_tuple`: whether maps are tuples.
    """

    forward_func: ForwardFunc
    inputs: tuple[Tensor, ...]
    baselines: tuple[Tensor, ...]
    is_tuple: bool
    additional_forward_args: object = None
    forward_kwargs: ForwardKwargs = None
    output: Output = None
    inside: Inside | None = field(default=None, repr=False)

    @property
    def batch(self) -> int:
        """The number of examples."""
        return len(self.inputs[0])

    @property
    def parts(self) -> list[list[int]]:
        """For each tensor of a map: which of `inputs` it is of; several calls of a layer have one map."""
        return [own for own in self._every if own]

    @property
    def _every(self) -> list[list[int]]:
        # Of a layer's calls some may be idle: nothing is of these.
        return [[i] for i in range(len(self.inputs))] if self.inside is None else self.inside.parts

    @property
    def given(self) -> Tensors:
        """`inputs` as a person's own function is given them: a tuple, or the only one."""
        return self.inputs if self.is_tuple else self.inputs[0]

    @property
    def further(self) -> dict[str, Any]:
        """The function's further arguments, by the names that `attribute` has for them."""
        return {
            "additional_forward_args": self.additional_forward_args,
            "forward_kwargs": self.forward_kwargs,
            "output": self.output,
        }

    def maps(self, attributions: object) -> tuple[Tensor, ...]:
        """What was attributed, for each of `parts`, like the inputs, detached, as `check_map` says.

        Raises ArgumentTypeError, ArgumentValueError.
        """
        values = attributions.attributions if isinstance(attributions, Attribution) else attributions
        several, count = isinstance(values, tuple | list), len(self._every)
        members: Sequence[object] = list(values) if isinstance(values, tuple | list) else [values]
        if len(members) != count:
            seen = f"a tuple of {len(members)}" if several else f"one {type(values).__name__}"
            what = "what layer gives is" if self.inside else "inputs is"
            remedy = "" if self.inside else "; for the map of what a layer gives, give layer too"
            raise ArgumentTypeError(
                f"attributions is {seen}, and {what} {'a tuple of ' if count > 1 else ''}{counted(count, 'tensor')}; "
                f"give an Attribution of these, or a tensor for each{remedy}."
            )
        if self.inside is not None:
            members = self.inside.by_part(members)
        what, found = "inputs" if self.inside is None else "layer", []
        for i, (member, own) in enumerate(zip(members, self._every, strict=True)):
            place = f"[{i}]" if several else ""
            if own:
                found.append(check_map(member, self.inputs[own[0]], f"attributions{place}", f"{what}{place}"))
        return tuple(found)

    def added_up(self, values: Tensors) -> tuple[Tensor, ...]:
        """Of values like `inputs` one tensor for each of `parts`, those of several calls of a layer added up."""
        members = values if isinstance(values, tuple) else (values,)
        return tuple(sum((members[i] for i in own[1:]), members[own[0]]) for own in self.parts)

    def refuse_shared(self, what: str) -> None:
        """Raise ArgumentValueError where a map is the sum of several calls of a layer."""
        if any(len(own) > 1 for own in self.parts):
            raise ArgumentValueError(
                f"layer is called several times, and its map is the sum over the calls, of which {what} would need "
                f"each; give layer a module that is called once, or use deletion and insertion, which replace a "
                f"feature in all calls at once."
            )


def make_subject(
    forward_func: ForwardFunc,
    inputs: Tensors,
    baselines: Baselines,
    *,
    layer: Layer | None = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    integers: bool = False,
    cancel: threading.Event | None = None,
) -> Subject:
    """The subject of a check, arguments as for `attribute`; `integers`: inputs may hold token ids without a layer too.

    Raises as `attribute` for inputs, baselines and layer.
    """
    if layer is None:
        xs, starts = make_ends(inputs, baselines, integers=integers)
        is_tuple = isinstance(inputs, tuple | list)
        return Subject(forward_func, xs, starts, is_tuple, additional_forward_args, forward_kwargs, output)
    inside = from_layer(
        forward_func,
        layer,
        inputs,
        baselines,
        additional_forward_args,
        forward_kwargs,
        output,
        target=target,
        cancel=cancel,
    )
    several = len(inside.inputs) > 1
    return Subject(
        inside.function, inside.inputs, inside.baselines, several, inside.arguments, inside.keywords, inside=inside
    )
