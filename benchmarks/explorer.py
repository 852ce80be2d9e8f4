"""How soon the image explorer answers and draws, what it weighs, and what it keeps.

kernel: EfficientNet-Lite0, the demo's cat, 224 x 224, 64 samples. From `explorer.baseline = ...` to the first plan
that a front end can draw, and to `done`. A front end is played by a thread that acknowledges each message. Every
change starts a path that was never sampled before.

change: the same in JupyterLab (headless Chromium, software WebGL). A baseline is chosen in the list, and the page
itself takes the time until the first overlay of the new path has been drawn and the next frame begins, and until the
status line says idle, which is when the final overlay is there. "In mid-run" means that the path before is still being
sampled when another baseline is chosen.

alpha, input, panes, large: a network that costs nothing, so that the kernel leaves the processor to the browser. Alpha
is dragged to and fro by a real pointer, one step of the slider a move. A frame's time is what lies between the
beginnings of two frames, its script time what JavaScript took in it. An input is answered at the beginning of the
frame after the one in which every picture shows its alpha. Beside them, in turns, the frames of the same page when
nothing is dragged: what the machine itself does to them. The goal is for the best burst; the median burst is beside it.

blur: EfficientNet-Lite0; the gallery's slider of the blur's sigma is dragged by a pointer that comes to rest now and
then, held down or lifted. From the last input before the rest to the frame after the first overlay. Each picture that
is drawn is held against the wish at that time, by what the kernel said of the plans that it sent.

file: the .npz of the demo's explorer, whose map is shown again without a gradient evaluation.

bundle, html: bytes. growth: bytes that stay after 100 changes of the baseline, in the page after its garbage was
collected, and in the kernel.

    python benchmarks/explorer.py [--quick] [--rounds 10] [--moves 300] [--bursts 3] [--part alpha blur ...]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from _front_end import FrontEnd, Probe
from _jupyter import Lab, chromium, jupyterlab, run_notebook
from _pointer import Burst, Drag, p95, percentiles
from _report import Row, seconds, short, table
from playwright.sync_api import Browser, ElementHandle, Page
from torch import Tensor

import ig_widgets as igw

# The explorer keeps four paths, so that each of five in turn is a new one.
BASELINES = ("white", "mean grey", "blur", "noise", "black")
N_STEPS = 64
# After the first overlay; long enough for the next chunk to be under way.
A_WHILE = 0.15
FIRST_GOAL_MS = 300.0
FRAME_GOAL_MS, MANY_PIXELS_GOAL_MS, INPUT_GOAL_MS = 16.7, 33.0, 50.0
# Displays tell time to a tenth of a millisecond in a page; a frame of 60 Hz may so appear as 16.8.
CLOCK_MS = 0.15
LONG_MS = 17.0
BUNDLE_GOAL_KB = 120.0
WRITE_GOAL_MS, RESTORE_GOAL_MS = 3000.0, 2000.0
PAGE_GROWTH_GOAL_MB, KERNEL_GROWTH_GOAL_MB = 10.0, 20.0
HTML_GOAL_MB = 4.0
CHANGES, WARM_UP = 100, 10


@dataclass(frozen=True)
class Answer:
    """Seconds from the wish to the beginning, the first overlay, and the end of the answer."""

    first: float
    final: float
    begin: float | None = None
    samples: int | None = None


# ---------------------------------------------------------------- kernel side


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

# A network that costs nothing. The kernel says by which number the system knows it.
LIGHT = """
import os
from pathlib import Path

import torch
from torch import nn

import ig_widgets as igw

