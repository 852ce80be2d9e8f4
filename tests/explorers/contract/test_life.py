"""The life of an explorer: what is asked and waited for, what is overtaken, what is closed and what is kept.

Nothing here sleeps. A model that is told to waits in the middle of a pass until the test lets it go on.
"""

import gc
import itertools
import weakref

import numpy as np
import pytest

import ig_widgets as igw
from ig_widgets.explorers.core import sample_cache as memory_module
from ig_widgets.explorers.core.settings import Settings
from tests.explorers.conftest import workers
from tests.explorers.contract.cases import BOTH, TOY, drawn
from tests.explorers.contract.toy import Function, ToyExplorer, WatchedFunction, point
from tests.explorers.subjects import METHODS, SECONDS, AtOnce, assert_same, panes_of

# ---------------------------------------------------------------- waiting


def test_wait_ends_with_a_result(explore):
    explorer = explore()
    explorer.wait()
    assert explorer.result.evaluations == 8
    explorer.wait(0)  # at once, now


def test_result_is_none_before_the_first(explore):
    model = WatchedFunction()
    model.block()
    explorer = explore(model)
    model.await_entry()
    assert explorer.result is None
    with pytest.raises(TimeoutError, match=r"after 0.01 seconds.*n_steps"):
        explorer.wait(0.01)
    model.release()
    explorer.wait(SECONDS)
    assert explorer.result is not None


def test_setting_a_trait_does_not_wait_for_the_model(explore):
    model = WatchedFunction()
    model.block()
    explorer = explore(model)
    model.await_entry()
    explorer.baseline = "ones"
    explorer.n_steps = 16
    explorer.alpha = 0.5
    assert explorer.result is None
    model.release()
    explorer.wait(SECONDS)
    assert explorer.result.n_steps == 16


# ---------------------------------------------------------------- the newest wish wins


def test_result_belongs_to_the_newest_wish(explore, chunks_of_two):
    model, x = WatchedFunction(), point()
    explorer = explore(model, x, target=0, n_steps=16)
    explorer.wait(SECONDS)
    rows, passes = model.rows_with_gradient, model.rows_without_gradient
    model.block()
    explorer.baseline = "minus ones"
    model.await_entry()
    for between in ("halves", "noise", "ones", "halves"):
        explorer.baseline = between
    explorer.baseline = "ones"
    model.release()
    explorer.wait(SECONDS)
    assert_same(explorer.result.attributions, TOY.reference(model, x, explorer))
    # Blur was left after the chunk in hand, those between never ran.
    assert model.rows_with_gradient - rows == 1 + 16
    assert model.rows_without_gradient - passes == 1 + 1  # F(x) is known


def test_what_was_sampled_for_a_wish_that_was_overtaken_is_kept(explore, chunks_of_two):
    model = WatchedFunction()
    explorer = explore(model, n_steps=16)
    explorer.wait(SECONDS)
    model.block(after=2)
    explorer.baseline = "minus ones"
    model.await_entry()
    explorer.baseline = "zeros"
    model.release()
    explorer.wait(SECONDS)
    rows = model.rows_with_gradient
    assert rows == 16 + (1 + 2 + 2)
    explorer.baseline = "minus ones"
    explorer.wait(SECONDS)
    # What was in the model just then is not: nobody waits for the end of a pass.
    assert model.rows_with_gradient == 16 + 16 + 2


def test_each_wish_that_is_waited_for_is_answered(explore):
    explorer = explore()
    view = explorer.comm.open_view()
    for baseline, method in itertools.product(TOY.baselines[:3], METHODS[:2]):
        explorer.baseline, explorer.method = baseline, method
        explorer.wait(SECONDS)
        explorer.comm.settle()
        settings = view.begin["settings"]
        assert (settings["baseline"], settings["method"]) == (baseline, method)
        assert view.ended["type"] == "done"


