"""What a browser may set of an explorer, and in what form: looked at before anything acts on it.

A synchronised trait can be set by whatever speaks on its comm. What a person chooses may be; everything else (what the
kernel offers, the front end's own code, the names of its modules) is the kernel's. Here is the form alone: type, size,
finite numbers. What a value means (a known name, a range) is for the trait's validator to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ig_widgets.explorers.core.protocol import MOST_PANES, ProtocolError, is_number, is_text, is_whole
from ig_widgets.explorers.image.regions import MOST_REGIONS

Check: TypeAlias = Callable[[str, object], None]


def clean(message: object) -> dict[str, Any]:
    """Of a comm message the parts that ipywidgets reads. Raises ProtocolError for one of another form."""
    content = message.get("content") if isinstance(message, Mapping) else None
    data = content.get("data") if isinstance(content, Mapping) else None
    if not isinstance(message, Mapping) or not isinstance(data, Mapping):
        raise ProtocolError("a message must have content with data.")
    match data.get("method"):
        case "request_state":
            return _wrapped({"method": "request_state"}, [])
        case "custom":
            buffers = message.get("buffers") or []
            if not isinstance(buffers, list | tuple) or not all(isinstance(b, bytes | memoryview) for b in buffers):
                raise ProtocolError("the buffers of a message must be bytes.")
            return _wrapped({"method": "custom", "content": data.get("content")}, list(buffers))
        case "update":
            state = data.get("state")
            if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
                raise ProtocolError("a state must be a mapping from names.")
            # Nothing that can be chosen is binary.
            if data.get("buffer_paths") or message.get("buffers"):
                raise ProtocolError("a state has no buffers.")
            return _wrapped({"method": "update", "state": state}, [])
    raise ProtocolError("the method of a message must be update, request_state or custom.")


def _wrapped(data: dict[str, Any], buffers: list[bytes | memoryview]) -> dict[str, Any]:
    return {"content": {"data": data}, "buffers": buffers}


# ---------------------------------------------------------------- the form of what can be chosen


def _number(name: str, value: object) -> None:
    if not is_number(value):
        raise ProtocolError(f"{name} must be a finite number.")


def _whole(name: str, value: object) -> None:
    if not is_whole(value):
        raise ProtocolError(f"{name} must be a whole number.")


def _text(name: str, value: object) -> None:
    if not is_text(value):
        raise ProtocolError(f"{name} must be a short text.")


def _class(name: str, value: object) -> None:
    if not is_whole(value) and not is_text(value):
        raise ProtocolError(f"{name} must be a whole number or a short text.")


def _flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ProtocolError(f"{name} must be true or false.")


def _count(name: str, value: object) -> None:
    if value is not None:
        _whole(name, value)


def _panes(name: str, value: object) -> None:
    if not isinstance(value, list) or len(value) > MOST_PANES:
        raise ProtocolError(f"{name} must be a list of at most {MOST_PANES}.")
    for pane in value:
        if not isinstance(pane, dict) or not pane.keys() <= WISHES.keys():
            raise ProtocolError(f"{name} may differ in {', '.join(WISHES)}.")
        for wish, wished in pane.items():
            WISHES[wish](wish, wished)


def _regions(name: str, value: object) -> None:
    # What each is, its pixels tell.
    if not isinstance(value, list) or len(value) > MOST_REGIONS or not all(isinstance(one, dict) for one in value):
        raise ProtocolError(f"{name} must be a list of at most {MOST_REGIONS} regions.")


# What is asked of the model.
WISHES: dict[str, Check] = {
    "baseline": _text,
    "target": _class,
    "output": _text,
    "method": _text,
    "n_steps": _whole,
    "tol": _number,
    "channel": _text,
}
# All that a browser may set: `Chosen` of js/src/traits.ts, and what ipywidgets counts.
CHOSEN: dict[str, Check] = {
    **WISHES,
    "alpha": _number,
    "opacity": _number,
    "clip": _number,
    "sign": _text,
    "ground": _text,
    "colormap": _text,
    "show_dependence": _flag,
    "_panes": _panes,
    "_regions": _regions,
    "_view_count": _count,
}
