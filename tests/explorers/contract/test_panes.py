"""Panes beside an explorer's own: what each is asked, and who is sent it."""

import numpy as np
import pytest
import torch
import traitlets

import ig_widgets as igw
from tests.explorers.contract.cases import BOTH, drawn
from tests.explorers.contract.toy import Function, WatchedFunction, point
from tests.explorers.subjects import LABELS, SECONDS, panes_of


def test_panes_differ_from_the_explorer_in_what_they_are_given(explore):
    model, x = Function(), point()[None]
    explorer = explore(model, x[0], target=1, labels=LABELS)
    explorer.compare(
        {"baseline": torch.ones(1, 2).double()}, {"target": "espresso", "method": "gausslegendre", "n_steps": 5}
    )
    explorer.wait(SECONDS)
    expected = [
        igw.attribute(model, x, target=1, method="riemann_middle", n_steps=8),
        igw.attribute(model, x, target=1, baselines=torch.ones_like(x), method="riemann_middle", n_steps=8),
        igw.attribute(model, x, target=2, method="gausslegendre", n_steps=5),
    ]
    for result, by_hand in zip(explorer.results, expected, strict=True):
        torch.testing.assert_close(result.attributions, by_hand.attributions, rtol=1e-5, atol=1e-7)
    explorer.target = 3
    explorer.wait(SECONDS)
    by_hand = igw.attribute(model, x, target=3, baselines=torch.ones_like(x), method="riemann_middle", n_steps=8)
    torch.testing.assert_close(explorer.results[1].attributions, by_hand.attributions, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(explorer.results[2].attributions, expected[2].attributions)
    explorer.compare()
    assert len(explorer.results) == 1


@BOTH
def test_each_pane_is_streamed_to_those_who_want_it(explore, case):
    explorer = explore(target=1)
    explorer.compare({"baseline": case.baselines[1]})
    views = [explorer.comm.open_view(name=f"view {pane}", pane=pane) for pane in range(2)]
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert [view.begin["settings"]["baseline"] for view in views] == [*case.baselines[:2]]
    assert all(view.ended["type"] == "done" for view in views)
    for view, result in zip(views, explorer.results, strict=True):
        exact = drawn(explorer, result.attributions)
        assert np.abs(view.collected(1.0) - exact).max() <= view.rounding(1.0) + 1e-6
    assert views[0].begin["request"] != views[1].begin["request"]
    assert views[0].begin["trace"] != views[1].begin["trace"]


def test_a_pane_may_be_wanted_before_it_is_there(explore):
    # As a browser does it: whoever hears of a new pane asks for it, and only then is the trait sent.
    explorer = explore(target=1)
    view = explorer.comm.open_view(pane=1)
    explorer.wait(SECONDS)
    explorer.comm.set_traits(n_steps=4)
    explorer.comm.set_traits(_panes=[{}, {"baseline": "ones"}])
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.begin["settings"]["baseline"] == "ones"
    assert view.ended["type"] == "done"


def test_a_change_of_one_pane_leaves_the_others_alone(explore):
    model = WatchedFunction()
    explorer = explore(model, target=1)
    explorer.compare({"baseline": "ones"}, {"baseline": "ones", "n_steps": 4})
    explorer.wait(SECONDS)
    asked = [pane.request for pane in panes_of(explorer)]
    explorer.n_steps = 6
    explorer.wait(SECONDS)
    assert [pane.request == before for pane, before in zip(panes_of(explorer), asked, strict=True)] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("panes", "kind", "words"),
    [
        ([{}] * 4, igw.IGError, "up to 3 mappings"),
        (["minus ones"], igw.IGError, "got str"),
        ([{"alpha": 1}], igw.IGError, "alpha"),
        ([{"target": 9}], traitlets.TraitError, "9"),
        ([{"baseline": "purple"}], traitlets.TraitError, "purple"),
    ],
    ids=str,
)
def test_panes_that_cannot_be_are_refused_and_those_there_stay(explore, panes, kind, words):
    explorer = explore()
    explorer.compare({"baseline": "ones"})
    with pytest.raises(kind, match=words):
        explorer.compare(*panes)
    assert explorer._panes == [{}, {"baseline": "ones"}]
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
