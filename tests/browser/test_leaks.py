"""Explorers that were shown a hundred times and closed, shown again and again, or forgotten, leave nothing behind.

Counts are asserted. Memory is told, beside that of a plain anywidget with the same text of a front end: browsers keep
each module that a page has loaded, and JupyterLab each model, until the page is left.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from benchmarks._jupyter import Lab, run_notebook
from tests.browser.cells import SMALL
from tests.browser.census import KERNEL, Census

pytestmark = [pytest.mark.browser, pytest.mark.robustness, pytest.mark.timeout(600)]

Read = Callable[[str], object]

MB = 1024**2
TIMES, AT_ONCE = 100, 10
RERUNS = 12
SETUP = (
    KERNEL
    + SMALL
    + """
import anywidget
from IPython.display import display
from ig_widgets.explorers.widget.frontend import front_end

class Plain(anywidget.AnyWidget):
    _esm = front_end("image.js").replace(" as default", " as explorer") + (
        "export default { render({ el }) { el.innerHTML = '<div class=plain><span role=status>idle</span></div>'; } };"
    )
    _css = front_end("image.css")

def explore():
    explorer = igw.ImageExplorer(model, picture, n_steps=8)
    born.append(weakref.ref(explorer))
    explorer.wait()
    return explorer

def forget():
    globals().pop("explorer")
    Widget.close_all()

# display() leaves alone IPython's Out, which would keep what is shown. The picture beside the live widget takes half a
# second to draw: the first brings it, the others do not.
def show(widgets):
    display(widgets[0])
    for widget in widgets[1:]:
        view = {"model_id": widget.model_id, "version_major": 2, "version_minor": 1}
        display({"application/vnd.jupyter.widget-view+json": view}, raw=True)
"""
)
CLOSE = "for one in shown:\n    one.close()\ndel shown, one"
CELLS = [
    SETUP,
    f"shown = [explore() for _ in range({AT_ONCE})]\nshow(shown)",
    CLOSE,
    f"shown = [Plain() for _ in range({AT_ONCE})]\nshow(shown)",
    # As an explorer does.
    CLOSE.replace("one.close()", "one.layout.close(); one.close()"),
    "explorer = explore()\ndisplay(explorer)",
]

# Shows by one cell, waits for the pictures, closes by another, waits until they are gone; in the page: it is quicker.
AGAIN = """
async ([times, count, cells]) => {
    const { content } = jupyterapp.shell.currentWidget;
    const until = async (isSo, what) => {
        const end = performance.now() + 60000;
        while (!isSo()) {
            if (performance.now() > end) throw new Error(`it did not come: ${what}`);
            await new Promise((resolve) => setTimeout(resolve, 5));
        }
    };
    const run = async (cell) => {
        content.activeCellIndex = cell;
        if (!await jupyterapp.commands.execute("notebook:run-cell")) throw new Error(`cell ${cell} failed`);
    };
    const idle = () => [...document.querySelectorAll(":is(.igw, .plain) [role=status]")]
        .filter((one) => /^idle( · 8|$)/.test(one.textContent)).length;
    for (let i = 0; i < times; i++) {
        await run(cells[0]);
        await until(() => idle() === count, "pictures");
        if (cells[1] === undefined) continue;
        await run(cells[1]);
        await until(() => document.querySelector(".igw, .plain") === null, "the end");
    }
}
"""


def test_nothing_is_left_of_what_was_shown(lab: Lab, page: Page, read: Read, figure: Callable[..., None]) -> None:
    Census.watch(page)
    lab.write_notebook("leaks.ipynb", [*CELLS[:1]])
    run_notebook(page, lab, "leaks.ipynb")
    for cell in CELLS[1:]:
        page.evaluate(
            """source => {
                const { model } = jupyterapp.shell.currentWidget.content;
                model.sharedModel.insertCell(model.sharedModel.cells.length, { cell_type: "code", source });
            }""",
            cell,
        )
    census = Census(page, read)

    # A hundred, shown and closed.
    explorers, plain, rerun = [1, 2], [3, 4], [5]
    page.evaluate(AGAIN, [2, AT_ONCE, explorers])
    before, memory = census.alive(), census.memory()
    page.evaluate(AGAIN, [TIMES // AT_ONCE, AT_ONCE, explorers])
    after, grown = census.alive(), census.memory().minus(memory)
    left = after.minus(before)

    # And a hundred more: of what the kernel holds, what is in use and what its allocator keeps for later.
    memory, used = census.memory(), read("in_use()")
    page.evaluate(AGAIN, [TIMES // AT_ONCE, AT_ONCE, explorers])
    census.collect()
    further, more_used = census.memory().minus(memory), read("in_use()")

    # As many plain ones, of a size that a tenth tells.
    page.evaluate(AGAIN, [1, AT_ONCE, plain])
    census.collect()
    memory = census.memory()
    page.evaluate(AGAIN, [1, AT_ONCE, plain])
    census.collect()
    control = census.memory().minus(memory)

    # A cell that is run again and again takes the view of the last away, not the explorer: ipywidgets keeps each widget
    # until it is closed.
    page.evaluate(AGAIN, [RERUNS, 1, rerun])
    again = census.alive()
    page.evaluate("() => jupyterapp.commands.execute('notebook:clear-cell-output')")
    expect(page.locator(".igw")).to_have_count(0)
    cleared = census.alive()
    page.evaluate(
        """() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute(
            { code: "forget()" }).done"""
    )
    closed = census.alive()
    page.evaluate("jupyterapp.commands.execute('kernelmenu:shutdown')")

    for name, count in left.items():
        figure(f"{TIMES} explorers shown and closed: {name.replace('_', ' ')} left", count, at_most=0)
    figure(f"{TIMES} explorers shown and closed: the kernel has grown by", grown["kernel"] / MB, " MB", at_most=20)
    figure(f"{TIMES} explorers shown and closed: the browser has grown by", grown["browser"] / MB, " MB", at_most=10)
    figure("a hundred more: the kernel has grown by", further["kernel"] / MB, " MB", at_most=20)
    if isinstance(used, int) and isinstance(more_used, int):
        figure("a hundred more: of that in use, the rest is kept by the allocator", (more_used - used) / MB, " MB")
    figure("a hundred more: the browser has grown by", further["browser"] / MB, " MB", at_most=10)
    plainly = control["browser"] / MB * TIMES / AT_ONCE
    figure(f"{TIMES} plain anywidgets with as long a text, never run: the browser grows by", plainly, " MB")
    figure(f"a cell run {RERUNS} times without close(): views left beside the last", again.views - 1, at_most=0)
    figure(f"a cell run {RERUNS} times without close(): contexts left beside the last", again.contexts - 1, at_most=0)
    figure("its output cleared: views and contexts left", cleared.views + cleared.contexts, at_most=0)
    figure(f"a cell run {RERUNS} times without close(): explorers that ipywidgets keeps", cleared.explorers)
    assert left == dict.fromkeys(left, 0)
    assert (after.explorers, after.threads, after.views, after.contexts) == (0, 0, 0, 0)
    assert (again.views, again.contexts) == (1, 1)
    assert (cleared.views, cleared.contexts) == (0, 0)
    assert (closed.explorers, closed.threads, closed.kernel_widgets, closed.models) == (0, 0, 0, 0)
    assert closed.window_listeners == before.window_listeners
