"""Notebook output: the live widget, and the PNG that is shown where there is no kernel.

An explorer displays three outputs: the widget, a mark, and the picture. A notebook shows one form of an output, and of
a widget whose kernel is gone an error, so the picture is an output of its own. The mark is a style sheet: it hides the
picture beside the living widget, and the widget's output where there is none. It is no part of the widget's own style
sheet, which no page has that shows a saved notebook. Readers that take no style sheet show a line of text and the
picture.

The picture has a display id, by which it is replaced when what the explorer shows has changed and settled: a saved
notebook has the newest.
"""

from __future__ import annotations

import base64
import logging
import sys
import uuid
from typing import Any

from IPython import get_ipython
from IPython.display import display

from ig_widgets.explorers.widget.debounce import Debounce
from ig_widgets.explorers.widget.validated import ValidatedWidget

_log = logging.getLogger(__name__)

# How long displaying waits for a first picture: where somebody looks on it is not waited for, as it is put in place
# later. Programs that run a notebook take what is there when the last cell has run.
_WATCHED_SECONDS, _BATCH_SECONDS, _OTHER_SECONDS = 0.0, 20.0, 3.0
# A picture is drawn anew when nothing has changed for so long.
_SETTLED_SECONDS = 0.7

_MARK = """<style class="igw-mark">
.jp-OutputArea-child:has(.igw-mark),
.jp-OutputArea-child:not(:has(.igw)):has(+ .jp-OutputArea-child .igw-mark),
.jp-OutputArea-child:has(.igw:not(.igw-unanswered)) + .jp-OutputArea-child:has(.igw-mark) + .jp-OutputArea-child
{ display: none }
</style>"""
# The smallest PNG, which shows nothing: until there is a picture.
_NOTHING = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


class DisplayedWidget(ValidatedWidget):
    """A widget that puts its picture beside itself into a notebook.

    `_picture` draws it; it shows what traits with the tag `look` say, and whatever `_picture_changed` is called for.
    """

    def __init__(self, **traits: Any) -> None:
        # The pictures in the notebook that follow what is shown, by their display ids.
        self._pictures: dict[str, bytes | None] = {}
        self._settling = Debounce(self._refresh, _SETTLED_SECONDS)
        super().__init__(**traits)
        self.observe(self._picture_changed, [*self.traits(look=True)])

    def close(self) -> None:
        """Closes the widget and its views; the pictures stay."""
        if (settling := vars(self).get("_settling")) is not None:
            settling.close()
        super().close()

    def _picture(self, seconds: float = 0.0) -> bytes | None:  # noqa: ARG002
        """Returns what is shown now as a PNG; None where there is nothing to show after so many seconds."""
        return None

    def _picture_changed(self, _change: object = None) -> None:
        """Has the pictures in the notebook drawn anew, once changes have ceased."""
        if self._pictures:
            self._settling.call()

    def _refresh(self) -> None:
        """Replaces the pictures in the notebook. Called in a thread of its own; a subclass may hand it to another."""
        picture = self._drawn(0.0)
        for display_id, before in list(self._pictures.items()):
            if picture is not None and picture != before:
                _show_picture(picture, display_id, update=True)
                self._pictures[display_id] = picture

    def _drawn(self, seconds: float) -> bytes | None:
        try:
            return self._picture(seconds)
        except Exception:  # noqa: BLE001  (the widget is displayed without its picture)
            _log.warning("%s: its picture could not be drawn.", type(self).__name__, exc_info=True)
            return None

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Returns the live widget and the current picture, for a reader without a kernel."""
        bundle = self._widget_bundle(**options)
        if bundle is None:
            return None
        data, metadata = bundle
        if (picture := self._drawn(_OTHER_SECONDS)) is not None:
            data["image/png"] = base64.b64encode(picture).decode("ascii")
        return data, metadata

    def _widget_bundle(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**options)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "text/plain": repr(self)}, metadata

    def _ipython_display_(self) -> None:
        """Displays the widget and, as outputs of their own, a mark and its picture."""
        if not shows_outputs_apart():
            if (bundle := self._repr_mimebundle_()) is not None:
                display(bundle[0], metadata=bundle[1], raw=True)
            return
        bundle = self._widget_bundle()
        if bundle is None:
            return
        display(bundle[0], metadata=bundle[1], raw=True)
        display({"text/html": _MARK}, metadata={}, raw=True)
        display_id, is_batch = uuid.uuid4().hex, _is_batch()
        picture = self._drawn(_BATCH_SECONDS if is_batch else _WATCHED_SECONDS)
        _show_picture(picture or _NOTHING, display_id, update=False)
        # In a batch a picture is of its cell: whether a later one's came in time would be left to chance.
        if not is_batch or picture is None:
            self._pictures[display_id] = picture
            # What has changed since it was drawn.
            self._picture_changed()


def _show_picture(picture: bytes, display_id: str, *, update: bool) -> None:
    data = {"image/png": base64.b64encode(picture).decode("ascii")}
    display(data, metadata={"needs_background": "light"}, raw=True, display_id=display_id, update=update)


def shows_outputs_apart() -> bool:
    """Whether the host shows outputs as a page of JupyterLab's, whose style sheets hide one; others would show both."""
    shell = get_ipython()
    others = "google.colab" in sys.modules or "__vsc_ipynb_file__" in getattr(shell, "user_ns", {})
    return not others


def _is_batch() -> bool:
    """Whether the cell was run by a program that executes notebooks: these say nothing of the cell, JupyterLab does."""
    kernel = getattr(get_ipython(), "kernel", None)
    return kernel is not None and not kernel.get_parent("shell").get("metadata")
