"""What layers hold at both ends, and the model as a function of that; the model is left as it was found."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.engine.activations import Activations, activations_at
from ig_widgets.engine.errors import IGError, NotDifferentiableError, TrainingModeError
from tests.engine.subjects import draw


class Branches(nn.Module):
    """Two branches of which `right` returns (float, mask, float) and is given a keyword too; `spare` is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left, self.right = nn.Linear(4, 4), nn.Linear(4, 3), Right()
        self.head, self.spare, self.idle = nn.Linear(3, 2), nn.ReLU(), nn.Linear(4, 4)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.double().eval()

    def forward(self, x: Tensor, factor: Tensor | float = 1.0) -> Tensor:
        self.calls += 1
        stem = torch.tanh(self.stem(x))
        self.spare(stem)
        doubled, _mask, squared = self.right(stem, factor=factor)
        return self.head(self.left(stem) + doubled[:, :3] + squared[:, 1:]) + x[:, :2]


class Right(nn.Module):
    def forward(self, x: Tensor, *, factor: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
        return 2 * x * factor, x > 0, x**2


MODEL = Branches()
X, B = draw(1, 3, 4), draw(2, 3, 4)


def at(layer: Any, model: Callable[..., Tensor] = MODEL, **options: Any) -> Activations:
    return activations_at(model, layer, inputs=(X,), baselines=(B,), **options)


def hooks(model: nn.Module) -> list[dict[int, object]]:
    names = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs")
    return [dict(getattr(module, name)) for module in model.modules() for name in names]


# ------------------------------------------------------------------ what is held, and put in its place


@pytest.mark.parametrize("to_input", [False, True])
@pytest.mark.parametrize("name", ["stem", "left", "right", "head"])
def test_put_back_it_gives_the_output_and_elsewhere_what_it_says(name: str, to_input: bool) -> None:
    found = at(getattr(MODEL, name), attribute_to_layer_input=to_input)
    assert torch.equal(found.function(*found.inputs, X), MODEL(X))
    assert all(found.used)
    assert not any(t.requires_grad for t in (*found.inputs, *found.baselines))
    moved = found.function(*found.baselines, X)
    if name != "stem" or not to_input:  # what x does beside the layer stays
        assert not torch.allclose(moved, MODEL(B))
    assert not torch.allclose(moved, MODEL(X))


def test_only_floating_tensors_of_a_tuple_are_moved() -> None:
    found = at(MODEL.right)
    stem = torch.tanh(MODEL.stem(X))
    assert found.counts == (2,)
    assert torch.equal(found.inputs[0], 2 * stem)
    assert torch.equal(found.inputs[1], stem**2)


def test_a_list_of_layers_is_held_in_its_own_order() -> None:
    found = at([MODEL.right, MODEL.left])
    assert found.counts == (2, 1)
    assert torch.equal(found.inputs[2], MODEL.left(torch.tanh(MODEL.stem(X))))
    assert torch.equal(found.function(*found.inputs, X), MODEL(X))


def test_inputs_by_keyword_are_held_where_none_is_by_position() -> None:
    class Caller(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.right = Right()

        def forward(self, x: Tensor) -> Tensor:
            return self.right(x=x.tanh(), factor=3.0)[0]

    model = Caller()
    found = at(model.right, model, attribute_to_layer_input=True)
    assert torch.equal(found.inputs[0], X.tanh())
    assert torch.equal(found.function(*found.baselines, X), model(B))


def test_further_arguments_are_passed_on() -> None:
    found = at(MODEL.left, additional_forward_args=(3.0,))
    assert torch.equal(found.function(*found.inputs, X, 3.0), MODEL(X, 3.0))
    assert not torch.allclose(found.function(*found.inputs, X, 1.0), MODEL(X, 3.0))


def test_token_ids() -> None:
    model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 2))
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    found = activations_at(model, model[0], inputs=(ids,), baselines=(torch.zeros_like(ids),))
    assert torch.equal(found.inputs[0], model[0](ids))
    assert torch.equal(found.function(*found.baselines, ids), model(torch.zeros_like(ids)))


def test_what_is_changed_in_place_further_on_was_kept_before() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 1)).double()
    found = at(model[0], model)
    assert torch.equal(found.inputs[0], model[0](X))
    assert float(found.inputs[0].detach().min()) < 0


def test_a_model_that_changes_its_inputs_in_place_changes_copies() -> None:
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 1)).double()
    before = X.clone()
    at(model[1], model)
    assert torch.equal(X, before)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_whatever_the_callers_grad_mode(context: Callable[[], Any]) -> None:
    with context():
        inputs = (X * 1,)
        found = activations_at(MODEL, MODEL.left, inputs=inputs, baselines=(B,))
    leaf = found.inputs[0].requires_grad_()
    assert torch.autograd.grad(found.function(leaf, X).sum(), leaf)[0].abs().max() > 0


def test_the_model_runs_once_at_each_end_and_once_for_its_graph() -> None:
    rows = []
    handle = MODEL.stem.register_forward_hook(lambda module, given, out: rows.append(len(out)))
    at([MODEL.left, MODEL.right])
    handle.remove()
    assert rows == [3, 3, 3]


