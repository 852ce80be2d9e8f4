"""Floods in a real JupyterLab, by the sliders and past them: the kernel works for the newest wish alone."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
import zmq
from playwright.sync_api import Page, expect

from benchmarks._jupyter import Lab, run_notebook
from tests.browser.screen import SECONDS, Screen

pytestmark = [pytest.mark.browser, pytest.mark.robustness]

Read = Callable[[str], object]
Figure = Callable[..., None]

DEPENDENCE = "next(one for one in explorer._panels if type(one).__name__ == 'DependencePanel')"
COUNT = 1000
CELL = """
import threading
import weakref
import torch
import ig_widgets as igw
from ig_widgets.explorers.widget import validated
from ig_widgets.explorers.core import pane

class Watch:
    lock, now, most, asked, floods = threading.RLock(), 0, 0, 0, 0

    def gone(self):
        with self.lock:
            self.now -= 1

watch = Watch()

class Watched(pane.Worker):
    # A job is in flight from when it is handed in until nothing holds it any more: it has run, or was dropped.
    def submit(self, job):
        def watched(cancel):
            job(cancel)
        with watch.lock:
            watch.now += 1
            watch.asked += 1
        weakref.finalize(watched, watch.gone)
        super().submit(watched)
        del watched
        with watch.lock:
            watch.most = max(watch.most, watch.now)

pane.Worker = Watched
handle = validated.ValidatedWidget._handle_msg

def heard(explorer, message):
    handle(explorer, message)
    watch.floods += "the end of a flood" in str(message["content"])

