"""Quadrature rules: what each integrates exactly, and that its pieces tile the path."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ig_widgets.engine import legendre, rules
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.legendre import gauss_legendre
from tests.engine.subjects import METHODS, few, methods, points, smallest

# From 513 on the points of Gauss-Legendre are found in another way.
sizes = st.one_of(st.integers(1, 40), st.sampled_from([64, 127, 300, 513, 1000]))


def moment(nodes: rules.Nodes, k: int) -> float:
    return float(nodes.weights @ nodes.alphas**k)


def test_the_rules_are_captums() -> None:
    assert sorted(rules.RULES) == sorted(METHODS)


@few
@given(methods, sizes)
def test_pieces_tile_the_path_and_hold_their_node(method: str, n: int) -> None:
    n = max(n, smallest(method))
    nodes = rules.nodes(method, n)
    assert nodes.alphas.dtype == nodes.weights.dtype == nodes.edges.dtype == np.float64
    assert nodes.alphas.shape == nodes.weights.shape == (n,)
    assert nodes.edges.shape == (n + 1,)
    assert abs(nodes.weights.sum() - 1) <= 1e-12
    assert nodes.edges[0] == 0
    assert nodes.edges[-1] == 1
    assert (np.diff(nodes.alphas) > 0).all()
    np.testing.assert_allclose(np.diff(nodes.edges), nodes.weights, rtol=0, atol=1e-13)
    # Of a left sum the node is its piece's edge; edges are sums of weights, with their rounding.
    assert (nodes.edges[:-1] <= nodes.alphas + 1e-12).all()
    assert (nodes.alphas <= nodes.edges[1:] + 1e-12).all()


@few
@given(methods, sizes)
def test_points_are_those_of_the_definition(method: str, n: int) -> None:
    n = max(n, smallest(method))
    alphas, weights = points(method, n)
    nodes = rules.nodes(method, n)
    np.testing.assert_allclose(nodes.alphas, alphas, rtol=0, atol=1e-13)
    np.testing.assert_allclose(nodes.weights, weights, rtol=0, atol=1e-13)


@few
@given(st.integers(1, 30))
def test_gausslegendre_is_exact_up_to_degree_2n_minus_1_and_no_further(n: int) -> None:
    nodes = rules.nodes("gausslegendre", n)
    for k in range(2 * n):
        assert moment(nodes, k) == pytest.approx(1 / (k + 1), rel=0, abs=1e-13)
    if n <= 10:  # beyond, the miss is below rounding
        assert abs(moment(nodes, 2 * n) - 1 / (2 * n + 1)) > 1e-13


@pytest.mark.robustness
@pytest.mark.parametrize("method", ["gausslegendre", "fejer"])
def test_ten_thousand_points_are_had_soon(method: str, figure: Callable[..., None]) -> None:
    """While they are worked out nothing can be cancelled."""
    begin = time.perf_counter()
    nodes = rules.nodes(method, 10_000)
    figure(f"the 10000 points of {method}", time.perf_counter() - begin, " s", at_most=5)
    for k in (0, 1, 2, 7, 50, 1000):
        assert moment(nodes, k) == pytest.approx(1 / (k + 1), rel=1e-12)
    assert (np.diff(nodes.alphas) > 0).all()
    assert ((nodes.edges[:-1] <= nodes.alphas + 1e-12) & (nodes.alphas <= nodes.edges[1:] + 1e-12)).all()


@few
@given(st.sampled_from(["riemann_middle", "riemann_trapezoid"]), st.integers(2, 50))
def test_middle_and_trapezoid_are_exact_on_lines(method: str, n: int) -> None:
    assert moment(rules.nodes(method, n), 1) == pytest.approx(0.5, abs=1e-14)
    assert moment(rules.nodes(method, n), 2) != pytest.approx(1 / 3, abs=1e-6)


@pytest.mark.parametrize("n", [1, 4, 33])
def test_left_and_right_miss_a_line_by_half_a_step(n: int) -> None:
    assert moment(rules.nodes("riemann_left", n), 1) == pytest.approx(0.5 - 0.5 / n)
    assert moment(rules.nodes("riemann_right", n), 1) == pytest.approx(0.5 + 0.5 / n)


def test_nodes_are_computed_once_and_cannot_be_changed() -> None:
    nodes = rules.nodes("gausslegendre", 32)
    assert rules.nodes("gausslegendre", 32) is nodes
    for array in (nodes.alphas, nodes.weights, nodes.edges):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.5


@few
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20, unique=True))
def test_nearest_edges_give_each_point_what_lies_nearest(unsorted: list[float]) -> None:
    alphas = np.sort(np.array(unsorted))
    edges = rules.nearest_edges(alphas)
    assert edges[0] == 0
    assert edges[-1] == 1
    assert (edges[:-1] <= alphas).all()
    assert (alphas <= edges[1:]).all()
    for t in np.linspace(0, 1, 41):
        piece = min(int(np.searchsorted(edges[1:], t)), len(alphas) - 1)
        assert abs(alphas[piece] - t) <= np.abs(alphas - t).min() + 1e-15


@few
@given(st.integers(1, 600))
def test_coarse_to_fine_visits_each_index_once_and_stays_even(n: int) -> None:
    levels = rules.coarse_to_fine(n)
    assert sorted(np.concatenate(levels).tolist()) == list(range(n))
    assert len(levels[0]) == 1
    for last in range(1, len(levels) + 1):
        seen = np.sort(np.concatenate(levels[:last]))
        gaps = np.diff(np.concatenate([[-1], seen, [n]]))
        # After k levels no stretch without a sample is longer than a 2^k-th of the whole.
        assert gaps.max() <= n / 2**last + 1


@pytest.mark.parametrize("n_steps", [0, -3])
def test_n_steps_below_one(n_steps: int) -> None:
    with pytest.raises(ArgumentValueError, match=rf"n_steps must be at least 1, got {n_steps}"):
        rules.nodes("riemann_middle", n_steps)


@pytest.mark.parametrize("n_steps", [3.0, "8", True, None])
def test_n_steps_not_an_integer(n_steps: object) -> None:
    with pytest.raises(ArgumentTypeError, match="n_steps must be an integer >= 1"):
        rules.nodes("riemann_middle", n_steps)  # type: ignore[arg-type]


def test_n_steps_of_numpy() -> None:
    assert rules.nodes("riemann_middle", np.int64(4)) is rules.nodes("riemann_middle", 4)


def test_trapezoid_of_one_point() -> None:
    with pytest.raises(ArgumentValueError, match=r"riemann_trapezoid.*n_steps is 1, must be at least 2"):
        rules.nodes("riemann_trapezoid", 1)


def test_unknown_method_lists_the_known() -> None:
    with pytest.raises(ArgumentValueError, match="simpson") as raised:
        rules.nodes("simpson", 4)
    assert all(method in str(raised.value) for method in METHODS)
    with pytest.raises(ArgumentTypeError, match="method must be a name"):
        rules.nodes(3, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [513, 600, 1001])
def test_gausslegendre_by_the_formula_is_numpys(n: int) -> None:
    alphas, weights = gauss_legendre(n)
    xs, ws = np.polynomial.legendre.leggauss(n)
    np.testing.assert_allclose(alphas, (1 + xs) / 2, rtol=0, atol=1e-14)
    # NumPy's own are off by 4e-14 at 1,001 points, beside the ends.
    np.testing.assert_allclose(weights, ws / 2, rtol=0, atol=5e-14)


@pytest.mark.parametrize("n", [601, 20_000])
@pytest.mark.parametrize("k", [11, 50, 101])
def test_the_series_is_what_the_decimals_are(n: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside an end the points are zeros of a polynomial, to any number of digits: so are those that follow."""
    monkeypatch.setattr(legendre, "_DIGITS", 45 + 3 * k)
    alpha, weight = legendre._near_end(n, k)
    alphas, weights = gauss_legendre(n)
    assert abs(alphas[k - 1] / alpha - 1) <= 2e-15
    assert abs(weights[k - 1] / weight - 1) <= 4e-15


def test_a_million_points_are_exact_for_polynomials() -> None:
    nodes = rules.nodes("gausslegendre", rules.MOST_STEPS)
    assert (np.diff(nodes.alphas) > 0).all()
    for k in (1, 2, 9):
        assert abs(moment(nodes, k) * (k + 1) - 1) <= 1e-14


@pytest.mark.parametrize("method", rules.METHODS)
@pytest.mark.parametrize("n", [rules.MOST_STEPS + 1, 10**18])
def test_more_points_than_anyone_can_wait_for_are_refused(method: str, n: int) -> None:
    with pytest.raises(ArgumentValueError, match=r"n_steps must be at most 1,000,000"):
        rules.nodes(method, n)
