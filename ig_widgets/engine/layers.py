"""Inside the model: what layers hold at both ends of a path, and the model's output as a function of that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, Cancelled, NotDifferentiableError
from ig_widgets.engine.hooks import hooked
from ig_widgets.engine.keeper import Keeper
from ig_widgets.engine.model import ForwardFunc, modules_of, refuse_training_mode, uncompiled

Layer: TypeAlias = nn.Module | list[nn.Module]


@dataclass(frozen=True, eq=False)
class Activations:
    """What the layers hold at the inputs and at the baselines: each floating tensor of each layer, in order.

    `inputs` and `baselines`: detached tensors, equal in shape. `counts`: how many of them belong to each layer. `used`:
    which of them the output depends on. `function(*activations, *arguments)`: the output of the model at `arguments`
    (its inputs, then further ones) with the used activations put in the place of what the layers compute.
    """

    inputs: tuple[Tensor, ...]
    baselines: tuple[Tensor, ...]
    counts: tuple[int, ...]
    used: tuple[bool, ...]
    function: Callable[..., Any]


def activations_at(
    forward_func: ForwardFunc,
    layer: Layer,
    *,
    inputs: tuple[Tensor, ...],
    baselines: tuple[Tensor, ...],
    additional_forward_args: tuple[object, ...] = (),
    attribute_to_layer_input: bool = False,
    allow_unused: bool = False,
    cancel: threading.Event | None = None,
) -> Activations:
    """Run the model at `inputs` and at `baselines`, and keep what `layer` gives (or is given) there.

    Args:
        forward_func: a module or callable, given the inputs (batch, ...) and `additional_forward_args`.
        layer: a module inside it, or a list of such, none of which may feed another.
        inputs, baselines: tensors (batch, ...) of any dtype; token ids, say.
        attribute_to_layer_input: what the layers are given (by position, or by keyword where nothing is by position)
            in place of what they return.
        allow_unused: accept layers that the output does not depend on.

    Raises:
        ArgumentTypeError, ArgumentValueError: `layer` is no module, not in the model, not called or called twice,
            holds no floating tensor, or feeds another one in the list.
        NotDifferentiableError: the output does not depend on a layer.
        TrainingModeError, and whatever the model raises.
        Cancelled: `cancel` was set; looked at before each of three passes.
    """
    # Replicas run in threads of their own, where no hook of this thread could tell them apart.
    forward_func = forward_func.module if isinstance(forward_func, nn.DataParallel) else uncompiled(forward_func)
    layers = _Layers(forward_func, layer, attribute_to_layer_input)

    def run(recorder: _Recorder, at: tuple[Tensor, ...]) -> object:
        if cancel is not None and cancel.is_set():
            raise Cancelled("Cancelled after 0 gradient evaluations.", None)
        return recorder.run(at, additional_forward_args)

    refuse_training_mode(forward_func)
    keeper = Keeper(forward_func, inputs[0].device)
    end, start, graph = _Recorder(layers), _Recorder(layers), _Recorder(layers)

    def look() -> list[set[int]]:
        with torch.autograd.graph.saved_tensors_hooks(_forget, _forget):
            return graph.reached_by(run(graph, inputs))

    keeper.run(lambda: (run(end, inputs), run(start, baselines)), gradients=False)
    # A pass of its own: with gradients some modules (nn.TransformerEncoder) compute otherwise. The graph alone is
    # wanted, not what a backward pass along it would need.
    reached = keeper.run(look, gradients=True)
    used = _used(layers, graph, reached, allow_unused)
    for index, name in enumerate(layers.names):
        shapes = [[tuple(t.shape) for t in recorder.held(index)] for recorder in (end, start)]
        if shapes[0] != shapes[1]:
            raise ArgumentValueError(
                f"{name} holds shapes {shapes[0]} at inputs and {shapes[1]} at baselines; there is no path between."
            )
    counts = tuple(len(end.held(index)) for index in range(len(layers.modules)))
    return Activations(
        inputs=tuple(t for index in range(len(counts)) for t in end.held(index)),
        baselines=tuple(t for index in range(len(counts)) for t in start.held(index)),
        counts=counts,
        used=used,
        function=_FromLayers(layers, counts, used),
    )


def from_layer(
    forward_func: ForwardFunc,
    layer: Layer,
    inputs: object,
    baselines: object,
    additional_forward_args: object,
    cancel: threading.Event | None = None,
) -> tuple[ForwardFunc, tuple[Tensor, ...], tuple[Tensor, ...], tuple[object, ...]]:
    """The same question asked of what `layer` holds: function, inputs, baselines and further arguments.

    Raises as `activations_at`, and ArgumentTypeError or ArgumentValueError for inputs and baselines.
    """
    xs = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    if callable(baselines) and not isinstance(baselines, Tensor):
        baselines = baselines(inputs)
    given = tuple(baselines) if isinstance(baselines, tuple | list) else (baselines,) * len(xs)
    if len(given) != len(xs):
        raise ArgumentValueError(f"baselines has {len(given)} members, inputs has {len(xs)}; give one for each.")
    tensors, starts = [], []
    for x, start in zip(xs, given, strict=True):
        if not isinstance(x, Tensor) or x.dim() == 0:
            raise ArgumentTypeError(f"inputs must be tensors, batch first, got {type(x).__name__}.")
        start = torch.as_tensor(0 if start is None else start).to(device=x.device, dtype=x.dtype)
        try:
            starts.append(start.expand(x.shape))
        except RuntimeError:
            raise ArgumentValueError(
                f"baselines has shape {tuple(start.shape)}, its input {tuple(x.shape)}; it must broadcast to its input."
            ) from None
        tensors.append(x.detach())
    extra = additional_forward_args if isinstance(additional_forward_args, tuple) else (additional_forward_args,)
    extra = () if additional_forward_args is None else extra
    found = activations_at(
        forward_func,
        layer,
        inputs=tuple(tensors),
        baselines=tuple(starts),
        additional_forward_args=extra,
        cancel=cancel,
    )
    for held in found.inputs:
        if held.shape[0] != tensors[0].shape[0]:
            raise ArgumentValueError(
                f"layer gives a tensor of shape {tuple(held.shape)} for a batch of {tensors[0].shape[0]}; its first "
                f"dimension must be the batch. Choose a layer before or behind it."
            )
    return found.function, found.inputs, found.baselines, (*tensors, *extra)


class _Layers:
    """The listed modules, what to call them in a message, and hooks on them."""

    def __init__(self, forward_func: ForwardFunc, layer: object, to_input: bool) -> None:
        self.forward_func = forward_func
        self.modules: list[nn.Module] = list(layer) if isinstance(layer, list) else [layer]  # type: ignore[list-item]
        self.to_input = to_input
        if not self.modules:
            raise ArgumentValueError("layer is an empty list; give a module of the model, or a list of them.")
        for module in self.modules:
            if not isinstance(module, nn.Module):
                raise ArgumentTypeError(
                    f"layer must be a module of the model or a list of them, got {type(module).__name__}."
                )
        inside = {id(m): name for root in modules_of(forward_func) for name, m in root.named_modules()}
        self.known = [id(module) in inside for module in self.modules]
        self.names = [
            f"layer '{inside[id(module)]}'" if inside.get(id(module)) else f"layer {type(module).__name__}"
            for module in self.modules
        ]
        for index, module in enumerate(self.modules):
            if any(module is other for other in self.modules[:index]):
                raise ArgumentValueError(f"{self.names[index]} is listed twice; list each layer once.")

    def hooked(self, replace: Callable[[int, Any], Any], run: Callable[[], Any]) -> Any:
        """What `run` gives, `replace(index, value)` saying what each layer returns (or is given) in this thread.

        Raises ArgumentValueError for a second call of a layer.
        """
        thread = threading.get_ident()
        called: set[int] = set()

        def hook(index: int) -> Callable[..., Any]:
            def called_with(_module: nn.Module, *value: Any) -> Any:
                if threading.get_ident() != thread:
                    return None
                if index in called:
                    raise ArgumentValueError(
                        f"{self.names[index]} is called more than once in a forward pass, so that there is no one "
                        f"value to attribute to; give a module that is called once (one that holds it, say, or let "
                        f"the model call a module of its own each time)."
                    )
                called.add(index)
                # A pre-hook has (positional, keyword) arguments, a hook has the arguments and what was returned.
                return replace(index, value if self.to_input else value[-1])

            return called_with

        return hooked(self.modules, [hook(index) for index in range(len(self.modules))], run, before=self.to_input)


class _Recorder:
    """One pass of the model, in which each layer's value is kept, and cut from what it was computed from."""

    def __init__(self, layers: _Layers) -> None:
        self._layers = layers
        self._leaves: dict[int, list[Tensor]] = {}
        # By layer: the layers that its value was computed from.
        self.sources: dict[int, set[int]] = {}

    def run(self, inputs: Sequence[Tensor], further: Sequence[object]) -> object:
        output = self._layers.hooked(self._keep, lambda: self._layers.forward_func(*_copies([*inputs, *further])))
        for index, name in enumerate(self._layers.names):
            if index not in self._leaves:
                where = (
                    "is not called in the forward pass"
                    if self._layers.known[index]
                    else "is not in the model: it was not found in forward_func, and not called in the forward pass"
                )
                raise ArgumentValueError(f"{name} {where}; give a module that forward_func calls.")
        return output

    def held(self, index: int) -> list[Tensor]:
        return [leaf.detach() for leaf in self._leaves[index]]

    def reached_by(self, value: object) -> list[set[int]]:
        """For each layer recorded so far, in order of the list: which of its tensors `value` was computed from."""
        nodes = [leaf.grad_fn for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor) and leaf.grad_fn]
        seen: set[Any] = set(nodes)
        variables: set[int] = set()
        while nodes:
            node = nodes.pop()
            variables.add(id(getattr(node, "variable", None)))
            for following, _ in node.next_functions:
                if following is not None and following not in seen:
                    seen.add(following)
                    nodes.append(following)
        return [
            {place for place, leaf in enumerate(self._leaves.get(index, ())) if id(leaf) in variables}
            for index in range(len(self._layers.modules))
        ]

    def _keep(self, index: int, value: Any) -> Any:
        self.sources[index] = {source for source, places in enumerate(self.reached_by(value)) if places}
        held, put_back = _members(value, self._layers, index)
        self._leaves[index] = [t.detach().clone().requires_grad_() for t in held]
        return put_back([leaf.clone() for leaf in self._leaves[index]])


