"""10,000 messages, most of them mutilated: none of these changes anything, and each good one among them is heeded."""

from __future__ import annotations

import copy
import logging
import math
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ig_widgets.engine.errors import IGError
from ig_widgets.explorers import ImageExplorer
from ig_widgets.faithfulness.regions import region_mask
from tests.explorers.conftest import workers
from tests.explorers.subjects import LABELS, SECONDS, panes_of, ready, subject_of, tasks_of
from tests.explorers.test_image_baselines import png
from tests.explorers.test_protocol import FIXTURES, chosen

pytestmark = pytest.mark.robustness

COUNT = 10_000
SIZE = 16


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


# Some of them are good for one trait or another; `sane` says for which.
HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1, 0.5, 7, 10**6, 2**53 + 1, 2**63, 10**400, -(10**400), 1e308, 1e-320, -0.0,
    math.nan, math.inf, -math.inf, "", "0.5", "x" * 10_000, "<img src=x onerror=alert(1)>", "\u202etxet", "\ud800",
    "\x00", "__proto__", "blur(sigma=1e9)", "(" * 900, " " * 900 + "(", "IPY_MODEL_0", [], [[]], [None], {},
    [0] * 20_000, [{}], [{}] * 1000, {"__class__": "x"}, {"length": -1}, {str(i): i for i in range(1000)}, nested(400),
    b"bytes",
]  # fmt: skip
GOOD: dict[str, list[Any]] = {
    "alpha": [0, 0.25, 1.0],
    "opacity": [0.5, 1],
    "clip": [50, 99.5],
    "tol": [0.1, 0.5],
    "n_steps": [1, 2, 5],
    "target": [0, 3, "rocket"],
    "baseline": ["black", "blur(sigma=2)", "noise(seed=3)", "colour(#ff8800)"],
    "output": ["logit", "margin"],
    "method": ["riemann_left", "gausslegendre", "gradient"],
    "channel": ["sum", "red"],
    "sign": ["all", "negative"],
    "ground": ["grey", "colour"],
    "colormap": ["RdBu_r", "viridis"],
    "show_dependence": [False],
    "_view_count": [None, 2],
    "_panes": [[{}], [{}, {"n_steps": 1}], [{}, {"baseline": "white", "target": 1}]],
    "_regions": [
        [],
        [{"kind": "rectangle", "box": [1, 2, 5.5, 6]}],
        [{"kind": "polygon", "points": [[1, 1], [9, 1], [5, 9]]}, {"kind": "mask", "runs": [20, 30, 206]}],
    ],
}
FOREIGN = [
    "_esm",
    "_css",
    "_anywidget_id",
    "_model_name",
    "_labels",
    "_cards",
    "_lut",
    "_notice",
    "layout",
    "comm",
    "log",
]
FOREIGN += ["keys", "_trait_values", "__class__", "", "x" * 10_000, "\ud800", "region", "_asked", "_model"]


# ---------------------------------------------------------------- what would be good, said independently


def is_number(value: Any, low: float, high: float) -> bool:
    return type(value) in (int, float) and low <= value <= high


def is_sane(name: str, value: Any) -> bool:
    """Whether a trait may take it. Texts are good where they are one of those above."""
    if name in ("alpha", "opacity"):
        return is_number(value, 0, 1)
    if name == "clip":
        return is_number(value, 50, 100)
    if name == "tol":
        return is_number(value, 5e-324, 1) and value < 1
    if name == "n_steps":
        return type(value) is int and 1 <= value <= 256
    if name == "target":
        return (type(value) is int and -5 <= value < 5) or (type(value) is str and value in LABELS)
    if name == "_view_count":
        return value is None or (type(value) is int and abs(value) <= 2**53)
    if name == "show_dependence":
        return type(value) is bool
    if name == "_panes":
        return type(value) is list and 1 <= len(value) <= 4 and value[0] == {} and all(map(is_sane_pane, value))
    if name == "_regions":
        return type(value) is list and len(value) <= 32 and all(map(is_sane_region, value))
    return type(value) is str and (value in GOOD[name] or value in ("white", "positive"))


def is_sane_pane(pane: Any) -> bool:
    wishes = {"baseline", "target", "output", "method", "n_steps", "tol", "channel"}
    return type(pane) is dict and pane.keys() <= wishes and all(is_sane(name, value) for name, value in pane.items())


def is_sane_region(region: Any) -> bool:
    if type(region) is not dict or len(region) != 2 or type(region.get("kind")) is not str:
        return False
    values = region.get({"rectangle": "box", "polygon": "points", "mask": "runs"}.get(region["kind"], ""))
    if type(values) is not list:
        return False
    try:
        if region["kind"] == "mask":
            good = all(type(run) is int and run >= 0 for run in values) and sum(values) == SIZE * SIZE
            return good and any(values[1::2])
        if region["kind"] == "polygon":
            good = all(type(point) is list and len(point) == 2 for point in values) and len(values) >= 3
            flat = [number for point in values for number in point] if good else [None]
        else:
            good, flat = len(values) == 4, values
        if not good or not all(is_number(number, -1e9, 1e9) for number in flat):
            return False
        return bool(region_mask(np.array(values, dtype=float), SIZE, SIZE).any())
    except IGError:
        return False


