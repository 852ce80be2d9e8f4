"""The drop-in beside Captum, to the last bit: in single precision, whatever the network, the rule and the chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import captum.attr
import pytest
import torch
from captum.testing.helpers import basic_models as models
from torch import Tensor, nn

from ig_widgets.compat.captum import IntegratedGradients, LayerIntegratedGradients
from tests.compat.test_drop_in_layers import CASES, captums, flat, seeded
from tests.compat.test_parity import MODELS, close_to_kinkless
from tests.engine.subjects import draw

# Captum's trapezoid has weights of its own, which sum to (n - 1) / n.
METHODS = ["gausslegendre", "riemann_left", "riemann_right", "riemann_middle"]
# All at once, and chunks of three steps with a row left over.
ROWS = [None, 7]


def assert_equal(ours: Any, theirs: Any) -> None:
    for our, their in zip(flat(list(ours)), flat(list(theirs)), strict=True):
        assert our.dtype == their.dtype
        assert torch.equal(our, their.detach())


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", MODELS)
def test_captums_own_models(name: str, rows: int | None) -> None:
    make, shapes, target, extra = MODELS[name]
    model = seeded(make).float()
    xs = tuple(close_to_kinkless(i, 2, *shape).float() for i, shape in enumerate(shapes))
    for number, method in enumerate(METHODS):
        for multiply in (True, False) if number < 2 else (True,):
            options: dict[str, Any] = {
                "target": torch.tensor(target) if isinstance(target, list) and target == [0, 1] else target,
                "additional_forward_args": extra or None,
                "n_steps": 20,
                "method": method,
                "internal_batch_size": rows,
                "return_convergence_delta": True,
            }
            both = (IntegratedGradients, captum.attr.IntegratedGradients)
            ours, theirs = (kind(model, multiply_by_inputs=multiply).attribute(xs, **options) for kind in both)
            assert_equal(ours, theirs)


class Attends(nn.Module):
    """A transformer's layer, and what has buffers and curves."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, activation="gelu")
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (rows, 3) of sequences (rows, 5, 8)."""
        scores: Tensor = self.head(self.layer(x).mean(1))
        return scores


class Recurs(nn.Module):
    """A recurrent network."""

    def __init__(self) -> None:
        super().__init__()
        self.cells, self.head = nn.GRU(8, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (rows, 3) of sequences (rows, 5, 8)."""
        scores: Tensor = self.head(self.cells(x)[0][:, -1])
        return scores


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.SiLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(96, 3)
    )


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "convolutional": (convolutional, (3, 8, 8), "1"),
    "transformer": (Attends, (5, 8), "layer"),
    "recurrent": (Recurs, (5, 8), "cells"),
    "normalised": (lambda: nn.Sequential(nn.Linear(9, 9), nn.LayerNorm(9), nn.Tanh(), nn.Linear(9, 3)), (9,), "1"),
}


@pytest.mark.parametrize("rows", [None, 3, 8])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_every_day(name: str, rows: int | None) -> None:
    make, shape, layer = NETWORKS[name]
    model, x = seeded(make), draw(3, 3, *shape).float()
    options: dict[str, Any] = {"target": [0, 2, 1], "internal_batch_size": rows, "return_convergence_delta": True}
    start = draw(4, 1, *shape).float()
    for method in METHODS:
        both = (IntegratedGradients, captum.attr.IntegratedGradients)
        assert_equal(*(kind(model).attribute(x, start, method=method, **options) for kind in both))
    if name != "recurrent":  # whose layer gives its last state too, which Captum cannot leave out
        inside = model.get_submodule(layer)
        kinds = (LayerIntegratedGradients(model, inside), captums(model, inside))
        assert_equal(*(kind.attribute(x, start, **options) for kind in kinds))


@pytest.mark.parametrize("rows", [None, 7])
@pytest.mark.parametrize(("name", "layer"), [(name, layer) for name, case in CASES.items() for layer in case[1]])
def test_layers(name: str, layer: str, rows: int | None) -> None:
    make, _, inputs, options = CASES[name]
    model = seeded(make)
    inside = model.get_submodule(layer)
    further = options | {"internal_batch_size": rows, "return_convergence_delta": True, "n_steps": 20}
    for method in METHODS[::3]:
        kinds = (LayerIntegratedGradients(model, inside), captums(model, inside))
        assert_equal(*(kind.attribute(inputs, method=method, **further) for kind in kinds))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("method", ["gausslegendre", "riemann_trapezoid"])
@pytest.mark.parametrize("name", MODELS)
def test_the_delta_is_that_of_compute_convergence_delta(name: str, method: str, dtype: torch.dtype) -> None:
    make, shapes, target, extra = MODELS[name]
    model = seeded(make).to(dtype)
    xs = tuple(close_to_kinkless(i, 2, *shape).to(dtype) for i, shape in enumerate(shapes))
    arguments: dict[str, Any] = {"target": target, "additional_forward_args": extra or None}
    # A number, one row for all, and what none stands for.
    starts = [tuple(0.00001 for _ in xs), tuple(x[:1] / 3 for x in xs), tuple(torch.zeros_like(x) for x in xs)]
    for number, baselines in enumerate(starts):
        ig = IntegratedGradients(model)
        given = None if number == 2 else baselines
        maps, delta = ig.attribute(xs, given, n_steps=30, method=method, return_convergence_delta=True, **arguments)
        assert torch.equal(delta, ig.compute_convergence_delta(maps, baselines, xs, **arguments))


@pytest.mark.parametrize("seed", range(5))
def test_what_layers_are_given_are_the_inputs_themselves(seed: int) -> None:
    """Each input is what one layer is given: of the layers all, to the last bit, are what the inputs are attributed."""
    torch.manual_seed(seed)
    model = models.BasicModel_MultiLayer_TrueMultiInput()
    inputs = tuple(torch.randn(5, 3) for _ in range(4))
    options: dict[str, Any] = {"target": 0, "attribute_to_layer_input": True}
    first, others = LayerIntegratedGradients(model, [model.m1, model.m234]).attribute(inputs, **options)
    assert_equal((first, *others), IntegratedGradients(model).attribute(inputs, target=0))
    outputs = LayerIntegratedGradients(model, [model.m1, model.m234]).attribute(inputs, target=0)
    zeros = tuple(torch.zeros_like(x) for x in inputs)
    at, start = ((model.m1(x[0]), model.m234(*x[1:], 1)) for x in (inputs, zeros))
    added = IntegratedGradients(lambda one, other: one + other).attribute(at, start, target=0)
    assert_equal(outputs, added)
