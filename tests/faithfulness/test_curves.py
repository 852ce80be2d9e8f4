"""What deletion and insertion must satisfy: exact curves of linear models, chance over all orders, one batched pass."""

import dataclasses
import itertools
import math
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import ig_widgets as igw
from ig_widgets import errors
from ig_widgets.faithfulness import Curves, deletion, insertion
from ig_widgets.faithfulness.maps import mean_ranks, rank_correlation
from tests.engine.subjects import ConvScores, Counting, draw, few

seeds = st.integers(0, 999)


def linear(seed, features=7, batch=2):
    """w, x, x' and the exact attributions of F(x) = w.x."""
    w, x, b = draw(seed, features), draw(seed + 1, batch, features), draw(seed + 2, batch, features)
    return w, x, b, w * (x - b)


# ---------------------------------------------------------------- theorems


@few
@given(seeds, st.integers(1, 9), st.integers(1, 3))
def test_of_a_linear_model_the_curves_are_sums_of_its_attributions(seed, features, batch):
    w, x, b, exact = linear(seed, features, batch)
    arguments = {"baselines": b, "n_steps": features}
    falling = np.sort(exact.numpy(), axis=1)[:, ::-1]
    lost = np.concatenate([np.zeros((batch, 1)), falling.cumsum(1)], axis=1)
    gone = deletion(lambda points: points @ w, x, exact, **arguments)
    put = insertion(lambda points: points @ w, x, exact, **arguments)
    assert np.allclose(gone.outputs, (x @ w)[:, None].numpy() - lost, atol=1e-9)
    assert np.allclose(put.outputs, (b @ w)[:, None].numpy() + lost, atol=1e-9)
    assert np.allclose(gone.shares, np.arange(features + 1) / features)
    # The area as a sum of trapezoids, written out.
    y = gone.outputs.numpy()
    assert np.allclose(gone.area, ((y[:, 1:] + y[:, :-1]) / 2 / features).sum(1), atol=1e-9)


@few
@given(seeds)
def test_of_all_orders_that_of_a_linear_models_attributions_is_the_best(seed):
    w, x, b, exact = linear(seed, 4, 1)
    orders = torch.tensor(list(itertools.permutations(range(4))), dtype=torch.float64)
    scores = torch.cat([exact, -exact, orders])
    x, b = (t.expand(len(scores), -1) for t in (x, b))
    gone, put = (kind(lambda points: points @ w, x, scores, baselines=b, n_steps=4) for kind in (deletion, insertion))
    assert float(gone.area[0]) == pytest.approx(float(gone.area.min()), abs=1e-9)
    assert float(gone.area[1]) == pytest.approx(float(gone.area.max()), abs=1e-9)
    assert float(put.area[0]) == pytest.approx(float(put.area.max()), abs=1e-9)
    assert float(put.area[1]) == pytest.approx(float(put.area.min()), abs=1e-9)
    for found in (gone, put):
        assert float(found.advantage[0]) >= -1e-9
        assert float(found.advantage[1]) <= 1e-9


@few
@given(seeds)
def test_of_an_additive_model_insertion_mirrors_deletion(seed):
    x, b = draw(seed, 2, 6), draw(seed + 1, 2, 6)
    model = lambda points: torch.tanh(2 * points).sum(1)  # noqa: E731
    scores = draw(seed + 2, 2, 6)
    arguments = {"baselines": b, "n_steps": 6, "seed": seed}
    gone, put = deletion(model, x, scores, **arguments), insertion(model, x, scores, **arguments)
    whole = (model(x) + model(b))[:, None]
    assert torch.allclose(gone.outputs + put.outputs, whole.expand(-1, 7), atol=1e-9)
    assert torch.allclose(gone.random_outputs + put.random_outputs, whole[:, None].expand(-1, 1, 7), atol=1e-9)
    assert torch.allclose(gone.advantage, put.advantage, atol=1e-9)


