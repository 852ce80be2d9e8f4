"""Panel: what an explorer shows beside its map, and what a panel may use of its explorer."""

from __future__ import annotations

from typing import Any, Protocol

from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.core.pane import Pane
from ig_widgets.explorers.core.panes import Panes
from ig_widgets.explorers.core.settings import Settings
from ig_widgets.explorers.core.subject import Subject
from ig_widgets.explorers.widget.tasks import Tasks


class Host(Protocol):
    """What a panel may use of its explorer."""

    @property
    def subject(self) -> Subject:
        """What is explained."""

    @property
    def panes(self) -> Panes:
        """The panes, the explorer's own first; none before the explorer is made."""

    @property
    def tasks(self) -> Tasks:
        """Background tasks by name."""

    @property
    def settings(self) -> Settings:
        """What the traits of the explorer ask for."""

    @property
    def look(self) -> dict[str, Any]:
        """The values of the traits with the tag `look`."""

    def get(self, trait: str) -> Any:
        """Returns the value of a trait."""

    def set(self, **traits: Any) -> None:
        """Sets traits. Raises TraitError."""

    def synced(self) -> dict[str, Any]:
        """Returns the values of all synchronised traits that a recording keeps."""

    def notify(self, text: str) -> None:
        """Shows a sentence in the status line."""

    def send(self, view: str, message: protocol.Message) -> None:
        """Sends a message to the view that asked for it."""

    def wait(self) -> None:
        """Blocks until all panes are done. Raises what a run failed with."""

    def check_model(self) -> bool:
        """Returns whether the model was written to since it was last asked; all samples are then forgotten."""


class Panel:
    """Logic behind a part of an explorer; it has no widget. Subclasses override what concerns them.

    Beside each panel stands a mixin of Explorer that declares the panel's traits and public methods.
    """

    def __init__(self, host: Host) -> None:
        self.host = host

    def on_message(self, message: protocol.PanelMessage) -> None:
        """A front end asks for something."""

    def on_settings(self) -> None:
        """The explorer's settings were submitted."""

    def on_result(self, pane: Pane) -> None:
        """A pane has a new result; called in the pane's thread."""

    def on_model_changed(self) -> None:
        """The model was written to."""

    def on_pause(self) -> None:
        """Nobody watches any more."""

    def on_resume(self) -> None:
        """Somebody watches."""

    def close(self) -> None:
        """Stops for good."""
