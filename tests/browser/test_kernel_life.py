"""Kernels interrupted, restarted and killed, old ones and new ones; pages loaded anew; outputs deleted."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient
from playwright.sync_api import Page, expect

from benchmarks._jupyter import Lab, run_notebook
from tests.browser.screen import SECONDS, Screen
from tests.browser.test_instrument import until

pytestmark = [pytest.mark.browser, pytest.mark.robustness]

Read = Callable[[str], Any]
Tell = Callable[..., None]

SETUP = """
import os, threading, time, torch
import ig_widgets as igw

class Slow(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 5), torch.nn.Tanh(), torch.nn.AdaptiveAvgPool2d(3), torch.nn.Flatten(),
            torch.nn.Linear(36, 5),
        )
        self.seconds, self.rows, self.begun = 0.0, 0, threading.Event()

    def forward(self, x):
        if x.requires_grad:
            self.rows += len(x)
            if self.seconds:
                self.begun.set()
            time.sleep(self.seconds * len(x))
        return self.net(x)

model = Slow().eval()
explorer = igw.ImageExplorer(model, torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0)), n_steps=8)
explorer.wait()
"""
# 256 of them take as long as a test that hangs.
SLOW = "[setattr(model, 'seconds', 0.1), setattr(explorer, 'baseline', 'white'), setattr(explorer, 'n_steps', 256)]"


@pytest.fixture
def open_lab(lab: Lab, page: Page) -> Iterator[Callable[..., Screen]]:
    """Runs a notebook with an explorer, shown by its second cell."""

    def start(name: str, *cells: str, kernel: str = "python3") -> Screen:
        lab.write_notebook(name, [SETUP, "explorer", *cells], kernel=kernel)
        run_notebook(page, lab, name)
        screen = Screen(page)
        screen.idle("8")
        return screen

    yield start
    page.evaluate("jupyterapp.commands.execute('kernelmenu:shutdown')")


def alpha_is_dragged(screen: Screen) -> None:
    """What is drawn can be explored, without a kernel."""
    before = screen.drawn()
    screen.slider("alpha").fill("0.3")
    expect(screen.overlay).to_have_attribute("aria-label", re.compile("alpha 0\\.30"))
    assert (screen.drawn() != before).any()
    screen.slider("alpha").fill("1")
    expect(screen.overlay).to_have_attribute("aria-label", re.compile("alpha 1\\.00"))
    assert (screen.drawn() == before).all()


@pytest.mark.parametrize("how", ["killed", "restarted"])
def test_a_kernel_that_ends_in_mid_run(
    how: str, open_lab: Callable[..., Screen], lab: Lab, page: Page, read: Read, figure: Tell, tmp_path: Path
) -> None:
    screen = open_lab(f"{how}.ipynb")
    pid = int(read("os.getpid()"))
    read(SLOW)
    screen.says(r"^computing [1-9]\d* of")
    begin = time.monotonic()
    if how == "killed":
        os.kill(pid, signal.SIGKILL)
    else:
        page.evaluate("() => { jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart(); }")
    screen.says("^(waiting · no answer|disconnected)")
    figure(f"kernel {how} in mid-run: until the front end says so", time.monotonic() - begin, " s", at_most=2)
    screen.says("^disconnected: the kernel was restarted or has died")
    if how == "killed":
        # JupyterLab's own word on it.
        page.get_by_role("dialog").get_by_role("button").first.click()
    alpha_is_dragged(screen)
    # What needs a kernel is not answered, and breaks nothing.
    screen.choice("baseline").select_option("blur")
    screen.root.get_by_text("Baselines: what is absence here?").click()
    screen.says("^disconnected")
    page.screenshot(path=tmp_path / f"{how}.png")
    # In the kernel that took its place the same cells work.
    page.wait_for_function("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'")
    assert page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    expect(page.locator(".igw")).to_have_count(1)
    screen.idle("8")
    alpha_is_dragged(screen)


def test_a_notebook_opened_again_shows_the_picture(
    open_lab: Callable[..., Screen], lab: Lab, page: Page, figure: Tell, tmp_path: Path
) -> None:
    screen = open_lab("again.ipynb")
    picture = page.locator(".jp-RenderedImage img")
    # Beside the live widget it is not shown.
    expect(picture).to_have_count(1)
    expect(picture).to_be_hidden()
    expect(screen.overlay).to_be_visible()
    page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")
    page.evaluate("jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    other = page.context.browser.new_page()  # type: ignore[union-attr]
    other.goto(lab.address("again.ipynb"))
    picture = other.locator(".jp-RenderedImage img")
    expect(picture).to_be_visible(timeout=60 * SECONDS)
    boxes = [one.bounding_box() for one in picture.all() if one.is_visible()]
    other.screenshot(path=tmp_path / "again.png")
    other.close()
    shown = sum(box is not None and min(box["width"], box["height"]) > 100 for box in boxes)
    figure("pictures shown by a notebook with one explorer that is opened again", shown)
    assert shown == len(boxes) == 1


def test_an_interrupt_stops_what_a_cell_waits_for(
    open_lab: Callable[..., Screen], page: Page, read: Read, figure: Tell
) -> None:
    screen = open_lab("interrupt.ipynb")
    read(SLOW)
    screen.says(r"^computing [1-9]\d* of")
    page.evaluate(
        """() => {
            const { content } = jupyterapp.shell.currentWidget;
            jupyterapp.commands.execute("notebook:insert-cell-below").then(() => {
                content.activeCell.model.sharedModel.setSource("explorer.wait()");
                jupyterapp.commands.execute("notebook:run-cell");
            });
        }"""
    )
    page.wait_for_function("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'busy'")
    begin = time.monotonic()
    page.evaluate("jupyterapp.commands.execute('notebook:interrupt-kernel')")
    screen.says("^cancelled")
    figure("kernel interrupted in mid-run: until the front end says so", time.monotonic() - begin, " s", at_most=2)
    alpha_is_dragged(screen)
    read("[setattr(model, 'seconds', 0), setattr(explorer, 'n_steps', 4), explorer.wait()]")
    screen.idle()
    assert read("explorer.result.complete") is True


def test_a_page_loaded_anew_in_mid_run(open_lab: Callable[..., Screen], page: Page, read: Read, figure: Tell) -> None:
    screen = open_lab("reload.ipynb")
    # It must not come to its end while a page is loaded three times, however busy the machine is.
    read(SLOW.replace("0.1", "0.4"))
    screen.says(r"^computing [1-9]\d* of")
    page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")
    for _ in range(3):
        page.reload()
        screen.says(r"^computing [1-9]\d* of", seconds=120)
    read("setattr(model, 'seconds', 0)")
    screen.idle("256")
    alpha_is_dragged(screen)
    assert read("explorer.result.complete") is True
    # Pages that are gone are remembered by a name each, of which there are never many.
    known = int(read("len(explorer._pane_list[0].stream._views)"))
    figure("front ends that the kernel knows after three reloads", known)
    assert known <= 16
    assert read("threading.active_count() < 20") is True


def test_with_its_output_the_work_ends(open_lab: Callable[..., Screen], page: Page, read: Read, figure: Tell) -> None:
    screen = open_lab("deleted.ipynb", "explorer")
    expect(page.locator(".igw")).to_have_count(2)
    delete = """number => {
        jupyterapp.shell.currentWidget.content.activeCellIndex = number;
        return jupyterapp.commands.execute("notebook:delete-cell");
    }"""
    # One of two: the other is served.
    page.evaluate(delete, 2)
    expect(page.locator(".igw")).to_have_count(1)
    read(SLOW)
    screen.says(r"^computing [1-9]\d* of")
    page.evaluate(delete, 1)
    expect(page.locator(".igw")).to_have_count(0)
    rows = int(read("model.rows"))
    assert read("explorer._pane_list[0].wait(60)") is True
    more = int(read("model.rows")) - rows
    figure("rows that the model was given after its only output was gone from the page", more)
    assert rows + more < 256
    assert read("explorer.result.complete") is False
    # Shown again, it goes on.
    read("setattr(model, 'seconds', 0)")
    page.evaluate(
        """async () => {
            await jupyterapp.commands.execute("notebook:insert-cell-below");
            const { content } = jupyterapp.shell.currentWidget;
            content.activeCell.model.sharedModel.setSource("explorer");
            await jupyterapp.commands.execute("notebook:run-cell");
        }"""
    )
    screen.idle()
    assert read("explorer.result.complete") is True


# ---------------------------------------------------------------- ipykernel 6 and 7

OLD = Path(sys.prefix) / "ipykernel6"
SUBSHELLS = "@jupyterlab/apputils-extension:kernels-settings"


@pytest.fixture
def comms(lab: Lab, page: Page, request: pytest.FixtureRequest) -> Iterator[tuple[str, bool]]:
    """A kernel's name, and whether its comms are heard beside the cells."""
    name = str(request.param)
    if name == "ipykernel 6":
        if not OLD.exists():
            pytest.skip("ipykernel 6 is not there; `make ipykernel6` puts it into the environment")
        folder = lab.log.parent / "JUPYTER_DATA_DIR" / "kernels" / "old"
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        path = os.pathsep.join(filter(None, [str(OLD), os.environ.get("PYTHONPATH")]))
        spec = {"argv": command, "display_name": "old", "language": "python", "env": {"PYTHONPATH": path}}
        (folder / "kernel.json").write_text(json.dumps(spec))
    setting = lab.log.parent / "JUPYTERLAB_SETTINGS_DIR" / "@jupyterlab" / "apputils-extension"
    setting = setting / "kernels-settings.jupyterlab-settings"
    beside = name == "ipykernel 7, subshell"
    if not beside:
        setting.write_text(json.dumps({"commsOverSubshells": "disabled"}))
    yield ("old" if name == "ipykernel 6" else "python3"), beside
    setting.unlink(missing_ok=True)


