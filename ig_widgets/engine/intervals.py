"""What the rules of neighbouring orders say of each interval between samples, and what may lie where none can tell."""

from __future__ import annotations

import numpy as np

from ig_widgets.engine.interpolation import interval_weights, positive_orders
from ig_widgets.engine.rules import Floats

# Samples that the polynomial of an interval may go through.
_ORDERS = (2, 4, 6)
# Weights of so many samples are multiplied as they are; of more only those that are not zero.
_DENSE = 48
# A power that is so near to 1 is that of 1 / alpha.
_FLAT = 1e-6


def interval_rules(x: Floats, low: float, high: float, products: Floats) -> tuple[Floats, Floats, Floats]:
    """The weights of the samples in each interval by the order that suits there, and by the next lower one.

    And by which factor the map's changes there shrink from order to order, at most 1.
    """
    by_order = {order: interval_weights(x, low, high, order) for order in _ORDERS}
    least, middle, most = _ORDERS
    late = lengths(by_order[most] - by_order[middle], products)
    early = lengths(by_order[middle] - by_order[least], products)
    orders = np.where(late <= early, most, least)
    near = near_sums(np.square(late)), near_sums(np.square(early))
    settling = share_of(*near)
    orders = positive_orders(x, low, high, orders)
    each = interval_weights(x, low, high, orders)
    # A trapezoid is compared with the next order above.
    lower = np.where((orders >= least)[:, None], by_order[middle], by_order[least])
    return each, lower, settling


def unseen_beyond(
    x: Floats, low: float, high: float, products: Floats, density: Floats, rises: Floats, nearest: float
) -> Floats:
    """What may lie in each interval with a sample on one side alone: at least what the gradient changes to the next.

    Where a norm has no direction at an end of the path the gradient grows toward it as 1 / alpha: a polynomial that is
    continued to there foresees nothing of it, and F may not change. So what grows as a power of the distance, as both
    samples say, is taken to go on to the `nearest` point of the path, unless F says that it does not.
    """
    unseen = np.zeros(len(x) + 1)
    for interval, own, beside, end in ((0, 0, 1, low), (-1, -1, -2, high)):
        room = abs(float(x[own]) - end)
        change = np.zeros(len(x))
        change[own] = 1
        size = float(lengths(change, products))
        if len(x) < 2 or not room:
            unseen[interval] = room * size
            continue
        change[beside] = -1
        grown, size_beside = float(lengths(change, products)), float(np.sqrt(max(products[beside, beside], 0)))
        unseen[interval] = room * grown
        power = np.log(size / size_beside) / np.log(abs(float(x[beside]) - end) / room) if 0 < size_beside < size else 0
        if room > nearest and power > 0:
            farther = room * size * _beyond_power(min(power, 1.0), nearest / room)
            shown = abs(float(density[own] - density[beside]))
            by_output = abs(float(rises[interval])) * grown / shown if shown else np.inf
            unseen[interval] = max(unseen[interval], min(farther, by_output))
    return unseen


def _beyond_power(power: float, least: float) -> float:
    """The integral of t^-power from `least` to 1, beyond that of 1."""
    left = 1 - power
    return float(-np.log(least) if left < _FLAT else (1 - least**left) / left) - 1


def share_of(squares: Floats, of: Floats) -> Floats:
    """The ratio of two lengths whose squares these are, at most 1."""
    share: Floats = np.sqrt(squares / np.maximum(np.maximum(of, squares), np.finfo(float).tiny))
    return share


def near_sums(values: Floats) -> Floats:
    """The sums over each interval and those beside it."""
    padded = np.pad(values, 2)
    near: Floats = np.sum([padded[i : i + len(values)] for i in range(5)], axis=0)
    return near


def lengths(weights: Floats, products: Floats) -> Floats:
    """The length of the sum of maps that each of `weights` (..., n) makes, by their inner `products` (..., n, n)."""
    if weights.ndim == 2 and products.ndim == 2 and weights.shape[1] > _DENSE:
        weights, products = _packed(weights, products)
        weights = weights[:, None, :]
        return np.asarray(np.sqrt(np.maximum(((weights @ products) * weights).sum((-2, -1)), 0)), dtype=np.float64)
    made: Floats = np.sqrt(np.maximum(((weights @ products) * weights).sum(-1), 0))
    return made


def _packed(weights: Floats, products: Floats) -> tuple[Floats, Floats]:
    """The weights (m, p) that are not zero, of a few samples each, and the inner products (m, p, p) of these."""
    used = weights != 0
    most = max(1, int(used.sum(1).max()))
    chosen = np.argsort(~used, axis=1, kind="stable")[:, :most]
    return np.take_along_axis(weights, chosen, 1), products[chosen[:, :, None], chosen[:, None, :]]


def beyond(values: Floats, noise: Floats | float) -> Floats:
    """How far each is from zero beyond what rounding explains."""
    return np.maximum(np.abs(values) - noise, 0)


def root_of_squares(values: Floats) -> float:
    """The root of the sum of squares."""
    return float(np.sqrt(np.square(values).sum()))
