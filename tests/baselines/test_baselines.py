"""Pictures of absence: what each keeps, and what it takes away."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ig_widgets import baselines, errors

ALL = [baselines.black(), baselines.white(), baselines.constant(0.3), baselines.mean_grey(), baselines.zeros(),
       baselines.blur(), baselines.uniform(seed=3), baselines.gaussian(0.4, seed=3),
       baselines.max_distance(), baselines.permuted(seed=3)]  # fmt: skip
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


@few
@given(pictures, st.floats(1e-3, 1e12))
def test_blur_of_any_sigma_stays_within_the_picture(x, sigma):
    made = baselines.blur(sigma)(x)
    lowest, highest = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    assert (made >= lowest - 1e-5).all()
    assert (made <= highest + 1e-5).all()
    flat = x[..., :1, :1].expand_as(x)
    assert (baselines.blur(sigma)(flat) - flat).abs().max() < 1e-6


def test_blur_of_a_huge_sigma_costs_no_more_than_that_of_the_pictures_size():
    """Beyond the picture there is nothing to mix: the kernel is as long as the picture, whatever sigma."""
    x = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    made = baselines.blur(1e9)(x)  # a kernel of 4 sigma would not fit into memory
    assert (made - baselines.blur(1e6)(x)).abs().max() < 1e-5
    assert (made.std(dim=(2, 3)) < 0.2).all()


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


@given(pictures, st.floats(0.01, 5), st.integers(0, 999))
def test_gaussian_is_its_seed_and_leaves_the_random_state(x, sigma, seed):
    before = torch.get_rng_state()
    made = baselines.gaussian(sigma, seed)(x)
    assert torch.equal(made, baselines.gaussian(sigma, seed)(x))
    assert (made - baselines.gaussian(sigma, seed)(x.double()).float()).abs().max() < 1e-6
    assert torch.equal(torch.get_rng_state(), before)
    assert made.min() >= 0
    assert made.max() <= 1


@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_gaussian_is_the_normal_distribution_between_black_and_white(sigma, level):
    made = baselines.gaussian(sigma, 5)(torch.full((1, 1, 200, 200), level, dtype=torch.float64)).numpy().ravel()
    normal = lambda v: 0.5 * (1 + math.erf((v - level) / sigma / math.sqrt(2)))  # noqa: E731
    for value in np.linspace(0.05, 0.95, 10):
        exact = (normal(value) - normal(0)) / (normal(1) - normal(0))
        assert (made <= value).mean() == pytest.approx(exact, abs=0.012)  # five standard errors


def test_gaussian_leads_from_the_picture_to_uniform_noise():
    x = torch.rand(1, 3, 50, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert (baselines.gaussian(1e-6)(x) - x).abs().max() < 1e-5
    wide = np.sort(baselines.gaussian(1e6)(x).numpy().ravel())
    assert np.abs(wide - np.linspace(0, 1, wide.size)).max() < 0.03
    for extreme in (1e-300, 1e300):
        assert torch.isfinite(baselines.gaussian(extreme)(torch.round(x))).all()


@pytest.mark.parametrize("make", [baselines.uniform, lambda seed: baselines.gaussian(0.5, seed)])
def test_seeds_that_are_none_are_refused(make):
    for seed in (1.5, "3", None, True):
        with pytest.raises(errors.ArgumentTypeError, match=r"^seed must be an integer"):
            make(seed)
    with pytest.raises(errors.ArgumentValueError, match=r"^seed must be at least 0"):
        make(-1)


# ---------------------------------------------------------------- opposites


@given(pictures, st.integers(0, 999))
def test_no_picture_is_farther_than_the_farthest(x, seed):
    made = baselines.max_distance()(x)
    other = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed))
    for candidate in (other, other.round(), 1 - x):
        assert ((x - made).abs() >= (x - candidate).abs() - 1e-6).all()
    assert (x - made).abs().min() >= 0.5


# ---------------------------------------------------------------- of given pictures


def draw(seed, *shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 6), st.integers(0, 99))
def test_mean_is_the_middle_of_its_pictures(count, seed):
    given_ = draw(seed, count, 3, 4, 5)
    made = baselines.mean(given_)(torch.zeros(2, 3, 4, 5))
    assert made.shape == (2, 3, 4, 5)
    assert (made[0] - sum(given_) / count).abs().max() < 1e-6
    assert torch.equal(made[0], made[1])
    assert (baselines.mean(given_[:1])(torch.zeros(1, 3, 4, 5))[0] - given_[0]).abs().max() < 1e-7


@given(st.integers(1, 6), st.data())
def test_samples_are_one_of_their_pictures(count, data):
    given_ = draw(count, count, 3, 4, 5)
    x = torch.zeros(2, 3, 4, 5)
    index = data.draw(st.integers(-count, count - 1))
    assert torch.equal(baselines.samples(given_, index)(x), given_[index].expand(2, -1, -1, -1))
    drawn = baselines.samples(given_, seed=data.draw(st.integers(0, 99)))
    assert torch.equal(drawn(x), given_[drawn.chosen].expand(2, -1, -1, -1))
    assert torch.equal(drawn(x), dataclasses.replace(drawn)(x))


def test_seeds_draw_every_sample_about_as_often():
    given_ = draw(0, 5, 1, 2, 2)
    counts = np.bincount([baselines.samples(given_, seed=seed).chosen for seed in range(1000)], minlength=5)
    assert np.abs(counts - 200).max() < 70  # five standard deviations


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))
def test_a_given_picture_is_itself_in_every_form(height, width, channels):
    given_ = (draw(height * width, channels, height, width) * 255).round() / 255
    x = torch.zeros(2, 3, height, width)
    exact = given_.expand(2, 3, -1, -1)
    array = given_.permute(1, 2, 0).numpy()
    as_bytes = (array * 255).round().astype(np.uint8)
    forms = [given_, given_[None], given_.double(), array, as_bytes]
    forms += [Image.fromarray(as_bytes[..., 0] if channels == 1 else as_bytes)]
    for form in forms:
        assert (baselines.inputs(form)(x) - exact).abs().max() < 1e-6
        assert (baselines.inputs(form, resize=True)(x) - exact).abs().max() < 1e-6


@few
@given(pictures, st.integers(1, 30), st.integers(1, 30))
def test_a_resized_picture_has_the_size_needed_and_keeps_its_range(x, height, width):
    made = baselines.inputs(x[:1], resize=True)(torch.zeros(2, 3, height, width))
    assert made.shape == (2, 3, height, width)
    assert made.min() >= x[:1].min() - 1e-5
    assert made.max() <= x[:1].max() + 1e-5


def of_given(kind, given_):
    return {"mean": baselines.mean, "samples": baselines.samples, "inputs": baselines.inputs}[kind](given_)


@pytest.mark.parametrize("kind", ["mean", "samples", "inputs"])
def test_pictures_that_cannot_be_used_are_refused_in_a_sentence(kind):
    for wrong, message, error in (
        (draw(0, 3, 4), r"(pictures|picture) must be pictures \(N", errors.ArgumentValueError),
        (torch.zeros(0, 3, 4, 4), "must be pictures", errors.ArgumentValueError),
        (draw(0, 1, 3, 4, 4) * 255, r"must lie in \[0, 1\], .* holds [\d.]+ to \d+", errors.ArgumentValueError),
        (torch.full((1, 3, 4, 4), math.nan), "must lie in", errors.ArgumentValueError),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), "must be floating .* torch.uint8", errors.ArgumentTypeError),
        (np.zeros((4, 4, 3), int), "must be floating .* int64", errors.ArgumentTypeError),
        ("cat.png", "must be floating .* got str", errors.ArgumentTypeError),
        (None, "must be floating", errors.ArgumentTypeError),
    ):
        with pytest.raises(error, match=message) as caught:
            of_given(kind, wrong)
        assert "\n" not in str(caught.value)
    with pytest.raises(errors.ArgumentValueError, match=r"has pictures of shape \(3, 4, 4\), the picture explained"):
        of_given(kind, draw(0, 1, 3, 4, 4))(torch.zeros(1, 3, 5, 4))


@pytest.mark.parametrize("kind", ["mean", "samples", "inputs"])
def test_what_is_given_is_copied_and_what_is_made_is_new(kind):
    given_ = draw(0, 1, 3, 4, 5)
    baseline, x = of_given(kind, given_), torch.zeros(2, 3, 4, 5)
    before = given_.clone()
    given_.zero_()
    baseline(x).zero_()
    assert (baseline(x) - before).abs().max() < 1e-6
    assert baseline(x.half()).dtype == torch.float16
    assert baseline == baseline
    assert hash(baseline) == hash(baseline)
    assert "tensor" not in repr(baseline)
    with pytest.raises(dataclasses.FrozenInstanceError):
        baseline.pictures = None


def test_samples_that_are_not_there_are_refused():
    with pytest.raises(errors.ArgumentValueError, match=r"^index must lie from 0 to 1, got 2"):
        baselines.samples(draw(0, 2, 3, 4, 4), 2)
    with pytest.raises(errors.ArgumentTypeError, match=r"^index must be an integer or None, got 0.5"):
        baselines.samples(draw(0, 2, 3, 4, 4), 0.5)


# ---------------------------------------------------------------- for controls and captions

SOME = [*ALL, baselines.mean(draw(1, 2, 3, 4, 4)), baselines.samples(draw(1, 99, 3, 4, 4)),
        baselines.inputs(draw(1, 3, 4, 4))]  # fmt: skip


@pytest.mark.parametrize("baseline", SOME, ids=lambda b: type(b).__name__)
def test_every_parameter_is_a_field_that_takes_its_range(baseline):
    fields = {field.name for field in dataclasses.fields(baseline)}
    x = draw(0, 1, 3, 4, 4)
    for parameter in baseline.parameters:
        assert parameter.name in fields
        assert parameter.low <= parameter.default <= parameter.high
        assert 0 < parameter.step <= parameter.high - parameter.low
        integral = all(isinstance(v, int) for v in (parameter.low, parameter.high, parameter.step, parameter.default))
        assert integral == (parameter.name == "seed")
        made = {}
        for value in (parameter.low, parameter.default, parameter.high):
            other = dataclasses.replace(baseline, **{parameter.name: value})
            assert other(x).shape == x.shape
            made[value] = other.describe()
        assert len(set(made.values())) > 1  # a caption tells them apart
        if parameter.per_channel:
            colour = dataclasses.replace(baseline, **{parameter.name: (parameter.low, parameter.high, 0.5)})
            assert colour(x).shape == x.shape


@pytest.mark.parametrize(
    ("baseline", "text"),
    [
        (baselines.black(), "black"),
        (baselines.white(), "white"),
        (baselines.constant(0.25), "grey 0.25"),
        (baselines.constant((0.1, 0.2, 0.3)), "colour 0.10, 0.20, 0.30"),
        (baselines.mean_grey(), "mean grey"),
        (baselines.zeros(), "zeros of the model's input"),
        (baselines.blur(), "blur"),
        (baselines.blur(8), "blur, sigma 8.0 px"),
        (baselines.uniform(3), "noise, seed 3"),
        (baselines.gaussian(0.5, 3), "picture under noise, sigma 0.50, seed 3"),
        (baselines.max_distance(), "farthest picture"),
        (baselines.permuted(3), "shuffled, seed 3"),
        (baselines.permuted(3, dim=1), "shuffled along 1, seed 3"),
        (baselines.blur(8).normalized(0.5, 0.5), "blur, sigma 8.0 px"),
        (baselines.token(0), "token 0 in each place"),
        (baselines.token(0, keep=(1, 2)), "token 0 in each place, some kept"),
        (baselines.embedding(), "zero embedding"),
        (baselines.embedding(torch.ones(3)), "given embedding"),
        (baselines.embedding.mean(torch.ones(5, 3)), "mean embedding"),
        (baselines.embedding.row(torch.ones(5, 3), 4, keep=(True, False)), "embedding of token 4, some kept"),
        (baselines.boundary(torch.nn.Linear(2, 2)), "nearest boundary"),
        (baselines.boundary(torch.nn.Linear(2, 2), target_class=1), "nearest boundary to class 1"),
        (baselines.mean(draw(1, 2, 3, 4, 4)), "mean of 2 pictures"),
        (baselines.samples(draw(1, 2, 3, 4, 4), -1), "sample [1] of 2"),
        (baselines.inputs(draw(1, 3, 4, 4)), "given picture"),
    ],
)
def test_descriptions(baseline, text):
    assert baseline.describe() == text


def test_which_space_each_is_made_for():
    assert [b for b in SOME if b.space == "inputs"] == [baselines.zeros()]
    assert [b for b in SOME if b.space == "any"] == [baselines.blur(), baselines.permuted(seed=3)]
    assert (baselines.zeros()(draw(0, 1, 3, 4, 4)) == 0).all()


@pytest.mark.parametrize("value", ["black", None, True, (), (0.5, "x")])
def test_a_colour_that_is_no_number_is_refused(value):
    with pytest.raises(errors.ArgumentTypeError, match=r"^value must be a number or a tuple"):
        baselines.constant(value)


@pytest.mark.parametrize("value", [-0.1, 255, math.nan, (0.5, 2)])
def test_a_colour_outside_of_black_and_white_is_refused(value):
    with pytest.raises(errors.ArgumentValueError, match=r"^value must lie in \[0, 1\]"):
        baselines.constant(value)


def test_a_colour_of_other_channels_is_refused():
    with pytest.raises(errors.ArgumentValueError, match=r"^value has 2 levels, the picture 3 channels"):
        baselines.constant((0.1, 0.2))(draw(0, 1, 3, 4, 4))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_baselines_are_the_same_on_the_gpu():
    x = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    for baseline in ALL:
        assert (baseline(x.cuda()).cpu() - baseline(x)).abs().max() < 1e-5
