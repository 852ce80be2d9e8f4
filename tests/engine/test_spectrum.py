"""Estimates from Chebyshev coefficients, beside exact integrals of 1 / (a - alpha)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ig_widgets.engine import rules
from ig_widgets.engine.rules import Floats
from ig_widgets.engine.spectrum import tail
from tests.engine.subjects import seeds

POLES = [(a, b) for a in (1.02, 1.05, 1.1, 1.2, 1.4) for b in (-0.03, -0.1, -0.3, 1.15)]


def said(maps: Floats) -> tuple[float, float]:
    return tail([torch.from_numpy(maps)], len(maps))


def off(poles: tuple[float, float], n: int) -> tuple[Floats, float]:
    """Samples of 1 / (a - alpha) at Fejér's points, and the relative error of the rule."""
    a, rule = np.array(poles), rules.nodes("fejer", n)
    maps = 1 / (a - rule.alphas[:, None])
    exact = np.log(a / (a - 1))
    return maps, float(np.linalg.norm(rule.weights @ maps - exact) / np.linalg.norm(exact))


@pytest.mark.parametrize("n", [7, 15])
def test_estimates_are_seldom_too_small_and_a_few_times_too_large(n: int) -> None:
    own, next_ = [], []
    for poles in POLES:
        maps, error = off(poles, n)
        told, told_next = said(maps)
        own.append(told / error)
        next_.append(told_next / off(poles, 2 * n + 1)[1])
    assert min(own) > 0.5
    assert 1 < np.median(own) < 10
    assert min(next_) > 0.25
    assert 1 < np.median(next_) < 100


@given(seeds, st.sampled_from([7, 15, 31]), st.floats(-3, 3))
def test_a_constant_is_integrated_exactly_and_changes_the_length_of_the_map_alone(
    seed: int, n: int, constant: float
) -> None:
    maps = np.random.default_rng(seed).normal(size=(n, 4))
    weights = rules.nodes("fejer", n).weights
    for before, after in zip(said(maps), said(maps + constant), strict=True):
        lengths = (np.linalg.norm(weights @ m) for m in (maps, maps + constant))
        assert before * next(lengths) == pytest.approx(after * next(lengths), rel=1e-6)


@given(seeds, st.sampled_from([3, 7, 15]), st.integers(1, 3))
def test_features_may_come_in_parts(seed: int, n: int, cut: int) -> None:
    maps = torch.from_numpy(np.random.default_rng(seed).normal(size=(n, 4)))
    assert tail([maps[:, :cut], maps[:, cut:]], n) == pytest.approx(tail([maps], n))


def test_a_gradient_of_zeros_is_settled() -> None:
    assert said(np.zeros((7, 3))) == (0.0, 0.0)
