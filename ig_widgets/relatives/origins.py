"""Converts a distribution of baselines in any usual form to rows of tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.number_text import counted
from ig_widgets.engine.path import Tensors, make_ends


def make_origins(inputs: Tensors, baselines: object, *, integers: bool = False) -> tuple[Tensor, ...]:
    """A distribution of baselines as rows (K, ...) for each input; None is zeros. `integers`: also of token ids.

    Raises ArgumentTypeError, ArgumentValueError that name what was seen.
    """
    xs = make_ends(inputs, None, integers=integers)[0]
    if callable(baselines) and not isinstance(baselines, Tensor):
        baselines = baselines(inputs)
    given = tuple(baselines) if isinstance(baselines, tuple | list) else (baselines,) * len(xs)
    if len(given) != len(xs) or (isinstance(baselines, Tensor) and len(xs) > 1):
        raise ArgumentValueError(
            f"baselines must be one distribution for each of {counted(len(xs), 'input')}, a tensor (K, ...) of K "
            f"baselines{' (torch.cat makes one of a list)' if len(xs) == 1 else ', in a tuple'}."
        )
    rows = tuple(_rows(b, x) for b, x in zip(given, xs, strict=True))
    most = max(len(r) for r in rows)
    if any(len(r) not in (1, most) for r in rows):
        seen = ", ".join(str(len(r)) for r in rows)
        raise ArgumentValueError(
            f"baselines has {seen} rows; those of one baseline belong together: give as many each."
        )
    return tuple(r.expand(most, *r.shape[1:]).contiguous() for r in rows)


def _rows(baseline: object, x: Tensor) -> Tensor:
    if baseline is None:
        baseline = 0.0
    if isinstance(baseline, int | float) and not isinstance(baseline, bool):
        baseline = torch.tensor(float(baseline), device="cpu")
    if not isinstance(baseline, Tensor):
        raise ArgumentTypeError(
            f"baselines must be None, a number, a tensor (K, ...) of K baselines or a callable that is given the "
            f"inputs, got {type(baseline).__name__}."
        )
    if baseline.is_complex() or (baseline.is_floating_point() and baseline.dim() and not x.is_floating_point()):
        raise ArgumentTypeError(f"baselines holds {baseline.dtype}, its input {x.dtype}; give values of its kind.")
    value = baseline.detach().to(device=x.device, dtype=x.dtype, copy=True)
    value = value.unsqueeze(0) if value.dim() < x.dim() else value
    try:
        value = value.expand(len(value), *x.shape[1:])
    except RuntimeError:
        raise ArgumentValueError(
            f"baselines has shape {tuple(baseline.shape)}, an example {tuple(x.shape[1:])}; give K baselines as "
            f"(K, {', '.join(str(size) for size in x.shape[1:])})."
        ) from None
    if not torch.isfinite(value).all() or not len(value):
        raise ArgumentValueError("baselines is empty, or holds NaN or infinite values.")
    return value
