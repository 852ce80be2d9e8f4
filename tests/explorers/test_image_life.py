"""The life of an ImageExplorer: what is asked, overtaken, cancelled, fails, is closed; and what a browser is told.

Nothing here sleeps. A model that is told to waits in the middle of a pass until the test lets it go on.
"""

import gc
import itertools
import logging
import threading
import weakref

import numpy as np
import pytest
import torch

import ig_widgets as igw
from ig_widgets.explorers import memory as memory_module
from tests.explorers.conftest import workers
from tests.explorers.subjects import BASELINES, METHODS, SECONDS, AtOnce, Classifier, Watched, photo


class Fragile(Watched):
    """Raises for pictures that are brighter than any photo, as the white baseline is."""

    def forward(self, x):
        if float(x.detach().mean(dim=(1, 2, 3)).max()) > 0.95:
            raise RuntimeError("too bright for me")
        return super().forward(x)


class Poisoned(Watched):
    """Its gradient is NaN wherever x = 0, as at the black end of the path."""

    def forward(self, x):
        return super().forward(x) + torch.sqrt(x * x).mean((1, 2, 3))[:, None]


def reference(model, image, explorer):
    """What the engine alone makes of the explorer's wishes, from black or white."""
    baseline = {"black": 0.0, "white": 1.0}[explorer.baseline]
    return igw.attribute(
        Classifier.forward.__get__(model) if isinstance(model, Watched) else model,
        image[None],
        baselines=baseline,
        target=explorer.target,
        method=explorer.method,
        n_steps=explorer.n_steps,
    ).attributions


def assert_same(ours, theirs):
    assert float((ours - theirs).abs().max()) <= 1e-6 * float(theirs.abs().max())


# ---------------------------------------------------------------- waiting


def test_wait_ends_with_a_result(explore):
    explorer = explore()
    explorer.wait()
    assert explorer.result.evaluations == 8
    explorer.wait(0)  # at once, now


def test_result_is_none_before_the_first(explore):
    model = Watched()
    model.block()
    explorer = explore(model)
    model.await_entry()
    assert explorer.result is None
    with pytest.raises(TimeoutError, match=r"after 0.01 seconds.*n_steps"):
        explorer.wait(0.01)
    model.release()
    explorer.wait(SECONDS)
    assert explorer.result is not None


def test_setting_a_trait_does_not_wait_for_the_model(explore):
    model = Watched()
    model.block()
    explorer = explore(model)
    model.await_entry()
    explorer.baseline = "white"
    explorer.n_steps = 16
    explorer.alpha = 0.5
    assert explorer.result is None
    model.release()
    explorer.wait(SECONDS)
    assert explorer.result.n_steps == 16


# ---------------------------------------------------------------- the newest wish wins


def test_result_belongs_to_the_newest_wish(explore, chunks_of_two):
    model, image = Watched(), photo()
    explorer = explore(model, image, target=0, n_steps=16)
    explorer.wait(SECONDS)
    rows, passes = model.rows_with_gradient, model.rows_without_gradient
    model.block()
    explorer.baseline = "blur"
    model.await_entry()
    for between in ("mean grey", "noise", "white", "mean grey"):
        explorer.baseline = between
    explorer.baseline = "white"
    model.release()
    explorer.wait(SECONDS)
    assert_same(explorer.result.attributions, reference(model, image, explorer))
    # Blur was left after the chunk in hand, those between never ran.
    assert model.rows_with_gradient - rows == 1 + 16
    assert model.rows_without_gradient - passes == 1 + 1  # F(x) is known


def test_what_was_sampled_for_a_wish_that_was_overtaken_is_kept(explore, chunks_of_two):
    model = Watched()
    explorer = explore(model, n_steps=16)
    explorer.wait(SECONDS)
    model.block(after=2)
    explorer.baseline = "blur"
    model.await_entry()
    explorer.baseline = "black"
    model.release()
    explorer.wait(SECONDS)
    rows = model.rows_with_gradient
    assert rows == 16 + (1 + 2 + 2)
    explorer.baseline = "blur"
    explorer.wait(SECONDS)
    # What was in the model just then is not: nobody waits for the end of a pass.
    assert model.rows_with_gradient == 16 + 16 + 2


