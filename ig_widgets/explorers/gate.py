"""What a browser sends an explorer passes here: heeded whole, or refused in words; nothing of it acts before."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import anywidget
import traitlets

from ig_widgets.engine.errors import IGError
from ig_widgets.explorers import hearing, protocol
from ig_widgets.texts import shorten, whole

# A sentence that repeats what it was sent may be as long as that.
_REFUSAL_LENGTH = 400

_log = logging.getLogger(__name__)


class Gate(anywidget.AnyWidget):
    """A widget that looks at what it is sent. `_notice` is the newest sentence for the status line."""

    _notice: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)

    def _say(self, text: str) -> None:
        """A sentence for the status line of every view."""
        self._notice = {"text": shorten(whole(text), 2000), "number": self._notice.get("number", 0) + 1}

    def _handle_msg(self, msg: object) -> None:
        """A message of a front end. One of another form than ipywidgets' is left alone, with a line in the log."""
        try:
            message = hearing.clean(msg)
        except protocol.ProtocolError as error:
            _log.warning("%s: a message was ignored: %s", type(self).__name__, error)
            return
        super()._handle_msg(message)

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """What a front end has set: all of it, or nothing where one value cannot be.

        What cannot be is answered in words, and by the values that stay; nothing of it is repeated to other views.
        """
        if foreign := [name for name in sync_data if name not in hearing.CHOSEN or name not in self.keys]:
            names = ", ".join(repr(name[:40]) for name in foreign[:4])
            _log.warning("%s: a front end cannot set %s.", type(self).__name__, names)
            self._send_back(sync_data)
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
        _log.warning("%s: %s", type(self).__name__, text)
        self._say(text)
        self._send_back(state)

    def _send_back(self, state: Mapping[str, Any]) -> None:
        self.send_state([name for name in state if name in self.keys])

    def _checked(self, name: str, value: Any) -> Any:
        """A setting as the trait of that name would hold it. Raises TraitError."""
        trait = self.traits()[name]
        value = trait._validate(self, value)
        # While a browser's state is taken in, that has looked at the type alone.
        return trait._cross_validate(self, value) if self._cross_validation_lock else value
