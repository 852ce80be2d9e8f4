"""The baselines of an image explorer: texts, gallery, files that are dropped."""

import io
import zlib

import numpy as np
import pytest
import torch
import traitlets
from PIL import Image

import ig_widgets as igw
from tests.explorers.subjects import (
    BASELINES,
    LABELS,
    SECONDS,
    Classifier,
    Watched,
    draw,
    photo,
    ready,
    subject_of,
    tasks_of,
)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (igw.baselines.blur(), "blur"),
        (igw.baselines.blur(3), "blur(sigma=3)"),
        ("blur( sigma = 3.0 )", "blur(sigma=3)"),
        (igw.baselines.uniform(seed=7), "noise(seed=7)"),
        ("gaussian noise(sigma=0.25, seed=2)", "gaussian noise(sigma=0.25, seed=2)"),
        (igw.baselines.constant((1.0, 0.0, 0.0)), "colour(#ff0000)"),
        ("colour(#ff0000)", "colour(#ff0000)"),
        (igw.baselines.white(), "white"),
        (igw.baselines.max_distance(), "max distance"),
    ],
    ids=str,
)
def test_baselines_have_one_text_each_by_which_they_are_asked_for(explore, given, text):
    explorer = explore(baseline=given)
    assert explorer.baseline == text
    explorer.baseline = "black"
    explorer.baseline = text
    assert explorer.baseline == text


def test_parameters_of_a_baseline_are_heeded(explore):
    image = photo()[None]
    explorer = explore(inputs=image[0], baseline="blur(sigma=1.5)", target=0)
    expected = igw.baselines.blur(1.5)(image.float())
    start = ready(explorer).path._path.baselines[0]
    torch.testing.assert_close(start.float(), expected, rtol=1e-5, atol=1e-6)


def test_given_baselines_are_offered_by_name(explore):
    image = photo()[None]
    explorer = explore(inputs=image[0], target=0)
    model = subject_of(explorer).model
    half = image * 0.5
    for given, made in [
        (half, half),
        (lambda x: x * 0.25, image * 0.25),
        (np.full((16, 16, 3), 255, np.uint8), torch.ones_like(image)),
        (Image.new("RGB", (64, 40), (255, 255, 255)), torch.ones_like(image)),
        (igw.baselines.mean(torch.rand(4, 3, 16, 16).double()), None),
    ]:
        explorer.baseline = given
        assert explorer.baseline in explorer._baselines
        result = ready(explorer)
        if made is not None:
            expected = igw.attribute(model, image, baselines=made, target=0, method="riemann_middle", n_steps=8)
            torch.testing.assert_close(result.attributions, expected.attributions, rtol=1e-5, atol=1e-7)
    assert len(set(explorer._baselines)) == len(explorer._baselines) == len(BASELINES) + 5


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.zeros(1, 3, 4, 4), ["shape (1, 3, 4, 4)", "(1, 3, 16, 16)"]),
        (torch.full((1, 3, 16, 16), torch.nan), ["NaN"]),
        (lambda x: None, ["must return a tensor", "NoneType"]),
        ("blur(sigma=-1)", ["sigma", "-1"]),
        ("blur(radius=2)", ["takes the parameters: sigma", "radius"]),
        ("blur(sigma=much)", ["sigma=much"]),
        ("colour(red)", ["red"]),
        ("<script>", ["'<script>'", "black"]),
        ("x" * 10_000, ["black"]),
        (3, ["int"]),
    ],
    ids=lambda v: "function" if callable(v) else str(v)[:30],
)
def test_a_baseline_that_cannot_be_is_refused_in_words_and_the_last_one_stays(explore, value, words):
    explorer = explore(baseline="blur")
    with pytest.raises(traitlets.TraitError) as caught:
        explorer.baseline = value
    assert all(word in str(caught.value) for word in words), caught.value
    assert len(str(caught.value)) < 500
    assert explorer.baseline == "blur"
    assert len(explorer._baselines) == len(BASELINES)


def test_gallery_says_what_the_model_makes_of_each_baseline(explore):
    model, image = Classifier(), photo()[None]
    explorer = explore(model, image[0], labels=LABELS, target=2, baseline="blur(sigma=2)")
    cards = {card.name: card for card in explorer.gallery()}
    assert set(cards) == {*explorer._baselines, "blur(sigma=2)"}
    for made, name in ((torch.ones_like(image), "white"), (torch.zeros_like(image), "black")):
        scores = model(made)[0].detach()
        card = cards[name]
        p = scores.softmax(0)
        assert card.output == pytest.approx(float(scores[2]))
        assert card.entropy == pytest.approx(float(-(p * p.log2()).sum()), rel=1e-6)
        assert [label for label, _ in card.top] == [LABELS[i] for i in p.topk(3).indices.tolist()]
        assert card.is_neutral == (float(p.max()) <= 0.5)
        with Image.open(io.BytesIO(card.thumbnail)) as picture:
            assert np.asarray(picture).mean() == 255 * float(made.mean())


