"""The relatives of IG as methods of an explorer: the numbers of igw.relatives, streamed as any samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import traitlets

import ig_widgets as igw
from ig_widgets.explorers.export.exports import ExportPanel
from tests.explorers.contract.cases import IMAGE, TOY, drawn
from tests.explorers.contract.toy import WatchedFunction
from tests.explorers.subjects import SECONDS, panel, panes_of, ready, subject_of

SIGMA = 50 / 224 * 16


def by_hand(explorer, model, method, baseline):
    """What igw.relatives gives of the same question."""
    x = subject_of(explorer).inputs
    common = {"target": 1}
    match method:
        case "gradient":
            return igw.relatives.gradient(model, x, **common)
        case "input_x_gradient":
            return igw.relatives.input_x_gradient(model, x, baselines=baseline, **common)
        case "smoothgrad":
            return igw.relatives.smoothgrad(model, x, n_samples=8, **common)
        case "expected_gradients":
            rows = torch.cat(
                [subject_of(explorer).baselines.inputs(name) for name in subject_of(explorer).usual_baselines]
            )
            return igw.relatives.expected_gradients(model, x, baselines=rows, n_samples=8, **common)
        case "blur_integrated_gradients":
            options = {"sigma": SIGMA, "method": "secant", "n_steps": 8}
            return igw.relatives.blur_integrated_gradients(model, x, **options, **common)
        case "guided_integrated_gradients":
            options = {"baselines": baseline, "n_knots": 8, "method": "secant", "n_steps": 8}
            return igw.relatives.guided_integrated_gradients(model, x, **options, **common)


@pytest.mark.parametrize(
    ("case", "method"),
    [(case, method) for case in (TOY, IMAGE) for method in case.methods.relatives],
    indirect=["case"],
    ids=str,
)
def test_it_is_what_the_function_gives_and_what_a_view_adds_up(explore, case, method):
    model = case.model()
    explorer = explore(model, target=1, baseline=case.baselines[1], method=method)
    view = explorer.comm.open_view()
    result = ready(explorer)
    explorer.comm.settle()
    expected = by_hand(explorer, model, method, subject_of(explorer).baselines.inputs(case.baselines[1]))
    torch.testing.assert_close(result.attributions, expected.attributions, rtol=1e-9, atol=1e-12)
    assert result.evaluations == expected.evaluations
    exact = drawn(explorer)
    assert np.abs(view.collected(1.0) - exact).max() <= view.rounding(1.0) + 1e-9
    assert view.ended["type"] == "done"
    for of_result, of_plan in ((result.convergence_delta, view.plan["delta"]), (expected.convergence_delta, None)):
        if expected.convergence_delta is None:
            assert of_result is None
            assert of_plan is None
        elif of_plan is not None:
            assert of_plan == pytest.approx(float(of_result), abs=1e-9)
            assert float(of_result) == pytest.approx(float(expected.convergence_delta), abs=1e-9)


@pytest.mark.parametrize(
    ("method", "path"),
    [("secant", "straight"), ("guided_integrated_gradients", "curved"), ("smoothgrad", "draws"), ("gradient", "draws")],
)
def test_the_front_end_is_told_what_lies_between_baseline_and_input(explore, method, path):
    explorer = explore(target=1, method=method)
    view = explorer.comm.open_view()
    ready(explorer)
    explorer.comm.settle()
    assert view.begin["path"] == path
    alphas = [alpha for alpha, _ in view.plan["outputs"]]
    if path == "draws":
        assert view.plan["density"] == []
        assert alphas == [1.0]
    else:
        assert len(view.plan["density"]) == 8
        assert {0.0, 1.0} <= set(alphas)


@pytest.mark.parametrize(
    "method", [name for name, relative in TOY.methods.relatives.items() if not relative.uses_baseline]
)
def test_another_baseline_costs_nothing_where_it_has_no_part(explore, method):
    model = WatchedFunction()
    explorer = explore(model, target=1, method=method)
    before, rows = ready(explorer), model.rows_with_gradient
    explorer.baseline = "ones"
    after = ready(explorer)
    assert model.rows_with_gradient == rows
    assert torch.equal(before.attributions, after.attributions)


def test_a_search_for_a_path_can_be_cancelled(explore):
    model = WatchedFunction()
    explorer = explore(model, target=1)
    first, request = ready(explorer), explorer.comm.open_view()
    model.block(after=2)
    explorer.method = "guided_integrated_gradients"
    model.await_entry()
    explorer.cancel()
    model.release()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert request.ended["kind"] == "cancelled"
    assert explorer.result is first
    explorer.n_steps = 3
    assert ready(explorer).convergence_delta is not None


def test_panes_show_them_side_by_side(explore):
    explorer = explore(target=1)
    explorer.compare({"method": "smoothgrad"}, {"method": "guided_integrated_gradients"}, {"method": "gradient"})
    explorer.wait(SECONDS)
    assert [result.method for result in explorer.results] == [
        "riemann_middle",
        "smoothgrad",
        "guided_integrated_gradients",
        "gradient",
    ]
    assert [result.convergence_delta is None for result in explorer.results] == [False, True, False, True]


def test_they_are_no_rule_of_the_convergence_panel_nor_of_a_recording(explore, tmp_path):
    explorer = explore(target=1)
    ready(explorer)
    explorer.method = "smoothgrad"
    ready(explorer)
    known = {one.settings.method for one in panes_of(explorer)[0].evaluated()}
    assert known == {"riemann_middle", "smoothgrad"}
    recorded = {
        rule.settings.method
        for path in panel(explorer, ExportPanel).recorded(panel(explorer, ExportPanel).answer().rule.settings)
        for rule in path.rules
    }
    # Of draws no other rule is made.
    assert recorded >= {"smoothgrad", "riemann_middle"}
    smooth = next(
        p
        for p in panel(explorer, ExportPanel).recorded(panel(explorer, ExportPanel).answer().rule.settings)
        if p.begin[0]["path"] == "draws"
    )
    assert [rule.settings.method for rule in smooth.rules] == ["smoothgrad"]
    explorer.to_html(tmp_path / "draws.html")
    explorer.to_npz(tmp_path / "draws.npz")
    explorer.to_png(tmp_path / "draws.png")
    assert {path.name for path in tmp_path.iterdir()} == {"draws.html", "draws.npz", "draws.png"}


def test_what_is_no_method_is_named(explore):
    explorer = explore(target=1)
    with pytest.raises(traitlets.TraitError, match="method='gradcam' is unknown"):
        explorer.method = "gradcam"
    explorer.method = "gradient"
    with pytest.raises(ValueError, match="Captum has no rule gradient"):
        explorer.crosscheck()
