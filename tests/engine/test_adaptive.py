"""Points where they are needed: weights of scattered samples, hard places, jumps, and what is said of them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.engine import adaptive_samples
from ig_widgets.engine.interpolation import interval_weights, positive_orders, values_at
from ig_widgets.engine.patterson import SIZES, patterson
from ig_widgets.engine.rule_errors import hidden
from ig_widgets.engine.rules import Floats
from tests.engine.subjects import draw, few, seeds, waves

X = torch.ones(1, 2, dtype=torch.float64)


@few
@given(seeds, st.integers(1, 60), st.booleans())
def test_scattered_samples_have_positive_weights_that_fill_the_path(seed: int, n: int, graded: bool) -> None:
    """Also where they lie many decades apart."""
    chance = np.random.default_rng(seed)
    alphas = np.sort(10 ** -chance.uniform(0, 25, n) if graded else chance.uniform(size=n))
    orders = positive_orders(alphas, 0.0, 1.0, np.full(n + 1, 6))
    weights = interval_weights(alphas, 0.0, 1.0, orders)
    assert (weights.sum(0) > 0).all()
    np.testing.assert_allclose(weights.sum(1), np.diff([0, *alphas, 1]), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("order", [2, 4, 6])
def test_an_interval_is_exact_for_polynomials_through_its_samples(order: int) -> None:
    alphas = np.linspace(0.05, 0.95, 12)
    weights = interval_weights(alphas, 0.0, 1.0, order).sum(0)
    for power in range(order):
        assert weights @ alphas**power == pytest.approx(1 / (power + 1), rel=1e-11)


@few
@given(seeds, st.integers(1, 6), st.sampled_from([0.0, 1.0]) | st.floats(0, 1))
def test_the_value_between_samples_is_that_of_a_polynomial_through_the_nearest(
    seed: int, order: int, at: float
) -> None:
    alphas = np.sort((np.arange(12) + np.random.default_rng(seed).uniform(0.2, 0.8, 12)) / 12)
    (weights,) = values_at(alphas, np.array([at]), order)
    used = np.flatnonzero(weights)
    assert 1 <= len(used) <= order
    # As many on each side, as far as there are.
    before, place = int((used < np.searchsorted(alphas, at)).sum()), int(np.searchsorted(alphas, at))
    if order % 2 == 0 and order // 2 <= place <= 12 - order // 2 and at not in alphas:
        assert before == order // 2
        assert np.ptp(used) == order - 1
    for power in range(len(used)):
        assert weights @ alphas**power == pytest.approx(at**power, rel=1e-9, abs=1e-9)


def test_samples_that_crowd_beside_a_long_interval_are_passed_over() -> None:
    """Through them a polynomial would swing: what is off by a little in them would count for much."""
    crowd = np.array([0.1, 0.1001, 0.1002, 0.1003])
    alphas = np.concatenate([crowd, [0.5, 0.8]])
    weights = interval_weights(alphas, 0.0, 1.0, 4)
    assert np.abs(weights[4]).max() < 1
    assert np.count_nonzero(weights[4][:4]) == 1
    # In among them the interval is short, and they are apart.
    assert np.count_nonzero(weights[2][:4]) == 4


@pytest.mark.parametrize("n", SIZES[1:3])
def test_what_a_rule_foresees_beside_its_points_is_not_hidden(n: int) -> None:
    rule = patterson(n)
    alphas = np.sort(np.concatenate([rule.alphas, [0.213, 0.687]]))
    smooth = np.stack([alphas**k for k in range(n)], 1)
    np.testing.assert_allclose(hidden(n, alphas, (smooth @ smooth.T)[None]), 0, atol=1e-6)


@pytest.mark.parametrize("n", SIZES[1:3])
def test_what_samples_beside_a_rule_show_counts_by_the_room_that_hides_it(n: int) -> None:
    """A bump that the rule's points miss, in each room between them in turn; of several the largest counts."""
    rule = patterson(n)
    edges = np.concatenate([[0.0], rule.alphas, [1.0]])
    told = []
    for low, high in itertools.pairwise(edges):
        alphas = np.sort(np.append(rule.alphas, (low + high) / 2))
        bump = np.where(np.isin(alphas, rule.alphas), 0.0, 3.0)[:, None]
        told.append(hidden(n, alphas, (bump @ bump.T)[None])[0] / (high - low))
    np.testing.assert_allclose(told, told[0])
    assert 0 < told[0] <= 3.0
    both = np.sort(np.concatenate([rule.alphas, (edges[:2] + edges[1:3]) / 2]))
    bumps = np.where(np.isin(both, rule.alphas), 0.0, 3.0)[:, None]
    assert hidden(n, both, (bumps @ bumps.T)[None])[0] == pytest.approx(told[0] * np.diff(edges)[:2].max())


