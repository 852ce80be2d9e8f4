"""The frame of all figures: their resolution, the sizes of their texts, a title above and a caption below."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from ig_widgets.figures.export import to_small_png
from ig_widgets.figures.inputs import AS_TEXT, Bytes, wrapped
from ig_widgets.texts import plain

# Dots per inch. A notebook shows a figure dot by dot, so that points are pixels there, nearly.
DPI = 100
# Points. Smaller labels cannot be read in a notebook.
LABEL, TITLE = 9, 10
# Inches that a line of the caption and the title take; signs of the caption's size that fit into an inch.
_LINE, _TITLE_HEIGHT, _SIGNS_PER_INCH = 0.17, 0.3, 14.5
# Narrower, a caption would be a column of words.
_FEWEST_SIGNS = 20


class NotebookFigure(Figure):
    """A figure that notebooks show small, also where pyplot, which tells them how to show figures, is not imported."""

    def _repr_png_(self) -> bytes:
        return to_small_png(self, dpi=self.dpi)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        # Asked for before pyplot's formatter, whose pictures are three times as large.
        display({"image/png": self._repr_png_(), "text/plain": repr(self)}, raw=True)


def framed_figure(width: float, height: float, caption: str, title: str | None) -> Figure:
    """Returns an empty figure with `width` x `height` inches for its axes, a caption below and a title above.

    The caption is wrapped to the width; "" takes no room, as does a title of None.
    """
    lines = wrapped(caption, max(_FEWEST_SIGNS, int(width * _SIGNS_PER_INCH)))
    below = _LINE * (lines.count("\n") + 1) if lines else 0.0
    above = 0.0 if title is None else _TITLE_HEIGHT
    # Not one of pyplot, which would keep each until it is closed.
    figure = NotebookFigure(figsize=(width, height + below + above), dpi=DPI, layout="constrained")
    if lines:
        figure.supxlabel(lines, fontsize=LABEL, **AS_TEXT)
    if title is not None:
        figure.suptitle(plain(title), fontsize=TITLE, **AS_TEXT)
    return figure


def picture_inches(longest: float, height: int, width: int) -> tuple[float, float]:
    """Returns width and height in inches of a picture of `height` x `width` pixels, whose side is `longest`.

    A very wide or very high picture gets no more room than one twice as high as wide.
    """
    return longest * min(1.0, 2 * width / height), longest * min(2.0, height / width)


def add_color_bar(
    axes: Axes | list[Axes],
    table: Bytes,
    low: float,
    high: float,
    label: str,
    *,
    share: float = 0.03,
    pad: float = 0.01,
) -> None:
    """Adds a colour bar beside `axes`, with the colours of `table` from `low` to `high`.

    It takes a `share` of their room, and stands `pad` away, a share too.
    """
    figure = (axes[0] if isinstance(axes, list) else axes).figure
    values = ScalarMappable(Normalize(low, high), ListedColormap(table / 255))
    bar = figure.colorbar(values, ax=axes, fraction=share, pad=pad, shrink=0.9, format="%.2g")
    bar.set_label(plain(label, 60), fontsize=LABEL, **AS_TEXT)
    bar.ax.tick_params(labelsize=LABEL)
