"""Convolutional models: the layout of an image in memory is the user's affair and changes nothing."""

from __future__ import annotations

import pytest
import torch

from ig_widgets.engine.attribution import attribute
from tests.engine.subjects import ConvScores, draw, relative

X, B = draw(1, 2, 3, 6, 6), draw(2, 1, 3, 6, 6)


@pytest.mark.parametrize("chunk_size", [1, 7, None])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_channels_last_inputs_give_the_same(chunk_size: int | None, dtype: torch.dtype) -> None:
    model = ConvScores((4,), seed=3).to(dtype)
    x, b = X.to(dtype), B.to(dtype)
    options = {"baselines": b, "target": 2, "n_steps": 9, "chunk_size": chunk_size}
    plain = attribute(model, x, **options)  # type: ignore[arg-type]
    last = attribute(model, x.contiguous(memory_format=torch.channels_last), **options)  # type: ignore[arg-type]
    assert relative(last.attributions, plain.attributions) <= (1e-6 if dtype == torch.float32 else 1e-12)
    assert relative(last.path.outputs, plain.path.outputs) <= (1e-6 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("chunk_size", [1, 7, None])
def test_a_model_that_uses_view(chunk_size: int | None) -> None:
    """`.view(len(x), -1)` fails on the channels-last output of a convolution: a plain image must stay plain."""
    viewing, flattening = ConvScores((4,), seed=3, flatten="view"), ConvScores((4,), seed=3)
    got = attribute(viewing, X, baselines=B, target=2, n_steps=9, chunk_size=chunk_size)
    expected = attribute(flattening, X, baselines=B, target=2, n_steps=9)
    assert relative(got.attributions, expected.attributions) <= 1e-12


def test_a_channels_last_model() -> None:
    model = ConvScores((4,), seed=3)
    plain = attribute(model, X, target=2, n_steps=9)
    converted = attribute(model.to(memory_format=torch.channels_last), X, target=2, n_steps=9)
    assert relative(converted.attributions, plain.attributions) <= 1e-12


def test_what_is_not_an_image_may_have_four_dimensions() -> None:
    """Attention maps, say: a model with a convolution elsewhere, and an input that is read by its strides."""
    conv = ConvScores((4,), seed=3)

    def forward(at: torch.Tensor) -> torch.Tensor:
        return conv(at)[:, 1] + at.view(len(at), -1)[:, 5] ** 2

    result = attribute(forward, X, n_steps=9)
    square = attribute(lambda at: at.flatten(1)[:, 5] ** 2, X, n_steps=9).attributions
    rest = attribute(conv, X, target=1, n_steps=9).attributions
    torch.testing.assert_close(result.attributions, square + rest, rtol=0, atol=1e-12)
