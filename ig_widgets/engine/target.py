"""Which scalar of the model's output is explained."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, OutputError
from ig_widgets.engine.number_text import counted
from ig_widgets.engine.transfers import sent

Index: TypeAlias = int | tuple[int, ...]
TargetLike: TypeAlias = None | Index | Tensor | Sequence[Index] | np.integer | np.ndarray

_FORMS = (
    "None, an int, a tuple of ints, a 0-D or 1-D integer tensor or array, or a list with an int or a tuple "
    "for each example"
)


@dataclass(frozen=True)
class Target:
    """Positions in an output row: one for all examples, one for each example, or none (F is a scalar already)."""

    indices: tuple[tuple[int, ...], ...]
    per_example: bool

    def select(self, output: Tensor, examples: Tensor) -> Tensor:
        """The explained scalars (rows,) of `output` (rows, ...), whose rows belong to `examples` (rows,).

        Raises OutputError where no single scalar is left, ArgumentValueError where the target is out of range.
        """
        row = tuple(output.shape[1:])
        if not self.indices:
            if output[0].numel() != 1:
                raise OutputError(
                    f"target is None, and forward_func returns {row} values per example; "
                    f"give target= the position that is to be explained (e.g. target=0)."
                )
            return output.reshape(len(output))
        depth = len(self.indices[0])
        if depth != len(row):
            given = self.indices[0] if depth > 1 else self.indices[0][0]
            raise OutputError(
                f"target {given} names {counted(depth, 'dimension')} of an output row, and forward_func returns "
                f"rows of shape {row}; "
                + (
                    ("give an int." if len(row) == 1 else f"give a tuple of {len(row)} ints.")
                    if row
                    else "give target=None, F is a scalar already."
                )
            )
        for index in set(self.indices):
            for place, size in zip(index, row, strict=True):
                if not -size <= place < size:
                    raise ArgumentValueError(
                        f"target {index if depth > 1 else place} is out of range: forward_func returns rows of "
                        f"shape {row}; positions run from 0 to {size - 1}."
                    )
        if not self.per_example:
            position: tuple[int | slice, ...] = (slice(None), *self.indices[0])
            return output[position]
        # In one tensor, as each that is sent costs as much as many.
        table = torch.tensor(self.indices, device="cpu")[examples.cpu()]
        rows = torch.cat([torch.arange(len(output), device="cpu")[:, None], table], 1)
        return output[sent(rows, output.device).unbind(1)]


def make_target(target: TargetLike, batch: int) -> Target:
    """Bring `target` into one form. Raises ArgumentTypeError, ArgumentValueError."""
    if target is None:
        return Target((), per_example=False)
    if isinstance(target, Tensor | np.ndarray):
        integral = not target.dtype.is_floating_point if isinstance(target, Tensor) else target.dtype.kind in "iu"
        if not integral:
            raise ArgumentTypeError(f"target holds {target.dtype}; positions must be integers.")
        target = target.tolist()
    if isinstance(target, tuple) or not isinstance(target, Sequence):
        return Target((_index(target),), per_example=False)
    if isinstance(target, str):
        raise ArgumentTypeError(f"target must be {_FORMS}, got the text {target!r}.")
    if len(target) == 1:
        return Target((_index(target[0]),), per_example=False)
    if len(target) != batch:
        raise ArgumentValueError(
            f"target has {len(target)} entries, inputs has {batch} examples; give one, or one each."
        )
    indices = tuple(_index(entry) for entry in target)
    if len({len(index) for index in indices}) > 1:
        raise ArgumentValueError("target mixes positions of different depth; give tuples of one length.")
    return Target(indices, per_example=True)


def _index(entry: object) -> tuple[int, ...]:
    members = entry if isinstance(entry, tuple) else (entry,)
    if not members:
        raise ArgumentValueError("target is an empty tuple; use None if F is a scalar already.")
    try:
        if any(isinstance(member, bool) for member in members):
            raise TypeError
        return tuple(operator.index(member) for member in members)
    except TypeError:
        raise ArgumentTypeError(f"target must be {_FORMS}, got {entry!r} ({type(entry).__name__}).") from None
