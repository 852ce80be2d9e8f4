"""How far a smooth gradient is resolved by the points of Fejér's rule: from the size of its Chebyshev coefficients.

The gradient along the path is interpolated at the points; where it is smooth the coefficients fall geometrically. What
the rule misses are coefficients of about twice the order that it resolves (Trefethen, Is Gauss quadrature better than
Clenshaw-Curtis?, 2008, section 5), so that the last ones that are seen bound its error well from above.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.norms import norm
from ig_widgets.engine.rules import Floats

# On 195 paths through smooth networks, at 10% to 0.1%: never below half the true error, at the median five times.
_SCALE, _POWER, _LEAST = 0.55, 0.5, 0.05


def tail(maps: Iterable[Tensor], n: int) -> tuple[float, float]:
    """Estimates of the relative L2 error of Fejér's rule of `n` points, and of that of twice as many.

    `maps` are the samples in the order of the points, some features at a time: (n, features). Of a map that sums to
    zero, and is not settled, both are 1.
    """
    coefficients, weights = _matrices(n)
    quarter, half = max(2, n // 4), n // 2
    wanted = torch.from_numpy(np.concatenate([coefficients[-quarter:], coefficients[n // 4 : half], weights[None]]))
    sizes = torch.zeros(len(wanted), dtype=torch.float64, device="cpu")
    for part in maps:
        sizes = torch.hypot(sizes, norm(wanted.to(part) @ part))
    last = float(norm(sizes[:quarter])) / math.sqrt(quarter)
    before = float(norm(sizes[quarter:-1])) / math.sqrt(len(sizes) - 1 - quarter)
    size = float(sizes[-1])
    if last == 0:
        return 0.0, 0.0
    if size == 0:
        return 1.0, 1.0
    fall = min(1.0, last / before) if before else 1.0
    return _SCALE * last / size * max(fall**_POWER, _LEAST), _SCALE * last / size * fall**2


@lru_cache(maxsize=32)
def _matrices(n: int) -> tuple[Floats, Floats]:
    """The Chebyshev coefficients (n, n) of the polynomial through n points of Fejér's rule, and its weights (n,)."""
    points = -np.cos(np.pi * np.arange(1, n + 1) / (n + 1))
    coefficients: Floats = np.linalg.inv(np.polynomial.chebyshev.chebvander(points, n - 1)).astype(np.float64)
    orders = np.arange(n)
    integrals = np.where(orders % 2 == 0, 1 / (1 - orders.astype(float) ** 2 + (orders == 1)), 0.0)
    weights: Floats = integrals @ coefficients
    return coefficients, weights
