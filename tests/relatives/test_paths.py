"""Paths other than the straight line: the engine's rules on them, blur and guided."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ig_widgets import baselines, relatives
from ig_widgets.engine import rules
from ig_widgets.engine.attribution import attribute, attribute_along
from ig_widgets.engine.path import CurvedPath, along
from ig_widgets.relatives.blur import blur_path
from tests.engine.subjects import ConvScores, Scores, draw, relative, relu_network, seeds

few = settings(max_examples=6)


@dataclass(frozen=True, eq=False)
class Bent(CurvedPath):
    """b + a^2 (x - b) in the first half of the features, b + a (x - b) in the second."""

    def points(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            b[examples] + self._powers(alphas, x) * (x - b)[examples]
            for x, b in zip(self.inputs, self.baselines, strict=True)
        )

    def tangents(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:
        made = []
        for x, b in zip(self.inputs, self.baselines, strict=True):
            slopes = torch.ones(len(alphas), x.shape[1], dtype=x.dtype)
            slopes[:, : x.shape[1] // 2] = 2 * along(alphas, x)
            made.append(slopes * (x - b)[examples])
        return tuple(made)

    def _powers(self, alphas: Tensor, x: Tensor) -> Tensor:
        powers = along(alphas, x).expand(len(alphas), x.shape[1]).clone()
        powers[:, : x.shape[1] // 2] **= 2
        return powers


@pytest.mark.parametrize("method", rules.METHODS)
@few
@given(seeds)
def test_every_rule_integrates_a_product_along_a_bent_path(method: str, seed: int) -> None:
    """F = u v from (0, 0) to (x, y) with u = a^2 x, v = a y: u is given the integral of 2 a a x y, that is 2/3 x y."""
    end = draw(seed, 2, 2)
    path = Bent((end,), (torch.zeros_like(end),))
    found = attribute_along(path, lambda z: z[:, 0] * z[:, 1], method=method, n_steps=400)
    product = end[:, 0] * end[:, 1]
    exact = torch.stack([2 / 3 * product, product / 3], dim=1)
    assert relative(found.attributions, exact) <= 5e-3
    if method == rules.SECANT:
        assert relative(found.attributions.sum(1), product) <= 1e-12


@few
@given(seeds)
def test_to_a_tolerance_it_is_within_it(seed: int) -> None:
    end, start = draw(seed, 2, 6), draw(seed + 1, 2, 6)
    path, model = Bent((end,), (start,)), relu_network(seed, 6)
    found = attribute_along(path, model, tol=0.02)
    exact = attribute_along(path, model, method="riemann_middle", n_steps=6000).attributions
    error = (found.attributions - exact).norm(dim=1) / exact.norm(dim=1)
    assert found.converged
    # An estimate may be low on a single network; three times it is not.
    assert float(error.max()) <= 0.06
    assert torch.allclose(found.path.cumulative(1.0), found.attributions)


def test_the_secant_rule_is_complete_in_each_part_of_a_bent_path() -> None:
    end, start = draw(1, 1, 6), draw(2, 1, 6)
    path, model = Bent((end,), (start,)), relu_network(3, 6)
    found = attribute_along(path, model, method="secant", n_steps=5)
    for k, alpha in enumerate(found.path.edges[0].tolist()):
        collected = float(found.path.cumulative(alpha).sum())
        (point,) = path.points(torch.tensor([0]), torch.tensor([alpha], dtype=torch.float64))
        assert collected == pytest.approx(float(model(point)) - float(model(start)), abs=1e-9), k


# ------------------------------------------------------------------ blur


@few
@given(seeds, st.floats(0.5, 3.0))
def test_blur_starts_at_the_blurred_picture_and_ends_at_the_picture(seed: int, sigma: float) -> None:
    x = draw(seed, 2, 3, 16, 13).sigmoid()
    path = blur_path(x, sigma)
    everyone, ones = torch.arange(2), torch.ones(2, dtype=torch.float64)
    assert torch.equal(path.points(everyone, ones)[0], x)
    assert torch.equal(path.points(everyone, 0 * ones)[0], path.baselines[0])
    # Both kernels end after 4 sigma, rounded up.
    assert float((path.baselines[0] - baselines.blur(sigma)(x)).abs().max()) <= 1e-12


@few
@given(seeds, st.floats(0.02, 0.98))
def test_the_tangent_is_the_derivative_for_each_row_its_own(seed: int, alpha: float) -> None:
    path = blur_path(draw(seed, 2, 2, 8, 6), 3.0)
    everyone, h = torch.arange(2), 1e-5
    alphas = torch.tensor([alpha, 1 - alpha], dtype=torch.float64)
    (after,), (before,) = path.points(everyone, alphas + h), path.points(everyone, alphas - h)
    (tangent,) = path.tangents(everyone, alphas)
    assert torch.allclose(tangent, (after - before) / (2 * h), atol=1e-7, rtol=1e-5)


def test_a_constant_picture_stays_as_it_is() -> None:
    result = relatives.blur_integrated_gradients(ConvScores(), torch.full((1, 3, 6, 6), 0.4).double(), n_steps=5)
    assert float(result.attributions.abs().max()) <= 1e-15


@few
@given(seeds)
def test_a_picture_is_given_the_same_alone_and_in_a_batch(seed: int) -> None:
    model, x = ConvScores(seed=seed), draw(seed, 3, 3, 6, 6)
    options = {"method": "riemann_middle", "n_steps": 7, "sigma": 3.0}
    together = relatives.blur_integrated_gradients(model, x, **options, chunk_size=4)
    for k in range(3):
        alone = relatives.blur_integrated_gradients(model, x[k : k + 1], **options)
        assert relative(together.attributions[k : k + 1], alone.attributions) <= 1e-12


def test_of_a_sequence_time_is_blurred_and_channels_are_kept_apart() -> None:
    x = torch.zeros(1, 2, 40, dtype=torch.float64)
    x[0, 0, 20] = 1.0
    (start,) = blur_path(x, 2.0).baselines
    assert float(start[0, 1].abs().max()) == 0
    assert float(start[0, 0].sum()) == pytest.approx(1.0, abs=1e-6)
    assert float(start[0, 0, 20]) < 0.25


def test_what_cannot_be_blurred_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(batch, channels, time\)"):
        relatives.blur_integrated_gradients(lambda z: z.sum(1), torch.ones(2, 5))
    for sigma in (0, -1.0, math.inf):
        with pytest.raises(ValueError, match="sigma"):
            relatives.blur_integrated_gradients(ConvScores(), torch.ones(1, 3, 6, 6).double(), sigma=sigma)
    with pytest.raises(TypeError, match="sigma"):
        relatives.blur_integrated_gradients(ConvScores(), torch.ones(1, 3, 6, 6).double(), sigma="wide")  # type: ignore[arg-type]


# ------------------------------------------------------------------ guided


@few
@given(seeds)
def test_the_guided_path_goes_an_equal_part_of_the_way_in_each_step_and_never_back(seed: int) -> None:
    x, b = draw(seed, 1, 8), draw(seed + 1, 1, 8)
    seen: list[Tensor] = []
    inner = Scores([(8,)], seed=seed)

    def model(z: Tensor) -> Tensor:
        if z.requires_grad:
            seen.append(z.detach().clone())
        return inner(z).reshape(-1)

    relatives.guided_integrated_gradients(model, x, baselines=b, n_knots=10, method="riemann_left", n_steps=1)
    knots = torch.cat(seen[:10])
    left = (x - knots).abs().sum(1) / (x - b).abs().sum()
    assert torch.allclose(left, 1 - torch.arange(10).double() / 10, atol=1e-8)
    come = (knots - b) / (x - b)
    assert bool((come.diff(dim=0) >= -1e-12).all())
    # None farther than max_dist from the straight line.
    assert float((come - torch.arange(10).double()[:, None] / 10).abs().max()) <= 0.02 + 1e-8


@few
@given(seeds)
def test_with_all_features_free_and_no_distance_it_is_the_straight_path(seed: int) -> None:
    model, x, b = Scores([(5,)], seed=seed), draw(seed, 2, 5), draw(seed + 1, 2, 5)
    options = {"baselines": b, "method": "gausslegendre", "n_steps": 40}
    guided = relatives.guided_integrated_gradients(model, x, n_knots=3, fraction=1.0, max_dist=1e-12, **options)
    assert relative(guided.attributions, attribute(model, x, **options).attributions) <= 1e-3


def test_its_evaluations_and_progress_count_the_search_too() -> None:
    told: list[tuple[int, int]] = []
    result = relatives.guided_integrated_gradients(
        Scores([(5,)]),
        draw(0, 2, 5),
        n_knots=4,
        method="riemann_middle",
        n_steps=6,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert result.evaluations == 10
    assert told[-1] == (20, 20)
    assert {total for _, total in told} == {20}
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize("option", [{"fraction": 0.0}, {"fraction": 1.5}, {"max_dist": -0.1}, {"n_knots": 0}])
def test_options_out_of_range_are_named(option: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        relatives.guided_integrated_gradients(Scores([(5,)]), draw(0, 2, 5), **option)
