"""Whatever preprocessing does, the photo that is shown is the picture, and black is what is black to the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers.image.picture import prepare, prepare_like
from ig_widgets.explorers.image.preprocessing import channels_of
from ig_widgets.explorers.image.subject import ImageSubject
from tests.explorers.subjects import Classifier, as_picture, photo

SIZE = (40, 30)
MEAN, STD = (torch.tensor(one).view(3, 1, 1) for one in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
LEVELS = 2


def smooth(seed: int, width: int = SIZE[0], height: int = SIZE[1]) -> Image.Image:
    """A picture with edges and grain, and neither black nor white nor mean grey all over."""
    coarse = Image.fromarray(as_picture(photo(seed, 3, 5, 6))).resize((width, height), Image.Resampling.NEAREST)
    grain = np.random.default_rng(seed).integers(-9, 10, (height, width, 3))
    return Image.fromarray((np.asarray(coarse).astype(int) * 0.8 + 20 + grain).clip(0, 255).astype(np.uint8))


def to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(image.convert("RGB"), np.float32).copy()).permute(2, 0, 1) / 255


def stretched(image: Image.Image) -> Image.Image:
    return image.resize((16, 12), Image.Resampling.BILINEAR)


def cut(image: Image.Image) -> Image.Image:
    """The shorter side to 16 pixels, and of that the middle 14."""
    scale = 16 / min(image.size)
    resized = image.resize((int(image.width * scale), int(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = round((resized.width - 14) / 2), round((resized.height - 14) / 2)
    return resized.crop((left, top, left + 14, top + 14))


def own(image: Image.Image) -> Image.Image:
    return image


VALUES = {
    "unit": lambda t: t,
    "normalised": lambda t: (t - MEAN) / STD,
    "inverted": lambda t: 1 - 2 * t,
    "caffe": lambda t: 255 * t[[2, 1, 0]] - torch.tensor([104.0, 117.0, 123.0]).view(3, 1, 1),
    "blue first": lambda t: ((t - MEAN) / STD)[[2, 1, 0]],
    "standardised": lambda t: (t - t.mean()) / t.std(),
    "standardised by channel": lambda t: (t - t.mean((1, 2), keepdim=True)) / (t.std((1, 2), keepdim=True) + 1e-7),
    "standardised, blue first": lambda t: ((t - t.mean()) / t.std())[[2, 1, 0]],
    "centred": lambda t: t - t.mean(),
    "by its range": lambda t: (t - t.min()) / (t.max() - t.min()),
    "by its largest": lambda t: t / t.max(),
}


@pytest.mark.parametrize("resize", [own, stretched, cut], ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", VALUES)
def test_the_photo_shown_is_the_picture(name: str, resize: Any) -> None:
    for seed in (1, 2):
        image = smooth(seed)
        made = prepare(image, lambda given: VALUES[name](to_tensor(resize(given))), None, 3)
        expected = np.asarray(resize(image)).astype(int)
        assert np.abs(made.photo().astype(int) - expected).max() <= LEVELS
        # And black is: a black picture in that space.
        assert made.space.to_bytes(made.black).max() == 0
        # An even change of colour is the same in both: baselines are made so.
        back = made.space.to_inputs(made.space.to_pictures(made.inputs))
        assert float((back - made.inputs).abs().max()) <= 1e-4 * float(made.inputs.abs().max())


@given(
    low=st.lists(st.floats(-5, 5), min_size=3, max_size=3),
    span=st.lists(st.floats(0.05, 9) | st.floats(-9, -0.05), min_size=3, max_size=3),
    order=st.permutations([0, 1, 2]),
    seed=st.integers(0, 20),
)
@settings(max_examples=30, deadline=None)
def test_any_scale_and_order_of_channels(low: list[float], span: list[float], order: list[int], seed: int) -> None:
    offset, scale = torch.tensor(low).view(3, 1, 1), torch.tensor(span).view(3, 1, 1)
    image = smooth(seed)
    made = prepare(image, lambda given: (to_tensor(given) * scale + offset)[list(order)], None)
    assert np.abs(made.photo().astype(int) - np.asarray(image).astype(int)).max() <= LEVELS
    assert made.space.colours == tuple(order)


def test_channels_have_the_names_of_their_colours() -> None:
    assert ImageSubject(Classifier(), smooth(0), VALUES_OF("unit")).channels == ("sum", "red", "green", "blue")
    assert ImageSubject(Classifier(), smooth(0), VALUES_OF("caffe")).channels == ("sum", "blue", "green", "red")


def VALUES_OF(name: str) -> Any:  # noqa: N802
    return lambda given: VALUES[name](to_tensor(given))


@pytest.mark.parametrize("curve", [lambda t: t**2.2, lambda t: (5 * t).sin(), lambda t: (t > 0.5).float()])
def test_of_a_curve_the_picture_itself_is_shown(curve: Any) -> None:
    image = smooth(3)
    made = prepare(image, lambda given: curve(to_tensor(given)), None)
    assert np.abs(made.photo().astype(int) - np.asarray(image).astype(int)).max() <= LEVELS


def test_a_curve_with_a_change_of_size_is_refused_in_words() -> None:
    with pytest.raises(
        ArgumentValueError, match=r"^preprocess scales each picture .* give the picture after that step"
    ):
        prepare(smooth(3), lambda given: torch.sin(9 * to_tensor(stretched(given)).cumsum(2)), None)


def test_chance_is_refused_in_words() -> None:
    with pytest.raises(ArgumentValueError, match=r"^preprocess makes another input of the same picture each time"):
        prepare(smooth(3), lambda given: to_tensor(given) * torch.rand(3, *SIZE[::-1]), None)


def test_a_given_baseline_is_in_the_scale_of_the_explained_picture() -> None:
    """Not in its own: grey on black would be as bright as white."""
    made = prepare(smooth(1), VALUES_OF("standardised"), None)
    grey = prepare_like(Image.new("RGB", SIZE, (128, 128, 128)), made)
    assert np.abs(made.space.to_bytes(grey).astype(int) - 128).max() <= 1


# ---------------------------------------------------------------- forms


def wants_pil(image: Any) -> Tensor:
    assert isinstance(image, Image.Image)
    return (to_tensor(image) - MEAN) / STD


def wants_array(image: Any) -> Tensor:
    assert isinstance(image, np.ndarray)
    assert image.dtype == np.uint8
    return torch.from_numpy(image / np.float32(255)).permute(2, 0, 1)


def wants_tensor(image: Any) -> Tensor:
    assert isinstance(image, Tensor)
    return (image.float() - MEAN) / STD


@pytest.mark.parametrize("preprocess", [wants_pil, wants_array, wants_tensor])
@pytest.mark.parametrize("form", ["pil", "array", "floats", "tensor", "grey"])
def test_the_form_that_preprocess_wants_is_found(preprocess: Any, form: str) -> None:
    image = smooth(4)
    grey = image.convert("L")
    pictures = {
        "pil": image,
        "array": np.asarray(image),
        "floats": np.asarray(image) / 255,
        "tensor": to_tensor(image),
        "grey": grey,
    }
    made = prepare(pictures[form], preprocess, None, 3)
    expected = np.asarray(grey.convert("RGB") if form == "grey" else image).astype(int)
    assert made.inputs.shape == (1, 3, *SIZE[::-1])
    assert np.abs(made.photo().astype(int) - expected).max() <= LEVELS


def test_the_errors_of_both_are_told() -> None:
    def refusing(image: Any) -> Tensor:
        raise TypeError(f"no {type(image).__name__}, please")

    with pytest.raises(
        ArgumentValueError, match=r"(?s)takes this picture in no form: .*no ndarray.*no Image"
    ) as caught:
        prepare(np.asarray(smooth(0)), refusing, None)
    assert "\n" not in str(caught.value)


def test_sixteen_bits_pass_preprocessing_of_either_kind() -> None:
    deep = (np.linspace(0, 65535, 1200).reshape(30, 40)).astype(np.uint16)
    for preprocess in (wants_pil, lambda image: torch.from_numpy(np.asarray(image) / np.float32(65535))[None]):
        made = prepare(Image.fromarray(deep), preprocess, None)
        assert np.abs(made.photo()[..., 0] / 255 - deep / 65535).max() < 0.6 / 255
    # What takes 16 bits gets them.
    assert np.abs(made.inputs[0, 0].numpy() - deep / 65535).max() < 1e-6


class Weights:
    """As `weights.transforms()` of torchvision: of PIL and tensors, (channels, height, width) each."""

    def __call__(self, image: Any) -> Tensor:
        if not isinstance(image, Tensor | Image.Image):
            raise TypeError(f"img should be PIL Image or Tensor. Got {type(image)}")
        values = image if isinstance(image, Tensor) else to_tensor(image)
        resized = torch.nn.functional.interpolate(values[None].float(), (16, 16), mode="bilinear", antialias=True)[0]
        return (resized - MEAN) / STD


FORMS = {"pil": smooth(5), "bytes": np.asarray(smooth(5)), "floats": np.asarray(smooth(5)) / 255}
FORMS["tensor"] = to_tensor(smooth(5))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_transforms_of_weights(form: Any) -> None:
    made = prepare(form, Weights(), None, 3)
    plain = torch.nn.functional.interpolate(to_tensor(smooth(5))[None], (16, 16), mode="bilinear", antialias=True)
    expected = (plain[0].permute(1, 2, 0) * 255).round().numpy()
    assert np.abs(made.photo().astype(int) - expected).max() <= LEVELS


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_image_processors_of_hugging_face(form: Any) -> None:
    transformers = pytest.importorskip("transformers")
    processor = transformers.ViTImageProcessorPil(size={"height": 16, "width": 16}, image_mean=[0.4] * 3)
    made = prepare(form, processor, None, 3)
    asked = processor(smooth(5), return_tensors="pt")["pixel_values"]
    assert torch.allclose(made.inputs, asked, atol=0.02)
    expected = np.asarray(smooth(5).resize((16, 16), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(made.photo().astype(int) - expected).max() <= LEVELS


# ---------------------------------------------------------------- channels


def flat(count: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(count * 16 * 16, 3)).eval().double()


@pytest.mark.parametrize("make", [lambda n: Classifier(channels=n), flat], ids=["convolution", "linear"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_model_gets_the_channels_that_it_takes(make: Any, channels: int, mode: str) -> None:
    subject = ImageSubject(make(channels), smooth(6, 16, 16).convert(mode))
    assert subject.inputs.shape == (1, channels, 16, 16)
    expected = smooth(6, 16, 16).convert(mode).convert("L" if channels == 1 else "RGB").convert("RGB")
    assert np.abs(subject.photo.astype(int) - np.asarray(expected).astype(int)).max() <= 1


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_any_number_of_channels(channels: int) -> None:
    image = photo(0, channels)
    subject = ImageSubject(Classifier(channels=channels), image)
    assert torch.equal(subject.inputs[0], image)
    assert subject.channels == ("sum", *map(str, range(channels)))
    assert np.abs(subject.photo / 255 - image.mean(0)[..., None].numpy()).max() <= 0.51 / 255
    assert channels_of(subject.model) == channels


def test_channels_that_cannot_be_are_told_with_both_numbers() -> None:
    with pytest.raises(ArgumentValueError, match=r"\(1, 7, 16, 16\), and its first convolution takes 3 channels"):
        ImageSubject(Classifier(), photo(0, 7))


def test_an_error_of_the_model_is_told_with_the_shapes_that_it_was_given() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ZeroDivisionError("of its own")

    with pytest.raises(ZeroDivisionError, match="of its own") as caught:
        ImageSubject(Broken().eval(), photo())
    assert caught.value.__notes__ == ["The image was given to the model as (1, 3, 16, 16) and as (1, 1, 16, 16)."]
