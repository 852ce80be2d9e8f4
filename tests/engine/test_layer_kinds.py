"""Layers by name, called several times, of several rows an example, with steps first, beside other inputs."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ig_widgets.engine.attribution import attribute
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from tests.engine.subjects import draw

METHODS = ["gausslegendre", "secant"]


def made(module: nn.Module, seed: int = 0) -> Any:
    for i, p in enumerate(module.parameters()):
        p.data = draw(seed + i, *p.shape)
    return module.double().eval()


def ids(seed: int, *shape: int) -> Tensor:
    return torch.randint(1, 9, shape, generator=torch.Generator().manual_seed(seed))


def close(one: Any, other: Any) -> None:
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


class Words(nn.Module):
    """Scores of a text (rows, words) by what its embeddings' mean says."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"embed": nn.Embedding(9, 4)})
        self.head = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))

    def forward(self, words: Tensor) -> Tensor:
        return self.read(self.inner["embed"](words))

    def read(self, embedded: Tensor) -> Tensor:
        return self.head(embedded.mean(1))


@pytest.mark.parametrize("method", METHODS)
def test_by_dotted_name_as_by_module(method: str) -> None:
    model, words = made(Words()), ids(1, 3, 5)
    options: dict[str, Any] = {"target": 1, "n_steps": 6, "method": method}
    by_module = attribute(model, words, layer=model.inner["embed"], **options)
    for layer in ("inner.embed", ["inner.embed"]):
        for function in (model, lambda x: model(x), torch.compile(model, backend="eager"), nn.DataParallel(model)):
            close(attribute(function, words, layer=layer, **options).attributions, by_module.attributions)


def test_a_name_that_is_not_there() -> None:
    model = made(Words())
    with pytest.raises(ArgumentValueError, match=r"'embed', and forward_func has no such module; .*'inner\.embed'"):
        attribute(model, ids(1, 3, 5), layer="embed", target=1)
    other = made(Words())
    with pytest.raises(ArgumentValueError, match=r"which is a module of 2 models"):
        attribute(lambda x: model(x) + other(x), ids(1, 3, 5), layer="inner.embed", target=1)


class Siamese(nn.Module):
    """The same embedding and the same layer for both texts."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.shared, self.last = nn.Embedding(9, 4), nn.Linear(4, 5), nn.Linear(5, 2)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return self.read(self.embed(one), self.embed(other))

    def read(self, one: Tensor, other: Tensor) -> Tensor:
        left, right = (torch.relu(self.shared(e)).mean(1) for e in (one, other))
        return self.last(left * right.tanh())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("lengths", [(5, 5), (5, 3)])
def test_a_layer_that_is_called_twice(method: str, lengths: tuple[int, int]) -> None:
    """Each call's contribution, as of a model with an input for each; summed, where shapes allow."""
    model, pair = made(Siamese()), (ids(1, 2, lengths[0]), ids(2, 2, lengths[1]))
    options: dict[str, Any] = {"target": 1, "n_steps": 6, "method": method}
    got = attribute(model, pair, layer="embed", **options)
    ends = [tuple(model.embed(i).detach() for i in at) for at in (pair, tuple(torch.zeros_like(p) for p in pair))]
    each = attribute(model.read, ends[0], baselines=ends[1], **options)
    if lengths[0] == lengths[1]:
        close(got.attributions, each.attributions[0] + each.attributions[1])
        mask = torch.tensor([0, 0, 1, 1])
        grouped = attribute(model, pair, layer="embed", feature_mask=mask, **options)
        close(grouped.group_attributions[:, 1], got.attributions[..., 2:].sum((1, 2)))
    else:
        close(got.attributions, each.attributions)
    close(got.convergence_delta, each.convergence_delta)
    close(got.output, each.output)


