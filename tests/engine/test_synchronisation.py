"""Nobody waits for a device whose work is queued, chunk by chunk: counted on a stand-in, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import warnings
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils import backend_registration

from ig_widgets.engine.attribution import attribute
from ig_widgets.engine.errors import Cancelled
from ig_widgets.engine.transfers import Fetch, sent
from tests.engine.subjects import draw

RUNS = "gausslegendre", "riemann_trapezoid", "secant, clamp", "secant, attention", "auto, smooth", "auto, kinks"


@pytest.fixture(scope="module")
def figures() -> Any:
    if not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip(f"torch {torch.__version__} knows no devices that are written in Python")
    run = subprocess.run([sys.executable, "-m", "tests.engine.queued"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout)


@pytest.mark.parametrize("name", RUNS)
def test_no_chunk_is_waited_for(name: str, figures: Any) -> None:
    """Eight times as many chunks, and as many waits: those at the beginning and the end of a run or of a round."""
    small, large = (figures["runs"][name][size] for size in ("4", "32"))
    assert small["chunks"] > large["chunks"]
    assert small["waits"] == large["waits"], (small["counts"], large["counts"])
    if "auto" not in name:
        assert small["waits"] <= 12, small["counts"]


@pytest.mark.parametrize("name", RUNS)
def test_the_map_is_that_of_the_cpu(name: str, figures: Any) -> None:
    assert all(figures["runs"][name][size]["off"] <= 1e-5 for size in ("4", "32"))


def test_few_chunks_are_under_way(figures: Any) -> None:
    """One is worked on and one is queued, so that progress and cancel are no more than these behind."""
    found = figures["under way"]
    assert found["most"] == 2
    assert found["at each"] == [min(k + 2, 32) for k in range(32)]


def test_what_somebody_waits_for_comes_alone(figures: Any) -> None:
    assert figures["under way"]["before the first"] == 1


def test_cancel_waits_for_nothing(figures: Any) -> None:
    """Of a device that is never done: what is queued there is left to it."""
    assert figures["cancelled"] == {"gausslegendre": 2, "secant": 2}


def test_without_a_queue_all_is_there_at_once() -> None:
    x = draw(1, 3)
    fetch = Fetch([x.requires_grad_(), x > 0])
    assert fetch.is_done()
    arrived = fetch.arrived()
    assert arrived is not None
    assert not arrived[0].requires_grad
    assert torch.equal(arrived[0], x)
    assert torch.equal(arrived[1], x > 0)
    assert torch.equal(sent(x, x.device, torch.float32), x.float())


# ---------------------------------------------------------------- on a GPU

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 3)).eval().cuda()


@pytest.mark.cuda
@on_cuda
@pytest.mark.parametrize("method", ["gausslegendre", "secant"])
def test_cuda_waits_for_no_chunk(method: str) -> None:
    """As many synchronisations as torch notices, however many chunks."""
    model, x = network(), draw(1, 2, 6).float().cuda()

    def waits(chunk_size: int) -> int:
        run = partial(attribute, model, x, target=[0, 2], method=method, n_steps=64, chunk_size=chunk_size)
        run()  # what is lazy is loaded
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                run()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return sum("synchronizing" in str(one.message) for one in told)

    assert 0 < waits(4) == waits(32)


@pytest.mark.cuda
@on_cuda
def test_cuda_takes_the_whole_path_at_once() -> None:
    done: list[int] = []
    for _ in range(2):
        attribute(
            network(),
            draw(1, 2, 6).float().cuda(),
            target=1,
            method="gausslegendre",
            n_steps=64,
            on_progress=lambda rows, total: done.append(rows),
        )
    assert done == [128, 128]


@pytest.mark.cuda
@on_cuda
def test_cuda_hears_cancel_while_it_works() -> None:
    """One kernel of seconds: what is queued is left to the device."""
    cancel, x, calls = threading.Event(), draw(1, 2, 6).float().cuda(), []

    def slow(x: torch.Tensor) -> torch.Tensor:
        if x.requires_grad and not calls:
            calls.append(len(x))
            torch.cuda._sleep(6_000_000_000)
            threading.Timer(0.1, cancel.set).start()
        return x.tanh().sum(1)

    begin = time.perf_counter()
    with pytest.raises(Cancelled):
        attribute(slow, x, method="gausslegendre", n_steps=64, cancel=cancel)
    took = time.perf_counter() - begin
    is_busy = not torch.cuda.current_stream().query()
    torch.cuda.synchronize()
    assert is_busy
    assert took < 1.0
