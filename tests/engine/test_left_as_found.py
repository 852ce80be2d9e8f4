"""The user's model, inputs and random state are bit for bit as they were, also after an exception."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ig_widgets.engine.attribution import attribute, make_samples, refine
from ig_widgets.engine.errors import Cancelled, IGError
from tests.engine.subjects import SECONDS, draw


class Restless(nn.Module):
    """Does to itself what models do in a forward pass, each in the way that `habit` names."""

    def __init__(self, habit: str = "none", fail_at: int | None = None) -> None:
        super().__init__()
        self.norm, self.drop, self.linear = nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("last", torch.zeros(4))
        self.register_buffer("empty", None)
        self.habit, self.fail_at, self.passes = habit, fail_at, 0
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        if self.habit == "in place":
            self.calls.add_(1)
            self.last.copy_(x[-1].detach())
        elif self.habit == "replaced":
            self.calls = self.calls + 1
            self.last = x[-1].detach().clone()
        elif self.habit == "through data":
            self.calls.data += 1
            self.last.data.copy_(x[-1].detach())
        elif self.habit == "set from None":
            self.empty = x.detach().clone()
        elif self.habit == "set to None":
            self.last = None
        elif self.habit == "inside a submodule":
            self.norm.num_batches_tracked.add_(1)
        elif self.habit == "deleted":
            self._buffers.pop("last", None)
        elif self.habit == "random":
            x = F.dropout(x, 0.5, training=True) + torch.rand_like(x)
        if self.passes == self.fail_at:
            raise KeyError("halfway")
        return self.frozen(torch.tanh(self.linear(self.drop(self.norm(x)))))


# One of the habits is to answer differently each time, of which a run may warn.
pytestmark = pytest.mark.filterwarnings("ignore::ig_widgets.engine.errors.NondeterminismWarning")

HABITS = (
    "none",
    "in place",
    "replaced",
    "through data",
    "set from None",
    "set to None",
    "inside a submodule",
    "deleted",
    "random",
)


class Lazy(nn.Module):
    """Makes a buffer in its first pass, and remembers that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = False

    def forward(self, x: Tensor) -> Tensor:
        if not self.ready:
            self.register_buffer("table", torch.ones(x.shape[-1]))
            self.ready = True
        return (x * self.table).sum(1)


def test_a_buffer_made_in_the_first_pass_stays() -> None:
    """Taking it away would break a model that counts on having made it."""
    model = Lazy()
    attribute(model, torch.ones(2, 3), n_steps=2)
    assert model(torch.ones(2, 3)).tolist() == [3, 3]


@contextmanager
def as_found(model: nn.Module, *tensors: Tensor) -> Iterator[None]:
    """Everything of the model and of `tensors` is the same object with the same bits afterwards."""

    def look() -> dict[str, object]:
        state: dict[str, object] = {"random": torch.get_rng_state(), "grad mode": torch.is_grad_enabled()}
        for name, module in model.named_modules():
            state[f"{name} training"] = module.training
            for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
                state[f"{name} {hooks}"] = dict(getattr(module, hooks))
            state[f"{name} buffer names"] = sorted(module._buffers)
        members = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        members.update({f"tensor {i}": tensor for i, tensor in enumerate(tensors)})
        for name, tensor in members.items():
            state[f"{name} object"] = id(tensor)
            state[f"{name} value"] = tensor.detach().clone()
            state[f"{name} requires_grad"] = tensor.requires_grad
            if tensor.is_leaf:
                state[f"{name} grad object"] = id(tensor.grad)
                state[f"{name} grad"] = None if tensor.grad is None else tensor.grad.clone()
        return state

    before = look()
    try:
        yield
    finally:
        after = look()
        assert sorted(before) == sorted(after)
        for name, value in before.items():
            if isinstance(value, Tensor):
                assert torch.equal(value, after[name]), name  # type: ignore[arg-type]
            else:
                assert value == after[name], name


