"""What an explorer says of a map: how far it can be trusted, on how many evaluations it rests, and in which scale."""

import json
import re

import numpy as np
import pytest

from ig_widgets.explorers.export.exports import ExportPanel
from tests.explorers.contract.toy import METHODS, Jumping, Steep, ToyExplorer, WatchedFunction, point
from tests.explorers.subjects import SECONDS, panel, ready


def said(view):
    """The plan's word on the map that is drawn."""
    return view.plan["trust"]["state"], view.plan["trust"]["why"]


def of(result):
    return result.trust.state, result.trust.why


@pytest.mark.parametrize("method", METHODS.names)
def test_widget_and_result_say_the_same_of_every_method(explore, method):
    explorer = explore(target=1, method=method, n_steps=12)
    view = explorer.comm.open_view()
    result = ready(explorer)
    explorer.comm.settle()
    assert said(view) == of(result)
    assert view.plan["evaluations"] == view.ended["evaluations"] == result.evaluations
    assert result.trust.state != "within tolerance" or method == "auto"
    if method != "auto":
        assert view.begin["total"] == result.evaluations


@pytest.mark.parametrize("model", [Steep, Jumping])
def test_what_does_not_converge_or_jumps_is_not_within_tolerance(explore, model):
    explorer = explore(model(), target=1, method="auto", tol=0.02)
    view = explorer.comm.open_view()
    result = ready(explorer)
    explorer.comm.settle()
    assert said(view) == of(result)
    change = float(result.output - result.baseline_output)
    is_complete = abs(float(result.convergence_delta)) <= 0.02 * abs(change)
    fine = bool(result.converged and not result.caveats and is_complete)
    assert (result.trust.state == "within tolerance") == fine


@pytest.mark.parametrize("method", ["riemann_middle", "auto"])
def test_after_cancel_widget_and_result_say_the_same_numbers(explore, chunks_of_two, method):
    model = WatchedFunction()
    model.block(after=2)
    explorer = explore(model, method=method, n_steps=16, tol=0.001)
    view = explorer.comm.open_view()
    model.await_entry()
    explorer.cancel()
    model.release()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.ended["kind"] == "cancelled"
    result = explorer.result
    assert not result.complete
    assert view.plan["evaluations"] == result.evaluations > 0
    assert said(view) == of(result)
    assert result.trust.state != "within tolerance"
    assert view.plan["sum"] == pytest.approx(float(result.attributions.sum()), rel=1e-6)
    # And goes on from there to its end.
    explorer.tol, explorer.n_steps = 0.002, 15
    assert ready(explorer).complete


def test_a_beat_tells_that_a_cancelled_run_waits_for_the_model(explore, chunks_of_two):
    model = WatchedFunction()
    model.block(after=1)
    explorer = explore(model, n_steps=16)
    beats = []
    receive = explorer.comm.open_view().receive

    def listen(content, buffers):
        if content["type"] == "beat":
            beats.append(content["stopping"])
        receive(content, buffers)

    explorer.comm.views[-1].receive = listen
    model.await_entry()
    explorer.cancel()
    explorer.comm.settle()
    model.release()
    explorer.wait(SECONDS)
    assert beats[-1] is True


def test_a_run_to_a_tolerance_is_drawn_after_one_evaluation_and_tells_its_error(explore, chunks_of_two):
    explorer = explore(target=1, method="auto", tol=0.02)
    view = explorer.comm.open_view()
    result = ready(explorer)
    explorer.comm.settle()
    late = explorer.comm.open_view("late")
    assert late.plan["evaluations"] == view.plan["evaluations"] == result.evaluations
    plans = [content for content in view.log if content["type"] == "plan"]
    assert plans[0]["evaluations"] <= 1 or len(plans) == 1
    assert plans[-1]["error"] == pytest.approx(float(result.error_estimate[0]))
    counts = [plan["evaluations"] for plan in plans]
    assert counts == sorted(counts)


def test_what_was_at_hand_is_told_as_cached(explore):
    explorer = explore(method="auto", target=1)
    view = explorer.comm.open_view()
    first = ready(explorer)
    explorer.method = "gausslegendre"
    ready(explorer)
    explorer.method = "auto"
    assert ready(explorer).evaluations == first.evaluations
    explorer.comm.settle()
    assert view.begin["cached"] == view.ended["evaluations"] == first.evaluations


def test_explorers_start_with_auto_and_who_gives_steps_gets_them():
    for options, method in (
        ({}, "auto"),
        ({"n_steps": 3}, "riemann_middle"),
        ({"n_steps": 3, "method": "auto"}, "auto"),
    ):
        explorer = ToyExplorer(WatchedFunction(), point(), **options)
        explorer.wait(SECONDS)
        assert explorer.method == method
        assert explorer.result.evaluations == 3 or method == "auto"
        explorer.close()


def test_captions_and_recordings_carry_it(explore):
    explorer = explore(target=1, method="auto")
    result = ready(explorer)
    assert panel(explorer, ExportPanel).drawing().caption.endswith(result.trust.state)
    page = explorer.to_html()
    recording = json.loads(re.search(r'id="recording">(.*?)</script>', page, re.DOTALL)[1])
    plans = {answer["settings"]["method"]: answer["plan"] for answer in recording["answers"]}
    assert plans["auto"]["trust"] == {"state": result.trust.state, "why": result.trust.why}
    assert all(plan["trust"]["state"] in ("rough", "not to be used") for m, plan in plans.items() if m != "auto")


@pytest.mark.parametrize("alpha", [0.0, 0.2, 1.0])
def test_the_scale_is_fixed_or_fits_what_is_shown(explore, alpha):
    explorer = explore(target=1, alpha=alpha, clip=90)
    ready(explorer)
    exports = panel(explorer, ExportPanel)
    subject, rule = explorer._subject, explorer._pane_list[0].answer.rule
    full = np.asarray(subject.reduce(explorer.result.attributions, rule.settings)[0], np.float64)
    collected = rule.log.collected(rule.pieces, alpha)
    for scale, of_values in (("fixed", full), ("shown", collected)):
        explorer.scale = scale
        sizes = np.abs(of_values)
        expected = float(np.percentile(sizes, 90)) or float(sizes.max()) or 1.0
        assert exports.shown().scale == pytest.approx(expected, rel=1e-5)
