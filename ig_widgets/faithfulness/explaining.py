"""Methods of explanation as the checks call them: a map of a model at inputs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from ig_widgets.engine.attribution import Attribution, attribute
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.keeper import Keeper
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.norms import norms
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines
from ig_widgets.engine.target import TargetLike

Explain: TypeAlias = Callable[..., Attribution | Tensor]


class Explainer:
    """Maps by `explain`, called with (model, inputs), or (model, inputs, baselines) where the check sets these.

    None is `attribute` with its defaults and the arguments given here.
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
        chunk_size: int | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        if explain is not None and not callable(explain):
            raise ArgumentTypeError(
                f"explain must be a callable (model, inputs) -> Attribution or tensor, got {type(explain).__name__}."
            )
        given = (baselines, target, additional_forward_args, forward_kwargs, output, chunk_size)
        if explain is not None and any(argument is not None for argument in given):
            raise ArgumentValueError(
                "explain is given, so that baselines, target, additional_forward_args, forward_kwargs, output and "
                "chunk_size are its own affair; leave them out here."
            )
        self._explain = explain
        self._arguments = {
            "target": target,
            "additional_forward_args": additional_forward_args,
            "forward_kwargs": forward_kwargs,
            "output": output,
            "chunk_size": chunk_size,
            "cancel": cancel,
        }
        self._baselines = baselines

    def __call__(self, model: ForwardFunc, inputs: Tensor, *baselines: Tensor) -> Tensor:
        """The map of `model` at `inputs` (batch, ...), detached; the model is left as it was found.

        Raises ArgumentTypeError, ArgumentValueError for what is no map of each example, and what `explain` raises.
        """
        explain = self._explain
        if explain is None:
            start = baselines[0] if baselines else self._baselines
            found: object = attribute(model, inputs, baselines=start, **self._arguments)  # type: ignore[arg-type]
        else:
            found = Keeper(model, inputs.device).run(lambda: explain(model, inputs.clone(), *baselines), gradients=True)
        return _as_map(found, inputs)


def _as_map(found: object, inputs: Tensor) -> Tensor:
    values = found.attributions if isinstance(found, Attribution) else found
    if not isinstance(values, Tensor):
        raise ArgumentTypeError(f"explain must return an Attribution or a tensor, it returned {type(found).__name__}.")
    if values.dim() == 0 or len(values) != len(inputs):
        raise ArgumentValueError(
            f"explain returned shape {tuple(values.shape)} for {len(inputs)} examples; the first dimension must be the "
            f"examples."
        )
    if values.is_complex() or not torch.isfinite(values).all():
        raise ArgumentValueError("explain returned values that are NaN, infinite or complex, which cannot be compared.")
    return values.detach()


def relative_difference(one: Tensor, other: Tensor) -> Tensor:
    """The L2 norm of one - other over that of other (batch,), or as it is where other is all zeros; float64, CPU."""
    a, b = (values.detach().cpu().double() for values in (one, other))
    scale = norms([b])
    return norms([a - b]) / torch.where(scale == 0, 1.0, scale)
