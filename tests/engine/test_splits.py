"""Splits of cells: within the budget, to the goal, at about the least cost, and each example as if it were alone."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ig_widgets.engine.rules import Floats, Integers
from ig_widgets.engine.splits import plan_of, remaining
from tests.engine.subjects import seeds

_MOST = 6


def cells(seed: int, count: int) -> tuple[Floats, Floats]:
    """Errors of cells, and the power of their size with which they fall."""
    chance = np.random.default_rng(seed)
    return 10 ** chance.uniform(-2, 0, count), chance.uniform(0.8, 2.5, 1)


def planned(errors: Floats, orders: Floats, goal: float, affordable: int, first: bool = False) -> Integers:
    return plan_of(
        np.zeros(len(errors), dtype=np.int64),
        errors,
        np.full(len(errors), first),
        np.array([goal]),
        orders,
        np.array([affordable]),
        probes=None,
    )


def left(errors: Floats, plan: Integers, orders: Floats) -> float:
    return float((errors**2 * remaining(plan, orders)).sum())


def cost(plan: Integers) -> int:
    """Parts that are sampled: a cell that is not split is known."""
    return int(plan[plan > 1].sum())


@given(seeds, st.integers(1, 4), st.floats(0.15, 0.8))
def test_a_plan_reaches_the_goal_at_about_the_least_cost(seed: int, count: int, share: float) -> None:
    """Beside all plans there are: no more than a part a cell above the cheapest that does."""
    errors, orders = cells(seed, count)
    every = [np.array(p) for p in itertools.product(range(1, _MOST + 1), repeat=count)]
    goal = share * left(errors, np.ones(count, dtype=np.int64), orders)
    cheapest = min((cost(p) for p in every if left(errors, p, orders) <= goal), default=None)
    plan = planned(errors, orders, goal, 1000)
    assert plan.max() <= _MOST
    if cheapest is not None:
        assert left(errors, plan, orders) <= goal * (1 + 1e-9)
        assert cost(plan) <= cheapest + count


@given(seeds, st.integers(1, 6), st.integers(2, 12))
def test_a_small_budget_is_used_up_and_no_part_would_do_more_elsewhere(seed: int, count: int, affordable: int) -> None:
    errors, orders = cells(seed, count)
    plan = planned(errors, orders, 0.0, affordable)
    assert cost(plan) == min(affordable, _MOST * count)
    split = np.flatnonzero(plan > 1)
    assert errors[split].min() >= np.delete(errors, split).max(initial=0)  # the worst ones
    for one, other in itertools.permutations(split, 2):
        if plan[one] > 2 and plan[other] < _MOST:
            moved = plan.copy()
            moved[one], moved[other] = moved[one] - 1, moved[other] + 1
            assert left(errors, moved, orders) >= left(errors, plan, orders) * (1 - 1e-12)


@given(seeds, st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_each_example_is_split_as_if_it_were_alone(seed: int, counts: list[int]) -> None:
    chance = np.random.default_rng(seed)
    examples = np.repeat(np.arange(len(counts)), counts)
    errors = 10 ** chance.uniform(-2, 0, len(examples))
    orders, goals = chance.uniform(0.8, 2.5, len(counts)), chance.uniform(0, 0.5, len(counts))
    affordable = chance.integers(2, 12, len(counts))
    first = chance.uniform(size=len(examples)) < 0.3
    for probes in (None, (2, 3)):
        together = plan_of(examples, errors, first, goals, orders, affordable, probes=probes)
        alone = []
        for k in range(len(counts)):
            own, zeros = slice(k, k + 1), np.zeros(counts[k], dtype=np.int64)
            mine = examples == k
            alone.append(
                plan_of(zeros, errors[mine], first[mine], goals[own], orders[own], affordable[own], probes=probes)
            )
        np.testing.assert_array_equal(together, np.concatenate(alone))


@given(seeds, st.integers(1, 6), st.floats(0, 1), st.integers(-12, 12))
def test_the_unit_of_errors_does_not_matter(seed: int, count: int, goal: float, power: int) -> None:
    errors, orders = cells(seed, count)
    unit = 2.0**power
    np.testing.assert_array_equal(planned(errors, orders, goal, 20), planned(errors * unit, orders, goal * unit**2, 20))


def test_first_cells_are_split_whatever_the_goal_unless_nothing_is_off() -> None:
    errors, orders = np.array([1e-3, 0.0, 1e-2, 1e-3]), np.array([1.0])
    plan = planned(errors, orders, 1.0, 100, first=True)
    np.testing.assert_array_equal(plan, [2, 1, 2, 2])


@given(seeds, st.integers(1, 6), st.integers(1, 3), st.integers(2, 4))
def test_probes_are_the_worst_cells(seed: int, count: int, probes: int, parts: int) -> None:
    errors, orders = cells(seed, count)
    one = np.zeros(count, dtype=np.int64)
    plan = plan_of(
        one, errors, np.ones(count, dtype=bool), np.zeros(1), orders, np.array([100]), probes=(probes, parts)
    )
    split = np.flatnonzero(plan > 1)
    assert len(split) == min(probes, count)
    assert cost(plan) == parts * len(split)
    assert errors[split].min() >= np.delete(errors, split).max(initial=0)
