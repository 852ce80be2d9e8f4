"""Gauss-Legendre points and weights of any number, each in constant time.

Hale, Townsend: Fast and Accurate Computation of Gauss-Legendre and Gauss-Jacobi Quadrature Nodes and Weights (2013),
section 3.1: Newton's method on Stieltjes' asymptotic series of P_n, whose error falls with the distance from the end.
The few points nearest to an end, where the series fails, are zeros of the hypergeometric series of P_n, in decimals.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Up to which point from the end how many terms of the series do.
_TERMS = ((100, 24), (1000, 10), (None, 5))
_NEAR_END = 10
_DIGITS = 45
_NEWTON_STEPS = 4
_EPS = 2.0**-52
# A part at a time: terms of ten million points would fill memory.
_AT_ONCE = 2**18


def gauss_legendre(n: int) -> tuple[Floats, Floats]:
    """Ascending points on [0, 1] (n,) and their weights (n,), which sum to 1, to 1e-14. For n of at least 500."""
    half = (n + 1) // 2
    near, weights = np.empty(half), np.empty(half)
    for i in range(_NEAR_END):
        near[i], weights[i] = _near_end(n, i + 1)
    start = _NEAR_END
    for stop, terms in _TERMS:
        stop = half if stop is None else min(stop, half)
        for first in range(start, stop, _AT_ONCE):
            part = slice(first, min(first + _AT_ONCE, stop))
            near[part], weights[part] = _inside(n, np.arange(part.start, part.stop) + 1, terms)
        start = max(start, stop)
    if n % 2:
        near[-1] = 0.5
    return (
        np.concatenate([near, 1 - near[::-1][n % 2 :]]),
        np.concatenate([weights, weights[::-1][n % 2 :]]) / (2 * weights.sum() - n % 2 * weights[-1]),
    )


def _angle(n: int, k: Floats) -> Floats:
    """The angle of the k-th point from the end, by Tricomi's estimate."""
    x = np.pi * (4 * k - 1) / (4 * n + 2)
    # cos(angle) = (1 - (n - 1) / (8 n^3)) cos(x), without loss near the end.
    less = (n - 1) / (8 * n**3)
    square = np.sin(x / 2) ** 2
    return np.asarray(2 * np.arcsin(np.sqrt(square + less * (0.5 - square))))


def _inside(n: int, k: npt.NDArray[np.int64], terms: int) -> tuple[Floats, Floats]:
    angles = _angle(n, k.astype(np.float64))
    for _ in range(_NEWTON_STEPS):
        value, slope = _series(n, angles, terms)
        step = value / slope
        angles = angles - step
        # By so much the slope changes with it, as a share of its size.
        if np.abs(step / np.tan(angles)).max() < _EPS:
            break
    return np.sin(angles / 2) ** 2, 1 / slope**2


def _series(n: int, angles: Floats, terms: int) -> tuple[Floats, Floats]:
    """P_n(cos angle), and its slope by the angle."""
    sine = np.sin(angles)
    cotangent = np.cos(angles) / sine
    turn = -1j * np.exp(1j * angles) / (2 * sine)
    # The term of m: h_m exp(i ((n + m + 1/2) angle - (m + 1/2) pi/2)) / (2 sin(angle))^(m + 1/2).
    term = np.exp(1j * ((n + 0.5) * angles - np.pi / 4)) / np.sqrt(2 * sine)
    value, slope = np.zeros_like(angles), np.zeros_like(angles)
    for m in range(terms):
        value += term.real
        slope -= (n + m + 0.5) * term.imag + (m + 0.5) * cotangent * term.real
        term = term * turn * ((m + 0.5) ** 2 / ((m + 1) * (n + m + 1.5)))
    x = n + 1.0
    # Gamma(n + 1) / Gamma(n + 3/2), by Stirling's series: the functions themselves lose what n is larger than 1.
    ratio = math.exp(1 / (8 * x) - 1 / (192 * x**3)) / math.sqrt(x)
    return 2 / math.sqrt(math.pi) * ratio * value, 2 / math.sqrt(math.pi) * ratio * slope


def _near_end(n: int, k: int) -> tuple[float, float]:
    """The k-th zero s of P_n(1 - 2 s), and its weight on [0, 1]."""
    with localcontext() as context:
        context.prec = _DIGITS
        angle = float(_angle(n, np.float64(k)))  # type: ignore[arg-type]
        s = Decimal(math.sin(angle / 2) ** 2)
        for _ in range(_NEWTON_STEPS + 1):
            term, value, slope, j = Decimal(1), Decimal(1), Decimal(0), 0
            while j < k * 4 or abs(term) > Decimal(10) ** -30:
                term *= s * -(n - j) * (n + 1 + j) / (j + 1) ** 2
                j += 1
                value += term
                slope += j * term
            slope /= s
            weight = 1 / (s * (1 - s) * slope**2)
            s -= value / slope
        return float(s), float(weight)
