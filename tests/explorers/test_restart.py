"""A kernel that is killed loses nothing that was saved."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jupyter_client import BlockingKernelClient
from jupyter_client.manager import KernelManager

ROOT = Path(__file__).parents[2]
_SECONDS = 120.0
_MODEL = """
from ig_widgets import ImageExplorer
from tests.explorers.subjects import LABELS, Watched, photo
model = Watched()
"""
_FIRST = """
explorer = ImageExplorer(model, photo(), labels=LABELS, target=1, baseline="blur", n_steps=24, alpha=0.7, clip=95.0)
explorer.compare({"method": "secant", "n_steps": 6})
explorer.wait()
explorer.to_npz("explorer.npz")
"""
_SECOND = """
explorer = ImageExplorer.from_npz("explorer.npz", model, photo(), labels=LABELS)
explorer.wait()
"""


@contextmanager
def kernel(folder: Path) -> Iterator[BlockingKernelClient]:
    """A kernel of its own, which is killed in the end, as it is, with no chance to tidy up."""
    manager = KernelManager()
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    manager.start_kernel(cwd=str(folder), env={**os.environ, "PYTHONPATH": path, "IPYTHONDIR": str(folder)})
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=_SECONDS)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def run(client: BlockingKernelClient, code: str, *wanted: str) -> list[str]:
    """Run a cell, and the texts of what is `wanted` after it."""
    asked = {name: name for name in wanted}
    try:
        reply = client.execute_interactive(
            code, user_expressions=asked, timeout=_SECONDS, output_hook=lambda _message: None
        )["content"]
    except queue.Empty:
        pytest.fail("the kernel did not answer")
    assert reply["status"] == "ok", "\n".join(reply.get("traceback", []))
    return [reply["user_expressions"][name]["data"]["text/plain"] for name in wanted]


@pytest.mark.robustness
def test_another_kernel_shows_what_the_one_that_was_killed_has_saved(
    tmp_path: Path, figure: Callable[..., None]
) -> None:
    wanted = (
        "__import__('hashlib').sha256(explorer.snapshot()).hexdigest()",
        "[result.attributions.numpy().tobytes() for result in explorer.results]",
        "repr(explorer), explorer.alpha, explorer.clip, explorer._panes",
        "__import__('os').getpid()",
    )
    with kernel(tmp_path) as client:
        *before, first = run(client, _MODEL + _FIRST, *wanted)
    with kernel(tmp_path) as client:
        run(client, _MODEL)
        begin = time.perf_counter()
        *after, second, evaluated, computed = run(client, _SECOND, *wanted, "model.rows_with_gradient", "model.rows")
        seconds = time.perf_counter() - begin
        # And it goes on from there.
        assert run(client, "explorer.n_steps = 5; explorer.wait()", "explorer.result.n_steps") == ["5"]
    figure("gradient evaluations after a kernel restart, until the same picture is shown", int(evaluated), at_most=0)
    figure("explorer of two panes restored in a new kernel", seconds, " s", at_most=2)
    assert first != second
    assert after == before
    assert evaluated == "0"
    assert int(computed) < 24  # F(x) and F(x'), no more than that
