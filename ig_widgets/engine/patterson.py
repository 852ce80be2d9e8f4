"""Patterson's rules: 1, 3, 7, 15 and 31 points on [0, 1], each of which holds the points of those before it.

Patterson, The Optimum Addition of Points to Quadrature Formulae (1968). A rule of n points is exact for polynomials of
degree (3 n + 1) / 2, and as good as Gauss-Legendre of as many points where that has not yet converged to many digits.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ig_widgets.engine.rules import Floats, Nodes

SIZES = (1, 3, 7, 15, 31)
# On [-1, 1], the points from 0 upwards in the order in which rules take them up: of 1, 3, 7, 15 and 31 points.
_POINTS = (
    (0.0,),
    (0.77459666924148337704,),
    (0.434243749346802558, 0.96049126870802028342),
    (0.22338668642896688163, 0.62110294673722640294, 0.88845923287225699889, 0.99383196321275502221),
    (
        0.11248894313318662575, 0.33113539325797683309, 0.53131974364437562397, 0.70249620649152707861,
        0.8367259381688687355, 0.92965485742974005667, 0.98153114955374010687, 0.99909812496766759766,
    ),
)  # fmt: skip


@lru_cache(maxsize=len(SIZES))
def patterson(n: int) -> Nodes:
    """The rule of `n` points, one of SIZES."""
    chosen = sorted(point for points in _POINTS[: SIZES.index(n) + 1] for point in points)
    positive = np.array([point for point in chosen if point > 0])
    at = np.concatenate([-positive[::-1], [0.0], positive])
    alphas = (1 + at) / 2
    # Exact for Legendre polynomials of the first n orders.
    table = np.polynomial.legendre.legvander(at, n - 1).T
    weights: Floats = np.linalg.solve(table, np.eye(n)[0])
    weights = (weights + weights[::-1]) / 2
    edges = np.concatenate([[0.0], np.cumsum(weights)])
    edges[-1] = 1.0
    for array in (alphas, weights, edges):
        array.flags.writeable = False
    return Nodes(alphas, weights, edges)


@lru_cache(maxsize=64)
def values_at(n: int, places: tuple[float, ...]) -> Floats:
    """How much each point of the rule of `n` counts in the polynomial through them at `places` (m,): (m, n)."""
    at, wanted = 2 * patterson(n).alphas - 1, 2 * np.array(places) - 1
    table = np.polynomial.legendre.legvander(at, n - 1)
    return np.asarray(np.polynomial.legendre.legvander(wanted, n - 1) @ np.linalg.inv(table), dtype=np.float64)
