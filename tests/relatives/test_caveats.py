"""What is said of each run is said of what is made of several, and nothing of a sum where no sum is claimed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import ig_widgets as igw
from ig_widgets import relatives


def routed(x: Tensor) -> Tensor:
    """F jumps by 3 where the first feature passes 1/2, which is no operation with a slope."""
    return torch.sin(x).sum(1) + 3.0 * (x[:, 0] > 0.5)


def steep(x: Tensor) -> Tensor:
    """One gradient at the input says nothing of how F rises."""
    return torch.tanh(20 * (x - 0.5)).sum(1)


INPUTS = torch.ones(1, 3, dtype=torch.float64)


def test_the_mean_of_runs_has_their_caveats_and_jumps() -> None:
    found = relatives.smooth_integrated_gradients(routed, INPUTS, sigma=0.01, n_samples=3, tol=0.05)
    assert found.unattributed is not None
    assert float(found.unattributed) == pytest.approx(3)
    assert found.caveats[0].startswith("Of 3 of 3 runs, of the first: F jumps on the path, by 3")
    # A number of steps that is given looks for no jumps.
    assert relatives.smooth_integrated_gradients(routed, INPUTS, n_samples=2, n_steps=3).unattributed is None


def test_regions_have_the_caveats_of_the_map_that_they_gather() -> None:
    picture = torch.ones(1, 1, 4, 4, dtype=torch.float64)
    found = relatives.xrai(
        lambda x: routed(x.flatten(1)), picture, baselines=0.0, segments=torch.arange(16).view(4, 4) // 8, min_pixels=1
    )
    assert found.caveats[0].startswith("F jumps on the path, by 3")


def test_paths_that_are_curved_have_those_of_their_run() -> None:
    found = relatives.guided_integrated_gradients(routed, INPUTS, baselines=0.0, fraction=1.0, tol=0.05)
    assert any("F jumps on the path, by 3" in text for text in found.caveats)


@pytest.mark.parametrize(
    "name", ["gradient", "smoothgrad", "input_x_gradient", "expected_gradients", "idgi", "deeplift"]
)
def test_draws_are_said_nothing_of_that_is_meant_for_paths(name: str) -> None:
    options = {"baselines": torch.zeros_like(INPUTS)} if name == "expected_gradients" else {}
    assert getattr(relatives, name)(steep, INPUTS, **options).caveats == ()


def test_deeplift_is_not_told_to_take_more_steps() -> None:
    """Of an operation that has no average slope a plain derivative is taken, and its sum is far off."""

    def model(x: Tensor) -> Tensor:
        return torch.special.i1(5 * x).sum(1)

    assert igw.attribute(model, INPUTS, method="secant", n_steps=1).caveats
    found = relatives.deeplift(model, INPUTS)
    assert found.fallbacks
    assert found.caveats == ()


@pytest.mark.filterwarnings("ignore:forward_func was asked the same twice")
def test_a_model_that_answers_differently_is_told_of() -> None:
    torch.manual_seed(0)
    found = relatives.idgi(lambda x: x.sum(1) * torch.rand(len(x), dtype=x.dtype), INPUTS, n_steps=4)
    assert any("asked the same twice" in text for text in found.caveats)
