"""IntegratedGradients in Captum's place: the same arguments, numbers, returns and kinds of errors.

Captum's trapezoid, whose weights sum to (n - 1) / n, is scaled by n / (n - 1) first; nothing else is.
"""

from __future__ import annotations

import copy
import inspect
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from captum.attr import NoiseTunnel
from captum.testing.helpers import basic_models as models
from captum.testing.helpers.classification_models import SigmoidModel, SoftmaxModel
from torch import Tensor, nn

import ig_widgets.compat.captum
from ig_widgets.compat.captum import IntegratedGradients, LayerIntegratedGradients
from ig_widgets.compat.errors import CaptumOutputError
from ig_widgets.engine.errors import IGError, NotDifferentiableError, TrainingModeError
from tests.engine.subjects import METHODS, Scores, draw

CLOSE = 1e-5
Maps = tuple[Tensor, ...]


def members(maps: Any) -> Maps:
    return maps if isinstance(maps, tuple) else (maps,)


def assert_close(ours: Any, theirs: Any, scale: float = 1.0) -> None:
    """Like in form, and within 1e-5 of the largest value."""
    assert type(ours) is type(theirs)
    largest = max(float(t.detach().abs().max()) for t in members(theirs)) * scale
    for our, their in zip(members(ours), members(theirs), strict=True):
        assert our.shape == their.shape
        assert our.dtype == their.dtype
        assert float((our - their.detach() * scale).abs().max()) <= CLOSE * largest + 1e-12


def scale_of(options: dict[str, Any]) -> float:
    n = options.get("n_steps", 50)
    return n / (n - 1) if options.get("method") == "riemann_trapezoid" else 1.0


def compare(model: Any, inputs: Any, *, multiply_by_inputs: bool = True, **options: Any) -> Any:
    ours = IntegratedGradients(model, multiply_by_inputs).attribute(inputs, **options)
    theirs = captum.attr.IntegratedGradients(model, multiply_by_inputs).attribute(inputs, **options)
    assert_close(ours, theirs, scale_of(options))
    return ours


def rows(*values: list[float]) -> Tensor:
    return torch.tensor(values)


# ------------------------------------------------------------------ models and inputs as in Captum's own tests

ONE, TWO = rows([1.5, 2.0, 34.3]), rows([3.0, 3.5, 23.2])
BOTH = rows([1.5, 2.0, 34.3], [3.4, 1.2, 2.0]), rows([3.0, 3.5, 23.2], [2.3, 1.2, 0.3])
THREE = rows([1.5, 2.0, 1.3], [0.5, 0.1, 2.3], [1.5, 2.0, 1.3])
MORE = rows([0.3, 1.9, 2.4], [0.5, 0.6, 2.1], [1.2, 2.1, 0.2])
TABLE = torch.arange(1.0, 7.0).reshape(2, 3)

