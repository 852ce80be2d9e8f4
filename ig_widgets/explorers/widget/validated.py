"""Validates state and messages from the front end; an update is applied whole or rejected with a sentence."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anywidget
import traitlets

from ig_widgets.engine.errors import IGError
from ig_widgets.explorers.widget import schema
from ig_widgets.explorers.widget.rate_limit import RateLimit
from ig_widgets.texts import shorten, whole

# A sentence that quotes a rejected value may be as long as that value.
_REJECTION_LENGTH = 400

_log = logging.getLogger(__name__)


@dataclass
class _Reply:
    """What is to be sent and logged next: the values of traits by `names`, and one of `count` log lines."""

    names: set[str] = field(default_factory=set)
    line: str = ""
    count: int = 0


class ValidatedWidget(anywidget.AnyWidget):
    """A widget that checks what a front end sends before anything acts on it.

    A front end may set the traits that have the tag `write`, a `schema.Form`. `_notice` is the newest sentence for the
    status line. Notices, values that stay and whole states are replies, each of which costs a message; to a flood of
    updates there are few of them, the last of which holds the newest values.
    """

    _notice: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True, recorded=False)
    # ipywidgets counts the views in the front end.
    _view_count = traitlets.Int(None, allow_none=True).tag(sync=True, write=schema.COUNT)

    def __init__(self, **traits: Any) -> None:
        self._reply = _Reply()
        self._reply_lock = threading.Lock()
        self._replies = RateLimit(self._send_reply)
        super().__init__(**traits)
        # ipykernel 7.4 passes a message to the subshell that sent the last one, even when that has ended. Then an
        # explorer would hear nothing after its page is loaded anew.
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda _data, default: default

    def close(self) -> None:
        """Closes the widget and its views; replies that wait are dropped."""
        # __del__ calls this too where a constructor has rejected its arguments.
        if (replies := vars(self).get("_replies")) is not None:
            replies.close()
        super().close()

    def send_state(self, key: Any = None) -> None:
        """Sends traits as ipywidgets does; a notice is rate-limited."""
        if key == "_notice":
            self._queue_reply([key])
        else:
            super().send_state(key)

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Applies what a front end has set: all of it, or nothing where one value is not valid.

        A rejected update is answered with a sentence and the values that stay; other views are told nothing of it.
        """
        forms = schema.writable(type(self))
        if foreign := [name for name in sync_data if name not in forms]:
            names = ", ".join(repr(name[:40]) for name in foreign[:4])
            self._queue_reply(self._known_traits(sync_data), f"a front end cannot set {names}.")
            return
        try:
            for name, value in sync_data.items():
                forms[name].check(name, value)
                # All validators run before the first value is set, since a later one may fail.
                self._validated(name, value)
        except Exception as error:  # noqa: BLE001  (a baseline may be a user's function, which raises anything)
            self._reject(sync_data, error)
            return
        try:
            super().set_state(sync_data)
        except traitlets.TraitError as error:
            self._reject(sync_data, error)

    def _handle_msg(self, msg: object) -> None:
        """Handles a comm message; one of a form that ipywidgets does not know is logged and ignored."""
        try:
            message = schema.clean(msg)
        except schema.ProtocolError as error:
            self._queue_reply(line=f"a message was ignored: {error}")
            return
        if message["content"]["data"]["method"] == "request_state":
            self._queue_reply(self.keys)
            return
        super()._handle_msg(message)

    def _notify(self, text: str, *, lasts: bool = False) -> None:
        """Shows a sentence in the status line of every view, "" none; views opened later see one that `lasts`."""
        number = self._notice.get("number", 0) + 1
        self._notice = {"text": shorten(whole(text), 2000), "number": number, "lasts": lasts}

    def _validated(self, name: str, value: Any) -> Any:
        """Returns the value as the trait would hold it. Raises TraitError."""
        trait = self.traits()[name]
        value = trait._validate(self, value)
        # While ipywidgets applies a state, `_validate` checks the type alone.
        return trait._cross_validate(self, value) if self._cross_validation_lock else value

    def _queue_reply(self, names: Iterable[str] = (), line: str = "") -> None:
        """Sends the values of these traits and logs a line, now or soon."""
        self._add_to_reply(names, line)
        self._replies.call()

    def _add_to_reply(self, names: Iterable[str], line: str) -> None:
        with self._reply_lock:
            self._reply.names.update(names)
            if line:
                self._reply.line, self._reply.count = line, self._reply.count + 1

    def _send_reply(self) -> None:
        with self._reply_lock:
            reply, self._reply = self._reply, _Reply()
        if reply.count:
            more = f" ({reply.count - 1} more messages were refused since the last line)" if reply.count > 1 else ""
            _log.warning("%s: %s%s", type(self).__name__, reply.line, more)
        if reply.names:
            super().send_state(sorted(reply.names))

    def _reject(self, state: Mapping[str, Any], error: Exception) -> None:
        known = isinstance(error, traitlets.TraitError | schema.ProtocolError | IGError)
        text = str(error) if known else f"{', '.join(state)} cannot be set: {type(error).__name__}: {error}"
        text = text if len(text) <= _REJECTION_LENGTH else f"{text[:_REJECTION_LENGTH]}..."
        # The notice itself is sent by the same reply.
        self._add_to_reply(self._known_traits(state), text)
        self._notify(text)

    def _known_traits(self, state: Mapping[str, Any]) -> list[str]:
        """Returns the names in it that are synchronised traits of this widget."""
        return [name for name in state if name in self.keys]
