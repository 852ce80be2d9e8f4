"""The overlay's arithmetic, beside the same formulas written out pixel by pixel."""

import io
import math

import matplotlib
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from ig_widgets import figures

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=4)


def draw_photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


# ---------------------------------------------------------------- colours


@pytest.mark.parametrize("name", ["RdBu_r", "PuOr_r", "coolwarm", "viridis", "tab10"])
def test_color_table_is_matplotlibs_map(name):
    table = figures.color_table(name)
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    assert table.flags.c_contiguous  # it is sent as bytes
    colormap = matplotlib.colormaps[name]
    for i in (0, 1, 77, 127, 128, 200, 255):
        assert tuple(table[i]) == tuple(colormap(i / 255, bytes=True)[:3])


def test_color_table_can_be_had_of_every_colormap():
    for name in matplotlib.colormaps:
        assert figures.color_table(name).shape == (256, 3)


@pytest.mark.parametrize("name", ["", "rainbow road", "RDBU_R"])
def test_unknown_colormap_is_refused_by_name(name):
    with pytest.raises(ValueError, match=f"^colormap='{name}' is not .*RdBu_r"):
        figures.color_table(name)


# ---------------------------------------------------------------- scale


@given(hnp.arrays(np.float64, SHAPES, elements=st.floats(-100, 100)), st.floats(50, 100))
def test_scale_is_a_percentile_of_the_sizes(values, clip):
    exact = float(np.percentile(np.abs(values.ravel()), clip))
    scale = figures.scale_of(values, clip)
    assert scale > 0
    if exact > 0:
        assert scale == exact
    else:
        assert scale == (np.abs(values).max() or 1.0)
    assert figures.scale_of(-values, clip) == scale


def test_scale_of_a_few_pixels_is_the_largest_and_of_none_is_one():
    values = np.zeros((20, 20))
    assert figures.scale_of(values, 99) == 1.0
    values[3, 4] = -0.25
    assert np.percentile(np.abs(values), 99) == 0
    assert figures.scale_of(values, 99) == 0.25


@given(hnp.arrays(np.float64, SHAPES, elements=st.floats(-100, 100)), st.floats(50, 100), st.floats(50, 100))
def test_scale_grows_with_clip(values, one, other):
    low, high = sorted((one, other))
    low, high = figures.scale_of(values, low), figures.scale_of(values, high)
    assert low <= high or not np.percentile(np.abs(values), 50)


# ---------------------------------------------------------------- the picture


def naive(photo, values, scale, table, opacity, sign):
    """The formula of js/src/image/gl/shading.ts, one pixel after the other; each channel before it is rounded."""
    height, width = values.shape
    out = np.zeros((height, width, 3))
    for y in range(height):
        for x in range(width):
            value = float(values[y, x])
            if (sign == "positive" and value < 0) or (sign == "negative" and value > 0):
                value = 0.0
            share = min(max(value / scale, -1.0), 1.0)
            color = table[math.floor((share * 0.5 + 0.5) * 255 + 0.5)]
            weight = opacity * math.sqrt(abs(share))
            red, green, blue = (float(v) for v in photo[y, x])
            faded = 255 - 0.6 * (255 - (0.299 * red + 0.587 * green + 0.114 * blue))
            for c, level in enumerate((red, green, blue)):
                below = level + (faded - level) * opacity
                out[y, x, c] = below * (1 - weight) + float(color[c]) * weight
    return out


@settings(max_examples=60)
@given(
    values=hnp.arrays(np.float64, (3, 4), elements=st.floats(-3, 3)),
    seed=st.integers(0, 99),
    scale=st.floats(0.01, 5),
    opacity=st.floats(0, 1),
    sign=st.sampled_from(["all", "positive", "negative"]),
    colormap=st.sampled_from(["RdBu_r", "viridis"]),
)
@example(np.zeros((3, 4)), 0, 1.0, 1.0, "all", "RdBu_r")
@example(np.full((3, 4), 9.0), 0, 1.0, 1.0, "all", "RdBu_r")
def test_compose_is_its_formula_pixel_by_pixel(values, seed, scale, opacity, sign, colormap):
    photo, table = draw_photo(3, 4, seed), figures.color_table(colormap)
    made = figures.compose(photo, values, scale, table, opacity, sign)
    assert made.dtype == np.uint8
    assert made.shape == photo.shape
    exact = naive(photo, values, scale, table, opacity, sign)
    assert np.abs(made - exact).max() <= 0.5 + 1e-3  # rounded once, from float32


