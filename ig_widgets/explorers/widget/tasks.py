"""Small jobs beside the sampling, each by a name: of one name the newest counts, of different ones none is lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ig_widgets.explorers.widget.worker import ThreadError, Worker
from ig_widgets.texts import traceback_of

_log = logging.getLogger(__name__)


class Chores:
    """Done one after the other, in a thread of their own."""

    def __init__(self) -> None:
        self._worker = Worker()
        self._lock = threading.Lock()
        self._pending: dict[str, Callable[[], None]] = {}

    def ask(self, name: str, do: Callable[[], None]) -> None:
        """Do this soon, in the place of what was asked by that name and is not begun."""
        with self._lock:
            self._pending[name] = do
        try:
            self._worker.submit(lambda _cancel: self._run())
        except ThreadError:
            # They are small: the session waits for them.
            self._run()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing is left to do; False if `timeout` seconds pass before."""
        return self._worker.wait(timeout)

    def close(self) -> None:
        """Begin no other."""
        with self._lock:
            self._pending.clear()
        self._worker.close()

    def _run(self) -> None:
        while True:
            with self._lock:
                name = next(iter(self._pending), None)
                if name is None:
                    return
                do = self._pending.pop(name)
            try:
                do()
            except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001  (the next has its turn)
                _log.error("An explorer could not finish: %s.\n%s", name, traceback_of(error))
