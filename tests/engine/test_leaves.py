"""A pass puts back what it wrote itself, and what others write meanwhile stays theirs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ig_widgets.engine.attribution import attribute
from ig_widgets.engine.model_locks import lock_of, model_lock_of
from tests.engine.subjects import SECONDS, draw
from tests.engine.test_left_as_found import HABITS, Restless, as_found

# One of the habits is to answer differently each time, of which a run may warn.
pytestmark = pytest.mark.filterwarnings("ignore::ig_widgets.engine.errors.NondeterminismWarning")


@contextmanager
def another_thread() -> Iterator[None]:
    """In which a process is never alone, as in a notebook."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(SECONDS)


class Held(nn.Module):
    """Waits in the midst of a pass of another thread than the one that made it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.inside, self.go_on = threading.Event(), threading.Event()
        self._own = threading.get_ident()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        first = self.inner(x)
        if threading.get_ident() != self._own and not self.go_on.is_set():
            self.inside.set()
            assert self.go_on.wait(SECONDS)
        return first


def meanwhile(model: Held, act: Callable[[], object], **options: Any) -> None:
    """Do this while a pass of another thread is in the midst of the model."""
    model.inside.clear()
    model.go_on.clear()
    thread = threading.Thread(
        target=attribute, args=(model, draw(1, 2, 4)), kwargs={"target": 1, "n_steps": 4} | options
    )
    thread.start()
    assert model.inside.wait(SECONDS)
    try:
        act()
    finally:
        model.go_on.set()
        thread.join(SECONDS)
    assert not thread.is_alive()


@pytest.mark.parametrize("method", ["riemann_middle", "secant"])
@pytest.mark.parametrize("habit", HABITS)
def test_beside_another_thread_a_model_is_left_as_it_was(habit: str, method: str) -> None:
    model, x = Restless(habit), draw(1, 2, 4)
    with another_thread(), as_found(model, x):
        for _ in range(2):
            attribute(model, x, target=1, n_steps=5, method=method, chunk_size=2)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("habit", ["none", "in place", "replaced", "through data", "random"])
def test_what_is_loaded_meanwhile_stays(habit: str, known: bool) -> None:
    """In the first pass of a model, which is looked at, and in later ones, which are not where it writes nothing."""
    model, other = Held(Restless(habit)), Restless()
    other.norm.running_mean.copy_(torch.arange(4))
    other.norm.running_var.fill_(7.0)
    other.calls.fill_(30)
    if known:
        attribute(model, draw(1, 2, 4), target=1, n_steps=4)
    meanwhile(model, lambda: model.inner.load_state_dict(other.state_dict()))
    for name, value in other.state_dict().items():
        assert torch.equal(model.inner.state_dict()[name], value), name


def test_what_replaces_a_buffer_meanwhile_stays() -> None:
    model = Held(Restless())
    new = torch.full((4,), 3.0, dtype=torch.float64)
    meanwhile(model, lambda: setattr(model.inner.norm, "running_mean", new))
    assert model.inner.norm.running_mean is new


class Late(nn.Module):
    """Writes to its buffer from its fourth pass on."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        if self.passes > 3:
            self.calls += 1
        return x.square().sum(1)


def test_one_that_writes_later_is_seen_in_the_pass_after() -> None:
    model = Late()
    with another_thread():
        attribute(model, draw(1, 1, 4), method="riemann_middle", n_steps=12, chunk_size=2)
    assert model.passes > 5
    # The pass in which it began could not be told from another thread's doing.
    assert float(model.calls) <= 1
    assert model_lock_of(model).writes


# ------------------------------------------------------------------ turns


class Drawing(nn.Module):
    """Counts its passes in a buffer, draws a number, and answers by both."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3).double()
        self.register_buffer("calls", torch.zeros((), dtype=torch.float64))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        before = self.calls.clone()
        result = self.linear(x).tanh() * (1 + before + torch.rand((), dtype=x.dtype))
        assert torch.equal(before, self.calls), "another pass is in the model"
        return result


def test_passes_of_a_model_that_writes_and_draws_take_turns() -> None:
    """Each thread gets what it gets alone, and the session's random numbers are as if nobody else had drawn."""
    model, xs = Drawing(), [draw(i, 1, 4) for i in range(3)]

    def ask(x: Tensor) -> Tensor:
        return attribute(model, x, target=0, method="riemann_middle", n_steps=40, chunk_size=2).attributions

    torch.manual_seed(1)
    before = torch.get_rng_state()
    alone = [ask(x) for x in xs]
    with as_found(model):
        found: dict[int, Tensor] = {}
        threads = [threading.Thread(target=lambda i=i: found.update({i: ask(xs[i])})) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        assert not any(thread.is_alive() for thread in threads)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(found[i], alone[i]) for i in range(3))


def test_one_that_does_neither_waits_for_nobody() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.BatchNorm1d(3)).double().eval()
    expected = attribute(model, draw(1, 1, 4), target=0, n_steps=4).attributions
    with lock_of(model):
        found: list[Tensor] = []
        thread = threading.Thread(
            target=lambda: found.append(attribute(model, draw(1, 1, 4), target=0, n_steps=4).attributions)
        )
        thread.start()
        thread.join(SECONDS)
    assert torch.allclose(found[0], expected, rtol=0, atol=1e-13)


def test_a_lock_is_let_go_after_an_exception() -> None:
    model = Restless("in place", fail_at=2)
    with pytest.raises(KeyError):
        attribute(model, draw(1, 2, 4), target=1, n_steps=9, chunk_size=4)
    free: list[bool] = []
    thread = threading.Thread(target=lambda: free.append(lock_of(model).acquire(timeout=SECONDS)))
    thread.start()
    thread.join(SECONDS)
    assert free == [True]


def test_a_model_that_asks_for_its_own_attribution() -> None:
    """Re-entrant: its pass holds the lock, and the pass within takes it again."""
    inner = Drawing()

    def forward(x: Tensor) -> Tensor:
        return inner(x)[:, 0] + attribute(
            inner, x.detach(), target=0, n_steps=2, method="riemann_middle"
        ).attributions.sum(1)

    with as_found(inner):
        attribute(forward, draw(1, 1, 4), method="riemann_middle", n_steps=3, chunk_size=1)


def test_functional_dropout_without_a_module() -> None:
    weight = draw(3, 4)
    before = torch.get_rng_state()
    with another_thread():
        attribute(lambda x: F.dropout(x * weight, 0.5, training=True).sum(1), draw(1, 1, 4), n_steps=3)
    assert torch.equal(before, torch.get_rng_state())


def test_the_first_pass_beside_another_thread_imports_no_compiler() -> None:
    """torch._dynamo takes seconds, and a person waits for the first overlay."""
    program = (
        "import sys, threading, torch; from ig_widgets.engine.attribution import attribute;"
        "over = threading.Event(); thread = threading.Thread(target=over.wait); thread.start();"
        "attribute(lambda x: x.tanh().sum(1), torch.ones(1, 4), n_steps=4); over.set();"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0
