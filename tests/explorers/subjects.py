"""What the explorers' tests explain, and the comm through which they are watched."""

from __future__ import annotations

import json
import queue
import threading
from typing import Any, TypeVar

import numpy as np
import torch
from comm.base_comm import BaseComm
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.explorers.core.panel import Panel
from ig_widgets.explorers.core.panes import Panes
from ig_widgets.explorers.widget.tasks import Tasks
from tests.explorers.front_end import View

METHODS = ("riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid", "gausslegendre")
BASELINES = ("black", "white", "mean grey", "blur", "noise", "gaussian noise", "max distance", "shuffled", "colour")
LABELS = ["tench", "Egyptian cat", "espresso", "rocket", "<b>tench</b>"]
AnyPanel = TypeVar("AnyPanel", bound=Panel)

SECONDS = 30.0  # nothing takes so long; what does, hangs


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def photo(seed: int = 0, channels: int = 3, height: int = 16, width: int = 16) -> Tensor:
    """A picture (channels, height, width) in [0, 1], in float64."""
    return torch.rand(channels, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Classifier(nn.Module):
    """Two convolutions and a linear layer, for pictures (rows, channels, height, width), with ReLU."""

    def __init__(
        self, *, channels: int = 3, classes: int = 5, seed: int = 0, dtype: torch.dtype = torch.float64
    ) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 8, 3, stride=2)
        self.last = nn.Linear(8, classes)
        for i, parameter in enumerate(self.parameters()):
            parameter.data = draw(seed + i, *parameter.shape) * (3 / parameter[0].numel()) ** 0.5
        self.to(dtype).eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.second(torch.relu(self.first(x)))).mean((2, 3)))


class Normed(nn.Module):
    """A smooth classifier of pictures behind a norm: from black, nearly all of F changes beside the baseline."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(shape, dtype=torch.float64)
        self.last = nn.Linear(photo(0, *shape).numel(), 5, dtype=torch.float64)
        for i, parameter in enumerate(self.last.parameters()):
            parameter.data = draw(i, *parameter.shape)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.norm(x)).flatten(1))


class Routed(Normed):
    """Of pictures that are bright enough another expert answers: F jumps by `jump` on the way from black."""

    jump = 30.0

    def forward(self, x: Tensor) -> Tensor:
        bright = x.flatten(1).mean(1, keepdim=True) > 0.2
        return super().forward(x) + self.jump * bright


class Watching(nn.Module):
    """Before a model's class: counts the rows that go through it, and can make it wait in a pass with gradient."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.rows_with_gradient = 0
        self.rows_without_gradient = 0
        self.entered = threading.Event()
        self._open = threading.Event()
        self._open.set()
        self._passes_before = 0

    @property
    def rows(self) -> int:
        return self.rows_with_gradient + self.rows_without_gradient

    def block(self, after: int = 0) -> None:
        """From now on let `after` passes with gradient through, and hold the next one until `release`."""
        self.entered.clear()
        self._passes_before = after
        self._open.clear()

    def await_entry(self) -> None:
        assert self.entered.wait(SECONDS), "the model was not called"

    def release(self) -> None:
        self._open.set()

    def forward(self, x: Tensor) -> Tensor:
        if not x.requires_grad:
            self.rows_without_gradient += len(x)
            return super().forward(x)
        if not self._open.is_set():
            if self._passes_before > 0:
                self._passes_before -= 1
            else:
                self.entered.set()
                assert self._open.wait(SECONDS), "the model was not released"
        self.rows_with_gradient += len(x)
        return super().forward(x)


class Watched(Watching, Classifier):
    """The classifier, watched."""