Path("kernel.pid").write_text(str(os.getpid()))
torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(3, 8, 7, 4), nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    nn.Linear(16, 5),
).eval()
photo = igw.demo.image("cat").resize(({size}, {size}))
explorer = igw.ImageExplorer(model, photo, n_steps={steps})
explorer.compare({panes})
explorer.wait()
explorer
"""
FOUR_PANES = "dict(baseline='white'), dict(baseline='blur'), dict(baseline='noise')"

# Begins to watch the slider of a blur's sigma. `igwRest()` resolves, after the pointer has come to rest, with the
# milliseconds from the last input to the frame after the first overlay of what it asks for, and to its `begin` and its
# first plan; `igwDrawn()` tells how many pictures were drawn, and those that do not answer the wish of that time. What
# a picture answers is told by the convergence delta that its description states: the kernel sent it with the plan.
WATCH_SIGMA = """
(root) => {
    const overlay = root.querySelector("[role=img][aria-label^='attribution overlay']");
    const sigmaOf = (baseline) => Number(/^blur\\(sigma=([^)]*)\\)$/.exec(baseline)?.[1]);
    const began = new Map(), plans = [], strangers = [];
    let wish = null, pointer = 0, rest = null, drawn = 0, label = "";
    jupyterapp.shell.currentWidget.sessionContext.session.kernel.iopubMessage.connect((_, { content }) => {
        const message = content?.data?.method === "custom" ? content.data.content : {};
        if (message.type === "begin") began.set(message.request, sigmaOf(message.settings.baseline));
        const sigma = began.get(message.request);
        if (message.type === "plan") plans.push({ sigma, delta: message.delta });
        if (rest === null || sigma !== rest.sigma) return;
        if (message.type === "begin") rest.begun ??= performance.now() - rest.since;
        if (message.type === "plan") rest.planned ??= performance.now() - rest.since;
    });
    window.addEventListener("pointermove", ({ timeStamp }) => { pointer = timeStamp; }, true);
    window.addEventListener("input", ({ target }) => {
        if (target.getAttribute("aria-label") !== "sigma of blur") return;
        wish = target.valueAsNumber;
        rest = { sigma: wish, since: pointer, first: null, begun: null, planned: null, told: null };
    }, true);
    const deltaIn = (text) => Number(/ delta ([^ ]+)$/.exec(text)[1].replaceAll("\u2212", "-"));
    const textOf = () => overlay.getAttribute("aria-label").replace(/alpha [^,]*/, "");
    function look() {
        if (wish === null) { label = textOf(); return; }
        const isStale = root.hasAttribute("data-stale");
        const isNew = textOf() !== label;
        label = textOf();
        const delta = deltaIn(label);
        const answers = plans.some((plan) => plan.sigma === wish && Number(plan.delta.toPrecision(2)) === delta);
        if (isNew) drawn += 1;
        if (isNew && !(answers && !isStale)) strangers.push({ wish, delta, isStale, plans: plans.slice(-3) });
        if (isStale || !answers || rest.first !== null) return;
        rest.first = true;
        const asked = rest;
        requestAnimationFrame(() => { asked.first = performance.now() - asked.since; asked.told?.(); });
    }
    label = textOf();
    const attributeFilter = ["data-stale", "aria-label"];
    new MutationObserver(look).observe(root, { attributes: true, subtree: true, attributeFilter });
    window.igwRest = () => new Promise((resolve, reject) => {
        const asked = rest;
        setTimeout(() => reject(new Error(`no overlay for sigma ${asked.sigma}`)), 60000);
        asked.told = () => resolve([asked.first, asked.begun ?? asked.first, asked.planned ?? asked.first]);
        if (typeof asked.first === "number") asked.told();
    });
    window.igwDrawn = () => [drawn, strangers.map((one) => JSON.stringify(one))];
}
"""

RENDERER = """
() => {
    const gl = document.createElement("canvas").getContext("webgl2");
    if (gl === null) return "none";
    return gl.getParameter(gl.getExtension("WEBGL_debug_renderer_info")?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER);
}
"""


@contextmanager
def shown(lab: Lab, browser: Browser, source: str, height: int = 1000) -> Iterator[Page]:
    """A page with a notebook of one cell, the explorer of which has nothing left to do; its kernel ends with it."""
    page = browser.new_page(viewport={"width": 1400, "height": height})
    lab.write_notebook("explorer.ipynb", [source])
    run_notebook(page, lab, "explorer.ipynb")
    page.get_by_role("status").filter(has_text="idle").wait_for()
    try:
        yield page
    finally:
        page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        page.close()


def light(size: int = 224, steps: int = N_STEPS, panes: str = "") -> str:
    return LIGHT.format(size=size, steps=steps, panes=panes)


def about(browser: Browser) -> str:
    """The browser, and what draws its WebGL."""
    page = browser.new_page()
    renderer = str(page.evaluate(RENDERER))
    page.close()
    how = "in software" if any(name in renderer for name in ("SwiftShader", "llvmpipe")) else "by the GPU"
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"Browser: Chromium {browser.version}, WebGL {how} ({renderer}). Load average: {load}."


# ---------------------------------------------------------------- a choice in the list


def choices(lab: Lab, browser: Browser, rounds: int) -> list[Row]:
    with shown(lab, browser, NOTEBOOK) as page:
        names = cycle(BASELINES)
        answers = [change(page, next(names)) for _ in range(rounds)]
        interrupted = [change(page, next(names), after=next(names)) for _ in range(rounds)]
    return _rows("browser", answers) + _rows("browser, in mid-run", interrupted)


def change(page: Page, baseline: str, after: str | None = None, steps: int = N_STEPS) -> Answer:
    """Choose a baseline, when idle or soon after the first overlay of another choice."""
    select = _handle(page, "combobox", "baseline")
    if after is not None:
        page.evaluate(CHANGE, [select, after, False])
        page.wait_for_timeout(1000 * A_WHILE)
    first, idle, status = page.evaluate(CHANGE, [select, baseline, True])
    assert f"{steps} evaluations" in status, f"this path was sampled before: {status}"
    return Answer(first / 1000, idle / 1000)


def _handle(page: Page, role: Any, name: str) -> ElementHandle:
    handle = page.get_by_role(role, name=name, exact=True).element_handle()
    assert handle is not None
    return handle


# ---------------------------------------------------------------- alpha


@dataclass(frozen=True)
class Drags:
    """Bursts in which alpha was dragged, and the rests between them."""

    moved: list[Burst]
    still: list[Burst]

    def frames(self, what: str, goal: float) -> list[Row]:
        """How long they take."""
        each = [p95(burst.drawn) for burst in self.moved]
        long = [100 * sum(length > LONG_MS for length in burst.drawn) / len(burst.drawn) for burst in self.moved]
        drawn = [length for burst in self.moved for length in burst.drawn]
        number = sum(len(burst.lengths) for burst in self.moved)
        late = sum(burst.late for burst in self.moved)
        still = [length for burst in self.still for length in burst.lengths]
        return [
            Row(f"{what}: frame, p95", _best(each, " ms"), min(each) - CLOCK_MS, goal, " ms"),
            Row(f"{what}: frames over {LONG_MS:g} ms", _best(long, "%")),
            Row(f"{what}: all frames that draw ({len(drawn)} of {number})", percentiles(drawn)),
            Row(f"{what}: frames when nothing is dragged", percentiles(still)),
            Row(f"{what}: of these over {LONG_MS:g} ms", f"{sum(t > LONG_MS for t in still) / len(still):.1%}"),
            Row(f"{what}: JavaScript in a frame", percentiles(t for burst in self.moved for t in burst.drawn_scripts)),
            Row(f"{what}: frames that did not show the alpha before them", f"{late} of {number}", late, 0),
        ]

    def inputs(self, what: str) -> list[Row]:
        """How soon what is dragged is seen."""
        each = [p95(burst.answers) for burst in self.moved]
        answers = [answer for burst in self.moved for answer in burst.answers]
        return [
            Row(f"{what}: from input to the painted frame, p95", _best(each, " ms"), min(each), INPUT_GOAL_MS, " ms"),
            Row(f"{what}: all inputs ({len(answers)})", percentiles(answers)),
        ]


def drags(lab: Lab, browser: Browser, source: str, moves: int, bursts: int, pictures: int = 1) -> Drags:
    with shown(lab, browser, source, height=1000 if pictures == 1 else 1400) as page:
        drag = Drag(page, "alpha")
        page.wait_for_timeout(1000)
        drag.record(60)  # the shaders are warm from here on
        still, moved = [drag.rest(2)], []
        for _ in range(bursts):
            moved.append(drag.record(moves))
            assert moved[-1].pictures == pictures, f"{moved[-1].pictures} pictures instead of {pictures}"
            still.append(drag.rest(2))
    return Drags(moved, still)


def _best(values: Sequence[float], unit: str) -> str:
    return f"{min(values):.1f}{unit} (best of {len(values)} bursts; median {median(values):.1f}{unit})"


# ---------------------------------------------------------------- the blur of the gallery


def blur(lab: Lab, browser: Browser, rounds: int) -> list[Row]:
    with shown(lab, browser, NOTEBOOK, height=1400) as page:
        page.get_by_text("Baselines: what is absence here?").click()
        page.get_by_role("slider", name="sigma of blur").wait_for()
        page.wait_for_timeout(1000)
        page.evaluate(WATCH_SIGMA, page.locator(".igw").element_handle())
        # Far from each other, and none twice: the first drag goes up, the second comes down.
        shares = [0.05 + 0.9 * i / (2 * rounds) for i in range(2 * rounds)]
        held = sigmas(page, shares[0::2], lifted=False)
        lifted = sigmas(page, shares[1::2][::-1], lifted=True)
        drawn, strangers = page.evaluate("igwDrawn()")
    for stranger in strangers:
        print(f"drawn, but not wished: {stranger}")
    return [
        *_settled("sigma of the blur dragged, held at rest", held),
        *_settled("sigma of the blur dragged, let go", lifted),
        Row("sigma of the blur: pictures drawn that nobody wished", f"{len(strangers)} of {drawn}", len(strangers), 0),
    ]


@dataclass(frozen=True)
class Rest:
    """Seconds from the last input to the first overlay, and in the page, to `begin` and to the first plan."""

    first: float
    begun: float
    planned: float


def sigmas(page: Page, shares: Sequence[float], *, lifted: bool) -> list[Rest]:
    """How soon each rest is answered. The pointer goes on while the rest is still being sampled."""
    answers: list[Rest] = []
    drag = None
    for share in shares:
        if drag is None or lifted:
            # A card is made anew after the pointer was lifted.
            drag = Drag(page, "sigma of blur")
            drag.press()
        drag.to(share, 12)
        if lifted:
            drag.release()
        first, begun, planned = page.evaluate("igwRest()")
        answers.append(Rest(first / 1000, begun / 1000, planned / 1000))
        page.wait_for_timeout(2500 if lifted else 1000 * A_WHILE)
    if drag is not None and not lifted:
        drag.release()
        page.wait_for_timeout(2500)
    return answers


def _settled(what: str, rests: list[Rest]) -> list[Row]:
    first = [rest.first for rest in rests]
    return [
        seconds(f"{what}: to the first overlay", first, FIRST_GOAL_MS),
        Row(f"{what}: the quickest of them", short(min(first))),
        seconds(f"{what}: until `begin` has come", [rest.begun for rest in rests]),
        seconds(f"{what}: until a plan has come", [rest.planned for rest in rests]),
    ]


# ---------------------------------------------------------------- what it weighs and keeps


def bundle() -> list[Row]:
    file = Path(igw.__file__).parent / "static" / "image.js"
    size = file.stat().st_size / 1000
    return [Row("bundle, minified", f"{size:.1f} kB", size, BUNDLE_GOAL_KB, " kB")]


def standalone() -> list[Row]:
    classifier = igw.demo.image_classifier()
    explorer = igw.ImageExplorer(
        classifier.model, igw.demo.image("cat"), preprocess=classifier.preprocess, labels=classifier.labels
    )
    explorer.n_steps = N_STEPS
    explorer.wait()
    text = explorer.to_html()
    explorer.close()
    assert text is not None
    size = len(text.encode()) / 1e6
    return [Row(f"standalone HTML, {N_STEPS} samples of 224 x 224", f"{size:.2f} MB", size, HTML_GOAL_MB, " MB")]


def growth(lab: Lab, browser: Browser, changes: int) -> list[Row]:
    steps = 16
    with shown(lab, browser, light(steps=steps)) as page:
        session = page.context.new_cdp_session(page)
        session.send("HeapProfiler.enable")
        kernel = int((lab.folder / "kernel.pid").read_text())
        names = cycle(BASELINES)

        def weigh(times: int) -> tuple[float, float]:
            for _ in range(times):
                change(page, next(names), steps=steps)
            page.wait_for_timeout(2000)
            for _ in range(3):
                session.send("HeapProfiler.collectGarbage")
            heap = session.send("Runtime.getHeapUsage")
            # What typed arrays hold lies outside the heap proper.
            held = heap["usedSize"] + heap.get("embedderHeapUsedSize", 0) + heap.get("backingStorageSize", 0)
            return held / 1e6, _resident(kernel) / 1e6

        before = weigh(WARM_UP)
        after = weigh(changes)
    page_grown, kernel_grown = (now - then for now, then in zip(after, before, strict=True))
    what = f"growth in {changes} changes of the baseline"
    return [
        Row(
            f"{what}: the page ({before[0]:.0f} MB before)",
            f"{page_grown:+.1f} MB",
            page_grown,
            PAGE_GROWTH_GOAL_MB,
            " MB",
        ),
        Row(
            f"{what}: the kernel ({before[1]:.0f} MB before)",
            f"{kernel_grown:+.1f} MB",
            kernel_grown,
            KERNEL_GROWTH_GOAL_MB,
            " MB",
        ),
    ]


def _resident(process: int) -> int:
    """Bytes of memory that it has now."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# ---------------------------------------------------------------- command line

