"""An explorer from its file: what it shows, and what it costs."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ig_widgets as igw
from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers import ImageExplorer
from ig_widgets.files import FileError
from tests.explorers.answers import alike, drawn_alike, equal, rows, same, told
from tests.explorers.subjects import LABELS, SECONDS, Classifier, Normed, Routed, Watched, as_picture, photo, ready

Explore = Callable[..., ImageExplorer]


CASES = [
    {},
    {"method": "gausslegendre", "n_steps": 5, "baseline": "blur(sigma=2)", "output": "probability"},
    {"method": "riemann_trapezoid", "n_steps": 2, "output": "margin", "channel": "red"},
    {"method": "secant", "baseline": "noise(seed=3)"},
    {"method": "secant", "n_steps": 1, "output": "log-probability"},
    {"method": "gradient"},
    {"method": "input_x_gradient", "baseline": "white"},
    {"method": "smoothgrad"},
    {"method": "expected_gradients"},
    {"method": "blur_integrated_gradients"},
    {"method": "guided_integrated_gradients", "baseline": "colour(#ff8800)"},
]


@pytest.mark.parametrize("options", CASES, ids=lambda options: "-".join(map(str, options.values())) or "usual")
def test_a_file_shows_what_was_saved_without_a_gradient(explore: Explore, restore: Explore, options: Any) -> None:
    one = explore(target=1, labels=LABELS, alpha=0.4, **options)
    result = ready(one)
    other = restore(one)
    assert other.result is not None  # before anything is waited for
    assert same(result, ready(other))
    assert rows(other) == 0
    assert repr(other) == repr(one)
    for alpha in (0.4, 0.0, 0.77, 1.0):
        one.alpha = other.alpha = alpha
        assert drawn_alike(one, other)
    assert alike(told(one), told(other))
    # A file of the file is the file.
    assert other._panels[-1].npz() == one._panels[-1].npz()
    assert one._tasks.wait(SECONDS)
    assert other._tasks.wait(SECONDS)
    assert [curve["method"] for curve in other._curves] == [curve["method"] for curve in one._curves]
    assert rows(other) == 0


def test_all_exports_of_a_file_are_those_of_what_was_saved(explore: Explore, restore: Explore) -> None:
    one = explore(target=1, labels=LABELS, alpha=0.4)
    ready(one)
    other = restore(one)
    for kind in ("png", "svg", "npz", "html"):
        is_same = other._panels[-1]._made(kind) == one._panels[-1]._made(kind)
        assert is_same, kind


def test_a_run_to_a_tolerance_is_shown_by_its_last_stage(explore: Explore, restore: Explore) -> None:
    """The cells that others have replaced are left out; the sums are the same."""
    for tol in (0.02, 0.3):
        one = explore(target=1, method="auto", tol=tol, n_steps=7, labels=LABELS)
        result = ready(one)
        other = restore(one)
        assert same(result, ready(other))
        assert (other.method, other.tol, other.n_steps) == ("auto", tol, 7)
        assert other._panels[-1].npz() == one._panels[-1].npz()
        (log, *_), view = told(one), one.comm.views[-1]
        (log_again, *_), view_again = told(other), other.comm.views[-1]
        for content, again in zip(log, log_again, strict=True):
            if content["type"] == "plan":
                assert [entry[1:] for entry in content["entries"]] == [entry[1:] for entry in again["entries"]]
                content["entries"] = again["entries"] = None
            if content["type"] != "samples":
                assert again == content
        for alpha in (0.3, 1.0):
            assert np.array_equal(view.collected(alpha), view_again.collected(alpha))
            one.alpha = other.alpha = alpha
            assert drawn_alike(one, other)
        assert rows(other) == 0


@pytest.mark.parametrize("made", [Normed, Routed])
def test_unequal_pieces_and_caveats_come_back(explore: Explore, restore: Explore, made: type[Normed]) -> None:
    shape = 3, 8, 8
    one = explore(made(*shape), photo(0, *shape), target=1, method="auto", tol=0.05, labels=LABELS)
    result = ready(one)
    assert bool(result.caveats) == (made is Routed)
    other = restore(one, made(*shape), photo(0, *shape))
    assert same(result, ready(other))
    assert other._notice.get("text", "") == one._notice.get("text", "") == " ".join(result.caveats)
    assert other._panels[-1].npz() == one._panels[-1].npz()
    for alpha in (0.01, 0.3, 1.0):
        one.alpha = other.alpha = alpha
        assert drawn_alike(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_in_any_precision(explore: Explore, restore: Explore, dtype: torch.dtype) -> None:
    one = explore(Classifier(dtype=dtype), target=1, labels=LABELS)
    result = ready(one)
    other = restore(one, Watched(dtype=dtype))
    assert same(result, ready(other))
    assert result.attributions.dtype == dtype
    assert drawn_alike(one, other)
    assert rows(other) == 0


def test_maps_too_small_for_float32_are_kept(explore: Explore, restore: Explore) -> None:
    class Faint(Watched):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * 1e-40

    one = explore(Faint(), target=1, labels=LABELS)
    other = restore(ready(one) and one, Faint())
    assert alike(told(one), told(other))
    assert drawn_alike(one, other)


def test_all_settings_come_back(explore: Explore, restore: Explore) -> None:
    looks = {"alpha": 0.25, "opacity": 0.5, "clip": 91.0, "colormap": "PuOr", "sign": "negative", "ground": "colour"}
    mask = np.zeros((16, 16), bool)
    mask[2:5, 7] = True
    one = explore(target=2, labels=LABELS, baseline="noise(seed=4)", n_steps=6, tol=0.2, **looks)
    one.regions = [(1, 1, 5, 6), np.array([(2, 2), (9, 3), (4, 12)]), mask]
    one.compare({"baseline": "white", "n_steps": 3}, {"method": "secant", "target": 1})
    ready(one)
    other = restore(one)
    for name in (*looks, "baseline", "target", "output", "method", "n_steps", "tol", "channel", "_panes", "_regions"):
        assert getattr(other, name) == getattr(one, name), name
    assert all(np.array_equal(a, b) for a, b in zip(one.regions, other.regions, strict=True))
    assert all(map(same, one.results, other.results))
    for pane in range(3):
        assert alike(told(one, pane), told(other, pane))
    # What the model says of regions is asked without a gradient.
    assert [repr(a) for a in other.audits(2)] == [repr(a) for a in one.audits(2)]
    assert other._tasks.wait(SECONDS)
    assert [row["sum"] for row in other._audits] == [row["sum"] for row in one._audits]
    assert rows(other) == 0
    with_dependence = restore(explore(target=1, labels=LABELS, show_dependence=True))
    assert with_dependence.show_dependence


def test_panes_without_an_answer_are_computed(explore: Explore, restore: Explore) -> None:
    one = explore(target=1, labels=LABELS)
    ready(one)
    one.compare({"n_steps": 4})
    ready(one)
    before, one._pane_list[1].answer = one._pane_list[1].answer, None
    assert before is not None
    other = restore(one)
    ready(other)
    assert rows(other) == 4
    assert equal(before.result, other.results[1])


def _upload(explorer: ImageExplorer) -> None:
    data = io.BytesIO()
    Image.fromarray(as_picture(photo(7))).save(data, "PNG")
    explorer.comm.hear({"type": "upload", "view": "v", "name": "my picture.png"}, [data.getvalue()])
    assert explorer._tasks.wait(SECONDS)


@pytest.mark.parametrize(
    "given_as",
    [
        lambda: photo(5)[None],
        lambda: as_picture(photo(5)),
        lambda: lambda inputs: inputs / 2,
        lambda: igw.baselines.samples(np.stack([as_picture(photo(5)), as_picture(photo(6))]), seed=3),
        lambda: _upload,
    ],
    ids=["tensor", "picture", "function", "samples", "upload"],
)
def test_a_baseline_that_was_given_is_offered_again(explore: Explore, restore: Explore, given_as: Any) -> None:
    value = given_as()
    one = explore(target=1, labels=LABELS)
    if value is _upload:
        _upload(one)
    else:
        one.baseline = value
    result = ready(one)
    other = restore(one)
    assert same(result, other.result)
    assert other.baseline == one.baseline
    assert set(other._baselines) >= set(one._baselines)
    assert torch.equal(other._subject.baselines.inputs(other.baseline), one._subject.baselines.inputs(one.baseline))
    assert alike(told(one), told(other))
    # And from there again, by the model.
    one.n_steps = other.n_steps = 5
    assert equal(ready(one), ready(other))
    # One that is not in use is kept, too.
    one.baseline = "white"
    ready(one)
    other = restore(one)
    assert set(other._baselines) >= set(one._baselines)


def test_the_next_wish_is_computed(explore: Explore, restore: Explore) -> None:
    one = explore(target=1, labels=LABELS)
    ready(one)
    other = restore(one)
    for name, value in (("n_steps", 4), ("channel", "red"), ("target", 2), ("baseline", "blur"), ("method", "secant")):
        setattr(one, name, value)
        setattr(other, name, value)
        assert equal(ready(one), ready(other))
        assert rows(other) > 0
    # And back to what was in the file.
    other.baseline, other.method, other.target, other.channel, other.n_steps = "black", "riemann_middle", 1, "sum", 8
    view = other.comm.open_view()
    ready(other)
    other.comm.settle()
    assert view.ended is not None
    assert view.ended["type"] == "done"


def test_exports_and_checks_of_what_came_from_a_file(explore: Explore, restore: Explore, tmp_path: Path) -> None:
    one = explore(target=1, labels=LABELS, region=(2, 2, 9, 9), method="gausslegendre")
    other = restore(ready(one) and one)
    assert other.figure().axes
    for kind in ("png", "svg", "npz", "html"):
        getattr(other, f"to_{kind}")(tmp_path / "again")
        assert (tmp_path / "again").stat().st_size > 1000
    assert other.audit().attribution_sum == one.audit().attribution_sum
    assert rows(other) == 0
    assert other.crosscheck().relative_difference < 1e-5
    with pytest.raises(FileError, match=r"of alpha = 0\.5 there are snapshot\(\) and figure\(\)"):
        other.result.path.cumulative(0.5)
    assert torch.equal(other.result.path.cumulative(1), other.result.attributions)
    assert not other.result.path.cumulative(0).any()
    with pytest.raises(ArgumentValueError, match=r"^result\.path comes from an explorer's file"):
        igw.files.save_attribution(tmp_path / "x.npz", other.result)


def test_a_cancelled_run_comes_back_as_far_as_it_went(explore: Explore, restore: Explore, chunks_of_two: None) -> None:
    for method in ("riemann_middle", "secant"):
        model = Watched()
        model.block(after=2)
        one = explore(model, target=1, labels=LABELS, method=method, n_steps=9)
        model.await_entry()
        one.cancel()
        model.release()
        one.wait(SECONDS)
        result = one.result
        assert result is not None
        assert not result.complete
        other = restore(one)
        assert same(result, ready(other))
        assert rows(other) == 0
        one.alpha = other.alpha = 0.6
        assert drawn_alike(one, other)
        assert alike(told(one), told(other))
        assert other.comm.views[-1].ended["kind"] == "cancelled"
        other.n_steps = 4
        assert ready(other).complete


def test_a_file_may_be_saved_while_another_run_is_in_hand(explore: Explore, restore: Explore) -> None:
    """What is kept is what is shown, with the settings that it has."""
    model = Watched()
    one = explore(model, target=1, labels=LABELS)
    result = ready(one)
    model.block()
    one.n_steps, one.baseline = 20, "white"
    model.await_entry()
    other = restore(one)
    model.release()
    assert same(result, other.result)
    assert (other.n_steps, other.baseline) == (8, "black")


def test_samples_taken_while_another_channel_was_drawn_are_drawn_in_all(explore: Explore, restore: Explore) -> None:
    one = explore(target=1, labels=LABELS)
    view = one.comm.open_view()
    for name, value in (("channel", "red"), ("n_steps", 16), ("channel", "sum")):
        setattr(one, name, value)
        ready(one)
    one.comm.settle()
    assert view.ended is not None
    assert view.ended["type"] == "done"
    exact = one.result.attributions[0].sum(0).numpy()
    assert np.abs(view.collected(1.0) - exact).max() <= view.rounding(1.0) + 1e-12
    assert same(one.result, restore(one).result)


@pytest.mark.robustness
def test_what_a_file_costs(figure: Callable[..., None], tmp_path: Path) -> None:
    """The demo at 64 steps: the model, its photo, and nothing computed."""
    demo = pytest.importorskip("efficientnet_lite_pytorch") and igw.demo.image_classifier("cpu")
    image = igw.demo.image("cat")
    evaluated = 0

    def count(_module: Any, inputs: Any) -> None:
        nonlocal evaluated
        evaluated += len(inputs[0]) if inputs[0].requires_grad else 0

    explorer = ImageExplorer(demo.model, image, preprocess=demo.preprocess, labels=demo.labels, n_steps=64)
    explorer.wait(4 * SECONDS)
    begin = time.perf_counter()
    explorer.to_npz(tmp_path / "demo.npz")
    writing = time.perf_counter() - begin
    picture = explorer.snapshot()
    explorer.close()
    hook = demo.model.register_forward_pre_hook(count)
    begin = time.perf_counter()
    again = ImageExplorer.from_npz(
        tmp_path / "demo.npz", demo.model, image, preprocess=demo.preprocess, labels=demo.labels
    )
    assert again.result is not None
    restoring_seconds = time.perf_counter() - begin
    again.wait(SECONDS)
    same_picture = again.snapshot() == picture
    again.close()
    hook.remove()
    figure("gradient evaluations to restore an explorer from its file", evaluated, at_most=0)
    figure("file of an explorer, EfficientNet-Lite0, 64 steps", (tmp_path / "demo.npz").stat().st_size / 1e6, " MB")
    figure("writing it", writing, " s", at_most=3)
    figure("restoring an explorer from it, until its picture can be shown", restoring_seconds, " s", at_most=2)
    assert same_picture
    assert evaluated == 0
