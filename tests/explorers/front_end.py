"""A front end in Python: it reads the messages as ARCHITECTURE.md lays them down, and objects to what they forbid.

It knows no quadrature rule and nothing of the kernel: samples are added up by the plan, as js/ does it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

Content = dict[str, Any]

AHEAD = 2  # batches that may be on their way to a view
_KEYS = {
    "begin": {"trace", "settings", "display", "total", "output_name", "target_name", "path"},
    "samples": {"trace", "ids", "scales", "dtype"},
    "plan": {"trace", "entries", "outputs", "density", "sum", "delta", "error", "evaluations", "final"},
    "done": {"evaluations", "elapsed"},
    "failed": {"kind", "message", "hint"},
    "beat": set(),
    "maps": {"panel", "number", "names", "shape", "scales", "dtype"},
}
_TYPES = {"u1": np.dtype("u1"), "i2": np.dtype("<i2"), "f4": np.dtype("<f4")}
_FLOATS_BELOW = 4096  # values of a map


class ForbiddenMessageError(AssertionError):
    """A message from the kernel that the protocol does not allow."""


def require(condition: bool, what: str) -> None:
    if not condition:
        raise ForbiddenMessageError(what)


def is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def is_number(value: object) -> bool:
    return type(value) is float and math.isfinite(value)


def check(content: Content, buffers: list[bytes]) -> None:
    """Raise ForbiddenMessageError unless this is, by itself, one of the kernel's messages."""
    kind = content.get("type")
    require(kind in _KEYS, f"type {kind!r}")
    require(set(content) == _KEYS[kind] | {"type", "view", "request"}, f"keys of {kind}: {sorted(content)}")
    require(isinstance(content["view"], str) and is_count(content["request"]), "view or request")
    checks = {
        "begin": _check_begin,
        "samples": _check_samples,
        "plan": _check_plan,
        "failed": _check_failed,
        "beat": _check_beat,
        "maps": _check_maps,
    }
    checks.get(kind, _check_done)(content, buffers)


def _check_begin(content: Content, buffers: list[bytes]) -> None:
    settings = content["settings"]
    require(
        set(settings) == {"input", "baseline", "target", "output", "method", "n_steps", "tol", "channel"},
        f"settings {settings}",
    )
    require(all(type(settings[name]) is str for name in ("input", "baseline", "output", "method", "channel")), "names")
    require(is_number(settings["tol"]), "tol is a number")
    require(type(settings["target"]) is str or is_count(settings["target"]), "target is a count or a text")
    require(is_count(settings["n_steps"]), "n_steps is a count")
    require(all(type(content[name]) is str for name in ("output_name", "target_name")), "names")
    require(is_count(content["trace"]) and is_count(content["total"]), "trace and total are counts")
    require(content["path"] in ("straight", "curved", "draws"), "path")
    _check_display(content["display"], buffers)


def _check_display(display: Content, buffers: list[bytes]) -> None:
    require(set(display) == {"kind", "shape", "meta", "arrays"}, f"keys of a display: {sorted(display)}")
    require(type(display["kind"]) is str and type(display["meta"]) is dict, "kind and meta")
    size_of(display["shape"])
    require(len(display["arrays"]) == len(buffers), "a buffer for each array")
    for array, data in zip(display["arrays"], buffers, strict=True):
        require(set(array) == {"name", "dtype", "shape"} and type(array["name"]) is str, "arrays are described")
        require(array["dtype"] in ("u1", "f4"), "arrays are u1 or f4")
        expected = size_of(array["shape"]) * _TYPES[array["dtype"]].itemsize
        require(len(data) == expected, f"{array['name']} has {len(data)} bytes, not {expected}")
    if display["kind"] == "image":
        photos = [{"name": name, "dtype": "u1", "shape": [*display["shape"], 3]} for name in ("photo", "baseline")]
        require(display["arrays"] == photos and len(display["shape"]) == 2, "photo and baseline, three bytes a pixel")


def size_of(shape: list[int]) -> int:
    """How many values an array of this shape has."""
    require(len(shape) > 0 and all(is_count(n) and n > 0 for n in shape), f"shape {shape}")
    return math.prod(shape)


def numbers(dtype: str, data: bytes) -> np.ndarray[Any, Any]:
    """The numbers of one map, flat."""
    require(dtype in ("i2", "f4"), "maps are i2 or f4")
    require(len(data) % _TYPES[dtype].itemsize == 0, "a map ends in a part of a number")
    found = np.frombuffer(data, _TYPES[dtype])
    require(bool(np.isfinite(found).all()), "a map has finite numbers")
    return found


