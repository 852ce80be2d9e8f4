"""What a region's audit must satisfy: completeness, additivity, and one pass of the model."""

import dataclasses
import html.parser
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import ig_widgets as igw
from ig_widgets import errors
from ig_widgets.faithfulness import audit_region, audit_regions
from tests.engine.subjects import ConvScores, Counting, draw, few

SIDE = 6
seeds = st.integers(0, 999)


def draw_mask(seed):
    generator = np.random.default_rng(seed)
    mask = generator.random((SIDE, SIDE)) < generator.uniform(0.1, 0.9)
    mask[0, 0], mask[-1, -1] = True, False  # neither empty nor everything
    return mask


def ends(seed):
    return draw(seed, 1, 3, SIDE, SIDE), draw(seed + 1, 1, 3, SIDE, SIDE)


class Additive(nn.Module):
    """A sum of a function of each value: nothing acts together with anything."""

    def __init__(self, seed):
        super().__init__()
        self.weights = nn.Parameter(draw(seed, 2, 3, SIDE, SIDE))

    def forward(self, x):
        return torch.stack([(torch.tanh(2 * x) * w).sum((1, 2, 3)) for w in self.weights], dim=1)


# ---------------------------------------------------------------- theorems


@few
@given(seeds, seeds)
def test_where_nothing_acts_together_attribution_drop_and_rise_are_one(seed, mask_seed):
    x, b = ends(seed)
    found = igw.attribute(Additive(seed), x, baselines=b, target=1, method="gausslegendre", n_steps=60)
    audit = audit_region(Additive(seed), x, draw_mask(mask_seed), baselines=b, target=1, attributions=found)
    assert audit.drop == pytest.approx(audit.rise, abs=1e-9)
    assert audit.drop == pytest.approx(audit.attribution_sum, abs=1e-6)


@few
@given(seeds, seeds)
def test_the_whole_picture_is_complete(seed, mask_seed):
    x, b = ends(seed)
    everything = (0, 0, SIDE, SIDE)
    mask = draw_mask(mask_seed)
    given_ = igw.attribute(ConvScores((4,), seed=seed), x, baselines=b, target=2, method="secant", n_steps=8)
    whole, part, rest = audit_regions(
        ConvScores((4,), seed=seed), x, [everything, mask, ~mask], baselines=b, target=2, attributions=given_
    )
    difference = whole.output - whole.baseline_output
    assert whole.pixels == SIDE * SIDE
    assert whole.share == pytest.approx(1)
    assert whole.drop == pytest.approx(difference, abs=1e-12)
    assert whole.rise == pytest.approx(difference, abs=1e-12)
    assert whole.attribution_sum == pytest.approx(difference, abs=1e-6)
    # A region and the rest: together they are everything, and what one loses the other has alone.
    assert part.attribution_sum + rest.attribution_sum == pytest.approx(whole.attribution_sum, abs=1e-9)
    assert part.pixels + rest.pixels == whole.pixels
    assert part.output_without_region == pytest.approx(rest.output_with_region_only, abs=1e-9)
    assert part.drop + rest.rise == pytest.approx(difference, abs=1e-9)


@few
@given(seeds, seeds)
def test_outputs_are_those_of_pictures_put_together_by_hand(seed, mask_seed):
    x, b = ends(seed)
    model, mask = ConvScores((4,), seed=seed), torch.from_numpy(draw_mask(mask_seed))
    audit = audit_region(model, x, mask, baselines=b, target=-1, attributions=torch.ones(SIDE, SIDE))
    without, only = x.clone(), b.clone()
    for row, column in mask.nonzero().tolist():
        without[0, :, row, column] = b[0, :, row, column]
        only[0, :, row, column] = x[0, :, row, column]
    seen = [audit.output, audit.baseline_output, audit.output_without_region, audit.output_with_region_only]
    with torch.no_grad():
        for value, picture in zip(seen, (x, b, without, only), strict=True):
            assert value == pytest.approx(float(model(picture)[0, -1]), abs=1e-9)
    assert audit.attribution_sum == audit.pixels == int(mask.sum())
    assert np.array_equal(audit.mask, mask.numpy())