def test_each_wish_that_is_waited_for_is_answered(explore):
    explorer = explore()
    view = explorer.comm.open_view()
    for baseline, method in itertools.product(BASELINES[:3], METHODS[:2]):
        explorer.baseline, explorer.method = baseline, method
        explorer.wait(SECONDS)
        explorer.comm.settle()
        settings = view.begin["settings"]
        assert (settings["baseline"], settings["method"]) == (baseline, method)
        assert view.ended["type"] == "done"


def test_many_wishes_in_a_row(explore):
    """Whatever is overtaken when: the view ends with the last, and has been told nothing that is forbidden."""
    model, image = Watched(), photo()
    explorer = explore(model, image)
    view = explorer.comm.open_view()
    generator = np.random.default_rng(0)
    for _ in range(60):
        explorer.baseline = BASELINES[generator.integers(5)]
        explorer.n_steps = int(generator.integers(2, 20))
        explorer.target = int(generator.integers(2))
    explorer.baseline, explorer.target, explorer.n_steps = "white", 1, 10
    explorer.wait(SECONDS)
    explorer.comm.settle()
    asked = {"baseline": "white", "target": 1, "output": "logit", "method": "riemann_middle", "n_steps": 10, "tol": 0.0}
    asked |= {"channel": "sum"}
    assert view.begin["settings"] == asked
    assert view.ended["type"] == "done"
    exact = reference(model, image, explorer)
    assert_same(explorer.result.attributions, exact)
    assert np.abs(view.collected(1.0) - exact[0].sum(0).numpy()).max() <= view.rounding(1.0) + 1e-6


# ---------------------------------------------------------------- cancelling


def test_cancel_keeps_what_was_sampled(explore, chunks_of_two):
    model = Watched()
    explorer = explore(model, n_steps=16)
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    model.block(after=3)
    explorer.baseline = "white"
    model.await_entry()
    explorer.cancel()
    model.release()
    explorer.wait(SECONDS)  # a cancelled run is no error
    explorer.comm.settle()
    partial = explorer.result
    assert (partial.evaluations, partial.n_steps) == (1 + 2 + 2, 16)  # the pass in hand is left
    assert model.rows_with_gradient == 16 + 7
    assert view.ended["kind"] == "cancelled"
    assert view.ended["message"]
    assert view.begin["settings"]["baseline"] == "white"
    # What is drawn is what Python holds.
    exact = np.asarray(partial.path.cumulative(0.6)[0].sum(0))
    assert np.abs(view.collected(0.6) - exact).max() <= view.rounding(0.6) + 1e-6 * np.abs(exact).max()
    with pytest.raises(RuntimeError, match="finished run"):
        explorer.crosscheck()
    assert explorer.snapshot()


def test_cancel_of_a_run_that_has_sampled_nothing_keeps_the_last_good_result(explore, chunks_of_two):
    model = Watched()
    explorer = explore(model)
    explorer.wait(SECONDS)
    good = explorer.result
    model.block()
    explorer.baseline = "blur"
    model.await_entry()
    explorer.baseline = "white"  # waits for its turn
    explorer.cancel()
    model.release()
    explorer.wait(SECONDS)
    assert explorer.result is good
    explorer.n_steps = 9  # and the next wish works
    explorer.wait(SECONDS)
    assert explorer.result.evaluations == 9


def test_cancel_when_idle_changes_nothing(explore):
    explorer = explore()
    explorer.wait(SECONDS)
    good = explorer.result
    explorer.cancel()
    explorer.wait(SECONDS)
    assert explorer.result is good
    explorer.baseline = "white"
    explorer.wait(SECONDS)
    assert explorer.result.evaluations == 8


def test_run_that_was_cancelled_goes_on_from_where_it_was(explore, chunks_of_two):
    model, image = Watched(), photo()
    model.block(after=2)
    explorer = explore(model, image, n_steps=16)
    model.await_entry()
    explorer.cancel()
    model.release()
    explorer.wait(SECONDS)
    assert explorer.result.evaluations == 1 + 2  # the pass in hand was left
    explorer.n_steps = 8
    explorer.wait(SECONDS)
    explorer.n_steps = 16
    explorer.wait(SECONDS)
    assert model.rows_with_gradient == 16 + 8 + 2  # the middles of 8 and of 16 pieces are apart
    assert_same(explorer.result.attributions, reference(model, image, explorer))


