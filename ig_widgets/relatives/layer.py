"""Applies the relatives to the output of a layer, as a function of which the rest of the model is explained."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ParamSpec

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.errors import ArgumentValueError, Cancelled
from ig_widgets.engine.layers import Inside, from_layer
from ig_widgets.engine.model import as_args, as_kwargs, tensors_changed
from ig_widgets.engine.path import Tensors
from ig_widgets.relatives.origins import make_origins

_P = ParamSpec("_P")


def of_layer(
    *, adds_up: bool = True, draws_baselines: bool = False
) -> Callable[[Callable[_P, Attribution]], Callable[_P, Attribution]]:
    """Let a relative take `layer`, as `attribute` does: what is attributed to, drawn about or walked is what it gives.

    `adds_up`: whether maps of several calls of a layer may be added up. `draws_baselines`: whether `baselines` is a
    distribution, of which the layer's values are taken at each.
    """

    def wrapped(function: Callable[_P, Attribution]) -> Callable[_P, Attribution]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> Attribution:
            if kwargs.get("layer") is None:
                return function(*args, **kwargs)
            given = signature.bind(*args, **kwargs).arguments
            inside = _inside(given, draws_baselines)
            if not adds_up and any(len(own) > 1 for own in inside.parts):
                raise ArgumentValueError(
                    f"layer is called several times, and what {function.__name__} says of each call does not add up; "
                    f"give a module that is called once."
                )
            starts = _origins(given, inside) if draws_baselines else inside.baselines
            given |= {"forward_func": inside.function, "inputs": inside.inputs, "baselines": starts, "layer": None}
            given |= {"additional_forward_args": inside.arguments, "forward_kwargs": inside.keywords, "output": None}
            ask: Callable[..., Attribution] = function
            try:
                return _as_held(ask(**given), inside)
            except Cancelled as cancelled:
                if cancelled.partial is not None:
                    cancelled.partial = _as_held(cancelled.partial, inside)
                raise

        return call

    return wrapped


def _inside(given: dict[str, Any], draws_baselines: bool) -> Inside:
    names = ("additional_forward_args", "forward_kwargs", "output")
    return from_layer(
        given["forward_func"],
        given["layer"],
        given["inputs"],
        None if draws_baselines else given.get("baselines"),
        *(given.get(name) for name in names),
        target=given.get("target"),
        cancel=given.get("cancel"),
    )


def _origins(given: dict[str, Any], inside: Inside) -> Tensors:
    """What the layer gives at each of K baselines, (K, ...) of each tensor."""
    inputs = given["inputs"]
    origins = make_origins(inputs, given.get("baselines"), integers=True)
    batch, rows = len(inside.inputs[0]), len(origins[0])
    further: Any = as_args(given.get("additional_forward_args")), as_kwargs(given.get("forward_kwargs"))

    def follows(value: object) -> bool:
        return isinstance(value, Tensor) and value.dim() > 0 and value.shape[0] == batch

    if batch > 1 and any(map(follows, pytree.tree_leaves(further))):
        raise ArgumentValueError(
            "baselines with layer= need further arguments that are the same for all examples, since what the layer "
            "gives at a baseline depends on them; ask for the examples one by one."
        )
    extra, keywords = tensors_changed(further, lambda value: torch.cat([value] * rows) if follows(value) else value)
    found = from_layer(given["forward_func"], given["layer"], origins, origins, extra, keywords, given.get("output"))
    if len(found.inputs) != len(inside.inputs):
        raise ArgumentValueError("layer gives other tensors at baselines than at inputs; there is no path between.")
    return found.inputs


def _as_held(result: Attribution, inside: Inside) -> Attribution:
    """The result in the shapes of what the layer gives."""
    shared = any(len(own) > 1 for own in inside.parts)
    # Errors of several calls do not add up.
    errors = None if shared or result.standard_error is None else inside.as_held(_members(result.standard_error))
    return replace(result, attributions=inside.as_held(_members(result.attributions)), standard_error=errors)


def _members(values: Tensors) -> Sequence[Tensor]:
    return values if isinstance(values, tuple) else (values,)


def refuse_layer(layer: object, why: str) -> None:
    """Raise ArgumentValueError where a layer is asked for."""
    if layer is not None:
        raise ArgumentValueError(f"layer cannot be given here: {why}; igw.attribute takes it.")
