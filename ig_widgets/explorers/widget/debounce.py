"""Debounce: calls an action once calls for it have ceased."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Debounce:
    """Runs `action` in a timer's thread, `seconds` after the last of any number of calls.

    There is one timer at a time, and none after `close`.
    """

    def __init__(self, action: Callable[[], None], seconds: float) -> None:
        self._action = action
        self._seconds = seconds
        self._lock = threading.Lock()
        self._last = 0.0
        self._timer: threading.Timer | None = None
        self._is_closed = False

    def call(self) -> None:
        """Runs the action when no other call has come for a while."""
        with self._lock:
            self._last = time.monotonic()
            if self._timer is None:
                self._start(self._seconds)

    def close(self) -> None:
        """Runs the action no more."""
        with self._lock:
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()

    def _start(self, seconds: float) -> None:
        if self._is_closed:
            return
        timer = threading.Timer(seconds, self._look)
        timer.name, timer.daemon = "ig_widgets debounce", True
        try:
            timer.start()
        except (RuntimeError, MemoryError):
            _log.warning("No thread could be started; what waits is done with the next call.")
            return
        self._timer = timer

    def _look(self) -> None:
        with self._lock:
            self._timer = None
            left = self._last + self._seconds - time.monotonic()
            # A call that came meanwhile restarts no timer, which costs a thread; this one goes on.
            if left > 0:
                self._start(left)
                return
            if self._is_closed:
                return
        self._action()
