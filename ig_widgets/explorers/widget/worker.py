"""Worker thread: runs the newest job given to it, and can cancel it.

The thread outlives its job by a minute: a first pass of a model in a new thread costs half as much again, since it
has no memory at hand yet. It holds nothing meanwhile, so an explorer that is forgotten goes at once.

Threads do not outlive Python: one that comes back from C++ code when there is none any more aborts the process.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable

from ig_widgets.engine.errors import IGError
from ig_widgets.texts import traceback_of

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 60.0
# At the end of Python: how long jobs have that look at `cancel`, and all others.
_CANCEL_SECONDS, _END_SECONDS = 0.3, 1.2

Job = Callable[[threading.Event], None]


class ThreadError(IGError, RuntimeError):
    """No thread could be started."""


class _Leave(BaseException):
    """Python ends. It is no Exception, since a model may catch those."""


class Worker:
    """Runs the newest job given to it; an older one is asked to stop, and one not yet begun is dropped."""

    def __init__(self) -> None:
        self._closed = False
        self._rest()
        _workers.add(self)

    def _rest(self) -> None:
        """Sets the state of a worker without a job and without a thread."""
        self._changed = threading.Condition()
        self._next: tuple[Job, threading.Event] | None = None
        self._cancel = threading.Event()
        self._busy = False
        self._thread: threading.Thread | None = None

    def submit(self, job: Job) -> None:
        """Runs `job(cancel)` as soon as the one before it has stopped; it should check `cancel` often.

        Raises ThreadError where there is no thread to run it in; the next one is tried anew.
        """
        with self._changed:
            if self._closed:
                return
            self._cancel.set()
            self._cancel = threading.Event()
            self._next = job, self._cancel
            self._busy = True
            self._changed.notify_all()
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="ig_widgets", daemon=True)
                try:
                    thread.start()
                except (RuntimeError, MemoryError) as error:
                    self._next, self._busy = None, False
                    self._changed.notify_all()
                    raise ThreadError(
                        f"No thread could be started to compute in ({error}): the machine allows no more of them, or "
                        f"has no memory left. Close explorers that are not needed, and ask again."
                    ) from error
                self._thread = thread

    def cancel(self) -> None:
        """Asks the newest job to stop, begun or not."""
        with self._changed:
            self._cancel.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks until no job is left; returns False if `timeout` seconds pass before."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, timeout)

    def close(self) -> None:
        """Stops for good: the current job is asked to stop, no other is begun."""
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
            except _Leave:
                return
            except BaseException as error:  # noqa: BLE001
                # A job handles its own errors; what escapes (sys.exit() too) must not stop the next job from running.
                _log.error("A job of an explorer failed.\n%s", traceback_of(error))
            del job, cancel  # not kept alive until the next one

    def _end(self, until: float) -> bool:
        """Waits for the thread to end; returns False where it has not by `until`."""
        if (thread := self._thread) is not None and thread is not threading.current_thread():
            thread.join(max(0.0, until - time.monotonic()))
            return not thread.is_alive()
        return True

    def _make_leave(self) -> None:
        """Raises in the thread, once it returns from its current operation."""
        if (thread := self._thread) is not None and thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_Leave))


_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """Stops all jobs and joins their threads before Python ends."""
    workers = list(_workers)
    for worker in workers:
        worker.close()
    begin = time.monotonic()
    slow = [worker for worker in workers if not worker._end(begin + _CANCEL_SECONDS)]
    for worker in slow:
        worker._make_leave()
    for worker in slow:
        worker._end(begin + _END_SECONDS)


def _after_fork() -> None:
    """Resets all workers in a child process (one that loads data, say), which has one thread alone."""
    for worker in list(_workers):
        worker._rest()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
