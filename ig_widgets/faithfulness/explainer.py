"""Calls the method of explanation that a check is about: `attribute`, or a function of the caller."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ig_widgets.engine.attribution import Attribution, attribute
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.norms import norms
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Tensors
from ig_widgets.engine.state_guard import StateGuard
from ig_widgets.engine.target import TargetLike
from ig_widgets.faithfulness.subject import make_subject

Explain: TypeAlias = Callable[..., Attribution | Tensors]


class Explainer:
    """Maps by `explain`, called with (model, inputs), or (model, inputs, baselines) where the check sets these.

    `layer` is that of `attribute`, or what makes it of a model. None is `attribute` with its defaults and the arguments
    given here.
    """

    def __init__(
        self,
        explain: Explain | None,
        *,
        baselines: Baselines = None,
        target: TargetLike = None,
        additional_forward_args: object = None,
        forward_kwargs: ForwardKwargs = None,
        output: Output = None,
        layer: Layer | Callable[[ForwardFunc], Layer] | None = None,
        chunk_size: int | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        if explain is not None and not callable(explain):
            raise ArgumentTypeError(
                f"explain must be a callable (model, inputs) -> Attribution or tensor, got {type(explain).__name__}."
            )
        given = (baselines, target, additional_forward_args, forward_kwargs, output, layer, chunk_size)
        if explain is not None and any(argument is not None for argument in given):
            raise ArgumentValueError(
                "explain is given, so that baselines, target, additional_forward_args, forward_kwargs, output, layer "
                "and chunk_size are its own affair; leave them out here."
            )
        self._explain = explain
        self._arguments: dict[str, Any] = {
            "target": target,
            "additional_forward_args": additional_forward_args,
            "forward_kwargs": forward_kwargs,
            "output": output,
            "chunk_size": chunk_size,
            "cancel": cancel,
        }
        self._baselines, self._layer = baselines, layer

    def __call__(self, model: ForwardFunc, inputs: Tensors, *baselines: Tensors) -> tuple[Tensor, ...]:
        """The map of `model` at `inputs` (batch, ...), detached, of several tensors each; the model is left as it was.

        Raises ArgumentTypeError, ArgumentValueError for what is no map of each example, and what `explain` raises.
        """
        explain, xs = self._explain, inputs if isinstance(inputs, tuple) else (inputs,)
        if explain is None:
            start = baselines[0] if baselines else self._baselines
            if self._layer is not None:
                return self._of_layer(model, inputs, start)
            found: object = attribute(model, inputs, baselines=start, **self._arguments)
        else:
            copies: Tensors = tuple(x.clone() for x in xs) if isinstance(inputs, tuple) else inputs.clone()
            found = StateGuard(model, xs[0].device).run(lambda: explain(model, copies, *baselines), gradients=True)
        return _as_maps(found, len(xs[0]))

    def _of_layer(self, model: ForwardFunc, inputs: Tensors, baselines: Baselines) -> tuple[Tensor, ...]:
        layer, options = self._layer, dict(self._arguments)
        if callable(layer) and not isinstance(layer, nn.Module):
            layer = layer(model)
        further = {name: options.pop(name) for name in ("additional_forward_args", "forward_kwargs", "output")}
        subject = make_subject(model, inputs, baselines, layer=layer, target=options["target"], **further)
        found = attribute(
            subject.forward_func, subject.inputs, baselines=subject.baselines, **subject.further, **options
        )
        return _as_maps(subject.added_up(found.attributions), subject.batch)


def _as_maps(found: object, batch: int) -> tuple[Tensor, ...]:
    values = found.attributions if isinstance(found, Attribution) else found
    members = tuple(values) if isinstance(values, tuple | list) else (values,)
    if not members:
        raise ArgumentTypeError("explain must return an Attribution or tensors, it returned an empty tuple.")
    for member in members:
        if not isinstance(member, Tensor):
            kind = type(member).__name__
            raise ArgumentTypeError(f"explain must return an Attribution or a tensor, it returned {kind}.")
        if member.dim() == 0 or len(member) != batch:
            raise ArgumentValueError(
                f"explain returned shape {tuple(member.shape)} for {batch} examples; the first dimension must be the "
                f"examples."
            )
        if member.is_complex() or not torch.isfinite(member).all():
            raise ArgumentValueError(
                "explain returned values that are NaN, infinite or complex, which cannot be compared."
            )
    return tuple(member.detach() for member in members)


def flat(maps: tuple[Tensor, ...]) -> Tensor:
    """All that was attributed to each example, (batch, features), float64 on the CPU."""
    return torch.cat([values.detach().cpu().double().reshape(len(values), -1) for values in maps], dim=1)


def relative_difference(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> Tensor:
    """The L2 norm of one - other over that of other (batch,), or as it is where other is all zeros; float64, CPU."""
    a, b = flat(one), flat(other)
    scale = norms([b])
    return norms([a - b]) / torch.where(scale == 0, 1.0, scale)
