"""Panes beside an image explorer's own: what each is asked, and who is sent it."""

import numpy as np
import pytest
import torch
import traitlets

import ig_widgets as igw
from tests.explorers.subjects import LABELS, SECONDS, Classifier, Watched, photo


def test_panes_differ_from_the_explorer_in_what_they_are_given(explore):
    model, image = Classifier(), photo()[None]
    explorer = explore(model, image[0], target=1, labels=LABELS)
    explorer.compare(
        {"baseline": igw.baselines.white()}, {"target": "espresso", "method": "gausslegendre", "n_steps": 5}
    )
    explorer.wait(SECONDS)
    expected = [
        igw.attribute(model, image, target=1, method="riemann_middle", n_steps=8),
        igw.attribute(model, image, target=1, baselines=torch.ones_like(image), method="riemann_middle", n_steps=8),
        igw.attribute(model, image, target=2, method="gausslegendre", n_steps=5),
    ]
    for result, by_hand in zip(explorer.results, expected, strict=True):
        torch.testing.assert_close(result.attributions, by_hand.attributions, rtol=1e-5, atol=1e-7)
    explorer.target = 3
    explorer.wait(SECONDS)
    by_hand = igw.attribute(
        model, image, target=3, baselines=torch.ones_like(image), method="riemann_middle", n_steps=8
    )
    torch.testing.assert_close(explorer.results[1].attributions, by_hand.attributions, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(explorer.results[2].attributions, expected[2].attributions)
    explorer.compare()
    assert len(explorer.results) == 1


def test_each_pane_is_streamed_to_those_who_want_it(explore):
    explorer = explore(target=1)
    explorer.compare({"baseline": "white"})
    views = [explorer.comm.open_view(name=f"view {pane}", pane=pane) for pane in range(2)]
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert [view.begin["settings"]["baseline"] for view in views] == ["black", "white"]
    assert all(view.ended["type"] == "done" for view in views)
    for view, result in zip(views, explorer.results, strict=True):
        exact = result.attributions[0].sum(0).numpy()
        assert np.abs(view.collected(1.0) - exact).max() <= view.rounding(1.0) + 1e-6
    assert views[0].begin["request"] != views[1].begin["request"]
    assert views[0].begin["trace"] != views[1].begin["trace"]


def test_a_pane_may_be_wanted_before_it_is_there(explore):
    # As a browser does it: whoever hears of a new pane asks for it, and only then is the trait sent.
    explorer = explore(target=1)
    view = explorer.comm.open_view(pane=1)
    explorer.wait(SECONDS)
    explorer.comm.set_traits(n_steps=4)
    explorer.comm.set_traits(_panes=[{}, {"baseline": "white"}])
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.begin["settings"]["baseline"] == "white"
    assert view.ended["type"] == "done"


def test_a_change_of_one_pane_leaves_the_others_alone(explore):
    model = Watched()
    explorer = explore(model, target=1)
    explorer.compare({"baseline": "white"}, {"baseline": "white", "n_steps": 4})
    explorer.wait(SECONDS)
    asked = [pane.request for pane in explorer._pane_list]
    explorer.n_steps = 6
    explorer.wait(SECONDS)
    assert [pane.request == before for pane, before in zip(explorer._pane_list, asked, strict=True)] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("panes", "kind", "words"),
    [
        ([{}] * 4, igw.IGError, "up to 3 mappings"),
        (["blur"], igw.IGError, "got str"),
        ([{"alpha": 1}], igw.IGError, "alpha"),
        ([{"target": 9}], traitlets.TraitError, "9"),
        ([{"baseline": "purple"}], traitlets.TraitError, "purple"),
    ],
    ids=str,
)
def test_panes_that_cannot_be_are_refused_and_those_there_stay(explore, panes, kind, words):
    explorer = explore()
    explorer.compare({"baseline": "white"})
    with pytest.raises(kind, match=words):
        explorer.compare(*panes)
    assert explorer._panes == [{}, {"baseline": "white"}]
    explorer.wait(SECONDS)


@pytest.mark.parametrize("panes", [[], [{"target": 1}], [{}] * 5, [{}, {"alpha": 0.5}], [{}, 3], [{}, {"target": "x"}]])
def test_panes_of_a_browser_are_checked(explore, panes):
    explorer = explore()
    with pytest.raises(traitlets.TraitError):
        explorer._panes = panes
    assert explorer._panes == [{}]


@pytest.mark.parametrize("difference", [{"baseline": "purple"}, {"n_steps": 1000}, {"target": 99}, {"output": "x"}])
def test_a_pane_of_a_browser_that_cannot_be_is_answered_in_words(explore, difference):
    explorer = explore(target=1)
    explorer.comm.set_traits(_panes=[{}, difference])
    assert explorer._panes == [{}]
    assert explorer._notice["number"] == 1
    assert next(iter(difference)) in explorer._notice["text"].lower()
    # What can be is written as the explorer writes it.
    explorer.comm.set_traits(_panes=[{}, {"baseline": "noise(seed=0)"}])
    assert explorer._panes == [{}, {"baseline": "noise"}]
    explorer.wait(SECONDS)
