"""Exact Integrated Gradients of piecewise linear networks: theorems, closed forms, dense sampling, refusals."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, IGError, OutputError, TrainingModeError
from ig_widgets.exact import ExactAttribution, NotPiecewiseLinearError, piecewise_linear
from tests.engine.subjects import Scores, draw, few, reference, relu_network, seeds

pytestmark = pytest.mark.usefixtures("one_thread_of_torch")

ROUNDING = 1e-12


def mlp(seed: int, *sizes: int, activation: nn.Module | None = None, bias: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (inn, out) in enumerate(pairwise(sizes)):
        linear = nn.Linear(inn, out, bias=bias).double()
        linear.weight.data = draw(seed + i, out, inn) * (2 / inn) ** 0.5
        if bias:
            linear.bias.data = draw(seed + 50 + i, out) * 0.3
        layers += [linear, activation or nn.ReLU()]
    return nn.Sequential(*layers[:-1]).double().eval()


class Residual(nn.Module):
    """Convolutions, a shortcut, batch norm, work in place, and pooling of both kinds, for images (rows, 1, 8, 8)."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.last = nn.BatchNorm2d(4), nn.Linear(16, 3)
        for i, parameter in enumerate(self.parameters()):
            fan = parameter[0].numel() if parameter.dim() > 1 else 4
            parameter.data = draw(seed + i, *parameter.shape) * (2 / fan) ** 0.5
        self.norm.running_mean = draw(seed + 20, 4) * 0.1
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu6(self.norm(self.first(x))), 3, stride=2, padding=1)
        y = F.leaky_relu(self.second(x), 0.1)
        y += x
        return self.last(F.adaptive_max_pool2d(y.relu_(), 2).flatten(1))


def difference(ours: Tensor, theirs: Tensor) -> float:
    scale = float(theirs.abs().max())
    return float((ours - theirs).abs().max()) / (scale or 1.0)


def check_against_dense_sampling(
    function: Callable[[Tensor], Tensor], x: Tensor, b: Tensor, exact: ExactAttribution, n: int = 500
) -> None:
    """The midpoint rule is off by what the gradient changes within a cell, so by its variation over n at most.

    One example, F one number a row.
    """
    edges = torch.cat([torch.zeros(1), exact.breakpoints[0], torch.ones(1)]).double()
    middles = (edges[1:] + edges[:-1]) / 2
    places = torch.lerp(b, x, middles.view(-1, *[1] * (x.dim() - 1))).requires_grad_()
    (gradients,) = torch.autograd.grad(function(places).sum(), places)
    variation = ((x - b) * gradients).diff(dim=0).abs().sum(0)
    (dense,) = reference(function, (x,), (b,), lambda out: out, "riemann_middle", n)
    assert isinstance(exact.attributions, Tensor)
    assert ((dense - exact.attributions)[0].abs() <= variation / n + 1e-11).all()


# ------------------------------------------------------------------ closed forms and theorems


def test_closed_forms() -> None:
    def function(x: Tensor) -> Tensor:
        return F.relu(x @ torch.tensor([1.0, 2.0], dtype=torch.float64))

    one = torch.ones(1, 2, dtype=torch.float64)
    exact = piecewise_linear(function, one)
    assert exact.attributions.tolist() == [[1.0, 2.0]]
    assert exact.residual.tolist() == [0.0]
    assert exact.breakpoints[0].tolist() == []
    shifted = piecewise_linear(lambda x: function(x - 1 / 3), one)  # the kink falls on alpha = 1/3
    assert shifted.attributions[0].tolist() == pytest.approx([2 / 3, 4 / 3], abs=1e-15)
    assert shifted.breakpoints[0].tolist() == pytest.approx([1 / 3], abs=1e-15)


@few
@given(seeds, st.integers(1, 6), st.lists(st.integers(1, 24), min_size=1, max_size=3))
def test_equals_the_sum_over_pieces_found_layer_by_layer(seed: int, features: int, hidden: list[int]) -> None:
    """`relu_network` knows its own layers, and finds its pieces from them."""
    network = relu_network(seed, features, *hidden)
    x, b = draw(seed + 7, features), draw(seed + 8, features)
    exact = piecewise_linear(network, x[None], baselines=b[None])
    assert difference(exact.attributions[0], network.exact(x, b)) <= ROUNDING
    # Both count every unit that passes its kink, also one that changes nothing.
    assert len(exact.breakpoints[0]) == len(network.pieces(x, b)[0]) - 1


