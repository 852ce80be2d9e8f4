"""What an explorer computes, without a front end: the engine's numbers, and no more of them than are missing."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import ig_widgets as igw
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, OutputError, TrainingModeError
from tests.explorers.contract.cases import TOY
from tests.explorers.contract.toy import Function, WatchedFunction, point
from tests.explorers.subjects import METHODS, SECONDS, panes_of, subject_of


def alphas_of(method, n):
    """The points of a rule, from its definition."""
    if method == "gausslegendre":
        return {float(v) for v in (1 + np.polynomial.legendre.leggauss(n)[0]) / 2}
    if method == "riemann_trapezoid":
        return {i / (n - 1) for i in range(n)}
    shift = {"riemann_left": 0.0, "riemann_right": 1.0, "riemann_middle": 0.5}[method]
    return {(i + shift) / n for i in range(n)}


def relative(ours, theirs):
    return float((ours - theirs).abs().max() / theirs.abs().max())


# ---------------------------------------------------------------- the numbers


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("baseline", TOY.baselines)
def test_result_is_that_of_attribute(explore, method, baseline):
    model, x = Function(), point()
    explorer = explore(model, x, method=method, baseline=baseline, target=3, n_steps=7)
    explorer.wait(SECONDS)
    inputs = x[None]
    expected = igw.attribute(
        model, inputs, baselines=subject_of(explorer).baselines.inputs(baseline), target=3, method=method, n_steps=7
    )
    result = explorer.result
    assert relative(result.attributions, expected.attributions) < 1e-6
    assert float(result.output) == pytest.approx(float(expected.output), rel=1e-9)
    assert float(result.baseline_output) == pytest.approx(float(expected.baseline_output), rel=1e-6)
    assert float(result.convergence_delta) == pytest.approx(float(expected.convergence_delta), abs=1e-6)
    assert (result.method, result.n_steps, result.evaluations) == (method, 7, 7)


def test_result_stays_that_of_attribute_however_one_came_there(explore):
    """Samples are shared between rules and steps; none may be used for another."""
    model, x = Function(), point()
    explorer = explore(model, x)
    inputs = x[None]
    wishes = [
        {"method": "riemann_left"}, {"n_steps": 16}, {"method": "riemann_trapezoid", "n_steps": 9},
        {"baseline": "minus ones"}, {"target": 1}, {"method": "gausslegendre"}, {"baseline": "zeros"}, {"n_steps": 1},
        {"method": "riemann_middle", "n_steps": 24}, {"target": 0, "baseline": "ones"},
    ]  # fmt: skip
    for wish in wishes:
        if wish == {"n_steps": 1}:
            explorer.method = "riemann_right"
        for name, value in wish.items():
            setattr(explorer, name, value)
        explorer.wait(SECONDS)
        expected = igw.attribute(
            model,
            inputs,
            baselines=subject_of(explorer).baselines.inputs(explorer.baseline),
            target=explorer.target,
            method=explorer.method,
            n_steps=explorer.n_steps,
        )
        assert relative(explorer.result.attributions, expected.attributions) < 1e-6, wish
        assert explorer.result.method == explorer.method
        assert explorer.result.n_steps == explorer.result.evaluations == explorer.n_steps


def test_noise_is_the_same_each_time(explore):
    one, other = (explore(baseline="noise") for _ in range(2))
    one.wait(SECONDS)
    other.wait(SECONDS)
    assert relative(one.result.attributions, other.result.attributions) < 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_crosscheck_agrees_with_captum(explore, method):
    explorer = explore(method=method, n_steps=12, baseline="minus ones")
    check = explorer.crosscheck()
    assert check.relative_difference < 1e-5
    assert check.largest_value > 0
    assert (check.method, check.n_steps) == (method, 12)


def test_crosscheck_in_float32(explore):
    check = explore(Function(dtype=torch.float32), point().float(), n_steps=20).crosscheck()
    assert check.relative_difference < 1e-5


def test_crosscheck_notices_a_wrong_result(explore):
    explorer = explore()
    explorer.wait(SECONDS)
    wrong = dataclasses.replace(explorer.result, attributions=explorer.result.attributions * 1.01)
    pane = panes_of(explorer)[0]
    pane.answer = dataclasses.replace(pane.answer, result=wrong)
    assert explorer.crosscheck().relative_difference > 1e-3


# ---------------------------------------------------------------- what the model is asked


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (("riemann_left", 8), ("riemann_left", 16)),
        (("riemann_left", 8), ("riemann_right", 8)),
        (("riemann_left", 8), ("riemann_trapezoid", 9)),
        (("riemann_middle", 4), ("riemann_middle", 12)),
        (("riemann_middle", 12), ("riemann_middle", 4)),
        (("riemann_middle", 8), ("gausslegendre", 8)),
        (("gausslegendre", 3), ("riemann_middle", 1)),
    ],
    ids=str,
)
def test_only_missing_alphas_are_evaluated(explore, first, then):
    model = WatchedFunction()
    explorer = explore(model, method=first[0], n_steps=first[1])
    explorer.wait(SECONDS)
    assert model.rows_with_gradient == first[1]
    assert model.rows_without_gradient == 2  # the classes, which tells F(x), and the baseline
    old, new = alphas_of(*first), alphas_of(*then)
    with explorer.hold_trait_notifications():
        explorer.method, explorer.n_steps = then
    explorer.wait(SECONDS)
    assert model.rows_with_gradient == len(old | new)
    assert model.rows_without_gradient == 2
    with explorer.hold_trait_notifications():  # and back: all is there
        explorer.method, explorer.n_steps = first
    explorer.wait(SECONDS)
    assert model.rows == len(old | new) + 2
    assert explorer.result.method == first[0]


def test_going_back_to_a_baseline_or_target_evaluates_nothing(explore):
    model = WatchedFunction()
    explorer = explore(model, target=0)
    explorer.wait(SECONDS)
    first = explorer.result.attributions

    def ask(baseline, target):
        with explorer.hold_trait_notifications():  # the setting between the two would be a wish as well
            explorer.baseline, explorer.target = baseline, target
        explorer.wait(SECONDS)

    for wish in (("ones", 0), ("ones", 1), ("noise", 1)):
        ask(*wish)
    assert model.rows == 1 + 4 * (1 + 8)
    for wish in (("zeros", 0), ("ones", 1), ("noise", 1), ("ones", 0), ("zeros", 0)):
        ask(*wish)
    assert model.rows == 1 + 4 * (1 + 8)
    assert relative(explorer.result.attributions, first) < 1e-9


def test_a_path_that_is_in_use_is_kept_the_longest(explore):
    """Going back and forth between black and others, one after the other, must not forget black."""
    model = WatchedFunction()
    explorer = explore(model)
    explorer.wait(SECONDS)
    for other in ("ones", "halves", "minus ones", "noise"):
        explorer.baseline = other
        explorer.wait(SECONDS)
        rows = model.rows
        explorer.baseline = "zeros"
        explorer.wait(SECONDS)
        assert model.rows == rows, other


def test_looks_cost_the_model_nothing(explore):
    model = WatchedFunction()
    explorer = explore(model)
    explorer.wait(SECONDS)
    rows, result = model.rows, explorer.result
    for name, values in {
        "alpha": (0.0, 0.25, 0.999, 1),
        "clip": (50.0, 100.0),
        "sign": ("positive", "negative", "all"),
        "colormap": ("viridis", "PuOr_r"),
    }.items():
        for value in values:
            setattr(explorer, name, value)
    explorer.snapshot()
    explorer.wait(SECONDS)
    assert model.rows == rows
    assert explorer.result is result


def test_same_value_again_asks_nothing(explore):
    model = WatchedFunction()
    explorer = explore(model)
    explorer.wait(SECONDS)
    rows, result = model.rows, explorer.result
    explorer.baseline, explorer.method, explorer.n_steps, explorer.target = (
        "zeros",
        "riemann_middle",
        8,
        explorer.target,
    )
    explorer.wait(SECONDS)
    assert model.rows == rows
    assert explorer.result is result


def test_model_whose_weights_changed_is_asked_anew(explore):
    model, x = WatchedFunction(), point()
    explorer = explore(model, x, target=0)
    explorer.wait(SECONDS)
    with torch.no_grad():
        model.last.weight.mul_(-2)
    explorer.n_steps = 24  # whose points are those of 8, and 16 more
    explorer.wait(SECONDS)
    expected = igw.attribute(model, x[None], target=0, method="riemann_middle", n_steps=24)
    assert relative(explorer.result.attributions, expected.attributions) < 1e-6


# ---------------------------------------------------------------- models


class Busy(Function):
    """Writes to a buffer in each pass."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(2).double()
        self.register_buffer("passes", torch.zeros(2))
        self.eval()

    def forward(self, x):
        self.passes += 1
        return super().forward(self.norm(x))


