"""Runs of an explorer that are cancelled, by Python or by a browser: what was sampled is kept."""

import numpy as np
import pytest

from tests.explorers.contract.cases import BOTH, TOY, drawn
from tests.explorers.contract.toy import WatchedFunction, point
from tests.explorers.subjects import SECONDS, assert_same


@BOTH
def test_cancel_keeps_what_was_sampled(explore, case, chunks_of_two):
    model = case.watched()
    explorer = explore(model, n_steps=16)
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    model.block(after=3)
    explorer.baseline = case.baselines[1]
    model.await_entry()
    explorer.cancel()
    model.release()
    explorer.wait(SECONDS)  # a cancelled run is no error
    explorer.comm.settle()
    partial = explorer.result
    assert (partial.evaluations, partial.n_steps) == (1 + 2 + 2, 16)  # the pass in hand is left
    assert model.rows_with_gradient == 16 + 7
    assert view.ended["kind"] == "cancelled"
    assert view.ended["message"]
    assert view.begin["settings"]["baseline"] == case.baselines[1]
    # What is drawn is what Python holds.
    exact = drawn(explorer, partial.path.cumulative(0.6))
    assert np.abs(view.collected(0.6) - exact).max() <= view.rounding(0.6) + 1e-6 * np.abs(exact).max()
    with pytest.raises(RuntimeError, match="finished run"):
        explorer.crosscheck()
    assert explorer.snapshot()


def test_cancel_of_a_run_that_has_sampled_nothing_keeps_the_last_good_result(explore, chunks_of_two):
    model = WatchedFunction()
    explorer = explore(model)
    explorer.wait(SECONDS)
    good = explorer.result
    model.block()
    explorer.baseline = "minus ones"
    model.await_entry()
    explorer.baseline = "ones"  # waits for its turn
    explorer.cancel()
    model.release()
    explorer.wait(SECONDS)
    assert explorer.result is good
    explorer.n_steps = 9  # and the next wish works
    explorer.wait(SECONDS)
    assert explorer.result.evaluations == 9


def test_cancel_when_idle_changes_nothing(explore):
    explorer = explore()
    explorer.wait(SECONDS)
    good = explorer.result
    explorer.cancel()
    explorer.wait(SECONDS)
    assert explorer.result is good
    explorer.baseline = "ones"
    explorer.wait(SECONDS)
    assert explorer.result.evaluations == 8


def test_run_that_was_cancelled_goes_on_from_where_it_was(explore, chunks_of_two):
    model, x = WatchedFunction(), point()
    model.block(after=2)
    explorer = explore(model, x, n_steps=16)
    model.await_entry()
    explorer.cancel()
    model.release()
    explorer.wait(SECONDS)
    assert explorer.result.evaluations == 1 + 2  # the pass in hand was left
    explorer.n_steps = 8
    explorer.wait(SECONDS)
    explorer.n_steps = 16
    explorer.wait(SECONDS)
    assert model.rows_with_gradient == 16 + 8 + 2  # the middles of 8 and of 16 pieces are apart
    assert_same(explorer.result.attributions, TOY.reference(model, x, explorer))


def test_browser_cancels_its_request_and_no_other(explore, chunks_of_two):
    model = WatchedFunction()
    model.block(after=1)
    explorer = explore(model, n_steps=16)
    view = explorer.comm.open_view()
    model.await_entry()
    explorer.comm.settle()
    for request in (0, view.request - 1, view.request + 1):
        explorer.comm.hear({"type": "cancel", "view": view.name, "request": max(request, 0)})
    model.release()
    explorer.wait(SECONDS)
    assert explorer.result.evaluations == 16
    model.block(after=1)
    explorer.baseline = "ones"
    model.await_entry()
    explorer.comm.settle()
    explorer.comm.hear({"type": "cancel", "view": view.name, "request": view.request})
    model.release()
    explorer.wait(SECONDS)
    assert explorer.result.evaluations == 1


def test_crosscheck_of_a_wish_that_was_cancelled_before_its_first_sample(explore, chunks_of_two):
    """The result is then of zeros. To compare it with Captum's from ones would report a difference that is none."""
    model = WatchedFunction()
    explorer = explore(model, target=0)
    explorer.wait(SECONDS)
    model.block()
    explorer.baseline = "minus ones"
    model.await_entry()
    explorer.baseline = "ones"
    explorer.cancel()
    model.release()
    explorer.wait(SECONDS)
    with pytest.raises(RuntimeError, match="cancelled"):
        explorer.crosscheck()


def test_partial_result_is_not_taken_for_a_finished_one(explore, chunks_of_two):
    """8 samples of another rule are not 8 of 8 by this one."""
    explorer = explore(n_steps=8, method="riemann_left")
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    send = explorer.comm.publish_msg

    def cancel_when_the_samples_are_known(*args, **options):
        if (options.get("data") or {}).get("content", {}).get("type") == "plan":
            explorer.cancel()
        send(*args, **options)

    explorer.comm.publish_msg = cancel_when_the_samples_are_known
    explorer.method = "gausslegendre"
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.ended["type"] == "failed"
    result = explorer.result
    assert result.method == "riemann_left" or not result.complete
