"""The layers of a model, found by module, name or position, and what each call of them gives in a forward pass."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, NotDifferentiableError
from ig_widgets.engine.hooks import hooked
from ig_widgets.engine.model import ForwardFunc, modules_of
from ig_widgets.engine.output import Output, chosen

Layer: TypeAlias = nn.Module | str | list[nn.Module | str | int]
# A call of a layer: its place in the list, and which call of it in a pass.
Call: TypeAlias = tuple[int, int]
# What `layer` gives in all calls, and what is put in its place.
Replace: TypeAlias = Callable[[Call, Any], Any]

# What DataParallel and torch.compile call the module that they wrap.
_WRAPPERS = ("module", "_orig_mod")
# So many names are listed where one is not found.
_MOST = 12


class Layers:
    """The listed modules (and positions of inputs), what to call them in a message, and hooks on them.

    `forward_func` is called as the model; `output` names the tensor of what it returns that counts.
    """

    def __init__(self, forward_func: ForwardFunc, layer: object, to_input: bool, output: Output = None) -> None:
        self.forward_func = forward_func
        self.to_input = to_input
        self._output = output
        given: list[Any] = list(layer) if isinstance(layer, list) else [layer]
        if not given:
            raise ArgumentValueError("layer is an empty list; give a module of the model, or a list of them.")
        inside = {id(m): name for root in modules_of(forward_func) for name, m in root.named_modules()}
        self.modules: list[nn.Module | int] = [self._found(one, isinstance(layer, list)) for one in given]
        self.known = [isinstance(module, int) or id(module) in inside for module in self.modules]
        self.names = [
            f"inputs[{module}]"
            if isinstance(module, int)
            else f"layer '{inside[id(module)]}'"
            if inside.get(id(module))
            else f"layer {type(module).__name__}"
            for module in self.modules
        ]
        for index, module in enumerate(self.modules):
            if isinstance(module, torch.jit.ScriptModule):
                raise ArgumentTypeError(
                    f"{self.names[index]} is TorchScript, in which no layer can be looked into; give a layer of the "
                    f"model from which it was made."
                )
            if any(module is other for other in self.modules[:index]):
                raise ArgumentValueError(f"{self.names[index]} is listed twice; list each layer once.")

    def _found(self, layer: object, listed: bool) -> nn.Module | int:
        if isinstance(layer, nn.Module):
            return layer
        if isinstance(layer, int) and not isinstance(layer, bool) and listed and layer >= 0:
            return layer
        if not isinstance(layer, str):
            raise ArgumentTypeError(
                f"layer must be a module of the model, its dotted name, or a list of them, got {type(layer).__name__}."
            )
        roots = modules_of(self.forward_func)
        every = [(name, module) for root in roots for name, module in root.named_modules() if name]
        found: dict[int, nn.Module] = {id(module): module for name, module in every if name == layer}
        if not found and layer.partition(".")[0] in _WRAPPERS:
            # As the wrapper calls what is inside.
            return self._found(layer.partition(".")[2], listed)
        if not found:
            names = list(dict.fromkeys(name for name, _ in every))
            near = difflib.get_close_matches(layer, names, 3) or [n for n in names if n.endswith(f".{layer}")]
            there = f"{', '.join(map(repr, (near or names)[:_MOST]))}{', ...' if len(near or names) > _MOST else ''}"
            names_there = (
                f"{'the nearest are' if near else 'there are'} {there}" if names else "it has no modules inside"
            )
            raise ArgumentValueError(f"layer names {layer!r}, and forward_func has no such module; {names_there}.")
        if len(found) > 1:
            raise ArgumentValueError(
                f"layer names {layer!r}, which is a module of {len(found)} models in forward_func; give the module."
            )
        (module,) = found.values()
        return module

    def run(self, arguments: Sequence[Any], keywords: Mapping[str, Any], replace: Replace) -> Tensor:
        """The explained tensor of the model's output, `replace(call, value)` saying what each layer gives in a call."""
        arguments = list(arguments)
        for index, position in enumerate(self.modules):
            if isinstance(position, int):
                if position >= len(arguments):
                    raise ArgumentValueError(f"layer lists inputs[{position}], and there are {len(arguments)} inputs.")
                arguments[position] = replace((index, 0), arguments[position])
        return self._hooked(replace, lambda: chosen(self.forward_func(*arguments, **keywords), self._output))

    def _hooked(self, replace: Replace, act: Callable[[], Tensor]) -> Tensor:
        """What `act` gives, with hooks on the layers in this thread's calls alone."""
        thread = threading.get_ident()
        calls = [0] * len(self.modules)

        def hook(index: int) -> Callable[..., Any]:
            def run(_module: nn.Module, *value: Any) -> Any:
                if threading.get_ident() != thread:
                    return None
                call, calls[index] = (index, calls[index]), calls[index] + 1
                # A pre-hook has (positional, keyword) arguments, a hook has the arguments and what was returned.
                return replace(call, value if self.to_input else value[-1])

            return run

        listed = [(index, module) for index, module in enumerate(self.modules) if not isinstance(module, int)]
        hooks = [hook(index) for index, _ in listed]
        return hooked([module for _, module in listed], hooks, act, before=self.to_input)

    def members(self, value: Any, index: int) -> tuple[list[Tensor], Callable[[Sequence[Tensor]], Any]]:
        """The floating tensors in a layer's value, and a function that puts others in their places."""
        leaves, structure = pytree.tree_flatten(value)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
        if self.to_input and not isinstance(self.modules[index], int):
            positional = len(pytree.tree_leaves(value[0]))
            places = [i for i in places if i < positional] or places
        if not places:
            seen = ", ".join(str(leaf.dtype) if isinstance(leaf, Tensor) else type(leaf).__name__ for leaf in leaves)
            verb, remedy = ("is given", "; attribute to its output") if self.to_input else ("returns", "")
            raise ArgumentTypeError(
                f"{self.names[index]} {verb} {seen or 'nothing'}, no floating tensor along which a path could lead"
                f"{remedy}."
            )

        def put_back(others: Sequence[Tensor]) -> Any:
            changed = list(leaves)
            for place, other in zip(places, others, strict=True):
                changed[place] = other
            return pytree.tree_unflatten(changed, structure)

        return [leaves[i] for i in places], put_back


