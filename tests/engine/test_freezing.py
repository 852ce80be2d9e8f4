"""Nothing is kept for the gradients of parameters; the parameters, and all numbers, stay as they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ig_widgets.engine.attribution import attribute
from tests.engine.subjects import ConvScores, draw


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 16)
        self.layers = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True), 2, enable_nested_tensor=False
        )
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(self.embed(x.flatten(2).mT)).mean((1, 2))


class Lists(nn.Module):
    """Parameters that are stacked, viewed, given by keyword, and shared."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ParameterList([draw(i, 3, 108 // 3) for i in range(3)])
        self.scale = nn.Parameter(draw(9, 9))

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.cat(list(self.parts), dim=0).view(9, -1)[:, :27]
        hidden = F.linear(input=x.flatten(1)[:, :27], weight=weight, bias=self.scale)
        rnn = torch.stack([self.scale, self.scale.neg()]).sum(0)
        return (hidden.tanh() * self.scale + rnn).sum(1)


MODELS: dict[str, Callable[[], nn.Module]] = {"conv": ConvScores, "attention": Attention, "lists": Lists}


def bytes_saved(run: Callable[[], object], model: nn.Module) -> int:
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return sum(sizes.values())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", ["riemann_middle", "secant"])
def test_the_numbers_are_those_of_frozen_parameters(name: str, method: str) -> None:
    torch.manual_seed(0)
    model, x = MODELS[name](), draw(1, 2, 3, 6, 6)
    free = attribute(model, x, method=method, n_steps=6, chunk_size=4)
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    model.requires_grad_(False)
    frozen = attribute(model, x, method=method, n_steps=6, chunk_size=4)
    assert torch.equal(free.attributions, frozen.attributions)  # type: ignore[arg-type]
    assert free.fallbacks == frozen.fallbacks


@pytest.mark.parametrize("name", ["conv", "attention"])
def test_as_little_is_kept_as_for_frozen_parameters(name: str) -> None:
    torch.manual_seed(0)
    model, x = MODELS[name](), draw(1, 1, 3, 6, 6)

    def run() -> object:
        return attribute(model, x, method="riemann_middle", n_steps=4, chunk_size=4)

    free = bytes_saved(run, model)
    rows = x.repeat(4, 1, 1, 1)
    direct = bytes_saved(lambda: model(rows.requires_grad_()), model)
    model.requires_grad_(False)
    assert free == bytes_saved(run, model)
    # A convolution below a soft-plus keeps its input for that one's sake.
    assert free <= (0.85 if name == "attention" else 1) * direct


@pytest.mark.parametrize("method", ["riemann_middle", "secant"])
def test_a_model_that_differentiates_by_its_own_parameters(method: str) -> None:
    other = nn.Linear(4, 1).double()

    class Trainer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own = nn.Linear(108, 1).double()

        def forward(self, x: Tensor) -> Tensor:
            with torch.enable_grad():
                (gradient,) = torch.autograd.grad(other(draw(3, 2, 4)).sum(), other.weight)
            assert gradient.abs().sum() > 0
            return self.own(x.flatten(1))[:, 0]

    model, x = Trainer(), draw(1, 2, 3, 6, 6)
    result = attribute(model, x, method=method, n_steps=3)
    torch.testing.assert_close(result.attributions.flatten(1), x.flatten(1) * model.own.weight)  # type: ignore[union-attr]


def test_a_module_is_not_asked_for_statistics_that_it_computes() -> None:
    class Tracked(nn.Sequential):
        @property
        def running_mean(self) -> Tensor:
            raise RuntimeError("not tracked")

    model = Tracked(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    assert attribute(model, draw(1, 2, 6), target=0).converged
