"""Arguments of the wrong type: an error of ours that names the argument, before the model is called."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.engine.attribution import attribute, refine
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, IGError
from tests.engine.subjects import Scores, draw

X = draw(1, 3, 4)


def never(*_: object, **__: object) -> Tensor:
    raise AssertionError("the model was called")


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "progress a number": (X, {"on_progress": 5}, "on_progress must be None, True"),
    "progress a text": (X, {"on_progress": "yes"}, "on_progress must be"),
    "cancel a bool": (X, {"cancel": True}, "cancel must be None or an event"),
    "cancel a function": (X, {"cancel": lambda: False}, "cancel must be None or an event"),
    "complex baseline": (X, {"baselines": X.to(torch.complex128)}, "baselines holds torch.complex128"),
    "complex number": (X, {"baselines": 1j}, "baselines must be None"),
    "list in a tuple": ((X, X), {"baselines": ([X, X], 0)}, r"baselines\[0\] must be None"),
    "lists in a list": ((X, X), {"baselines": [[0], [0]]}, r"baselines\[0\] must be None"),
    "several baselines": (X, {"baselines": [X, X * 0]}, "igw.relatives.over_baselines.*expected_gradients"),
    "rows of baselines": (X[:1], {"baselines": torch.zeros(5, 4)}, "over_baselines.*expected_gradients"),
    "a dict": ({"ids": X}, {}, "inputs is a dict.*forward_kwargs"),
    "forward args a dict": (X, {"additional_forward_args": {"mask": X}}, "additional_forward_args is a dict"),
    "forward kwargs a tuple": (X, {"forward_kwargs": (1,)}, "forward_kwargs must be a mapping"),
    "output a list": (X, {"output": ["logits"]}, "output must be"),
    "multiply a text": (X, {"multiply_by_inputs": "no"}, "multiply_by_inputs must be True or False"),
    "layer a number": (X, {"layer": 3}, "layer must be a module"),
    "layer of a tuple": (X, {"layer": (nn.Linear(4, 4),)}, "layer must be a module"),
    "chunk size a text": (X, {"chunk_size": "all"}, "chunk_size must be"),
    "steps a float": (X, {"n_steps": 2.5}, "n_steps must be"),
    "target a text": (X, {"target": "cat"}, "target must be"),
    "target a float": (X, {"target": 1.0}, "target must be"),
    "mask a list": (X, {"feature_mask": [0, 0, 1, 1]}, "feature_mask"),
}
LAYER = nn.Linear(4, 4)


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("inside", [False, True])
def test_it_is_named_before_any_work(kind: str, inside: bool) -> None:
    inputs, options, says = WRONG[kind]
    if inside:
        options = {"layer": LAYER, **options}
    for ask in (attribute, refine):
        with pytest.raises(IGError, match=says):
            ask(never, inputs, **options)


def test_baselines_of_ids_are_ids() -> None:
    model = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 2))
    with pytest.raises(ArgumentValueError, match=r"baselines is 0\.5, .*torch\.int64"):
        attribute(model, torch.ones(1, 2, dtype=torch.int64), layer="0", baselines=0.5, target=0)
    with pytest.raises(ArgumentTypeError, match="baselines must be None"):
        attribute(model, torch.ones(1, 2, dtype=torch.int64), layer="0", baselines="pad", target=0)


@pytest.mark.parametrize("name", ["gradient", "smoothgrad", "idgi", "deeplift", "expected_gradients"])
def test_relatives_look_too(name: str) -> None:
    function = getattr(igw.relatives, name)
    baselines = {"baselines": X * 0} if name == "expected_gradients" else {}
    with pytest.raises(ArgumentTypeError, match="on_progress must be"):
        function(never, X, on_progress="yes", **baselines)
    with pytest.raises(ArgumentTypeError, match="cancel must be"):
        function(never, X, cancel=1, **baselines)


# ------------------------------------------------------------------ a bar


@pytest.mark.parametrize("options", [{"tol": 0.01}, {"n_steps": 9}, {"n_steps": 9, "method": "secant"}], ids=str)
def test_true_is_a_bar(options: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    model = Scores([(4,)], (5,), seed=9)
    for ask in (attribute, lambda *a, **o: list(refine(*a, **o))[-1]):
        found = ask(model, X, target=1, on_progress=True, cancel=threading.Event(), **options)
        text = capfd.readouterr().err
        total = 3 * found.evaluations
        assert f"{total}/{total} evaluations [" in text
        assert " left" in text
        assert ("error" in text) == ("tol" in options)
        attribute(model, X, target=1, on_progress=False, **options)
        assert not capfd.readouterr().err


def test_relatives_show_it_too(capfd: pytest.CaptureFixture[str]) -> None:
    igw.relatives.smoothgrad(Scores([(4,)], (5,), seed=9), X, target=1, n_samples=4, on_progress=True)
    assert "12/12 evaluations [" in capfd.readouterr().err


def test_numpy_numbers_are_numbers() -> None:
    model = Scores([(4,)], (5,), seed=9)
    expected = attribute(model, X, target=1, n_steps=4, chunk_size=6)
    got = attribute(model, X, target=np.int64(1), n_steps=np.int64(4), chunk_size=np.int64(6))
    torch.testing.assert_close(got.attributions, expected.attributions)
