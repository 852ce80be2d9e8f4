"""LayerIntegratedGradients in Captum's place: the same arguments, numbers, returns and kinds of errors."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import captum.attr
import pytest
import torch
from captum.attr import (
    LLMGradientAttribution,
    NoiseTunnel,
    TextTokenInput,
    configure_interpretable_embedding_layer,
    remove_interpretable_embedding_layer,
)
from captum.testing.helpers import basic_models as models
from torch import Tensor, nn

from ig_widgets.compat.captum import IntegratedGradients, LayerIntegratedGradients
from ig_widgets.engine.errors import IGError
from tests.engine.subjects import METHODS, draw

CLOSE = 1e-5
THREE = torch.tensor([[1.5, 2.0, 1.3], [0.5, 0.1, 2.3], [1.5, 2.0, 1.3]])
MORE = torch.tensor([[0.3, 1.9, 2.4], [0.5, 0.6, 2.1], [1.2, 2.1, 0.2]])
IDS = (
    torch.tensor([[2, 5, 0, 1], [3, 1, 1, 0]]),
    torch.tensor([[0, 2, 4, 1], [2, 3, 5, 7]]),
    torch.tensor([[3, 5, 6, 7], [2, 3, 0, 1]]),
)


def flat(maps: Any) -> list[Tensor]:
    return [maps] if isinstance(maps, Tensor) else [t for m in maps for t in flat(m)]


def form(maps: Any) -> Any:
    return (maps.shape, maps.dtype) if isinstance(maps, Tensor) else (type(maps), [form(m) for m in maps])


def assert_close(ours: Any, theirs: Any, scale: float = 1.0) -> None:
    """Like in form, and within 1e-5 of the largest value."""
    assert form(ours) == form(theirs)
    largest = max(float(t.abs().max()) for t in flat(theirs)) * scale
    for our, their in zip(flat(ours), flat(theirs), strict=True):
        assert float((our - their * scale).abs().max()) <= CLOSE * largest + 1e-12


def captums(model: Any, layer: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Multiple layers provided")
        return captum.attr.LayerIntegratedGradients(model, layer, **options)


def compare(model: Any, layer: Any, inputs: Any, *, multiply_by_inputs: bool = True, **options: Any) -> Any:
    ours = LayerIntegratedGradients(model, layer, multiply_by_inputs=multiply_by_inputs).attribute(inputs, **options)
    theirs = captums(model, layer, multiply_by_inputs=multiply_by_inputs).attribute(inputs, **options)
    n = options.get("n_steps", 50)
    assert_close(ours, theirs, n / (n - 1) if options.get("method") == "riemann_trapezoid" else 1.0)
    return ours


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(1)
    return make().eval()


# model, the layers by name, inputs, options
CASES: dict[str, tuple[Callable[[], nn.Module], list[str], Any, dict[str, Any]]] = {
    "linear": (models.BasicModel_MultiLayer, ["linear0", "linear1", "relu", "linear2"], THREE, {"target": 0}),
    "beside a further argument": (
        models.BasicModel_MultiLayer,
        ["linear0", "linear2"],
        THREE,
        {"target": (1, 0, 1), "additional_forward_args": (MORE, True), "baselines": 0.25},
    ),
    "several inputs and outputs": (
        lambda: models.BasicModel_MultiLayer(multi_input_module=True),
        ["linear1", "multi_relu", "linear1_alt"],
        THREE,
        {"target": 1, "baselines": torch.full((1, 3), -2.0)},
    ),
    "modules in modules": (
        models.BasicModel_MultiLayer_TrueMultiInput,
        ["m1", "m1.linear1", "m234", "m234.model", "m234.model.relu"],
        (THREE, MORE, THREE * 2, MORE / 2),
        {"target": 0, "baselines": (0, 1.0, THREE[:1], MORE)},
    ),
    "convolution": (
        models.BasicModel_ConvNet_One_Conv,
        ["conv1", "relu1", "fc1"],
        10 * draw(3, 2, 1, 4, 4).float().abs(),
        {"target": 0},
    ),
    "embedding": (
        lambda: models.BasicEmbeddingModel(nested_second_embedding=True),
        ["embedding1", "embedding2", "embedding2.inner_embedding", "linear1"],
        IDS,
        {"target": 0},
    ),
    "embedding, the rest further arguments": (
        lambda: models.BasicEmbeddingModel(nested_second_embedding=True),
        ["embedding1"],
        IDS[0],
        {"additional_forward_args": IDS[1:], "baselines": torch.tensor([[7, 7, 7, 7]])},
    ),
}
EACH = [(name, layer) for name, case in CASES.items() for layer in case[1]]


def subject(name: str, layer: str) -> tuple[nn.Module, nn.Module, Any, dict[str, Any]]:
    make, _, inputs, options = CASES[name]
    model = seeded(make)
    return model, model.get_submodule(layer), inputs, options


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "layer"), EACH)
def test_the_same_numbers(name: str, layer: str, method: str) -> None:
    model, module, inputs, options = subject(name, layer)
    compare(model, module, inputs, method=method, n_steps=20, **options)


@pytest.mark.parametrize(("name", "layer"), EACH)
def test_the_same_without_the_factor_at_the_input_and_in_chunks(name: str, layer: str) -> None:
    model, module, inputs, options = subject(name, layer)
    compare(model, module, inputs, multiply_by_inputs=False, **options)
    whole = compare(model, module, inputs, **options)
    assert_close(compare(model, module, inputs, internal_batch_size=7, **options), whole)
    if name.startswith("embedding") and layer != "linear1":  # is given token ids
        with pytest.raises(TypeError, match="int64"):
            LayerIntegratedGradients(model, module).attribute(inputs, attribute_to_layer_input=True, **options)
    else:
        compare(model, module, inputs, attribute_to_layer_input=True, **options)


@pytest.mark.parametrize(("name", "layer"), EACH)
def test_the_same_delta(name: str, layer: str) -> None:
    model, module, inputs, options = subject(name, layer)
    results = [
        lig.attribute(inputs, n_steps=100, return_convergence_delta=True, **options)
        for lig in (LayerIntegratedGradients(model, module), captums(model, module))
    ]
    (maps, delta), (their_maps, their_delta) = results
    assert_close(maps, their_maps)
    assert form(delta) == form(their_delta)
    assert float((delta - their_delta).abs().max()) <= CLOSE * max(1.0, sum(float(m.abs().sum()) for m in flat(maps)))


@pytest.mark.parametrize("to_input", [False, True])
@pytest.mark.parametrize("name", ["linear1", "relu", "linear2"])
def test_in_place_further_on_which_captum_refuses(name: str, to_input: bool) -> None:
    model, plain = models.BasicModel_MultiLayer(inplace=True), models.BasicModel_MultiLayer()
    options = {"target": 1, "attribute_to_layer_input": to_input}
    ours = LayerIntegratedGradients(model, model.get_submodule(name)).attribute(THREE, **options)
    assert_close(ours, captums(plain, plain.get_submodule(name)).attribute(THREE, **options))


# ------------------------------------------------------------------ values that anyone can tell


def test_two_outputs_of_one_layer() -> None:
    model = models.BasicModel_MultiLayer(multi_input_module=True)
    lig = LayerIntegratedGradients(model, model.multi_relu)
    maps, delta = lig.attribute(torch.tensor([[0.0, 100.0, 0.0]]), target=0, return_convergence_delta=True)
    assert isinstance(maps, tuple)
    for m in maps:
        assert torch.allclose(m, torch.tensor([[90.0, 100.0, 100.0, 100.0]]), atol=0.01)
    assert form(delta) == form(torch.zeros(1))


def test_the_factor_is_what_the_layer_holds() -> None:
    model, x = models.BasicModel_MultiLayer(multi_input_module=True), torch.tensor([[0.0, 100.0, 0.0]])
    act = captum.attr.LayerActivation(model, model.multi_relu)
    factors = [a - b for a, b in zip(act.attribute(x), act.attribute(x * 0), strict=True)]
    slopes = LayerIntegratedGradients(model, model.multi_relu, multiply_by_inputs=False).attribute(x, target=0)
    maps = LayerIntegratedGradients(model, model.multi_relu).attribute(x, target=0)
    assert_close(tuple(s * f for s, f in zip(slopes, factors, strict=True)), maps)


@pytest.mark.parametrize("to_input", [False, True])
def test_beside_layer_conductance(to_input: bool) -> None:
    model, x = models.BasicModel_MultiLayer(), torch.tensor([[50.0, 50.0, 50.0]], requires_grad=True)
    options = {"target": 0, "n_steps": 500, "return_convergence_delta": True, "attribute_to_layer_input": to_input}
    theirs, their_delta = captum.attr.LayerConductance(model, model.linear2).attribute(x, **options)
    maps, delta = LayerIntegratedGradients(model, model.linear2).attribute(x, **options)
    assert torch.allclose(maps, theirs.detach(), atol=0.01)
    assert torch.allclose(delta, their_delta.detach(), atol=0.5)


@pytest.mark.filterwarnings("ignore:In order to make embedding layers")
@pytest.mark.parametrize("multiply", [True, False])
@pytest.mark.parametrize("several", [False, True])
def test_embeddings_as_inputs_give_the_same(several: bool, multiply: bool) -> None:
    model = seeded(lambda: models.BasicEmbeddingModel(nested_second_embedding=True))
    layers: Any = [model.embedding1, model.embedding2] if several else model.embedding1
    inputs: Any = IDS if several else IDS[0]
    zeros: Any = tuple(torch.zeros_like(ids) for ids in IDS) if several else torch.zeros_like(IDS[0])
    extra = None if several else IDS[1:]
    maps, delta = LayerIntegratedGradients(model, layers, multiply_by_inputs=multiply).attribute(
        inputs, zeros, additional_forward_args=extra, return_convergence_delta=True
    )
    names = ["embedding1", "embedding2"] if several else ["embedding1"]
    patched = [configure_interpretable_embedding_layer(model, name) for name in names]
    at: Any = patched[0].indices_to_embeddings(IDS[0])
    start: Any = patched[0].indices_to_embeddings(IDS[0] * 0)
    if several:
        at = at, patched[1].indices_to_embeddings(*IDS[1:])
        start = start, patched[1].indices_to_embeddings(*zeros[1:])
    expected, expected_delta = IntegratedGradients(model, multiply_by_inputs=multiply).attribute(
        at, start, target=0, additional_forward_args=extra, return_convergence_delta=True
    )
    for patch in patched:
        remove_interpretable_embedding_layer(model, patch)
    assert_close(tuple(maps) if several else maps, expected)
    if multiply:
        assert torch.allclose(delta, expected_delta, atol=0.05)


# ------------------------------------------------------------------ lists of layers


@pytest.mark.parametrize("shared", [True, False])
def test_layers_that_share_an_input(shared: bool) -> None:
    model = models.BasicModel_MultiLayer_TrueMultiInput()
    inputs = tuple(draw(seed, 5, 3).float() for seed in range(3 if shared else 4))
    layers, options = [model.m1, model.m234], {"target": 0}
    first, second = compare(model, layers, inputs, attribute_to_layer_input=True, **options)
    regular = IntegratedGradients(model).attribute(inputs, **options)
    if shared:
        assert_close((first + second[2], *second[:2]), regular)
    else:
        assert_close((first, *second), regular)
    outputs = compare(model, layers, inputs, **options)
    last = inputs[0] if shared else inputs[3]
    at = model.m1(inputs[0]).detach(), model.m234(inputs[1], inputs[2], last, 1).detach()
    zero = torch.zeros(5, 3)
    start = model.m1(zero).detach(), model.m234(zero, zero, zero, 1).detach()
    assert_close(tuple(outputs), IntegratedGradients(lambda a, b: a + b).attribute(at, start, **options))


def test_a_list_of_one_gives_a_list_of_one() -> None:
    model = models.BasicModel_MultiLayer()
    maps = compare(model, [model.linear1], THREE, target=0)
    assert isinstance(maps, list)
    maps, _ = LayerIntegratedGradients(model, [model.linear1]).attribute(THREE, target=0, return_convergence_delta=True)
    assert isinstance(maps, list)


@pytest.mark.parametrize("to_input", [False, True])
@pytest.mark.parametrize("order", [["linear1", "relu"], ["relu", "linear1"], ["multi_relu", "relu"]], ids=str)
def test_layers_that_are_not_used(order: list[str], to_input: bool) -> None:
    model = models.BasicModel_MultiLayer(multi_input_module=True)
    layers = [model.get_submodule(name) for name in order]
    options = {"target": 0, "attribute_to_layer_input": to_input}
    maps = compare(model, layers, THREE, grad_kwargs={"materialize_grads": True}, **options)
    assert float(maps[order.index("relu")].abs().max()) == 0
    alone = [name for name in order if name != "relu"]
    assert_close(maps[order.index(*alone)], compare(model, model.get_submodule(*alone), THREE, **options))
    for lig in (LayerIntegratedGradients(model, layers), captums(model, layers)):
        with pytest.raises(RuntimeError):
            lig.attribute(THREE, **options)
    with pytest.raises(RuntimeError, match="does not depend on layer 'relu'"):
        LayerIntegratedGradients(model, layers).attribute(THREE, **options)


def test_nothing_but_an_unused_layer_is_all_zeros() -> None:
    model = models.BasicModel_MultiLayer(multi_input_module=True)
    options = {"target": 0, "grad_kwargs": {"materialize_grads": True}}
    assert float(compare(model, model.relu, THREE, **options).abs().max()) == 0


@pytest.mark.parametrize("grad_kwargs", [{}, {"retain_graph": True}, {"create_graph": True}], ids=str)
def test_grad_kwargs(grad_kwargs: dict[str, Any]) -> None:
    model = models.BasicModel_MultiLayer()
    ours = LayerIntegratedGradients(model, model.linear1).attribute(THREE, target=0, grad_kwargs=grad_kwargs)
    assert_close(ours, captums(model, model.linear1).attribute(THREE, target=0))
    with pytest.raises(TypeError, match="grad_kwargs holds speed"):
        LayerIntegratedGradients(model, model.linear1).attribute(THREE, target=0, grad_kwargs={"speed": 1})


# ------------------------------------------------------------------ values that are not one row an example


class TimeFirst(nn.Module):
    """Turns (batch, time, 3) into (time, batch, 3) inside."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        turned = x.transpose(0, 1)
        return self.last((torch.tanh(self.inner(turned)) * turned).sum(0))


