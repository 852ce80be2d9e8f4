"""An explorer that samples to a tolerance, and how it shows that maps settle."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.explorers.core import run
from ig_widgets.explorers.export.exports import ExportPanel
from tests.explorers.contract.test_export import recorded
from tests.explorers.contract.toy import Function, Jumping, Steep, WatchedFunction, point
from tests.explorers.subjects import SECONDS, panel, panes_of, ready, tasks_of


def test_auto_samples_until_the_estimated_error_is_within_tol(explore):
    model, x = Function(), point()[None]
    explorer = explore(model, x[0], target=1, method="auto", tol=0.02)
    view = explorer.comm.open_view()
    result = ready(explorer)
    explorer.comm.settle()
    fine = igw.attribute(model, x, target=1, method="secant", n_steps=2000).attributions
    assert float((result.attributions - fine).norm() / fine.norm()) < 0.04
    assert result.converged
    assert view.ended["type"] == "done"
    assert view.plan["final"]
    assert view.plan["error"] == pytest.approx(float(result.error_estimate[0]))
    drawn = view.collected(1.0)
    exact = result.attributions[0].numpy()
    assert np.abs(drawn - exact).max() <= view.rounding(1.0) + 1e-6


def test_auto_again_costs_nothing_and_a_cancelled_one_goes_on(explore):
    model = WatchedFunction()
    explorer = explore(model, method="auto", tol=0.02)
    first = ready(explorer)
    spent = model.rows
    explorer.method = "riemann_middle"
    ready(explorer)
    between = model.rows
    explorer.method = "auto"
    assert torch.equal(ready(explorer).attributions, first.attributions)
    assert model.rows == between > spent


def test_curves_are_of_samples_that_are_there(explore):
    model, x = WatchedFunction(), point()[None]
    explorer = explore(model, x[0], target=1, method="riemann_middle", n_steps=9)
    ready(explorer)
    explorer.method, explorer.n_steps = "gausslegendre", 4
    ready(explorer)
    explorer.method, explorer.n_steps = "secant", 40
    ready(explorer)
    spent = model.rows
    assert tasks_of(explorer).wait(SECONDS)
    assert model.rows == spent
    made = {curve["method"]: curve["points"] for curve in explorer._curves}
    assert [entry[0] for entry in made["riemann_middle"]] == [1, 3, 7, 9]
    assert [entry[0] for entry in made["gausslegendre"]] == [1, 3, 4]
    assert made["secant"][-1][:3] == [40, None, None]
    finest = explorer.result.attributions
    # The rule itself; in between are samples on the way to it, by the piece nearest to each.
    for method, n in (("riemann_middle", 1), ("riemann_middle", 3), ("riemann_middle", 9), ("gausslegendre", 4)):
        for _, error, _, delta in (entry for entry in made[method] if entry[0] == n):
            expected = igw.attribute(Function(), x, target=1, method=method, n_steps=n)
            distance = (expected.attributions - finest).norm() / finest.norm()
            assert error is None or error == pytest.approx(float(distance), rel=1e-2, abs=1e-3)
            assert delta == pytest.approx(float(expected.convergence_delta[0]), abs=1e-6)


def test_curve_of_a_run_to_a_tolerance_has_its_estimates(explore):
    explorer = explore(target=1, method="auto", tol=0.01)
    result = ready(explorer)
    assert tasks_of(explorer).wait(SECONDS)
    (curve,) = explorer._curves
    assert curve["method"] == "auto"
    assert curve["points"][-1][0] == result.evaluations
    assert curve["points"][-1][2] == pytest.approx(float(result.error_estimate[0]))


def _graded(model: nn.Module, x: Tensor, target: int) -> Tensor:
    """IG from zeros by Gauss-Legendre in pieces of the path, each half as long as the next; no code of the engine."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    edges = np.concatenate([[0.0], 2.0 ** np.arange(-40, 1)])
    lengths = np.diff(edges)
    alphas = torch.from_numpy((edges[:-1, None] + lengths[:, None] * (1 + nodes) / 2).ravel())
    points = (alphas[:, None] * x).requires_grad_()
    (gradients,) = torch.autograd.grad(model(points)[:, target].sum(), points)
    each = torch.from_numpy((lengths[:, None] * weights / 2).ravel())
    return torch.einsum("n,nk->k", each, gradients) * x


