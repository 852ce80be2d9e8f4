"""What is true of Integrated Gradients, on generated models.

Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks (2017), sections 2 to 4.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import attribute
from tests.engine.subjects import (
    METHODS,
    Scores,
    draw,
    few,
    methods,
    relative,
    relu_network,
    seeds,
    smallest,
    waves,
)

batches = st.integers(1, 3)
widths = st.integers(1, 5)
steps = st.integers(1, 24)
ROUNDING = 1e-12


# ------------------------------------------------------------------ exact answers


@few
@given(seeds, batches, widths, methods, steps)
def test_error_on_smooth_models_is_within_the_textbook_bound(
    seed: int, batch: int, features: int, method: str, n: int
) -> None:
    """So it falls as 1/n (left, right), 1/n^2 (middle, trapezoid), and faster than any power (Gauss-Legendre)."""
    n = max(n, smallest(method))
    wave = waves(seed, batch, features)
    result = attribute(wave, wave.x, baselines=wave.b, method=method, n_steps=n)
    bound, exact = wave.rule_bound(method, n), wave.exact()
    rounding = ROUNDING * wave.slope_bound(0).sum(1)
    assert ((result.attributions - exact).abs() <= bound + rounding[:, None]).all()
    assert (result.convergence_delta.abs() <= bound.sum(1) + rounding).all()


@few
@given(seeds, batches, widths)
def test_completeness_is_reached_to_rounding_on_smooth_models(seed: int, batch: int, features: int) -> None:
    wave = waves(seed, batch, features)
    turns = int(wave.turns.abs().max())
    result = attribute(wave, wave.x, baselines=wave.b, method="gausslegendre", n_steps=20 + 2 * turns)
    assert relative(result.attributions, wave.exact()) <= 1e-11
    assert (result.convergence_delta.abs() <= 1e-11 * wave.slope_bound(0).sum(1)).all()


@few
@given(seeds, widths, methods, st.integers(1, 200))
def test_error_on_relu_networks_is_within_variation_times_widest_piece(
    seed: int, features: int, method: str, n: int
) -> None:
    """A sample is off by the variation of the slope in its piece at most, so every rule converges."""
    n = max(n, smallest(method))
    network = relu_network(seed, features, 12, 8)
    x, b = draw(seed + 7, features), draw(seed + 8, features)
    result = attribute(network, x[None], baselines=b[None], method=method, n_steps=n)
    widest = float((rules.nodes(method, n).weights).max())
    bound = network.variation(x, b) * widest + 1e-11
    assert ((result.attributions[0] - network.exact(x, b)).abs() <= bound).all()
    assert float(result.convergence_delta.abs()) <= float(bound.sum())


@few
@given(seeds, widths)
def test_the_oracle_of_relu_networks_is_complete(seed: int, features: int) -> None:
    network = relu_network(seed, features, 12, 8)
    x, b = draw(seed + 7, features), draw(seed + 8, features)
    difference = network(x[None]) - network(b[None])
    assert float((network.exact(x, b).sum() - difference).abs()) <= 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_completeness_goes_to_zero_on_a_deep_relu_network(method: str) -> None:
    network = relu_network(5, 16, 64, 64, 32)
    x, b = draw(1, 16), draw(2, 16)
    assert len(network.pieces(x, b)[0]) > 30
    errors = []
    for n in (4, 64, 512):
        result = attribute(network, x[None], baselines=b[None], method=method, n_steps=n)
        errors.append(relative(result.attributions[0], network.exact(x, b)))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.02


@few
@given(seeds, widths, st.sampled_from([m for m in METHODS if m != "riemann_left"]), steps)
def test_without_bias_and_from_zero_it_is_input_times_gradient(seed: int, features: int, method: str, n: int) -> None:
    """Such a ReLU network is linear on the ray from zero. (A left sum asks at zero itself, on every kink at once.)"""
    n = max(n, smallest(method)) if method != "riemann_trapezoid" else 2
    if method == "riemann_trapezoid":
        method = "riemann_middle"  # its first point is zero as well
    network = relu_network(seed, features, 9, 7, bias=False)
    x = draw(seed + 7, 1, features).requires_grad_()
    (gradient,) = torch.autograd.grad(network(x).sum(), x)
    result = attribute(network, x, method=method, n_steps=n)
    torch.testing.assert_close(result.attributions, (x * gradient).detach(), rtol=1e-12, atol=1e-12)


@few
@given(seeds, batches, widths, methods, steps)
def test_linear_models_are_exact_for_every_rule(seed: int, batch: int, features: int, method: str, n: int) -> None:
    n = max(n, smallest(method))
    w, x, b = draw(seed, features), draw(seed + 1, batch, features), draw(seed + 2, batch, features)
    result = attribute(lambda at: at @ w + 3, x, baselines=b, method=method, n_steps=n)
    scale = float((w.abs() * (x - b).abs()).sum()) + 3
    assert ((result.attributions - (x - b) * w).abs() <= ROUNDING * scale).all()
    assert (result.convergence_delta.abs() <= ROUNDING * scale).all()


@few
@given(seeds, st.integers(1, 8), st.data())
def test_gausslegendre_is_exact_on_polynomials(seed: int, n: int, data: st.DataObject) -> None:
    """F of degree 2n has a gradient of degree 2n - 1, which n points integrate exactly."""
    degree = data.draw(st.integers(1, 2 * n))
    w, x, b = draw(seed, 3), draw(seed + 1, 2, 3), draw(seed + 2, 2, 3)
    w = w / w.norm()
    result = attribute(lambda at: (at @ w) ** degree, x, baselines=b, method="gausslegendre", n_steps=n)
    end, start = x @ w, b @ w
    # The mean of t^k over [start, end], written as a sum that has no 0/0.
    mean = sum(end**i * start ** (degree - 1 - i) for i in range(degree)) / degree
    exact = (x - b) * (degree * mean)[:, None] * w
    scale = degree * float(torch.maximum(end.abs(), start.abs()).max().clamp(min=1)) ** degree
    assert ((result.attributions - exact).abs() <= 1e-12 * scale * (x - b).abs().max()).all()


def test_gausslegendre_is_not_exact_one_degree_further() -> None:
    x = torch.ones(1, 1, dtype=torch.float64)
    exact = attribute(lambda at: at[:, 0] ** 6, x, method="gausslegendre", n_steps=3)
    further = attribute(lambda at: at[:, 0] ** 7, x, method="gausslegendre", n_steps=3)
    assert abs(float(exact.convergence_delta)) < 1e-14
    assert abs(float(further.convergence_delta)) > 1e-3


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("riemann_left", "riemann_trapezoid")])
@pytest.mark.parametrize("n", [1, 2, 50])
def test_relu_of_x1_and_twice_x2(method: str, n: int) -> None:
    result = attribute(lambda x: F.relu(x[:, 0] + 2 * x[:, 1]), torch.ones(1, 2), method=method, n_steps=n)
    torch.testing.assert_close(result.attributions, torch.tensor([[1.0, 2.0]]))
    torch.testing.assert_close(result.convergence_delta, torch.zeros(1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("method", ["riemann_left", "riemann_trapezoid"])
def test_relu_of_x1_and_twice_x2_where_the_kink_is_a_sample(method: str) -> None:
    """torch takes the slope 0 at a ReLU's kink, so these lack the weight of their first point, and no more."""
    n = 64
    weight = rules.nodes(method, n).weights[0]
    result = attribute(lambda x: F.relu(x[:, 0] + 2 * x[:, 1]), torch.ones(1, 2), method=method, n_steps=n)
    torch.testing.assert_close(result.attributions, (1 - weight) * torch.tensor([[1.0, 2.0]]))


