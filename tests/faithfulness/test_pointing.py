"""The pointing game: exact shares, the level of chance, and truths in their many forms."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ig_widgets as igw
from ig_widgets import errors
from ig_widgets.faithfulness import pointing
from tests.engine.subjects import ConvScores, draw, few

seeds = st.integers(0, 999)


def masks(seed, batch=2, height=5, width=7):
    drawn = np.random.default_rng(seed).random((batch, height, width)) < 0.3
    drawn[:, 0, 0] = True
    return drawn


@few
@given(seeds, st.floats(0, 4))
def test_numbers_are_those_counted_pixel_by_pixel(seed, tolerance):
    maps, truth = draw(seed, 2, 3, 5, 7), masks(seed)
    found = pointing(maps, torch.from_numpy(truth), tolerance=tolerance)
    for values, inside, *seen in zip(
        maps.sum(1).numpy(), truth, found.hit, found.positive_share, found.absolute_share, found.area, found.chance,
        strict=True,
    ):  # fmt: skip
        places = np.argwhere(inside)

        def near(row, column, places=places):
            return float(np.hypot(*(places - (row, column)).T).min()) <= tolerance

        largest = np.unravel_index(values.argmax(), values.shape)
        positive = values.clip(min=0)
        expected = [
            near(*largest),
            positive[inside].sum() / positive.sum(),
            abs(values)[inside].sum() / abs(values).sum(),
            inside.mean(),
            np.mean([near(row, column) for row in range(5) for column in range(7)]),
        ]
        assert [float(v) for v in seen] == pytest.approx([float(v) for v in expected], abs=1e-12)


@few
@given(seeds, st.sampled_from([0, 1, 2.5]))
def test_a_uniform_map_is_at_the_level_of_chance(seed, tolerance):
    found = pointing(torch.full((2, 5, 7), 0.5), torch.from_numpy(masks(seed)), tolerance=tolerance)
    assert torch.allclose(found.hit, found.chance)
    assert torch.allclose(found.positive_share, found.area)
    assert torch.allclose(found.absolute_share, found.area)


def test_hits_of_random_maps_are_chance():
    count, truth = 2000, masks(1, 1)[0]
    found = pointing(draw(0, count, 5, 7), truth, tolerance=1)
    chance = float(found.chance[0])
    assert float(found.hit.mean()) == pytest.approx(chance, abs=4 * (chance * (1 - chance) / count) ** 0.5)


def test_negative_attribution_counts_as_size_only():
    values = torch.zeros(2, 4, 4)
    values[0, 0, 0], values[0, 3, 3] = -3, 1
    found = pointing(values, (0, 0, 1, 1))
    assert (float(found.hit[0]), float(found.positive_share[0]), float(found.absolute_share[0])) == (0, 0, 0.75)
    # A map of zeros has no mass, and points anywhere.
    assert float(found.hit[1]) == 1 / 16
    assert bool(found.positive_share[1].isnan())
    assert bool(found.absolute_share[1].isnan())


def test_truths_in_many_forms():
    maps, mask = draw(0, 2, 3, 6, 8), np.zeros((6, 8), bool)
    mask[1:4, 2:7] = True
    other = ~mask
    one = [(2, 1, 7, 4), mask, torch.from_numpy(mask), np.array([(2, 1), (7, 1), (7, 4), (2, 4)])]
    shares = {tuple(pointing(maps, truth).absolute_share.tolist()) for truth in one}
    assert len(shares) == 1
    each = [[mask, other], [(2, 1, 7, 4), other], np.stack([mask, other]), torch.from_numpy(np.stack([mask, other]))]
    shares = {tuple(pointing(maps, truth).absolute_share.tolist()) for truth in each}
    assert len(shares) == 1
    assert shares.pop()[1] == pytest.approx(float(pointing(maps, other).absolute_share[1]))


def test_maps_in_many_forms():
    values = draw(0, 1, 3, 6, 6)
    result = igw.attribute(ConvScores((4,)), values, target=0, n_steps=4)
    expected = pointing(result, (0, 0, 3, 3)).positive_share
    summed = result.attributions.sum(1)
    for form in (result.attributions, summed, summed[0], summed.half().double()):
        assert torch.allclose(pointing(form, (0, 0, 3, 3)).positive_share, expected, atol=1e-3)


def test_what_cannot_work_is_refused():
    maps, wrong = torch.ones(2, 4, 4), errors.ArgumentTypeError
    for message, kind, call in (
        ("attributions must be an Attribution", wrong, lambda: pointing("map", (0, 0, 1, 1))),
        ("attributions must be maps", ValueError, lambda: pointing(torch.ones(4), (0, 0, 1, 1))),
        ("attributions holds values", ValueError, lambda: pointing(maps / 0, (0, 0, 1, 1))),
        ("truth has 1 regions for 2 maps", ValueError, lambda: pointing(maps, [(0, 0, 1, 1)])),
        ("region .* outside", ValueError, lambda: pointing(maps, (9, 9, 12, 12))),
        ("tolerance must be a number", wrong, lambda: pointing(maps, (0, 0, 1, 1), tolerance="1")),
        ("tolerance is a number of pixels from 0", ValueError, lambda: pointing(maps, (0, 0, 1, 1), tolerance=-1)),
    ):
        with pytest.raises(kind, match=f"^{message}") as caught:
            call()
        assert isinstance(caught.value, errors.IGError)
    with pytest.raises(errors.ArgumentValueError) as caught:
        pointing(maps, [(0, 0, 1, 1), (9, 9, 12, 12)])
    assert caught.value.__notes__ == ["This is truth[1]."]


def test_results_are_frozen_and_print_their_numbers():
    found = pointing(draw(0, 3, 5, 7), (0, 0, 3, 3), tolerance=2)
    head, *lines = repr(found).splitlines()
    assert "hit within 2 px" in head
    assert len(lines) == 4
    for line, value in zip(lines, found.absolute_share.tolist(), strict=False):
        assert f"{value:.3g}" in line
    assert lines[-1].startswith("mean")
    assert "<table>" in found._repr_html_()
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.area = None
