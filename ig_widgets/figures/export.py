"""Figures as files: PNG and SVG, the same bytes for the same figure."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.files import PathLike, write_atomically

# How text and ids are written is a setting of the whole process, which one thread at a time may borrow.
_SETTINGS = threading.Lock()


def settled(figure: Figure) -> Figure:
    """`figure` with a fixed layout: otherwise its parts move a little each time it is drawn."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def to_png(figure: Figure, *, dpi: float = 150) -> bytes:
    """`figure` as a PNG, `dpi` pixels an inch."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    return drawn.getvalue()


def to_svg(figure: Figure) -> bytes:
    """`figure` as an SVG: text as text, in a font of the reader's, and pictures pixel by pixel as they are."""
    drawn = io.BytesIO()
    with (
        _SETTINGS,
        matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ig_widgets", "svg.image_inline": True}),
        _without_resampling(figure),
    ):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()


def save(figure: Figure, path: PathLike) -> None:
    """Write `figure` to `path`, whole or not at all, as a PNG or an SVG by its ending.

    Raises ArgumentValueError for another ending, FileError where it cannot be written.
    """
    ending = Path(path).suffix.lower()
    if ending not in (".png", ".svg"):
        raise ArgumentValueError(f"path must end in .png or .svg, got {str(path)!r}.")
    write_atomically(path, to_png(figure) if ending == ".png" else to_svg(figure))


@contextmanager
def _without_resampling(figure: Figure) -> Iterator[None]:
    images = [image for axes in figure.get_axes() for image in axes.get_images()]
    before = [image.get_interpolation() for image in images]
    try:
        for image in images:
            image.set_interpolation("none")
        yield
    finally:
        for image, interpolation in zip(images, before, strict=True):
            image.set_interpolation(interpolation)
