"""How an explorer stands in a notebook: the live widget, and the picture that stays."""

from __future__ import annotations

import base64
import logging
import sys
from typing import Any

from IPython import get_ipython
from IPython.display import display

from ig_widgets.explorers.core.views import Viewed

# The picture that stays in a notebook should be the one that was asked for, but display must not hang on it.
_DISPLAY_SECONDS = 3.0

_log = logging.getLogger(__name__)


def _shows_outputs_apart() -> bool:
    """Whether a second output can be hidden, as in JupyterLab and Notebook; other hosts would show both."""
    shell = get_ipython()
    known = "google.colab" in sys.modules or "__vsc_ipynb_file__" in getattr(shell, "user_ns", {})
    return not known


class Displayed(Viewed):
    """What an explorer has for the outputs of a notebook."""

    def snapshot(self) -> bytes:
        """What is shown now, as a PNG."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The live widget, and beside it the current picture, for a reader without a kernel."""
        bundle = super()._repr_mimebundle_(**options)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        with self._waited_for():
            self._asked[0].wait(_DISPLAY_SECONDS)
        data = {**data, "text/plain": repr(self)}
        if self._asked[0].result is not None:
            try:
                data["image/png"] = base64.b64encode(self.snapshot()).decode("ascii")
            except Exception:  # noqa: BLE001  (the widget is there without its picture)
                _log.warning("%s: its picture could not be drawn.", type(self).__name__, exc_info=True)
        return data, metadata

    def _ipython_display_(self) -> None:
        """The widget and, in an output of its own, its picture.

        JupyterLab shows one form of an output, and of a widget without its kernel a line that it was not found. While
        the widget is there, the picture after it is hidden (image.css); what sets it apart is the light background
        that it asks for.
        """
        bundle = self._repr_mimebundle_()
        if bundle is None:
            return
        data, metadata = bundle
        picture = data.pop("image/png", None) if _shows_outputs_apart() else None
        display(data, metadata=metadata, raw=True)
        if picture is not None:
            display({"image/png": picture}, metadata={"needs_background": "light"}, raw=True)
