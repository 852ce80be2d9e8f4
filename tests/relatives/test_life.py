"""What every relative owes its caller: a model left as it was, progress, cancel, words where it cannot work."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets import relatives
from tests.engine.subjects import Scores, draw, relative
from tests.relatives.test_theorems import ALL

PICTURES = {"xrai": {"segments": torch.arange(36).view(6, 6) // 6, "min_pixels": 1}}
EVERY = ALL | PICTURES
NO_PATH = ("gradient", "smoothgrad", "smoothgrad_squared", "vargrad", "input_x_gradient", "expected_gradients")


def call(name: str, model: Any, x: Any, **options: Any) -> igw.Attribution:
    result: igw.Attribution = getattr(relatives, name)(model, x, **EVERY[name], **options)
    return result


class Network(nn.Module):
    """With what a pass could change: buffers, random state, gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4 * 16, 3)
        self.register_buffer("calls", torch.zeros(()))
        for k, parameter in enumerate(self.parameters()):
            parameter.data = draw(k, *parameter.shape)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        torch.rand(1, device="cpu")
        return self.last(torch.relu(self.norm(self.first(x))).flatten(1))


@pytest.mark.parametrize("name", EVERY)
def test_model_input_and_random_state_are_left_as_they_were(name: str) -> None:
    model, x = Network(), draw(0, 2, 3, 6, 6)
    before, copied, random = copy.deepcopy(model.state_dict()), x.clone(), torch.get_rng_state()
    call(name, model, x, target=[0, 2])
    assert torch.equal(random, torch.get_rng_state())
    assert torch.equal(x, copied)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.training


@pytest.mark.parametrize("name", EVERY)
def test_examples_are_explained_for_their_own_target_and_arguments(name: str) -> None:
    """Of a batch each gets what it gets alone, where nothing is drawn."""
    model, x, extra = Network(), draw(0, 2, 3, 6, 6), draw(1, 2, 1)

    def scaled(z: Tensor, factor: Tensor) -> Tensor:
        return model(z) * factor

    together = call(name, scaled, x, target=[0, 2], additional_forward_args=extra).attributions
    for k in range(2) if not {"n_samples", "seed"} & set(EVERY[name]) else ():
        alone = call(name, scaled, x[k : k + 1], target=[0, 2][k], additional_forward_args=extra[k : k + 1])
        assert relative(together[k : k + 1], alone.attributions) <= 1e-9
    assert together.shape == x.shape
    assert bool(torch.isfinite(together).all())


@pytest.mark.parametrize("name", EVERY)
def test_progress_ends_at_its_total(name: str) -> None:
    told: list[tuple[int, int]] = []
    call(name, Network(), draw(0, 2, 3, 6, 6), target=1, on_progress=lambda *seen: told.append(seen))
    assert told
    assert told[-1][0] == told[-1][1]
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize("name", EVERY)
def test_cancelled_before_it_starts_it_says_so(name: str) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(igw.Cancelled) as caught:
        call(name, Network(), draw(0, 2, 3, 6, 6), target=1, cancel=cancel)
    assert caught.value.partial is None


@pytest.mark.parametrize("name", ["smoothgrad", "expected_gradients"])
def test_what_was_drawn_before_a_cancel_is_a_result(name: str) -> None:
    cancel = threading.Event()
    options = {"chunk_size": 2, "cancel": cancel, "on_progress": lambda done, _: cancel.set() if done >= 4 else None}
    with pytest.raises(igw.Cancelled) as caught:
        call(name, Network(), draw(0, 1, 3, 6, 6), target=1, **options)
    partial = caught.value.partial
    assert partial is not None
    assert not partial.complete
    assert 2 <= partial.evaluations < 5 + 2
    assert bool(torch.isfinite(partial.attributions).all())


@pytest.mark.parametrize("name", [name for name in EVERY if name not in PICTURES and "blur" not in name])
def test_several_inputs_give_as_many_maps(name: str) -> None:
    model = Scores([(4,), (2, 3)])
    inputs = draw(0, 2, 4), draw(1, 2, 2, 3)
    result = call(name, model, inputs)
    assert [a.shape for a in result.attributions] == [x.shape for x in inputs]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_maps_are_of_the_dtype_of_the_inputs(name: str, dtype: torch.dtype) -> None:
    model = Network().to(dtype)
    found = call(name, model, draw(0, 1, 3, 6, 6, dtype=dtype), target=1)
    assert found.attributions.dtype == dtype
    exact = call(name, Network(), draw(0, 1, 3, 6, 6), target=1)
    # Ranks of regions, and steps of a search, may turn on the last digit.
    if name not in ("xrai", "guided_integrated_gradients"):
        assert relative(found.attributions, exact.attributions) <= (1e-12 if dtype == torch.float64 else 1e-3)


@pytest.mark.parametrize("name", EVERY)
def test_training_mode_and_targets_out_of_range_are_refused(name: str) -> None:
    x = draw(0, 1, 3, 6, 6)
    with pytest.raises(igw.errors.TrainingModeError, match="eval"):
        call(name, Network().train(), x, target=1)
    with pytest.raises(ValueError, match="out of range"):
        call(name, Network(), x, target=7)


@pytest.mark.parametrize("name", NO_PATH)
def test_nan_is_reported_by_the_number_of_the_draw(name: str) -> None:
    with pytest.raises(igw.errors.NonFiniteError, match=r"at draw \d+ of|at the input"):
        call(name, lambda z: (z.sum(1) * float("nan")) if z.requires_grad else z.sum(1), draw(0, 1, 4))


@pytest.mark.parametrize(
    "option", [{"n_samples": 0}, {"n_samples": 2.5}, {"sigma": -1.0}, {"sigma": "wide"}, {"seed": -1}]
)
def test_options_that_cannot_work_are_named(option: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=next(iter(option))):
        relatives.smoothgrad(Scores([(4,)]), draw(0, 1, 4), **option)


@pytest.mark.parametrize("name", EVERY)
def test_the_default_device_is_not_where_draws_are_made(name: str) -> None:
    """`torch.set_default_device("cuda")` is common; here `meta` stands in for it."""
    model, x = Network(), draw(0, 1, 3, 6, 6)
    # In chunks of a size that is given, as sums are rounded alike then.
    expected = call(name, model, x, target=1, chunk_size=8)
    with torch.device("meta"):
        found = call(name, lambda z: model(z), x, target=1, chunk_size=8)
    assert torch.equal(found.attributions, expected.attributions)