# ---------------------------------------------------------------- files


def saved_and_restored() -> list[Row]:
    """The demo's explorer, written and made again; raises where it then draws another picture."""
    demo, image = igw.demo.image_classifier("cpu"), igw.demo.image("cat")
    options: dict[str, Any] = {"preprocess": demo.preprocess, "labels": demo.labels}
    evaluated = 0

    def count(_module: object, inputs: tuple[Tensor, ...]) -> None:
        nonlocal evaluated
        evaluated += len(inputs[0]) if inputs[0].requires_grad else 0

    with TemporaryDirectory() as folder:
        path = Path(folder) / "demo.npz"
        explorer = igw.ImageExplorer(demo.model, image, n_steps=N_STEPS, **options)
        explorer.wait()
        begin = time.perf_counter()
        explorer.to_npz(path)
        writing = time.perf_counter() - begin
        drawn, size = explorer.snapshot(), path.stat().st_size
        explorer.close()
        hook = demo.model.register_forward_pre_hook(count)
        begin = time.perf_counter()
        again = igw.ImageExplorer.from_npz(path, demo.model, image, **options)
        restoring = time.perf_counter() - begin
        again.wait()
        if again.snapshot() != drawn:
            raise AssertionError("An explorer from its file draws another picture.")
        again.close()
        hook.remove()
    return [
        Row(f"file, {N_STEPS} samples of 224 x 224", f"{size / 1e6:.2f} MB"),
        seconds("writing it", [writing], WRITE_GOAL_MS),
        seconds("from the file to the map", [restoring], RESTORE_GOAL_MS),
        Row("gradient evaluations for that", str(evaluated), evaluated, 0, ""),
    ]


