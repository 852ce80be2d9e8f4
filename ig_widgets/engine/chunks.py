"""How many rows go through the model at a time.

A chunk that is too small pays the model's fixed cost too often; one that is too large leaves the processor's
caches, or memory. Neither is known beforehand, so the size grows while it pays and falls back when it does not.
The measuring is done on rows that are needed anyway.
"""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch

from ig_widgets.engine.errors import Cancelled, OutOfMemoryError
from ig_widgets.engine.memory import free_memory, is_out_of_memory

Found = TypeVar("Found")
# A first chunk that should take about this long, from the time of a forward pass (a backward pass costs about two):
# little is lost where more would be better, and the size grows by leaps as long as chunks are as short.
_FIRST_SECONDS = 0.005
_GRADIENT_OVER_FORWARD = 3.0
_LEAP = 4
# What is shown while sampling is shown after each chunk: no chunk is tried that should take longer.
_LONGEST_SECONDS = 0.5
# So few rows cost a model hardly more than one, where calls of layers are what takes the time; if no longer than that.
_FEW = ((64, 0.1), (8, _LONGEST_SECONDS))
# By what a row must become cheaper, as is foreseen, for a chunk to take twice as long as others may.
_MUCH = 1.2
# From here on the fixed cost of a call is a few per cent, and a larger chunk must earn its place: by so much a row.
_LONG_SECONDS = 0.25
_EARNS = 1.1
# Any chunk of twice as many rows must gain so much: beyond the caches all cost the same.
_GAIN = 0.01
# A size that was so much dearer a row is not looked at again in a later run.
_HOPELESS = 1.25
# A share of free memory that what is saved for the backward pass may take; the pass itself needs about as much again.
_MEMORY_SHARE = 0.4
# On an accelerator more rows at once are faster until memory is full: a first guess of saved bytes per input byte.
_SAVED_OVER_INPUT = 500
# There a grid has so many blocks in its second and third dimension, in which some operations have their rows; and the
# cost of a call is nothing beside that of so many.
_MOST_ROWS = 65_535


