"""Expected gradients: means over baselines and alpha, and what is said of their error."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ig_widgets import relatives
from ig_widgets.engine.attribution import attribute
from ig_widgets.relatives import expected
from tests.engine.subjects import Scores, draw, relative, relu_network, seeds, waves

few = settings(max_examples=6)


@few
@given(seeds, st.integers(1, 4))
def test_with_one_baseline_it_converges_to_ig(seed: int, features: int) -> None:
    """One alpha in each of n equal parts: the error is far below that of independent draws, which is what is told."""
    wave = waves(seed, 2, features)
    n = 400
    found = relatives.expected_gradients(wave, wave.x, baselines=wave.b[:1], n_samples=n, seed=seed)
    # Smooth: so many points leave nothing but rounding.
    dense = {"method": "gausslegendre", "n_steps": 200}
    exact = torch.cat([attribute(wave, x[None], baselines=wave.b[:1], **dense).attributions for x in wave.x])
    independent = found.standard_error.clamp(min=1e-12)
    assert float(((found.attributions - exact).abs() / independent).max()) <= 0.5


def test_the_error_falls_quicker_than_that_of_independent_draws() -> None:
    model, x = Scores([(6,)], seed=4), draw(5, 1, 6)
    exact = attribute(model, x, baselines=0.2, method="gausslegendre", n_steps=300).attributions
    errors = []
    for n in (50, 800):
        runs = [relatives.expected_gradients(model, x, baselines=0.2, n_samples=n, seed=s) for s in range(5)]
        errors.append(torch.stack([(r.attributions - exact).square().sum() for r in runs]).mean().sqrt())
    # Independent draws would fall by 4.
    assert errors[0] / errors[1] >= 12


@few
@given(seeds)
def test_over_many_baselines_it_is_the_mean_of_ig_within_its_standard_error(seed: int) -> None:
    model, x, b = relu_network(seed, 4), draw(seed, 1, 4), draw(seed + 5, 6, 4)
    found = relatives.expected_gradients(model, x, baselines=b, n_samples=600, seed=seed)
    each = attribute(model, x.expand(6, 4), baselines=b, method="secant", n_steps=128).attributions
    z = (found.attributions - each.mean(0)) / found.standard_error.clamp(min=1e-9)
    assert float(z.abs().max()) <= 5


def test_the_standard_error_is_that_of_the_mean() -> None:
    """Over seeds the results scatter as it says; equal parts make them scatter less."""
    model, x, b = Scores([(4,)], seed=3), draw(1, 1, 4), draw(2, 40, 4)
    runs = [relatives.expected_gradients(model, x, baselines=b, n_samples=30, seed=s) for s in range(150)]
    scatter = torch.stack([r.attributions for r in runs]).std(0)
    told = torch.stack([r.standard_error for r in runs]).mean(0)
    assert bool((scatter <= 1.15 * told).all())
    noisy = [relatives.smoothgrad(model, x, n_samples=30, seed=s) for s in range(150)]
    ratio = torch.stack([r.attributions for r in noisy]).std(0) / torch.stack([r.standard_error for r in noisy]).mean(0)
    assert float((ratio - 1).abs().max()) <= 0.25


@few
@given(seeds)
def test_delta_is_against_the_mean_of_f_over_the_baselines_drawn(seed: int) -> None:
    model, x, b = relu_network(seed, 4), draw(seed, 3, 4), draw(seed + 5, 5, 4)
    found = relatives.expected_gradients(model, x, baselines=b, n_samples=20, seed=seed)
    mean = model(b).reshape(-1).mean()
    assert torch.allclose(found.baseline_output, mean.expand(3))
    delta = found.attributions.sum(1) - (model(x).reshape(-1) - mean)
    assert torch.allclose(found.convergence_delta, delta)


def test_each_baseline_is_taken_as_often_as_every_other_and_every_part_of_alpha_once() -> None:
    seen: list[Tensor] = []

    def model(z: Tensor) -> Tensor:
        seen.append(z.detach())
        return z.sum(1)

    # x = 1 and baselines 0, 10, 20, 30 in one feature each: a point tells its alpha and its baseline.
    x = torch.ones(1, 2, dtype=torch.float64)
    b = torch.stack([torch.zeros(4), 10 * torch.arange(4.0)], dim=1).double()
    relatives.expected_gradients(model, x, baselines=b, n_samples=12, chunk_size=5)
    points = torch.cat([rows for rows in seen if len(rows)])
    points = points[(points[:, 0] > 0) & (points[:, 0] < 1)]
    alphas, baselines = points[:, 0], (points[:, 1] - points[:, 0]) / (1 - points[:, 0]) / 10
    assert sorted((alphas * 12).floor().tolist()) == list(range(12))
    assert sorted(baselines.round().tolist()) == [0.0] * 3 + [1.0] * 3 + [2.0] * 3 + [3.0] * 3


@few
@given(seeds, st.integers(1, 7))
def test_seed_decides_and_chunks_do_not(seed: int, chunk: int) -> None:
    model, x, b = Scores([(4,)], seed=seed), draw(seed, 2, 4), draw(seed + 5, 3, 4)
    for name, options in (
        ("expected_gradients", {"baselines": b}),
        ("smoothgrad", {}),
        ("gradient_shap", {"sigma": 0.1}),
    ):
        f = getattr(relatives, name)
        one = f(model, x, n_samples=9, seed=seed, chunk_size=chunk, **options).attributions
        assert relative(f(model, x, n_samples=9, seed=seed, **options).attributions, one) <= 1e-12
        assert relative(f(model, x, n_samples=9, seed=seed + 1, **options).attributions, one) > 1e-9


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_noise_is_drawn_once_a_draw(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is that of the points, whichever rows the factor x + noise - x' is asked for, and when."""
    model, x, b = Scores([(4,)], seed=3), draw(1, 2, 4), draw(2, 3, 4)
    drawn, randn = list[int](), torch.randn

    def counted(*shape: object, **options: object) -> Tensor:
        drawn.append(1)
        return randn(*shape, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(torch, "randn", counted)
    relatives.gradient_shap(model, x, baselines=b, sigma=0.1, n_samples=9, chunk_size=chunk)
    assert len(drawn) == 2 * 9

    examples, alphas = torch.tensor([0, 1, 1]), torch.tensor([0.5, 4.5, 7.5], dtype=torch.float64) / 9
    one, other = (expected.about(x, b, 0.1, 9, 5) for _ in range(2))
    (point,), (tangent,) = one.points(examples, alphas), one.tangents(examples, alphas)
    assert torch.equal(other.tangents(examples, alphas)[0], tangent)
    other.points(examples.flip(0), alphas)
    assert torch.equal(other.tangents(examples, alphas)[0], tangent)
    # A point is x' + a of the factor.
    number = (alphas * 9).long()
    start = b[one.chosen[examples, number]]
    assert torch.allclose(point, start + one.positions[examples, number][:, None] * tangent, rtol=0, atol=1e-12)


def test_several_inputs_keep_their_baselines_together() -> None:
    """F is the product of both inputs, and the baselines lie on a line: were they mixed, the mean would differ."""

    def model(u: Tensor, v: Tensor) -> Tensor:
        return (u * v).sum(1)

    u, v = torch.ones(1, 1).double(), torch.ones(1, 1).double()
    b = torch.tensor([[-1.0], [1.0]]).double()
    together = relatives.expected_gradients(model, (u, v), baselines=(b, b), n_samples=4000)
    # IG of u v from (c, c) to (1, 1) is (1 - c^2) / 2 each: 0 from both baselines.
    assert all(
        float(a.abs()) <= 5 * float(s) + 1e-3
        for a, s in zip(together.attributions, together.standard_error, strict=True)
    )
    assert float(together.baseline_output) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("baselines", "said"),
    [
        (torch.zeros(3, 7), "K baselines"),
        ("black", "str"),
        (torch.full((1, 4), float("nan")), "NaN"),
        (torch.zeros(0, 4), "empty"),
        ((torch.zeros(1, 4), torch.zeros(1, 4)), "one distribution for each of 1 input"),
    ],
)
def test_baselines_that_cannot_work_are_refused_in_words(baselines: object, said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        relatives.expected_gradients(lambda z: z.sum(1), torch.ones(2, 4), baselines=baselines)
