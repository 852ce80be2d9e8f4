"""What layers hold at both ends of a path."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ig_widgets.engine.checkpoints import unrolled
from ig_widgets.engine.errors import ArgumentValueError, Cancelled
from ig_widgets.engine.from_layers import FromLayers
from ig_widgets.engine.layer_calls import Call, Layer, Layers, Recorder, used_tensors
from ig_widgets.engine.model import (
    ForwardFunc,
    refuse_training_mode,
    uncompiled,
)
from ig_widgets.engine.output import Output
from ig_widgets.engine.state_guard import StateGuard


@dataclass(frozen=True, eq=False)
class Activations:
    """What the layers hold at the inputs and at the baselines: each floating tensor of each call.

    `inputs` and `baselines`: detached tensors, equal in shape. `counts`: how many of them belong to each layer. `used`:
    which of them the output depends on. `function(*activations, *arguments, **keywords)`: the output of the model at
    `arguments` (its inputs, then further ones) with the used activations put in the place of what the layers compute.
    """

    inputs: tuple[Tensor, ...]
    baselines: tuple[Tensor, ...]
    calls: tuple[Call, ...]
    used: tuple[bool, ...]
    function: FromLayers
    layers: Layers

    @property
    def counts(self) -> tuple[int, ...]:
        """How many of the tensors belong to each layer."""
        return tuple(sum(own == index for own, _ in self.calls) for index in range(len(self.layers.modules)))

    @property
    def members(self) -> list[tuple[int, list[int]]]:
        """What each layer gives: its place in the list, and which of the tensors are added up.

        Of several calls the tensors of one place, unless their shapes differ.
        """
        made: list[tuple[int, list[int]]] = []
        for index in range(len(self.layers.modules)):
            every: dict[Call, list[int]] = {}
            for i, call in enumerate(self.calls):
                if call[0] == index:
                    every.setdefault(call, []).append(i)
            shapes = {tuple(self.inputs[i].shape for i in own) for own in every.values()}
            if len(shapes) == 1:
                made += [(index, list(group)) for group in zip(*every.values(), strict=True)]
            else:
                made += [(index, [i]) for own in every.values() for i in own]
        return made

    def added_up(self, values: Sequence[Tensor]) -> list[tuple[int, Tensor]]:
        """Of values like `inputs` those of `members`, each with the place of its layer."""
        return [(index, sum((values[i] for i in own[1:]), values[own[0]])) for index, own in self.members]


def activations_at(
    forward_func: ForwardFunc,
    layer: Layer,
    *,
    inputs: tuple[Tensor, ...],
    baselines: tuple[Tensor, ...],
    additional_forward_args: tuple[object, ...] = (),
    forward_kwargs: Mapping[str, object] | None = None,
    output: Output = None,
    attribute_to_layer_input: bool = False,
    allow_unused: bool = False,
    cancel: threading.Event | None = None,
) -> Activations:
    """Run the model at `inputs` and at `baselines`, and keep what `layer` gives (or is given) there.

    Args:
        forward_func: a module or callable, given the inputs (batch, ...) and further arguments.
        layer: a module inside it, its dotted name, or a list of such, none of which may feed another; in a list also
            positions of inputs that are to be moved beside the layers. A layer may be called several times, if no call
            is computed from another.
        inputs, baselines: tensors (batch, ...) of any dtype; token ids, say.
        output: which tensor of what the model returns counts.
        attribute_to_layer_input: what the layers are given (by position, or by keyword where nothing is by position)
            in place of what they return.
        allow_unused: accept layers that the output does not depend on.

    Raises:
        ArgumentTypeError, ArgumentValueError: `layer` is no module, not in the model, not called, holds no floating
            tensor, or feeds another one in the list, or a later call of itself.
        NotDifferentiableError: the output does not depend on a layer.
        TrainingModeError, and whatever the model raises.
        Cancelled: `cancel` was set; looked at before each of three passes.
    """
    # Replicas run in threads of their own, where no hook of this thread could tell them apart.
    forward_func = forward_func.module if isinstance(forward_func, nn.DataParallel) else uncompiled(forward_func)
    layers = Layers(forward_func, layer, attribute_to_layer_input, output)
    keywords = dict(forward_kwargs or {})

    def run(recorder: Recorder, at: tuple[Tensor, ...]) -> Tensor:
        if cancel is not None and cancel.is_set():
            raise Cancelled("Cancelled after 0 gradient evaluations.", None)
        return recorder.run([*at, *additional_forward_args], keywords)

    refuse_training_mode((forward_func, output))
    state_guard = StateGuard(forward_func, inputs[0].device)
    end, start, graph = Recorder(layers), Recorder(layers), Recorder(layers)

    def look() -> Tensor:
        with torch.autograd.graph.saved_tensors_hooks(_forget, _forget):
            return run(graph, inputs)

    state_guard.run(lambda: unrolled(lambda: (run(end, inputs), run(start, baselines))), gradients=False)
    # A pass of its own: with gradients some modules (nn.TransformerEncoder) compute otherwise. The graph alone is
    # wanted, not what a backward pass along it would need.
    returned = state_guard.run(lambda: unrolled(look), gradients=True)
    used = used_tensors(layers, graph, returned, allow_unused)
    for index, name in enumerate(layers.names):
        times = [sum(own == index for own, _ in recorder.calls) for recorder in (end, start)]
        if times[0] != times[1]:
            raise ArgumentValueError(
                f"{name} is called more than once at one end of the path: {times[0]} times at inputs and {times[1]} at "
                f"baselines; there is no path between."
            )
        shapes = [recorder.shapes(index) for recorder in (end, start)]
        if shapes[0] != shapes[1]:
            raise ArgumentValueError(
                f"{name} holds shapes {shapes[0]} at inputs and {shapes[1]} at baselines; there is no path between."
            )
    calls = tuple(call for call in end.calls for _ in end.held(call))
    return Activations(
        inputs=tuple(t for call in end.calls for t in end.held(call)),
        baselines=tuple(t for call in end.calls for t in start.held(call)),
        calls=calls,
        used=used,
        function=FromLayers(layers, calls, used),
        layers=layers,
    )


def _forget(_: object) -> Any:
    return None
