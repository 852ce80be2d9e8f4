"""Take the README's pictures of the explorer in a real JupyterLab, light and dark, into docs/.

python scripts/screenshots.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks._jupyter import chromium, jupyterlab, run_notebook  # noqa: E402

CELL = """
import ig_widgets as igw

demo = igw.demo.image_classifier()
igw.ImageExplorer(demo.model, igw.demo.image("cat"), preprocess=demo.preprocess, labels=demo.labels, baseline="blur")
"""
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


def main() -> None:
    (ROOT / "docs").mkdir(exist_ok=True)
    with jupyterlab() as lab, chromium() as browser:
        lab.write_notebook("explorer.ipynb", [CELL])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        run_notebook(page, lab, "explorer.ipynb")
        explorer = page.locator(".igw")
        explorer.get_by_role("status").filter(has_text="64 evaluations").wait_for()
        explorer.get_by_role("slider", name="alpha", exact=True).fill("0.3")
        page.evaluate("document.activeElement.blur()")
        for name, theme in THEMES.items():
            page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
            page.wait_for_function("name => document.body.dataset.jpThemeLight === String(name === 'light')", arg=name)
            page.wait_for_load_state("networkidle")
            explorer.screenshot(path=ROOT / "docs" / f"explorer-{name}.png", animations="disabled")


if __name__ == "__main__":
    main()
