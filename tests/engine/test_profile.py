"""What the samples of a path tell of themselves: no gradient that grows toward an end of the path goes unsaid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ig_widgets.engine.interpolation import interval_weights
from ig_widgets.engine.intervals import lengths
from ig_widgets.engine.profile import Assessment, Profile
from ig_widgets.engine.rule_errors import rule_errors
from ig_widgets.engine.rules import Floats
from ig_widgets.engine.sample_places import places_for
from tests.engine.subjects import seeds


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


def drawn(seed: int, count: int) -> Profile:
    """Samples at random places, of no particular function."""
    chance = np.random.default_rng(seed)
    alphas = np.sort((np.arange(count) + chance.uniform(0.2, 0.8, count)) / count)
    maps = chance.normal(size=(count, 3))
    outputs = np.cumsum(chance.normal(size=count)) / count
    ends = (float(outputs[0] - 0.1), float(outputs[-1] + 0.2))
    return Profile(alphas, outputs, maps.sum(1), maps @ maps.T, ends, 1e-15, is_smooth=seed % 2 == 0)


@given(seeds, st.integers(1, 20))
def test_a_path_that_is_walked_the_other_way_has_the_same_errors(seed: int, count: int) -> None:
    one = drawn(seed, count)
    other = Profile(
        1 - one.alphas[::-1],
        one.outputs[::-1],
        -one.density[::-1],
        one.products[::-1, ::-1],
        one.ends[::-1],
        one.rounding,
        is_smooth=one.is_smooth,
    )
    here, there = one.assess(), other.assess()
    np.testing.assert_allclose(there.weights[::-1], here.weights, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(there.errors[::-1], here.errors, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(-there.rises[::-1], here.rises)
    assert there.error == pytest.approx(here.error, rel=1e-6)


@given(seeds, st.integers(1, 20), st.integers(-20, 20))
def test_errors_have_the_unit_of_f(seed: int, count: int, power: int) -> None:
    one, unit = drawn(seed, count), 2.0**power
    ends = (one.ends[0] * unit, one.ends[1] * unit)
    large = Profile(
        one.alphas,
        one.outputs * unit,
        one.density * unit,
        one.products * unit**2,
        ends,
        one.rounding * unit,
        is_smooth=one.is_smooth,
    )
    np.testing.assert_allclose(large.assess().errors, one.assess().errors * unit, rtol=1e-9)
    assert large.assess().relative == pytest.approx(one.assess().relative, rel=1e-9)


@pytest.mark.parametrize("at", np.linspace(0.08, 0.92, 15).tolist())
def test_a_kink_that_f_does_not_show_is_told_wherever_it_lies(at: float) -> None:
    """One feature loses what another gains; the samples tell between which two of them it happens."""
    alphas = np.linspace(0.05, 0.95, 10)
    after = np.where(alphas > at, 1.0, 0.0)
    maps = np.stack([after, -after, np.ones(10)], 1)
    told = Profile(alphas, alphas, np.ones(10), maps @ maps.T, (0.0, 1.0), 1e-15, is_smooth=False).assess()
    true = np.linalg.norm(told.weights @ maps - [1 - at, at - 1, 1])
    assert true <= 2 * told.error
    assert told.errors[np.searchsorted(alphas, at)] >= 0.02


def test_of_one_sample_both_sides_are_guessed_by_their_length() -> None:
    for at in (0.0, 0.3, 1.0):
        alphas = np.array([at])
        told = Profile(alphas, alphas, np.ones(1), np.ones((1, 1)), (0.0, 1.0), 1e-15).assess()
        np.testing.assert_allclose(told.errors, [at, 1 - at])


def assessed(alphas: Floats, errors: Floats) -> Assessment:
    edges = np.concatenate([[0.0], alphas, [1.0]])
    each = interval_weights(alphas, 0.0, 1.0, 2)
    pairs, rises = np.stack([edges[:-1], edges[1:]], 1), np.diff(edges)
    size = float(np.sqrt(np.square(errors).sum()))
    return Assessment(each.sum(0), 1.0, size, pairs, pairs, rises, errors, rises, errors > 1)


@given(seeds, st.integers(2, 30), st.floats(0.01, 1.0))
def test_places_lie_where_most_is_missing_one_in_an_interval(seed: int, count: int, share: float) -> None:
    chance = np.random.default_rng(seed)
    alphas, errors = np.sort(chance.uniform(0.05, 0.95, count)), 10 ** chance.uniform(-3, 0, count + 1)
    one = assessed(alphas, errors)
    goal, shortest = share * one.error, np.full(count + 1, 1e-3)
    places = places_for(one, goal, shortest)
    edges = np.concatenate([[0.0], alphas, [1.0]])
    chosen = np.searchsorted(edges, places) - 1
    assert places == sorted(places)
    assert len(set(chosen.tolist())) == len(chosen) >= 1
    room = np.diff(edges)
    assert (room[chosen] > shortest[chosen]).all()
    inside = (np.array(places) - edges[chosen]) / room[chosen]
    assert (np.minimum(inside, 1 - inside) >= 1 / 8 - 1e-12).all()
    # Of those that may be split the worst, and no more than are needed.
    able = room > shortest
    rest = np.setdiff1d(np.flatnonzero(able), chosen)
    assert errors[chosen].min() >= errors[rest].max(initial=0)
    assert np.linalg.norm(errors[rest]) <= goal
    # Near the side on which samples are close, and the same seen from the other end.
    for place, k in zip(places, chosen, strict=True):
        if 0 < k < count and room[k - 1] != room[k + 1]:
            middle = (edges[k] + edges[k + 1]) / 2
            assert (place - middle) * (room[k + 1] - room[k - 1]) <= 1e-15
    mirrored = places_for(assessed(1 - alphas[::-1], errors[::-1]), goal, shortest)
    np.testing.assert_allclose(1 - np.array(mirrored)[::-1], places, rtol=1e-9)


def told(**changed: float) -> float:
    """The error of a rule that settles as smooth models do, with one thing changed."""
    usual = {
        "size": 1.0,
        "change": 1e-3,
        "change_before": 1e-2,
        "defect": 1e-4,
        "defect_before": 1e-3,
        "variation": 2.0,
    }
    return float(rule_errors(**{name: np.array([value]) for name, value in (usual | changed).items()})[0])


def test_what_settled_has_no_error_and_a_map_of_zeros_that_did_not_is_all_error() -> None:
    assert told(change=0.0, defect=0.0) == 0
    assert told(size=0.0) == 1
    assert told(change=0.0) > 0
    assert told(defect=0.0) > 0


def test_errors_of_a_rule_grow_with_what_it_misses_and_have_no_unit() -> None:
    """In maps and F alike, which may have other units."""
    assert told() < told(change=3e-3) < told(change=9e-3)
    assert told() < told(defect=1e-3)
    assert told(change=1e-3, defect=0.9, defect_before=1.0) >= 0.2
    scaled = told(size=8.0, change=8e-3, change_before=8e-2)
    assert scaled == pytest.approx(told())
    assert told(defect=4e-4, defect_before=4e-3, variation=8.0) == pytest.approx(told())
    # No better than how the map settles from rule to rule.
    assert told(change=1e-2, defect=1e-12, defect_before=1e-12) >= 1e-3


def assessment_of(errors: np.ndarray) -> Assessment:
    """Equal intervals that hold these errors, of a map of size 1."""
    m = len(errors)
    edges = np.linspace(0, 1, m + 1)
    zeros = np.zeros(m)
    return Assessment(
        weights=np.full(m - 1, 1 / (m - 1)),
        size=1.0,
        error=float(np.linalg.norm(errors)),
        edges=np.stack([edges[:-1], edges[1:]], 1),
        outputs=np.zeros((m, 2)),
        rises=zeros,
        errors=errors,
        defects=zeros,
        blind=zeros > 0,
    )


def test_no_place_is_left_where_the_error_lies_where_none_can_be_added() -> None:
    errors = np.full(20, 1e-4)
    errors[3] = 1.0
    one, room = assessment_of(errors), np.zeros(20)
    assert len(places_for(one, 0.05, room)) >= 1
    room[3] = 1.0
    assert places_for(one, 0.05, room) == []
    # Others that count are still looked into.
    errors[7] = 0.2
    assert [0.35 <= place <= 0.4 for place in places_for(assessment_of(errors), 0.05, room)] == [True]


def test_long_runs_do_not_look_at_all_samples_for_each_new_one() -> None:
    errors = np.full(640, 1e-6)
    errors[3] = 1.0
    places = places_for(assessment_of(errors), 0.05, np.zeros(640))
    assert 10 <= len(places) <= 40
    assert any(3 / 640 <= place <= 4 / 640 for place in places)
