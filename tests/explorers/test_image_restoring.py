"""An ImageExplorer from its file: regions, pictures as baselines, and files for another picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ig_widgets as igw
from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers import ImageExplorer
from ig_widgets.files import FileError
from tests.explorers.answers import alike, assert_given_baseline_is_kept, assert_restored, equal, rows, same, told
from tests.explorers.contract.test_restoring_strange_files import Opened
from tests.explorers.subjects import (
    LABELS,
    SECONDS,
    Classifier,
    Watched,
    as_picture,
    photo,
    ready,
    tasks_of,
)

Explore = Callable[..., Any]

CASES = [
    {"method": "gausslegendre", "n_steps": 5, "baseline": "blur(sigma=2)"},
    {"method": "riemann_trapezoid", "n_steps": 2, "output": "margin", "channel": "red"},
    {"method": "blur_integrated_gradients"},
    {"method": "guided_integrated_gradients", "baseline": "colour(#ff8800)"},
]


@pytest.mark.parametrize("options", CASES, ids=lambda options: "-".join(map(str, options.values())))
def test_a_file_shows_what_was_saved_without_a_gradient(explore: Explore, restore: Explore, options: Any) -> None:
    assert_restored(explore, restore, options)


def test_all_settings_come_back(explore: Explore, restore: Explore) -> None:
    looks = {"alpha": 0.25, "opacity": 0.5, "clip": 91.0, "colormap": "PuOr", "sign": "negative", "ground": "colour"}
    mask = np.zeros((16, 16), bool)
    mask[2:5, 7] = True
    one = explore(target=2, labels=LABELS, baseline="noise(seed=4)", n_steps=6, tol=0.2, **looks)
    one.regions = [(1, 1, 5, 6), np.array([(2, 2), (9, 3), (4, 12)]), mask]
    one.compare({"baseline": "white", "n_steps": 3}, {"method": "secant", "target": 1})
    ready(one)
    other = restore(one)
    for name in (*looks, "baseline", "target", "output", "method", "n_steps", "tol", "channel", "_panes", "_regions"):
        assert getattr(other, name) == getattr(one, name), name
    assert all(np.array_equal(a, b) for a, b in zip(one.regions, other.regions, strict=True))
    assert all(map(same, one.results, other.results))
    for pane in range(3):
        assert alike(told(one, pane), told(other, pane))
    # What the model says of regions is asked without a gradient.
    assert [repr(a) for a in other.audits(2)] == [repr(a) for a in one.audits(2)]
    assert tasks_of(other).wait(SECONDS)
    assert [row["sum"] for row in other._audits] == [row["sum"] for row in one._audits]
    assert rows(other) == 0
    with_dependence = restore(explore(target=1, labels=LABELS, show_dependence=True))
    assert with_dependence.show_dependence


def _upload(explorer: ImageExplorer) -> None:
    data = io.BytesIO()
    Image.fromarray(as_picture(photo(7))).save(data, "PNG")
    explorer.comm.hear({"type": "upload", "view": "v", "name": "my picture.png"}, [data.getvalue()])
    assert tasks_of(explorer).wait(SECONDS)


@pytest.mark.parametrize(
    "given_as",
    [
        lambda: as_picture(photo(5)),
        lambda: igw.baselines.samples(np.stack([as_picture(photo(5)), as_picture(photo(6))]), seed=3),
        lambda: _upload,
    ],
    ids=["picture", "samples", "upload"],
)
def test_a_baseline_that_was_given_is_offered_again(explore: Explore, restore: Explore, given_as: Any) -> None:
    value = given_as()
    one = explore(target=1, labels=LABELS)
    if value is _upload:
        _upload(one)
    else:
        one.baseline = value
    assert_given_baseline_is_kept(one, restore, "white")


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (lambda: photo(1), r"the photo was (\d+) of 255 at its pixel .* and is (\d+)"),
        (lambda: photo(0, height=20), r"the model's input was (\(3, 16, 16\)) and is (\(3, 20, 16\))"),
    ],
    ids=["picture", "size"],
)
def test_another_picture_is_computed_anew(
    saved: Path, restore: Explore, explore: Explore, image: Any, says: str
) -> None:
    with pytest.warns(UserWarning, match=says):
        other = restore(saved, Watched(), image())
    assert (other.n_steps, other.target, other.method) == (8, 1, "riemann_middle")
    assert equal(ready(other), ready(explore(Watched(), image(), target=1)))
    assert rows(other) == 8


def test_given_baselines_and_regions_do_not_outlive_the_size_of_the_picture(explore: Explore, restore: Explore) -> None:
    one = explore(target=1, labels=LABELS, baseline=photo(3)[None], region=(1, 1, 4, 4))
    ready(one)
    with pytest.warns(UserWarning, match="another model or input"):
        other = restore(one, inputs=photo(0, height=20))
    assert other.baseline == "black"
    assert other.regions == ()


@pytest.mark.parametrize(
    "regions",
    [[{"kind": "rectangle"}], [{"kind": "mask", "runs": [10**12]}], [[]] * 99, 3],
    ids=lambda value: str(value)[:30],
)
def test_wrong_regions_are_refused(explore: Explore, tmp_path: Path, regions: Any) -> None:
    one = explore(target=1, labels=LABELS, region=(2, 3, 9, 10))
    ready(one)
    one.to_npz(tmp_path / "a.npz")
    file = Opened(tmp_path / "a.npz")
    assert len(file.settings["regions"]) == 1
    file.settings["regions"] = regions
    with pytest.raises((FileError, ArgumentValueError)) as caught:
        ImageExplorer.from_npz(file.write(), Classifier(), photo()).close()
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)
