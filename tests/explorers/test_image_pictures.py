"""What stays in a notebook: the widget, a line of text, and a PNG of what was shown."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

import ig_widgets as igw
from ig_widgets import figures
from tests.explorers.subjects import SECONDS, Watched, as_picture, panes_of, photo


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.fixture
def drawn(monkeypatch):
    """What is handed to the figure, in the order of drawing: far cheaper than to draw it."""
    calls = []

    def overlay_png(photo, overlay, table, scale, unit, caption):
        calls.append({"photo": photo, "overlay": overlay, "table": table, "scale": scale, "caption": caption})
        return b""

    monkeypatch.setattr(figures, "overlay_png", overlay_png)
    return calls


def test_mimebundle_has_the_widget_a_text_and_a_picture(explore):
    explorer = explore(labels=["a", "b", "c", "d", "e"])
    data, _metadata = explorer._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.model_id
    assert data["text/plain"] == repr(explorer)
    png = base64.b64decode(data["image/png"], validate=True)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    picture = Image.open(io.BytesIO(png))
    picture.load()
    assert min(picture.size) > 100
    values = pixels(png)
    assert values.std() > 10
    assert len(np.unique(values.reshape(-1, 3), axis=0)) > 50
    assert len(png) < 200_000


def test_mimebundle_waits_for_the_first_picture_but_not_for_ever(explore, monkeypatch):
    monkeypatch.setattr("ig_widgets.explorers.export.exports._DISPLAY_SECONDS", 0.01)
    model = Watched()
    model.block()
    explorer = explore(model)
    model.await_entry()
    data, _ = explorer._repr_mimebundle_()
    assert "image/png" not in data
    assert data["text/plain"] == repr(explorer)
    assert "application/vnd.jupyter.widget-view+json" in data
    model.release()


def test_mimebundle_of_a_run_that_failed(explore):
    def model(x):
        if x.requires_grad:
            raise RuntimeError("no gradient today")
        return x.mean((2, 3))

    data, _ = explore(model)._repr_mimebundle_()
    assert "image/png" not in data
    assert data["text/plain"].startswith("ImageExplorer('class ")


def test_snapshot_is_a_picture_that_follows_the_looks(explore):
    explorer = explore()
    before = explorer.snapshot()
    assert before == explorer.snapshot()
    for name, value in (("alpha", 0.4), ("opacity", 0.3), ("sign", "positive"), ("colormap", "PiYG")):
        setattr(explorer, name, value)
        after = explorer.snapshot()
        assert pixels(after).shape[2] == 3
        assert not np.array_equal(pixels(after), pixels(before)), name
        before = after


def test_snapshot_is_composed_of_what_was_collected_up_to_alpha(explore, drawn):
    image = photo()
    explorer = explore(inputs=image, alpha=0.3, opacity=0.6, clip=90.0, sign="negative", colormap="PuOr_r")
    explorer.snapshot()
    (call,) = drawn
    result = explorer.result
    full, collected = (result.path.cumulative(alpha)[0].sum(0).float().numpy() for alpha in (1.0, 0.3))
    table = figures.color_table("PuOr_r")
    # One scale while alpha moves: that of the whole.
    assert call["scale"] == pytest.approx(figures.scale_of(full, 90.0), rel=1e-6)
    expected = figures.compose(as_picture(image), collected, call["scale"], table, 0.6, "negative")
    assert np.array_equal(call["overlay"], expected)
    assert np.array_equal(call["photo"], as_picture(image))
    assert np.array_equal(call["table"], table)


@pytest.mark.parametrize(
    ("name", "values"),
    [("alpha", (0.2, 0.7)), ("opacity", (0.1, 0.9)), ("clip", (60, 100)), ("sign", ("positive", "negative")),
     ("colormap", ("RdBu_r", "viridis"))],
)  # fmt: skip
def test_each_look_changes_the_overlay_and_only_clip_the_scale(explore, drawn, name, values):
    explorer = explore()
    for value in values:
        setattr(explorer, name, value)
        explorer.snapshot()
    one, other = drawn
    assert not np.array_equal(one["overlay"], other["overlay"])
    assert (one["scale"] == other["scale"]) is (name != "clip")
    assert np.array_equal(one["photo"], other["photo"])


def test_snapshot_at_alpha_zero_has_collected_nothing(explore, drawn):
    explorer = explore(alpha=0.0)
    explorer.snapshot()
    table = figures.color_table("RdBu_r")
    nothing = figures.compose(as_picture(photo()), np.zeros((16, 16)), 1.0, table, explorer.opacity)
    assert np.array_equal(drawn[0]["overlay"], nothing)


def test_caption_tells_class_output_baseline_rule_alpha_and_delta(explore, drawn):
    explorer = explore(labels=["a", "b", "Egyptian cat", "d", "e"], target=2, baseline="blur", alpha=0.25)
    explorer.snapshot()
    caption = drawn[0]["caption"]
    result = explorer.result
    for part in ("Egyptian cat", f"logit {float(result.output):.3g}", "blur", "riemann_middle", "8", "0.25", "delta"):
        assert part in caption
    assert f"{float(result.convergence_delta):+.2g}" in caption


def test_snapshot_waits_for_the_first_result(explore):
    model = Watched()
    model.block()
    explorer = explore(model)
    model.await_entry()
    model.release()
    assert explorer.snapshot()[:8] == b"\x89PNG\r\n\x1a\n"
    assert explorer.result is not None


def test_snapshot_of_nothing_says_so(explore, chunks_of_two, monkeypatch):
    model = Watched()
    explorer = explore(model)
    explorer.wait(SECONDS)
    panes_of(explorer)[0].answer = None  # as after a first run that was cancelled before its first sample
    with pytest.raises(RuntimeError, match="nothing to draw yet"):
        explorer.snapshot()


def test_map_of_zeros_can_be_drawn(explore):
    """Where F does not change, nothing is attributed; the picture is the photo."""
    explorer = explore(lambda x: x.mean((2, 3)) * 0, torch.full((3, 8, 8), 0.5))
    explorer.wait(SECONDS)
    assert (explorer.result.attributions == 0).all()
    assert explorer.snapshot()


def test_demo_model_from_end_to_end(explore):
    """The one test here with a real model: the cat's picture, its class, and the completeness of the map."""
    model, preprocess, labels = igw.demo.image_classifier("cpu")
    explorer = explore(model, igw.demo.image("cat"), preprocess=preprocess, labels=labels, n_steps=4)
    view = explorer.comm.open_view()
    explorer.wait(120)
    explorer.comm.settle()
    assert labels[explorer.target] == view.begin["target_name"] == "Egyptian cat"
    assert view.begin["display"]["shape"] == [224, 224]
    assert view.ended["type"] == "done"
    plan = view.plan
    exact = explorer.result.path.cumulative(1.0)[0].sum(0).numpy()
    assert np.abs(view.collected(1.0) - exact).max() <= view.rounding(1.0) + 1e-5 * np.abs(exact).max()
    assert exact.sum() == pytest.approx(plan["sum"], abs=1e-3)
    difference = plan["outputs"][-1][1] - plan["outputs"][0][1]
    assert plan["delta"] == pytest.approx(plan["sum"] - difference, abs=1e-6)
    shown = np.frombuffer(view.pictures[0], np.uint8).reshape(224, 224, 3).astype(int)
    resized = np.asarray(igw.demo.image("cat").convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(shown - resized).max() <= 1
