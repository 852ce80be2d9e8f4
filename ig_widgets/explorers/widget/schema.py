"""Schema of the state and the messages that a front end may send.

Anything that speaks on a widget's comm can try to set a synchronised trait. Only traits with the tag `write` may be set
so, and only to values of that `Form`: a type, a size, finite numbers. What a value means (a known name, a range) is
checked by the trait's validator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

import traitlets

TEXT_LENGTH = 1000
# The largest integer that a float64 tells from its neighbours, which JavaScript calls safe.
LARGEST = 2**53

Check: TypeAlias = Callable[[str, object], None]


class ProtocolError(ValueError):
    """A message or a value that the protocol does not allow."""


@dataclass(frozen=True)
class Form:
    """The form of a trait that a front end may write.

    `name`: how the front end calls it (js/src/core/forms.ts). `check(trait, value)` raises ProtocolError.
    """

    name: str
    check: Check


def writable(widget: type[traitlets.HasTraits]) -> dict[str, Form]:
    """Returns the traits of a widget class that a front end may write, and the form of each."""
    tags = {name: trait.metadata.get("write") for name, trait in widget.class_traits().items()}
    return {name: form for name, form in tags.items() if isinstance(form, Form)}


def clean(message: object) -> dict[str, Any]:
    """Returns the parts of a comm message that ipywidgets reads. Raises ProtocolError for any other message."""
    content = message.get("content") if isinstance(message, Mapping) else None
    data = content.get("data") if isinstance(content, Mapping) else None
    if not isinstance(message, Mapping) or not isinstance(data, Mapping):
        raise ProtocolError("a message must have content with data.")
    match data.get("method"):
        case "request_state":
            return _message({"method": "request_state"}, [])
        case "custom":
            buffers = message.get("buffers") or []
            if not isinstance(buffers, list | tuple) or not all(isinstance(b, bytes | memoryview) for b in buffers):
                raise ProtocolError("the buffers of a message must be bytes.")
            return _message({"method": "custom", "content": data.get("content")}, list(buffers))
        case "update":
            state = data.get("state")
            if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
                raise ProtocolError("a state must be a mapping from names.")
            # No writable trait is binary.
            if data.get("buffer_paths") or message.get("buffers"):
                raise ProtocolError("a state has no buffers.")
            return _message({"method": "update", "state": state}, [])
    raise ProtocolError("the method of a message must be update, request_state or custom.")


def _message(data: dict[str, Any], buffers: list[bytes | memoryview]) -> dict[str, Any]:
    return {"content": {"data": data}, "buffers": buffers}


# ---------------------------------------------------------------- types


def is_text(value: object) -> TypeGuard[str]:
    """Whether this is a text of at most TEXT_LENGTH characters that can be sent back (lone surrogates cannot)."""
    if not isinstance(value, str) or len(value) > TEXT_LENGTH:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def is_number(value: object) -> TypeGuard[float]:
    """Whether this is a finite number, no bool, at most 2**53 either way."""
    if isinstance(value, float):
        return math.isfinite(value) and abs(value) <= LARGEST
    return is_integer(value)


def is_integer(value: object) -> TypeGuard[int]:
    """Whether this is an integer, no bool, at most 2**53 either way."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST


# ---------------------------------------------------------------- forms


def _check_number(name: str, value: object) -> None:
    if not is_number(value):
        raise ProtocolError(f"{name} must be a finite number.")


def _check_integer(name: str, value: object) -> None:
    if not is_integer(value):
        raise ProtocolError(f"{name} must be an integer.")


def _check_text(name: str, value: object) -> None:
    if not is_text(value):
        raise ProtocolError(f"{name} must be a short text.")


def _check_target(name: str, value: object) -> None:
    if not is_integer(value) and not is_text(value):
        raise ProtocolError(f"{name} must be an integer or a short text.")


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ProtocolError(f"{name} must be true or false.")


def _check_count(name: str, value: object) -> None:
    if value is not None:
        _check_integer(name, value)


NUMBER = Form("number", _check_number)
INTEGER = Form("integer", _check_integer)
TEXT = Form("text", _check_text)
TARGET = Form("target", _check_target)
FLAG = Form("flag", _check_flag)
COUNT = Form("count", _check_count)
