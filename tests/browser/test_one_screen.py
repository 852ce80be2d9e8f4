"""An explorer on one screen: at most 720 pixels tall, whatever is open, and nothing of it jumps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks._jupyter import Lab, run_notebook
from tests.browser.screen import SECONDS, Screen

pytestmark = pytest.mark.browser

TALLEST = 720
CELLS = (
    """
import torch
import ig_widgets as igw
from sklearn.datasets import load_diabetes, load_digits
from torch import nn

digit = torch.tensor(load_digits().images[5] / 16, dtype=torch.float32)[None, None]
digit = nn.functional.interpolate(digit, size=28)[0]
torch.manual_seed(0)
network = nn.Sequential(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 144, 10)).eval()
digits = igw.explore(network, digit, labels=[str(i) for i in range(10)], method="auto")
digits
""",
    """
classifier = igw.demo.image_classifier()
photo = igw.ImageExplorer(
    classifier.model, igw.demo.image("cat"), preprocess=classifier.preprocess, labels=classifier.labels, n_steps=4
)
photo
""",
    """
data = load_diabetes(as_frame=True).data
regressor = nn.Sequential(nn.Linear(10, 16), nn.SiLU(), nn.Linear(16, 1)).eval()
table = igw.explore(regressor, data.iloc[0], data=data, method="auto")
table
""",
)
# Its network takes minutes to a tolerance.
PHOTO = 1
ASKED = ("path", "values", "regions", "convergence", "baselines", "compare", "dependence", "save")

# Where the parts stand in the explorer, and what sticks out of them; the strip of cards is there to be scrolled.
PLACES = """root => {
    const { left, top, height } = root.getBoundingClientRect();
    const place = (part) => {
        const box = part.getBoundingClientRect();
        return [box.left - left, box.top - top, box.width, box.height].map((length) => Math.round(10 * length) / 10);
    };
    const parts = [...root.querySelectorAll(".igw-question, .igw-state, .igw-stage, .igw-under, .igw-bench")];
    const wide = [root, ...root.querySelectorAll("*")].filter((part) =>
        part.checkVisibility() && part.scrollWidth > part.clientWidth + 1 && !part.matches(".igw-cards") &&
        ["auto", "scroll"].includes(getComputedStyle(part).overflowX));
    const over = parts.filter((part) => part.scrollHeight > part.clientHeight + 1);
    return { height, parts: parts.map(place), wide: wide.map((part) => part.className),
        over: over.map((part) => part.className) };
}"""
TOPS = """root => [...root.querySelectorAll(".igw-stage .igw-figure > :nth-child(2)")]
    .filter((map) => map.checkVisibility()).map((map) => map.getBoundingClientRect())
    .map(({ top, left, width, height }) => [top + height / 2, left, width])"""


def places(screen: Screen) -> list[list[float]]:
    """Of the parts; nothing is too tall, nothing sticks out."""
    seen = screen.root.evaluate(PLACES)
    assert seen["height"] <= TALLEST
    assert (seen["wide"], seen["over"]) == ([], [])
    return seen["parts"]  # type: ignore[no-any-return]


@pytest.fixture(params=[(1280, 900), (1920, 1080)], ids=lambda size: f"{size[0]}x{size[1]}")
def opened(request: pytest.FixtureRequest, lab: Lab, browser: Browser) -> Iterator[Page]:
    width, height = request.param
    lab.write_notebook(f"screen{width}.ipynb", CELLS)
    page = browser.new_page(viewport={"width": width, "height": height})
    run_notebook(page, lab, f"screen{width}.ipynb")
    yield page
    page.evaluate("jupyterapp.commands.execute('kernelmenu:shutdown')")
    page.close()


def test_everything_fits_and_nothing_jumps(opened: Page) -> None:
    for number in range(len(CELLS)):
        screen = Screen(opened, number)
        screen.idle()
        alone = places(screen)
        tabs = screen.root.get_by_role("tab").all_inner_texts()
        assert [name for name in ASKED if name in tabs] == tabs
        for name in tabs:
            screen.tab(name)
            assert places(screen) == alone, name
        screen.root.get_by_role("button", name="pictures and numbers").click()
        expect(screen.root.locator(".igw-card-numbers").first).to_contain_text("F(x", timeout=60 * SECONDS)
        assert places(screen) == alone
        # Choices, some of which take controls away.
        for method in ("smoothgrad", "gradient", *(() if number == PHOTO else ("secant", "auto"))):
            screen.choice("method").select_option(method)
            assert places(screen) == alone, method
            screen.idle()
            expect(screen.slider("alpha")).to_be_visible(visible=method in ("secant", "auto"), timeout=60 * SECONDS)
            assert places(screen) == alone, method
            steps, tolerance = (screen.slider(name).is_visible() for name in ("steps", "tolerance"))
            assert (steps, tolerance) == (method in ("smoothgrad", "secant"), method == "auto")


def test_two_to_four_maps_stand_side_by_side(opened: Page) -> None:
    for number in (0, 1, 2):
        screen = Screen(opened, number)
        screen.idle()
        screen.tab("compare")
        for count in (2, 3, 4):
            name = "copy to a new pane" if count == 3 else "add a pane"
            screen.root.get_by_role("button", name=name).click()
            expect(screen.root.locator(".igw-stage .igw-pane .igw-collected", has_text=" of ")).to_have_count(
                count,  # the difference among them
                timeout=60 * SECONDS,
            )
            screen.idle()
            before = places(screen)
            for tab in ("path", "save", "compare"):
                screen.tab(tab)
                assert places(screen) == before
            maps = screen.root.evaluate(TOPS)
            assert len(maps) >= count + 1
            assert max(middle for middle, *_ in maps) - min(middle for middle, *_ in maps) < 1
            lefts = [left for _, left, _ in maps]
            assert lefts == sorted(set(lefts))
            assert min(width for *_, width in maps) > 100
        screen.tab("path")
