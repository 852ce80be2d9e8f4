"""Threads of explorers: where there are none, in a child process, and at the end of Python."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ig_widgets.explorers.widget.worker import ThreadError, Worker
from tests.explorers.subjects import SECONDS, Classifier, panes_of
from tests.explorers.test_worker import Job

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, time
import numpy as np, torch
from torch import nn
import ig_widgets

class Slow(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.entered = kind, False
        self.first, self.last = nn.Conv2d(3, 48, 3, padding=1), nn.Linear(48, 5)

    def forward(self, x):
        found = self.last(self.first(x).relu().mean((2, 3)))
        self.entered = self.entered or x.requires_grad
        while self.kind == "never returns" and x.requires_grad:
            found = found + 0
        return found

torch.set_num_threads(1)
model = Slow(sys.argv[1]).eval()
picture = np.zeros((64, 64, 3), np.uint8) + 77
explorer = ig_widgets.ImageExplorer(model, picture, n_steps=256, method="riemann_middle")
while not model.entered:
    time.sleep(0.001)
time.sleep(float(sys.argv[2]))
print(time.time(), flush=True)
"""


@pytest.mark.robustness
@pytest.mark.parametrize(("kind", "delay"), [("", 0.0), ("", 0.03), ("", 0.1), ("never returns", 0.05)])
def test_python_ends_while_an_explorer_computes(kind: str, delay: float, figure: Callable[..., None]) -> None:
    """Quietly, and with 0. A thread that came back to a Python that is gone would abort the process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind, str(delay)],
        capture_output=True, text=True, timeout=SECONDS, env=environment, cwd=ROOT, check=False,
    )  # fmt: skip
    took = time.time() - float(run.stdout)
    assert (run.returncode, run.stderr) == (0, "")
    figure(f"Python ends while an explorer computes{', in a pass that ' + kind if kind else ''}", took, " s", at_most=2)


def test_a_thread_that_cannot_start_is_a_sentence_and_the_next_wish_works(
    explore: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = explore()
    explorer.wait(SECONDS)
    panes_of(explorer)[0]._worker.close()
    panes_of(explorer)[0]._worker = Worker()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _refuse)
        explorer.n_steps = 5
        with pytest.raises(ThreadError, match=r"No thread could be started to compute in \(can't start new thread\)"):
            explorer.wait(SECONDS)
    explorer.n_steps = 6
    explorer.wait(SECONDS)
    assert explorer.result.n_steps == 6


def _refuse(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


class Leaving(Classifier):
    """Asks Python to end, as long as it is told to."""

    leaves = False

    def forward(self, x: Tensor) -> Tensor:
        if self.leaves:
            sys.exit(3)
        return super().forward(x)


def test_a_model_that_asks_python_to_end_is_a_sentence_and_the_next_wish_works(explore: Callable[..., Any]) -> None:
    model = Leaving()
    explorer = explore(model)
    explorer.wait(SECONDS)
    model.leaves = True
    explorer.n_steps = 5
    with pytest.raises(Exception, match="the model raised SystemExit, which ends a program and is no answer"):
        explorer.wait(SECONDS)
    model.leaves = False
    explorer.n_steps = 6
    explorer.wait(SECONDS)
    assert explorer.result.n_steps == 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_in_a_child_process_the_next_job_runs() -> None:
    """A child has none of the threads of its parent, and no lock of theirs that anyone would let go."""
    worker, job = Worker(), Job()
    worker.submit(job)
    job.await_start()
    context = multiprocessing.get_context("fork")
    done = context.Event()

    def child() -> None:
        worker.submit(lambda _cancel: done.set())
        worker.wait(SECONDS)

    with worker._changed:  # held by a thread that the child has not
        process = context.Process(target=child)
        process.start()
    process.join(SECONDS)
    job.go_on.set()
    assert worker.wait(SECONDS)
    worker.close()
    assert process.exitcode == 0
    assert done.is_set()


# ------------------------------------------------------------------ what is loaded while an explorer computes


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norms = nn.Conv2d(3, 6, 3), nn.Sequential(*[nn.BatchNorm2d(6) for _ in range(8)])
        self.last = nn.Linear(6, 4)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norms(self.conv(x)).relu().mean((2, 3)))


def test_statistics_that_are_loaded_beside_an_explorer_stay(explore: Callable[..., Any]) -> None:
    kept = 0
    for i in range(40):
        torch.manual_seed(i)
        model, other = Normed(), Normed()
        for norm in other.norms:
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
        explorer = explore(model, n_steps=64)
        time.sleep(0.001 * (i % 8))
        model.load_state_dict(other.state_dict())
        explorer.close()
        panes_of(explorer)[0].wait(SECONDS)
        kept += all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
    assert kept == 40
