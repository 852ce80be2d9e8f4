"""Infidelity and sensitivity: theorems, parity with Captum on the very same perturbations, seeds and chunks."""

import dataclasses
import math
import threading

import pytest
import torch
from captum.metrics import infidelity as captums_infidelity
from captum.metrics import infidelity_perturb_func_decorator
from captum.metrics import sensitivity_max as captums_sensitivity_max
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import ig_widgets as igw
from ig_widgets import errors
from ig_widgets.faithfulness import infidelity, sensitivity_max
from ig_widgets.faithfulness.perturbations import noise, square, subset
from tests.engine.subjects import ConvScores, Counting, draw, few

seeds = st.integers(0, 999)
PERTURBATIONS = [subset(), subset(0.4), square(), square(2), noise(sigma=0.3), noise(radius=0.1)]
perturbations = st.sampled_from(PERTURBATIONS)


class Recorded:
    """A perturbation that writes down what it draws."""

    def __init__(self, perturb):
        self.perturb, self.drawn = perturb, []

    def __call__(self, inputs, baselines, generator):
        self.drawn.append(self.perturb(inputs, baselines, generator))
        return self.drawn[-1]


# ---------------------------------------------------------------- infidelity


@few
@given(seeds, perturbations)
def test_what_a_linear_model_does_its_attributions_promise(seed, perturb):
    w, x, b = draw(seed, 3, 6, 6), draw(seed + 1, 2, 3, 6, 6), draw(seed + 2, 2, 3, 6, 6)
    model = lambda points: (points * w).sum((1, 2, 3))  # noqa: E731
    arguments = {"baselines": b, "perturb": perturb, "seed": seed}
    exact = infidelity(model, x, w * (x - b), **arguments)
    gradient = infidelity(model, x, w.expand_as(x), multiply_by_inputs=False, **arguments)
    for found in (exact, gradient):
        assert torch.allclose(found.values, torch.zeros(2, dtype=torch.float64), atol=1e-18)
        assert bool((found.of_zeros > 0).all())
    # Twice the map is wrong by as much as none at all, and right again where its scale does not count.
    double = infidelity(model, x, 2 * w * (x - b), **arguments)
    assert torch.allclose(double.values, exact.of_zeros)
    scaled = infidelity(model, x, 2 * w * (x - b), normalize=True, **arguments)
    assert torch.allclose(scaled.values, torch.zeros(2, dtype=torch.float64), atol=1e-18)


@few
@given(seeds, perturbations, st.booleans(), st.booleans())
def test_infidelity_is_captums_on_the_same_perturbations(seed, perturb, multiply, normalize):
    x, b, scores = (draw(seed + i, 2, 3, 6, 6) for i in range(3))
    model, recorded = ConvScores((4,), seed=seed), Recorded(perturb)
    ours = infidelity(
        model, x, scores, baselines=b, target=[1, 3], perturb=recorded, multiply_by_inputs=multiply,
        normalize=normalize, n_perturb_samples=6, seed=seed,
    )  # fmt: skip
    replay = infidelity_perturb_func_decorator(multiply)(lambda inputs, baselines: torch.cat(recorded.drawn))
    theirs = captums_infidelity(
        model, replay, x, scores, baselines=b, target=torch.tensor([1, 3]), n_perturb_samples=6, normalize=normalize
    )
    assert torch.allclose(ours.values, theirs, rtol=1e-6, atol=1e-12)


@few
@given(seeds, perturbations, st.integers(1, 9))
def test_infidelity_knows_no_chunks_and_no_company(seed, perturb, chunk_size):
    x, b, scores = (draw(seed + i, 3, 3, 6, 6) for i in range(3))
    model = ConvScores((4,), seed=seed)
    arguments = {"target": 1, "perturb": perturb, "n_perturb_samples": 3, "seed": seed}
    whole = infidelity(model, x, scores, baselines=b, **arguments).values
    assert torch.allclose(whole, infidelity(model, x, scores, baselines=b, chunk_size=chunk_size, **arguments).values)
    one = infidelity(model, x[1:2], scores[1:2], baselines=b[1:2], **arguments).values
    assert torch.allclose(whole[1:2], one)


def test_the_mean_over_subsets_of_all_sizes_is_exact_in_the_limit():
    # F = x1 x2 at (1, 1) from (0, 0), its Integrated Gradients are 1/2 each: alone a feature is promised 1/2 and does
    # 1, both are promised 1 and do 1. A share is drawn evenly and rounded to a feature, at least one: 3 of 4 times one.
    x = torch.ones(1, 2, dtype=torch.float64)
    count = 2000
    found = infidelity(lambda p: p.prod(1), x, x / 2, perturb=subset(), n_perturb_samples=count)
    assert float(found.values) == pytest.approx(3 / 16, abs=5 * math.sqrt(3) / 16 / math.sqrt(count))
    assert float(found.of_zeros) == pytest.approx(1)