class Recorder:
    """One pass of the model, in which each layer's values are kept, and cut from what they were computed from."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._leaves: dict[Call, list[Tensor]] = {}
        # By call: the calls that its value was computed from.
        self.sources: dict[Call, set[Call]] = {}

    def run(self, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Tensor:
        """The explained tensor. Raises ArgumentValueError for a layer that is not called."""
        output = self._layers.run(copies(arguments), pytree.tree_map_only(Tensor, _copy, dict(keywords)), self._keep)
        for index, name in enumerate(self._layers.names):
            if (index, 0) not in self._leaves:
                where = (
                    "is not called in the forward pass"
                    if self._layers.known[index]
                    else "is not in the model: it was not found in forward_func, and not called in the forward pass"
                )
                raise ArgumentValueError(f"{name} {where}; give a module that forward_func calls.")
        return output

    @property
    def calls(self) -> list[Call]:
        """By layer, and of each in their order."""
        return sorted(self._leaves)

    def held(self, call: Call) -> list[Tensor]:
        """What was given in a call."""
        return [leaf.detach() for leaf in self._leaves[call]]

    def shapes(self, index: int) -> list[tuple[int, ...]]:
        """Of all that a layer gives."""
        return [tuple(t.shape) for call in self.calls if call[0] == index for t in self._leaves[call]]

    def reached_by(self, value: object) -> dict[Call, set[int]]:
        """For each call recorded so far: which of its tensors `value` was computed from."""
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
        return {
            call: {place for place, leaf in enumerate(leaves) if id(leaf) in variables}
            for call, leaves in self._leaves.items()
        }

    def _keep(self, call: Call, value: Any) -> Any:
        self.sources[call] = {source for source, places in self.reached_by(value).items() if places}
        held, put_back = self._layers.members(value, call[0])
        self._leaves[call] = [t.detach().clone().requires_grad_() for t in held]
        return put_back([leaf.clone() for leaf in self._leaves[call]])


def used_tensors(layers: Layers, graph: Recorder, output: Tensor, allow_unused: bool) -> tuple[bool, ...]:
    """Which tensors the output depends on, in the order of calls. Raises ArgumentValueError, NotDifferentiableError."""
    reached = graph.reached_by(output)
    for call in graph.calls:
        # Where the output does not depend on a call, it does no harm that this one depends on others.
        for source in graph.sources[call] if reached[call] else ():
            own, other = layers.names[call[0]], layers.names[source[0]]
            if source[0] == call[0]:
                raise ArgumentValueError(
                    f"{own} is called more than once in a forward pass, and one call is computed from another, whose "
                    f"value would be replaced at once; give a module that holds all of these calls, or one before them."
                )
            raise ArgumentValueError(
                f"{other} is upstream of {own}, whose value would be computed from it and replaced at "
                f"once; explain them one at a time."
            )
    used = tuple(place in reached[call] for call in graph.calls for place in range(len(graph.held(call))))
    for index, name in enumerate(layers.names):
        own_calls = [call for call in graph.calls if call[0] == index]
        # Of several calls some may be idle.
        if not allow_unused and not any(len(reached[call]) == len(graph.held(call)) for call in own_calls):
            raise NotDifferentiableError(
                f"forward_func's output does not depend on {name}, or not on each tensor of it, through "
                f"operations that torch can differentiate; leave it out."
            )
    return used


def copies(arguments: Sequence[Any]) -> list[Any]:
    """For a model that changes its arguments in place, or arguments that were made in inference mode."""
    return [_copy(a) if isinstance(a, Tensor) else a for a in arguments]


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()
