"""Figures of a cell in a real kernel: messages to an explorer, which come while it runs, do not take them away."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Empty
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

SECONDS = 60.0
SETUP = """
%matplotlib inline
import threading, torch
import matplotlib.pyplot as plt
import ig_widgets as igw
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3)).eval()
explorer = igw.ImageExplorer(model, torch.rand(3, 8, 8), n_steps=4, method="riemann_middle")
explorer.wait()
heard = threading.Event()
explorer.observe(lambda change: heard.set(), "alpha")
"""
# The message comes in the midst of the cell, as of a person who drags while it runs, or of a view that starts.
CELL = """
fig, ax = plt.subplots()
ax.plot([1, 2])
heard.wait(60)
print(heard.is_set(), len(plt.get_fignums()))
plt.show()
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[BlockingKernelClient]:
    manager, client = start_new_kernel(startup_timeout=SECONDS)
    try:
        client.wait_for_ready(timeout=SECONDS)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run(kernel: BlockingKernelClient, code: str, **wanted: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Runs a cell; returns the messages that it published and the value of an expression."""
    outputs: list[dict[str, Any]] = []
    reply = kernel.execute_interactive(code, timeout=SECONDS, output_hook=outputs.append, user_expressions=wanted)
    assert reply["content"]["status"] == "ok", reply["content"]
    return outputs, reply["content"]["user_expressions"]


def test_a_figure_stays_with_its_cell(kernel: BlockingKernelClient) -> None:
    _, told = run(kernel, SETUP, comm="explorer.comm.comm_id")
    comm = told["comm"]["data"]["text/plain"].strip("'")
    # A subshell, in which the message is handled while the cell runs.
    kernel.control_channel.send(kernel.session.msg("create_subshell_request", {}))
    subshell = kernel.get_control_msg(timeout=SECONDS)["content"]["subshell_id"]
    kernel.execute(CELL)
    content = {"comm_id": comm, "data": {"method": "update", "state": {"alpha": 0.5}}}
    message = kernel.session.msg("comm_msg", content)
    message["header"]["subshell_id"] = subshell
    kernel.shell_channel.send(message)
    texts, figures = "", 0
    while True:
        try:
            told = kernel.get_iopub_msg(timeout=SECONDS)
        except Empty:
            pytest.fail("the cell did not end")
        content, parent = told["content"], told["parent_header"].get("msg_type")
        texts += content.get("text", "")
        if parent == "execute_request":
            figures += "image/png" in content.get("data", {})
            if content.get("execution_state") == "idle" and texts:
                break
    assert texts == "True 1\n"
    assert figures == 1
