"""An image explorer that samples to a tolerance, and how it shows that maps settle."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.explorers.core import run
from tests.explorers.subjects import SECONDS, Classifier, Normed, Routed, Watched, photo, ready
from tests.explorers.test_export import recorded

SMALL = 3, 8, 8


def test_auto_samples_until_the_estimated_error_is_within_tol(explore):
    model, image = Classifier(), photo()[None]
    explorer = explore(model, image[0], target=1, method="auto", tol=0.02)
    view = explorer.comm.open_view()
    result = ready(explorer)
    explorer.comm.settle()
    fine = igw.attribute(model, image, target=1, method="secant", n_steps=2000).attributions
    assert float((result.attributions - fine).norm() / fine.norm()) < 0.04
    assert result.converged
    assert view.ended["type"] == "done"
    assert view.plan["final"]
    assert view.plan["error"] == pytest.approx(float(result.error_estimate[0]))
    drawn = view.collected(1.0)
    exact = result.attributions[0].sum(0).numpy()
    assert np.abs(drawn - exact).max() <= view.rounding(1.0) + 1e-6


def test_auto_again_costs_nothing_and_a_cancelled_one_goes_on(explore):
    model = Watched()
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
    model, image = Watched(), photo()[None]
    explorer = explore(model, image[0], target=1, method="riemann_middle", n_steps=9)
    ready(explorer)
    explorer.method, explorer.n_steps = "gausslegendre", 4
    ready(explorer)
    explorer.method, explorer.n_steps = "secant", 40
    ready(explorer)
    spent = model.rows
    assert explorer._tasks.wait(SECONDS)
    assert model.rows == spent
    made = {curve["method"]: curve["points"] for curve in explorer._curves}
    assert [point[0] for point in made["riemann_middle"]] == [1, 3, 7, 9]
    assert [point[0] for point in made["gausslegendre"]] == [1, 3, 4]
    assert made["secant"][-1][:3] == [40, None, None]
    finest = explorer.result.attributions.sum(1)
    # The rule itself; in between are samples on the way to it, by the piece nearest to each.
    for method, n in (("riemann_middle", 1), ("riemann_middle", 3), ("riemann_middle", 9), ("gausslegendre", 4)):
        for _, error, _, delta in (point for point in made[method] if point[0] == n):
            expected = igw.attribute(Classifier(), image, target=1, method=method, n_steps=n)
            distance = (expected.attributions.sum(1) - finest).norm() / finest.norm()
            assert error is None or error == pytest.approx(float(distance), rel=1e-2, abs=1e-3)
            assert delta == pytest.approx(float(expected.convergence_delta[0]), abs=1e-6)


def test_curve_of_a_run_to_a_tolerance_has_its_estimates(explore):
    explorer = explore(target=1, method="auto", tol=0.01)
    result = ready(explorer)
    assert explorer._tasks.wait(SECONDS)
    (curve,) = explorer._curves
    assert curve["method"] == "auto"
    assert curve["points"][-1][0] == result.evaluations
    assert curve["points"][-1][2] == pytest.approx(float(result.error_estimate[0]))


def _graded(model: nn.Module, image: Tensor, target: int) -> Tensor:
    """IG from black by Gauss-Legendre in pieces of the path, each half as long as the next; no code of the engine."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    edges = np.concatenate([[0.0], 2.0 ** np.arange(-40, 1)])
    lengths = np.diff(edges)
    alphas = torch.from_numpy((edges[:-1, None] + lengths[:, None] * (1 + nodes) / 2).ravel())
    points = (alphas.view(-1, 1, 1, 1) * image).requires_grad_()
    (gradients,) = torch.autograd.grad(model(points)[:, target].sum(), points)
    each = torch.from_numpy((lengths[:, None] * weights / 2).ravel())
    return torch.einsum("n,nchw->chw", each, gradients) * image


def test_pieces_of_unequal_length_are_drawn_as_they_are(explore):
    """Samples crowd where the gradient lives, in the plan and in the convergence panel too."""
    model, image = Normed(*SMALL), photo(0, *SMALL)
    explorer = explore(model, image, target=1, method="auto", tol=0.05)
    view = explorer.comm.open_view()
    result = ready(explorer)
    explorer.comm.settle()
    assert (result.method, result.converged) == ("adaptive", True)
    lengths = result.path.edges[0].diff()
    assert lengths.max() > 100 * lengths.min()
    assert [entry[3] for entry in view.plan["entries"]] == result.path.edges[0, 1:].tolist()
    for alpha in (0.01, 0.3, 1.0):
        exact = result.path.cumulative(alpha)[0].sum(0).numpy()
        assert np.abs(view.collected(alpha) - exact).max() <= view.rounding(alpha) + 1e-6
    fine = _graded(model, image, 1)
    assert float((result.attributions[0] - fine).norm() / fine.norm()) < 0.05
    assert explorer._tasks.wait(SECONDS)
    (curve,) = explorer._curves
    assert curve["points"][-1][0] == result.evaluations
    assert curve["points"][-1][2] == pytest.approx(float(result.error_estimate[0]))


def test_what_a_run_to_a_tolerance_ends_with_is_said(explore):
    """As long as it is so, and to views that open later."""
    explorer = explore(Routed(*SMALL), photo(0, *SMALL), target=1, method="auto", tol=0.05)
    result = ready(explorer)
    assert float(result.unattributed) == pytest.approx(Routed.jump)
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
    explorer = explore(Routed(*SMALL), photo(0, *SMALL), target=1, method="auto", tol=0.05)
    result = ready(explorer)
    assert "F jumps by 30" in explorer._panels[-1].drawing().caption
    notice = recorded(explorer).fields["traits"]["_notice"]
    assert (notice["text"], notice["lasts"]) == (" ".join(result.caveats), True)
    explorer.method = "riemann_middle"
    ready(explorer)
    assert "jumps" not in explorer._panels[-1].drawing().caption
    assert "_notice" not in recorded(explorer).fields["traits"]


def test_a_budget_that_is_too_small_is_told_of_in_words(explore, monkeypatch):
    monkeypatch.setattr(run, "MOST_EVALUATIONS", 9)
    explorer = explore(Normed(*SMALL), photo(0, *SMALL), target=1, method="auto", tol=0.001)
    assert ready(explorer).converged is False
    assert "After 9 evaluations the relative error is" in explorer._notice["text"]
    assert "not converged" in explorer._panels[-1].drawing().caption


def test_a_run_that_is_cancelled_says_nothing_of_what_it_would_have_found(explore):
    model = Watched()
    model.block(after=1)
    explorer = explore(model, method="auto", tol=0.001)
    model.await_entry()
    explorer._pane_list[0].cancel()
    model.release()
    explorer.wait(SECONDS)
    assert explorer._notice.get("text", "") == ""
