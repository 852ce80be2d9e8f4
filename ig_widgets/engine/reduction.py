"""Reductions: linear functions that make the map of each sample smaller before it is kept.

Of 512 tokens with 4,096 dimensions a sample takes 8 MB in float32; summed over the dimensions it takes 2 kB. An
attribution is a weighted sum of samples, so a linear function may as well be applied to each of them as to their sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.path import wide

ReduceOne: TypeAlias = Callable[[Tensor], Tensor]
Reduce: TypeAlias = None | ReduceOne | Sequence[ReduceOne | None]

# How far a reduction of a sum may be off the sum of reductions, relative: more than TF32 rounds, less than any
# nonlinear function shows on random values.
_LINEAR = 1e-2
_SEED = 16


@dataclass(frozen=True, eq=False)
class Reduction:
    """One linear function for each input, or None, and the shapes (...) of the maps that they give, without the rows.

    `like`: one row (1, ...) of each input, in the dtype that products have.
    """

    functions: tuple[ReduceOne | None, ...]
    shapes: tuple[tuple[int, ...], ...]
    like: tuple[Tensor, ...]

    def __call__(self, products: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Of products (rows, ...) of gradient and x - x' the maps that are kept (rows, *shape).

        Raises ArgumentValueError where a shape is another than it was at first.
        """
        return tuple(
            product if function is None else _kept(function(product), (len(product), *shape))
            for function, product, shape in zip(self.functions, products, self.shapes, strict=True)
        )

    @cached_property
    def members(self) -> Tensor | None:
        """Which value of the map each feature is added to, (features,), -1 where it is left out.

        None where the maps are no sums of features, each of which counts once at most.
        """
        found, offset = [], 0
        for function, row, shape in zip(self.functions, self.like, self.shapes, strict=True):
            own = torch.arange(row.numel(), device="cpu") if function is None else _members(function, row, shape)
            if own is None:
                return None
            found.append(torch.where(own >= 0, own + offset, own))
            offset += math.prod(shape)
        return torch.cat(found)


def make_reduction(reduce: Reduce, inputs: tuple[Tensor, ...]) -> Reduction | None:
    """The reduction of samples of paths to `inputs` (batch, ...); None where nothing is to be reduced.

    `reduce`: a function of all inputs, or one for each, None for those that stay as they are. Each is called with a
    few random rows. Raises ArgumentTypeError, ArgumentValueError: it is no function, does not keep the rows, or is not
    linear.
    """
    if reduce is None:
        return None
    functions = tuple(reduce) if isinstance(reduce, Sequence) else (reduce,) * len(inputs)
    if len(functions) != len(inputs):
        raise ArgumentValueError(
            f"reduce has {len(functions)} members for {len(inputs)} tensors; give one for each, or one for all."
        )
    if all(function is None for function in functions):
        return None
    names = [f"reduce[{i}]" if isinstance(reduce, Sequence) else "reduce" for i in range(len(functions))]
    for name, function in zip(names, functions, strict=True):
        if function is not None and not callable(function):
            raise ArgumentTypeError(
                f"{name} must be a function (rows, ...) -> (rows, ...) of tensors, got {type(function).__name__}."
            )
    like = tuple(wide(x[:1]) for x in inputs)
    shapes = [
        tuple(row.shape[1:]) if function is None else _checked_shape(function, row, name)
        for function, row, name in zip(functions, like, names, strict=True)
    ]
    return Reduction(functions, tuple(shapes), like)


def _kept(reduced: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`reduced` with memory of its own: of a part of a tensor torch would keep the whole."""
    if reduced.shape != shape:
        raise ArgumentValueError(
            f"reduce gave shape {tuple(reduced.shape)} where {shape} was expected, as of fewer rows; it must take any "
            f"number of rows and keep each apart."
        )
    reduced = reduced.detach()
    if reduced.untyped_storage().nbytes() != reduced.nbytes:
        return reduced.clone(memory_format=torch.contiguous_format)
    return reduced


def _checked_shape(function: ReduceOne, row: Tensor, name: str) -> tuple[int, ...]:
    """The shape of what the function gives of one row, without the rows."""
    generator = torch.Generator("cpu").manual_seed(_SEED)
    one, other = (torch.rand(row.shape, generator=generator, device="cpu").to(row) - 0.5 for _ in range(2))
    # The model is given no such rows: only the function is.
    alone, rows = (_called(function, values, name) for values in (one, torch.cat([one, other, one + other, -2 * one])))
    if alone.shape[1:] != rows.shape[1:]:
        raise ArgumentValueError(
            f"{name} made {tuple(alone.shape)} of {tuple(one.shape)} and {tuple(rows.shape)} of "
            f"{(4, *one.shape[1:])}; it must keep each row apart."
        )
    off = torch.stack([rows[0] + rows[1] - rows[2], 2 * rows[0] + rows[3], rows[0] - alone[0]]).abs().max()
    if not bool(off <= _LINEAR * rows.abs().max()):
        raise ArgumentValueError(
            f"{name} is not linear, or does not keep rows apart: it gave other values of a sum of rows than the sum of "
            f"what it gave of each. Sums, means, choices and products with constants are linear; absolute values, "
            f"norms and maxima are not: take these of the finished map."
        )
    return tuple(alone.shape[1:])


def _called(function: ReduceOne, rows: Tensor, name: str) -> Tensor:
    count, shape = len(rows), tuple(rows.shape)
    try:
        made = function(rows.clone())
    except Exception as error:
        error.add_note(f"{name} raised this, given a tensor of shape {shape}: rows, then what is in one row.")
        raise
    if not isinstance(made, Tensor) or not made.is_floating_point():
        what = str(made.dtype) if isinstance(made, Tensor) else type(made).__name__
        raise ArgumentTypeError(f"{name} must give a tensor of floating point numbers, got {what}.")
    if made.device != rows.device:
        raise ArgumentValueError(f"{name} gave a tensor on {made.device}, of one on {rows.device}; it must stay there.")
    if made.dim() == 0 or len(made) != count or made.numel() == 0:
        raise ArgumentValueError(
            f"{name} made {tuple(made.shape)} of {shape}; the first dimension, of rows, must stay: for a sum over the "
            f"last one give lambda t: t.sum(-1)."
        )
    return made.detach()


def _members(function: ReduceOne, row: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """Which value of what the function gives each feature of `row` is added to, as `Reduction.members`."""
    with torch.enable_grad():
        leaf = torch.zeros_like(row).requires_grad_()
        made = function(leaf.clone())
        if not made.requires_grad:
            return None
        count = math.prod(shape)
        numbers = torch.arange(count, dtype=made.dtype, device=made.device)
        generator = torch.Generator("cpu").manual_seed(_SEED)
        random = torch.rand(count, generator=generator, device="cpu").to(made)
        # A column of the function's matrix has one 1 and else zeros where it gives 1, a number, and that number's
        # random value of all ones, all numbers and all random values.
        found = [
            torch.autograd.grad(made, leaf, values.view_as(made), retain_graph=True)[0].flatten().cpu()
            for values in (torch.ones_like(numbers), numbers, random)
        ]
    times, number, value = found
    members = number.round().long()
    is_member = (times == 1) & (number == members) & (members >= 0) & (members < count)
    is_member &= value == random.cpu()[members.clamp(0, count - 1)]
    if not bool((is_member | (times == 0) & (number == 0) & (value == 0)).all()):
        return None
    return torch.where(is_member, members, -1)
