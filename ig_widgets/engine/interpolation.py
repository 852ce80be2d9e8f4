"""Weights by which samples at any positions are integrated: between neighbours the gradient is a polynomial.

The polynomial of an interval goes through the samples next to it, half of them on each side; samples that lie close
together beside a long interval are passed over, since a polynomial through them would swing. Where a sample would be
weighed by less than nothing the order falls, at last to the trapezoid, whose weights are positive.
"""

from __future__ import annotations

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
    n = len(alphas)
    edges = np.concatenate([[low], alphas, [high]])
    orders = np.broadcast_to(np.asarray(order, dtype=np.int64), (n + 1,))
    weights = np.zeros((n + 1, n))
    nodes, counts = _nodes(alphas, np.diff(edges), orders)
    for count in np.unique(counts):
        which = np.flatnonzero(counts == count)
        weights[which[:, None], nodes[which, :count]] = _integrals(
            alphas[nodes[which, :count]], edges[which], edges[which + 1]
        )
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


def values_at(alphas: Floats, at: float, order: int) -> Floats:
    """How much each of `alphas` (n,) counts in the polynomial's value at one position: (n,)."""
    place = int(np.searchsorted(alphas, at))
    gaps = np.diff(np.concatenate([[0.0], alphas, [1.0]]))
    nodes, counts = _nodes(alphas, gaps, np.full(len(alphas) + 1, order))
    own = nodes[place, : counts[place]]
    x = alphas[own]
    weights = np.zeros(len(alphas))
    for i, k in enumerate(own):
        others = np.delete(x, i)
        weights[k] = np.prod((at - others) / (x[i] - others))
    return weights


def _nodes(alphas: Floats, lengths: Floats, orders: Integers) -> tuple[Integers, Integers]:
    """For each interval the samples that its polynomial goes through, and how many: (n + 1, most), (n + 1,)."""
    n, most = len(alphas), int(orders.max())
    apart = _APART * lengths
    # Outwards on each side, -1 or n where there is none.
    left, right = [np.arange(n + 1) - 1], [np.arange(n + 1)]
    for _ in range(most - 1):
        at = np.where(left[-1] >= 0, alphas[left[-1].clip(0)], -np.inf)
        left.append(np.minimum(np.searchsorted(alphas, at - apart, "right") - 1, left[-1] - 1).clip(-1))
        at = np.where(right[-1] < n, alphas[right[-1].clip(max=n - 1)], np.inf)
        right.append(np.maximum(np.searchsorted(alphas, at + apart, "left"), right[-1] + 1).clip(max=n))
    lefts, rights = np.stack(left, 1), np.stack(right, 1)
    places = np.concatenate([alphas, [np.inf]])
    reach = _REACH * lengths
    # Past the last on the right is infinity, and so is what lies before the first on the left.
    has_left = (places[lefts[:, :1]] - np.where(lefts >= 0, places[lefts], -np.inf) <= reach[:, None]).sum(1)
    has_right = (places[rights] - np.minimum(places[rights[:, :1]], 2.0) <= reach[:, None]).sum(1)
    has_left[lefts[:, 0] < 0] = 0
    # An end has nothing on one side: there no more is asked of the other than keeps the continued polynomial quiet.
    half = (orders + 1) // 2
    from_left = np.minimum(has_left, np.maximum(half, orders - has_right))
    from_right = np.minimum(has_right, np.maximum(orders - from_left, 0))
    counts = from_left + from_right
    nodes = np.zeros((n + 1, int(counts.max())), dtype=np.int64)
    for i in range(nodes.shape[1]):
        on_left = i < from_left
        nodes[:, i] = np.where(
            on_left,
            np.take_along_axis(lefts, np.minimum(i, most - 1) * np.ones((n + 1, 1), np.int64), 1)[:, 0],
            np.take_along_axis(rights, (i - from_left).clip(0, most - 1)[:, None], 1)[:, 0],
        ).clip(0, n - 1)
    return nodes, counts


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