validated.ValidatedWidget._handle_msg = heard
picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
model = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 5), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(3), torch.nn.Flatten(), torch.nn.Linear(72, 5)
).eval()
explorer = igw.ImageExplorer(model, picture, n_steps=8)
explorer
"""


# Of ipykernel for each message that it hears, and of ipywidgets for each state that is taken. All else is ours.
STATUS, ECHO, OURS = "busy and idle", "echoes of states", "the explorer's own"


class Listener:
    """What a kernel publishes, and when, by whose it is; `shown` is what pages have been told of an explorer."""

    def __init__(self, lab: Lab) -> None:
        files = (lab.log.parent / "JUPYTER_RUNTIME_DIR").glob("kernel-*.json")
        at = json.loads(max(files, key=lambda file: file.stat().st_mtime).read_text())
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.connect(f"{at['transport']}://{at['ip']}:{at['iopub_port']}")
        self.at: dict[str, list[float]] = {STATUS: [], ECHO: [], OURS: []}
        self.shown: dict[str, object] = {}
        self.tracebacks: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._stop.is_set():
            if not self._socket.poll(200):
                continue
            frames = self._socket.recv_multipart()
            _, header, _, _, content, *_ = frames[frames.index(b"<IDS|MSG>") + 1 :]
            kind = json.loads(header)["msg_type"]
            data = json.loads(content).get("data", {}) if kind == "comm_msg" else {}
            if data.get("method") == "update":
                self.shown |= data["state"]
            whose = STATUS if kind == "status" else ECHO if data.get("method") == "echo_update" else OURS
            self.at[whose].append(time.monotonic())
            if kind == "error" or b"Traceback" in content:
                self.tracebacks.append(content.decode())

    def peak(self, since: float, whose: Iterable[str] = (STATUS, ECHO, OURS)) -> int:
        """The most messages within any second that begins with a message."""
        times = np.sort([at for one in whose for at in self.at[one] if at >= since])
        return int((np.searchsorted(times, times + 1) - np.arange(len(times))).max(initial=0))

    def tell(self, figure: Figure, what: str, since: float) -> None:
        """Servers drop what is over 1,000 a second, busy and idle aside."""
        figure(f"{what}: iopub messages in the busiest second", self.peak(since, (ECHO, OURS)), at_most=999)
        figure(f"{what}: of these the explorer's own", self.peak(since, (OURS,)), at_most=999)
        figure(f"{what}: beside these, busy and idle of ipykernel", self.peak(since, (STATUS,)))

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

# Straight to the kernel, as a script in the page could; JupyterLab's own throttle is not in the way.
FLOOD = """([id, messages, seconds]) => new Promise((resolve) => {
    const comm = jupyterapp.shell.currentWidget.sessionContext.session.kernel._comms.get(id);
    const begin = performance.now();
    let sent = 0;
    const turn = () => {
        const share = seconds === 0 ? 1 : Math.min(1, (performance.now() - begin) / seconds / 1000);
        while (sent < share * messages.length) comm.send(messages[sent++]);
        if (sent < messages.length) setTimeout(turn, 1);
        else resolve();
    };
    turn();
})"""


def flood(page: Page, read: Read, messages: list[dict[str, object]], seconds: float = 5) -> float:
    """Spread over so many seconds, 0 is as fast as can be; returns how long it took the kernel to hear all of them."""
    begin, before = time.monotonic(), int(str(read("watch.floods")))
    end = {"method": "custom", "content": {"type": "leave", "view": "the end of a flood"}}
    page.evaluate(FLOOD, [read("explorer.comm.comm_id"), [*messages, end], seconds])
    wait_until(read, "watch.floods", before + 1)
    return time.monotonic() - begin


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
        listener.tell(figure, f"1,000 events of {name}", begin)
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
    """The page saves at most every 400 ms, and a kernel on a busy machine takes its time."""
    end = time.monotonic() + 60
    while read(expression) != value and time.monotonic() < end:
        threading.Event().wait(0.05)
    assert read(expression) == value


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
    listener.tell(figure, "1,000 updates on the comm in 5 s", begin)
    most, asked = read("watch.most, watch.asked")
    figure("jobs in flight during 1,000 updates on the comm, the most", most, at_most=2)
    figure("jobs handed in for 1,000 updates on the comm", asked)
    # A run that takes longer than until the next wish has that one behind it.
    assert asked > 64
    assert most <= 2

    kinds: list[dict[str, object]] = [
        {"type": "export", "view": "v", "kind": "npz"},
        {"type": "request", "view": "v", "panel": "baselines"},
        {"type": "request", "view": "v", "panel": "dependence"},
        {"type": "upload", "view": "v", "name": "no file"},
        {"type": "want", "view": "v", "pane": 3},
    ]
    read(f"[setattr(explorer, 'show_dependence', True), {DEPENDENCE}._worker.wait()]")
    begin = time.monotonic()
    flood(page, read, [{"method": "custom", "content": kinds[i % len(kinds)]} for i in range(COUNT)])
    assert read("explorer._tasks.wait(60)") is True
    listener.tell(figure, "1,000 requests of exports, gallery, dependence, files in 5 s", begin)
    assert read(f"len(explorer._tasks._pending), len({DEPENDENCE}._requesting)") == (0, 0)
    assert int(str(read("len(explorer._pane_list._waiting_views)"))) <= 16
    # It goes on as before.
    read("[setattr(explorer, 'baseline', 'blur'), setattr(explorer, 'n_steps', 5), explorer.wait()]")
    assert read("explorer.result.n_steps, explorer.baseline") == (5, "blur")
    assert listener.tracebacks == []


def test_a_flood_of_what_is_refused(screen: Screen, page: Page, read: Read, listener: Listener, figure: Figure) -> None:
    """As fast as a page can send it."""
    states: list[dict[str, object]] = [
        {"n_steps": 0},
        {"alpha": 2},
        {"baseline": "<img src=x onerror=alert(1)>"},
        {"_labels": ["other"], "opacity": 0.5},
        {"colormap": "mud", "clip": 70},
    ]
    last: dict[str, object] = {"sign": "none", "clip": 1000}
    others: list[dict[str, object]] = [
        {"method": "request_state"},
        {"method": "obey"},
        {"method": "custom", "content": {"type": "want", "view": "somebody", "pane": 0}},
        {"method": "custom", "content": {"type": "want"}},
    ]
    count = 600  # of which JupyterLab's own page needs 11 ms each, for the busy and idle of its kernel
    refused = [{"method": "update", "state": states[i % len(states)], "buffer_paths": []} for i in range(count - 1)]
    refused.append({"method": "update", "state": last, "buffer_paths": []})

    def check(what: str, messages: list[dict[str, object]]) -> None:
        begin = time.monotonic()
        seconds = flood(page, read, messages, 0)
        figure(f"600 {what} as fast as can be: heard by the kernel in", seconds, " s")
        wait_until(read, "explorer._replies._timer, explorer._pane_list._serving._timer", (None, None))
        listener.tell(figure, f"600 {what} as fast as can be", begin)
        # Ten answers a second, each a state or a picture with its samples; and lines in the log.
        ours = sum(at >= begin for at in listener.at[OURS])
        assert ours < 100 * (time.monotonic() - begin + 1)

    check("refused states", refused)
    # The values that stay are there in the end, and the sentence that says why.
    assert read("explorer._notice['number']") == sum("_labels" not in str(message) for message in refused)
    expect(screen.root.get_by_role("alert")).to_contain_text("sign", timeout=90 * SECONDS)
    names = {name for state in (*states, last) for name in state}
    held = read(f"{{name: getattr(explorer, name) for name in {names}}}")
    assert {name: listener.shown[name] for name in names} == held
    assert (listener.shown["n_steps"], listener.shown["sign"]) == (8, "all")
    expect(screen.slider("steps")).to_have_value("8")
    expect(screen.slider("alpha")).to_have_value("1")

    check("requests for state, views, and what is none", others * (count // len(others)))
    # It goes on as before.
    read("[setattr(explorer, 'n_steps', 5), explorer.wait()]")
    screen.idle("5")
    assert listener.tracebacks == []
