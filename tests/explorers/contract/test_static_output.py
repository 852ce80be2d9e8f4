"""Static outputs: a picture, and a recording that a notebook shows without a kernel."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from typing import Any

import pytest

from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers.export import static_output
from tests.explorers.subjects import SECONDS


class Frames(HTMLParser):
    """The frames of a text of HTML, as a browser reads their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("iframe", "style")
        if tag == "iframe":
            self.found.append(dict(attrs))


@pytest.fixture
def explorer(explore: Any) -> Any:
    explorer = explore(labels=["a & b", "it's", '<b>"c"</b>', "</script>", "'&#39;"])
    explorer.wait(SECONDS)
    explorer.alpha = 0.5
    return explorer


def test_the_frame_holds_the_page_of_to_html_as_it_is(explorer):
    (frame,) = Frames(explorer.render_static(height=500)._repr_html_()).found
    assert frame["srcdoc"] == explorer.to_html()
    assert frame["height"] == "500"
    # Its script is nobody's: it reads nothing of the page around it.
    assert frame["sandbox"] == "allow-scripts allow-downloads"
    assert frame["title"] == repr(explorer)


def test_further_panes_change_nothing(explorer):
    alone = explorer.render_static().page
    explorer.compare({"n_steps": 2})
    explorer.wait(SECONDS)
    assert explorer.render_static().page == explorer.to_html()
    assert len(explorer.render_static().page) >= len(alone)


def test_the_picture_is_an_output_of_its_own(explorer, monkeypatch):
    shown: list[dict[str, str]] = []
    monkeypatch.setattr(static_output, "display", lambda data, raw, metadata=None: shown.append(data))
    recording = explorer.render_static()
    recording._ipython_display_()
    page, picture = shown
    assert page.keys() == {"text/html", "text/plain"}
    assert picture.keys() == {"image/png"}
    assert base64.b64decode(picture["image/png"]) == explorer.snapshot()
    shown.clear()
    monkeypatch.setattr(static_output, "shows_outputs_apart", lambda: False)
    recording._ipython_display_()
    (both,) = shown
    assert both.keys() == {"text/html", "image/png", "text/plain"}


@pytest.mark.parametrize("height", [0, 99, 5001, 10**30, 500.5, True, "500", None])
def test_a_height_that_is_none_is_refused(explorer, height):
    with pytest.raises(ArgumentValueError, match="height must be an integer from 100 to 5000 pixels, got"):
        explorer.render_static(height=height)


def test_a_snapshot_is_bytes_that_a_notebook_shows(explorer):
    snapshot = explorer.snapshot()
    assert snapshot == snapshot._repr_png_() == explorer.snapshot()
    assert snapshot.startswith(b"\x89PNG")
    assert type(snapshot._repr_png_()) is bytes
    assert len(repr(snapshot)) < 40