def subject(habit: str, fail_at: int | None = None) -> Restless:
    model = Restless(habit, fail_at)
    model.linear.register_forward_hook(lambda *_: None)
    model.linear.weight.grad = torch.full_like(model.linear.weight, 7.0)
    return model


@pytest.mark.parametrize("mode", [nullcontext, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("habit", HABITS)
def test_after_a_run(habit: str, mode: Callable[[], AbstractContextManager[object]]) -> None:
    model, x, b = subject(habit), draw(1, 2, 4).requires_grad_(), draw(2, 1, 4)
    with as_found(model, x, b), mode():
        result = attribute(model, x, baselines=b, target=1, n_steps=9, chunk_size=4)
    assert model.passes >= 5
    if habit != "random":
        expected = attribute(Restless_like(model), x, baselines=b, target=1, n_steps=9, chunk_size=4)
        torch.testing.assert_close(result.attributions.clone(), expected.attributions, rtol=0, atol=1e-13)


def Restless_like(model: Restless) -> Callable[[Tensor], Tensor]:  # noqa: N802
    """The same function without the habit."""
    return lambda at: model.frozen(torch.tanh(model.linear(model.drop(model.norm(at)))))


@pytest.mark.parametrize("fail_at", [1, 2, 4])
@pytest.mark.parametrize("habit", HABITS)
def test_after_an_exception(habit: str, fail_at: int) -> None:
    model, x = subject(habit, fail_at), draw(1, 2, 4)
    with as_found(model, x), pytest.raises(KeyError, match="halfway"):
        attribute(model, x, target=1, n_steps=9, chunk_size=4)
    assert model.passes == fail_at


@pytest.mark.parametrize("habit", HABITS)
def test_between_the_items_of_refine_and_after_cancelling(habit: str) -> None:
    model, x, cancel = subject(habit), draw(1, 2, 4), threading.Event()
    with as_found(model, x):
        items = refine(model, x, target=1, n_steps=33, chunk_size=4, cancel=cancel)
        for _ in range(2):
            with as_found(model, x):
                next(items)
        cancel.set()
        with pytest.raises(Cancelled):
            list(items)


@pytest.mark.parametrize("habit", HABITS)
def test_behind_a_wrapper(habit: str) -> None:
    model, x = subject(habit), draw(1, 2, 4)
    for wrapped in (lambda at: model(at), functools.partial(model), model.forward, lambda at, held=model: held(at)):
        with as_found(model, x):
            attribute(wrapped, x, target=1, n_steps=5, chunk_size=4)


@pytest.mark.parametrize("error", ["output", "target", "nan"])
def test_after_an_error_of_ours(error: str) -> None:
    model, x = subject("in place"), draw(1, 2, 4)
    forward = {
        "output": lambda at: {"scores": model(at)},
        "target": model,
        "nan": lambda at: model(at) * float("nan"),
    }[error]
    with as_found(model, x), pytest.raises(IGError):
        attribute(forward, x, target=7 if error == "target" else 1, n_steps=5)


def test_random_numbers_are_the_same_in_every_pass() -> None:
    """The random state is put back after each pass, so that F is one function in all of them."""
    model, x = Restless("random"), draw(1, 1, 4)
    torch.manual_seed(3)
    once = attribute(model, x, target=1, n_steps=9, chunk_size=1)
    torch.manual_seed(3)
    noise = torch.get_rng_state()
    again = attribute(model, x, target=1, n_steps=9, chunk_size=1)
    assert torch.equal(noise, torch.get_rng_state())
    assert torch.equal(once.attributions, again.attributions)


def test_a_model_that_changes_its_argument_in_place() -> None:
    linear = nn.Linear(4, 3).double()

    class InPlace(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x.mul_(2).clamp_(min=-3)
            return linear(F.relu(x, inplace=True))

    x, b = draw(1, 2, 4), draw(2, 2, 4)
    expected = attribute(lambda at: linear(F.relu((at * 2).clamp(min=-3))), x, baselines=b, target=0, n_steps=9)
    for chunk_size in (1, 7, None):
        with as_found(linear, x, b):
            got = attribute(InPlace(), x, baselines=b, target=0, n_steps=9, chunk_size=chunk_size)
        torch.testing.assert_close(got.attributions, expected.attributions, rtol=0, atol=1e-13)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_all_made_and_run_without_gradients(mode: Callable[[], AbstractContextManager[object]]) -> None:
    """Inputs, baselines and further arguments made inside inference mode are inference tensors."""
    model = Restless()
    expected = attribute(
        lambda at, s, t: model(at * s * t),
        draw(1, 2, 4),
        additional_forward_args=(draw(2, 2, 4), draw(3, 4)),
        target=0,
        n_steps=8,
    )
    with mode():
        x, scale, other = draw(1, 2, 4), draw(2, 2, 4), draw(3, 4)
        got = attribute(
            lambda at, s, t: model(at * s * t), x, additional_forward_args=(scale, other), target=0, n_steps=8
        )
        items = list(refine(model, x, target=0, n_steps=8, chunk_size=2))
    assert (got.attributions - expected.attributions).abs().max() <= 1e-13
    assert items[-1].evaluations == 8


def test_results_do_not_change_with_the_inputs_afterwards() -> None:
    """Tensors are given by reference: one that its owner changes in place must not change a finished result."""
    model, x = Restless(), draw(1, 2, 4)
    result = attribute(model, x, target=0, n_steps=8)
    before = result.path.cumulative(0.5)
    x.zero_()
    assert torch.equal(result.path.cumulative(0.5), before)
    assert torch.equal(result.path.cumulative(1.0), result.attributions)


# ------------------------------------------------------------------ beside another thread


def test_the_guard_is_held_in_each_pass_and_never_between() -> None:
    lock, held = threading.Lock(), []
    model = Restless()

    def forward(at: Tensor) -> Tensor:
        held.append(lock.locked())
        return model(at)

    samples = make_samples(forward, draw(1, 2, 4), target=0, chunk_size=2, guard=lock)
    for _ in samples.extend(np.linspace(0.1, 0.9, 5)):
        assert not lock.locked()
    assert all(held)
    assert len(held) >= 6
    assert not lock.locked()


def test_the_guard_is_free_after_an_exception() -> None:
    lock = threading.Lock()
    with pytest.raises(KeyError):
        make_samples(Restless("none", fail_at=1), draw(1, 2, 4), target=0, guard=lock)
    assert not lock.locked()


def test_random_numbers_that_others_draw_stay_drawn() -> None:
    """A thread beside the session draws from a stream of its own, and does not set back the session's."""
    model, inside, go_on = Restless("random"), threading.Event(), threading.Event()
    torch.manual_seed(5)
    expected = [torch.rand(3) for _ in range(3)]

    def forward(at: Tensor) -> Tensor:
        first = model(at)
        inside.set()
        assert go_on.wait(SECONDS)
        return first + 0 * model(at)

    torch.manual_seed(5)
    seen = [torch.rand(3)]
    thread = threading.Thread(target=make_samples, args=(forward, draw(1, 2, 4)), kwargs={"target": 0})
    thread.start()
    assert inside.wait(SECONDS)
    seen.append(torch.rand(3))
    go_on.set()
    thread.join(SECONDS)
    seen.append(torch.rand(3))
    assert all(map(torch.equal, seen, expected))


def test_attribute_in_several_threads_at_once() -> None:
    model, xs = Restless(), [draw(i, 2, 4) for i in range(4)]
    expected = [attribute(model, x, target=0, n_steps=16, chunk_size=3).attributions for x in xs]
    got: dict[int, Tensor] = {}

    def work(i: int) -> None:
        got[i] = attribute(model, xs[i], target=0, n_steps=16, chunk_size=3).attributions

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(got[i], expected[i]) for i in range(4))
