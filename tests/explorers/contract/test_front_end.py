"""What the front end of an explorer is told, and what it may set: it has what Python has."""

import itertools
import logging

import numpy as np
import pytest

from tests.explorers.contract.cases import BOTH, IMAGE, TOY, drawn
from tests.explorers.contract.toy import WatchedFunction, point
from tests.explorers.subjects import METHODS, SECONDS, assert_same, photo


@BOTH
@pytest.mark.parametrize(
    ("method", "n_steps"), [*itertools.product(METHODS, (2, 5, 16)), ("riemann_middle", 1), ("gausslegendre", 33)]
)
def test_front_end_has_what_python_has_at_every_alpha(explore, case, method, n_steps):
    """The bound: half a step of each map's 16 bits, weighed as the map is; and float32, in which maps are summed."""
    # So many pixels that maps are sent as integers.
    inputs = photo(height=64, width=64) if case is IMAGE else case.inputs()
    explorer = explore(inputs=inputs, method=method, n_steps=n_steps, baseline=case.baselines[3])
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    result = explorer.result
    largest = np.abs(np.asarray(result.path.cumulative(1.0))).max()
    for alpha in (0.0, 0.1, 0.25, 1 / 3, 0.5, 0.77, 0.99, 1.0):
        exact = drawn(explorer, result.path.cumulative(alpha))
        bound = view.rounding(alpha) * (1 + 1e-6) + 1e-6 * largest
        assert np.abs(view.collected(alpha) - exact).max() <= bound
        assert bound <= 2e-4 * max(largest, np.abs(exact).max())  # which says something
    plan = view.plan
    assert plan["sum"] == pytest.approx(float(result.attributions.sum()), abs=1e-6 * inputs.numel() * largest)
    assert plan["delta"] == pytest.approx(float(result.convergence_delta), abs=1e-6 * inputs.numel() * largest)
    assert plan["outputs"][0] == [0.0, pytest.approx(float(result.baseline_output))]
    assert plan["outputs"][-1] == [1.0, pytest.approx(float(result.output))]
    assert [entry[0] for entry in plan["density"]] == result.path.alphas[0].tolist()
    assert [entry[1] for entry in plan["density"]] == pytest.approx(result.path.density[0].tolist())
    assert plan["evaluations"] == view.ended["evaluations"] == n_steps


def test_front_end_follows_through_changes_of_everything(explore):
    model, x = WatchedFunction(), point()
    explorer = explore(model, x, target=0)
    view = explorer.comm.open_view()
    for wish in (
        {"n_steps": 16}, {"method": "gausslegendre"}, {"baseline": "ones"}, {"n_steps": 3}, {"target": 2},
        {"baseline": "zeros"}, {"target": 0}, {"method": "riemann_trapezoid"},
    ):  # fmt: skip
        explorer.set_trait(*next(iter(wish.items())))
        explorer.wait(SECONDS)
        explorer.comm.settle()
        exact = TOY.reference(model, x, explorer)[0].numpy()
        assert np.abs(view.collected(1.0) - exact).max() <= view.rounding(1.0) + 1e-5 * np.abs(exact).max(), wish
        assert view.begin["settings"] | wish == view.begin["settings"]


def test_first_picture_is_coarse_and_gets_finer(explore, chunks_of_two):
    explorer = explore(n_steps=16, baseline="noise")
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    explorer.baseline = "ones"
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
        alphas = [entry[0] for entry in content["density"]]
        assert abs(alphas[len(alphas) // 2] - 0.5) <= 0.25


def test_begin_tells_what_the_map_is_drawn_over_and_the_class(explore):
    explorer = explore(labels=list("abcde"), target=2, baseline="ones")
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.begin["target_name"] == "c"
    assert view.begin["total"] == 8
    assert view.begin["display"] == {
        "kind": "toy",
        "shape": [2],
        "meta": {"names": ["x", "y"]},
        "arrays": [{"name": "point", "dtype": "f4", "shape": [2]}],
    }
    assert np.frombuffer(view.pictures[0], "<f4").tolist() == pytest.approx(point().tolist())


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
    model = WatchedFunction()
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
    explorer.baseline = "ones"
    explorer.wait(SECONDS)
    assert explorer.comm.custom == []


def test_looks_send_nothing_but_traits(explore):
    explorer = explore()
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    said = len(view.log)
    explorer.alpha, explorer.clip, explorer.sign, explorer.colormap = 0.2, 80, "negative", "gray"
    explorer.comm.settle()
    assert len(view.log) == said


def test_browser_sets_traits_as_python_does(explore):
    model, x = WatchedFunction(), point()
    explorer = explore(model, x)
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.set_traits(baseline="ones", n_steps=4, method="riemann_left", alpha=0.25)
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert (explorer.baseline, explorer.n_steps, explorer.method, explorer.alpha) == ("ones", 4, "riemann_left", 0.25)
    assert_same(explorer.result.attributions, TOY.reference(model, x, explorer))
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
