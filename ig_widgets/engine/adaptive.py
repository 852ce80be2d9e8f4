"""Chooses points adaptively: rules of the whole path while the gradient is smooth, single samples where it is not.

Seven points settle most smooth models, fifteen most others. Where the gradient changes in one place, samples are added
there, and all of them stay in use. What seems settled is put to the test by samples at random places, which are
foreseen from the others before they are taken: no regular pattern of the gradient can hide from them.
"""

from __future__ import annotations

import threading

import numpy as np

from ig_widgets.engine.adaptive_example import CROWDED, NOWHERE, AdaptiveExample
from ig_widgets.engine.adaptive_samples import CHECKS, CHECKS_OF, FIRST
from ig_widgets.engine.blocks import Block
from ig_widgets.engine.feature_checks import FeatureChecks
from ig_widgets.engine.patterson import SIZES, patterson
from ig_widgets.engine.rules import Floats
from ig_widgets.engine.sample_index import Wanted
from ig_widgets.engine.sample_places import places_for
from ig_widgets.engine.sample_search import AIM, SampleSearch

# Where more than this share of the intervals need a sample, the next rule of the whole path is no dearer.
_LOCAL = 0.4

# A rule that is so much farther from the tolerance than single samples say is believed.
_DISAGREES = 3.0


class Adaptive(SampleSearch, FeatureChecks):
    """Chooses where each example is sampled next: the next rule, single samples, or a test at random places."""

    def done(self, tol: float) -> bool:
        """Whether all is within `tol`, and was put to the test."""
        shared = self._shared
        if len(shared) and not (shared.checks and shared.is_settled(tol).all()):
            return False
        return all(own.is_settled(tol) and own.checks for own in self._examples.values())

    def where(self) -> tuple[float, float] | None:
        """Between which alphas most of the error lies, of the example that has the largest; None if it is unknown."""
        if not self._examples:
            return None
        worst = max(self._examples.values(), key=lambda own: -1.0 if own.error is None else own.error)
        largest = np.fmax.reduce(self._shared.errors, initial=-1.0)
        if worst.assessment is None or worst.error is None or worst.error < largest:
            return None
        low, high = worst.assessment.edges[worst.assessment.errors.argmax()]
        return float(low), float(high)

    def rows(self, tol: float, cancel: threading.Event | None = None) -> Wanted:
        """What to sample in the next round; nothing if no more can be afforded. Raises as `Sampler.outputs`."""
        shared = self._shared
        if self.evaluations:
            self._next(tol, cancel)
        else:
            shared.following = max(size for size in SIZES if size <= min(FIRST, self.most))
            shared.pending = patterson(shared.following).alphas
        counts = [len(places) for places in self._pending.values()]
        examples = np.repeat(np.array(list(self._pending), dtype=np.int64), counts)
        return Wanted(
            np.concatenate([np.repeat(shared.members, len(shared.pending)), examples]),
            np.concatenate([np.tile(shared.pending, len(shared)), *self._pending.values()]),
        )

    def look_at(self, block: Block) -> None:
        """Does nothing: errors are estimated at the end of a round."""

    def _next(self, tol: float, cancel: threading.Event | None) -> None:
        """Say where each example is to be sampled next; nowhere if it is done, or no more can be afforded."""
        self._pending = {}
        chance = self._chance.uniform(size=self.most)
        settled = self._test_shared(tol, chance)
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
        doubts = self._doubted_places(settled, tol, cancel)
        for e, more in self._steps(settled, tol, cancel).items():
            doubts[e] = [*doubts.get(e, []), *more]
        for e, more in doubts.items():
            own = self._examples[e]
            # All samples serve now, and are put to the test once more.
            own.rule = own.following = own.checks = 0
            self._pending[e] = np.setdiff1d([*self._pending[e], *more], own.alphas)[: self.most - len(own.alphas)]

    def _test_shared(self, tol: float, chance: Floats) -> list[int]:
        """Put to the test those that are alike and seem settled, which are returned; the others leave them."""
        shared = self._shared
        if not len(shared) or len(shared.alphas) >= self.most:
            return []
        rooms = shared.alphas[0], 1 - shared.alphas[-1]
        # Beside a crowded end each is tested at distances of its own.
        left = ~shared.is_settled(tol) | (min(rooms) < CROWDED and not shared.checks)
        self._part(shared.members[left])
        if not len(shared) or shared.checks:
            return []
        shared.pending = self._at_random(int(shared.members[0]), self.most - len(shared.alphas), chance, shared.alphas)
        shared.checks = len(shared.pending)
        return shared.members.tolist() if shared.checks else []

    def _larger_rule(self, own: AdaptiveExample, tol: float, affordable: int) -> Floats | None:
        """The points that the next rule adds; None where all samples are to serve instead, and single ones be added."""
        by_rule, error = own.assessment is None, own.error
        assessment = self._assess(own)
        local = self._with_rounding(assessment.relative)
        goal = AIM * tol * assessment.size
        following = SIZES[SIZES.index(own.rule) + 1] if own.rule < SIZES[-1] else 0
        disagrees = by_rule and error is not None and error > _DISAGREES * tol
        if (local > tol or disagrees) and following and own.rule >= FIRST:
            new = np.setdiff1d(patterson(following).alphas, own.alphas)
            wanted = len(places_for(assessment, goal, np.zeros(1)))
            if (local <= tol or wanted > _LOCAL * len(assessment.errors)) and len(new) <= affordable:
                own.following = following
                own.assessment = None if by_rule else assessment
                return new
        own.rule = own.following = 0
        own.error = local
        return None

    def _at_random(self, example: int, affordable: int, chance: Floats, alphas: Floats) -> Floats:
        """Where an example with samples at `alphas` is put to the test; none if that cannot be afforded.

        Anywhere, and where samples crowd at an end, at any distance from it: a gradient may grow there once more.
        """
        count = max(CHECKS, len(alphas) // CHECKS_OF)
        places = list(chance[:count])
        rooms = (alphas[0], 1 - alphas[-1])
        nearest = self._shortest(example, np.array([0.0, 1.0]))
        for room, least, end in zip(rooms, nearest.tolist(), (0.0, 1.0), strict=True):
            if 8 * least < room < CROWDED:
                distances = room * (4 * least / room) ** ((np.arange(CHECKS) + chance[-1]) / CHECKS)
                places += np.abs(end - distances).tolist()
        return np.setdiff1d(places, alphas) if len(places) <= affordable else NOWHERE
