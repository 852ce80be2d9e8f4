"""Whatever a front end sends: it is looked at before anything acts on it, and what cannot be changes nothing."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
import traitlets

from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers.core.limits import MOST_VALUES, most_steps
from ig_widgets.explorers.widget import rate_limit as throttle
from ig_widgets.explorers.widget import schema
from tests.explorers.contract.toy import ToyExplorer, WatchedFunction
from tests.explorers.subjects import LABELS, SECONDS, panes_of, ready, subject_of, tasks_of

pytestmark = pytest.mark.robustness

Explore = Callable[..., Any]


def say(explorer: Any, message: Any) -> None:
    """A message of whatever form, as the comm manager hands it on."""
    explorer.comm.handle_msg(message)


def state_of(explorer: Any) -> dict[str, Any]:
    """All that a front end could have changed, once it rests; a notice is an answer, not a change."""
    explorer.wait(SECONDS)
    assert tasks_of(explorer).wait(SECONDS)
    state = {name: copy.deepcopy(value) for name, value in explorer.get_state().items() if name != "_notice"}
    panes = [(pane.request, pane.settings, id(pane.result), pane.error) for pane in panes_of(explorer)]
    offers, early = subject_of(explorer).baselines.names, list(panes_of(explorer)._waiting_views)
    return state | {"panes": panes, "offers": offers, "early": early}


# ---------------------------------------------------------------- what may be set at all


def test_a_browser_can_set_what_a_person_chooses_and_nothing_else(explore: Explore, caplog, monkeypatch) -> None:
    monkeypatch.setattr(throttle, "MOST", 1000)
    explorer = explore(labels=LABELS)
    explorer.wait(SECONDS)
    values = {name: getattr(explorer, name) for name in explorer.keys}
    foreign = [name for name in values if name not in schema.writable(ToyExplorer)]
    assert {"_esm", "_css", "_anywidget_id", "_model_name", "_model_module", "layout", "_lut", "_labels"} <= {*foreign}
    assert {"_cards", "_methods", "_n_classes", "_baselines", "_outputs", "_top", "_curves"} <= {*foreign}
    for name in foreign:
        before = state_of(explorer)
        caplog.clear()
        other = {str: "alert(1)", int: 7, list: [], dict: {"text": "hi"}}.get(type(values[name]), "x")
        explorer.comm.set_traits(**{name: other})
        assert state_of(explorer) == before
        assert [name in record.getMessage() for record in caplog.records] == [True]


def test_all_that_the_front_end_chooses_can_be_set(explore: Explore) -> None:
    explorer = explore(labels=LABELS)
    chosen = {
        "alpha": 0.25, "clip": 75, "sign": "negative", "colormap": "PuOr_r",
        "baseline": "noise(seed=2)", "target": 3, "output": "margin", "method": "gausslegendre", "n_steps": 3,
        "tol": 0.5, "channel": "first", "input": "", "show_dependence": True, "_panes": [{}, {"n_steps": 2}],
        "_view_count": 1,
    }  # fmt: skip
    assert chosen.keys() == schema.writable(ToyExplorer).keys()
    explorer.comm.set_traits(**chosen)
    assert {name: getattr(explorer, name) for name in chosen} == chosen
    explorer.wait(SECONDS)


class Wire:
    """What an explorer answers on its comm, beside custom messages."""

    def __init__(self, explorer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[dict[str, Any]] = []
        publish = explorer.comm.publish_msg

        def listen(kind: str, data: Any = None, **options: Any) -> None:
            self.sent.append(data)
            publish(kind, data=data, **options)

        monkeypatch.setattr(explorer.comm, "publish_msg", listen)

    def of(self, method: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for data in self.sent:
            found |= data["state"] if data["method"] == method else {}
        return found


def assert_taken_whole_or_not_at_all(explorer: Any, monkeypatch: pytest.MonkeyPatch, state: Any, good: Any) -> None:
    """A state of which a part is not valid changes nothing, also where the rest is `good`."""
    before, wire = state_of(explorer), Wire(explorer, monkeypatch)
    for order in ([*good, *state], [*state, *good]):
        values = good | state
        explorer.comm.set_traits(**{name: values[name] for name in order})
        assert state_of(explorer) == before
    # The values that stay, and a sentence; no other view is shown what was refused.
    assert wire.of("echo_update") == {}
    told = wire.of("update")
    assert len(told["_notice"]["text"]) < 500
    assert {name: told[name] for name in state} == {name: before[name] for name in state}


@pytest.mark.parametrize(
    "state",
    [
        {"alpha": math.nan},
        {"alpha": True},
        {"alpha": 10**400},
        {"sign": "99"},
        {"n_steps": 8.5},
        {"n_steps": False},
        {"n_steps": 10**400},
        {"target": [3]},
        {"target": 10**300},
        {"baseline": "x" * 1001},
        {"baseline": {"zeros": 1}},
        {"baseline": "\ud800"},
        {"baseline": None},
        {"show_dependence": 1},
        {"sign": None},
        {"_panes": [{}, {"alpha": 0.5}]},
        {"_panes": [{}, {"n_steps": True}]},
        {"_panes": [{}] * 5},
        {"_panes": {"0": {}}},
        {"_view_count": 1.5},
    ],
    ids=lambda state: str(state)[:50],
)
def test_a_state_is_taken_whole_or_not_at_all(explore: Explore, monkeypatch, state) -> None:
    explorer = explore(labels=LABELS)
    explorer.wait(SECONDS)
    good = {"clip": 90.0, "colormap": "viridis", "_view_count": 2}
    assert_taken_whole_or_not_at_all(explorer, monkeypatch, state, good)


def test_an_error_of_a_persons_function_is_a_refusal_too(explore: Explore) -> None:
    calls = []

    def whimsical(inputs: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) > 1:
            raise KeyError("no such thing")
        return inputs * 0.5

    explorer = explore()
    explorer.baseline = whimsical
    explorer.baseline = "zeros"
    explorer.wait(SECONDS)
    subject_of(explorer).baselines._made.clear()
    before = state_of(explorer)
    explorer.comm.set_traits(alpha=0.5, baseline="whimsical")
    assert state_of(explorer) == before
    assert "no such thing" in explorer._notice["text"]


# ---------------------------------------------------------------- envelopes


@pytest.mark.parametrize(
    "message",
    [
        None,
        {},
        {"content": None, "buffers": []},
        {"content": {}, "buffers": []},
        {"content": {"data": []}, "buffers": []},
        {"content": {"data": {}}, "buffers": []},
        {"content": {"data": {"method": "obey"}}, "buffers": []},
        {"content": {"data": {"method": ["update"], "state": {}}}, "buffers": []},
        {"content": {"data": {"method": "update"}}, "buffers": []},
        {"content": {"data": {"method": "update", "state": [["alpha", 0.5]]}}, "buffers": []},
        {"content": {"data": {"method": "update", "state": {1: 2}}}, "buffers": []},
        {"content": {"data": {"method": "update", "state": {"alpha": 0.5}, "buffer_paths": [["alpha"]]}}},
        {"content": {"data": {"method": "update", "state": {"alpha": 0.5}, "buffer_paths": 3}}},
        {"content": {"data": {"method": "update", "state": {"alpha": 0.5}}}, "buffers": [b"x"]},
        {"content": {"data": {"method": "custom"}}, "buffers": []},
        {
            "content": {
                "data": {"method": "custom", "content": {"type": "request", "view": "v", "panel": "baselines"}}
            },
            "buffers": ["x"],
        },
        {
            "content": {
                "data": {"method": "custom", "content": {"type": "request", "view": "v", "panel": "baselines"}}
            },
            "buffers": 3,
        },
    ],
    ids=lambda message: str(message)[:60],
)
def test_an_envelope_of_another_form_is_left_alone_with_a_line_in_the_log(explore: Explore, caplog, message) -> None:
    explorer = explore()
    explorer.wait(SECONDS)
    before = state_of(explorer)
    caplog.clear()
    say(explorer, message)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert state_of(explorer) == before


def test_a_state_without_paths_is_one_without_buffers(explore: Explore) -> None:
    explorer = explore()
    say(explorer, {"content": {"data": {"method": "update", "state": {"alpha": 0.5}}}})
    assert explorer.alpha == 0.5


# ---------------------------------------------------------------- sizes


def timed(do: Callable[[], object], error: type[Exception], words: str) -> float:
    """Seconds until it is refused."""
    begin = time.perf_counter()
    with pytest.raises(error, match=words):
        do()
    return time.perf_counter() - begin


def test_steps_are_refused_wherever_they_are_asked_for(explore: Explore, monkeypatch, figure) -> None:
    model = WatchedFunction()
    explorer = explore(model, n_steps=2)
    explorer.wait(SECONDS)
    # As of a large input: so many values that 20 steps fit.
    monkeypatch.setattr("ig_widgets.explorers.core.limits.MOST_VALUES", 20 * 2)
    rows, before, slowest = model.rows, state_of(explorer), 0.0
    for do, error in [
        (lambda: setattr(explorer, "n_steps", 21), traitlets.TraitError),
        (lambda: explorer.compare({"n_steps": 21}), traitlets.TraitError),
        (lambda: explorer.dependence(n_steps=21), ArgumentValueError),
    ]:
        slowest = max(slowest, timed(do, error, "n_steps = 21 .* at most 20 would fit"))
    for state in ({"n_steps": 21}, {"_panes": [{}, {"n_steps": 21}]}, {"n_steps": 21, "method": "smoothgrad"}):
        begin = time.perf_counter()
        explorer.comm.set_traits(**state)
        slowest = max(slowest, time.perf_counter() - begin)
        assert "at most 20 would fit" in explorer._notice["text"]
        assert explorer.get_state([*state]) == {name: before[name] for name in state}
    monkeypatch.setattr("ig_widgets.explorers.core.limits.MOST_VALUES", 15 * 2)
    explorer.comm.set_traits(show_dependence=True)
    assert "show_dependence" in explorer._notice["text"]
    assert state_of(explorer) == before
    assert model.rows == rows
    explorer.n_steps = 15
    assert ready(explorer).n_steps == 15
    figure("refusing steps of a trait, of a pane and of the dependence, the slowest", 1000 * slowest, " ms", at_most=50)


def test_most_steps_is_the_edge(explore: Explore) -> None:
    shape = (3, 1000, 1000)
    assert most_steps(shape) * math.prod(shape) <= MOST_VALUES < (most_steps(shape) + 1) * math.prod(shape)
