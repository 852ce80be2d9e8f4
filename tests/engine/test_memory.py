"""Out of memory, simulated: the chunk is halved with a warning, and the result is the same."""

from __future__ import annotations

import gc
import math
import threading
import warnings
import weakref
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ig_widgets.engine.attribution import attribute, refine
from ig_widgets.engine.errors import Cancelled, IGError, OutOfMemoryError
from ig_widgets.engine.memory import is_out_of_memory
from tests.engine.subjects import Scores, draw, few, relative

CPU_MESSAGE = (
    "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
)
FULL: dict[str, Callable[[], Exception]] = {
    "torch": lambda: torch.OutOfMemoryError("CUDA out of memory."),
    "cpu allocator": lambda: RuntimeError(CPU_MESSAGE),
    "python": lambda: MemoryError(),
    "c++": lambda: RuntimeError("std::bad_alloc"),
    "oneDNN": lambda: RuntimeError("could not create a primitive"),
}


class Small:
    """Fits `fits` rows; writes down how many rows it was given when it did not."""

    def __init__(
        self, fits: int, full: Callable[[], Exception] = FULL["torch"], *, backward_only: bool = False
    ) -> None:
        self.model, self.fits, self.full, self.backward_only = Scores([(4,)], seed=3), fits, full, backward_only
        self.failed: list[int] = []

    def __call__(self, at: Tensor) -> Tensor:
        if self.backward_only:
            if at.requires_grad:
                at.register_hook(self.check)
        else:
            self.check(at)
        return self.model(at)

    def check(self, rows: Tensor) -> None:
        if len(rows) > self.fits:
            self.failed.append(len(rows))
            raise self.full()


def run(small: Small, batch: int, **options: object) -> tuple[object, list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = attribute(small, draw(1, batch, 4), method="riemann_middle", n_steps=32, **options)  # type: ignore[arg-type]
    return result, caught


@pytest.mark.parametrize("full", FULL)
@pytest.mark.parametrize("backward_only", [False, True])
@pytest.mark.parametrize("chunk_size", [32, None])
def test_halved_with_one_warning_each_and_the_same_result(
    full: str, backward_only: bool, chunk_size: int | None
) -> None:
    small = Small(5, FULL[full], backward_only=backward_only)
    result, caught = run(small, 1, chunk_size=chunk_size)
    expected = attribute(small.model, draw(1, 1, 4), method="riemann_middle", n_steps=32)
    assert relative(result.attributions, expected.attributions) <= 1e-13  # type: ignore[attr-defined]
    assert small.failed
    assert len(caught) == len(small.failed)
    for warning, rows in zip(caught, small.failed, strict=True):
        assert f"with {rows} rows" in str(warning.message)
        assert f"going on with {rows // 2} (chunk_size)" in str(warning.message)


@few
@given(st.integers(1, 40), st.integers(1, 12), st.sampled_from([1, 3, 16, 64, 1000, None]))
def test_no_more_tries_than_halvings(fits: int, batch: int, chunk_size: int | None) -> None:
    small = Small(fits)
    result, caught = run(small, batch, chunk_size=chunk_size)
    assert (
        relative(
            result.attributions,
            attribute(small.model, draw(1, batch, 4), method="riemann_middle", n_steps=32).attributions,
        )
        <= 1e-13
    )  # type: ignore[attr-defined]
    assert len(caught) == len(small.failed)
    assert all(2 * later <= earlier for earlier, later in zip(small.failed, small.failed[1:], strict=False))
    most = 32 * batch if chunk_size is None else min(chunk_size, 32 * batch)
    assert len(small.failed) <= max(0, math.ceil(math.log2(most / fits)))


def test_a_warning_is_one_that_python_shows() -> None:
    """Python hides ResourceWarning (and some others) unless asked not to."""
    _, caught = run(Small(5), 1, chunk_size=32)
    hidden = (ResourceWarning, ImportWarning, DeprecationWarning, PendingDeprecationWarning)
    assert caught
    assert not any(issubclass(warning.category, hidden) for warning in caught)


@pytest.mark.parametrize("full", FULL)
def test_not_even_one_row(full: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(OutOfMemoryError, match=r"single row.*smaller") as raised:
            attribute(Small(0, FULL[full]), draw(1, 1, 4), n_steps=32)
    assert isinstance(raised.value, MemoryError)
    assert isinstance(raised.value, IGError)
    assert raised.value.__cause__ is not None or raised.value.__context__ is not None


def test_refine_goes_on_as_well() -> None:
    small = Small(2)
    with pytest.warns(Warning, match="Memory ran out"):
        items = list(refine(small, draw(1, 2, 4), n_steps=16, chunk_size=8))
    expected = attribute(small.model, draw(1, 2, 4), n_steps=16)
    assert relative(items[-1].attributions, expected.attributions) <= 1e-13


def test_what_the_failed_pass_had_filled_is_free_before_the_next() -> None:
    held: list[weakref.ref[Tensor]] = []

    def forward(at: Tensor) -> Tensor:
        assert all(ref() is None for ref in held)
        large = at * 2
        if len(at) > 4:
            held.append(weakref.ref(large))
            raise torch.OutOfMemoryError("full")
        return large.sum(1)

    with pytest.warns(Warning, match="Memory ran out"):
        attribute(forward, draw(1, 1, 4), n_steps=32, chunk_size=32)
    assert len(held) == 3


@pytest.mark.parametrize("method", ["riemann_middle", "secant", "auto"])
@pytest.mark.parametrize("left_by", ["memory", "error", "cancel", "nothing"])
def test_a_pass_that_may_be_cancelled_leaves_nothing_behind(method: str, left_by: str) -> None:
    """However it ends: operations that keep their own output for the backward pass (exp does) hold it no longer."""
    held: list[weakref.ref[Tensor]] = []
    cancel = threading.Event()

    def forward(at: Tensor) -> Tensor:
        first = at.exp()
        large = first.clamp(max=2).exp()
        held.extend([weakref.ref(first), weakref.ref(large)])
        if torch.is_grad_enabled() and len(at) > 4:
            if left_by == "memory":
                raise torch.OutOfMemoryError("full")
            if left_by == "error":
                raise KeyError("the model's own")
            if left_by == "cancel":
                cancel.set()
        return large.sum(1).exp()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            attribute(forward, draw(1, 1, 4), method=method, n_steps=32, chunk_size=32, cancel=cancel)
        except Cancelled:
            assert left_by == "cancel"
        except KeyError:
            assert left_by == "error"
        else:
            assert left_by in ("memory", "nothing")
    gc.collect()
    assert held
    assert not any(ref() is not None for ref in held)


def test_what_is_no_shortage_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("shape '[3]' is invalid for input of size 4"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))
    assert not is_out_of_memory(RuntimeError("could not create a primitive descriptor for a matmul primitive"))
    assert all(is_out_of_memory(full()) for full in FULL.values())
