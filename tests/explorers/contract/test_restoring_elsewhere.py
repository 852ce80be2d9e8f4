"""An explorer from its file, for another model or input, or on another device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ig_widgets.files import FileError
from tests.explorers.answers import alike, drawn_alike, equal, rows, same, told
from tests.explorers.contract.toy import Function, ToyExplorer, WatchedFunction, point
from tests.explorers.subjects import LABELS, ready

Explore = Callable[..., Any]


@pytest.mark.parametrize(
    ("model", "at", "says"),
    [
        (lambda: WatchedFunction(seed=1), point, r"F\(x\), the logit of Egyptian cat, was (\S+) and is (\S+)\."),
        (WatchedFunction, lambda: point(1), r"the point was (.*) and is (.*)"),
    ],
    ids=["model", "input"],
)
def test_another_model_or_input_is_computed_anew(
    saved: Path, restore: Explore, explore: Explore, model: Any, at: Any, says: str
) -> None:
    with pytest.warns(UserWarning, match=says) as caught:
        other = restore(saved, model(), at())
    assert caught[0].filename == restore.__code__.co_filename  # of who calls from_npz
    assert (other.n_steps, other.target, other.method) == (8, 1, "riemann_middle")
    fresh = explore(model(), at(), target=1)
    assert equal(ready(other), ready(fresh))
    assert rows(other) == 8


def test_a_baseline_at_which_the_model_says_something_else_is_noticed(saved: Path, restore: Explore) -> None:
    class Other(WatchedFunction):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + (x.amax(1) == 0).to(x)[:, None]

    with pytest.warns(UserWarning, match=r"another model or input: F\(zeros\), the logit of Egyptian cat, was"):
        restore(saved, Other())


def test_rounding_is_no_other_model(explore: Explore, restore: Explore) -> None:
    one = explore(Function(dtype=torch.float32), target=1, labels=LABELS)
    assert same(ready(one), restore(one, WatchedFunction()).result)  # in float64


def test_what_a_model_cannot_be_asked_is_a_sentence(saved: Path) -> None:
    with pytest.raises(FileError, match=r"settings that cannot be for this model: target must be a class from 0 to 0"):
        ToyExplorer.from_npz(saved, Function(classes=1), point())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_saved_on_one_device_and_restored_on_another(explore: Explore, restore: Explore) -> None:
    places = ("cuda", "cpu"), ("cpu", "cuda"), ("cuda", "cuda")
    for saved_on, restored_on in places:
        one = explore(Function(dtype=torch.float32).to(saved_on), target=1, labels=LABELS, baseline=point(5)[None])
        result = ready(one)
        other = restore(one, WatchedFunction(dtype=torch.float32).to(restored_on))
        assert rows(other) == 0
        assert other.result.attributions.device.type == other.result.output.device.type == restored_on
        assert torch.equal(other.result.attributions.cpu(), result.attributions.cpu())
        assert drawn_alike(one, other)
        assert alike(told(one), told(other))
        assert other.crosscheck().relative_difference < 1e-4
        other.n_steps = 5
        assert ready(other).complete
