"""The HTML file that an explorer writes, opened from the disk: it needs no kernel, and asks nothing of any network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, Request, Route, expect

import ig_widgets as igw
from benchmarks._jupyter import Lab, run_notebook
from ig_widgets import figures
from tests.browser.screen import MINUS, Screen
from tests.explorers.contract.test_export import Recording
from tests.explorers.subjects import Classifier, photo

pytestmark = pytest.mark.browser

Open = Callable[[Path], Screen]


@pytest.fixture
def offline(browser: Browser) -> Iterator[Open]:
    """Opens a file in a page that reaches nothing else, and nothing of which may complain."""
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 1000})
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []

    def let(route: Route, request: Request) -> None:
        asked.append(request.url)
        route.continue_()

    page.route("**/*", let)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    opened: list[str] = []

    def open_file(path: Path) -> Screen:
        opened.append(path.as_uri())
        page.goto(path.as_uri())
        screen = Screen(page)
        screen.idle()
        return screen

    yield open_file
    context.close()
    assert said == []
    assert asked == opened


@pytest.fixture
def explorer() -> Iterator[igw.ImageExplorer]:
    model = Classifier(dtype=torch.float32)
    explorer = igw.ImageExplorer(model, photo(height=40, width=56).float(), n_steps=8, method="riemann_left")
    explorer.wait()
    yield explorer
    explorer.close()


def expected(recording: Recording, explorer: igw.ImageExplorer, alpha: float) -> np.ndarray:
    """What is drawn, by the plan of the first answer and in Python."""
    (values, whole) = (
        sum(
            w * np.clip((end - start) / (stop - start), 0, 1) * recording.maps[0][i]
            for i, w, start, stop in recording.answers[0]["plan"]["entries"]
        ).reshape(40, 56)
        for end in (alpha, 1.0)
    )
    table = figures.color_table(explorer.colormap)
    scale = figures.scale_of(whole, explorer.clip)
    return figures.compose(explorer._subject.photo, values, scale, table, explorer.opacity, explorer.sign)


def test_it_draws_what_the_explorer_draws(explorer: igw.ImageExplorer, offline: Open, tmp_path: Path) -> None:
    explorer.to_html(tmp_path / "a.html")
    screen = offline(tmp_path / "a.html")
    expect(screen.status).to_have_text(re.compile("^idle · 8 evaluations · "))
    recording = Recording((tmp_path / "a.html").read_text())
    recording.answers.sort(key=lambda a: (a["settings"]["method"], a["settings"]["n_steps"]) != ("riemann_left", 8))
    for alpha in ("1", "0.35", "0"):
        screen.slider("alpha").fill(alpha)
        expect(screen.overlay).to_have_attribute("aria-label", re.compile(f"alpha {float(alpha):.2f}"))
        # Eight bits move what falls on the border of two of the 256 colours.
        far = np.abs(screen.drawn().astype(int) - expected(recording, explorer, float(alpha)))
        assert np.percentile(far, 99.5) <= 1
        assert far.max() <= 4


def test_rules_that_were_sampled_can_be_chosen(explorer: igw.ImageExplorer, offline: Open, tmp_path: Path) -> None:
    sums = {}
    for method, n in (("secant", 4), ("gausslegendre", 3), ("riemann_left", 4)):
        explorer.method, explorer.n_steps = method, n
        explorer.wait()
        assert explorer.result is not None
        sums[method, n] = float(explorer.result.attributions[0].sum())
    explorer.to_html(tmp_path / "b.html")
    screen = offline(tmp_path / "b.html")
    for (method, n), total in sums.items():
        screen.choice("rule").select_option(method)
        screen.slider("steps").fill(str(n))
        screen.idle(str(n))
        row = screen.root.get_by_role("row", name=re.compile("^sum of attributions"))
        said = re.findall(rf"[+{MINUS}][\d.]+", row.inner_text())[0]
        assert float(said.replace(MINUS, "-")) == pytest.approx(total, rel=2e-3)
        collected = screen.root.locator(".igw-collected").inner_text()
        parts = [float(part.replace(MINUS, "-")) for part in re.findall(rf"{MINUS}?[\d.]+", collected)]
        assert parts[0] == parts[1]
    screen.slider("steps").fill("50")
    screen.says(r"^failed: riemann_left with 50 steps was not sampled; .* Open the notebook to compute it\.")
    screen.slider("steps").fill("4")
    screen.idle("4")


def test_without_scripts_the_picture_is_there(browser: Browser, explorer: igw.ImageExplorer, tmp_path: Path) -> None:
    explorer.to_html(tmp_path / "d.html")
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto((tmp_path / "d.html").as_uri())
    box = page.get_by_role("img").bounding_box()
    assert box is not None
    assert box["width"] > 300
    context.close()


CELLS = [
    """
import ig_widgets as igw
classifier = igw.demo.image_classifier()
explorer = igw.ImageExplorer(
    classifier.model, igw.demo.image("cat"), preprocess=classifier.preprocess, labels=classifier.labels, n_steps=64
)
explorer.wait()
explorer
""",
    "explorer.to_html('cat.html')",
]


def test_beside_the_live_explorer(lab: Lab, page: Page, offline: Open) -> None:
    lab.write_notebook("export.ipynb", CELLS)
    run_notebook(page, lab, "export.ipynb")
    live = Screen(page)
    live.idle("64")
    file = lab.folder / "cat.html"
    assert file.stat().st_size < 4_000_000
    held = offline(file)
    for alpha in ("1", "0.3"):
        for screen in (live, held):
            screen.slider("alpha").fill(alpha)
            expect(screen.overlay).to_have_attribute("aria-label", re.compile(f"alpha {float(alpha):.2f}"))
        # A level of 8 bits is up to 1/127 of a map's largest value, far beyond what most pixels have.
        far = np.abs(live.drawn().astype(int) - held.drawn())
        assert far.mean() < 1
        assert np.percentile(far, 99) <= 4
        assert far.max() <= 16
        assert live.overlay.get_attribute("aria-label") == held.overlay.get_attribute("aria-label")
    page.evaluate("jupyterapp.commands.execute('kernelmenu:shutdown')")