class _FromLayers:
    """The model's output from the layers' values and the model's arguments.

    What lies before the layers depends on the arguments alone, which are the same all along a path. They are then
    given in one row; what the layers hold brings the others in, beside which a single row broadcasts.
    """

    def __init__(self, layers: _Layers, counts: tuple[int, ...], used: tuple[bool, ...]) -> None:
        # By this name others look for what is inside a function.
        self.forward_func = layers.forward_func
        self._layers = layers
        flags = iter(used)
        self._used = [[next(flags) for _ in range(count)] for count in counts]
        # Whether the model bears one row before its layers and more behind; None until it has been seen.
        self._narrows: bool | None = None

    def __call__(self, *values: Any) -> Any:
        split = sum(map(sum, self._used))
        held, arguments = values[:split], values[split:]
        narrow = None if self._narrows is False else _narrowed(arguments, len(held[0]))
        if narrow is None:
            return self._run(held, arguments)
        if self._narrows is None:
            # Two rows will show it.
            with torch.no_grad(), torch._C.DisableTorchFunction():
                self._narrows = self._agree([h[:2] for h in held], narrow, _first(arguments, len(held[0]), 2))
        return self._run(held, narrow if self._narrows else arguments)

    def _run(self, values: Sequence[Any], arguments: Sequence[Any]) -> Any:
        remaining = iter(values)
        given = [[next(remaining) if flag else None for flag in flags] for flags in self._used]

        def replace(index: int, value: Any) -> Any:
            held, put_back = _members(value, self._layers, index)
            return put_back([h if g is None else g for h, g in zip(held, given[index], strict=True)])

        return self._layers.hooked(replace, lambda: self.forward_func(*arguments))

    def _agree(self, held: Sequence[Any], narrow: Sequence[Any], arguments: Sequence[Any]) -> bool:
        """Whether one row before the layers gives what all rows give. Copies, for a model that writes in place."""
        try:
            expected = self._run(_copies(held), _copies(arguments))
            seen = self._run(_copies(held), _copies(narrow))
        except Exception:  # noqa: BLE001  (rows that do not broadcast, or are none; without this it will be seen)
            return False
        if not isinstance(seen, Tensor) or not isinstance(expected, Tensor) or seen.shape != expected.shape:
            return False
        size = float(expected.abs().max()) if expected.numel() else 0.0
        tolerance = 64 * torch.finfo(expected.dtype).eps if expected.is_floating_point() else 0.0
        return torch.allclose(seen, expected, rtol=0.0, atol=tolerance * size)