# ------------------------------------------------------------------ axioms


@few
@given(seeds, methods, steps, st.floats(-3, 3), st.floats(-3, 3))
def test_linearity_in_f(seed: int, method: str, n: int, a: float, c: float) -> None:
    n = max(n, smallest(method))
    f, g = Scores([(4,)], seed=seed), Scores([(4,)], seed=seed + 50, activation=F.softplus)
    x, b = draw(seed + 3, 2, 4), draw(seed + 4, 2, 4)

    def of(function: object) -> Tensor:
        return attribute(function, x, baselines=b, method=method, n_steps=n).attributions  # type: ignore[arg-type,return-value]

    both = of(lambda at: a * f(at) + c * g(at))
    torch.testing.assert_close(both, a * of(f) + c * of(g), rtol=0, atol=1e-12)


@few
@given(seeds, methods, steps)
def test_implementation_invariance(seed: int, method: str, n: int) -> None:
    """Two programs for one function get one attribution."""
    n = max(n, smallest(method))
    one = Scores([(4,)], seed=seed)
    x, b = draw(seed + 3, 2, 4), draw(seed + 4, 2, 4)
    rewritten = [
        Scores([(4,)], seed=seed, activation=lambda h: 2 * torch.sigmoid(2 * h) - 1),
        lambda at: torch.stack(
            [(one.outer[0, k] * torch.tanh(at @ one.inner[k] + one.shift[k])) for k in range(6)]
        ).sum(0),
        torch.nn.Sequential(torch.nn.Identity(), one),
    ]
    expected = attribute(one, x, baselines=b, method=method, n_steps=n).attributions
    for other in rewritten:
        got = attribute(other, x, baselines=b, method=method, n_steps=n).attributions  # type: ignore[arg-type]
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


