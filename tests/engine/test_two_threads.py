"""Two threads with the same model at once: each gets what it gets alone, and the model stays as it was."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ig_widgets import relatives
from ig_widgets.engine.attribution import attribute
from ig_widgets.engine.chunks import ChunkSize
from tests.engine.subjects import SECONDS, Meeting, draw, relative
from tests.engine.test_left_as_found import as_found

pytestmark = [
    pytest.mark.robustness,
    # The budgets are small by intent.
    pytest.mark.filterwarnings("ignore::ig_widgets.engine.errors.ConvergenceWarning"),
]


def network(kind: str) -> nn.Module:
    norm = nn.BatchNorm2d(4) if kind == "batch norm" else nn.GroupNorm(2, 4)
    drop = nn.Dropout(0.5) if kind == "dropout" else nn.Identity()
    model = nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.ReLU(), drop, nn.Flatten(), nn.Linear(16, 3)).double().eval()
    for i, parameter in enumerate(model.parameters()):
        parameter.data = draw(i, *parameter.shape) / 2 + (i == 2)
    for i, buffer in enumerate(b for b in model.buffers() if b.is_floating_point()):
        buffer.copy_(draw(20 + i, *buffer.shape).abs() + 0.5)
    if kind == "hooks":
        seen: list[int] = []
        model[2].register_forward_hook(lambda *_: seen.append(0))
        model[5].register_forward_pre_hook(lambda _, args: (args[0] * 2,))
        model[5].register_full_backward_hook(lambda *_: seen.append(1))
    return model


X, OTHER = draw(30, 1, 1, 4, 4), draw(31, 2, 1, 4, 4)
Way = Callable[[Callable[..., Any], Tensor], Any]
WAYS: dict[str, Way] = {
    "middle": lambda f, x: attribute(f, x, target=0, method="riemann_middle", n_steps=9, chunk_size=5),
    "secant": lambda f, x: attribute(f, x, target=1, method="secant", n_steps=9, chunk_size=5),
    "auto, to a tolerance": lambda f, x: attribute(f, x, target=2, tol=0.3, max_evaluations=14, chunk_size=5),
    "preview": lambda f, x: attribute(
        lambda at: f(at.double()), x.float(), target=0, method="riemann_middle", n_steps=9, chunk_size=5,
        precision="preview",
    ),
    "smoothgrad": lambda f, x: relatives.smoothgrad(f, x, target=1, n_samples=8, chunk_size=5),
}  # fmt: skip


def cell(model: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    """What a person does with a model in a cell: asks it, trains a step of it, looks at it."""
    scores = model(x)
    gradients = torch.autograd.grad(scores.square().sum(), list(model.parameters()))
    frozen = [p.requires_grad for p in model.parameters()]
    model.eval()
    with torch.no_grad():
        again = model(x)
    assert all(frozen)
    assert torch.equal(scores, again)
    return scores.detach(), *gradients


def beside(one: Callable[[], Any], other: Callable[[], Any]) -> tuple[Any, Any]:
    """Both at once, `other` in a thread of its own."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(other()))
    thread.start()
    mine = one()
    thread.join(SECONDS)
    assert found, "the other thread raised or hangs"
    return mine, found[0]


@pytest.mark.parametrize("kind", ["batch norm", "dropout", "hooks"])
def test_each_gets_what_it_gets_alone(kind: str, figure: Callable[..., None]) -> None:
    """Bit for bit: the rows of a chunk are the same."""
    model = Meeting(network(kind)).eval()
    alone = {name: way(model, X).attributions for name, way in WAYS.items()}
    others = {name: way(model, OTHER).attributions for name, way in WAYS.items()}
    asked = cell(model, OTHER)
    runs = differing = 0
    for one in WAYS:
        for other in [*WAYS, "cell"]:
            ask = partial(cell, model, OTHER) if other == "cell" else partial(WAYS[other], model, OTHER)
            with as_found(model, X, OTHER), model.meets():
                mine, theirs = beside(partial(WAYS[one], model, X), ask)
            runs += 1
            same = torch.equal(mine.attributions, alone[one])
            if other == "cell":
                same &= all(torch.equal(a, b) for a, b in zip(theirs, asked, strict=True))
            else:
                same &= torch.equal(theirs.attributions, others[other])
            differing += not same
    figure(f"attributions that differ, of {runs} runs in two threads at once, {kind}", differing, at_most=0)
    assert differing == 0


