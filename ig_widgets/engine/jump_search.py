"""Searches by forward passes for places where F changes and the gradients at hand do not show it.

A step, a spike or a singular end may lie in a thousandth of the interval between two samples. Where nearly all of the
change lies in one of eight sections, that one is cut into eight in turn, until the change is spread, or the section is
so short that no point of the path lies in it: there F jumps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ig_widgets.engine.rules import Floats, Integers

_SECTIONS = 8
# Sections that hold at least this share of the change count; two neighbours may, where a step lies on their border.
_COUNTS, _MOST = 0.1, 2
_ROUNDS = 120
# What F may change in the sections beside a jump, of the jump.
_LEVEL = 5e-3

Ask = Callable[[Integers, Floats], Floats]


@dataclass(frozen=True)
class SteepInterval:
    """Where the change of F that samples did not show lies: (m,) each, by interval that was searched.

    `lows` to `highs`, with F at both; `is_short`: no point of the path lies between. `is_jump`: F is level beside it.
    """

    lows: Floats
    highs: Floats
    before: Floats
    after: Floats
    is_short: npt.NDArray[np.bool_]
    is_jump: npt.NDArray[np.bool_]


def search(
    ask: Ask,
    examples: Integers,
    lows: Floats,
    highs: Floats,
    before: Floats,
    after: Floats,
    shown: Floats,
    shortest: Callable[[Integers, Floats], Floats],
    slope: Callable[[Integers, Floats], Floats] | None = None,
) -> SteepInterval:
    """Look into intervals (m,) from `lows` to `highs` of the paths of `examples`, where F is `before` and `after`.

    `ask(examples, alphas)` gives F; `shown`: how much of the change the samples explain; `shortest(examples,
    alphas)`: how short a section before there is in which no points of the path lie. `slope(intervals, alphas)` gives
    the slope of F as samples foresee it, where that says more than `shown`.
    """
    lows, highs, before, after = lows.copy(), highs.copy(), before.copy(), after.copy()
    whole = highs - lows
    is_short = highs - lows <= shortest(examples, highs)
    beside = np.ones(len(lows))
    going = np.flatnonzero(~is_short)
    for _ in range(_ROUNDS):
        if not len(going):
            break
        lengths = highs[going] - lows[going]
        places = lows[going, None] + lengths[:, None] * np.arange(1, _SECTIONS) / _SECTIONS
        inner = ask(np.repeat(examples[going], _SECTIONS - 1), places.ravel()).reshape(places.shape)
        values = np.concatenate([before[going, None], inner, after[going, None]], 1)
        edges = np.concatenate([lows[going, None], places, highs[going, None]], 1)
        slopes = shown[going, None] / whole[going, None]
        if slope is not None:
            middles = (edges[:, 1:] + edges[:, :-1]) / 2
            slopes = slope(np.repeat(going, _SECTIONS), middles.ravel()).reshape(middles.shape)
        change = np.abs(np.diff(values, axis=1) - slopes * np.diff(edges, axis=1))
        counts = change > _COUNTS * change.sum(1, keepdims=True)
        first, last = counts.argmax(1), _SECTIONS - 1 - counts[:, ::-1].argmax(1)
        narrow = counts.any(1) & (last - first < _MOST)
        rows = np.flatnonzero(narrow)
        at = going[rows]
        lows[at], highs[at] = edges[rows, first[rows]], edges[rows, last[rows] + 1]
        before[at], after[at] = values[rows, first[rows]], values[rows, last[rows] + 1]
        inside = (change * counts).sum(1)
        beside[at] = ((change.sum(1) - inside) / np.maximum(inside, np.finfo(float).tiny))[rows]
        is_short[at] = highs[at] - lows[at] <= shortest(examples[at], highs[at])
        going = at[~is_short[at]]
    return SteepInterval(lows, highs, before, after, is_short, is_short & (beside < _LEVEL))


def places_about(low: float, high: float, start: float, end: float) -> list[float]:
    """Where to sample a steep place from `low` to `high`, and at growing distances from it up to both ends."""
    width = high - low
    places = [low + width * share for share in (0.2, 0.5, 0.8)]
    for edge, sign, room in ((low, -1, low - start), (high, 1, end - high)):
        distance = width / 2
        while distance < room * 0.7:
            places.append(edge + sign * distance)
            distance *= _GROWS
    return sorted(place for place in places if start < place < end)


# By how much farther away each next sample lies.
_GROWS = 4.0