@few
@given(seeds, methods, steps)
def test_symmetry(seed: int, method: str, n: int) -> None:
    n = max(n, smallest(method))
    model = Scores([(4,)], seed=seed)
    x, b = draw(seed + 3, 2, 4), draw(seed + 4, 2, 4)
    x[:, 2], b[:, 2] = x[:, 1], b[:, 1]
    swap = torch.tensor([0, 2, 1, 3])
    maps = attribute(lambda at: model(at) + model(at[:, swap]), x, baselines=b, method=method, n_steps=n).attributions
    torch.testing.assert_close(maps[:, 1], maps[:, 2], rtol=0, atol=1e-12)


@few
@given(seeds, methods, steps)
def test_what_f_ignores_and_what_does_not_change_gets_nothing(seed: int, method: str, n: int) -> None:
    n = max(n, smallest(method))
    model = Scores([(5,)], seed=seed)
    model.inner.data[:, 1] = 0
    x, b = draw(seed + 3, 2, 5), draw(seed + 4, 2, 5)
    b[:, 3] = x[:, 3]
    maps = attribute(model, x, baselines=b, method=method, n_steps=n).attributions
    assert (maps[:, [1, 3]] == 0).all()
    assert (maps[:, [0, 2, 4]] != 0).all()


@few
@given(seeds)
def test_a_feature_that_alone_changes_gets_all(seed: int) -> None:
    model = Scores([(5,)], seed=seed)
    x = draw(seed + 3, 2, 5)
    b = x.clone()
    b[:, 3] += 1
    result = attribute(model, x, baselines=b, method="gausslegendre", n_steps=32)
    assert (result.attributions[:, [0, 1, 2, 4]] == 0).all()
    torch.testing.assert_close(result.attributions[:, 3], (model(x) - model(b)).detach(), rtol=0, atol=1e-10)


@few
@given(seeds, methods, steps)
def test_units_of_the_inputs_do_not_matter(seed: int, method: str, n: int) -> None:
    """Metres or feet, Celsius or Fahrenheit: an affine change of each feature changes nothing."""
    n = max(n, smallest(method))
    model = Scores([(4,)], seed=seed)
    x, b = draw(seed + 3, 2, 4), draw(seed + 4, 2, 4)
    scale, shift = draw(seed + 5, 4).exp(), draw(seed + 6, 4)
    expected = attribute(model, x, baselines=b, method=method, n_steps=n).attributions
    other = attribute(
        lambda at: model((at - shift) / scale), x * scale + shift, baselines=b * scale + shift, method=method, n_steps=n
    ).attributions
    torch.testing.assert_close(other, expected, rtol=0, atol=1e-11)


@few
@given(seeds, methods, steps)
def test_the_way_back_is_the_negative(seed: int, method: str, n: int) -> None:
    n = max(n, smallest(method))
    mirrored = {"riemann_left": "riemann_right", "riemann_right": "riemann_left"}.get(method, method)
    model = Scores([(4,)], seed=seed)
    x, b = draw(seed + 3, 2, 4), draw(seed + 4, 2, 4)
    there = attribute(model, x, baselines=b, method=method, n_steps=n)
    back = attribute(model, b, baselines=x, method=mirrored, n_steps=n)
    torch.testing.assert_close(there.attributions, -back.attributions, rtol=0, atol=1e-12)
    torch.testing.assert_close(there.convergence_delta, -back.convergence_delta, rtol=0, atol=1e-12)
    torch.testing.assert_close(there.output, back.baseline_output, rtol=0, atol=1e-12)


