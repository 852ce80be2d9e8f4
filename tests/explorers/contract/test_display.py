"""What stays in a notebook: the widget, a mark and a picture, which is replaced when what is shown has changed."""

from __future__ import annotations

import base64
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ig_widgets.explorers.widget import debounce
from ig_widgets.explorers.widget import display as display_module
from ig_widgets.explorers.widget.debounce import Debounce
from tests.explorers.contract.toy import ToyDrawing, WatchedFunction
from tests.explorers.subjects import SECONDS, tasks_of

WIDGET = "application/vnd.jupyter.widget-view+json"


class Outputs:
    """What was displayed: the outputs as a notebook has them by now, and how often one was replaced."""

    def __init__(self) -> None:
        self.shown: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.updates = 0
        self._at: dict[str, int] = {}
        self._changed = threading.Condition()

    def display(
        self, data: Any, *, metadata: Any, raw: bool, display_id: str | None = None, update: bool = False
    ) -> None:
        assert raw
        with self._changed:
            if update:
                assert display_id is not None
                self.shown[self._at[display_id]] = data, metadata
                self.updates += 1
            else:
                if display_id is not None:
                    self._at[display_id] = len(self.shown)
                self.shown.append((data, metadata))
            self._changed.notify_all()

    def wait(self, updates: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.updates >= updates, SECONDS)

    def pictures(self) -> list[bytes]:
        return [base64.b64decode(data["image/png"]) for data, _ in self.shown if "image/png" in data]


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> Outputs:
    found = Outputs()
    monkeypatch.setattr(display_module, "display", found.display)
    monkeypatch.setattr(display_module, "_SETTLED_SECONDS", 0.02)
    return found


def test_the_picture_has_an_output_of_its_own_behind_a_mark(explore, outputs):
    explorer = explore()
    explorer.wait(SECONDS)
    explorer._ipython_display_()
    (widget, _), (mark, _), (picture, metadata) = outputs.shown
    assert widget.keys() == {"text/plain", WIDGET}
    assert mark.keys() == {"text/html"}
    assert picture.keys() == {"image/png"}
    assert metadata == {"needs_background": "light"}
    assert outputs.pictures() == [explorer.snapshot()]


def test_every_picture_of_an_explorer_follows_what_it_shows(explore, outputs):
    explorer = explore()
    explorer.wait(SECONDS)
    explorer._ipython_display_()
    explorer._ipython_display_()
    before = explorer.snapshot()
    explorer.alpha = 0.5  # as Python does
    outputs.wait(2)
    assert outputs.pictures() == 2 * [explorer.snapshot()] != 2 * [before]
    explorer.comm.set_traits(alpha=0.25)  # as a person does
    outputs.wait(4)
    assert outputs.pictures() == 2 * [explorer.snapshot()]
    explorer.baseline = explorer._baselines[1]  # which takes a run
    explorer.wait(SECONDS)
    outputs.wait(6)
    assert outputs.pictures() == 2 * [explorer.snapshot()]


def test_a_first_result_is_put_in_place_without_being_waited_for(explore, outputs):
    model = WatchedFunction()
    model.block()
    explorer = explore(model)
    model.await_entry()
    explorer._ipython_display_()
    (nothing,) = outputs.pictures()
    assert len(nothing) < 100
    model.release()
    explorer.wait(SECONDS)
    outputs.wait(1)
    assert outputs.pictures() == [explorer.snapshot()]


def test_a_program_that_runs_notebooks_gets_the_first_result(explore, outputs, monkeypatch):
    kernel = SimpleNamespace(get_parent=lambda channel: {"metadata": {}})
    monkeypatch.setattr(display_module, "get_ipython", lambda: SimpleNamespace(kernel=kernel))
    explorer = explore()
    explorer._ipython_display_()
    assert explorer.result is not None
    picture = explorer.snapshot()
    assert outputs.pictures() == [picture]
    # And no update, which some of these programs do not know.
    explorer.alpha = 0.5
    assert explorer._settling._timer is None
    # But for one that was not there in time.
    monkeypatch.setattr(display_module, "_BATCH_SECONDS", 0.01)
    model = WatchedFunction()
    model.block()
    late = explore(model)
    model.await_entry()
    late._ipython_display_()
    model.release()
    late.wait(SECONDS)
    outputs.wait(1)
    assert outputs.pictures() == [picture, late.snapshot()]


