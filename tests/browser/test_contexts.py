"""WebGL is taken away, at rest and while a person drags, or was never there: the picture is the same.

Compared is what the canvas holds with what Python draws of the same result, in levels of 255.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from benchmarks._jupyter import Lab, run_notebook
from tests.browser import contexts
from tests.browser.cells import SMALL
from tests.browser.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.robustness]

Read = Callable[[str], object]

CELL = f"""{SMALL}
explorer = igw.ImageExplorer(model, picture, n_steps=8)
explorer.wait()
explorer
"""
ROUNDS = 10


def far(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference, in levels of 255; larger than any where the sizes differ."""
    if one.shape != other.shape:
        return 256
    return int(np.abs(one.astype(int) - other).max())


class Watched:
    """An explorer whose contexts can be taken."""

    def __init__(self, page: Page, read: Read) -> None:
        self.page, self.read, self.screen = page, read, Screen(page)

    def python(self) -> np.ndarray:
        """What Python draws of it."""
        panel = "next(one for one in explorer._panels if type(one).__name__ == 'ExportPanel')"
        drawing = f"{panel}.drawing().overlay"
        height, width, drawn = self.read(f"(lambda o: (*o.shape[:2], o.tobytes()))({drawing})")  # type: ignore[misc]
        return np.frombuffer(drawn, np.uint8).reshape(height, width, 3)

    def move(self, alpha: str) -> None:
        self.screen.slider("alpha").fill(alpha)
        expect(self.screen.overlay).to_have_attribute("aria-label", re.compile(f"alpha {float(alpha):.2f}"))
        assert self.read("explorer.alpha") == float(alpha)

    def lose(self) -> None:
        assert contexts.lose(self.page) == 1
        expect(self.screen.status).to_contain_text("canvas")

    def restore(self) -> None:
        assert contexts.restore(self.page) == 1
        expect(self.screen.status).to_contain_text("webgl2")


def test_whatever_draws_the_picture_it_is_the_same(
    lab: Lab, page: Page, read: Read, figure: Callable[..., None]
) -> None:
    contexts.watch(page)
    lab.write_notebook("contexts.ipynb", [CELL, "explorer"])
    run_notebook(page, lab, "contexts.ipynb")
    watched = Watched(page, read)
    watched.screen.idle("8")
    told = without_webgl(watched) | taken_away(watched)
    page.evaluate("jupyterapp.commands.execute('kernelmenu:shutdown')")
    for what, (value, at_most) in told.items():
        figure(what, value, " levels of 255", at_most=at_most)
    assert all(value <= at_most for value, at_most in told.values())


def without_webgl(watched: Watched) -> dict[str, tuple[int, int]]:
    """A second view of the same explorer, made where there is no WebGL2: the same pixels, and the same words."""
    page, first, second = watched.page, watched.screen, Screen(watched.page, 1)
    contexts.without_webgl(page)
    on_second_cell(page, "notebook:run-cell")
    expect(first.status).to_contain_text("webgl2")
    expect(second.status).to_contain_text("canvas")
    renderers = python = 0

    def compare() -> None:
        nonlocal renderers, python
        for lines in ("collected", "value", "note", "readout"):
            one, other = (screen.root.locator(f".igw-{lines}").all_inner_texts() for screen in (first, second))
            assert one == other != []
        assert first.overlay.get_attribute("aria-label") == second.overlay.get_attribute("aria-label")
        drawn, known = [first.drawn(), second.drawn()], watched.python()
        renderers = max(renderers, far(*drawn))
        python = max(python, *(far(one, known) for one in drawn))

    for alpha in ("0", "0.01", "0.37", "0.99", "1"):
        watched.move(alpha)
        expect(second.overlay).to_have_attribute("aria-label", re.compile(f"alpha {float(alpha):.2f}"))
        compare()
    for name, value in (("sign", "positive"), ("sign", "negative"), ("over", "colour"), ("colormap", "PuOr_r")):
        first.choice(name).select_option(value)
        expect(second.choice(name)).to_have_value(value)
        compare()
    for name, value in (("opacity", "0.35"), ("clip", "80")):
        first.slider(name).fill(value)
        expect(second.slider(name)).to_have_value(value)
        compare()
    for screen in (first, second):
        screen.overlay.focus()
        for key in ("ArrowLeft", "ArrowUp", "ArrowUp"):
            page.keyboard.press(key)
        expect(screen.root.locator(".igw-readout").first).to_contain_text("pixel (")
    compare()
    on_second_cell(page, "notebook:delete-cell")
    expect(page.locator(".igw")).to_have_count(1)
    contexts.without_webgl(page, False)
    return {
        "no WebGL: Canvas2D's picture beside WebGL2's, largest difference": (renderers, 1),
        # Maps come in 16 bits: where a value lies between two of 256 colours, it may get the other one.
        "WebGL2's and Canvas2D's pictures beside Python's, largest difference": (python, 2),
    }


def taken_away(watched: Watched) -> dict[str, tuple[int, int]]:
    page, screen = watched.page, watched.screen
    # At rest: taken and given back, again and again.
    watched.move("0.6")
    before, at_rest = screen.drawn(), 0
    assert before.std() > 20
    for _ in range(ROUNDS):
        watched.lose()
        at_rest = max(at_rest, far(screen.drawn(), before))
        watched.restore()
        at_rest = max(at_rest, far(screen.drawn(), before))

    # While alpha is dragged: taken in mid-movement, and drawn on by whatever is there; the last time for good.
    box = screen.slider("alpha").bounding_box()
    assert box is not None
    left, middle, dragged = box["x"], box["y"] + box["height"] / 2, 0
    for is_restored in (True,) * ROUNDS + (False,):
        page.mouse.move(left + box["width"] * 0.9, middle)
        page.mouse.down()
        page.mouse.move(left + box["width"] * 0.5, middle, steps=8)
        assert contexts.lose(page) == 1
        page.mouse.move(left + box["width"] * 0.4, middle, steps=4)
        if is_restored:
            contexts.restore(page)
        page.mouse.move(left + box["width"] * 0.3, middle, steps=4)
        page.mouse.up()
        expect(screen.status).to_contain_text("webgl2" if is_restored else "canvas")
        shown = float(screen.slider("alpha").input_value())
        assert 0.25 < shown < 0.35
        expect(screen.overlay).to_have_attribute("aria-label", re.compile(f"alpha {shown:.2f}"))
        assert watched.read("explorer.alpha") == shown
        dragged = max(dragged, far(screen.drawn(), watched.python()))

    # Without WebGL from now on: what comes later is drawn as well.
    label = screen.overlay.get_attribute("aria-label") or ""
    screen.choice("baseline").select_option("white")
    expect(screen.overlay).not_to_have_attribute("aria-label", label)
    screen.idle("8")
    later = far(screen.drawn(), watched.python())
    return {
        f"a context lost and given back at rest, {ROUNDS} times: the picture beside the one before": (at_rest, 1),
        f"a context lost while alpha is dragged, {ROUNDS + 1} times: the picture beside Python's": (dragged, 2),
        "a context gone for good: the next result's picture beside Python's": (later, 2),
    }


def on_second_cell(page: Page, command: str) -> None:
    page.evaluate(
        """command => {
            jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
            return jupyterapp.commands.execute(command);
        }""",
        command,
    )
