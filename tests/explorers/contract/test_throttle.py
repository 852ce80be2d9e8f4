"""A flood of questions has few answers, the last of which says what is so by then; nothing is left of it at the end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ig_widgets.explorers.core.stream import MOST_VIEWS
from ig_widgets.explorers.widget import rate_limit as throttle
from ig_widgets.explorers.widget.rate_limit import MOST, RateLimit
from tests.explorers.conftest import workers
from tests.explorers.subjects import SECONDS, panes_of, tasks_of

pytestmark = pytest.mark.robustness

Explore = Callable[..., Any]
COUNT = 2000


class Clock:
    """Time that passes when it is told to; timers are rung by it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.timers = 100.0, list[tuple[float, Callable[[], None]]]()
        clock = self

        class Timer:
            def __init__(self, seconds: float, ring: Callable[[], None]) -> None:
                self.at, self.ring = clock.now + seconds, ring

            def start(self) -> None:
                clock.timers.append((self.at, self.ring))

            def cancel(self) -> None:
                clock.timers.remove((self.at, self.ring))

        monkeypatch.setattr(throttle.threading, "Timer", Timer)
        monkeypatch.setattr(throttle.time, "monotonic", lambda: self.now)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted(timer for timer in self.timers if timer[0] <= end + 1e-9):
            self.now = due[0][0]
            self.timers.remove(due[0])
            due[0][1]()
        self.now = end


def test_what_is_asked_seldom_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, done = Clock(monkeypatch), list[float]()
    slow = RateLimit(lambda: done.append(clock.now))
    for i in range(100):
        slow.call()
        assert len(done) == i + 1
        clock.wait(1.01 * throttle.SECONDS / MOST)
    assert clock.timers == []


@pytest.mark.parametrize("each", [0.0, 0.0003, 0.01, 0.09])
def test_a_flood_is_answered_so_often_a_second_and_at_last(monkeypatch: pytest.MonkeyPatch, each: float) -> None:
    """Also from a second that is not the clock's own; the last answer is after the last question."""
    clock, done = Clock(monkeypatch), list[float]()
    flooded = RateLimit(lambda: done.append(clock.now))
    for _ in range(COUNT):
        flooded.call()
        clock.wait(each)
        assert len(clock.timers) <= 1
    last = clock.now - each
    clock.wait(throttle.SECONDS)
    assert done[-1] >= last
    assert max(sum(at <= t < at + throttle.SECONDS for t in done) for at in done) <= 2 * MOST
    assert len(done) <= (MOST + 1) * ((clock.now - 100) / throttle.SECONDS + 1)
    # And then all is quiet.
    count = len(done)
    clock.wait(10 * throttle.SECONDS)
    assert len(done) == count


def test_after_close_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, done = Clock(monkeypatch), list[float]()
    closed = RateLimit(lambda: done.append(clock.now))
    for _ in range(MOST + 5):
        closed.call()
    closed.close()
    clock.wait(10 * throttle.SECONDS)
    closed.call()
    assert len(done) == MOST
    assert clock.timers == []


