"""Background tasks by name: one runs at a time, and a newer one replaces a pending one of the same name."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ig_widgets.explorers.widget.worker import ThreadError, Worker
from ig_widgets.texts import traceback_of

_log = logging.getLogger(__name__)


class Tasks:
    """Runs small tasks one after the other, in a thread of their own."""

    def __init__(self) -> None:
        self._worker = Worker()
        self._lock = threading.Lock()
        self._pending: dict[str, Callable[[], None]] = {}

    def submit(self, name: str, task: Callable[[], None]) -> None:
        """Runs the task soon; a pending one of that name is dropped."""
        with self._lock:
            self._pending[name] = task
        try:
            self._worker.submit(lambda _cancel: self._run())
        except ThreadError:
            # Without a thread they run in the caller's: they are small.
            self._run()

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks until no task is left; returns False if `timeout` seconds pass before."""
        return self._worker.wait(timeout)

    def close(self) -> None:
        """Starts no other task."""
        with self._lock:
            self._pending.clear()
        self._worker.close()

    def _run(self) -> None:
        while True:
            with self._lock:
                name = next(iter(self._pending), None)
                if name is None:
                    return
                task = self._pending.pop(name)
            try:
                task()
            except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001  (the next one has to run)
                _log.error("An explorer could not finish: %s.\n%s", name, traceback_of(error))