def test_model_is_left_as_it_was(explore):
    model = Busy()
    for i, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(i % 2 == 0)
        parameter.grad = torch.full_like(parameter, 0.5) if i % 3 == 0 else None
    state = {name: value.clone() for name, value in model.state_dict().items()}
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    flags = [p.requires_grad for p in model.parameters()]
    torch.manual_seed(3)
    random = torch.get_rng_state()
    x = point().requires_grad_()
    explorer = explore(model, x)
    explorer.wait(SECONDS)
    for name in TOY.baselines[1:]:
        explorer.baseline = name
        explorer.wait(SECONDS)
    explorer.snapshot()
    explorer.close()
    assert not any(module.training for module in model.modules())
    assert [p.requires_grad for p in model.parameters()] == flags
    for parameter, before in zip(model.parameters(), grads, strict=True):
        assert (parameter.grad is None) if before is None else torch.equal(parameter.grad, before)
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert torch.equal(torch.get_rng_state(), random)
    assert x.grad is None


def test_random_state_is_not_set_back_under_the_hands_of_the_session(explore):
    """The session may draw while the explorer computes; its numbers must not come twice."""
    model = WatchedFunction()
    model.block()
    explorer = explore(model)
    model.await_entry()
    torch.rand(3)
    drawn = torch.get_rng_state()
    model.release()
    explorer.wait(SECONDS)
    assert torch.equal(torch.get_rng_state(), drawn)


