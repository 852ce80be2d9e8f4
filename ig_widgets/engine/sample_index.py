"""Where the samples of many examples lie: found for all of them at once."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ig_widgets.engine.rules import Floats, Integers

_MOST_KEYS = 1 << 32
_MIXED = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], dtype=np.uint64)


@dataclass(frozen=True, eq=False)
class Wanted:
    """Samples by `examples` (n,) and `keys`: alphas (n,), or both ends of cells (n, 2)."""

    examples: Integers
    keys: Floats

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, chosen: Any) -> Wanted:
        return Wanted(self.examples[chosen], self.keys[chosen])

    @staticmethod
    def nothing() -> Wanted:
        """No samples."""
        return Wanted(np.zeros(0, dtype=np.int64), np.zeros(0))


class SampleIndex:
    """Rows by example and key (an alpha, or both ends of a cell), for a batch of examples.

    Examples of a batch share most keys, so each key has a number, and rows are sorted by the example, as most who ask
    are, and that number.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._numbers: dict[complex, int] = {}
        self._sorted: tuple[Integers, Integers] = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        self._new: list[tuple[Integers, Integers]] = []
        self._lock = threading.Lock()

    def add(self, examples: Integers, keys: Floats, rows: Integers) -> None:
        """Note where samples lie; of one that is added again the last row counts."""
        numbers = self._numbered(keys, lambda key: self._numbers.setdefault(key, len(self._numbers)))
        with self._lock:
            self._new.append((examples * _MOST_KEYS + numbers, rows))

    def find(self, examples: Integers, keys: Floats) -> Integers:
        """The rows of samples, -1 where there is none; `examples` and `keys` are broadcast to one shape."""
        shape = keys.shape[: examples.ndim]
        flat = keys.reshape(math.prod(shape), *keys.shape[examples.ndim :])
        numbers = self._numbered(flat, lambda key: self._numbers.get(key, -1)).reshape(shape)
        codes, rows = self._merged()
        # A key that was never numbered makes a code that there is not.
        wanted = examples * _MOST_KEYS + np.where(numbers >= 0, numbers, _MOST_KEYS - 1)
        if not len(codes):
            return np.full(wanted.shape, -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
        found: Integers = np.where(codes[at] == wanted, rows[at], -1)
        return found

    def complete(self) -> Iterator[complex]:
        """The keys that every example has; alphas as the real parts."""
        codes, _ = self._merged()
        counts = np.bincount(codes % _MOST_KEYS, minlength=len(self._numbers))
        return (key for key, number in list(self._numbers.items()) if counts[number] == self._batch)

    def _merged(self) -> tuple[Integers, Integers]:
        with self._lock:
            if self._new:
                codes, rows = (np.concatenate(parts) for parts in zip(self._sorted, *self._new, strict=True))
                # From behind, so that of equal ones the last comes first.
                codes, first = np.unique(codes[::-1], return_index=True)
                self._sorted, self._new = (codes, rows[::-1][first]), []
            return self._sorted

    @staticmethod
    def _numbered(keys: Floats, number: Any) -> Integers:
        """The number of each key, as `number` has it."""
        # Of 0 and -0 the bits differ.
        paired = (keys if keys.ndim > 1 else np.stack([keys, np.zeros_like(keys)], -1)) + 0.0
        whole = paired.view(np.complex128)[:, 0]
        # To sort integers takes a third of the time; two keys with the same one are not to be expected.
        bits = paired.view(np.uint64)
        _, inverse = np.unique(bits[:, 0] * _MIXED[0] ^ bits[:, 1] * _MIXED[1], return_inverse=True)
        at = np.empty(inverse.max(initial=-1) + 1, dtype=np.int64)
        at[inverse] = np.arange(len(inverse))
        distinct = whole[at]
        if not np.array_equal(distinct[inverse], whole):
            distinct, inverse = np.unique(whole, return_inverse=True)
        numbers: Integers = np.array([number(key) for key in distinct.tolist()], dtype=np.int64)[inverse]
        return numbers
