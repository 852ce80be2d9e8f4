"""One job at a time beside the session: the latest wish wins, and can be cancelled.

A thread lives only while there is something to do, so nothing is left behind by an explorer that is forgotten.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable

_log = logging.getLogger(__name__)

Job = Callable[[threading.Event], None]


class Worker:
    """Runs the newest job given to it; an older one is asked to stop, and one not yet begun is dropped."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._next: tuple[Job, threading.Event] | None = None
        self._cancel = threading.Event()
        self._running = False
        self._closed = False

    def submit(self, job: Job) -> None:
        """Run `job(cancel)` as soon as the one before it has stopped; it should look at `cancel` often."""
        with self._changed:
            if self._closed:
                return
            self._cancel.set()
            self._cancel = threading.Event()
            self._next = job, self._cancel
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="ig_widgets", daemon=True).start()

    def cancel(self) -> None:
        """Ask the newest job to stop, begun or not."""
        with self._changed:
            self._cancel.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until there is nothing left to do; False if `timeout` seconds pass before."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, timeout)

    def close(self) -> None:
        """Stop for good: the job in hand is asked to stop, no other is begun."""
        with self._changed:
            self._closed = True
            self._next = None
            self._cancel.set()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._next is None:
                    self._running = False
                    self._changed.notify_all()
                    return
                (job, cancel), self._next = self._next, None
            try:
                job(cancel)
            except BaseException:  # noqa: BLE001
                # A job answers for its own errors; what escapes (sys.exit() too) must not keep the next from its turn.
                _log.exception("A job of an explorer failed.")
            del job, cancel  # not kept alive until the next one


_locks: weakref.WeakKeyDictionary[object, threading.RLock] = weakref.WeakKeyDictionary()
_locks_guard = threading.Lock()


def lock_of(model: object) -> threading.RLock:
    """The one lock of a model, so that explorers of it take turns."""
    with _locks_guard:
        try:
            return _locks.setdefault(model, threading.RLock())
        except TypeError:  # not weakly referable: nothing to share it by
            return threading.RLock()
