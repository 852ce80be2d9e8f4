"""Strip of pictures: which of several is shown, and small pictures of those near it."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import traitlets

from ig_widgets.engine.errors import IGError
from ig_widgets.explorers.core.explorer import Explorer
from ig_widgets.explorers.core.panel import Host, Panel
from ig_widgets.explorers.image.pictures import Pictures
from ig_widgets.explorers.widget.schema import INTEGER

# So many thumbnails are sent at once, of which the first come early; a front end that scrolls asks for others.
_WINDOW, _FIRST = 48, 8


class StripPanel(Panel):
    """Makes thumbnails of the pictures that a front end has in view."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        # A thousand of them have two megabytes.
        self._made: dict[str, bytes] = {}

    def update(self) -> None:
        """Makes them in the background, once a front end has asked."""
        if self.host.get("_strip") >= 0:
            self.host.tasks.submit("thumbnails", self._show)

    def _show(self) -> None:
        pictures, first = self.host.subjects, self.host.get("_strip")
        assert isinstance(pictures, Pictures)
        names = list(pictures.input_names)[first : first + _WINDOW]
        self._made = {name: made for name, made in self._made.items() if pictures.has(name)}
        for i, name in enumerate(names):
            if name not in self._made and pictures.has(name):
                self._made[name] = pictures.source(name).thumbnail()
            if i == _FIRST:
                self._send(names)
        self._send(names)

    def _send(self, names: list[str]) -> None:
        made = self._made
        self.host.set(_thumbnails=[{"name": name, "picture": made[name]} for name in names if name in made])


def name_at(names: Sequence[str], index: object) -> str:
    """Returns the name of a picture. Raises TraitError."""
    if isinstance(index, bool) or not isinstance(index, Integral) or not -len(names) <= int(index) < len(names):
        raise traitlets.TraitError(f"index must be from 0 to {len(names) - 1}, got {index!r}.")
    return names[int(index)]


class StripTraits(Explorer):
    """The traits of the strip. `_strip`: the first picture that a front end has in view, -1 where it has none."""

    index = traitlets.Int(0, help="Which of several pictures is shown, from 0 on; -1 is the last.")
    _strip = traitlets.Int(-1).tag(sync=True, write=INTEGER, recorded=False)
    _thumbnails: traitlets.List[Any] = traitlets.List().tag(sync=True, recorded=False)

    @traitlets.validate("index")
    def _check_index(self, proposal: Any) -> int:
        name = name_at(self._subjects.input_names, proposal.value)
        try:
            self._subjects.at(name)
        except IGError as error:
            raise traitlets.TraitError(str(error)) from None
        return list(self._subjects.input_names).index(name)

    @traitlets.observe("index")
    def _show_picture(self, change: Any) -> None:
        self.input = name_at(self._subjects.input_names, change.new)

    @traitlets.observe("input")
    def _count_picture(self, change: Any) -> None:
        names = list(self._subjects.input_names)
        if change.new in names:
            self.index = names.index(change.new)

    @traitlets.observe("_strip", "_inputs")
    def _make_thumbnails(self, _change: Any) -> None:
        self._panel(StripPanel).update()