def _check_samples(content: Content, buffers: list[bytes]) -> None:
    ids, scales = content["ids"], content["scales"]
    require(is_count(content["trace"]), "trace")
    require(len(ids) == len(scales) == len(buffers) > 0, "an id, a scale and a map each")
    require(all(map(is_count, ids)) and all(is_number(s) and s > 0 for s in scales), "ids and scales")
    maps = [numbers(content["dtype"], data) for data in buffers]
    floats = content["dtype"] == "f4"
    require(not floats or all(len(one) < _FLOATS_BELOW for one in maps), "floats are for small maps")


def _check_plan(content: Content, buffers: list[bytes]) -> None:
    require(not buffers, "a plan has no buffers")
    require(is_count(content["trace"]) and is_count(content["evaluations"]), "trace and evaluations are counts")
    require(type(content["final"]) is bool, "final")
    require(is_number(content["sum"]), "the sum is finite")
    require(content["delta"] is None or is_number(content["delta"]), "delta is a number or null")
    require(content["error"] is None or is_number(content["error"]), "error is a number or null")
    for name in ("outputs", "density"):
        points = content[name]
        require(all(len(p) == 2 and all(map(is_number, p)) for p in points), f"{name} are pairs of numbers")
        require(all(a[0] < b[0] for a, b in itertools.pairwise(points)), f"{name} ascend")
    entries = content["entries"]
    require(len(entries) > 0, "a plan of nothing")
    require(all(is_count(e[0]) and all(map(is_number, e[1:])) and len(e) == 4 for e in entries), "entries")
    require(len({e[0] for e in entries}) == len(entries), "a sample is planned once")
    require(entries[0][2] == 0 and entries[-1][3] == 1, "entries reach from 0 to 1")
    require(all(a[3] == b[2] for a, b in itertools.pairwise(entries)), "entries leave no gap")
    require(all(start < stop for _, _, start, stop in entries), "entries ascend")


def _check_done(content: Content, buffers: list[bytes]) -> None:
    require(not buffers and is_count(content["evaluations"]) and is_number(content["elapsed"]), "done")


def _check_beat(content: Content, buffers: list[bytes]) -> None:
    require(not buffers, "a beat has no buffers")


def _check_failed(content: Content, buffers: list[bytes]) -> None:
    require(not buffers and content["kind"] in ("cancelled", "error"), "failed is cancelled or error")
    require(all(type(content[name]) is str for name in ("message", "hint")), "message and hint are texts")


def _check_maps(content: Content, buffers: list[bytes]) -> None:
    require(is_count(content["number"]) and type(content["panel"]) is str, "number and panel")
    require(len(content["names"]) == len(content["scales"]) == len(buffers), "a name, a scale and a buffer each")
    require(all(is_number(s) and s > 0 for s in content["scales"]), "scales")
    size, maps = size_of(content["shape"]), [numbers(content["dtype"], data) for data in buffers]
    require(all(len(one) == size for one in maps), "a map has the values of its display")
    if content["panel"] == "dependence":
        require(content["names"] == ["mean", "standard_deviation"], "mean and standard deviation")
        require(min(maps[1]) >= 0, "a standard deviation is not negative")


