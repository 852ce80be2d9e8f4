"""Checks of tuples of inputs and of what layers give: closed forms, parity with Captum, one function in two forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from captum.metrics import infidelity as captums_infidelity
from captum.metrics import infidelity_perturb_func_decorator
from captum.metrics import sensitivity_max as captums_sensitivity_max
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets import errors
from ig_widgets.faithfulness import (
    audit_region,
    audit_regions,
    deletion,
    infidelity,
    input_shift,
    insertion,
    pointing,
    randomize_model,
    sensitivity_max,
)
from ig_widgets.faithfulness.perturbations import noise, square, subset
from tests.engine.subjects import draw, few

seeds = st.integers(0, 999)
W, V = draw(90, 3), draw(91, 1, 4, 4)


def linear(one: Tensor, two: Tensor) -> Tensor:
    return (one * W).sum(1) + (two * V).sum((1, 2, 3))


def curved(one: Tensor, two: Tensor) -> Tensor:
    value = torch.tanh(linear(one, two))
    return torch.stack([value, value.square() + one[:, 0]], dim=1)


def pair(seed: int, batch: int = 2) -> tuple[Tensor, Tensor]:
    return draw(seed, batch, 3), draw(seed + 1, batch, 1, 4, 4)


def together(parts: Any) -> Tensor:
    return torch.cat([part.flatten(1) for part in parts], dim=1)


class Recorded:
    """A perturbation that writes down what it draws, of tuples."""

    def __init__(self, perturb: Any) -> None:
        self.perturb, self.drawn = perturb, []

    def __call__(self, inputs: Any, baselines: Any, generator: torch.Generator) -> Any:
        self.drawn.append(self.perturb.several(inputs, baselines, generator))
        return self.drawn[-1]

    def all(self) -> tuple[Tensor, ...]:
        return tuple(map(torch.cat, zip(*self.drawn, strict=True)))


# ---------------------------------------------------------------- infidelity


@few
@given(seeds, st.sampled_from([subset(), subset(0.4), noise(sigma=0.3)]), st.booleans(), st.booleans())
def test_infidelity_is_captums_on_the_same_perturbations(seed: int, perturb: Any, multiply: bool, scale: bool) -> None:
    x, b, scores, recorded = pair(seed), pair(seed + 2), pair(seed + 4), Recorded(perturb)
    ours = infidelity(
        curved, x, scores, baselines=b, target=[1, 0], perturb=recorded, multiply_by_inputs=multiply,
        normalize=scale, n_perturb_samples=6, seed=seed,
    )  # fmt: skip
    replay = infidelity_perturb_func_decorator(multiply)(lambda *_: recorded.all())
    theirs = captums_infidelity(
        curved, replay, x, scores, baselines=b, target=torch.tensor([1, 0]), n_perturb_samples=6, normalize=scale
    )
    assert torch.allclose(ours.values, theirs, rtol=1e-6, atol=1e-12)


@few
@given(seeds, st.sampled_from([subset(), subset(0.3), noise(radius=0.2)]))
def test_what_a_linear_model_does_its_attributions_promise(seed: int, perturb: Any) -> None:
    x, b = pair(seed), pair(seed + 2)
    result = igw.attribute(linear, x, baselines=b, method="riemann_middle", n_steps=1)
    found = infidelity(linear, x, result, baselines=b, perturb=perturb, seed=seed)
    assert float(found.values.max()) < 1e-24
    assert bool((found.of_zeros > 0).all())


def test_a_subset_is_of_the_features_of_all_inputs() -> None:
    x = (torch.ones(1, 3), torch.ones(1, 2, 2, 2))
    generator = torch.Generator().manual_seed(0)
    counts = []
    for _ in range(40):
        one, two = subset(3 / 7).several(x, (x[0] * 0, x[1] * 0), generator)
        assert torch.equal(two[:, 0], two[:, 1])
        counts.append((int((one == 0).sum()), int((two[:, 0] == 0).sum())))
    assert {sum(count) for count in counts} == {3}
    assert len(set(counts)) > 2


# ---------------------------------------------------------------- sensitivity


@few
@given(seeds, st.sampled_from([noise(radius=0.02), noise(sigma=0.5)]))
def test_sensitivity_is_captums_on_the_same_perturbations(seed: int, perturb: Any) -> None:
    x, recorded = pair(seed), Recorded(perturb)

    def gradient(function: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        leaves = tuple(t.detach().clone().requires_grad_() for t in inputs)
        with torch.enable_grad():
            return torch.autograd.grad(function(*leaves)[:, 1].sum(), leaves)

    ours = sensitivity_max(curved, x, explain=gradient, perturb=recorded, n_perturb_samples=5, seed=seed)
    by_example = tuple(t.unflatten(0, (5, 2)).transpose(0, 1).flatten(0, 1) for t in recorded.all())
    theirs = captums_sensitivity_max(
        lambda inputs: gradient(curved, inputs), x, lambda _: by_example, n_perturb_samples=5
    )
    assert torch.allclose(ours.values, theirs, rtol=1e-6, atol=1e-12)


# ---------------------------------------------------------------- deletion and insertion


@few
@given(seeds, st.booleans())
def test_features_of_all_inputs_are_in_one_order(seed: int, inserted: bool) -> None:
    """Of a linear model what a feature takes along is what was attributed to it, whichever input it is of."""
    x, b = pair(seed), pair(seed + 2)
    result = igw.attribute(linear, x, baselines=b, method="riemann_middle", n_steps=1)
    found = (insertion if inserted else deletion)(linear, x, result, baselines=b, n_random=2, seed=seed)
    assert found.outputs.shape == (2, 3 + 16 + 1)
    gone = together(result.attributions).sort(dim=1, descending=True).values.cumsum(1)
    start = linear(*(b if inserted else x))
    torch.testing.assert_close(found.outputs[:, 1:], start[:, None] + (gone if inserted else -gone))


def test_a_tuple_of_one_is_what_its_tensor_is() -> None:
    x, scores = draw(0, 2, 3, 4, 4), draw(1, 2, 3, 4, 4)
    f = lambda p: p.square().sum((1, 2, 3))  # noqa: E731
    for fill in ("blur", "mean", 0.5):
        one, other = (deletion(f, i, a, fill=fill, seed=3) for i, a in ((x, scores), ((x,), (scores,))))
        assert torch.equal(one.outputs, other.outputs)
        assert torch.equal(one.random_outputs, other.random_outputs)


def test_each_input_has_its_fill() -> None:
    x, scores = pair(0), pair(2)
    found = deletion(linear, x, scores, fill=(2.0, "mean"), n_steps=1)
    mean = x[1].mean((2, 3), keepdim=True).expand_as(x[1])
    torch.testing.assert_close(found.outputs[:, 1], linear(torch.full_like(x[0], 2.0), mean))
    assert found.fill == "2, mean"
    with pytest.raises(errors.ArgumentValueError, match=r"fill has 3 members, and there are 2 tensors"):
        deletion(linear, x, scores, fill=(2.0, "mean", 0))
    with pytest.raises(errors.ArgumentValueError, match=r"fill='blur' is made of pictures .* \(2, 3\).*tuple of fills"):
        deletion(linear, x, scores)


# ---------------------------------------------------------------- audit


def test_of_a_linear_model_a_part_of_any_input_is_worth_its_attributions() -> None:
    x, b = pair(3, 1), pair(5, 1)
    regions = {
        "of the first": (np.array([True, False, True]), None),
        "of the picture": (False, (0, 0, 2, 2)),
        "of both": (torch.tensor([False, True, False]), [(0, 0), (4, 0), (4, 4)]),
        "all": (True, True),
    }
    for given_map in (None, igw.attribute(linear, x, baselines=b, n_steps=2)):
        audits = audit_regions(linear, x, regions, baselines=b, attributions=given_map)
        for audit in audits:
            assert audit.attribution_sum == pytest.approx(audit.drop, abs=1e-9)
            assert audit.attribution_sum == pytest.approx(audit.rise, abs=1e-9)
        assert audits[3].output_without_region == pytest.approx(audits[3].baseline_output)
        assert [audit.pixels for audit in audits[:2]] == [2, 4]
        assert "values" in repr(audits).splitlines()[0]
    with pytest.raises(AttributeError, match="one of 2 inputs"):
        _ = audits[0].mask


def test_regions_of_what_is_no_picture() -> None:
    x, w = draw(0, 1, 5, 2), draw(1, 5, 2)
    f = lambda p: (p * w).sum((1, 2))  # noqa: E731
    steps = np.array([True, False, False, True, False])
    whole, by_step = (audit_region(f, x, mask) for mask in (np.stack([steps, steps], 1), steps))
    assert whole.drop == by_step.drop == pytest.approx(float((x * w)[0, [0, 3]].sum()))
    assert by_step.pixels == 4
    for region, message in (
        ((0, 0, 1, 1), "rectangles and polygons are for pictures"),
        (np.ones(4, dtype=bool), r"mask of shape \(4,\), the example \(5, 2\)"),
        (None, "holds nothing"),
    ):
        with pytest.raises(errors.IGError, match=message):
            audit_region(f, x, region)
    with pytest.raises(errors.ArgumentTypeError, match=r"region must be a tuple of 2, .* got ndarray"):
        audit_region(linear, pair(0, 1), steps)


# ---------------------------------------------------------------- shifted and randomised


def test_inputs_are_shifted_each_by_its_own() -> None:
    x, shift = pair(0), (0.5, draw(8, 1, 1, 4, 4))
    found = input_shift(linear, x, shift)
    assert float(found.baseline_shifted.max()) < 1e-9
    by_hand = (W * 0.5).expand(2, 3), (V * shift[1]).expand(2, 1, 4, 4)
    expected = together(by_hand).norm(dim=1) / together((x[0] * W, x[1] * V)).norm(dim=1)
    torch.testing.assert_close(found.baseline_left, expected)
    with pytest.raises(errors.ArgumentTypeError, match="shift is one tensor for 2 inputs"):
        input_shift(linear, x, torch.ones(1, 3))
    with pytest.raises(errors.ArgumentValueError, match="shift has 1 members, inputs has 2"):
        input_shift(linear, x, (1.0,))


class Two(nn.Module):
    """Scores of two inputs, a layer each and one for both."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.head = nn.Linear(3, 4), nn.Linear(5, 4), nn.Linear(8, 2)
        self.double().eval()

    def forward(self, one: Tensor, two: Tensor) -> Tensor:
        hidden = torch.cat([torch.tanh(self.first(one)), torch.relu(self.second(two))], dim=1)
        scores: Tensor = self.head(hidden)
        return scores


