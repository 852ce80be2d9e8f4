"""How much a map depends on its baseline: the arithmetic, and how an explorer comes to it."""

import math
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.explorers.core.subject import CoarseMaps
from ig_widgets.explorers.panels.dependence import STEPS, DependencePanel
from ig_widgets.explorers.panels.dependence_result import BaselineMap, make_dependence
from tests.explorers.contract.cases import BOTH, drawn
from tests.explorers.contract.test_export import recorded
from tests.explorers.contract.toy import Function, ToySubject, WatchedFunction
from tests.explorers.subjects import SECONDS, draw, panel, subject_of, tasks_of

USUAL = tuple(ToySubject.usual_baselines)
# In eighths, of which sums are exact: else maps that are equal would be apart by a rounding.
MAPS = hnp.arrays(
    np.int64, st.tuples(st.integers(2, 5), st.integers(1, 4), st.integers(1, 4)), elements=st.integers(-800, 800)
).map(lambda eighths: eighths / 8)


def in_pairs(maps):
    return CoarseMaps(maps[:, ::2] + maps[:, 1::2], "pairs of rows", 2)


def of(maps, coarsen=lambda maps: None):
    made = [BaselineMap(f"baseline {i}", 2.0, 0.5 * i, "secant", values) for i, values in enumerate(maps)]
    return make_dependence(made, n_steps=8, question="rocket, logit", coarsen=coarsen)


def finished(explorer):
    assert panel(explorer, DependencePanel)._worker.wait(SECONDS)
    return explorer._dependence