@few
@given(seeds, st.sampled_from([nn.ReLU(), nn.LeakyReLU(0.1), nn.ReLU6(), nn.Hardtanh(), nn.PReLU()]))
def test_completeness(seed: int, activation: nn.Module) -> None:
    model = mlp(seed, 5, 16, 12, 3, activation=activation)
    x, b = draw(seed + 7, 2, 5), draw(seed + 8, 2, 5)
    exact = piecewise_linear(model, x, baselines=b, target=1)
    delta = exact.attributions.sum(1) - (model(x) - model(b))[:, 1]
    assert (delta.abs() <= ROUNDING * exact.attributions.abs().sum(1)).all()
    assert (exact.residual <= ROUNDING).all()


@few
@given(seeds)
def test_without_biases_from_zero_it_is_input_times_gradient(seed: int) -> None:
    model = mlp(seed, 6, 20, 10, 1, bias=False)
    x = draw(seed + 7, 1, 6).requires_grad_()
    (gradient,) = torch.autograd.grad(model(x).sum(), x)
    exact = piecewise_linear(model, x)
    assert exact.breakpoints[0].tolist() == []
    assert difference(exact.attributions, (x * gradient).detach()) <= ROUNDING


def test_a_network_of_usual_size_is_added_up_to_rounding() -> None:
    model = mlp(0, 64, 256, 128, 64, 10)
    exact = piecewise_linear(model, draw(1, 1, 64), target=3)
    assert len(exact.breakpoints[0]) > 50
    assert float(exact.residual) <= 1e-13
    alphas = exact.breakpoints[0]
    assert (alphas.diff() > 0).all()
    assert alphas[0] > 0
    assert alphas[-1] < 1


# ------------------------------------------------------------------ beside dense sampling


@few
@given(seeds)
def test_agrees_with_dense_sampling_on_mlps(seed: int) -> None:
    model = mlp(seed, 5, 16, 12, 1)
    x, b = draw(seed + 7, 1, 5), draw(seed + 8, 1, 5)
    check_against_dense_sampling(lambda x: model(x)[:, 0], x, b, piecewise_linear(model, x, baselines=b))


@few
@given(seeds)
def test_agrees_with_dense_sampling_on_residual_networks_with_pooling(seed: int) -> None:
    model = Residual(seed)
    x, b = draw(seed + 7, 1, 1, 8, 8), draw(seed + 8, 1, 1, 8, 8)
    exact = piecewise_linear(model, x, baselines=b, target=2)
    assert float(exact.residual) <= ROUNDING
    assert len(exact.breakpoints[0]) > 20
    check_against_dense_sampling(lambda x: model(x)[:, 2], x, b, exact, n=200)


OPERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": lambda x: x.abs(),
    "clamp, one bound": lambda x: x.clamp(max=0.2),
    "clamp, two bounds": lambda x: x.clamp(-0.3, 0.4),
    "clamp, tensors": lambda x: torch.clamp(x, x.new_tensor(-0.1), x.new_full((8,), 0.2)),
    "clamp_min, in place": lambda x: (x * 1).clamp_min_(0.1),
    "relu, in place": lambda x: F.relu(x * 1, inplace=True),
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "hardtanh": lambda x: F.hardtanh(x, -0.5, 0.25),
    "threshold": lambda x: F.threshold(x, 0.2, 0.2),
    "prelu": lambda x: F.prelu(x, x.new_tensor([0.3])),
    "softshrink": lambda x: F.softshrink(x, 0.3),
    "where": lambda x: torch.where(x > 0.1, 2 * (x - 0.1), 0.1 - x),
    "maximum": lambda x: torch.maximum(x, x.roll(1, 1)),
    "minimum": lambda x: torch.minimum(x, x.roll(1, 1)),
    "max of all, a dimension": lambda x: x.max(dim=1, keepdim=True).values,
    "min of a dimension": lambda x: x.view(-1, 2, 4).min(1)[0],
    "amax": lambda x: x.view(-1, 2, 4).amax((1, 2))[:, None],
    "amin": lambda x: x.view(-1, 2, 4).amin(-1),
    "masked amax": lambda x: x.masked_fill(torch.arange(8) == 2, -math.inf).amax(1, keepdim=True),
    "max_pool1d": lambda x: F.max_pool1d(x[:, None], 3, stride=2, padding=1)[:, 0],
    "max_pool2d": lambda x: F.max_pool2d(x.view(-1, 1, 2, 4), 2, stride=1, ceil_mode=True).flatten(1),
    "max_pool3d": lambda x: F.max_pool3d(x.view(-1, 1, 2, 2, 2), 2).flatten(1),
    "adaptive_max_pool1d": lambda x: F.adaptive_max_pool1d(x[:, None], 3)[:, 0],
    "maxout": lambda x: x.unflatten(1, (4, 2)).max(-1).values,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_kinks_of_each_operation_are_found(name: str) -> None:
    mix = draw(3, 8, 8) / 8**0.5

    def function(x: Tensor) -> Tensor:
        hidden = OPERATIONS[name](F.linear(x, mix))
        return hidden @ torch.linspace(-1, 2, hidden.shape[1], dtype=torch.float64)

    x, b = 2 * draw(5, 1, 8), 2 * draw(6, 1, 8)
    exact = piecewise_linear(function, x, baselines=b)
    assert len(exact.breakpoints[0]) >= 1
    assert float(exact.residual) <= ROUNDING
    check_against_dense_sampling(function, x, b, exact)


