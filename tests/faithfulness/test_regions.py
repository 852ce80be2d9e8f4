"""Which pixels a region holds: by their centres, whichever way it is written."""

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ig_widgets import errors
from ig_widgets.faithfulness import region_mask

sides = st.integers(1, 12)
numbers = st.floats(-4, 16, allow_nan=False).map(lambda v: round(v, 3))
polygons = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=7)
# Eighths stay what they are when they are moved.
eighths = st.integers(-32, 128).map(lambda v: v / 8)
polygons_of_eighths = st.lists(st.tuples(eighths, eighths), min_size=3, max_size=7)


def mask_or_none(region, height, width):
    try:
        return region_mask(region, height, width)
    except errors.ArgumentValueError:
        return np.zeros((height, width), bool)


@given(st.data(), sides, sides)
def test_a_rectangle_of_integers_is_a_slice(data, height, width):
    left, right = sorted(data.draw(st.lists(st.integers(0, width), min_size=2, max_size=2, unique=True)))
    top, bottom = sorted(data.draw(st.lists(st.integers(0, height), min_size=2, max_size=2, unique=True)))
    exact = np.zeros((height, width), bool)
    exact[top:bottom, left:right] = True
    assert np.array_equal(region_mask((left, top, right, bottom), height, width), exact)
    assert np.array_equal(region_mask(torch.tensor([left, top, right, bottom]), height, width), exact)
    assert np.array_equal(region_mask(exact, height, width), exact)
    assert np.array_equal(region_mask(torch.from_numpy(exact), height, width), exact)


@given(numbers, numbers, numbers, numbers, sides, sides)
def test_a_rectangle_is_the_polygon_of_its_corners(x0, y0, x1, y1, height, width):
    left, right, top, bottom = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    rectangle = mask_or_none((left, top, right, bottom), height, width)
    assert np.array_equal(rectangle, mask_or_none(corners, height, width))
    rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width) + 0.5
    assert np.array_equal(rectangle, (left <= columns) & (columns < right) & (top <= rows) & (rows < bottom))


def winding_by_angles(points, x, y):
    """How often the polygon goes around (x, y), from the angles that its edges are seen under."""
    total = 0.0
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        a, b = complex(x0 - x, y0 - y), complex(x1 - x, y1 - y)
        total += np.angle(b / a)
    return round(total / (2 * np.pi))


@given(polygons, sides, sides)
def test_a_polygon_holds_what_it_goes_around_an_odd_number_of_times(points, height, width):
    # Off the grid of the centres, so that none lies on an edge but by slope.
    points = [(x + 1e-4, y + 1.3e-4) for x, y in points]
    mask = mask_or_none(points, height, width)
    for row in range(height):
        for column in range(width):
            x, y = column + 0.5, row + 0.5
            if distance(points, x, y) > 1e-6:
                assert mask[row, column] == bool(winding_by_angles(points, x, y) % 2)


def distance(points, x, y):
    """From (x, y) to the outline."""
    least = np.inf
    for one, other in zip(points, [*points[1:], points[0]], strict=True):
        a, b = np.array(one), np.array(other)
        length = float((b - a) @ (b - a))
        share = np.clip((np.array([x, y]) - a) @ (b - a) / length, 0, 1) if length else 0.0
        least = min(least, float(np.hypot(*(a + share * (b - a) - (x, y)))))
    return least


def edge_by_edge(points, height, width):
    """The rule of the pixels, in the plainest form of it: each edge changes the side of the centres left of it."""
    mask = np.zeros((height, width), dtype=bool)
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    for one, other in zip(points, [*points[1:], points[0]], strict=True):
        (x0, y0), (x1, y1) = (one, other) if one[1] <= other[1] else (other, one)
        for row in np.flatnonzero((y0 <= rows) & (rows < y1)):
            mask[row] ^= columns < x0 + (rows[row] - y0) * (x1 - x0) / (y1 - y0)
    return mask


# On centres and corners of pixels, and within rounding of them; anywhere; and far away.
near = st.builds(lambda n, d: n / 2 + d, st.integers(-8, 32), st.sampled_from([0, 0, 0, 2.0**-52, -(2.0**-53), 1e-9]))
anywhere = st.one_of(near, numbers, st.floats(-1e18, 1e18))


