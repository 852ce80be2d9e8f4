"""A person who uses an explorer at random: every control, in any order, while Python sets the same and other cells run.

The same seed does the same, as far as the time that things take allows. Nothing is asserted here but by `calm`: that an
explorer which is left alone for a moment shows what Python computes.
"""

from __future__ import annotations

import io
import random
import re
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from PIL import Image
from playwright.sync_api import Error, Locator, Page

from tests.browser import contexts
from tests.browser.screen import Screen

Read = Callable[[str], object]

# A person who cannot click something at once does something else.
_PATIENCE = 1500.0
_CALM_SECONDS = 60.0

_SLIDERS = ("alpha", "opacity", "clip", "steps")
_LISTS = ("target", "baseline", "output", "rule", "sign", "channel", "over", "colormap")
_KEYS = ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown", "Escape", "Tab")
# And how often.
_CLICKED = {
    "[class*=regions-panel] button": 2,
    "summary": 3,
    ".igw-fold button:not([disabled])": 4,
    ".igw-player button, .igw-modes button": 2,
    ".igw-tools button, .igw-tools input": 2,
    ".igw-notice button": 1,
    ".igw-exports button": 1,
}
_SET = (
    "explorer.alpha = {share}",
    "explorer.opacity = {share}",
    "explorer.clip = 50 + 50 * {share}",
    "explorer.n_steps = {steps}",
    "explorer.target = {target}",
    "explorer.baseline = {baseline!r}",
    "explorer.method = {method!r}",
    "explorer.sign = {sign!r}",
    "explorer.region = {region}",
    "explorer.region = None",
    "explorer.compare()",
    "explorer.compare(dict(baseline={baseline!r}), dict(n_steps={steps}))",
    "explorer.compare(dict(method={method!r}))",
    "explorer.cancel()",
    "explorer.show_dependence = {on}",
)
_CELLS = (
    "sum(number * number for number in range(300_000))",
    "model(picture[None]).sum().item()",
    "explorer.snapshot() and None",
    "repr(explorer), explorer.results and None",
)
_BASELINES = ("black", "white", "mean grey", "blur", "noise", "blur(sigma=3)", "colour(#ff8800)", "shuffled")
_METHODS = ("riemann_middle", "riemann_trapezoid", "gausslegendre", "secant", "auto", "gradient", "smoothgrad")

# For the kernel, where `explorer` is.
KERNEL = """
from ig_widgets import figures

def is_answered():
    return all(
        one.result is not None and one.result.complete and one.error is None and one.answered == one.settings
        for one in explorer._pane_list
    )

def painted():
    # The first picture is in one scale with those beside it that are in its unit.
    def values(pane, alpha):
        collected = torch.as_tensor(pane.result.path.cumulative(alpha))
        return explorer._subject.reduce(collected, pane.answered)[0].float().numpy()
    first = explorer._pane_list[0]
    unit = lambda pane: (pane.answered.output, pane.result.convergence_delta is None)
    maps = [values(pane, 1.0) for pane in explorer._pane_list if unit(pane) == unit(first)]
    scale = max((figures.scale_of(one, explorer.clip) for one in maps if one.any()), default=1.0)
    look = explorer.opacity, explorer.sign, explorer.ground
    table = figures.color_table(explorer.colormap)
    drawn = figures.compose(explorer._subject.photo, values(first, explorer.alpha), scale, table, *look)
    neighbours = int(abs(table[1:].astype(int) - table[:-1]).max())
    return *drawn.shape[:2], drawn.tobytes(), neighbours
"""

_EXECUTE = """code => {
    const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
    const future = kernel.requestExecute({ code, store_history: false });
    globalThis.igwReplies ??= [];
    igwReplies.push(future.done.then(({ content }) => content.status === "ok" ? null : `${code}: ${content.evalue}`));
}"""
_REPLIES = """async () => {
    const failed = (await Promise.all(globalThis.igwReplies ?? [])).filter((one) => one !== null);
    globalThis.igwReplies = [];
    return failed;
}"""
_RUN_SECOND = """() => {
    const { content } = jupyterapp.shell.currentWidget;
    content.activeCellIndex = content.widgets.length - 1;
    const isShown = content.activeCell.model.outputs.length > 0;
    return jupyterapp.commands.execute(isShown ? "notebook:clear-cell-output" : "notebook:run-cell");
}"""