# ---------------------------------------------------------------- mutilation


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Of everything in it."""
    inner = value.items() if type(value) is dict else enumerate(value) if type(value) is list else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def mutilated(value: Any, chance: random.Random) -> Any:
    """With something replaced, taken away, added, put twice or cut off, at any depth."""
    value = copy.deepcopy(value)
    path = chance.choice(places(value))
    if not path:
        return copy.copy(chance.choice(HOSTILE))
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    match chance.randrange(5), holder:
        case 0, dict() | list():
            del holder[path[-1]]
        case 1, dict():
            holder[chance.choice(FOREIGN)] = chance.choice(HOSTILE)
        case 1, list():
            holder.insert(chance.randrange(len(holder) + 1), chance.choice(HOSTILE))
        case 2, list():
            del holder[chance.randrange(len(holder)) :]
        case 2, dict():
            other = chance.choice(list(holder))
            holder[path[-1]], holder[other] = holder[other], holder[path[-1]]
        case _:
            holder[path[-1]] = chance.choice(HOSTILE)
    return value


class Fuzz:
    """Says things to an explorer, and knows what they ought to have done."""

    def __init__(self, explorer: ImageExplorer, chance: random.Random) -> None:
        self.explorer, self.chance = explorer, chance
        self.counts: dict[str, int] = {}
        self.slowest: dict[str, float] = {}
        self.changed: list[tuple[list[str], str]] = []
        self.before = self.state()

    def state(self) -> dict[str, Any]:
        """What is set and computed; cards, audits, curves and notices are answers, that come when they come."""
        # `region` is the last of `_regions`.
        answers = {"region", "_dependence", "_cards", "_audits", "_curves", "_notice", "comm"}
        held = {name: value for name, value in self.explorer._trait_values.items() if name not in answers}
        panes = [(pane.request, pane.settings) for pane in panes_of(self.explorer)]
        return held | {
            "panes": panes,
            "offers": subject_of(self.explorer).baselines.names,
        }

    def say(self, kind: str, message: Any) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        seconds = self.timed(message)
        if seconds > 0.02:  # the machine is busy with others; what is slow is so again
            seconds = min(seconds, self.timed(message))
        self.slowest[kind] = max(self.slowest.get(kind, 0.0), seconds)

    def timed(self, message: Any) -> float:
        begin = time.perf_counter()
        self.explorer.comm.handle_msg(message)
        return time.perf_counter() - begin

    def expect_no_change(self, message: Any) -> None:
        after = self.state()
        if after != self.before:
            names = [name for name in after if repr(after[name]) != repr(self.before.get(name))]
            self.changed.append((names, repr(message)[:300]))
            self.before = after

    def expect(self, state: dict[str, Any]) -> None:
        """Each value of a good message is there."""
        for name, value in state.items():
            value = LABELS.index(value) if name == "target" and type(value) is str else value
            value = value % len(LABELS) if name == "target" else value
            if name != "_panes":
                assert getattr(self.explorer, name) == value, (name, value)
        self.before = self.state()

    # ------------------------------------------------------------ the kinds

    def set_something(self) -> None:
        names = self.chance.sample(list(GOOD), self.chance.randint(1, 3))
        state = {name: self.chance.choice(GOOD[name]) for name in names}
        if self.chance.random() < 0.9:
            for name in self.chance.sample(names, self.chance.randint(1, len(names))):
                state[name] = mutilated(state[name], self.chance)
        if self.chance.random() < 0.1:
            state[self.chance.choice(FOREIGN)] = self.chance.choice(HOSTILE)
        is_good = all(name in GOOD and is_sane(name, value) for name, value in state.items())
        self.say("states", update(state))
        if is_good:
            self.expect(state)
        else:
            self.expect_no_change(state)

    def set_what_is_not_theirs(self) -> None:
        state = {self.chance.choice(FOREIGN): self.chance.choice(HOSTILE)}
        self.say("states of the kernel's own", update(state))
        self.expect_no_change(state)

    def send_a_broken_envelope(self) -> None:
        # What is in it is what holds anyway, where it is understood after all.
        inside = self.chance.choice(
            [
                {"method": "update", "state": {"alpha": self.explorer.alpha}, "buffer_paths": []},
                {"method": "custom", "content": {"type": "ack", "view": "nobody", "count": 1}},
                {"method": "request_state"},
            ]
        )
        message = mutilated({"content": {"data": inside}, "buffers": [], "header": {}}, self.chance)
        self.say("envelopes", message)
        if inside["method"] == "update" and is_number(self.explorer.alpha, 0, 1):
            self.before["alpha"] = self.explorer.alpha  # another number, in an envelope that is as it should be
        self.expect_no_change(message)

    def send_a_broken_message(self) -> None:
        name = self.chance.choice([*chosen("browser->kernel", True), *chosen("browser->kernel", False), "export"])
        known = {"export": {"message": {"type": "export", "view": "v", "kind": "exe"}}} | FIXTURES
        content = mutilated(known[name]["message"], self.chance)
        self.say("custom messages", custom(content, [self.chance.choice([b"", b"x"])] * self.chance.randrange(3)))
        self.expect_no_change(content)

    def send_a_broken_file(self) -> None:
        data = bytearray(png((9, 9), (1, 2, 3)))
        data[self.chance.randrange(16, 30)] ^= self.chance.randrange(1, 256)
        data = self.chance.choice([bytes(data), bytes(data)[: self.chance.randrange(40)], self.chance.randbytes(5000)])
        content = {
            "type": "upload",
            "view": "v",
            "name": self.chance.choice(["a.png", "x" * 10_000, "\ud800", 3, None]),
        }
        self.say("files", custom(content, [data] * self.chance.choice([1, 1, 1, 0, 2])))
        self.expect_no_change(content)


def update(state: dict[str, Any]) -> dict[str, Any]:
    data = {"method": "update", "state": state, "buffer_paths": []}
    return {"content": {"data": data}, "buffers": [], "parent_header": {}}


def custom(content: Any, buffers: list[bytes]) -> dict[str, Any]:
    data = {"method": "custom", "content": content}
    return {"content": {"data": data}, "buffers": [memoryview(buffer) for buffer in buffers]}


def resident() -> float:
    """Megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def troubles(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What has gone wrong beside warnings of a line; exceptions of callbacks are logged with their traceback."""
    assert max((len(record.getMessage()) for record in caplog.records), default=0) < 1000
    found = [caplog.handler.format(r) for r in caplog.records if r.levelno >= logging.ERROR or r.exc_info]
    caplog.clear()
    return found


def test_ten_thousand_fuzzed_messages(explore: Callable[..., ImageExplorer], figure, caplog, capfd) -> None:
    explorer = explore(labels=LABELS, n_steps=2)
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    chance = random.Random(0)
    fuzz = Fuzz(explorer, chance)
    kinds = [fuzz.set_something] * 5 + [fuzz.set_what_is_not_theirs, fuzz.send_a_broken_file]
    kinds += [fuzz.send_a_broken_envelope, fuzz.send_a_broken_message] * 2
    for _ in range(500):
        chance.choice(kinds)()
    memory, threads, heeded = resident(), threading.active_count(), 0
    escaped: list[str] = []
    for i in range(500, COUNT):
        chance.choice(kinds)()
        if i % 250 == 0:
            # The next valid wish is answered, and drawn.
            explorer.comm.set_traits(_panes=[{}], method="riemann_left", tol=0.5, n_steps=2 + i % 7, baseline="blur")
            result = ready(explorer)
            explorer.comm.settle()
            assert (result.n_steps, view.begin["settings"]["n_steps"], view.ended["type"]) == (2 + i % 7,) * 2 + (
                "done",
            )
            assert np.isfinite(np.asarray(result.attributions)).all()
            fuzz.before, heeded = fuzz.state(), heeded + 1
            escaped += troubles(caplog)
    explorer.wait(SECONDS)
    assert tasks_of(explorer).wait(SECONDS)
    assert sum(fuzz.counts.values()) == COUNT

    assert fuzz.changed == []
    assert heeded == 38
    escaped += troubles(caplog)
    assert escaped == []
    assert capfd.readouterr().err == ""
    assert {thread.name for thread in threading.enumerate()} >= {"browser"}
    late = [thread for thread in workers() if thread.name.endswith("late answers")]
    assert len(workers()) - len(late) <= 6  # four panes, what is done beside them, and the dependence
    assert len(late) <= 2  # one for what is refused, one for views that come
    assert len(panes_of(explorer)._waiting_views) <= 16
    figure("fuzzed messages", COUNT)
    figure("exceptions that escaped, of 10,000 fuzzed messages", len(escaped), at_most=0)
    figure("fuzzed messages that changed the state, of 10,000", len(fuzz.changed), at_most=0)
    figure("good wishes among fuzzed messages, all answered", heeded)
    for kind, count in sorted(fuzz.counts.items()):
        figure(f"fuzzed {kind}, {count}: the slowest", 1000 * fuzz.slowest[kind], " ms", at_most=50)
    figure("memory grown by fuzzed messages", resident() - memory, " MB")
    figure("threads grown by fuzzed messages", threading.active_count() - threads)
