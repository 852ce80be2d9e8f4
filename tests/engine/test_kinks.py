"""The kinks between both ends of a path are counted by operation, and decide the method."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ig_widgets.engine.attribution import attribute, make_samples
from ig_widgets.engine.kinks import Kinks, bounds
from tests.engine.subjects import draw
from tests.engine.test_leaves import another_thread

A, B = draw(1, 1, 40), draw(2, 1, 40)


def kinks(forward: Callable[[Tensor], Tensor], a: Tensor = A, b: Tensor = B) -> Kinks:
    return make_samples(forward, b, baselines=a).sampler.kinks()


def between(*at: float) -> int:
    """How many of the elements pass any of these values."""
    passed = [(v > A) != (v > B) for v in at]
    return int(torch.stack(passed).any(0).sum()) if passed else 0


@pytest.mark.parametrize(
    ("name", "operation", "at"),
    [
        ("relu", F.relu, (0,)),
        ("relu", nn.ReLU(inplace=True), (0,)),
        ("relu", torch.Tensor.relu, (0,)),
        ("relu6", lambda x: F.relu6(3 * x), (0, 2)),
        ("hardtanh", nn.Hardtanh(-0.5, 0.25), (-0.5, 0.25)),
        ("clamp", lambda x: x.clamp(min=0.3), (0.3,)),
        ("clamp", lambda x: x.clamp(-0.1, 0.1), (-0.1, 0.1)),
        ("clamp_max", lambda x: x.clamp_max(0.7), (0.7,)),
        ("leaky_relu", nn.LeakyReLU(0.2), (0,)),
        ("prelu", nn.PReLU().double(), (0,)),
        ("abs", torch.abs, (0,)),
        ("elu", lambda x: F.elu(x, 0.5), (0,)),
        ("elu", F.elu, ()),
        ("selu", F.selu, (0,)),
        ("threshold", nn.Threshold(0.4, 0.0), (0.4,)),
        ("softshrink", nn.Softshrink(0.3), (-0.3, 0.3)),
        ("hardsigmoid", lambda x: F.hardsigmoid(5 * x), (-0.6, 0.6)),
        ("hardswish", lambda x: F.hardswish(5 * x), (-0.6, 0.6)),
        ("maximum", lambda x: torch.maximum(x, torch.full_like(x, 0.2)), (0.2,)),
        ("minimum", lambda x: torch.minimum(x, torch.full_like(x, 0.2)), (0.2,)),
    ],
)
def test_elements_that_pass_a_kink(name: str, operation: Callable[[Tensor], Tensor], at: tuple[float, ...]) -> None:
    found = kinks(lambda x: operation(x.clone()).sum(1))
    inner = {key for key, count in found.crossed.items() if count}
    assert found.crossed.total() == between(*at)
    assert inner <= {name, "hardtanh" if name == "relu6" else name}


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: F.max_pool2d(x, 2),
        nn.MaxPool2d(2, return_indices=False),
        lambda x: F.adaptive_max_pool2d(x, 2),
        lambda x: x.unflatten(2, (2, 2)).unflatten(4, (2, 2)).transpose(3, 4).flatten(4).amax(4),
    ],
)
def test_maxima_that_move(pool: Callable[[Tensor], Tensor]) -> None:
    a, b = draw(3, 1, 3, 4, 4), draw(4, 1, 3, 4, 4)
    moved = F.max_pool2d(a, 2, return_indices=True)[1] != F.max_pool2d(b, 2, return_indices=True)[1]
    assert kinks(lambda x: pool(x).sum((1, 2, 3)), a, b).crossed.total() == int(moved.sum())


def test_a_guard_is_no_kink() -> None:
    found = kinks(lambda x: (x / x.norm(dim=1, keepdim=True).clamp_min(1e-8)).sum(1))
    assert not found.crossed.total()
    assert found.elements.total()
    assert str(found) == "no kink is passed"


def test_what_is_curved() -> None:
    assert kinks(lambda x: F.relu(x).sum(1)).curved == set()
    assert kinks(lambda x: (2 * F.relu(x) + x.mean()).sum(1) / 3).curved == set()
    assert kinks(lambda x: (F.relu(x) * x).sum(1)).curved == {"mul"}
    assert kinks(lambda x: x.softmax(1)[:, 0]).curved == {"softmax"}
    assert "layer_norm" in kinks(lambda x: F.layer_norm(x, x.shape[1:]).prod(1)).curved


def test_each_example_is_looked_at() -> None:
    """The first one's path passes no kink."""
    x = torch.stack([torch.ones(3), torch.tensor([1.0, -1.0, 1.0])])
    result = attribute(lambda at: F.relu(at).sum(1), x, baselines=torch.full_like(x, 0.5))
    assert result.method == "secant"
    assert result.reason == "secant: kinks are passed in relu (17% of its elements) between baseline and input"
    alone = attribute(lambda at: F.relu(at).sum(1), x[:1], baselines=torch.full((1, 3), 0.5))
    assert (alone.method, alone.reason) == (
        "adaptive",
        "adaptive: no kink is passed between baseline and input",
    )


