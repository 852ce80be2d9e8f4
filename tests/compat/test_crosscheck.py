"""compare() and crosscheck(): the same numbers from Captum, and a report of how far the two are apart."""

from __future__ import annotations

import dataclasses
import sys

import captum
import pytest
import torch
from captum.attr import IntegratedGradients

from ig_widgets.compat.captum import CrossCheck, compare, crosscheck
from ig_widgets.engine import rules
from ig_widgets.engine.attribution import attribute, refine
from tests.engine.subjects import METHODS, Scores, draw

MODEL = Scores([(4,)], (3,), seed=1)
X, B = draw(2, 2, 4), draw(3, 2, 4)


@pytest.mark.parametrize("method", METHODS)
def test_the_report_says_what_was_compared(method: str) -> None:
    result = attribute(MODEL, X, baselines=B, target=1, method=method, n_steps=8)
    report = compare(result, MODEL, X, baselines=B, target=1)
    scale = 8 / 7 if method == "riemann_trapezoid" else 1.0
    direct = IntegratedGradients(MODEL).attribute(X, baselines=B, target=1, method=method, n_steps=8) * scale
    assert report.method == method
    assert report.n_steps == 8
    assert report.scale == scale
    assert report.captum_version == captum.__version__
    assert report.largest_value == pytest.approx(float(direct.abs().max()), rel=1e-12)
    assert report.largest_difference == pytest.approx(float((result.attributions - direct).abs().max()), abs=1e-15)
    assert report.relative_difference == report.largest_difference / report.largest_value
    assert report.relative_difference <= 3e-7
    assert captum.__version__ in repr(report)
    assert ("scaled by 1.143" in repr(report)) == (method == "riemann_trapezoid")
    assert "0x" not in repr(report)


@pytest.mark.parametrize("factor", [1.01, -1.0, 0.0])
def test_a_map_that_is_not_captums_is_found_out(factor: float) -> None:
    result = attribute(MODEL, X, baselines=B, target=1, n_steps=8)
    altered = result.attributions.clone()
    position = altered.abs().argmax()
    altered.view(-1)[position] *= factor
    wrong = dataclasses.replace(result, attributions=altered)
    report = compare(wrong, MODEL, X, baselines=B, target=1)
    assert report.relative_difference == pytest.approx(abs(1 - factor), rel=1e-5)


@pytest.mark.parametrize("options", [{"target": 2}, {"baselines": torch.zeros(1, 4)}], ids=lambda o: next(iter(o)))
def test_another_question_is_found_out(options: dict[str, object]) -> None:
    result = attribute(MODEL, X, baselines=B, target=1, n_steps=8)
    asked = {"baselines": B, "target": 1, **options}
    assert compare(result, MODEL, X, **asked).relative_difference > 0.01  # type: ignore[arg-type]


def test_tuples_and_further_arguments() -> None:
    model = Scores([(3,), (2, 2)], (3,), seed=1)
    inputs, baselines = (draw(4, 2, 3), draw(5, 2, 2, 2)), (draw(6, 2, 3), draw(7, 2, 2, 2))
    forward = lambda a, b, s, k: model(a * s, b) * k  # noqa: E731
    options = {"target": [0, 2], "additional_forward_args": (draw(8, 2, 3), 2.0)}
    result = attribute(forward, inputs, baselines=baselines, n_steps=8, **options)  # type: ignore[arg-type]
    report = compare(result, forward, inputs, baselines=baselines, **options)  # type: ignore[arg-type]
    assert report.relative_difference <= 3e-7
    members = list(result.attributions)
    members[1] = members[1] * 2
    wrong = dataclasses.replace(result, attributions=tuple(members))
    assert compare(wrong, forward, inputs, baselines=baselines, **options).relative_difference > 0.1  # type: ignore[arg-type]


def test_two_maps_of_zeros_do_not_differ() -> None:
    flat = lambda at: at.sum(1) * 0 + 3  # noqa: E731
    report = compare(attribute(flat, X, n_steps=4), flat, X, baselines=torch.zeros_like(X))
    assert report.largest_value == report.largest_difference == report.relative_difference == 0


