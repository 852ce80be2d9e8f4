"""How soon the image explorer answers: EfficientNet-Lite0, the demo's cat, 224 x 224, 64 samples.

Kernel side: from `explorer.baseline = ...` to the first plan that a front end can draw, and to `done`. A front end is
played by a thread that acknowledges each message. Every change starts a path that was never sampled before.

In the browser: JupyterLab in headless Chromium, software WebGL. A baseline is chosen in the list, and the page itself
takes the time until the first overlay of the new path has been drawn and the next frame begins, and until the status
line says idle, which is when the final overlay is there. "In mid-run" means that the path before is still being
sampled when another baseline is chosen. Then alpha is dragged: one `input` event in each animation frame; a frame's
time is what lies between the beginnings of two frames, its script time what JavaScript took in it. Beside it, in
turns, the frames of the same page when nothing is dragged: what the machine itself does to them.

    python benchmarks/explorer.py [--quick] [--rounds 10] [--frames 300] [--bursts 3] [--part kernel browser]
"""

from __future__ import annotations

import argparse
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from statistics import median, quantiles
from typing import Any

from _jupyter import chromium, jupyterlab, run_notebook
from _report import Row, seconds, table
from playwright.sync_api import ElementHandle, Page

import ig_widgets as igw

# The explorer keeps four paths, so that each of five in turn is a new one.
BASELINES = ("white", "mean grey", "blur", "noise", "black")
N_STEPS = 64
# After the first overlay; long enough for the next chunk to be under way.
A_WHILE = 0.15
FIRST_GOAL_MS = 300.0
FRAME_GOAL_MS = 16.7
# Displays tell time to a tenth of a millisecond in a page; a frame of 60 Hz may so appear as 16.8.
CLOCK_MS = 0.15


@dataclass(frozen=True)
class Answer:
    """Seconds from the wish to the beginning, the first overlay, and the end of the answer."""

    first: float
    final: float
    begin: float | None = None
    samples: int | None = None


# ---------------------------------------------------------------- kernel side


class FrontEnd:
    """Plays one view: notes when what arrives, and acknowledges samples from a thread of its own."""

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[tuple[float, dict[str, Any]] | None] = queue.SimpleQueue()
        self._news = threading.Condition()
        self._seen: list[tuple[float, dict[str, Any]]] = []

    def receive(self, content: dict[str, Any]) -> None:
        self._arrived.put((time.perf_counter(), content))

    def start(self, say: Callable[[dict[str, Any]], None]) -> None:
        threading.Thread(target=self._acknowledge, args=[say], daemon=True).start()
        say({"type": "want", "view": "bench"})

    def _acknowledge(self, say: Callable[[dict[str, Any]], None]) -> None:
        batches = 0
        while (arrival := self._arrived.get()) is not None:
            with self._news:
                self._seen.append(arrival)
                self._news.notify_all()
            if arrival[1]["type"] == "samples":
                batches += 1
                say({"type": "ack", "view": "bench", "count": batches})

    def stop(self) -> None:
        self._arrived.put(None)

    def when(self, kind: str, baseline: str, timeout: float = 300.0) -> tuple[float, dict[str, Any]]:
        """The first message of this kind in the newest request for `baseline`, waited for."""
        with self._news:
            if not self._news.wait_for(lambda: self._find(kind, baseline) is not None, timeout):
                raise TimeoutError(f"No {kind} for {baseline} in {timeout} seconds.")
            found = self._find(kind, baseline)
        assert found is not None
        return found

    def _find(self, kind: str, baseline: str) -> tuple[float, dict[str, Any]] | None:
        begins = [c for _, c in self._seen if c["type"] == "begin" and c["settings"]["baseline"] == baseline]
        if not begins:
            return None
        request = begins[-1]["request"]
        return next((seen for seen in self._seen if seen[1]["type"] == kind and seen[1]["request"] == request), None)

    def forget(self) -> None:
        with self._news:
            self._seen.clear()


class Probe(igw.ImageExplorer):
    """An explorer whose messages go to a `FrontEnd` instead of a comm."""

    def __init__(self, front_end: FrontEnd, *args: Any, **options: Any) -> None:
        self._front_end = front_end
        super().__init__(*args, **options)
        front_end.start(lambda content: self._handle_custom_msg(content, []))

    def send(self, content: dict[str, Any], buffers: object = None) -> None:
        self._front_end.receive(content)


