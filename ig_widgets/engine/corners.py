"""Checks by forward passes beside the path whether the map of a group of features adds up to what it does to F.

F along the path shows nothing of what one feature gains and another loses, nor of a gradient at right angles to the
path. But from l to r of the path a group of features can go first, and the others follow, or the other way round: the
mean of what F changes while the group moves is the group's Shapley value of two players. For functions that are
additive between both it is the group's Integrated Gradients over [l, r], however steep they are; for others it differs
from it to third order in r - l. So each interval has a completeness of its own for each group. What is missing in it,
and still is where it is cut into sections, is looked for there; what is gone then was an interaction of features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.feature_groups import Groups, Numbering, Walk
from ig_widgets.engine.jump_search import places_about
from ig_widgets.engine.path import Path
from ig_widgets.engine.rules import Floats, Integers
from ig_widgets.engine.transfers import sent

# Of more features forward passes tell too little for what they take: halves of them interact in too many ways.
MOST_FEATURES = 256
# So many groups at a time, fewer where samples or features are many: no more than this over the features.
_GROUPS, _LEAST_GROUPS, _GROUPS_BY_FEATURES = 6, 2, 48
# Rows for each example; more where there are many samples, as many as two for each.
_ROWS = 288
# Of the tolerance: from which on what groups miss is looked for; a half of the features sees half of an error.
_DOUBTED = 0.7
# Intervals that hold this share of it are looked into; so many places at a time.
_SHARE, _PLACES = 0.3, 6
_SECTIONS = 8
# A step that lies on an edge is passed by neither neighbour, or half; people's steps lie at round numbers.
_EDGES = np.concatenate([[0.0], (np.arange(1, _SECTIONS) + 0.0618) / _SECTIONS, [1.0]])
# Sections that miss at least this share of the most count, with one on each side, as corners reach farther than their
# section. A place that takes up so many of the sections is seen as it is.
_COUNTS, _SPREAD = 0.4, 7
_ROUNDS = 40
# F at points whose features are at alphas of their own: examples (rows,), alphas (rows,) of the features of a group,
# and of all others, groups (rows, features).
Ask = Callable[[Integers, Floats, Floats, Tensor], Floats]


def corner_points(path: Path, examples: Tensor, own: Tensor, others: Tensor, groups: Tensor) -> tuple[Tensor, ...]:
    """Points (rows, ...) whose features in `groups` (rows, features) lie at alphas `own`, all others at `others`."""
    here, there = path.points(examples, own), path.points(examples, others)
    points, start = [], 0
    for a, b in zip(here, there, strict=True):
        count = a[0].numel()
        chosen = groups[:, start : start + count].reshape(a.shape)
        points.append(torch.where(sent(chosen, a.device), a, b))
        start += count
    return tuple(points)


def doubted_places(walks: Sequence[Walk], numbering: Numbering, tol: float, ask: Ask) -> dict[int, list[float]]:
    """Where each example is to be sampled, as groups of features miss more than `tol` there; of some nowhere."""
    most = max(len(walk.alphas) for walk in walks) + 1
    wanted = min(_ROWS // (2 * most), _GROUPS_BY_FEATURES // walks[0].maps.shape[1])
    groups = numbering.next(int(np.clip(wanted, _LEAST_GROUPS, _GROUPS)))
    chosen = [_chosen(walk, len(groups)) for walk in walks]
    edges = [np.concatenate([[0.0], walk.alphas, [1.0]]) for walk in walks]
    outputs = [np.concatenate([walk.ends[:1], walk.outputs, walk.ends[1:]]) for walk in walks]
    counts = [len(one) for one in chosen]
    lows, highs, before, after = (
        np.concatenate([values[at + end] for values, at in zip(kind, chosen, strict=True)])
        for kind in (edges, outputs)
        for end in (0, 1)
    )
    examples = np.repeat([walk.example for walk in walks], counts)
    first, last, _ = _corners(ask, examples, lows, highs, groups)
    shares = _shares(first, last, before, after)
    hints: list[_Place] = []
    for walk, at, edge, share in zip(walks, chosen, edges, np.split(shares, np.cumsum(counts)[:-1]), strict=True):
        shown, unsure = (values[at] for values in walk.shown(groups))
        missing = _beyond(share - shown, unsure + 3 * walk.rounding)
        least = _DOUBTED * tol * walk.size
        if np.sqrt(np.square(missing).sum()) > least:
            held = np.flatnonzero(missing > _SHARE * least)
            hints += _runs(walk, least, edge, at[held], missing[held])
    found: dict[int, list[float]] = {}
    for place in _search(hints, numbering.next(_GROUPS), ask) if hints else ():
        if not place.is_sampled:
            found.setdefault(place.walk.example, []).extend(place.samples())
    return found


@dataclass(frozen=True)
class _Place:
    """Where something is missing: between `low` and `high`, in all but `least`, `missing`; `depth`: how often cut."""

    walk: Walk
    least: float
    low: float
    high: float
    missing: float
    depth: int = 0

    @property
    def is_sampled(self) -> bool:
        """Whether samples are as close in it as they would become: their gradients are to be believed."""
        inside = (self.walk.alphas > self.low) & (self.walk.alphas < self.high)
        return int(inside.sum()) >= _SECTIONS

    def samples(self) -> list[float]:
        """Where to sample it: evenly inside, and at growing distances on both sides, up to the next samples."""
        alphas = np.concatenate([[0.0], self.walk.alphas, [1.0]])
        start = float(alphas[alphas <= self.low][-1])
        end = float(alphas[alphas >= self.high][0])
        inside: list[float] = np.linspace(self.low, self.high, 2 * _SECTIONS + 1)[1::2].tolist()
        outside = [at for at in places_about(self.low, self.high, start, end) if not self.low < at < self.high]
        return inside + outside


def _chosen(walk: Walk, groups: int) -> Integers:
    """Which intervals between samples are looked at: as many of the longest as can be afforded, without a jump."""
    edges = np.concatenate([[0.0], walk.alphas, [1.0]])
    lengths = np.diff(edges)
    able = lengths > 0
    for low, high in walk.cuts:
        able &= (edges[:-1] >= high) | (low >= edges[1:])
    most = max(_ROWS, 2 * len(walk.alphas)) // (2 * groups)
    longest = np.argsort(-lengths, kind="stable")
    chosen: Integers = np.sort(longest[able[longest]][:most])
    return chosen


def _runs(walk: Walk, least: float, edges: Floats, intervals: Integers, missing: Floats) -> list[_Place]:
    """Neighbouring intervals as one place; those that miss most."""
    runs = np.split(np.arange(len(intervals)), np.flatnonzero(np.diff(intervals) > 1) + 1)
    places = [
        _Place(
            walk,
            least,
            float(edges[intervals[run[0]]]),
            float(edges[intervals[run[-1]] + 1]),
            float(missing[run].max()),
        )
        for run in runs
        if len(run)
    ]
    return sorted(places, key=lambda place: -place.missing)[:_PLACES]


def _corners(
    ask: Ask, examples: Integers, lows: Floats, highs: Floats, groups: Groups, edges: Floats | None = None
) -> tuple[Floats, Floats, Floats]:
    """F where each group has gone first through the intervals (m,), and where it follows: (m, groups) each.

    And at `edges` (as many for each example, in order), if these are not known: at all in one pass.
    """
    m, k = len(lows), len(groups)
    rows = np.repeat(np.arange(m), k)
    own, others = [highs[rows], lows[rows]], [lows[rows], highs[rows]]
    of, every = [examples[rows]] * 2, [groups.every.repeat(m, 1)] * 2
    if edges is not None:
        each = edges.reshape(-1, _SECTIONS + 1)
        own.append(edges)
        others.append(edges)
        of.append(np.repeat(examples[::_SECTIONS], each.shape[1]))
        every.append(groups.every[:1].expand(len(edges), -1))
    values = ask(np.concatenate(of), np.concatenate(own), np.concatenate(others), torch.cat(every))
    return values[: m * k].reshape(m, k), values[m * k : 2 * m * k].reshape(m, k), values[2 * m * k :]


def _shares(first: Floats, last: Floats, before: Floats, after: Floats) -> Floats:
    """What each group does to F in each interval, the mean of going first and of following: (m, groups)."""
    shares: Floats = ((first - before[:, None]) + (after[:, None] - last)) / 2
    return shares


def _beyond(differences: Floats, known: Floats) -> Floats:
    """How far groups (m, k) are off beyond what is known to be: the root of their mean square, (m,)."""
    off: Floats = np.sqrt(np.square(np.maximum(np.abs(differences) - known, 0)).mean(1))
    return off


def _search(hints: Sequence[_Place], groups: Groups, ask: Ask) -> list[_Place]:
    """The places, ever smaller, in which something is still missing when they are cut."""
    going, found = list(hints), []
    for _ in range(_ROUNDS):
        if not going:
            break
        cut = np.stack([place.low + (place.high - place.low) * _EDGES for place in going])
        of = np.repeat([place.walk.example for place in going], _SECTIONS)
        first, last, values = _corners(ask, of, cut[:, :-1].ravel(), cut[:, 1:].ravel(), groups, cut.ravel())
        values = values.reshape(cut.shape)
        shares = _shares(first, last, values[:, :-1].ravel(), values[:, 1:].ravel())
        following: list[_Place] = []
        for place, ends, share in zip(going, cut, shares.reshape(len(going), _SECTIONS, -1), strict=True):
            shown = place.walk.foreseen((ends[:-1] + ends[1:]) / 2, groups) * np.diff(ends)[:, None]
            missing = _beyond(share - shown, np.array(3 * place.walk.rounding))
            if np.sqrt(np.square(missing).sum()) <= place.least:
                # By chance corners may miss a step that was seen before.
                found += [place] if place.depth > 1 else []
                continue
            smaller = _smaller(place, ends, missing)
            if smaller is None and not place.is_sampled:
                found.append(place)
            elif smaller is None:
                middle = (place.low + place.high) / 2
                following += [replace(place, high=middle), replace(place, low=middle)]
            else:
                following += [one for one in smaller if one.high - one.low > place.walk.shortest]
        # Where no point of the path lies between, F jumps, and there is no gradient to be had.
        going = sorted(following, key=lambda place: -place.missing)[: max(_PLACES, 2 * len(hints))]
    return found + going


def _smaller(place: _Place, edges: Floats, missing: Floats) -> list[_Place] | None:
    """The sections in which most is missing, neighbours as one; None where that is nearly everywhere."""
    counts = np.flatnonzero(missing > _COUNTS * missing.max())
    if not len(counts):
        return None
    runs = np.split(counts, np.flatnonzero(np.diff(counts) > 2) + 1)
    length = edges[1] - edges[0]
    if any(run[-1] - run[0] + 3 >= _SPREAD for run in runs):
        return None
    return [
        _Place(
            place.walk,
            place.least,
            max(0.0, float(edges[run[0]] - length)),
            min(1.0, float(edges[run[-1] + 1] + length)),
            float(missing[run].max()),
            place.depth + 1,
        )
        for run in runs
    ]