def test_an_attribution_says_whether_it_holds_the_factor():
    x, model = draw(0, 1, 3, 6, 6), ConvScores((4,))
    arguments = {"target": 0, "perturb": noise(sigma=1e-4), "chunk_size": 8}
    for multiply in (True, False):
        result = igw.attribute(model, x, target=0, n_steps=20, multiply_by_inputs=multiply)
        found = infidelity(model, x, result, **arguments)
        told = infidelity(model, x, result.attributions, multiply_by_inputs=multiply, **arguments)
        assert torch.equal(found.values, told.values)


def test_forward_passes_are_one_and_the_perturbations():
    x, model = draw(0, 2, 3, 6, 6), Counting(ConvScores((4,)))
    done = []
    infidelity(model, x, x, target=0, n_perturb_samples=7, on_progress=lambda *now: done.append(now))
    assert model.rows == 2 * 8
    assert done[-1] == (16, 16)


# ---------------------------------------------------------------- sensitivity


@few
@given(seeds, st.sampled_from([noise(radius=0.02), noise(sigma=0.5)]))
def test_sensitivity_is_captums_on_the_same_perturbations(seed, perturb):
    x = draw(seed, 2, 3, 6, 6)
    model, recorded = ConvScores((4,), seed=seed), Recorded(perturb)

    def gradient(function, inputs):
        leaf = inputs.requires_grad_()
        return torch.autograd.grad(function(leaf)[:, 1].sum(), leaf)[0]

    ours = sensitivity_max(model, x, explain=gradient, perturb=recorded, n_perturb_samples=5, seed=seed)
    by_example = torch.stack(recorded.drawn).reshape(5, 2, 3, 6, 6).transpose(0, 1).reshape(10, 3, 6, 6)

    def captums(inputs):
        members = inputs if isinstance(inputs, tuple) else (inputs,)
        with torch.enable_grad():
            return tuple(gradient(model, member.clone()) for member in members)

    theirs = captums_sensitivity_max(captums, x, lambda inputs: by_example, n_perturb_samples=5)
    assert torch.allclose(ours.values, theirs, rtol=1e-6, atol=1e-12)
    assert torch.allclose(ours.values, ours.changes.amax(1))


def test_of_a_linear_model_the_map_moves_as_the_input_does():
    w, x = draw(0, 5), draw(1, 2, 5)
    recorded = Recorded(noise(radius=0.02))
    found = sensitivity_max(lambda points: points @ w, x, perturb=recorded, n_perturb_samples=4)
    moved = torch.stack(recorded.drawn).reshape(4, 2, 5) - x
    expected = (moved * w).norm(dim=2) / (x * w).norm(dim=1)
    assert torch.allclose(found.changes, expected.T, rtol=1e-9)


def test_a_map_that_never_looks_is_not_sensitive_and_one_of_zeros_has_no_scale():
    x = draw(1, 2, 5)
    still = sensitivity_max(lambda points: points.sum(1), x, explain=lambda model, inputs: torch.ones_like(inputs))
    assert still.values.tolist() == [0, 0]
    calls = []

    def later(model, inputs):
        calls.append(1)
        return torch.full_like(inputs, float(len(calls) > 1))

    found = sensitivity_max(lambda points: points.sum(1), x, explain=later, n_perturb_samples=1)
    assert found.values.tolist() == pytest.approx([math.sqrt(5)] * 2)


def test_targets_and_further_arguments_stay_with_their_example():
    x, by = draw(0, 3, 4), torch.tensor([[1.0], [2.0], [4.0]], dtype=torch.float64)

    def scaled(points, factor):
        return torch.stack([points.square().sum(1), points.sum(1)], 1) * factor

    arguments = {"n_perturb_samples": 3, "perturb": noise(sigma=0.1)}
    found = sensitivity_max(scaled, x, target=[0, 1, 0], additional_forward_args=by, **arguments)
    for i, target in enumerate([0, 1, 0]):
        one = slice(i, i + 1)
        alone = sensitivity_max(scaled, x[one], target=target, additional_forward_args=by[one], **arguments)
        assert torch.allclose(found.values[one], alone.values)


def test_sensitivity_can_be_cancelled_and_says_how_far_it_is():
    x, cancel, done = draw(1, 1, 5), threading.Event(), []

    def on_progress(*now):
        done.append(now)
        if now[0] == 2:
            cancel.set()

    with pytest.raises(errors.Cancelled, match=r"^Cancelled after 2 of 11 maps"):
        sensitivity_max(lambda points: points.sum(1), x, on_progress=on_progress, cancel=cancel)
    assert done == [(1, 11), (2, 11)]


# ---------------------------------------------------------------- what both leave, refuse and print


