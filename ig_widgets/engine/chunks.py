"""How many rows go through the model at a time.

A chunk that is too small pays the model's fixed cost too often; one that is too large leaves the processor's
caches, or memory. Neither is known beforehand, so the size grows while it pays and falls back when it does not.
The measuring is done on rows that are needed anyway.
"""

from __future__ import annotations

import math
import os
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path as FilePath
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch

from ig_widgets.engine.errors import Cancelled, OutOfMemoryError

Found = TypeVar("Found")

# A first chunk that should take about this long, from the time of a forward pass (a backward pass costs about two).
_FIRST_SECONDS = 0.2
_GRADIENT_OVER_FORWARD = 3.0
# From here on the fixed cost of a call is a few per cent, and a larger chunk must earn its place: by `_EARNS` a row.
_LONG_SECONDS = 0.25
_EARNS = 0.9
# What is shown while sampling is shown after each chunk: no chunk is tried that should take longer.
_LONGEST_SECONDS = 0.5
# A larger chunk has left the caches if a row has become dearer by more than the noise of a clock.
_DEARER = 1.1
# A share of free memory that what is saved for the backward pass may take; the pass itself needs about as much again.
_MEMORY_SHARE = 0.4
# On an accelerator more rows at once are faster until memory is full: a first guess of saved bytes per input byte.
_SAVED_OVER_INPUT = 500


