"""Small models of texts, from the embeddings of their tokens on."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from tests.engine.zoo.cases import Function, Made, Register
from tests.engine.zoo.vision import encoder

TEXT = Register()


def embedded(length: int = 7, width: int = 16, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(1, length, width)


class RMSNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(1 + 0.1 * torch.randn(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


def turned(x: Tensor) -> Tensor:
    """Rotary positions."""
    half = x.shape[-1] // 2
    angles = torch.arange(x.shape[-2], dtype=x.dtype)[:, None] / 100 ** (torch.arange(half, dtype=x.dtype) / half)
    a, b = x.chunk(2, -1)
    return torch.cat([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], -1)


class LlamaBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.one, self.two = RMSNorm(width), RMSNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.gate, self.down = (
            nn.Linear(a, b, bias=False) for a, b in [(width, 32), (width, 32), (32, width)]
        )

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(self.one(x)).chunk(3, -1))
        y = F.scaled_dot_product_attention(turned(q), turned(k), v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        z = self.two(x)
        return x + self.down(F.silu(self.gate(z)) * self.up(z))


@TEXT("Llama-like", singular="0")
def llama_zero() -> Made:
    model = nn.Sequential(LlamaBlock(16, 2), LlamaBlock(16, 2), RMSNorm(16), nn.Linear(16, 11))
    return Made(model, embedded(scale=0.5), 0.0, (6, 3))


@TEXT("Llama-like")
def llama_pad() -> Made:
    model = nn.Sequential(LlamaBlock(16, 2), LlamaBlock(16, 2), RMSNorm(16), nn.Linear(16, 11))
    return Made(model, embedded(), torch.randn(16), (6, 3))


@TEXT("Llama-like", singular="0")
def llama_single_block() -> Made:
    model = nn.Sequential(LlamaBlock(16, 4), RMSNorm(16), nn.Linear(16, 11))
    return Made(model, embedded(scale=0.05), 0.0, (5, 3))


class GPTBlock(nn.Module):
    def __init__(self, width: int, heads: int, act: nn.Module) -> None:
        super().__init__()
        self.one, self.two = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), act, nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        y = self.one(x)
        x = x + self.attention(y, y, y, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.two(x))


class Positions(nn.Module):
    def __init__(self, length: int, width: int, scale: float = 0.02) -> None:
        super().__init__()
        self.weight = nn.Parameter(scale * torch.randn(1, length, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


@TEXT("GPT-like")
def gpt() -> Made:
    model = nn.Sequential(
        Positions(7, 16), GPTBlock(16, 2, nn.GELU()), GPTBlock(16, 2, nn.GELU()), nn.LayerNorm(16), nn.Linear(16, 11)
    )
    return Made(model, embedded(scale=0.3), 0.0, (6, 2))


@TEXT("GPT-like")
def gpt_log_probability() -> Made:
    model = nn.Sequential(
        Positions(7, 16, 0.5), GPTBlock(16, 4, nn.GELU()), nn.LayerNorm(16), nn.Linear(16, 11), nn.LogSoftmax(-1)
    )
    return Made(model, embedded(), 0.0, (6, 2))


@TEXT("GPT-like", kinked=True)
def gpt_relu_float64() -> Made:
    model = nn.Sequential(
        Positions(7, 16, 0.5), GPTBlock(16, 4, nn.ReLU()), nn.LayerNorm(16), nn.Linear(16, 11)
    ).double()
    return Made(model, embedded().double(), 0.0, (6, 2))


def classified(*layers: nn.Module, width: int = 16) -> nn.Module:
    return Function(lambda self, x: self.parts[1](self.parts[0](x)[:, 0]), nn.Sequential(*layers), nn.Linear(width, 3))


@TEXT("BERT-like")
def bert() -> Made:
    return Made(classified(Positions(7, 16, 0.5), nn.LayerNorm(16), encoder(16, 2, "gelu", False)), embedded(), 0.0, 1)


@TEXT("BERT-like", singular="0")
def bert_no_positions() -> Made:
    return Made(classified(nn.LayerNorm(16), encoder(16, 2, "gelu", False)), embedded(), 0.0, 1)


@TEXT("BERT-like", kinked=True)
def bert_tanh_pooler_relu() -> Made:
    return Made(
        classified(Positions(7, 16, 0.5), encoder(16, 2, "relu", False), nn.Linear(16, 16), nn.Tanh()),
        embedded(),
        0.0,
        1,
    )


@TEXT("left padding")
def padded_attention() -> Made:
    """As OPT has it: a row of the mask that is empty attends to nothing."""

    def forward(self: Any, x: Tensor) -> Tensor:
        seen = torch.tensor([False, False, True, True, True, True, True])
        mask = seen & torch.ones(7, 7, dtype=torch.bool).tril()
        q, k, v = (part.unflatten(-1, (2, -1)).transpose(1, 2) for part in self.parts[0](x).chunk(3, -1))
        bias = torch.zeros(7, 7, dtype=x.dtype).masked_fill(~mask, torch.finfo(x.dtype).min)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.parts[2](self.parts[1](y.transpose(1, 2).flatten(2))[:, -1])

    return Made(
        Function(forward, nn.Linear(16, 48), nn.Sequential(nn.Linear(16, 16), nn.GELU()), nn.Linear(16, 5)),
        embedded(),
        0.0,
        1,
    )


@TEXT("left padding", kinked=True)
def boolean_mask_all_false() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        mask = torch.tensor([False, True, True, True, True, True, True]) & torch.ones(7, 7, dtype=torch.bool).tril()
        q, k, v = (part.unflatten(-1, (2, -1)).transpose(1, 2) for part in self.parts[0](x).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.parts[2](F.relu(self.parts[1](y.transpose(1, 2).flatten(2)))[:, -1])

    return Made(Function(forward, nn.Linear(16, 48), nn.Linear(16, 16), nn.Linear(16, 5)), embedded(), 0.0, 1)


class T5Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = RMSNorm(width), RMSNorm(width)
        self.qkv, self.bias = nn.Linear(width, 3 * width, bias=False), nn.Parameter(torch.randn(7, 7))
        self.inner, self.outer = nn.Linear(width, 24, bias=False), nn.Linear(24, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.one(x)).chunk(3, -1)
        x = x + (q @ k.transpose(1, 2) / 4 + self.bias).softmax(-1) @ v
        return x + self.outer(F.relu(self.inner(self.two(x))))


@TEXT("T5-like", kinked=True, singular="0")
def t5() -> Made:
    return Made(classified(T5Block(16), T5Block(16), RMSNorm(16)), embedded(), 0.0, 1)


@TEXT("linear attention")
def linear_attention() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        q, k, v = self.parts[0](x).chunk(3, -1)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        y = q @ (k.transpose(1, 2) @ v) / (q @ k.sum(1, keepdim=True).transpose(1, 2))
        return self.parts[1](y.mean(1))

    return Made(Function(forward, nn.Linear(16, 48), nn.Linear(16, 5)), embedded(), 0.0, 1)


@TEXT("attention pooling")
def attention_pooling() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        weights = self.parts[0](x).softmax(1)
        return self.parts[1]((weights * x).sum(1))

    return Made(
        Function(forward, nn.Sequential(nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 1)), nn.Linear(16, 4)),
        embedded(scale=3),
        0.0,
        1,
    )


@TEXT("attention pooling")
def sharp_attention() -> Made:
    """Attention of a trained model: far from even."""

    def forward(self: Any, x: Tensor) -> Tensor:
        q, k, v = self.parts[0](x).chunk(3, -1)
        return self.parts[1](((4 * q @ k.transpose(1, 2)).softmax(-1) @ v).mean(1))

    return Made(Function(forward, nn.Linear(16, 48), nn.Linear(16, 4)), embedded(scale=2), 0.0, 1)


@TEXT("time first", kinked=True)
def time_first_linear() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        return self.parts[0](x.transpose(0, 1)).mean(0)

    return Made(Function(forward, nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 3))), embedded(16), 0.0, 1)


@TEXT("time first")
def time_first_encoder() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        return self.parts[1](self.parts[0](x.transpose(0, 1))[0])

    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, "gelu")
    return Made(
        Function(forward, nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(16, 3)),
        embedded(),
        0.0,
        1,
    )


@TEXT("time first", kinked=True)
def time_first_encoder_relu() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        return self.parts[1](self.parts[0](x.transpose(0, 1))[0])

    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, "relu")
    return Made(
        Function(forward, nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), nn.Linear(16, 3)),
        embedded(16),
        0.0,
        1,
    )


@TEXT("checkpointed", kinked=True)
def checkpointed_blocks() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        for part in self.parts[:2]:
            x = checkpoint(part, x, use_reentrant=False)
        return self.parts[2](x.mean(1))

    def block() -> nn.Module:
        return nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 16))

    return Made(Function(forward, block(), block(), nn.Linear(16, 3)), embedded(), 0.0, 1, more={"thaw": False})


@TEXT("checkpointed")
def checkpointed_transformer() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        return self.parts[1](checkpoint(self.parts[0], x, use_reentrant=False).mean(1))

    return Made(Function(forward, encoder(16, 2), nn.Linear(16, 3)), embedded(), 0.0, 1)


@TEXT("memory network")
def memory_network() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        state = self.question.expand(len(x), -1)
        for _ in range(3):
            weights = (x @ state.unsqueeze(-1)).softmax(1)
            state = torch.tanh(self.parts[0](state) + (weights * x).sum(1))
        return self.parts[1](state)

    return Made(Function(forward, nn.Linear(16, 16), nn.Linear(16, 4), question=torch.randn(1, 16)), embedded(), 0.0, 1)


@TEXT("state space")
def diagonal_state_space() -> Made:
    """As S4D and Mamba: a gated linear recurrence with steps of a length that the input says."""

    def forward(self: Any, x: Tensor) -> Tensor:
        step = F.softplus(self.parts[0](x))
        keep = torch.exp(-step * torch.exp(self.log_rate))
        state, outputs = torch.zeros_like(x[:, 0]), []
        for t in range(x.shape[1]):
            state = keep[:, t] * state + step[:, t] * x[:, t]
            outputs.append(state)
        y = torch.stack(outputs, 1) * F.silu(self.parts[1](x))
        return self.parts[2](y.mean(1))

    return Made(
        Function(forward, nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4), log_rate=torch.linspace(-2, 1, 16)),
        embedded(12),
        0.0,
        1,
    )


@TEXT("bag of embeddings", kinked=True)
def deep_averaging() -> Made:
    model = Function(
        lambda self, x: self.parts[0](x.mean(1)),
        nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 3), nn.LogSoftmax(-1)),
    )
    return Made(model, embedded(9), torch.randn(1, 1, 16), 1)


@TEXT("text CNN", kinked=True)
def text_cnn_max_over_time() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        return self.parts[2](torch.cat([F.relu(part(x)).amax(-1) for part in self.parts[:2]], 1))

    return Made(Function(forward, nn.Conv1d(16, 8, 2), nn.Conv1d(16, 8, 3), nn.Linear(16, 3)), embedded(9), 0.0, 1)


@TEXT("trained transformer")
def trained_copy_task() -> Made:
    """Trained for some seconds to tell whether a vector comes twice: attention becomes sharp."""
    model = Function(
        lambda self, x: self.parts[2](self.parts[1](self.parts[0](x)).mean(1)).squeeze(1),
        nn.Linear(8, 16), encoder(16, 2, depth=1), nn.Linear(16, 1),
    )  # fmt: skip
    table = torch.randn(12, 8)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(150):
        tokens = torch.randint(0, 12, (64, 6))
        twice = torch.tensor([len(set(row)) < 6 for row in tokens.tolist()]).float()
        loss = F.binary_cross_entropy_with_logits(model(table[tokens]), twice)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Made(model.requires_grad_(False), table[torch.tensor([[1, 4, 2, 1, 7, 9]])], table.mean(0))


@TEXT("sentence similarity", singular="0", jumps=True)  # below 1e-8 its gradient in torch is not its slope
def cosine_of_embeddings() -> Made:
    def forward(self: Any, x: Tensor, other: Tensor) -> Tensor:
        a, b = self.parts[0](x).mean(1), self.parts[0](other).mean(1)
        return F.cosine_similarity(a, b)

    inner = nn.Sequential(nn.Linear(16, 16, bias=False), nn.GELU(), nn.Linear(16, 16, bias=False))
    return Made(Function(forward, inner), embedded(), 0.0, extra=(embedded(),))


@TEXT("sentence similarity")
def mean_pooled_encoder_similarity() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        return F.normalize(self.parts[0](x).mean(1), dim=-1) @ F.normalize(self.other, dim=0)

    return Made(
        Function(forward, nn.Sequential(Positions(7, 16, 0.5), encoder(16, 2)), other=torch.randn(16)), embedded(), 0.0
    )


@TEXT("multi-head with relative bias", kinked=True)
def alibi_squared_relu() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        q, k, v = self.parts[0](x).chunk(3, -1)
        at = torch.arange(x.shape[1])
        bias = -(at[:, None] - at).abs().to(x.dtype) * 0.3
        y = (q @ k.transpose(1, 2) / math.sqrt(16) + bias).softmax(-1) @ v
        return self.parts[2](F.relu(self.parts[1](x + y)).square().mean(1))

    return Made(Function(forward, nn.Linear(16, 48), nn.Linear(16, 24), nn.Linear(24, 4)), embedded(), 0.0, 1)
