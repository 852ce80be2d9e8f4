"""Where the points of a chunk lie in the tensors that a model makes of them.

The inputs hold a point in each row. From there each operation says where the points lie in what it gives, by what it
does with dimensions, never by their sizes: a dimension that happens to be as long as there are points proves nothing.
An operation that mixes or permutes points, or is not known here, leaves a word of itself in place of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ig_widgets.engine.place import Place, Whereabouts, whereabouts
from ig_widgets.engine.row_call import Call
from ig_widgets.engine.row_rules import RULES
from ig_widgets.engine.view_rules import _dim_of, _phantom, view, views_of


def follow(
    name: str,
    func: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    found: Sequence[tuple[Tensor, Whereabouts]],
    results: list[Tensor],
) -> list[Whereabouts]:
    """Where the points lie in each of `results`, of an operation that was given points as `found` says."""
    lost = next((where for _, where in found if isinstance(where, str)), None)
    if lost is not None:
        return [lost] * len(results)
    rule = RULES.get(name)
    if rule is None:
        return [name] * len(results)
    call = Call(name, func, args, kwargs, [(t, where) for t, where in found if isinstance(where, Place)])
    try:
        if rule is view:
            return list(views_of(call, results))
        return [rule(call, result, index) or name for index, result in enumerate(results)]
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
        return [name] * len(results)


def written(buffer: Tensor, index: Any, value: Tensor) -> Whereabouts:
    """Where the points lie in `buffer` after buffer[index] = value."""
    where = whereabouts(value)
    if isinstance(where, str):
        return where
    phantom = _phantom(buffer.shape)
    try:
        part = phantom[index]
        dim = where.dim + part.dim() - value.dim()
        inside = _dim_of(part.stride(dim), value.shape[where.dim], phantom)
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError):
        return "setitem"
    return "setitem" if inside is None else where._replace(dim=inside)
