"""A slider dragged by a real pointer, and what the page does meanwhile: its frames, its script, how soon it answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median, quantiles

from playwright.sync_api import ElementHandle, Page

# Half a thumb: where its middle is at either end of the slider.
_HALF_THUMB = 8.0
# As many positions as alpha has: each move of the pointer is one step of the slider.
_STEPS = 100

# Notes, of each frame, how long it took until the next one, the milliseconds that JavaScript took in it, and whether an
# input is drawn in it; of each input, the milliseconds from the move of the pointer to the beginning of the frame after
# the one in which all pictures show its alpha; and how many frames did not show what had come before they began.
_RECORD = """
(slider) => {
    const root = slider.closest(".igw");
    const drawn = "[role=img]:is([aria-label^='attribution overlay'], [aria-label^='difference of'])";
    const pictures = [...root.querySelectorAll(drawn)].filter((one) => one.checkVisibility());
    const original = window.requestAnimationFrame;
    const life = new AbortController();
    const record = { lengths: [], scripts: [], answers: [], drawing: [], late: 0, pictures: pictures.length };
    let script = 0, last = null, pointer = 0, number = 0, from = 0, waiting = [], isOver = false;
    let isDrawn = false, hasInput = false;
    const shown = (text) => pictures.every((one) => one.getAttribute("aria-label").includes(text));
    const timed = (work) => { const begin = performance.now(); work(); script += performance.now() - begin; };
    window.requestAnimationFrame = (callback) => original.call(window, (at) => timed(() => callback(at)));
    const on = (name, action, capture) => window.addEventListener(name, action, { capture, signal: life.signal });
    on("pointermove", ({ timeStamp }) => { pointer = timeStamp; }, true);
    on("input", () => { from = performance.now(); }, true);
    on("input", ({ target }) => {
        script += performance.now() - from;
        if (target !== slider) return;
        hasInput = true;
        waiting.push({ since: pointer, text: `alpha ${slider.valueAsNumber.toFixed(2)}`, number });
    }, false);
    function frame(at) {
        number += 1;
        if (last !== null) {
            record.lengths.push(at - last);
            record.scripts.push(script);
            record.drawing.push(isDrawn);
        }
        // What came before this frame began is drawn in it.
        [last, script, isDrawn, hasInput] = [at, 0, hasInput, false];
        // What came before the last frame began was drawn in it, after this function had its turn.
        const due = waiting.filter((one) => one.number <= number - 2);
        if (due.length > 0 && shown(due.at(-1).text)) {
            waiting = waiting.filter((one) => one.number > number - 2);
            for (const { since } of due) record.answers.push(performance.now() - since);
        } else if (due.length > 0) record.late += 1;
        if (!isOver) original.call(window, frame);
    }
    original.call(window, frame);
    window.igwRecord = () => {
        isOver = true;
        life.abort();
        window.requestAnimationFrame = original;
        return record;
    };
}
"""


@dataclass(frozen=True)
class Burst:
    """Milliseconds: between the beginnings of frames, in JavaScript in each, and from input to what is seen of it."""

    lengths: list[float]
    scripts: list[float]
    drawing: list[bool]
    answers: list[float]
    late: int
    pictures: int

    @property
    def drawn(self) -> list[float]:
        """Of the frames in which something is drawn. A pointer may move less often than frames come."""
        return [length for length, is_drawn in zip(self.lengths, self.drawing, strict=True) if is_drawn]

    @property
    def drawn_scripts(self) -> list[float]:
        return [script for script, is_drawn in zip(self.scripts, self.drawing, strict=True) if is_drawn]


class Drag:
    """A pointer on a slider, by its name."""

    def __init__(self, page: Page, name: str) -> None:
        self._page = page
        handle = page.get_by_role("slider", name=name, exact=True).element_handle()
        assert handle is not None
        self.slider: ElementHandle = handle
        handle.evaluate("slider => slider.scrollIntoView({ block: 'center' })")

    def press(self) -> float:
        """On the thumb; returns where it is."""
        low, high, value = self.slider.evaluate("({ min, max, value }) => [min, max, value].map(Number)")
        share = float((value - low) / (high - low))
        self._page.mouse.move(*self._at(share))
        self._page.mouse.down()
        return share

    def to(self, share: float, moves: int) -> None:
        """To a share of the slider's length, in so many moves, each of which waits until the page has taken it."""
        self._page.mouse.move(*self._at(share), steps=moves)

    def release(self) -> None:
        self._page.mouse.up()

    def record(self, moves: int) -> Burst:
        """To and fro, so many moves in all."""
        self._page.evaluate(_RECORD, self.slider)
        target = float(self.press() < 0.5)
        for left in range(moves, 0, -_STEPS):
            self.to(target, min(left, _STEPS))
            target = 1.0 - target
        burst = Burst(**self._page.evaluate("igwRecord()"))
        self.release()
        return burst

    def rest(self, seconds: float) -> Burst:
        """Nothing is dragged."""
        self._page.evaluate(_RECORD, self.slider)
        self._page.wait_for_timeout(1000 * seconds)
        return Burst(**self._page.evaluate("igwRecord()"))

    def _at(self, share: float) -> tuple[float, float]:
        box = self.slider.bounding_box()
        assert box is not None
        x = box["x"] + _HALF_THUMB + share * (box["width"] - 2 * _HALF_THUMB)
        return x, box["y"] + box["height"] / 2


def p95(values: list[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1]


def percentiles(values: Iterable[float]) -> str:
    found = list(values)
    return f"p50 {median(found):.1f} ms, p95 {p95(found):.1f} ms, at most {max(found):.1f} ms"
