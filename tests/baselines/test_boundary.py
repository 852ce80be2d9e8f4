"""The nearest decision boundary: exact where it can be computed otherwise, and on the boundary everywhere."""

import dataclasses
import math
import threading

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

import ig_widgets as igw
from ig_widgets import errors
from ig_widgets.baselines import BoundaryPoint, boundary

few = settings(max_examples=20)
TIGHT = 1e-12


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(seed, features, classes):
    model = nn.Linear(features, classes, dtype=torch.float64)
    model.weight.data, model.bias.data = draw(seed, classes, features), draw(seed + 1, classes)
    return model.eval()


def relu_net(seed, features=6, hidden=16, classes=4):
    layers = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
                           nn.Linear(hidden, classes)).double()  # fmt: skip
    for i, parameter in enumerate(layers.parameters()):
        parameter.data = draw(100 * seed + i, *parameter.shape) / math.sqrt(parameter[0].numel())
    return layers.eval()


def closest(model, x):
    """Of a linear classifier: the distance to each hyperplane between the class of x and another, and the nearest."""
    weight, bias = model.weight.detach(), model.bias.detach()
    scores = x @ weight.T + bias
    own = int(scores.argmax())
    found = []
    for other in range(len(weight)):
        if other != own:
            normal = weight[own] - weight[other]
            gap = float(scores[own] - scores[other])
            found.append((gap / float(normal.norm()), other, x - gap / float(normal.square().sum()) * normal))
    return own, min(found, key=lambda entry: entry[0])


# ---------------------------------------------------------------- exact


@few
@given(st.integers(0, 999), st.integers(1, 8), st.integers(2, 10), st.integers(1, 5))
def test_of_a_linear_classifier_it_is_the_closest_point(seed, features, classes, batch):
    model, x = linear(seed, features, classes), draw(seed + 2, batch, features)
    found = boundary(model, tol=TIGHT).find(x)
    for i in range(batch):
        own, (distance, other, point) = closest(model, x[i])
        assert found.classes[i].tolist() == [own, other]
        assert float(found.distance[i]) == pytest.approx(distance, rel=1e-10)
        assert (found.point[i] - point).abs().max() < 1e-10 * (1 + distance)
        assert found.iterations[i] == 1


def test_of_two_scores_the_target_is_the_other():
    model, x = linear(3, 5, 2), draw(4, 3, 5)
    free = boundary(model, tol=TIGHT).find(x)
    for i in range(3):
        towards = boundary(model, tol=TIGHT, target_class=int(free.classes[i, 1])).find(x[i : i + 1])
        assert (towards.point - free.point[i]).abs().max() < 1e-10


def deepfool(model, x, overshoot=0.02, most=50):
    """DeepFool as the paper has it (Algorithm 2), one example, without batches or a bisection."""
    own, at, total = int(model(x).argmax()), x.clone(), torch.zeros_like(x)
    for _ in range(most + 1):
        at = (x + (1 + overshoot) * total).requires_grad_()
        scores = model(at)[0]
        if int(scores.argmax()) != own:
            return at.detach()
        steps = []
        at = (x + total).requires_grad_()
        scores = model(at)[0]
        for other in range(len(scores)):
            if other != own:
                (w,) = torch.autograd.grad(scores[other] - scores[own], at, retain_graph=True)
                gap = float((scores[other] - scores[own]).detach().abs())
                steps.append((gap / float(w.norm()), gap / float(w.square().sum()) * w))
        total = total + min(steps, key=lambda step: step[0])[1]
    return None


@few
@given(st.integers(0, 500))
@example(409)  # where the slope turns back just beyond the boundary
def test_of_a_relu_network_it_is_on_the_boundary_and_no_farther_than_deepfool(seed):
    model, x = relu_net(seed), draw(seed + 7, 1, 6)
    reference = deepfool(model, x)
    if reference is None:
        with pytest.raises(errors.ArgumentValueError, match=r"^No decision boundary was found"):
            boundary(model).find(x)
        return
    found = boundary(model, tol=TIGHT).find(x)
    assert float(found.distance) <= float((reference - x).norm()) + 1e-9
    scores = model(found.point).detach()[0]
    own, other = found.classes[0].tolist()
    assert own == int(model(x).argmax())
    top = scores.topk(2)
    assert {own, other} == set(top.indices.tolist())
    # On the far side, by no more than the tolerance.
    assert scores[other] >= scores[own]
    assert float(top.values[0] - top.values[1]) <= TIGHT * float(found.input_margin)
    # A little nearer to the input the answer is still its own.
    nearer = x + (1 - 1e-6) * (found.point - x)
    assert int(model(nearer).argmax()) == own


