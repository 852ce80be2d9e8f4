"""Relatives of what layers give are those of the rest of the model; and what is said where they have no meaning."""

from __future__ import annotations

import inspect
import threading
from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets import errors, faithfulness, relatives
from ig_widgets.engine.errors import Cancelled
from tests.engine.subjects import draw

IDS, START = torch.tensor([[3, 1, 4, 1], [2, 6, 5, 3]]), torch.tensor([[0, 8, 0, 8]])


class Model(nn.Module):
    """Ids, their embedding, and a head of smooth operations."""

    def __init__(self, calls: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.inner, self.outer = nn.Embedding(9, 3), nn.Linear(12, 5), nn.Linear(5, 2)
        self.calls = calls
        self.double().eval()

    def behind(self, held: Tensor) -> Tensor:
        """Scores (rows, 2) of what the embedding gives."""
        scores: Tensor = self.outer(torch.tanh(self.inner(held.flatten(1))))
        return scores

    def forward(self, ids: Tensor) -> dict[str, Tensor]:
        held = torch.stack([self.embedding((ids + k) % 9) for k in range(self.calls)]).sum(0)
        return {"scores": self.behind(held)}


# By name: options, and whether baselines are asked for.
ALL: dict[str, tuple[dict[str, Any], bool]] = {
    "gradient": ({}, False),
    "input_x_gradient": ({}, True),
    "smoothgrad": ({"n_samples": 4, "seed": 2}, False),
    "smoothgrad_squared": ({"n_samples": 4}, False),
    "vargrad": ({"n_samples": 4}, False),
    "deeplift": ({}, True),
    "expected_gradients": ({"n_samples": 12, "seed": 1}, True),
    "gradient_shap": ({"n_samples": 12, "sigma": 0.1}, True),
    "guided_integrated_gradients": ({"n_knots": 6, "n_steps": 6, "method": "riemann_middle"}, True),
    "idgi": ({"n_steps": 7}, True),
    "smooth_integrated_gradients": ({"n_samples": 3, "n_steps": 5, "method": "gausslegendre"}, True),
}
HAVE_NO_LAYER = {"blur_integrated_gradients": {}, "xrai": {"segments": torch.zeros(6, 6, dtype=torch.long)}}


def test_none_is_forgotten() -> None:
    classes = {"OverBaselines", "RegionAttribution"}
    assert set(relatives.__all__) - classes == {*ALL, *HAVE_NO_LAYER, "over_baselines"}


@pytest.mark.parametrize("name", ALL)
def test_of_a_layer_is_of_what_follows(name: str) -> None:
    model, (options, has_baselines) = Model(), ALL[name]
    function = getattr(relatives, name)
    at, start = model.embedding(IDS).detach(), model.embedding(START).detach()
    starts, inner_starts = ({"baselines": b} if has_baselines else {} for b in (START, start))
    ours = function(model, IDS, layer="embedding", target=[1, 0], output="scores", **starts, **options)
    inner = function(model.behind, at, target=[1, 0], **inner_starts, **options)
    for one, other in (
        (ours.attributions, inner.attributions),
        (ours.output, inner.output),
        (ours.convergence_delta, inner.convergence_delta),
        (ours.standard_error, inner.standard_error),
    ):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    assert float(ours.attributions.abs().max()) > 1e-5


def test_many_baselines_are_looked_at_through_the_layer() -> None:
    """Over the draws of K baselines it is the mean of the maps of `attribute(layer=)`, to within its standard error."""
    model, many = Model(), torch.randint(0, 9, (5, 4), generator=torch.Generator().manual_seed(0))
    options: dict[str, Any] = {"layer": model.embedding, "target": 1, "output": "scores"}
    found = relatives.expected_gradients(model, IDS, baselines=many, n_samples=500, **options)
    each = relatives.over_baselines(
        model, IDS, baselines=[row[None] for row in many], n_steps=9, method="gausslegendre", **options
    )
    off = (found.attributions - each.attributions).abs()
    assert bool((off <= 4 * found.standard_error + 1e-9).all())
    assert float((found.convergence_delta / (found.output - found.baseline_output)).abs().max()) < 0.2


def test_input_x_gradient_is_captums_layer_gradient_x_activation() -> None:
    model, x = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3, bias=False)).double().eval(), draw(0, 2, 4)
    # Captum multiplies by what the layer gives, hence ours from where it gives nothing.
    nn.init.zeros_(model[0].bias)
    ours = relatives.input_x_gradient(model, x, layer="1", target=[0, 2])
    theirs = captum.attr.LayerGradientXActivation(model, model[1]).attribute(x, target=torch.tensor([0, 2]))
    torch.testing.assert_close(ours.attributions, theirs.detach())


def test_deeplift_is_captums_layer_deeplift() -> None:
    model, x = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double().eval(), draw(0, 2, 4)
    ours = relatives.deeplift(model, x, layer="0", target=1, baselines=0.5)
    theirs = captum.attr.LayerDeepLift(model, model[0]).attribute(x, torch.full_like(x, 0.5), target=1)
    torch.testing.assert_close(ours.attributions, theirs.detach())