class Linear(nn.Module):
    """F_c = sum over the values of w_c x, so that IG_i = w_i (x_i - x'_i) whatever the path."""

    def __init__(self, *shape: int, classes: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(draw(5, classes, *shape) / 10)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.flatten(1).T


# ---------------------------------------------------------------- the arithmetic


@given(MAPS)
def test_every_map_is_what_is_common_or_what_is_apart(maps):
    """Of K maps: sum of squares = K M + (K - 1) V, by which the number is tied to the maps themselves."""
    found = of(maps)
    common, spread = float((found.mean**2).sum()), float((found.standard_deviation**2).sum())
    count = len(maps)
    assert count * common + (count - 1) * spread == pytest.approx(float((maps**2).sum()), rel=1e-9)
    assert found.dependence**2 * float((maps**2).sum()) == pytest.approx(count * spread, rel=1e-9)
    assert 0 <= found.dependence <= math.sqrt(count / (count - 1)) * (1 + 1e-12)
    assert found.sums == pytest.approx([float(one.sum()) for one in maps], abs=1e-9)
    assert sum(found.shares) == pytest.approx(1 if spread else 0)


@given(MAPS, st.sampled_from([-3.0, 0.25, 1e6]), st.randoms(use_true_random=False))
def test_neither_scale_nor_order_matters(maps, factor, random):
    order = list(range(len(maps)))
    random.shuffle(order)
    plain, other = of(maps), of(maps[order] * factor)
    assert other.dependence == pytest.approx(plain.dependence, rel=1e-9)
    assert other.shares == pytest.approx([plain.shares[i] for i in order], rel=1e-9)


@given(MAPS)
def test_equal_maps_do_not_depend_and_opposite_ones_have_nothing_in_common(maps):
    one = maps[0]
    same = of([one] * len(maps))
    assert (same.dependence, sum(same.shares)) == (0, 0)
    assert of([one, -one]).dependence == pytest.approx(math.sqrt(2) if one.any() else 0)


def test_results_are_frozen_and_print_as_a_table():
    found = of([np.ones((2, 2)), np.zeros((2, 2))], in_pairs)
    with pytest.raises(ValueError, match="read-only"):
        found.mean[0, 0] = 3
    head, columns, first, second = repr(found).split("\n")
    where = "and 100% of its sums over pairs of rows (rocket, logit, F(x) 2)"
    assert head == f"100% of this map depends on the baseline, {where}"
    alone = of([np.ones(2), np.zeros(2)])
    assert (alone.coarse_dependence, alone.patch) == (None, 0)
    assert repr(alone).startswith("100% of this map depends on the baseline (rocket, logit, F(x) 2)")
    assert columns.split() == ["baseline", "F(x')", "sum", "of", "the", "variance", "rule"]
    assert first.split() == ["baseline", "0", "0", "4", "50%", "secant,", "8"]
    assert second.split() == ["baseline", "1", "0.5", "0", "50%", "secant,", "8"]
    hostile = make_dependence(
        [BaselineMap(name, 1.0, 0.0, "secant", np.ones((2, 1))) for name in ("<b>", "ones")],
        n_steps=8,
        question="<i>",
        coarsen=in_pairs,
    )
    assert "<b>" not in hostile._repr_html_()
    assert "<i>" not in hostile._repr_html_()


def test_neighbours_of_opposite_sign_are_apart_one_by_one_and_together_in_sums():
    board = np.array([1.0, -1.0] * 14)
    found = of([1 + 9 * board, 1 - 9 * board], in_pairs)
    assert found.patch == 2
    assert found.coarse_dependence == pytest.approx(0, abs=1e-12)
    assert found.dependence == pytest.approx(math.sqrt(2 * 81 / 82))


def test_one_map_has_no_spread():
    with pytest.raises(ArgumentValueError, match="at least two different ones, got 1"):
        of([np.ones((2, 2))])


# ---------------------------------------------------------------- from Python


@BOTH
@pytest.mark.parametrize("channel", [None, 1])
def test_of_a_linear_model_it_is_that_of_the_weights(explore, case, channel):
    x, channel = case.inputs(), "sum" if channel is None else case.channels[channel]
    model = Linear(*x.shape)
    starts = [draw(seed, 1, *x.shape).sigmoid() for seed in (1, 2, 3)]
    explorer = explore(model, x, target=1, channel=channel)
    zeros = case.baselines[0]
    found = explorer.dependence([*starts, zeros])
    weight = model.weight[1].detach()
    attributed = [weight * (x - b[0]) for b in [*starts, torch.zeros_like(x)[None]]]
    maps = torch.stack([torch.from_numpy(drawn(explorer, one[None])) for one in attributed])
    np.testing.assert_allclose(found.mean, maps.mean(0), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.standard_deviation, maps.std(0, correction=1), rtol=1e-6, atol=1e-9)
    share = maps.var(0, correction=1).sum() / maps.square().flatten(1).sum(1).mean()
    assert found.dependence == pytest.approx(float(share.sqrt()), rel=1e-6)
    assert found.names == ("given tensor", "given tensor 2", "given tensor 3", zeros)
    assert found.sums == pytest.approx(maps.flatten(1).sum(1).tolist(), rel=1e-6)
    assert found.output == pytest.approx(float((weight * x).sum()))
    ends = [float((weight * b[0]).sum()) for b in starts] + [0.0]
    assert found.baseline_outputs == pytest.approx(ends, abs=1e-9)
    assert set(found.methods) == {"gausslegendre"}


@BOTH
def test_it_is_made_of_what_attribute_gives_for_each_baseline(explore, case):
    model, x = case.model(), case.inputs()[None]
    explorer = explore(model, x[0], target=2, output="margin")
    noise = igw.baselines.uniform(seed=2)
    found = explorer.dependence([case.baselines[1], noise], n_steps=6)
    second = int(model(x)[0].detach().index_fill(0, torch.tensor(2), -torch.inf).argmax())
    results = [
        igw.attribute(lambda x: model(x) - model(x)[:, [second]], x, baselines=start, target=2, n_steps=6)
        for start in (torch.ones_like(x), subject_of(explorer).baselines.inputs("noise(seed=2)"))
    ]
    maps = [drawn(explorer, one.attributions) for one in results]
    assert found.names == (case.baselines[1], "noise(seed=2)")
    assert found.methods == tuple(one.method for one in results)
    np.testing.assert_allclose(found.mean, (maps[0] + maps[1]) / 2, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.standard_deviation, abs(maps[0] - maps[1]) / 2**0.5, rtol=1e-4, atol=1e-6)
    # The secant rule is complete for any number of cells, and without a kink so are points.
    gaps = [total - (found.output - at) for total, at in zip(found.sums, found.baseline_outputs, strict=True)]
    assert gaps == pytest.approx([0, 0], abs=1e-9)


def test_the_usual_ones_and_the_current_one_are_asked(explore):
    explorer = explore(target=1)
    assert explorer.dependence().names == USUAL
    explorer.baseline = "noise(seed=3)"
    assert explorer.dependence().names == (*USUAL, "noise(seed=3)")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"baselines": ["zeros"]}, ArgumentValueError, "at least two"),
        ({"baselines": ["zeros", "zeros"]}, ArgumentValueError, "at least two"),
        ({"baselines": "zeros"}, ArgumentTypeError, "list of at least two"),
        ({"baselines": 3}, ArgumentTypeError, "list of at least two"),
        ({"baselines": ["zeros", "pink"]}, ArgumentValueError, "'pink'"),
        ({"baselines": ["zeros", torch.zeros(1, 3)]}, ArgumentValueError, r"\(1, 3\)"),
        ({"n_steps": 0}, ArgumentValueError, "n_steps"),
        ({"n_steps": 2.5}, ArgumentTypeError, "n_steps"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words_and_what_was_shown_stays(explore, arguments, error, words):
    explorer = explore(target=1)
    explorer.dependence(["zeros", "ones"])
    explorer.show_dependence = True
    before = finished(explorer)
    with pytest.raises(error, match=words):
        explorer.dependence(**arguments)
    after = finished(explorer)
    assert [row["name"] for row in after["rows"]] == [row["name"] for row in before["rows"]] == ["zeros", "ones"]


def test_the_model_is_left_as_it_was_found(explore):
    model = Function()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    explore(model, target=1).dependence(n_steps=2)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(torch.random.get_rng_state(), state)


# ---------------------------------------------------------------- to the front end


def ask(explorer, name="a view"):
    view = explorer.comm.open_view(name)
    explorer.comm.hear({"type": "request", "view": name, "panel": "dependence"})
    assert tasks_of(explorer).wait(SECONDS)
    explorer.comm.settle()
    return view


@pytest.mark.parametrize("from_the_start", [True, False])
def test_switched_on_it_is_worked_out_and_each_view_that_asks_is_given_the_maps(explore, from_the_start):
    explorer = explore(target=1, show_dependence=from_the_start)
    explorer.comm.set_traits(show_dependence=True)
    state = finished(explorer)
    early, late = ask(explorer), ask(explorer, "another view")
    found = explorer.dependence()
    assert state["kind"] == "ready"
    assert state["asked"] == {"target": 1, "output": "logit", "channel": "sum"}
    assert state["dependence"] == pytest.approx(found.dependence, rel=1e-12)
    assert state["output"] == found.output
    assert state["rules"] == [f"secant, {STEPS}"]
    assert [tuple(row.values()) for row in state["rows"]] == list(
        zip(found.names, found.baseline_outputs, found.sums, found.shares, strict=True)
    )
    for view in (early, late):
        number, maps, scales = view.dependence
        assert number == state["number"]
        for values, expected, scale in zip(maps, (found.mean, found.standard_deviation), scales, strict=True):
            assert np.abs(values - expected).max() <= 0.5001 * scale


def test_a_view_that_asks_too_early_is_sent_nothing_and_told_by_the_trait_to_ask_again(explore):
    explorer = explore(target=1)
    assert ask(explorer).dependence is None
    explorer.show_dependence = True
    finished(explorer)
    assert ask(explorer, "another view").dependence[0] == explorer._dependence["number"]


def test_what_is_asked_from_python_is_what_is_shown(explore):
    explorer = explore(target=1, show_dependence=True)
    found = explorer.dependence(["ones", "minus ones"], n_steps=3)
    state = finished(explorer)
    assert [row["name"] for row in state["rows"]] == ["ones", "minus ones"]
    assert state["rules"] == ["secant, 3"]
    assert state["dependence"] == found.dependence


def test_switched_off_it_is_cancelled_and_nothing_is_shown(explore):
    model = WatchedFunction()
    explorer = explore(model, target=1)
    explorer.wait(SECONDS)
    rows = model.rows_with_gradient
    model.block()
    explorer.show_dependence = True
    model.await_entry()
    assert explorer._dependence["kind"] == "computing"
    explorer.comm.set_traits(show_dependence=False)
    assert explorer._dependence == {}
    model.release()
    assert finished(explorer) == {}
    # No baseline was asked to its end.
    assert model.rows_with_gradient - rows < STEPS
    assert ask(explorer).dependence is None


def test_progress_is_told_up_to_the_number_of_evaluations(explore, chunks_of_two):
    explorer = explore(target=1)
    seen = []
    explorer.observe(lambda change: seen.append(change.new), "_dependence")
    explorer.show_dependence = True
    finished(explorer)
    counts = [(state["done"], state["total"]) for state in seen if state["kind"] == "computing"]
    assert counts[0] == (0, 0)
    assert counts[1:] == sorted(set(counts[1:]))
    assert counts[-1] == (STEPS * len(USUAL), STEPS * len(USUAL))
    assert len(counts) > len(USUAL)
    assert seen[-1]["kind"] == "ready"


def test_it_waits_for_what_a_person_waits_for(explore):
    model = WatchedFunction()
    model.block()
    explorer = explore(model, target=1, show_dependence=True)
    model.await_entry()
    assert not panel(explorer, DependencePanel)._worker.wait(0.2)
    assert explorer._dependence == {"kind": "computing", "done": 0, "total": 0}
    model.release()
    explorer.wait(SECONDS)
    assert finished(explorer)["kind"] == "ready"


def test_looks_and_rules_of_the_pane_ask_nothing_anew(explore):
    model = WatchedFunction()
    explorer = explore(model, target=1, show_dependence=True)
    before, rows = finished(explorer), model.rows_with_gradient
    explorer.alpha, explorer.clip = 0.3, 80.0
    explorer.sign, explorer.colormap = "positive", "PuOr"
    assert finished(explorer) == before
    assert model.rows_with_gradient == rows
    explorer.n_steps, explorer.method = 4, "riemann_left"
    # Nor does one of those baselines, as the current one.
    explorer.baseline = "ones"
    explorer.wait(SECONDS)
    assert finished(explorer) == before


def test_another_channel_is_drawn_of_what_is_at_hand(explore):
    model = WatchedFunction()
    explorer = explore(model, target=1, show_dependence=True)
    before = finished(explorer)
    explorer.wait(SECONDS)
    rows = model.rows
    explorer.channel = "first"
    explorer.wait(SECONDS)
    after = finished(explorer)
    assert model.rows == rows
    assert after["asked"]["channel"] == "first"
    assert after["number"] > before["number"]
    assert after["dependence"] != before["dependence"]


@pytest.mark.parametrize(("name", "value"), [("target", 2), ("output", "probability"), ("baseline", "noise(seed=3)")])
def test_another_question_is_worked_out_anew(explore, name, value):
    explorer = explore(target=1, show_dependence=True)
    before = finished(explorer)
    explorer.comm.set_traits(**{name: value})
    after = finished(explorer)
    other = explore(target=1, show_dependence=True, **({} if name == "target" else {name: value}))
    if name == "target":
        other.target = value
    expected = finished(other)
    assert after["number"] > before["number"]
    assert after["dependence"] == pytest.approx(expected["dependence"], rel=1e-9)
    assert after["dependence"] != before["dependence"]
    assert [row["name"] for row in after["rows"]] == [row["name"] for row in expected["rows"]]


def test_a_question_that_is_overtaken_is_not_shown(explore):
    model = WatchedFunction()
    explorer = explore(model, target=1)
    explorer.wait(SECONDS)
    numbers = []
    explorer.observe(lambda change: numbers.append(change.new.get("asked")), "_dependence")
    model.block()
    explorer.show_dependence = True
    model.await_entry()
    explorer.target = 2
    explorer.target = 3
    model.release()
    finished(explorer)
    assert [asked["target"] for asked in numbers if asked] == [3]


def test_another_current_baseline_costs_one_more(explore):
    model = WatchedFunction()
    explorer = explore(model, target=1, show_dependence=True)
    finished(explorer)
    explorer.wait(SECONDS)
    rows = model.rows_with_gradient
    explorer.baseline = "noise(seed=3)"
    explorer.wait(SECONDS)
    own = model.rows_with_gradient
    explorer.n_steps = 16  # the pane's share of it, once more: a rule that shares no point
    explorer.wait(SECONDS)
    finished(explorer)
    # 8 points and 16 points of the panes; the cells of one baseline, and two rows in search of kinks.
    assert model.rows_with_gradient - rows <= 8 + 16 + 2 * STEPS + 2
    assert own > rows


def test_a_model_that_was_written_to_is_asked_anew(explore):
    model = Function()
    explorer = explore(model, target=1, show_dependence=True)
    before = finished(explorer)
    with torch.no_grad():
        model.last.weight.mul_(2)
        model.last.bias.mul_(2)
    explorer.n_steps = 9  # whatever asks it
    explorer.wait(SECONDS)
    after = finished(explorer)
    assert [row["sum"] for row in after["rows"]] == pytest.approx([2 * row["sum"] for row in before["rows"]])
    assert after["dependence"] == pytest.approx(before["dependence"])
    assert explorer.dependence().output == pytest.approx(2 * before["output"])


class NoOnes(Function):
    def forward(self, x: Tensor) -> Tensor:
        if bool((x.flatten(1).mean(1) > 0.99).any()):
            raise RuntimeError("this is too large")
        return super().forward(x)


def test_a_failure_is_told_in_words_and_the_next_question_is_asked_all_the_same(explore):
    explorer = explore(NoOnes(), target=1, show_dependence=True)
    state = finished(explorer)
    assert state["kind"] == "failed"
    assert "too large" in state["message"]
    assert "too large" in explorer._notice["text"]
    assert "The dependence on the baseline was not worked out" in explorer._notice["text"]
    explorer.wait(SECONDS)
    with pytest.raises(RuntimeError, match="too large"):
        explorer.dependence()
    found = explorer.dependence(["zeros", "minus ones"])
    assert finished(explorer)["dependence"] == found.dependence


def test_closing_stops_it(explore):
    model = WatchedFunction()
    explorer = explore(model, target=1)
    explorer.wait(SECONDS)
    model.block()
    explorer.show_dependence = True
    model.await_entry()
    closer = threading.Thread(target=explorer.close)
    closer.start()
    closer.join(SECONDS)
    assert not closer.is_alive()
    model.release()


def test_a_file_without_a_kernel_does_not_offer_it(explore):
    explorer = explore(target=1, show_dependence=True)
    finished(explorer)
    traits = recorded(explorer).fields["traits"]
    assert not {"_dependence", "show_dependence"} & traits.keys()