# ------------------------------------------------------------------ refusals


def attention(x: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(x, x, x)


SMOOTH: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": lambda x: x.tanh().sum(1),
    "gelu after relu": lambda x: F.gelu(x.relu()).sum(1),
    "softmax": lambda x: x.softmax(1)[:, 0],
    "product": lambda x: (x.relu() * x.flip(1)).sum(1),
    "square": lambda x: (x**2).sum(1),
    "layer norm": lambda x: F.layer_norm(x, (4,))[:, 0],
    "a step": lambda x: (x + (x > 0.1)).sum(1),
    "attention": lambda x: attention(x.view(-1, 2, 2))[:, 0, 0],
}


@pytest.mark.parametrize("name", SMOOTH)
def test_what_is_not_linear_in_pieces_is_refused(name: str) -> None:
    x = torch.tensor([[1.0, -2.0, 0.5, 1.5]], dtype=torch.float64)
    with pytest.raises(NotPiecewiseLinearError, match="not piecewise linear") as error:
        piecewise_linear(SMOOTH[name], x, baselines=draw(3, 1, 4))
    assert isinstance(error.value, IGError)
    assert isinstance(error.value, ValueError)


@few
@given(seeds)
def test_smooth_networks_are_refused(seed: int) -> None:
    model = Scores([(4,)], activation=F.silu, seed=seed)
    with pytest.raises(NotPiecewiseLinearError):
        piecewise_linear(model, draw(seed + 7, 1, 4), baselines=draw(seed + 8, 1, 4))


def test_kinks_that_are_not_known_are_refused() -> None:
    x, b = torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.tensor([[0.0, 0.8]], dtype=torch.float64)
    with pytest.raises(NotPiecewiseLinearError, match="sorting"):
        piecewise_linear(lambda x: x.sort(1).values[:, 0], x, baselines=b)


def test_decisions_are_refused() -> None:
    def function(x: Tensor) -> Tensor:
        return x.sum(1) if float(x.sum().detach()) < 0.7 else x.sum(1).relu()

    with pytest.raises(NotPiecewiseLinearError, match="other operations"):
        piecewise_linear(function, torch.ones(1, 3, dtype=torch.float64))


def test_too_many_pieces_are_refused() -> None:
    model = mlp(0, 4, 32, 1)
    x, b = draw(1, 1, 4), draw(2, 1, 4)
    pieces = len(piecewise_linear(model, x, baselines=b).breakpoints[0]) + 1
    assert len(piecewise_linear(model, x, baselines=b, max_pieces=pieces).breakpoints[0]) == pieces - 1
    with pytest.raises(NotPiecewiseLinearError, match="max_pieces"):
        piecewise_linear(model, x, baselines=b, max_pieces=pieces - 1)


def test_float32_is_refused() -> None:
    model = mlp(0, 4, 8, 1)
    with pytest.raises(ArgumentTypeError, match=r"inputs\.double\(\)"):
        piecewise_linear(model, torch.ones(1, 4))
    with pytest.raises(OutputError, match="float32"):
        piecewise_linear(lambda x: model(x).float(), torch.ones(1, 4, dtype=torch.float64))


