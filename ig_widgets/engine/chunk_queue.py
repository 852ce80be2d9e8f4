"""Queue of chunks that a device works on while Python prepares the next; they are waited for in their order.

Without a queue of its own (a CPU) there is one at a time, which is there as soon as it is launched.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.transfers import Fetch, is_queued

_Block = TypeVar("_Block")
# So many chunks are launched before the first of them is waited for: one to work on, and one to go on with.
_AHEAD = 2


class LaunchedChunk(Generic[_Block]):
    """A chunk that the device may still be working on; `made` makes a block of what has come to the CPU.

    It is given F (rows,), dF/dalpha (rows,), both float64, and the `further` tensors. `begin`: when it was begun;
    `gradients`: those that have to be finite.
    """

    def __init__(
        self,
        rows: int,
        begin: float,
        outputs: Tensor,
        density: list[Tensor],
        gradients: tuple[Tensor, ...],
        made: Callable[[Tensor, Tensor, list[Tensor]], _Block],
        further: Sequence[Tensor] = (),
    ) -> None:
        self.rows, self.begin, self._made, self._gradients = rows, begin, made, gradients
        self._fetch = Fetch([outputs, *density, *further])

    def arrived(self, cancel: threading.Event | None) -> tuple[_Block, Tensor] | None:
        """The block, and which of its gradients are finite (rows,); None if it was cancelled before."""
        arrived = self._fetch.arrived(cancel)
        if arrived is None:
            return None
        n = len(self._gradients)
        density = torch.stack([arrived[i].double() for i in range(1, 1 + n)]).sum(0)
        # Of a gradient that is not finite no sum of products is. What is so for another reason is looked at.
        finite = density.isfinite()
        if not finite.all():
            parts = [g.reshape(len(g), -1).isfinite().all(1).cpu() for g in self._gradients]
            finite = torch.stack(parts).all(0)
        return self._made(arrived[0].double(), density, arrived[1 + n :]), finite


class ChunkQueue(Generic[_Block]):
    """Chunks that are under way, the oldest first: one, or a few where the device works on them by itself.

    What they took is told to `chunks`. So few of them, as cancel and progress should not be far behind.
    """

    def __init__(self, device: torch.device, chunks: ChunkSize) -> None:
        self._most, self._chunks = _AHEAD if is_queued(device) else 1, chunks
        self._waiting: deque[LaunchedChunk[_Block]] = deque()
        self._is_awaited = False
        self._last = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def has_room(self) -> bool:
        """Whether one more may be launched now."""
        return not self._waiting or (len(self._waiting) < self._most and not self._is_awaited)

    def add(self, launched: LaunchedChunk[_Block], *, is_awaited: bool) -> None:
        """The newest; `is_awaited`: nothing is launched beside it, as somebody is waiting for it to show."""
        self._waiting.append(launched)
        self._is_awaited = is_awaited

    def next_block(self, cancel: threading.Event | None) -> tuple[_Block, Tensor] | None:
        """The oldest, as `LaunchedChunk.arrived`."""
        one = self._waiting.popleft()
        found = one.arrived(cancel)
        # From when the device was free for it.
        begin, self._last = max(one.begin, self._last), time.perf_counter()
        if found is not None:
            self._chunks.record(one.rows, self._last - begin, None)
        return found
