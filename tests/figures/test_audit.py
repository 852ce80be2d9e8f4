"""The figure of audited regions: the bars are the numbers, the outlines are the regions' own."""

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import LineCollection
from matplotlib.container import BarContainer

from ig_widgets import errors, figures
from ig_widgets.faithfulness import RegionAudits, audit_regions
from ig_widgets.figures.audit import _border
from tests.engine.subjects import ConvScores, draw


def audits_of(regions):
    x, b = draw(0, 1, 3, 6, 6), draw(1, 1, 3, 6, 6)
    return audit_regions(ConvScores((4,)), x, regions, baselines=b, target=1, attributions=draw(2, 6, 6))


def photo():
    return np.random.default_rng(0).integers(0, 256, (6, 6, 3)).astype(np.uint8)


def test_bars_are_the_numbers_and_say_them():
    audits = audits_of({"a $5 ear": (0, 0, 3, 3), "tail": (2, 4, 6, 6), "3": (1, 1, 2, 2)})
    figure = figures.audit(audits, photo(), title="$x$", caption="c", unit="u")
    bars = figure.get_axes()[1]
    sums, drops = (c for c in bars.containers if isinstance(c, BarContainer))
    assert [bar.get_width() for bar in sums] == [audit.attribution_sum for audit in audits]
    assert [bar.get_width() for bar in drops] == [audit.drop for audit in audits]
    texts = {text.get_text() for text in figure.findobj(matplotlib.text.Text)}
    for audit in audits:
        assert {f"{audit.attribution_sum:.3g}", f"{audit.drop:.3g}"} <= texts
    assert {"1 a $5 ear", "2 tail", "3", "$x$", "c", "u"} <= texts
    assert np.array_equal(figure.get_axes()[0].get_images()[0].get_array(), photo())


@settings(max_examples=40)
@given(st.integers(0, 2**36 - 1))
def test_the_border_lies_between_inside_and_outside(bits):
    mask = np.array([bits >> i & 1 for i in range(36)], bool).reshape(6, 6)
    lines = {tuple(map(tuple, line)) for line in (_border(mask) + 0.5).astype(int)}
    inside = lambda row, column: 0 <= row < 6 and 0 <= column < 6 and bool(mask[row, column])  # noqa: E731
    for row in range(7):
        for column in range(7):
            above = ((column, row), (column + 1, row)) in lines
            left = ((column, row), (column, row + 1)) in lines
            assert above == (inside(row, column) != inside(row - 1, column))
            assert left == (inside(row, column) != inside(row, column - 1))


def test_every_region_is_outlined():
    figure = figures.audit(audits_of([(0, 0, 3, 3), (2, 4, 6, 6)]), photo())
    lines = [c for c in figure.get_axes()[0].collections if isinstance(c, LineCollection)]
    assert sorted(len(c.get_segments()) for c in lines) == [12, 12, 12, 12]  # once dark, once light


def test_one_audit_alone_and_pictures_in_other_forms():
    audits = audits_of([(0, 0, 3, 3)])
    picture = torch.from_numpy(photo()).permute(2, 0, 1) / 255
    assert figures.to_png(figures.audit(audits[0], picture)) == figures.to_png(figures.audit(audits, photo()))


def test_files_are_the_same_twice_and_pyplot_is_left_alone():
    from matplotlib import pyplot

    audits = audits_of([(0, 0, 3, 3), (2, 4, 6, 6)])
    assert figures.to_svg(figures.audit(audits, photo())) == figures.to_svg(figures.audit(audits, photo()))
    assert pyplot.get_fignums() == []


def test_what_is_no_audit_is_refused():
    with pytest.raises(errors.ArgumentTypeError, match=r"^audits must be what audit_regions returned, got list"):
        figures.audit([], photo())
    with pytest.raises(errors.ArgumentValueError, match=r"^audits is empty"):
        figures.audit(RegionAudits(()), photo())
    with pytest.raises(
        errors.ArgumentValueError, match=r"^audits are of a picture of 6 x 6 pixels and picture has 5 x 6"
    ):
        figures.audit(audits_of([(0, 0, 3, 3)]), photo()[:, :5])
