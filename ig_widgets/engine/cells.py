"""Chooses the cells of the secant rule, small where the map changes, and estimates its error.

A cell that is split shows its own error: what it said less what its parts say. The errors of the parts are not seen;
they follow from it by how errors fall with the size of a cell, which is checked each time that a part is itself split.
Of the first cells a few are split; the others' errors then go as what they differ from their neighbours. Errors of
different cells are as good as independent, so that their squares add up. What seems settled is put to the test: the
cells that differ most from their neighbours and some at other places are split, and must turn out to have the errors
that were expected.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import torch

from ig_widgets.engine.blocks import Block, CellBlock
from ig_widgets.engine.cell_errors import CellErrors
from ig_widgets.engine.cell_table import CellTable
from ig_widgets.engine.norms import norms, unit_of
from ig_widgets.engine.rules import Floats, Integers
from ig_widgets.engine.sample_index import Wanted
from ig_widgets.engine.secant import SecantRuleError
from ig_widgets.engine.splits import plan_of

# The first cells, how many of them are split to begin with, and into how many parts.
_FIRST, _PROBES, _PROBE_PARTS = 8, 2, 3

# More for small tolerances: of a stretch in which other kinks are passed, and passed back, both ends show nothing, so
# that no cell may be as long as what may be missed. Each is split once; so many over the tolerance, and at most.
_FIRST_OF, _MOST_FIRST = 0.2, 32

# What is aimed at, of the tolerance, so that one round should do.
_AIM = 0.95

# Cells that miss more of what F changes, as a share, misread the model; operations with a plain derivative may miss a
# part of the tolerance.
_MISREAD, _MISSED = 1e-3, 0.25

_LOOKS = 32

# Cells that are split as a test when all seems settled, into two each: so many of the roughest, or one for so many
# cells; and twice as many at other places, as the roughest may be exact where others are not.
_CHECKS, _CHECKS_OF = 1, 32

# Places that fill the path evenly, however many are taken.
_GOLDEN = (5**0.5 - 1) / 2


class Cells(CellErrors):
    """Chooses which cells to split next, and looks whether the secant rule holds for the model."""

    def rows(self, tol: float, cancel: threading.Event | None = None) -> Wanted:  # noqa: ARG002  (asks no model)
        """What to sample in the next round; nothing if no more can be afforded."""
        affordable: Integers = self.most - self._spent
        if not self.evaluations:
            wanted = min(max(_FIRST, math.ceil(_FIRST_OF / tol)), _MOST_FIRST)
            batch, count = len(self._units), max(1, min(wanted, self.most // 3))
            every = np.arange(batch)
            whole = CellTable(every, np.zeros(batch), np.ones(batch), np.zeros(batch), every < 0, every)
            _, ends = whole.parts(np.full(batch, count))
            return Wanted(np.repeat(every, count), ends)
        unsettled = self._open(tol) if self._probed else np.ones(len(affordable), dtype=bool)
        able = (affordable >= 2) & (unsettled | ~self._passed)
        if not able.any():
            return Wanted.nothing()
        self._plan = self._planned(tol, affordable, able & unsettled)
        self._stands_for = self._suspects(able & ~unsettled, affordable)
        self._tested = self._stands_for > 0
        self._plan[self._tested] = 2
        of, ends = self._cells.parts(np.where(self._plan > 1, self._plan, 0))
        return Wanted(self._cells.examples[of], ends)

    def look_at(self, block: Block) -> None:
        """Compare what cells collect with what F changes in them. Raises SecantRuleError where that is not the same."""
        if not isinstance(block, CellBlock):
            return
        if block.scales:
            names = ", ".join(sorted(block.scales))
            raise SecantRuleError(f"the secant rule does not hold here: {names} passes over many scales within a cell")
        if not self.evaluations:
            rises = block.density * (block.highs - block.lows) - block.defects
            self._variation.index_add_(0, block.examples, rises.abs())
        self._meet_again(block)
        self._missing.index_add_(0, block.examples, (block.defects.abs() - block.roundings).clamp(min=0))
        if self._rounding_unit is None:
            # Squares of what F may be would overflow.
            self._rounding_unit = unit_of(block.roundings.amax())
        # In half precision rounding may hide anything; else what is missing is what it hides, which is far less.
        lost = block.roundings if self._is_half else torch.minimum(block.defects.abs(), block.roundings)
        self._hidden.index_add_(0, block.examples, (lost / self._rounding_unit).square())
        # An example whose first cells are not all seen has no variation to compare with.
        seen = block.examples if self.evaluations else block.examples[block.highs == 1]
        variation = self._variation[seen]
        hidden = self._hidden[seen].sqrt() * self._rounding_unit
        if bool(((hidden > self._tol * variation) & (variation > 0)).any()):
            raise SecantRuleError(
                "the secant rule does not hold here: rounding hides whether cells sum to what F changes "
                "(a wider dtype would show it)"
            )
        allowed = max(_MISREAD, _MISSED * self._tol if self.samples.fallbacks else 0.0)
        if bool((self._missing > allowed * self._variation).any()):
            by = f", where {', '.join(self.samples.fallbacks)} has a plain derivative" if self.samples.fallbacks else ""
            raise SecantRuleError(f"the secant rule does not hold here: cells do not sum to what F changes{by}")

    def _meet_again(self, block: CellBlock) -> None:
        """A pass that is not of the same function shows where F is met again; a look at a few cells will do."""
        rows = (t[:_LOOKS].tolist() for t in (block.examples, block.lows, block.outputs, block.roundings))
        for example, low, output, rounding in zip(*rows, strict=True):
            off = abs(self._outputs.setdefault((example, low), output) - output) - rounding
            if off > 0:
                self._missing[example] += off

    def _suspects(self, asked: Any, affordable: Integers) -> Floats:
        """Of the examples that are `asked` (batch,) of booleans, the cells to test: for how many each stands, (cells,).

        Some are those that differ most from their neighbours; each stands for itself. The others lie at places that
        have nothing to do with what is known of them, and stand for cells of their length all along the path.
        """
        own, stands_for = self._cells, np.zeros(len(self._cells))
        if not asked.any():
            return stands_for
        counts = np.bincount(own.examples, minlength=len(affordable))
        roughest = np.minimum(np.maximum(_CHECKS, counts // _CHECKS_OF), affordable // 2) * asked
        elsewhere = np.minimum(2 * roughest, affordable // 2 - roughest)
        members = np.repeat(np.arange(len(asked)), elsewhere)
        step = np.arange(len(members)) - (np.cumsum(elsewhere) - elsewhere)[members]
        places = (self._spent[members] + step + 1) * _GOLDEN % 1
        drawn = np.searchsorted(own.examples + own.lows, members + places, side="right") - 1
        stands_for[drawn] = 1 / (elsewhere[members] * (own.highs - own.lows)[drawn])
        rough = self._roughness(np.flatnonzero(asked[own.examples]))
        rough[(own.errors == 0) | (stands_for > 0)] = 0
        order = np.lexsort((-rough, own.examples))
        rank = np.empty(len(own), dtype=np.int64)
        rank[order] = np.arange(len(own)) - (np.cumsum(counts) - counts)[own.examples[order]]
        stands_for[(rank < roughest[own.examples]) & (stands_for == 0)] = 1
        return stands_for

    def _roughness(self, cells: Integers) -> Floats:
        """How far the share of each of `cells`, whole examples, is from what its neighbours give for its length.

        (cells,) of all; of others 0.
        """
        own, rough = self._cells, np.zeros(len(self._cells))
        lengths = own.highs - own.lows
        step = max(1, self._step_of(2) - 2)
        for start in range(0, len(cells), step):
            every = cells[max(start - 1, 0) : start + step + 1]
            shares = self._shares(own.examples[every], lengths[every], own.rows[every])
            at = np.arange(len(cells[start : start + step])) + min(start, 1)
            same = own.examples[every[1:]] == own.examples[every[:-1]]
            before = np.where(np.concatenate([[False], same])[at], at - 1, at)
            after = np.where(np.concatenate([same, [False]])[at], at + 1, at)
            before, after = np.where(before == at, after, before), np.where(after == at, before, after)
            differences = []
            for m in shares:
                m = m / torch.from_numpy(lengths[every]).to(m.device, m.dtype)[:, None]
                differences.append(m[at] - (m[before] + m[after]) / 2)
            rough[every[at]] = norms(differences).numpy() * lengths[every[at]]
        return rough

    def _planned(self, tol: float, affordable: Integers, able: Any) -> Integers:
        """Into how many parts each cell is to be split so that errors should come down to `tol`; 1: it is not."""
        own = self._cells
        goals = (_AIM * tol * self._sizes / self._factors) ** 2
        chosen = np.flatnonzero(able[own.examples])
        plan = np.ones(len(own), dtype=np.int64)
        plan[chosen] = plan_of(
            own.examples[chosen],
            own.errors[chosen],
            own.first[chosen],
            goals,
            self._orders,
            affordable,
            probes=None if self._probed else (_PROBES, _PROBE_PARTS),
        )
        return plan