@pytest.mark.parametrize("n", SIZES[1:])
def test_patterson_holds_the_rule_before_and_is_exact_beyond_its_points(n: int) -> None:
    rule, before = patterson(n), patterson(SIZES[SIZES.index(n) - 1])
    assert set(before.alphas.tolist()) <= set(rule.alphas.tolist())
    assert (rule.weights > 0).all()
    for power in range((3 * n + 1) // 2 + 1):
        assert rule.weights @ rule.alphas**power == pytest.approx(1 / (power + 1), rel=1e-12)


def test_a_norm_at_a_zero_baseline_costs_tens_of_points() -> None:
    norm, weights, x = nn.LayerNorm(16).double(), draw(1, 16, 3), draw(2, 1, 16)

    def model(v: Tensor) -> Tensor:
        return norm(v).tanh() @ weights

    result = igw.attribute(model, x, target=1, tol=0.01)
    dense = igw.attribute(model, x, target=1, method="gausslegendre", n_steps=4000)
    assert result.converged
    assert result.evaluations <= 60
    assert float((result.attributions - dense.attributions).norm() / dense.attributions.norm()) <= 0.02


@pytest.mark.parametrize("size", [3.0, -0.4])
def test_a_jump_is_unattributed_and_the_rest_converges(size: float) -> None:
    def model(v: Tensor) -> Tensor:
        return size * (v[:, 0] > 0.437).double() + torch.sin(v).sum(1)

    result = igw.attribute(model, X)
    assert result.converged
    assert float(result.unattributed) == pytest.approx(size, rel=1e-6)
    assert any("F jumps" in text for text in result.caveats)
    np.testing.assert_allclose(result.attributions.numpy(), np.sin([[1.0, 1.0]]), rtol=0.02)


def test_a_steep_step_is_no_jump() -> None:
    result = igw.attribute(lambda v: torch.tanh(3000 * (v[:, 0] - 0.437)) + torch.sin(v).sum(1), X)
    assert result.converged
    assert float(result.unattributed) == 0
    assert float(result.attributions[0, 0]) == pytest.approx(2 + np.sin(1), rel=0.05)


def test_a_budget_that_ends_first_is_warned_of_with_the_place() -> None:
    with pytest.warns(igw.ConvergenceWarning, match="most of it lies"):
        result = igw.attribute(lambda v: torch.sin(300 * v[:, 0] ** 2), X, max_evaluations=40)
    assert not result.converged
    assert result.caveats
    assert "not converged" in repr(result)
    assert "caveat 1" in result._repr_html_()


def test_rows_that_depend_on_each_other_are_not_called_converged() -> None:
    with pytest.warns(igw.errors.NondeterminismWarning):
        result = igw.attribute(lambda v: ((v - v.mean(0)) ** 2).sum(1), draw(3, 2, 4))
    assert not result.converged
    assert result.caveats


def test_a_small_estimate_does_not_outweigh_that_the_model_answered_differently() -> None:
    """By a rule that comes by the ends of the path, of a function whose estimated error is within the tolerance."""

    def model(v: Tensor) -> Tensor:
        return v.sum(1) + torch.sin(v).sum(1) + (v - v.mean(0)).sum(1)

    with pytest.warns(igw.errors.NondeterminismWarning):
        result = igw.attribute(model, draw(3, 2, 4), method="riemann_trapezoid", tol=0.5)
    assert result.error_estimate is not None
    assert float(result.error_estimate.max()) <= 0.5
    assert not result.converged


def test_adaptive_takes_no_number_of_points() -> None:
    with pytest.raises(igw.errors.ArgumentValueError, match="leave n_steps out"):
        igw.attribute(lambda v: v.sum(1), X, method="adaptive", n_steps=8)


def test_gradients_that_are_zero_wherever_they_are_taken_do_not_explain_a_change() -> None:
    """A hard sigmoid that is passed between two samples: F changes, and no gradient shows it."""
    result = igw.attribute(
        lambda x: torch.nn.functional.hardsigmoid(3000 * (x.sum(1) - 1.21)), X, method="adaptive", tol=0.05
    )
    assert abs(float(result.attributions.sum()) - 1) < 0.1
    assert result.converged


@pytest.mark.parametrize("features", [100, 300, 3000])
@pytest.mark.parametrize(("at", "width"), [(0.05, 1e-2), (0.437, 1e-4), (0.81, 1e-7)])
def test_a_step_of_one_feature_counts_however_many_others_change_f_more(features: int, at: float, width: float) -> None:
    """Of the change of F it is a fiftieth or less, of the length of the map a tenth or more."""
    x = torch.ones(1, features, dtype=torch.float64)
    height = features**0.5 / 9

    def function(v: Tensor) -> Tensor:
        return height * torch.tanh((v[:, 0] - at) / width) + torch.sin(v).sum(1)

    result = igw.attribute(function, x, tol=0.05)
    exact = torch.full_like(x, np.sin(1.0))
    exact[0, 0] += height * (np.tanh((1 - at) / width) - np.tanh(-at / width))
    assert result.converged
    assert float((result.attributions - exact).norm() / exact.norm()) <= 0.1


def test_a_rule_that_says_it_is_far_off_is_believed_though_single_samples_are_content() -> None:
    """Waves that turn so often that what lies between seven points is not foreseen: the next rule is taken."""
    subject = waves(21, 1, 3)
    subject = replace(subject, x=10 * subject.x)
    result = igw.attribute(subject, subject.x, baselines=subject.b, tol=0.1)
    assert (result.converged, result.evaluations) == (True, SIZES[3] + 2)
    assert float((result.attributions - subject.exact()).norm() / subject.exact().norm()) <= 1e-4


def test_a_function_that_only_rises_goes_up_and_down_by_what_it_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    """What F misses is told as a share of how far F goes up and down; in a unit that is a power of two."""
    variations, errors = [], adaptive_samples.rule_errors

    def noting(*given: Floats) -> Floats:
        variations.extend(given[-1].tolist())
        return errors(*given)

    monkeypatch.setattr(adaptive_samples, "rule_errors", noting)
    result = igw.attribute(lambda v: v.exp().sum(1), X, tol=1e-3)
    rise = float(result.output - result.baseline_output)
    assert variations
    for variation in variations:
        assert np.log2(variation / rise) == pytest.approx(round(np.log2(variation / rise)), abs=1e-9)
