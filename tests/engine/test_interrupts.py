"""Ctrl-C at any line: nothing is left of what was entered, written or drawn, and the next run is as ever."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ig_widgets import faithfulness
from ig_widgets.engine.attribution import attribute
from tests.engine.interrupts import ALL, Restless, X, differences, interrupted, many, state, traced
from tests.engine.subjects import draw
from tests.engine.test_leaves import another_thread

pytestmark = [
    pytest.mark.robustness,
    pytest.mark.usefixtures("one_thread_of_torch"),
    pytest.mark.filterwarnings("ignore::ig_widgets.engine.errors.NondeterminismWarning"),
    pytest.mark.filterwarnings("ignore::ig_widgets.engine.errors.ConvergenceWarning"),
]


@pytest.mark.parametrize("beside", ["alone", "beside another thread"])
def test_nothing_is_left_behind(beside: str, figure: Callable[..., None], request: pytest.FixtureRequest) -> None:
    """Beside another thread what a pass does is told from what others do, by other code."""
    count = request.config.getoption("--interrupts") // 2
    with another_thread() if beside != "alone" else nullcontext():
        found = many(count, seed=len(beside), ways=ALL)
    hit = [one for one in found if one[1]]
    damaged = [one for one in hit if one[2]]
    figure(f"of {len(hit)} interrupts at random lines, {beside}: damaged", len(damaged), at_most=0)
    assert len(hit) > 0.8 * count
    assert damaged == []


@pytest.mark.parametrize("beside", ["alone", "beside another thread"])
def test_between_what_torch_has_done_and_the_next_line(
    beside: str, figure: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    count = request.config.getoption("--interrupts") // 2
    with another_thread() if beside != "alone" else nullcontext():
        found = many(count, seed=1 + len(beside), ways=ALL, returns=True)
    hit = [one for one in found if one[1]]
    damaged = [one for one in hit if one[2]]
    figure(f"of {len(hit)} interrupts as functions in C return, {beside}: damaged", len(damaged), at_most=0)
    assert len(hit) > 0.8 * count
    assert damaged == []


def test_as_each_operation_of_a_pass_returns() -> None:
    """Beside other threads, where only a record tells whose writing it is."""
    way, model = ALL["points"][0], Restless()
    operations: dict[str, Any] = {"returns": True, "under": (torch._ops.__file__,)}
    with another_thread():
        way(model)  # from now on the model is known to write
        count = traced(way, model, **operations).count
        found = [interrupted(way, model, at, **operations) for at in range(1, count + 1)]
    assert count > 50
    assert [one for one in found if not one[0] or one[1]] == []


class Entering(nn.Linear):
    """Interrupted as torch has switched gradients off, and no `with` will switch them on: as it is copied, or drawn."""

    where = "copied"

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Module:
        if self.where == "copied":
            torch.no_grad().__enter__()
            raise KeyboardInterrupt
        twin = type(self)(self.in_features, self.out_features)
        twin.where = self.where
        return twin

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.where == "drawn":
            torch.no_grad().__enter__()
            raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["copied", "drawn"])
def test_gradients_stay_on_as_a_model_is_copied_and_drawn_anew(where: str) -> None:
    model = Entering(3, 2).eval()
    model.where = where
    with pytest.raises(KeyboardInterrupt):
        faithfulness.randomize_model(model, torch.ones(1, 3), target=1)
    assert torch.is_grad_enabled()


def test_after_an_interrupt_the_next_run_is_as_ever() -> None:
    model = Restless()
    expected = ALL["secant"][0](model).attributions
    lines = traced(ALL["secant"][0], model).count
    for share in (0.2, 0.5, 0.9):
        where, damage = interrupted(ALL["secant"][0], model, int(share * lines))
        assert where
        assert damage == []
        assert torch.equal(ALL["secant"][0](model).attributions, expected)


def test_the_harness_sees_what_is_left() -> None:
    """A run that sets something and does not put it back is told of, whatever it was."""

    def careless(model: Restless) -> None:
        with torch.no_grad():
            attribute(model, X, target=1, method="riemann_middle", n_steps=1)
        model.calls += 1
        torch.rand(1)
        model.norm.register_forward_hook(lambda *_: None)
        raise KeyboardInterrupt

    _, damage = interrupted(careless, Restless(), 10**9)
    assert {"random state", ".calls", "norm_forward_hooks"} <= set(damage)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers of the process's own time")
@pytest.mark.parametrize("name", ["points", "secant", "layer", "drop-in"])
def test_signals(name: str) -> None:
    """As Ctrl-C comes: between two instructions, at any time."""
    way, make = ALL[name]
    model, hit = make(), 0
    way(model)
    begin = time.process_time()
    way(model)
    took = time.process_time() - begin
    before, old = state(model), signal.signal(signal.SIGVTALRM, _interrupt)
    try:
        for i in range(15):
            try:
                signal.setitimer(signal.ITIMER_VIRTUAL, took * (i + 1) / 16)
                way(model)
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            except KeyboardInterrupt:
                hit += 1
                assert differences(before, state(model)) == []
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, old)
    assert differences(before, state(model)) == []
    assert hit


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_an_interrupt_leaves_in_the_middle_ends_before_the_modes_are_put_back() -> None:
    """Torch calls a mode with the mode taken off by a generator, which may hang in a frame of the traceback."""

    def taken_off() -> Iterator[None]:
        mode = torch._C._pop_torch_function_stack()
        try:
            yield
        finally:
            torch._C._push_on_torch_function_stack(mode)

    class Interrupted(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            if torch._C._len_torch_function_stack():
                hanging = taken_off()
                next(hanging)
                raise KeyboardInterrupt
            return super().forward(x)

    before = torch._C._len_torch_function_stack()
    for method in ("riemann_middle", "secant"):
        with pytest.raises(KeyboardInterrupt) as caught:
            attribute(Interrupted(3, 2).double(), draw(1, 1, 3), target=1, method=method, n_steps=2)
        assert torch._C._len_torch_function_stack() == before
        del caught
        gc.collect()
        assert torch._C._len_torch_function_stack() == before
