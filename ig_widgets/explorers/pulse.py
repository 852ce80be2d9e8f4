"""A sign of life while something is computed: a pass may take long and say nothing, and a kernel that died as well."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A front end that has heard nothing for four of these says so.
BEAT_SECONDS = 0.5


@contextmanager
def pulse(beat: Callable[[], None]) -> Iterator[None]:
    """Call `beat` twice a second, from a thread of its own, until the block is left."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(BEAT_SECONDS):
            beat()

    thread = threading.Thread(target=run, name="ig_widgets pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
