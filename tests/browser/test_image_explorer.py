"""The main job in a real JupyterLab: what a person does with mouse and keys arrives, and what is asked for is drawn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks._jupyter import Lab, run_notebook
from tests.browser.screen import MINUS, SECONDS, Screen

pytestmark = pytest.mark.browser

Read = Callable[[str], object]

CELL = """
import ig_widgets as igw

classifier = igw.demo.image_classifier()
explorer = igw.ImageExplorer(
    classifier.model, igw.demo.image("cat"), preprocess=classifier.preprocess, labels=classifier.labels, n_steps=8
)
explorer
"""


@pytest.fixture
def screen(lab: Lab, page: Page) -> Iterator[Screen]:
    lab.write_notebook("explorer.ipynb", [CELL, "explorer"])
    run_notebook(page, lab, "explorer.ipynb")
    screen = Screen(page)
    screen.idle()
    yield screen
    page.evaluate("jupyterapp.commands.execute('kernelmenu:shutdown')")


def test_the_main_job(screen: Screen, page: Page, read: Read, tmp_path: Path) -> None:
    # The first picture: drawn, by WebGL2, and it says what it is.
    expect(screen.status).to_contain_text("webgl2")
    expect(screen.overlay).to_have_attribute(
        "aria-label", re.compile(rf"Egyptian cat, logit 10\.\d+, alpha 1\.00, delta [+{MINUS}]\d")
    )
    whole = screen.pixels()
    assert whole.std() > 20

    # Alpha, dragged by mouse on its slider: redrawn, and read in the kernel.
    box = screen.slider("alpha").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 8, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2, steps=20)
    page.mouse.up()
    shown = float(screen.slider("alpha").input_value())
    assert 0.25 < shown < 0.35
    expect(screen.overlay).to_have_attribute("aria-label", re.compile(f"alpha {shown:.2f}"))
    assert read("explorer.alpha") == pytest.approx(shown)
    part = screen.pixels()
    assert np.abs(part - whole).mean() > 0.2

    # By keys as well, at either end.
    screen.slider("alpha").press("Home")
    expect(screen.overlay).to_have_attribute("aria-label", re.compile("alpha 0\\.00"))
    screen.slider("alpha").press("End")
    assert read("explorer.alpha") == 1

    # Drawing alone, no model call: the number of requests stays.
    requests = read("explorer._pane_list[0].request")
    screen.slider("opacity").fill("0.4")
    screen.slider("clip").fill("90")
    screen.choice("sign").select_option("positive")
    screen.choice("colormap").select_option("PuOr_r")
    assert read("explorer.opacity, explorer.clip, explorer.sign, explorer.colormap") == (0.4, 90, "positive", "PuOr_r")
    assert read("explorer._pane_list[0].request") == requests

    # Another baseline: computed, drawn, read.
    screen.choice("baseline").select_option("blur")
    screen.says("^computing")
    screen.idle("8")
    assert read("explorer.baseline") == "blur"
    delta = read("float(explorer.result.convergence_delta)")
    assert isinstance(delta, float)
    label = screen.overlay.get_attribute("aria-label") or ""
    said = float(re.findall(rf"delta ([+{MINUS}][\d.e{MINUS}]+)", label)[0].replace(MINUS, "-"))
    assert said == pytest.approx(delta, rel=0.06)

    # Many steps, and Cancel: what was sampled stays drawn.
    screen.slider("steps").fill("256")
    screen.says(r"^computing \d+ of 256")
    expect(screen.cancel).to_be_enabled()
    screen.cancel.click()
    screen.says("^cancelled")
    assert read("explorer.n_steps") == 256
    assert screen.pixels().std() > 20
    assert 0 < int(str(read("explorer.result.evaluations"))) < 256

    # The next wish is answered.
    screen.slider("steps").fill("4")
    screen.idle(r"\d+")
    assert read("explorer.result.evaluations") == 4

    # Set from Python, moved on the screen.
    read("[setattr(explorer, 'alpha', 0.5), setattr(explorer, 'target', 'tabby'), explorer.wait()]")
    expect(screen.slider("alpha")).to_have_value("0.5")
    expect(screen.overlay).to_have_attribute("aria-label", re.compile("tabby"), timeout=60 * SECONDS)
    expect(screen.choice("target")).to_have_value("281")

    page.screenshot(path=tmp_path / "explorer.png")


def test_a_second_view_and_a_reloaded_page(screen: Screen, page: Page, read: Read, lab: Lab) -> None:
    # Both cells show the explorer; they agree, and closing one leaves the other alive.
    views = page.locator(".igw")
    expect(views).to_have_count(2)
    views.nth(1).get_by_role("slider", name="alpha", exact=True).fill("0.25")
    expect(screen.slider("alpha")).to_have_value("0.25")
    page.evaluate(
        """() => {
            const { content } = jupyterapp.shell.currentWidget;
            content.activeCellIndex = 1;
            return jupyterapp.commands.execute("notebook:delete-cell");
        }"""
    )
    expect(views).to_have_count(1)
    screen.slider("alpha").fill("0.75")
    expect(screen.overlay).to_have_attribute("aria-label", re.compile("alpha 0\\.75"))
    assert read("explorer.alpha") == 0.75


def test_a_failing_model_is_answered_in_words(screen: Screen, read: Read) -> None:
    # The last good picture stays, and so does the explorer.
    before = screen.drawn()
    read("classifier.model.register_forward_pre_hook(lambda *_: 1 / 0) and None")
    screen.choice("baseline").select_option("white")
    screen.says("^failed: .*ZeroDivisionError")
    assert (screen.drawn() == before).all()
    read("classifier.model._forward_pre_hooks.clear()")
    screen.choice("baseline").select_option("noise")
    screen.idle("8")
    assert read("explorer.baseline") == "noise"
    assert (screen.drawn() != before).any()


def test_without_webgl2_the_picture_is_drawn_on_a_canvas(lab: Lab, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1500, "height": 1100})
    page.add_init_script(
        """const get = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
            return kind === "webgl2" ? null : get.call(this, kind, ...rest);
        };"""
    )
    lab.write_notebook("canvas.ipynb", [CELL])
    run_notebook(page, lab, "canvas.ipynb")
    screen = Screen(page)
    screen.idle()
    expect(screen.status).to_contain_text("canvas")
    assert screen.pixels().std() > 20
    page.evaluate("jupyterapp.commands.execute('kernelmenu:shutdown')")
    page.close()
