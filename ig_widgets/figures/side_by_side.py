"""Figures of several pictures, or of several maps of one picture, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.figures.export import settled
from ig_widgets.figures.framed import LABEL, add_color_bar, framed_figure, picture_inches
from ig_widgets.figures.inputs import AS_TEXT, Bytes, Floats, Map, as_map, as_photo
from ig_widgets.figures.overlay import color_table, compose, scale_of
from ig_widgets.figures.pixels import Picture
from ig_widgets.texts import plain

_Shown = TypeVar("_Shown")
# Inches: the longer side of a picture, and what its title takes.
SIDE, _TITLE = 2.0, 0.3
# Of what has no sign, such as a standard deviation: no colours of a diverging map.
UNSIGNED = "Purples"
# Pixels of a picture that is smaller than its axes stay squares.
_SMALL = 64


def pictures(
    named: Mapping[str, Picture],
    *,
    columns: int = 5,
    side: float = SIDE,
    title: str | None = None,
    caption: str = "",
) -> Figure:
    """Returns a figure of pictures, each under its name.

    Args:
        named: pictures by name, each in a form that `figures.image` takes, of any size.
        columns: how many stand in a row at most.
        side: of a picture, the longer one, in inches.
        title: above the whole. caption: below it.

    Raises ArgumentTypeError, ArgumentValueError.
    """
    photos = {name: as_photo(picture) for name, picture in _check_named(named).items()}
    figure, axes = picture_grid(list(photos.values()), columns, side, caption, title, bars=False)
    for ax, (name, photo) in zip(axes, photos.items(), strict=True):
        draw_picture(ax, name, photo)
    return settled(figure)


def maps(
    named: Mapping[str, Map],
    picture: Picture | None = None,
    *,
    one_scale: bool = True,
    patch: int = 1,
    clip: float = 99,
    colormap: str = "RdBu_r",
    opacity: float = 0.9,
    columns: int = 5,
    side: float = SIDE,
    title: str | None = None,
    caption: str = "",
    unit: str = "logit",
) -> Figure:
    """Returns a figure of maps of one picture, each under its name, with colour bars.

    Maps without negative values, such as variances, are drawn in one hue and have a colour bar of their own.

    Args:
        named: maps by name, each an Attribution of one picture, or a map as `figures.image` takes it.
        picture: what the maps are drawn over, of their size; None draws them on white.
        one_scale: whether a colour means the same value in all maps. False gives each a scale of its own, told in its
            title, so that the patterns of faint ones can be seen; sizes cannot be compared then.
        patch: sums over patches of so many pixels along a side are drawn in place of the pixels' own values. Their sum
            stays.
        clip, colormap, opacity, unit: as in `figures.image`. columns, side, title, caption: as in `figures.pictures`.

    Raises ArgumentTypeError, ArgumentValueError.
    """
    photo = None if picture is None else as_photo(picture)
    values = {name: _in_patches(as_map(one, photo), patch) for name, one in _check_named(named).items()}
    shapes = {one.shape for one in values.values()}
    if len(shapes) > 1:
        seen = ", ".join(f"{plain(name, 30)}: {one.shape}" for name, one in values.items())
        raise ArgumentValueError(f"named holds maps of different sizes ({seen}); give maps of one picture.")
    below = photo if photo is not None else np.full((*shapes.pop(), 3), 255, np.uint8)
    signed, unsigned = color_table(colormap), one_sided_table(UNSIGNED)
    has_sign = {name: bool((one < 0).any()) for name, one in values.items()}
    shared = scale_of(np.stack(list(values.values())), clip)
    figure, axes = picture_grid([below] * len(values), columns, side, caption, title)
    for ax, (name, one) in zip(axes, values.items(), strict=True):
        scale = shared if one_scale else scale_of(one, clip)
        drawn = compose(below, one, scale, signed if has_sign[name] else unsigned, opacity)
        draw_picture(ax, name if one_scale else f"{plain(name, 30)}, {scale:.2g}", drawn)
    end, label = (shared, unit) if one_scale else (1.0, f"share of the number above, {unit}")
    # A bar for each table that is in use.
    if not all(has_sign.values()):
        add_color_bar(axes, unsigned[128:], 0, end, label)
    if any(has_sign.values()):
        add_color_bar(axes, signed, -end, end, label)
    return settled(figure)


def picture_grid(
    photos: list[Bytes], columns: int, side: float, caption: str, title: str | None, *, bars: bool = True
) -> tuple[Figure, list[Axes]]:
    """Returns a figure with axes for these pictures, in rows of at most `columns`; `bars`: with room for them."""
    if columns < 1 or side <= 0:
        raise ArgumentValueError(f"columns must be 1 or more and side above 0, got {columns} and {side}.")
    sizes = [picture_inches(side, *photo.shape[:2]) for photo in photos]
    across, down = (max(lengths) for lengths in zip(*sizes, strict=True))
    rows = -(-len(photos) // columns)
    # As many in each row as can be: of six, three and three.
    each = -(-len(photos) // rows)
    figure = framed_figure(each * across + (1.6 if bars else 0.1), rows * (down + _TITLE) + 0.1, caption, title)
    axes: list[Axes] = list(figure.subplots(rows, each, squeeze=False).flat)
    for ax in axes:
        ax.set_axis_off()
    return figure, axes[: len(photos)]


def draw_picture(ax: Axes, name: str, picture: Bytes) -> None:
    """Draws a picture under its name."""
    ax.imshow(picture, interpolation="nearest" if max(picture.shape[:2]) <= _SMALL else None)
    ax.set_title(plain(name, 40), fontsize=LABEL, **AS_TEXT)


def one_sided_table(colormap: str) -> Bytes:
    """Returns 256 colours whose upper half goes from the lightest to the strongest, as a value without sign needs."""
    # `compose` takes tables with zero in the middle: a one-sided one is mirrored.
    half = color_table(colormap)[::2]
    return np.concatenate([half[::-1], half])


def _in_patches(values: Floats, patch: int) -> Floats:
    if isinstance(patch, bool) or not isinstance(patch, int) or patch < 1:
        raise ArgumentValueError(f"patch must be a whole number of pixels, 1 or more, got {patch!r}.")
    rows, columns = (np.arange(0, size, patch) for size in values.shape)
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
    drawn: Floats = sums.repeat(patch, axis=0).repeat(patch, axis=1)
    return drawn[: values.shape[0], : values.shape[1]]


def _check_named(named: Mapping[str, _Shown]) -> Mapping[str, _Shown]:
    if not isinstance(named, Mapping):
        raise ArgumentTypeError(f"named must be a dict of names and what they name, got {type(named).__name__}.")
    if not named:
        raise ArgumentValueError("named is empty; there is nothing to draw.")
    if wrong := [name for name in named if not isinstance(name, str)]:
        raise ArgumentTypeError(f"named must have texts for names, got {wrong[0]!r}.")
    return named
