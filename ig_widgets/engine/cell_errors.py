"""Errors of the cells of the secant rule, estimated by what splits of them change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.batch_nodes import BatchNodes
from ig_widgets.engine.cell_samples import CellSamples
from ig_widgets.engine.cell_table import CellTable
from ig_widgets.engine.norms import norms, unit_of
from ig_widgets.engine.rules import SECANT, Floats, Integers
from ig_widgets.engine.sample_index import Wanted
from ig_widgets.engine.samples import Samples
from ig_widgets.engine.splits import remaining

# The error of a cell of size h goes as h ** order, so that of n cells as n ** (1/2 - order). In theory 2, where a cell
# holds at most one pair of kinks that follow upon one another, and less the more there are. On EfficientNet-Lite0: from
# 1.1 where the error of the whole is 0.7 to 1.8 where it is 0.03. The order where it is 0, and by how much it falls.
_ORDER = (1.8, 0.6)

_LEAST_ORDER = 1.2

# Sampling stops where an estimate has come out low rather than high; by so much it would be too low.
_STOPPED = 1.25

# A dtype whose numbers lie farther apart is one of half precision.
_HALF = 1e-4

# Maps are compared so many elements at a time, so that copies stay small.
_ELEMENTS = 1 << 21

# Splits that it takes until what they say of the order counts as much as what is assumed; a few that turn out well
# say little of the rest.
_PRIOR = 12.0

_LEAST_RATIO = 0.5


def _beside(maps: Tensor) -> Tensor:
    """What maps (examples, cells, features) differ by from the mean of their neighbours."""
    beside = torch.zeros_like(maps)
    beside[:, 1:] += maps[:, :-1]
    beside[:, :-1] += maps[:, 1:]
    beside[:, 1:-1] /= 2
    return maps - beside


def _ratios(examples: Integers, expected: Floats, measured: Floats, batch: int) -> tuple[Floats, Integers]:
    """Measured over expected for each example, as far as both say something, else 1; and from how many pairs."""
    of, over = (np.bincount(examples, values**2, minlength=batch) for values in (measured, expected))
    says = (of > 0) & (over > 0)
    ratios: Floats = np.sqrt(np.where(says, of, 1) / np.where(says, over, 1))
    return ratios, np.where(says, np.bincount(examples, minlength=batch), 0)


class CellErrors:
    """Cells for each example of a batch, refined in rounds; at most `most` evaluations each.

    Examples that are done are left as they are while others go on.
    """

    def __init__(self, samples: Samples, *, multiply_by_inputs: bool, most: int, tol: float) -> None:
        self.method = SECANT
        self._tol = tol
        self._multiply = multiply_by_inputs
        batch = samples.path.batch
        # By how much F goes up and down over the first cells, and what attributions miss of it beyond rounding.
        self._variation = torch.zeros(batch, dtype=torch.float64, device="cpu")
        self._missing = torch.zeros_like(self._variation)
        # The sum of squares of what rounding may hide of it, cell by cell.
        self._hidden = torch.zeros_like(self._variation)
        self._rounding_unit: Tensor | None = None
        self._is_half = torch.finfo(samples.path.inputs[0].dtype).eps > _HALF
        ends = samples.baseline_output.tolist()
        self._outputs: dict[tuple[int, float], float] = {(e, 0.0): value for e, value in enumerate(ends)}
        self._samples = CellSamples(samples.sampler, samples.path, like=samples)
        self.samples: Samples = self._samples
        self.most = most
        self._spent: Integers = np.zeros(batch, dtype=np.int64)
        nothing = np.zeros(0)
        whole = nothing.astype(np.int64)
        self._cells = CellTable(whole, nothing, nothing, nothing, nothing > 0, whole)
        # Into how many parts each cell is being split.
        self._plan: Integers = np.ones(0, dtype=np.int64)
        # All shares are taken in units of the maps, as squares of errors would overflow.
        self._units: Floats = np.ones(batch)
        self._sums: list[Tensor] = []
        # How many samples there are.
        self._end = 0
        self._sizes: Floats = np.zeros(batch)
        # Logarithms of measured over expected errors: their weighted sum, and the weight.
        self._seen, self._weight = np.zeros(batch), np.zeros(batch)
        self._probed = False
        # Which cells are split as a test, for how many cells each stands, and which examples have passed it.
        self._tested: Any = np.zeros(0, dtype=bool)
        self._stands_for: Floats = np.ones(0)
        self._passed: Any = np.zeros(batch, dtype=bool)

    @property
    def evaluations(self) -> int:
        """The most that were spent on an example."""
        return int(self._spent.max())

    @property
    def nodes(self) -> BatchNodes:
        """The cells, for each example."""
        own = self._cells
        counts = np.bincount(own.examples, minlength=len(self._units))
        at = np.arange(len(own)) - (np.cumsum(counts) - counts)[own.examples]
        edges = np.ones((len(counts), counts.max() + 1))
        edges[own.examples, at] = own.lows
        last = np.minimum(np.arange(counts.max()), counts[:, None] - 1)
        lows, highs = (np.take_along_axis(edges, last + k, 1) for k in (0, 1))
        return BatchNodes((lows + highs) / 2, edges, counts)

    @property
    def errors(self) -> Tensor | None:
        """The estimated relative L2 error of each example's map, (batch,) in float64; None as long as it is unknown."""
        return torch.from_numpy(self._errors) if self._probed else None

    @property
    def unattributed(self) -> None:
        """Jumps are not looked for."""

    def where(self) -> None:
        """Not known."""

    def done(self, tol: float) -> bool:
        """Whether all is within `tol`, was put to the test, and no first cell is left whose error is a guess."""
        return self._probed and bool(self._passed.all()) and not self._open(tol).any()

    def accept(self, rows: Wanted) -> None:
        """All of `rows` has been sampled."""
        found = self._found(rows)
        if not self.evaluations:
            self._begin(rows, found)
        else:
            self._split(found)
            self._probed = True
        self._spent = self._spent + np.bincount(rows.examples, minlength=len(self._spent))

    def _found(self, rows: Wanted) -> Integers:
        """Where `rows`, the newest, lie among all samples: at their end, unless one of them was there already."""
        end = self._samples.count
        if end - self._end == len(rows):
            found = np.arange(self._end, end)
        else:
            found = self._samples.rows(rows.examples, rows.keys[:, None])[:, 0].numpy()
        self._end = end
        return found

    def _begin(self, rows: Wanted, found: Integers) -> None:
        """With the first cells, as many of each example; their errors are in some unit of their own."""
        batch = len(self._units)
        count = len(rows) // batch
        errors, sums = np.ones((batch, count)), []
        step = self._step_of(count)
        for start in range(0, batch, step):
            some = slice(start * count, (start + step) * count)
            part = rows[some]
            maps = self._shares(part.examples, np.diff(part.keys, axis=1)[:, 0], found[some])
            maps = [m.unflatten(0, (-1, count)) for m in maps]
            units = unit_of(torch.stack([m.abs().amax((1, 2)).cpu().double() for m in maps]).amax(0))
            self._units[start : start + step] = units.numpy()
            maps = [m / units.to(m.device, m.dtype)[:, None, None] for m in maps]
            sums.append([m.sum(1) for m in maps])
            if count > 1:
                errors[start : start + step] = norms([_beside(m).flatten(0, 1) for m in maps]).view(-1, count).numpy()
        self._sums = [torch.cat(parts) for parts in zip(*sums, strict=True)]
        self._sizes = norms(self._sums).numpy()
        lows, highs = rows.keys.T
        self._cells = CellTable(rows.examples, lows, highs, errors.ravel(), np.ones(len(rows), dtype=bool), found)
        # A map that is the same everywhere is known.
        self._probed = not errors.any()
        self._passed = ~errors.any(1)

    def _split(self, found: Integers) -> None:
        """Put sampled parts, as many as planned, which lie at `found`, in the place of cells."""
        old, batch = self._cells, len(self._units)
        at = np.flatnonzero(self._plan > 1)
        examples, counts, first, tested = old.examples[at], self._plan[at], old.first[at], self._tested[at]
        changes = self._changes(at, counts, found)
        self._sizes = norms(self._sums).numpy()
        # To begin with the errors are known to a factor.
        units, _ = _ratios(examples[first], old.errors[at][first], changes[first], batch)
        errors = np.where(old.first, old.errors * units[old.examples], old.errors)
        self._cells = old = replace(old, errors=errors)
        orders = self._orders
        # A change is the error of the cell less those of its parts, as if independent.
        own = changes / np.sqrt(1 + remaining(counts, orders[examples]))
        # What tests did not find where it was expected lies anywhere in cells that were not split.
        missing = self._judge(at[tested], own[tested])
        errors = np.hypot(errors, np.sqrt(missing[old.examples] * (old.highs - old.lows)))
        again = ~first & ~tested
        later, pairs = _ratios(examples[again], old.errors[at][again], own[again], batch)
        later = np.maximum(later, _LEAST_RATIO)
        self._seen = np.where(pairs > 0, self._seen / 2 + pairs * np.log(later), self._seen)
        self._weight = np.where(pairs > 0, self._weight / 2 + pairs, self._weight)
        errors[at] = own * np.sqrt(remaining(counts, orders[examples]) / counts)
        of, ends = old.parts(self._plan)
        same = self._plan[of] == 1
        lie = old.rows[of]
        lie[~same] = found
        self._cells = CellTable(old.examples[of], ends[:, 0], ends[:, 1], errors[of], old.first[of] & same, lie)

    def _judge(self, at: Integers, own: Floats) -> Floats:
        """See whether the cells `at`, split as a test, have the errors `own` that were expected of them.

        Where they miss so much more that the tolerance is in doubt, the next ones are tested. The square of what is
        missing in all then, (batch,), as those say that were drawn; 0 where the test is passed.
        """
        examples, batch, factors = self._cells.examples[at], len(self._units), self._factors
        expected = (factors[examples] * self._cells.errors[at]) ** 2
        missing = self._stands_for[at] * np.maximum(own**2 - expected, 0)
        surprise = np.sqrt(np.bincount(examples, missing, batch)) / np.where(self._sizes > 0, self._sizes, 1)
        passed = (np.bincount(examples, minlength=batch) > 0) & (np.hypot(self._errors, surprise) <= self._tol)
        self._passed = self._passed | passed
        is_drawn = self._stands_for[at] > 1
        spread: Floats = np.bincount(examples[is_drawn], missing[is_drawn], batch) / factors**2
        return np.where(passed, 0.0, spread)

    def _changes(self, at: Integers, counts: Integers, found: Integers) -> Floats:
        """By how much the cells `at` change the map as they are split, (cells,); the sums of maps change along.

        Their parts, `counts` of each, lie at `found`.
        """
        old, firsts = self._cells[at], np.cumsum(counts) - counts
        changes, step = np.zeros(len(at)), self._step_of(1 + int(counts.max()))
        for start in range(0, len(at), step):
            some = slice(start, start + step)
            part = old[some]
            of, ends = part.parts(counts[some])
            lie = found[firsts[start] : firsts[start] + len(of)]
            pieces = self._shares(part.examples[of], np.diff(ends, axis=1)[:, 0], lie)
            change = [m.neg_() for m in self._shares(part.examples, part.highs - part.lows, part.rows)]
            for total, one, piece in zip(self._sums, change, pieces, strict=True):
                one.index_add_(0, torch.from_numpy(of).to(one.device), piece)
                total.index_add_(0, torch.from_numpy(part.examples).to(one.device), one)
            changes[some] = norms(change).numpy()
        return changes

    def _shares(self, examples: Integers, lengths: Floats, rows: Integers) -> list[Tensor]:
        """What the cells of `examples` at `rows` collect, in units of their maps: (cells, features) for each input."""
        units = self._units[examples]
        given = torch.from_numpy(rows), torch.from_numpy(examples), torch.from_numpy(lengths)
        maps = self._samples.shares(*given, multiply_by_inputs=self._multiply)
        if (units == 1).all():
            return maps
        # One over a unit may be too large for a number.
        return [m.div_(torch.from_numpy(units).to(m.device, m.dtype)[:, None]) for m in maps]

    def _step_of(self, rows: int) -> int:
        """How many times so many maps are made at once."""
        return max(1, _ELEMENTS // (rows * self._samples.values))

    @property
    def _factors(self) -> Floats:
        """By how much errors were larger than expected where cells were split again, (batch,)."""
        factors: Floats = _STOPPED * np.exp(self._seen / (self._weight + _PRIOR))
        return factors

    @property
    def _errors(self) -> Floats:
        """The estimated relative L2 errors of the maps, (batch,); 1 for a map of zeros that is not settled."""
        squares = np.bincount(self._cells.examples, self._cells.errors**2, minlength=len(self._units))
        errors = self._factors * np.sqrt(squares)
        relative: Floats = np.where(self._sizes > 0, errors / np.where(self._sizes > 0, self._sizes, 1), errors > 0)
        return relative

    @property
    def _orders(self) -> Floats:
        """With which power of their size the errors of cells fall from here, (batch,)."""
        at_zero, fall = _ORDER
        orders: Floats = np.maximum(_LEAST_ORDER, at_zero - fall * np.minimum(self._errors, 1.0))
        return orders

    def _open(self, tol: float) -> Any:
        """Which examples (batch,) are not within `tol`, or have first cells whose error is a guess."""
        guessed = np.bincount(self._cells.examples, self._cells.first & (self._cells.errors > 0), len(self._units)) > 0
        return guessed | ~(self._errors <= tol)
