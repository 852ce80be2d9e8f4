"""How far a result can be trusted: "within tolerance" is said of no map of which anything known says otherwise."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ig_widgets as igw
from ig_widgets.engine.trust import Evidence, judge, worst

numbers = st.floats(-1e6, 1e6)
shares = st.one_of(st.floats(0, 3), st.sampled_from([math.nan, math.inf]))
evidence = st.builds(
    Evidence,
    output=numbers,
    baseline_output=st.none() | numbers,
    delta=st.none() | numbers | st.just(math.nan),
    error=st.none() | shares,
    tol=st.floats(0.001, 0.5),
    converged=st.none() | st.booleans(),
    complete=st.booleans(),
    caveats=st.sampled_from([(), ("F jumps on the path.",)]),
    is_random=st.booleans(),
)


@st.composite
def good(draw):
    """Of a run that converged, with a sum that is as right as it is, but for one thing."""
    tol = draw(st.floats(0.001, 0.5))
    change = draw(st.floats(0.1, 1e3)) * draw(st.sampled_from([1, -1]))
    return Evidence(
        change, 0.0, change * draw(st.floats(-2, 2)) * tol, draw(st.floats(0, 2)) * tol, tol=tol, converged=True
    )


@given(st.one_of(evidence, good()))
def test_within_tolerance_is_never_said_of_a_sum_that_misses_or_an_error_above_tol(seen):
    made = judge(seen)
    assert made.why
    if made.state != "within tolerance":
        return
    assert seen.complete
    assert not seen.caveats
    assert seen.error is not None
    assert seen.error <= seen.tol
    assert seen.converged is True or (seen.is_random and seen.converged is None)
    if seen.delta is not None and seen.baseline_output is not None:
        rounding = 1e-5 * (abs(seen.output) + abs(seen.baseline_output))
        assert abs(seen.delta) <= max(seen.tol * abs(seen.output - seen.baseline_output), rounding)


@given(good())
def test_within_tolerance_is_said_where_all_is_well(seen):
    fine = abs(seen.delta) <= seen.tol * abs(seen.output) and seen.error <= seen.tol
    assert (judge(seen).state == "within tolerance") == fine


@given(st.one_of(evidence, good()))
def test_worse_evidence_is_never_trusted_more(seen):
    order = ("not to be used", "rough", "within tolerance")
    before = order.index(judge(seen).state)
    for worse in (
        {"caveats": (*seen.caveats, "the model answers differently each time.")},
        {"converged": False},
        {"complete": False},
        {"error": None if seen.error is None else 2 * seen.error},
    ):
        assert order.index(judge(Evidence(**vars(seen) | worse)).state) <= before


def test_a_sum_that_misses_by_twice_what_f_changes_is_not_to_be_used():
    made = judge(Evidence(1.0, 0.0, 1.99, None))
    assert made.state == "not to be used"
    assert "199%" in made.why


@pytest.mark.parametrize("bad", ["output", "delta", "error"])
def test_what_is_no_number_is_not_to_be_used(bad):
    seen = Evidence(**vars(Evidence(1.0, 0.0, 0.0, 0.01, converged=True)) | {bad: math.nan})
    assert judge(seen).state == "not to be used"


# ---------------------------------------------------------------- of results

X = torch.rand(1, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def smooth(v):
    return torch.tanh(v @ torch.linspace(-1, 2, 6, dtype=v.dtype)) + v.square().sum(1)


def test_a_run_that_converged_is_within_its_tolerance_and_says_so():
    result = igw.attribute(smooth, X, tol=0.02)
    assert result.tol == 0.02
    assert result.trust.state == "within tolerance"
    assert "2%" in result.trust.why
    assert "within tolerance" in result._repr_html_()


@pytest.mark.parametrize("method", ["riemann_left", "riemann_middle", "gausslegendre", "secant"])
def test_a_rule_by_steps_is_rough_as_nobody_looked_at_its_error(method):
    result = igw.attribute(smooth, X, method=method, n_steps=64)
    assert result.trust.state == "rough"
    assert "not estimated" in result.trust.why


def test_too_few_steps_are_not_to_be_used():
    def late(v):
        return torch.sigmoid(200 * (v.sum(1) - 0.98 * float(X.sum())))

    result = igw.attribute(late, X, method="riemann_middle", n_steps=2)
    assert result.trust.state == "not to be used"


def test_gradients_and_draws():
    assert igw.relatives.gradient(smooth, X).trust.state == "rough"
    assert igw.relatives.input_x_gradient(smooth, X).trust.state in ("rough", "not to be used")
    few = igw.relatives.smoothgrad(lambda v: torch.sin(20 * v).sum(1), X, n_samples=4)
    assert few.trust.state != "within tolerance"
    # The gradient of a linear function is the same wherever it is drawn.
    assert igw.relatives.smoothgrad(lambda v: v.sum(1), X, n_samples=4).trust.state == "within tolerance"


def test_of_a_batch_the_worst_counts():
    def jump(v):
        return smooth(v) + 5.0 * (v[:, 0] > 0.6)

    together = torch.cat([X, X + 0.5])
    result = igw.attribute(jump, together)
    assert result.trust.state == "rough"
    assert "jumps" in result.trust.why
    assert worst([result.trust, igw.attribute(smooth, X).trust]) == result.trust


def test_a_run_that_was_stopped_is_rough_at_best():
    *_, before_last, _last = igw.refine(_kinked(), X, target=0, tol=0.001)
    assert before_last.trust.state != "within tolerance"


def _kinked():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1)).double().eval()
