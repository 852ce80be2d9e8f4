"""Figures of several pictures and maps: each is drawn as it is, sums stay, and a hue says whether there are signs."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import select_figure_formats
from IPython.utils.capture import capture_output
from PIL import Image

from ig_widgets import errors, figures
from ig_widgets.figures.inputs import as_photo
from ig_widgets.figures.side_by_side import UNSIGNED, one_sided_table
from tests.figures.test_image import ODD, draw_map, draw_photo, explained, pictures_of, texts_of


def named_maps():
    return {"one": draw_map(seed=1), "three times": 3 * draw_map(seed=1), "square": draw_map(seed=1) ** 2}


def test_each_picture_is_drawn_as_it_is_under_its_name():
    shown = {"bytes": draw_photo(), "wide": draw_photo(4, 30), ODD: torch.rand(3, 5, 5)}
    figure = figures.pictures(shown, caption=ODD)
    for drawn, picture in zip(pictures_of(figure), shown.values(), strict=True):
        assert np.array_equal(drawn, as_photo(picture))
    assert {"bytes", "wide", ODD} <= texts_of(figure)


@pytest.mark.parametrize("one_scale", [True, False])
def test_maps_are_composed_as_everywhere(one_scale):
    photo, shown = draw_photo(), named_maps()
    shared = figures.scale_of(np.stack(list(shown.values())), 90)
    tables = [figures.color_table("PuOr_r")] * 2 + [one_sided_table(UNSIGNED)]
    figure = figures.maps(shown, photo, one_scale=one_scale, clip=90, colormap="PuOr_r", opacity=0.7)
    drawn = pictures_of(figure)[: len(shown)]
    for picture, values, table in zip(drawn, shown.values(), tables, strict=True):
        scale = shared if one_scale else figures.scale_of(values, 90)
        assert np.array_equal(picture, figures.compose(photo, values, scale, table, 0.7))


def test_a_map_three_times_as_large_looks_the_same_in_its_own_scale_alone():
    own, shared = (pictures_of(figures.maps(named_maps(), one_scale=one_scale)) for one_scale in (False, True))
    assert np.array_equal(own[0], own[1])
    assert not np.array_equal(shared[0], shared[1])


@settings(max_examples=20)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 14))
def test_patches_are_flat_and_hold_the_sum_of_their_pixels(height, width, patch):
    """On white, with the scale at the largest sum: each pixel has the colour of the sum over its patch."""
    values = np.abs(draw_map(height, width, seed=patch))
    (drawn,) = pictures_of(figures.maps({"map": values}, patch=patch, clip=100, opacity=1))[:1]
    sums = np.zeros_like(values)
    for row in range(0, height, patch):
        for column in range(0, width, patch):
            cell = np.s_[row : row + patch, column : column + patch]
            sums[cell] = values[cell].sum()
    white = np.full((height, width, 3), 255, np.uint8)
    assert np.array_equal(drawn, figures.compose(white, sums, sums.max(), one_sided_table(UNSIGNED), 1))


@pytest.mark.parametrize(
    ("shown", "bars"), [({"signed": draw_map()}, 1), ({"size": draw_map() ** 2}, 1), (named_maps(), 2)]
)
def test_each_kind_of_colours_has_a_bar(shown, bars):
    assert len(figures.maps(shown).get_axes()) == len(shown) + bars


@pytest.mark.parametrize("has_pyplot", [False, True])
def test_a_notebook_shows_it_once_and_small(has_pyplot):
    shell = InteractiveShell.instance()
    if has_pyplot:
        select_figure_formats(shell, {"png"})
    with capture_output() as shown:
        others, _ = shell.display_formatter.format(figures.pictures({"bytes": draw_photo()}))
    (output,) = shown.outputs
    assert not others
    assert Image.open(io.BytesIO(output.data["image/png"])).mode == "P"


def test_an_attribution_is_a_map():
    result = explained()
    (drawn,) = pictures_of(figures.maps({"result": result}))[:1]
    (same,) = pictures_of(figures.maps({"result": result.attributions.sum(1)}))[:1]
    assert np.array_equal(drawn, same)


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda: figures.pictures({}), "named is empty"),
        (lambda: figures.pictures([draw_photo()]), "named must be a dict"),
        (lambda: figures.maps({1: draw_map()}), "texts for names, got 1"),
        (lambda: figures.maps({"map": draw_map()}, patch=0), "patch must be a whole number"),
        (lambda: figures.maps({"map": draw_map()}, columns=0), "columns must be 1 or more"),
        (lambda: figures.maps({"a": draw_map(), "b": draw_map(3, 3)}), "different sizes"),
        (lambda: figures.maps({"a": draw_map()}, draw_photo(3, 3)), "give the picture as the model sees it"),
    ],
)
def test_what_cannot_be_drawn_is_said(draw, says):
    with pytest.raises((errors.ArgumentTypeError, errors.ArgumentValueError), match=says):
        draw()