class Positions(nn.Module):
    """One embedding of places for all examples, and tokens in one long row."""

    def __init__(self) -> None:
        super().__init__()
        self.places, self.tokens, self.last = nn.Embedding(4, 5), nn.Embedding(9, 5), nn.Linear(20, 2)

    def forward(self, ids: Tensor) -> Tensor:
        tokens = self.tokens(ids.flatten()).view(*ids.shape, 5)
        return self.last(torch.tanh(tokens * self.places(torch.arange(4))).flatten(1))


@pytest.mark.parametrize(("batch", "time"), [(2, 4), (4, 2), (3, 2), (3, 3), (2, 2), (1, 1), (1, 3)])
def test_another_dimension_first(batch: int, time: int) -> None:
    """Captum is right there one step at a time; we are always, also where both are of one length."""
    model, x = seeded(TimeFirst), draw(3, batch, time, 3).float()
    ours = LayerIntegratedGradients(model, model.inner).attribute(x, target=1, n_steps=12)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Internal batch size")
        theirs = captums(model, model.inner).attribute(x, target=1, n_steps=12, internal_batch_size=1)
    assert_close(ours, theirs)


class Mixing(nn.Module):
    """Each example scaled by all, which does nothing where all are zero: as at the baselines.

    No square, whose mean along the path is the same where all steps are one batch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = nn.Linear(3, 3, bias=False), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        held = self.inner(x)
        return self.last(torch.tanh(3 * held) * held.square().mean(0))


def test_examples_that_depend_on_each_other() -> None:
    """As `TimeFirst`: they go along the path together."""
    model, x = seeded(Mixing), draw(3, 3, 3).float()
    ours = LayerIntegratedGradients(model, model.inner).attribute(x, target=1, n_steps=12)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Internal batch size")
        theirs = captums(model, model.inner).attribute(x, target=1, n_steps=12, internal_batch_size=1)
    assert_close(ours, theirs)


@pytest.mark.parametrize("name", ["places", "tokens"])
def test_rows_that_are_not_the_batch(name: str) -> None:
    model = seeded(Positions)
    layer = model.get_submodule(name)
    ours = LayerIntegratedGradients(model, layer, multiply_by_inputs=False).attribute(IDS[0], target=[1, 0], n_steps=12)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Internal batch size")
        theirs = captums(model, layer, multiply_by_inputs=False).attribute(
            IDS[0], target=[1, 0], n_steps=12, internal_batch_size=1
        )
    assert_close(ours, theirs)


# ------------------------------------------------------------------ a class among Captum's


def test_signatures() -> None:
    def parts(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
        return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]

    theirs = captum.attr.LayerIntegratedGradients
    for name in ("__init__", "attribute", "compute_convergence_delta", "has_convergence_delta", "interpolate"):
        assert parts(getattr(LayerIntegratedGradients, name)) == parts(getattr(theirs, name))
    assert parts(LayerIntegratedGradients.attribute.__wrapped__) == parts(theirs.attribute.__wrapped__)
    assert LayerIntegratedGradients.get_name() == theirs.get_name()


def test_it_is_a_layer_and_a_gradient_attribution() -> None:
    model = models.BasicModel_MultiLayer()
    lig = LayerIntegratedGradients(model, model.linear1, [0], False)
    assert isinstance(lig, captum.attr.LayerAttribution)
    assert isinstance(lig, captum.attr.GradientAttribution)
    assert lig.multiplies_by_inputs is False
    assert lig.has_convergence_delta() is True
    assert lig.layer is model.linear1
    assert lig.device_ids == [0]


def test_captums_own_integration_is_never_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("Captum's own")

    monkeypatch.setattr(captum.attr.IntegratedGradients, "_attribute", refuse)
    monkeypatch.setattr(captum.attr.LayerIntegratedGradients, "attribute", refuse)
    monkeypatch.setattr(captum.attr.LayerIntegratedGradients, "_make_gradient_func", refuse)
    model = models.BasicModel_MultiLayer()
    for options in ({}, {"internal_batch_size": 6}, {"return_convergence_delta": True}):
        LayerIntegratedGradients(model, model.linear1).attribute(THREE, target=0, **options)
        IntegratedGradients(model).attribute(THREE, target=0, **options)


@pytest.mark.parametrize("kind", ["smoothgrad", "smoothgrad_sq"])
def test_noise_tunnel(kind: str) -> None:
    model = models.BasicModel_MultiLayer()
    maps = []
    for lig in (LayerIntegratedGradients(model, model.linear1), captums(model, model.linear1)):
        torch.manual_seed(3)
        maps.append(NoiseTunnel(lig).attribute(THREE, nt_type=kind, nt_samples=4, stdevs=0.1, target=0, n_steps=20))
    assert_close(*maps)


def test_llm_gradient_attribution() -> None:
    class Tokenizer:
        def encode(self, text: str, add_special_tokens: bool = True, return_tensors: str | None = None) -> Any:
            ids = [int(c) for c in text]
            return torch.tensor([ids]) if return_tensors else ids

        def __call__(self, text: str, **_: object) -> dict[str, Any]:
            return {"input_ids": self.encode(text), "offset_mapping": [(i, i + 1) for i in range(len(text))]}

        def decode(self, ids: Tensor) -> str:
            return "".join(str(int(i)) for i in ids)

        def convert_ids_to_tokens(self, ids: Any) -> Any:
            return [str(int(i)) for i in ids] if isinstance(ids, list) else str(int(ids))

    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.mix, self.head = nn.Embedding(9, 6), nn.Linear(6, 6), nn.Linear(6, 9)

        def forward(self, ids: Tensor) -> Any:
            hidden = torch.tanh(self.mix(self.embedding(ids))).cumsum(1)
            return SimpleNamespace(logits=self.head(hidden))

    model, tokenizer = seeded(Language), Tokenizer()
    results = [
        LLMGradientAttribution(lig, tokenizer).attribute(TextTokenInput("01234", tokenizer), target="56", n_steps=20)
        for lig in (LayerIntegratedGradients(model, model.embedding), captums(model, model.embedding))
    ]
    assert_close(results[0].seq_attr, results[1].seq_attr)
    assert_close(results[0].token_attr, results[1].token_attr)


# ------------------------------------------------------------------ left as found, and mistakes


def hooks(model: nn.Module) -> list[dict[int, object]]:
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    return [dict(getattr(module, name)) for module in model.modules() for name in names]


@pytest.mark.parametrize("to_input", [False, True])
def test_left_as_found(to_input: bool) -> None:
    model = seeded(models.BasicModel_MultiLayer)
    model.linear1.register_forward_hook(lambda *_: None)
    before, state, random = hooks(model), copy.deepcopy(model.state_dict()), torch.get_rng_state()
    plain, wanting = THREE.clone(), MORE.clone().requires_grad_()
    lig = LayerIntegratedGradients(model, model.linear1)
    options = {"attribute_to_layer_input": to_input, "target": 0}
    lig.attribute((plain, wanting), return_convergence_delta=True, **options)
    with pytest.raises(RuntimeError):
        lig.attribute((plain[:, :2], wanting[:, :2]), **options)
    with pytest.raises(AssertionError):
        lig.attribute(plain)
    assert hooks(model) == before
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert not any(module.training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert not plain.requires_grad
    assert wanting.requires_grad
    assert wanting.grad is None
    assert torch.equal(random, torch.get_rng_state())
    assert not hasattr(lig, "ig")


def test_the_model_runs_no_more_often_than_captums() -> None:
    model, counts = seeded(models.BasicModel_MultiLayer), []
    for lig in (LayerIntegratedGradients(model, model.linear1), captums(model, model.linear1)):
        rows: list[int] = []
        handle = model.linear2.register_forward_hook(lambda m, given, out, rows=rows: rows.append(len(out)))
        lig.attribute(THREE, target=0, n_steps=40, internal_batch_size=30)
        handle.remove()
        counts.append(sum(rows))
    # Ours also looks at the graph, tries whether a row of the layer is an example and whether one row will do before
    # the layer, and takes F at both ends.
    assert counts[0] <= counts[1] + 3 + (6 + 2) + (2 + 2) + 6


@pytest.mark.parametrize(
    ("layers", "kind", "message"),
    [
        (["linear0", "linear1"], ValueError, "'linear0' is upstream of layer 'linear1'"),
        (["linear1_alt"], ValueError, "'linear1_alt' is not called"),
        (["linear1", "linear1"], ValueError, "'linear1' is listed twice"),
        ([], ValueError, "empty list"),
    ],
    ids=str,
)
def test_layers_that_cannot_be(layers: list[str], kind: type[Exception], message: str) -> None:
    model = models.BasicModel_MultiLayer()
    lig = LayerIntegratedGradients(model, [model.get_submodule(name) for name in layers])
    with pytest.raises(kind, match=message) as caught:
        lig.attribute(THREE, target=0)
    assert isinstance(caught.value, IGError)
    assert isinstance(caught.value, AssertionError)


def test_a_layer_that_is_called_twice() -> None:
    model = models.BasicModelWithReusedLinear()
    with pytest.raises(ValueError, match="'lin1' is called more than once"):
        LayerIntegratedGradients(model, model.lin1).attribute(THREE, target=0)


def test_a_layer_of_another_model() -> None:
    model, other = models.BasicModel_MultiLayer(), models.BasicModel_MultiLayer()
    for lig in (LayerIntegratedGradients(model, other.linear1), captums(model, other.linear1)):
        with pytest.raises(AssertionError):
            lig.attribute(THREE, target=0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"target": 7},
        {"target": [0, 1]},
        {"target": 0, "method": "simpson"},
        {"target": 0, "n_steps": -1},
        {"target": 0, "baselines": (0, 0)},
        {"target": 0, "baselines": "black"},
        {"target": 0, "baselines": torch.zeros(2, 3)},
        {"target": 0, "baselines": torch.zeros(1, 4)},
    ],
    ids=str,
)
def test_mistakes_are_of_captums_kinds_and_of_ours(options: dict[str, Any]) -> None:
    model = models.BasicModel_MultiLayer()
    with pytest.raises(Exception) as theirs:  # noqa: PT011  (which one is what this finds out)
        captums(model, model.linear1).attribute(THREE, **options)
    with pytest.raises(theirs.type) as ours:
        LayerIntegratedGradients(model, model.linear1).attribute(THREE, **options)
    assert isinstance(ours.value, IGError)


def test_less_than_the_batch_warns_and_takes_the_batch() -> None:
    model = models.BasicModel_MultiLayer()
    lig = LayerIntegratedGradients(model, model.linear1)
    with pytest.warns(UserWarning, match="internal_batch_size is 1, less than the 3 examples"):
        maps = lig.attribute(THREE, target=0, internal_batch_size=1)
    assert_close(maps, lig.attribute(THREE, target=0))
