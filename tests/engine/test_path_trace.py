"""PathTrace: the samples along alpha, and sums of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution, attribute, make_attribution, make_samples
from ig_widgets.engine.errors import ArgumentValueError
from tests.engine.subjects import METHODS, Counting, Scores, draw, few, methods, seeds, smallest, waves

batches = st.integers(1, 3)
steps = st.integers(1, 20)


def of_waves(seed: int, batch: int, method: str, n: int, **options: object) -> tuple[object, Attribution]:
    wave = waves(seed, batch, 4)
    return wave, attribute(wave, wave.x, baselines=wave.b, method=method, n_steps=n, **options)  # type: ignore[arg-type]


@few
@given(seeds, batches, methods, steps)
def test_samples_sit_where_the_rule_says(seed: int, batch: int, method: str, n: int) -> None:
    n = max(n, smallest(method))
    _, result = of_waves(seed, batch, method, n)
    path, nodes = result.path, rules.nodes(method, n)
    assert path.alphas.shape == path.density.shape == (batch, n)
    assert path.edges.shape == (batch, n + 1)
    for tensor in (path.alphas, path.edges, path.density, path.output_alphas, path.outputs):
        assert tensor.dtype == torch.float64
        assert tensor.device.type == "cpu"
        assert not tensor.requires_grad
    for row in range(batch):
        np.testing.assert_array_equal(path.alphas[row].numpy(), nodes.alphas)
        np.testing.assert_array_equal(path.edges[row].numpy(), nodes.edges)


@few
@given(seeds, batches, methods, steps)
def test_density_is_the_slope_along_the_path(seed: int, batch: int, method: str, n: int) -> None:
    n = max(n, smallest(method))
    wave, result = of_waves(seed, batch, method, n)
    alphas = result.path.alphas
    at = wave.b[:, None] + alphas[..., None] * (wave.x - wave.b)[:, None]  # type: ignore[attr-defined]
    slope = torch.cos(at @ wave.w.T + wave.p) * wave.turns[:, None] @ wave.c  # type: ignore[attr-defined]
    torch.testing.assert_close(result.path.density, slope, rtol=0, atol=1e-11)


@few
@given(seeds, batches, methods, steps)
def test_outputs_are_f_along_the_path_with_both_ends(seed: int, batch: int, method: str, n: int) -> None:
    n = max(n, smallest(method))
    wave, result = of_waves(seed, batch, method, n)
    path = result.path
    assert path.outputs.shape == path.output_alphas.shape
    assert (path.output_alphas.diff(dim=1) > 0).all()
    assert (path.output_alphas[:, 0] == 0).all()
    assert (path.output_alphas[:, -1] == 1).all()
    assert set(path.alphas[0].tolist()) <= set(path.output_alphas[0].tolist())
    assert path.output_alphas.shape[1] <= n + 2
    at = wave.b[:, None] + path.output_alphas[..., None] * (wave.x - wave.b)[:, None]  # type: ignore[attr-defined]
    direct = wave(at.flatten(0, 1)).view(batch, -1)  # type: ignore[operator]
    torch.testing.assert_close(path.outputs, direct, rtol=0, atol=1e-12)
    torch.testing.assert_close(result.baseline_output, path.outputs[:, 0], rtol=0, atol=1e-12)
    torch.testing.assert_close(result.output, path.outputs[:, -1], rtol=0, atol=1e-12)


@few
@given(seeds, batches, methods, steps, st.booleans())
def test_density_sums_to_the_attributions(seed: int, batch: int, method: str, n: int, multiply: bool) -> None:
    n = max(n, smallest(method))
    wave, result = of_waves(seed, batch, method, n, multiply_by_inputs=multiply)
    total = (result.path.density * result.path.edges.diff(dim=1)).sum(1)
    factor = 1 if multiply else wave.x - wave.b  # type: ignore[attr-defined]
    torch.testing.assert_close(total, (result.attributions * factor).sum(1), rtol=0, atol=1e-12)
    torch.testing.assert_close(
        total - (result.output - result.baseline_output), result.convergence_delta, rtol=0, atol=1e-12
    )


@few
@given(seeds, batches, methods, steps, st.lists(st.floats(0, 1), min_size=1, max_size=4), st.booleans())
def test_cumulative_grows_from_nothing_to_the_attributions(
    seed: int, batch: int, method: str, n: int, alphas: list[float], multiply: bool
) -> None:
    n = max(n, smallest(method))
    _, result = of_waves(seed, batch, method, n, multiply_by_inputs=multiply)
    path = result.path
    assert (path.cumulative(0) == 0).all()
    assert torch.equal(path.cumulative(1), result.attributions)
    # Additive: what lies between two alphas is a sum over the pieces between them, here from samples alone.
    marks = [0.0, *sorted(alphas), 1.0]
    parts = [path.cumulative(high) - path.cumulative(low) for low, high in itertools.pairwise(marks)]
    torch.testing.assert_close(torch.stack(parts).sum(0), result.attributions, rtol=0, atol=1e-12)
    if multiply:
        for low, high in itertools.pairwise(marks):
            shares = path.edges.clamp(low, high).diff(dim=1)
            between = (path.cumulative(high) - path.cumulative(low)).sum(1)
            torch.testing.assert_close(between, (path.density * shares).sum(1), rtol=0, atol=1e-12)


@few
@given(seeds, methods, st.integers(2, 12), st.floats(0, 1))
def test_cumulative_is_linear_inside_a_piece(seed: int, method: str, n: int, share: float) -> None:
    _, result = of_waves(seed, 2, method, n)
    path = result.path
    for k in range(n):
        low, high = float(path.edges[0, k]), float(path.edges[0, k + 1])
        start, stop = path.cumulative(low), path.cumulative(high)
        inside = path.cumulative(min(low + share * (high - low), 1.0))
        torch.testing.assert_close(inside, start + share * (stop - start), rtol=0, atol=1e-12)


def test_cumulative_of_a_tuple_is_a_tuple() -> None:
    model = Scores([(3,), (2, 2)])
    inputs = (draw(1, 2, 3), draw(2, 2, 2, 2))
    result = attribute(model, inputs, n_steps=8)
    half = result.path.cumulative(0.5)
    assert isinstance(half, tuple)
    assert [h.shape for h in half] == [x.shape for x in inputs]
    assert all(torch.equal(c, a) for c, a in zip(result.path.cumulative(1), result.attributions, strict=True))
    single = attribute(model, (draw(1, 2, 7),), n_steps=8)
    assert isinstance(single.attributions, tuple)
    assert isinstance(single.path.cumulative(0.5), tuple)


@pytest.mark.parametrize("alpha", [-0.01, 1.01, float("nan")])
def test_cumulative_outside_the_path(alpha: float) -> None:
    _, result = of_waves(0, 1, "riemann_middle", 4)
    with pytest.raises(ArgumentValueError, match=r"alpha must lie in \[0, 1\]"):
        result.path.cumulative(alpha)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("chunk_size", [1, 7, None])
@pytest.mark.parametrize("batch", [1, 3])
def test_f_along_the_path_costs_no_extra_rows(method: str, chunk_size: int | None, batch: int) -> None:
    model = Counting(Scores([(4,)]))
    result = attribute(model, draw(3, batch, 4), method=method, n_steps=13, chunk_size=chunk_size)
    assert sum(model.with_gradient) == 13 * batch
    assert sum(model.without_gradient) <= 2 * batch
    rows = model.rows
    result.path.cumulative(0.3)
    assert repr(result)
    assert model.rows == rows


def test_a_changed_rule_costs_only_what_is_missing() -> None:
    """The one idea of the architecture: what was sampled is kept, and weighed anew."""
    model = Counting(Scores([(4,)]))
    x = draw(3, 2, 4)
    samples = make_samples(model, x)
    results = {}
    for method, n in [("riemann_left", 8), ("riemann_right", 8), ("riemann_trapezoid", 9), ("riemann_left", 16)]:
        nodes, before = rules.nodes(method, n), sum(model.with_gradient)
        missing = samples.missing(nodes.alphas)
        for _ in samples.extend(nodes.alphas):
            pass
        assert sum(model.with_gradient) - before == 2 * len(missing)
        assert samples.missing(nodes.alphas).size == 0
        results[method, n] = make_attribution(samples, nodes, method=method, n_steps=n, elapsed=0.0)
    assert sum(model.with_gradient) == 2 * (8 + 1 + 0 + 8)
    for (method, n), result in results.items():
        fresh = attribute(model.function, x, method=method, n_steps=n)
        torch.testing.assert_close(result.attributions, fresh.attributions, rtol=0, atol=1e-12)
        torch.testing.assert_close(result.path.outputs, fresh.path.outputs, rtol=0, atol=1e-12)


def test_an_older_result_keeps_its_numbers_when_more_is_sampled() -> None:
    samples = make_samples(Scores([(4,)]), draw(3, 2, 4))
    few_nodes, many = rules.nodes("riemann_middle", 4), rules.nodes("gausslegendre", 9)
    list(samples.extend(few_nodes.alphas))
    old = make_attribution(samples, few_nodes, method="riemann_middle", n_steps=4, elapsed=0.0)
    before = old.path.cumulative(0.6)
    list(samples.extend(many.alphas))
    assert torch.equal(old.path.cumulative(0.6), before)
    assert torch.equal(old.path.cumulative(1), old.attributions)


def test_results_are_frozen_and_their_reprs_have_no_addresses() -> None:
    _, result = of_waves(0, 2, "riemann_middle", 4)
    for frozen in (result, result.path):
        with pytest.raises(AttributeError):
            frozen.alphas = Tensor()
        assert "0x" not in repr(frozen)
    assert repr(result).startswith("Attribution(riemann_middle, 4 evaluations, delta ")
    assert repr(result.path) == "PathTrace(4 samples, batch of 2)"
    _, one = of_waves(0, 2, "riemann_middle", 1)
    assert repr(one).startswith("Attribution(riemann_middle, 1 evaluation, delta ")
    assert repr(one.path) == "PathTrace(1 sample, batch of 2)"
