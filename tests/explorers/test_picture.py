"""Between a person's picture, a model's input, and the picture that is shown."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.explorers.image.picture import PictureSpace, prepare
from tests.explorers.subjects import as_picture, photo

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
MODES = ("RGB", "L", "RGBA", "P", "LA", "CMYK", "1")


def pil(mode="RGB", height=12, width=10, seed=0):
    picture = Image.fromarray(as_picture(photo(seed, 3, height, width)))
    return picture.convert(mode) if mode != "LA" else picture.convert("L").convert("LA")


def to_tensor(image):
    array = np.asarray(image, dtype=np.float32)
    return torch.from_numpy(array).permute(2, 0, 1) / 255


def normalise(image):
    return ((to_tensor(image.convert("RGB")).permute(1, 2, 0) - MEAN) / STD).permute(2, 0, 1)[None]


def resize(image):
    return normalise(image.convert("RGB").resize((8, 6), Image.Resampling.BILINEAR))


def inverted(image):
    return 1 - 2 * to_tensor(image.convert("RGB"))[None]


def without_batch(image):
    return to_tensor(image.convert("RGB"))


def letterbox(image):
    """In the middle of a grey square, as detectors do: what is padded says nothing of black and white."""
    inner = normalise(image)
    square = torch.full((1, 3, 14, 14), 0.114)
    square[:, :, 1:13, 2:12] = inner
    return square


# ---------------------------------------------------------------- without preprocess


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_pil_image(mode):
    image = pil(mode)
    prepared = prepare(image, None, None)
    assert prepared.inputs.shape == (1, 3, 12, 10)
    assert prepared.inputs.dtype == torch.float32
    assert (prepared.black == 0).all()
    expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(prepared.space.to_bytes(prepared.inputs), expected)
    assert torch.equal(prepared.inputs, to_tensor(image.convert("RGB"))[None])


@pytest.mark.parametrize("channels", [1, 3])
def test_bytes_floats_and_tensors_of_one_picture_are_one_input(channels):
    as_bytes = as_picture(photo(channels=channels))
    unit = as_bytes / 255
    inputs = [
        prepare(image, None, None)
        for image in (
            as_bytes,
            unit,
            unit.astype(np.float32),
            as_bytes.astype(np.uint16) * 257,
            torch.from_numpy(unit.transpose(2, 0, 1).copy()),
        )
    ]
    for prepared in inputs:
        assert prepared.inputs.shape == (1, channels, 16, 16)
        assert (prepared.inputs - inputs[0].inputs).abs().max() < 1e-7
        assert np.array_equal(prepared.space.to_bytes(prepared.inputs), np.broadcast_to(as_bytes, (16, 16, 3)))


def test_black_and_white_pictures_are_black_and_white():
    for level in (0, 255):
        prepared = prepare(np.full((4, 5, 3), level, np.uint8), None, None)
        assert (prepared.space.to_bytes(prepared.inputs) == level).all()
        assert (prepared.space.to_bytes(prepared.black) == 0).all()


def test_array_is_not_kept():
    array = as_picture(photo())
    prepared = prepare(array, None, None)
    before = prepared.inputs.clone()
    array[:] = 0
    assert torch.equal(prepared.inputs, before)


def test_input_takes_dtype_and_device_of_the_model():
    like = torch.zeros(1, dtype=torch.float64)
    prepared = prepare(pil(), normalise, like)
    assert prepared.inputs.dtype == prepared.black.dtype == torch.float64
    assert prepare(pil(), normalise, like.to(torch.bfloat16)).inputs.dtype == torch.bfloat16


def test_no_gradient_is_carried_along():
    image = photo().requires_grad_()
    assert not prepare(image, None, None).inputs.requires_grad


# ---------------------------------------------------------------- with preprocess


@pytest.mark.parametrize("preprocess", [normalise, resize, inverted, without_batch, letterbox])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_black_is_what_preprocess_makes_of_a_black_picture(preprocess, mode):
    image = pil(mode)
    prepared = prepare(image, preprocess, None)
    expected = preprocess(Image.new("RGB", image.size, 0))
    expected = expected if expected.dim() == 4 else expected[None]
    assert torch.equal(prepared.black, expected)
    assert prepared.black.shape == prepared.inputs.shape


@pytest.mark.parametrize("preprocess", [normalise, inverted, without_batch])
def test_photo_is_the_picture_that_was_given(preprocess):
    image = pil()
    prepared = prepare(image, preprocess, None)
    difference = prepared.space.to_bytes(prepared.inputs).astype(int) - np.asarray(image).astype(int)
    assert np.abs(difference).max() <= 1


def test_photo_is_the_picture_that_was_resized():
    image = pil()
    prepared = prepare(image, resize, None)
    expected = np.asarray(image.resize((8, 6), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(prepared.space.to_bytes(prepared.inputs).astype(int) - expected).max() <= 1


def test_photo_in_a_letterbox_is_the_picture_inside_it():
    image = pil()
    prepared = prepare(image, letterbox, None)
    inside = prepared.space.to_bytes(prepared.inputs)[1:13, 2:12]
    assert np.abs(inside.astype(int) - np.asarray(image).astype(int)).max() <= 1


@pytest.mark.parametrize("preprocess", [normalise, inverted, letterbox])
def test_to_pictures_and_back_is_nothing(preprocess):
    prepared = prepare(pil(), preprocess, None)
    space = prepared.space
    back = space.to_inputs(space.to_pictures(prepared.inputs))
    assert (back - prepared.inputs).abs().max() < 1e-5
    white = preprocess(Image.new("RGB", (10, 12), (255, 255, 255)))
    assert (space.to_pictures(prepared.black)[..., 4:8, 4:8]).abs().max() < 1e-5
    assert (space.to_pictures(white)[..., 4:8, 4:8] - 1).abs().max() < 1e-5


@given(
    black=st.lists(st.floats(-5, 5), min_size=3, max_size=3),
    range_=st.lists(st.floats(0.01, 10) | st.floats(-10, -0.01), min_size=3, max_size=3),
    seed=st.integers(0, 99),
)
def test_space_is_an_affine_map_of_each_channel(black, range_, seed):
    low, high = (torch.tensor(v).view(1, 3, 1, 1) for v in (black, [b + r for b, r in zip(black, range_, strict=True)]))
    space = PictureSpace(low, high)
    pictures = photo(seed)[None].float()
    inputs = space.to_inputs(pictures)
    assert torch.allclose(space.to_inputs(torch.zeros_like(pictures)), low.expand_as(pictures))
    assert torch.allclose(space.to_inputs(torch.ones_like(pictures)), high.expand_as(pictures), atol=1e-5)
    assert torch.allclose(space.to_pictures(inputs), pictures, atol=1e-3)
    difference = space.to_bytes(inputs).astype(int) - as_picture(pictures[0]).astype(int)
    assert np.abs(difference).max() <= 1


def test_what_is_darker_than_black_or_brighter_than_white_is_shown_as_these():
    space = PictureSpace(torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1))
    values = torch.tensor([-7.0, -0.01, 0.0, 1.0, 1.01, 7.0]).view(1, 1, 1, 6).expand(1, 3, 1, 6)
    assert space.to_bytes(values)[0, :, 0].tolist() == [0, 0, 0, 255, 255, 255]


def test_grey_model_is_shown_in_grey():
    prepared = prepare(photo(channels=1), None, None)
    shown = prepared.space.to_bytes(prepared.inputs)
    assert shown.shape == (16, 16, 3)
    assert (shown == shown[..., :1]).all()


def test_preprocess_that_sees_no_black_and_white_is_shown_in_its_own_range():
    """As where each picture is standardised by its own mean and deviation."""

    def standardise(image):
        values = to_tensor(image.convert("RGB"))[None]
        return (values - values.mean()) / (values.std() + 1e-6)

    prepared = prepare(pil(), standardise, None)
    shown = prepared.space.to_bytes(prepared.inputs)
    assert shown.min() == 0
    assert shown.max() == 255


# ---------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("image", "error", "says"),
    [
        ("cat.jpg", ArgumentTypeError, "str"),
        (None, ArgumentTypeError, "NoneType"),
        ([[0, 1]], ArgumentTypeError, "list"),
        (np.zeros((4, 5), np.uint8), ArgumentValueError, r"\(4, 5\) uint8"),
        (np.zeros((4, 5, 4), np.uint8), ArgumentValueError, r"\(4, 5, 4\)"),
        (np.zeros((3, 4, 5), np.uint8), ArgumentValueError, r"\(3, 4, 5\)"),
        (np.zeros((0, 5, 3), np.uint8), ArgumentValueError, r"\(0, 5, 3\)"),
        (torch.zeros(4, 5, 3), ArgumentValueError, r"\(4, 5, 3\)"),
        (torch.zeros(1, 3, 4, 5), ArgumentValueError, r"\(1, 3, 4, 5\)"),
        (torch.zeros(3, 4, 5, dtype=torch.uint8), ArgumentValueError, "uint8"),
    ],
    ids=str,
)
def test_picture_of_no_usable_form(image, error, says):
    with pytest.raises(error, match=f"^image must be .*, got .*{says}"):
        prepare(image, None, None)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, bool, complex, object])
def test_arrays_whose_white_cannot_be_told(dtype):
    """numpy's default integer is int64, whose largest value is no white: bytes in it would come out black."""
    with pytest.raises(ArgumentValueError, match=r"^image must be .* of bytes .*, got ndarray \(16, 16, 3\)"):
        prepare(as_picture(photo()).astype(dtype), None, None)


@pytest.mark.parametrize(
    ("returned", "error", "says"),
    [
        (np.zeros((1, 3, 4, 4)), ArgumentTypeError, "got ndarray"),
        (torch.zeros(4, 4), ArgumentValueError, r"got \(4, 4\)"),
        (torch.zeros(2, 3, 4, 4), ArgumentValueError, r"got \(2, 3, 4, 4\)"),
        (torch.zeros(1, 4, 4, 4), ArgumentValueError, r"got \(1, 4, 4, 4\)"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), ArgumentTypeError, "uint8"),
    ],
    ids=str,
)
def test_preprocess_that_returns_no_usable_form(returned, error, says):
    with pytest.raises(error, match=f"^preprocess must return .*{says}"):
        prepare(pil(), lambda image: returned, None)


def test_preprocess_whose_shape_depends_on_the_pixels():
    def crop(image):
        values = to_tensor(image.convert("RGB"))[None]
        return values[..., :4] if values.max() > 0 else values

    with pytest.raises(ArgumentValueError, match=r"^preprocess returned \(1, 3, 12, 4\).*\(1, 3, 12, 10\)"):
        prepare(pil(), crop, None)
