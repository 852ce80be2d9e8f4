"""An image explorer that samples to a tolerance, and how it shows that maps settle."""

import numpy as np
import pytest
import torch

import ig_widgets as igw
from tests.explorers.subjects import SECONDS, Classifier, Watched, photo, ready


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
    assert explorer._chores.wait(SECONDS)
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
    assert explorer._chores.wait(SECONDS)
    (curve,) = explorer._curves
    assert curve["method"] == "auto"
    assert curve["points"][-1][0] == result.evaluations
    assert curve["points"][-1][2] == pytest.approx(float(result.error_estimate[0]))
