"""An explorer from its file, for another model or picture, or on another device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ig_widgets.explorers import ImageExplorer
from ig_widgets.files import FileError
from tests.explorers.answers import alike, drawn_alike, equal, rows, same, told
from tests.explorers.subjects import LABELS, Classifier, Watched, photo, ready

Explore = Callable[..., ImageExplorer]


@pytest.mark.parametrize(
    ("model", "image", "says"),
    [
        (lambda: Watched(seed=1), photo, r"F\(x\), the logit of Egyptian cat, was (\S+) and is (\S+)\."),
        (Watched, lambda: photo(1), r"the photo was (\d+) of 255 at its pixel .* and is (\d+)"),
        (Watched, lambda: photo(0, height=20), r"the model's input was (\(3, 16, 16\)) and is (\(3, 20, 16\))"),
    ],
    ids=["model", "picture", "size"],
)
def test_another_model_or_picture_is_computed_anew(
    saved: Path, restore: Explore, explore: Explore, model: Any, image: Any, says: str
) -> None:
    with pytest.warns(UserWarning, match=says) as caught:
        other = restore(saved, model(), image())
    assert caught[0].filename == restore.__code__.co_filename  # of who calls from_npz
    assert (other.n_steps, other.target, other.method) == (8, 1, "riemann_middle")
    fresh = explore(model(), image(), target=1)
    assert equal(ready(other), ready(fresh))
    assert rows(other) == 8


def test_a_baseline_at_which_the_model_says_something_else_is_noticed(saved: Path, restore: Explore) -> None:
    class Other(Watched):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + (x.amax((1, 2, 3)) == 0).to(x)[:, None]

    with pytest.warns(UserWarning, match=r"another model or picture: F\(black\), the logit of Egyptian cat, was"):
        restore(saved, Other())


def test_rounding_is_no_other_model(explore: Explore, restore: Explore) -> None:
    one = explore(Classifier(dtype=torch.float32), target=1, labels=LABELS)
    assert same(ready(one), restore(one, Watched()).result)  # in float64


def test_what_a_model_cannot_be_asked_is_a_sentence(saved: Path) -> None:
    with pytest.raises(FileError, match=r"settings that cannot be for this model: target must be a class from 0 to 0"):
        ImageExplorer.from_npz(saved, Classifier(classes=1), photo())


def test_given_baselines_and_regions_do_not_outlive_the_size_of_the_picture(explore: Explore, restore: Explore) -> None:
    one = explore(target=1, labels=LABELS, baseline=photo(3)[None], region=(1, 1, 4, 4))
    ready(one)
    with pytest.warns(UserWarning, match="another model or picture"):
        other = restore(one, image=photo(0, height=20))
    assert other.baseline == "black"
    assert other.regions == ()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_saved_on_one_device_and_restored_on_another(explore: Explore, restore: Explore) -> None:
    places = ("cuda", "cpu"), ("cpu", "cuda"), ("cuda", "cuda")
    for saved_on, restored_on in places:
        one = explore(Classifier(dtype=torch.float32).to(saved_on), target=1, labels=LABELS, baseline=photo(5)[None])
        result = ready(one)
        other = restore(one, Watched(dtype=torch.float32).to(restored_on))
        assert rows(other) == 0
        assert other.result.attributions.device.type == other.result.output.device.type == restored_on
        assert torch.equal(other.result.attributions.cpu(), result.attributions.cpu())
        assert drawn_alike(one, other)
        assert alike(told(one), told(other))
        assert other.crosscheck().relative_difference < 1e-4
        other.n_steps = 5
        assert ready(other).complete