def _narrowed(arguments: Sequence[Any], rows: int) -> list[Any] | None:
    """The arguments with one row, where all of their `rows` are the same; None where they are not, or it is one."""
    along = [a for a in arguments if isinstance(a, Tensor) and a.dim() and a.shape[0] == rows]
    if rows < 2 or not all(bool((a == a[:1]).all()) for a in along):
        return None
    return _first(arguments, rows, 1)


def _first(arguments: Sequence[Any], rows: int, count: int) -> list[Any]:
    """The first `count` of the `rows` of the arguments, of those that have rows."""
    has_rows = (isinstance(a, Tensor) and a.dim() > 0 and a.shape[0] == rows for a in arguments)
    return [a[:count] if has else a for a, has in zip(arguments, has_rows, strict=True)]


def _members(value: Any, layers: _Layers, index: int) -> tuple[list[Tensor], Callable[[list[Tensor]], Any]]:
    """The floating tensors in a layer's value, and a function that puts others in their places."""
    leaves, structure = pytree.tree_flatten(value)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    if layers.to_input:
        positional = len(pytree.tree_leaves(value[0]))
        places = [i for i in places if i < positional] or places
    if not places:
        seen = ", ".join(str(leaf.dtype) if isinstance(leaf, Tensor) else type(leaf).__name__ for leaf in leaves)
        verb, remedy = ("is given", "; attribute to its output") if layers.to_input else ("returns", "")
        raise ArgumentTypeError(
            f"{layers.names[index]} {verb} {seen or 'nothing'}, no floating tensor along which a path could lead"
            f"{remedy}."
        )

    def put_back(others: list[Tensor]) -> Any:
        changed = list(leaves)
        for place, other in zip(places, others, strict=True):
            changed[place] = other
        return pytree.tree_unflatten(changed, structure)

    return [leaves[i] for i in places], put_back


def _used(layers: _Layers, graph: _Recorder, reached: list[set[int]], allow_unused: bool) -> tuple[bool, ...]:
    for index, name in enumerate(layers.names):
        # Where the output does not depend on a layer, it does no harm that this one depends on others.
        for source in graph.sources[index] if reached[index] else ():
            raise ArgumentValueError(
                f"{layers.names[source]} is upstream of {name}, whose value would be computed from it and replaced at "
                f"once; explain them one at a time."
            )
    used = [place in reached[index] for index in range(len(reached)) for place in range(len(graph.held(index)))]
    if not allow_unused and not all(used):
        index = next(i for i, places in enumerate(reached) if len(places) < len(graph.held(i)))
        raise NotDifferentiableError(
            f"forward_func's output does not depend on {layers.names[index]}, or not on each tensor of it, through "
            f"operations that torch can differentiate; leave it out."
        )
    return tuple(used)


def _copies(arguments: Sequence[object]) -> list[object]:
    """For a model that changes its arguments in place, or arguments that were made in inference mode."""
    return [a.detach().clone() if isinstance(a, Tensor) else a for a in arguments]


def _forget(_: object) -> Any:
    return None
