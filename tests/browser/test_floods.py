"""Floods in a real JupyterLab, by the sliders and past them: the kernel works for the newest wish alone."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import zmq
from playwright.sync_api import Page, expect

from benchmarks._jupyter import Lab, run_notebook
from tests.browser.screen import SECONDS, Screen

pytestmark = [pytest.mark.browser, pytest.mark.robustness]

Read = Callable[[str], object]
Figure = Callable[..., None]

COUNT = 1000
CELL = """
import threading
import torch
import ig_widgets as igw
from ig_widgets.explorers.pane import Pane

class Watch:
    lock, now, most, asked = threading.Lock(), 0, 0, 0

    def around(self, answer):
        # A request from when it begins to be computed until it has stopped, with the newest that waits for its turn.
        def watched(pane, *arguments):
            with self.lock:
                self.now += 1
                self.asked += 1
                self.most = max(self.most, self.now + (pane._worker._next is not None))
            try:
                return answer(pane, *arguments)
            finally:
                with self.lock:
                    self.now -= 1
        return watched

watch = Watch()
Pane._answer = watch.around(Pane._answer)
picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
model = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 5), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(3), torch.nn.Flatten(), torch.nn.Linear(72, 5)
).eval()
explorer = igw.ImageExplorer(model, picture, n_steps=8)
explorer
"""


class Listener:
    """Counts what a kernel publishes, second by second."""

    def __init__(self, lab: Lab) -> None:
        files = (lab.log.parent / "JUPYTER_RUNTIME_DIR").glob("kernel-*.json")
        at = json.loads(max(files, key=lambda file: file.stat().st_mtime).read_text())
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.connect(f"{at['transport']}://{at['ip']}:{at['iopub_port']}")
        self.at: list[float] = []
        self.tracebacks: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._stop.is_set():
            if not self._socket.poll(200):
                continue
            frames = self._socket.recv_multipart()
            self.at.append(time.monotonic())
            _, header, _, _, content, *_ = frames[frames.index(b"<IDS|MSG>") + 1 :]
            if json.loads(header)["msg_type"] == "error" or b"Traceback" in content:
                self.tracebacks.append(content.decode())

    def peak(self, since: float) -> int:
        """The most messages within any second that begins with a message."""
        times = np.array([at for at in self.at if at >= since])
        return int((np.searchsorted(times, times + 1) - np.arange(len(times))).max(initial=0))

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close(0)
        self._context.term()


@pytest.fixture
def screen(lab: Lab, page: Page) -> Iterator[Screen]:
    lab.write_notebook("floods.ipynb", [CELL])
    run_notebook(page, lab, "floods.ipynb")
    screen = Screen(page)
    screen.idle("8")
    yield screen
    page.evaluate("jupyterapp.commands.execute('kernelmenu:shutdown')")


@pytest.fixture
def listener(lab: Lab, screen: Screen) -> Iterator[Listener]:
    listener = Listener(lab)
    yield listener
    listener.close()


# So many events of a slider, evenly over so many seconds; the last value is `last`.
SLIDE = """(slider, [count, seconds, last]) => new Promise((resolve) => {
    const [low, high] = [Number(slider.min), Number(slider.max)];
    const begin = performance.now();
    let sent = 0;
    const turn = () => {
        const due = Math.min(count, Math.ceil((performance.now() - begin) / seconds / 1000 * count));
        for (; sent < due; sent++) {
            slider.value = sent === count - 1 ? last : low + (high - low) * ((sent * 0.37) % 1);
            slider.dispatchEvent(new Event("input", { bubbles: true }));
        }
        if (sent < count) setTimeout(turn, 1);
        else {
            slider.dispatchEvent(new Event("change", { bubbles: true }));
            resolve(performance.now() - begin);
        }
    };
    turn();
})"""

# Straight to the kernel, as a script in the page could; JupyterLab's own throttle is not in the way. Spread out:
# each has an answer of three messages, ipywidgets' and the kernel's own, and servers drop what is over 1,000 a second.
FLOOD = """([id, messages, seconds]) => new Promise((resolve) => {
    const comm = jupyterapp.shell.currentWidget.sessionContext.session.kernel._comms.get(id);
    const begin = performance.now();
    let sent = 0;
    const turn = () => {
        const due = Math.min(messages.length, (performance.now() - begin) / seconds / 1000 * messages.length);
        while (sent < due) comm.send(messages[sent++]);
        if (sent < messages.length) setTimeout(turn, 1);
        else resolve();
    };
    turn();
})"""


def flood(page: Page, read: Read, messages: list[dict[str, object]]) -> None:
    page.evaluate(FLOOD, [read("explorer.comm.comm_id"), messages, 5])


def test_a_thousand_slider_events_in_five_seconds(
    screen: Screen, page: Page, read: Read, listener: Listener, figure: Figure
) -> None:
    for name, trait, last in (("alpha", "alpha", 0.35), ("steps", "n_steps", 16)):
        begin = time.monotonic()
        taken = screen.slider(name).evaluate(SLIDE, [COUNT, 5, last])
        if trait == "n_steps":
            screen.idle(r"\d+")
        expect(screen.slider(name)).to_have_value(str(last))
        page.wait_for_function("() => true")
        wait_until(read, f"explorer.{trait}", last)
        figure(f"1,000 events of {name}: seconds", taken / 1000, " s")
        figure(f"1,000 events of {name}: iopub messages in the busiest second", listener.peak(begin), at_most=999)
        assert listener.peak(begin) < 1000
    assert read("explorer.wait() or explorer.result.n_steps") == 16
    screen.idle(r"\d+")
    expect(screen.overlay).to_have_attribute("aria-label", re.compile(r"alpha 0\.35"))
    most = int(str(read("watch.most")))
    figure("jobs in flight during 2,000 slider events, the most", most, at_most=2)
    assert most <= 2
    # The picture is that of an explorer that was asked but once.
    drawn = screen.drawn().astype(int)
    read("[setattr(explorer, 'n_steps', 3), explorer.wait()]")
    screen.says("^idle")
    read("[setattr(explorer, 'n_steps', 16), explorer.wait()]")
    screen.says("^idle")
    assert np.abs(screen.drawn().astype(int) - drawn).max() <= 1
    assert drawn.std() > 20
    assert listener.tracebacks == []


def wait_until(read: Read, expression: str, value: object) -> None:
    """The page saves at most every 400 ms."""
    end = time.monotonic() + SECONDS / 100
    while read(expression) != pytest.approx(value) and time.monotonic() < end:
        threading.Event().wait(0.05)
    assert read(expression) == pytest.approx(value)


def test_floods_past_the_sliders(screen: Screen, page: Page, read: Read, listener: Listener, figure: Figure) -> None:
    begin, last = time.monotonic(), COUNT - 1
    wishes = [
        {"method": "update", "state": {"alpha": i / last, "n_steps": 1 + i % 64}, "buffer_paths": []}
        for i in range(COUNT)
    ]
    flood(page, read, wishes)
    wait_until(read, "explorer.n_steps, explorer.alpha", (1 + last % 64, 1.0))
    assert read("explorer.wait() or explorer.result.n_steps") == 1 + last % 64
    # The page draws each of the values that are repeated to it, and is behind for a minute: the kernel alone is asked.
    figure("1,000 updates on the comm in 5 s: iopub messages in the busiest second", listener.peak(begin), at_most=999)
    most, asked = read("watch.most, watch.asked")
    figure("jobs in flight during 1,000 updates on the comm, the most", most, at_most=2)
    figure("jobs begun for 1,000 updates on the comm", asked)
    assert most <= 2

    kinds: list[dict[str, object]] = [
        {"type": "export", "view": "v", "kind": "npz"},
        {"type": "gallery", "view": "v"},
        {"type": "dependence", "view": "v"},
        {"type": "upload", "view": "v", "name": "no file"},
        {"type": "want", "view": "v", "pane": 3},
    ]
    read("[setattr(explorer, 'show_dependence', True), explorer._dependence_worker.wait()]")
    begin = time.monotonic()
    flood(page, read, [{"method": "custom", "content": kinds[i % len(kinds)]} for i in range(COUNT)])
    assert read("explorer._chores.wait(60)") is True
    peak, kept = listener.peak(begin), read("len(explorer._chores._pending), len(explorer._wanting)")
    figure("1,000 requests of exports, gallery, dependence, files: iopub messages in the busiest second", peak)
    assert kept == (0, 0)
    assert int(str(read("len(explorer._early)"))) <= 16
    # It goes on as before.
    read("[setattr(explorer, 'baseline', 'blur'), setattr(explorer, 'n_steps', 5), explorer.wait()]")
    assert read("explorer.result.n_steps, explorer.baseline") == (5, "blur")
    assert listener.tracebacks == []