def test_without_a_thread_the_next_question_brings_what_waits(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    clock, done = Clock(monkeypatch), list[float]()

    def refuse(_self: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(throttle.threading.Timer, "start", refuse)
    flooded = RateLimit(lambda: done.append(clock.now))
    for _ in range(MOST + 1):
        flooded.call()
    assert "No thread could be started" in caplog.text
    clock.wait(throttle.SECONDS)
    flooded.call()
    assert len(done) == MOST + 1


# ---------------------------------------------------------------- explorers


class Wire:
    """All that an explorer sends, and an event for what is waited for."""

    def __init__(self, explorer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[dict[str, Any]] = []
        self._came = threading.Condition()
        publish = explorer.comm.publish_msg

        def listen(kind: str, data: Any = None, **options: Any) -> None:
            with self._came:
                self.sent.append(data)
                self._came.notify_all()
            publish(kind, data=data, **options)

        monkeypatch.setattr(explorer.comm, "publish_msg", listen)

    def of(self, method: str) -> list[dict[str, Any]]:
        return [data for data in self.sent if data["method"] == method]

    def await_(self, is_there: Callable[[], bool]) -> None:
        with self._came:
            assert self._came.wait_for(is_there, SECONDS)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> float:
    """A second for a throttle, in seconds."""
    monkeypatch.setattr(throttle, "SECONDS", 0.2)
    return 0.2


def most_of(begin: float, quick: float) -> float:
    """Of the answers that there may be by now."""
    return (MOST + 1) * ((time.monotonic() - begin) / quick + 1)


def test_a_flood_of_refused_states(
    explore: Explore, monkeypatch: pytest.MonkeyPatch, quick: float, caplog, figure
) -> None:
    explorer = explore()
    explorer.wait(SECONDS)
    assert tasks_of(explorer).wait(SECONDS)
    wire = Wire(explorer, monkeypatch)
    bad: list[dict[str, Any]] = [
        {"n_steps": 0},
        {"alpha": 7.0},
        {"colormap": "mud", "clip": 90.0},
        {"_labels": []},
        {"baseline": "nonsense"},
    ]
    caplog.clear()
    begin = time.monotonic()
    for i in range(COUNT):
        explorer.comm.set_traits(**bad[i % len(bad)])
    seconds = time.monotonic() - begin
    # What is so at the end, not what was so when it was refused.
    explorer.clip = 77.0
    last = {"sign": "none", "clip": 1000.0, "n_steps": -1}
    before = len(wire.sent)
    explorer.comm.set_traits(**last)
    explorer.n_steps = 5
    names = {*last} | {name for state in bad for name in state}
    wire.await_(lambda: any({*data["state"]} >= {*last, "_notice"} for data in wire.sent[before:] if "state" in data))
    shown: dict[str, Any] = {}
    for data in wire.of("update"):
        shown |= data["state"]
    assert {name: shown[name] for name in names} == {name: getattr(explorer, name) for name in names}
    assert (shown["clip"], shown["n_steps"]) == (77.0, 5)
    assert shown["_notice"] == explorer._notice
    assert "sign" in shown["_notice"]["text"]
    assert explorer._notice["number"] == COUNT - COUNT // len(bad) + 1  # what is not theirs is no notice
    assert wire.of("echo_update") == []
    lines = [record.getMessage() for record in caplog.records]
    told = len(wire.of("update")) - 2  # clip and n_steps, set in Python
    assert MOST <= told <= most_of(begin, quick)
    assert MOST <= len(lines) <= most_of(begin, quick)
    # Each is counted.
    more = [int(line.rpartition("(")[2].split()[0]) for line in lines if line.endswith("since the last line)")]
    assert len(lines) + sum(more) == COUNT + 1
    assert more
    explorer.wait(SECONDS)
    figure(f"answers to {COUNT:,} refused states within {seconds:.1f} s", told)
    figure(f"lines in the log of {COUNT:,} refused states within {seconds:.1f} s", len(lines))


def test_a_flood_of_requests_for_the_state(
    explore: Explore, monkeypatch: pytest.MonkeyPatch, quick: float, figure
) -> None:
    """Each answer holds the front end itself."""
    explorer = explore()
    explorer.wait(SECONDS)
    assert tasks_of(explorer).wait(SECONDS)
    wire, begin = Wire(explorer, monkeypatch), time.monotonic()
    for _ in range(COUNT):
        explorer.comm.handle_msg({"content": {"data": {"method": "request_state"}}, "buffers": []})
    before = len(wire.sent)
    explorer.alpha = 0.25
    wire.await_(lambda: any("_front" in data["state"] for data in wire.sent[before:]))
    answers = [data["state"] for data in wire.of("update") if "_front" in data["state"]]
    assert MOST + 1 <= len(answers) <= most_of(begin, quick)
    assert {*answers[0]} == {*answers[-1]} == {*explorer.keys} - {"_lut"}  # a buffer
    assert answers[-1]["alpha"] == 0.25
    figure(f"answers to {COUNT:,} requests for the whole state", len(answers))


def test_a_flood_of_views(explore: Explore, monkeypatch: pytest.MonkeyPatch, quick: float) -> None:
    explorer = explore()
    explorer.wait(SECONDS)
    assert tasks_of(explorer).wait(SECONDS)
    wire, begin = Wire(explorer, monkeypatch), time.monotonic()
    for i in range(COUNT):
        explorer.comm.hear({"type": "want", "view": f"page {i}", "pane": i % 2})

    def served() -> list[str]:
        return [data["content"]["view"] for data in wire.of("custom") if data["content"]["type"] == "done"]

    # Of the newest sixteen, those of the pane that is there.
    newest = {f"page {i}" for i in range(COUNT - MOST_VIEWS, COUNT, 2)}
    wire.await_(lambda: newest <= {*served()})
    assert len(served()) <= MOST_VIEWS * most_of(begin, quick)
    assert len(served()) < COUNT / 4
    assert len(panes_of(explorer)._waiting_views) == MOST_VIEWS / 2
    view = explorer.comm.open_view("a person's page")
    wire.await_(lambda: "a person's page" in served())
    explorer.comm.settle()
    assert view.ended["type"] == "done"


def test_a_closed_explorer_owes_nothing(explore: Explore, monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = explore()
    explorer.wait(SECONDS)
    assert tasks_of(explorer).wait(SECONDS)
    for i in range(2 * MOST):
        explorer.comm.set_traits(n_steps=0)
        explorer.comm.hear({"type": "want", "view": f"page {i}", "pane": 0})
    late = [thread for thread in workers() if "late" in thread.name]
    assert len(late) == 2
    wire = Wire(explorer, monkeypatch)
    explorer.close()
    count = len(wire.sent)
    for thread in late:
        thread.join(throttle.SECONDS / 2)
        assert not thread.is_alive()
    assert len(wire.sent) == count


def test_two_lines_that_are_alike_are_two(explore: Explore, caplog) -> None:
    """A person who errs twice is told so twice."""
    explorer = explore()
    explorer.wait(SECONDS)
    caplog.set_level(logging.WARNING)
    caplog.clear()
    for _ in range(2):
        explorer.comm.set_traits(n_steps=0)
    first, second = (record.getMessage() for record in caplog.records)
    assert first == second
    assert "n_steps must be from 1" in first
