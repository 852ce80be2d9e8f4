"""Work goes on while somebody looks or waits: views that leave and come back, beats, interrupts."""

from __future__ import annotations

import signal
import sys
import threading
from types import SimpleNamespace

import pytest

from ig_widgets.explorers.core.stream import MOST_VIEWS
from ig_widgets.explorers.panels.dependence import DependencePanel
from ig_widgets.explorers.widget import display as display_module
from ig_widgets.explorers.widget import heartbeat as pulse
from ig_widgets.explorers.widget import rate_limit as throttle
from tests.explorers.contract.toy import ToyDrawing, WatchedFunction
from tests.explorers.subjects import SECONDS, panel, panes_of, ready

pytestmark = pytest.mark.robustness


def leave(explorer, view):
    explorer.comm.views.remove(view)
    explorer.comm.hear({"type": "leave", "view": view.name})


def running(explore, **options):
    """An explorer in the middle of a run of 16 steps, and the view that looks."""
    model = WatchedFunction()
    explorer = explore(model, n_steps=16, **options)
    explorer.wait(SECONDS)
    view = explorer.comm.open_view()
    model.block(after=1)
    explorer.baseline = "ones"
    model.await_entry()
    explorer.comm.settle()
    return model, explorer, view


def test_with_the_last_view_goes_the_work(explore, chunks_of_two, figure):
    model, explorer, view = running(explore)
    before = model.rows_with_gradient
    leave(explorer, view)
    model.release()
    panes_of(explorer)[0].wait(SECONDS)
    begun = model.rows_with_gradient - before
    assert begun <= 2  # the pass that was begun
    assert explorer.result.evaluations == 1
    figure("rows that the model was given after the last view was deleted, beyond the pass in hand", max(0, begun - 2))


def test_a_view_that_comes_back_finds_the_work_going_on(explore, chunks_of_two):
    model, explorer, view = running(explore)
    leave(explorer, view)
    model.release()
    panes_of(explorer)[0].wait(SECONDS)
    rows = model.rows_with_gradient
    other = explorer.comm.open_view("another view")
    assert ready(explorer).complete
    explorer.comm.settle()
    assert model.rows_with_gradient - rows == 15  # and not from the beginning
    assert other.ended["type"] == "done"


def test_one_of_two_views_leaves_and_the_other_is_served(explore, chunks_of_two):
    model, explorer, view = running(explore)
    other = explorer.comm.open_view("another view")
    leave(explorer, view)
    model.release()
    assert ready(explorer).complete
    explorer.comm.settle()
    assert other.ended["type"] == "done"
    assert view.ended is None or view.ended["request"] < other.ended["request"]


def test_what_python_waits_for_is_computed_whoever_looks(explore, chunks_of_two):
    model, explorer, view = running(explore)
    waiting = threading.Thread(target=lambda: explorer.wait(SECONDS))
    waiting.start()
    while panes_of(explorer)._n_waiting == 0:
        pass
    leave(explorer, view)
    model.release()
    waiting.join(SECONDS)
    assert explorer.result.complete


def test_python_that_waits_for_what_was_left_has_it_computed(explore, chunks_of_two):
    model, explorer, view = running(explore)
    leave(explorer, view)
    model.release()
    panes_of(explorer)[0].wait(SECONDS)
    assert ready(explorer).complete


def test_the_dependence_on_the_baseline_stops_and_goes_on(explore):
    model = WatchedFunction()
    explorer = explore(model)
    explorer.wait(SECONDS)
    view = explorer.comm.open_view()
    model.block(after=2)
    explorer.show_dependence = True
    model.await_entry()
    leave(explorer, view)
    # Nobody looks at any pane either, which are idle.
    model.release()
    panel(explorer, DependencePanel)._worker.wait(SECONDS)
    assert explorer._dependence["kind"] == "computing"
    explorer.comm.open_view("another view")
    panel(explorer, DependencePanel)._worker.wait(SECONDS)
    assert explorer._dependence["kind"] == "ready"


def test_a_view_that_nobody_knows_leaves_nothing_behind(explore, chunks_of_two):
    model, explorer, view = running(explore)
    explorer.comm.hear({"type": "leave", "view": "another view"})
    model.release()
    assert ready(explorer).complete
    explorer.comm.settle()
    assert view.ended["type"] == "done"


