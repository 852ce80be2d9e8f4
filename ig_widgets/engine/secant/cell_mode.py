"""What the rule of an operation is given: a mode that knows where cells lie, and takes notes of those too long."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from ig_widgets.engine.frozen_parameters import FrozenParameters
from ig_widgets.engine.place import Place, whereabouts
from ig_widgets.engine.secant.path_mode import LeaveError, PathMode

Handler = Callable[..., Any]
# Of a norm, or of its square: by how much it may grow within a cell, and the power of that.
MOST_SCALES = 8.0
# Over how many of its widths an operation that levels off on both sides may pass within a cell, in units of x: beyond,
# the place where it rises is so short a part of the cell that halves of it, and quarters, show nothing of that.
MOST_WIDTHS = 8.0


class CellMode(PathMode):
    """What the rule of an operation has to know: which tensors hold points, where, and what is noted of cells.

    `begins`: which of the `points` a cell begins with, on the device. `spans`: operations that must not pass over many
    scales within a cell, and whether they do, () bool, to be looked at after the pass: to ask a device is to wait for
    it.
    """

    def __init__(
        self,
        inputs: Iterable[Tensor],
        freezing: FrozenParameters | None = None,
        begins: Tensor | None = None,
        points: int = 0,
    ) -> None:
        super().__init__(inputs, freezing)
        self.begins, self.points = begins, points
        self.spans: list[tuple[str, Tensor]] = []
        self._name = ""

    def place(self, tensor: Tensor) -> Place:
        """Where the points of `tensor` lie. Raises LeaveError."""
        where = whereabouts(tensor)
        if isinstance(where, str):
            raise LeaveError(
                f"the secant rule does not hold here: behind {where} it is not known which values belong to which "
                f"point of the path, and {self._name} needs to know"
            )
        return where


def note_scales(mode: CellMode, name: str, x: Tensor, place: Place, most: float) -> None:
    """Note where x, by which something is divided, grows by more than `most` within a cell.

    In a cell from a point at which a norm has no direction, all scales look the same: however often it is split, its
    first part shows the same mean slopes, sums to what F changes, and is as wrong.
    """
    begin, end = (t.abs() for t in place.ends(x.detach()))
    note_span(mode, name, torch.maximum(begin, end) > most * torch.minimum(begin, end), place)


def note_passing(mode: CellMode, name: str, x: Tensor, place: Place, width: float) -> None:
    """Note where x passes by many times the `width` over which an operation rises, within a cell."""
    if math.isfinite(width):
        begin, end = place.ends(x.detach())
        note_span(mode, name, (end - begin).abs_() > MOST_WIDTHS * width, place)


def note_span(mode: CellMode, name: str, where: Tensor, place: Place, missing: int = 0) -> None:
    """Note whether any of `where` is True in a cell; it lacks `missing` dimensions before that of the points.

    Between the last point of one stretch and the first of the next there is no cell.
    """
    dim = place.dim + (place.outer > 1) - missing
    pairs = where.movedim(dim, 0).flatten(1).any(1) if where.dim() > 1 else where
    if mode.begins is not None and len(pairs) == place.step * (mode.points - 1):
        pairs = pairs.view(-1, place.step).any(1).index_select(0, mode.begins)
    mode.spans.append((name, pairs.any()))
