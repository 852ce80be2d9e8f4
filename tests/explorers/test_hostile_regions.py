"""Regions and pictures from a front end: those that cannot be change nothing, and cost little."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers import ImageExplorer
from ig_widgets.explorers.image.regions import check_new, mask_of
from ig_widgets.explorers.widget import schema
from ig_widgets.faithfulness.regions import region_mask
from tests.explorers.contract.test_hostile_messages import assert_taken_whole_or_not_at_all, timed
from tests.explorers.subjects import LABELS, SECONDS, Watched, tasks_of

pytestmark = pytest.mark.robustness

Explore = Callable[..., Any]
BOX = {"kind": "rectangle", "box": [1, 1, 5, 5]}


def test_all_that_the_front_end_chooses_can_be_set(explore: Explore) -> None:
    """What it has beside the settings of all explorers, and those."""
    explorer = explore(labels=LABELS)
    own = {"opacity": 1, "ground": "colour", "_regions": [BOX], "channel": "red"}
    common = {
        "alpha", "clip", "sign", "colormap", "baseline", "target", "output", "method", "n_steps", "tol", "input",
        "show_dependence", "_panes", "_view_count",
    }  # fmt: skip
    assert {*own, *common} == schema.writable(ImageExplorer).keys()
    explorer.comm.set_traits(**own)
    assert {name: getattr(explorer, name) for name in own} == own
    explorer.wait(SECONDS)


@pytest.mark.parametrize(
    "state",
    [
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
    ],
    ids=lambda state: str(state)[:50],
)
def test_a_state_is_taken_whole_or_not_at_all(explore: Explore, monkeypatch, state) -> None:
    explorer = explore(labels=LABELS)
    explorer.wait(SECONDS)
    good = {"opacity": 0.5, "colormap": "viridis", "_view_count": 2}
    assert_taken_whole_or_not_at_all(explorer, monkeypatch, state, good)


@pytest.mark.parametrize("picture", [torch.zeros(1).expand(3, 4000, 4000), Image.new("RGB", (4000, 4000))], ids=type)
def test_steps_that_would_fill_the_memory_are_refused_by_name(explore: Explore, figure, picture) -> None:
    model = Watched(dtype=torch.float32)
    words = "n_steps = 64 .* 3 x 4000 x 4000 are 3,072,000,000 values .* 500,000,000 .* at most 10 would fit"
    seconds = timed(lambda: explore(model, picture, n_steps=64), ArgumentValueError, words)
    figure("refusing 64 steps of a photo of 4000 x 4000 pixels", 1000 * seconds, " ms", at_most=50)
    assert model.rows == 0


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
    explorer = explore(inputs=torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(0)).double(), n_steps=1)
    explorer.wait(SECONDS)
    tasks_of(explorer).wait(SECONDS)
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
        tasks_of(explorer).wait(SECONDS)
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
