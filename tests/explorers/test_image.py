"""What an ImageExplorer has beside the contract of all explorers: photos, colours, baselines of pictures, blur."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import traitlets

import ig_widgets as igw
from ig_widgets.explorers.image.subject import METHODS as IMAGE_METHODS
from ig_widgets.explorers.image.subject import ImageSubject
from tests.explorers.contract.test_export import recorded
from tests.explorers.subjects import (
    BASELINES,
    METHODS,
    SECONDS,
    Classifier,
    Watched,
    panes_of,
    photo,
    ready,
    subject_of,
)

LABELS = ["tench", "Egyptian cat", "espresso", "rocket", "tench again"]


def baseline_of(name, inputs):
    """A baseline (1, channels, height, width) for inputs in [0, 1], of the public objects."""
    makers = {
        "black": igw.baselines.black(),
        "white": igw.baselines.white(),
        "mean grey": igw.baselines.mean_grey(),
        "blur": igw.baselines.blur(),
        "noise": igw.baselines.uniform(seed=0),
        "gaussian noise": igw.baselines.gaussian(),
        "max distance": igw.baselines.max_distance(),
        "shuffled": igw.baselines.permuted(),
        "colour": igw.baselines.constant(0.5),
    }
    return makers[name](inputs.float()).to(inputs.dtype)


def relative(ours, theirs):
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize(("side", "dtype", "error"), [(64, "i2", 1e-4), (16, "f4", 1e-6)])
def test_what_a_picture_draws_up_to_alpha_is_what_the_engine_collects(explore, side, dtype, error):
    """Of maps in 16 bits, whose scale has to be heeded, and of small ones in float32."""
    explorer = explore(Classifier(), photo(0, 3, side, side))
    result = ready(explorer)
    rule = panes_of(explorer)[0].answer.rule
    assert {one.dtype for one in rule.log.maps} == {dtype}
    for alpha in (0.0, 0.37, 1.0):
        exact = result.path.cumulative(alpha)[0].sum(0).flatten()
        drawn = torch.from_numpy(rule.log.collected(rule.pieces, alpha))
        assert float((drawn - exact).abs().max()) <= error * float(result.attributions.sum(1).abs().max())


@pytest.mark.parametrize(
    ("method", "baseline"),
    [*((METHODS[i % len(METHODS)], name) for i, name in enumerate(BASELINES)), *((name, "blur") for name in METHODS)],
)
def test_result_is_that_of_attribute(explore, method, baseline):
    model, image = Classifier(), photo()
    explorer = explore(model, image, method=method, baseline=baseline, target=3, n_steps=7)
    explorer.wait(SECONDS)
    inputs = image[None]
    expected = igw.attribute(model, inputs, baselines=baseline_of(baseline, inputs), target=3, method=method, n_steps=7)
    result = explorer.result
    assert relative(result.attributions, expected.attributions) < 1e-6
    assert float(result.output) == pytest.approx(float(expected.output), rel=1e-9)
    assert float(result.baseline_output) == pytest.approx(float(expected.baseline_output), rel=1e-6)
    assert float(result.convergence_delta) == pytest.approx(float(expected.convergence_delta), abs=1e-6)
    assert (result.method, result.n_steps, result.evaluations) == (method, 7, 7)


def test_normalising_preprocess_is_undone_for_the_baselines(explore):
    """White is white to the eye, whatever numbers the model takes for it."""
    mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)))
    model, image = Classifier(), photo()

    def preprocess(picture):
        return ((picture - mean) / std)[None]

    explorer = explore(model, image, preprocess=preprocess, baseline="white", target=2)
    for name in BASELINES:
        explorer.baseline = name
        explorer.wait(SECONDS)
        made = preprocess(baseline_of(name, image[None])[0])
        expected = igw.attribute(model, preprocess(image), baselines=made, target=2, method="riemann_middle", n_steps=8)
        # Pictures are worked on in float32.
        assert relative(explorer.result.attributions, expected.attributions) < 1e-5, name


def test_grey_model(explore):
    model, image = Classifier(channels=1), photo(channels=1)
    explorer = explore(model, image, target=0, baseline="white")
    explorer.wait(SECONDS)
    expected = igw.attribute(model, image[None], baselines=1.0, target=0, method="riemann_middle", n_steps=8)
    assert explorer.result.attributions.shape == (1, 1, 16, 16)
    assert relative(explorer.result.attributions, expected.attributions) < 1e-6
    assert explorer.snapshot()


def test_wide_and_high_pictures(explore):
    explorer = explore(inputs=photo(height=12, width=20), baseline="blur")
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.begin["display"]["shape"] == [12, 20]
    assert view.collected(1.0).shape == (12, 20)


def test_a_picture_of_one_channel_has_no_other(explore):
    explorer = explore(Classifier(channels=1), photo(channels=1))
    assert explorer._channels == ["sum"]
    with pytest.raises(traitlets.TraitError, match="'red'"):
        explorer.channel = "red"


def test_begin_tells_the_photo_the_baseline_and_the_class(explore):
    image = photo()
    explorer = explore(inputs=image, labels=list("abcde"), target=2, baseline="white")
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.begin["target_name"] == "c"
    assert view.begin["display"]["shape"] == [16, 16]
    assert view.begin["total"] == 8
    shown = np.frombuffer(view.pictures[0], np.uint8).reshape(16, 16, 3)
    assert np.abs(shown.astype(float) - image.permute(1, 2, 0).numpy() * 255).max() <= 0.5 + 1e-4
    assert set(view.pictures[1]) == {255}


def test_a_picture_that_is_not_square_is_blurred_by_its_shorter_side(explore):
    explorer = explore(Classifier(), photo(height=12, width=20), target=1, method="blur_integrated_gradients")
    result = ready(explorer)
    expected = igw.relatives.blur_integrated_gradients(
        subject_of(explorer).model,
        subject_of(explorer).inputs,
        sigma=50 / 224 * 12,
        method="secant",
        n_steps=8,
        target=1,
    )
    torch.testing.assert_close(result.attributions, expected.attributions)


def normalise(picture):
    return ((picture - 0.5) / 0.25)[None]


def test_zeros_that_are_not_black_are_warned_of(explore):
    zeros = torch.zeros(1, 3, 16, 16).double()
    with pytest.warns(UserWarning, match='^baseline is a tensor of zeros, .* baseline="black"') as seen:
        explore(preprocess=normalise, baseline=zeros)
    assert len(seen) == 1
    explorer = explore(preprocess=normalise)
    with pytest.warns(UserWarning, match="zeros"):
        explorer.baseline = zeros[:, :, :1, :1]


def test_zeros_that_are_meant_or_are_black_are_no_reason_to_warn(explore):
    """Nor is anything that the explorer translates itself: warnings are errors here."""
    explore(baseline=torch.zeros(1, 3, 16, 16).double())
    explorer = explore(preprocess=normalise, baseline=igw.baselines.zeros())
    explorer.baseline = torch.full((1, 3, 16, 16), -2.0).double()
    for baseline in (*BASELINES, igw.baselines.permuted(), igw.baselines.black().normalized(0.5, 0.25)):
        explorer.baseline = baseline
    explorer.baseline = igw.baselines.boundary(subject_of(explorer).model)
    explorer.wait(SECONDS)
    assert explorer.gallery()[-1].description == "nearest boundary"


TRAITS = [
    ("opacity", (0, 0.5, 1), 2, ["2", "1"]),
    ("opacity", (0, 0.5, 1), -1, ["-1", "0"]),
    ("opacity", (0.5,), np.nan, ["finite"]),
    ("opacity", (0.5,), np.inf, []),
    ("ground", ("colour", "grey"), "color", ["grey", "colour"]),
    ("baseline", BASELINES[1:], "Black", ["'Black'", *BASELINES]),
    ("channel", ("red", "green", "blue", "sum"), "alpha", ["red", "sum"]),
]


@pytest.mark.parametrize(("name", "good", "bad", "says"), TRAITS)
def test_traits_of_its_own(explore, name, good, bad, says):
    explorer = explore(labels=LABELS)
    model_rows = []
    explorer.observe(lambda change: model_rows.append(change.new), name)
    for value in good:
        setattr(explorer, name, value)
        assert getattr(explorer, name) == value
    assert model_rows == list(good)
    with pytest.raises(traitlets.TraitError) as caught:
        setattr(explorer, name, bad)
    assert all(part in str(caught.value) for part in (name, *says))
    assert getattr(explorer, name) == good[-1]
    with pytest.raises(traitlets.TraitError, match=name):
        explore(labels=LABELS, **{name: bad})


def test_opacity_and_ground_ask_the_model_nothing(explore):
    model = Watched()
    explorer = explore(model)
    view = explorer.comm.open_view()
    result, rows = ready(explorer), model.rows
    explorer.comm.settle()
    said = len(view.log)
    explorer.opacity, explorer.ground = 0.2, "colour"
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert (model.rows, len(view.log)) == (rows, said)
    assert explorer.result is result


def test_front_end_is_told_what_there_is_to_choose_from(explore):
    explorer = explore()
    assert tuple(explorer._methods) == ("auto", *METHODS, "fejer", "secant", *IMAGE_METHODS.relatives)
    assert tuple(explorer._baselines) == BASELINES
    assert explorer._channels == ["sum", "red", "green", "blue"]


def test_a_page_holds_the_photo_and_the_baseline(explore):
    explorer = explore(opacity=0.5, baseline="white")
    explorer.wait(SECONDS)
    recording = recorded(explorer)
    assert recording.fields["traits"]["opacity"] == 0.5
    assert recording.pictures[0][0] == subject_of(explorer).photo.tobytes()
    assert set(recording.pictures[0][1]) == {255}


@pytest.mark.parametrize(("height", "width", "side"), [(28, 28, 2), (15, 29, 1), (224, 300, 16), (3, 5, 1)])
def test_maps_are_coarsened_by_the_patch(height, width, side):
    """Signs that alternate cancel; those at the right and lower edge are smaller, and nothing is lost."""
    subject = ImageSubject(Classifier(), photo(height=height, width=width))
    board = np.indices((height, width)).sum(0) % 2 * 2.0 - 1
    ramp = np.arange(float(height * width)).reshape(height, width)
    found = subject.coarsen(np.stack([1 + 9 * board, ramp]))
    assert (found.patch, found.name) == (side, f"patches of {side} x {side} pixels")
    assert found.values.shape == (2, -(-height // side), -(-width // side))
    assert found.values.sum((1, 2)) == pytest.approx([(1 + 9 * board).sum(), ramp.sum()])
    assert found.values[1, 0, 0] == ramp[:side, :side].sum()
    if side % 2 == 0:
        assert found.values[0, 0, 0] == side * side


@pytest.mark.parametrize("shape", [(1, 9), (9, 1)], ids=str)
def test_a_picture_as_thin_as_a_line_is_cut_to_its_middle(explore, shape):
    """A single pixel, which is red among blue ones."""
    line = np.zeros((9, 3), np.uint8)
    line[:, 2] = 255
    line[4] = (255, 0, 0)
    explorer = explore()
    explorer.baseline = line.reshape(*shape, 3)
    made = subject_of(explorer).baselines.inputs(explorer.baseline)[0]
    assert made.flatten(1).T.unique(dim=0).tolist() == [[1, 0, 0]]
    explorer.wait(SECONDS)
