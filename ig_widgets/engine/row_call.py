"""One call of an operation, as rules for rows are given it, and what most of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from ig_widgets.engine.place import Place


class Call(NamedTuple):
    """One call of an operation. `moving`: those of its tensors that hold points, and where."""

    name: str
    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    moving: list[tuple[Tensor, Place]]

    def argument(self, position: int, *names: str) -> Any:
        """An argument, by name or by position; None if it is not given."""
        for name in names:
            if name in self.kwargs:
                return self.kwargs[name]
        return self.args[position] if len(self.args) > position else None


# Given a call, one of its results and which that is: where the points lie in it, None if nowhere.
Rule = Callable[[Call, Tensor, int], Place | None]


def agreed(places: Sequence[Place | None]) -> Place | None:
    """The place that all of `places` are; None where they differ."""
    first = places[0]
    return first if all(place == first for place in places) else None


def if_whole(place: Place, tensor: Tensor, dim: int, result: Tensor) -> Place | None:
    """In dimension `dim` of the result, if it is as long there as `tensor` where its points lie."""
    fits = 0 <= dim < result.dim() and result.shape[dim] == tensor.shape[place.dim]
    return place._replace(dim=dim) if fits else None


def aligned(call: Call, result: Tensor, index: int) -> Place | None:
    """Element by element, of operands that are broadcast."""
    return agreed([if_whole(p, t, p.dim + result.dim() - t.dim(), result) for t, p in call.moving])


def positive_dims(value: Any, count: int) -> list[int]:
    """Dimensions counted from the first, of one or several."""
    return [d % count for d in ([value] if isinstance(value, int) else value)]