@given(st.integers(0, 99), st.sampled_from(["all", "positive", "negative"]))
def test_overlay_of_no_opacity_is_the_photo(seed, sign):
    photo = draw_photo(4, 5, seed)
    values = np.random.default_rng(seed).normal(size=(4, 5))
    assert np.array_equal(figures.compose(photo, values, 0.1, figures.color_table("RdBu_r"), 0.0, sign), photo)


def test_what_reaches_the_scale_has_the_colour_at_the_end_of_the_map():
    photo, table = draw_photo(1, 4), figures.color_table("RdBu_r")
    made = figures.compose(photo, np.array([[2.0, 7.0, -2.0, -7.0]]), 2.0, table, 1.0)
    assert (made[0, :2] == table[255]).all()
    assert (made[0, 2:] == table[0]).all()


def test_zero_is_not_painted():
    photo, black = draw_photo(3, 3), np.zeros((256, 3), np.uint8)
    white = np.full((256, 3), 255, np.uint8)
    empty = np.zeros((3, 3))
    assert np.array_equal(
        figures.compose(photo, empty, 1.0, black, 0.7), figures.compose(photo, empty, 1.0, white, 0.7)
    )


@given(hnp.arrays(np.float64, (3, 3), elements=st.floats(-2, 2)), st.floats(0.1, 1))
def test_signs_are_painted_apart_and_together(values, opacity):
    photo, table = draw_photo(3, 3), figures.color_table("RdBu_r")
    everything, positive, negative, nothing = (
        figures.compose(photo, v, 1.0, table, opacity, sign)
        for v, sign in ((values, "all"), (values, "positive"), (values, "negative"), (values * 0, "all"))
    )
    up, down = values >= 0, values <= 0
    assert np.array_equal(positive[up], everything[up])
    assert np.array_equal(negative[down], everything[down])
    assert np.array_equal(positive[~up], nothing[~up])
    assert np.array_equal(negative[~down], nothing[~down])


@given(hnp.arrays(np.float64, (3, 3), elements=st.floats(-2, 2)), st.floats(0.01, 100))
def test_picture_depends_on_the_share_of_the_scale_alone(values, factor):
    photo, table = draw_photo(3, 3), figures.color_table("RdBu_r")
    one = figures.compose(photo, values, 1.0, table, 0.8).astype(int)
    other = figures.compose(photo, values * factor, factor, table, 0.8).astype(int)
    assert np.abs(one - other).max() <= 4  # a share on the border of two colours may fall to either side


def test_arguments_stay_as_they_are():
    photo, values, table = draw_photo(3, 3), np.ones((3, 3)), figures.color_table("RdBu_r")
    before = photo.copy(), values.copy(), table.copy()
    figures.compose(photo, values, 0.5, table, 1.0, "negative")
    figures.scale_of(values, 99)
    for now, then in zip((photo, values, table), before, strict=True):
        assert np.array_equal(now, then)


# ---------------------------------------------------------------- the file


def test_png_shows_the_photo_and_the_overlay():
    table = figures.color_table("RdBu_r")
    photo = np.full((16, 24, 3), (0, 200, 0), np.uint8)
    overlay = np.full((16, 24, 3), (200, 0, 200), np.uint8)
    data = figures.overlay_png(photo, overlay, table, 0.5, "logit", "a $5 label with {odd} _signs^ \\alpha")
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "PNG"
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    height, width = pixels.shape[:2]
    near = [np.abs(pixels - np.array(color)).max(2) <= 12 for color in ((0, 200, 0), (200, 0, 200))]
    for found in near:
        assert found.mean() > 0.1  # each has its part of the picture
    assert np.nonzero(near[0])[1].max() < np.nonzero(near[1])[1].min()  # side by side
    assert width > height
    assert (pixels.min(2) > 245).mean() > 0.1  # on white


def test_png_is_the_same_twice_and_leaves_pyplot_alone():
    from matplotlib import pyplot

    table, photo = figures.color_table("RdBu_r"), draw_photo(8, 8)
    arguments = photo, photo[::-1], table, 0.5, "logit", "caption"
    assert figures.overlay_png(*arguments) == figures.overlay_png(*arguments)
    assert pyplot.get_fignums() == []
