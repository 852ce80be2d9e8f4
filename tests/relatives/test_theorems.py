"""What is true of the relatives of IG, on generated models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ig_widgets import relatives
from ig_widgets.engine.attribution import Attribution, attribute
from tests.engine.subjects import ConvScores, Scores, draw, relative, relu_network, seeds

few = settings(max_examples=6)

shares = st.floats(0.01, 0.5)

# Name, options that make it quick, whether it is linear in F, whether it is complete (to rounding, or by chance).
LINEAR = {
    "gradient": {},
    "input_x_gradient": {},
    "smoothgrad": {"n_samples": 5, "seed": 3},
    "expected_gradients": {"n_samples": 7, "seed": 3},
    "gradient_shap": {"n_samples": 7, "seed": 3, "sigma": 0.2},
    "blur_integrated_gradients": {"method": "gausslegendre", "n_steps": 6, "sigma": 2.0},
    "smooth_integrated_gradients": {"method": "gausslegendre", "n_steps": 4, "n_samples": 3, "seed": 3},
}
OTHERS: dict[str, dict[str, Any]] = {
    "smoothgrad_squared": {"n_samples": 5},
    "vargrad": {"n_samples": 5},
    "deeplift": {},
    "guided_integrated_gradients": {"n_knots": 4, "method": "gausslegendre", "n_steps": 5},
    "idgi": {"n_steps": 9},
}
ALL = LINEAR | OTHERS


def call(name: str, model: Callable[..., Tensor], inputs: Any, **options: Any) -> Attribution:
    result: Attribution = getattr(relatives, name)(model, inputs, **ALL[name], **options)
    return result


@pytest.mark.parametrize("name", LINEAR)
@few
@given(seeds)
def test_linear_in_f(name: str, seed: int) -> None:
    one, other = (ConvScores(seed=seed + k) for k in (0, 50))
    x = draw(seed, 2, 3, 6, 6)
    both = call(name, lambda x: 2 * one(x) - 3 * other(x), x)
    apart = 2 * call(name, one, x).attributions - 3 * call(name, other, x).attributions
    assert relative(both.attributions, apart) <= 1e-11


# A blur tells places apart, a search breaks ties by place, and under noise features are alike only on average.
ALIKE = ALL.keys() - {
    "blur_integrated_gradients",
    "guided_integrated_gradients",
    "gradient_shap",
    "smooth_integrated_gradients",
}


@pytest.mark.parametrize("name", sorted(ALIKE))
@few
@given(seeds)
def test_features_that_f_treats_alike_get_the_same_where_their_values_are_alike(name: str, seed: int) -> None:
    """SmoothGrad and its kin without noise."""
    model = Scores([(4,)], seed=seed)
    x = draw(seed, 1, 3, 4)
    x[0, :, 1] = x[0, :, 0]

    def symmetric(z: Tensor) -> Tensor:
        swapped = z[..., [1, 0, 2, 3]]
        return (model(z.sum(1)) + model(swapped.sum(1))).reshape(-1)

    options = {"sigma": 0.0} if name in ("smoothgrad", "smoothgrad_squared", "vargrad") else {}
    result = getattr(relatives, name)(symmetric, x, **(ALL[name] | options)).attributions
    assert relative(result[..., 0], result[..., 1]) <= 1e-9


@pytest.mark.parametrize("name", ["smoothgrad", "smoothgrad_squared", "vargrad"])
@few
@given(seeds)
def test_without_noise_it_is_the_gradient_its_square_and_no_variance(name: str, seed: int) -> None:
    model, x = Scores([(5,)], (3,), seed=seed), draw(seed, 2, 5)
    gradient = relatives.gradient(model, x, target=1).attributions
    found = getattr(relatives, name)(model, x, target=1, sigma=0.0, n_samples=4).attributions
    expected = {"smoothgrad": gradient, "smoothgrad_squared": gradient**2, "vargrad": torch.zeros_like(x)}[name]
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-15)


@few
@given(seeds, shares)
def test_variance_is_mean_square_less_squared_mean_and_never_negative(seed: int, sigma: float) -> None:
    model, x = Scores([(5,)], seed=seed), draw(seed, 2, 5)
    options: dict[str, Any] = {"sigma": sigma, "n_samples": 6, "seed": seed}
    mean, square, variance = (
        getattr(relatives, name)(model, x, **options).attributions
        for name in ("smoothgrad", "smoothgrad_squared", "vargrad")
    )
    assert torch.allclose(variance, square - mean**2, rtol=1e-9, atol=1e-12 * float(square.max()))
    assert bool((variance >= 0).all())


def test_variance_of_a_gradient_that_hardly_varies_is_not_negative() -> None:
    """E[g^2] - E[g]^2 is, in float32: 1e4 squared has no digits left for what varies by 1e-4."""
    x = torch.linspace(0, 1, 64)[None]
    found = relatives.vargrad(lambda z: (1e4 * z + 1e-4 * z**2).sum(1), x, n_samples=20)
    assert bool((found.attributions >= 0).all())


@few
@given(seeds)
def test_gradient_is_that_of_autograd_bit_for_bit(seed: int) -> None:
    model, x = relu_network(seed, 5), draw(seed, 3, 5)
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model(leaf).sum(), leaf)
    assert torch.equal(relatives.gradient(model, x).attributions, expected)
    times = relatives.input_x_gradient(model, x, baselines=0.5).attributions
    assert torch.equal(times, expected * (x - 0.5))


@few
@given(seeds)
def test_input_x_gradient_is_ig_where_f_has_no_biases(seed: int) -> None:
    network = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 1, bias=False)).double()
    for k, parameter in enumerate(network.parameters()):
        parameter.data = draw(seed + k, *parameter.shape)
    x = draw(seed, 2, 4)
    found = relatives.input_x_gradient(network, x)
    assert relative(found.attributions, attribute(network, x, method="secant", n_steps=3).attributions) <= 1e-10
    assert float(found.convergence_delta.abs().max()) <= 1e-12 * float(found.attributions.abs().sum())


@few
@given(seeds)
def test_deeplift_is_the_secant_rule_with_one_cell(seed: int) -> None:
    model, x, b = relu_network(seed, 5), draw(seed, 3, 5), draw(seed + 9, 3, 5)
    found = relatives.deeplift(model, x, baselines=b)
    assert torch.equal(found.attributions, attribute(model, x, baselines=b, method="secant", n_steps=1).attributions)


def test_networks_written_differently_have_one_ig_and_two_deeplifts() -> None:
    """|a| is relu(a) + relu(-a) and max(a, -a): the same function, other operations."""

    def one(z: Tensor) -> Tensor:
        return torch.relu(torch.relu(z[:, 0]) - torch.relu(z[:, 1] - 0.5))

    def other(z: Tensor) -> Tensor:
        # The same by cases: relu(relu(a) - relu(c)) is relu(relu(a)) where c < 0 and relu(a - c) elsewhere.
        a, c = z[:, 0], z[:, 1] - 0.5
        return torch.relu(torch.relu(a - torch.relu(c)))

    x, b = torch.tensor([[2.0, 1.5]], dtype=torch.float64), torch.tensor([[-0.7, -0.2]], dtype=torch.float64)
    grid = torch.cat([x, b, draw(1, 500, 2)])
    assert torch.equal(one(grid), other(grid))
    igs = [attribute(f, x, baselines=b, tol=1e-3) for f in (one, other)]
    limit = sum(float(r.error_estimate) * float(r.attributions.norm()) for r in igs)
    assert float((igs[0].attributions - igs[1].attributions).norm()) <= limit + 1e-12
    lifts = [relatives.deeplift(f, x, baselines=b).attributions for f in (one, other)]
    assert relative(lifts[0], lifts[1]) > 0.01


@pytest.mark.parametrize("name", ["input_x_gradient", "deeplift", "idgi", "guided_integrated_gradients"])
@few
@given(seeds)
def test_where_the_input_is_the_baseline_nothing_is_attributed(name: str, seed: int) -> None:
    x = draw(seed, 2, 5)
    b = x.clone()
    b[:, 2:] = 0.3
    result = call(name, Scores([(5,)], seed=seed), x, baselines=b)
    if name == "idgi":  # it knows gradients, not differences
        assert bool((result.attributions[:, :2] != 0).any())
    else:
        assert float(result.attributions[:, :2].abs().max()) == 0


@pytest.mark.parametrize("name", ["deeplift", "idgi", "guided_integrated_gradients", "blur_integrated_gradients"])
@few
@given(seeds)
def test_delta_is_the_sum_less_the_difference_of_f(name: str, seed: int) -> None:
    model, x = ConvScores(seed=seed), draw(seed, 2, 3, 6, 6)
    result = call(name, model, x)
    assert torch.allclose(result.output, model(x).reshape(-1))
    expected = result.attributions.flatten(1).sum(1) - (result.output - result.baseline_output)
    assert torch.allclose(result.convergence_delta, expected, atol=1e-12)


@pytest.mark.parametrize("name", ["deeplift", "idgi"])
@few
@given(seeds)
def test_complete_by_construction(name: str, seed: int) -> None:
    model, x = relu_network(seed, 5), draw(seed, 2, 5)
    result = call(name, model, x, baselines=draw(seed + 1, 2, 5))
    assert float(result.convergence_delta.abs().max()) <= 1e-11 * (1 + float(result.attributions.abs().sum()))


@pytest.mark.parametrize("name", ["gradient", "smoothgrad", "smoothgrad_squared", "vargrad"])
def test_no_delta_where_completeness_is_not_claimed(name: str) -> None:
    result = call(name, Scores([(5,)]), draw(0, 2, 5))
    assert result.convergence_delta is None
    assert result.baseline_output is None
    assert result.path is None
    assert "delta" not in repr(result)


def test_gradient_shap_under_noise_claims_no_completeness() -> None:
    assert call("gradient_shap", Scores([(5,)]), draw(0, 2, 5)).convergence_delta is None
