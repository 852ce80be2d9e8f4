"""Where single samples are added: in intervals that miss most, and where F is steep or jumps."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import torch

from ig_widgets.engine.adaptive_example import AdaptiveExample
from ig_widgets.engine.adaptive_samples import AdaptiveSamples
from ig_widgets.engine.interpolation import values_at
from ig_widgets.engine.intervals import beyond
from ig_widgets.engine.jump_search import places_about, search
from ig_widgets.engine.patterson import patterson
from ig_widgets.engine.patterson import values_at as rule_values_at
from ig_widgets.engine.profile import Cut
from ig_widgets.engine.rules import Floats, Integers
from ig_widgets.engine.sample_places import places_for

# What a round of refinement aims at, of the tolerance.
AIM = 0.8

# A place is looked for by forward passes where it holds so much of the error that is largest, and so much of the
# change of F in its interval is not shown by the samples.
_STEEP, _UNSHOWN = 0.3, 0.5

_SEARCHES = 32

# An interval stands out where it misses so many times more of what F changes than any other.
_OUTSTANDING = 3.0

# Where it is sampled if nothing in it is steep; polynomials through so many samples foresee what lies between them.
_WITHIN = (0.25, 0.5, 0.75)

_LOCALLY = 4

_GAUSS, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(8)

# Groups of features are looked at so often, of so many examples; of all where one of these is wrong.
LOOKS, FIRST_LOOKED_AT = 12, 16


class SampleSearch(AdaptiveSamples):
    """Chooses places for single samples by the samples at hand, and by forward passes where these show nothing."""

    def _steps(self, members: Sequence[int], tol: float, cancel: threading.Event | None) -> dict[int, list[float]]:
        """Where F changes more than samples show, of examples that seem settled.

        Of many features' F it may be little, and yet more than the tolerance of their map, if it is all of one feature.
        """
        if not self._multiply:
            return {}
        found: dict[int, list[float]] = {}
        for part in (members[:FIRST_LOOKED_AT], members[FIRST_LOOKED_AT:]):
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
        self, own: AdaptiveExample, edges: Floats, rises: Floats, defects: Floats | None = None
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

    def _slopes(self, own: AdaptiveExample, places: Floats) -> Floats:
        """dF/dalpha at `places`, as the samples in use foresee it."""
        if own.rule:
            at = np.searchsorted(own.alphas, patterson(own.rule).alphas)
            by_rule: Floats = rule_values_at(own.rule, tuple(places.tolist())) @ own.density[at]
            return by_rule
        return values_at(own.alphas, places, _LOCALLY) @ own.density

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
                places[e] += places_for(assessment, AIM * tol * assessment.size, shortest)
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
