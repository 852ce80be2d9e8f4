"""Points where they are needed: a rule of the whole path while the gradient is smooth, single samples where it is not.

Seven points settle most smooth models, fifteen most others. Where the gradient changes in one place, samples are added
there, and all of them stay in use. What seems settled is put to the test by samples at random places, which are
foreseen from the others before they are taken: no regular pattern of the gradient can hide from them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.corners import MOST_FEATURES, Numbering, Walk, corner_points, doubted
from ig_widgets.engine.devices import widest
from ig_widgets.engine.interpolation import values_at
from ig_widgets.engine.norms import unit_of
from ig_widgets.engine.patterson import SIZES, patterson
from ig_widgets.engine.patterson import values_at as rule_values_at
from ig_widgets.engine.profile import Assessment, Cut, Profile, beyond, lengths, places_for
from ig_widgets.engine.rule_errors import hidden, rule_errors, spread
from ig_widgets.engine.rules import ADAPTIVE, Floats, Integers, Nodes
from ig_widgets.engine.sample_index import Wanted
from ig_widgets.engine.sampling import Block
from ig_widgets.engine.steep import places_about, search
from ig_widgets.engine.trace import BatchNodes, Samples

# The first rule that tells its own error, by the one before it.
_FIRST = 7
# Samples at random places: so many, or one for so many others.
_CHECKS, _CHECKS_OF = 2, 16
# What a round of refinement aims at, of the tolerance.
_AIM = 0.8
# Where more than this share of the intervals need a sample, the next rule of the whole path is no dearer.
_LOCAL = 0.4
# A rule that is so much farther from the tolerance than single samples say is believed.
_DISAGREES = 3.0
# A place is looked for by forward passes where it holds so much of the error that is largest, and so much of the
# change of F in its interval is not shown by the samples.
_STEEP, _UNSHOWN = 0.3, 0.5
_SEARCHES = 32
# In units of rounding: how far F may be off, the shortest stretch in which points of the path differ, and how far a
# map is off.
_OF_OUTPUT, _OF_PATH, _OF_MAP = 8, 32, 3
_SEED = 20170304
# An interval stands out where it misses so many times more of what F changes than any other.
_OUTSTANDING = 3.0
# Where it is sampled if nothing in it is steep; polynomials through so many samples foresee what lies between them.
_WITHIN = (0.25, 0.5, 0.75)
_LOCALLY = 4
_GAUSS, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(8)
# Groups of features are looked at so often, of so many examples; of all where one of these is wrong.
_LOOKS, _FIRST_LOOKED_AT = 12, 16

# Samples crowd at an end where the first is nearer to it.
_CROWDED = 2e-3
# As good as no length of the path.
_NO_LENGTH = 1e-30

_NOWHERE: Floats = np.zeros(0)
_NO_PRODUCTS: Floats = np.zeros((0, 0))


@dataclass
class _Example:
    """What is known of one example.

    `rule`: points of the rule of the whole path in use; 0: all samples are. `following`: of the rule being sampled.

    `products` are those of its maps in `unit`; `low`, `high` (F at the baseline and the input), `outputs` and `density`
    are in `scale`. `checks`: samples at
    random places since others were added; `surprise`: what share of the map these showed to be unforeseen.
    """

    low: float
    high: float
    alphas: Floats = field(default_factory=lambda: _NOWHERE)
    outputs: Floats = field(default_factory=lambda: _NOWHERE)
    density: Floats = field(default_factory=lambda: _NOWHERE)
    products: Floats = field(default_factory=lambda: _NO_PRODUCTS)
    unit: float = 1.0
    scale: float = 1.0
    rule: int = 0
    following: int = 0
    cuts: list[Cut] = field(default_factory=list)
    searches: int = 0
    looks: int = 0
    checks: int = 0
    surprise: float = 0.0
    error: float | None = None
    assessment: Assessment | None = None

    def is_settled(self, tol: float) -> bool:
        """Whether the error is within `tol`, and nothing unforeseen was seen that is not."""
        return self.error is not None and self.error <= tol and self.surprise <= tol

    def is_hopeless(self, tol: float) -> bool:
        """Whether what is left of the error lies where no sample can reach."""
        return not self.rule and self.error is not None and self.error <= tol < self.surprise

    @property
    def is_crowded(self) -> bool:
        """Whether samples crowd at an end of the path."""
        return bool(min(self.alphas[0], 1 - self.alphas[-1]) < _CROWDED)

    @property
    def nodes(self) -> Nodes:
        """The samples in use."""
        if self.assessment is None:
            return patterson(self.rule)
        edges = np.concatenate([[0.0], np.cumsum(self.assessment.weights)])
        edges[-1] = 1.0
        return Nodes(self.alphas, self.assessment.weights, edges)


class Adaptive:
    """Points of each example of a batch, added in rounds; at most `most` for each.

    `is_smooth`: no kinks lie on the path. Where they do, no rule of the whole path is better than its points.
    """

    def __init__(self, samples: Samples, *, multiply_by_inputs: bool, most: int, is_smooth: bool) -> None:
        self.method = ADAPTIVE
        self._is_smooth = is_smooth
        self.samples = samples
        self._multiply = multiply_by_inputs
        self.most = most
        self._chance = np.random.default_rng(_SEED)
        self._eps = torch.finfo(samples.path.inputs[0].dtype).eps
        # How far from zero each path begins, in its own length: near zero floating point numbers lie close together.
        path = samples.path
        begins, spans = (_sizes(t) for t in (path.baselines, path.differences(torch.arange(path.batch, device="cpu"))))
        self._far: Floats = np.minimum(begins / np.maximum(spans, 1e-300), 1.0)
        ends = zip(samples.baseline_output.tolist(), samples.output.tolist(), strict=True)
        self._examples = [_Example(low, high) for low, high in ends]
        self._pending: list[Floats] = []
        self._misled = False

    @property
    def evaluations(self) -> int:
        """The most points that an example has so far."""
        return max(len(own.alphas) for own in self._examples)

    @property
    def nodes(self) -> BatchNodes:
        """The points in use, for each example."""
        rules = {own.rule if own.assessment is None else 0 for own in self._examples}
        if len(rules) == 1 and (rule := rules.pop()):
            return BatchNodes.of(patterson(rule), len(self._examples))
        return BatchNodes.of([own.nodes for own in self._examples], len(self._examples))

    @property
    def errors(self) -> Tensor | None:
        """The estimated relative L2 error of each example's map, (batch,) in float64; None as long as it is unknown."""
        known = [own.error for own in self._examples]
        # Of what cannot be put to the test nothing is known.
        if self.most < _FIRST + _CHECKS or any(error is None for error in known):
            return None
        return torch.tensor(known, dtype=torch.float64, device="cpu")

    @property
    def unattributed(self) -> Tensor:
        """By how much F jumps on the path, (batch,) in float64."""
        sums = [own.scale * sum(cut.size for cut in own.cuts if cut.is_jump) for own in self._examples]
        return torch.tensor(sums, dtype=torch.float64, device="cpu")

    def done(self, tol: float) -> bool:
        """Whether all is within `tol`, and was put to the test."""
        return all(own.is_settled(tol) and own.checks for own in self._examples)

    def where(self) -> tuple[float, float] | None:
        """Between which alphas most of the error lies, of the example that has the largest; None if it is unknown."""
        worst = max(self._examples, key=lambda own: -1.0 if own.error is None else own.error)
        if worst.assessment is None:
            return None
        low, high = worst.assessment.edges[worst.assessment.errors.argmax()]
        return float(low), float(high)

    def rows(self, tol: float, cancel: threading.Event | None = None) -> Wanted:
        """What to sample in the next round; nothing if no more can be afforded. Raises as `Sampler.outputs`."""
        if self.evaluations:
            self._pending = self._next(tol, cancel)
        else:
            size = max(size for size in SIZES if size <= min(_FIRST, self.most))
            for own in self._examples:
                own.following = size
            self._pending = [patterson(size).alphas] * len(self._examples)
        counts = [len(places) for places in self._pending]
        return Wanted(np.repeat(np.arange(len(counts)), counts), np.concatenate(self._pending))

    def look_at(self, block: Block) -> None:
        """Nothing is told by a part of a round."""

    def accept(self, rows: Wanted) -> None:  # noqa: ARG002  (what it is for is known)
        """All of `rows` has been sampled."""
        alike: dict[tuple[int, int], list[int]] = {}
        for e, (own, new) in enumerate(zip(self._examples, self._pending, strict=True)):
            own.rule = own.following
            if len(new):
                alike.setdefault((len(own.alphas), len(new)), []).append(e)
        for members in alike.values():
            self._extend(members)
        by_rule: dict[tuple[int, bytes], list[_Example]] = {}
        for own, new in zip(self._examples, self._pending, strict=True):
            if len(new) and own.rule >= _FIRST and self._is_smooth:
                by_rule.setdefault((own.rule, own.alphas.tobytes()), []).append(own)
            elif len(new) and (not own.rule or own.rule >= _FIRST):
                own.error = self._with_rounding(self._assess(own).relative)
        for group in by_rule.values():
            self._judge(group)

    # ------------------------------------------------------------ what samples tell

    def _extend(self, members: Sequence[int]) -> None:
        """Take up new samples of examples that have as many, and as many new ones."""
        own, chosen = [self._examples[e] for e in members], np.array(members)
        new = np.stack([self._pending[e] for e in members])
        every = np.concatenate([np.stack([one.alphas for one in own]), new], 1)
        count = every.shape[1] - new.shape[1]
        if not count:
            self._choose_units(chosen, new)
        units = np.array([one.unit for one in own])
        products = self.samples.products(chosen, new, every, multiply_by_inputs=self._multiply, units=units)
        outputs, density = self.samples.scalars(chosen, every)
        scales = np.array([one.scale for one in own])[:, None]
        whole = np.zeros((len(own), every.shape[1], every.shape[1]))
        whole[:, :count, :count] = [one.products for one in own]
        whole[:, count:], whole[:, :, count:] = products, products.transpose(0, 2, 1)
        order = np.argsort(every, 1)
        every, outputs, density = (np.take_along_axis(v, order, 1) for v in (every, outputs / scales, density / scales))
        whole = np.take_along_axis(np.take_along_axis(whole, order[:, :, None], 1), order[:, None], 2)
        for one, *found in zip(own, every, whole, outputs, density, strict=True):
            one.alphas, one.products, one.outputs, one.density = found

    def _choose_units(self, members: Integers, keys: Floats) -> None:
        """Powers of two near the largest values, by which squares neither overflow nor vanish."""
        units = self.samples.units(members, keys, self._multiply)
        outputs, density = self.samples.scalars(members, keys)
        ends = np.array([[self._examples[e].low, self._examples[e].high] for e in members])
        largest = np.abs(np.concatenate([outputs, density, ends], 1)).max(1)
        scales = unit_of(torch.from_numpy(largest)).tolist()
        for e, unit, scale in zip(members.tolist(), units.tolist(), scales, strict=True):
            own = self._examples[e]
            own.unit, own.scale, own.low, own.high = unit, scale, own.low / scale, own.high / scale

    def _judge(self, members: Sequence[_Example]) -> None:
        """The errors of the rule of the whole path, of examples that all have the same samples."""
        size, alphas = members[0].rule, members[0].alphas
        at = SIZES.index(size)
        own, before, first = (spread(n, alphas) for n in (size, SIZES[at - 1], SIZES[at - 2]))
        products = np.stack([one.products for one in members])
        outputs = np.stack([one.outputs for one in members])
        ends = np.array([[one.low, one.high] for one in members])
        rises = np.diff(np.concatenate([ends[:, :1], outputs, ends[:, 1:]], 1))
        density = np.stack([one.density for one in members])
        rounding = self._rounding(outputs)
        whole = lengths(own, products)
        errors = rule_errors(
            whole,
            lengths(own - before, products),
            lengths(before - first, products),
            beyond(rises.sum(1) - density @ own, rounding),
            beyond(rises.sum(1) - density @ before, rounding),
            np.abs(rises).sum(1),
        )
        surprises = hidden(size, alphas, products) / np.where(whole > 0, whole, 1)
        errors = np.where(errors > 0, np.hypot(errors, _OF_MAP * self._eps), errors)
        for one, error, surprise in zip(members, errors.tolist(), surprises.tolist(), strict=True):
            one.error, one.surprise, one.assessment = error, surprise, None

    def _assess(self, own: _Example) -> Assessment:
        """The error of all samples of an example."""
        rounding = float(self._rounding(own.outputs[None])[0])
        ends = own.low, own.high
        cuts = tuple(own.cuts)
        nearest = float(self._eps)
        known = (own.alphas, own.outputs, own.density, own.products, ends, rounding, cuts, self._is_smooth, nearest)
        profile = Profile(*known)
        own.assessment = profile.assess()
        # What no sample can reach may be anything.
        unreached = sum(abs(cut.size) for cut in own.cuts if not cut.is_jump)
        own.surprise = unreached / max(float(np.abs(own.assessment.rises).sum()), unreached) if unreached else 0.0
        return own.assessment

    def _rounding(self, outputs: Floats) -> Floats:
        """How far F (members, samples) may be off."""
        far: Floats = _OF_OUTPUT * self._eps * np.abs(outputs).max(1)
        return far

    def _with_rounding(self, error: float) -> float:
        return float(np.hypot(error, _OF_MAP * self._eps)) if error else 0.0

    # ------------------------------------------------------------ where to sample next

    def _next(self, tol: float, cancel: threading.Event | None) -> list[Floats]:
        """Where each example is to be sampled next; nowhere if it is done, or no more can be afforded."""
        found = [_NOWHERE] * len(self._examples)
        chance = self._chance.uniform(size=self.most)
        hard, settled = [], []
        # Most examples have the same samples.
        tests: dict[bytes, Floats] = {}
        for e, own in enumerate(self._examples):
            affordable = self.most - len(own.alphas)
            if affordable < 1 or own.is_hopeless(tol) or (own.checks and own.is_settled(tol)):
                continue
            if not own.is_settled(tol):
                own.checks = 0
                if own.rule and (new := self._larger_rule(own, tol, affordable)) is not None:
                    found[e] = new
                    continue
            if not own.is_settled(tol):
                hard.append(e)
            else:
                key = own.alphas.tobytes()
                if own.is_crowded or key not in tests:
                    tests[key] = self._at_random(e, affordable, chance)
                found[e] = tests[key]
                own.checks = len(found[e])
                if own.checks:
                    settled.append(e)
        for e, places in self._hard(hard, tol, cancel).items():
            affordable = self.most - len(self._examples[e].alphas)
            found[e] = np.setdiff1d(places, self._examples[e].alphas)[:affordable]
        doubts = self._doubts(settled, tol, cancel)
        for e, more in self._steps(settled, tol, cancel).items():
            doubts[e] = [*doubts.get(e, []), *more]
        for e, more in doubts.items():
            own = self._examples[e]
            # All samples serve now, and are put to the test once more.
            own.rule = own.following = own.checks = 0
            found[e] = np.setdiff1d([*found[e], *more], own.alphas)[: self.most - len(own.alphas)]
        return found

    def _doubts(self, members: Sequence[int], tol: float, cancel: threading.Event | None) -> dict[int, list[float]]:
        """Where groups of features do not add up to what they do to F, of examples that seem settled."""
        differ = self._differing
        if not 1 < len(differ) <= MOST_FEATURES:
            return {}
        able = [e for e in members if self._examples[e].looks < _LOOKS]
        parts = [able] if self._misled else [able[:_FIRST_LOOKED_AT], able[_FIRST_LOOKED_AT:]]
        found: dict[int, list[float]] = {}
        for part in parts:
            if part and (part is parts[0] or self._misled):
                found |= self._look_beside(part, tol, cancel)
                self._misled |= bool(found)
        return found

    def _steps(self, members: Sequence[int], tol: float, cancel: threading.Event | None) -> dict[int, list[float]]:
        """Where F changes more than samples show, of examples that seem settled.

        Of many features' F it may be little, and yet more than the tolerance of their map, if it is all of one feature.
        """
        if not self._multiply:
            return {}
        found: dict[int, list[float]] = {}
        for part in (members[:_FIRST_LOOKED_AT], members[_FIRST_LOOKED_AT:]):
            if part and (part[0] == members[0] or found):
                places: dict[int, list[float]] = {e: [] for e in part}
                if wanted := [(e, at) for e in part if (at := self._outstanding(e, tol)) is not None]:
                    self._search(wanted, places, cancel, foresee=True)
                for e, at in wanted:
                    low, high = self._edges(e)[at]
                    # What is not steep is seen by samples that are close enough.
                    found[e] = places[e] or [float(low + (high - low) * share) for share in _WITHIN]
        return found

    def _outstanding(self, example: int, tol: float) -> int | None:
        """The interval that misses most of what F changes, if it alone could miss the tolerance; None if none does."""
        own = self._examples[example]
        if own.searches >= _SEARCHES:
            return None
        surprise, known = own.surprise, own.assessment
        one = self._assess(own) if known is None else known
        own.surprise, own.assessment = surprise, known
        defects = one.defects
        if known is None:
            lengths_of = np.diff(one.edges, axis=1)
            places = one.edges[:, :1] + lengths_of * (_GAUSS + 1) / 2
            foreseen = self._slopes(own, places.ravel()).reshape(places.shape)
            defects = one.rises - (foreseen @ _GAUSS_WEIGHTS) * lengths_of[:, 0] / 2
        missed = beyond(defects, float(self._rounding(own.outputs[None])[0]))
        at = int(missed.argmax())
        low, high = one.edges[at]
        stands_out = missed[at] > _OUTSTANDING * np.delete(missed, at).max(initial=0)
        if not stands_out or missed[at] <= tol * one.size * own.unit / own.scale:
            return None
        if high - low <= 8 * self._shortest(example, np.array([high]))[0]:
            return None
        own.assessment = one
        return at

    def _edges(self, example: int) -> Floats:
        own = self._examples[example].assessment
        return own.edges if own is not None else np.zeros((0, 2))

    def _slopes(self, own: _Example, places: Floats) -> Floats:
        """dF/dalpha at `places`, as the samples in use foresee it."""
        if own.rule:
            at = np.searchsorted(own.alphas, patterson(own.rule).alphas)
            by_rule: Floats = rule_values_at(own.rule, tuple(places.tolist())) @ own.density[at]
            return by_rule
        return np.stack([values_at(own.alphas, place, _LOCALLY) for place in places]) @ own.density

    def _look_beside(
        self, members: Sequence[int], tol: float, cancel: threading.Event | None
    ) -> dict[int, list[float]]:
        path = self.samples.path

        def ask(examples: Integers, own: Floats, others: Floats, chosen: Tensor) -> Floats:
            of, at, beside = (torch.from_numpy(values) for values in (examples, own, others))

            def points(part: slice) -> tuple[Tensor, ...]:
                return corner_points(path, of[part], at[part], beside[part], chosen[part])

            values = self.samples.sampler.outputs(points, of, at, cancel, first=None)
            scaled: Floats = values.numpy() / np.array([self._examples[e].scale for e in examples.tolist()])
            return scaled

        walks = [self._walk(e) for e in members]
        for e in members:
            self._examples[e].looks += 1
        return doubted(walks, self._numbering, tol, ask)

    def _walk(self, example: int) -> Walk:
        own = self._examples[example]
        parts = list(self.samples.maps(example, own.alphas.tolist(), multiply_by_inputs=True))
        maps = torch.cat(parts, 1).cpu().double().numpy()[:, self._differing] / own.scale
        nodes = own.nodes
        weights = np.zeros(len(own.alphas))
        weights[np.searchsorted(own.alphas, nodes.alphas)] = nodes.weights
        return Walk(
            example,
            own.alphas,
            own.outputs,
            (own.low, own.high),
            maps,
            float(np.linalg.norm(weights @ maps)),
            own.rule if own.assessment is None else 0,
            float(self._rounding(own.outputs[None])[0]),
            8 * float(self._shortest(example, np.ones(1))[0]),
            tuple((cut.low, cut.high) for cut in own.cuts),
        )

    @cached_property
    def _numbering(self) -> Numbering:
        features = sum(x[0].numel() for x in self.samples.path.inputs)
        return Numbering(self._differing, features, self._chance)

    @cached_property
    def _differing(self) -> Integers:
        """Which features differ between any baseline and its input."""
        path = self.samples.path
        each = path.differences(torch.arange(path.batch, device="cpu"))
        differ: Integers = np.flatnonzero(torch.cat([(t != 0).reshape(len(t), -1).any(0) for t in each]).cpu().numpy())
        return differ

    def _larger_rule(self, own: _Example, tol: float, affordable: int) -> Floats | None:
        """The points that the next rule adds; None where all samples are to serve instead, and single ones be added."""
        by_rule, told = own.assessment is None, own.error
        assessment = self._assess(own)
        local = self._with_rounding(assessment.relative)
        goal = _AIM * tol * assessment.size
        following = SIZES[SIZES.index(own.rule) + 1] if own.rule < SIZES[-1] else 0
        disagrees = by_rule and told is not None and told > _DISAGREES * tol
        if (local > tol or disagrees) and following and own.rule >= _FIRST:
            new = np.setdiff1d(patterson(following).alphas, own.alphas)
            wanted = len(places_for(assessment, goal, np.zeros(1)))
            if (local <= tol or wanted > _LOCAL * len(assessment.errors)) and len(new) <= affordable:
                own.following = following
                own.assessment = None if by_rule else assessment
                return new
        own.rule = own.following = 0
        own.error = local
        return None

    def _hard(self, members: Sequence[int], tol: float, cancel: threading.Event | None) -> dict[int, Floats]:
        """Where single samples are to be added; steep places and jumps are looked for by forward passes."""
        places: dict[int, list[float]] = {e: [] for e in members}
        wanted = [(e, i) for e in members for i in self._steep(e, tol)]
        if wanted:
            self._search(wanted, places, cancel)
        found = {}
        for e in members:
            own = self._examples[e]
            assessment = own.assessment if own.assessment is not None else self._assess(own)
            if not own.is_settled(tol):
                shortest = 2 * self._shortest(e, assessment.edges[:, 1])
                places[e] += places_for(assessment, _AIM * tol * assessment.size, shortest)
            found[e] = np.unique(places[e])
        return found

    def _steep(self, example: int, tol: float) -> list[int]:
        """The intervals that hold much of the error, as F changes there and the gradients at hand do not show it."""
        own = self._examples[example]
        one = own.assessment if own.assessment is not None else self._assess(own)
        room = _SEARCHES - own.searches
        if own.is_settled(tol) or room < 1:
            return []
        length = np.diff(one.edges, axis=1)[:, 0]
        steep = (
            one.blind
            & (one.errors >= _STEEP * one.errors.max())
            & (np.abs(one.defects) >= _UNSHOWN * np.abs(one.rises))
        )
        return np.flatnonzero(steep & (length > 8 * self._shortest(example, one.edges[:, 1]))).tolist()[:room]

    def _shortest(self, examples: Integers | int, alphas: Floats) -> Floats:
        """The shortest stretches of the paths of `examples` before `alphas` in which points differ."""
        shortest: Floats = np.maximum(_OF_PATH * self._eps * (alphas + self._far[examples]), _NO_LENGTH)
        return shortest

    def _at_random(self, example: int, affordable: int, chance: Floats) -> Floats:
        """Where an example is put to the test; none if that cannot be afforded.

        Anywhere, and where samples crowd at an end, at any distance from it: a gradient may grow there once more.
        """
        own = self._examples[example]
        count = max(_CHECKS, len(own.alphas) // _CHECKS_OF)
        places = list(chance[:count])
        rooms = (own.alphas[0], 1 - own.alphas[-1])
        nearest = self._shortest(example, np.array([0.0, 1.0]))
        for room, least, end in zip(rooms, nearest.tolist(), (0.0, 1.0), strict=True):
            if 8 * least < room < _CROWDED:
                distances = room * (4 * least / room) ** ((np.arange(_CHECKS) + chance[-1]) / _CHECKS)
                places += np.abs(end - distances).tolist()
        return np.setdiff1d(places, own.alphas) if len(places) <= affordable else _NOWHERE

    def _search(
        self,
        wanted: Sequence[tuple[int, int]],
        places: dict[int, list[float]],
        cancel: threading.Event | None,
        *,
        foresee: bool = False,
    ) -> None:
        def slope(intervals: Integers, alphas: Floats) -> Floats:
            found = np.zeros(len(alphas))
            for k in np.unique(intervals).tolist():
                found[intervals == k] = self._slopes(self._examples[wanted[k][0]], alphas[intervals == k])
            return found

        def ask(examples: Integers, alphas: Floats) -> Floats:
            of, at = torch.from_numpy(examples), torch.from_numpy(alphas)
            path = self.samples.path
            values = self.samples.sampler.outputs(lambda part: path.points(of[part], at[part]), of, at, cancel)
            scaled: Floats = values.numpy() / np.array([self._examples[e].scale for e in examples.tolist()])
            return scaled

        spans = [(self._examples[e], self._examples[e].assessment, i) for e, i in wanted]
        ends = np.array([one.edges[i] for _, one, i in spans if one is not None])
        values = np.array([one.outputs[i] for _, one, i in spans if one is not None])
        shown = np.array([one.rises[i] - one.defects[i] for _, one, i in spans if one is not None])
        examples = np.array([e for e, _ in wanted], dtype=np.int64)
        known = (ends[:, 0], ends[:, 1], values[:, 0], values[:, 1], shown)
        found = search(ask, examples, *known, self._shortest, slope if foresee else None)
        for k, (e, _) in enumerate(wanted):
            own = self._examples[e]
            own.searches += 1
            start, end = ends[k].tolist()
            low, high = float(found.lows[k]), float(found.highs[k])
            if found.is_short[k]:
                own.cuts.append(Cut(low, high, float(found.before[k]), float(found.after[k]), bool(found.is_jump[k])))
                shortest = 2 * self._shortest(e, np.array([high, end]))
                sides = zip((start, high), (low, end), shortest.tolist(), strict=True)
                places[e] += [(a + b) / 2 for a, b, least in sides if b - a > least]
            elif (low, high) != (start, end):
                places[e] += places_about(low, high, start, end)


def _sizes(tensors: Sequence[Tensor]) -> Floats:
    """The sum of the sizes of each example's values: (batch,)."""
    each = [t.detach().abs().reshape(len(t), -1).sum(1, dtype=widest(t.device)) for t in tensors]
    return torch.stack([t.cpu().double() for t in each]).sum(0).numpy()