def test_the_random_control_is_the_mean_over_all_orders():
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(16, generator=generator, dtype=torch.float64)  # F of each set of four features
    places = 2.0 ** torch.arange(4, dtype=torch.float64)

    def model(points):
        return table[(points @ places).long()]

    x, b = torch.ones(1, 4, dtype=torch.float64), torch.zeros(1, 4, dtype=torch.float64)
    areas = []
    for order in itertools.permutations(range(4)):
        left, y = [1.0] * 4, [float(table[15])]
        for feature in order:
            left[feature] = 0.0
            y.append(float(model(torch.tensor(left).double()[None])))
        areas.append(np.trapezoid(y) / 4)
    count = 3000
    found = deletion(model, x, x, baselines=b, n_steps=4, n_random=count).random_area[0]
    # Each order comes up, none but these, and their mean is theirs within five standard errors of so many draws.
    assert {round(float(area), 9) for area in found} == {round(area, 9) for area in areas}
    assert float(found.mean()) == pytest.approx(np.mean(areas), abs=5 * np.std(areas) / math.sqrt(count))


@few
@given(seeds, st.integers(1, 40), st.integers(1, 3), st.integers(1, 3))
def test_chunks_and_company_change_nothing(seed, chunk_size, n_random, batch):
    x, b = draw(seed, batch, 3, 6, 6), draw(seed + 1, batch, 3, 6, 6)
    model, scores = ConvScores((4,), seed=seed), draw(seed + 2, batch, 3, 6, 6)
    arguments = {"n_steps": 5, "n_random": n_random, "seed": seed}
    targets = [i % 4 for i in range(batch)]
    for kind in (deletion, insertion):
        whole = kind(model, x, scores, baselines=b, target=targets, **arguments)
        chunked = kind(model, x, scores, baselines=b, target=targets, chunk_size=chunk_size, **arguments)
        alone = [
            kind(model, x[i : i + 1], scores[i : i + 1], baselines=b[i : i + 1], target=targets[i], **arguments)
            for i in range(batch)
        ]
        for name in ("outputs", "random_outputs"):
            assert torch.allclose(getattr(whole, name), getattr(chunked, name), atol=1e-12)
            assert torch.allclose(getattr(whole, name), torch.cat([getattr(a, name) for a in alone]), atol=1e-12)


@few
@given(seeds, st.booleans())
def test_outputs_are_those_of_pictures_put_together_by_hand(seed, by_pixel):
    x, b = draw(seed, 1, 3, 6, 6), draw(seed + 1, 1, 3, 6, 6)
    model, scores = ConvScores((4,), seed=seed), draw(seed + 2, 1, 3, 6, 6)
    n_steps = 7  # of 36 pixels or 108 values: parts are not equal to one
    found = deletion(model, x, scores, baselines=b, target=2, n_steps=n_steps, by_pixel=by_pixel)
    values = scores[0].sum(0).flatten() if by_pixel else scores[0].flatten()
    order = sorted(range(len(values)), key=lambda i: -float(values[i]))
    for step in range(n_steps + 1):
        count = round(float(found.shares[step]) * len(order))
        assert abs(count - step * len(order) / n_steps) <= 0.5
        picture = x.clone().reshape(3, 36)
        for feature in order[:count]:
            if by_pixel:
                picture[:, feature] = b.reshape(3, 36)[:, feature]
            else:
                picture.view(-1)[feature] = b.view(-1)[feature]
        with torch.no_grad():
            assert float(found.outputs[0, step]) == pytest.approx(float(model(picture.view_as(x))[0, 2]), abs=1e-9)


