"""Figure of a region audit: the attribution of each region beside the fall of the output without it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.faithfulness import RegionAudit, RegionAudits
from ig_widgets.figures.export import settled
from ig_widgets.figures.inputs import AS_TEXT, Picture, as_photo, wrapped
from ig_widgets.texts import plain

# Told apart in grey, and by those who do not see red or green.
_ATTRIBUTION, _DROP = "#b35806", "#8073ac"
_THICKNESS = 0.38
_SIDE, _LINE, _SIGNS_PER_INCH = 3.0, 0.15, 16.5


def audit(
    audits: RegionAudits | RegionAudit,
    picture: Picture,
    *,
    title: str | None = None,
    caption: str | None = None,
    unit: str = "logit",
) -> Figure:
    """The regions outlined and numbered on the picture, and two bars for each.

    The upper bar is the sum of the attributions inside, the lower one how far F falls when the region is replaced by
    the baseline; where they are alike, the map says what happens. `picture`, `title`, `caption` and `unit` are those of
    `figures.image`. Raises ArgumentTypeError, ArgumentValueError.
    """
    if isinstance(audits, RegionAudit):
        audits = RegionAudits((audits,))
    if not isinstance(audits, RegionAudits):
        raise ArgumentTypeError(f"audits must be what audit_regions returned, got {type(audits).__name__}.")
    if not len(audits):
        raise ArgumentValueError("audits is empty; there is nothing to draw.")
    photo = as_photo(picture)
    height, width = photo.shape[:2]
    if len(audits[0].masks) > 1 or audits[0].mask.ndim != 2:
        raise ArgumentValueError("audits are of no picture, or of several inputs, and are not to be drawn on one.")
    if audits[0].mask.shape != (height, width):
        seen = audits[0].mask.shape
        raise ArgumentValueError(
            f"audits are of a picture of {seen[1]} x {seen[0]} pixels and picture has {width} x {height}; give the "
            f"picture as the model sees it, cropped and resized."
        )
    across, down = _SIDE * min(1.0, 2 * width / height), _SIDE * min(2.0, height / width)
    inches = across + 4.0
    lines = wrapped(caption or "", int(inches * _SIGNS_PER_INCH))
    below = _LINE * (lines.count("\n") + 1) if lines else 0.0
    figure = Figure(
        figsize=(inches, max(down + 0.4, 0.45 * len(audits) + 1.1) + below + (0 if title is None else 0.3)),
        dpi=90,
        layout="constrained",
    )
    left, right = figure.subplots(1, 2, width_ratios=[across, 4.0])
    left.imshow(photo)
    left.set_axis_off()
    for number, region in enumerate(audits, 1):
        _outline(left, region.mask, number)
    _bars(right, audits, plain(unit, 60))
    if lines:
        figure.supxlabel(lines, fontsize=8, **AS_TEXT)
    if title is not None:
        figure.suptitle(plain(title), fontsize=10, **AS_TEXT)
    return settled(figure)


def _bars(axes: Axes, audits: RegionAudits, unit: str) -> None:
    places = np.arange(len(audits))
    for shift, label, color, values in (
        (-0.5, "attribution", _ATTRIBUTION, [region.attribution_sum for region in audits]),
        (0.5, "drop when replaced", _DROP, [region.drop for region in audits]),
    ):
        bars = axes.barh(places + shift * _THICKNESS, values, _THICKNESS, color=color, label=label)
        axes.bar_label(bars, [f"{value:.3g}" for value in values], padding=3, fontsize=8)
    labels = [
        str(number) if region.name == str(number) else f"{number} {plain(region.name, 24)}"
        for number, region in enumerate(audits, 1)
    ]
    axes.set_yticks(places, labels, fontsize=8, **AS_TEXT)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    # The first at the top; bars of one region alone as thin as those of three.
    spare = max(0, 3 - len(audits)) / 2
    axes.set_ylim(len(audits) - 0.45 + spare, -0.55 - spare)
    axes.margins(x=0.2)  # room for the numbers
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(unit, fontsize=8, **AS_TEXT)
    axes.legend(fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _outline(axes: Axes, mask: npt.NDArray[np.bool_], number: int) -> None:
    """The border of `mask`, along the edges of its pixels, and its number where the first of them is."""
    for color, linewidth in (("black", 2.5), ("white", 1.0)):
        lines = LineCollection(list(_border(mask)), colors=color, linewidths=linewidth, capstyle="projecting")
        axes.add_collection(lines, autolim=False)
        lines.set_clip_on(False)  # half of a line lies outside where the region touches the border
    row, column = (int(i) for i in np.argwhere(mask)[0])
    axes.text(
        column - 0.5,
        row - 0.5,
        str(number),
        fontsize=8,
        color="black",
        ha="left",
        va="top",
        bbox={"facecolor": "white", "edgecolor": "black", "linewidth": 0.8, "pad": 1.5},
    )


def _border(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Lines (lines, 2, 2) of x, y between pixels inside of `mask` and those that are not, in imshow's coordinates."""
    inside = np.pad(mask, 1)
    rows, columns = np.nonzero(inside[1:, 1:-1] != inside[:-1, 1:-1])  # above pixel (row, column)
    above = np.stack([np.stack([columns, rows], 1), np.stack([columns + 1, rows], 1)], 1)
    rows, columns = np.nonzero(inside[1:-1, 1:] != inside[1:-1, :-1])  # to the left of it
    left = np.stack([np.stack([columns, rows], 1), np.stack([columns, rows + 1], 1)], 1)
    return np.concatenate([above, left]) - 0.5
