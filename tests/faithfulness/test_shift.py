"""Input shift: Integrated Gradients is invariant where the baseline moves along, and only there."""

import dataclasses
import math
import threading

import pytest
import torch
from captum.attr import DeepLift
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import ig_widgets as igw
from ig_widgets import errors
from ig_widgets.faithfulness import input_shift
from tests.engine.subjects import ConvScores, Scores, draw, few

seeds = st.integers(0, 999)


@few
@given(seeds)
def test_a_baseline_that_moves_along_makes_integrated_gradients_invariant(seed):
    x, b, shift = draw(seed, 2, 5), draw(seed + 1, 2, 5), draw(seed + 2, 5)
    found = input_shift(Scores([(5,)], (3,), seed=seed), x, shift, baselines=b, target=[0, 2])
    assert bool((found.baseline_shifted < 1e-9).all())
    assert bool((found.baseline_left > 1e-3).all())


@few
@given(seeds)
def test_of_a_linear_model_the_change_is_that_of_the_ends(seed):
    w, x, b, shift = draw(seed, 4), draw(seed + 1, 2, 4), draw(seed + 2, 2, 4), draw(seed + 3, 4)
    found = input_shift(lambda points: points @ w, x, shift, baselines=b)
    expected = (w * shift).norm() / (w * (x - b)).norm(dim=1)
    assert torch.allclose(found.baseline_left, expected, atol=1e-9)
    # A gradient knows no baseline, and is the same for both.
    gradient = lambda f, p, b: torch.autograd.grad(f(p.requires_grad_()).sum(), p)[0]  # noqa: E731
    plain = input_shift(lambda points: points @ w, x, shift, explain=gradient)
    assert plain.baseline_left.tolist() == plain.baseline_shifted.tolist() == [0, 0]
    # That times the input is not invariant, wherever the baseline is.
    times = lambda f, p, b: gradient(f, p, b) * p  # noqa: E731
    expected = (w * shift).norm() / (w * x).norm(dim=1)
    assert torch.allclose(input_shift(lambda p: p @ w, x, shift, explain=times).baseline_shifted, expected, atol=1e-9)


def test_the_twin_says_the_same_and_is_a_module_where_the_model_is_one():
    model, x, asked = ConvScores((4,)), draw(0, 1, 3, 6, 6), []

    def method(f, points, baselines):
        asked.append((f(points), f(baselines), baselines))
        return DeepLift(f).attribute(points.requires_grad_(), baselines, target=1)

    relu = nn.Sequential(nn.Flatten(), nn.Linear(108, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    with pytest.warns(UserWarning, match="Setting forward, backward hooks"):
        found = input_shift(relu, x, 3.0, explain=method)
    (at_x, at_b, b), (twin_x, twin_b, moved), (_, _, left) = asked
    assert torch.allclose(at_x, twin_x)
    assert torch.allclose(at_b, twin_b)
    assert torch.equal(moved, b + 3)
    assert torch.equal(left, b)
    assert float(found.baseline_shifted) < 1e-9 < float(found.baseline_left)
    # Bit for bit, as long as the same rows go together.
    assert float(input_shift(model, x, 0.0, target=1, chunk_size=4).baseline_left) == 0


def test_a_baseline_made_of_the_input_is_made_once():
    x, calls = draw(0, 1, 3, 6, 6), []

    def blurred(inputs):
        calls.append(1)
        return igw.baselines.blur(1.0)(inputs)

    found = input_shift(ConvScores((4,)), x, 2.0, baselines=blurred, target=0)
    assert float(found.baseline_shifted) < 1e-9
    assert len(calls) == 1


def test_further_arguments_follow_and_a_closure_is_looked_into():
    class Noted(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return x.square().sum(1)

    model, x = Noted(), draw(0, 2, 4)
    by = torch.tensor([1.0, 3.0], dtype=torch.float64)
    found = input_shift(lambda points, factor: model(points) * factor, x, 1.0, additional_forward_args=by)
    assert bool((found.baseline_shifted < 1e-9).all())
    assert float(model.calls) == 0


def test_what_cannot_work_is_refused_and_what_is_cancelled_stops():
    x, model = draw(0, 1, 5), lambda points: points.sum(1)
    for message, kind, call in (
        ("shift must be a number or a tensor", errors.ArgumentTypeError, lambda: input_shift(model, x, "1")),
        ("shift has shape", errors.ArgumentValueError, lambda: input_shift(model, x, torch.ones(4))),
        ("shift holds NaN", errors.ArgumentValueError, lambda: input_shift(model, x, math.nan)),
        ("baselines has shape", errors.ArgumentValueError, lambda: input_shift(model, x, 1.0, baselines=torch.ones(4))),
    ):
        with pytest.raises(kind, match=f"^{message}"):
            call()
    cancel, done = threading.Event(), []
    explain = lambda f, p, b: p  # noqa: E731

    def on_progress(*now):
        done.append(now)
        cancel.set()

    with pytest.raises(errors.Cancelled, match=r"^Cancelled after 1 of 3 maps"):
        input_shift(model, x, 1.0, explain=explain, on_progress=on_progress, cancel=cancel)
    assert done == [(1, 3)]


def test_results_are_frozen_and_print_their_numbers():
    found = input_shift(lambda points: points.square().sum(1), draw(0, 2, 5), 1.0)
    head, *lines = repr(found).splitlines()
    assert "baseline left where it was" in head
    for line, value in zip(lines, found.baseline_left.tolist(), strict=True):
        assert f"{value:.3g}" in line
    assert "<table>" in found._repr_html_()
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.baseline_left = None
