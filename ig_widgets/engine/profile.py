"""What the samples of one path tell: the weights that integrate them, how large the error is, where it lies.

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

from ig_widgets.engine.interpolation import interval_weights, positive_orders
from ig_widgets.engine.rules import Floats, Integers

# Samples that the polynomial of an interval may go through.
_ORDERS = (2, 4, 6)
# Where neither F nor the gradients differ from what is expected, the share of each that still counts.
_SLIGHT = 1e-3
# Weights of so many samples are multiplied as they are; of more only those that are not zero.
_DENSE = 48
# By how much larger than usual a change of the map may be beside that of F, for F to tell of it.
_UNUSUAL = 3.0
# What F says of a rule is believed as far as the map itself settles from order to order.
_CAUTION = 1.0
# Of samples that are as good as drawn the next order changes the sum by the first part of what it is off by; they are
# where the map settles by no more than the second.
_DRAWN, _SETTLES = 4.0, 0.4
# By how much the map settles from order to order where kinks are all there is; what the trapezoid misses there.
_OF_KINKS, _TRAPEZOID = 0.35, 12**-0.5
# A power that is so near to 1 is that of 1 / alpha.
_FLAT = 1e-6
# What may be left of a goal where nothing is added, and what of it can never be reached.
_LEFT, _HOPELESS = 0.6, 1.3
# One sample for so many is added at a time at least, as each round looks at all.
_ROUNDS = 32
# Where a sample is added at an end of the path, from there; from which unevenness of neighbours on not in the middle.
_AT_END, _UNEVEN = 0.3, 4


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
            each, lower, settling = _rules(x, low, high, products)
            weights[chosen] = each.sum(0)
            edges = np.concatenate([[low], x, [high]])
            outputs = np.concatenate([[before], self.outputs[chosen], [after]])
            unseen = _unseen(x, low, high, products, density, np.diff(outputs), self.nearest)
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
        usual = _length(pieces) / max(_length(rises), np.finfo(float).tiny)
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
        seen, told = beyond(defects, noise), defects - lower_defects
        # How large a change of the map is beside the change of its sum.
        ratio = np.hypot(_length(changes), _SLIGHT * size) / max(
            np.hypot(_length(told), _SLIGHT * variation), noise, np.finfo(float).tiny
        )
        if size == 0:
            # Gradients are zero wherever they were taken: what F changes is all to be found, whatever its length.
            ratio = 1.0
        # By how much F says that the rule is better than the lower one, as far as what F tells is what the map does.
        expected = told * min(ratio, _UNUSUAL * usual)
        near = [_near(np.square(v)) for v in (seen, beyond(lower_defects, noise), expected, changes)]
        better = _share(near[0], near[1])
        alike = _share(near[2], near[3])
        better = np.maximum(1 - alike * (1 - better), _CAUTION * settling)
        # Where the map does not settle and F does not tell, samples are as good as drawn from what is between them.
        unresolved = ((settling - _SETTLES) / (1 - _SETTLES)).clip(min=0) * (1 - alike)
        better = better * (1 + (_DRAWN - 1) * unresolved)
        # Two measures of the same, as far as F tells of the map.
        errors = np.sqrt(((better * changes) ** 2 + (ratio * seen) ** 2) / (1 + alike**2))
        errors = np.maximum(errors, unseen)
        error = max(_length(errors), ratio * float(beyond(defects.sum(), noise)))
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


def _rules(x: Floats, low: float, high: float, products: Floats) -> tuple[Floats, Floats, Floats]:
    """The weights of the samples in each interval by the order that suits there, and by the next lower one.

    And by which factor the map's changes there shrink from order to order, at most 1.
    """
    by_order = {order: interval_weights(x, low, high, order) for order in _ORDERS}
    least, middle, most = _ORDERS
    late = lengths(by_order[most] - by_order[middle], products)
    early = lengths(by_order[middle] - by_order[least], products)
    orders = np.where(late <= early, most, least)
    near = _near(np.square(late)), _near(np.square(early))
    settling = _share(*near)
    orders = positive_orders(x, low, high, orders)
    each = interval_weights(x, low, high, orders)
    # A trapezoid is compared with the next order above.
    lower = np.where((orders >= least)[:, None], by_order[middle], by_order[least])
    return each, lower, settling


def _unseen(
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
            told = abs(float(rises[interval])) * grown / shown if shown else np.inf
            unseen[interval] = max(unseen[interval], min(farther, told))
    return unseen


def _beyond_power(power: float, least: float) -> float:
    """The integral of t^-power from `least` to 1, beyond that of 1."""
    left = 1 - power
    return float(-np.log(least) if left < _FLAT else (1 - least**left) / left) - 1


def _share(squares: Floats, of: Floats) -> Floats:
    """The ratio of two lengths whose squares these are, at most 1."""
    share: Floats = np.sqrt(squares / np.maximum(np.maximum(of, squares), np.finfo(float).tiny))
    return share


def _near(values: Floats) -> Floats:
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


def places_for(one: Assessment, goal: float, shortest: Floats) -> list[float]:
    """Where to sample, one place in each interval, so that what is left of the error should be about `goal`.

    None in intervals that are not longer than `shortest` (m,), and none at all where these hold more than is allowed
    and the others hardly anything.
    """
    is_able = one.edges[:, 1] - one.edges[:, 0] > shortest
    able = np.flatnonzero(is_able)
    order = able[np.argsort(-one.errors[able])]
    left = np.sqrt(np.cumsum(np.square(one.errors[order])[::-1]))[::-1]
    count = int((left > _LEFT * goal).sum())
    if not count and _length(one.errors[~is_able]) > _HOPELESS * goal:
        return []
    chosen = order[: max(1, count, len(one.errors) // _ROUNDS)]
    return [_place(one.edges, int(k)) for k in np.sort(chosen)]


def _place(edges: Floats, k: int) -> float:
    """The middle of an interval, or nearer to the side on which samples are close."""
    low, high = edges[k]
    room = high - low
    if k in (0, len(edges) - 1):
        return float(low + _AT_END * room) if k == 0 else float(high - _AT_END * room)
    before, after = (edges[k + step, 1] - edges[k + step, 0] for step in (-1, 1))
    if min(before, after) * _UNEVEN > room:
        return float((low + high) / 2)
    distance = min(max(np.sqrt(min(before, after) * room), room / 8), room / 2)
    return float(low + distance) if before <= after else float(high - distance)


def _length(values: Floats) -> float:
    return float(np.sqrt(np.square(values).sum()))
