"""Takes the README's pictures of the explorer in a real JupyterLab, light and dark, into docs/.

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
        page = browser.new_page(viewport={"width": 1400, "height": 1400})
        run_notebook(page, lab, "explorer.ipynb")
        explorer = page.locator(".igw")
        explorer.get_by_role("status").filter(has_text="idle").wait_for()
        explorer.get_by_role("slider", name="alpha", exact=True).fill("0.3")
        explorer.get_by_role("button", name="pictures and numbers").click()
        explorer.locator(".igw-card img").last.wait_for()
        explorer.locator(".igw-pane").last.get_by_text("%").wait_for()
        explorer.locator(".igw-sentence", has_text="depends on the baseline").wait_for(timeout=120_000)
        for name, theme in THEMES.items():
            page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
            page.wait_for_function("name => document.body.dataset.jpThemeLight === String(name === 'light')", arg=name)
            page.wait_for_load_state("networkidle")
            take(page, f"dependence-{name}", open_tab(explorer, "dependence"))
            take(page, f"gallery-{name}", explorer.locator(".igw-baselines"))
            regions = open_tab(explorer, "regions")
            regions.locator("td", has_text="…").first.wait_for(state="detached")
            take(page, f"reading-{name}", regions)
            open_tab(explorer, "path")
            page.evaluate("document.activeElement.blur()")
            take(page, f"compare-{name}", explorer.locator(".igw-stage"))
            take(page, f"explorer-{name}", explorer)


def open_tab(explorer: Locator, name: str) -> Locator:
    """Returns what stands in it."""
    explorer.get_by_role("tab", name=name, exact=True).click()
    return explorer.get_by_role("tabpanel", name=name, exact=True)


def take(page: Page, name: str, part: Locator) -> None:
    """Saves a part of the page as a PNG of 256 colours."""
    box = part.bounding_box()
    assert box is not None
    clip = {
        "x": box["x"] - MARGIN,
        "y": box["y"] - MARGIN,
        "width": box["width"] + 2 * MARGIN,
        "height": box["height"] + 2 * MARGIN,
    }
    # Without animations, so that two runs give the same picture.
    picture = Image.open(io.BytesIO(page.screenshot(clip=clip, animations="disabled"))).convert("RGB")
    palette = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=3)
    small = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    small.save(ROOT / "docs" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