class Monkey:
    """Acts on the explorer called `explorer` in the kernel that has run `KERNEL`, the first in the page.

    The last cell of the notebook is `explorer`, and may have been run or not.
    """

    def __init__(self, page: Page, read: Read, seed: int) -> None:
        self.page, self.screen, self.seed = page, Screen(page), seed
        self.actions, self.refused = 0, 0
        self.last: deque[str] = deque(maxlen=50)
        self._read = read
        self._random = random.Random(seed)
        page.on("download", lambda download: download.delete())

    def act(self) -> None:
        """One thing that a person does."""
        choices: list[tuple[Callable[[], str], int]] = [
            (self._drag_a_slider, 6),
            (self._press_on_a_slider, 4),
            (self._choose, 8),
            (self._draw_a_region, 4),
            (self._change_a_pane, 2),
            (self._upload, 1),
            (self._cancel, 3),
            (self._zoom, 2),
            (self._press_keys, 4),
            (self._point, 2),
            (self._resize, 1),
            (self._change_theme, 1),
            (self._scroll, 1),
            (self._set_in_python, 6),
            (self._run_a_cell, 2),
            (self._lose_contexts, 1),
            (self._second_view, 1),
            *((self._click_one_of(selector), weight) for selector, weight in _CLICKED.items()),
        ]
        action = self._random.choices([one for one, _ in choices], [weight for _, weight in choices])[0]
        self.page.set_default_timeout(_PATIENCE)
        self.actions += 1
        try:
            self.last.append(action())
        except Error as error:
            # It was hidden, disabled or taken away just then.
            self.refused += 1
            self.last.append(f"{getattr(action, '__name__', 'click')}: {str(error).splitlines()[0]}")
            self.page.mouse.up()

    def calm(self) -> int:
        """Wait until nothing goes on; returns how far the picture is from Python's, in levels of 255.

        Raises AssertionError for what failed in the kernel meanwhile, and where nothing comes to rest.
        """
        self.page.mouse.up()
        self.page.keyboard.press("Escape")
        failed = self.page.evaluate(_REPLIES)
        assert failed == []
        self._read("[pane.wait(60) for pane in explorer._pane_list]")
        if not self._is_answered():
            # Cancelled or refused, as was asked for: the next wish has to be answered.
            self.last.append("calm: asks anew")
            steps = 9 if self._read("explorer.n_steps") != 9 else 10
            self._read(f"[setattr(explorer, *one) for one in (('method', 'riemann_middle'), ('n_steps', {steps}))]")
        end, far = time.monotonic() + _CALM_SECONDS, 256
        while time.monotonic() < end:
            if self._is_answered() and self._is_idle():
                far = self._far()
                if far <= 2:
                    return far
            self.page.wait_for_timeout(100)
        status = self.screen.status.inner_text()
        raise AssertionError(f"No rest: {far} levels from Python's picture; the status says: {status}.")

    # ------------------------------------------------------------ whether all is well

    def _is_answered(self) -> bool:
        return bool(self._read("is_answered()"))

    def _is_idle(self) -> bool:
        is_stale = self.page.locator(".igw[data-stale]").count() > 0
        text = self.screen.status.inner_text()
        return not is_stale and text.startswith("idle")

    def _far(self) -> int:
        height, width, drawn, neighbours = self._read("painted()")  # type: ignore[misc]
        python = np.frombuffer(drawn, np.uint8).reshape(height, width, 3).astype(int)
        views = [Screen(self.page, i).drawn() for i in range(self.page.locator(".igw").count())]
        return max(_apart(view, python, neighbours) for view in views)

    # ------------------------------------------------------------ what a person does

    def _drag_a_slider(self) -> str:
        name = self._random.choice(_SLIDERS)
        slider = self.screen.slider(name)
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        if box is None:
            return f"no {name} to drag"
        at = [self._random.random() for _ in range(self._random.randint(2, 4))]
        middle = box["y"] + box["height"] / 2
        self.page.mouse.move(box["x"] + box["width"] * at[0], middle)
        self.page.mouse.down()
        for share in at[1:]:
            self.page.mouse.move(box["x"] + box["width"] * share, middle, steps=self._random.randint(1, 12))
        self.page.mouse.up()
        return f"drag {name} to {at[-1]:.2f}"

    def _press_on_a_slider(self) -> str:
        name, keys = self._random.choice(_SLIDERS), self._random.choices(_KEYS[:8], k=self._random.randint(1, 8))
        for key in keys:
            self.screen.slider(name).press(key)
        return f"press {' '.join(keys)} on {name}"

    def _choose(self) -> str:
        name = self._random.choice(_LISTS)
        values = (
            self.screen.choice(name).locator("option:not([disabled])").evaluate_all("all => all.map((o) => o.value)")
        )
        value = self._random.choice(values)
        self.screen.choice(name).select_option(value)
        return f"choose {name} {value}"

    def _draw_a_region(self) -> str:
        mode = self._random.choice(["rectangle", "lasso", "patch"])
        self.screen.root.get_by_role("button", name=mode, exact=True).click()
        self.screen.overlay.first.scroll_into_view_if_needed()
        box = self.screen.overlay.first.bounding_box()
        assert box is not None
        at = [(box["x"] + box["width"] * self._share(), box["y"] + box["height"] * self._share()) for _ in range(4)]
        self.page.mouse.move(*at[0])
        self.page.mouse.down()
        for x, y in at[1:]:
            self.page.mouse.move(x, y, steps=4)
        self.page.mouse.up()
        return f"draw by {mode}"

    def _click_one_of(self, selector: str) -> Callable[[], str]:
        def click() -> str:
            one = self._one_of(selector)
            if one is None:
                return f"no {selector}"
            label = self._label(one)
            one.click()
            return f"click {label}"

        return click

    def _change_a_pane(self) -> str:
        one = self._one_of(".igw-compare select")
        if one is None:
            return "no pane to change"
        value = self._random.choice(one.locator("option").evaluate_all("all => all.map((o) => o.value)"))
        label = self._label(one)
        one.select_option(value)
        return f"choose {label} {value}"

    def _upload(self) -> str:
        if self._random.random() < 0.5:
            name, data = "junk.png", self._random.randbytes(1000)
        else:
            picture = io.BytesIO()
            colour = tuple(self._random.randrange(256) for _ in range(3))
            Image.new("RGB", (self._random.randint(1, 90), self._random.randint(1, 90)), colour).save(picture, "PNG")
            name, data = f"colour {self._random.randrange(3)}.png", picture.getvalue()
        field = self.screen.root.get_by_label("photo for a baseline")
        field.set_input_files({"name": name, "mimeType": "image/png", "buffer": data})
        return f"upload {name}"

    def _cancel(self) -> str:
        if not self.screen.cancel.is_enabled():
            return "nothing to cancel"
        self.screen.cancel.click()
        return "cancel"

    def _zoom(self) -> str:
        self.screen.overlay.first.hover()
        self.page.keyboard.down("Control")
        for _ in range(self._random.randint(1, 4)):
            self.page.mouse.wheel(0, self._random.choice([-120, 120]))
        self.page.keyboard.up("Control")
        return "zoom by wheel"

    def _press_keys(self) -> str:
        def is_inside() -> bool:  # elsewhere they would work on the notebook
            return bool(self.page.evaluate("() => document.activeElement?.closest('.igw') != null"))

        if not is_inside():
            self.screen.overlay.first.focus()
        keys = self._random.choices((*_KEYS, "Enter", "+", "-", "0"), k=self._random.randint(1, 6))
        for key in keys:
            if is_inside():
                self.page.keyboard.press(key)
        return f"press {' '.join(keys)}"

    def _point(self) -> str:
        one = self._one_of("svg, .igw-picture")
        if one is None:
            return "nothing to point at"
        one.scroll_into_view_if_needed()
        box = one.bounding_box()
        if box is None:
            return "nothing to point at"
        x, y = box["x"] + box["width"] * self._share(), box["y"] + box["height"] * self._share()
        self.page.mouse.move(x, y, steps=3)
        self.page.mouse.click(x, y)
        return "point and click"

    def _resize(self) -> str:
        size = {"width": self._random.randint(500, 1800), "height": self._random.randint(400, 1200)}
        self.page.set_viewport_size(size)  # type: ignore[arg-type]
        return f"resize to {size['width']} x {size['height']}"

    def _change_theme(self) -> str:
        theme = self._random.choice(["JupyterLab Dark", "JupyterLab Light"])
        self.page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        return theme

    def _scroll(self) -> str:
        self.page.mouse.move(400, 300)
        self.page.mouse.wheel(0, self._random.randint(-1500, 1500))
        return "scroll"

    def _set_in_python(self) -> str:
        left, top = self._random.randrange(40), self._random.randrange(30)
        code = self._random.choice(_SET).format(
            share=round(self._random.random(), 3),
            steps=self._random.choice([1, 2, 5, 16, 64, 256]),
            target=self._random.randrange(5),
            baseline=self._random.choice(_BASELINES),
            method=self._random.choice(_METHODS),
            sign=self._random.choice(["all", "positive", "negative"]),
            region=(left, top, left + 10, top + 10),
            on=self._random.random() < 0.5,
        )
        self.page.evaluate(_EXECUTE, code)
        return f"Python: {code}"

    def _run_a_cell(self) -> str:
        code = self._random.choice(_CELLS)
        self.page.evaluate(_EXECUTE, code)
        return f"cell: {code}"

    def _lose_contexts(self) -> str:
        if self._random.random() < 0.5:
            return f"{contexts.restore(self.page)} contexts given back"
        return f"{contexts.lose(self.page)} contexts lost"

    def _second_view(self) -> str:
        self.page.evaluate(_RUN_SECOND)
        return "second view shown, or taken away"

    def _one_of(self, selector: str) -> Locator | None:
        """What can be seen."""
        found = self.screen.root.locator(selector)
        visible = found.evaluate_all("all => all.flatMap((one, i) => one.checkVisibility() ? [i] : [])")
        return found.nth(self._random.choice(visible)) if visible else None

    def _share(self) -> float:
        return 0.02 + 0.96 * self._random.random()

    def _label(self, one: Locator) -> str:
        label = one.get_attribute("aria-label") or one.inner_text() or "one without a name"
        return re.sub(r"\s+", " ", label)[:60]


def _apart(view: np.ndarray, python: np.ndarray, neighbours: int) -> int:
    """In levels of 255, but for the few values that lie between two of 256 colours.

    Maps come in 16 bits, so that such a value may get the one or the other; these differ by up to `neighbours`.
    """
    if view.shape != python.shape:
        return 256
    apart = np.abs(view - python)
    between = (apart > 2) & (apart <= neighbours + 1)
    return int(apart[~between].max()) if between.mean() < 0.01 else int(apart.max())