def test_model_in_training_mode_is_refused(explore):
    model = Busy().train()
    with pytest.raises(TrainingModeError, match=r"BatchNorm1d 'norm'.*model\.eval\(\)"):
        explore(model)
    assert model.training


def test_callable_that_is_no_module(explore):
    model, x = Function(), point()
    explorer = explore(lambda x: model(x), x, target=1)
    explorer.wait(SECONDS)
    expected = igw.attribute(model, x[None], target=1, method="riemann_middle", n_steps=8)
    assert relative(explorer.result.attributions, expected.attributions) < 1e-6


def test_model_of_probabilities_is_explained_in_probabilities(explore):
    model = Function()
    logits, probabilities = explore(model), explore(nn.Sequential(model, nn.Softmax(1)))
    names = []
    for explorer in (logits, probabilities):
        view = explorer.comm.open_view()
        explorer.wait(SECONDS)
        explorer.comm.settle()
        names.append(view.begin["output_name"])
    assert names == ["logit", "probability"]
    # Both tell the same classes with the same probabilities.
    assert [c for c, _ in logits._top] == [c for c, _ in probabilities._top]
    assert [p for _, p in logits._top] == pytest.approx([p for _, p in probabilities._top], abs=1e-6)
    assert 0 <= float(probabilities.result.output) <= 1


def test_first_choice_is_explained_unless_told(explore):
    model, x = Function(), point()
    explorer = explore(model, x)
    with torch.no_grad():
        scores = model(x[None])[0]
    assert explorer.target == int(scores.argmax())
    assert [c for c, _ in explorer._top] == scores.argsort(descending=True).tolist()
    assert [p for _, p in explorer._top] == pytest.approx(scores.softmax(0).sort(descending=True)[0].tolist(), abs=1e-6)
    assert explorer._n_classes == 5


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (lambda x: x.mean(), r"\(\)"),
        (lambda x: x.argmax(1, keepdim=True), ".*int64"),
        (lambda x: x.repeat(2, 1), r"\(2, 2\)"),
        (lambda x: (x,), "tuple"),
        (lambda x: x[None], r"\(1, 1, 2\)"),
    ],
    ids=["scalar", "integers", "two rows", "tuple", "three dimensions"],
)
def test_model_that_returns_no_row_of_scores(explore, model, says):
    with pytest.raises(OutputError, match=f"^model must return one row of class scores.*returned {says}"):
        explore(model)


def test_model_that_is_none(explore):
    with pytest.raises(ArgumentTypeError, match=r"^model must be a module or another callable, got str"):
        explore("resnet")


@pytest.mark.parametrize(
    ("labels", "error", "says"),
    [
        (["a", "b"], ArgumentValueError, "labels has 2 names, the model 5 classes"),
        ("abcde", ArgumentTypeError, "labels must be a list of texts"),
        ([1, 2, 3, 4, 5], ArgumentTypeError, "labels must be a list of texts"),
    ],
    ids=str,
)
def test_labels_that_do_not_fit(explore, labels, error, says):
    with pytest.raises(error, match=f"^{says}"):
        explore(labels=labels)


# ---------------------------------------------------------------- the secant rule


def test_secant_is_complete_and_keeps_its_cells(explore):
    model, x = WatchedFunction(), point()
    explorer = explore(model, x, method="secant", n_steps=6, target=1)
    explorer.wait(SECONDS)
    expected = igw.attribute(model, x[None], baselines=0.0, target=1, method="secant", n_steps=6)
    assert relative(explorer.result.attributions, expected.attributions) < 1e-9
    assert abs(float(explorer.result.convergence_delta)) < 1e-9
    rows = model.rows_with_gradient
    explorer.method = "riemann_middle"
    explorer.wait(SECONDS)
    explorer.method = "secant"
    explorer.wait(SECONDS)
    assert model.rows_with_gradient == rows + 6  # the cells are still there
    with pytest.raises(ValueError, match="secant"):
        explorer.crosscheck()
