"""Weights of the samples of one path, the error of their sum, and where on the path it lies.

The gradient is a vector of many features, F one number; so how alike the gradients of any two samples are (their inner
products) tells the length of any weighted sum of them, and F at two samples tells the sum of what lies between exactly.
An error is what a rule of lower order says otherwise, in the measure in which F shows that the rule of higher order is
better: completeness, interval by interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ig_widgets.engine.intervals import (
    beyond,
    interval_rules,
    lengths,
    near_sums,
    root_of_squares,
    share_of,
    unseen_beyond,
)
from ig_widgets.engine.rules import Floats, Integers

# Where neither F nor the gradients differ from what is expected, the share of each that still counts.
_SLIGHT = 1e-3
# By how much larger than usual a change of the map may be beside that of F, for F to tell of it.
_UNUSUAL = 3.0
# What F says of a rule is believed as far as the map itself settles from order to order.
_CAUTION = 1.0
# Of samples that are as good as drawn the next order changes the sum by the first part of what it is off by; they are
# where the map settles by no more than the second.
_DRAWN, _SETTLES = 4.0, 0.4
# By how much the map settles from order to order where kinks are all there is; what the trapezoid misses there.
_OF_KINKS, _TRAPEZOID = 0.35, 12**-0.5


@dataclass(frozen=True)
class Cut:
    """A place where F jumps: between `low` and `high`, by `size`.

    `is_jump`: False where F changes as steeply beside it, so that it may be the end of what no sample can reach.
    """

    low: float
    high: float
    before: float
    after: float
    is_jump: bool = True

    @property
    def at(self) -> float:
        """Its middle."""
        return (self.low + self.high) / 2

    @property
    def size(self) -> float:
        """By how much F jumps."""
        return self.after - self.before


@dataclass(frozen=True)
class Assessment:
    """`weights` (n,) of the samples; `size` of the map, its L2 norm, and its `error`, in the same unit.

    By interval between samples, ends and cuts: `edges` and `outputs` (m, 2), `rises` of F, `errors`, `defects` (the
    rise beyond what the rule collects), and `blind`: whether that is beyond what two rules differ by.
    """

    weights: Floats
    size: float
    error: float
    edges: Floats
    outputs: Floats
    rises: Floats
    errors: Floats
    defects: Floats
    blind: npt.NDArray[np.bool_]

    @property
    def relative(self) -> float:
        """The relative error; 1 for a map of zeros that is not settled."""
        if self.error == 0:
            return 0.0
        return self.error / self.size if self.size > 0 else 1.0


@dataclass(frozen=True)
class Profile:
    """The samples of one path: ascending `alphas` (n,), F and dF/dalpha there, and the inner products of their maps.

    `ends`: F at the baseline and at the input. `rounding`: how far F may be off. `cuts`: where F jumps. `is_smooth`: no
    kinks lie on the path. `nearest`: how near to an end a point of the path may lie.
    """

    alphas: Floats
    outputs: Floats
    density: Floats
    products: Floats
    ends: tuple[float, float]
    rounding: float
    cuts: Sequence[Cut] = ()
    is_smooth: bool = True
    nearest: float = float(np.finfo(np.float64).eps)

    def assess(self) -> Assessment:
        """Weigh all samples, and tell the error; each stretch between jumps on its own."""
        weights = np.zeros(len(self.alphas))
        parts = []
        for low, high, before, after, chosen in self._stretches():
            x, density = self.alphas[chosen], self.density[chosen]
            products = self.products[np.ix_(chosen, chosen)]
            each, lower, settling = interval_rules(x, low, high, products)
            weights[chosen] = each.sum(0)
            edges = np.concatenate([[low], x, [high]])
            outputs = np.concatenate([[before], self.outputs[chosen], [after]])
            unseen = unseen_beyond(x, low, high, products, density, np.diff(outputs), self.nearest)
            parts.append(
                (
                    np.stack([edges[:-1], edges[1:]], 1),
                    np.stack([outputs[:-1], outputs[1:]], 1),
                    lengths(each - lower, products),
                    settling,
                    lengths(each, products),
                    np.maximum(unseen, self._of_kinks(x, low, high, products, settling)),
                    each @ density,
                    lower @ density,
                )
            )
        edges, outputs, changes, settling, pieces, unseen, collected, lower_collected = (
            np.concatenate(p) for p in zip(*parts, strict=True)
        )
        # Stretches tile the path, jumps have no length; what lies in a stretch without a sample goes to the others.
        weights = weights / weights.sum()
        size = float(lengths(weights, self.products))
        rises = np.diff(outputs, axis=1)[:, 0]
        # How large the map of an interval is beside the rise of F.
        usual = root_of_squares(pieces) / max(root_of_squares(rises), np.finfo(float).tiny)
        return self._told(
            weights,
            size,
            usual,
            edges,
            outputs,
            rises,
            changes,
            settling,
            unseen,
            rises - collected,
            rises - lower_collected,
        )

    def _told(
        self,
        weights: Floats,
        size: float,
        usual: float,
        edges: Floats,
        outputs: Floats,
        rises: Floats,
        changes: Floats,
        settling: Floats,
        unseen: Floats,
        defects: Floats,
        lower_defects: Floats,
    ) -> Assessment:
        noise, variation = self.rounding, float(np.abs(rises).sum())
        seen, gained = beyond(defects, noise), defects - lower_defects
        # How large a change of the map is beside the change of its sum.
        ratio = np.hypot(root_of_squares(changes), _SLIGHT * size) / max(
            np.hypot(root_of_squares(gained), _SLIGHT * variation), noise, np.finfo(float).tiny
        )
        if size == 0:
            # Gradients are zero wherever they were taken: what F changes is all to be found, whatever its length.
            ratio = 1.0
        # By how much F says that the rule is better than the lower one, as far as what F tells is what the map does.
        expected = gained * min(ratio, _UNUSUAL * usual)
        near = [near_sums(np.square(v)) for v in (seen, beyond(lower_defects, noise), expected, changes)]
        better = share_of(near[0], near[1])
        agreement = share_of(near[2], near[3])
        better = np.maximum(1 - agreement * (1 - better), _CAUTION * settling)
        # Where the map does not settle and F does not tell, samples are as good as drawn from what is between them.
        unresolved = ((settling - _SETTLES) / (1 - _SETTLES)).clip(min=0) * (1 - agreement)
        better = better * (1 + (_DRAWN - 1) * unresolved)
        # Two measures of the same, as far as F tells of the map.
        errors = np.sqrt(((better * changes) ** 2 + (ratio * seen) ** 2) / (1 + agreement**2))
        errors = np.maximum(errors, unseen)
        error = max(root_of_squares(errors), ratio * float(beyond(defects.sum(), noise)))
        blind = seen * ratio > changes
        return Assessment(weights, size, error, edges, outputs, rises, errors, defects, blind)

    def _of_kinks(self, x: Floats, low: float, high: float, products: Floats, settling: Floats) -> Floats:
        """What kinks may hide in each interval: the gradient jumps somewhere in it, or in many places by little.

        Of one jump anywhere, and of as many as make a random walk, the trapezoid misses 1 / sqrt(12) of the interval
        times the change, at the mean. How the map settles tells how much of the change is of kinks.
        """
        change = np.zeros((len(x) + 1, len(x)))
        if self.is_smooth:
            return change[:, 0]
        inner = np.arange(1, len(x))
        change[inner, inner - 1], change[inner, inner] = -1, 1
        share = (settling / _OF_KINKS).clip(max=1)
        room = np.diff(np.concatenate([[low], x, [high]]))
        missed: Floats = _TRAPEZOID * room * lengths(change, products) * share
        return missed

    def _stretches(self) -> list[tuple[float, float, float, float, Integers]]:
        """Between jumps: low, high, F at both, and which samples lie there; those without a sample are left out."""
        cuts = sorted(self.cuts, key=lambda cut: cut.low)
        lows = [(0.0, self.ends[0]), *((cut.at, cut.after) for cut in cuts)]
        highs = [*((cut.at, cut.before) for cut in cuts), (1.0, self.ends[1])]
        found = []
        for (low, before), (high, after) in zip(lows, highs, strict=True):
            chosen = np.flatnonzero((self.alphas >= low) & (self.alphas <= high))
            if len(chosen):
                found.append((low, high, before, after, chosen))
        return found
