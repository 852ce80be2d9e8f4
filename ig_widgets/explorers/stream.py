"""What each view still lacks, sent at the pace at which it acknowledges.

Computing puts samples in at one end and never waits; each view is sent them in the order of evaluation, at most two
batches ahead of its acknowledgements, each batch with a plan over what the view then has. A view that stops
answering is sent nothing more; one that appears late is given everything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ig_widgets.engine.rules import Floats, nearest_edges
from ig_widgets.engine.samples import Key
from ig_widgets.explorers import protocol

_BATCHES_AHEAD = 2
_BATCH_BYTES = 1_000_000
# Front ends that went without a word (a page that was loaded anew) would add up.
MOST_VIEWS = 16
# WebGL2 promises so many layers of an array texture.
_MOST_PIECES = 256

Send = Callable[[protocol.Content, list[bytes]], None]


@dataclass(frozen=True)
class Pieces:
    """The samples of a rule, by what they are known by, and the `edges` (n + 1,) of the pieces that they stand for."""

    keys: list[Key]
    edges: Floats


@dataclass
class Record:
    """The samples of one path, in the order of evaluation; the position in the lists is the sample's id.

    `alphas` are those of points, or the middles of cells; `output_alphas` where `outputs` were taken. `is_complete`:
    the sum is claimed to be F(x) - F(x'). `is_path`: samples lie one after the other from baseline to input.
    """

    number: int
    baseline_output: float
    output: float
    alphas: list[float] = field(default_factory=list)
    outputs: list[float] = field(default_factory=list)
    output_alphas: list[float] = field(default_factory=list)
    density: list[float] = field(default_factory=list)
    maps: list[protocol.EncodedMap] = field(default_factory=list)
    ids: dict[Key, int] = field(default_factory=dict)
    is_complete: bool = True
    is_path: bool = True

    def extend(
        self, keys: list[Key], outputs: list[float], density: list[float], maps: list[protocol.EncodedMap]
    ) -> None:
        """Add samples, a map for each. The maps come last: their number is what others look at."""
        self.ids.update(zip(keys, range(len(self.maps), len(self.maps) + len(keys)), strict=True))
        self.alphas += [sum(key) / 2 if isinstance(key, tuple) else key for key in keys]
        self.output_alphas += [key[0] if isinstance(key, tuple) else key for key in keys]
        self.outputs += outputs
        self.density += density
        self.maps += maps

    def holds(self, pieces: Pieces) -> bool:
        """Whether all that these need is there; what is sampled meanwhile comes a little later."""
        count = len(self.maps)
        return all(self.ids.get(key, count) < count for key in pieces.keys)

    def plan(
        self,
        count: int,
        pieces: Pieces | None,
        evaluations: int,
        *,
        final: bool,
        error: float | None = None,
    ) -> protocol.Message:
        """A plan over the first `count` samples: by `pieces`, if all of them are there, else by the nearest piece."""
        if pieces is None:
            order = _thinned(_newest(np.array(self.alphas[:count])))
            edges = nearest_edges(np.array(self.alphas)[order])
        else:
            order = np.array([self.ids[key] for key in pieces.keys])
            edges = pieces.edges
        ids = [int(i) for i in order]
        weights = np.diff(edges)
        total = float(sum(w * self.density[i] for i, w in zip(ids, weights, strict=True)))
        path = {1.0: self.output} | ({0.0: self.baseline_output} if self.is_complete else {})
        if self.is_path:
            path |= {self.output_alphas[i]: self.outputs[i] for i in ids}
        return protocol.plan(
            self.number,
            [(i, float(edges[k + 1] - edges[k]), float(edges[k]), float(edges[k + 1])) for k, i in enumerate(ids)],
            sorted(path.items()),
            [(self.alphas[i], self.density[i]) for i in ids] if self.is_path else [],
            total,
            total - (self.output - self.baseline_output) if self.is_complete else None,
            evaluations,
            final,
            error,
        )


def _newest(alphas: Floats) -> npt.NDArray[np.intp]:
    """By ascending alpha, of those in one place the newest: a cell is split into parts with one in its middle."""
    _, first = np.unique(alphas[::-1], return_index=True)
    return len(alphas) - 1 - first


def _thinned(order: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """At most so many of the samples, evenly, as a front end can hold; a path may have been sampled by many rules."""
    if len(order) <= _MOST_PIECES:
        return order
    return order[np.linspace(0, len(order) - 1, _MOST_PIECES).round().astype(np.intp)]


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
        self._record: Record | None = None
        # What the rule makes of the record once a view has all of it; as a whole, so that a view can tell news.
        self._whole: tuple[Pieces, bool, float | None] | None = None
        self._evaluations = 0
        self._end: protocol.Message | None = None

    def begin(self, request: int, message: protocol.Message) -> None:
        """A request starts; `message` is its `begin`."""
        with self._lock:
            self._request, self._begin = request, message
            self._record = self._whole = self._end = None
            self._evaluations = 0
            self._pump_all()

    def publish(
        self,
        request: int,
        record: Record,
        evaluations: int,
        pieces: Pieces | None = None,
        *,
        is_final: bool = False,
        error: float | None = None,
    ) -> None:
        """`record` has grown; with `pieces` it holds all that these need. `error`: of the map, as it is estimated."""
        with self._lock:
            if request == self._request:
                self._record, self._evaluations = record, evaluations
                self._whole = None if pieces is None else (pieces, is_final, error)
                self._pump_all()

    def end(self, request: int, message: protocol.Message) -> None:
        """The request is over; `message` is its `done` or `failed`."""
        with self._lock:
            if request == self._request:
                self._end = message
                self._pump_all()

    def want(self, name: str) -> None:
        """A view starts, or starts again, with nothing."""
        with self._lock:
            self._views.pop(name, None)
            self._views[name] = _View()
            while len(self._views) > MOST_VIEWS:
                del self._views[next(iter(self._views))]
            self._pump(name)

    def leave(self, name: str) -> bool:
        """A view is sent nothing more. Whether that was the last of those that answer."""
        with self._lock:
            return self._views.pop(name, None) is not None and not self.is_watched

    @property
    def is_watched(self) -> bool:
        """Whether there is a view that answers."""
        with self._lock:
            return any(view.answers for view in self._views.values())

    def beat(self) -> None:
        """A sign of life to those that wait."""
        with self._lock:
            for name, view in self._views.items():
                if view.answers and not view.ended:
                    self._say(name, protocol.beat())

    def ack(self, name: str, count: int) -> None:
        """A view has received `count` batches. One that was never heard of, or never sent so many, is not believed."""
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
        # Not even a `begin` for a view that does not answer: it may be gone, and pictures weigh.
        if self._begin is None or not view.answers:
            return
        if view.request != self._request:
            view.request, view.planned, view.ended = self._request, None, False
            self._say(name, self._begin)
        record = self._record
        if record is not None:
            if view.trace != record.number:
                view.trace, view.samples = record.number, 0
            self._send_samples(name, view, record)
        if self._end is not None and not view.ended and self._has_all(view):
            view.ended = True
            self._say(name, self._end)

    def _send_samples(self, name: str, view: _View, record: Record) -> None:
        while view.samples < len(record.maps) and view.answers:
            size = max(1, _BATCH_BYTES // max(len(record.maps[view.samples].values), 1))
            batch = record.maps[view.samples : view.samples + size]
            self._say(name, protocol.samples(record.number, view.samples, batch))
            view.samples += len(batch)
            view.batches += 1
            self._send_plan(name, view, record)
        self._send_plan(name, view, record)

    def _send_plan(self, name: str, view: _View, record: Record) -> None:
        whole = self._whole if view.samples == len(record.maps) else None
        if view.samples and (view.planned is None or view.planned[0] != view.samples or view.planned[1] is not whole):
            view.planned = (view.samples, whole)
            pieces, final, error = whole if whole is not None else (None, False, None)
            self._say(name, record.plan(view.samples, pieces, self._evaluations, final=final, error=error))

    def _has_all(self, view: _View) -> bool:
        # A failure is told at once; what was drawn until then stays.
        failed = self._end is not None and self._end[0]["type"] == "failed"
        return failed or self._record is None or view.samples == len(self._record.maps)

    def _say(self, name: str, message: protocol.Message) -> None:
        content, buffers = message
        self._send({**content, "view": name, "request": self._request}, buffers)
