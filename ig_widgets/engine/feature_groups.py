"""Groups of features, by random numberings, and what the samples of a path collect for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.interpolation import interval_weights, values_at
from ig_widgets.engine.patterson import patterson
from ig_widgets.engine.patterson import values_at as rule_values_at
from ig_widgets.engine.rules import Floats, Integers

# Polynomials through so many samples say what a group's map collects in an interval, and how well that is known.
_ORDER, _HIGHER = 4, 6
_GAUSS, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(8)


@dataclass(frozen=True)
class Groups:
    """Groups of features, 0 or 1: (groups, features that differ along a path), and as booleans of all features."""

    own: Floats
    every: Tensor

    def __len__(self) -> int:
        return len(self.own)


@dataclass(frozen=True)
class Walk:
    """What is known of one example: ascending `alphas` (n,), `outputs` (n,) there and at both `ends`.

    `maps`: those of the samples times x - x', (n, features that differ); `size`: the length of its map. `rule`: points
    of the rule of the whole path that are in use, 0 if all are. `rounding`: how far F may be off; `shortest`: of
    sections; `cuts`: where F jumps.
    """

    example: int
    alphas: Floats
    outputs: Floats
    ends: tuple[float, float]
    maps: Floats
    size: float
    rule: int
    rounding: float
    shortest: float
    cuts: Sequence[tuple[float, float]] = ()

    def shown(self, groups: Groups) -> tuple[Floats, Floats]:
        """What samples collect for each group in the intervals between them, and how far that is off: (n + 1, k)."""
        density = self.maps @ groups.own.T
        if not self.rule:
            every, better = (interval_weights(self.alphas, 0.0, 1.0, n) @ density for n in (_ORDER, _HIGHER))
            return every, np.abs(better - every)
        edges = np.concatenate([[0.0], self.alphas, [1.0]])
        lengths = np.diff(edges)
        places = edges[:-1, None] + lengths[:, None] * (_GAUSS + 1) / 2
        values = self.foreseen(places.ravel(), groups).reshape(*places.shape, -1)
        collected = np.einsum("mgk,g->mk", values, _GAUSS_WEIGHTS) * lengths[:, None] / 2
        return collected, np.zeros_like(collected)

    def foreseen(self, places: Floats, groups: Groups) -> Floats:
        """The slope of each group at `places`, as the samples foresee it: (places, k)."""
        density = self.maps @ groups.own.T
        if self.rule:
            at = np.searchsorted(self.alphas, patterson(self.rule).alphas)
            by_rule: Floats = rule_values_at(self.rule, tuple(places.tolist())) @ density[at]
            return by_rule
        return values_at(self.alphas, places, _ORDER) @ density


class Numbering:
    """Groups of features, one after the other: the digits of random numberings, which part all pairs of features."""

    def __init__(self, differing: Integers, features: int, chance: np.random.Generator) -> None:
        self._differing, self._features, self._chance = differing, features, chance
        self._left: list[Floats] = []

    def next(self, count: int) -> Groups:
        """So many of them."""
        number = len(self._differing)
        while len(self._left) < count:
            order = self._chance.permutation(number)
            digits = self._chance.permutation(max(1, int(number - 1).bit_length()))
            self._left += [((order >> int(digit)) & 1).astype(np.float64) for digit in digits]
        own, self._left = np.stack(self._left[:count]), self._left[count:]
        every = torch.zeros(count, self._features, dtype=torch.bool, device="cpu")
        every[:, torch.from_numpy(self._differing)] = torch.from_numpy(own > 0)
        return Groups(own, every)
