"""One job at a time beside the session: the latest wish wins, and can be cancelled.

The thread outlives its job by a minute: a first pass of a model in a new thread costs half as much again, since it
has no memory at hand yet. It holds nothing meanwhile, so an explorer that is forgotten goes at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ig_widgets.texts import traceback_of

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 60.0

Job = Callable[[threading.Event], None]


class Worker:
    """Runs the newest job given to it; an older one is asked to stop, and one not yet begun is dropped."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._next: tuple[Job, threading.Event] | None = None
        self._cancel = threading.Event()
        self._busy = False
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, job: Job) -> None:
        """Run `job(cancel)` as soon as the one before it has stopped; it should look at `cancel` often."""
        with self._changed:
            if self._closed:
                return
            self._cancel.set()
            self._cancel = threading.Event()
            self._next = job, self._cancel
            self._busy = True
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ig_widgets", daemon=True)
                self._thread.start()

    def cancel(self) -> None:
        """Ask the newest job to stop, begun or not."""
        with self._changed:
            self._cancel.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until there is nothing left to do; False if `timeout` seconds pass before."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, timeout)

    def close(self) -> None:
        """Stop for good: the job in hand is asked to stop, no other is begun."""
        with self._changed:
            self._closed = True
            self._next = None
            self._cancel.set()
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._next is None:
                    self._busy = False
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._closed or self._next is not None, _IDLE_SECONDS)
                if self._next is None:
                    self._thread = None
                    return
                (job, cancel), self._next = self._next, None
            try:
                job(cancel)
            except BaseException as error:  # noqa: BLE001
                # A job answers for its own errors; what escapes (sys.exit() too) must not keep the next from its turn.
                _log.error("A job of an explorer failed.\n%s", traceback_of(error))
            del job, cancel  # not kept alive until the next one
