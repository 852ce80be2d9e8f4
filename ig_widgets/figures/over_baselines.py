"""One picture explained from several baselines: each map, their mean and how far they differ, in one scale."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from ig_widgets.engine.errors import ArgumentTypeError
from ig_widgets.figures.export import settled
from ig_widgets.figures.inputs import AS_TEXT, Bytes, Floats, Picture, as_map, as_photo, wrapped
from ig_widgets.figures.overlay import color_table, compose, scale_of
from ig_widgets.relatives.over_baselines import OverBaselines
from ig_widgets.texts import plain

_COLUMNS = 5
# Inches: the longer side of a picture, and a line of the caption. So many signs of its size fit into an inch.
_SIDE, _LINE, _SIGNS_PER_INCH = 2.0, 0.15, 16.5
# Of what has no sign: no colour of a diverging map.
_SPREAD = "Purples"


def over_baselines(
    result: OverBaselines,
    picture: Picture,
    *,
    clip: float = 99,
    colormap: str = "RdBu_r",
    opacity: float = 0.9,
    one_scale: bool = True,
    title: str | None = None,
    caption: str | None = None,
    unit: str = "logit",
) -> Figure:
    """The picture, the map from each baseline, their mean, and their standard deviation.

    What is drawn is summed over channels, the standard deviation too is that of the sums. `clip`: the percentile of
    |attribution|, over all of the maps, that gets the colours at the ends. `one_scale`: False gives each map a scale of
    its own, told in its title, so that the patterns of faint ones can be seen; sizes cannot be compared then.
    `picture`, `colormap`, `opacity`, `title`, `caption` and `unit` are those of `figures.image`. Raises
    ArgumentTypeError, ArgumentValueError.
    """
    if not isinstance(result, OverBaselines):
        raise ArgumentTypeError(f"result must be what over_baselines returned, got {type(result).__name__}.")
    photo, table = as_photo(picture), color_table(colormap)
    maps = np.stack([as_map(one, photo) for one in result.each])
    mean, spread = maps.mean(0), maps.std(0, ddof=1)
    half = color_table(_SPREAD)[::2]
    one_sided = np.concatenate([half[::-1], half])
    shared = scale_of(maps, clip)
    panels: list[tuple[str, Bytes]] = [("input", photo)]
    for name, values in zip((*result.names, "mean", "standard deviation"), (*maps, mean, spread), strict=True):
        scale = shared if one_scale else scale_of(values, clip)
        colors = one_sided if values is spread else table
        told = plain(name, 30) if one_scale else f"{plain(name, 30)}, {scale:.2g}"
        panels.append((told, compose(photo, values, scale, colors, opacity)))
    caption = _caption(result, maps, shared if one_scale else None) if caption is None else caption
    figure, axes = _grid(photo, len(panels), caption, title)
    for ax, (name, drawn) in zip(axes, panels, strict=True):
        ax.imshow(drawn)
        ax.set_title(plain(name, 40), fontsize=9, **AS_TEXT)
    end, label = (shared, unit) if one_scale else (1.0, f"share of the number above, {unit}")
    _bar(figure, axes, ListedColormap(half / 255), 0, end, f"standard deviation, {label}")
    _bar(figure, axes, ListedColormap(table / 255), -end, end, label)
    return settled(figure)


def _grid(photo: Bytes, count: int, caption: str, title: str | None) -> tuple[Figure, list[Axes]]:
    """A figure with `count` axes in rows of at most five, `caption` below, `title` above."""
    height, width = photo.shape[:2]
    across, down = _SIDE * min(1.0, 2 * width / height), _SIDE * min(2.0, height / width)
    rows = -(-count // _COLUMNS)
    columns = -(-count // rows)
    inches = columns * across + 1.6
    lines = wrapped(caption, int(inches * _SIGNS_PER_INCH))
    below = _LINE * (lines.count("\n") + 1) if lines else 0.0
    above = 0.0 if title is None else 0.3
    figure = Figure(figsize=(inches, rows * (down + 0.3) + 0.1 + below + above), dpi=90, layout="constrained")
    axes: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes:
        ax.set_axis_off()
    if lines:
        figure.supxlabel(lines, fontsize=8, **AS_TEXT)
    if title is not None:
        figure.suptitle(plain(title), fontsize=10, **AS_TEXT)
    return figure, axes[:count]


def _bar(figure: Figure, axes: list[Axes], colors: ListedColormap, low: float, high: float, label: str) -> None:
    bar = ScalarMappable(Normalize(low, high), colors)
    colorbar = figure.colorbar(bar, ax=axes, fraction=0.03, pad=0.01, shrink=0.8, format="%.2g")
    colorbar.set_label(plain(label, 60), fontsize=8, **AS_TEXT)
    colorbar.ax.tick_params(labelsize=8)


def _caption(result: OverBaselines, maps: Floats, scale: float | None) -> str:
    before = result.baseline_outputs[:, 0]
    beyond = "each map in its own scale"
    if scale is not None:
        beyond = f"one scale, {np.mean(np.abs(maps) > scale):.1%} of pixels beyond the colours"
    return (
        f"F(x) {float(result.output[0]):.3g}, F(x') {float(before.min()):.3g} to {float(before.max()):.3g}; "
        f"dependence on the baseline {float(result.dependence[0]):.2f}; {beyond}"
    )
