"""Stream: sends each view what it lacks, at the pace at which the view acknowledges.

A run adds samples and never waits. Each view is sent them in the order of evaluation, at most two batches ahead of its
acknowledgements, each batch with a plan over what the view then has. A view that stops answering is sent nothing more;
one that appears late is sent everything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.core.sample_log import Pieces, SampleLog

_BATCHES_AHEAD = 2
_BATCH_BYTES = 1_000_000
# A page that is loaded anew leaves its views without a message; these would add up.
MOST_VIEWS = 16

Send = Callable[[protocol.Content, list[bytes]], None]


@dataclass
class _View:
    request: int = 0
    trace: int = 0
    samples: int = 0
    planned: tuple[int, object] | None = None
    batches: int = 0
    acknowledged: int = 0
    ended: bool = False

    @property
    def answers(self) -> bool:
        return self.batches - self.acknowledged < _BATCHES_AHEAD


class Stream:
    """The current request, and how much of it each view has been sent. Safe to call from any thread."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._lock = threading.RLock()
        self._views: dict[str, _View] = {}
        self._request = 0
        self._begin: protocol.Message | None = None
        self._log: SampleLog | None = None
        # The plan of a view that has all samples: one object, so that a view's last plan can be compared with it.
        self._whole: tuple[Pieces, bool, float | None] | None = None
        self._evaluations = 0
        self._end: protocol.Message | None = None

    def begin(self, request: int, message: protocol.Message) -> None:
        """Starts a request; `message` is its `begin`."""
        with self._lock:
            self._request, self._begin = request, message
            self._log = self._whole = self._end = None
            self._evaluations = 0
            self._pump_all()

    def publish(
        self,
        request: int,
        log: SampleLog,
        evaluations: int,
        pieces: Pieces | None = None,
        *,
        is_final: bool = False,
        error: float | None = None,
    ) -> None:
        """Sends what `log` has gained; with `pieces` it holds all that these need. `error`: the map's, as estimated."""
        with self._lock:
            if request == self._request:
                self._log, self._evaluations = log, evaluations
                self._whole = None if pieces is None else (pieces, is_final, error)
                self._pump_all()

    def end(self, request: int, message: protocol.Message) -> None:
        """Ends the request; `message` is its `done` or `failed`."""
        with self._lock:
            if request == self._request:
                self._end = message
                self._pump_all()

    def want(self, name: str) -> None:
        """Serves a view that starts, or starts again, with nothing."""
        with self._lock:
            self._views.pop(name, None)
            self._views[name] = _View()
            while len(self._views) > MOST_VIEWS:
                del self._views[next(iter(self._views))]
            self._pump(name)

    def leave(self, name: str) -> bool:
        """Sends a view nothing more. Returns whether it was the last that answered."""
        with self._lock:
            return self._views.pop(name, None) is not None and not self.is_watched

    @property
    def is_watched(self) -> bool:
        """Whether there is a view that answers."""
        with self._lock:
            return any(view.answers for view in self._views.values())

    def beat(self) -> None:
        """Sends a heartbeat to the views that wait."""
        with self._lock:
            for name, view in self._views.items():
                if view.answers and not view.ended:
                    self._send_to(name, protocol.beat())

    def ack(self, name: str, count: int) -> None:
        """Notes that a view has received `count` batches; ignored where it was not sent so many."""
        with self._lock:
            view = self._views.get(name)
            if view is not None and view.acknowledged < count <= view.batches:
                view.acknowledged = count
                self._pump(name)

    def _pump_all(self) -> None:
        for name in self._views:
            self._pump(name)

    def _pump(self, name: str) -> None:
        view = self._views[name]
        # Not even a `begin` for a view that does not answer: it may be gone, and arrays are large.
        if self._begin is None or not view.answers:
            return
        if view.request != self._request:
            view.request, view.planned, view.ended = self._request, None, False
            self._send_to(name, self._begin)
        log = self._log
        if log is not None:
            if view.trace != log.number:
                view.trace, view.samples = log.number, 0
            self._send_samples(name, view, log)
        if self._end is not None and not view.ended and self._has_all(view):
            view.ended = True
            self._send_to(name, self._end)

    def _send_samples(self, name: str, view: _View, log: SampleLog) -> None:
        while view.samples < len(log.maps) and view.answers:
            size = max(1, _BATCH_BYTES // max(len(log.maps[view.samples].data), 1))
            batch = log.maps[view.samples : view.samples + size]
            self._send_to(name, protocol.samples(log.number, view.samples, batch))
            view.samples += len(batch)
            view.batches += 1
            self._send_plan(name, view, log)
        self._send_plan(name, view, log)

    def _send_plan(self, name: str, view: _View, log: SampleLog) -> None:
        whole = self._whole if view.samples == len(log.maps) else None
        if view.samples and (view.planned is None or view.planned[0] != view.samples or view.planned[1] is not whole):
            view.planned = (view.samples, whole)
            pieces, final, error = whole if whole is not None else (None, False, None)
            self._send_to(name, log.plan(view.samples, pieces, self._evaluations, final=final, error=error))

    def _has_all(self, view: _View) -> bool:
        # A failure is sent at once; what was drawn until then stays.
        failed = self._end is not None and self._end[0]["type"] == "failed"
        return failed or self._log is None or view.samples == len(self._log.maps)

    def _send_to(self, name: str, message: protocol.Message) -> None:
        content, buffers = message
        self._send({**content, "view": name, "request": self._request}, buffers)
