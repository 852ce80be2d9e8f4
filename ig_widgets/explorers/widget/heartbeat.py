"""Heartbeat while something is computed: a front end cannot tell a long pass of a model from a kernel that died."""

from __future__ import annotations

import _thread
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A front end that has received nothing for four of these says so.
BEAT_SECONDS = 0.5

_log = logging.getLogger(__name__)


@contextmanager
def heartbeat(beat: Callable[[], None]) -> Iterator[None]:
    """Calls `beat` twice a second, from a thread of its own, until the block is left."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(BEAT_SECONDS):
            beat()

    try:
        # Not `threading.Thread`: where memory has run out, it waits for ever for a thread that did not start.
        _thread.start_new_thread(run, ())
    except (RuntimeError, MemoryError):
        _log.warning("No thread could be started; the front end may report a long pass as a silent kernel.")
    try:
        yield
    finally:
        over.set()
