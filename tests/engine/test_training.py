"""Modules in training mode with chance of their own, and where modules are looked for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ig_widgets.engine import reachable_modules
from ig_widgets.engine.attribution import attribute
from ig_widgets.engine.errors import NondeterminismWarning, TrainingModeError
from ig_widgets.engine.reachable_modules import modules_of
from tests.engine.subjects import draw

X = draw(1, 2, 4, 6).float()


class Scores(nn.Module):
    """The sum of what a module makes of a sequence."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        out = self.inner(x, x, x) if isinstance(self.inner, nn.MultiheadAttention) else self.inner(x)
        return (out[0] if isinstance(out, tuple) else out).tanh().sum((1, 2))


class Functional(nn.Module):
    """Drops as the models of Hugging Face do."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, p=0.1, training=self.training)


CHANCE: list[Callable[[], nn.Module]] = [
    lambda: nn.LSTM(6, 5, num_layers=2, dropout=0.5, batch_first=True),
    lambda: nn.GRU(6, 5, num_layers=2, dropout=0.5, batch_first=True),
    lambda: nn.RNN(6, 5, num_layers=2, dropout=0.5, batch_first=True),
    lambda: nn.MultiheadAttention(6, 2, dropout=0.5, batch_first=True),
    lambda: nn.TransformerEncoderLayer(6, 2, 8, batch_first=True),
    lambda: nn.TransformerDecoderLayer(6, 2, 8, batch_first=True).self_attn,
    lambda: nn.RReLU(),
    Functional,
]


@pytest.mark.parametrize("make", CHANCE)
@pytest.mark.parametrize("method", ["auto", "gausslegendre"])
def test_chance_of_its_own_is_refused_in_training_mode_alone(make: Callable[[], nn.Module], method: str) -> None:
    model = Scores(make()).train()
    # By one row at a time each would draw the same numbers.
    options: dict[str, Any] = {"method": method, "n_steps": 4, "chunk_size": 4}
    with pytest.raises(TrainingModeError, match=r"training mode.*call model\.eval\(\) first"):
        attribute(model, X, **options)
    assert attribute(model.eval(), X, **options).attributions.isfinite().all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.MultiheadAttention(6, 2, batch_first=True),
        lambda: nn.GRU(6, 5, num_layers=2, batch_first=True),
        lambda: nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True),
    ],
)
def test_what_draws_nothing_is_explained_in_training_mode_too(make: Callable[[], nn.Module]) -> None:
    model = Scores(make()).train()
    trained = attribute(model, X, method="gausslegendre", n_steps=4)
    torch.testing.assert_close(
        trained.attributions, attribute(model.eval(), X, n_steps=4, method="gausslegendre").attributions
    )


# ------------------------------------------------------------------ how far answers differ


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("method", ["gausslegendre", "secant"])
def test_noise_is_measured_against_what_is_attributed(offset: float, method: str) -> None:
    """Noise of a tenth of F(x) - F(x') makes a map worthless, however large F is beside."""
    weights = draw(2, 5)

    def noisy(x: Tensor) -> Tensor:
        return offset + x @ weights + torch.randn(len(x), dtype=x.dtype)

    def still(x: Tensor) -> Tensor:
        torch.rand(())
        return offset + x @ weights

    x = draw(3, 2, 5)
    with torch.random.fork_rng(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.manual_seed(0)
        result = attribute(noisy, x, method=method, n_steps=6, chunk_size=4)
        assert [w.category for w in caught if w.category is NondeterminismWarning]
        assert any("asked the same twice" in text for text in result.caveats)
        caught.clear()
        attribute(still, x, method=method, n_steps=6, chunk_size=4)
        assert not [w for w in caught if w.category is NondeterminismWarning]


# ------------------------------------------------------------------ where modules are looked for

model = nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.5)).train()  # what others have called so, and train
other = nn.Linear(6, 3)
holder = SimpleNamespace(model=other, spare=model)
nested = SimpleNamespace(inner=SimpleNamespace(model=other), model=model)


class Owner:
    def __init__(self) -> None:
        self.model = other

    def score(self, x: Tensor) -> Tensor:
        return self.model(x)


OWNER = Owner()
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "attribute": lambda x: holder.model(x),
    "of an attribute": lambda x: nested.inner.model(x),
    "method": OWNER.score,
    "method in a lambda": lambda x: OWNER.score(x),
    "inside": lambda x: torch.cat([holder.model(one) for one in (x,)]),
    "in a function inside": lambda x: (lambda y: holder.model(y))(x),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_an_unrelated_global_of_that_name_is_let_be(kind: str) -> None:
    function = FUNCTIONS[kind]
    assert modules_of(function) == [other]
    x = X[:, 0]
    found = attribute(function, x, target=1, n_steps=3)
    torch.testing.assert_close(found.attributions, x * other.weight[1].detach())


def test_what_is_used_is_found_all_the_same() -> None:
    inside = SimpleNamespace(model=model)
    for function in (
        lambda x: model(x),
        lambda x: holder.spare(x),
        lambda x: inside.model(x),
        lambda x: nested.model(x),
    ):
        assert modules_of(function) == [model]
        with pytest.raises(TrainingModeError, match="Dropout '1'"):
            attribute(function, X[:, 0], target=1, n_steps=3)
    assert modules_of(lambda x: model[0](x)) == [model]
    encoder = nn.ModuleDict({"encoder": nn.Linear(6, 3), "drop": nn.Dropout()}).train()
    assert modules_of(lambda x: encoder["encoder"](x)) == [encoder]


def test_a_models_use_of_torch_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its functions use hundreds of others, and know no model by name; what they were handed, they hold."""
    model = nn.Linear(6, 3).eval()

    def function(x: Tensor) -> Tensor:
        return F.softmax(F.multi_head_attention_forward(model(x)), -1)

    looked: list[object] = []
    look = reachable_modules._held

    def counted(holder: object, *further: Any) -> list[object]:
        looked.append(holder)
        return look(holder, *further)

    monkeypatch.setattr(reachable_modules, "_held", counted)
    assert modules_of(function) == [model]
    assert len(looked) < 30
    for wrapped in (torch.no_grad()(function), torch.func.vmap(function), torch.func.vmap(model)):
        assert modules_of(wrapped) == [model]


@pytest.mark.parametrize("make", [make for make in CHANCE if make is not Functional])
def test_a_module_that_draws_is_named_before_anything_runs(make: Callable[[], nn.Module]) -> None:
    model = Scores(make()).train()
    model.register_forward_hook(lambda *_: pytest.fail("called"))
    with pytest.raises(TrainingModeError, match=r"forward_func holds \w+ 'inner"):
        attribute(model, X, n_steps=4)


def test_a_slope_of_one_size_is_no_chance() -> None:
    """RReLU whose bounds are one is a leaky ReLU, in training mode too."""
    one = attribute(Scores(nn.RReLU(0.25, 0.25)).train(), X, method="gausslegendre", n_steps=4)
    same = attribute(Scores(nn.LeakyReLU(0.25)), X, method="gausslegendre", n_steps=4)
    torch.testing.assert_close(one.attributions, same.attributions)