@few
@given(st.integers(0, 500), st.integers(0, 3))
def test_towards_a_class_the_point_lies_on_the_border_of_that_class(seed, target):
    model, x = relu_net(seed), draw(seed + 7, 1, 6)
    if int(model(x).argmax()) == target:
        with pytest.raises(errors.ArgumentValueError, match=f"^target_class is {target}, and example 0 is"):
            boundary(model, target_class=target).find(x)
        return
    try:
        found = boundary(model, target_class=target, tol=TIGHT).find(x)
    except errors.ArgumentValueError as error:
        assert "No decision boundary to class" in str(error)  # noqa: PT017  (some classes lie nowhere near)
        return
    top = model(found.point).detach()[0].topk(2)
    assert target == top.indices[0]
    assert float(top.values[0] - top.values[1]) <= 1e-9
    assert found.classes[0, 1] == target


def test_what_is_told_is_what_the_model_says_there():
    model, x = relu_net(3), draw(10, 4, 6)
    found = boundary(model).find(x)
    assert torch.equal(found.point, boundary(model)(x))
    assert torch.allclose(found.outputs, model(found.point).detach(), rtol=0, atol=1e-12)
    assert torch.allclose(found.distance, (found.point - x).flatten(1).norm(dim=1))
    rows = torch.arange(4)
    scores = model(x).detach()
    lead = scores[rows, found.classes[:, 0]] - scores[rows, found.classes[:, 1]]
    assert torch.allclose(found.input_margin, lead)
    assert (found.margin >= 0).all()
    assert (found.margin <= 1e-5 * found.input_margin).all()
    assert repr(found).startswith(f"BoundaryPoint({int(found.classes[0, 0])} | {int(found.classes[0, 1])} at ")


def test_where_the_answer_is_undecided_already_it_is_the_input():
    model = nn.Linear(3, 2, bias=False, dtype=torch.float64)
    model.weight.data = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, -3.0]], dtype=torch.float64)
    x = torch.tensor([[1.0, 1.0, 0.0]], dtype=torch.float64)
    found = boundary(model).find(x)
    assert torch.equal(found.point, x)
    assert found.distance == 0


# ---------------------------------------------------------------- limits


@few
@given(st.integers(0, 500))
def test_the_point_keeps_the_range_that_it_is_given(seed):
    model, x = linear(seed, 6, 3), draw(seed + 2, 2, 6).sigmoid()
    try:
        found = boundary(model, low=0.0, high=1.0, tol=TIGHT).find(x)
    except errors.ArgumentValueError as error:
        assert "No decision boundary" in str(error)  # noqa: PT017  (it may lie outside of the box)
        return
    assert found.point.min() >= 0
    assert found.point.max() <= 1
    assert (found.margin <= TIGHT * found.input_margin).all()
    free = boundary(model, tol=TIGHT).find(x)
    assert (found.distance >= free.distance - 1e-12).all()
    ahead = x + 1.02 * (free.point - x)  # the overshoot too is kept in the range
    inside = ((ahead >= 0) & (ahead <= 1)).all(1)
    assert torch.allclose(found.point[inside], free.point[inside], atol=1e-10)


def test_a_step_turns_along_the_limit_where_that_is_in_its_way():
    """By hand: x1 may not rise, so that x2 has to bridge the gap alone."""
    model = nn.Linear(2, 2, dtype=torch.float64)
    model.weight.data = torch.tensor([[0.0, 0.0], [3.0, 1.0]], dtype=torch.float64)
    model.bias.data = torch.tensor([0.0, -2.0], dtype=torch.float64)
    x = torch.tensor([[0.1, 0.1]], dtype=torch.float64)
    found = boundary(model, high=(0.1, 5.0), tol=TIGHT).find(x)
    assert (found.point - torch.tensor([[0.1, 1.7]], dtype=torch.float64)).abs().max() < 1e-9
    assert found.iterations == 1


def test_no_boundary_within_reach_is_an_error_that_says_so():
    model, x = linear(0, 4, 3), draw(1, 2, 4)
    distances = boundary(model).find(x).distance
    first = int(distances.argmax())
    with pytest.raises(
        errors.ArgumentValueError, match=rf"^The boundary was found at .* example {first}, beyond max_di"
    ):
        boundary(model, max_distance=float(distances.max()) * 0.999).find(x)
    assert torch.equal(boundary(model, max_distance=float(distances.max()) * 1.001).find(x).distance, distances)

    class Sure(nn.Module):  # whatever it is given
        def forward(self, x):
            return torch.stack([1 + 0 * x.sum(1), torch.tanh(x.sum(1)) - 1], 1)

    with pytest.raises(
        errors.ArgumentValueError, match=r"^No decision boundary was found from example 0 .*iterations=7"
    ):
        boundary(Sure(), max_iterations=7).find(x)
    with pytest.raises(errors.ArgumentValueError, match=r"^No decision boundary to class 1 was"):
        boundary(Sure(), max_iterations=7, target_class=1).find(x)