def test_browser_cancels_its_request_and_no_other(explore, chunks_of_two):
    model = Watched()
    model.block(after=1)
    explorer = explore(model, n_steps=16)
    view = explorer.comm.open_view()
    model.await_entry()
    explorer.comm.settle()
    for request in (0, view.request - 1, view.request + 1):
        explorer.comm.hear({"type": "cancel", "view": view.name, "request": max(request, 0)})
    model.release()
    explorer.wait(SECONDS)
    assert explorer.result.evaluations == 16
    model.block(after=1)
    explorer.baseline = "white"
    model.await_entry()
    explorer.comm.settle()
    explorer.comm.hear({"type": "cancel", "view": view.name, "request": view.request})
    model.release()
    explorer.wait(SECONDS)
    assert explorer.result.evaluations == 1


def test_crosscheck_of_a_wish_that_was_cancelled_before_its_first_sample(explore, chunks_of_two):
    """The result is then black's. To compare it with Captum's from white would report a difference that is none."""
    model = Watched()
    explorer = explore(model, target=0)
    explorer.wait(SECONDS)
    model.block()
    explorer.baseline = "blur"
    model.await_entry()
    explorer.baseline = "white"
    explorer.cancel()
    model.release()
    explorer.wait(SECONDS)
    with pytest.raises(RuntimeError, match="cancelled"):
        explorer.crosscheck()


@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_caption_names_the_baseline_of_the_picture(explore, monkeypatch, how):
    """A picture of black's attribution must not go into a notebook with "baseline white" under it."""
    captions = []
    monkeypatch.setattr(igw.explorers.image.figures, "overlay_png", lambda *args: captions.append(args[-1]) or b"")
    model = Fragile()
    explorer = explore(model)
    explorer.wait(SECONDS)
    if how == "failed":
        explorer.baseline = "white"
        with pytest.raises(RuntimeError):
            explorer.wait(SECONDS)
    else:
        model.block()
        explorer.baseline = "blur"
        model.await_entry()
        explorer.baseline = "white"
        explorer.cancel()
        model.release()
        explorer.wait(SECONDS)
        assert explorer.result is not None
    explorer.snapshot()
    assert "white" not in captions[-1]


def test_partial_result_is_not_taken_for_a_finished_one(explore, chunks_of_two):
    """8 samples of another rule are not 8 of 8 by this one."""
    explorer = explore(n_steps=8, method="riemann_left")
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    send = explorer.comm.publish_msg

    def cancel_when_the_samples_are_known(*args, **options):
        if (options.get("data") or {}).get("content", {}).get("type") == "plan":
            explorer.cancel()
        send(*args, **options)

    explorer.comm.publish_msg = cancel_when_the_samples_are_known
    explorer.method = "gausslegendre"
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.ended["type"] == "failed"
    result = explorer.result
    assert result.method == "riemann_left" or not result.complete


# ---------------------------------------------------------------- failures


def test_failure_is_told_and_the_last_good_result_stays(explore, caplog):
    model, image = Fragile(), photo()
    explorer = explore(model, image)
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    good = explorer.result
    with caplog.at_level(logging.WARNING):
        explorer.baseline = "white"
        with pytest.raises(RuntimeError, match="too bright for me"):
            explorer.wait(SECONDS)
    assert "too bright for me" in caplog.text
    explorer.comm.settle()
    assert view.ended["kind"] == "error"
    assert "RuntimeError" in view.ended["message"]
    assert "too bright for me" in view.ended["message"]
    assert view.begin["settings"]["baseline"] == "white"
    assert explorer.result is good
    with pytest.raises(RuntimeError, match="too bright for me"):  # until something else is asked
        explorer.wait(SECONDS)
    assert explorer.snapshot()
    explorer.baseline = "black"
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.ended["type"] == "done"
    explorer.target = (explorer.target + 1) % 5
    explorer.wait(SECONDS)
    assert_same(explorer.result.attributions, reference(Classifier(), image, explorer))


def test_failure_says_where_on_the_path_it_was(explore):
    explorer = explore(Fragile())
    view = explorer.comm.open_view()
    explorer.baseline = "white"
    with pytest.raises(RuntimeError) as caught:
        explorer.wait(SECONDS)
    explorer.comm.settle()
    assert any("alpha" in note for note in caught.value.__notes__)
    assert "alpha" in view.ended["hint"]


