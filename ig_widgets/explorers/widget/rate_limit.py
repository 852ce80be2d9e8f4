"""Answers that a flood of questions cannot multiply."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

# More than a person asks for, and far below what servers let pass (1,000 messages a second).
MOST = 10
SECONDS = 1.0

_log = logging.getLogger(__name__)


class Throttle:
    """Calls `act` at once up to `MOST` times in `SECONDS`; for all that is asked beyond that, once at their end.

    `act` finds for itself what there is to do, also that there is nothing; it is called in the thread that asks, or
    late in one of its own. There is such a thread only while something waits, and none after `close`.
    """

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._lock = threading.Lock()
        self._since = -SECONDS
        self._count = 0
        self._late: threading.Timer | None = None
        self._is_closed = False

    def ask(self) -> None:
        """Act now or soon."""
        if self._is_turn():
            self._act()

    def close(self) -> None:
        """Act no more."""
        with self._lock:
            self._is_closed = True
            if self._late is not None:
                self._late.cancel()

    def _is_turn(self) -> bool:
        with self._lock:
            if self._is_closed or self._late is not None:
                return False
            now = time.monotonic()
            if now - self._since >= SECONDS:
                self._since, self._count = now, 0
            self._count += 1
            if self._count <= MOST:
                return True
            late = threading.Timer(self._since + SECONDS - now, self._act_late)
            late.name, late.daemon = "ig_widgets late answers", True
            try:
                late.start()
            except (RuntimeError, MemoryError):
                _log.warning("No thread could be started; what waits is answered with the next question.")
                return False
            self._late = late
            return False

    def _act_late(self) -> None:
        with self._lock:
            self._late = None
            if self._is_closed:
                return
            self._since, self._count = time.monotonic(), 1
        self._act()