def test_pieces_of_unequal_length_are_drawn_as_they_are(explore):
    """Samples crowd where the gradient lives, in the plan and in the convergence panel too."""
    model, x = Steep(), point()
    explorer = explore(model, x, target=1, method="auto", tol=0.05)
    view = explorer.comm.open_view()
    result = ready(explorer)
    explorer.comm.settle()
    assert (result.method, result.converged) == ("adaptive", True)
    lengths = result.path.edges[0].diff()
    assert lengths.max() > 100 * lengths.min()
    assert [entry[3] for entry in view.plan["entries"]] == result.path.edges[0, 1:].tolist()
    for alpha in (0.01, 0.3, 1.0):
        exact = result.path.cumulative(alpha)[0].numpy()
        assert np.abs(view.collected(alpha) - exact).max() <= view.rounding(alpha) + 1e-6
    fine = _graded(model, x, 1)
    assert float((result.attributions[0] - fine).norm() / fine.norm()) < 0.05
    assert tasks_of(explorer).wait(SECONDS)
    (curve,) = explorer._curves
    assert curve["points"][-1][0] == result.evaluations
    assert curve["points"][-1][2] == pytest.approx(float(result.error_estimate[0]))


def test_what_a_run_to_a_tolerance_ends_with_is_said(explore):
    """As long as it is so, and to views that open later."""
    explorer = explore(Jumping(), point(), target=1, method="auto", tol=0.05)
    result = ready(explorer)
    assert float(result.unattributed) == pytest.approx(Jumping.jump)
    assert explorer._notice["text"] == " ".join(result.caveats)
    assert "F jumps on the path, by 30" in explorer._notice["text"]
    assert explorer._notice["lasts"]
    explorer.method = "riemann_middle"
    ready(explorer)
    assert explorer._notice["text"] == ""
    explorer.compare({"method": "auto"})
    ready(explorer)
    assert "F jumps on the path" in explorer._notice["text"]
    explorer.n_steps = 5
    ready(explorer)
    assert "F jumps on the path" in explorer._notice["text"]


def test_what_leaves_an_explorer_says_so_too(explore):
    explorer = explore(Jumping(), point(), target=1, method="auto", tol=0.05)
    result = ready(explorer)
    assert "F jumps by 30" in panel(explorer, ExportPanel).drawing().caption
    notice = recorded(explorer).fields["traits"]["_notice"]
    assert (notice["text"], notice["lasts"]) == (" ".join(result.caveats), True)
    explorer.method = "riemann_middle"
    ready(explorer)
    assert "jumps" not in panel(explorer, ExportPanel).drawing().caption
    assert "_notice" not in recorded(explorer).fields["traits"]


def test_a_budget_that_is_too_small_is_told_of_in_words(explore, monkeypatch):
    monkeypatch.setattr(run, "MOST_EVALUATIONS", 9)
    explorer = explore(Steep(), point(), target=1, method="auto", tol=0.001)
    assert ready(explorer).converged is False
    assert "After 9 evaluations the relative error is" in explorer._notice["text"]
    assert "not converged" in panel(explorer, ExportPanel).drawing().caption


def test_a_run_that_is_cancelled_says_nothing_of_what_it_would_have_found(explore):
    model = WatchedFunction()
    model.block(after=1)
    explorer = explore(model, method="auto", tol=0.001)
    model.await_entry()
    panes_of(explorer)[0].cancel()
    model.release()
    explorer.wait(SECONDS)
    assert explorer._notice.get("text", "") == ""