def test_failure_of_the_first_wish(explore):
    explorer = explore(Fragile(), baseline="white")
    with pytest.raises(RuntimeError, match="too bright for me"):
        explorer.wait(SECONDS)
    assert explorer.result is None
    with pytest.raises(RuntimeError, match="too bright for me"):
        explorer.snapshot()
    with pytest.raises(RuntimeError, match="too bright for me"):
        explorer.crosscheck()
    view = explorer.comm.open_view()  # a browser that comes late is told as well
    assert view.kinds == ["begin", "failed"]
    explorer.baseline = "black"
    explorer.wait(SECONDS)
    assert explorer.result.evaluations == 8


def test_gradient_that_is_not_a_number(explore):
    explorer = explore(Poisoned())
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)  # the middles do not touch the black end
    explorer.method = "riemann_left"
    with pytest.raises(igw.errors.NonFiniteError, match="alpha = 0"):
        explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.ended["kind"] == "error"
    assert "NaN" in view.ended["message"]
    assert explorer.result.method == "riemann_middle"
    explorer.method = "gausslegendre"
    explorer.wait(SECONDS)
    assert explorer.result.method == "gausslegendre"


def test_failure_of_a_wish_that_was_overtaken_is_not_told(explore):
    model = Watched()
    explorer = explore(model)
    explorer.wait(SECONDS)
    failing = threading.Event()

    class BrokenError(Exception):
        pass

    original = model.forward
    go_on = threading.Event()

    def forward(x):
        failing.set()
        assert go_on.wait(SECONDS)
        raise BrokenError("old news")

    model.forward = forward
    view = explorer.comm.open_view()
    explorer.baseline = "white"
    assert failing.wait(SECONDS)
    model.forward = original
    explorer.baseline = "noise"
    go_on.set()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert explorer.result.evaluations == 8
    assert "failed" not in view.kinds


def test_rule_that_cannot_be_of_one_point_fails_in_the_browser_too(explore):
    explorer = explore(method="riemann_trapezoid")
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.n_steps = 1
    with pytest.raises(igw.IGError, match="riemann_trapezoid"):
        explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.ended["type"] == "failed"


def test_rule_that_cannot_be_of_one_point_fails_in_words(explore):
    explorer = explore(method="riemann_trapezoid")
    explorer.wait(SECONDS)
    good = explorer.result
    explorer.n_steps = 1
    with pytest.raises(igw.IGError, match=r"riemann_trapezoid.*n_steps is 1.*at least 2"):
        explorer.wait(SECONDS)
    assert explorer.result is good
    explorer.method = "riemann_left"
    explorer.wait(SECONDS)
    assert explorer.result.n_steps == 1


# ---------------------------------------------------------------- a browser


@pytest.mark.parametrize(
    ("method", "n_steps"), [*itertools.product(METHODS, (2, 5, 16)), ("riemann_middle", 1), ("gausslegendre", 33)]
)
def test_front_end_has_what_python_has_at_every_alpha(explore, method, n_steps):
    """The bound: half a step of each map's 16 bits, weighed as the map is; and float32, in which maps are summed."""
    explorer = explore(method=method, n_steps=n_steps, baseline="blur")
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    result = explorer.result
    largest = np.abs(np.asarray(result.path.cumulative(1.0))).max()
    for alpha in (0.0, 0.1, 0.25, 1 / 3, 0.5, 0.77, 0.99, 1.0):
        exact = np.asarray(result.path.cumulative(alpha)[0].sum(0))
        bound = view.rounding(alpha) * (1 + 1e-6) + 1e-6 * largest
        assert np.abs(view.collected(alpha) - exact).max() <= bound
        assert bound <= 2e-4 * max(largest, np.abs(exact).max())  # which says something
    plan = view.plan
    assert plan["sum"] == pytest.approx(float(result.attributions.sum()), abs=1e-6 * 16 * 16 * largest)
    assert plan["delta"] == pytest.approx(float(result.convergence_delta), abs=1e-6 * 16 * 16 * largest)
    assert plan["outputs"][0] == [0.0, pytest.approx(float(result.baseline_output))]
    assert plan["outputs"][-1] == [1.0, pytest.approx(float(result.output))]
    assert [point[0] for point in plan["density"]] == result.path.alphas[0].tolist()
    assert [point[1] for point in plan["density"]] == pytest.approx(result.path.density[0].tolist())
    assert plan["evaluations"] == view.ended["evaluations"] == n_steps


