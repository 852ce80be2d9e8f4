"""A sign of life while something is computed: a pass may take long and say nothing, and a kernel that died as well."""

from __future__ import annotations

import _thread
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A front end that has heard nothing for four of these says so.
BEAT_SECONDS = 0.5

_log = logging.getLogger(__name__)


@contextmanager
def pulse(beat: Callable[[], None]) -> Iterator[None]:
    """Call `beat` twice a second, from a thread of its own, until the block is left."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(BEAT_SECONDS):
            beat()

    try:
        # Not `threading.Thread`: where memory has run out it waits for ever for a thread that never came to start.
        _thread.start_new_thread(run, ())
    except (RuntimeError, MemoryError):
        _log.warning("No thread could be started; the front end may take a long pass for silence.")
    try:
        yield
    finally:
        over.set()
