"""An explorer from its file: what it shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ig_widgets as igw
from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers.core.settings import FORMS
from ig_widgets.explorers.export.exports import ExportPanel
from ig_widgets.files import FileError
from tests.explorers.answers import (
    alike,
    assert_given_baseline_is_kept,
    assert_restored,
    drawn_alike,
    equal,
    rows,
    same,
    told,
)
from tests.explorers.contract.toy import Function, Jumping, Steep, WatchedFunction, point
from tests.explorers.subjects import (
    LABELS,
    SECONDS,
    panel,
    panes_of,
    ready,
)

Explore = Callable[..., Any]


CASES = [
    {},
    {"method": "gausslegendre", "n_steps": 5, "baseline": "noise(seed=2)", "output": "probability"},
    {"method": "riemann_trapezoid", "n_steps": 2, "output": "margin", "channel": "first"},
    {"method": "secant", "baseline": "noise(seed=3)"},
    {"method": "secant", "n_steps": 1, "output": "log-probability"},
    {"method": "gradient"},
    {"method": "input_x_gradient", "baseline": "ones"},
    {"method": "smoothgrad"},
    {"method": "expected_gradients"},
    {"method": "guided_integrated_gradients", "baseline": "halves"},
]


@pytest.mark.parametrize("options", CASES, ids=lambda options: "-".join(map(str, options.values())) or "usual")
def test_a_file_shows_what_was_saved_without_a_gradient(explore: Explore, restore: Explore, options: Any) -> None:
    assert_restored(explore, restore, options)


def test_all_exports_of_a_file_are_those_of_what_was_saved(explore: Explore, restore: Explore) -> None:
    one = explore(target=1, labels=LABELS, alpha=0.4)
    ready(one)
    other = restore(one)
    for kind in ("png", "svg", "npz", "html"):
        is_same = panel(other, ExportPanel)._made(kind) == panel(one, ExportPanel)._made(kind)
        assert is_same, kind


def test_a_run_to_a_tolerance_is_shown_by_its_last_stage(explore: Explore, restore: Explore) -> None:
    """The cells that others have replaced are left out; the sums are the same."""
    for tol in (0.02, 0.3):
        one = explore(target=1, method="auto", tol=tol, n_steps=7, labels=LABELS)
        result = ready(one)
        other = restore(one)
        assert same(result, ready(other))
        assert (other.method, other.tol, other.n_steps) == ("auto", tol, 7)
        assert panel(other, ExportPanel).npz() == panel(one, ExportPanel).npz()
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


@pytest.mark.parametrize("made", [Steep, Jumping])
def test_unequal_pieces_and_caveats_come_back(explore: Explore, restore: Explore, made: type[Steep]) -> None:
    one = explore(made(), point(), target=1, method="auto", tol=0.05, labels=LABELS)
    result = ready(one)
    assert bool(result.caveats) == (made is Jumping)
    other = restore(one, made(), point())
    assert same(result, ready(other))
    assert other._notice.get("text", "") == one._notice.get("text", "") == " ".join(result.caveats)
    assert panel(other, ExportPanel).npz() == panel(one, ExportPanel).npz()
    for alpha in (0.01, 0.3, 1.0):
        one.alpha = other.alpha = alpha
        assert drawn_alike(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_in_any_precision(explore: Explore, restore: Explore, dtype: torch.dtype) -> None:
    one = explore(Function(dtype=dtype), target=1, labels=LABELS)
    result = ready(one)
    other = restore(one, WatchedFunction(dtype=dtype))
    assert same(result, ready(other))
    assert result.attributions.dtype == dtype
    assert drawn_alike(one, other)
    assert rows(other) == 0


def test_maps_too_small_for_float32_are_kept(explore: Explore, restore: Explore) -> None:
    class Faint(WatchedFunction):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * 1e-40

    one = explore(Faint(), target=1, labels=LABELS)
    other = restore(ready(one) and one, Faint())
    assert alike(told(one), told(other))
    assert drawn_alike(one, other)


def test_all_settings_come_back(explore: Explore, restore: Explore) -> None:
    looks = {"alpha": 0.25, "clip": 91.0, "colormap": "PuOr", "sign": "negative"}
    one = explore(target=2, labels=LABELS, baseline="noise(seed=4)", n_steps=6, tol=0.2, **looks)
    one.compare({"baseline": "ones", "n_steps": 3}, {"method": "secant", "target": 1})
    ready(one)
    other = restore(one)
    for name in (*looks, *FORMS, "_panes"):
        assert getattr(other, name) == getattr(one, name), name
    assert all(map(same, one.results, other.results))
    for pane in range(3):
        assert alike(told(one, pane), told(other, pane))
    assert rows(other) == 0
    with_dependence = restore(explore(target=1, labels=LABELS, show_dependence=True))
    assert with_dependence.show_dependence


def test_panes_without_an_answer_are_computed(explore: Explore, restore: Explore) -> None:
    one = explore(target=1, labels=LABELS)
    ready(one)
    one.compare({"n_steps": 4})
    ready(one)
    before, panes_of(one)[1].answer = panes_of(one)[1].answer, None
    assert before is not None
    other = restore(one)
    ready(other)
    assert rows(other) == 4
    assert equal(before.result, other.results[1])


@pytest.mark.parametrize("value", [point(5)[None], lambda inputs: inputs / 2], ids=["tensor", "function"])
def test_a_baseline_that_was_given_is_offered_again(explore: Explore, restore: Explore, value: Any) -> None:
    one = explore(target=1, labels=LABELS)
    one.baseline = value
    assert_given_baseline_is_kept(one, restore, "ones")


def test_the_next_wish_is_computed(explore: Explore, restore: Explore) -> None:
    one = explore(target=1, labels=LABELS)
    ready(one)
    other = restore(one)
    for name, value in (
        ("n_steps", 4),
        ("channel", "first"),
        ("target", 2),
        ("baseline", "minus ones"),
        ("method", "secant"),
    ):
        setattr(one, name, value)
        setattr(other, name, value)
        assert equal(ready(one), ready(other))
        assert rows(other) > 0
    # And back to what was in the file.
    other.baseline, other.method, other.target, other.channel, other.n_steps = "zeros", "riemann_middle", 1, "sum", 8
    view = other.comm.open_view()
    ready(other)
    other.comm.settle()
    assert view.ended is not None
    assert view.ended["type"] == "done"


def test_exports_and_checks_of_what_came_from_a_file(explore: Explore, restore: Explore, tmp_path: Path) -> None:
    one = explore(target=1, labels=LABELS, method="gausslegendre")
    other = restore(ready(one) and one)
    assert other.figure().axes
    for kind in ("png", "svg", "npz", "html"):
        getattr(other, f"to_{kind}")(tmp_path / "again")
        assert (tmp_path / "again").stat().st_size > 1000
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
        model = WatchedFunction()
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
    model = WatchedFunction()
    one = explore(model, target=1, labels=LABELS)
    result = ready(one)
    model.block()
    one.n_steps, one.baseline = 20, "ones"
    model.await_entry()
    other = restore(one)
    model.release()
    assert same(result, other.result)
    assert (other.n_steps, other.baseline) == (8, "zeros")


def test_samples_taken_while_another_channel_was_drawn_are_drawn_in_all(explore: Explore, restore: Explore) -> None:
    one = explore(target=1, labels=LABELS)
    view = one.comm.open_view()
    ready(one)  # so that this channel has maps already, to which those of the other run are added
    for name, value in (("channel", "first"), ("n_steps", 16), ("channel", "sum")):
        setattr(one, name, value)
        ready(one)
    one.comm.settle()
    assert view.ended is not None
    assert view.ended["type"] == "done"
    exact = one.result.attributions[0].numpy()
    assert np.abs(view.collected(1.0) - exact).max() <= view.rounding(1.0) + 1e-12
    assert view.plan is not None
    assert len(view.plan["entries"]) == len(one.result.path.alphas[0]) == 16
    assert same(one.result, restore(one).result)
    one.alpha = 0.5  # drawn of the maps that are sent
    collected = panel(one, ExportPanel).drawing().collected
    np.testing.assert_allclose(collected, one.result.path.cumulative(0.5)[0], rtol=1e-5, atol=1e-6)
