"""An explorer whose model or rule fails: it is told in words, and the last good result stays."""

import logging
import threading

import pytest
import torch

import ig_widgets as igw
from ig_widgets.engine.errors import ArgumentValueError
from tests.explorers.contract.cases import TOY
from tests.explorers.contract.toy import Function, ToyDrawing, WatchedFunction, point
from tests.explorers.subjects import SECONDS, assert_same, panes_of


class Fragile(WatchedFunction):
    """Raises for inputs that are larger than any that is explained, as the baseline "ones" is."""

    def forward(self, x):
        if float(x.detach().mean(1).max()) > 0.95:
            raise RuntimeError("too large for me")
        return super().forward(x)


class Poisoned(WatchedFunction):
    """Its gradient is NaN wherever x = 0, as at the end of the path that is zero."""

    def forward(self, x):
        return super().forward(x) + torch.sqrt(x * x).mean(1)[:, None]


def test_a_run_that_was_overtaken_leaves_no_result_behind(explore, chunks_of_two):
    """What it had sampled answers settings that nobody asks for any more; the run after it fails, and leaves none."""
    model = WatchedFunction()
    explorer = explore(model, target=1)
    explorer.wait(SECONDS)
    good = explorer.result
    model.block(after=2)
    explorer.baseline = "halves"
    model.await_entry()
    explorer.n_steps, explorer.method = 1, "riemann_trapezoid"
    model.release()
    with pytest.raises(ArgumentValueError, match="riemann_trapezoid"):
        explorer.wait(SECONDS)
    assert explorer.result is good


def test_failure_is_told_and_the_last_good_result_stays(explore, caplog):
    model, x = Fragile(), point()
    explorer = explore(model, x)
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    good = explorer.result
    with caplog.at_level(logging.WARNING):
        explorer.baseline = "ones"
        with pytest.raises(RuntimeError, match="too large for me"):
            explorer.wait(SECONDS)
    assert "too large for me" in caplog.text
    explorer.comm.settle()
    assert view.ended["kind"] == "error"
    assert "RuntimeError" in view.ended["message"]
    assert "too large for me" in view.ended["message"]
    assert view.begin["settings"]["baseline"] == "ones"
    assert explorer.result is good
    with pytest.raises(RuntimeError, match="too large for me"):  # until something else is asked
        explorer.wait(SECONDS)
    assert explorer.snapshot()
    explorer.baseline = "zeros"
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.ended["type"] == "done"
    explorer.target = (explorer.target + 1) % 5
    explorer.wait(SECONDS)
    assert_same(explorer.result.attributions, TOY.reference(Function(), x, explorer))


def test_failure_says_where_on_the_path_it_was(explore):
    explorer = explore(Fragile())
    view = explorer.comm.open_view()
    explorer.baseline = "ones"
    with pytest.raises(RuntimeError) as caught:
        explorer.wait(SECONDS)
    explorer.comm.settle()
    assert any("alpha" in note for note in caught.value.__notes__)
    assert "alpha" in view.ended["hint"]


def test_failure_of_the_first_wish(explore):
    explorer = explore(Fragile(), baseline="ones")
    with pytest.raises(RuntimeError, match="too large for me"):
        explorer.wait(SECONDS)
    assert explorer.result is None
    with pytest.raises(RuntimeError, match="too large for me"):
        explorer.snapshot()
    with pytest.raises(RuntimeError, match="too large for me"):
        explorer.crosscheck()
    view = explorer.comm.open_view()  # a browser that comes late is told as well
    assert view.kinds == ["begin", "failed"]
    explorer.baseline = "zeros"
    explorer.wait(SECONDS)
    assert explorer.result.evaluations == 8


def test_gradient_that_is_not_a_number(explore):
    explorer = explore(Poisoned())
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)  # the middles do not touch that end
    explorer.method = "riemann_left"
    with pytest.raises(igw.errors.NonFiniteError, match="alpha = 0"):
        explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.ended["kind"] == "error"
    assert "NaN" in view.ended["message"]
    assert explorer.result.method == "riemann_middle"
    explorer.method = "gausslegendre"
    explorer.wait(SECONDS)
    assert explorer.result.method == "gausslegendre"


def test_failure_of_a_wish_that_was_overtaken_is_not_told(explore):
    model = WatchedFunction()
    explorer = explore(model)
    explorer.wait(SECONDS)
    failing = threading.Event()

    class BrokenError(Exception):
        pass

    original = model.forward
    go_on = threading.Event()

    def forward(x):
        failing.set()
        assert go_on.wait(SECONDS)
        raise BrokenError("old news")

    model.forward = forward
    view = explorer.comm.open_view()
    explorer.baseline = "ones"
    assert failing.wait(SECONDS)
    model.forward = original
    explorer.baseline = "noise"
    go_on.set()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert explorer.result.evaluations == 8
    assert "failed" not in view.kinds


def test_rule_that_cannot_be_of_one_point_fails_in_the_browser_too(explore):
    explorer = explore(method="riemann_trapezoid")
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.n_steps = 1
    with pytest.raises(igw.IGError, match="riemann_trapezoid"):
        explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.ended["type"] == "failed"


def test_rule_that_cannot_be_of_one_point_fails_in_words(explore):
    explorer = explore(method="riemann_trapezoid")
    explorer.wait(SECONDS)
    good = explorer.result
    explorer.n_steps = 1
    with pytest.raises(igw.IGError, match=r"riemann_trapezoid.*n_steps is 1.*at least 2"):
        explorer.wait(SECONDS)
    assert explorer.result is good
    explorer.method = "riemann_left"
    explorer.wait(SECONDS)
    assert explorer.result.n_steps == 1


@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_caption_names_the_baseline_of_the_picture(explore, monkeypatch, how):
    """A picture of what was attributed from zeros must not go into a notebook with "baseline ones" under it."""
    captions = []
    monkeypatch.setattr(ToyDrawing, "png", lambda drawing: captions.append(drawing.caption) or b"")
    model = Fragile()
    explorer = explore(model)
    explorer.wait(SECONDS)
    if how == "failed":
        explorer.baseline = "ones"
        with pytest.raises(RuntimeError):
            explorer.wait(SECONDS)
    else:
        model.block()
        explorer.baseline = "minus ones"
        model.await_entry()
        explorer.baseline = "ones"
        explorer.cancel()
        model.release()
        explorer.wait(SECONDS)
        assert explorer.result is not None
    explorer.snapshot()
    assert "baseline zeros" in captions[-1]


def test_files_and_curves_are_there_after_a_rule_was_refused(explore):
    explorer = explore(n_steps=4)
    explorer.wait(SECONDS)
    known = panes_of(explorer)[0].evaluated()
    # One after the other: n_steps is in between what the trapezoid rule cannot have.
    explorer.n_steps = 1
    explorer.wait(SECONDS)
    explorer.method = "riemann_trapezoid"
    with pytest.raises(igw.errors.ArgumentValueError, match="both ends"):
        explorer.wait(SECONDS)
    assert known[0].settings in [one.settings for one in panes_of(explorer)[0].evaluated()]
    assert explorer.to_html()
