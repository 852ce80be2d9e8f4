"""What is alive of explorers in a page and in its kernel, and how much memory both take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from playwright.sync_api import CDPSession, Page

from tests.browser import contexts

Read = Callable[[str], object]

# Weakly held. A view is in the page from the moment when it is put there until it and all that it held is collected.
_WATCH = """(() => {
    const seen = [];
    globalThis.igwViews = { get alive() { return seen.filter((one) => one.deref() !== undefined).length; } };
    const note = (node) => {
        if (!(node instanceof Element)) return;
        const found = [...(node.matches(".igw") ? [node] : []), ...node.querySelectorAll(".igw")];
        for (const one of found) if (!seen.some((other) => other.deref() === one)) seen.push(new WeakRef(one));
    };
    new MutationObserver((changes) => { for (const { addedNodes } of changes) addedNodes.forEach(note); })
        .observe(document, { childList: true, subtree: true });
})()"""

# The manager of widgets is private to JupyterLab; what draws a widget is given it.
_WIDGETS = """async () => {
    const { content, sessionContext } = jupyterapp.shell.currentWidget;
    const renderer = content.rendermime.createRenderer("application/vnd.jupyter.widget-view+json");
    const manager = await renderer._manager.promise;
    renderer.dispose();
    return { models: Object.keys(manager._models).length, comms: sessionContext.session.kernel._comms.size };
}"""

# For the kernel: `born` is told of each explorer.
KERNEL = """
import ctypes, gc, threading, weakref
import comm, psutil
from ipywidgets import Widget
from ipywidgets.widgets.widget import _instances

born = []

def alive():
    gc.collect()
    return {
        "explorers": sum(one() is not None for one in born),
        "threads": sum(one.name.startswith("ig_widgets") for one in threading.enumerate()),
        "widgets": len(_instances),
        "comms": len(comm.get_comm_manager().comms),
    }

def resident():
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (AttributeError, OSError):
        pass  # not glibc
    return psutil.Process().memory_info().rss
"""


class _Counts:
    def minus(self, other: Self) -> dict[str, int]:
        """How much more there is of each."""
        before = vars(other)
        return {name: value - before[name] for name, value in vars(self).items()}


@dataclass(frozen=True)
class Alive(_Counts):
    """How many there are of each kind. `kernel_…`: in Python. `views`: with their DOM, whether in the page or not."""

    explorers: int
    threads: int
    kernel_widgets: int
    kernel_comms: int
    models: int
    comms: int
    views: int
    contexts: int
    window_listeners: int


@dataclass(frozen=True)
class Memory(_Counts):
    """In bytes; `nodes` and `listeners` are counts of the page's."""

    kernel: int
    browser: int
    nodes: int
    listeners: int


class Census:
    """Counts, in a page whose notebook has run `KERNEL`."""

    def __init__(self, page: Page, read: Read) -> None:
        self._page, self._read = page, read
        self._session: CDPSession = page.context.new_cdp_session(page)

    @staticmethod
    def watch(page: Page) -> None:
        """Before the page is opened."""
        contexts.watch(page)
        page.add_init_script(_WATCH)

    def alive(self) -> Alive:
        """Counts, once garbage was collected."""
        self.collect()
        kernel, page = self._read("alive()"), self._page.evaluate(_WIDGETS)
        assert isinstance(kernel, dict)
        return Alive(
            explorers=kernel["explorers"],
            threads=kernel["threads"],
            kernel_widgets=kernel["widgets"],
            kernel_comms=kernel["comms"],
            models=page["models"],
            comms=page["comms"],
            views=self._page.evaluate("() => igwViews.alive"),
            contexts=contexts.live(self._page),
            window_listeners=self._listeners(),
        )

    def memory(self) -> Memory:
        """After `alive` or `collect`."""
        kernel = self._read("resident()")
        assert isinstance(kernel, int)
        counters = self._session.send("Memory.getDOMCounters")
        used = self._session.send("Runtime.getHeapUsage")["usedSize"]
        return Memory(kernel, int(used), counters["nodes"], counters["jsEventListeners"])

    def collect(self) -> None:
        """The page's garbage; what the first round lets go is found by the next."""
        for _ in range(2):
            self._session.send("HeapProfiler.collectGarbage")

    def _listeners(self) -> int:
        """On the window, the document and its body: what outlives any view."""
        count = 0
        for target in ("window", "document", "document.body", "document.documentElement"):
            found = self._session.send("Runtime.evaluate", {"expression": target})["result"]["objectId"]
            count += len(self._session.send("DOMDebugger.getEventListeners", {"objectId": found})["listeners"])
            self._session.send("Runtime.releaseObject", {"objectId": found})
        return count