def kernel_side(rounds: int) -> list[Row]:
    classifier = igw.demo.image_classifier()
    front_end = FrontEnd()
    explorer = Probe(
        front_end,
        classifier.model,
        igw.demo.image("cat"),
        preprocess=classifier.preprocess,
        labels=classifier.labels,
        n_steps=N_STEPS,
    )
    front_end.when("done", "black")
    names = cycle(BASELINES)

    def change(baseline: str) -> Answer:
        front_end.forget()
        asked = time.perf_counter()
        explorer.baseline = baseline
        begin, content = front_end.when("begin", baseline)
        assert content["total"] == N_STEPS, "this path was sampled before"
        first, plan = front_end.when("plan", baseline)
        final, _ = front_end.when("done", baseline)
        return Answer(first - asked, final - asked, begin - asked, len(plan["entries"]))

    def interrupt(baseline: str, other: str) -> Answer:
        front_end.forget()
        explorer.baseline = baseline
        front_end.when("plan", baseline)
        time.sleep(A_WHILE)
        return change(other)

    try:
        rows = _rows("kernel", [change(next(names)) for _ in range(rounds)])
        rows += _rows("kernel, in mid-run", [interrupt(next(names), next(names)) for _ in range(rounds)])
    finally:
        explorer.close()
        front_end.stop()
    return rows


def _rows(where: str, answers: list[Answer]) -> list[Row]:
    rows = []
    if all(answer.begin is not None for answer in answers):
        rows.append(seconds(f"{where}: to `begin`", [answer.begin or 0.0 for answer in answers]))
    counts = sorted({answer.samples for answer in answers if answer.samples is not None})
    note = f" ({' or '.join(map(str, counts))} samples)" if counts else ""
    rows.append(seconds(f"{where}: to the first overlay{note}", [answer.first for answer in answers], FIRST_GOAL_MS))
    rows.append(seconds(f"{where}: to the final overlay", [answer.final for answer in answers]))
    return rows


# ---------------------------------------------------------------- in the browser

NOTEBOOK = f"""
import ig_widgets as igw

classifier = igw.demo.image_classifier()
explorer = igw.ImageExplorer(
    classifier.model, igw.demo.image("cat"), preprocess=classifier.preprocess, labels=classifier.labels,
    n_steps={N_STEPS},
)
explorer.wait()
explorer
"""

# Chooses a baseline, and resolves with milliseconds: to the frame after the first overlay of the new path, and to
# the frame after idle (null where the caller asks not to wait for it).
CHANGE = """
([select, value, toIdle]) => new Promise((resolve, reject) => {
    const root = select.closest(".igw");
    const status = root.querySelector("[role=status]");
    const began = performance.now();
    let asked = false, first = null, over = false;
    const observer = new MutationObserver(look);
    const limit = setTimeout(() => { end(); reject(new Error(`still: ${status.textContent}`)); }, 300000);
    const end = () => { over = true; observer.disconnect(); clearTimeout(limit); };
    const inNextFrame = (note) => requestAnimationFrame(() => note(performance.now() - began));
    function look() {
        if (over) return;
        if (root.hasAttribute("data-stale")) { asked = true; return; }
        if (!asked) return;
        if (first === null) {
            first = new Promise((note) => inNextFrame(note));
            if (!toIdle) { end(); first.then((at) => resolve([at, null, status.textContent])); return; }
        }
        if (status.textContent.startsWith("failed")) { end(); reject(new Error(status.textContent)); }
        if (!status.textContent.startsWith("idle")) return;
        end();
        inNextFrame(async (idle) => resolve([await first, idle, status.textContent]));
    }
    observer.observe(root, { attributes: true, childList: true, characterData: true, subtree: true });
    select.value = value;
    select.dispatchEvent(new Event("change", { bubbles: true }));
})
"""

# One step of the slider in each frame, or none if `still`; resolves with each frame's length and script time in
# milliseconds, and with the number of frames in which the overlay did not show the step of the frame before.
DRAG = """
([slider, frames, still]) => new Promise((resolve) => {
    const overlay = slider.closest(".igw").querySelector("[role=img][aria-label^='attribution overlay']");
    const original = window.requestAnimationFrame;
    const lengths = [], scripts = [];
    let script = 0, last = null, late = 0, expected = null;
    const timed = (work) => { const from = performance.now(); work(); script += performance.now() - from; };
    window.requestAnimationFrame = (callback) => original.call(window, (at) => timed(() => callback(at)));
    function frame(at) {
        if (last !== null) { lengths.push(at - last); scripts.push(script); }
        last = at;
        script = 0;
        if (expected !== null && !overlay.getAttribute("aria-label").includes(`alpha ${expected}`)) late += 1;
        if (lengths.length >= frames) {
            window.requestAnimationFrame = original;
            slider.dispatchEvent(new Event("change", { bubbles: true }));
            resolve([lengths, scripts, late]);
            return;
        }
        if (!still) {
            const step = lengths.length % 200;
            slider.valueAsNumber = (step < 100 ? step : 200 - step) / 100;
            expected = slider.valueAsNumber.toFixed(2);
            timed(() => slider.dispatchEvent(new Event("input", { bubbles: true })));
        }
        original.call(window, frame);
    }
    original.call(window, frame);
})
"""