def test_ties_are_broken_by_the_seed_and_not_by_position():
    x = torch.ones(1, 50, dtype=torch.float64)
    place = lambda points: points @ torch.arange(50.0, dtype=torch.float64)  # noqa: E731
    by_seed = [deletion(place, x, torch.zeros(1, 50), baselines=0, n_steps=50, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(by_seed[0].outputs, by_seed[1].outputs)
    assert not torch.equal(by_seed[0].outputs, by_seed[2].outputs)
    steps = by_seed[0].outputs[0].diff()
    assert len(set(steps.tolist())) == 50  # every feature once
    assert abs(rank_correlation(steps[None], torch.arange(50.0, dtype=torch.float64)[None]).item()) < 0.5
    # The order of the map among equals is none of the random orders.
    assert not torch.equal(by_seed[0].outputs[0], by_seed[0].random_outputs[0, 0])


def test_a_map_of_equal_values_does_as_well_as_chance():
    x = draw(0, 40, 6)
    model = lambda points: torch.relu(points @ draw(1, 6, 3)).sum(1)  # noqa: E731
    areas = [deletion(model, x, torch.ones_like(x), baselines=0, n_steps=6, n_random=1, seed=s) for s in range(60)]
    ahead = torch.stack([found.advantage.mean() for found in areas])
    assert abs(float(ahead.mean())) < 4 * float(ahead.std()) / math.sqrt(60)


@few
@given(seeds, st.integers(1, 8), st.integers(1, 5))
def test_mean_ranks_and_their_correlation(seed, features, levels):
    one, other = (
        torch.randint(levels, (2, features), generator=torch.Generator().manual_seed(s)).double()
        for s in (seed, -~seed)
    )
    for row, ranks in zip(one.tolist(), mean_ranks(one).tolist(), strict=True):
        for value, rank in zip(row, ranks, strict=True):
            below, equal = sum(v < value for v in row), sum(v == value for v in row)
            assert rank == below + (equal - 1) / 2
    for a, b, found in zip(
        mean_ranks(one).numpy(), mean_ranks(other).numpy(), rank_correlation(one, other), strict=True
    ):
        if a.std() == 0 or b.std() == 0:
            assert math.isnan(found)
        else:
            assert float(found) == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-9)


# ---------------------------------------------------------------- fills


def pictures(batch=2):
    return draw(3, batch, 3, 8, 10)


def fill_of(fill, inputs, **arguments):
    """What a picture is when all of it has been replaced, as the model sees it."""
    model = Counting(lambda points: points.sum((1, 2, 3)))
    found = deletion(model, inputs, inputs, fill=fill, n_steps=1, **arguments)
    return torch.cat(model.seen)[1::2], found.fill


def test_fills_are_what_they_are_called():
    x, other = pictures(), draw(9, 1, 3, 8, 10)
    assert torch.equal(fill_of("blur", x)[0], igw.baselines.blur()(x))
    assert fill_of(None, x)[1] == "blur"
    mean, name = fill_of("mean", x)
    assert name == "mean"
    assert torch.allclose(mean, x.mean((2, 3), keepdim=True).expand_as(x))
    assert torch.equal(fill_of(other, x)[0], other.expand_as(x))
    assert torch.equal(fill_of(0.5, x)[0], torch.full_like(x, 0.5))
    assert fill_of(0.5, x)[1] == "0.5"
    assert fill_of(igw.baselines.blur(2.0), x)[1] == "blur, sigma 2.0 px"
    for baselines in (other, lambda inputs: other.expand_as(inputs)):
        assert torch.equal(fill_of(None, x, baselines=baselines)[0], other.expand_as(x))
        assert torch.equal(fill_of("baseline", x, baselines=baselines)[0], other.expand_as(x))
    assert torch.equal(fill_of("baseline", x)[0], torch.zeros_like(x))


def test_noise_has_the_pictures_channels_means_and_deviations_and_is_seeded():
    x = 3 + 2 * draw(3, 1, 3, 60, 60) * torch.tensor([1.0, 0.1, 5.0], dtype=torch.float64).view(3, 1, 1)
    drawn = fill_of("noise", x)[0]
    for c in range(3):
        deviation = float(x[0, c].std())
        assert float(drawn[0, c].mean() - x[0, c].mean()) == pytest.approx(0, abs=5 * deviation / 60)
        assert float(drawn[0, c].std()) == pytest.approx(deviation, rel=0.1)
    assert torch.equal(drawn, fill_of("noise", x)[0])
    assert not torch.equal(drawn, fill_of("noise", x, seed=1)[0])
    assert torch.allclose(fill_of("noise", torch.cat([x, x]))[0][1:], drawn)


# ---------------------------------------------------------------- what it costs, and leaves


def test_forward_passes_are_those_it_says_and_none_is_spent_twice():
    x, b = draw(0, 2, 3, 6, 6), draw(1, 2, 3, 6, 6)
    model = Counting(ConvScores((4,)))
    done = []
    found = deletion(
        model, x, x, baselines=b, target=0, n_steps=10, n_random=3, on_progress=lambda *now: done.append(now)
    )
    # Both ends once, for the map and all random orders.
    assert model.rows == 2 * found.evaluations == 2 * (11 + 3 * 9)
    assert model.with_gradient == []
    assert done[-1] == (model.rows, model.rows)
    assert [before for before, _ in done] == sorted(before for before, _ in done)
    model = Counting(ConvScores((4,)))
    deletion(model, x, x, baselines=b, target=0, n_steps=10, chunk_size=7)
    assert max(model.without_gradient) == 7


def test_no_more_steps_than_features():
    found = deletion(lambda points: points.sum(1), draw(0, 1, 5), draw(1, 1, 5), baselines=0)
    assert found.shares.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])