def test_randomised_maps_are_compared_over_all_inputs() -> None:
    model, x = Two(), (draw(0, 2, 3), draw(1, 2, 5))
    found = randomize_model(model, x, target=1, baselines=0.1)
    assert set(found.layers) == {"head", "second", "first"}
    assert isinstance(found.attributions, tuple)
    joined = randomize_model(
        model, x, lambda m, given: together(igw.attribute(m, given, target=1, baselines=0.1).attributions)
    )
    torch.testing.assert_close(found.correlations, joined.correlations)
    of_layer = randomize_model(model, x, target=1, layer=[model.first, "second"], layers=["head"])
    assert [t.shape for t in of_layer.attributions] == [(2, 4), (2, 4)]


# ---------------------------------------------------------------- what layers give


def behind(hidden: Tensor) -> Tensor:
    """A head that is not linear."""
    flat = hidden.flatten(1)
    return torch.stack([torch.tanh(flat.sum(1) / 4) + flat[:, 0], flat.square().sum(1).sqrt() * flat[:, 1]], 1)


class Through(nn.Module):
    """Ids, their embedding, and the head."""

    def __init__(self, calls: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.calls = nn.Embedding(9, 4).double(), calls

    def forward(self, ids: Tensor) -> Tensor:
        return behind(torch.stack([self.embedding((ids + k) % 9) for k in range(self.calls)]).sum(0))


IDS = torch.tensor([[3, 1, 4, 1, 5], [2, 6, 5, 3, 5]])


def test_a_check_of_a_layer_is_that_of_what_follows() -> None:
    """All that a check does with `layer=` it does with the rest of the model, at what the layer gives."""
    model, options = Through().eval(), {"target": [1, 0], "seed": 4}
    at, start = (model.embedding(ids).detach() for ids in (IDS, torch.full_like(IDS, 2)))
    result = igw.attribute(model, IDS, layer="embedding", baselines=2, target=[1, 0], n_steps=6)
    inner = igw.attribute(behind, at, baselines=start, target=[1, 0], n_steps=6)
    both = ((model, IDS, result, 2, {"layer": "embedding"}), (behind, at, inner, start, {}))
    for check in (deletion, insertion, infidelity):
        one, other = (check(f, x, a, baselines=b, **options, **more) for f, x, a, b, more in both)
        name = "values" if check is infidelity else "outputs"
        torch.testing.assert_close(getattr(one, name), getattr(other, name))
        assert float(getattr(one, name).abs().max()) > 1e-3
    one, other = (
        sensitivity_max(f, x, baselines=b, n_perturb_samples=2, perturb=noise(sigma=0.1), **options, **more)
        for f, x, _, b, more in both
    )
    torch.testing.assert_close(one.values, other.values, rtol=0.05, atol=0)
    tokens = np.array([True, False, False, True, False])
    for given_map in (False, True):
        one, other = (
            audit_region(
                f, x[:1], tokens, baselines=b if isinstance(b, int) else b[:1], target=1, **more,
                attributions=igw.attribute(f, x[:1], baselines=b if isinstance(b, int) else b[:1], target=1, n_steps=6,
                                           **more) if given_map else None,
            )
            for f, x, _, b, more in both
        )  # fmt: skip
        assert (one.drop, one.rise) == pytest.approx((other.drop, other.rise))
        assert one.attribution_sum == pytest.approx(other.attribution_sum, rel=0.1)


def test_several_calls_of_a_layer_are_replaced_at_once() -> None:
    model = Through(calls=2).eval()
    result = igw.attribute(model, IDS, layer="embedding", target=0, n_steps=6)
    found = deletion(model, IDS, result, layer="embedding", target=0, n_random=1)
    assert found.outputs.shape == (2, 21)
    zeros = model(torch.zeros_like(IDS)).detach()[:, 0]
    torch.testing.assert_close(found.outputs[:, [0, -1]], torch.stack([model(IDS).detach()[:, 0], zeros], 1))
    audit = audit_region(model, IDS[:1], True, layer="embedding", target=0)
    assert audit.output_without_region == pytest.approx(float(zeros[0]))
    assert audit.attribution_sum == pytest.approx(audit.drop, rel=0.05)
    assert sensitivity_max(model, IDS, layer="embedding", target=0, n_perturb_samples=1).values.shape == (2,)
    with pytest.raises(errors.ArgumentValueError, match=r"layer is called several times.*use deletion and insertion"):
        infidelity(model, IDS, result, layer="embedding", target=0)


class Tokens(nn.Module):
    """Steps first inside: (tokens, batch, dims), and of two inputs, of which one is a mask by keyword."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.embedding, self.head = nn.Embedding(9, 4).double(), nn.Linear(4, 2).double()

    def forward(self, ids: Tensor, *, mask: Tensor) -> dict[str, Tensor]:
        held = self.embedding(ids.T)
        mean = (held * mask.T[..., None]).sum(0) / mask.sum(1)[:, None]
        return {"logits": self.head(torch.tanh(mean))}


def test_keywords_outputs_and_layouts_follow_their_example() -> None:
    """The checks of each example of a batch are those of it alone, in models as people have them."""
    model, mask = Tokens().eval(), torch.tensor([[1.0, 1, 1, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.float64)
    result = igw.attribute(model, IDS, layer="embedding", target=1, n_steps=3, forward_kwargs={"mask": mask})
    assert result.attributions.shape == (5, 2, 4)
    options: dict[str, Any] = {"layer": "embedding", "target": 1, "output": "logits"}
    for check, name in ((deletion, "outputs"), (infidelity, "values")):
        whole = check(model, IDS, result, forward_kwargs={"mask": mask}, **options)
        for i in range(2):
            one = slice(i, i + 1)
            alone = check(model, IDS[one], result.attributions[:, one], forward_kwargs={"mask": mask[one]}, **options)
            torch.testing.assert_close(getattr(whole, name)[one], getattr(alone, name))
    found = sensitivity_max(model, IDS, forward_kwargs={"mask": mask}, n_perturb_samples=1, **options)
    assert found.values.shape == (2,)


# ---------------------------------------------------------------- what has no meaning


def test_what_does_not_fit_is_refused_by_name() -> None:
    x, model = pair(0), Through().eval()
    result = igw.attribute(model, IDS, layer="embedding", target=0, n_steps=2)
    refused: list[tuple[Any, str]] = [
        (lambda: infidelity(linear, x, x[0]), "attributions is one Tensor, and inputs is a tuple of 2 tensors"),
        (lambda: deletion(linear, x[0], x), "attributions is a tuple of 2, and inputs is 1 tensor"),
        (lambda: deletion(linear, x, x[::-1], baselines=0), r"attributions\[0\] has shape .*inputs\[0\] \(2, 3\)"),
        (lambda: deletion(model, IDS, result.attributions[:, :3], layer="embedding"), "attributions has shape .*layer"),
        (lambda: infidelity(linear, x, x, perturb=square()), "square is for pictures"),
        (lambda: infidelity(linear, x, x, perturb=lambda i, b, g: i[0]), "perturb must return a tuple of 2 tensors"),
        (lambda: infidelity(model, IDS, result, target=0), "inputs holds torch.int64"),
        (lambda: sensitivity_max(model, x[0], explain=lambda m, i: i, layer="embedding"), "layer and chunk_size"),
        (lambda: pointing(x, (0, 0, 2, 2)), r"attributions is a tuple of 2; .*result.attributions\[0\]"),
    ]
    for call, message in refused:
        with pytest.raises(errors.IGError, match=message):
            call()
