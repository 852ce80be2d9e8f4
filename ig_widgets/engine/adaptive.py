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
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.alike import Alike
from ig_widgets.engine.batch_nodes import BatchNodes
from ig_widgets.engine.blocks import Block
from ig_widgets.engine.corners import MOST_FEATURES, corner_points, doubted
from ig_widgets.engine.devices import widest
from ig_widgets.engine.feature_groups import Numbering, Walk
from ig_widgets.engine.interpolation import values_at
from ig_widgets.engine.intervals import beyond, lengths
from ig_widgets.engine.norms import unit_of
from ig_widgets.engine.patterson import SIZES, patterson
from ig_widgets.engine.patterson import values_at as rule_values_at
from ig_widgets.engine.profile import Assessment, Cut, Profile
from ig_widgets.engine.rule_errors import hidden, rule_errors, spread
from ig_widgets.engine.rules import ADAPTIVE, Floats, Integers, Nodes
from ig_widgets.engine.sample_index import Wanted
from ig_widgets.engine.sample_places import places_for
from ig_widgets.engine.samples import Samples
from ig_widgets.engine.steep import places_about, search

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
        self._alike = Alike.begin(torch.stack([samples.baseline_output, samples.output], 1).numpy())
        # Those of which more is known, or other things, and the alphas of this round.
        self._examples: dict[int, _Example] = {}
        self._pending: dict[int, Floats] = {}
        self._misled = False

    @property
    def evaluations(self) -> int:
        """The most points that an example has so far."""
        return max(len(self._alike.alphas), *(len(own.alphas) for own in self._examples.values()), 0)

    @property
    def nodes(self) -> Nodes | BatchNodes:
        """The points in use, for all examples or each."""
        alike, apart = self._alike, self._examples
        rules = {own.rule if own.assessment is None else 0 for own in apart.values()}
        rules |= {alike.rule} if len(alike) else set()
        if len(rules) == 1 and (rule := rules.pop()):
            return patterson(rule)
        most = max([alike.rule, *(len(own.nodes.alphas) for own in apart.values())])
        batch = len(alike) + len(apart)
        alphas, edges, counts = np.empty((batch, most)), np.ones((batch, most + 1)), np.empty(batch, dtype=np.int64)
        each: list[tuple[Any, Nodes]] = [(alike.members, patterson(alike.rule))] if len(alike) else []
        for chosen, own in [*each, *((e, one.nodes) for e, one in apart.items())]:
            count = len(own.alphas)
            alphas[chosen, :count], alphas[chosen, count:] = own.alphas, own.alphas[-1]
            edges[chosen, : count + 1], counts[chosen] = own.edges, count
        return BatchNodes(alphas, edges, counts)

    @property
    def errors(self) -> Tensor | None:
        """The estimated relative L2 error of each example's map, (batch,) in float64; None as long as it is unknown."""
        # Of what cannot be put to the test nothing is known.
        if self.most < _FIRST + _CHECKS or any(own.error is None for own in self._examples.values()):
            return None
        errors = np.empty(len(self._alike) + len(self._examples))
        errors[self._alike.members] = self._alike.errors
        for e, own in self._examples.items():
            errors[e] = own.error
        return None if np.isnan(errors).any() else torch.from_numpy(errors)

    @property
    def unattributed(self) -> Tensor:
        """By how much F jumps on the path, (batch,) in float64."""
        sums = torch.zeros(len(self._alike) + len(self._examples), dtype=torch.float64, device="cpu")
        for e, own in self._examples.items():
            sums[e] = own.scale * sum(cut.size for cut in own.cuts if cut.is_jump)
        return sums

    def done(self, tol: float) -> bool:
        """Whether all is within `tol`, and was put to the test."""
        alike = self._alike
        if len(alike) and not (alike.checks and alike.is_settled(tol).all()):
            return False
        return all(own.is_settled(tol) and own.checks for own in self._examples.values())

    def where(self) -> tuple[float, float] | None:
        """Between which alphas most of the error lies, of the example that has the largest; None if it is unknown."""
        if not self._examples:
            return None
        worst = max(self._examples.values(), key=lambda own: -1.0 if own.error is None else own.error)
        largest = np.fmax.reduce(self._alike.errors, initial=-1.0)
        if worst.assessment is None or worst.error is None or worst.error < largest:
            return None
        low, high = worst.assessment.edges[worst.assessment.errors.argmax()]
        return float(low), float(high)

    def rows(self, tol: float, cancel: threading.Event | None = None) -> Wanted:
        """What to sample in the next round; nothing if no more can be afforded. Raises as `Sampler.outputs`."""
        alike = self._alike
        if self.evaluations:
            self._next(tol, cancel)
        else:
            alike.following = max(size for size in SIZES if size <= min(_FIRST, self.most))
            alike.pending = patterson(alike.following).alphas
        counts = [len(places) for places in self._pending.values()]
        examples = np.repeat(np.array(list(self._pending), dtype=np.int64), counts)
        return Wanted(
            np.concatenate([np.repeat(alike.members, len(alike.pending)), examples]),
            np.concatenate([np.tile(alike.pending, len(alike)), *self._pending.values()]),
        )

    def look_at(self, block: Block) -> None:
        """Nothing is told by a part of a round."""

    def accept(self, rows: Wanted) -> None:  # noqa: ARG002  (what it is for is known)
        """All of `rows` has been sampled."""
        self._accept_alike()
        same: dict[tuple[int, int], list[int]] = {}
        for e, new in self._pending.items():
            own = self._examples[e]
            own.rule = own.following
            if len(new):
                same.setdefault((len(own.alphas), len(new)), []).append(e)
        for members in same.values():
            self._extend(members)
        by_rule: dict[tuple[int, bytes], list[_Example]] = {}
        for e, new in self._pending.items():
            own = self._examples[e]
            if len(new) and own.rule >= _FIRST and self._is_smooth:
                by_rule.setdefault((own.rule, own.alphas.tobytes()), []).append(own)
            elif len(new) and (not own.rule or own.rule >= _FIRST):
                own.error = self._with_rounding(self._assess(own).relative)
        for group in by_rule.values():
            self._judge(group)

    # ------------------------------------------------------------ what samples tell

    def _accept_alike(self) -> None:
        """Take up the new samples of all that are alike, and judge them."""
        alike = self._alike
        if not len(alike) or not len(alike.pending):
            return
        alike.rule = alike.following
        new = alike.pending[None]
        if not len(alike.alphas):
            alike.units, alike.scales = self._units(alike.members, new, alike.ends)
            alike.ends = alike.ends / alike.scales[:, None]
        known = alike.members, alike.alphas[None], new, alike.products, alike.units, alike.scales
        every, alike.products, alike.outputs, alike.density = self._extended(*known)
        alike.alphas, alike.pending = every[0], _NOWHERE
        if alike.rule < _FIRST:
            return
        if self._is_smooth:
            judged = alike.rule, alike.alphas, alike.products, alike.outputs, alike.density, alike.ends
            alike.errors, alike.surprises = self._judged(*judged)
            return
        # Where kinks are no two paths are alike.
        for own in self._part(alike.members):
            own.error = self._with_rounding(self._assess(own).relative)

    def _part(self, members: Integers | Sequence[int]) -> list[_Example]:
        """Know each of `members` by itself from now on."""
        alike = self._alike
        leave = np.isin(alike.members, members)
        for k in np.flatnonzero(leave).tolist():
            e, error = int(alike.members[k]), float(alike.errors[k])
            low, high = alike.ends[k].tolist()
            self._examples[e] = _Example(
                low,
                high,
                alphas=alike.alphas,
                outputs=alike.outputs[k].copy(),
                density=alike.density[k].copy(),
                products=alike.products[k].copy(),
                unit=float(alike.units[k]),
                scale=float(alike.scales[k]),
                rule=alike.rule,
                following=alike.following,
                checks=alike.checks,
                surprise=float(alike.surprises[k]),
                error=None if np.isnan(error) else error,
            )
            self._pending[e] = alike.pending
        if leave.any():
            alike.keep(~leave)
        return [self._examples[int(e)] for e in members]

    def _extend(self, members: Sequence[int]) -> None:
        """Take up new samples of examples that have as many, and as many new ones."""
        own, chosen = [self._examples[e] for e in members], np.array(members)
        alphas, products = np.stack([one.alphas for one in own]), np.stack([one.products for one in own])
        units, scales = (np.array([getattr(one, name) for one in own]) for name in ("unit", "scale"))
        new = np.stack([self._pending[e] for e in members])
        found = self._extended(chosen, alphas, new, products, units, scales)
        for one, *each in zip(own, *found, strict=True):
            one.alphas, one.products, one.outputs, one.density = each

    def _extended(
        self, members: Integers, alphas: Floats, new: Floats, products: Floats, units: Floats, scales: Floats
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """With samples at `new` (members, k) beside those at `alphas` (members, n), or (1, ...) if all have the same.

        All alphas, ascending, the inner products of the maps in `units`, and F and its slope in `scales`.
        """
        every, count = np.concatenate([alphas, new], 1), alphas.shape[1]
        fresh = self.samples.products(members, new, every, multiply_by_inputs=self._multiply, units=units)
        outputs, density = (v / scales[:, None] for v in self.samples.scalars(members, every))
        whole = np.empty((len(members), every.shape[1], every.shape[1]))
        whole[:, :count, :count] = products
        whole[:, count:], whole[:, :, count:] = fresh, fresh.transpose(0, 2, 1)
        order = np.argsort(every, 1)
        every = np.take_along_axis(every, order, 1)
        if len(order) == 1:
            at = order[0]
            return every, whole[:, at[:, None], at], outputs[:, at], density[:, at]
        outputs, density = (np.take_along_axis(v, order, 1) for v in (outputs, density))
        return (
            every,
            np.take_along_axis(np.take_along_axis(whole, order[:, :, None], 1), order[:, None], 2),
            outputs,
            density,
        )

    def _units(self, members: Integers, alphas: Floats, ends: Floats) -> tuple[Floats, Floats]:
        """Powers of two near the largest values of maps and of F, by which squares neither overflow nor vanish."""
        units = self.samples.units(members, alphas, self._multiply)
        outputs, density = self.samples.scalars(members, alphas)
        largest = np.abs(np.concatenate([outputs, density, ends], 1)).max(1)
        return units, unit_of(torch.from_numpy(largest)).numpy()

    def _judge(self, members: Sequence[_Example]) -> None:
        """The errors of the rule of the whole path, of examples that all have the same samples."""
        products, outputs, density = (
            np.stack([getattr(one, name) for one in members]) for name in ("products", "outputs", "density")
        )
        ends = np.array([[one.low, one.high] for one in members])
        errors, surprises = self._judged(members[0].rule, members[0].alphas, products, outputs, density, ends)
        for one, error, surprise in zip(members, errors.tolist(), surprises.tolist(), strict=True):
            one.error, one.surprise, one.assessment = error, surprise, None

    def _judged(
        self, size: int, alphas: Floats, products: Floats, outputs: Floats, density: Floats, ends: Floats
    ) -> tuple[Floats, Floats]:
        """The errors of the rule of `size` points, and what samples beside it show to be unforeseen: (members,)."""
        at = SIZES.index(size)
        own, before, first = (spread(n, alphas) for n in (size, SIZES[at - 1], SIZES[at - 2]))
        rises = np.diff(np.concatenate([ends[:, :1], outputs, ends[:, 1:]], 1))
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
        return np.where(errors > 0, np.hypot(errors, _OF_MAP * self._eps), errors), surprises

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

    def _next(self, tol: float, cancel: threading.Event | None) -> None:
        """Say where each example is to be sampled next; nowhere if it is done, or no more can be afforded."""
        self._pending = {}
        chance = self._chance.uniform(size=self.most)
        settled = self._test_alike(tol, chance)
        hard: list[int] = []
        # Most examples have the same samples.
        tests: dict[bytes, Floats] = {}
        for e in sorted(self._examples):
            own = self._examples[e]
            affordable = self.most - len(own.alphas)
            if affordable < 1 or own.is_hopeless(tol) or (own.checks and own.is_settled(tol)):
                continue
            if not own.is_settled(tol):
                own.checks = 0
                if own.rule and (new := self._larger_rule(own, tol, affordable)) is not None:
                    self._pending[e] = new
                    continue
            if not own.is_settled(tol):
                hard.append(e)
            else:
                key = own.alphas.tobytes()
                if own.is_crowded or key not in tests:
                    tests[key] = self._at_random(e, affordable, chance, own.alphas)
                self._pending[e] = tests[key]
                own.checks = len(tests[key])
                if own.checks:
                    settled.append(e)
        for e, places in self._hard(hard, tol, cancel).items():
            affordable = self.most - len(self._examples[e].alphas)
            self._pending[e] = np.setdiff1d(places, self._examples[e].alphas)[:affordable]
        settled.sort()
        doubts = self._doubts(settled, tol, cancel)
        for e, more in self._steps(settled, tol, cancel).items():
            doubts[e] = [*doubts.get(e, []), *more]
        for e, more in doubts.items():
            own = self._examples[e]
            # All samples serve now, and are put to the test once more.
            own.rule = own.following = own.checks = 0
            self._pending[e] = np.setdiff1d([*self._pending[e], *more], own.alphas)[: self.most - len(own.alphas)]

    def _test_alike(self, tol: float, chance: Floats) -> list[int]:
        """Put to the test those that are alike and seem settled, which are returned; the others leave them."""
        alike = self._alike
        if not len(alike) or len(alike.alphas) >= self.most:
            return []
        rooms = alike.alphas[0], 1 - alike.alphas[-1]
        # Beside a crowded end each is tested at distances of its own.
        left = ~alike.is_settled(tol) | (min(rooms) < _CROWDED and not alike.checks)
        self._part(alike.members[left])
        if not len(alike) or alike.checks:
            return []
        alike.pending = self._at_random(int(alike.members[0]), self.most - len(alike.alphas), chance, alike.alphas)
        alike.checks = len(alike.pending)
        return alike.members.tolist() if alike.checks else []

    def _doubts(self, members: Sequence[int], tol: float, cancel: threading.Event | None) -> dict[int, list[float]]:
        """Where groups of features do not add up to what they do to F, of examples that seem settled."""
        differ = self._differing
        if not 1 < len(differ) <= MOST_FEATURES:
            return {}
        able = [e for e in members if e not in self._examples or self._examples[e].looks < _LOOKS]
        parts = [able] if self._misled else [able[:_FIRST_LOOKED_AT], able[_FIRST_LOOKED_AT:]]
        found: dict[int, list[float]] = {}
        for part in parts:
            if part and (part is parts[0] or self._misled):
                self._part(part)
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
                self._part(part)
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
        if known is None and not own.cuts:
            # Most need no more to be told.
            edges = np.concatenate([[0.0], own.alphas, [1.0]])
            rises = np.diff(np.concatenate([[own.low], own.outputs, [own.high]]))
            if self._outstands(own, np.stack([edges[:-1], edges[1:]], 1), rises) is None:
                return None
        one = self._assess(own) if known is None else known
        own.surprise, own.assessment = surprise, known
        found = self._outstands(own, one.edges, one.rises, None if known is None else one.defects)
        if found is None or found[1] <= tol * one.size * own.unit / own.scale:
            return None
        at = found[0]
        low, high = one.edges[at]
        if high - low <= 8 * self._shortest(example, np.array([high]))[0]:
            return None
        own.assessment = one
        return at

    def _outstands(
        self, own: _Example, edges: Floats, rises: Floats, defects: Floats | None = None
    ) -> tuple[int, float] | None:
        """The interval that misses far more of what F rises by than any other, and how much; None if none does.

        `defects`: what is missed, if that is known otherwise than by the rule of the whole path.
        """
        if defects is None:
            lengths_of = np.diff(edges, axis=1)
            places = edges[:, :1] + lengths_of * (_GAUSS + 1) / 2
            foreseen = self._slopes(own, places.ravel()).reshape(places.shape)
            defects = rises - (foreseen @ _GAUSS_WEIGHTS) * lengths_of[:, 0] / 2
        missed = beyond(defects, float(self._rounding(own.outputs[None])[0]))
        at = int(missed.argmax())
        stands_out = missed[at] > _OUTSTANDING * np.delete(missed, at).max(initial=0)
        return (at, float(missed[at])) if stands_out else None

    def _edges(self, example: int) -> Floats:
        own = self._examples[example].assessment
        return own.edges if own is not None else np.zeros((0, 2))

    def _slopes(self, own: _Example, places: Floats) -> Floats:
        """dF/dalpha at `places`, as the samples in use foresee it."""
        if own.rule:
            at = np.searchsorted(own.alphas, patterson(own.rule).alphas)
            by_rule: Floats = rule_values_at(own.rule, tuple(places.tolist())) @ own.density[at]
            return by_rule
        return values_at(own.alphas, places, _LOCALLY) @ own.density

    def _look_beside(
        self, members: Sequence[int], tol: float, cancel: threading.Event | None
    ) -> dict[int, list[float]]:
        path = self.samples.path

        def ask(examples: Integers, own: Floats, others: Floats, chosen: Tensor) -> Floats:
            of, at, beside = (torch.from_numpy(values) for values in (examples, own, others))

            def points(part: slice) -> tuple[Tensor, ...]:
                return corner_points(path, of[part], at[part], beside[part], self._features(chosen[part]))

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
        return Numbering(self._differing, self.samples.values, self._chance)

    def _features(self, chosen: Tensor) -> Tensor:
        """Which features (rows, features) belong to `chosen` values of maps (rows, values): with a reduction more."""
        reduction = self.samples.sampler.reduction
        if reduction is None or reduction.members is None:
            return chosen
        return chosen[:, reduction.members.clamp(min=0)] & (reduction.members >= 0)

    @cached_property
    def _differing(self) -> Integers:
        """Which values of maps are of features that differ between any baseline and its input.

        None where these are more than can be looked at, or a reduction is no sum of features.
        """
        path, reduction = self.samples.path, self.samples.sampler.reduction
        each = path.differences(torch.arange(path.batch, device="cpu"))
        differ: Integers = np.flatnonzero(torch.cat([(t != 0).reshape(len(t), -1).any(0) for t in each]).cpu().numpy())
        if reduction is None:
            return differ
        if len(differ) > MOST_FEATURES or reduction.members is None:
            return differ[:0]
        members: Integers = np.unique(reduction.members.numpy()[differ])
        return members[members >= 0]

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

    def _at_random(self, example: int, affordable: int, chance: Floats, alphas: Floats) -> Floats:
        """Where an example with samples at `alphas` is put to the test; none if that cannot be afforded.

        Anywhere, and where samples crowd at an end, at any distance from it: a gradient may grow there once more.
        """
        count = max(_CHECKS, len(alphas) // _CHECKS_OF)
        places = list(chance[:count])
        rooms = (alphas[0], 1 - alphas[-1])
        nearest = self._shortest(example, np.array([0.0, 1.0]))
        for room, least, end in zip(rooms, nearest.tolist(), (0.0, 1.0), strict=True):
            if 8 * least < room < _CROWDED:
                distances = room * (4 * least / room) ** ((np.arange(_CHECKS) + chance[-1]) / _CHECKS)
                places += np.abs(end - distances).tolist()
        return np.setdiff1d(places, alphas) if len(places) <= affordable else _NOWHERE

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
