"""Settings of the whole process are switched while passes run, and are then as they were, whoever leaves last."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import permutations

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo import eval_frame
from torch.utils.checkpoint import CheckpointFunction, checkpoint

from ig_widgets.engine import devices
from ig_widgets.engine.attribution import attribute
from ig_widgets.engine.devices import CUDNN
from ig_widgets.engine.modes import Modes
from ig_widgets.engine.state_guard import StateGuard
from ig_widgets.engine.switches import Switch
from tests.engine.subjects import SECONDS, draw


class Passes:
    """Passes in threads of their own, entered and left one by one."""

    def __init__(self, during: Callable[[Callable[[], object]], object]) -> None:
        self._during = during
        self._threads: list[tuple[threading.Thread, threading.Event]] = []

    def enter(self) -> None:
        inside, leave = threading.Event(), threading.Event()

        def stay() -> None:
            inside.set()
            assert leave.wait(SECONDS)

        thread = threading.Thread(target=lambda: self._during(stay))
        thread.start()
        self._threads.append((thread, leave))
        assert inside.wait(SECONDS)

    def leave(self, index: int) -> None:
        thread, leave = self._threads[index]
        leave.set()
        thread.join(SECONDS)
        assert not thread.is_alive()


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_it_is_switched_until_the_last_has_left(order: tuple[int, ...]) -> None:
    """In whatever order passes in three threads are left."""
    setting = ["as set"]
    switch = Switch(lambda: setting[0], lambda value: setting.__setitem__(0, value), "switched")
    passes = Passes(switch.during)
    for _ in range(3):
        passes.enter()
        assert (setting[0], switch.outside()) == ("switched", "as set")
    for i, index in enumerate(order):
        assert switch.is_on
        assert not switch.is_own
        passes.leave(index)
        assert setting[0] == ("as set" if i == 2 else "switched")
    assert not switch.is_on


def test_it_is_left_by_errors_and_inside_itself() -> None:
    setting = [1]
    switch = Switch(lambda: setting[0], lambda value: setting.__setitem__(0, value), 2)

    def fail() -> None:
        assert switch.is_own
        assert setting == [2]
        raise KeyboardInterrupt

    def twice() -> None:
        with pytest.raises(KeyboardInterrupt):
            switch.during(fail)
        assert setting == [2]

    switch.during(twice)
    assert setting == [1]


@pytest.mark.parametrize("first", [0, 1])
def test_passes_of_two_models_leave_cudnn_as_it_was(first: int) -> None:
    """One needs it off, and ends before or after another, which does not and began while it was off."""
    enabled = torch.backends.cudnn.enabled
    keepers = [StateGuard(nn.Linear(2, 2), torch.device("cpu")) for _ in range(2)]
    off = Passes(lambda act: keepers[0].run(lambda: CUDNN.during(act), gradients=True))
    plain = Passes(lambda act: keepers[1].run(act, gradients=True))
    off.enter()
    assert not torch.backends.cudnn.enabled
    plain.enter()
    for passes in (off, plain) if first == 0 else (plain, off):
        passes.leave(0)
        if passes is off:
            assert torch.backends.cudnn.enabled == enabled
    assert torch.backends.cudnn.enabled == enabled


class Checkpointed(nn.Module):
    """Part of it is a reentrant checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 5).double(), nn.Linear(5, 3).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(checkpoint(lambda v: self.first(v).tanh(), x, use_reentrant=True))


def test_checkpoints_of_other_threads_are_as_ever() -> None:
    """While a pass of one thread runs, another trains a checkpointed model: its part runs once more, backward."""
    seen: list[bool] = []

    def part(x: Tensor) -> Tensor:
        seen.append(torch.is_grad_enabled())
        return x * 2

    def train() -> None:
        x = torch.ones(1, requires_grad=True)
        checkpoint(part, x, use_reentrant=True).sum().backward()
        assert float(x.grad) == 2

    def ask(x: Tensor) -> Tensor:
        thread = threading.Thread(target=train)
        thread.start()
        thread.join(SECONDS)
        return x.sum(1)

    attribute(ask, draw(1, 1, 4), method="riemann_middle", n_steps=1, chunk_size=1)
    assert seen[:2] == [False, True]
    assert "apply" not in vars(CheckpointFunction)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_all_is_as_it_was_after_an_error(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_has_cudnn", lambda device: True)
    cell = nn.LSTM(4, 3, batch_first=True).double().eval()
    model, calls = Checkpointed().eval(), []

    def failing(x: Tensor) -> Tensor:
        calls.append((torch.backends.cudnn.enabled, "apply" in vars(CheckpointFunction)))
        if len(calls) > 2:
            raise error
        return model(x) + cell(x[:, None])[0][:, 0]

    before = (torch.backends.cudnn.enabled, eval_frame._stance)
    with pytest.raises(error):
        attribute(failing, draw(1, 1, 4), target=0, method="secant", n_steps=4, chunk_size=2)
    assert set(calls) == {(False, True)}
    assert (torch.backends.cudnn.enabled, eval_frame._stance) == before
    assert "apply" not in vars(CheckpointFunction)


def test_modes_are_put_back_and_not_set() -> None:
    """Where functions are not asked for their modes they are not asked afterwards; where they were they are again."""
    with torch._C.DisableTorchFunction():
        before = Modes()
        before.put_back()
        assert not torch._C._is_torch_function_enabled()
    before = Modes()
    left = torch._C.DisableTorchFunction()
    left.__enter__()
    assert not torch._C._is_torch_function_enabled()
    before.put_back()
    assert torch._C._is_torch_function_enabled()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("around", [False, True])
def test_autocasting_that_a_model_enters_and_does_not_leave_ends_with_its_pass(device: str, around: bool) -> None:
    """Whether its caller casts or not; the numbers and the cache of weights are those of the caller again."""

    def casts() -> list[object]:
        each = [(torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in ("cpu", "cuda")]
        return [*each, torch.is_autocast_cache_enabled()]

    with torch.autocast("cpu", dtype=torch.float16, enabled=around):
        before, modes = casts(), Modes()
        torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False).__enter__()
        torch.set_autocast_enabled(device, True)
        assert casts() != before
        modes.put_back()
        assert casts() == before
        modes.put_back()
        assert casts() == before
