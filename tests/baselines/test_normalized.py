"""Baselines of pictures for a model that takes normalised ones, and what is said where nobody thought of that."""

import dataclasses
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import ig_widgets as igw
from ig_widgets import baselines, errors

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PICTURES = [baselines.black(), baselines.white(), baselines.constant((0.1, 0.2, 0.3)), baselines.mean_grey(),
            baselines.uniform(3), baselines.gaussian(0.4, 3), baselines.max_distance(),
            baselines.mean(torch.full((2, 3, 6, 5), 0.25)), baselines.samples(torch.full((2, 3, 6, 5), 0.25)),
            baselines.inputs(torch.full((3, 6, 5), 0.25))]  # fmt: skip
EITHER = [baselines.blur(1.5), baselines.permuted(4)]


def named(baseline):
    return type(baseline).__name__


def draw(seed, *shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def column(levels):
    return torch.tensor(levels, dtype=torch.float64).view(-1, 1, 1)


def normalise(pictures, mean=MEAN, std=STD):
    return (pictures - column(mean)) / column(std)


@pytest.mark.parametrize("baseline", PICTURES + EITHER, ids=named)
def test_normalising_the_baseline_is_the_baseline_of_the_normalised(baseline):
    pictures = draw(0, 2, 3, 6, 5)
    made = baseline.normalized(MEAN, STD)(normalise(pictures))
    assert (made - normalise(baseline(pictures))).abs().max() < 1e-12


@pytest.mark.parametrize("baseline", EITHER, ids=named)
def test_what_serves_for_either_makes_the_same_with_and_without(baseline):
    inputs = normalise(draw(0, 2, 3, 6, 5))
    assert baseline.space == "any"
    assert (baseline(inputs) - baseline.normalized(MEAN, STD)(inputs)).abs().max() < 1e-12


@given(st.floats(0, 1), st.floats(0.05, 3), st.integers(0, 99))
def test_black_is_what_preprocessing_makes_of_black(mean, std, seed):
    pictures = draw(seed, 1, 3, 4, 4)
    made = baselines.black().normalized(mean, std)((pictures - mean) / std)
    assert torch.equal(made, torch.full_like(made, -mean / std))


def test_attribution_from_black_gives_nothing_to_black_pixels_and_from_zeros_it_does():
    """The mistake itself: with a tensor of zeros it is the mean colour that is not asked about."""
    pictures = draw(1, 1, 3, 4, 4)
    pictures[..., 0, 0] = 0
    pictures[..., 3, 3] = torch.tensor(MEAN, dtype=torch.float64)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 1, dtype=torch.float64))
    maps = {
        name: igw.attribute(model, normalise(pictures), baselines=baseline, target=0).attributions[0].abs().sum(0)
        for name, baseline in (("black", baselines.black().normalized(MEAN, STD)), ("zeros", baselines.zeros()))
    }
    assert maps["black"][0, 0] < 1e-12 < maps["black"][3, 3]
    assert maps["zeros"][3, 3] < 1e-12 < maps["zeros"][0, 0]


def test_it_is_a_frozen_value_that_takes_numbers_in_any_form():
    forms = [MEAN, list(MEAN), np.array(MEAN), torch.tensor(MEAN, dtype=torch.float64)]
    made = {baselines.black().normalized(mean=form, std=STD) for form in forms}
    assert len(made) == 1
    (one,) = made
    assert one.space == "inputs"
    assert one.mean == MEAN
    assert "0x" not in repr(one)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.mean = 0.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_dtype_and_shape_are_the_inputs_own_and_the_inputs_stay(dtype):
    inputs = normalise(draw(0, 2, 3, 6, 5)).to(dtype)
    before = inputs.clone()
    made = baselines.white().normalized(MEAN, STD)(inputs)
    assert made.shape == inputs.shape
    assert made.dtype == dtype
    made.zero_()
    assert torch.equal(inputs, before)


@pytest.mark.parametrize(
    ("baseline", "mean", "std", "message", "kind"),
    [
        (baselines.zeros(), 0.5, 0.5, "baseline \"?'?zeros of the model's input", errors.ArgumentValueError),
        (
            baselines.black().normalized(0.5, 0.5),
            0.5,
            0.5,
            "baseline 'black' is made of the",
            errors.ArgumentValueError,
        ),
        (baselines.black(), "0.5", 0.5, "mean must be a number or one for each channel", errors.ArgumentTypeError),
        (baselines.black(), (), 0.5, "mean must be a number", errors.ArgumentTypeError),
        (baselines.black(), 0.5, True, "std must be a number", errors.ArgumentTypeError),
        (baselines.black(), math.nan, 0.5, "mean must be finite", errors.ArgumentValueError),
        (baselines.black(), 0.5, (0.1, 0.0), "std must be positive", errors.ArgumentValueError),
    ],
)
def test_what_cannot_be_normalised_is_refused(baseline, mean, std, message, kind):
    with pytest.raises(kind, match=f"^{message}"):
        baseline.normalized(mean, std)


def test_other_channels_are_refused():
    with pytest.raises(errors.ArgumentValueError, match=r"^mean has 3 levels, .* got \(1, 1, 4, 4\)"):
        baselines.black().normalized(MEAN, STD)(torch.zeros(1, 1, 4, 4))
    with pytest.raises(errors.ArgumentTypeError, match=r"^baseline must be one of igw.baselines, got int"):
        baselines.normalized(0, MEAN, STD)


# ---------------------------------------------------------------- the warning


@pytest.mark.parametrize("baseline", PICTURES, ids=named)
def test_a_normalised_input_is_not_taken_for_a_picture_without_a_word(baseline):
    inputs = normalise(draw(0, 1, 3, 6, 5))
    with pytest.warns(
        UserWarning, match=rf"baselines.{named(baseline)} takes pictures in \[0, 1\], .* from -2"
    ) as seen:
        baseline(inputs)
    (warning,) = seen
    for part in ("(picture - mean) / std", "mean colour", ".normalized(mean=..., std=...)"):
        assert part in str(warning.message)


def test_attribute_passes_the_warning_on():
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 1, dtype=torch.float64))
    with pytest.warns(UserWarning, match="black takes pictures"):
        igw.attribute(model, normalise(draw(0, 1, 3, 4, 4)), baselines=baselines.black(), target=0)


def test_bytes_are_not_taken_for_a_picture_either():
    with pytest.warns(UserWarning, match=r"from 0 to 255"):
        baselines.white()(torch.tensor([0.0, 255.0]).view(1, 1, 1, 2))


@pytest.mark.parametrize("baseline", PICTURES + EITHER, ids=named)
def test_rounding_and_resizing_are_no_reason_to_warn(baseline):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for pictures in (draw(0, 1, 3, 6, 5) * 1.15 - 0.07, torch.zeros(1, 3, 6, 5), torch.ones(1, 3, 6, 5)):
            baseline(pictures)


def test_what_serves_for_either_or_is_of_the_input_never_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for baseline in (*EITHER, baselines.zeros()):
            baseline(normalise(draw(0, 1, 3, 6, 5)))


def test_a_mean_and_std_that_make_no_picture_are_warned_of():
    with pytest.warns(UserWarning, match=r"^With mean 0.5 and std 0.5 these inputs are pictures from -0.\d+ to 1.\d+"):
        baselines.black().normalized(0.5, 0.5)(normalise(draw(0, 1, 3, 6, 5)))