def test_calls_that_feed_one_another_are_refused() -> None:
    class Repeats(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.step = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.step(self.step(x).tanh()).sum(1)

    with pytest.raises(ArgumentValueError, match=r"'step' is called more than once .* computed from another"):
        attribute(made(Repeats()), draw(1, 2, 4), layer="step")


def test_an_idle_call_is_nothing() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.step = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            self.step(x * 2)
            return self.step(x).tanh().sum(1)

    model, x = made(Idle()), draw(1, 2, 4)
    got = attribute(model, x, layer="step", n_steps=6)
    expected = attribute(
        lambda h: h.tanh().sum(1), model.step(x).detach(), baselines=model.step(x * 0).detach(), n_steps=6
    )
    close(got.attributions, expected.attributions)


class Documents(nn.Module):
    """Documents of sentences (rows, sentences, words): the embedding and `sentence` see rows x sentences rows."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.sentence, self.head = nn.Embedding(9, 4), nn.Linear(4, 5), nn.Linear(5, 2)

    def forward(self, documents: Tensor) -> Tensor:
        rows, sentences, words = documents.shape
        return self.read(self.embed(documents.view(rows * sentences, words)), sentences)

    def read(self, embedded: Tensor, sentences: int) -> Tensor:
        by_sentence = torch.tanh(self.sentence(embedded.mean(1)))
        return self.head(by_sentence.view(-1, sentences, 5).amax(1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_batch_times_k_rows(batch: int, method: str) -> None:
    model, documents = made(Documents()), ids(3, batch, 3, 5)
    options: dict[str, Any] = {"target": 1, "n_steps": 6, "method": method}
    got = attribute(model, documents, layer="embed", **options)
    ends = [model.embed(d).detach() for d in (documents, documents * 0)]
    expected = attribute(lambda e: model.read(e.flatten(0, 1), 3), ends[0], baselines=ends[1], **options)
    assert got.attributions.shape == (3 * batch, 5, 4)
    close(got.attributions, expected.attributions.flatten(0, 1))
    close(got.convergence_delta, expected.convergence_delta)
    inner = attribute(model, documents, layer="sentence", **options)
    assert inner.attributions.shape == (3 * batch, 5)
    close(inner.attributions.view(batch, -1).sum(1), inner.output - inner.baseline_output + inner.convergence_delta)


class StepsFirst(nn.Module):
    """Takes (rows, steps), works on (steps, rows, features)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.cell, self.head = nn.Embedding(9, 4), nn.GRU(4, 5), nn.Linear(5, 2)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.cell(self.embed(words.T))[0][-1])


@pytest.mark.parametrize("batch", [1, 3, 4])  # 4: as many examples as steps
@pytest.mark.parametrize("method", METHODS)
def test_a_layer_whose_steps_come_first(batch: int, method: str) -> None:
    model, words = made(StepsFirst()), ids(3, batch, 4)
    options: dict[str, Any] = {"target": 1, "n_steps": 6, "method": method}
    got = attribute(model, words, layer="embed", **options)
    ends = [model.embed(w).detach() for w in (words, words * 0)]
    expected = attribute(
        lambda e: model.head(model.cell(e.transpose(0, 1))[0][-1]), ends[0], baselines=ends[1], **options
    )
    assert got.attributions.shape == (4, batch, 4)
    close(got.attributions.transpose(0, 1), expected.attributions)


