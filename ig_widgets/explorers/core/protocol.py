"""The messages between an explorer and its front end, as ARCHITECTURE.md ("Messages") lays them down.

`js/src/protocol.ts` is the other side; the fixtures in tests/fixtures/protocol/ hold the two together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from ig_widgets.engine.rules import AUTO

Content: TypeAlias = dict[str, Any]
Message: TypeAlias = tuple[Content, list[bytes]]

# More than four panes are not seen at a glance.
MOST_PANES = 4
_VIEW_NAME_LENGTH = 64
TEXT_LENGTH = 1000
# What a float64 tells from its neighbours, and JavaScript calls safe.
_LARGEST = 2**53
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
class Gallery:
    """What the model says of each baseline on offer is to be shown."""

    view: str


@dataclass(frozen=True)
class Dependence:
    """The maps of how much depends on the baseline are to be shown."""

    view: str


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


class ProtocolError(ValueError):
    """A message that is not one of the protocol's."""


Beside: TypeAlias = Gallery | Dependence | Upload | Export
Heard: TypeAlias = Want | Ack | Leave | Cancel | Beside


def parse(content: object, buffers: Sequence[bytes | memoryview] = ()) -> Heard:
    """What a front end said. Raises ProtocolError for all else; nothing is acted on before it has passed here."""
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
    if kind == "gallery":
        return Gallery(view)
    if kind == "dependence":
        return Dependence(view)
    if kind == "upload":
        return Upload(view, _text(content, "name"), _file(buffers))
    if kind == "export":
        wanted = content.get("kind")
        if not isinstance(wanted, str) or wanted not in EXPORTS:
            raise ProtocolError(f"kind must be one of {', '.join(EXPORTS)}.")
        return Export(view, wanted)
    raise ProtocolError("type must be want, ack, leave, cancel, gallery, dependence, upload or export.")


def is_text(value: object) -> TypeGuard[str]:
    """A text of at most TEXT_LENGTH characters, all of which can be sent back (half a surrogate pair cannot)."""
    if not isinstance(value, str) or len(value) > TEXT_LENGTH:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def is_number(value: object) -> TypeGuard[float]:
    """A finite number that is no truth value, at most 2**53 either way."""
    if isinstance(value, float):
        return math.isfinite(value) and abs(value) <= _LARGEST
    return is_whole(value)


def is_whole(value: object) -> TypeGuard[int]:
    """A whole number that is no truth value, at most 2**53 either way."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _text(content: Mapping[object, object], name: str) -> str:
    value = content.get(name)
    if not is_text(value):
        raise ProtocolError(f"{name} must be a text of at most {TEXT_LENGTH} characters.")
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
    if not is_whole(value) or not 0 <= value < _LARGEST:
        raise ProtocolError(f"{name} must be a whole number from 0 on.")
    return value


# ---------------------------------------------------------------- kernel -> browser (the stream adds view and request)


SUM = "sum"


@dataclass(frozen=True)
class Settings:
    """The wish that a request answers. `n_steps` is 0 where the method samples to `tol`, which else is 0.

    `channel`: which part of the attribution is drawn, the sum over all or one of them.
    """

    baseline: str
    target: int
    output: str
    method: str
    n_steps: int
    tol: float
    channel: str = SUM

    @staticmethod
    def of(values: Mapping[str, Any]) -> Settings:
        """Of the values of the traits, with what does not matter set to 0."""
        by_tol = values["method"] == AUTO
        n_steps, tol = (0, values["tol"]) if by_tol else (values["n_steps"], 0.0)
        baseline, target, output = values["baseline"], values["target"], values["output"]
        return Settings(baseline, target, output, values["method"], n_steps, tol, values["channel"])


# Between baseline and input lies the straight line, another path, or none: samples are draws, alpha their share.
Kind: TypeAlias = Literal["straight", "curved", "draws"]


def begin(
    trace: int,
    settings: Settings,
    total: int,
    output_name: str,
    class_name: str,
    photo: npt.NDArray[np.uint8],
    baseline: npt.NDArray[np.uint8],
    path: Kind = "straight",
) -> Message:
    """A request has begun; photo and baseline are (height, width, 3)."""
    content = {
        "type": "begin",
        "trace": trace,
        "settings": vars(settings).copy(),
        "shape": list(photo.shape[:2]),
        "total": total,
        "output_name": output_name,
        "class_name": class_name,
        "path": path,
    }
    return content, [photo.tobytes(), baseline.tobytes()]


@dataclass(frozen=True)
class EncodedMap:
    """A sample's map as int16, little endian, and what one step is worth."""

    scale: float
    values: bytes


def encode(values: npt.NDArray[np.floating[Any]]) -> EncodedMap:
    """A map (height, width) in 16 bits: the error is at most half of 1 / 32767 of its largest value."""
    wide = values.astype(np.float64)  # in float32 the step of a map that nearly vanishes would be zero
    scale = float(np.abs(wide).max(initial=0.0)) / 32767
    if scale < np.finfo(np.float64).tiny:  # zeros, or what a step of too few bits would not divide
        scale = 1.0
    return EncodedMap(scale, np.rint(wide / scale).astype("<i2").tobytes())


def samples(trace: int, first: int, maps: Sequence[EncodedMap]) -> Message:
    """Maps with the ids `first`, `first` + 1, ... of a trace."""
    content = {
        "type": "samples",
        "trace": trace,
        "ids": list(range(first, first + len(maps))),
        "scales": [m.scale for m in maps],
    }
    return content, [m.values for m in maps]


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
    """The request is being computed still."""
    return {"type": "beat"}, []


def failed(kind: str, message: str, hint: str = "") -> Message:
    """The request ended without what it asked for: `kind` is "cancelled" or "error"."""
    return {"type": "failed", "kind": kind, "message": message, "hint": hint}, []


def file(name: str, data: bytes) -> Message:
    """A file that a view has asked for, to be saved by its reader."""
    return {"type": "file", "name": name}, [data]


def dependence(number: int, mean: npt.NDArray[np.floating[Any]], deviation: npt.NDArray[np.floating[Any]]) -> Message:
    """Mean and standard deviation (height, width) of the maps of several baselines; `number` as in `_dependence`."""
    encoded = [encode(mean), encode(deviation)]
    content = {
        "type": "dependence",
        "number": number,
        "shape": list(mean.shape),
        "scales": [one.scale for one in encoded],
    }
    return content, [one.values for one in encoded]