def test_chunks_that_are_found_are_found_by_both() -> None:
    """To rounding: what either learns of the size of a chunk the other goes by."""
    model = Meeting(network("batch norm")).eval()
    alone = attribute(model, X, target=0, method="riemann_middle", n_steps=200).attributions
    for _ in range(10):
        with model.meets():
            pair = beside(*[lambda: attribute(model, X, target=0, method="riemann_middle", n_steps=200)] * 2)
        assert all(relative(result.attributions, alone) <= 1e-12 for result in pair)


def test_sizes_are_learnt_while_others_are() -> None:
    """A dictionary that grows while it is looked through raises."""
    chunk, done = ChunkSize(None, torch.device("cpu"), 8), threading.Event()

    def learn() -> None:
        for size in itertools.count(8):
            chunk._costs[size] = 1.0
            if done.is_set() or size > 30_000:
                return

    thread = threading.Thread(target=learn)
    thread.start()
    try:
        for _ in range(20):
            chunk._tries, chunk._rows = True, 7
            chunk.record(7, 0.01, None)
    finally:
        done.set()
        thread.join(SECONDS)
    assert chunk.rows >= 1


# ------------------------------------------------------------------ what a pass changes is its thread's alone


class Paused(nn.Module):
    """Stops in the midst of the passes of one thread, until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 5).double(), nn.Linear(5, 1).double()
        self.thread: int | None = None
        self.inside, self.go_on = threading.Event(), threading.Event()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        if threading.get_ident() == self.thread and x.requires_grad:
            self.inside.set()
            assert self.go_on.wait(SECONDS)
        return self.last(torch.relu(hidden)).squeeze(1)


@pytest.mark.parametrize("options", [{"method": "secant"}, {"method": "riemann_middle"}])
def test_modes_are_of_one_thread(options: dict[str, Any]) -> None:
    """In the midst of a pass in which slopes are means and parameters constants, others see derivatives, and all."""
    model, x = Paused().eval(), draw(1, 1, 4)
    expected = attribute(model, x, n_steps=6, chunk_size=3, **options).attributions
    at = draw(2, 3, 4).requires_grad_()

    def plainly() -> list[Tensor]:
        out = model(at)
        slopes = (model.first(at) > 0).double() * model.last.weight
        (by_hand,) = torch.autograd.grad((slopes * model.first(at)).sum(), at, retain_graph=True)
        found = torch.autograd.grad(out.sum(), [at, *model.parameters()])
        assert torch.allclose(found[0], by_hand, rtol=0, atol=1e-14)
        return list(found)

    alone = plainly()
    results: list[Any] = []

    def run() -> None:
        model.thread = threading.get_ident()
        results.append(attribute(model, x, n_steps=6, chunk_size=3, **options).attributions)

    thread = threading.Thread(target=run)
    thread.start()
    assert model.inside.wait(SECONDS)
    try:
        # The first row of a chunk of points next to one another would be given the slope of its cell.
        assert all(torch.equal(a, b) for a, b in zip(plainly(), alone, strict=True))
        assert torch.is_grad_enabled()
        assert not torch.is_autocast_enabled("cpu")
    finally:
        model.go_on.set()
        thread.join(SECONDS)
    assert torch.equal(results[0], expected)


def test_a_seed_that_a_model_sets_is_put_back_beside_another_thread() -> None:
    """Setting a seed is no operation of torch, so that nobody sees it happen."""

    def model(x: Tensor) -> Tensor:
        torch.manual_seed(7)
        return x.square().sum(1)

    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        torch.manual_seed(1)
        before = torch.get_rng_state()
        attribute(model, torch.ones(1, 3), n_steps=3)
        assert torch.equal(before, torch.get_rng_state())
    finally:
        done.set()
        other.join()
