"""Rate limiter: ten calls a second at once, the rest of that second coalesced into one at its end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

# More than a person causes, and far below what servers let pass (1,000 messages a second).
MOST = 10
SECONDS = 1.0

_log = logging.getLogger(__name__)


class RateLimit:
    """Calls `action` at once up to `MOST` times in `SECONDS`; any further calls are made up for once, at their end.

    `action` takes no argument: it looks up what there is to do, which may be nothing. It runs in the calling thread, or
    later in a timer's. A timer exists only while a call waits, and none after `close`.
    """

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._lock = threading.Lock()
        self._since = -SECONDS
        self._count = 0
        self._timer: threading.Timer | None = None
        self._is_closed = False

    def call(self) -> None:
        """Runs the action now or soon."""
        if self._may_run_now():
            self._action()

    def close(self) -> None:
        """Runs the action no more."""
        with self._lock:
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()

    def _may_run_now(self) -> bool:
        with self._lock:
            if self._is_closed or self._timer is not None:
                return False
            now = time.monotonic()
            if now - self._since >= SECONDS:
                self._since, self._count = now, 0
            self._count += 1
            if self._count <= MOST:
                return True
            timer = threading.Timer(self._since + SECONDS - now, self._run_late)
            timer.name, timer.daemon = "ig_widgets late answers", True
            try:
                timer.start()
            except (RuntimeError, MemoryError):
                _log.warning("No thread could be started; what waits is answered with the next call.")
                return False
            self._timer = timer
            return False

    def _run_late(self) -> None:
        with self._lock:
            self._timer = None
            if self._is_closed:
                return
            self._since, self._count = time.monotonic(), 1
        self._action()
