"""The panes of an explorer and the views that watch them; work pauses when no view is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import overload

from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.core.pane import Pane
from ig_widgets.explorers.core.settings import Settings
from ig_widgets.explorers.core.stream import MOST_VIEWS
from ig_widgets.explorers.widget.rate_limit import RateLimit


class Panes(Sequence[Pane]):
    """The panes, the explorer's own first. Safe to call from any thread.

    Comms may be handled in another thread than the session's. `lock` is held while panes are added or removed.
    """

    def __init__(
        self,
        make: Callable[[int, Settings], Pane],
        *,
        on_pause: Callable[[], None],
        on_resume: Callable[[], None],
    ) -> None:
        """`make(index, settings)` makes the pane that is to answer these settings first; `on_pause` and `on_resume` are
        called when the last view has gone, and when one has come.
        """
        self.lock = threading.RLock()
        self._make = make
        self._on_pause, self._on_resume = on_pause, on_resume
        self._panes: list[Pane] = []
        # Views by the index of their pane: a front end connects to a pane before it says that it has added one.
        self._waiting_views: dict[str, int] = {}
        self._serving = RateLimit(self._serve_waiting_views)
        # How many threads of Python wait for a result.
        self._n_waiting = 0

    def __len__(self) -> int:
        return len(self._panes)

    @overload
    def __getitem__(self, index: int) -> Pane: ...
    @overload
    def __getitem__(self, index: slice) -> list[Pane]: ...
    def __getitem__(self, index: int | slice) -> Pane | list[Pane]:
        return self._panes[index]

    def submit(self, settings: Sequence[Settings]) -> None:
        """Computes what each pane lacks; there are as many panes as settings from then on.

        A pane that answers its settings already, or is about to, goes on, unless it failed.
        """
        with self.lock:
            while len(self._panes) < len(settings):
                index = len(self._panes)
                self._panes.append(self._make(index, settings[index]))
            # Before anything is computed, so that a view that connected early misses nothing.
            self._serve_waiting_views()
            while len(self._panes) > len(settings):
                self._panes.pop().close()
            for pane, wanted in zip(self._panes, settings, strict=True):
                if wanted != pane.settings or pane.error is not None:
                    pane.submit(wanted)

    def cancel(self, request: int | None = None) -> None:
        """Stops the pane that computes `request`, or all of them."""
        # Of a copy: another thread may add a pane.
        for pane in list(self._panes):
            if request is None or pane.request == request:
                pane.cancel()

    def forget(self) -> None:
        """Drops all samples."""
        for pane in list(self._panes):
            pane.forget()

    def wait(self, timeout: float | None = None) -> None:
        """Blocks until all panes are done; an interrupt cancels them. Raises TimeoutError, and a run's error."""
        end = None if timeout is None else time.monotonic() + timeout
        with self.watched():
            # One deadline for all: panes compute at the same time.
            for pane in self._panes:
                left = None if end is None else max(0.0, end - time.monotonic())
                if not pane.wait(left):
                    raise TimeoutError(
                        f"Still computing after {timeout} seconds; wait longer, or ask for fewer n_steps."
                    )
        for pane in self._panes:
            if pane.error is not None:
                raise pane.error

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Python waits for a result: work goes on without a view, and an interrupt cancels it."""
        with self.lock:
            self._n_waiting += 1
            self._resume()
        try:
            yield
        except KeyboardInterrupt:
            self.cancel()
            raise
        finally:
            with self.lock:
                self._n_waiting -= 1

    def close(self) -> None:
        """Stops for good; no view is served any more."""
        self._serving.close()
        for pane in self._panes:
            pane.close()

    # ------------------------------------------------------------ views

    def connect(self, view: str, index: int) -> None:
        """A view of a pane has started, with nothing."""
        if index >= protocol.MOST_PANES:
            return
        with self.lock:
            # A view that connects again goes to the end, so that the oldest are dropped.
            self._waiting_views.pop(view, None)
            self._waiting_views[view] = index
            while len(self._waiting_views) > MOST_VIEWS:
                del self._waiting_views[next(iter(self._waiting_views))]
        self._serving.call()

    def acknowledge(self, view: str, count: int) -> None:
        """A view has received `count` batches of samples, in all."""
        for pane in list(self._panes):
            pane.stream.ack(view, count)

    def disconnect(self, view: str) -> None:
        """A view has gone. Without any view work pauses, unless Python waits for it."""
        with self.lock:
            self._waiting_views.pop(view, None)
            was_last = [pane.stream.leave(view) for pane in self._panes]
            is_watched = any(pane.stream.is_watched for pane in self._panes)
            if any(was_last) and not is_watched and self._n_waiting == 0:
                for pane in self._panes:
                    pane.pause()
                self._on_pause()

    def _serve_waiting_views(self) -> None:
        """Sends the views whose panes exist what they lack, which costs some messages each, with arrays."""
        with self.lock:
            ready = [(view, index) for view, index in self._waiting_views.items() if index < len(self._panes)]
            for view, index in ready:
                del self._waiting_views[view]
                self._panes[index].stream.want(view)
            if ready:
                self._resume()

    def _resume(self) -> None:
        for pane in self._panes:
            pane.resume()
        self._on_resume()
