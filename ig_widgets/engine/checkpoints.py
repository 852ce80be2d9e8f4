"""Passes in which reentrant checkpoints are none.

`torch.utils.checkpoint` with use_reentrant=True runs its part without a graph, takes no `torch.autograd.grad`, and
writes gradients of parameters as it runs again. Inside our passes the part is simply run; chunks find what fits memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils import checkpoint

_lock = threading.Lock()
_inside = 0
_own = threading.local()


@contextmanager
def unrolled() -> Iterator[None]:
    """A context for passes of this thread; checkpoints of other threads are as ever."""
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            checkpoint.CheckpointFunction.apply = _apply_of(checkpoint.CheckpointFunction.apply)  # type: ignore[method-assign]
    before, _own.passes = getattr(_own, "passes", 0), getattr(_own, "passes", 0) + 1
    try:
        yield
    finally:
        _own.passes = before
        with _lock:
            _inside -= 1
            if _inside == 0:
                # What was inherited comes to light again.
                del checkpoint.CheckpointFunction.apply


def _apply_of(inherited: Callable[..., Any]) -> Any:
    def apply(run_function: Callable[..., Any], preserve_rng_state: bool, *arguments: Any) -> Any:
        if getattr(_own, "passes", 0):
            return run_function(*arguments)
        return inherited(run_function, preserve_rng_state, *arguments)

    return staticmethod(apply)
