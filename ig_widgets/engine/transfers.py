"""Small tensors sent to a device whose work is queued, and fetched from it, without waiting for the queue.

Work on CUDA goes on while Python prepares more of it. Any plain copy between the two waits until all of it is done:
one for each chunk, and the device is idle while Python launches the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

# Whether the work that was queued before it is done.
Mark: TypeAlias = Callable[[], bool]

_QUEUED = frozenset(("cuda",))
# Such memory is kept for the next, and scarce. What is larger is waited for, as it took its time to be made.
_MOST_PINNED = 1 << 24
# How often it is looked for. Short beside a chunk, and the next one is queued meanwhile.
_SECONDS = 1e-4


def is_queued(device: torch.device) -> bool:
    """Whether work on `device` goes on while Python does."""
    return device.type in _QUEUED


def sent(values: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """`values` on `device`, as `dtype` if it is given; of a few from the CPU nobody waits for what is queued there."""
    kind = values.dtype if dtype is None else dtype
    if values.device.type == "cpu" and is_queued(device) and values.nbytes <= _MOST_PINNED:
        # From other memory the driver may wait for the queue all the same.
        return _pinned(values.to(kind)).to(device, non_blocking=True)
    return values.to(device=device, dtype=kind)


class Fetch:
    """`tensors` on their way to the CPU. From a device without a queue they are there at once."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._copies = [_copied(tensor.detach()) for tensor in tensors]
        self._marks = [_mark(device) for device in {t.device for t in tensors} if is_queued(device)]

    def is_done(self) -> bool:
        """Whether they have arrived."""
        return all(mark() for mark in self._marks)

    def arrived(self, cancel: threading.Event | None = None) -> list[Tensor] | None:
        """The tensors, waited for; None where `cancel` is set first: the device works on, and nobody waits for it."""
        while not self.is_done():
            if cancel is not None and cancel.is_set():
                return None
            time.sleep(_SECONDS)
        # Pinned memory is scarce, and goes back.
        return [copy.clone() if self._marks else copy for copy in self._copies]


def _copied(tensor: Tensor) -> Tensor:
    if not is_queued(tensor.device):
        return tensor.cpu()
    return _pinned(torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")).copy_(tensor, non_blocking=True)


def _pinned(values: Tensor) -> Tensor:
    """A copy in memory that the device reads and writes by itself."""
    return values.pin_memory()


def _mark(device: torch.device) -> Mark:
    with torch.cuda.device(device):
        event = torch.cuda.Event()
        event.record()
    done: Mark = event.query
    return done
