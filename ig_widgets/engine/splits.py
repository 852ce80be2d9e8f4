"""Plans which cells of the secant rule to split, and into how many parts, for all examples at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ig_widgets.engine.rules import Floats, Integers

# No cell is split into more parts at once: what is expected of them is a guess.
_MOST_PARTS = 6


def remaining(parts: Any, orders: Any) -> Floats:
    """What is left of the square of a cell's error when it is split into `parts`."""
    left: Floats = np.asarray(parts, dtype=np.float64) ** (1 - 2 * orders)
    return left


def plan_of(
    examples: Integers,
    errors: Floats,
    first: Any,
    goals: Floats,
    orders: Floats,
    affordable: Integers,
    *,
    probes: tuple[int, int] | None,
) -> Integers:
    """Into how many parts to split cells (cells,) of `examples`, sorted; 1: not at all.

    `goals` (batch,): what is to be left of the sum of the squares of `errors`; `orders` (batch,): with which power of
    their size these fall; `affordable` (batch,): how many parts. Cells that are `first` are split in any case.
    `probes`: how many are split to begin with, and into how many parts each.
    """
    batch = len(goals)
    wanted = _wanted(examples, errors, first, goals, orders)
    cells = np.bincount(examples, minlength=batch)
    if probes is not None:
        splits = np.minimum(probes[0], cells)
        parts = np.minimum(splits * probes[1], affordable)
    else:
        splits = np.maximum(1, np.bincount(examples, wanted > 1, minlength=batch).astype(np.int64))
        sums = np.bincount(examples, np.where(wanted > 1, wanted, 0), minlength=batch).astype(np.int64)
        parts = np.minimum(np.maximum(2 * splits, sums), affordable)
    splits = np.minimum(splits, parts // 2)
    # Where they do most: the first so many of each example.
    order = np.lexsort((-errors, -wanted, examples))
    rank = np.arange(len(order)) - (np.cumsum(cells) - cells)[examples[order]]
    chosen = order[rank < splits[examples[order]]]
    plan = np.ones(len(examples), dtype=np.int64)
    plan[chosen] = np.maximum(2, wanted[chosen])
    _fit(plan, chosen, examples, errors, orders, parts)
    return plan


def _wanted(examples: Integers, errors: Floats, first: Any, goals: Floats, orders: Floats) -> Integers:
    """The cheapest parts for the goals: all of equal errors, the largest that will do."""
    batch = len(goals)
    least = np.where(first & (errors > 0), 2, 1)
    squares = errors**2
    table = remaining(np.arange(_MOST_PARTS + 1)[None].clip(min=1), orders[:, None])
    high = np.zeros(batch)
    np.maximum.at(high, examples, squares)
    wanted = _parts(squares, high[examples], orders[examples], least)
    # Few examples need more than the least.
    left = np.bincount(examples, squares * table[examples, wanted], minlength=batch)
    some = np.flatnonzero((left > goals)[examples])
    own, squares, least = examples[some], squares[some], least[some]
    low, order = np.zeros(batch), orders[own]
    for _ in range(40 if len(some) else 0):
        middle = (low + high) / 2
        parts = _parts(squares, middle[own], order, least)
        fits = np.bincount(own, squares * table[own, parts], minlength=batch) <= goals
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    wanted[some] = _parts(squares, low[own], order, least)
    return wanted


def _parts(squares: Floats, goal: Floats, orders: Floats, least: Integers) -> Integers:
    """Into how many parts to split so that the square of the error of each comes to about `goal`."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        raw = np.round((squares / goal) ** (1 / (2 * orders)))
    # Nothing divided by nothing: there is no error.
    found: Integers = np.clip(np.nan_to_num(raw, nan=1, posinf=_MOST_PARTS), least, _MOST_PARTS).astype(np.int64)
    return found


def _fit(plan: Integers, chosen: Integers, examples: Integers, errors: Floats, orders: Floats, parts: Integers) -> None:
    """Change `plan`, part by part where it matters most or least, until `chosen` have just so many `parts`."""
    of = examples[chosen]
    while True:
        missing = parts - np.bincount(of, plan[chosen], minlength=len(parts)).astype(np.int64)
        step = np.sign(missing)[of]
        able = (step != 0) & (plan[chosen] + step >= 2)
        if not able.any():
            return
        cells = chosen[able]
        step, own = step[able], of[able]
        fewer = plan[cells] + np.minimum(step, 0)  # of what is before and after the step
        gains = errors[cells] ** 2 * (remaining(fewer, orders[own]) - remaining(fewer + 1, orders[own]))
        starts = np.flatnonzero(np.diff(own, prepend=-1))
        best = np.maximum.reduceat(step * gains, starts)
        at = np.flatnonzero(step * gains == np.repeat(best, np.diff([*starts, len(own)])))
        at = at[np.diff(own[at], prepend=-1) != 0]
        plan[cells[at]] += step[at]
