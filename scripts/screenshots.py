"""Take the README's pictures of the explorer in a real JupyterLab, light and dark, into docs/.

python scripts/screenshots.py
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks._jupyter import chromium, jupyterlab, run_notebook  # noqa: E402

CELL = """
import ig_widgets as igw

demo = igw.demo.image_classifier()
explorer = igw.ImageExplorer(
    demo.model, igw.demo.image("cat"), preprocess=demo.preprocess, labels=demo.labels, baseline="blur"
)
rules = [("gausslegendre", 16), ("secant", 16), ("secant", 32), ("riemann_middle", 64)]
for explorer.method, explorer.n_steps in rules:
    explorer.wait()
explorer.method = "auto"
explorer.wait()
explorer.method = "riemann_middle"
panes = {"baseline": "noise"}, {"method": "smoothgrad", "n_steps": 48}, {"method": "blur_integrated_gradients"}
explorer.compare(*panes)
explorer.show_dependence = True
explorer.region = (52, 38, 132, 104)
explorer.wait()
explorer
"""
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
MARGIN = 8


def main() -> None:
    (ROOT / "docs").mkdir(exist_ok=True)
    with jupyterlab() as lab, chromium() as browser:
        lab.write_notebook("explorer.ipynb", [CELL])
        # So high that nothing has to be scrolled into sight.
        page = browser.new_page(viewport={"width": 1400, "height": 4400})
        run_notebook(page, lab, "explorer.ipynb")
        explorer = page.locator(".igw")
        explorer.get_by_role("status").filter(has_text="idle").wait_for()
        explorer.get_by_role("slider", name="alpha", exact=True).fill("0.3")
        explorer.locator(".igw-gallery > summary").click()
        explorer.locator(".igw-card").last.wait_for()
        explorer.locator(".igw-pane").last.get_by_text("%").wait_for()
        explorer.locator(".igw-sentence", has_text="depends on the baseline").wait_for(timeout=120_000)
        explorer.locator(".igw-aid td", has_text="…").first.wait_for(state="detached")
        page.evaluate("document.activeElement.blur()")
        for name, theme in THEMES.items():
            page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
            page.wait_for_function("name => document.body.dataset.jpThemeLight === String(name === 'light')", arg=name)
            page.wait_for_load_state("networkidle")
            take(page, f"explorer-{name}", explorer, explorer.locator(".igw-body"))
            take(page, f"compare-{name}", explorer.locator(":scope > .igw-panes"))
            take(page, f"reading-{name}", explorer.locator(".igw-look"), explorer.locator(".igw-aids"))
            take(page, f"dependence-{name}", explorer.locator(".igw-dependence"))
            take(page, f"gallery-{name}", explorer.locator(".igw-gallery"))


def take(page: Page, name: str, first: Locator, last: Locator | None = None) -> None:
    """From the top of the first part to the bottom of the last one, as a PNG of 256 colours."""
    top, bottom = first.bounding_box(), (last or first).bounding_box()
    assert top is not None
    assert bottom is not None
    clip = {
        "x": top["x"] - MARGIN,
        "y": top["y"] - MARGIN,
        "width": top["width"] + 2 * MARGIN,
        "height": bottom["y"] + bottom["height"] - top["y"] + 2 * MARGIN,
    }
    picture = Image.open(io.BytesIO(page.screenshot(clip=clip, animations="disabled"))).convert("RGB")
    palette = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=3)
    small = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    small.save(ROOT / "docs" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
