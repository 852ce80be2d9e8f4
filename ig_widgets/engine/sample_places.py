"""Where to sample next: in the intervals that hold most of the error."""

from __future__ import annotations

import numpy as np

from ig_widgets.engine.intervals import root_of_squares
from ig_widgets.engine.profile import Assessment
from ig_widgets.engine.rules import Floats

# What may be left of a goal where nothing is added, and what of it can never be reached.
_LEFT, _HOPELESS = 0.6, 1.3
# One sample for so many is added at a time at least, as each round looks at all.
_ROUNDS = 32
# Where a sample is added at an end of the path, from there; from which unevenness of neighbours on not in the middle.
_AT_END, _UNEVEN = 0.3, 4


def places_for(one: Assessment, goal: float, shortest: Floats) -> list[float]:
    """Where to sample, one place in each interval, so that what is left of the error should be about `goal`.

    None in intervals that are not longer than `shortest` (m,), and none at all where these hold more than is allowed
    and the others hardly anything.
    """
    is_able = one.edges[:, 1] - one.edges[:, 0] > shortest
    able = np.flatnonzero(is_able)
    order = able[np.argsort(-one.errors[able])]
    left = np.sqrt(np.cumsum(np.square(one.errors[order])[::-1]))[::-1]
    count = int((left > _LEFT * goal).sum())
    if not count and root_of_squares(one.errors[~is_able]) > _HOPELESS * goal:
        return []
    chosen = order[: max(1, count, len(one.errors) // _ROUNDS)]
    return [_place(one.edges, int(k)) for k in np.sort(chosen)]


def _place(edges: Floats, k: int) -> float:
    """The middle of an interval, or nearer to the side on which samples are close."""
    low, high = edges[k]
    room = high - low
    if k in (0, len(edges) - 1):
        return float(low + _AT_END * room) if k == 0 else float(high - _AT_END * room)
    before, after = (edges[k + step, 1] - edges[k + step, 0] for step in (-1, 1))
    if min(before, after) * _UNEVEN > room:
        return float((low + high) / 2)
    distance = min(max(np.sqrt(min(before, after) * room), room / 8), room / 2)
    return float(low + distance) if before <= after else float(high - distance)