class AtOnce(nn.Module):
    """Counts how many passes are in a model at once.

    Without hooks: a pass that is cancelled is left by what is no Exception, and hooks that are always called are not
    then.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.now = self.most = 0
        self._lock = threading.Lock()

    def forward(self, x: Tensor) -> Tensor:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return self.inner(x)
        finally:
            with self._lock:
                self.now -= 1


class FakeComm(BaseComm):
    """The wire to a browser: what is sent arrives on a thread of its own, in order, at the views that listen."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.closed = False
        self.files: list[Any] = []
        self.custom: list[dict[str, Any]] = []
        self.views: list[View] = []
        self.trouble: list[Exception] = []
        self._wire: queue.Queue[tuple[dict[str, Any], list[bytes]] | None] = queue.Queue()
        self._browser = threading.Thread(target=self._deliver, name="browser", daemon=True)
        self._browser.start()
        super().__init__(*args, **options)

    def publish_msg(self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **_: Any) -> None:
        if msg_type == "comm_close":
            self.closed = True
            self.on_msg(None)
        data = data or {}
        if data.get("method") == "custom":
            # What cannot be written as JSON would not arrive.
            content = json.loads(json.dumps(data["content"], allow_nan=False))
            self.custom.append(content)
            message = (content, [bytes(buffer) for buffer in buffers or []])
            if content["type"] == "file":
                self.files.append(message)
            else:
                self._wire.put(message)

    def _deliver(self) -> None:
        while (message := self._wire.get()) is not None:
            for view in self.views:
                try:
                    view.receive(*message)
                except Exception as error:  # noqa: BLE001  (told when the test ends)
                    self.trouble.append(error)
            self._wire.task_done()
        self._wire.task_done()

    def settle(self) -> None:
        """Wait until all that was sent, and all that was sent in reply, has arrived."""
        self._wire.join()

    def shut(self) -> None:
        self._wire.put(None)
        self._browser.join(SECONDS)

    def hear(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        """A custom message from the browser."""
        data = {"method": "custom", "content": content}
        self.handle_msg({"content": {"data": data}, "buffers": [memoryview(b) for b in buffers or []]})

    def set_traits(self, **state: Any) -> None:
        """The browser changes traits."""
        data = {"method": "update", "state": state, "buffer_paths": []}
        self.handle_msg({"content": {"data": data}, "buffers": [], "parent_header": {"msg_id": "browser"}})

    def open_view(self, name: str = "a view", *, acknowledges: bool = True, pane: int = 0) -> View:
        """A front end starts."""
        view = View(self.hear, name, acknowledges=acknowledges, pane=pane)
        self.views.append(view)
        view.want()
        self.settle()
        return view


def ready(explorer: Any) -> Any:
    """Its result, once it is there."""
    explorer.wait(SECONDS)
    return explorer.result


# What tests reach of an explorer beside its public names and its synchronised traits.


def panel(explorer: Any, kind: type[AnyPanel]) -> AnyPanel:
    """Its panel of a kind."""
    found = explorer._panel(kind)
    assert isinstance(found, kind)
    return found


def panes_of(explorer: Any) -> Panes:
    panes: Panes = explorer._pane_list
    return panes


def subject_of(explorer: Any) -> Any:
    return explorer._subject


def tasks_of(explorer: Any) -> Tasks:
    """What is done beside the sampling."""
    tasks: Tasks = explorer._tasks
    return tasks


def reference(model: nn.Module, image: Tensor, explorer: Any) -> Tensor:
    """What the engine alone makes of the explorer's wishes, from black or white."""
    baseline = {"black": 0.0, "white": 1.0}[explorer.baseline]
    return igw.attribute(
        Classifier.forward.__get__(model) if isinstance(model, Watched) else model,
        image[None],
        baselines=baseline,
        target=explorer.target,
        method=explorer.method,
        n_steps=explorer.n_steps,
    ).attributions


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    assert float((ours - theirs).abs().max()) <= 1e-6 * float(theirs.abs().max())


def as_picture(values: Tensor) -> np.ndarray[Any, Any]:
    """(channels, height, width) in [0, 1] as bytes (height, width, channels)."""
    return (values * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
