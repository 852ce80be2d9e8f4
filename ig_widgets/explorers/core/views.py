"""The views of an explorer: they want, acknowledge and leave, and with the last of them goes the work."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.core.pane import Pane
from ig_widgets.explorers.core.stream import MOST_VIEWS
from ig_widgets.explorers.widget.rate_limit import Throttle
from ig_widgets.explorers.widget.validated import Gate


class Viewed(Gate):
    """What an explorer has for the views of its panes, `_asked`."""

    def __init__(self, **traits: Any) -> None:
        self._asked: list[Pane] = []
        # Views that are to be served, by pane: a front end that adds a pane asks for it before it says so.
        self._early: dict[str, int] = {}
        self._welcomes = Throttle(self._welcome)
        # Comms may be heard in another thread than that of the session, beside it.
        self._asking = threading.RLock()
        # How many threads of Python wait for a result, whoever looks.
        self._waiting = 0
        super().__init__(**traits)

    def cancel(self) -> None:
        """Stop computing; what is drawn stays."""
        for pane in self._asked:
            pane.cancel()

    def close(self) -> None:
        """Close the widget and its views; none is served any more."""
        # __del__ comes here where the constructor has refused its arguments.
        if (welcomes := vars(self).get("_welcomes")) is not None:
            welcomes.close()
        super().close()

    def _on_message(self, _widget: object, content: object, buffers: Sequence[bytes | memoryview]) -> None:
        try:
            message = protocol.parse(content, buffers)
        except protocol.ProtocolError as error:
            self._owe(line=f"a message was ignored: {error}")
            return
        match message:
            case protocol.Want(view, index):
                self._wanted(view, index)
            case protocol.Leave(view):
                self._left(view)
            case protocol.Ack(view, count):
                for pane in self._asked:
                    pane.stream.ack(view, count)
            case protocol.Cancel(_, request):
                for pane in self._asked:
                    if pane.request == request:
                        pane.cancel()
            case protocol.Gallery() | protocol.Dependence() | protocol.Upload() | protocol.Export():
                self._heard(message)

    def _wanted(self, view: str, index: int) -> None:
        if index >= protocol.MOST_PANES:
            return
        with self._asking:
            self._early.pop(view, None)
            self._early[view] = index
            while len(self._early) > MOST_VIEWS:
                del self._early[next(iter(self._early))]
        self._welcomes.ask()

    def _welcome(self) -> None:
        """Views whose panes are there get what they lack; each costs some messages, and pictures."""
        with self._asking:
            there = [(view, index) for view, index in self._early.items() if index < len(self._asked)]
            for view, index in there:
                del self._early[view]
                self._asked[index].stream.want(view)
            if there:
                self._resume()

    def _left(self, view: str) -> None:
        """A view is shown nowhere any more. With the last of them goes the work, unless Python waits for it."""
        with self._asking:
            self._early.pop(view, None)
            was_last = [pane.stream.leave(view) for pane in self._asked]
            watched = any(pane.stream.is_watched for pane in self._asked)
            if any(was_last) and not watched and self._waiting == 0:
                self._abandon()

    def _abandon(self) -> None:
        """Nobody looks any more."""
        for pane in self._asked:
            pane.abandon()

    def _resume(self) -> None:
        """Somebody looks again."""
        for pane in self._asked:
            pane.resume()

    @contextmanager
    def _waited_for(self) -> Iterator[None]:
        """Python waits for what is computed: it goes on without a view, and ends with an interrupt."""
        with self._asking:
            self._waiting += 1
            self._resume()
        try:
            yield
        except KeyboardInterrupt:
            self.cancel()
            raise
        finally:
            with self._asking:
                self._waiting -= 1

    def _heard(self, message: protocol.Beside) -> None:
        """What a front end asks for beside samples."""
