"""A front end that is played by a thread, for explorers without a browser."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import ig_widgets as igw


class FrontEnd:
    """Plays one view: notes when what arrives, and acknowledges samples from a thread of its own."""

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[tuple[float, dict[str, Any]] | None] = queue.SimpleQueue()
        self._news = threading.Condition()
        self._seen: list[tuple[float, dict[str, Any]]] = []

    def receive(self, content: dict[str, Any]) -> None:
        self._arrived.put((time.perf_counter(), content))

    def start(self, say: Callable[[dict[str, Any]], None]) -> None:
        threading.Thread(target=self._acknowledge, args=[say], daemon=True).start()
        say({"type": "want", "view": "bench", "pane": 0})

    def _acknowledge(self, say: Callable[[dict[str, Any]], None]) -> None:
        batches = 0
        while (arrival := self._arrived.get()) is not None:
            with self._news:
                self._seen.append(arrival)
                self._news.notify_all()
            if arrival[1]["type"] == "samples":
                batches += 1
                say({"type": "ack", "view": "bench", "count": batches})

    def stop(self) -> None:
        self._arrived.put(None)

    def when(self, kind: str, baseline: str, timeout: float = 300.0) -> tuple[float, dict[str, Any]]:
        """The first message of this kind in the newest request for `baseline`, waited for."""
        with self._news:
            if not self._news.wait_for(lambda: self._find(kind, baseline) is not None, timeout):
                raise TimeoutError(f"No {kind} for {baseline} in {timeout} seconds.")
            found = self._find(kind, baseline)
        assert found is not None
        return found

    def _find(self, kind: str, baseline: str) -> tuple[float, dict[str, Any]] | None:
        begins = [c for _, c in self._seen if c["type"] == "begin" and c["settings"]["baseline"] == baseline]
        if not begins:
            return None
        request = begins[-1]["request"]
        return next((seen for seen in self._seen if seen[1]["type"] == kind and seen[1]["request"] == request), None)

    def forget(self) -> None:
        with self._news:
            self._seen.clear()


class Probe(igw.ImageExplorer):
    """An explorer whose messages go to a `FrontEnd` instead of a comm."""

    def __init__(self, front_end: FrontEnd, *args: Any, **options: Any) -> None:
        self._front_end = front_end
        super().__init__(*args, **options)
        front_end.start(lambda content: self._handle_custom_msg(content, []))

    def send(self, content: dict[str, Any], buffers: object = None) -> None:
        self._front_end.receive(content)