# ---------------------------------------------------------------- batches


def test_rows_and_chunks_change_nothing():
    model, x = relu_net(5), draw(3, 5, 6)
    whole = boundary(model).find(x)
    for chunk_size in (1, 2, 5):
        parts = boundary(model, chunk_size=chunk_size).find(x)
        assert torch.equal(parts.classes, whole.classes)
        assert torch.allclose(parts.point, whole.point, rtol=0, atol=1e-9)


def test_further_arguments_follow_their_example():
    model = linear(0, 4, 3)

    def shifted(x, shift, factor):
        return factor * model(x + shift)

    x, shift = draw(1, 3, 4), draw(2, 3, 4)
    found = boundary(shifted, additional_forward_args=(shift, 2.0), tol=TIGHT, chunk_size=2).find(x)
    assert torch.allclose(found.point + shift, boundary(model, tol=TIGHT).find(x + shift).point, rtol=0, atol=1e-10)


def test_progress_and_cancel():
    model, x, told = relu_net(5), draw(3, 5, 6), []
    boundary(model, chunk_size=2).find(x, on_progress=lambda *seen: told.append(seen))
    assert told == [(2, 5), (4, 5), (5, 5)]
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(errors.Cancelled):
        boundary(model).find(x, cancel=cancel)


def test_memory_that_runs_out_halves_the_rows():
    model, x, rows = linear(0, 4, 3), draw(1, 6, 4), []

    def narrow(x):
        rows.append(len(x))
        if len(x) > 2:
            raise RuntimeError("can't allocate memory")
        return model(x)

    with pytest.warns(RuntimeWarning, match="Memory ran out with") as caught:
        found = boundary(narrow).find(x)
    assert [str(one.message).partition(" in ")[0] for one in caught] == [
        f"Memory ran out with {n} rows" for n in rows if n > 2
    ]
    assert torch.allclose(found.point, boundary(model).find(x).point, rtol=0, atol=1e-9)
    assert max(rows[-3:]) <= 2

    def never(x):
        raise RuntimeError("can't allocate memory")

    with (
        pytest.warns(RuntimeWarning, match="Memory ran out"),
        pytest.raises(errors.OutOfMemoryError, match=r"single row in the model.*; use a smaller input"),
    ):
        boundary(never).find(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dtype_is_the_inputs_own(dtype):
    model, x = relu_net(2).to(dtype), draw(3, 3, 6).to(dtype)
    found = boundary(model).find(x)
    assert found.point.dtype == dtype
    scores, rows = model(found.point), torch.arange(3)
    assert (scores[rows, found.classes[:, 1]] >= scores[rows, found.classes[:, 0]]).all()
    assert (found.classes[:, 0] == model(x).argmax(1)).all()


# ---------------------------------------------------------------- as a baseline


def test_attribution_from_the_boundary_explains_the_lead():
    """Of F the lead over the class that takes over: zero at the baseline, so that the sum is the lead itself."""
    model, x = relu_net(3), draw(10, 1, 6)
    found = boundary(model, tol=TIGHT).find(x)
    own, other = found.classes[0].tolist()
    result = igw.attribute(lambda z: model(z)[:, own] - model(z)[:, other], x, baselines=boundary(model, tol=TIGHT))
    assert abs(float(result.baseline_output)) < 1e-9
    assert float(result.attributions.sum()) == pytest.approx(float(found.input_margin), rel=1e-6)


def test_the_model_is_left_as_it_was_found():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).eval()
    counted = nn.Module()
    counted.register_buffer("calls", torch.zeros(()))

    def forward(x):
        counted.calls += 1
        torch.rand(1)
        return model(x)

    before = {name: value.clone() for name, value in model.state_dict().items()}
    state, x = torch.get_rng_state(), draw(0, 2, 3, 6, 6).float()
    kept = x.clone()
    with torch.no_grad():
        boundary(forward).find(x)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert counted.calls == 0
    assert torch.equal(x, kept)
    with torch.inference_mode():
        found = boundary(model).find(x)
    assert torch.allclose(found.point, boundary(model).find(x).point, atol=1e-6)


def test_a_model_that_writes_into_what_it_is_given():
    last, x = linear(0, 4, 3), draw(1, 3, 4) + 1
    found = boundary(nn.Sequential(nn.ReLU(inplace=True), last)).find(x)
    assert torch.equal(found.point, boundary(nn.Sequential(nn.ReLU(), last)).find(x).point)


