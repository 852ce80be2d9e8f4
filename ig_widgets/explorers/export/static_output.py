"""Static outputs of a notebook: a picture, and a recording that lives on where there is no kernel."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from typing import Any

from IPython.display import display

from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers.widget.display import shows_outputs_apart
from ig_widgets.explorers.widget.schema import is_integer

LEAST_HEIGHT, MOST_HEIGHT = 100, 5000

# Beside a living recording the picture says nothing. nbconvert's pages have the classes of JupyterLab, or the older.
_MARK = """<style>
.jp-OutputArea-child:has(.igw-recording) + .jp-OutputArea-child:has(img),
.output_area:has(.igw-recording) + .output_area:has(img) { display: none }
</style>"""


class PngPicture(bytes):
    """A PNG, which a notebook shows as a picture."""

    __slots__ = ()

    def _repr_png_(self) -> bytes:
        return bytes(self)

    def __repr__(self) -> str:
        return f"PngPicture({len(self):,} bytes)"


@dataclass(frozen=True)
class StaticRecording:
    """A recording of an explorer, as an output that needs no kernel; a notebook displays it.

    `page`: an HTML page that needs nothing else, `picture`: a PNG for readers that show no HTML, `text`: what it is of,
    `height`: of the frame, in pixels.
    """

    page: str
    picture: bytes
    text: str
    height: int

    def __post_init__(self) -> None:
        if not is_integer(self.height) or not LEAST_HEIGHT <= self.height <= MOST_HEIGHT:
            raise ArgumentValueError(
                f"height must be an integer from {LEAST_HEIGHT} to {MOST_HEIGHT} pixels, got {self.height!r}."
            )

    def __repr__(self) -> str:
        return f"StaticRecording({self.text}, {len(self.page) / 1e6:.1f} MB)"

    def _repr_html_(self) -> str:
        # Between single quotes, as JSON is full of double ones. Without the page's own origin its script is nobody's.
        page = self.page.replace("&", "&amp;").replace("'", "&#39;")
        return (
            f'<iframe class="igw-recording" title="{escape(self.text)}" sandbox="allow-scripts allow-downloads" '
            f'style="width: 100%; border: 0" height="{self.height}" srcdoc=\'{page}\'></iframe>'
        )

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:
        picture = base64.b64encode(self.picture).decode("ascii")
        return {"text/html": self._repr_html_(), "image/png": picture, "text/plain": repr(self)}

    def _ipython_display_(self) -> None:
        """Displays the recording and, as an output of its own, the picture.

        A notebook that is not trusted strips the frame and shows what is left of that output, which is nothing.
        """
        data = self._repr_mimebundle_()
        if not shows_outputs_apart():
            display(data, raw=True)
            return
        picture = data.pop("image/png")
        display({**data, "text/html": data["text/html"] + _MARK}, raw=True)
        display({"image/png": picture}, metadata={"needs_background": "light"}, raw=True)