def test_front_end_follows_through_changes_of_everything(explore):
    model, image = Watched(), photo()
    explorer = explore(model, image, target=0)
    view = explorer.comm.open_view()
    for wish in (
        {"n_steps": 16}, {"method": "gausslegendre"}, {"baseline": "white"}, {"n_steps": 3}, {"target": 2},
        {"baseline": "black"}, {"target": 0}, {"method": "riemann_trapezoid"},
    ):  # fmt: skip
        explorer.set_trait(*next(iter(wish.items())))
        explorer.wait(SECONDS)
        explorer.comm.settle()
        exact = reference(model, image, explorer)[0].sum(0).numpy()
        assert np.abs(view.collected(1.0) - exact).max() <= view.rounding(1.0) + 1e-5 * np.abs(exact).max(), wish
        assert view.begin["settings"] | wish == view.begin["settings"]


def test_first_picture_is_coarse_and_gets_finer(explore, chunks_of_two):
    explorer = explore(n_steps=16, baseline="noise")
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    explorer.baseline = "white"
    at = len(view.log)
    explorer.wait(SECONDS)
    explorer.comm.settle()
    sizes = [len(content["entries"]) for content in view.log[at:] if content["type"] == "plan"]
    assert sizes[0] <= 3
    assert sizes[-1] == 16
    assert all(a <= b for a, b in itertools.pairwise(sizes))
    assert len(sizes) > 3
    # Each is spread over the whole path, not only over its start.
    for content in (content for content in view.log[at:] if content["type"] == "plan"):
        widest = max(stop - start for *_, start, stop in content["entries"])
        assert widest <= 3 / len(content["entries"])
        alphas = [point[0] for point in content["density"]]
        assert abs(alphas[len(alphas) // 2] - 0.5) <= 0.25


def test_begin_tells_the_photo_the_baseline_and_the_class(explore):
    image = photo()
    explorer = explore(image=image, labels=list("abcde"), target=2, baseline="white")
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.begin["class_name"] == "c"
    assert view.begin["shape"] == [16, 16]
    assert view.begin["total"] == 8
    shown = np.frombuffer(view.pictures[0], np.uint8).reshape(16, 16, 3)
    assert np.abs(shown.astype(float) - image.permute(1, 2, 0).numpy() * 255).max() <= 0.5 + 1e-4
    assert set(view.pictures[1]) == {255}


def test_total_is_what_is_still_missing(explore):
    explorer = explore(method="riemann_left")
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.method = "riemann_right"
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.begin["total"] == 1
    assert view.ended["evaluations"] == 1


def test_late_browser_is_given_the_picture_without_the_model(explore):
    model = Watched()
    explorer = explore(model, n_steps=32)
    explorer.wait(SECONDS)
    rows = model.rows
    view = explorer.comm.open_view()
    assert view.plan["final"] is True
    assert view.ended["type"] == "done"
    assert len(view.plan["entries"]) == 32
    assert model.rows == rows


def test_script_without_a_browser_is_sent_nothing(explore):
    explorer = explore()
    explorer.wait(SECONDS)
    explorer.baseline = "white"
    explorer.wait(SECONDS)
    assert explorer.comm.custom == []


def test_looks_send_nothing_but_traits(explore):
    explorer = explore()
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    said = len(view.log)
    explorer.alpha, explorer.opacity, explorer.clip, explorer.sign, explorer.colormap = 0.2, 0.3, 80, "negative", "gray"
    explorer.comm.settle()
    assert len(view.log) == said


def test_browser_sets_traits_as_python_does(explore):
    model, image = Watched(), photo()
    explorer = explore(model, image)
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.set_traits(baseline="white", n_steps=4, method="riemann_left", alpha=0.25)
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert (explorer.baseline, explorer.n_steps, explorer.method, explorer.alpha) == ("white", 4, "riemann_left", 0.25)
    assert_same(explorer.result.attributions, reference(model, image, explorer))
    assert view.begin["settings"]["n_steps"] == 4
    assert view.ended["type"] == "done"


@pytest.mark.parametrize("state", [{"n_steps": 0}, {"baseline": "grey"}, {"target": 99}, {"method": "x"}, {"alpha": 7}])
def test_browser_cannot_set_what_python_cannot(explore, state, capsys):
    explorer = explore()
    explorer.wait(SECONDS)
    good, before = explorer.result, {name: getattr(explorer, name) for name in state}
    try:
        explorer.comm.set_traits(**state)
    except Exception as error:  # noqa: BLE001  (ipywidgets shows it or raises it, by where it runs)
        assert next(iter(state)) in str(error)  # noqa: PT017
    assert {name: getattr(explorer, name) for name in state} == before
    explorer.wait(SECONDS)
    assert explorer.result is good


@pytest.mark.parametrize(
    "content", [None, 3, "want", [], {}, {"type": "want"}, {"type": "ack", "view": "v", "count": -1}, {"type": "run"}]
)
def test_nonsense_from_a_browser_is_logged_and_ignored(explore, caplog, content):
    explorer = explore()
    explorer.wait(SECONDS)
    with caplog.at_level(logging.WARNING):
        explorer.comm.hear(content)
    assert "a message was ignored" in caplog.text
    view = explorer.comm.open_view()
    assert view.ended["type"] == "done"


# ---------------------------------------------------------------- closing


def test_closing_stops_the_computing_and_the_comm(explore, chunks_of_two):
    model = Watched()
    model.block(after=1)
    explorer = explore(model, n_steps=64)
    comm = explorer.comm
    model.await_entry()
    explorer.close()
    model.release()
    explorer.wait(SECONDS)
    for thread in workers():
        thread.join(SECONDS)
    assert workers() == []
    assert model.rows_with_gradient <= 2 * 2
    assert comm.closed
    assert explorer.comm is None
    explorer.close()  # twice is no harm
    rows = model.rows
    explorer.baseline = "white"
    explorer.wait(SECONDS)
    assert model.rows == rows


def test_wishes_share_a_thread_and_chores_another_that_end_with_the_explorer(explore):
    explorer = explore()
    seen = set()
    for baseline in BASELINES:
        explorer.baseline = baseline
        explorer.wait(SECONDS)
        seen |= set(workers())
    assert len(seen) == 2
    explorer.close()
    for thread in seen:
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_explorers_of_one_model_take_turns(explore):
    """A model is not called by two threads at once."""
    model = AtOnce(Classifier()).eval()
    explorers = [explore(model, photo(seed), n_steps=32) for seed in range(4)]
    for explorer in explorers:
        explorer.wait(SECONDS)
        assert explorer.result.evaluations == 32
    assert model.most == 1


def test_arguments_that_are_refused_leave_nothing_behind(explore):
    with pytest.raises(igw.IGError):
        explore(labels=["too", "few"])
    gc.collect()  # an exception in __del__ would be a warning, and so an error here
    assert workers() == []


def test_closed_explorer_is_let_go(explore):
    explorer = igw.ImageExplorer(Classifier(), photo(), n_steps=4)
    explorer.wait(SECONDS)
    gone = weakref.ref(explorer)
    explorer.close()
    del explorer
    # What it was at just then, beside the sampling, ends first.
    for thread in workers():
        thread.join(SECONDS)
    gc.collect()
    assert gone() is None


def test_paths_are_kept_by_what_they_take(explore, monkeypatch):
    """Of a path with many samples fewer others are kept, and always the newest."""
    model = Watched()
    explorer = explore(model, n_steps=8)
    explorer.wait(SECONDS)
    of_one = sum(one.nbytes for one in explorer._asked[0]._memory._sampled.values())
    assert of_one == 8 * 3 * 16 * 16 * 8  # steps, channels, pixels, float64
    monkeypatch.setattr(memory_module, "_BYTES_KEPT", 2 * of_one)
    for baseline in ("white", "blur", "mean grey"):
        explorer.baseline = baseline
        explorer.wait(SECONDS)
    assert len(explorer._asked[0]._memory._sampled) == 2
    rows = model.rows_with_gradient
    for baseline in ("blur", "mean grey"):
        explorer.baseline = baseline
        explorer.wait(SECONDS)
    assert model.rows_with_gradient == rows
    explorer.n_steps = 32  # more than may be kept, of the newest
    explorer.wait(SECONDS)
    assert explorer.result.complete
    assert len(explorer._asked[0]._memory._sampled) == 1
