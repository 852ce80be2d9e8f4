"""Which reading of the model is explained, and which channel of it is drawn."""

import numpy as np
import pytest
import torch
import traitlets

import ig_widgets as igw
from tests.explorers.contract.cases import BOTH, TOY, drawn
from tests.explorers.contract.toy import Function, point
from tests.explorers.subjects import LABELS, SECONDS, ready


@pytest.mark.parametrize("output", ["logit", "probability", "log-probability", "margin"])
def test_output_is_the_reading_of_the_scores_that_is_asked_for(explore, output):
    model, x = Function(), point()[None]
    explorer = explore(model, x[0], target=1, output=output)
    scores = model(x)[0].detach()
    second = int(scores.index_fill(0, torch.tensor(1), -torch.inf).argmax())
    reading = {
        "logit": lambda x: model(x),
        "probability": lambda x: model(x).softmax(1),
        "log-probability": lambda x: model(x).log_softmax(1),
        "margin": lambda x: model(x) - model(x)[:, [second]],
    }[output]
    expected = igw.attribute(reading, x, target=1, method="riemann_middle", n_steps=8)
    result = ready(explorer)
    torch.testing.assert_close(result.attributions, expected.attributions, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(result.output, expected.output)


def test_output_can_be_switched_and_is_named(explore):
    explorer = explore(target=1, labels=LABELS)
    view = explorer.comm.open_view()
    ready(explorer)
    explorer.output = "margin"
    ready(explorer)
    explorer.comm.settle()
    assert view.begin["settings"]["output"] == "margin"
    assert view.begin["output_name"].startswith("margin over ")
    assert abs(view.plan["sum"] - float(explorer.result.output - explorer.result.baseline_output)) < 0.2


def test_a_model_of_probabilities_is_not_asked_for_logits(explore):
    model = Function()
    explorer = explore(lambda x: model(x).softmax(1))
    assert explorer.output == "probability"
    assert "logit" not in explorer._outputs
    with pytest.raises(traitlets.TraitError, match="'logit'"):
        explorer.output = "logit"


def test_logits_that_sum_to_one_are_no_probabilities(explore):
    scores = torch.tensor([[2.0, -1.0, 0.0, 0.0, 0.0]]).double()
    explorer = explore(lambda x: scores + 0 * x.sum(1, keepdim=True))
    assert explorer.output == "logit"
    explorer.wait(SECONDS)


@BOTH
@pytest.mark.parametrize("options", [{"method": "gausslegendre"}, {"method": "secant"}, {"method": "auto"}], ids=str)
def test_a_channel_is_drawn_of_what_was_sampled(explore, case, options):
    model = case.watched()
    explorer = explore(model, target=1, **options)
    view = explorer.comm.open_view()
    result = ready(explorer)
    rows = model.rows
    for channel in (case.channels[1], "sum", *case.channels):
        explorer.channel = channel
        ready(explorer)
        explorer.comm.settle()
        assert model.rows == rows
        exact = drawn(explorer, result.attributions)
        assert view.begin["settings"]["channel"] == channel
        assert ("alone" in view.begin["output_name"]) == (channel != "sum")
        assert np.abs(view.collected(1.0) - exact).max() <= view.rounding(1.0) + 1e-6
        # What is said of completeness is of all.
        assert view.plan["sum"] == pytest.approx(float(result.attributions.sum()), rel=1e-6)
    assert explorer.snapshot()


def test_repr_says_what_is_asked(explore):
    explorer = explore(target=1, labels=LABELS, method="auto", tol=0.02)
    explorer.compare({"baseline": "ones"})
    explorer.wait(SECONDS)
    assert repr(explorer) == "ToyExplorer('Egyptian cat', baseline zeros, to an error of 0.02, 2 panes)"
    assert len(repr(explorer.gallery()).splitlines()) == len(TOY.baselines)


def test_what_a_browser_sets_and_cannot_be_is_answered_in_words(explore):
    explorer = explore(target=1)
    for state in ({"target": 99}, {"baseline": "noise(seed=-2)"}, {"n_steps": 0}, {"_panes": []}):
        before = explorer._notice.get("number", 0)
        explorer.set_state(state)
        assert explorer._notice["number"] == before + 1
        (name,) = state
        assert name.strip("_").rstrip("s") in explorer._notice["text"] or "seed" in explorer._notice["text"]
    assert (explorer.target, explorer.baseline, explorer.n_steps) == (1, "zeros", 8)
    explorer.wait(SECONDS)
