"""Notebook output: the live widget, and the PNG that is shown where there is no kernel."""

from __future__ import annotations

import base64
import logging
import sys
from typing import Any

from IPython import get_ipython
from IPython.display import display

from ig_widgets.explorers.widget.validated import ValidatedWidget

_log = logging.getLogger(__name__)


class DisplayedWidget(ValidatedWidget):
    """A widget that puts its picture beside itself into a notebook. `_picture` draws it."""

    def _picture(self) -> bytes | None:
        """Returns what is shown now as a PNG; None where there is nothing to show yet."""
        return None

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Returns the live widget and the current picture, for a reader without a kernel."""
        bundle = super()._repr_mimebundle_(**options)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        picture = None
        try:
            picture = self._picture()
        except Exception:  # noqa: BLE001  (the widget is displayed without its picture)
            _log.warning("%s: its picture could not be drawn.", type(self).__name__, exc_info=True)
        data = {**data, "text/plain": repr(self)}
        if picture is not None:
            data["image/png"] = base64.b64encode(picture).decode("ascii")
        return data, metadata

    def _ipython_display_(self) -> None:
        """Displays the widget and, as an output of its own, its picture.

        JupyterLab shows one representation of an output, and for a widget without a kernel an error. So the picture
        has to be a second output. While the widget is alive, a rule of its style sheet hides the picture after it; what
        the rule selects is the light background that the picture asks for.
        """
        bundle = self._repr_mimebundle_()
        if bundle is None:
            return
        data, metadata = bundle
        picture = data.pop("image/png", None) if _hides_second_output() else None
        display(data, metadata=metadata, raw=True)
        if picture is not None:
            display({"image/png": picture}, metadata={"needs_background": "light"}, raw=True)


def _hides_second_output() -> bool:
    """Whether the host can hide a second output, as JupyterLab and Notebook do; others would show both."""
    shell = get_ipython()
    others = "google.colab" in sys.modules or "__vsc_ipynb_file__" in getattr(shell, "user_ns", {})
    return not others
