"""What a browser sends an explorer passes here: heeded whole, or refused in words; nothing of it acts before."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anywidget
import traitlets

from ig_widgets.engine.errors import IGError
from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.widget import schema as hearing
from ig_widgets.explorers.widget.rate_limit import Throttle
from ig_widgets.texts import shorten, whole

# A sentence that repeats what it was sent may be as long as that.
_REFUSAL_LENGTH = 400

_log = logging.getLogger(__name__)


@dataclass
class _Owed:
    """What is to be answered: the values of traits by `names`, and for the log one of `count` lines."""

    names: set[str] = field(default_factory=set)
    line: str = ""
    count: int = 0


class Gate(anywidget.AnyWidget):
    """A widget that looks at what it is sent. `_notice` is the newest sentence for the status line.

    Notices, values that stay and whole states are answers, each a message, and lines in the log cost as well: to a
    flood there are few of them, the last of which holds what is so by then.
    """

    _notice: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self._owed = _Owed()
        self._owing = threading.Lock()
        self._answers = Throttle(self._send_owed)
        super().__init__(**traits)
        # ipykernel 7.4 hands what a front end says to the subshell that it heard last, also one that has ended.
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda _data, default: default

    def close(self) -> None:
        """Close the widget and its views; what is owed is dropped."""
        # __del__ comes here where the constructor has refused its arguments.
        if (answers := vars(self).get("_answers")) is not None:
            answers.close()
        super().close()

    def send_state(self, key: Any = None) -> None:
        """As ipywidgets has it; a notice waits for its turn."""
        if key == "_notice":
            self._owe([key])
        else:
            super().send_state(key)

    def _owe(self, names: Iterable[str] = (), line: str = "") -> None:
        """Send the values of these traits, and write a line to the log, now or soon."""
        self._add(names, line)
        self._answers.ask()

    def _add(self, names: Iterable[str], line: str) -> None:
        """To what is sent and written next."""
        with self._owing:
            self._owed.names.update(names)
            if line:
                self._owed.line, self._owed.count = line, self._owed.count + 1

    def _send_owed(self) -> None:
        with self._owing:
            owed, self._owed = self._owed, _Owed()
        if owed.count:
            more = f" ({owed.count - 1} more messages were refused since the last line)" if owed.count > 1 else ""
            _log.warning("%s: %s%s", type(self).__name__, owed.line, more)
        if owed.names:
            super().send_state(sorted(owed.names))

    def _say(self, text: str, *, lasts: bool = False) -> None:
        """A sentence for the status line of every view, or none any more; one that `lasts` also for those to come."""
        number = self._notice.get("number", 0) + 1
        self._notice = {"text": shorten(whole(text), 2000), "number": number, "lasts": lasts}

    def _handle_msg(self, msg: object) -> None:
        """A message of a front end. One of another form than ipywidgets' is left alone, with a line in the log."""
        try:
            message = hearing.clean(msg)
        except protocol.ProtocolError as error:
            self._owe(line=f"a message was ignored: {error}")
            return
        if message["content"]["data"]["method"] == "request_state":
            self._owe(self.keys)
            return
        super()._handle_msg(message)

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """What a front end has set: all of it, or nothing where one value cannot be.

        What cannot be is answered in words, and by the values that stay; nothing of it is repeated to other views.
        """
        if foreign := [name for name in sync_data if name not in hearing.CHOSEN or name not in self.keys]:
            names = ", ".join(repr(name[:40]) for name in foreign[:4])
            self._owe(self._own(sync_data), f"a front end cannot set {names}.")
            return
        try:
            for name, value in sync_data.items():
                hearing.CHOSEN[name](name, value)
                # By all that it has to pass: later on a first value would be set already where a second fails.
                self._checked(name, value)
        except Exception as error:  # noqa: BLE001  (a baseline may be a person's function, which raises what it likes)
            self._refuse(sync_data, error)
            return
        try:
            super().set_state(sync_data)
        except traitlets.TraitError as error:
            self._refuse(sync_data, error)

    def _refuse(self, state: Mapping[str, Any], error: Exception) -> None:
        known = isinstance(error, traitlets.TraitError | protocol.ProtocolError | IGError)
        text = str(error) if known else f"{', '.join(state)} cannot be set: {type(error).__name__}: {error}"
        text = text if len(text) <= _REFUSAL_LENGTH else f"{text[:_REFUSAL_LENGTH]}..."
        # One message, with the notice.
        self._add(self._own(state), text)
        self._say(text)

    def _own(self, state: Mapping[str, Any]) -> list[str]:
        """Of the names in it those of traits that a front end has."""
        return [name for name in state if name in self.keys]

    def _checked(self, name: str, value: Any) -> Any:
        """A setting as the trait of that name would hold it. Raises TraitError."""
        trait = self.traits()[name]
        value = trait._validate(self, value)
        # While a browser's state is taken in, that has looked at the type alone.
        return trait._cross_validate(self, value) if self._cross_validation_lock else value
