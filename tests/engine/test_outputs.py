"""Models that return more than a tensor, and arguments by keyword: the same numbers as those of a function without."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ig_widgets.engine.attribution import attribute, refine
from ig_widgets.engine.errors import ArgumentTypeError, OutputError
from tests.engine.subjects import Scores, draw

X = draw(1, 3, 4)
MODEL, OTHER = Scores([(4,)], (5,), seed=9), Scores([(4,)], (2,), seed=3)
EXPECTED = attribute(MODEL, X, target=1, n_steps=6).attributions


@dataclass
class Found:
    logits: Tensor
    hidden: tuple[Tensor, ...] = ()


class Slotted:
    __slots__ = ("logits", "loss")

    def __init__(self, logits: Tensor) -> None:
        self.logits, self.loss = logits, None


Named = namedtuple("Named", ["logits", "loss"])
RETURNED: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "dict": lambda y, z: {"logits": y, "other": z},
    "ordered": lambda y, z: OrderedDict(loss=None, logits=y),
    "dataclass": lambda y, z: Found(y, (z,)),
    "namespace": lambda y, z: SimpleNamespace(logits=y, loss=z),
    "slots": lambda y, z: Slotted(y),
    "named tuple": Named,
}


@pytest.mark.parametrize("kind", RETURNED)
@pytest.mark.parametrize("method", ["gausslegendre", "secant", "auto"])
def test_logits_are_found(kind: str, method: str) -> None:
    def forward(x: Tensor) -> Any:
        return RETURNED[kind](MODEL(x), OTHER(x))

    for output in (None, "logits", lambda out: out["logits"] if isinstance(out, dict) else out.logits):
        got = attribute(forward, X, target=1, n_steps=6, method=method, output=output)
        expected = attribute(MODEL, X, target=1, n_steps=6, method=method)
        torch.testing.assert_close(got.attributions, expected.attributions, rtol=0, atol=1e-12)


NESTED: list[tuple[Any, Callable[[Tensor, Tensor], Any]]] = [
    ("scores", lambda y, z: {"scores": y, "logits": z}),
    (1, lambda y, z: (z, y)),
    (0, lambda y, z: [y]),
    (0, lambda y, z: {0: y, 1: z}),
    (("heads", 1, "out"), lambda y, z: {"heads": [z, SimpleNamespace(out=y)]}),
    ("logits", lambda y, z: Named(y, z)),
    (0, lambda y, z: Named(y, z)),
    (lambda out: out["a"] + 0 * out["b"].sum(1, keepdim=True), lambda y, z: {"a": y, "b": z}),
]


@pytest.mark.parametrize(("output", "returned"), NESTED, ids=lambda v: str(v)[:12])
def test_what_output_names(output: Any, returned: Callable[[Tensor, Tensor], Any]) -> None:
    got = attribute(lambda x: returned(MODEL(x), OTHER(x)), X, target=1, n_steps=6, output=output)
    torch.testing.assert_close(got.attributions, EXPECTED, rtol=0, atol=1e-12)
    *_, last = refine(lambda x: returned(MODEL(x), OTHER(x)), X, target=1, n_steps=6, output=output)
    torch.testing.assert_close(last.attributions, got.attributions, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("returned", "output", "says"),
    [
        (lambda y: {"scores": y, "aux": y}, None, r"scores: float64 \(\d, 5\).*output='scores'"),
        (lambda y: (y, y), None, r"tuple of 2 .*output=0"),
        (lambda y: {"a": {"b": y}}, None, r"output='a'"),
        (lambda y: {"a": {"b": y}}, "a", r"output=\('a', 'b'\)"),
        (lambda y: {"a": y}, "b", r"output='b'.*a: float64"),
        (lambda y: (y,), 3, r"output=3.*tuple of 1"),
        (lambda y: y, 0, r"asks for 0 of a tensor.*target"),
        (lambda y: {"ids": y.argmax(1)}, "ids", "int64"),
        (lambda y: y, lambda out: [out], "must pick a tensor, it picked a list"),
        (lambda y: {"logits": None, "state": y}, None, "output='state'"),
        (lambda y: y.to(torch.complex128), None, "complex128"),
        (lambda y: "text", None, "a str"),
    ],
)
def test_what_there_is_is_told(returned: Callable[[Tensor], Any], output: Any, says: str) -> None:
    with pytest.raises(OutputError, match=says):
        attribute(lambda x: returned(MODEL(x)), X, target=1, n_steps=4, output=output)


def test_what_output_cannot_be() -> None:
    for output in (2.5, True, ["a"], (), ("a", 1.0), nn.Linear):
        with pytest.raises(ArgumentTypeError, match="output must be"):
            attribute(MODEL, X, target=1, n_steps=4, output=output)  # type: ignore[arg-type]


# ------------------------------------------------------------------ by keyword


class Masked(nn.Module):
    """The mean of the rows that a mask leaves, through a network; `scale` has no example."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = Scores([(4,)], (2,), seed=5)

    def forward(self, x: Tensor, *, mask: Tensor, scale: float = 1.0, more: dict[str, Any] | None = None) -> Tensor:
        shift = 0.0 if more is None else more["shift"][0]
        return self.scores((x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True) * scale + shift)


