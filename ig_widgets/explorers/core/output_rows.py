"""Output rows: where the classes of a model's answer lie, and at which places a dense answer has them."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentValueError, OutputError
from ig_widgets.explorers.core.scores import is_simplex
from ig_widgets.explorers.core.settings import Target

# A class, or a position in an output row of several dimensions, as the engine takes it.
Position: TypeAlias = int | tuple[int, ...]
Place: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """Output rows of `shape`, whose classes lie along `axis`; None: a number at each place, or one number alone.

    All other dimensions are `places`: of a segmentation (classes, rows, columns) these are (rows, columns).
    """

    shape: tuple[int, ...]
    axis: int | None

    @property
    def count(self) -> int:
        """How many classes there are."""
        return 1 if self.axis is None else self.shape[self.axis]

    @property
    def places(self) -> tuple[int, ...]:
        """The sizes of all dimensions but the classes'; () where there is one answer a row."""
        return tuple(size for dim, size in enumerate(self.shape) if dim != self.axis)

    def by_place(self, output: Tensor) -> Tensor:
        """Returns outputs (rows, *shape) as (rows, *places, classes)."""
        if self.axis is None:
            return output.unsqueeze(-1)
        return output if self.axis == len(self.shape) - 1 else output.movedim(self.axis + 1, -1)

    def at(self, output: Tensor, place: Place) -> Tensor:
        """Returns outputs (rows, *shape) at one place, (rows, classes)."""
        if not place:
            return self.by_place(output)
        at: list[int | slice] = [slice(None), *place]
        if self.axis is None:
            return output[tuple(at)].unsqueeze(-1)
        at.insert(self.axis + 1, slice(None))
        return output[tuple(at)]

    # ------------------------------------------------------------ targets

    def position(self, index: int, place: Place) -> Position:
        """Returns the target that is a class at a place, as the engine takes it."""
        if not place:
            return index
        if self.axis is None:
            return place
        return (*place[: self.axis], index, *place[self.axis :])

    def split(self, target: Target | Position) -> tuple[int, Place]:
        """Returns class and place of a target that is valid."""
        position = as_position(target)
        if isinstance(position, int):
            return position, ()
        if self.axis is None:
            return 0, position
        return position[self.axis], (*position[: self.axis], *position[self.axis + 1 :])

    def check(self, position: Iterable[object]) -> tuple[int, ...]:
        """Returns a position of this shape, counted from 0. Raises ArgumentValueError."""
        given = tuple(position)
        listed = ", ".join(map(str, self.shape))
        words = self._in_words()
        if len(given) != len(self.shape):
            raise ArgumentValueError(
                f"target must have {len(self.shape)} numbers, a position in output rows of shape ({listed}){words}, "
                f"got {given!r}."
            )
        found = []
        for dim, (size, one) in enumerate(zip(self.shape, given, strict=True)):
            try:
                index = operator.index(one)  # type: ignore[arg-type]
            except TypeError:
                index = size
            if isinstance(one, bool) or not -size <= index < size:
                raise ArgumentValueError(
                    f"target {given!r} is no position in output rows of shape ({listed}){words}: number {dim + 1} "
                    f"must be from 0 to {size - 1}."
                )
            found.append(index % size)
        return tuple(found)

    def _in_words(self) -> str:
        return "" if self.axis is None else f", classes along dimension {self.axis}"


def as_text(position: object) -> Target:
    """Returns a target as settings and messages have it: a tuple becomes a text, "3, 17, 40"."""
    if isinstance(position, tuple):
        return ", ".join(map(str, position))
    return position if isinstance(position, str) else operator.index(position)  # type: ignore[arg-type]


def as_position(target: Target | Position) -> Position:
    """Returns what `as_text` was given."""
    if not isinstance(target, str):
        return target
    return tuple(int(part) for part in target.split(","))


def parsed(text: str) -> tuple[int, ...] | None:
    """Returns the numbers of "3, 17, 40"; None for any other text."""
    parts = [part.strip() for part in text.split(",")]
    if len(text) > 200 or not all(part.removeprefix("-").isdecimal() for part in parts):
        return None
    return tuple(map(int, parts))


def rows_of(output: Tensor, inputs: Tensor, counts: Iterable[int]) -> Rows:
    """Returns where the classes lie in `output` (1, ...) for `inputs` (1, ...).

    `counts`: how many classes there may be, by labels or a configuration. Where these leave it open, numbers that sum
    to 1 tell, and then convention: of (1, classes, rows, columns) the second, of (1, tokens, classes) the last.
    Raises OutputError where there is nothing to explain.
    """
    shape = tuple(output.shape[1:])
    if not output.numel():
        raise OutputError(f"model returned an empty tensor {tuple(output.shape)}; there is nothing to explain.")
    if len(shape) < 2:
        return Rows(shape, 0 if shape else None)
    for count in counts:
        fitting = [dim for dim, size in enumerate(shape) if size == count]
        if len(fitting) == 1:
            return Rows(shape, fitting[0])
    # A number for each place of the input, as of a depth or a saliency.
    if shape == tuple(inputs.shape[-2:]) and inputs.dim() == 4:
        return Rows(shape, None)
    values = output.detach()[0].float()
    summing = [dim for dim, size in enumerate(shape) if size > 1 and is_simplex(values.movedim(dim, -1), torch.float32)]
    if len(summing) == 1:
        return Rows(shape, summing[0])
    return Rows(shape, len(shape) - 1 if len(shape) == 2 else 0)


def first_place(rows: Rows, shares: Tensor) -> Place:
    """Returns the place that is explained unless told: of a grid its centre, of a list where a class has most.

    `shares` (*places, classes).
    """
    if len(rows.places) != 1:
        return tuple(size // 2 for size in rows.places)
    return (int(shares.nan_to_num(-torch.inf).amax(-1).argmax()),)