def test_relative_to_zeros_is_infinite() -> None:
    report = CrossCheck("riemann_left", 4, 1.0, 0.0, 1.0, "0.9.0")
    assert report.relative_difference == float("inf")


def test_float32() -> None:
    model = Scores([(4,)], (3,), seed=1).float()
    result = attribute(model, X.float(), baselines=B.float(), target=1, n_steps=32)
    assert compare(result, model, X.float(), baselines=B.float(), target=1).relative_difference <= 1e-5


@pytest.mark.parametrize("internal_batch_size", [None, 2, 1000])
def test_captums_chunks_do_not_matter(internal_batch_size: int | None) -> None:
    result = attribute(MODEL, X, baselines=B, target=1, n_steps=8)
    report = compare(result, MODEL, X, baselines=B, target=1, internal_batch_size=internal_batch_size)
    assert report.relative_difference <= 3e-7


def test_the_mean_gradient_is_compared_with_captums() -> None:
    result = attribute(MODEL, X, baselines=B, target=1, n_steps=8, multiply_by_inputs=False)
    assert compare(result, MODEL, X, baselines=B, target=1).relative_difference <= 3e-7


def test_what_captum_passes_on_badly_is_passed_on_well() -> None:
    """Captum repeats every tensor along the path, also one that has no batch dimension."""
    table = draw(9, 4, 4)
    forward = lambda at, t: MODEL(at @ t)  # noqa: E731
    options = {"target": 1, "additional_forward_args": table}
    result = attribute(forward, X, baselines=B, n_steps=8, **options)  # type: ignore[arg-type]
    assert compare(result, forward, X, baselines=B, **options).relative_difference <= 3e-7  # type: ignore[arg-type]


def test_an_unfinished_result_is_not_compared_with_a_finished_one() -> None:
    early = next(refine(MODEL, X, baselines=B, target=1, n_steps=64, chunk_size=2))
    assert early.evaluations < 64
    with pytest.raises(ValueError, match="evaluations"):
        compare(early, MODEL, X, baselines=B, target=1)


@pytest.mark.parametrize("missing", ["captum", "captum.attr"])
def test_without_captum_the_extra_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = attribute(MODEL, X, baselines=B, target=1, n_steps=4)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install 'ig_widgets\[captum\]'"):
        compare(result, MODEL, X, baselines=B, target=1)


def test_the_report_over_all_rules() -> None:
    report = crosscheck(MODEL, X, baselines=B, target=1)
    assert [check.method for check in report.checks] == list(rules.RULES)
    assert all(check.n_steps == 50 for check in report.checks)
    assert report.relative_difference == max(check.relative_difference for check in report.checks) <= 3e-7
    lines = repr(report).splitlines()
    assert len(lines) == 1 + len(rules.RULES)
    assert lines[0].startswith("rule")
    assert [line.split()[0] for line in lines[1:]] == list(rules.RULES)
    scaled = next(line for line in lines if line.startswith("riemann_trapezoid"))
    assert scaled.endswith(f"{50 / 49:.4g}")
    assert report._repr_html_().count("<tr>") == 1 + len(rules.RULES)


def test_the_report_on_further_arguments_and_keywords() -> None:
    forward = lambda at, scale, power, *, shift: {"scores": MODEL(at * scale) ** power + shift}  # noqa: E731
    report = crosscheck(
        forward,
        X,
        baselines=B,
        target=1,
        additional_forward_args=(draw(8, 2, 4), 2),
        forward_kwargs={"shift": draw(9, 2, 3)},
        output="scores",
        methods=["riemann_middle"],
        n_steps=6,
    )
    assert report.relative_difference <= 3e-7


def test_the_report_on_tuples_callables_and_few_rules() -> None:
    model = Scores([(4,), (2,)], seed=9)
    report = crosscheck(
        model,
        (X, draw(5, 2, 2)),
        baselines=lambda inputs: tuple(0.5 * x for x in inputs),
        methods=["gausslegendre"],
        n_steps=7,
    )
    assert [(check.method, check.n_steps) for check in report.checks] == [("gausslegendre", 7)]
    assert report.relative_difference <= 3e-7
    with pytest.raises(ValueError, match="Captum has no rule secant"):
        crosscheck(MODEL, X, target=1, methods=["secant"])
