"""Messages between an explorer and its front end; ARCHITECTURE.md ("Messages") explains them.

`js/src/core/protocol.ts` is the other side; the fixtures in tests/fixtures/protocol/ hold the two together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ig_widgets.explorers.core.display import Display
from ig_widgets.explorers.core.maps import EncodedMap
from ig_widgets.explorers.core.settings import Settings
from ig_widgets.explorers.widget.schema import LARGEST, TEXT_LENGTH, ProtocolError, is_integer, is_text

Content: TypeAlias = dict[str, Any]
Message: TypeAlias = tuple[Content, list[bytes]]

# More than four panes are not seen at a glance.
MOST_PANES = 4
_VIEW_NAME_LENGTH = 64
# Servers take about 10 MB in a message.
_FILE_BYTES = 10_000_000


# ---------------------------------------------------------------- browser -> kernel


@dataclass(frozen=True)
class Want:
    """A view of a pane has started, with nothing."""

    view: str
    pane: int


@dataclass(frozen=True)
class Ack:
    """A view has received `count` batches of samples, in all."""

    view: str
    count: int


@dataclass(frozen=True)
class Leave:
    """A view is shown nowhere any more."""

    view: str


@dataclass(frozen=True)
class Cancel:
    """Stop computing `request`."""

    view: str
    request: int


@dataclass(frozen=True)
class Request:
    """A view asks for what a panel has computed: `panel` is one of PANELS."""

    view: str
    panel: str


@dataclass(frozen=True)
class Upload:
    """A file for a baseline."""

    view: str
    name: str
    data: bytes


@dataclass(frozen=True)
class Export:
    """A file of what is shown; `kind` is one of EXPORTS."""

    view: str
    kind: str


EXPORTS = ("png", "svg", "npz", "html")
PANELS = ("baselines", "dependence")

PanelMessage: TypeAlias = Request | Upload | Export
FrontEndMessage: TypeAlias = Want | Ack | Leave | Cancel | PanelMessage


def parse(content: object, buffers: Sequence[bytes | memoryview] = ()) -> FrontEndMessage:
    """Parses a message of a front end. Raises ProtocolError where it is not valid."""
    if not isinstance(content, Mapping):
        raise ProtocolError(f"a message must be a mapping, got {type(content).__name__}.")
    kind, view = content.get("type"), content.get("view")
    if not is_text(view) or not 0 < len(view) <= _VIEW_NAME_LENGTH:
        raise ProtocolError(f"view must be a text of 1 to {_VIEW_NAME_LENGTH} characters.")
    if kind == "want":
        return Want(view, _natural(content, "pane"))
    if kind == "ack":
        return Ack(view, _natural(content, "count"))
    if kind == "leave":
        return Leave(view)
    if kind == "cancel":
        return Cancel(view, _natural(content, "request"))
    if kind == "request":
        return Request(view, _choice(content, "panel", PANELS))
    if kind == "upload":
        return Upload(view, _text(content, "name"), _file(buffers))
    if kind == "export":
        return Export(view, _choice(content, "kind", EXPORTS))
    raise ProtocolError("type must be want, ack, leave, cancel, request, upload or export.")


def _text(content: Mapping[object, object], name: str) -> str:
    value = content.get(name)
    if not is_text(value):
        raise ProtocolError(f"{name} must be a text of at most {TEXT_LENGTH} characters.")
    return value


def _choice(content: Mapping[object, object], name: str, choices: Sequence[str]) -> str:
    value = content.get(name)
    if not isinstance(value, str) or value not in choices:
        raise ProtocolError(f"{name} must be one of {', '.join(choices)}.")
    return value


def _file(buffers: Sequence[bytes | memoryview]) -> bytes:
    if len(buffers) != 1:
        raise ProtocolError(f"an upload has one buffer, got {len(buffers)}.")
    size = memoryview(buffers[0]).nbytes
    if size > _FILE_BYTES:
        raise ProtocolError(f"a file may have {_FILE_BYTES} bytes, got {size}.")
    return bytes(buffers[0])


def _natural(content: Mapping[object, object], name: str) -> int:
    value = content.get(name)
    if not is_integer(value) or not 0 <= value < LARGEST:
        raise ProtocolError(f"{name} must be an integer from 0 on.")
    return value


# ---------------------------------------------------------------- kernel -> browser (the stream adds view and request)


# Between baseline and input lies the straight line, another path, or none: samples are draws, alpha their share.
Kind: TypeAlias = Literal["straight", "curved", "draws"]


def begin(
    trace: int,
    settings: Settings,
    total: int,
    output_name: str,
    target_name: str,
    display: Display,
    path: Kind = "straight",
) -> Message:
    """A request has begun; the buffers are the arrays of `display`, in order."""
    content = {
        "type": "begin",
        "trace": trace,
        "settings": vars(settings).copy(),
        "total": total,
        "output_name": output_name,
        "target_name": target_name,
        "path": path,
        "display": display.to_data(),
    }
    return content, display.buffers()


def samples(trace: int, first: int, maps: Sequence[EncodedMap]) -> Message:
    """Maps with the ids `first`, `first` + 1, ... of a trace, all of one dtype."""
    content = {
        "type": "samples",
        "trace": trace,
        "ids": list(range(first, first + len(maps))),
        "scales": [m.scale for m in maps],
        "dtype": maps[0].dtype,
    }
    return content, [m.data for m in maps]


def plan(
    trace: int,
    entries: list[tuple[int, float, float, float]],
    outputs: list[tuple[float, float]],
    density: list[tuple[float, float]],
    total: float,
    delta: float | None,
    evaluations: int,
    final: bool,
    error: float | None = None,
) -> Message:
    """How to add the samples up: (id, weight, from alpha, to alpha) each, and what the path looks like.

    `delta` is None where completeness is not claimed.
    """
    content = {
        "type": "plan",
        "trace": trace,
        "entries": [list(entry) for entry in entries],
        "outputs": [list(point) for point in outputs],
        "density": [list(point) for point in density],
        "sum": total,
        "delta": delta,
        "error": error,
        "evaluations": evaluations,
        "final": final,
    }
    return content, []


def done(evaluations: int, elapsed: float) -> Message:
    """The request is answered, after so many gradient evaluations of its own and so many seconds."""
    return {"type": "done", "evaluations": evaluations, "elapsed": elapsed}, []


def beat() -> Message:
    """The request is still being computed."""
    return {"type": "beat"}, []


def failed(kind: str, message: str, hint: str = "") -> Message:
    """The request ended without what it asked for: `kind` is "cancelled" or "error"."""
    return {"type": "failed", "kind": kind, "message": message, "hint": hint}, []


def file(name: str, data: bytes) -> Message:
    """A file that a view has asked for, to be saved by its reader."""
    return {"type": "file", "name": name}, [data]


def maps(panel: str, number: int, shape: Sequence[int], named: Mapping[str, EncodedMap]) -> Message:
    """Maps of `shape` that a panel shows, by name; `number` tells which of its states they belong to."""
    encoded = list(named.values())
    content = {
        "type": "maps",
        "panel": panel,
        "number": number,
        "names": list(named),
        "shape": list(shape),
        "scales": [one.scale for one in encoded],
        "dtype": encoded[0].dtype,
    }
    return content, [one.data for one in encoded]
