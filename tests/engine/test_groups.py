"""feature_mask, and layer= in attribute."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ig_widgets.engine.attribution import attribute, refine
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from tests.engine.subjects import METHODS, Scores, draw

X = (draw(1, 3, 4), draw(2, 3, 2, 3))
MODEL = Scores([(4,), (2, 3)], (3,), seed=4)


def test_groups_reach_across_tensors_and_add_up() -> None:
    masks = (torch.tensor([[0, 1, 1, 3]]), torch.tensor([[[0, 0, 2], [2, 3, 3]]]))
    result = attribute(MODEL, X, target=1, feature_mask=masks, n_steps=5)
    sums = result.group_attributions
    assert sums is not None
    assert sums.shape == (3, 4)
    for group in range(4):
        parts = [(a * (m == group)).flatten(1).sum(1) for a, m in zip(result.attributions, masks, strict=True)]
        torch.testing.assert_close(sums[:, group], parts[0] + parts[1])
    total = sums.sum(1) - (result.output - result.baseline_output)
    torch.testing.assert_close(total, result.convergence_delta)


def test_a_mask_for_each_example_and_one_for_every_item_of_refine() -> None:
    mask = torch.randint(0, 5, (3, 4), generator=torch.Generator().manual_seed(0))
    model = Scores([(4,)], seed=1)
    for item in refine(model, X[0], feature_mask=mask, n_steps=9):
        assert item.group_attributions is not None
        assert isinstance(item.attributions, Tensor)
        expected = torch.stack([(item.attributions * (mask == g)).sum(1) for g in range(int(mask.max()) + 1)], 1)
        torch.testing.assert_close(item.group_attributions, expected)


@pytest.mark.parametrize(
    ("mask", "kind", "said"),
    [
        (torch.zeros(1, 5, dtype=torch.int64), ArgumentValueError, r"shape \(1, 5\), its input \(3, 4\)"),
        (torch.zeros(1, 4), ArgumentTypeError, "float32"),
        (torch.full((1, 4), -1), ArgumentValueError, "numbered from 0"),
        ((torch.zeros(1, 4, dtype=torch.int64),) * 2, ArgumentValueError, "2 members, inputs has 1"),
        ([[0, 1, 2, 3]], ArgumentTypeError, "list"),
    ],
)
def test_masks_that_cannot_work(mask: object, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        attribute(Scores([(4,)]), X[0], feature_mask=mask, n_steps=2)  # type: ignore[arg-type]


class Words(nn.Module):
    """An embedding, two layers behind it, and a second output that is not used."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.first, self.last = nn.Embedding(7, 4), nn.Linear(4, 5), nn.Linear(5, 3)
        self.aside = nn.Linear(4, 2)
        self.double().eval()

    def forward(self, ids: Tensor, scale: float = 1.0) -> Tensor:
        embedded = self.embed(ids)
        output: Tensor = self.last(self.first(embedded * scale).tanh().mean(1))
        return output


IDS = torch.tensor([[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("method", [*METHODS, "secant"])
def test_layer_is_the_rest_of_the_model_from_there(method: str) -> None:
    model = Words()
    ours = attribute(model, IDS, baselines=0, target=1, layer=model.embed, method=method, n_steps=6)
    with torch.no_grad():
        x, b = model.embed(IDS), model.embed(torch.zeros_like(IDS))

    def rest(embedded: Tensor) -> Tensor:
        output: Tensor = model.last(model.first(embedded).tanh().mean(1))
        return output

    expected = attribute(rest, x, baselines=b, target=1, method=method, n_steps=6)
    torch.testing.assert_close(ours.attributions, expected.attributions)
    torch.testing.assert_close(ours.convergence_delta, expected.convergence_delta)
    assert not model.embed._forward_hooks


def test_layer_with_further_arguments_and_groups_of_tokens() -> None:
    model = Words()
    tokens = torch.arange(3).view(1, 3, 1)
    result = attribute(
        model, IDS, target=0, additional_forward_args=2.0, layer=model.embed, feature_mask=tokens, n_steps=8
    )
    assert isinstance(result.attributions, Tensor)
    assert result.group_attributions is not None
    torch.testing.assert_close(result.group_attributions, result.attributions.sum(2))


def test_layers_that_cannot_work() -> None:
    model = Words()
    with pytest.raises(ArgumentValueError, match="aside"):
        attribute(model, IDS, target=0, layer=model.aside, n_steps=2)
    with pytest.raises(ArgumentValueError, match="embed"):
        attribute(model, IDS, target=0, layer=[model.embed, model.first], n_steps=2)
    with pytest.raises(ArgumentTypeError, match="layer"):
        attribute(model, IDS, target=0, layer=2.0, n_steps=2)  # type: ignore[arg-type]
    with pytest.raises(ArgumentValueError, match="baselines has 2 members"):
        attribute(model, IDS, target=0, layer=model.embed, baselines=(0, 0), n_steps=2)
