"""The same checks in each host: an explorer with two views, and a kernel that answers both ways."""

from __future__ import annotations

import importlib.util
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import nbclient
import nbconvert
import nbformat
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from benchmarks._jupyter import Lab, run_notebook
from tests.browser.cells import SMALL
from tests.browser.marimo_host import marimo
from tests.browser.screen import Screen

pytestmark = pytest.mark.browser

# Python answers each alpha with an opacity: what is seen of that has gone to the kernel and back.
SETUP = f"""{SMALL}
explorer = igw.ImageExplorer(model, picture, n_steps=8)
explorer.observe(lambda change: explorer.set_trait("opacity", change.new), "alpha")
"""

APP = f"""
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
{textwrap.indent(SETUP, "    ")}
    second = mo.ui.switch(value=True, label="second view")
    return explorer, mo, second


@app.cell
def _(explorer):
    explorer
    return


@app.cell
def _(second):
    second
    return


@app.cell
def _(explorer, mo, second):
    explorer if second.value else mo.md("closed")
    return
"""


@dataclass(frozen=True)
class Host:
    """Two views of one explorer on a page, and how a person closes the second of them."""

    page: Page
    close_second: Callable[[], object]


@pytest.fixture(params=["JupyterLab 4", "Notebook 7", "marimo"])
def host(request: pytest.FixtureRequest, page: Page) -> Iterator[Host]:
    if request.param == "marimo":
        if importlib.util.find_spec("marimo") is None:
            pytest.skip("marimo is not installed; it is in the extra `test`")
        with marimo(APP) as address:
            page.goto(address)
            yield Host(page, lambda: page.get_by_role("switch", name="second view").click())
            page.goto("about:blank")  # or it would complain that the server is gone
        return
    lab: Lab = request.getfixturevalue("lab")
    lab.write_notebook("host.ipynb", [SETUP + "explorer", "explorer"])
    run_notebook(page, lab, "host.ipynb", app="lab" if request.param == "JupyterLab 4" else "notebook")
    delete = """() => {
        jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
        return jupyterapp.commands.execute("notebook:delete-cell");
    }"""
    yield Host(page, lambda: page.evaluate(delete))
    page.evaluate("jupyterapp.shell.currentWidget.sessionContext.shutdown()")


def test_two_views_agree_with_each_other_and_with_python(host: Host) -> None:
    views = host.page.locator(".igw")
    expect(views).to_have_count(2, timeout=90_000)
    first, second = Screen(host.page, 0), Screen(host.page, 1)
    for screen in (first, second):
        screen.idle("8")
        expect(screen.status).to_contain_text("webgl2")
        expect(screen.overlay).to_have_attribute("aria-label", re.compile(r"alpha 1\.00"))

    def expect_one_picture() -> np.ndarray:
        drawn = first.drawn()
        assert drawn.shape == (48, 64, 3)
        assert drawn.std() > 20
        assert np.abs(drawn.astype(int) - second.drawn()).max() <= 1
        return drawn

    before = expect_one_picture()

    # Dragged in one view, seen in both, and in Python, whose answer is seen in both.
    first.slider("alpha").fill("0.6")
    for screen in (first, second):
        expect(screen.overlay).to_have_attribute("aria-label", re.compile(r"alpha 0\.60"))
        expect(screen.slider("alpha")).to_have_value("0.6")
        expect(screen.slider("opacity")).to_have_value("0.6")
    assert (expect_one_picture() != before).any()

    # Asked in the other view: computed, and sent to both.
    second.choice("baseline").select_option("white")
    for screen in (first, second):
        expect(screen.choice("baseline")).to_have_value("white")
        screen.idle("8")
        expect(screen.root).not_to_have_attribute("data-stale", "")
    after = expect_one_picture()
    assert (after != before).any()

    # One is closed, the other lives on.
    host.close_second()
    expect(views).to_have_count(1)
    first.slider("alpha").fill("0.25")
    expect(first.overlay).to_have_attribute("aria-label", re.compile(r"alpha 0\.25"))
    expect(first.slider("opacity")).to_have_value("0.25")
    first.choice("baseline").select_option("blur")
    first.idle("8")
    assert (first.drawn() != after).any()


def test_nbconvert_shows_the_picture(page: Page) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SETUP + "explorer.wait()\nexplorer")])
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120, store_widget_state=False).execute()
    widget, picture = [o for o in notebook.cells[0].outputs if o.output_type in ("execute_result", "display_data")]
    assert widget.data["text/plain"].startswith("ImageExplorer(")
    assert picture.data.keys() == {"image/png"}
    html, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    page.route("**/*", lambda route: route.abort())  # nbconvert's template would fetch fonts and scripts
    images = re.findall(r"<img[^>]*data:image/png;base64[^>]*>", html)
    assert len(images) == 1
    page.set_content(images[0])
    box = page.locator("img").bounding_box()
    assert box is not None
    assert box["width"] > 300