class View:
    """One front-end model. `say(content)` is how it speaks to the kernel; it acknowledges when it is told to."""

    def __init__(
        self, say: Callable[[Content], object], name: str = "a view", *, acknowledges: bool = True, pane: int = 0
    ) -> None:
        self.name = name
        self.pane = pane
        self.acknowledges = acknowledges
        self.say = say
        self.log: list[Content] = []
        self.start_again()

    def start_again(self) -> None:
        """Forget everything, as a page that is loaded anew."""
        self.begin: Content | None = None
        self.pictures: tuple[bytes, ...] | None = None
        self.plan: Content | None = None
        self.ended: Content | None = None
        self.trace: int | None = None
        self.maps: dict[int, np.ndarray[Any, Any]] = {}
        self.scales: dict[int, float] = {}
        # By how much neighbouring numbers of a map are apart, at most.
        self.steps: dict[int, float] = {}
        self.received = self.acknowledged = self.beats = 0
        self._may_restart = False
        self.dependence: tuple[int, list[np.ndarray[Any, Any]], list[float]] | None = None

    def want(self) -> None:
        self.say({"type": "want", "view": self.name, "pane": self.pane})

    def acknowledge(self, count: int | None = None) -> None:
        """Acknowledge what was received, or bring that forward to `count`."""
        self.acknowledged = self.received if count is None else count
        self.say({"type": "ack", "view": self.name, "count": self.acknowledged})

    @property
    def request(self) -> int:
        return self.begin["request"] if self.begin else 0

    @property
    def kinds(self) -> list[str]:
        return [content["type"] for content in self.log]

    def receive(self, content: Content, buffers: list[bytes]) -> None:
        if content.get("view") != self.name:
            return
        check(content, buffers)
        if content["type"] == "maps":
            scales = content["scales"]
            found = zip(buffers, scales, strict=True)
            maps = [numbers(content["dtype"], b).reshape(content["shape"]) * s for b, s in found]
            self.dependence = content["number"], maps, scales
            return
        if content["type"] == "beat":
            self.beats += 1
            return
        require(content["request"] >= self.request, "a message of an old request")
        if self.ended is not None and self.ended["type"] == "done":
            require(content["request"] > self.ended["request"], f"{content['type']} after done")
        self.log.append(content)
        getattr(self, f"_take_{content['type']}")(content, buffers)

    def _take_begin(self, content: Content, buffers: list[bytes]) -> None:
        require(content["request"] > self.request, "a request begins once")
        if self.begin is None or content["trace"] != self.begin["trace"]:
            self._may_restart = True
        self.begin, self.pictures = content, tuple(buffers)
        self.plan = self.ended = None

    def _take_samples(self, content: Content, buffers: list[bytes]) -> None:
        self._require_current(content)
        if content["trace"] != self.trace or (self._may_restart and content["ids"][0] == 0):
            self.maps, self.scales, self.steps, self.trace = {}, {}, {}, content["trace"]
        self._may_restart = False
        expected = list(range(len(self.maps), len(self.maps) + len(content["ids"])))
        require(
            content["ids"] == expected, f"ids {content['ids']} where {expected} was due: each sample once, in order"
        )
        shape = self.begin["display"]["shape"]
        for i, scale, data in zip(content["ids"], content["scales"], buffers, strict=True):
            values = numbers(content["dtype"], data)
            require(len(values) == size_of(shape), "a map has the values of its display")
            self.maps[i] = values.astype(np.float64).reshape(shape) * scale
            self.scales[i] = scale
            self.steps[i] = scale if content["dtype"] == "i2" else scale * float(np.abs(values).max()) * 2.0**-23
        self.received += 1
        require(self.received - self.acknowledged <= AHEAD, f"{AHEAD} batches are under way already")
        if self.acknowledges:
            self.acknowledge()

    def _take_plan(self, content: Content, buffers: list[bytes]) -> None:
        self._require_current(content)
        require(content["trace"] == self.trace, "a plan over another trace's samples")
        require(all(entry[0] in self.maps for entry in content["entries"]), "a plan names a sample that was not sent")
        require(self.plan is None or not self.plan["final"], "a plan after the final one")
        self.plan = content

    def _take_done(self, content: Content, buffers: list[bytes]) -> None:
        require(content["request"] == self.request, "done without begin")
        require(self.plan is not None and self.plan["final"], "done before the final plan")
        self.ended = content

    def _take_failed(self, content: Content, buffers: list[bytes]) -> None:
        require(self.ended is None or self.ended["request"] != content["request"], "a request ends once")
        self.ended = content

    def _require_current(self, content: Content) -> None:
        require(self.begin is not None and content["request"] == self.request, "before its request began")
        require(content["trace"] == self.begin["trace"], "of another trace than its request")

    def collected(self, alpha: float) -> np.ndarray[Any, Any]:
        """The map up to alpha, by the plan."""
        return self._sum(alpha, self.maps)

    def rounding(self, alpha: float) -> float:
        """How far `collected` may be from the exact sum: half a step of each map, as it is weighed."""
        return float(self._sum(alpha, {i: np.array(step / 2) for i, step in self.steps.items()}))

    def _sum(self, alpha: float, maps: dict[int, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        total = np.zeros_like(next(iter(maps.values())))
        for i, weight, start, stop in self.plan["entries"]:
            share = min(max((alpha - start) / (stop - start), 0.0), 1.0) if stop > start else float(alpha >= stop)
            total = total + weight * share * maps[i]
        return total
