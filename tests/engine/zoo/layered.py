"""Models of several examples at once, and what is attributed to one of their layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.engine.zoo.cases import Function, Made, Register
from tests.engine.zoo.series import Recurrent
from tests.engine.zoo.tabular import mlp
from tests.engine.zoo.text import Positions, embedded
from tests.engine.zoo.vision import BLACK, conv, encoder, head, picture

LAYERED = Register()


def behind(first: nn.Module, rest: nn.Module, inputs: Tensor, baselines: Tensor, target: int) -> Made:
    """The attribution to what `first` gives to `rest`."""
    with torch.no_grad():
        at, start = first.eval()(inputs), first(baselines)
    whole = nn.Sequential(first, rest).eval()
    asked = {"forward_func": whole, "inputs": inputs, "baselines": baselines, "layer": whole[0]}
    return Made(rest, at, start, target, more={"asked": asked})


def pooled(*layers: nn.Module, width: int = 16) -> nn.Module:
    return Function(
        lambda self, x: self.parts[1](self.parts[0](x).mean(1)), nn.Sequential(*layers), nn.Linear(width, 3)
    )


@LAYERED("layer")
def embeddings_of_two_texts() -> Made:
    tokens, padding = torch.randint(1, 20, (2, 7)), torch.zeros(2, 7, dtype=torch.long)
    return behind(nn.Embedding(20, 16), pooled(Positions(7, 16, 0.5), encoder(16, 2)), tokens, padding, 1)


@LAYERED("layer")
def embeddings_of_a_text_lstm() -> Made:
    tokens, padding = torch.randint(1, 20, (1, 9)), torch.zeros(1, 9, dtype=torch.long)
    return behind(nn.Embedding(20, 4, padding_idx=0), Recurrent(nn.LSTM(4, 12, batch_first=True)), tokens, padding, 2)


@LAYERED("layer")
def first_block_of_a_transformer() -> Made:
    first = nn.Sequential(Positions(7, 16, 0.5), encoder(16, 2, depth=1))
    return behind(first, pooled(encoder(16, 2, depth=1)), torch.randn(3, 7, 16), torch.zeros(3, 7, 16), 0)


@LAYERED("layer", kinked=True)
def convolution_inside() -> Made:
    first = nn.Sequential(conv(3, 8), nn.ReLU())
    rest = nn.Sequential(conv(8, 12, stride=2), nn.ReLU(), head(12))
    two = torch.cat([picture(), picture()])
    return behind(first, rest, two, torch.full_like(two, BLACK), 1)


@LAYERED("batch", singular="0")
def layer_norm_of_three_scales() -> Made:
    """Each example is hard at another place beside zero."""
    x = torch.randn(3, 10) * torch.tensor([[0.02], [1.0], [100.0]])
    return Made(nn.Sequential(nn.LayerNorm(10), mlp(10, 24, 3, act=nn.GELU)), x, 0.0, 1)


@LAYERED("batch", singular="0", kinked=True)
def one_example_from_zero() -> Made:
    x = torch.randn(3, 10)
    start = torch.cat([torch.zeros(1, 10), torch.randn(2, 10)])
    return Made(nn.Sequential(nn.RMSNorm(10, eps=1e-6), mlp(10, 24, 24, 3)), x, start, 1)


@LAYERED("batch", kinked=True)
def pictures_of_a_batch() -> Made:
    two = torch.cat([picture(), 0.3 * picture(), 2 * picture()])
    return Made(nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 12, stride=2), nn.ReLU(), head(12)), two, BLACK, 2)


@LAYERED("batch")
def a_steep_example_among_flat_ones() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        return torch.sigmoid(40 * self.parts[0](x).squeeze(1) - 10)

    x = torch.randn(4, 10) * torch.tensor([[3.0], [0.3], [0.3], [1.0]])
    return Made(Function(forward, mlp(10, 24, 1, act=nn.Tanh, gain=2)), x, 0.0)


@LAYERED("batch", kinked=True)
def many_rows() -> Made:
    return Made(mlp(10, 32, 32, 3, gain=2.0), torch.randn(40, 10), 0.0, 1)


@LAYERED("batch", singular="0")
def texts_by_cosine() -> Made:
    def forward(self: Any, x: Tensor, other: Tensor) -> Tensor:
        a, b = (F.normalize(self.parts[0](one).mean(1), dim=-1) for one in (x, other))
        return (a * b).sum(-1)

    inner = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 8))
    both = torch.cat([embedded(), 0.1 * embedded()])
    return Made(Function(forward, inner), both, 0.0, extra=(torch.cat([embedded(), embedded()]),))
