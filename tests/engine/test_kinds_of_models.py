"""Models and inputs of all kinds: explained as the plain ones are, or refused in a sentence that says what would do."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from ig_widgets.engine.attribution import attribute
from ig_widgets.engine.errors import IGError
from tests.engine.subjects import draw


def made(module: nn.Module, seed: int = 0) -> Any:
    for i, p in enumerate(module.parameters()):
        p.data = draw(seed + i, *p.shape) / p[0].numel() ** 0.5
    return module.double().eval()


def dense() -> Any:
    return made(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3)))


def conv() -> Any:
    layers = (nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return made(nn.Sequential(*layers, nn.Linear(4, 3)))


DENSE, CONV = dense(), conv()
X, PICTURE = draw(1, 2, 4), draw(2, 2, 1, 6, 6)


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.inner, self.reentrant = DENSE, reentrant

    def forward(self, x: Tensor) -> Tensor:
        return self.inner[4](checkpoint(lambda y: self.inner[:4](y), x, use_reentrant=self.reentrant))


def changed(change: Callable[[Any], object]) -> Any:
    """A copy of the dense model whose first layer was changed."""
    model = dense()
    change(model[0])
    return model.eval()


def static() -> Any:
    return torch.export.export(DENSE, (X,)).module()


def exported(model: Any, x: Tensor) -> Any:
    return torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))


def compiled_in_place() -> Any:
    model = conv()
    model.compile(backend="eager")
    return model


def quantised() -> Any:
    return torch.ao.quantization.quantize_dynamic(dense().float(), {nn.Linear}, torch.qint8)


def in_inference_mode() -> Any:
    with torch.inference_mode():
        return dense()


def inference_input() -> Tensor:
    with torch.inference_mode():
        return X * 1


ALL = ("gausslegendre", "secant", "auto")
POINTS = ("gausslegendre",)
# The model, its input, the plain model that it equals (None: itself, in a lambda), and by which methods: TorchScript
# keeps its kinks for itself.
WORKS: dict[str, tuple[Callable[[], Any], Tensor, Any, tuple[str, ...]]] = {
    "checkpoint": (lambda: Checkpointed(False), X, DENSE, ALL),
    "checkpoint, reentrant": (lambda: Checkpointed(True), X, DENSE, ALL),
    "checkpoint in sequence": (lambda: lambda x: checkpoint_sequential(DENSE, 2, x, use_reentrant=True), X, DENSE, ALL),
    "frozen": (lambda: copy.deepcopy(DENSE).requires_grad_(False), X, DENSE, ALL),
    "weight norm": (lambda: changed(parametrizations.weight_norm), X, None, ALL),
    "spectral norm": (lambda: changed(parametrizations.spectral_norm), X, None, ALL),
    "pruned": (lambda: changed(lambda m: prune.l1_unstructured(m, "weight", 0.3)), X, None, ALL),
    "script": (lambda: torch.jit.script(DENSE), X, DENSE, POINTS),
    "script, convolution": (lambda: torch.jit.script(CONV), PICTURE, CONV, POINTS),
    "trace": (lambda: torch.jit.trace(DENSE, X), X, DENSE, POINTS),
    "frozen script": (lambda: torch.jit.freeze(torch.jit.script(DENSE)), X, DENSE, POINTS),
    "export": (lambda: exported(DENSE, X).module(), X, DENSE, ALL),
    "export, convolution": (lambda: exported(CONV, PICTURE).module(), PICTURE, CONV, ALL),
    "fx": (lambda: torch.fx.symbolic_trace(DENSE), X, DENSE, ALL),
    "parallel": (lambda: nn.DataParallel(DENSE), X, DENSE, ALL),
    "compiled": (lambda: torch.compile(CONV, backend="eager"), PICTURE, CONV, ALL),
    "compiled function": (lambda: torch.compile(lambda x: CONV(x), backend="eager"), PICTURE, CONV, ALL),
    "compiled in place": (compiled_in_place, PICTURE, CONV, ALL),
    "compiled inside": (lambda: nn.Sequential(torch.compile(DENSE[:2], backend="eager"), *DENSE[2:]), X, DENSE, ALL),
    "vmap": (lambda: lambda x: torch.func.vmap(DENSE)(x), X, DENSE, POINTS),
    "functional call": (
        lambda: lambda x: torch.func.functional_call(DENSE, dict(DENSE.named_parameters()), (x,)),
        X,
        DENSE,
        ALL,
    ),
    "input of inference mode": (lambda: DENSE, inference_input(), DENSE, ALL),
    "parameter for an input": (lambda: DENSE, nn.Parameter(X.clone()), DENSE, ALL),
    "input with a graph": (lambda: DENSE, X.clone().requires_grad_() * 1, DENSE, ALL),
}
REFUSED: dict[str, tuple[Callable[[], Any], Any, dict[str, Any], str]] = {
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(3)), X, {}, "LazyLinear '0'.*call the model once first"),
    "meta model": (lambda: dense().to("meta"), X, {}, "Linear '0' on the meta device"),
    "meta input": (dense, X.to("meta"), {}, "inputs is on the meta device"),
    "sparse": (dense, lambda: X.relu().to_sparse(), {}, r"inputs is sparse.*inputs\.to_dense\(\)"),
    "nested": (
        dense,
        lambda: torch.nested.nested_tensor([draw(1, 3, 4), draw(2, 2, 4)], layout=torch.jagged),
        {},
        "nested tensor.*to_padded_tensor",
    ),
    "quantised": (quantised, X.float(), {}, "quantised.*floating point"),
    "quantised input": (
        dense,
        lambda: torch.quantize_per_tensor(X.float(), 0.1, 0, torch.qint8),
        {},
        r"inputs is quantised.*dequantize\(\)",
    ),
    "made in inference mode": (in_inference_mode, X, {}, "made in inference mode"),
    "runs in inference mode": (lambda: lambda x: torch.inference_mode()(DENSE)(x), X, {}, "does not depend on inputs"),
    "exported program": (lambda: exported(DENSE, X), X, {}, r"exported_program\.module\(\)"),
    "export of a fixed shape": (static, X, {}, "fixed shapes.*dynamic_shapes"),
    "layer of a script": (lambda: torch.jit.script(DENSE), X, {"layer": "0"}, "layer '0' is TorchScript"),
}
IGNORED = (
    "ignore:.*torch.jit.*:DeprecationWarning",
    "ignore:.*is deprecated:DeprecationWarning",
    "ignore:.*torch.ao.quantization.*:DeprecationWarning",
    "ignore:.*quantize.*:UserWarning",
    "ignore:The .grad attribute:UserWarning",  # torch looks at it, as it traces
    "ignore:.*(nested|Sparse).*:UserWarning",
)
pytestmark = [pytest.mark.filterwarnings(text) for text in IGNORED]


@pytest.mark.parametrize("kind", WORKS)
def test_explained_as_the_plain_model_is(kind: str) -> None:
    make, x, plain, methods = WORKS[kind]
    model = make()
    for method in methods:
        options: dict[str, Any] = {"target": 1, "method": method, **({} if method == "auto" else {"n_steps": 9})}
        expected = attribute(plain or (lambda x: model(x)), x, **options)
        found = attribute(model, x, **options)
        torch.testing.assert_close(found.attributions, expected.attributions, rtol=1e-9, atol=1e-11)
        assert (found.method, found.evaluations) == (expected.method, expected.evaluations)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("reentrant", [False, True])
def test_a_layer_inside_of_a_checkpoint(reentrant: bool, method: str) -> None:
    options: dict[str, Any] = {"target": 1, "method": method, "n_steps": 9}
    found = attribute(Checkpointed(reentrant), X, layer="inner.0", **options)
    expected = attribute(DENSE, X, layer="0", **options)
    torch.testing.assert_close(found.attributions, expected.attributions, rtol=1e-9, atol=1e-11)
    assert all(p.grad is None for p in DENSE.parameters())


def test_checkpoints_are_checkpoints_again_afterwards() -> None:
    apply = torch.utils.checkpoint.CheckpointFunction.apply
    attribute(Checkpointed(True), X, target=1, n_steps=3)
    assert torch.utils.checkpoint.CheckpointFunction.apply == apply
    assert "apply" not in vars(torch.utils.checkpoint.CheckpointFunction)


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_a_sentence(kind: str) -> None:
    make, given, options, says = REFUSED[kind]
    model, x = make(), given() if callable(given) else given
    for method in ALL:
        with pytest.raises(IGError, match=says):
            attribute(model, x, target=1, method=method, **({} if method == "auto" else {"n_steps": 9}), **options)


def test_a_layer_by_the_name_that_a_wrapper_gives_it() -> None:
    expected = attribute(DENSE, X, layer="0", target=1, n_steps=4).attributions
    for model, name in ((nn.DataParallel(DENSE), "module.0"), (torch.compile(DENSE, backend="eager"), "_orig_mod.0")):
        torch.testing.assert_close(attribute(model, X, layer=name, target=1, n_steps=4).attributions, expected)
