"""Grains of a picture: sums over patches and superpixels, which are complete, and drawn the same on both sides."""

import json
from pathlib import Path

import numpy as np
import pytest
import traitlets
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ig_widgets import figures
from ig_widgets.explorers.image.grains import GRAINS, grain_of, patches
from ig_widgets.explorers.image.superpixels import superpixels
from tests.explorers.subjects import LABELS, SECONDS, ready, subject_of

FIXTURES = Path(__file__).parents[1] / "fixtures"
PICTURES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)))
MAPS = hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 30)), elements=st.floats(-1e3, 1e3))


def hangs_together(mask):
    reached = np.zeros_like(mask)
    reached.flat[mask.argmax()] = True
    while True:
        grown = reached.copy()
        grown[1:] |= reached[:-1]
        grown[:-1] |= reached[1:]
        grown[:, 1:] |= reached[:, :-1]
        grown[:, :-1] |= reached[:, 1:]
        grown &= mask
        if (grown == reached).all():
            return bool((reached == mask).all())
        reached = grown


@settings(max_examples=40, deadline=None)
@given(PICTURES)
def test_superpixels_of_any_picture_hang_together_and_fit_in_a_byte(photo):
    labels = superpixels(photo)
    assert labels.shape == photo.shape[:2]
    assert labels.dtype == np.uint8
    count = int(labels.max()) + 1
    assert count <= 150
    assert set(np.unique(labels)) == set(range(count))
    assert all(hangs_together(labels == one) for one in range(count))
    assert np.array_equal(labels, superpixels(photo))


def test_superpixels_end_where_the_colour_does():
    y, x = np.mgrid[:60, :80]
    disc = np.hypot(x - 32, y - 27) < 14
    labels = superpixels(np.where(disc[..., None], [250, 240, 90], [20, 30, 90]).astype(np.uint8))
    inside = np.array([disc[labels == one].mean() for one in range(labels.max() + 1)])
    assert np.minimum(inside, 1 - inside).max() < 0.2
    assert 60 < len(inside) <= 150


def test_a_large_picture_is_cut_at_a_fraction_of_its_size():
    labels = superpixels(np.random.default_rng(0).integers(0, 256, (301, 407, 3), dtype=np.uint8))
    assert labels.shape == (301, 407)


@given(MAPS, st.sampled_from([2, 4, 8, 16, 32]))
def test_sums_over_patches_are_complete_and_so_is_what_is_shared_out(values, side):
    cells = patches(*values.shape, side)
    total = pytest.approx(values.sum(), abs=1e-6)
    assert cells.sums(values).sum() == total
    assert cells.shared_out(values).sum() == total
    height, width = values.shape
    by_hand = [
        values[top : top + side, left : left + side].sum()
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]
    assert np.allclose(cells.sums(values), by_hand)
    drawn = cells.drawn(values)
    assert drawn[0, 0] == pytest.approx(by_hand[0])
    assert drawn[-1, -1] == pytest.approx(by_hand[-1])


@pytest.mark.parametrize(("given_as", "kept"), [(1, "pixels"), (8, "patches of 8"), ("superpixels", "superpixels")])
def test_grain_is_set_by_number_or_name(explore, given_as, kept):
    explorer = explore(grain=given_as)
    assert explorer.grain == kept
    explorer.grain = "pixels"
    assert explorer.grain == "pixels"


@pytest.mark.parametrize("wrong", [3, 0, -1, 64, "patches of 3", "", None, 2.5, True, [8]])
def test_another_grain_is_refused_with_what_there_is(explore, wrong):
    explorer = explore()
    with pytest.raises(traitlets.TraitError, match=r"grain must be one of pixels, patches of 2.*superpixels"):
        explorer.grain = wrong
    assert explorer.grain == "pixels"


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("scale", ["fixed", "shown"])
def test_static_pictures_show_sums_in_flat_cells_in_their_own_scale(explore, grain, scale):
    explorer = explore(grain=grain, scale=scale, alpha=0.4, clip=95)
    ready(explorer)
    subject, rule = subject_of(explorer), explorer._pane_list[0].answer.rule
    full = np.asarray(subject.reduce(explorer.result.attributions, rule.settings)[0], np.float64)
    collected = rule.log.collected(rule.pieces, 0.4).reshape(full.shape)
    cells = subject.cells({"grain": grain})
    labels = np.arange(full.size).reshape(full.shape) if cells is None else cells.labels
    sums = np.bincount(labels.ravel(), weights=collected.ravel())
    measured = sums if scale == "shown" else np.bincount(labels.ravel(), weights=full.ravel())
    expected = float(np.percentile(np.abs(measured), 95))
    drawing = explorer.figure().axes[-1]
    assert max(drawing.get_ylim()) == pytest.approx(expected, rel=1e-4)
    table = figures.color_table(explorer.colormap)
    made = figures.compose(subject.photo, sums[labels], expected, table, explorer.opacity)
    shown = explorer.figure().axes[1].get_images()[0].get_array()
    assert np.abs(np.asarray(shown, int) - made.astype(int)).max() <= 1
    assert explorer.to_html() is not None


def test_the_grain_asks_the_model_nothing_and_says_nothing_but_the_trait(explore, case):
    model = case.watched()
    explorer = explore(model)
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    rows, said = model.rows, len(view.log)
    for grain in GRAINS:
        explorer.grain = grain
    explorer.comm.settle()
    assert model.rows == rows
    assert len(view.log) == said


@pytest.mark.parametrize("grain", ["pixels", 4, "superpixels"])
def test_audits_of_regions_that_tile_the_picture_add_up_at_every_grain(explore, grain):
    explorer = explore(grain=grain)
    ready(explorer)
    height, width = explorer._subject.map_shape
    explorer.regions = [(0, 0, 3, height), (3, 0, width, height)]
    sums = [audit.attribution_sum for audit in explorer.audits()]
    assert sum(sums) == pytest.approx(float(explorer.result.attributions.sum()), rel=1e-5)
    labels = subject_of(explorer).cells({"grain": explorer.grain})
    if labels is not None:
        even = labels.shared_out(np.asarray(explorer.result.attributions.sum(1)[0], np.float64))
        assert sums[0] == pytest.approx(even[:, :3].sum(), rel=1e-4, abs=1e-6)


def test_a_file_and_a_page_keep_the_grain_and_the_scale(explore, restore):
    explorer = explore(grain=8, scale="shown", alpha=0.5, labels=LABELS)
    ready(explorer)
    again = restore(explorer)
    assert (again.grain, again.scale) == ("patches of 8", "shown")
    assert again.snapshot() == explorer.snapshot()
    assert '"grain":"patches of 8"' in explorer.to_html()


def test_names_are_those_of_the_front_end():
    assert json.loads((FIXTURES / "settings.json").read_text())["grains"] == list(GRAINS)
    assert [grain_of(side) for side in (1, 2, 4, 8, 16, 32)] == list(GRAINS[:-1])