@pytest.mark.parametrize("comms", ["ipykernel 7, subshell", "ipykernel 6", "ipykernel 7, main thread"], indirect=True)
def test_each_kind_of_kernel(
    comms: tuple[str, bool], open_lab: Callable[..., Screen], lab: Lab, read: Read, figure: Tell
) -> None:
    kernel, beside = comms
    screen = open_lab("comms.ipynb", kernel=kernel)
    assert read("__import__('ipykernel').version_info[0]") == (6 if kernel == "old" else 7)
    on_main = "threading.current_thread() is threading.main_thread()"
    read(f"[heard := [], explorer.observe(lambda c: heard.append({on_main}), 'alpha')]")
    if beside:
        # JupyterLab asks for a subshell after the widget has come, and speaks to the main thread until it has one.
        values = itertools.cycle(("0.5", "0.6"))

        def is_beside() -> bool:
            screen.slider("alpha").fill(next(values))
            return read("heard[-1:]") == [False]

        until(is_beside)
        screen.slider("alpha").fill("1")
        until(lambda: read("explorer.alpha") == 1)
        read("heard.clear()")
    # A cell that is busy until alpha has come, or for two seconds.
    files = (lab.log.parent / "JUPYTER_RUNTIME_DIR").glob("kernel-*.json")
    client = BlockingKernelClient(connection_file=str(max(files, key=lambda file: file.stat().st_mtime)))
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    client.execute(
        "end = time.monotonic() + 2\n"
        "while explorer.alpha == 1 and time.monotonic() < end:\n    time.sleep(0.01)\n"
        "in_time = explorer.alpha != 1"
    )
    screen.slider("alpha").fill("0.3")
    assert read("in_time, explorer.alpha, heard") == (beside, 0.3, [not beside])
    client.stop_channels()
    # All that a person may ask is answered, and drawn.
    answered = int(read("explorer.alpha == 0.3"))
    for name, value in (("baseline", "white"), ("baseline", "blur"), ("output", "probability"), ("n_steps", 16)):
        if name == "n_steps":
            screen.slider("steps").fill(str(value))
        else:
            screen.choice(name).select_option(str(value))
        so = f"explorer._pane_list[0].answered.{name}, explorer.result.complete"
        until(lambda so=so, value=value: read(so) == (value, True))
        screen.idle()
        answered += 1
    figure(
        f"wishes answered, of 5: {'ipykernel 6' if kernel == 'old' else 'ipykernel 7'}, "
        f"comms on {'a subshell' if beside else 'the main thread'}",
        answered,
    )
    assert answered == 5