CASES: dict[str, tuple[Callable[[], Any], Any, dict[str, Any]]] = {
    "one feature": (models.BasicModel, torch.tensor([1.0]), {"baselines": torch.tensor([0.0])}),
    "one feature at the baseline": (models.BasicModel, torch.tensor([0.0]), {"baselines": torch.tensor([0.0])}),
    "one feature, number": (models.BasicModel, torch.tensor([-1.0]), {"baselines": 0.00001}),
    "two inputs without features": (models.BasicModel2, (torch.tensor([3.0]), torch.tensor([1.0])), {}),
    "two inputs, written otherwise": (models.BasicModel3, (torch.tensor([3.0]), torch.tensor([1.0])), {}),
    "a further tensor": (
        models.BasicModel4_MultiArgs,
        (ONE, TWO),
        {"baselines": (0.0, torch.zeros(1, 3)), "additional_forward_args": torch.arange(1.0, 4.0).reshape(1, 3)},
    ),
    "a further tensor and an int": (
        models.BasicModel4_MultiArgs,
        BOTH,
        {"baselines": (torch.zeros(2, 3), 0.0), "additional_forward_args": (TABLE, 1)},
    ),
    "a further list": (
        models.BasicModel5_MultiArgs,
        BOTH,
        {"baselines": (torch.zeros(1, 3), 0.00001), "additional_forward_args": ([2, 3], 1)},
    ),
    "two tensors": (models.BasicModel6_MultiTensor, (rows([1.5, 2.0, 3.3]), rows([3.0, 3.5, 2.2])), {}),
    "a batch": (models.BasicModel_MultiLayer, THREE, {"target": 0}),
    "a batch in a tuple of one": (models.BasicModel_MultiLayer, (THREE,), {"target": 0}),
    "a batch of two inputs": (models.BasicModel_MultiLayer, (THREE, MORE), {"target": 0}),
    "in place": (lambda: models.BasicModel_MultiLayer(inplace=True), THREE, {"target": 1}),
    "ReLULinearModel": (models.ReLULinearModel, (THREE, MORE), {"additional_forward_args": 2}),
    "convolution": (models.BasicModel_ConvNet_One_Conv, 10 * draw(3, 2, 1, 4, 4).float().abs(), {"target": 0}),
    "sigmoid": (lambda: SigmoidModel(3, 20, 2), THREE, {"target": torch.tensor([0, 1, 0])}),
    "softmax": (lambda: SoftmaxModel(3, 20, 10), MORE, {"target": torch.tensor([3, 1, 8]), "baselines": 0.1}),
    "softmax, all rows": (lambda: SoftmaxModel(3, 20, 10), MORE, {"target": 9, "baselines": THREE / 2}),
}


def case(name: str) -> tuple[Any, Any, dict[str, Any]]:
    torch.manual_seed(1)
    make, inputs, options = CASES[name]
    return make().eval(), inputs, options