class ChunkSize:
    """The number of rows of the next chunk: `fixed`, or found by trying.

    `input_bytes` is the size of one row of the inputs.
    """

    def __init__(self, fixed: int | None, device: torch.device, input_bytes: int) -> None:
        self._fixed = fixed is not None
        self._device = device
        self._input_bytes = input_bytes
        self._limit = fixed or _rows_in_memory(device, input_bytes * _SAVED_OVER_INPUT)
        self._measured_memory = False
        self._row_bytes = 0
        self._tries = not self._fixed and device.type == "cpu"
        self._rows = min(2, self._limit) if self._tries else self._limit
        # Seconds a row, the least for each size that was tried, and how often it was.
        self._costs: dict[int, float] = {}
        self._times: Counter[int] = Counter()
        self._guessed = self._halved = False
        self._least = float("inf")

    @property
    def is_fixed(self) -> bool:
        """Whether the caller has set it."""
        return self._fixed

    @property
    def rows(self) -> int:
        """Rows of the next chunk."""
        return self._rows

    @property
    def row_seconds(self) -> float:
        """The least that a row has cost so far, infinite before anything was measured."""
        return self._least

    @property
    def wants_memory(self) -> bool:
        """Whether `record` should be told how many bytes a row saves."""
        return not self._fixed and not self._measured_memory

    def run(
        self,
        count: int,
        ask: Callable[[slice], Found],
        *,
        first: int | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[tuple[slice, Found, float]]:
        """What `ask` gives of each slice of `count` rows, and the seconds it took; of halves where memory runs out.

        As long as no size is found, short passes are followed by longer ones: nothing else is learnt of them.
        `first` bounds the rows of the first. Raises Cancelled, OutOfMemoryError, and what `ask` raises.
        """
        start, times = 0, 1
        while start < count:
            if cancel is not None and cancel.is_set():
                raise Cancelled(f"Cancelled after {start} of {count} forward passes.", None)
            rows = min(self.rows * times, self._limit, count - start, (first or count) if start == 0 else count)
            part, begin = slice(start, start + rows), time.perf_counter()
            try:
                found = ask(part)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self.halve(rows)
                times = 1
                continue
            seconds = time.perf_counter() - begin
            if self._tries and start and rows >= self.rows * times and seconds < _FIRST_SECONDS / 2:
                times *= _LEAP
            yield part, found, seconds
            start += rows

    def start(self, forward_seconds: float) -> None:
        """Choose the first size, from what a forward pass of one row took."""
        if self._tries and not self._costs and not self._guessed:
            row = _GRADIENT_OVER_FORWARD * max(forward_seconds, 1e-9)
            rows = max(_FIRST_SECONDS / row, *(min(few, seconds / row) for few, seconds in _FEW))
            self._rows = max(1, min(1 << int(rows).bit_length() >> 1, self._limit))

    def note_memory(self, rows: int, saved_bytes: int | None) -> None:
        """Learn from a chunk of `rows` that saved `saved_bytes` for its backward pass, if that was counted."""
        if saved_bytes is not None and self.wants_memory:
            self._measured_memory, self._row_bytes = True, max(saved_bytes // rows, 1)
            self._fit()

    def _fit(self) -> None:
        """Into the memory that is free now."""
        self._limit = _rows_in_memory(self._device, self._row_bytes)
        self._rows = max(1, min(self._rows, self._limit)) if self._tries else self._limit

    def record(self, rows: int, seconds: float, saved_bytes: int | None) -> None:
        """Learn from a chunk of `rows` that took `seconds`, and as `note_memory`."""
        self.note_memory(rows, saved_bytes)
        cost = seconds / rows
        self._least = min(self._least, cost)
        # A chunk that was cut short (the first of a path, the last) says nothing of the size that is tried; cells that
        # share no ends fill it up but for a few.
        if self._tries and self._rows < 2 * rows:
            tried = self._rows
            self._costs[tried] = min(cost, self._costs.get(tried, math.inf))
            self._times[tried] += 1
            self._rows = self._next()
        self._rows = max(1, min(self._rows, self._limit))

    def _next(self) -> int:
        """The size to go on with: a neighbour of the best so far that was not tried twice, else the best itself.

        Once is chance: a first pass takes several times as long as the next, and others use the machine.
        """
        # A copy: another thread, with the same model, may be adding to it.
        costs = dict(self._costs)

        def price(size: int) -> tuple[int, float]:
            seconds = costs[size] * size
            too_long = seconds > 2 * _LONGEST_SECONDS
            earns = (_EARNS if seconds >= _LONG_SECONDS else 1.0) * (1 + _GAIN * math.log2(size))
            return size if too_long else 0, costs[size] * earns

        best = min(costs, key=price)
        seconds = costs[best] * best
        known = [size for size, times in self._times.items() if times > 1 and size != best]
        # Nothing is tried beyond what is known to be worse.
        most = min((size for size in known if size > best), default=math.inf)
        for size in (best * _LEAP if seconds < _FIRST_SECONDS / 2 else 0, best * 2, best // 2):
            expected = _expected(costs, best, size) if size > best else costs[best] * size
            longest = min(expected, seconds if best == 1 else math.inf)
            # Where it gains much a row a chunk may take longer.
            allowed = (2 if expected * _MUCH <= costs[best] * size else 1) * _LONGEST_SECONDS
            able = 0 < size <= self._limit and size <= most and longest <= allowed
            if (able or 0 < size < best) and self._times[size] < 2:
                return size
        self._tries = False
        return best

    def lend(self, other: ChunkSize) -> None:
        """Let `other`, of the same model at another shape, begin with as many bytes of input as suited here."""
        if self._costs and other._tries:
            rows = self._rows * self._input_bytes // max(other._input_bytes, 1)
            other._rows, other._guessed = max(1, min(rows, other._limit)), True

    def resume(self) -> None:
        """A later run: what may have been slow by chance is looked at once more, and larger sizes, if need be.

        An accelerator is filled anew: others may have taken of its memory meanwhile, or given some back.
        """
        if self._device.type != "cpu" and self._row_bytes and not self._halved:
            self._fit()
        if not self._fixed and self._device.type == "cpu" and not self._halved and self._costs:
            costs = dict(self._costs)
            least = min(costs.values())
            for size in costs:
                if size != self._rows and costs[size] <= _HOPELESS * least:
                    self._times[size] = min(self._times[size], 1)
            self._tries = True

    def halve_or_raise(self, error: Exception, rows: int) -> None:
        """Goes on with half of `rows` where the error says that they did not fit into memory; raises it where not."""
        if not is_out_of_memory(error):
            raise error
        self.halve(rows)

    def halve(self, rows: int) -> None:
        """Memory ran out at `rows`: warn, and go on with half. Raises OutOfMemoryError at one row."""
        if rows <= 1:
            raise OutOfMemoryError(
                f"Memory ran out with a single row in the model{self._shortage()}; use a smaller input, a "
                f"smaller model, a narrower dtype, or a machine with more memory."
            )
        self._rows = self._limit = rows // 2
        self._tries, self._halved, self._measured_memory = False, True, True
        warnings.warn(
            f"Memory ran out with {rows} rows in the model at once; going on with {self._rows} (chunk_size).",
            RuntimeWarning,
            stacklevel=2,
        )

    def _shortage(self) -> str:
        """How much is free beside what a row keeps for its backward pass, as far as either is known."""
        free = free_memory(self._device)
        parts = [] if free is None else [f"{_in_mb(max(free, 0))} are free"]
        if self._row_bytes:
            parts.append(f"a row keeps {_in_mb(self._row_bytes)} for its backward pass alone")
        return f": {', '.join(parts)}" if parts else ""


def _expected(costs: dict[int, float], best: int, size: int) -> float:
    """Seconds that a chunk of `size` rows should take, by how much more the `best` took than the next smaller one."""
    seconds = costs[best] * best
    smaller = max((one for one in costs if one < best), default=0)
    if not smaller:
        return costs[best] * size
    row = (seconds - costs[smaller] * smaller) / (best - smaller)
    return seconds + (size - best) * min(max(row, costs[best] / _LEAP), costs[best])


def _in_mb(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count >= 1e7 else f"{count / 1e6:.1g} MB"


_KNOWN: WeakKeyDictionary[object, dict[Hashable, dict[Hashable, ChunkSize]]] = WeakKeyDictionary()


def known_chunk_size(forward_func: object, kind: Hashable, shape: Hashable, make: Callable[[], ChunkSize]) -> ChunkSize:
    """What has been learnt of a model in passes of a kind at a shape, or a new one; forgotten when the model is.

    A new one begins where the same model took as many bytes of input at another shape.
    """
    try:
        known = _KNOWN.setdefault(forward_func, {}).setdefault(kind, {})
    except TypeError:  # of a type that cannot be remembered
        return make()
    if shape in known:
        known[shape].resume()
        return known[shape]
    new = make()
    if known:
        other = list(known.values())[-1]
        other.lend(new)
    known[shape] = new
    return new


def _rows_in_memory(device: torch.device, row_bytes: int) -> int:
    free = free_memory(device)
    rows = max(1, int(free * _MEMORY_SHARE) // max(row_bytes, 1)) if free is not None else 256
    return rows if device.type == "cpu" else min(rows, _MOST_ROWS)