def test_many_examples_take_few_passes() -> None:
    passes = []

    def model(x: Tensor) -> Tensor:
        passes.append(len(x))
        return F.relu(x).sum(1)

    x = torch.rand(101, 3) + 0.1
    x[-1, 1] = -1
    found = make_samples(model, x, baselines=torch.full_like(x, 0.5), chunk_size=50).sampler.kinks()
    assert (found.crossed.total(), found.elements.total()) == (1, 303)
    assert passes[-6:] == [2, 16, 50, 50, 50, 34]


def test_with_a_number_of_steps() -> None:
    kinked = attribute(lambda at: F.relu(at).sum(1), B, baselines=A, n_steps=5)
    assert (kinked.method, kinked.n_steps, kinked.evaluations) == ("secant", 5, 5)
    smooth = attribute(lambda at: at.sin().sum(1), B, baselines=A, n_steps=5)
    assert (smooth.method, smooth.n_steps, smooth.evaluations) == ("gausslegendre", 5, 5)
    assert smooth.reason.startswith("gausslegendre: no operation with a kink")
    assert (kinked.error_estimate, kinked.converged) == (None, None)


@pytest.mark.parametrize(("n", "method"), [(4, "gausslegendre"), (31, "gausslegendre"), (32, "secant")])
def test_few_cells_are_no_good_beside_a_softmax(n: int, method: str) -> None:
    result = attribute(lambda at: F.relu(at).softmax(1), B, baselines=A, target=0, n_steps=n)
    assert (result.method, result.n_steps) == (method, n)


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return grad * x.sigmoid() * (1 + x * (1 - x.sigmoid()))


def scripted() -> Callable[[Tensor], Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module: Callable[[Tensor], Tensor] = torch.jit.script(nn.Sequential(nn.Linear(40, 5), nn.ReLU()).double())
    return module


@pytest.mark.parametrize(
    ("forward", "name"),
    [
        (lambda x: scripted()(x), "TorchScript or other compiled code"),
        (Swish.apply, "Swish"),
        (lambda x: torch.func.vmap(torch.sin)(x), "torch.func"),
        (lambda x: F.relu(x.flip(0)).flip(0), "relu behind flip"),
    ],
)
def test_what_cannot_be_looked_into_is_told(forward: Callable[[Tensor], Tensor], name: str) -> None:
    found = kinks(lambda x: forward(x).sum(1))
    assert found.hidden >= {name}
    with another_thread():
        assert kinks(lambda x: forward(x).sum(1)).hidden >= {name}
    assert name in str(found)
    assert "not visible inside" in str(found)


def test_an_exported_graph_is_seen() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 5), nn.ReLU(), nn.LayerNorm(5), nn.Linear(5, 1)).double()
    rows = {0: torch.export.Dim("rows")}
    exported = torch.export.export(model, (torch.cat([A, B]),), dynamic_shapes=(rows,)).module()
    seen, own = (kinks(lambda x, f=f: f(x)[:, 0]) for f in (exported, model))  # type: ignore[misc]
    assert (seen.crossed, seen.curved, seen.hidden) == (own.crossed, own.curved, set())


@pytest.mark.parametrize("step", [torch.round, torch.floor, torch.sign, lambda x: (x > 0).double() * x])
def test_jumps_count(step: Callable[[Tensor], Tensor]) -> None:
    assert kinks(lambda x: step(x).sum(1)).crossed.total()


def test_the_engine_has_no_kinks_of_its_own() -> None:
    """With two examples, what lies before a layer is tried in a single row."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 5), nn.GELU(), nn.Linear(5, 5), nn.GELU(), nn.Linear(5, 1)).double()
    result = attribute(model, torch.cat([A, B]), layer=model[0], target=0)
    assert result.reason.startswith("adaptive: no operation with a kink between")


def test_the_model_is_not_touched() -> None:
    model = nn.Sequential(nn.Linear(40, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 1)).double().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    attribute(model, B, target=0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and not vars(p) for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "operation", "arguments", "named"),
    [
        ("hardtanh", F.hardtanh, (), {}),
        ("hardtanh", F.hardtanh, (-2.0,), {}),
        ("hardtanh", F.hardtanh, (-2.0, 0.5), {}),
        ("hardtanh", F.hardtanh, (), {"max_val": 0.5}),
        ("hardtanh", F.hardtanh, (), {"min_val": -0.5}),
        ("clamp", torch.clamp, (-0.5,), {}),
        ("clamp", torch.clamp, (-0.5, 1.5), {}),
        ("clamp", torch.clamp, (), {"max": 1.5}),
        ("clamp", torch.clamp, (None, 0.5), {}),
        ("clamp_max", torch.clamp_max, (0.5,), {}),
        ("clamp_min", torch.clamp_min, (-0.5,), {}),
    ],
)
def test_between_its_bounds_an_operation_that_clamps_is_the_identity(
    name: str, operation: Callable[..., Tensor], arguments: tuple[float, ...], named: dict[str, float]
) -> None:
    x = torch.linspace(-3, 3, 61, dtype=torch.float64)
    low, high = bounds(name, *arguments, **named)
    assert torch.equal(operation(x, *arguments, **named) == x, (x >= low) & (x <= high))
