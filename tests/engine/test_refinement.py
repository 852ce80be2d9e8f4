"""Sampling to a tolerance: it is kept, the error is known, nothing is sampled twice, and the budget holds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from ig_widgets.engine import cells, rules
from ig_widgets.engine.attribution import Attribution, attribute, refine
from ig_widgets.engine.cells import Cells
from ig_widgets.engine.errors import Cancelled
from ig_widgets.engine.sample_index import Wanted
from ig_widgets.exact import piecewise_linear
from tests.engine.subjects import METHODS, Counting, Scores, draw, few, seeds

ALL = (*METHODS, "fejer", "secant", "adaptive", "auto")
# Where a budget is too small by intent.
UNCONVERGED = pytest.mark.filterwarnings("ignore::ig_widgets.engine.errors.ConvergenceWarning")


def relu_network(seed: int, *, width: int = 40, layers: int = 2) -> nn.Module:
    sizes = [12, *[width] * layers, 20]
    hidden = [part for pair in pairwise(sizes) for part in (nn.Linear(*pair), nn.ReLU())]
    model = nn.Sequential(*hidden, nn.Linear(20, 1))
    for i, parameter in enumerate(model.parameters()):
        parameter.data = 1.5 * draw(seed + i, *parameter.shape) / parameter[0].numel() ** 0.5
    return model.double()


def smooth_network(seed: int) -> nn.Module:
    model = nn.Sequential(
        nn.Linear(12, 30), nn.GELU(), nn.LayerNorm(30), nn.Linear(30, 30), nn.Tanh(), nn.Linear(30, 1), nn.Sigmoid()
    )
    for i, parameter in enumerate(model.parameters()):
        parameter.data = 2 * draw(seed + i, *parameter.shape) / parameter[0].numel() ** 0.5
    return model.double()


def errors(result: Attribution, true: Tensor) -> Tensor:
    assert isinstance(result.attributions, Tensor)
    return (result.attributions - true).norm(dim=1) / true.norm(dim=1)


def limit(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    result = attribute(model, x, target=0, method="gausslegendre", n_steps=400)
    assert isinstance(result.attributions, Tensor)
    return result.attributions


# ------------------------------------------------------------------ the error is known, and the tolerance is kept


@pytest.mark.parametrize("tol", [0.1, 0.02, 0.003])
def test_kinked_networks(tol: float) -> None:
    """Estimates of single networks scatter: what holds is said of sixty."""
    ratios, kept = [], []
    for seed in range(60):
        model, x = relu_network(100 * seed), draw(seed, 1, 12)
        result = attribute(model, x, target=0, tol=tol)
        exact = piecewise_linear(model, x, target=0)
        assert result.method == "secant"
        assert result.converged
        assert result.error_estimate is not None
        error = float(errors(result, exact.attributions)[0])  # type: ignore[arg-type]
        kept.append(error <= tol)
        ratios.append(float(result.error_estimate[0]) / max(error, 1e-12))
        assert abs(float(result.convergence_delta[0])) <= 1e-9 * float(result.attributions.abs().sum())  # type: ignore[union-attr]
    assert np.mean(kept) >= 0.9
    # Errors of single networks are those of a cell or two: their ratios have no mean to speak of, but a middle.
    assert 0.8 <= np.median(ratios) <= 2.2
    assert np.mean(np.array(ratios) < 0.5) <= 0.3


@pytest.mark.parametrize("tol", [0.1, 0.01, 0.0001])
def test_smooth_networks(tol: float) -> None:
    """The tolerance is kept, twofold at the worst; estimates are about the truth, seldom below half of it."""
    ratios = []
    for seed in range(60):
        model, x = smooth_network(100 * seed), draw(seed, 1, 12)
        result = attribute(model, x, target=0, tol=tol)
        assert result.method == "adaptive"
        assert result.converged
        assert result.error_estimate is not None
        error, estimate = float(errors(result, limit(model, x))[0]), float(result.error_estimate[0])
        assert error <= 2 * tol
        assert estimate <= tol
        ratios.append((error + 1e-12) / (estimate + 1e-12))
    assert np.mean(np.array(ratios) > 2) <= 0.1
    assert 0.1 <= np.median(ratios) <= 1.2


def test_smooth_networks_need_little_more_than_gausslegendre() -> None:
    spent, allowed = [], []
    for seed in range(20):
        model, x = smooth_network(100 * seed), draw(seed, 1, 12)
        true = limit(model, x)
        needed = 40
        while (
            needed > 1
            and float(errors(attribute(model, x, target=0, method="gausslegendre", n_steps=needed - 1), true)) <= 0.01
        ):
            needed -= 1
        spent.append(attribute(model, x, target=0, tol=0.01).evaluations)
        allowed.append(2 * needed + 3)
    assert np.median(np.array(spent) / np.array(allowed)) <= 1


@pytest.mark.parametrize("method", METHODS)
def test_other_rules(method: str) -> None:
    """A tolerance is kept by any rule, in its own time."""
    for build, tol in ((relu_network, 0.05), (smooth_network, 0.01)):
        model, x = build(7), draw(7, 2, 12)
        result = attribute(model, x, target=0, method=method, tol=tol, max_evaluations=4096)
        assert result.converged
        assert (errors(result, attribute(model, x, target=0, tol=tol / 20).attributions) <= 2 * tol).all()  # type: ignore[arg-type]
        assert result.n_steps == result.evaluations or method == "gausslegendre"


def test_kinks_where_both_could_do() -> None:
    """Rectified layers below a soft-max: after a trial of both."""
    network = relu_network(3)
    weights = draw(5, 3, 20)
    network[-1] = nn.Linear(20, 3).double()
    network[-1].weight.data = weights

    def model(at: Tensor) -> Tensor:
        return network(at).softmax(1)

    x = draw(4, 2, 12)
    result = attribute(model, x, target=0, tol=0.02)
    assert result.converged
    assert "errors after a trial" in result.reason
    true = attribute(model, x, target=0, method="riemann_middle", n_steps=3000)
    assert (errors(result, true.attributions) <= 0.04).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ALL)
def test_linear_is_known_at_once(method: str) -> None:
    weight, x = draw(1, 5), draw(2, 3, 5)
    result = attribute(lambda at: at @ weight, x, method=method)
    torch.testing.assert_close(result.attributions, x * weight)
    assert result.converged
    assert result.error_estimate is not None
    assert (result.error_estimate <= 1e-6).all()
    assert result.evaluations <= 27


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("forward", [lambda at: F.relu(at.sum(1) * 0 - 1) + 3, lambda at: (at * 0).sin().sum(1)])
def test_constant_is_zero_with_error_zero(method: str, forward: Callable[[Tensor], Tensor]) -> None:
    result = attribute(forward, draw(2, 3, 5), method=method)
    assert (result.attributions == 0).all()  # type: ignore[union-attr]
    assert result.error_estimate is not None
    assert (result.error_estimate == 0).all()
    assert result.converged


def test_input_and_baseline_the_same() -> None:
    x = draw(2, 3, 12)
    result = attribute(relu_network(1), x, target=0, baselines=x)
    assert (result.attributions == 0).all()  # type: ignore[union-attr]
    assert result.converged


# ------------------------------------------------------------------ what is spent


@few
@given(seeds, st.integers(2, 120), st.integers(1, 3), st.sampled_from(ALL))
@UNCONVERGED
def test_the_budget_holds_and_is_told(seed: int, most: int, batch: int, method: str) -> None:
    model = Counting(relu_network(seed, width=8))
    result = attribute(model, draw(seed, batch, 12), target=0, method=method, tol=1e-6, max_evaluations=most)
    assert result.evaluations <= most
    assert result.n_steps <= result.evaluations
    assert result.complete
    if not result.converged:
        untested = any("could not be put to the test" in text for text in result.caveats)
        assert untested or result.error_estimate is None or (result.error_estimate > 1e-6).any()
        assert "not converged" in repr(result)
    edges = result.path.edges
    assert (edges[:, 0] == 0).all()
    assert torch.allclose(edges[:, -1], torch.ones(batch, dtype=torch.float64), rtol=0, atol=1e-12)
    # An example that took fewer than another repeats its last sample.
    assert (edges.diff(dim=1) >= 0).all()
    torch.testing.assert_close(result.path.cumulative(1.0), result.attributions)


@pytest.mark.parametrize("most", [56, 57, 60, 64, 80, 129])
@pytest.mark.parametrize("tol", [1e-6, 0.05])
@pytest.mark.parametrize("normalised", [False, True])
@UNCONVERGED
def test_the_budget_holds_where_two_methods_are_tried(most: int, tol: float, normalised: bool) -> None:
    network = nn.Sequential(nn.LayerNorm(12).double() if normalised else nn.Identity(), relu_network(3))
    calls: list[tuple[int, int]] = []
    result = attribute(
        lambda at: 3 * network(at).tanh(),
        draw(4, 2, 12),
        target=0,
        tol=tol,
        max_evaluations=most,
        on_progress=lambda done, total: calls.append((done, total)),
    )
    assert result.evaluations <= most
    done, total = calls[-1]
    assert done == total <= 2 * result.evaluations
    assert result.reason.startswith(f"{result.method}: kinks are passed in relu")


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("most", range(2, 10))
@UNCONVERGED
def test_the_smallest_budgets_give_a_map_and_claim_nothing(method: str, most: int) -> None:
    """Too few samples to know an error by are weighed by the rule, and nothing is called converged."""
    x = draw(1, 2, 12)
    result = attribute(smooth_network(3), x, target=0, method=method, tol=1e-9, max_evaluations=most)
    assert 1 <= result.evaluations <= most
    assert result.n_steps == len(result.path.alphas[0])
    assert not result.converged
    assert result.attributions.isfinite().all()  # type: ignore[union-attr]


@pytest.mark.parametrize("method", ["auto", "adaptive"])
@pytest.mark.parametrize("batch", [1, 40])
def test_what_seven_points_settle_costs_two_more_that_test_it(method: str, batch: int) -> None:
    weights, x = draw(1, 5, 3), draw(2, batch, 5) / 4
    result = attribute(lambda at: torch.sin(at @ weights).sum(1), x, method=method, tol=0.01)
    assert (result.converged, result.evaluations) == (True, 9)


def test_what_fifteen_points_settle_costs_two_more_that_test_it() -> None:
    """Where seven do not, and most intervals would need a sample, the rule that holds them is next."""
    weights, x = draw(1, 5, 3), 10 * draw(2, 1, 5)
    result = attribute(lambda at: torch.sin(at @ weights).sum(1), x, tol=0.01)
    assert (result.converged, result.evaluations) == (True, 17)


def test_maps_of_more_values_than_are_looked_at_at_once() -> None:
    """A million features, each with a kink of its own: one cell of a ReLU is exact."""
    x = torch.linspace(-1, 2, (1 << 20) + 3)[None]
    baseline = torch.linspace(1, -1, x.shape[1])[None]
    result = attribute(lambda at: F.relu(at).sum(1), x, baselines=baseline, method="secant")
    torch.testing.assert_close(result.attributions, F.relu(x) - F.relu(baseline), rtol=1e-4, atol=1e-6)
    assert result.converged


@pytest.mark.parametrize("method", [*METHODS, "fejer"])
@UNCONVERGED
def test_no_point_is_sampled_twice(method: str) -> None:
    model = Counting(Scores([(4,)]))
    x = draw(1, 2, 4)
    result = attribute(model, x, baselines=draw(2, 2, 4), method=method, tol=1e-5, max_evaluations=2000)
    assert sum(model.with_gradient) == 2 * result.evaluations
    # Both ends are looked at before, without a gradient.
    ends = sum(model.without_gradient)
    assert ends == 4
    seen = torch.cat(model.seen)[ends:]
    assert len(torch.unique(seen, dim=0)) == len(seen)


def test_cells_lie_where_the_map_changes() -> None:
    """All happens beyond 0.75 of the path."""
    network, x = relu_network(21), draw(7, 1, 12).abs()
    signs = draw(8, 12).sign()

    def model(at: Tensor) -> Tensor:
        return network(4 * signs * F.relu(4 * at - 3 * x))[:, 0]

    result = attribute(model, x, tol=0.001)
    centres, lengths = result.path.alphas[0], result.path.edges[0].diff()
    assert result.converged
    # But for those that are split as a test, at places that have nothing to do with the map.
    assert (lengths[centres < 0.7] > 0.99 * lengths.max()).double().mean() > 0.5
    assert lengths[centres < 0.7].min() > 0.49 * lengths.max()
    assert lengths[centres > 0.8].max() < 0.51 * lengths.max()


def test_examples_have_cells_of_their_own() -> None:
    model, x = relu_network(11), draw(5, 3, 12)
    result = attribute(model, x, target=0, tol=0.003)
    assert not torch.equal(result.path.edges[0], result.path.edges[1])
    exact = piecewise_linear(model, x, target=0)
    assert (errors(result, exact.attributions) <= 0.009).all()  # type: ignore[arg-type]


# ------------------------------------------------------------------ on the way


@pytest.mark.parametrize("method", ["auto", "secant", "riemann_middle"])
def test_refine_comes_closer_and_ends_where_attribute_does(method: str) -> None:
    model, x = relu_network(5), draw(6, 2, 12)
    options = {"target": 0, "method": method, "tol": 0.003}
    items = list(refine(model, x, **options))  # type: ignore[arg-type]
    spent = [item.evaluations for item in items]
    assert len(items) > 2
    assert spent == sorted(set(spent))
    assert [item.complete for item in items] == [False] * (len(items) - 1) + [True]
    last = attribute(model, x, **options)  # type: ignore[arg-type]
    torch.testing.assert_close(items[-1].attributions, last.attributions, rtol=0, atol=1e-12)
    assert "so far" in repr(items[0])


def test_progress_ends_with_all_of_it() -> None:
    calls: list[tuple[int, int]] = []
    result = attribute(
        relu_network(5),
        draw(6, 2, 12),
        target=0,
        tol=0.003,
        chunk_size=3,
        on_progress=lambda d, t: calls.append((d, t)),
    )
    done, totals = zip(*calls, strict=True)
    assert list(done) == sorted(done)
    assert list(totals) == sorted(totals)
    assert all(d <= t for d, t in calls)
    # Cells of each example; one that a cell was split into stands in its place.
    cells = (result.path.edges.diff(dim=1) > 0).sum(1)
    assert calls[-1][0] == calls[-1][1]
    assert cells.sum() <= calls[-1][0] <= 2 * result.evaluations


@pytest.mark.parametrize("method", ["auto", "fejer"])
@UNCONVERGED
def test_cancelled_on_the_way_is_the_round_before(method: str) -> None:
    model, x, cancel = relu_network(5), draw(6, 2, 12), threading.Event()
    options = {"target": 0, "method": method, "tol": 1e-4, "chunk_size": 3}
    whole = list(refine(model, x, **options))  # type: ignore[arg-type]
    enough = 2 * whole[1].evaluations + 1

    def stop(done: int, _: int) -> None:
        if done >= enough:
            cancel.set()

    with pytest.raises(Cancelled) as raised:
        attribute(model, x, **options, cancel=cancel, on_progress=stop)  # type: ignore[arg-type]
    partial = raised.value.partial
    assert partial is not None
    assert not partial.complete
    torch.testing.assert_close(partial.attributions, whole[1].attributions, rtol=0, atol=1e-12)


def test_cancelled_before_anything() -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled, match="after 0") as raised:
        attribute(relu_network(5), draw(6, 2, 12), target=0, cancel=cancel)
    assert raised.value.partial is None


# ------------------------------------------------------------------ forms


def test_tuples_means_layers_and_groups() -> None:
    model = Scores([(4,), (2, 3)], activation=F.relu, hidden=30)
    inputs = (draw(1, 2, 4), draw(2, 2, 2, 3))
    result = attribute(model, inputs, tol=0.001, feature_mask=(torch.zeros(4).long(), torch.ones(2, 3).long()))
    exact = piecewise_linear(model, inputs)
    for ours, true in zip(result.attributions, exact.attributions, strict=True):
        torch.testing.assert_close(ours, true, rtol=0, atol=0.004 * float(true.abs().max()))
    assert result.group_attributions is not None
    assert result.group_attributions.shape == (2, 2)
    mean = attribute(model, inputs, tol=0.001, multiply_by_inputs=False)
    assert (mean.convergence_delta.abs() <= 1e-9).all()
    for ours, x, true in zip(mean.attributions, inputs, exact.attributions, strict=True):
        torch.testing.assert_close(ours * x, true, rtol=0, atol=0.01 * float(true.abs().max()))
    network = relu_network(2)
    inner = attribute(network, draw(3, 2, 12), target=0, tol=0.01, layer=network[2])
    assert inner.attributions.shape == (2, 40)  # type: ignore[union-attr]
    assert inner.converged


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("build", [relu_network, smooth_network])
def test_narrow_dtypes(dtype: torch.dtype, build: Callable[[int], nn.Module]) -> None:
    x = draw(8, 2, 12, dtype=dtype)
    result = attribute(build(4).to(dtype), x, target=0, tol=0.1)
    true = limit(build(4), x.double())
    assert result.attributions.dtype == dtype  # type: ignore[union-attr]
    assert (errors(result, true) <= 0.2).all()


# ------------------------------------------------------------------ Fejér's rule


@given(st.integers(1, 80))
def test_fejer_is_exact_on_polynomials_and_nested(n: int) -> None:
    nodes, finer = rules.nodes("fejer", n), rules.nodes("fejer", 2 * n + 1)
    assert (nodes.weights > 0).all()
    for k in range(min(n, 20)):
        assert (nodes.weights @ nodes.alphas**k) == pytest.approx(1 / (k + 1), rel=1e-12)
    assert set(nodes.alphas.tolist()) <= set(finer.alphas.tolist())
    assert set(nodes.alphas.tolist()) <= set(rules.nodes("fejer", 3 * n + 2).alphas.tolist())
    assert ((nodes.edges[:-1] <= nodes.alphas) & (nodes.alphas <= nodes.edges[1:])).all()


@pytest.mark.parametrize("tol", [0.05, 0.01])
def test_no_stretch_is_passed_over_that_is_as_long_as_what_may_be_missed(tol: float) -> None:
    """max(0, the smaller of two planes) is above 0 on a stretch of the path alone: before and after it all is the same.

    Its map is (w / 2) s (1, -1) for a stretch of length w and slopes s, -s of either feature, and that of the sum of
    both (1, 1).
    """
    width = 5 * tol
    for place in torch.linspace(width, 1 - width, 23).tolist():
        low, high, slope = place - width / 2, place + width / 2, 2.0

        def stretch(x: Tensor, low: float = low, high: float = high, slope: float = slope) -> Tensor:
            planes = torch.stack([x[:, 0] - low, high - x[:, 1]])
            return x.sum(1) + slope * planes.amin(0).relu()

        result = attribute(stretch, torch.ones(1, 2, dtype=torch.float64), tol=tol, method="secant")
        exact = 1 + slope * width / 2 * torch.tensor([[1.0, -1.0]], dtype=torch.float64)
        assert result.converged
        assert float((result.attributions - exact).norm() / exact.norm()) <= 2 * tol


def test_cells_whose_errors_are_said_to_be_nothing_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, with a few cells, all errors are taken for a billionth: tests of single cells must show it, as a rule."""
    accept, hidden = Cells.accept, []

    def believing(self: Cells, rows: Wanted) -> None:
        accept(self, rows)
        if self.errors is not None and not self._cells.first.any() and not hidden:
            hidden.append(float(self.errors.max()))
            self._cells = replace(self._cells, errors=self._cells.errors * 1e-9)

    monkeypatch.setattr(Cells, "accept", believing)
    monkeypatch.setattr(cells, "_FIRST", 4)
    monkeypatch.setattr(cells, "_MOST_FIRST", 4)
    kept, tol = [], 0.001
    for seed in range(12):
        model, x = relu_network(100 * seed, width=100, layers=4), draw(seed, 1, 12)
        hidden.clear()
        result = attribute(model, x, baselines=-x, target=0, tol=tol, method="secant", max_evaluations=4000)
        true = attribute(model, x, baselines=-x, target=0, method="secant", n_steps=1000)
        if hidden[0] > 5 * tol:
            kept.append(float(errors(result, true.attributions)) <= 2 * tol)  # type: ignore[arg-type]
    assert len(kept) >= 6
    assert np.mean(kept) >= 0.5