def test_calls_are_added_up_where_they_add_up() -> None:
    model = Model(calls=2)
    options: dict[str, Any] = {"layer": "embedding", "target": 0, "output": "scores"}
    found = relatives.smoothgrad(model, IDS, sigma=0.0, n_samples=2, **options)
    held = torch.stack([model.embedding((IDS + k) % 9) for k in range(2)]).sum(0).detach().requires_grad_()
    (slope,) = torch.autograd.grad(model.behind(held)[:, 0].sum(), held)
    # Each call is given the same slope.
    torch.testing.assert_close(found.attributions, 2 * slope)
    assert found.standard_error is None
    for name in ("smoothgrad_squared", "vargrad"):
        with pytest.raises(errors.ArgumentValueError, match=f"layer is called several times, and what {name} says"):
            getattr(relatives, name)(model, IDS, **options)


def test_what_was_drawn_before_a_cancel_is_of_the_layer() -> None:
    model, cancel = Model(), threading.Event()
    with pytest.raises(Cancelled) as caught:
        relatives.smoothgrad(
            model, IDS, layer="embedding", target=0, output="scores", n_samples=50, chunk_size=2,
            on_progress=lambda done, total: cancel.set(), cancel=cancel,
        )  # fmt: skip
    assert caught.value.partial is not None
    assert isinstance(caught.value.partial.attributions, Tensor)
    assert caught.value.partial.attributions.shape == (2, 4, 3)


# ---------------------------------------------------------------- words


@pytest.mark.parametrize("name", HAVE_NO_LAYER)
def test_where_a_layer_has_no_meaning_it_is_said(name: str) -> None:
    with pytest.raises(errors.ArgumentValueError, match=r"layer cannot be given here: .*igw.attribute takes it"):
        getattr(relatives, name)(nn.Flatten(), draw(0, 1, 3, 6, 6), layer="0", **HAVE_NO_LAYER[name])


def test_baselines_whose_layers_depend_on_the_example_are_refused() -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 2).double()

        def forward(self, x: Tensor, shift: Tensor) -> Tensor:
            return torch.tanh(self.inner(x + shift)).sum(1)

    model, x, shift, many = Shifted().eval(), draw(0, 2, 3), draw(1, 2, 3), draw(2, 4, 3)
    options: dict[str, Any] = {"layer": "inner", "baselines": many, "n_samples": 8}
    with pytest.raises(errors.ArgumentValueError, match=r"baselines with layer= .*one by one"):
        relatives.expected_gradients(model, x, additional_forward_args=shift, **options)
    alone = relatives.expected_gradients(model, x[:1], additional_forward_args=shift[:1], **options)
    shifted = relatives.expected_gradients(
        lambda held: torch.tanh(held).sum(1),
        model.inner(x[:1] + shift[:1]).detach(),
        baselines=model.inner(many + shift[:1]).detach(),
        n_samples=8,
    )
    torch.testing.assert_close(alone.attributions, shifted.attributions)


@pytest.mark.parametrize(
    ("inputs", "baselines"),
    [
        (draw(0, 1, 3), draw(1, 4, 3)),
        (draw(0, 2, 3), draw(1, 4, 3)),
        (draw(0, 1, 3), [0, 1]),
        (draw(0, 1, 3), [draw(1, 1, 3), draw(2, 1, 3), draw(3, 1, 3)]),
        ((draw(0, 1, 3), draw(1, 1, 3)), [(0, 0), (1, 1)]),
        ((draw(0, 1, 3), draw(1, 1, 3)), [(0, 0), (1, 1), (2, 2)]),
        ((draw(0, 1, 3), draw(1, 1, 3)), (draw(2, 4, 3), draw(3, 4, 3))),
    ],
)
@pytest.mark.parametrize("name", ["attribute", "idgi", "guided_integrated_gradients", "deeplift", "input_x_gradient"])
def test_several_baselines_of_an_input_are_told_where_to_go(name: str, inputs: Any, baselines: Any) -> None:
    function = igw.attribute if name == "attribute" else getattr(relatives, name)
    with pytest.raises(
        errors.IGError, match=r"^baselines.*over_baselines makes a map of each, and .*expected_gradients"
    ):
        function(lambda *x: sum(x).sum(1), inputs, baselines=baselines)


def test_a_bar_may_be_asked_for_wherever_progress_is_told() -> None:
    """The annotation is what `attribute` has, for type checkers."""
    functions = [getattr(m, name) for m in (relatives, faithfulness) for name in m.__all__]
    told = [f for f in functions if inspect.isfunction(f) and "on_progress" in inspect.signature(f).parameters]
    assert len(told) >= 19
    assert {inspect.signature(f).parameters["on_progress"].annotation for f in told} == {"ProgressLike"}