class Mixed(nn.Module):
    """Two columns of categories and three numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.city, self.trade, self.head = nn.Embedding(9, 2), nn.Embedding(9, 3), nn.Linear(8, 4)
        self.last = nn.Linear(4, 2)

    def forward(self, city: Tensor, trade: Tensor, numbers: Tensor) -> Tensor:
        return self.read(self.city(city), self.trade(trade), numbers)

    def read(self, city: Tensor, trade: Tensor, numbers: Tensor) -> Tensor:
        return self.last(torch.tanh(self.head(torch.cat([city, trade, numbers], 1))))


@pytest.mark.parametrize("method", METHODS)
def test_embeddings_beside_continuous_inputs(method: str) -> None:
    model, city, trade, numbers = made(Mixed()), ids(1, 3), ids(2, 3), draw(3, 3, 3)
    options: dict[str, Any] = {"target": 1, "n_steps": 6, "method": method}
    inputs, baselines = (city, trade, numbers), (0, 0, 0.5)
    got = attribute(model, inputs, baselines=baselines, layer=["city", model.trade, 2], **options)
    start = (model.city(city * 0).detach(), model.trade(trade * 0).detach(), torch.full_like(numbers, 0.5))
    end = (model.city(city).detach(), model.trade(trade).detach(), numbers)
    close(got.attributions, attribute(model.read, end, baselines=start, **options).attributions)
    close(got.baseline_output, model(city * 0, trade * 0, torch.full_like(numbers, 0.5))[:, 1])
    held = attribute(model, inputs, baselines=baselines, layer=["city", "trade"], **options)
    close(
        held.attributions,
        attribute(
            lambda c, t, n: model.read(c, t, n),
            end[:2],
            baselines=start[:2],
            additional_forward_args=numbers,
            **options,
        ).attributions,
    )


# ------------------------------------------------------------------ integers


def test_integers_name_the_layers_and_the_call_that_works() -> None:
    model, words = made(Words()), ids(1, 3, 5)
    with pytest.raises(ArgumentTypeError, match=r"'inner\.embed' \(9 ids\)") as caught:
        attribute(model, words, target=1)
    call = re.search(r"attribute\(.*?\.\.\.\)", str(caught.value))
    assert call is not None
    text = call.group().replace("baselines=..., target=...", "baselines=0, target=1, n_steps=4")
    found = eval(text, {"attribute": attribute, "forward_func": model, "inputs": words})
    close(found.attributions, attribute(model, words, layer="inner.embed", target=1, n_steps=4).attributions)


def test_integers_beside_continuous_inputs_name_all() -> None:
    model, inputs = made(Mixed()), (ids(1, 3), ids(2, 3), draw(3, 3, 3))
    with pytest.raises(ArgumentTypeError, match=r"inputs\[0\] holds torch\.int64") as caught:
        attribute(lambda *x: model(*x), inputs, target=1)
    assert "layer=['city', 'trade', 2]" in str(caught.value)
    with pytest.raises(ArgumentTypeError, match=r"holds torch\.int64.*embedding layer's output as inputs"):
        attribute(lambda x: x.double(), ids(1, 3))


# ------------------------------------------------------------------ texts of unequal length


class Masking(nn.Module):
    """Leaves a mask away where it masks nothing, as models of Hugging Face do, and picks by it where it does."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.inner, self.head = nn.Embedding(9, 4), nn.Linear(4, 5), nn.Linear(5, 2)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        hidden = torch.relu(self.inner(self.embed(words)))
        if not bool(mask.all()):
            kept = torch.zeros_like(hidden)
            kept[mask.bool()] = hidden[mask.bool()]
            hidden = kept
        return self.head(hidden.sum(1) / mask.sum(1, keepdim=True))


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2], [2, 1, 0]])
@pytest.mark.parametrize(("method", "chunk_size"), [("gausslegendre", 1), ("gausslegendre", None), ("secant", 4)])
def test_each_example_comes_out_as_it_does_alone(order: list[int], method: str, chunk_size: int | None) -> None:
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    model, words = made(Masking()), ids(1, 3, 5) * mask
    options: dict[str, Any] = {"target": 1, "n_steps": 12, "method": method, "layer": "embed", "chunk_size": chunk_size}
    got = attribute(model, words[order], forward_kwargs={"mask": mask[order]}, **options)
    for place, example in enumerate(order):
        own = slice(example, example + 1)
        alone = attribute(model, words[own], forward_kwargs={"mask": mask[own]}, **options)
        close(got.attributions[place], alone.attributions[0])
        close(got.convergence_delta[place], alone.convergence_delta[0])