def test_it_is_frozen_and_prints_without_addresses():
    made = boundary(linear(0, 2, 2), target_class=1)
    assert made.space == "inputs"
    assert repr(made) == "boundary(Linear, towards class 1)"
    assert hash(made) == hash(made)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.low = 0.0
    candidates = draw(0, 20, 2)
    found = made.find(candidates[made.forward_func(candidates).argmax(1) == 0])
    assert isinstance(found, BoundaryPoint)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.point = None


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "message", "kind"),
    [
        ({"max_iterations": 0}, "max_iterations must be at least 1, got 0", errors.ArgumentValueError),
        ({"candidates": 1.5}, "candidates must be an integer, got 1.5", errors.ArgumentTypeError),
        ({"target_class": True}, "target_class must be an integer", errors.ArgumentTypeError),
        ({"target_class": -1}, "target_class must be at least 0", errors.ArgumentValueError),
        ({"overshoot": 0}, "overshoot must be a positive number", errors.ArgumentValueError),
        ({"tol": "x"}, "tol must be a number", errors.ArgumentTypeError),
        ({"max_distance": -1}, "max_distance must be a positive number", errors.ArgumentValueError),
        ({"low": "black"}, "low must be None, a number, or a tuple", errors.ArgumentTypeError),
        ({"high": ()}, "high must be None", errors.ArgumentTypeError),
        ({"chunk_size": 0}, "chunk_size is rows", errors.ArgumentValueError),
    ],
)
def test_options_that_cannot_work(options, message, kind):
    with pytest.raises(kind, match=f"^{message}"):
        boundary(linear(0, 2, 2), **options)


@pytest.mark.parametrize(
    ("inputs", "options", "message", "kind"),
    [
        (
            torch.ones(1, 4, dtype=torch.int64),
            {},
            "inputs must be one floating tensor",
            errors.ArgumentTypeError,
        ),
        ((torch.ones(1, 4),), {}, "inputs must be one floating tensor .* got tuple", errors.ArgumentTypeError),
        (torch.ones(4), {}, r"inputs must be \(batch, ...\)", errors.ArgumentValueError),
        (torch.full((1, 4), math.nan), {}, "inputs holds NaN", errors.ArgumentValueError),
        (torch.ones(1, 4).double(), {"high": 0.5}, "inputs lie beyond high=0.5 by 0.5", errors.ArgumentValueError),
        (torch.ones(1, 4).double(), {"low": (1.0, 1.0)}, "low has 2 levels, the inputs 4", errors.ArgumentValueError),
        (
            torch.ones(1, 4).double(),
            {"target_class": 3},
            "target_class must lie from 0 to 2",
            errors.ArgumentValueError,
        ),
    ],
)
def test_inputs_that_cannot_work(inputs, options, message, kind):
    with pytest.raises(kind, match=f"^{message}"):
        boundary(linear(0, 4, 3), **options).find(inputs)


def test_models_that_cannot_be_searched():
    x = torch.ones(2, 4, dtype=torch.float64)
    with pytest.raises(errors.ArgumentTypeError, match=r"^forward_func must be a module"):
        boundary("model")
    for function, message in (
        (lambda x: x.sum(1), r"at least two class scores .* returned shape \(2,\) for 2"),
        (lambda x: x.sum(1, keepdim=True), r"returned shape \(2, 1\) for 2; of a single score"),
        (lambda x: {"scores": x}, "returned a dict"),
        (lambda x: x[:1], r"returned shape \(1, 4\) for 2"),
    ):
        with pytest.raises(errors.OutputError, match=message):
            boundary(function).find(x)
    with pytest.raises(errors.NonFiniteError, match="NaN or infinite"):
        boundary(lambda x: x * np.nan).find(x)
    with pytest.raises(errors.NotDifferentiableError, match="does not depend"):
        boundary(lambda x: x.detach() * torch.arange(4)).find(x)
    with pytest.raises(errors.TrainingModeError):
        boundary(nn.Sequential(nn.Dropout(), nn.Linear(4, 3)).double()).find(x)


def test_towards_a_class_and_inside_of_a_range_most_searches_find_something():
    """So that what is said above of what is found is said of something."""
    toward = inside = 0
    for seed in range(20):
        model, x = relu_net(seed), draw(seed + 7, 1, 6)
        target = int(model(x)[0].topk(2).indices[1])
        for name, search, at in (
            ("toward", boundary(model, target_class=target), x),
            ("inside", boundary(linear(seed, 6, 3), low=0.0, high=1.0), draw(seed + 2, 1, 6).sigmoid()),
        ):
            try:
                search.find(at)
            except errors.ArgumentValueError:
                continue
            toward, inside = toward + (name == "toward"), inside + (name == "inside")
    assert toward >= 15
    assert inside >= 10