@pytest.mark.parametrize("multiply", [True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CASES)
def test_the_same_numbers(name: str, method: str, multiply: bool) -> None:
    model, inputs, options = case(name)
    compare(model, inputs, multiply_by_inputs=multiply, method=method, n_steps=30, **options)


@pytest.mark.parametrize("name", CASES)
def test_the_same_with_defaults_and_chunks(name: str) -> None:
    model, inputs, options = case(name)
    whole = compare(model, inputs, **options)
    batch = len(members(inputs)[0])
    for internal_batch_size in (batch, 3 * batch + 1, 1000):
        assert_close(compare(model, inputs, internal_batch_size=internal_batch_size, **options), whole)


@pytest.mark.parametrize("multiply", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_the_same_delta_as_from_outside(name: str, multiply: bool) -> None:
    model, inputs, options = case(name)
    ig = IntegratedGradients(model, multiply_by_inputs=multiply)
    theirs = captum.attr.IntegratedGradients(model, multiply_by_inputs=multiply)
    maps, delta = ig.attribute(inputs, n_steps=200, return_convergence_delta=True, **options)
    their_maps, their_delta = theirs.attribute(inputs, n_steps=200, return_convergence_delta=True, **options)
    assert_close(maps, their_maps)
    assert delta.shape == their_delta.shape == (len(members(inputs)[0]),)
    assert delta.dtype == their_delta.dtype
    largest = sum(float(m.abs().sum()) for m in members(maps))
    assert float((delta - their_delta).abs().max()) <= CLOSE * max(largest, 1)
    settings = {key: value for key, value in options.items() if key != "baselines"}
    assert torch.equal(delta, ig.compute_convergence_delta(maps, options.get("baselines"), inputs, **settings))


@pytest.mark.parametrize("kind", ["smoothgrad", "smoothgrad_sq", "vargrad"])
@pytest.mark.parametrize("name", CASES)
def test_noise_tunnel(name: str, kind: str) -> None:
    model, inputs, options = case(name)
    maps = {}
    for ig in (IntegratedGradients(model), captum.attr.IntegratedGradients(model)):
        torch.manual_seed(7)
        maps[ig] = NoiseTunnel(ig).attribute(
            inputs,
            nt_type=kind,
            nt_samples=5,
            nt_samples_batch_size=2,
            stdevs=0.02,
            n_steps=30,
            return_convergence_delta=True,
            **options,
        )
    ours, theirs = maps.values()
    assert ours[1].shape == theirs[1].shape == (5 * len(members(inputs)[0]),)
    if kind != "vargrad":  # a difference of squares: of their size is its error
        assert_close(ours[0], theirs[0])
    else:
        squares = max(float(m.pow(2).max()) for m in members(IntegratedGradients(model).attribute(inputs, **options)))
        for our, their in zip(members(ours[0]), members(theirs[0]), strict=True):
            assert float((our - their).abs().max()) <= CLOSE * max(squares, 1e-3)


def test_smoothgrad_without_noise_is_the_factor_apart() -> None:
    model, options = models.BasicModel_MultiLayer(), {"nt_samples": 5, "stdevs": 0.0, "target": 0, "n_steps": 100}
    with_factor = NoiseTunnel(IntegratedGradients(model)).attribute(THREE, **options)
    without = NoiseTunnel(IntegratedGradients(model, multiply_by_inputs=False)).attribute(THREE, **options)
    assert_close(without * THREE, with_factor)


# ------------------------------------------------------------------ values that anyone can tell


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", [models.BasicModel2(), models.BasicModel3()], ids=["first", "second"])
def test_the_papers_example(model: nn.Module, method: str) -> None:
    inputs = torch.tensor([3.0]), torch.tensor([1.0], requires_grad=True)
    (first, second), delta = IntegratedGradients(model).attribute(
        inputs, (0, torch.tensor([0.0])), n_steps=500, method=method, return_convergence_delta=True
    )
    assert float(first) == pytest.approx(1.5, abs=0.01)
    assert float(second) == pytest.approx(-0.5, abs=0.01)
    assert float(delta.abs()) <= 0.01
    plain = IntegratedGradients(model, multiply_by_inputs=False).attribute(inputs, n_steps=500, method=method)
    assert [float(m) for m in plain] == pytest.approx([0.5, -0.5], abs=0.01)


@pytest.mark.parametrize("n", [2, 10, 50])
def test_the_trapezoid_is_the_true_one(n: int) -> None:
    model, x = models.BasicLinearModel2(3, 2), THREE
    ours = IntegratedGradients(model).attribute(x, target=1, method="riemann_trapezoid", n_steps=n)
    assert_close(ours, x * model.linear.weight.detach()[1])
    theirs = captum.attr.IntegratedGradients(model).attribute(x, target=1, method="riemann_trapezoid", n_steps=n)
    assert_close(ours * ((n - 1) / n), theirs)


@pytest.mark.parametrize("make", [lambda: SigmoidModel(4, 20, 2), lambda: SoftmaxModel(4, 20, 3)], ids=["sig", "soft"])
def test_classification_is_complete(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(5)
    model, x, b = make(), draw(1, 5, 4).float(), draw(2, 5, 4).float()
    target = torch.tensor([0, 1, 1, 0, 1])
    maps, delta = IntegratedGradients(model).attribute(
        x, b, target, n_steps=500, return_convergence_delta=True, method="riemann_middle"
    )
    expected = (model(x) - model(b)).gather(1, target[:, None])[:, 0]
    assert torch.allclose(maps.sum(1), expected, atol=2e-3)
    assert float(delta.abs().max()) <= 2e-3


# ------------------------------------------------------------------ targets

DEEP = {"additional_forward_args": (None, True)}
TARGETS: dict[str, tuple[dict[str, Any], Any]] = {
    "int": ({}, 1),
    "negative int": ({}, -1),
    "another 0-D tensor": ({}, torch.tensor(1)),
    "0-D tensor": ({}, torch.tensor(0)),
    "tensor of one": ({}, torch.tensor([1])),
    "tensor": ({}, torch.tensor([0, 1, 1])),
    "list": ({}, [1, 0, 1]),
    "tuple of one": ({}, (1,)),
    "list of tuples of one": ({}, [(0,), (1,), (0,)]),
    "tuple": (DEEP, (1, 0, 1)),
    "list of tuples": (DEEP, [(1, 0, 1), (0, 1, 1), (0, 0, 0)]),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets(name: str) -> None:
    options, target = TARGETS[name]
    whole = compare(models.BasicModel_MultiLayer(), THREE, target=target, **options)
    each = target if isinstance(target, list) or (isinstance(target, Tensor) and target.numel() > 1) else [target] * 3
    for i in range(3):
        single = compare(models.BasicModel_MultiLayer(), THREE[i : i + 1], target=each[i], **options)
        assert_close(single, whole[i : i + 1])
        if isinstance(target, list):
            assert_close(compare(models.BasicModel_MultiLayer(), THREE[i : i + 1], target=[each[i]], **options), single)


@pytest.mark.parametrize("target", [1, (1,), [1, 0, 1], [(1,), (0,), (1,)]], ids=str)
def test_a_target_may_leave_dimensions_of_size_one(target: Any) -> None:
    model = models.BasicModel_MultiLayer()
    ours = IntegratedGradients(lambda x: model(x)[:, :, None]).attribute(THREE, target=target)
    assert_close(ours, captum.attr.IntegratedGradients(model).attribute(THREE, target=target))


@pytest.mark.parametrize("target", [np.int64(1), np.array([0, 1, 1]), [np.int64(0), 1, 1]], ids=["0-D", "1-D", "list"])
def test_numpy_targets_which_captum_refuses(target: Any) -> None:
    model = models.BasicModel_MultiLayer()
    plain = torch.as_tensor(np.array(target))
    ours, delta = IntegratedGradients(model).attribute(THREE, target=target, return_convergence_delta=True)
    assert_close(ours, captum.attr.IntegratedGradients(model).attribute(THREE, target=plain))
    assert float(delta.abs().max()) <= 1e-5


# ------------------------------------------------------------------ further arguments, dtypes, what comes back


def test_every_further_tensor_is_repeated_as_captum_repeats_it() -> None:
    model = Scores([(3,)], (2,), seed=1).float()

    def forward(x: Tensor, same: Tensor, several: Tensor, scalar: Tensor) -> Tensor:
        return model(x * same + several.view(len(x), 2, 3).sum(1) * scalar)

    extra = (MORE, torch.arange(18.0).reshape(6, 3) / 10, torch.tensor(0.5))
    compare(forward, THREE, target=[0, 1, 1], additional_forward_args=extra)
    compare(forward, THREE, target=1, additional_forward_args=extra, internal_batch_size=7)


@pytest.mark.parametrize("internal_batch_size", [None, 4])
def test_for_one_example_any_tensor_belongs_to_it(internal_batch_size: int | None) -> None:
    forward = lambda x, table: (x @ table.view(len(x), 3, 3)[0]).tanh().sum(1) + table.view(len(x), 9).sum(1)  # noqa: E731
    options = {"additional_forward_args": draw(1, 3, 3).float(), "internal_batch_size": internal_batch_size}
    compare(forward, ONE / 10, **options)


def test_a_table_passes_as_it_is_where_captum_fails() -> None:
    table = draw(1, 4, 3).float()
    forward = lambda x, t: (x @ t.T).tanh().sum(1)  # noqa: E731
    ours = IntegratedGradients(forward).attribute(THREE, additional_forward_args=table)
    # One step at a time Captum repeats nothing.
    theirs = captum.attr.IntegratedGradients(forward)
    assert_close(ours, theirs.attribute(THREE, additional_forward_args=table, internal_batch_size=3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_dtypes(dtype: torch.dtype) -> None:
    model = models.BasicModel_MultiLayer().to(dtype)
    x = THREE.to(dtype)
    ours, delta = IntegratedGradients(model).attribute(x, target=0, n_steps=16, return_convergence_delta=True)
    theirs, their_delta = captum.attr.IntegratedGradients(model).attribute(
        x, target=0, n_steps=16, return_convergence_delta=True
    )
    assert ours.dtype == theirs.dtype
    assert delta.dtype == their_delta.dtype
    bound = max(CLOSE, 4 * torch.finfo(dtype).eps)
    assert float((ours - theirs).abs().max()) <= bound * float(theirs.abs().max())


def test_integers_are_taken_for_floats() -> None:
    x = torch.tensor([[1, 2, 3], [3, 0, 1]])
    ours = compare(models.BasicModel_MultiLayer(), x, target=1)
    assert ours.dtype == torch.float32
    compare(models.BasicModel_MultiLayer(), x, target=1, baselines=torch.ones(1, 3, dtype=torch.int64))
    maps, delta = IntegratedGradients(models.BasicModel_MultiLayer()).attribute(
        x, target=1, return_convergence_delta=True
    )
    assert_close(maps, ours)
    assert float(delta.abs().max()) <= 1e-4


def test_token_ids_are_told_where_to_go() -> None:
    model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 1))
    with pytest.raises(RuntimeError) as caught:
        IntegratedGradients(model).attribute(torch.tensor([[1, 2, 3]]))
    assert any("LayerIntegratedGradients" in note for note in caught.value.__notes__)


def test_forms_of_what_comes_back() -> None:
    model, ig = models.BasicModel_MultiLayer(), IntegratedGradients(models.BasicModel_MultiLayer())
    assert isinstance(ig.attribute(THREE, target=0), Tensor)
    assert isinstance(ig.attribute((THREE,), target=0), tuple)
    both = ig.attribute((THREE, MORE), target=0, return_convergence_delta=True)
    assert isinstance(both, tuple)
    assert isinstance(both[0], tuple)
    assert isinstance(both[1], Tensor)
    assert not both[0][0].requires_grad
    for bound in (model, model.forward, lambda x: model(x)):
        assert_close(IntegratedGradients(bound).attribute(THREE, target=0), ig.attribute(THREE, target=0))


def test_left_as_found() -> None:
    model = models.BasicModel_MultiLayer()
    plain, wanting = THREE.clone(), MORE.clone().requires_grad_()
    state = copy.deepcopy(model.state_dict())
    torch.manual_seed(3)
    random = torch.get_rng_state()
    IntegratedGradients(model).attribute((plain, wanting), target=0, return_convergence_delta=True)
    assert torch.equal(random, torch.get_rng_state())
    assert not plain.requires_grad
    assert wanting.requires_grad
    assert wanting.grad is None
    assert torch.equal(plain, THREE)
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_whatever_the_callers_grad_mode(context: Callable[[], Any]) -> None:
    model = models.BasicModel_MultiLayer()
    expected = IntegratedGradients(model).attribute(THREE, target=0)
    with context():
        maps, delta = IntegratedGradients(model).attribute(THREE * 1, target=0, return_convergence_delta=True)
        assert_close(maps, expected)
        assert float(delta.abs().max()) <= 1e-4


# ------------------------------------------------------------------ a class among Captum's


def test_signatures() -> None:
    def parts(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
        return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]

    theirs = captum.attr.IntegratedGradients
    for name in ("__init__", "attribute", "compute_convergence_delta", "has_convergence_delta", "attribute_future"):
        assert parts(getattr(IntegratedGradients, name)) == parts(getattr(theirs, name))
    assert parts(IntegratedGradients) == parts(theirs)
    assert parts(IntegratedGradients.attribute.__wrapped__) == parts(theirs.attribute.__wrapped__)
    assert IntegratedGradients.get_name() == theirs.get_name()


def test_it_is_a_gradient_attribution() -> None:
    ig = IntegratedGradients(models.BasicModel(), False)
    assert isinstance(ig, captum.attr.GradientAttribution)
    assert not isinstance(ig, captum.attr.IntegratedGradients)
    assert ig.multiplies_by_inputs is False
    assert IntegratedGradients(models.BasicModel()).multiplies_by_inputs is True
    assert ig.has_convergence_delta() is True
    with pytest.raises(NotImplementedError):
        ig.attribute_future()


@pytest.mark.parametrize("options", [{}, {"internal_batch_size": 7}, {"method": "riemann_trapezoid"}], ids=str)
def test_a_replaced_gradient_func_is_the_one_that_is_asked(options: dict[str, Any]) -> None:
    calls: list[tuple[int, ...]] = []

    def twice(
        forward_fn: Callable[..., Tensor],
        inputs: Maps,
        target_ind: Any = None,
        additional_forward_args: Any = None,
    ) -> Maps:
        assert isinstance(inputs, tuple)
        assert all(x.requires_grad for x in inputs)
        calls.append((len(inputs[0]), len(target_ind), len(additional_forward_args[0])))
        with torch.enable_grad():
            output = forward_fn(*inputs, *additional_forward_args).gather(1, torch.tensor(target_ind)[:, None])
        return tuple(2 * g for g in torch.autograd.grad(output.sum(), inputs))

    model = models.BasicModel_MultiLayer()
    given = {"target": [0, 1, 1], "additional_forward_args": (MORE, False), "n_steps": 10, **options}
    results = []
    for ig in (IntegratedGradients(model), captum.attr.IntegratedGradients(model)):
        ig.gradient_func = twice
        results.append(ig.attribute.__wrapped__(ig, (THREE,), 0.5, **given))
    assert_close(*results, scale_of(given))
    doubled = tuple(2 * m for m in IntegratedGradients(model).attribute((THREE,), 0.5, **given))
    assert_close(results[0], doubled)
    assert all(a == b == c and a % 3 == 0 for a, b, c in calls)


def test_captums_neuron_and_layer_classes_on_top(monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.BasicModel_MultiLayer()
    neuron = captum.attr.NeuronIntegratedGradients(model, model.linear2)
    layered = captum.attr.LayerIntegratedGradients(model, model.linear1, multiply_by_inputs=False)
    neuron_options: list[dict[str, Any]] = [
        {"neuron_selector": 1},
        {"neuron_selector": (0,), "n_steps": 20, "internal_batch_size": 3, "baselines": 0.5},
        {"neuron_selector": lambda out: out.sum(1), "additional_forward_args": MORE},
        {"neuron_selector": 2, "attribute_to_neuron_input": True},
    ]
    layer_options: list[dict[str, Any]] = [
        {"target": 1},
        {"target": [0, 1, 0], "internal_batch_size": 6, "additional_forward_args": (MORE,)},
        {"target": 0, "attribute_to_layer_input": True, "n_steps": 11},
    ]
    expected = [neuron.attribute(THREE, **options) for options in neuron_options]
    expected += [layered.attribute(THREE, **options) for options in layer_options]
    module = sys.modules[captum.attr.NeuronIntegratedGradients.__module__]
    monkeypatch.setattr(module, "IntegratedGradients", IntegratedGradients)
    layered.ig = IntegratedGradients(model, False)
    got = [neuron.attribute(THREE, **options) for options in neuron_options]
    got += [layered.attribute(THREE, **options) for options in layer_options]
    for ours, theirs in zip(got, expected, strict=True):
        assert_close(ours, theirs)


def test_memory_that_runs_out_under_a_replaced_gradient_func() -> None:
    ig = IntegratedGradients(models.BasicModel_MultiLayer())
    own, sizes = ig.gradient_func, []

    def scarce(forward_fn: Any, inputs: Maps, target_ind: Any = None, additional_forward_args: Any = None) -> Maps:
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return own(forward_fn, inputs, target_ind, additional_forward_args)  # type: ignore[no-any-return]

    ig.gradient_func = scarce
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = ig.attribute(THREE, target=0, n_steps=20, internal_batch_size=12)
    assert max(sizes) == 12
    assert_close(ours, IntegratedGradients(models.BasicModel_MultiLayer()).attribute(THREE, target=0, n_steps=20))


# ------------------------------------------------------------------ chunks


def test_internal_batch_size_is_rows_at_a_time() -> None:
    sizes: list[int] = []

    def forward(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return x.sum(1)

    IntegratedGradients(forward).attribute(THREE, internal_batch_size=5)
    # Whole batches: as many as fit, as in Captum.
    assert max(sizes) == 3


def test_less_than_the_batch_warns_and_takes_the_batch() -> None:
    model = models.BasicModel_MultiLayer()
    for ig in (IntegratedGradients(model), captum.attr.IntegratedGradients(model)):
        with pytest.warns(UserWarning, match="(?i)internal.batch.size"):
            maps = ig.attribute(THREE, target=0, internal_batch_size=1)
        assert_close(maps, IntegratedGradients(model).attribute(THREE, target=0))


# ------------------------------------------------------------------ mistakes

MISTAKES: dict[str, tuple[Any, dict[str, Any]]] = {
    "no target": (THREE, {}),
    "target too shallow": (THREE, {"target": (1, 0), **DEEP}),
    "target too deep": (THREE, {"target": (1, 0)}),
    "target out of range": (THREE, {"target": 5}),
    "a list out of range": (THREE, {"target": [0, 5, 1]}),
    "too few targets": (THREE, {"target": [0, 1]}),
    "one target in a list": (THREE, {"target": [0]}),
    "too many targets": (THREE, {"target": torch.tensor([0, 1, 0, 1])}),
    "a target of text": (THREE, {"target": "cat"}),
    "a target of floats": (THREE, {"target": torch.tensor(1.0)}),
    "an unknown method": (THREE, {"target": 0, "method": "simpson"}),
    "a method of this package": (THREE, {"target": 0, "method": "secant"}),
    "no steps": (THREE, {"target": 0, "n_steps": 0}),
    "fewer steps": (THREE, {"target": 0, "n_steps": -1}),
    "half a step": (THREE, {"target": 0, "n_steps": 2.5}),
    "a trapezoid of one point": (THREE, {"target": 0, "n_steps": 1, "method": "riemann_trapezoid"}),
    "inputs in a list": ([THREE], {"target": 0}),
    "inputs of text": ("abc", {"target": 0}),
    "no inputs": (None, {"target": 0}),
    "baselines in a list": (THREE, {"target": 0, "baselines": [0.0]}),
    "baselines of text": (THREE, {"target": 0, "baselines": "black"}),
    "too many baselines": (THREE, {"target": 0, "baselines": (0, 0)}),
    "too few baselines": ((THREE, MORE), {"target": 0, "baselines": 0}),
    "baselines of another batch": (THREE, {"target": 0, "baselines": torch.zeros(2, 3)}),
    "baselines without a batch": (THREE, {"target": 0, "baselines": torch.zeros(3)[:, None]}),
    "baselines of other features": (THREE, {"target": 0, "baselines": torch.zeros(1, 4)}),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_of_captums_kinds_and_of_ours(name: str) -> None:
    inputs, options = MISTAKES[name]
    model = models.BasicModel_MultiLayer()
    with pytest.raises(Exception) as theirs:  # noqa: PT011  (which one is what this finds out)
        captum.attr.IntegratedGradients(model).attribute(inputs, **options)
    with pytest.raises(theirs.type) as ours:
        IntegratedGradients(model).attribute(inputs, **options)
    assert isinstance(ours.value, IGError)
    assert len(str(ours.value)) > 20


def test_an_input_that_is_not_used() -> None:
    for ig in (IntegratedGradients, captum.attr.IntegratedGradients):
        with pytest.raises(RuntimeError):
            ig(lambda x, y: x.sum(1)).attribute((THREE, MORE))
    with pytest.raises(NotDifferentiableError, match=r"inputs\[1\]"):
        IntegratedGradients(lambda x, y: x.sum(1)).attribute((THREE, MORE))


def test_the_models_own_errors_pass_through() -> None:
    def broken(x: Tensor) -> Tensor:
        raise KeyError("halfway")

    for ig in (IntegratedGradients, captum.attr.IntegratedGradients):
        with pytest.raises(KeyError, match="halfway"):
            ig(broken).attribute(THREE)


class Fickle(nn.Module):
    """From call number `last` + 1 on it returns no tensor."""

    def __init__(self, last: int, later: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.layer, self.last, self.later, self.calls = nn.Linear(3, 2), last, later, 0

    def forward(self, x: Tensor) -> Any:
        self.calls += 1
        scores = self.layer(x)
        return scores if self.calls <= self.last else self.later(scores)


@pytest.mark.parametrize("of_layer", [False, True])
@pytest.mark.parametrize(
    "later",
    [lambda y: None, lambda y: {"logits": y}, lambda y: (y,), lambda y: 1.0],
    ids=["None", "dict", "tuple", "1"],
)
def test_a_model_that_returns_no_tensor_at_last_is_told_so(of_layer: bool, later: Callable[[Tensor], Any]) -> None:
    """Also where Captum's own code asks it, for the delta."""

    def run(model: Fickle, *, delta: bool = True) -> tuple[Any, Any]:
        method = LayerIntegratedGradients(model, model.layer) if of_layer else IntegratedGradients(model)
        # Chunks of a size that is found by trying are of more or fewer calls from run to run.
        options: dict[str, Any] = {"n_steps": 4, "internal_batch_size": 4, "return_convergence_delta": delta}
        return method, method.attribute(x, target=1, **options)

    x = rows([1.0, 2.0, 3.0])
    sound, attributing = Fickle(10**9, later), Fickle(10**9, later)
    run(sound)
    method, maps = run(attributing, delta=False)
    assert attributing.calls < sound.calls
    for last in range(attributing.calls, sound.calls):
        with pytest.raises(CaptumOutputError, match="must return a tensor each time"):
            run(Fickle(last, later))
    attributing.last = 0
    with pytest.raises(CaptumOutputError, match="must return a tensor each time"):
        method.compute_convergence_delta(maps, torch.zeros_like(x), x, target=1)


def test_training_mode_is_still_refused() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1))
    ig = IntegratedGradients(model)
    with pytest.raises(TrainingModeError):
        ig.attribute(THREE)
    ig.gradient_func = lambda forward_fn, inputs, **_: inputs
    with pytest.raises(TrainingModeError):
        ig.attribute(THREE)


# ------------------------------------------------------------------ an optional extra


def test_importing_the_module_does_not_import_captum() -> None:
    code = (
        "import sys, ig_widgets.compat.captum as c; assert 'captum' not in sys.modules;"
        "assert 'IntegratedGradients' in dir(c); c.IntegratedGradients; assert 'captum' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("name", ["IntegratedGradients", "LayerIntegratedGradients"])
def test_without_captum_the_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("integrated_gradients", "layer_integrated_gradients"):
        monkeypatch.delitem(sys.modules, f"ig_widgets.compat.{module}", raising=False)
        monkeypatch.delattr(ig_widgets.compat, module, raising=False)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ImportError, match=rf"{name} needs Captum: pip install 'ig_widgets\[captum\]'"):
        getattr(ig_widgets.compat.captum, name)
    with pytest.raises(AttributeError, match="Saliency"):
        _ = ig_widgets.compat.captum.Saliency


@pytest.mark.parametrize("method", ["gausslegendre", "riemann_left", "riemann_middle"])
@pytest.mark.parametrize("n_steps", [7, 50, 200])
def test_bit_for_bit_with_all_steps_at_once(method: str, n_steps: int) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5)).eval(), torch.randn(4, 10)
    options: dict[str, Any] = {"target": 1, "n_steps": n_steps, "method": method, "return_convergence_delta": True}
    ours, theirs = (
        kind(model).attribute(x, **options) for kind in (IntegratedGradients, captum.attr.IntegratedGradients)
    )
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])
    layers = (kind(model, model[0]) for kind in (LayerIntegratedGradients, captum.attr.LayerIntegratedGradients))
    ours, theirs = (layer.attribute(x, **options) for layer in layers)
    assert torch.equal(ours[0], theirs[0])
