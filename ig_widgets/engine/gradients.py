"""Gradients of outputs, and what the cells of the secant rule collect of them beside what F changes."""

from __future__ import annotations

import torch
from torch import Tensor

from ig_widgets.engine.devices import widest
from ig_widgets.engine.errors import NotDifferentiableError
from ig_widgets.engine.path import Path
from ig_widgets.engine.reduction import Reduction
from ig_widgets.engine.transfers import sent


def differentiate(outputs: Tensor, leaves: tuple[Tensor, ...], seeds: Tensor | None = None) -> tuple[Tensor, ...]:
    """Returns the gradients of the outputs by each of `leaves`. Raises NotDifferentiableError where there are none."""
    several = len(leaves) > 1
    if not outputs.requires_grad:
        raise NotDifferentiableError(
            f"forward_func's output does not depend on {'any of the inputs' if several else 'inputs'} through "
            f"operations that torch can differentiate; look for detach(), torch.no_grad(), numpy, argmax or rounding."
        )
    seeds = torch.ones_like(outputs) if seeds is None else seeds
    gradients = torch.autograd.grad(outputs, leaves, seeds, allow_unused=True)
    for i, gradient in enumerate(gradients):
        if gradient is None:
            name = f"inputs[{i}]" if several else "inputs"
            raise NotDifferentiableError(
                f"forward_func's output does not depend on {name}; leave it out of inputs "
                f"(additional_forward_args passes it on), or look for a detach() on its way."
            )
    return gradients


# How many units in the last place a healthy network may lose of F and of the gradient times the input. The most that
# was seen is 8, of 13 networks of up to 31 layers in float64, float32 and bfloat16, at 1 to 512 cells.
_ROUNDING = 50.0


def cell_sums(leaves: tuple[Tensor, ...], gradients: tuple[Tensor, ...], row: Tensor) -> list[Tensor]:
    """For each input what it adds to the attribution of each cell, and the size of what that is summed of: (cells,).

    `row` (cells,): where cells begin.
    """
    sums = []
    for leaf, gradient in zip(leaves, gradients, strict=True):
        wide, most = torch.promote_types(leaf.dtype, torch.float32), widest(leaf.device)
        # Copies, in which the rest is worked out.
        ends = (leaf.detach().index_select(0, sent(r, leaf.device)) for r in (row, row + 1))
        begin, end = (t.reshape(len(row), -1).to(wide) for t in ends)
        flat = gradient.reshape(len(row), -1).to(wide)
        parts = begin.neg_().add_(end).mul_(flat)
        sums += [parts.sum(1, dtype=most), parts.abs_().add_(end.mul_(flat).abs_()).sum(1, dtype=most)]
    return sums


def defects_of(values: Tensor, sums: list[Tensor], row: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """What the attributions of each cell miss the rise of F by, and what rounding explains of that: (cells,) float64.

    `values` (rows,) are F, `sums` those of `cell_sums`, on the CPU, `eps` is the unit of rounding.
    """
    # Where F passes zero, what it is summed of does not.
    total, size = torch.zeros(len(row), dtype=torch.float64, device="cpu"), values.abs().max().expand(len(row))
    for part, beside in zip(sums[::2], sums[1::2], strict=True):
        total += part
        size = size + beside
    return total - (values[row + 1] - values[row]), _ROUNDING * eps * size


def coarsest_rounding(dtypes: set[torch.dtype], leaf: Tensor) -> float:
    """The coarsest rounding of a pass whose tensors were of these dtypes."""
    numbers = [d for d in (*dtypes, leaf.dtype) if d.is_floating_point or d.is_complex]
    eps = max(torch.finfo(d).eps for d in numbers)
    # Products of float32 may be taken in TF32, which keeps 10 bits.
    rough = leaf.is_cuda and (torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32)
    return max(eps, 2.0**-11) if rough and torch.float32 in numbers else eps


def weighed(
    path: Path, reduction: Reduction | None, gradients: tuple[Tensor, ...], tangents: tuple[Tensor, ...]
) -> tuple[tuple[Tensor, ...], list[Tensor], tuple[Tensor, ...]]:
    """Returns what is kept of the gradients, what of dF/dalpha each input gives, (rows,), and what has to be finite."""
    products = tuple(tangent * gradient for tangent, gradient in zip(tangents, gradients, strict=True))
    density = [p.reshape(len(p), -1).sum(1) for p in products]
    checked = gradients if path.is_straight else products
    return checked if reduction is None else reduction(products), density, checked