class Careless(nn.Module):
    """Counts its calls in a buffer, draws random numbers, and changes its input in place."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.weight = nn.Parameter(torch.ones(3, 1, 1, dtype=torch.float64))

    def forward(self, x):
        self.calls += 1
        torch.rand(3)
        return x.mul_(2 * self.weight).sum((1, 2, 3))


def test_the_model_the_inputs_and_the_random_state_stay():
    x, scores, b = draw(4, 1, 3, 6, 6), draw(5, 1, 3, 6, 6), draw(6, 1, 3, 6, 6)
    model, before = Careless(), [t.clone() for t in (x, scores, b)] + [torch.get_rng_state()]
    found = insertion(model, x, scores, baselines=b, n_steps=4, chunk_size=1)
    assert found.outputs[0, [0, -1]].tolist() == pytest.approx([2 * float(b.sum()), 2 * float(x.sum())])
    assert float(model.calls) == 0
    assert model.weight.grad is None
    for now, then in zip((x, scores, b, torch.get_rng_state()), before, strict=True):
        assert torch.equal(now, then)


def test_callers_grad_and_inference_modes_do_not_matter():
    x = draw(0, 1, 6)
    arguments = {"baselines": 0, "n_steps": 3}
    plain = deletion(lambda points: points.sum(1), x, x, **arguments)
    with torch.inference_mode():
        assert torch.equal(deletion(lambda points: points.sum(1), x, x, **arguments).outputs, plain.outputs)


def test_memory_that_runs_out_halves_the_rows():
    x = draw(0, 1, 6)

    def cramped(points):
        if len(points) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return points.sum(1)

    whole = deletion(lambda points: points.sum(1), x, x, baselines=0)
    with pytest.warns(RuntimeWarning, match=r"^Memory ran out"):
        assert torch.allclose(deletion(cramped, x, x, baselines=0, chunk_size=2).outputs, whole.outputs)


def test_further_arguments_follow_their_example():
    x, factor = draw(5, 3, 4), torch.tensor([[1.0], [2.0], [5.0]], dtype=torch.float64)

    def scaled(points, by, offset):
        return (points * by).sum(1) + offset

    found = deletion(scaled, x, x, baselines=0, additional_forward_args=(factor, 7.0), n_steps=2)
    assert torch.allclose(found.outputs[:, 0], (x * factor).sum(1) + 7)
    assert torch.allclose(found.outputs[:, -1], torch.full((3,), 7.0, dtype=torch.float64))


def test_cancelled_after_the_chunk_in_hand():
    x, cancel, seen = draw(0, 1, 6), threading.Event(), []

    def on_progress(done, total):
        seen.append(done)
        cancel.set()

    with pytest.raises(errors.Cancelled, match=r"^Cancelled after 2 of 12 forward passes") as caught:
        deletion(lambda p: p.sum(1), x, x, baselines=0, chunk_size=2, on_progress=on_progress, cancel=cancel)
    assert seen == [2]
    assert caught.value.partial is None


# ---------------------------------------------------------------- what is refused


def refused(message, kind=errors.ArgumentValueError, *, inputs=None, attributions=None, **arguments):
    x = draw(0, 1, 3, 6, 6) if inputs is None else inputs
    arguments = {"target": 0} | arguments
    with pytest.raises(kind, match=f"^{message}") as caught:
        deletion(ConvScores((4,)), x, torch.ones(6, 6) if attributions is None else attributions, **arguments)
    assert "\n" not in str(caught.value)
    return caught.value


def test_inputs_and_maps_that_do_not_fit():
    wrong = errors.ArgumentTypeError
    refused("attributions is one Tensor, and inputs is a tuple of 2", wrong, inputs=(draw(0, 1, 3), draw(0, 1, 3)))
    refused("inputs must be a tensor", wrong, inputs="photo")
    refused("inputs holds NaN", inputs=torch.full((1, 3, 6, 6), math.nan))
    refused(r"attributions has shape \(5, 6\), inputs \(1, 3, 6, 6\)", attributions=torch.ones(5, 6))
    refused("attributions holds values that are NaN", attributions=torch.full((6, 6), math.nan))
    refused("attributions must be an Attribution", wrong, attributions="map")


def test_options_that_cannot_work():
    wrong = errors.ArgumentTypeError
    refused("n_steps is the number of parts .* at least 1, got 0", n_steps=0)
    refused("n_steps must be an integer", wrong, n_steps=2.5)
    refused("n_random is the number of random orders .* got 0", n_random=0)
    refused("seed must be", wrong, seed="x")
    refused("fill must be one of baseline, blur, mean, noise, got 'grey'", fill="grey")
    refused("fill must be one of", wrong, fill=["blur"])
    refused("baselines is heeded with fill='baseline' only", fill="blur", baselines=0)
    refused("fill='blur' is made of pictures", inputs=draw(0, 1, 5), attributions=draw(0, 1, 5))
    assert refused("baselines has shape", fill=torch.ones(7)).__notes__ == ["This is about fill."]
    refused("chunk_size is rows", chunk_size=0)


def test_a_model_in_training_and_an_output_that_is_no_number():
    x = torch.ones(1, 4, dtype=torch.float64)
    model = nn.Sequential(nn.Dropout(), nn.Linear(4, 2)).double()
    with pytest.raises(errors.TrainingModeError):
        deletion(model, x, x, baselines=0, target=0)
    with pytest.raises(
        errors.NonFiniteError, match=r"is nan with 50.0% of the features replaced in the order of the m"
    ):
        deletion(
            lambda points: torch.where(points.sum(1) == 2, torch.nan, points.sum(1)), x, x, baselines=0, chunk_size=3
        )
    with pytest.raises(errors.OutputError, match="target is None"):
        deletion(nn.Linear(4, 2).double(), x, x, baselines=0)


# ---------------------------------------------------------------- how it reads


def test_results_are_frozen_and_print_their_numbers():
    x = draw(0, 2, 6)
    found = deletion(lambda points: points.sum(1), x, x, baselines=0, n_random=3)
    assert isinstance(found, Curves)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.fill = "other"
    head, first, second, mean = repr(found).splitlines()
    assert head.startswith("deletion, fill: 0")
    assert "random area (mean of 3)" in head
    for line, values in ((first, found.area[0]), (second, found.advantage[1]), (mean, found.area.mean())):
        assert f"{float(values):.3g}" in line
    assert "<table>" in found._repr_html_()
    assert f"<td>{float(found.advantage[1]):.3g}</td>" in found._repr_html_()
    assert "mean" not in repr(deletion(lambda points: points.sum(1), x[:1], x[:1], baselines=0))


def test_of_a_layers_map_tokens_are_taken_away() -> None:
    """The map of an embedding, (batch, tokens, dims), for ids (batch, tokens): a token counts by the sum."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Flatten(), torch.nn.Linear(20, 1)).double()
    ids = torch.tensor([[3, 1, 4, 1, 5], [2, 6, 5, 3, 5]])
    result = igw.attribute(model, ids, layer="0", n_steps=4)
    found = deletion(model, ids, result, baselines=0, n_steps=5, n_random=2)
    # F is linear in each embedding, so that what a token takes along is what was attributed to it.
    by_token = result.attributions.sum(-1).sort(dim=1, descending=True).values
    expected = model(ids).detach() - torch.cat([torch.zeros(2, 1), by_token.cumsum(1)], 1)
    torch.testing.assert_close(found.outputs, expected)
