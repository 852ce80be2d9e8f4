"""Whatever a front end sends: it is looked at before anything acts on it, and what cannot be changes nothing."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers import ImageExplorer
from ig_widgets.explorers.core.limits import MOST_VALUES, most_steps
from ig_widgets.explorers.image.regions import check_new, mask_of
from ig_widgets.explorers.widget import rate_limit as throttle
from ig_widgets.explorers.widget import schema
from ig_widgets.faithfulness.regions import region_mask
from tests.explorers.subjects import LABELS, SECONDS, Watched, ready

pytestmark = pytest.mark.robustness

Explore = Callable[..., ImageExplorer]
BOX = {"kind": "rectangle", "box": [1, 1, 5, 5]}


def say(explorer: ImageExplorer, message: Any) -> None:
    """A message of whatever form, as the comm manager hands it on."""
    explorer.comm.handle_msg(message)


def state_of(explorer: ImageExplorer) -> dict[str, Any]:
    """All that a front end could have changed, once it rests; a notice is an answer, not a change."""
    explorer.wait(SECONDS)
    assert explorer._tasks.wait(SECONDS)
    state = {name: copy.deepcopy(value) for name, value in explorer.get_state().items() if name != "_notice"}
    panes = [(pane.request, pane.settings, id(pane.result), pane.error) for pane in explorer._pane_list]
    offers, early = explorer._subject.baselines.names, list(explorer._pane_list._waiting_views)
    return state | {"panes": panes, "offers": offers, "early": early}


# ---------------------------------------------------------------- what may be set at all


def test_a_browser_can_set_what_a_person_chooses_and_nothing_else(explore: Explore, caplog, monkeypatch) -> None:
    monkeypatch.setattr(throttle, "MOST", 1000)
    explorer = explore(labels=LABELS)
    explorer.wait(SECONDS)
    values = {name: getattr(explorer, name) for name in explorer.keys}
    foreign = [name for name in values if name not in schema.writable(ImageExplorer)]
    assert {"_esm", "_css", "_anywidget_id", "_model_name", "_model_module", "layout", "_lut", "_labels"} <= {*foreign}
    assert {"_cards", "_methods", "_n_classes", "_baselines", "_outputs", "_top", "_curves", "_audits"} <= {*foreign}
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
        "alpha": 0.25, "opacity": 1, "clip": 75, "sign": "negative", "ground": "colour", "colormap": "PuOr_r",
        "baseline": "blur(sigma=2)", "target": 3, "output": "margin", "method": "gausslegendre", "n_steps": 3,
        "tol": 0.5, "channel": "red", "input": "", "show_dependence": True, "_panes": [{}, {"n_steps": 2}], "_regions": [BOX],
        "_view_count": 1,
    }  # fmt: skip
    assert chosen.keys() == schema.writable(ImageExplorer).keys()
    explorer.comm.set_traits(**chosen)
    assert {name: getattr(explorer, name) for name in chosen} == chosen
    explorer.wait(SECONDS)


class Wire:
    """What an explorer answers on its comm, beside custom messages."""

    def __init__(self, explorer: ImageExplorer, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize(
    "state",
    [
        {"alpha": math.nan},
        {"alpha": True},
        {"alpha": 10**400},
        {"clip": "99"},
        {"n_steps": 8.5},
        {"n_steps": False},
        {"n_steps": 10**400},
        {"target": [3]},
        {"target": 10**300},
        {"baseline": "x" * 1001},
        {"baseline": {"black": 1}},
        {"baseline": "\ud800"},
        {"baseline": None},
        {"show_dependence": 1},
        {"sign": None},
        {"_panes": [{}, {"alpha": 0.5}]},
        {"_panes": [{}, {"n_steps": True}]},
        {"_panes": [{}] * 5},
        {"_panes": {"0": {}}},
        {"_regions": [{**BOX, "more": 1}]},
        {"_regions": [{"kind": "rectangle", "box": [0, 0, math.inf, 5]}]},
        {"_regions": [{"kind": "rectangle", "box": [0, 0, 10**400, 5]}]},
        {"_regions": [{"kind": "polygon", "points": [[0, 0], [9, True], [9, 9]]}]},
        {"_regions": [{"kind": "polygon", "points": [[0, 0], [9], [9, 9]]}]},
        {"_regions": [{"kind": "polygon", "points": [[50, 50], [60, 50], [50, 60]]}]},
        {"_regions": [{"kind": "polygon", "points": []}]},
        {"_regions": [{"kind": "mask", "runs": []}]},
        {"_regions": [{"kind": "mask", "runs": [-1, 257]}]},
        {"_regions": [BOX] * 33},
        {"_view_count": 1.5},
    ],
    ids=lambda state: str(state)[:50],
)
def test_a_state_is_taken_whole_or_not_at_all(explore: Explore, monkeypatch, state) -> None:
    explorer = explore(labels=LABELS)
    explorer.wait(SECONDS)
    before, wire = state_of(explorer), Wire(explorer, monkeypatch)
    good = {"opacity": 0.5, "colormap": "viridis", "_view_count": 2}
    for order in ([*good, *state], [*state, *good]):
        values = good | state
        explorer.comm.set_traits(**{name: values[name] for name in order})
        assert state_of(explorer) == before
    # The values that stay, and a sentence; no other view is shown what was refused.
    assert wire.of("echo_update") == {}
    told = wire.of("update")
    assert len(told["_notice"]["text"]) < 500
    assert {name: told[name] for name in state} == {name: before[name] for name in state}


def test_an_error_of_a_persons_function_is_a_refusal_too(explore: Explore) -> None:
    calls = []

    def whimsical(inputs: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) > 1:
            raise KeyError("no such thing")
        return inputs * 0.5

    explorer = explore()
    explorer.baseline = whimsical
    explorer.baseline = "black"
    explorer.wait(SECONDS)
    explorer._subject.baselines._made.clear()
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


@pytest.mark.parametrize("picture", [torch.zeros(1).expand(3, 4000, 4000), Image.new("RGB", (4000, 4000))], ids=type)
def test_steps_that_would_fill_the_memory_are_refused_by_name(explore: Explore, figure, picture) -> None:
    model = Watched(dtype=torch.float32)
    words = "n_steps = 64 .* 3 x 4000 x 4000 are 3,072,000,000 values .* 500,000,000 .* at most 10 would fit"
    seconds = timed(lambda: explore(model, picture, n_steps=64), ArgumentValueError, words)
    figure("refusing 64 steps of a photo of 4000 x 4000 pixels", 1000 * seconds, " ms", at_most=50)
    assert model.rows == 0


def test_steps_are_refused_wherever_they_are_asked_for(explore: Explore, monkeypatch, figure) -> None:
    model = Watched()
    explorer = explore(model, n_steps=2)
    explorer.wait(SECONDS)
    # As of a large picture: so many values that 20 steps fit.
    monkeypatch.setattr("ig_widgets.explorers.core.limits.MOST_VALUES", 20 * 3 * 16 * 16)
    rows, before, slowest = model.rows, state_of(explorer), 0.0
    for do, error in [
        (lambda: setattr(explorer, "n_steps", 21), traitlets.TraitError),
        (lambda: explorer.compare({"n_steps": 21}), traitlets.TraitError),
        (lambda: explorer.dependence(n_steps=21), ArgumentValueError),
        (lambda: explore(model, n_steps=21), ArgumentValueError),
    ]:
        slowest = max(slowest, timed(do, error, "n_steps = 21 .* at most 20 would fit"))
    for state in ({"n_steps": 21}, {"_panes": [{}, {"n_steps": 21}]}, {"n_steps": 21, "method": "smoothgrad"}):
        begin = time.perf_counter()
        explorer.comm.set_traits(**state)
        slowest = max(slowest, time.perf_counter() - begin)
        assert "at most 20 would fit" in explorer._notice["text"]
        assert explorer.get_state([*state]) == {name: before[name] for name in state}
    monkeypatch.setattr("ig_widgets.explorers.core.limits.MOST_VALUES", 15 * 3 * 16 * 16)
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


# ---------------------------------------------------------------- regions

CORNERS = st.tuples(st.floats(-5, 25), st.floats(-5, 25)) | st.tuples(st.integers(-2, 22), st.integers(-2, 22))
HALVES = st.tuples(st.integers(-4, 44), st.integers(-4, 44)).map(lambda corner: (corner[0] / 2, corner[1] / 2))


@given(st.lists(CORNERS | HALVES, min_size=3, max_size=12), st.integers(1, 20), st.integers(1, 20))
def test_a_drawn_polygon_has_the_pixels_that_python_gives_it(points, height, width) -> None:
    data = {"kind": "polygon", "points": [list(point) for point in points]}
    try:
        expected = region_mask(np.array(points, dtype=float), height, width)
    except ArgumentValueError:
        with pytest.raises(ArgumentValueError, match="no pixel"):
            mask_of(data, height, width)
        return
    np.testing.assert_array_equal(mask_of(data, height, width), expected)


def outline(count: int, size: int) -> list[list[float]]:
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radius = 0.4 * size * (1 + 0.2 * np.sin(9 * turn))
    return np.stack([size / 2 + radius * np.cos(turn), size / 2 + radius * np.sin(turn)], 1).round(1).tolist()


def test_regions_cost_little_or_are_refused_for_what_they_would(explore: Explore, figure) -> None:
    explorer = explore(image=torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(0)).double(), n_steps=1)
    explorer.wait(SECONDS)
    explorer._tasks.wait(SECONDS)
    wild = (224 * np.random.default_rng(0).random((10_000, 2))).tolist()
    drawn = {"kind": "polygon", "points": outline(2_000, 224)}
    sent = {
        "": [drawn],
        "outlines of new regions cross": [{"kind": "polygon", "points": wild[:2_000]}],
        "320000 points": [{"kind": "polygon", "points": wild}] * 32,
        "50176 runs": [{"kind": "mask", "runs": [1] * 224**2}],
    }
    slowest = 0.0
    for words, regions in sent.items():
        begin = time.perf_counter()
        explorer.comm.set_traits(_regions=regions)
        slowest = max(slowest, time.perf_counter() - begin)
        explorer._tasks.wait(SECONDS)
        assert explorer._regions == [drawn]
        assert words in explorer._notice.get("text", "")
    figure("a message with a polygon of 2,000 points, or 32 of 10,000", 1000 * slowest, " ms", at_most=50)
    # What is there already is not looked at again, however much it is.
    checker = np.indices((224, 224)).sum(0) % 2 == 1
    explorer.region = checker
    explorer.comm.set_traits(_regions=[*explorer._regions, BOX])
    assert len(explorer._regions) == 2
    assert explorer.region == (1, 1, 5, 5)
    np.testing.assert_array_equal(explorer.regions[0], checker)


def test_new_regions_of_a_large_picture_are_given_one_by_one() -> None:
    check_new([BOX], 4000, 6000)
    with pytest.raises(ArgumentValueError, match="one by one"):
        check_new([BOX, BOX], 4000, 6000)