def test_other_errors_are_those_of_attribute() -> None:
    x = draw(0, 1, 1, 8, 8)
    with pytest.raises(TrainingModeError):
        piecewise_linear(Residual(0).train(), x, target=0)
    with pytest.raises(ArgumentValueError, match="out of range"):
        piecewise_linear(Residual(0), x, target=7)


# ------------------------------------------------------------------ inputs and options


def test_tuples_of_inputs() -> None:
    model = Scores([(3,), (2, 2)], activation=F.relu, seed=4)
    whole = Scores([(7,)], activation=F.relu, seed=4)
    one, two = draw(1, 2, 3), draw(2, 2, 2, 2)
    exact = piecewise_linear(model, (one, two), baselines=(0.5, None))
    assert isinstance(exact.attributions, tuple)
    assert [a.shape for a in exact.attributions] == [one.shape, two.shape]
    baseline = torch.tensor([[0.5] * 3 + [0.0] * 4], dtype=torch.float64)
    joined = piecewise_linear(whole, torch.cat([one, two.flatten(1)], dim=1), baselines=baseline)
    parts = torch.cat([a.flatten(1) for a in exact.attributions], dim=1)
    assert difference(parts, joined.attributions) <= ROUNDING


def test_each_example_of_a_batch_is_as_if_alone() -> None:
    model = Residual(3)
    x, b, targets = draw(1, 3, 1, 8, 8), draw(2, 3, 1, 8, 8), [0, 2, 1]
    together = piecewise_linear(model, x, baselines=b, target=targets)
    assert len(together.breakpoints) == len(together.residual) == 3
    for i, target in enumerate(targets):
        alone = piecewise_linear(model, x[i : i + 1], baselines=b[i : i + 1], target=target)
        assert difference(together.attributions[i], alone.attributions[0]) <= ROUNDING
        torch.testing.assert_close(together.breakpoints[i], alone.breakpoints[0], rtol=0, atol=ROUNDING)


def test_rows_may_be_laid_out_in_any_way() -> None:
    model = mlp(0, 3, 12, 1)

    def positions_first(x: Tensor) -> Tensor:
        return model(x.transpose(0, 1).reshape(-1, 3)).view(4, -1).sum(0)

    x, b = draw(1, 2, 4, 3), draw(2, 2, 4, 3)
    exact = piecewise_linear(positions_first, x, baselines=b)
    alone = piecewise_linear(model, x.flatten(0, 1), baselines=b.flatten(0, 1))
    assert difference(exact.attributions.flatten(0, 1), alone.attributions) <= ROUNDING


def test_additional_arguments_follow_their_example() -> None:
    x, shift = draw(1, 2, 3), draw(2, 2, 3)
    exact = piecewise_linear(lambda x, s: (x + s).relu().sum(1), x, additional_forward_args=shift)
    expected = ((x + shift).relu() - shift.relu()).double()
    assert difference(exact.attributions, expected) <= ROUNDING


def test_without_the_factor() -> None:
    model = mlp(2, 4, 16, 1)
    x, b = draw(1, 1, 4), draw(2, 1, 4)
    slopes = piecewise_linear(model, x, baselines=b, multiply_by_inputs=False)
    exact = piecewise_linear(model, x, baselines=b)
    assert difference(slopes.attributions * (x - b), exact.attributions) <= ROUNDING
    assert slopes.residual.tolist() == exact.residual.tolist()


def test_the_model_is_left_as_it_was() -> None:
    model = Residual(1)
    before, x = copy.deepcopy(model.state_dict()), draw(1, 1, 1, 8, 8)
    kept, state = x.clone(), torch.get_rng_state()
    piecewise_linear(model, x, target=0)
    assert torch.equal(x, kept)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_function_that_stays_level_has_no_attribution() -> None:
    exact = piecewise_linear(lambda x: x.relu().sum(1) + 5, -torch.ones(1, 3, dtype=torch.float64))
    assert exact.attributions.tolist() == [[0.0] * 3]
    assert exact.residual.tolist() == [0.0]
    assert repr(exact) == "ExactAttribution(0 breakpoints, residual 0.0e+00)"