@given(st.lists(st.tuples(anywhere, anywhere), min_size=3, max_size=9), sides, sides)
def test_a_centre_on_an_edge_is_held_by_what_lies_right_of_it_or_below(points, height, width):
    assert np.array_equal(mask_or_none(points, height, width), edge_by_edge(points, height, width))
    left, top = (region_mask(box, 4, 4) for box in ((0.5, 0.5, 2.5, 2.5), [(0.5, 0.5), (2.5, 0.5), (0.5, 2.5)]))
    assert np.argwhere(left).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert np.argwhere(top).tolist() == [[0, 0], [0, 1], [1, 0]]


def test_edges_longer_than_numbers_go_are_no_trouble():
    for points in ([(-1e308, -1e308), (1e308, 3), (3, 1e308)], [(0, -1.7e308), (5, 1.7e308), (9, 3)]):
        assert region_mask(points, 6, 8).shape == (6, 8)


@given(polygons, st.integers(0, 6), sides, sides)
def test_a_polygon_has_no_first_point_and_no_direction(points, shift, height, width):
    mask = mask_or_none(points, height, width)
    shift %= len(points)
    assert np.array_equal(mask_or_none(points[shift:] + points[:shift], height, width), mask)
    assert np.array_equal(mask_or_none(points[::-1], height, width), mask)
    assert np.array_equal(mask_or_none(torch.tensor(points, dtype=torch.float64), height, width), mask)


@given(st.lists(st.tuples(numbers, numbers), min_size=4, max_size=4), sides, sides)
def test_polygons_with_a_common_edge_share_no_pixel_and_leave_none_out(points, height, width):
    """Both triangles of a quadrilateral add up, by exclusive or, to the quadrilateral itself."""
    a, b, c, d = points
    parts = mask_or_none([a, b, c], height, width) ^ mask_or_none([a, c, d], height, width)
    assert np.array_equal(parts, mask_or_none(points, height, width))


@given(polygons_of_eighths, sides, sides)
@example([(0, 0), (0, 2), (12.5, 12.5)], 4, 4)
def test_what_sticks_out_is_cut_off(points, height, width):
    wide = mask_or_none([(x + 5, y + 5) for x, y in points], height + 25, width + 25)
    assume(wide[5 : 5 + height, 5 : 5 + width].any())
    assert np.array_equal(wide[5 : 5 + height, 5 : 5 + width], region_mask(points, height, width))


def test_a_mask_is_copied():
    given_ = np.ones((2, 3), bool)
    region_mask(given_, 2, 3)[:] = False
    assert given_.all()


@pytest.mark.parametrize(
    ("region", "sentence"),
    [
        ((3, 3, 3, 9), r"\(3, 3, 3, 9\) is empty, its right must exceed its left"),
        ((5, 1, 2, 4), r"\(5, 1, 2, 4\) is empty"),
        ((20, 0, 30, 5), "lies outside of the picture, 8 wide and 6 high"),
        ((-9, -9, 0, 0), "lies outside of the picture"),
        ((2.6, 2.6, 3.4, 3.4), "too small"),
        ((0, 0, float("nan"), 4), "NaN or infinite"),
        ([(0, 0), (4, 4), (np.inf, 1)], "NaN or infinite"),
        ([(0, 0), (4, 4)], r"numbers of shape \(2, 2\); a polygon has 3 points or more"),
        ([(0, 0), (4, 4), (2, 2)], "no inside"),
        ((1, 2, 3), r"numbers of shape \(3,\)"),
        (np.ones((6, 7), bool), r"mask of shape \(6, 7\), the picture is \(6, 8\)"),
        (np.zeros((6, 8), bool), "mask that is False everywhere"),
        (np.ones((6, 8)), r"numbers of shape \(6, 8\)"),
        (np.zeros((0, 2)), r"numbers of shape \(0, 2\)"),
    ],
)
def test_what_is_no_region_is_refused_in_one_sentence(region, sentence):
    with pytest.raises(errors.ArgumentValueError, match=f"^region .*{sentence}[^\n]*$"):
        region_mask(region, 6, 8)


@pytest.mark.parametrize("region", ["left", None, [(0, 0), (1, 2, 3)], {"x": 1}, [(1j, 0), (0, 1), (1, 1)]])
def test_what_is_of_no_type_is_refused(region):
    with pytest.raises(errors.ArgumentTypeError, match=r"^region must be \(left, top, right, bottom\)"):
        region_mask(region, 6, 8)
