"""Where the cells of the secant rule lie: small where the map still changes, and how large its error then is.

A cell that is split shows its own error: what it said less what its parts say. The errors of the parts are not seen;
they follow from it by how errors fall with the size of a cell, which is checked each time that a part is itself split.
Of the first cells a few are split; the others' errors then go as what they differ from their neighbours. Errors of
different cells are as good as independent, so that their squares add up.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.norms import norms, unit_of
from ig_widgets.engine.rules import SECANT, Nodes
from ig_widgets.engine.sampling import Block, CellBlock
from ig_widgets.engine.secant import SecantRuleError
from ig_widgets.engine.trace import CellSamples, Samples, Wanted

# The error of a cell of size h goes as h ** order, so that of n cells as n ** (1/2 - order). In theory 2, where a cell
# holds at most one pair of kinks that follow upon one another, and less the more there are. On EfficientNet-Lite0: from
# 1.1 where the error of the whole is 0.7 to 1.8 where it is 0.03. The order where it is 0, and by how much it falls.
_ORDER = (1.8, 0.6)
_LEAST_ORDER = 1.2
# Sampling stops where an estimate has come out low rather than high; by so much it would be too low.
_STOPPED = 1.1
# The first cells, how many of them are split to begin with, and into how many parts.
_FIRST, _PROBES, _PROBE_PARTS = 8, 2, 3
# No cell is split into more parts at once: what is expected of them is a guess.
_MOST_PARTS = 6
# What is aimed at, of the tolerance, so that one round should do.
_AIM = 0.95
# Cells that miss more of what F changes, as a share, misread the model; operations with a plain derivative may miss a
# part of the tolerance.
_MISREAD, _MISSED = 1e-3, 0.25
_LOOKS = 32
# Splits that it takes until what they say of the order counts as much as what is assumed.
_PRIOR = 12.0


@dataclass(frozen=True)
class _Cell:
    """`error`: of its share of the map, an absolute one; of a cell that is one of the first, known to a factor only."""

    low: float
    high: float
    error: float
    first: bool = False

    @property
    def ends(self) -> tuple[float, float]:
        return self.low, self.high

    def parts(self, count: int) -> list[tuple[float, float]]:
        edges = [self.low + (self.high - self.low) * i / count for i in range(count)] + [self.high]
        return list(pairwise(edges))


class _Example:
    """The cells of one example."""

    def __init__(self, samples: CellSamples, example: int, *, multiply_by_inputs: bool) -> None:
        self._samples = samples
        self._example = example
        self._multiply = multiply_by_inputs
        self.cells: list[_Cell] = []
        self._sum: list[Tensor] = []
        # All shares are taken in it, as squares of errors would overflow.
        self._unit = 1.0
        # Logarithms of measured over expected errors: their weighted sum, and the weight.
        self._seen = self._weight = 0.0

    def begin(self, ends: Sequence[tuple[float, float]]) -> None:
        """With the first cells, all of the same size; their errors are in some unit of their own."""
        maps = [self._share(cell) for cell in ends]
        largest = torch.tensor(
            [float(t.abs().max()) for parts in maps for t in parts], dtype=torch.float64, device="cpu"
        )
        self._unit = float(unit_of(largest.max()))
        maps = [[t / self._unit for t in parts] for parts in maps]
        self._sum = [torch.stack(parts).sum(0) for parts in zip(*maps, strict=True)]
        last = len(maps) - 1
        errors = []
        for i, own in enumerate(maps):
            beside = (maps[j] for j in (i - 1, i + 1) if 0 <= j <= last)
            errors.append(_norm([a - sum(b) / len(b) for a, *b in zip(own, *beside, strict=True)]) if last else 1.0)
        self.cells = [_Cell(*cell, error, first=True) for cell, error in zip(ends, errors, strict=True)]

    def split(self, parts: dict[_Cell, int]) -> None:
        """Put sampled parts, as many as said, in the place of cells."""
        changes: dict[_Cell, float] = {}
        for cell, count in parts.items():
            change = [-t for t in self._share(cell.ends)]
            for part in cell.parts(count):
                for total, piece in zip(change, self._share(part), strict=True):
                    total.add_(piece)
            for total, piece in zip(self._sum, change, strict=True):
                total.add_(piece)
            changes[cell] = _norm(change)
        # To begin with the errors are known to a factor.
        unit = _ratio([(cell.error, changes[cell]) for cell in parts if cell.first]) or 1.0
        self.cells = [replace(cell, error=cell.error * unit) if cell.first else cell for cell in self.cells]
        order = self.order
        # A change is the error of the cell less those of its parts, as if independent.
        errors = {cell: change / math.sqrt(1 + _fall(parts[cell], order)) for cell, change in changes.items()}
        later = [(cell.error, error) for cell, error in errors.items() if not cell.first]
        if ratio := _ratio(later):
            self._seen = self._seen / 2 + len(later) * math.log(ratio)
            self._weight = self._weight / 2 + len(later)
        new = {
            cell.ends: [_Cell(*part, error * math.sqrt(_fall(count, order) / count)) for part in cell.parts(count)]
            for (cell, count), error in zip(parts.items(), errors.values(), strict=True)
        }
        self.cells = [part for cell in self.cells for part in new.get(cell.ends, [cell])]

    @property
    def order(self) -> float:
        """With which power of its size the error of a cell falls from here."""
        at_zero, fall = _ORDER
        return max(_LEAST_ORDER, at_zero - fall * min(self.error, 1.0))

    @property
    def size(self) -> float:
        """The L2 norm of the map, in the unit."""
        return _norm(self._sum)

    @property
    def factor(self) -> float:
        """By how much errors were larger than expected where cells were split again."""
        return _STOPPED * math.exp(self._seen / (self._weight + _PRIOR))

    @property
    def error(self) -> float:
        """The estimated relative L2 error of the map; 1 for a map of zeros that is not settled."""
        error = self.factor * math.sqrt(math.fsum(cell.error**2 for cell in self.cells))
        if error == 0:
            return 0.0
        return error / self.size if self.size > 0 else 1.0

    def wanted(self, tol: float) -> dict[_Cell, int]:
        """Into how many parts cells are to be split so that the error should come down to `tol`."""
        goal = (_AIM * tol * self.size / self.factor) ** 2
        low, high = 0.0, max((cell.error**2 for cell in self.cells), default=0.0)
        order = self.order
        # The cheapest parts for a goal have equal errors: the largest such error that will do.
        for _ in range(40):
            middle = (low + high) / 2
            parts = {cell: _parts(cell, middle, order) for cell in self.cells}
            left = math.fsum(cell.error**2 * _fall(count, order) for cell, count in parts.items())
            low, high = (middle, high) if left <= goal else (low, middle)
        parts = {cell: _parts(cell, low, order) for cell in self.cells}
        return {cell: count for cell, count in parts.items() if count > 1}

    def spend(self, splits: int, parts: int, tol: float) -> dict[_Cell, int]:
        """Just so many splits into so many parts altogether, where they do most."""
        wanted = self.wanted(tol)
        chosen = sorted(self.cells, key=lambda cell: (wanted.get(cell, 1), cell.error), reverse=True)[:splits]
        counts = {cell: max(2, wanted.get(cell, 2)) for cell in chosen}
        order = self.order
        while (missing := parts - sum(counts.values())) != 0:
            step = 1 if missing > 0 else -1
            able = [cell for cell in chosen if counts[cell] + step >= 2]
            best = max(able, key=lambda cell: step * _gain(cell, counts[cell], order))
            counts[best] += step
        return counts

    def _share(self, ends: tuple[float, float]) -> list[Tensor]:
        maps = self._samples.map(self._example, ends, multiply_by_inputs=self._multiply)
        return [m * (ends[1] - ends[0]) / self._unit for m in maps]


class Cells:
    """Cells for each example of a batch, as many for each, refined in rounds; at most `most` evaluations each."""

    def __init__(self, samples: Samples, *, multiply_by_inputs: bool, most: int, tol: float) -> None:
        self.method = SECANT
        self._tol = tol
        # By how much F goes up and down over the first cells, and what attributions miss of it beyond rounding.
        self._variation = torch.zeros(samples.path.batch, dtype=torch.float64, device="cpu")
        self._missing = torch.zeros_like(self._variation)
        ends = samples.baseline_output.tolist()
        self._outputs: dict[tuple[int, float], float] = {(e, 0.0): value for e, value in enumerate(ends)}
        own = CellSamples(samples.sampler, samples.path, like=samples)
        self.samples: Samples = own
        self.evaluations = 0
        self.most = most
        batch = range(samples.path.batch)
        self._examples = [_Example(own, e, multiply_by_inputs=multiply_by_inputs) for e in batch]
        self._plans: list[dict[_Cell, int]] = []
        self._probed = False

    @property
    def nodes(self) -> list[Nodes]:
        """The cells, for each example."""
        edges = [np.array([cell.low for cell in own.cells] + [1.0]) for own in self._examples]
        return [Nodes((e[:-1] + e[1:]) / 2, np.diff(e), e) for e in edges]

    @property
    def errors(self) -> Tensor | None:
        """The estimated relative L2 error of each example's map, (batch,) in float64; None as long as it is unknown."""
        if not self._probed:
            return None
        return torch.tensor([own.error for own in self._examples], dtype=torch.float64, device="cpu")

    @property
    def unattributed(self) -> None:
        """Jumps are not looked for."""

    def where(self) -> None:
        """Not known."""

    def done(self, tol: float) -> bool:
        """Whether all is within `tol`, as far as it is known, and no first cell is left whose error is a guess."""
        unseen = any(cell.first and cell.error for own in self._examples for cell in own.cells)
        return self._probed and not unseen and all(own.error <= tol for own in self._examples)

    def rows(self, tol: float, cancel: threading.Event | None = None) -> Wanted:  # noqa: ARG002  (asks no model)
        """What to sample in the next round; nothing if no more can be afforded."""
        affordable = self.most - self.evaluations
        if not self.evaluations:
            ends = _Cell(0.0, 1.0, 0.0).parts(max(1, min(_FIRST, affordable // 3)))
            return [(e, cell) for e in range(len(self._examples)) for cell in ends]
        if affordable < 2:
            return []
        self._plans = self._planned(tol, affordable)
        return [
            (e, part)
            for e, plan in enumerate(self._plans)
            for part in sorted(part for cell, count in plan.items() for part in cell.parts(count))
        ]

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
        allowed = max(_MISREAD, _MISSED * self._tol if self.samples.fallbacks else 0.0)
        if bool((self._missing > allowed * self._variation).any()):
            by = f", where {', '.join(self.samples.fallbacks)} has a plain derivative" if self.samples.fallbacks else ""
            raise SecantRuleError(f"the secant rule does not hold here: cells do not sum to what F changes{by}")

    def _meet_again(self, block: CellBlock) -> None:
        """A pass that is not of the same function shows where F is met again; a look at a few cells will do."""
        for row in range(min(len(block.lows), _LOOKS)):
            example = int(block.examples[row])
            known = self._outputs.setdefault((example, float(block.lows[row])), float(block.outputs[row]))
            off = abs(known - float(block.outputs[row])) - float(block.roundings[row])
            self._missing[example] += max(off, 0.0)

    def accept(self, rows: Wanted) -> None:
        """All of `rows` has been sampled."""
        if not self.evaluations:
            for e, own in enumerate(self._examples):
                own.begin([cell for example, cell in rows if example == e])
            # A map that is the same everywhere is known.
            self._probed = not any(cell.error for own in self._examples for cell in own.cells)
        else:
            for own, plan in zip(self._examples, self._plans, strict=True):
                own.split(plan)
            self._probed = True
        self.evaluations += len(rows) // len(self._examples)

    def _planned(self, tol: float, affordable: int) -> list[dict[_Cell, int]]:
        if not self._probed:
            splits = min(_PROBES, len(self._examples[0].cells))
            parts = min(splits * _PROBE_PARTS, affordable)
        else:
            wanted = [own.wanted(tol) for own in self._examples]
            splits = max(1, max(len(one) for one in wanted))
            parts = min(max(2 * splits, max(sum(one.values()) for one in wanted)), affordable)
        splits = min(splits, parts // 2)
        return [own.spend(splits, parts, tol) for own in self._examples]


def _fall(parts: int, order: float) -> float:
    """What is left of the square of a cell's error when it is split into `parts`."""
    return float(parts ** (1 - 2 * order))


def _gain(cell: _Cell, parts: int, order: float) -> float:
    """What one part more takes off the square of the error."""
    return cell.error**2 * (_fall(parts, order) - _fall(parts + 1, order))


def _parts(cell: _Cell, square: float, order: float) -> int:
    """Into how many parts to split, so that the square of the error of each comes to about `square`."""
    least = 2 if cell.first and cell.error else 1
    if square <= 0:
        return _MOST_PARTS if cell.error else 1
    wanted: float = (cell.error**2 / square) ** (1 / (2 * order))
    return max(least, min(_MOST_PARTS, round(wanted)))


def _ratio(pairs: list[tuple[float, float]]) -> float | None:
    """Measured over expected, of pairs (expected, measured), as far as both say something."""
    expected = math.fsum(pair[0] ** 2 for pair in pairs)
    measured = math.fsum(pair[1] ** 2 for pair in pairs)
    return math.sqrt(measured / expected) if expected and measured else None


def _norm(tensors: Sequence[Tensor]) -> float:
    return float(norms([t[None] for t in tensors])[0])
