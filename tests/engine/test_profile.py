"""What the samples of a path tell of themselves: no gradient that grows toward an end of the path goes unsaid."""

from __future__ import annotations

import numpy as np
import pytest

from ig_widgets.engine.profile import Profile, lengths
from ig_widgets.engine.rules import Floats


def samples(count: int, nearest: float) -> Floats:
    """Half of them on a logarithmic scale toward the baseline."""
    half = count // 2
    return np.concatenate([np.geomspace(nearest, 0.3, half), np.linspace(0.35, 0.99, count - half)])


def relative_error(alphas: Floats, maps: Floats, true: Floats, density: Floats, outputs: Floats) -> tuple[float, float]:
    """The error of the sum of `maps` (samples, features) beside `true` (features,): as it is told, and as it is.

    Both over the length of the sum.
    """
    ends = (float(outputs[0]), float(outputs[-1]))
    told = Profile(alphas, outputs[1:-1], density, maps @ maps.T, ends, 1e-15).assess()
    return told.relative, float(np.linalg.norm(told.weights @ maps - true)) / told.size


@pytest.mark.parametrize("count", [12, 24, 40])
@pytest.mark.parametrize("nearest", [1e-2, 1e-3, 1e-4])
def test_what_grows_toward_an_end_as_one_over_alpha_is_no_less_than_it_is(count: int, nearest: float) -> None:
    """Two features that cancel each other, so that F shows nothing, until alpha is 1e-5."""
    alphas = samples(count, nearest)
    grown = 1 / (alphas + 1e-5)
    maps = np.stack([grown, -grown, np.ones(count)], 1)
    mass = np.log((1 + 1e-5) / 1e-5)
    said, true = relative_error(
        alphas, maps, np.array([mass, -mass, 1.0]), np.ones(count), np.array([0.0, *alphas, 1.0])
    )
    assert said > 0.05
    assert true <= 2 * said


def test_what_f_shows_of_an_end_bounds_what_may_grow_there() -> None:
    """The root of alpha: its slope grows, and F says how much of it is left below the first sample."""
    alphas = samples(60, 1e-6)
    slope = 0.5 / np.sqrt(alphas)
    outputs = np.array([0.0, *np.sqrt(alphas), 1.0])
    said, true = relative_error(alphas, slope[:, None] * np.array([0.8, 0.2]), np.array([0.8, 0.2]), slope, outputs)
    assert true <= 2 * said
    assert said <= 0.02


def test_a_gradient_that_does_not_change_has_no_error_at_the_ends() -> None:
    alphas = np.linspace(0.1, 0.9, 9)
    maps = np.tile([1.0, -2.0], (9, 1))
    said, true = relative_error(alphas, maps, np.array([1.0, -2.0]), -np.ones(9), np.array([0.0, *(-alphas), -1.0]))
    assert said <= 1e-12
    assert true <= 1e-12


@pytest.mark.parametrize("count", [5, 48, 49, 80])
def test_the_length_of_a_weighted_sum_is_told_by_inner_products(count: int) -> None:
    chance = np.random.default_rng(count)
    maps = chance.normal(size=(count, 7))
    weights = np.zeros((count + 1, count))
    for row in weights:
        row[chance.choice(count, 4, replace=False)] = chance.normal(size=4)
    np.testing.assert_allclose(lengths(weights, maps @ maps.T), np.linalg.norm(weights @ maps, axis=1), rtol=1e-9)
    several = np.stack([maps @ maps.T, 4 * maps @ maps.T])
    np.testing.assert_allclose(lengths(weights[0], several), np.linalg.norm(weights[0] @ maps) * np.array([1, 2]))