@few
@given(seeds, st.integers(1, 12), st.integers(1, 6))
def test_chunks_and_company_change_nothing(seed, chunk_size, count):
    x, b = ends(seed)
    model, masks = ConvScores((4,), seed=seed), [draw_mask(seed + i) for i in range(count)]
    arguments = {"baselines": b, "target": 0, "attributions": draw(seed + 5, SIDE, SIDE)}
    together = audit_regions(model, x, masks, **arguments)
    chunked = audit_regions(model, x, masks, chunk_size=chunk_size, **arguments)
    alone = [audit_region(model, x, mask, **arguments) for mask in masks]
    for others in (chunked, alone):
        for one, other in zip(together, others, strict=True):
            for name in ("attribution_sum", "share", "drop", "rise", "output", "baseline_output"):
                assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-9)


def test_a_region_of_the_baseline_is_worth_nothing():
    x, b = ends(3)
    mask = draw_mask(1)
    b = torch.where(torch.from_numpy(mask), x, b)
    audit = audit_region(ConvScores((4,)), x, mask, baselines=b, target=0)
    assert (audit.drop, audit.rise, audit.attribution_sum) == (0, 0, 0)


def test_a_map_of_zeros_has_no_shares():
    x, b = ends(3)
    audit = audit_region(ConvScores((4,)), x, (0, 0, 2, 2), baselines=b, target=0, attributions=torch.zeros(SIDE, SIDE))
    assert audit.attribution_sum == 0
    assert math.isnan(audit.share)
    assert "nan" not in repr(audit)


# ---------------------------------------------------------------- what it costs, and leaves


def test_two_rows_a_region_in_one_pass_without_a_gradient():
    x, b = ends(0)
    model = Counting(ConvScores((4,)))
    found = igw.attribute(model.function, x, baselines=b, target=0, method="secant", n_steps=4)
    audit_regions(model, x, [draw_mask(i) for i in range(5)], baselines=b, target=0, attributions=found)
    assert model.without_gradient == [2 + 2 * 5]
    assert model.with_gradient == []
    model = Counting(ConvScores((4,)))
    audit_regions(model, x, [draw_mask(i) for i in range(40)], baselines=b, target=0, attributions=found)
    assert sum(model.without_gradient) == 2 + 2 * 40
    assert max(model.without_gradient) <= 32


def test_chunk_size_is_kept_to():
    x, b = ends(0)
    model = Counting(ConvScores((4,)))
    audit_regions(model, x, [draw_mask(1)], baselines=b, target=0, attributions=torch.ones(6, 6), chunk_size=3)
    assert model.without_gradient == [3, 1]


def test_memory_that_runs_out_halves_the_rows():
    x, b = ends(0)
    inner = ConvScores((4,))

    def cramped(points):
        if len(points) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return inner(points)

    arguments = {"baselines": b, "target": 0, "attributions": torch.ones(6, 6)}
    masks = [draw_mask(i) for i in range(4)]
    with pytest.warns(RuntimeWarning, match="Memory ran out with") as caught:
        halved = audit_regions(cramped, x, masks, **arguments)
    assert [str(one.message) for one in caught] == [
        f"Memory ran out with {rows} rows in the model at once; going on with {rows // 2} (chunk_size)."
        for rows in (10, 5)
    ]
    for one, other in zip(halved, audit_regions(inner, x, masks, **arguments), strict=True):
        assert one.drop == pytest.approx(other.drop, abs=1e-12)

    def none(points):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with (
        pytest.warns(RuntimeWarning, match="Memory ran out"),
        pytest.raises(
            errors.OutOfMemoryError, match=r"^Memory ran out with a single row in the model.*; use a smaller input"
        ),
    ):
        audit_regions(none, x, masks, **arguments)