def true_toward_the_baseline(model: nn.Module, x: Tensor) -> Tensor:
    """Gauss points on pieces that shrink toward the baseline, where all happens; x has one example."""
    edges = np.concatenate([[0], np.logspace(-12, 0, 600)])
    nodes, weights = np.polynomial.legendre.leggauss(8)
    half = np.diff(edges)[:, None] / 2
    alphas = torch.from_numpy((edges[:-1, None] + half * (1 + nodes)).ravel())
    points = (alphas[:, None] * x).requires_grad_()
    (slopes,) = torch.autograd.grad(model(points).sum(), points)
    return x * (torch.from_numpy((half * weights).ravel())[:, None] * slopes).sum(0)


@UNCONVERGED
@pytest.mark.parametrize("scale", [1e3, 1e5])
@pytest.mark.parametrize(
    "activation", [nn.Tanh(), nn.Sigmoid(), nn.ReLU6(), nn.Hardsigmoid(), nn.Softsign(), nn.ReLU6(inplace=True)]
)
def test_activations_that_level_off_within_a_cell_are_left_to_points(activation: nn.Module, scale: float) -> None:
    """Columns of a table that nobody scaled: all rises at a thousandth of the path, and halves of a cell look alike."""
    for seed in range(3):
        model = nn.Sequential(nn.Linear(6, 12), activation, nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 1)).double()
        for i, parameter in enumerate(model.parameters()):
            parameter.data = draw(10 * seed + i, *parameter.shape) / 6**0.5
        x = scale * draw(seed + 100, 1, 6)
        result = attribute(model, x, tol=0.01, max_evaluations=300)
        if result.converged:
            assert float(errors(result, true_toward_the_baseline(model, x))) <= 0.02


def test_an_example_of_another_scale_does_not_decide_for_the_others() -> None:
    """From the last point of an example to the first of the next there is no cell, however far it is."""
    weight, out = draw(1, 6, 6), draw(2, 6, 16)

    def model(x: Tensor) -> Tensor:
        return F.relu((x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6)) @ weight @ out)

    scales = torch.tensor([[1.0], [100.0], [1.0]], dtype=torch.float64)
    x, baseline = scales * draw(3, 3, 6), scales * (draw(3, 3, 6) + 0.3 * draw(4, 3, 6))
    result = attribute(model, x, baselines=baseline, target=1, method="secant", tol=0.01)
    assert result.method == "secant"