class ChunkSize:
    """The number of rows of the next chunk: `fixed`, or found by trying.

    `input_bytes` is the size of one row of the inputs.
    """

    def __init__(self, fixed: int | None, device: torch.device, input_bytes: int) -> None:
        self._fixed = fixed is not None
        self._device = device
        self._limit = fixed or _rows_in_memory(device, input_bytes * _SAVED_OVER_INPUT)
        self._measured_memory = False
        self._row_bytes = 0
        self._tries = not self._fixed and device.type == "cpu"
        self._rows = min(2, self._limit) if self._tries else self._limit
        # Seconds a row, the least for each size that was tried, and how often it was.
        self._costs: dict[int, float] = {}
        self._times: Counter[int] = Counter()
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

        `first` bounds the rows of the first. Raises Cancelled, OutOfMemoryError, and what `ask` raises.
        """
        start = 0
        while start < count:
            if cancel is not None and cancel.is_set():
                raise Cancelled(f"Cancelled after {start} of {count} forward passes.", None)
            rows = min(self.rows, count - start, (first or count) if start == 0 else count)
            part, begin = slice(start, start + rows), time.perf_counter()
            try:
                found = ask(part)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self.halve(rows)
                continue
            yield part, found, time.perf_counter() - begin
            start += rows

    def start(self, forward_seconds: float) -> None:
        """Choose the first size, from what a forward pass of one row took."""
        if self._tries and not self._costs:
            rows = _FIRST_SECONDS / (_GRADIENT_OVER_FORWARD * max(forward_seconds, 1e-7))
            self._rows = max(1, min(int(rows), self._limit))

    def record(self, rows: int, seconds: float, saved_bytes: int | None) -> None:
        """Learn from a chunk of `rows` that took `seconds` and saved `saved_bytes` for its backward pass."""
        if saved_bytes is not None and self.wants_memory:
            self._measured_memory, self._row_bytes = True, max(saved_bytes // rows, 1)
            self._limit = _rows_in_memory(self._device, self._row_bytes)
            if not self._tries:
                self._rows = self._limit
        cost = seconds / rows
        self._least = min(self._least, cost)
        # A chunk that was cut short (the first of a path, the last) says nothing of the size that is tried.
        if self._tries and rows == self._rows:
            self._costs[rows] = min(cost, self._costs.get(rows, math.inf))
            self._times[rows] += 1
            self._rows = self._next(rows)
        self._rows = max(1, min(self._rows, self._limit))

    def _next(self, rows: int) -> int:
        """The size to go on with, after `rows` has been tried. Once is chance: what ends the search is seen twice."""
        # A copy: another thread, with the same model, may be adding to it.
        costs = dict(self._costs)
        cost = costs[rows]
        smaller = min((c for size, c in costs.items() if size < rows), default=math.inf)
        larger = min((c for size, c in costs.items() if size > rows), default=math.inf)
        best = min(costs, key=costs.__getitem__)
        seconds = cost * rows
        if larger < math.inf:
            # On the way down from a first guess that took long.
            if rows > 1 and cost <= larger * _DEARER and seconds > _LONG_SECONDS / 8:
                return rows // 2
        elif smaller == math.inf and seconds >= _LONG_SECONDS and rows > 4:
            # The first guess may lie beyond the caches, how far cannot be seen from there.
            return rows // 2 if self._times[rows] > 1 else rows
        elif cost <= smaller * (_EARNS if seconds >= _LONG_SECONDS else _DEARER):
            more = rows * (2 if seconds > _LONG_SECONDS / 8 else 8)
            if min(cost * more, seconds if rows == 1 else math.inf) <= _LONGEST_SECONDS:
                return more
        if self._times[rows] == 1:
            return rows
        self._tries = False
        return best

    def resume(self) -> None:
        """A later run: the first may have been slow from end to end, so what was settled on too early is open again."""
        if not self._fixed and self._device.type == "cpu" and self._rows >= max(self._costs, default=0):
            self._tries = True
            self._times.clear()

    def halve(self, rows: int) -> None:
        """Memory ran out at `rows`: warn, and go on with half. Raises OutOfMemoryError at one row."""
        if rows <= 1:
            raise OutOfMemoryError(
                f"Memory ran out with a single row in the model{self._shortage()}; use a smaller input, a "
                f"smaller model, a narrower dtype, or a machine with more memory."
            )
        self._rows = self._limit = rows // 2
        self._tries, self._measured_memory = False, True
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


def _in_mb(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count >= 1e7 else f"{count / 1e6:.1g} MB"


_KNOWN: WeakKeyDictionary[object, dict[Hashable, ChunkSize]] = WeakKeyDictionary()


def known_chunk_size(forward_func: object, key: Hashable, make: Callable[[], ChunkSize]) -> ChunkSize:
    """What has been learnt of a model at a shape (`key`), or a new one; forgotten when the model is."""
    try:
        known = _KNOWN.setdefault(forward_func, {})
    except TypeError:  # of a type that cannot be remembered
        return make()
    if key in known:
        known[key].resume()
    else:
        known[key] = make()
    return known[key]


def _rows_in_memory(device: torch.device, row_bytes: int) -> int:
    free = free_memory(device)
    return max(1, int(free * _MEMORY_SHARE) // max(row_bytes, 1)) if free is not None else 256


def free_memory(device: torch.device) -> int | None:
    """Bytes that can still be taken on `device`, None where it cannot be told."""
    if device.type == "cuda":
        # What torch holds and does not use is free to us as well.
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + held)
    amounts = [_available_on_machine(), _available_in_group(), _available_to_process()]
    return min((amount for amount in amounts if amount is not None), default=None)


def _available_on_machine() -> int | None:
    try:
        for line in FilePath("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return int(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return None


def _available_in_group() -> int | None:
    try:
        group = FilePath("/sys/fs/cgroup")
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return None


def _available_to_process() -> int | None:
    """What `ulimit -v` leaves, where it is set."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        pages = int(FilePath("/proc/self/statm").read_text().split()[0])
        return None if limit == resource.RLIM_INFINITY else limit - pages * resource.getpagesize()
    except (ImportError, OSError, ValueError):
        return None


# How torch's allocator, C++ and oneDNN say it; the last where there is no room for its code, or for its scratch memory.
_FULL = ("can't allocate memory", "std::bad_alloc", "could not create a primitive", "could not create a memory object")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # oneDNN says "could not create a primitive descriptor ..." of what it cannot do at all.
    return isinstance(error, RuntimeError) and any(
        says(error, words) and not says(error, f"{words} descriptor") for words in _FULL
    )


def says(error: BaseException, words: str) -> bool:
    """Whether `words` are in the text of `error`; not where its text, made by a stranger's code, cannot be had."""
    try:
        return words in str(error)
    except Exception:  # noqa: BLE001
        return False
