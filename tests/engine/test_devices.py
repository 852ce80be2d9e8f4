"""What some devices cannot do, by stand-ins: cuDNN's recurrent networks in evaluation mode, float64 on Apple's."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.engine import devices
from ig_widgets.engine.attribution import attribute
from tests.engine.subjects import Scores, draw

X = draw(1, 2, 5, 3)
METHODS = ["gausslegendre", "secant", "auto"]


class Recurrent(nn.Module):
    """Writes down whether cuDNN was on in its passes."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.seen = nn.GRU(3, 4, batch_first=True).double(), set[bool]()

    def forward(self, x: Tensor) -> Tensor:
        self.seen.add(torch.backends.cudnn.enabled)
        return self.cell(x)[0][:, -1].tanh()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("has_cudnn", [False, True])
def test_cudnn_is_off_inside_our_passes_alone(has_cudnn: bool, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Recurrent().eval()
    options: dict[str, Any] = {"target": 1, "method": method, "n_steps": 6}
    expected = attribute(lambda x: model.cell(x)[0][:, -1].tanh(), X, **options)
    assert torch.backends.cudnn.enabled
    monkeypatch.setattr(devices, "_has_cudnn", lambda device: has_cudnn)
    found = attribute(model, X, **options)
    assert model.seen == {not has_cudnn}
    assert torch.backends.cudnn.enabled
    torch.testing.assert_close(found.attributions, expected.attributions)


def test_cudnn_stays_on_where_it_has_a_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_has_cudnn", lambda device: True)
    model = Recurrent().train()
    attribute(model, X, target=1, n_steps=3)
    assert model.seen == {True}


class _Cudnn(torch.autograd.Function):
    """Fails as cuDNN does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.on = torch.backends.cudnn.enabled
        return x * 2

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        if ctx.on:
            raise RuntimeError("cudnn RNN backward can only be called in training mode")
        return gradients[0] * 2


@pytest.mark.parametrize("method", METHODS)
def test_a_recurrent_network_that_no_module_holds(method: str) -> None:
    found = attribute(lambda x: _Cudnn.apply(x.tanh()).sum((1, 2)), X, method=method, n_steps=6)
    expected = attribute(lambda x: (x.tanh() * 2).sum((1, 2)), X, method=found.method, n_steps=6)
    torch.testing.assert_close(found.attributions, expected.attributions, rtol=1e-4, atol=1e-4)
    assert torch.backends.cudnn.enabled


# ------------------------------------------------------------------ no float64


FLAT = draw(2, 2, 4).float()
MODEL = Scores([(4,)], (3,), seed=5).float()
R = igw.relatives
ASKED: dict[str, Callable[[], Any]] = {
    **{m: lambda m=m: attribute(MODEL, FLAT, target=1, method=m, n_steps=9) for m in ("gausslegendre", "secant")},
    "auto": lambda: attribute(MODEL, FLAT, target=1, tol=0.01),
    "idgi": lambda: R.idgi(MODEL, FLAT, target=1, n_steps=9),
    "guided": lambda: R.guided_integrated_gradients(MODEL, FLAT, target=1, n_steps=9),
    "drawn": lambda: R.gradient_shap(MODEL, FLAT, target=1, baselines=FLAT * 0, n_samples=4),
}


@pytest.mark.parametrize("name", ASKED)
def test_the_same_without_float64(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ASKED[name]()
    monkeypatch.setattr(devices, "_NARROW", frozenset(("cpu",)))
    found = ASKED[name]()
    torch.testing.assert_close(found.attributions, expected.attributions, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.convergence_delta, expected.convergence_delta, rtol=1e-4, atol=1e-5)


# Tensors that never lie on the device: what the text of a receiver or a file says so.
ON_CPU = ("cpu()", 'device="cpu"', "offsets", "sigmas", "scores", "close", "within", "largest")
ON_CPU = (*ON_CPU, "counts", "shares", "> 0", "searchsorted", "arrived")
FILES = [
    path
    for part in ("engine", "compat", "relatives", "faithfulness", "baselines")
    for path in sorted((Path(igw.__file__).parent / part).glob("*.py"))
]


def test_float64_is_made_on_the_cpu_alone() -> None:
    """Read from the code: `.double()` follows `.cpu()`, and what is made in float64 names the CPU."""
    offending = []
    for path in FILES:
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            is_double = isinstance(function, ast.Attribute) and function.attr == "double"
            makes = any(
                k.arg == "dtype" and isinstance(k.value, ast.Attribute) and k.value.attr == "float64"
                for k in node.keywords
            )
            if not (is_double or makes):
                continue
            source = ast.get_source_segment(text, node) or ""
            is_numpy = not is_double and "np." in source.partition("(")[0]
            if not is_numpy and not any(word in source.replace("_counts", "counts") for word in ON_CPU):
                offending.append(f"{path.name}:{node.lineno}: {source}")
    assert not offending
