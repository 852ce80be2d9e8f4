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

from ig_widgets.engine.rules import Nodes, nearest_edges
from ig_widgets.engine.sampling import Block
from ig_widgets.explorers import protocol

_BATCHES_AHEAD = 2
_BATCH_BYTES = 1_000_000
# WebGL2 promises so many layers of an array texture.
_MOST_PIECES = 256

Send = Callable[[protocol.Content, list[bytes]], None]


@dataclass
class Record:
    """The samples of one path, in the order of evaluation; the position in the lists is the sample's id."""

    number: int
    baseline_output: float
    output: float
    alphas: list[float] = field(default_factory=list)
    outputs: list[float] = field(default_factory=list)
    output_alphas: list[float] = field(default_factory=list)
    density: list[float] = field(default_factory=list)
    maps: list[protocol.EncodedMap] = field(default_factory=list)

    def extend(self, block: Block, maps: list[protocol.EncodedMap]) -> None:
        """Add what a block gave, a map for each row. The maps come last: their number is what others look at."""
        self.alphas += block.alphas.tolist()
        self.outputs += block.outputs.tolist()
        self.output_alphas += block.output_alphas.tolist()
        self.density += block.density.tolist()
        self.maps += maps

    def plan(self, count: int, nodes: Nodes | None, evaluations: int) -> protocol.Message:
        """A plan over the first `count` samples: by `nodes`, if all of them are there, else by the nearest piece."""
        final = nodes is not None
        if nodes is None:
            order = _thinned(np.argsort(self.alphas[:count]))
            edges = nearest_edges(np.array(self.alphas)[order])
        else:
            at = {alpha: i for i, alpha in enumerate(self.alphas[:count])}
            order = np.array([at[alpha] for alpha in nodes.alphas.tolist()])
            edges = nodes.edges
        ids = [int(i) for i in order]
        weights = np.diff(edges)
        total = float(sum(w * self.density[i] for i, w in zip(ids, weights, strict=True)))
        ends = {0.0: self.baseline_output, 1.0: self.output}
        path = ends | {self.output_alphas[i]: self.outputs[i] for i in ids}
        return protocol.plan(
            self.number,
            [(i, float(edges[k + 1] - edges[k]), float(edges[k]), float(edges[k + 1])) for k, i in enumerate(ids)],
            sorted(path.items()),
            [(self.alphas[i], self.density[i]) for i in ids],
            total,
            total - (self.output - self.baseline_output),
            evaluations,
            final,
        )


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
    planned: tuple[int, bool] | None = None
    batches: int = 0
    acknowledged: int = 0
    ended: bool = False


class Stream:
    """The current request, and how much of it each view has been sent. Safe to call from any thread."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._lock = threading.RLock()
        self._views: dict[str, _View] = {}
        self._request = 0
        self._begin: protocol.Message | None = None
        self._record: Record | None = None
        self._nodes: Nodes | None = None
        self._evaluations = 0
        self._end: protocol.Message | None = None

    def begin(self, request: int, message: protocol.Message) -> None:
        """A request starts; `message` is its `begin`."""
        with self._lock:
            self._request, self._begin = request, message
            self._record = self._nodes = self._end = None
            self._evaluations = 0
            self._pump_all()

    def publish(self, request: int, record: Record, evaluations: int, nodes: Nodes | None = None) -> None:
        """`record` has grown; with `nodes` it holds all that the rule needs."""
        with self._lock:
            if request == self._request:
                self._record, self._evaluations, self._nodes = record, evaluations, nodes
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
            self._views[name] = _View()
            self._pump(name)

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
        if self._begin is None or view.batches - view.acknowledged >= _BATCHES_AHEAD:
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
        while view.samples < len(record.maps) and view.batches - view.acknowledged < _BATCHES_AHEAD:
            size = max(1, _BATCH_BYTES // max(len(record.maps[view.samples].values), 1))
            batch = record.maps[view.samples : view.samples + size]
            self._say(name, protocol.samples(record.number, view.samples, batch))
            view.samples += len(batch)
            view.batches += 1
            self._send_plan(name, view, record)
        self._send_plan(name, view, record)

    def _send_plan(self, name: str, view: _View, record: Record) -> None:
        final = self._nodes is not None and view.samples == len(record.maps)
        if view.samples and view.planned != (view.samples, final):
            view.planned = (view.samples, final)
            self._say(name, record.plan(view.samples, self._nodes if final else None, self._evaluations))

    def _has_all(self, view: _View) -> bool:
        # A failure is told at once; what was drawn until then stays.
        failed = self._end is not None and self._end[0]["type"] == "failed"
        return failed or self._record is None or view.samples == len(self._record.maps)

    def _say(self, name: str, message: protocol.Message) -> None:
        content, buffers = message
        self._send({**content, "view": name, "request": self._request}, buffers)