@BOTH
def test_many_wishes_in_a_row(explore, case):
    """Whatever is overtaken when: the view ends with the last, and has been told nothing that is forbidden."""
    model, x = case.watched(), case.inputs()
    explorer = explore(model, x)
    view = explorer.comm.open_view()
    generator = np.random.default_rng(0)
    for _ in range(60):
        explorer.baseline = case.baselines[generator.integers(5)]
        explorer.n_steps = int(generator.integers(2, 20))
        explorer.target = int(generator.integers(2))
    explorer.baseline, explorer.target, explorer.n_steps = case.baselines[1], 1, 10
    explorer.wait(SECONDS)
    explorer.comm.settle()
    asked = Settings(case.baselines[1], 1, "logit", "riemann_middle", 10, 0.0)
    assert view.begin["settings"] == vars(asked)
    assert view.ended["type"] == "done"
    exact = case.reference(model, x, explorer)
    assert_same(explorer.result.attributions, exact)
    assert np.abs(view.collected(1.0) - drawn(explorer, exact)).max() <= view.rounding(1.0) + 1e-6


# ---------------------------------------------------------------- closing


def test_closing_stops_the_computing_and_the_comm(explore, chunks_of_two):
    model = WatchedFunction()
    model.block(after=1)
    explorer = explore(model, n_steps=64)
    comm = explorer.comm
    model.await_entry()
    explorer.close()
    model.release()
    explorer.wait(SECONDS)
    for thread in workers():
        thread.join(SECONDS)
    assert workers() == []
    assert model.rows_with_gradient <= 2 * 2
    assert comm.closed
    assert explorer.comm is None
    explorer.close()  # twice is no harm
    rows = model.rows
    explorer.baseline = "ones"
    explorer.wait(SECONDS)
    assert model.rows == rows


def test_wishes_share_a_thread_and_chores_another_that_end_with_the_explorer(explore):
    explorer = explore()
    seen = set()
    for baseline in TOY.baselines:
        explorer.baseline = baseline
        explorer.wait(SECONDS)
        seen |= set(workers())
    assert len(seen) == 2
    explorer.close()
    for thread in seen:
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_explorers_of_one_model_take_turns(explore):
    """A model is not called by two threads at once."""
    model = AtOnce(Function()).eval()
    explorers = [explore(model, point(seed), n_steps=32) for seed in range(4)]
    for explorer in explorers:
        explorer.wait(SECONDS)
        assert explorer.result.evaluations == 32
    assert model.most == 1


def test_arguments_that_are_refused_leave_nothing_behind(explore):
    with pytest.raises(igw.IGError):
        explore(labels=["too", "few"])
    gc.collect()  # an exception in __del__ would be a warning, and so an error here
    assert workers() == []


def test_closed_explorer_is_let_go(explore):
    explorer = ToyExplorer(Function(), point(), n_steps=4)
    explorer.wait(SECONDS)
    gone = weakref.ref(explorer)
    explorer.close()
    del explorer
    # What it was at just then, beside the sampling, ends first.
    for thread in workers():
        thread.join(SECONDS)
    gc.collect()
    assert gone() is None


def test_paths_are_kept_by_what_they_take(explore, monkeypatch):
    """Of a path with many samples fewer others are kept, and always the newest."""
    model = WatchedFunction()
    explorer = explore(model, n_steps=8)
    explorer.wait(SECONDS)
    of_one = sum(one.nbytes for one in panes_of(explorer)[0]._cache._sampled.values())
    assert of_one == 8 * 2 * 8  # steps, numbers, float64
    monkeypatch.setattr(memory_module, "_BYTES_KEPT", 2 * of_one)
    for baseline in ("ones", "minus ones", "halves"):
        explorer.baseline = baseline
        explorer.wait(SECONDS)
    assert len(panes_of(explorer)[0]._cache._sampled) == 2
    rows = model.rows_with_gradient
    for baseline in ("minus ones", "halves"):
        explorer.baseline = baseline
        explorer.wait(SECONDS)
    assert model.rows_with_gradient == rows
    explorer.n_steps = 32  # more than may be kept, of the newest
    explorer.wait(SECONDS)
    assert explorer.result.complete
    assert len(panes_of(explorer)[0]._cache._sampled) == 1