def test_views_that_went_without_a_word_do_not_add_up(explore, monkeypatch):
    monkeypatch.setattr(throttle, "MOST", 1000)
    explorer = explore()
    explorer.wait(SECONDS)
    for i in range(100):
        explorer.comm.hear({"type": "want", "view": f"page {i}", "pane": 0})
        explorer.comm.hear({"type": "want", "view": f"page {i}, early", "pane": 3})
    assert len(panes_of(explorer)[0].stream._views) == MOST_VIEWS
    assert len(panes_of(explorer)._waiting_views) == MOST_VIEWS
    # The newest are served.
    view = explorer.comm.open_view("the last page")
    assert view.ended["type"] == "done"


def test_a_pass_that_takes_long_beats(explore, monkeypatch):
    monkeypatch.setattr(pulse, "BEAT_SECONDS", 0.01)
    model, explorer, view = running(explore)
    known = view.beats
    heard = threading.Event()
    receive = view.receive

    def watch(content, buffers):
        receive(content, buffers)
        if view.beats >= known + 3:
            heard.set()

    view.receive = watch
    assert heard.wait(SECONDS)
    model.release()
    assert ready(explorer).complete
    explorer.comm.settle()


def test_beats_end_with_what_they_are_of(monkeypatch):
    monkeypatch.setattr(pulse, "BEAT_SECONDS", 0.001)
    beaten, over = threading.Event(), threading.Event()
    late = []

    def beat():
        late.append(over.is_set())
        beaten.set()

    with pulse.heartbeat(beat):
        assert beaten.wait(SECONDS)
    over.set()
    with pulse.heartbeat(lambda: None):
        pass
    # One may have been under way.
    assert sum(late) <= 1


def test_without_a_thread_for_beats_it_is_computed_all_the_same(monkeypatch, caplog):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(pulse._thread, "start_new_thread", refuse)
    with pulse.heartbeat(lambda: None):
        pass
    assert "may report a long pass as a silent kernel" in caplog.text


def test_an_interrupt_cancels_what_is_waited_for(explore, chunks_of_two):
    model, explorer, view = running(explore)

    def interrupt():
        while panes_of(explorer)._n_waiting == 0:
            pass
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        explorer.wait(SECONDS)
    model.release()
    panes_of(explorer)[0].wait(SECONDS)
    explorer.comm.settle()
    assert view.ended["kind"] == "cancelled"
    assert panes_of(explorer)._n_waiting == 0
    explorer.baseline = "minus ones"
    assert ready(explorer).complete


# ---------------------------------------------------------------- wishes from several threads


def test_wishes_of_several_threads_end_with_the_last_of_each(explore):
    """As a cell sets what it likes while a comm is heard on a subshell."""
    explorer = explore()
    wishes = {"baseline": ("ones", "zeros", "minus ones"), "n_steps": (3, 4, 5), "target": (0, 1, 2)}

    def change(name, values):
        for i in range(60):
            setattr(explorer, name, values[i % 3])

    threads = [threading.Thread(target=change, args=wish) for wish in wishes.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert ready(explorer).complete
    answered = panes_of(explorer)[0].answered
    assert (answered.baseline, answered.n_steps, answered.target) == ("minus ones", 5, 2)


# ---------------------------------------------------------------- what stays in the notebook


@pytest.fixture
def displayed(monkeypatch):
    outputs = []
    monkeypatch.setattr(display_module, "display", lambda data, metadata, raw: outputs.append((data, metadata)))
    return outputs


def test_the_picture_has_an_output_of_its_own(explore, displayed):
    explorer = explore()
    explorer.wait(SECONDS)
    explorer._ipython_display_()
    (widget, _), (picture, metadata) = displayed
    assert widget.keys() == {"text/plain", "application/vnd.jupyter.widget-view+json"}
    assert picture.keys() == {"image/png"}
    assert metadata == {"needs_background": "light"}


@pytest.mark.parametrize("host", ["colab", "code"])
def test_hosts_that_would_show_both_are_given_one(explore, displayed, monkeypatch, host):
    if host == "colab":
        monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace())
    else:
        monkeypatch.setattr(
            display_module, "get_ipython", lambda: SimpleNamespace(user_ns={"__vsc_ipynb_file__": "a.ipynb"})
        )
    explorer = explore()
    explorer.wait(SECONDS)
    explorer._ipython_display_()
    ((data, _),) = displayed
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= data.keys()


def test_a_picture_that_cannot_be_drawn_does_not_cost_the_widget(explore, displayed, monkeypatch, caplog):
    explorer = explore()
    explorer.wait(SECONDS)
    monkeypatch.setattr(ToyDrawing, "png", lambda drawing: 1 / 0)
    explorer._ipython_display_()
    ((data, _),) = displayed
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "its picture could not be drawn" in caplog.text