def test_both_ends_are_computed_in_one_way() -> None:
    """Some modules compute otherwise without gradients; there the map at x = x' would not be zero."""

    class Fast(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.tanh() if torch.is_grad_enabled() else x.tanh() * 2

    model = nn.Sequential(nn.Linear(4, 4), Fast(), nn.Linear(4, 1)).double()
    found = activations_at(model, model[1], inputs=(X,), baselines=(X,))
    assert torch.equal(found.inputs[0], found.baselines[0])


# ------------------------------------------------------------------ left as found


def test_hooks_buffers_and_mode_are_as_before() -> None:
    model = copy.deepcopy(MODEL)
    seen: list[str] = []
    model.left.register_forward_hook(lambda *_: seen.append("user's"))
    model.left.register_forward_pre_hook(lambda *_: seen.append("user's, before"))
    before, calls = hooks(model), model.calls.clone()
    for to_input in (False, True):
        found = at([model.left, model.right], model, attribute_to_layer_input=to_input)
        found.function(*found.inputs, X)
    assert hooks(model) == before
    assert int(model.calls) == int(calls) + 2  # of `function`, whose passes the sampler looks after
    assert seen
    assert not any(module.training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("to_input", [False, True])
def test_hooks_are_gone_after_an_exception(to_input: bool) -> None:
    model = copy.deepcopy(MODEL)
    found = at(model.left, model, attribute_to_layer_input=to_input)
    before = hooks(model)
    with pytest.raises(RuntimeError):
        found.function(*found.inputs, X[:, :2])

    def fail(*_: object) -> None:
        raise KeyError("halfway")

    handle = model.head.register_forward_hook(fail)
    with pytest.raises(KeyError, match="halfway"):
        at(model.left, model, attribute_to_layer_input=to_input)
    handle.remove()
    assert hooks(model) == before


def test_a_hook_that_changes_the_output_is_honoured() -> None:
    model = copy.deepcopy(MODEL)
    model.left.register_forward_hook(lambda module, given, out: out * 2)
    assert torch.equal(at(model.left, model).inputs[0], 2 * model.left.forward(torch.tanh(model.stem(X))))


def test_another_thread_sees_its_own_model() -> None:
    model, inside, go, seen = copy.deepcopy(MODEL), threading.Event(), threading.Event(), []
    found = at(model.left, model)
    expected = model(B)

    def wait(*_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            inside.set()
            assert go.wait(60)

    def other() -> None:
        assert inside.wait(60)
        seen.append(model(B))
        go.set()

    thread = threading.Thread(target=other)
    thread.start()
    handle = model.head.register_forward_pre_hook(wait)
    output = found.function(*found.inputs, X)
    thread.join()
    handle.remove()
    assert torch.equal(seen[0], expected)
    assert torch.equal(output, model(X))


# ------------------------------------------------------------------ what is refused, by name


class Reuses(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.embedding, self.both = nn.Linear(4, 4).double(), nn.Embedding(9, 4), nn.Linear(4, 1).double()

    def forward(self, x: Tensor) -> Tensor:
        ids = (x > 0).long()
        return self.both(self.linear(self.linear(x)) + self.embedding(ids).double().sum(1))


REUSES = Reuses()


@pytest.mark.parametrize(
    ("layer", "options", "kind", "message"),
    [
        (7.0, {}, TypeError, "got float"),
        ("stam", {}, ValueError, "layer names 'stam', .* the nearest are 'stem'"),
        ([MODEL.left, 3], {}, ValueError, r"layer lists inputs\[3\], and there are 1 inputs"),
        ([], {}, ValueError, "empty list"),
        ([MODEL.left, None], {}, TypeError, "got NoneType"),
        ([MODEL.left, MODEL.left], {}, ValueError, "layer 'left' is listed twice"),
        (nn.Linear(4, 4), {}, ValueError, "layer Linear is not in the model"),
        (MODEL.idle, {}, ValueError, "layer 'idle' is not called"),
        ([MODEL.left, MODEL.idle], {}, ValueError, "layer 'idle' is not called"),
        (MODEL.spare, {}, RuntimeError, "does not depend on layer 'spare'"),
        ([MODEL.stem, MODEL.left], {}, ValueError, "layer 'stem' is upstream of layer 'left'"),
        ([MODEL.head, MODEL.right], {}, ValueError, "layer 'right' is upstream of layer 'head'"),
        (
            [MODEL.stem, MODEL.head],
            {"attribute_to_layer_input": True},
            ValueError,
            "'stem' is upstream of layer 'head'",
        ),
        ([MODEL, MODEL.left], {}, ValueError, "layer 'left' is upstream of layer Branches"),
        (REUSES.linear, {"model": REUSES}, ValueError, "layer 'linear' is called more than once"),
        (
            REUSES.embedding,
            {"model": REUSES, "attribute_to_layer_input": True},
            TypeError,
            "'embedding' is given torch.int64",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused(layer: Any, options: dict[str, Any], kind: type[Exception], message: str) -> None:
    model = options.get("model", MODEL)
    before = hooks(model)
    with pytest.raises(kind, match=message) as caught:
        at(layer, **options)
    assert isinstance(caught.value, IGError)
    assert hooks(model) == before


def test_beside_each_other_is_not_upstream() -> None:
    for layers in ([MODEL.left, MODEL.right], [MODEL.right, MODEL.left]):
        for to_input in (False, True):
            assert all(at(layers, attribute_to_layer_input=to_input).used)


def test_unused_layers_where_they_are_allowed() -> None:
    found = at([MODEL.stem, MODEL.spare], allow_unused=True)
    assert found.used == (True, False)
    assert torch.equal(found.function(found.inputs[0], X), MODEL(X))
    with pytest.raises(NotDifferentiableError, match="'spare'"):
        at([MODEL.stem, MODEL.spare])


def test_a_layer_that_is_called_twice_at_the_baselines_only() -> None:
    class Data(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4).double()

        def forward(self, x: Tensor) -> Tensor:
            out = self.linear(x)
            return self.linear(out) if torch.equal(x, B) else out

    model = Data()
    with pytest.raises(ValueError, match="'linear' is called more than once"):
        at(model.linear, model)


def test_shapes_that_differ_between_the_ends() -> None:
    class Trimmed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.keep = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return self.keep(x[:, : 2 if torch.equal(x, B) else 3]).sum(1)

    model = Trimmed()
    with pytest.raises(ValueError, match=r"layer 'keep' holds shapes \[\(3, 3\)\] at inputs and \[\(3, 2\)\]"):
        at(model.keep, model)


def test_training_mode_is_refused_before_the_model_runs() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 1)).double()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(TrainingModeError):
        at(model[1], model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_layer_behind_a_function() -> None:
    assert at(MODEL.left, lambda x: MODEL(x)).counts == (1,)
    parallel = nn.DataParallel(MODEL)
    found = at(MODEL.left, parallel)
    assert torch.equal(found.function(*found.inputs, X), MODEL(X))


class Meets(nn.Module):
    """A deep layer whose value meets what was computed before it, in a way that broadcasts or in one that does not."""

    def __init__(self, meet: str) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.before, self.deep = nn.Linear(4, 6), nn.Linear(6, 6)
        self.behind = nn.Linear(12 if meet == "cat" else 6, 3)
        for p in self.parameters():
            p.data = torch.randn(p.shape, generator=generator)
        self.meet = meet

    def forward(self, x: Tensor) -> Tensor:
        early = self.before(x).tanh()
        late = self.deep(early).relu()
        if self.meet == "cat":
            late = torch.cat([late, early], 1)
        elif self.meet == "add":
            late = late + early
        elif self.meet == "mix":  # broadcasts, to something else
            late = late + early.mean(0, keepdim=True) + early.shape[0]
        return self.behind(late)


@pytest.mark.parametrize(("meet", "narrow"), [("none", True), ("add", True), ("cat", False), ("mix", False)])
@pytest.mark.parametrize("method", ["riemann_middle", "secant"])
@pytest.mark.parametrize("unit", [1.0, 2.0**-40, 2.0**40])
# Where rows mix, F is another in another chunk, of which the secant rule, which comes by the ends again, warns.
@pytest.mark.filterwarnings("ignore::ig_widgets.engine.errors.NondeterminismWarning")
def test_what_lies_before_a_layer_runs_once_a_chunk_where_that_gives_the_same(
    meet: str, narrow: bool, method: str, unit: float
) -> None:
    """Whatever the unit of F."""
    model = Meets(meet).double()
    x = torch.randn(1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    rows: list[int] = []
    handle = model.before.register_forward_hook(lambda _m, _i, out: rows.append(len(out)))
    options: dict[str, Any] = {"target": 1, "method": method, "n_steps": 12, "layer": model.deep}
    found = igw.attribute(lambda v: unit * model(v), x, chunk_size=12, **options)
    handle.remove()
    assert (rows[-1] == 1) == narrow
    by_one = igw.attribute(lambda v: unit * model(v), x, chunk_size=1, **options)
    if meet == "mix":  # a model that mixes the rows of a chunk is not explained the same by one and by twelve
        return
    torch.testing.assert_close(found.attributions, by_one.attributions, rtol=1e-9, atol=1e-12 * unit)
    torch.testing.assert_close(found.output, by_one.output, rtol=1e-9, atol=0)


def test_examples_of_a_batch_keep_what_lies_before_their_own_layer() -> None:
    model = Meets("add").double()
    x = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    together = igw.attribute(model, x, target=1, n_steps=12, method="riemann_middle", layer=model.deep)
    for i in range(3):
        alone = igw.attribute(model, x[i : i + 1], target=1, n_steps=12, method="riemann_middle", layer=model.deep)
        torch.testing.assert_close(together.attributions[i : i + 1], alone.attributions, rtol=1e-9, atol=1e-12)
