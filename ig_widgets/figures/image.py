"""Figure of an attribution: picture and overlay side by side, with a colour bar, numbers and a caption."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from PIL import Image

from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.number_text import counted
from ig_widgets.figures.export import settled, to_svg
from ig_widgets.figures.inputs import AS_TEXT, Bytes, Floats, Map, Picture, as_map, as_photo, wrapped
from ig_widgets.figures.overlay import color_table, compose, scale_of
from ig_widgets.texts import plain

_SIGNS = ("all", "positive", "negative")
# Inches: the longer side of a picture, and a line of the caption. So many signs of its size fit into an inch.
_SIDE = 3.0
_LINE = 0.15
_SIGNS_PER_INCH = 16.5


def image(
    attribution: Map,
    picture: Picture,
    *,
    clip: float = 99,
    colormap: str = "RdBu_r",
    opacity: float = 0.9,
    sign: str = "all",
    title: str | None = None,
    caption: str | None = None,
    unit: str = "logit",
    ax: Axes | None = None,
) -> Figure:
    """The picture, and beside it the attribution over it, as the explorers draw it (see `compose`).

    Args:
        attribution: an Attribution of one picture, or a map (height, width), (channels, height, width) or (1, channels,
            height, width); channels are summed.
        picture: what the model saw, of the size of the map: a PIL image, an array (height, width, 3) of bytes or in
            [0, 1], or a tensor (3, height, width) in [0, 1].
        clip: the percentile of |attribution|, above 0 up to 100, that gets the colours at the ends.
        colormap: one of matplotlib's; zero is its middle.
        opacity: 0, the picture alone, to 1, the map alone.
        sign: all, positive or negative.
        title: above the whole. caption: below it; None says how the attribution came about, "" nothing. unit: of the
            numbers at the colour bar, those of F. All are shown as they are, without mathematics.
        ax: axes to draw the overlay and its colour bar into, without the picture beside it.

    Returns the figure, new unless `ax` is given. pyplot does not know it; `save` writes it.

    Raises ArgumentTypeError, ArgumentValueError.
    """
    clip, opacity = _check_number("clip", clip, 100), _check_number("opacity", opacity, 1)
    if clip == 0:
        raise ArgumentValueError("clip must be above 0, a percentile up to 100.")
    if sign not in _SIGNS:
        raise ArgumentValueError(f"sign must be one of {', '.join(_SIGNS)}, got {sign!r}.")
    photo, table = as_photo(picture), color_table(colormap)
    values = as_map(attribution, photo)
    scale = scale_of(values, clip)
    overlay = compose(photo, values, scale, table, opacity, sign)
    caption = _caption(attribution, values, scale) if caption is None else caption
    if ax is None:
        return overlay_figure(photo, overlay, table, scale, unit, caption, title=title)
    draw_overlay(ax, overlay, table, scale, unit)
    ax.set_title("" if title is None else plain(title), fontsize=9, **AS_TEXT)
    ax.text(0.5, -0.03, wrapped(caption, 60), transform=ax.transAxes, ha="center", va="top", fontsize=8, **AS_TEXT)
    return ax.figure if isinstance(ax.figure, Figure) else ax.figure.figure


def overlay_figure(
    photo: Bytes, overlay: Bytes, table: Bytes, scale: float, unit: str, caption: str, *, title: str | None = None
) -> Figure:
    """The photo, and beside it the overlay with its colour bar; `caption` below, `title` above."""
    height, width = photo.shape[:2]
    # A very wide or very high picture gets no more room than one twice as high as wide.
    across, down = _SIDE * min(1.0, 2 * width / height), _SIDE * min(2.0, height / width)
    inches = 2 * across + 1.1
    lines = wrapped(caption, max(20, int(inches * _SIGNS_PER_INCH)))
    further = _LINE * lines.count("\n") + (0 if title is None else 0.3)
    figure = Figure(figsize=(inches, down + 0.6 + further), dpi=90, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(photo)
    left.set_axis_off()
    left.set_title("input", fontsize=9)
    draw_overlay(right, overlay, table, scale, unit)
    right.set_title("attribution", fontsize=9)
    figure.supxlabel(lines, fontsize=8, **AS_TEXT)
    if title is not None:
        figure.suptitle(plain(title), fontsize=10, **AS_TEXT)
    return settled(figure)


def draw_overlay(axes: Axes, overlay: Bytes, table: Bytes, scale: float, unit: str) -> None:
    """The overlay into `axes`, and a colour bar from -scale to scale beside it."""
    axes.imshow(overlay)
    axes.set_axis_off()
    bar = ScalarMappable(Normalize(-scale, scale), ListedColormap(table / 255))
    colorbar = axes.figure.colorbar(bar, ax=axes, fraction=0.046, pad=0.03, format="%.2g")
    colorbar.set_label(plain(unit, 60), fontsize=8, **AS_TEXT)
    colorbar.ax.tick_params(labelsize=8)


def overlay_png(photo: Bytes, overlay: Bytes, table: Bytes, scale: float, unit: str, caption: str) -> bytes:
    """The photo, the overlay, a colour bar with numbers and a caption, as a PNG of at most 256 colours."""
    drawn = io.BytesIO()
    overlay_figure(photo, overlay, table, scale, unit, caption).savefig(drawn, format="png")
    # A picture in a notebook weighs a third so, and a reader sees no difference.
    out = io.BytesIO()
    picture = Image.open(drawn).convert("RGB")
    palette = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=3)
    picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(out, "PNG", optimize=True)
    return out.getvalue()


def overlay_svg(photo: Bytes, overlay: Bytes, table: Bytes, scale: float, unit: str, caption: str) -> bytes:
    """The same as an SVG: text as text, both pictures pixel by pixel as they are."""
    return to_svg(overlay_figure(photo, overlay, table, scale, unit, caption))


def _caption(attribution: Map, values: Floats, scale: float) -> str:
    beyond = f"{np.mean(np.abs(values) > scale):.1%} of pixels beyond the colours"
    if not isinstance(attribution, Attribution):
        return beyond
    error = "" if attribution.error_estimate is None else f", error {float(attribution.error_estimate.max()):.2g}"
    at, delta = attribution.baseline_output, attribution.convergence_delta
    baseline = "" if at is None else f", F(x') {float(at[0]):.3g}"
    complete = "" if delta is None else f"delta {float(delta[0]):+.2g}; "
    return (
        f"F(x) {float(attribution.output[0]):.3g}{baseline}; "
        f"{attribution.method}, {counted(attribution.evaluations, 'evaluation')}{error}; {complete}{beyond}"
    )


def _check_number(name: str, value: float, most: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"{name} must be a number from 0 to {most}, got {value!r}.") from None
    if not 0 <= number <= most:
        raise ArgumentValueError(f"{name} must lie from 0 to {most}, got {value}.")
    return number