class Careless(nn.Module):
    """Counts its calls in a buffer, draws random numbers, and changes its input in place."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.weight = nn.Parameter(torch.ones(3, 1, 1, dtype=torch.float64))

    def forward(self, x):
        self.calls += 1
        torch.rand(3)
        return x.mul_(self.weight).sum((1, 2, 3))


def test_the_model_the_pictures_and_the_random_state_stay():
    x, b = ends(4)
    model = Careless()
    before = x.clone(), b.clone(), torch.get_rng_state()
    audits = audit_regions(model, x, [(0, 0, 2, 2)], baselines=b, attributions=torch.ones(6, 6), chunk_size=1)
    assert audits[0].output == pytest.approx(float(x.sum()))
    assert float(model.calls) == 0
    assert model.weight.grad is None
    assert torch.equal(x, before[0])
    assert torch.equal(b, before[1])
    assert torch.equal(torch.get_rng_state(), before[2])


def test_further_arguments_follow():
    x, b = ends(5)

    def scaled(points, factor, offset):
        return points.sum((1, 2, 3)) * factor[:, 0] + offset

    audit = audit_region(
        scaled, x, (1, 1, 4, 5), baselines=b, additional_forward_args=(torch.tensor([[3.0]]), 7.0), target=None
    )
    inside = float((x - b)[..., 1:5, 1:4].sum()) * 3
    assert audit.output == pytest.approx(float(x.sum()) * 3 + 7)
    for value in (audit.drop, audit.rise, audit.attribution_sum):
        assert value == pytest.approx(inside, abs=1e-6)


def test_baselines_are_those_of_attribute():
    x = draw(1, 1, 3, SIDE, SIDE).sigmoid()  # a picture, as black expects
    model = ConvScores((4,))
    arguments = {"target": 0, "attributions": torch.ones(6, 6)}
    given_ = [None, 0.0, torch.zeros(3, 1, 1), igw.baselines.black()]
    values = {audit_region(model, x, (0, 0, 3, 3), baselines=b, **arguments).drop for b in given_}
    assert len(values) == 1


# ---------------------------------------------------------------- what is refused


def refused(message, kind=errors.ArgumentValueError, *, inputs=None, regions=((0, 0, 2, 2),), **arguments):
    x = draw(0, 1, 3, SIDE, SIDE) if inputs is None else inputs
    arguments = {"target": 0, "attributions": torch.ones(6, 6)} | arguments
    with pytest.raises(kind, match=f"^{message}") as caught:
        audit_regions(ConvScores((4,)), x, regions, **arguments)
    assert "\n" not in str(caught.value)
    return caught.value


def test_inputs_that_are_no_single_picture():
    refused("inputs must be one example, .* got \\(2, 3, 6, 6\\)", inputs=draw(0, 2, 3, 6, 6))
    refused("region must be a boolean mask", errors.ArgumentTypeError, inputs=draw(0, 1, 5))
    refused("inputs must be a tensor", errors.ArgumentTypeError, inputs=3)


def test_regions_that_are_none():
    refused("regions is empty", regions=[])
    refused("regions is a single region", errors.ArgumentTypeError, regions=(0, 0, 2, 2))
    refused("regions must be a list", errors.ArgumentTypeError, regions=3)
    error = refused("region .* outside", regions={"ear": (0, 0, 2, 2), "tail": (50, 50, 60, 60)})
    assert error.__notes__ == ["This is region 'tail'."]


def test_attributions_that_do_not_fit():
    refused(r"attributions has shape \(5, 6\), inputs \(1, 3, 6, 6\)", attributions=torch.ones(5, 6))
    refused("attributions has shape", attributions=torch.ones(2, 3, 6, 6))
    refused("attributions holds values that are NaN", attributions=torch.full((6, 6), math.nan))
    refused("attributions must be an Attribution", errors.ArgumentTypeError, attributions="map")


def test_an_attribution_of_something_else_is_recognised():
    x, model = draw(0, 1, 3, SIDE, SIDE), ConvScores((4,))
    of = lambda **arguments: igw.attribute(model, x, n_steps=4, **arguments)  # noqa: E731
    refused(r"attributions is of another input, baseline or target: its F\(x\)", attributions=of(target=1))
    refused("attributions is of another", attributions=of(target=0, baselines=draw(8, 1, 3, 6, 6)))
    refused("attributions is a mean gradient", attributions=of(target=0, multiply_by_inputs=False))
    audit_regions(model, x, [(0, 0, 2, 2)], target=0, attributions=of(target=0))


def test_a_model_in_training_and_an_output_that_is_no_number():
    x = draw(0, 1, 3, SIDE, SIDE)
    model = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(108, 2)).double()
    for attributions in (torch.ones(6, 6), None):
        with pytest.raises(errors.TrainingModeError, match=r"Dropout '1' in training mode.*call model.eval\(\) first"):
            audit_region(model, x, (0, 0, 2, 2), target=0, attributions=attributions)

    def breaks(points):  # where the corner is the baseline's and all else the picture's
        return torch.where((points[:, 0, 0, 0] == 0) & (points[:, 0, 5, 5] == 1), torch.nan, points.sum((1, 2, 3)))

    with pytest.raises(errors.NonFiniteError, match=r"is nan without the region .region 2"):
        audit_regions(breaks, torch.ones_like(x), [(3, 3, 5, 5), (0, 0, 2, 2)], attributions=torch.ones(6, 6))


@pytest.mark.parametrize(("broken", "where", "alpha"), [(1, "at the input", 1.0), (0, "at the baseline", 0.0)])
def test_an_end_that_is_no_number_is_told_with_its_alpha(broken, where, alpha):
    def breaks(points):
        return torch.where((points == broken).flatten(1).all(1), torch.inf, points.sum((1, 2, 3)))

    with pytest.raises(errors.NonFiniteError, match=f"is inf {where}[.]$") as raised:
        audit_regions(breaks, torch.ones(1, 3, SIDE, SIDE), [(3, 3, 5, 5)], attributions=torch.ones(6, 6))
    assert raised.value.alpha == alpha


# ---------------------------------------------------------------- how it reads


def audits_of(names):
    x, b = ends(2)
    regions = {name: draw_mask(i) for i, name in enumerate(names)}
    return audit_regions(ConvScores((4,)), x, regions, baselines=b, target=0)


def test_audits_are_a_frozen_sequence():
    audits = audits_of(["ear", "tail", "nose"])
    assert [audit.name for audit in audits] == ["ear", "tail", "nose"]
    assert len(audits) == 3
    assert audits[-1].name == "nose"
    assert [audit.name for audit in audits[1:]] == ["tail", "nose"]
    assert audits[0] in audits
    with pytest.raises(dataclasses.FrozenInstanceError):
        audits.audits = ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        audits[0].pixels = 3
    with pytest.raises(ValueError, match="read-only"):
        audits[0].mask[0, 0] = False


def test_table_has_a_line_for_each_region_with_its_numbers():
    audits = audits_of(["ear", "the tail"])
    head, *lines = repr(audits).splitlines()
    assert head.split()[:3] == ["region", "pixels", "attribution"]
    for audit, line in zip(audits, lines, strict=True):
        for text in (audit.name, str(audit.pixels), f"{audit.attribution_sum:.3g}", f"{audit.drop:.3g}"):
            assert text in line
    assert f"drop {audits[0].drop:.3g}" in repr(audits[0])


class Cells(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text.append(data)


def test_html_shows_names_as_text():
    name = "<script>alert('&amp;')</script>"
    parser = Cells()
    parser.feed(audits_of([name])._repr_html_())
    assert parser.tags == {"div", "table", "thead", "tbody", "tr", "th", "td"}
    assert name in parser.text