def in_browser(rounds: int, frames: int, bursts: int) -> tuple[list[Row], list[Row]]:
    with jupyterlab() as lab, chromium() as browser:
        lab.write_notebook("explorer.ipynb", [NOTEBOOK])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        run_notebook(page, lab, "explorer.ipynb")
        page.get_by_role("status").filter(has_text="idle").wait_for()
        names = cycle(BASELINES)
        answers = [change(page, next(names)) for _ in range(rounds)]
        interrupted = [change(page, next(names), after=next(names)) for _ in range(rounds)]
        return _rows("browser", answers) + _rows("browser, in mid-run", interrupted), drag(page, frames, bursts)


def _handle(page: Page, role: Any, name: str) -> ElementHandle:
    handle = page.get_by_role(role, name=name, exact=True).element_handle()
    assert handle is not None
    return handle


def change(page: Page, baseline: str, after: str | None = None) -> Answer:
    """Choose a baseline, when idle or soon after the first overlay of another choice."""
    select = _handle(page, "combobox", "baseline")
    if after is not None:
        page.evaluate(CHANGE, [select, after, False])
        page.wait_for_timeout(1000 * A_WHILE)
    first, idle, status = page.evaluate(CHANGE, [select, baseline, True])
    assert f"{N_STEPS} evaluations" in status, f"this path was sampled before: {status}"
    return Answer(first / 1000, idle / 1000)


def drag(page: Page, frames: int, bursts: int) -> list[Row]:
    slider = _handle(page, "slider", "alpha")
    page.evaluate(DRAG, [slider, 30, False])  # the shaders are warm from here on
    still = [page.evaluate(DRAG, [slider, frames, True])]
    moved = []
    for _ in range(bursts):
        moved.append(page.evaluate(DRAG, [slider, frames, False]))
        still.append(page.evaluate(DRAG, [slider, frames, True]))
    renderer = page.get_by_role("status").inner_text().rpartition(" · ")[2]
    lengths = [length for burst in moved for length in burst[0]]
    scripts = [script for burst in moved for script in burst[1]]
    p50, p95 = percentiles(lengths)
    long = sum(length > FRAME_GOAL_MS + CLOCK_MS for length in lengths)
    best = min(percentiles(burst[0])[1] for burst in moved)
    return [
        Row(f"frame while alpha is dragged ({bursts} times {frames} frames, {renderer}), p50", f"{p50:.1f} ms"),
        Row("the same, p95", f"{p95:.1f} ms", p95 - CLOCK_MS, FRAME_GOAL_MS, " ms"),
        Row("the same, p95 of the best burst; longest", f"{best:.1f} ms; {max(lengths):.1f} ms"),
        Row(f"the same, longer than {FRAME_GOAL_MS} ms", f"{long / len(lengths):.1%} of the frames"),
        Row("frame when nothing is dragged", _percentiles([length for burst in still for length in burst[0]])),
        Row("JavaScript in a frame while alpha is dragged", _percentiles(scripts)),
        _fallen_back(sum(burst[2] for burst in moved), len(lengths)),
    ]


def _percentiles(values: list[float]) -> str:
    p50, p95 = percentiles(values)
    return f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, at most {max(values):.1f} ms"


def _fallen_back(count: int, frames: int) -> Row:
    return Row("frames that did not show the alpha of the frame before", f"{count} of {frames}", count, 0)


def percentiles(values: list[float]) -> tuple[float, float]:
    """The 50th and the 95th."""
    return median(values), quantiles(values, n=20, method="inclusive")[-1]


# ---------------------------------------------------------------- command line


def parts(names: list[str], rounds: int, frames: int, bursts: int) -> Iterator[tuple[str, list[Row]]]:
    if "kernel" in names:
        yield "From a baseline change to the overlay, kernel side", kernel_side(rounds)
    if "browser" in names:
        answers, drags = in_browser(rounds, frames, bursts)
        yield "From a baseline change to the overlay, in JupyterLab", answers
        yield f"Dragging alpha, {N_STEPS} samples, 224 x 224, in JupyterLab", drags


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="baseline changes of each kind")
    parser.add_argument("--frames", type=int, default=300, help="animation frames in which alpha is dragged")
    parser.add_argument("--bursts", type=int, default=3, help="times that alpha is dragged")
    parser.add_argument("--quick", action="store_true", help="two rounds, 60 frames: does it run at all?")
    parser.add_argument("--part", choices=["kernel", "browser"], nargs="*", default=["kernel", "browser"])
    asked = parser.parse_args()
    rounds, frames, bursts = (2, 60, 1) if asked.quick else (asked.rounds, asked.frames, asked.bursts)
    for title, rows in parts(asked.part, rounds, frames, bursts):
        table(title, rows)


if __name__ == "__main__":
    main()