PARTS = ("kernel", "change", "alpha", "input", "panes", "blur", "large", "bundle", "growth", "html", "file")


@dataclass(frozen=True)
class Asked:
    """What to measure, and how often."""

    names: Sequence[str]
    rounds: int
    moves: int
    bursts: int
    changes: int

    def has(self, *names: str) -> bool:
        return any(name in self.names for name in names)


def without_browser(asked: Asked) -> Iterator[tuple[str, list[Row]]]:
    if asked.has("kernel"):
        yield "From a baseline change to the overlay, kernel side", kernel_side(asked.rounds)
    if asked.has("bundle"):
        yield "The front end", bundle()
    if asked.has("html"):
        yield "One file without a kernel", standalone()
    if asked.has("file"):
        yield "An explorer from its file", saved_and_restored()


def in_browser(asked: Asked, lab: Lab, browser: Browser) -> Iterator[tuple[str, list[Row]]]:
    often = asked.moves, asked.bursts
    if asked.has("alpha", "input"):
        one = drags(lab, browser, light(), *often)
        what = f"alpha, {N_STEPS} samples of 224 x 224"
        rows = one.frames(what, FRAME_GOAL_MS) if asked.has("alpha") else []
        yield "Dragging alpha", rows + (one.inputs(what) if asked.has("input") else [])
    if asked.has("panes"):
        # Four overlays and the difference.
        four = drags(lab, browser, light(panes=FOUR_PANES), *often, pictures=5)
        rows = four.frames("four panes", MANY_PIXELS_GOAL_MS) + four.inputs("four panes")
        yield "Dragging alpha, four panes and their difference", rows
    if asked.has("large"):
        large = drags(lab, browser, light(size=448), *often)
        rows = large.frames("448 x 448", MANY_PIXELS_GOAL_MS) + large.inputs("448 x 448")
        yield "Dragging alpha, 448 x 448", rows
    if asked.has("blur"):
        yield "Dragging the blur's sigma in the gallery", blur(lab, browser, asked.rounds)
    if asked.has("growth"):
        yield "What stays", growth(lab, browser, asked.changes)
    if asked.has("change"):
        yield "From a baseline change to the overlay, in JupyterLab", choices(lab, browser, asked.rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="baseline changes of each kind")
    parser.add_argument("--moves", type=int, default=300, help="moves of the pointer that drags alpha")
    parser.add_argument("--bursts", type=int, default=3, help="times that alpha is dragged")
    parser.add_argument("--quick", action="store_true", help="two rounds, 60 moves: does it run at all?")
    parser.add_argument("--part", choices=PARTS, nargs="*", default=PARTS, metavar="PART", help=", ".join(PARTS))
    given = parser.parse_args()
    if given.quick:
        asked = Asked(given.part, rounds=2, moves=60, bursts=1, changes=5)
    else:
        asked = Asked(given.part, given.rounds, given.moves, given.bursts, CHANGES)
    goals: list[Row] = []
    under = ""

    def tell(title: str, rows: list[Row]) -> None:
        table(title, rows, under)
        goals.extend(row for row in rows if row.goal is not None)

    for title, rows in without_browser(asked):
        tell(title, rows)
    if asked.has("change", "alpha", "input", "panes", "large", "blur", "growth"):
        with jupyterlab() as lab, chromium() as browser:
            under = about(browser)
            for title, rows in in_browser(asked, lab, browser):
                tell(title, rows)
    table("The image explorer and its goals", goals, under)


if __name__ == "__main__":
    main()
