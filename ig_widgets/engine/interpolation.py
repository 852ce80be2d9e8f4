"""Weights by which samples at any positions are integrated: between neighbours the gradient is a polynomial.

The polynomial of an interval goes through the samples next to it, half of them on each side; samples that lie close
together beside a long interval are passed over, since a polynomial through them would swing. Where a sample would be
weighed by less than nothing the order falls, at last to the trapezoid, whose weights are positive.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ig_widgets.engine.rules import Floats, Integers

# Nodes of the polynomial of an interval that are nearer to each other than this share of the interval are passed over.
_APART = 0.3
# So many times its length away nothing tells of an interval.
_REACH = 64.0
_GAUSS, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(3)
# A sample counts for at least this share of the interval nearest to it.
_LEAST = 0.05


def interval_weights(alphas: Floats, low: float, high: float, order: int | Integers) -> Floats:
    """How much each of ascending `alphas` (n,) counts in each interval between them, and to both ends: (n + 1, n).

    `order`: samples that a polynomial goes through, for all intervals or each (n + 1,); 2 is the trapezoid. Intervals
    beside `low` and `high`, which are no samples, are integrated by the polynomial continued to there.
    """
    known = np.ascontiguousarray(alphas, dtype=np.float64).tobytes(), float(low), float(high)
    table = _table if len(alphas) <= _KEPT else _table.__wrapped__
    if isinstance(order, int):
        return table(*known, order)
    weights = np.empty((len(alphas) + 1, len(alphas)))
    # An interval's weights depend on its own order alone.
    for one in np.unique(order).tolist():
        which = order == one
        weights[which] = table(*known, one)[which]
    return weights


# Tables of more samples than these are not kept: they take memory as the square of it.
_KEPT = 64


@lru_cache(maxsize=64)
def _table(alphas: bytes, low: float, high: float, order: int) -> Floats:
    """The weights of one order. Examples of a batch have mostly the same samples, and all orders are asked again."""
    x = np.frombuffer(alphas)
    edges = np.concatenate([[low], x, [high]])
    weights = np.zeros((len(x) + 1, len(x)))
    nodes, counts = _nodes(x, np.diff(edges), order)
    for count in np.unique(counts).tolist():
        which = np.flatnonzero(counts == count)
        weights[which[:, None], nodes[which, :count]] = _integrals(
            x[nodes[which, :count]], edges[which], edges[which + 1]
        )
    weights.flags.writeable = False
    return weights


def positive_orders(alphas: Floats, low: float, high: float, orders: Integers) -> Integers:
    """`orders` (n + 1,), lowered where a sample would otherwise be weighed by less than nothing."""
    edges = np.concatenate([[low], (alphas[:-1] + alphas[1:]) / 2, [high]])
    least = _LEAST * np.diff(edges)
    while True:
        each = interval_weights(alphas, low, high, orders)
        short = each.sum(0) < least
        if not short.any() or not (orders > 1).any():
            return orders
        lowered = (each < 0)[:, short].any(1) & (orders > 1)
        orders = np.where(lowered if lowered.any() else orders > 1, np.where(orders > 2, 2, 1), orders)


def values_at(alphas: Floats, places: Floats, order: int) -> Floats:
    """How much each of `alphas` (n,) counts in the polynomial's value at each of `places` (m,): (m, n)."""
    interval = np.searchsorted(alphas, places)
    gaps = np.diff(np.concatenate([[0.0], alphas, [1.0]]))
    nodes, counts = _nodes(alphas, gaps, order)
    weights = np.zeros((len(places), len(alphas)))
    for count in np.unique(counts[interval]).tolist():
        rows = np.flatnonzero(counts[interval] == count)
        own = nodes[interval[rows], :count]
        x, at = alphas[own], places[rows, None]
        for i in range(count):
            others = np.delete(x, i, axis=1)
            weights[rows, own[:, i]] = np.prod((at - others) / (x[:, i, None] - others), axis=1)
    return weights


def _nodes(alphas: Floats, lengths: Floats, order: int) -> tuple[Integers, Integers]:
    """For each interval the samples that its polynomial goes through, and how many: (n + 1, most), (n + 1,)."""
    n, every = len(alphas), np.arange(len(alphas) + 1)
    apart = _APART * lengths
    # Outwards on each side, -1 or n where there is none; beyond both ends is infinity.
    beside = np.concatenate([[-np.inf], alphas, [np.inf]])
    left, right = [every - 1], [every]
    for _ in range(order - 1):
        before, after = beside[left[-1] + 1] - apart, beside[right[-1] + 1] + apart
        left.append(np.maximum(np.minimum(np.searchsorted(alphas, before, "right"), left[-1]) - 1, -1))
        right.append(np.minimum(np.maximum(np.searchsorted(alphas, after, "left"), right[-1] + 1), n))
    lefts, rights = np.stack(left, 1), np.stack(right, 1)
    # A last one that is not there counts as infinitely far; a first one is asked for below.
    places = np.concatenate([alphas, [np.inf]])
    reach = _REACH * lengths[:, None]
    has_left = (places[lefts[:, :1]] - np.where(lefts >= 0, places[lefts], -np.inf) <= reach).sum(1)
    has_right = (places[rights] - np.minimum(places[rights[:, :1]], 2.0) <= reach).sum(1)
    has_left[lefts[:, 0] < 0] = 0
    # An end has nothing on one side: there no more is asked of the other than keeps the continued polynomial quiet.
    half = (order + 1) // 2
    from_left = np.minimum(has_left, np.maximum(half, order - has_right))
    from_right = np.minimum(has_right, np.maximum(order - from_left, 0))
    counts = from_left + from_right
    rank = np.arange(int(counts.max()))
    on_right = np.maximum(rank - from_left[:, None], 0)
    nodes = np.where(
        rank < from_left[:, None],
        lefts[:, np.minimum(rank, order - 1)],
        rights[every[:, None], np.minimum(on_right, order - 1)],
    )
    return np.minimum(np.maximum(nodes, 0), n - 1), counts


def _integrals(x: Floats, low: Floats, high: Floats) -> Floats:
    """The integrals from `low` to `high` (m,) of the Lagrange polynomials of nodes `x` (m, p): (m, p).

    By three Gauss points, which are exact for six nodes: no matrix is solved, which nodes many decades apart would make
    singular.
    """
    places = (low + high)[:, None] / 2 + (high - low)[:, None] / 2 * _GAUSS
    integrals = np.empty_like(x)
    for i in range(x.shape[1]):
        others = np.delete(x, i, axis=1)
        terms = (places[:, :, None] - others[:, None, :]) / (x[:, i, None] - others)[:, None, :]
        integrals[:, i] = (terms.prod(-1) @ _GAUSS_WEIGHTS) * (high - low) / 2
    return integrals
