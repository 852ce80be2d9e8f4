"""A JupyterLab and a Chromium for the tests of this folder, and a look into the kernel beside them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

import pytest
from jupyter_client import BlockingKernelClient
from playwright.sync_api import Browser, Page

from benchmarks._jupyter import Lab, chromium, jupyterlab

Read = Callable[[str], object]

# What Notebook 7.6 says of itself at each start, also without any widget.
_NOTEBOOKS_OWN = {
    "Cannot read properties of undefined (reading 'schema')",
    "Command 'filebrowser:open-path' not registered.",
}


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with jupyterlab() as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of its own; afterwards, nothing may have been said on its console as an error."""
    page = browser.new_page(viewport={"width": 1500, "height": 1100})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    page.close()
    assert [error for error in errors if error not in _NOTEBOOKS_OWN] == []


@pytest.fixture
def read(lab: Lab) -> Iterator[Read]:
    """Values of expressions in the newest kernel, as literals; it can be busy, the answer then comes later."""
    clients: list[BlockingKernelClient] = []

    def value(expression: str) -> object:
        if not clients:
            files = (lab.log.parent / "JUPYTER_RUNTIME_DIR").glob("kernel-*.json")
            client = BlockingKernelClient(connection_file=str(max(files, key=lambda file: file.stat().st_mtime)))
            client.load_connection_file()
            client.start_channels()
            clients.append(client)
        clients[0].wait_for_ready(timeout=120)
        message = clients[0].execute("", silent=True, user_expressions={"value": expression}, reply=True, timeout=120)
        answer = message["content"]["user_expressions"]["value"]
        assert answer["status"] == "ok", answer
        return ast.literal_eval(answer["data"]["text/plain"])

    yield value
    for client in clients:
        client.stop_channels()