# ------------------------------------------------------------------ what must not matter


@few
@given(seeds, batches, methods, steps, st.sampled_from([torch.float32, torch.float64]))
def test_chunks_change_nothing(seed: int, batch: int, method: str, n: int, dtype: torch.dtype) -> None:
    n = max(n, smallest(method))
    model = Scores([(4,)], (3,), seed=seed).to(dtype)
    x, b = draw(seed + 3, batch, 4, dtype=dtype), draw(seed + 4, batch, 4, dtype=dtype)
    results = [
        attribute(model, x, baselines=b, target=1, method=method, n_steps=n, chunk_size=size) for size in (1, 7, None)
    ]
    bound = 1e-6 if dtype == torch.float32 else 1e-13
    for other in results[1:]:
        assert relative(other.attributions, results[0].attributions) <= bound
        assert relative(other.path.density, results[0].path.density) <= bound


@few
@given(seeds, st.integers(2, 4), methods, steps)
def test_a_batch_is_its_examples_alone(seed: int, batch: int, method: str, n: int) -> None:
    n = max(n, smallest(method))
    model = Scores([(3,), (2, 2)], (4,), seed=seed)
    xs = (draw(seed + 3, batch, 3), draw(seed + 4, batch, 2, 2))
    bs = (draw(seed + 5, batch, 3), draw(seed + 6, batch, 2, 2))
    targets = [(seed + i) % 4 for i in range(batch)]
    together = attribute(model, xs, baselines=bs, target=targets, method=method, n_steps=n)
    for i, target in enumerate(targets):
        row = slice(i, i + 1)
        alone = attribute(
            model,
            tuple(x[row] for x in xs),
            baselines=tuple(b[row] for b in bs),
            target=target,
            method=method,
            n_steps=n,
        )
        for whole, single in zip(together.attributions, alone.attributions, strict=True):
            torch.testing.assert_close(whole[row], single, rtol=0, atol=1e-12)
        for name in ("convergence_delta", "output", "baseline_output"):
            torch.testing.assert_close(getattr(together, name)[row], getattr(alone, name), rtol=0, atol=1e-12)
        torch.testing.assert_close(together.path.outputs[row], alone.path.outputs, rtol=0, atol=1e-12)
        torch.testing.assert_close(together.path.density[row], alone.path.density, rtol=0, atol=1e-12)


@few
@given(seeds, methods, steps)
def test_without_multiplying_by_inputs_it_is_the_mean_gradient(seed: int, method: str, n: int) -> None:
    n = max(n, smallest(method))
    model = Scores([(4,)], seed=seed)
    x, b = draw(seed + 3, 2, 4), draw(seed + 4, 2, 4)
    options = {"baselines": b, "method": method, "n_steps": n, "chunk_size": 4}
    full = attribute(model, x, **options)  # type: ignore[arg-type]
    mean = attribute(model, x, **options, multiply_by_inputs=False)  # type: ignore[arg-type]
    torch.testing.assert_close(mean.attributions * (x - b), full.attributions, rtol=0, atol=1e-13)
    torch.testing.assert_close(mean.convergence_delta, full.convergence_delta, rtol=0, atol=1e-13)
    assert torch.equal(mean.path.density, full.path.density)


@few
@given(seeds, methods, steps)
def test_the_default_dtype_does_not_matter(seed: int, method: str, n: int) -> None:
    n = max(n, smallest(method))
    model = Scores([(4,)], seed=seed).float()
    x = draw(seed + 3, 2, 4, dtype=torch.float32)
    expected = attribute(model, x, method=method, n_steps=n, chunk_size=4)
    torch.set_default_dtype(torch.float64)
    try:
        got = attribute(model, x, method=method, n_steps=n, chunk_size=4)
    finally:
        torch.set_default_dtype(torch.float32)
    assert got.attributions.dtype == torch.float32
    assert torch.equal(got.attributions, expected.attributions)
    assert torch.equal(got.convergence_delta, expected.convergence_delta)