def test_cards_are_made_when_the_front_end_asks(explore):
    explorer = explore(target=2, labels=LABELS, baseline="blur(sigma=2)")
    assert explorer._cards == []
    explorer.comm.hear({"type": "request", "view": "v", "panel": "baselines"}, [])
    assert tasks_of(explorer).wait(SECONDS)
    by_name = {card["name"]: card for card in explorer._cards}
    assert set(by_name) == {*explorer._baselines, "blur(sigma=2)"}
    (sigma,) = by_name["blur(sigma=2)"]["parameters"]
    assert sigma["value"] == 2
    assert sigma["low"] < 2 < sigma["high"]
    assert by_name["colour"]["parameters"] == [{"name": "value", "colour": "#808080"}]
    assert by_name["noise"]["parameters"][0]["name"] == "seed"


def test_the_model_is_asked_once_about_a_baseline_until_it_changes(explore):
    model = Watched()
    explorer = explore(model, target=2)
    explorer.wait(SECONDS)
    cards = explorer.gallery()
    rows = model.rows_without_gradient
    assert repr(explorer.gallery()) == repr(cards)
    assert model.rows_without_gradient == rows
    explorer.baseline = "blur(sigma=2)"
    explorer.wait(SECONDS)
    rows = model.rows_without_gradient
    assert len(explorer.gallery()) == len(cards) + 1
    assert model.rows_without_gradient == rows + 1
    explorer.output = "probability"
    by_name = {card.name: card for card in explorer.gallery()}
    assert by_name["white"].output == pytest.approx(model(torch.ones(1, 3, 16, 16).double()).softmax(1)[0, 2].item())
    with torch.no_grad():
        next(model.parameters()).mul_(2)
    again = {card.name: card for card in explorer.gallery()}
    assert again["white"].output == pytest.approx(model(torch.ones(1, 3, 16, 16).double()).softmax(1)[0, 2].item())
    assert again["white"].output != by_name["white"].output


def png(size, color):
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, "PNG")
    return out.getvalue()


def test_a_dropped_file_becomes_the_baseline(explore):
    image = photo()[None]
    explorer = explore(inputs=image[0], target=1)
    explorer.comm.hear({"type": "upload", "view": "v", "name": "snow (2).png"}, [png((50, 20), (255, 255, 255))])
    assert tasks_of(explorer).wait(SECONDS)
    assert explorer.baseline == "snow 2 .png"
    expected = igw.attribute(
        subject_of(explorer).model,
        image,
        baselines=torch.ones_like(image),
        target=1,
        method="riemann_middle",
        n_steps=8,
    )
    torch.testing.assert_close(ready(explorer).attributions, expected.attributions, rtol=1e-5, atol=1e-7)


def bomb(size=20_000):
    """A file of a few bytes that says it is a picture of 20,000 x 20,000 pixels."""
    whole = bytearray(png((8, 8), (0, 0, 0)))
    whole[16:24] = size.to_bytes(4, "big") * 2
    whole[29:33] = zlib.crc32(bytes(whole[12:29])).to_bytes(4, "big")
    return bytes(whole)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no picture"),
        (b"%PDF-1.7", "no picture"),
        (png((9, 9), (1, 2, 3))[:40], "no picture"),
        (bomb(), "more pixels"),
    ],
    ids=["empty", "another kind", "cut off", "20,000 x 20,000"],
)
def test_a_file_that_is_no_picture_is_answered_in_words_and_the_last_baseline_stays(explore, data, words):
    explorer = explore(baseline="blur")
    result = ready(explorer)
    explorer.comm.hear({"type": "upload", "view": "v", "name": "<img src=x onerror=alert(1)>.png"}, [data])
    assert tasks_of(explorer).wait(SECONDS)
    assert words in explorer._notice["text"]
    assert len(explorer._notice["text"]) < 400
    assert explorer.baseline == "blur"
    assert explorer.result is result


def test_a_second_baseline_of_pictures_is_another_one(explore):
    explorer = explore(target=1)
    first, second = (igw.baselines.mean(draw(seed, 4, 3, 16, 16).sigmoid()) for seed in (1, 2))
    names = []
    for given in (first, second, first):
        explorer.baseline = given
        names.append(explorer.baseline)
    assert names == ["mean of 4 pictures", "mean of 4 pictures 2", "mean of 4 pictures"]