def test_a_picture_that_was_displayed_before_a_change_settled_follows_it_too(explore, outputs):
    explorer = explore()
    explorer.wait(SECONDS)
    explorer._settling._seconds = 0.5
    explorer._ipython_display_()
    explorer.alpha = 0.5
    explorer._ipython_display_()
    outputs.wait(1)
    assert tasks_of(explorer).wait(SECONDS)
    assert outputs.pictures() == 2 * [explorer.snapshot()]


def test_a_picture_that_is_the_same_is_not_sent_again(explore, outputs):
    explorer = explore()
    explorer.wait(SECONDS)
    explorer._ipython_display_()
    explorer._refresh()
    assert tasks_of(explorer).wait(SECONDS)
    assert outputs.updates == 0


def test_what_was_not_displayed_draws_nothing(explore, outputs, monkeypatch):
    drawn = []
    monkeypatch.setattr(ToyDrawing, "png", lambda drawing: drawn.append(1))
    explorer = explore()
    explorer.wait(SECONDS)
    explorer.alpha = 0.5
    assert explorer._settling._timer is None
    assert drawn == []


def test_a_closed_explorer_leaves_its_last_picture_and_no_timer(explore, outputs):
    explorer = explore()
    explorer.wait(SECONDS)
    explorer._ipython_display_()
    last = explorer.snapshot()
    explorer._settling._seconds = SECONDS
    explorer.alpha = 0.5
    timer = explorer._settling._timer
    explorer.close()
    timer.join(SECONDS)
    assert not timer.is_alive()
    assert outputs.pictures() == [last]


@pytest.mark.parametrize("host", ["colab", "code"])
def test_hosts_that_would_show_both_are_given_one(explore, outputs, monkeypatch, host):
    if host == "colab":
        monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace())
    else:
        monkeypatch.setattr(
            display_module, "get_ipython", lambda: SimpleNamespace(user_ns={"__vsc_ipynb_file__": "a.ipynb"})
        )
    explorer = explore()
    explorer.wait(SECONDS)
    explorer._ipython_display_()
    ((data, _),) = outputs.shown
    assert {"image/png", WIDGET} <= data.keys()


def test_a_picture_that_cannot_be_drawn_does_not_cost_the_widget(explore, outputs, monkeypatch, caplog):
    explorer = explore()
    explorer.wait(SECONDS)
    monkeypatch.setattr(ToyDrawing, "png", lambda drawing: 1 / 0)
    explorer._ipython_display_()
    (data, _), *_ = outputs.shown
    assert WIDGET in data
    assert "its picture could not be drawn" in caplog.text


# ---------------------------------------------------------------- changes that settle


class Clock:
    """Time that passes when it is told to; it rings the one timer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.timers = 100.0, list[Any]()
        clock = self

        class Timer:
            def __init__(self, seconds: float, ring: Callable[[], None]) -> None:
                self.at, self.ring = clock.now + seconds, ring

            def start(self) -> None:
                clock.timers.append(self)

            def cancel(self) -> None:
                clock.timers.remove(self)

        monkeypatch.setattr(debounce.threading, "Timer", Timer)
        monkeypatch.setattr(debounce.time, "monotonic", lambda: self.now)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer.at <= end]:
            self.now = due[0].at
            self.timers.remove(due[0])
            due[0].ring()
            assert len(self.timers) <= 1
        self.now = end


def test_calls_are_followed_by_one_when_they_have_ceased(monkeypatch):
    clock, done = Clock(monkeypatch), list[float]()
    settling = Debounce(lambda: done.append(clock.now), 1.0)
    for _ in range(50):
        settling.call()
        clock.wait(0.25)
    assert done == []
    last = clock.now - 0.25
    clock.wait(10)
    assert done == [last + 1.0]
    settling.call()
    settling.close()
    clock.wait(10)
    settling.call()
    assert len(done) == 1
    assert clock.timers == []
