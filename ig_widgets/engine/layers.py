"""Inside the model: what layers hold at both ends of a path, and the model's output as a function of that."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ig_widgets.engine.checkpoints import unrolled
from ig_widgets.engine.errors import ArgumentValueError, Cancelled
from ig_widgets.engine.groups import check_feature_mask
from ig_widgets.engine.keeper import Keeper
from ig_widgets.engine.layer_calls import Call, Layer, Layers, Recorder, copies, used_tensors
from ig_widgets.engine.layouts import Layout, layouts_of
from ig_widgets.engine.model import (
    ForwardFunc,
    ForwardKwargs,
    as_args,
    as_kwargs,
    refuse_training_mode,
    uncompiled,
)
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Tensors, make_ends
from ig_widgets.engine.reduction import Reduce
from ig_widgets.engine.target import TargetLike, make_target


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
    keeper = Keeper(forward_func, inputs[0].device)
    end, start, graph = Recorder(layers), Recorder(layers), Recorder(layers)

    def look() -> Tensor:
        with torch.autograd.graph.saved_tensors_hooks(_forget, _forget):
            return run(graph, inputs)

    keeper.run(lambda: unrolled(lambda: (run(end, inputs), run(start, baselines))), gradients=False)
    # A pass of its own: with gradients some modules (nn.TransformerEncoder) compute otherwise. The graph alone is
    # wanted, not what a backward pass along it would need.
    returned = keeper.run(lambda: unrolled(look), gradients=True)
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


class FromLayers:
    """The model's output from the layers' values and the model's arguments.

    What lies before the layers depends on the arguments alone, which are the same all along a path. They are then
    given in one row; what the layers hold brings the others in, beside which a single row broadcasts.
    """

    def __init__(self, layers: Layers, calls: tuple[Call, ...], used: tuple[bool, ...]) -> None:
        # By this name others look for what is inside a function.
        self.forward_func = layers.forward_func
        self.layouts: tuple[Layout, ...] | None = None
        self._layers = layers
        self._used: dict[Call, list[bool]] = {}
        for call, flag in zip(calls, used, strict=True):
            self._used.setdefault(call, []).append(flag)
        # The one row that was last given before the layers, and whether the model bears it beside more behind: what is
        # true of one example (a mask that masks nothing) need not be so of the next.
        self._seen: tuple[list[Tensor], bool] | None = None

    def __call__(self, *values: Any, **keywords: Any) -> Tensor:
        """The explained tensor of the output, of the used values, then the arguments."""
        split = sum(map(sum, self._used.values()))
        held, arguments = values[:split], values[split:]
        rows = len(held[0])
        leaves, structure = pytree.tree_flatten((list(arguments), keywords))
        narrow = _narrowed(leaves, rows)
        if narrow is not None and self._bears(held, leaves, narrow, structure, rows):
            leaves = _first(leaves, rows, 1)
        arguments, keywords = pytree.tree_unflatten(leaves, structure)
        return self._run(held, arguments, keywords)

    def _bears(self, held: Sequence[Any], leaves: list[Any], narrow: list[Tensor], structure: Any, rows: int) -> bool:
        """Whether one row before the layers gives what all rows give; two rows will show it."""
        if self._seen is None or not _equal(self._seen[0], narrow):
            with torch.no_grad(), torch._C.DisableTorchFunction():
                few = [h[:2] for h in held]
                full, one = (pytree.tree_unflatten(_first(leaves, rows, n), structure) for n in (2, 1))
                self._seen = ([n.detach().clone() for n in narrow], self._agree(few, full, one))
        return self._seen[1]

    def _run(self, values: Sequence[Any], arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Tensor:
        if self.layouts is not None:
            values = [layout.as_held(v) for layout, v in zip(self.layouts, values, strict=True)]
        remaining = iter(values)
        given = {call: [next(remaining) if flag else None for flag in flags] for call, flags in self._used.items()}

        def replace(call: Call, value: Any) -> Any:
            if call not in given:
                raise ArgumentValueError(
                    f"{self._layers.names[call[0]]} is called more often on the path than at its ends; there is no "
                    f"value to put in its place."
                )
            held, put_back = self._layers.members(value, call[0])
            return put_back([h if g is None else g for h, g in zip(held, given[call], strict=True)])

        return self._layers.run(arguments, keywords, replace)

    def _agree(self, held: Sequence[Any], full: Any, narrow: Any) -> bool:
        """Whether one row before the layers gives what all rows give. Copies, for a model that writes in place."""
        try:
            expected, seen = (
                self._run(copies(held), *pytree.tree_map_only(Tensor, lambda t: t.detach().clone(), arguments))
                for arguments in (full, narrow)
            )
        except Exception:  # noqa: BLE001  (rows that do not broadcast, or are none; without this it will be seen)
            return False
        if seen.shape != expected.shape:
            return False
        size = float(expected.abs().max()) if expected.numel() else 0.0
        return torch.allclose(seen, expected, rtol=0.0, atol=64 * torch.finfo(expected.dtype).eps * size)


def _has_rows(value: object, rows: int) -> bool:
    return isinstance(value, Tensor) and value.dim() > 0 and value.shape[0] == rows


def _narrowed(leaves: Sequence[Any], rows: int) -> list[Tensor] | None:
    """One row of the arguments that have `rows`, where all rows are the same; None where they are not, or it is one."""
    along = [a for a in leaves if _has_rows(a, rows)]
    if rows < 2 or not all(bool((a == a[:1]).all()) for a in along):
        return None
    return [a[:1] for a in along]


def _first(leaves: Sequence[Any], rows: int, count: int) -> list[Any]:
    """The first `count` of the `rows` of the arguments, of those that have rows."""
    return [a[:count] if _has_rows(a, rows) else a for a in leaves]


def _equal(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def _forget(_: object) -> Any:
    return None
