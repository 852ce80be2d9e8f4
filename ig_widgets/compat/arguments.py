"""Converts arguments in the forms that Captum takes to those of the engine."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.state_guard import StateGuard
from ig_widgets.engine.target import Target, TargetLike, make_target

Number: TypeAlias = int | float
CaptumBaselines: TypeAlias = None | Tensor | Number | tuple[Tensor | Number, ...]

# Keywords of torch.autograd.grad that make sense for a sum of detached gradients.
_GRAD_KWARGS = {"allow_unused", "create_graph", "materialize_grads", "retain_graph"}


def as_tuples(
    inputs: object, baselines: object, rows: object
) -> tuple[tuple[Tensor, ...], tuple[Tensor | Number, ...]]:
    """Inputs and baselines as tuples of one length; numbers stay numbers."""
    xs = inputs if isinstance(inputs, tuple) else (inputs,)
    bs = baselines if isinstance(baselines, tuple) else (0 if baselines is None else baselines,)
    if baselines is None:
        bs *= len(xs)
    for x in xs:
        if not isinstance(x, Tensor):
            raise ArgumentTypeError(f"inputs must be a tensor or a tuple of tensors, got {type(x).__name__}.")
        if x.dim() == 0:
            raise ArgumentValueError("inputs holds a scalar; the first dimension must be the batch.")
    for b in bs:
        if not isinstance(b, Tensor | int | float):
            raise ArgumentTypeError(
                f"baselines must be None, numbers or tensors, or a tuple of these, got {type(b).__name__}."
            )
    if len(xs) != len(bs):
        raise ArgumentValueError(f"baselines has {len(bs)} members, inputs has {len(xs)}; give one for each.")
    for x, b in zip(xs, bs, strict=True):
        if isinstance(b, Tensor) and b.dim() and b.shape != x.shape and len(b) != 1:
            raise ArgumentValueError(
                f"baselines holds shape {tuple(b.shape)} for an input of {tuple(x.shape)}; give a number, a tensor of "
                f"that shape, or one of {(1, *x.shape[1:])} for all examples."
            )
    if isinstance(rows, int) and rows < len(xs[0]):
        warnings.warn(
            f"internal_batch_size is {rows}, less than the {len(xs[0])} examples; {len(xs[0])} is used.", stacklevel=4
        )
    return xs, tuple(int(b) if isinstance(b, bool) else b for b in bs)


def check_rule(method: object, n_steps: int) -> rules.Nodes:
    """Points and weights of one of Captum's rules. Raises ArgumentValueError."""
    if method not in rules.RULES:
        raise ArgumentValueError(f"method={method!r} is unknown; use one of {', '.join(rules.RULES)}.")
    return rules.nodes(str(method), n_steps)


def captums_points(rule: rules.Nodes, method: str, xs: Sequence[Tensor]) -> rules.Nodes:
    """The rule at Captum's points for single precision: those of the Riemann sums it takes from float32's `linspace`.

    They are off by a last digit, and so is what is computed there. In other precisions the points are exact.
    """
    n = len(rule.alphas)
    if method == "gausslegendre" or any(x.dtype != torch.float32 for x in xs):
        return rule
    low, high = {
        "riemann_left": (0.0, 1 - 1 / n),
        "riemann_right": (1 / n, 1.0),
        "riemann_middle": (1 / (2 * n), 1 - 1 / (2 * n)),
        "riemann_trapezoid": (0.0, 1.0),
    }[method]
    points = torch.linspace(low, high, n, dtype=torch.float32, device="cpu").double().numpy()
    return replace(rule, alphas=points)


def as_extra(additional_forward_args: object) -> tuple[object, ...]:
    """Further arguments as a tuple."""
    if additional_forward_args is None:
        return ()
    return additional_forward_args if isinstance(additional_forward_args, tuple) else (additional_forward_args,)


def as_target(target: TargetLike) -> Any:
    """NumPy's integers and arrays, which Captum refuses, as Python's and torch's."""
    if isinstance(target, np.integer):
        return int(target)
    if isinstance(target, np.ndarray):
        return torch.from_numpy(target)
    return [as_target(t) for t in target] if isinstance(target, list) else target


def check_target(target: TargetLike, batch: int) -> Target:
    """The target, one for all examples or as many as there are. Raises ArgumentValueError."""
    if isinstance(target, list) and len(target) != batch:
        raise ArgumentValueError(f"target has {len(target)} entries, inputs has {batch} examples; give one each.")
    return make_target(target, batch)


def grad_options(grad_kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """Keywords for torch.autograd.grad. Raises ArgumentTypeError, ArgumentValueError."""
    unknown = set(grad_kwargs or ()) - _GRAD_KWARGS
    if unknown:
        raise ArgumentTypeError(
            f"grad_kwargs holds {', '.join(sorted(unknown))}; use any of {', '.join(sorted(_GRAD_KWARGS))}."
        )
    return grad_kwargs or {}


def repeated(value: Any, steps: int) -> Any:
    """Repeat a tensor's rows, or a list's members, as Captum does."""
    if isinstance(value, Tensor):
        return torch.cat([value] * steps) if value.dim() else value
    return value * steps if isinstance(value, list) else value


def full(baseline: Tensor | Number, x: Tensor) -> Tensor:
    """Expand a baseline to the shape of its input."""
    if not isinstance(baseline, Tensor):
        return torch.full_like(x, baseline)
    try:
        return baseline.expand(x.shape)
    except RuntimeError:
        raise ArgumentValueError(
            f"baselines holds shape {tuple(baseline.shape)} for an input of {tuple(x.shape)}."
        ) from None


def floating(x: Tensor) -> Tensor:
    """Convert integers to floats, of which Captum's path is made."""
    return (
        x.to(torch.get_default_dtype()) if not (x.is_floating_point() or x.is_complex() or x.dtype == torch.bool) else x
    )


def wide(x: Tensor) -> Tensor:
    """Convert to float32 at least."""
    return x.float() if x.is_floating_point() and x.element_size() < 4 else x


@contextmanager
def explain_integers(xs: tuple[Tensor, ...]) -> Iterator[None]:
    """A context that adds to an error on integer inputs how to call with embeddings."""
    try:
        yield
    except Exception as error:
        if any(not x.is_floating_point() for x in xs):
            error.add_note(
                "inputs holds integers, and the points between them and the baselines are floats. For token ids "
                "explain the embeddings: LayerIntegratedGradients(model, model.embedding)."
            )
        raise


def delta(
    method: Any,
    maps: Sequence[Tensor],
    xs: tuple[Tensor, ...],
    bs: tuple[Tensor | Number, ...],
    target: TargetLike,
    additional_forward_args: object,
) -> Tensor:
    """Captum's own delta of finished attributions, with the model and its inputs left as found."""

    def run() -> Tensor:
        delta: Tensor = method.compute_convergence_delta(
            tuple(maps),
            tuple(b.detach().clone() if isinstance(b, Tensor) else b for b in bs),
            tuple(x.detach().clone() for x in xs),
            target=target,
            additional_forward_args=additional_forward_args,
        )
        return delta

    return StateGuard(method.forward_func, xs[0].device).run(run, gradients=torch.is_grad_enabled())