class Drawing(nn.Module):
    """Counts its calls in a buffer and draws random numbers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.weight = nn.Parameter(draw(0, 3, 1, 1))

    def forward(self, x):
        self.calls += 1
        torch.rand(3)
        return (x * self.weight).square().sum((1, 2, 3))


def test_the_model_and_the_random_state_stay():
    x, model, before = draw(0, 1, 3, 6, 6), Drawing(), torch.get_rng_state()
    infidelity(model, x, x)
    sensitivity_max(model, x, n_perturb_samples=2)
    sensitivity_max(
        model, x, explain=lambda f, p: torch.autograd.grad(f(p.requires_grad_()).sum(), p)[0] + 0 * torch.rand(1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert float(model.calls) == 0
    assert model.weight.grad is None


def test_seeds_are_told_apart_and_repeat():
    x, model = draw(0, 1, 3, 6, 6), ConvScores((4,))
    for perturb in PERTURBATIONS:
        values = [float(infidelity(model, x, x, target=0, perturb=perturb, seed=s).values) for s in (0, 0, 1)]
        assert values[0] == values[1] != values[2]


@pytest.mark.parametrize("perturb", PERTURBATIONS, ids=repr)
def test_perturbations_do_what_they_say(perturb):
    x, b = draw(1, 1, 3, 6, 8), draw(2, 1, 3, 6, 8)
    for seed in range(20):
        changed = perturb(x, b, torch.Generator().manual_seed(seed))
        assert changed.shape == x.shape
        taken = (changed != x)[0]
        if isinstance(perturb, noise):
            assert bool(taken.all())
            assert perturb.radius is None or float((changed - x).abs().max()) <= perturb.radius
            continue
        assert torch.equal(changed[0][taken], b[0][taken])
        assert torch.equal(taken, taken[:1].expand_as(taken))  # whole pixels
        pixels = taken[0].nonzero()
        if isinstance(perturb, square):
            sides = pixels.amax(0) - pixels.amin(0) + 1
            assert sides[0] == sides[1]
            assert len(pixels) == sides[0] ** 2
            assert perturb.side in (None, int(sides[0]))
        else:
            assert len(pixels) == round(0.4 * 48) if perturb.share else len(pixels) >= 1


def test_what_cannot_work_is_refused():
    x, model, wrong = draw(0, 1, 5), lambda points: points.sum(1), errors.ArgumentTypeError
    for message, kind, call in (
        ("perturb must be a callable", wrong, lambda: infidelity(model, x, x, perturb="noise")),
        ("perturb must return a tensor", wrong, lambda: infidelity(model, x, x, perturb=lambda *_: 1)),
        ("perturb returned shape", ValueError, lambda: infidelity(model, x, x, perturb=lambda a, *_: a[:, :2])),
        ("square is for pictures", ValueError, lambda: infidelity(model, x, x, perturb=square())),
        ("side is 9, and the picture", ValueError, lambda: infidelity(
            lambda p: p.sum((1, 2, 3)), draw(0, 1, 1, 4, 4), draw(0, 1, 1, 4, 4), perturb=square(9))),
        ("side must be an integer", wrong, lambda: square(1.5)),
        ("share is that of the features", ValueError, lambda: subset(1.5)),
        ("noise takes either", ValueError, lambda: noise()),
        ("sigma must be a positive", ValueError, lambda: noise(sigma=-1)),
        ("n_perturb_samples is the number", ValueError, lambda: infidelity(model, x, x, n_perturb_samples=0)),
        ("attributions has shape", ValueError, lambda: infidelity(model, x, x[:, :2])),
        ("attributions has shape", ValueError, lambda: infidelity(
            lambda p: p.sum((1, 2, 3)), draw(0, 1, 3, 4, 4), draw(0, 4, 4))),
        ("explain must be a callable", wrong, lambda: sensitivity_max(model, x, explain="ig")),
        ("explain must return", wrong, lambda: sensitivity_max(model, x, explain=lambda *_: None)),
        ("explain returned shape", ValueError, lambda: sensitivity_max(model, x, explain=lambda *_: torch.ones(3))),
        ("explain returned values that are NaN", ValueError, lambda: sensitivity_max(
            model, x, explain=lambda f, p: p * math.nan)),
        ("explain is given, so that", ValueError, lambda: sensitivity_max(
            model, x, explain=lambda f, p: p, target=0)),
    ):  # fmt: skip
        with pytest.raises(kind, match=f"^{message}") as caught:
            call()
        assert isinstance(caught.value, errors.IGError)
    with pytest.raises(errors.NonFiniteError, match=r"is inf in perturbation 1 of example 0"):
        infidelity(lambda p: torch.where(p.sum(1) == 5, 1.0, math.inf), torch.ones(1, 5), torch.ones(1, 5))


def test_results_are_frozen_and_print_their_numbers():
    x, model = draw(0, 2, 3, 6, 6), ConvScores((4,))
    first = infidelity(model, x, x, target=0, perturb=square(2))
    second = sensitivity_max(model, x, target=0, n_perturb_samples=2)
    for found, says in ((first, "10 times a square of 2 px replaced"), (second, "2 times noise within 0.02")):
        head, *lines = repr(found).splitlines()
        assert head.startswith(says)
        for line, value in zip(lines, found.values.tolist(), strict=True):
            assert f"{value:.3g}" in line
        assert says in found._repr_html_()
        with pytest.raises(dataclasses.FrozenInstanceError):
            found.seed = 3
