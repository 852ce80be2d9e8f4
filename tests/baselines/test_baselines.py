"""Pictures of absence: what each keeps, and what it takes away."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ig_widgets import baselines

ALL = [baselines.black(), baselines.white(), baselines.constant(0.3), baselines.mean_grey(), baselines.blur(),
       baselines.uniform(seed=3)]  # fmt: skip
few = settings(max_examples=15)  # a convolution of a tiny picture costs as much as one of a large one
pictures = st.builds(
    lambda seed, batch, height, width, channels: torch.rand(
        batch, channels, height, width, generator=torch.Generator().manual_seed(seed)
    ),
    st.integers(0, 999),
    st.integers(1, 2),
    st.integers(1, 24),
    st.integers(1, 24),
    st.sampled_from([1, 3]),
)


@pytest.mark.parametrize("baseline", ALL, ids=lambda b: type(b).__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_shape_and_dtype_are_the_pictures_own_and_the_pictures_stay(baseline, dtype):
    given_ = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(1)).to(dtype)
    before = given_.clone()
    made = baseline(given_)
    assert made.shape == given_.shape
    assert made.dtype == dtype
    assert made.device == given_.device
    made.zero_()  # memory of its own
    assert torch.equal(given_, before)


@pytest.mark.parametrize("baseline", ALL, ids=lambda b: type(b).__name__)
def test_baselines_are_frozen_values(baseline):
    assert baseline == dataclasses.replace(baseline)
    assert hash(baseline) == hash(dataclasses.replace(baseline))
    assert "0x" not in repr(baseline)
    for field in dataclasses.fields(baseline):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(baseline, field.name, 0.5)


@few
@given(pictures)
def test_baselines_of_pictures_lie_between_black_and_white(x):
    for baseline in ALL:
        made = baseline(x)
        assert made.min() >= -1e-6
        assert made.max() <= 1 + 1e-6


# ---------------------------------------------------------------- of one colour


@given(pictures)
def test_constants(x):
    assert (baselines.black()(x) == 0).all()
    assert (baselines.white()(x) == 1).all()
    assert (baselines.constant(0.25)(x) == 0.25).all()
    assert torch.equal(baselines.constant(0.0)(x), baselines.black()(x))


def test_constant_of_a_colour():
    made = baselines.constant((0.1, 0.2, 0.3))(torch.zeros(2, 3, 4, 5))
    for channel, level in enumerate((0.1, 0.2, 0.3)):
        assert (made[:, channel] == torch.tensor(level)).all()


@given(pictures)
def test_mean_grey_is_grey_and_as_bright_as_each_picture(x):
    made = baselines.mean_grey()(x)
    for picture, grey in zip(x, made, strict=True):
        assert grey.unique().numel() == 1
        assert float(grey.flatten()[0]) == pytest.approx(float(picture.double().mean()), abs=1e-6)


# ---------------------------------------------------------------- out of focus


@few
@given(st.floats(0, 1), st.integers(1, 20), st.integers(1, 20), st.none() | st.floats(0.1, 6))
def test_blur_keeps_a_constant_picture(level, height, width, sigma):
    x = torch.full((1, 3, height, width), level, dtype=torch.float64)
    assert (baselines.blur(sigma)(x) - x).abs().max() < 1e-6


@few
@given(pictures, st.floats(0.3, 4))
def test_blur_knows_no_left_or_right_up_or_down(x, sigma):
    blur = baselines.blur(sigma)
    made = blur(x)
    assert (blur(x.flip(-1)).flip(-1) - made).abs().max() < 1e-5
    assert (blur(x.flip(-2)).flip(-2) - made).abs().max() < 1e-5
    assert (blur(x.transpose(-1, -2)).transpose(-1, -2) - made).abs().max() < 1e-5


@few
@given(pictures, pictures, st.floats(0.5, 3))
def test_blur_is_linear_and_mixes_no_channels_or_examples(x, other, sigma):
    blur = baselines.blur(sigma)
    assert (blur(0.25 * x + 0.5) - (0.25 * blur(x) + 0.5)).abs().max() < 1e-5
    for i in range(len(x)):
        for c in range(x.shape[1]):
            assert (blur(x[i : i + 1, c : c + 1]) - blur(x)[i : i + 1, c : c + 1]).abs().max() < 1e-6


@few
@given(pictures, st.floats(0.5, 3))
def test_blur_takes_detail_away_and_keeps_the_light(x, sigma):
    made = baselines.blur(sigma)(x)
    assert made.min() >= x.min() - 1e-5
    assert made.max() <= x.max() + 1e-5
    wide = torch.nn.functional.pad(x, [13] * 4)  # away from any edge nothing is lost
    light = wide.sum((2, 3))
    assert (baselines.blur(sigma)(wide).sum((2, 3)) - light).abs().max() <= 1e-5 * light.max()


def test_blur_keeps_the_mean_of_a_picture_but_for_its_edges():
    """The edge pixels are repeated outwards, and so count for a little more."""
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    made = baselines.blur()(x)
    assert (made.mean((2, 3)) - x.mean((2, 3))).abs().max() < 0.01
    assert (made.std(dim=(2, 3)) < 0.2 * x.std(dim=(2, 3))).all()


def test_blur_of_a_point_is_a_gaussian():
    x = torch.zeros(1, 1, 61, 61)
    x[0, 0, 30, 30] = 1
    made = baselines.blur(2.5)(x)[0, 0].double().numpy()
    rows, columns = np.mgrid[-30:31, -30:31]
    exact = np.exp(-(rows**2 + columns**2) / (2 * 2.5**2))
    assert np.abs(made - exact / exact.sum()).max() < 1e-5
    assert (made * rows**2).sum() == pytest.approx(2.5**2, rel=0.01)


@pytest.mark.parametrize(("height", "width"), [(40, 40), (40, 200), (200, 40)])
def test_blur_of_no_sigma_takes_a_twentieth_of_the_shorter_side(height, width):
    x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    assert torch.equal(baselines.blur()(x), baselines.blur(2.0)(x))
    assert not torch.equal(baselines.blur()(x), baselines.blur(2.5)(x))


@pytest.mark.parametrize("sigma", [0, -1, -0.5, math.nan, math.inf])
def test_blur_refuses_a_sigma_that_is_no_size(sigma):
    with pytest.raises(ValueError, match=f"^sigma must be .* pixels, got {sigma}"):
        baselines.blur(sigma)


# ---------------------------------------------------------------- chance


@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_noise_is_its_seed_and_leaves_the_random_state(seed, other):
    before = torch.get_rng_state()
    x = torch.zeros(1, 3, 5, 6)
    made = baselines.uniform(seed)(x)
    assert torch.equal(made, baselines.uniform(seed)(x + 0.5))
    assert torch.equal(made, baselines.uniform(seed)(x.double()).float())  # whatever the dtype
    assert torch.equal(made, baselines.uniform(other)(x)) is (seed == other)
    assert torch.equal(torch.get_rng_state(), before)


def test_noise_is_drawn_evenly_and_each_channel_for_itself():
    made = baselines.uniform()(torch.zeros(1, 3, 100, 100)).double().numpy()
    counts = np.histogram(made, bins=10, range=(0, 1))[0] / made.size
    assert np.abs(counts - 0.1).max() < 0.01
    correlation = np.corrcoef(made[0].reshape(3, -1))
    assert np.abs(correlation - np.eye(3)).max() < 0.05


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_baselines_are_the_same_on_the_gpu():
    x = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    for baseline in ALL:
        assert (baseline(x.cuda()).cpu() - baseline(x)).abs().max() < 1e-5
