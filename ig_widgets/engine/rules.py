"""Quadrature rules on [0, 1]: where to sample the path, and how much each sample counts.

A rule is a set of alphas with weights. Each sample stands for a piece of the path as long as its weight; the
pieces, laid end to end, tile [0, 1]. For every rule here a sample lies in its own piece (for Gauss-Legendre
this is the separation theorem of Chebyshev, Markov and Stieltjes; Szegö, Orthogonal Polynomials, 3.41).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.legendre import gauss_legendre

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Nodes:
    """Ascending `alphas` (n,), their `weights` (n,), summing to 1, and the `edges` (n + 1,) of their pieces."""

    alphas: Floats
    weights: Floats
    edges: Floats


def _left(n: int) -> tuple[Floats, Floats]:
    return np.arange(n) / n, np.full(n, 1 / n)


def _right(n: int) -> tuple[Floats, Floats]:
    return np.arange(1, n + 1) / n, np.full(n, 1 / n)


def _middle(n: int) -> tuple[Floats, Floats]:
    return (np.arange(n) + 0.5) / n, np.full(n, 1 / n)


def _trapezoid(n: int) -> tuple[Floats, Floats]:
    if n < 2:
        raise ArgumentValueError(
            f"method='riemann_trapezoid' needs both ends of the path: n_steps is {n}, must be at least 2."
        )
    weights = np.full(n, 1 / (n - 1))
    weights[[0, -1]] /= 2
    return np.arange(n) / (n - 1), weights


def _fejer(n: int) -> tuple[Floats, Floats]:
    k = np.arange(1, n + 1)
    # The same point of two rules is the same number: k / (n + 1) in its lowest terms.
    divisor = np.gcd(k, n + 1)
    alphas = np.sin(np.pi * (k // divisor) / (2 * ((n + 1) // divisor))) ** 2
    # The sum over odd m of sin(m angle) / m, by a Fourier transform: a table of all terms would fill memory.
    terms = np.zeros(2 * (n + 1))
    terms[1 : n + 1 : 2] = 1 / np.arange(1, n + 1, 2)
    weights = -np.sin(np.pi * k / (n + 1)) * np.fft.rfft(terms)[1 : n + 1].imag
    return alphas, weights / weights.sum()


def _gausslegendre(n: int) -> tuple[Floats, Floats]:
    if n > _DENSE:
        return gauss_legendre(n)
    x, w = np.polynomial.legendre.leggauss(n)
    return (1 + x) / 2, w / 2


_RULES: dict[str, Callable[[int], tuple[Floats, Floats]]] = {
    "riemann_left": _left,
    "riemann_right": _right,
    "riemann_middle": _middle,
    "riemann_trapezoid": _trapezoid,
    "gausslegendre": _gausslegendre,
}
# Captum's.
RULES = tuple(_RULES)
# Fejér's second rule: the points of n are among those of 2 n + 1. Waldvogel, Fast Construction of the Fejér and
# Clenshaw-Curtis Quadrature Rules (2006), section 2.
FEJER = "fejer"
_RULES[FEJER] = _fejer
# Its cells are the pieces of the middle rule, over each of which it takes a mean instead of the value in the middle.
SECANT = "secant"
METHODS = (*RULES, FEJER, SECANT)
# No rule of a number of points, but of a tolerance: points where they are needed.
ADAPTIVE = "adaptive"
# Not a rule, but the choice of one.
AUTO = "auto"
# Up to here eigenvalues take no longer than a blink, and are what Captum takes.
_DENSE = 512
# More would take all memory for what is kept of each, and hours for what a thousand tell.
MOST_STEPS = 1_000_000
# Larger rules are not kept.
_KEPT = 4096
# So many levels of cells, 7 cells, are seen before the others follow in their order.
_FIRST_LEVELS = 3


def check_method(method: object) -> str:
    """`method` if it is a known rule.

    Raises ArgumentTypeError, ArgumentValueError (with the list).
    """
    if not isinstance(method, str):
        raise ArgumentTypeError(f"method must be a name, got {type(method).__name__}; one of {', '.join(METHODS)}.")
    if method not in METHODS:
        raise ArgumentValueError(f"method='{method}' is unknown; use one of {', '.join(METHODS)}.")
    return method


def check_n_steps(n_steps: object) -> int:
    """`n_steps` as an int from 1 to a million. Raises ArgumentTypeError, ArgumentValueError."""
    if isinstance(n_steps, bool) or not isinstance(n_steps, int | np.integer):
        raise ArgumentTypeError(f"n_steps must be an integer >= 1, got {n_steps!r} ({type(n_steps).__name__}).")
    if n_steps < 1:
        raise ArgumentValueError(f"n_steps must be at least 1, got {n_steps}.")
    if n_steps > MOST_STEPS:
        raise ArgumentValueError(
            f"n_steps must be at most {MOST_STEPS:,}, got {n_steps:.4g}; method='auto' with tol=0.001, say, takes "
            f"as many as are needed."
        )
    return int(n_steps)


def nodes(method: str, n_steps: int) -> Nodes:
    """The alphas, weights and pieces of a rule, in float64, the same points as Captum's for the same name.

    The pieces of `secant` are its cells, and its alphas their middles.
    `riemann_trapezoid` has the true weights, which sum to 1 (Captum's sum to (n - 1) / n).
    Raises ArgumentValueError for an unknown rule, n_steps < 1, or a trapezoid of one point.
    """
    method, n_steps = check_method(method), check_n_steps(n_steps)
    return _kept(method, n_steps) if n_steps <= _KEPT else _nodes(method, n_steps)


@lru_cache(maxsize=256)
def _kept(method: str, n_steps: int) -> Nodes:
    return _nodes(method, n_steps)


def _nodes(method: str, n_steps: int) -> Nodes:
    alphas, weights = _RULES.get(method, _middle)(n_steps)
    edges = np.concatenate([[0.0], np.cumsum(weights)])
    edges[-1] = 1.0
    for array in (alphas, weights, edges):
        array.flags.writeable = False
    return Nodes(alphas, weights, edges)


def nearest_edges(alphas: Floats) -> Floats:
    """Edges (n + 1,) of the pieces of [0, 1] nearest to each of ascending `alphas` (n,)."""
    return np.concatenate([[0.0], (alphas[:-1] + alphas[1:]) / 2, [1.0]])


def visits(method: str, n: int, *, progressive: bool) -> list[Integers]:
    """The indices 0..n-1 in levels, in the order in which they are to be sampled.

    Neighbouring cells of the secant rule share a point: a few are visited coarse to fine, the others in their order.
    """
    levels = coarse_to_fine(n)
    if method != SECANT:
        return levels
    first = np.concatenate(levels[:_FIRST_LEVELS]) if progressive else np.array([], dtype=np.int64)
    return [level for level in (first, np.setdiff1d(np.arange(n), first)) if level.size]


def coarse_to_fine(n: int) -> list[Integers]:
    """The indices 0..n-1 in levels, so that all levels up to any one are spread evenly.

    The first level is the middle, each next one the middles of what is left: 1, 2, 4, ... indices, each once.
    """
    levels: list[Integers] = []
    starts, stops = np.array([0]), np.array([n])
    while starts.size:
        middles = (starts + stops) // 2
        levels.append(middles)
        starts, stops = (
            np.stack([starts, middles + 1], axis=1).ravel(),
            np.stack([middles, stops], axis=1).ravel(),
        )
        filled = starts < stops
        starts, stops = starts[filled], stops[filled]
    return levels
