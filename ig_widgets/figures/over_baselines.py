"""One picture explained from several baselines: each map, their mean and how far they differ, in one scale."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ig_widgets.engine.errors import ArgumentTypeError
from ig_widgets.figures.export import settled
from ig_widgets.figures.framed import add_color_bar
from ig_widgets.figures.inputs import Bytes, Floats, as_map, as_photo
from ig_widgets.figures.overlay import color_table, compose, scale_of
from ig_widgets.figures.pixels import Picture
from ig_widgets.figures.side_by_side import SIDE, UNSIGNED, draw_picture, one_sided_table, picture_grid
from ig_widgets.relatives.over_baselines import OverBaselines
from ig_widgets.texts import plain

_COLUMNS = 5


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
    # Of the maps that are shown, summed over channels: the spread of sums is not the sum of spreads.
    mean, spread = maps.mean(0), maps.std(0, ddof=1)
    one_sided = one_sided_table(UNSIGNED)
    shared = scale_of(maps, clip)
    panels: list[tuple[str, Bytes]] = [("input", photo)]
    for name, values in zip((*result.names, "mean", "standard deviation"), (*maps, mean, spread), strict=True):
        scale = shared if one_scale else scale_of(values, clip)
        colors = one_sided if values is spread else table
        heading = plain(name, 30) if one_scale else f"{plain(name, 30)}, {scale:.2g}"
        panels.append((heading, compose(photo, values, scale, colors, opacity)))
    caption = _caption(result, maps, shared if one_scale else None) if caption is None else caption
    figure, axes = picture_grid([photo] * len(panels), _COLUMNS, SIDE, caption, title)
    for ax, (name, drawn) in zip(axes, panels, strict=True):
        draw_picture(ax, name, drawn)
    end, label = (shared, unit) if one_scale else (1.0, f"share of the number above, {unit}")
    add_color_bar(axes, one_sided[128:], 0, end, f"standard deviation, {label}")
    add_color_bar(axes, table, -end, end, label)
    return settled(figure)


def _caption(result: OverBaselines, maps: Floats, scale: float | None) -> str:
    before = result.baseline_outputs[:, 0]
    beyond = "each map in its own scale"
    if scale is not None:
        beyond = f"one scale, {np.mean(np.abs(maps) > scale):.1%} of pixels beyond the colours"
    return (
        f"F(x) {float(result.output[0]):.3g}, F(x') {float(before.min()):.3g} to {float(before.max()):.3g}; "
        f"dependence on the baseline {float(result.dependence[0]):.2f}; {beyond}"
    )
