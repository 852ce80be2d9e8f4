"""The bundled model and photos: they are what they are said to be, and come without a network."""

import random
import socket

import numpy as np
import pytest
import torch
from PIL import Image

from ig_widgets import demo


@pytest.fixture(scope="module")
def loaded():
    """The model, and the random states before and after it was loaded, without a network."""

    def refuse(*args, **options):
        raise AssertionError("the demo asked for a network")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", refuse)
        patch.setattr(socket, "create_connection", refuse)
        torch.manual_seed(5)
        before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
        classifier = demo.image_classifier("cpu")
        photos = {name: demo.image(name) for name in demo.IMAGES}
        after = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    return classifier, photos, before, after


def test_random_states_are_left_alone(loaded):
    _, _, before, after = loaded
    assert torch.equal(before[0], after[0])
    assert np.array_equal(before[1], after[1])
    assert before[2] == after[2]


def test_labels_name_each_of_the_classes(loaded):
    (model, _, labels), *_ = loaded
    assert len(labels) == 1000
    assert all(isinstance(label, str) and label.strip() for label in labels)
    assert labels[285] == "Egyptian cat"
    assert labels[0] == "tench"
    assert labels[999] == "toilet tissue"
    assert not model.training


@pytest.mark.parametrize(
    ("name", "index", "label", "at_least"), [("cat", 285, "Egyptian cat", 0.7), ("coffee", 967, "espresso", 0.3)]
)
def test_model_knows_what_is_in_the_photos(loaded, name, index, label, at_least):
    (model, preprocess, labels), photos, *_ = loaded
    with torch.no_grad():
        probabilities = model(preprocess(photos[name])).softmax(1)[0]
    assert int(probabilities.argmax()) == index
    assert labels[index] == label
    assert float(probabilities[index]) > at_least


@pytest.mark.parametrize("name", demo.IMAGES)
def test_photos_are_in_colour_and_not_blank(loaded, name):
    photo = loaded[1][name]
    assert photo.mode == "RGB"
    assert min(photo.size) >= 224
    assert np.asarray(photo).std() > 20


def test_unknown_photo_is_refused_with_the_list():
    with pytest.raises(ValueError, match=r"^name='dog' is not .*cat, coffee"):
        demo.image("dog")


def test_preprocess_takes_images_and_arrays_of_any_size(loaded):
    (_, preprocess, _), photos, *_ = loaded
    image = photos["cat"]
    inputs = preprocess(image)
    assert inputs.shape == (1, 3, 224, 224)
    assert inputs.dtype == torch.float32
    assert torch.equal(preprocess(np.asarray(image)), inputs)
    assert torch.equal(preprocess(image.convert("RGBA")), inputs)
    assert preprocess(image.convert("L")).shape == (1, 3, 224, 224)


def test_preprocess_normalises_as_the_weights_were_trained(loaded):
    preprocess = loaded[0].preprocess
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    for level in (0, 255):
        inputs = preprocess(Image.new("RGB", (50, 70), (level,) * 3))
        assert inputs[0].mean((1, 2)).numpy() == pytest.approx((level / 255 - mean) / std, abs=1e-5)
        assert float(inputs.std(dim=(2, 3)).max()) < 1e-5


def test_repr_tells_what_it_is(loaded):
    assert repr(loaded[0]) == "ImageClassifier(EfficientNet-Lite0, 1000 classes)"
