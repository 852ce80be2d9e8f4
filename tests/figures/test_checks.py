"""Figures of deletion, insertion and randomisation: the lines are the results, the captions say what was done."""

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import pyplot
from torch import nn

from ig_widgets import errors, figures
from ig_widgets.faithfulness import deletion, insertion, randomize_model
from tests.engine.subjects import draw


def results(n_random=3):
    x, b = draw(0, 2, 6), draw(1, 2, 6)
    return [
        kind(lambda points: torch.tanh(points).sum(1), x, x - b, fill=b, n_random=n_random)
        for kind in (deletion, insertion)
    ]


def randomized(depth=2, batch=2, explain=None):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(4, 4), nn.Tanh())]
    return randomize_model(nn.Sequential(*layers).double(), draw(0, batch, 4), explain, target=None if explain else 0)


def texts(figure):
    return {text.get_text() for text in figure.findobj(matplotlib.text.Text)}


def test_lines_are_the_outputs_and_the_legend_has_the_areas():
    gone, put = results()
    figure = figures.curves([gone, put], example=1, title="a $5 bill", unit="logit of $3$")
    panels = figure.get_axes()
    for axes, result in zip(panels, (gone, put), strict=True):
        lines = {line.get_label().partition(",")[0]: line for line in axes.get_lines()}
        assert np.array_equal(lines["map"].get_xdata(), result.shares.numpy())
        assert np.array_equal(lines["map"].get_ydata(), result.outputs[1].numpy())
        assert np.allclose(lines["random"].get_ydata(), result.random_outputs[1].mean(0).numpy())
        assert f"map, area {float(result.area[1]):.3g}" in texts(figure)
        assert f"random, area {float(result.random_area[1].mean()):.3g}" in texts(figure)
        (band,) = axes.collections
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.min() == pytest.approx(float(result.random_outputs[1].min()))
        assert heights.max() == pytest.approx(float(result.random_outputs[1].max()))
    assert {"deletion", "insertion", "a $5 bill", "F, logit of $3$"} <= texts(figure)
    assert panels[0].get_ylim() == panels[1].get_ylim()
    caption = figure.get_supxlabel().replace("\n", " ")
    assert "Fill: given tensor" in caption
    assert "3 random orders" in caption


def test_one_result_and_one_random_order():
    (gone, _) = results(n_random=1)
    figure = figures.curves(gone, caption="")
    (axes,) = figure.get_axes()
    assert len(axes.collections) == 0
    assert figure.get_supxlabel() == ""
    assert "1 random order (dashed)" in figures.curves(gone).get_supxlabel().replace("\n", " ")


def test_correlations_are_drawn_from_one_downwards():
    found = randomized()
    figure = figures.randomization(found, title="t")
    (axes,) = figure.get_axes()
    lines = {line.get_label(): line.get_ydata() for line in axes.get_lines() if not line.get_label().startswith("_")}
    assert np.allclose(lines["values"], [1, *found.correlations.mean(0)])
    assert np.allclose(lines["absolute values"], [1, *found.absolute_correlations.mean(0)])
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["as trained", *found.layers]
    assert {"t", "layers drawn anew, down to"} <= texts(figure)


def test_many_layers_are_numbered_and_maps_without_order_leave_gaps():
    (axes,) = figures.randomization(randomized(30, explain=lambda model, x: model(x))).get_axes()
    assert "as trained" not in [tick.get_text() for tick in axes.get_xticklabels()]
    (axes,) = figures.randomization(randomized(explain=lambda model, x: torch.ones_like(model(x)))).get_axes()
    assert np.isnan(axes.get_lines()[-1].get_ydata()[1:]).all()


def test_colours_are_told_apart_in_grey():
    for figure in (figures.curves(results()[0]), figures.randomization(randomized(batch=1))):
        drawn = [line for line in figure.get_axes()[0].get_lines() if not line.get_label().startswith("_")]
        greys = [np.dot(matplotlib.colors.to_rgb(line.get_color()), (0.299, 0.587, 0.114)) for line in drawn]
        assert abs(greys[0] - greys[1]) > 0.1
        assert len({line.get_linestyle() for line in drawn}) == 2


def test_files_are_the_same_twice_and_pyplot_is_left_alone():
    gone, found = results(), randomized()
    assert figures.to_svg(figures.curves(gone)) == figures.to_svg(figures.curves(gone))
    assert figures.to_svg(figures.randomization(found)) == figures.to_svg(figures.randomization(found))
    assert pyplot.get_fignums() == []


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(
        errors.ArgumentTypeError, match=r"^results must be what deletion or insertion returned, got str"
    ):
        figures.curves(["curve"])
    with pytest.raises(errors.ArgumentValueError, match=r"^results is empty"):
        figures.curves([])
    with pytest.raises(errors.ArgumentValueError, match=r"^example is 2, and the result has 2"):
        figures.curves(results(), example=2)
    with pytest.raises(errors.ArgumentTypeError, match=r"^result must be what randomize_model returned, got list"):
        figures.randomization([])
