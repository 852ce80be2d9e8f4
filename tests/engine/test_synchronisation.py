"""Nobody waits for a device whose work is queued, chunk by chunk: counted on a stand-in, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.utils import backend_registration

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
