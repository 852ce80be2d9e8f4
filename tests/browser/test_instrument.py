"""A region, a second pane, the gallery, a photo, a file, a tolerance: as a person uses them in a real JupyterLab."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from benchmarks._jupyter import Lab, run_notebook
from tests.browser.cells import SMALL
from tests.browser.screen import MINUS, SECONDS, Screen

pytestmark = pytest.mark.browser

Read = Callable[[str], object]

CELL = f"""{SMALL}
with torch.no_grad():
    model[-1].weight *= 20
explorer = igw.ImageExplorer(model, picture, n_steps=8)
explorer
"""
AUDIT = """(lambda audit: [
    float(audit.attribution_sum), float(audit.share),
    float(audit.output_without_region), float(audit.output_with_region_only),
])(explorer.audit())""".replace("\n", " ")


def number(text: str) -> float:
    """The first number of what a cell of a table says, in which a share is a percentage."""
    value = float(re.findall(r"[+-]?[\d.]+(?:e[+-]?\d+)?", text.replace(MINUS, "-"))[0])
    return value / 100 if "%" in text else value


def until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)


def canvas(overlay: Locator) -> str:
    """What it shows, as text."""
    return str(overlay.locator("canvas").first.evaluate("canvas => canvas.toDataURL()"))


def test_the_instrument(lab: Lab, page: Page, read: Read) -> None:
    lab.write_notebook("instrument.ipynb", [CELL])
    run_notebook(page, lab, "instrument.ipynb")
    screen = Screen(page)
    screen.idle("8")
    root = screen.root

    def audited() -> list[float]:
        cells = root.get_by_role("button", name="select region 1").locator("xpath=ancestor::tr").locator("td")
        expect(cells.nth(3)).not_to_have_text("…", timeout=60 * SECONDS)
        return [number(cells.nth(i).inner_text()) for i in range(1, 5)]

    # A rectangle, drawn by mouse: the model is asked, and the table says what the kernel says.
    root.get_by_role("button", name="rectangle", exact=True).click()
    box = screen.overlay.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.6, steps=10)
    page.mouse.up()
    shown = audited()
    left, top, right, bottom = read("[int(v) for v in explorer.region]")  # type: ignore[misc]
    assert (abs(left - 16) <= 1, abs(top - 12) <= 1, abs(right - 45) <= 1, abs(bottom - 29) <= 1) == (True,) * 4
    assert shown == pytest.approx(read(AUDIT), rel=0.01, abs=0.002)

    # A second pane: computed, drawn, and compared with the first.
    root.get_by_text("Compare: the same input").click()
    root.get_by_role("button", name="add a pane").click()
    overlays = root.get_by_role("img", name=re.compile("^attribution overlay"))
    expect(overlays).to_have_count(2)
    expect(overlays.nth(1)).to_have_attribute("aria-label", re.compile("alpha 1"), timeout=60 * SECONDS)
    assert read("explorer._panes") == [{}, {"baseline": "white"}]
    assert read("[result is not None and result.complete for result in explorer.results]") == [True, True]
    difference = root.get_by_role("img", name=re.compile("^difference of the first two panes"))
    expect(difference).to_be_visible()
    assert "its norm 0.0%" not in str(difference.get_attribute("aria-label"))

    # The gallery: the model is asked, a card is clicked, and picture and kernel follow.
    before = canvas(overlays.first)
    root.get_by_text("Baselines: what is absence here?").click()
    white = root.get_by_role("button", name="baseline white", exact=True)
    white.click(timeout=60 * SECONDS)
    expect(white).to_have_attribute("aria-pressed", "true")
    until(lambda: canvas(overlays.first) != before)
    screen.idle("8")
    assert read("explorer.baseline") == "white"
    # Both panes ask the same now.
    expect(difference).to_have_attribute("aria-label", re.compile("its norm 0\\.0%"), timeout=60 * SECONDS)
    until(lambda: audited() == pytest.approx(read(AUDIT), rel=0.01, abs=0.002))

    # The same with several baselines: what is said is what the kernel says, of each target anew.
    heading = root.get_by_text("How much does this depend on the baseline?")
    heading.click()
    said = root.get_by_text("of this map depends on the baseline")
    expect(said).to_be_visible(timeout=60 * SECONDS)
    expect(root.get_by_role("img", name="mean of the attribution over 7 baselines")).to_be_visible()
    expect(root.get_by_role("img", name="standard deviation of the attribution over 7 baselines")).to_be_visible()
    assert number(said.inner_text()) == pytest.approx(read("min(explorer.dependence().dependence, 1)"), abs=0.006)
    heading.click()
    until(lambda: read("explorer.show_dependence, explorer._dependence") == (False, {}))
    expect(said).to_be_hidden()

    # A file that is no picture is answered in a sentence; one that is becomes the baseline.
    field = root.get_by_label("photo for a baseline")
    field.set_input_files({"name": "cat.txt", "mimeType": "text/plain", "buffer": b"no picture at all"})
    expect(root.get_by_role("alert")).to_contain_text("cat.txt is no picture that can be read", timeout=60 * SECONDS)
    assert read("explorer.baseline") == "white"
    root.get_by_role("button", name="close the notice").click()
    expect(root.get_by_role("alert")).to_be_hidden()
    png = io.BytesIO()
    Image.new("RGB", (80, 60), (200, 30, 90)).save(png, "PNG")
    before = canvas(overlays.first)
    files = page.evaluate_handle(
        """bytes => {
            const files = new DataTransfer();
            files.items.add(new File([new Uint8Array(bytes)], "red (1).png"));
            return files;
        }""",
        list(png.getvalue()),
    )
    root.get_by_role("group", name="baseline gallery").dispatch_event("drop", {"dataTransfer": files})
    until(lambda: canvas(overlays.first) != before)
    screen.idle("8")
    name = read("explorer.baseline")
    assert str(name).startswith("red")
    expect(screen.choice("baseline")).to_have_value(str(name))
    expect(root.get_by_role("button", name=f"baseline {name}", exact=True)).to_have_attribute(
        "aria-pressed", "true", timeout=60 * SECONDS
    )

    # A file of numbers, downloaded, is what the kernel has.
    with page.expect_download() as download:
        root.get_by_role("button", name="NPZ", exact=True).click()
    assert download.value.suggested_filename == "attribution.npz"
    with np.load(download.value.path()) as arrays:
        saved = float(arrays["attributions"].sum())
        shape = arrays["photo"].shape
    assert shape == (48, 64, 3)
    assert saved == pytest.approx(read("float(explorer.result.attributions.sum())"), rel=1e-5)

    # To a tolerance.
    root.get_by_role("button", name="refine until 5%").click()
    expect(screen.choice("rule")).to_have_value("auto")
    until(
        lambda: (
            read("explorer.method, explorer.result.complete, explorer._pane_list[0].answered.method")
            == ("auto", True, "auto")
        )
    )
    screen.idle()
    expect(root.get_by_role("button", name="refine until 5%")).to_be_disabled()
    error = read("float(explorer.result.error_estimate[0])")
    assert isinstance(error, float)
    assert error <= 0.05

    # What was added can be taken away, and the kernel knows.
    root.get_by_role("button", name="remove pane 2").click()
    expect(overlays).to_have_count(1)
    until(lambda: read("len(explorer.results)") == 1)
    page.evaluate("jupyterapp.commands.execute('kernelmenu:shutdown')")
