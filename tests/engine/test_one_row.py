"""Functions that take one row at a time, batches that are forgotten, and steps that come first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.engine.attribution import attribute
from ig_widgets.engine.errors import ArgumentValueError, OutputError
from tests.engine.subjects import draw


def made(module: nn.Module, seed: int = 0) -> Any:
    for i, p in enumerate(module.parameters()):
        p.data = draw(seed + i, *p.shape) / p[0].numel() ** 0.5
    return module.double().eval()


class Graph(nn.Module):
    """Messages along the edges of one graph: (rows, nodes, features), of which it takes a single row."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 6), nn.Linear(6, 2)
        self.edges = draw(7, 5, 5).relu()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.edges @ self.first(x)).sum(1))


GRAPH = made(Graph())
X = draw(3, 1, 5, 3)


def asserting(x: Tensor) -> Tensor:
    assert len(x) == 1, "one graph at a time"
    return GRAPH(x)


def indexing(x: Tensor) -> Tensor:
    return GRAPH.last(torch.relu(GRAPH.edges @ GRAPH.first(x[0])).sum(0))[None]


def reshaping(x: Tensor) -> Tensor:
    return GRAPH(x.reshape(1, 5, 3))


def mixing(x: Tensor) -> Tensor:
    """Takes rows in any number, and only one of them as it is."""
    return GRAPH(x.mean(0, keepdim=True)).expand(len(x), -1)


ONE_ROW: list[Callable[[Tensor], Tensor]] = [asserting, indexing, reshaping, mixing]


# That rows mix does not show where they may be put into one pass.
CALLS = [(f, n) for f in ONE_ROW for n in (1, None) if n or f is not mixing]


@pytest.mark.parametrize(("function", "chunk_size"), CALLS)
@pytest.mark.parametrize("options", [{"tol": 0.01}, {"n_steps": 64}, {"n_steps": 64, "method": "secant"}], ids=str)
def test_one_row_at_a_time(
    function: Callable[[Tensor], Tensor], options: dict[str, Any], chunk_size: int | None
) -> None:
    exact = igw.exact.piecewise_linear(GRAPH, X, target=1).attributions
    found = attribute(function, X, target=1, chunk_size=chunk_size, **options)
    assert float((found.attributions - exact).norm() / exact.norm()) < 0.03
    if "tol" in options:
        assert found.converged
        assert "relu" in found.reason  # kinks are seen all the same
    assert "one row at a time" in found.reason or found.method != "secant"


@pytest.mark.parametrize("chunk_size", [1, None])
def test_a_layer_of_a_graph(chunk_size: int | None) -> None:
    """Which holds (nodes, features), of the only graph."""

    class Single(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.graph = GRAPH

        def forward(self, x: Tensor) -> Tensor:
            (nodes,) = x
            return self.graph.last(torch.relu(self.graph.edges @ self.graph.first(nodes)).sum(0))[None]

    options: dict[str, Any] = {"target": 1, "n_steps": 8, "method": "gausslegendre"}
    found = attribute(Single(), X, layer="graph.first", chunk_size=chunk_size, **options)
    expected = attribute(GRAPH, X, layer="first", **options)
    torch.testing.assert_close(found.attributions, expected.attributions[0])


@pytest.mark.parametrize("function", ONE_ROW)
def test_of_a_batch_with_chunk_size_1(function: Callable[[Tensor], Tensor]) -> None:
    x = draw(4, 3, 5, 3)
    found = attribute(function, x, target=1, chunk_size=1, tol=0.01)
    exact = igw.exact.piecewise_linear(GRAPH, x, target=1).attributions
    errors = (found.attributions - exact).flatten(1).norm(dim=1) / exact.flatten(1).norm(dim=1)
    assert float(errors.max()) < 0.02


@pytest.mark.parametrize("options", [{"tol": 0.01}, {"n_steps": 9, "method": "secant"}], ids=str)
def test_what_takes_any_number_keeps_the_secant_rule(options: dict[str, Any]) -> None:
    one, any_number = (attribute(GRAPH, X, target=1, chunk_size=n, **options) for n in (1, 8))
    assert one.method == any_number.method == "secant"
    torch.testing.assert_close(one.attributions, any_number.attributions, rtol=1e-9, atol=1e-12)


# ------------------------------------------------------------------ where the batch is not first


class StepsFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRU(3, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][-1])


@pytest.mark.parametrize("batch", [1, 3])
def test_steps_that_come_first(batch: int) -> None:
    model, x = made(StepsFirst()), draw(5, 6, batch, 3)
    with pytest.raises(OutputError, match=r"as many as dimension 1 of inputs has.*transpose\(0, 1\)") as caught:
        attribute(model, x, target=1)
    assert "chunk_size" not in str(caught.value)
    # What is advised is right.
    found = attribute(lambda x: model(x.transpose(0, 1)), x.transpose(0, 1), target=1, n_steps=32)
    torch.testing.assert_close(found.output, model(x)[:, 1])
    assert float(found.convergence_delta.abs().max()) < 1e-6


def conv() -> Any:
    return made(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 2)))


@pytest.mark.parametrize(
    ("model", "shape"),
    [(conv(), (3, 6, 6)), (made(nn.Linear(4, 3)), (4,)), (made(nn.Sequential(nn.Flatten(), nn.Linear(12, 2))), (3, 4))],
)
def test_a_forgotten_batch_dimension(model: Any, shape: tuple[int, ...]) -> None:
    x = draw(1, *shape)
    with pytest.raises(ArgumentValueError, match=r"inputs of shape .* a batch dimension.*inputs\.unsqueeze\(0\)"):
        attribute(model, x, target=1)
    assert attribute(model, x[None], target=1).converged


def test_a_model_that_fails_at_the_baseline_alone_lacks_no_dimension() -> None:
    """Though it takes the inputs with one dimension more, as layers do that work on the last one."""
    layer = made(nn.Linear(4, 3))

    def fails(x: Tensor) -> Tensor:
        if bool((x == 0).all(-1).any()):
            raise RuntimeError("nothing is there")
        return layer(x)

    with pytest.raises(RuntimeError, match="nothing is there"):
        attribute(fails, draw(1, 1, 4), target=1)


def test_an_error_of_the_models_own_stays_its_own() -> None:
    calls = []

    def fails(x: Tensor) -> Tensor:
        calls.append(len(x))
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        attribute(fails, X)
    assert len(calls) <= 4