WORDS, MASK = draw(2, 3, 5, 4), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])


@pytest.mark.parametrize("method", ["gausslegendre", "secant"])
def test_keywords_follow_their_example(method: str) -> None:
    model, shift = Masked(), draw(7, 3, 4)
    options: dict[str, Any] = {"target": 1, "n_steps": 8, "method": method}
    kwargs = {"mask": MASK, "scale": 0.5, "more": {"shift": [shift]}}
    together = attribute(model, WORDS, forward_kwargs=kwargs, **options)
    for i in range(3):
        own = slice(i, i + 1)
        alone = attribute(
            lambda x, own=own: model(x, mask=MASK[own].expand(len(x), -1), scale=0.5, more={"shift": [shift[own]]}),
            WORDS[own],
            **options,
        )
        torch.testing.assert_close(together.attributions[own], alone.attributions, rtol=0, atol=1e-12)
    assert (together.attributions[1, 3:] == 0).all()


def test_keywords_that_cannot_be() -> None:
    for wrong in ([1], "mask", MASK):
        with pytest.raises(ArgumentTypeError, match="forward_kwargs must be a mapping"):
            attribute(Masked(), WORDS, target=1, forward_kwargs=wrong)  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match=r"forward_kwargs must have texts for keys, got 1"):
        attribute(Masked(), WORDS, target=1, forward_kwargs={1: MASK})  # type: ignore[dict-item]
    with pytest.raises(ArgumentTypeError, match=r"additional_forward_args is a dict with 'mask'.*forward_kwargs="):
        attribute(Masked(), WORDS, target=1, additional_forward_args={"mask": MASK})


# ------------------------------------------------------------------ Hugging Face


def test_a_model_of_hugging_face_as_it_is() -> None:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, num_labels=3
    )
    torch.manual_seed(0)
    model = BertForSequenceClassification(config).double().eval()
    ids = torch.randint(1, 40, (3, 6), generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0]])
    options: dict[str, Any] = {"target": 2, "n_steps": 6, "method": "gausslegendre"}
    got = attribute(
        model, ids, baselines=0, layer="bert.embeddings", forward_kwargs={"attention_mask": mask}, **options
    )

    def embedded(x: Tensor, mask: Tensor) -> Tensor:
        hidden = model.bert.encoder(x, attention_mask=(1.0 - mask[:, None, None].double()) * -1e300)[0]
        return model.classifier(model.bert.pooler(hidden))

    ends = [model.bert.embeddings(i).detach() for i in (ids, torch.zeros_like(ids))]
    expected = attribute(embedded, ends[0], baselines=ends[1], additional_forward_args=mask, **options)
    torch.testing.assert_close(got.attributions, expected.attributions, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(got.output, model(ids, attention_mask=mask).logits[:, 2])
