"""Small models of tables, points, sets and physics."""

from __future__ import annotations

import math
import warnings
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.engine.zoo.cases import Function, Made, Register
from tests.engine.zoo.text import Positions
from tests.engine.zoo.vision import encoder

TABULAR = Register()


def row(features: int = 10) -> Tensor:
    return torch.randn(1, features)


def mlp(*widths: int, act: type[nn.Module] = nn.ReLU, gain: float = 1.0) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inside, outside in pairwise(widths):
        layers += [nn.Linear(inside, outside), act()]
        layers[-2].weight.data *= gain
    return nn.Sequential(*layers[:-1])


def trained(model: nn.Module, target: Any, features: int, steps: int = 150, binary: bool = False) -> nn.Module:
    """A model fitted for a second to `target` of random rows."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(steps):
        x = torch.randn(128, features)
        output = model(x).squeeze(-1)
        loss = F.binary_cross_entropy_with_logits(output, target(x)) if binary else F.mse_loss(output, target(x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


# ---------------------------------------------------------------- multi-layer perceptrons

for _name, _act, _kinked in (
    ("relu", nn.ReLU, True),
    ("gelu", nn.GELU, False),
    ("silu", nn.SiLU, False),
    ("tanh", nn.Tanh, False),
    ("selu", nn.SELU, True),
    ("mish", nn.Mish, False),
    ("hardtanh", nn.Hardtanh, True),
    ("softplus", nn.Softplus, False),
):

    @TABULAR("MLP", f"mlp_{_name}", kinked=_kinked)
    def _mlp(act: type[nn.Module] = _act) -> Made:
        return Made(mlp(10, 32, 32, 3, act=act, gain=2.0), row(), row(), 1)


@TABULAR("MLP", kinked=True)
def mlp_relu_deep_float64() -> Made:
    return Made(mlp(10, *(24,) * 6, 2, gain=2.4).double(), row().double(), 0.0, 1)


@TABULAR("MLP", kinked=True)
def mlp_relu_without_bias() -> Made:
    """IG from zeros is input times gradient."""
    model = mlp(10, 32, 32, 3)
    for layer in model[::2]:
        layer.bias = None
    return Made(model, row(), 0.0, 1)


@TABULAR("MLP", kinked=True)
def mlp_batch_of_three() -> Made:
    return Made(mlp(10, 32, 16, 3, gain=2.0), torch.randn(3, 10), torch.randn(3, 10), 2)


@TABULAR("MLP")
def mlp_tanh_half_precision() -> Made:
    return Made(mlp(10, 32, 32, 3, act=nn.Tanh, gain=2.0).half(), row().half(), 0.0, 1)


@TABULAR("MLP", kinked=True)
def mlp_relu_bfloat16() -> Made:
    return Made(mlp(10, 48, 48, 3, gain=2.0).bfloat16(), row().bfloat16(), 0.0, 1)


@TABULAR("trained MLP")
def trained_probability() -> Made:
    """A confident classifier by its probability: a step along the path."""
    net = trained(mlp(6, 32, 32, 1, act=nn.Tanh), lambda x: (x[:, 0] * x[:, 1] + x[:, 2] > 0).float(), 6, binary=True)
    x = torch.tensor([[1.5, 1.2, 1.0, -0.4, 0.3, 0.9]])
    return Made(nn.Sequential(net, nn.Sigmoid(), nn.Flatten(0)), x, -x)


@TABULAR("trained MLP", kinked=True)
def trained_regression() -> Made:
    net = trained(mlp(6, 48, 48, 1), lambda x: (3 * x[:, 0]).sin() + x[:, 1] * x[:, 2].abs(), 6)
    return Made(net, torch.tensor([[1.5, 1.2, -1.0, -0.4, 0.3, 0.9]]), 0.0, 0)


@TABULAR("maxout", kinked=True)
def maxout() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        for layer in self.parts[:2]:
            x = layer(x).unflatten(-1, (-1, 3)).amax(-1)
        return self.parts[2](x)

    return Made(Function(forward, nn.Linear(10, 60), nn.Linear(20, 48), nn.Linear(16, 3)), row(), row(), 1)


@TABULAR("gated linear unit")
def glu() -> Made:
    return Made(
        nn.Sequential(nn.Linear(10, 32), nn.GLU(), nn.Linear(16, 32), nn.GLU(), nn.Linear(16, 3)), 2 * row(), 0.0, 1
    )


@TABULAR("gated linear unit", kinked=True)
def reglu_and_swiglu() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        a, b = self.parts[0](x).chunk(2, -1)
        x = F.relu(a) * b
        a, b = self.parts[1](x).chunk(2, -1)
        return self.parts[2](F.silu(a) * b)

    return Made(Function(forward, nn.Linear(10, 48), nn.Linear(24, 48), nn.Linear(24, 3)), 2 * row(), 0.0, 1)


@TABULAR("highway", kinked=True)
def highway() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        for inner, gate in zip(self.parts[:4:2], self.parts[1:4:2], strict=True):
            t = gate(x).sigmoid()
            x = t * F.relu(inner(x)) + (1 - t) * x
        return self.parts[4](x)

    return Made(Function(forward, *(nn.Linear(10, 10) for _ in range(4)), nn.Linear(10, 3)), 2 * row(), 0.0, 1)


# ---------------------------------------------------------------- norms at the baseline


@TABULAR("norm at the baseline", singular="0")
def layer_norm_tanh() -> Made:
    norm = nn.LayerNorm(16)
    return Made(Function(lambda self, x: self.parts[0](x).tanh() @ self.w, norm, w=torch.randn(16, 3)), row(16), 0.0, 1)


@TABULAR("norm at the baseline", singular="0", kinked=True)
def layer_norm_then_relu_mlp() -> Made:
    return Made(nn.Sequential(nn.LayerNorm(10), mlp(10, 32, 32, 3)), row(), 0.0, 1)


@TABULAR("norm at the baseline", singular="0")
def rms_norm_gelu() -> Made:
    return Made(nn.Sequential(nn.RMSNorm(10, eps=1e-6), mlp(10, 24, 3, act=nn.GELU)), row(), 0.0, 1)


@TABULAR("norm at the baseline", singular="0")
def normalize_then_mlp() -> Made:
    shift = nn.Linear(10, 12)
    shift.bias.data *= 1e-3
    return Made(
        nn.Sequential(shift, Function(lambda self, x: F.normalize(x, dim=-1)), mlp(12, 24, 3, act=nn.SiLU, gain=2)),
        row(),
        0.0,
        1,
    )


@TABULAR("norm at the baseline", singular="0")
def standardised_by_itself() -> Made:
    return Made(
        Function(lambda self, x: self.parts[0](x / (x.std(-1, keepdim=True) + 1e-5)), mlp(10, 24, 3, act=nn.Tanh)),
        row(),
        0.0,
        1,
    )


@TABULAR("norm at the baseline", singular="0")
def layer_norm_far_larger_input() -> Made:
    return Made(nn.Sequential(nn.LayerNorm(10), mlp(10, 24, 3, act=nn.GELU)), 300 * row(), 0.0, 1)


@TABULAR("norm at the input", singular="1")
def layer_norm_ends_at_zero() -> Made:
    """A row of equal features, which has no direction, is explained."""
    return Made(nn.Sequential(nn.LayerNorm(10), mlp(10, 24, 3, act=nn.GELU)), torch.ones(1, 10), row(), 1)


@TABULAR("norm on the way", places=(0.4,))
def layer_norm_passes_near_zero() -> Made:
    x = row()
    return Made(nn.Sequential(nn.LayerNorm(10), mlp(10, 24, 3, act=nn.GELU)), 0.6 * x + 1e-3 * row(), -0.4 * x, 1)


# ---------------------------------------------------------------- tables


class TableModel(nn.Module):
    """Continuous features beside embedded categories, which come as further arguments."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(n, 4) for n in (5, 7))
        self.norm = nn.LayerNorm(6) if norm else nn.BatchNorm1d(6)
        self.net = mlp(14, 32, 16, 2)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        embedded = [table(categories[:, i]) for i, table in enumerate(self.tables)]
        return self.net(torch.cat([self.norm(numbers), *embedded], 1))


@TABULAR("table with categories", kinked=True)
def entity_embeddings() -> Made:
    return Made(TableModel(False), row(6), 0.0, 1, extra=(torch.tensor([[2, 4]]),))


@TABULAR("table with categories", kinked=True, singular="0")
def entity_embeddings_layer_norm() -> Made:
    return Made(TableModel(True), row(6), 0.0, 1, extra=(torch.tensor([[1, 6]]),))


@TABULAR("table with categories")
def two_inputs() -> Made:
    """Numbers and embedded categories are both attributed to."""
    model = Function(
        lambda self, a, b: self.parts[0](torch.cat([a, b.flatten(1)], 1)), mlp(14, 24, 3, act=nn.SiLU, gain=2)
    )
    return Made(model, (row(6), torch.randn(1, 2, 4)), (torch.zeros(1, 6), torch.randn(1, 2, 4)), 1)


@TABULAR("wide and deep", kinked=True)
def wide_and_deep() -> Made:
    return Made(
        Function(lambda self, x: (self.parts[0](x) + self.parts[1](x)).sigmoid(), nn.Linear(10, 1), mlp(10, 32, 16, 1)),
        row(),
        0.0,
        0,
    )


@TABULAR("factorisation machine")
def factorisation_machine() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        pairs = ((x @ self.v).square() - x.square() @ self.v.square()).sum(1) / 2
        return torch.sigmoid(self.parts[0](x).squeeze(1) + pairs)

    return Made(Function(forward, nn.Linear(10, 1), v=torch.randn(10, 4) / 2), row(), 0.0)


@TABULAR("deep and cross", kinked=True)
def deep_and_cross() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = x
        for cross in self.parts[:2]:
            y = x * cross(y) + y
        return self.parts[3](torch.cat([y, self.parts[2](x)], 1))

    return Made(
        Function(forward, nn.Linear(10, 10), nn.Linear(10, 10), mlp(10, 16, 8), nn.Linear(18, 1)), row(), 0.0, 0
    )


@TABULAR("FT-Transformer", kinked=True)
def ft_transformer_reglu() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        tokens = x.unsqueeze(-1) * self.weight + self.bias
        tokens = torch.cat([self.first.expand(len(x), 1, -1), tokens], 1)
        return self.parts[1](F.relu(self.parts[0](tokens)[:, 0]))

    tensors = {"weight": torch.randn(8, 16) / 4, "bias": torch.randn(8, 16) / 4, "first": torch.randn(1, 16) / 4}
    return Made(Function(forward, encoder(16, 2), nn.Linear(16, 2), **tensors), row(8), 0.0, 1)


@TABULAR("FT-Transformer", singular="0")
def ft_transformer_without_bias() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        return self.parts[1](self.parts[0](x.unsqueeze(-1) * self.weight).mean(1))

    return Made(Function(forward, encoder(16, 2), nn.Linear(16, 2), weight=torch.randn(8, 16)), row(8), 0.0, 1)


def sparsemax(z: Tensor) -> Tensor:
    ordered = z.sort(-1, descending=True).values
    ranks = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype)
    sums = ordered.cumsum(-1)
    support = (1 + ranks * ordered > sums).sum(-1, keepdim=True)
    threshold = (sums.gather(-1, support - 1) - 1) / support.to(z.dtype)
    return F.relu(z - threshold)


@TABULAR("TabNet", kinked=True)
def tabnet() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        norm, first, last, *steps = self.parts
        x = norm(x)
        prior, hidden, total = torch.ones_like(x), F.glu(first(x)), 0
        for attend, inner in zip(steps[::2], steps[1::2], strict=True):
            mask = sparsemax(attend(hidden) * prior)
            prior = prior * (1.3 - mask)
            hidden = F.glu(inner(mask * x))
            total = total + F.relu(hidden)
        return last(total)

    steps = [layer for _ in range(2) for layer in (nn.Linear(8, 10), nn.Linear(10, 16))]
    return Made(Function(forward, nn.BatchNorm1d(10), nn.Linear(10, 16), nn.Linear(8, 2), *steps), 2 * row(), 0.0, 1)


@TABULAR("soft decision tree")
def soft_decision_tree() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        right = (4 * self.parts[0](x)).sigmoid()
        reach = torch.ones(len(x), 1, dtype=x.dtype)
        for depth in range(3):
            gates = right[:, 2**depth - 1 : 2 ** (depth + 1) - 1]
            reach = torch.stack([reach * (1 - gates), reach * gates], -1).flatten(1)
        return reach @ self.leaves

    return Made(Function(forward, nn.Linear(10, 7), leaves=torch.randn(8, 3)), row(), row(), 1)


@TABULAR("KAN")
def kolmogorov_arnold() -> Made:
    """Splines of Gaussians on each edge, as FastKAN."""

    def forward(self: Any, x: Tensor) -> Tensor:
        for weight in (self.one, self.two):
            bases = torch.exp(-(((x.unsqueeze(-1) - self.grid) / 0.5) ** 2))
            x = torch.einsum("bik,oik->bo", bases, weight)
        return x

    return Made(
        Function(forward, grid=torch.linspace(-2, 2, 8), one=torch.randn(8, 6, 8) / 3, two=torch.randn(2, 8, 8) / 3),
        row(6),
        0.0,
        1,
    )


@TABULAR("KAN", kinked=True)
def linear_splines() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        hats = F.relu(1 - (x.unsqueeze(-1) - self.grid).abs() * 2)
        return self.parts[0](torch.einsum("bik,oik->bo", hats, self.weight).tanh())

    return Made(
        Function(forward, nn.Linear(8, 2), grid=torch.linspace(-2, 2, 9), weight=torch.randn(8, 6, 9)), row(6), 0.0, 1
    )


@TABULAR("survival")
def cox() -> Made:
    """The probability to outlive a time, of a proportional hazard."""
    return Made(
        Function(
            lambda self, x: torch.exp(-0.7 * torch.exp(self.parts[0](x).squeeze(1))),
            mlp(10, 24, 1, act=nn.SELU, gain=2),
        ),
        row(),
        0.0,
        more={"kinked": True},
    )


@TABULAR("several labels", kinked=True)
def multi_label_sigmoid() -> Made:
    return Made(nn.Sequential(mlp(10, 32, 8, gain=2), nn.Sigmoid()), row(), 0.0, 6)


@TABULAR("log-probability", kinked=True)
def log_probability() -> Made:
    return Made(nn.Sequential(mlp(10, 32, 5, gain=3), nn.LogSoftmax(-1)), 2 * row(), 0.0, 2)


@TABULAR("log-probability")
def loss_as_output() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        return -F.cross_entropy(self.parts[0](x), torch.full((len(x),), 2), reduction="none")

    return Made(Function(forward, mlp(10, 24, 5, act=nn.GELU, gain=3)), 2 * row(), 0.0)


@TABULAR("mixture density")
def mixture_density() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        share, mean, log_width = self.parts[0](x).chunk(3, -1)
        normal = torch.distributions.Normal(mean, log_width.exp())
        return torch.logsumexp(share.log_softmax(-1) + normal.log_prob(torch.tensor(0.5, dtype=x.dtype)), -1)

    return Made(Function(forward, mlp(10, 24, 9, act=nn.Tanh, gain=2)), row(), 0.0)


@TABULAR("quantised", jumps=True, kinked=True)
def straight_through_activations() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = F.relu(self.parts[0](x))
        y = y + ((y * 16).round() / 16 - y).detach()
        return self.parts[1](y)

    return Made(Function(forward, nn.Linear(10, 24), nn.Linear(24, 3)), 2 * row(), 0.0, 1)


@TABULAR("quantised", kinked=True)
def fake_quantised_weights() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.parts):
            weight = torch.fake_quantize_per_tensor_affine(layer.weight.float(), 0.05, 0, -128, 127).to(x.dtype)
            x = F.linear(x, weight, layer.bias)
            x = F.relu(x) if i == 0 else x
        return x

    return Made(Function(forward, nn.Linear(10, 24), nn.Linear(24, 3)), 2 * row(), 0.0, 1)


# ---------------------------------------------------------------- experts


def experts(number: int = 4, act: type[nn.Module] = nn.GELU) -> list[nn.Module]:
    return [nn.Sequential(nn.Linear(10, 16), act(), nn.Linear(16, 3)) for _ in range(number)]


@TABULAR("mixture of experts")
def soft_experts() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        gates = (3 * self.parts[-1](x)).softmax(-1)
        return sum(gates[:, i, None] * expert(x) for i, expert in enumerate(self.parts[:-1]))

    return Made(Function(forward, *experts(), nn.Linear(10, 4)), 2 * row(), 0.0, 1)


@TABULAR("mixture of experts", jumps=True)
def routed_experts_index_add() -> Made:
    """Rows are gathered by the expert that they chose: of each as many as happen to."""

    def forward(self: Any, x: Tensor) -> Tensor:
        gates, chosen = self.parts[-1](x).softmax(-1).topk(2, -1)
        total = torch.zeros(len(x), 3, dtype=x.dtype)
        for i, expert in enumerate(self.parts[:-1]):
            rows, place = (chosen == i).nonzero(as_tuple=True)
            if len(rows):
                total = total.index_add(0, rows, gates[rows, place, None] * expert(x[rows]))
        return total

    return Made(Function(forward, *experts(), nn.Linear(10, 4)), 3 * row(), -2 * row(), 1)


@TABULAR("mixture of experts", jumps=True, kinked=True)
def switch_of_relu_experts() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        chosen = self.parts[-1](x).argmax(-1)
        outputs = torch.stack([expert(x) for expert in self.parts[:-1]], 1)
        return outputs[torch.arange(len(x)), chosen]

    return Made(Function(forward, *experts(3, nn.ReLU), nn.Linear(10, 3)), 3 * row(), -2 * row(), 1)


# ---------------------------------------------------------------- pairs, kernels, sets


@TABULAR("siamese", kinked=True)
def siamese_distance() -> Made:
    def forward(self: Any, a: Tensor, b: Tensor) -> Tensor:
        return (self.parts[0](a) - self.parts[0](b)).norm(dim=-1)

    return Made(Function(forward, mlp(10, 24, 8, gain=2)), (row(), row()), 0.0, more={"singular": "0"})


@TABULAR("siamese", kinked=True)
def siamese_cosine() -> Made:
    return Made(
        Function(lambda self, a, b: F.cosine_similarity(self.parts[0](a), self.parts[0](b)), mlp(10, 24, 8, gain=2)),
        row(),
        row(),
        extra=(row(),),
    )


@TABULAR("contrastive")
def contrastive_loss() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        similar = F.normalize(self.parts[0](x), dim=-1) @ F.normalize(self.bank, dim=-1).T
        return (similar / 0.1).log_softmax(-1)

    return Made(Function(forward, mlp(10, 24, 8, act=nn.GELU), bank=torch.randn(12, 8)), row(), 0.0, 3)


@TABULAR("radial basis")
def radial_basis() -> Made:
    return Made(
        Function(
            lambda self, x: torch.exp(-torch.cdist(x, self.centres).square() / 2) @ self.w,
            centres=torch.randn(30, 4),
            w=torch.randn(30, 2),
        ),
        2 * row(4),
        -row(4),
        1,
    )


@TABULAR("radial basis")
def gaussian_process_matern() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        distance = math.sqrt(3) * ((x.unsqueeze(1) - self.centres).square().sum(-1) + 1e-12).sqrt() / 0.7
        return ((1 + distance) * torch.exp(-distance)) @ self.w

    return Made(Function(forward, centres=torch.randn(30, 4), w=torch.randn(30)), 2 * row(4), -row(4))


@TABULAR("radial basis")
def support_vectors_narrow() -> Made:
    x = row(4)
    centres = torch.cat([torch.randn(40, 4), x * torch.tensor([[0.3], [0.55], [0.8]]) + 0.02 * torch.randn(3, 4)])
    return Made(
        Function(
            lambda self, x: torch.exp(-60 * (x.unsqueeze(1) - self.centres).square().sum(-1)) @ self.w,
            centres=centres,
            w=torch.randn(43),
        ),
        x,
        0.0,
    )


@TABULAR("prototypes")
def prototype_distances() -> Made:
    return Made(
        Function(
            lambda self, x: (-torch.cdist(self.parts[0](x), self.bank)).softmax(-1),
            mlp(10, 24, 6, act=nn.Tanh),
            bank=torch.randn(5, 6),
        ),
        row(),
        0.0,
        1,
    )


@TABULAR("Deep Sets", kinked=True)
def deep_sets() -> Made:
    return Made(
        Function(lambda self, x: self.parts[1](self.parts[0](x).sum(1)), mlp(3, 24, 24), mlp(24, 16, 2)),
        torch.randn(1, 9, 3),
        0.0,
        1,
    )


@TABULAR("PointNet", kinked=True)
def point_net() -> Made:
    return Made(
        Function(lambda self, x: self.parts[1](self.parts[0](x).amax(1)), mlp(3, 24, 24), mlp(24, 16, 2)),
        torch.randn(1, 16, 3),
        0.0,
        1,
    )


@TABULAR("set transformer")
def set_transformer() -> Made:
    return Made(
        Function(
            lambda self, x: self.parts[2](self.parts[1](self.parts[0](x)).mean(1)),
            nn.Linear(3, 16),
            encoder(16, 2),
            nn.Linear(16, 2),
        ),
        torch.randn(1, 9, 3),
        0.0,
        1,
    )


@TABULAR("rows by position")
def slots_with_positions() -> Made:
    return Made(
        Function(
            lambda self, x: self.parts[1](self.parts[0](x).flatten(1)),
            nn.Sequential(Positions(4, 8, 1.0), nn.LayerNorm(8), nn.Linear(8, 8), nn.Tanh()),
            nn.Linear(32, 2),
        ),
        torch.randn(1, 4, 8),
        0.0,
        1,
    )


@TABULAR("capsules", singular="0")
def capsules() -> Made:
    def squash(x: Tensor) -> Tensor:
        size = (x.square().sum(-1, keepdim=True) + 1e-12).sqrt()
        return x * size / (1 + size * size)

    def forward(self: Any, x: Tensor) -> Tensor:
        votes = torch.einsum("bid,iodk->biok", squash(x), self.weight)
        logits = torch.zeros(votes.shape[:3], dtype=x.dtype)
        for _ in range(2):
            output = squash((logits.softmax(2).unsqueeze(-1) * votes).sum(1))
            logits = logits + (votes * output.unsqueeze(1)).sum(-1)
        return output.square().sum(-1)

    return Made(Function(forward, weight=torch.randn(6, 3, 4, 4)), torch.randn(1, 6, 4), 0.0, 1)


# ---------------------------------------------------------------- physics, flows, fields


@TABULAR("neural ODE")
def neural_ode() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        for _ in range(8):
            half = x + self.parts[0](x) / 16
            x = x + self.parts[0](half) / 8
        return self.parts[1](x)

    return Made(Function(forward, mlp(10, 24, 10, act=nn.Tanh, gain=2), nn.Linear(10, 2)), row(), 0.0, 1)


@TABULAR("fixed point")
def deep_equilibrium() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        z = torch.zeros(len(x), 12, dtype=x.dtype)
        for _ in range(15):
            z = torch.tanh(z @ self.within + x @ self.inside)
        return self.parts[0](z)

    return Made(
        Function(forward, nn.Linear(12, 2), within=0.8 * torch.randn(12, 12) / 12**0.5, inside=torch.randn(10, 12)),
        row(),
        0.0,
        1,
    )


@TABULAR("normalising flow")
def real_nvp_log_density() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        total = 0
        for net in self.parts:
            a, b = x.chunk(2, -1)
            scale, shift = net(a).chunk(2, -1)
            scale = scale.tanh()
            x, total = torch.cat([b * scale.exp() + shift, a], -1), total + scale.sum(-1)
        return total - x.square().sum(-1) / 2

    return Made(Function(forward, *(mlp(4, 16, 8, act=nn.SiLU, gain=2) for _ in range(4))), row(8), 0.0)


@TABULAR("energy", kinked=False)
def force_from_energy() -> Made:
    """A gradient is taken inside of forward, as by potentials of molecules."""

    def forward(self: Any, x: Tensor) -> Tensor:
        with torch.enable_grad():
            at = x if x.requires_grad else x.detach().requires_grad_()
            energy = self.parts[0](at).sum()
            (force,) = torch.autograd.grad(energy, at, create_graph=True)
        return force[:, 0]

    model = Function(forward, mlp(6, 24, 24, 1, act=nn.SiLU, gain=2))
    model.needs_gradients = True
    return Made(model, row(6), 0.0)


@TABULAR("energy")
def hamiltonian_by_vmap() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        def energy(one: Tensor) -> Tensor:
            return self.parts[0](one).squeeze(-1)

        slope = torch.func.vmap(torch.func.grad(energy))(x)
        return slope.square().sum(-1)

    return Made(Function(forward, mlp(6, 24, 1, act=nn.Tanh, gain=2)), row(6), 0.0)


@TABULAR("physics-informed")
def physics_informed() -> Made:
    """u(x, t) of a network of sines, at a point of space and time."""

    def forward(self: Any, x: Tensor) -> Tensor:
        for layer in self.parts[:2]:
            x = torch.sin(2 * layer(x))
        return self.parts[2](x)

    return Made(Function(forward, nn.Linear(3, 32), nn.Linear(32, 32), nn.Linear(32, 1)), 2 * row(3), 0.0, 0)


@TABULAR("SIREN")
def siren() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        for layer in self.parts[:2]:
            x = torch.sin(30 * layer(x))
        return self.parts[2](x)

    first, second = nn.Linear(2, 32), nn.Linear(32, 32)
    nn.init.uniform_(first.weight, -0.5, 0.5)
    nn.init.uniform_(second.weight, -((6 / 32) ** 0.5) / 30, (6 / 32) ** 0.5 / 30)
    return Made(Function(forward, first, second, nn.Linear(32, 1)), torch.rand(1, 2), 0.0, 0)


@TABULAR("Fourier features", kinked=True)
def fourier_features() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        angles = 2 * math.pi * x @ self.frequencies
        return self.parts[0](torch.cat([angles.sin(), angles.cos()], -1))

    return Made(Function(forward, mlp(64, 32, 1), frequencies=3 * torch.randn(2, 32)), torch.rand(1, 2), 0.0, 0)


@TABULAR("Fourier features")
def radiance_field() -> Made:
    """Along a ray of the input: positional encoding, density, transmittance."""

    def forward(self: Any, ray: Tensor) -> Tensor:
        depths = torch.linspace(0.1, 1, 8, dtype=ray.dtype)
        points = ray.unsqueeze(1) * depths[:, None]
        encoded = torch.cat([f(2**k * math.pi * points) for k in range(4) for f in (torch.sin, torch.cos)], -1)
        density, colour = self.parts[0](encoded).unbind(-1)
        opacity = 1 - torch.exp(-F.softplus(density))
        passed = torch.cumprod(torch.cat([torch.ones_like(opacity[:, :1]), 1 - opacity[:, :-1]], 1), 1)
        return (passed * opacity * colour.sigmoid()).sum(1)

    return Made(Function(forward, mlp(24, 32, 2, act=nn.SiLU, gain=2)), torch.rand(1, 3), 0.0)


@TABULAR("bilinear")
def tensor_product() -> Made:
    return Made(
        Function(lambda self, a, b: torch.einsum("bi,bj,ijk->bk", a.tanh(), b.tanh(), self.w), w=torch.randn(5, 6, 3)),
        (row(5), row(6)),
        0.0,
        1,
    )


@TABULAR("determinant")
def log_determinant() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = x @ self.w
        return torch.logdet(torch.eye(4, dtype=x.dtype) + y.transpose(1, 2) @ y)

    return Made(Function(forward, w=torch.randn(5, 4)), torch.randn(1, 6, 5), 0.0)


def traced(model: nn.Module) -> nn.Module:
    """In TorchScript, of which torch says that others are better."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(model, torch.randn(2, 10))


@TABULAR("scripted", kinked=True)
def scripted_relu() -> Made:
    return Made(traced(mlp(10, 32, 16, 3, gain=2)), row(), row(), 1)


@TABULAR("scripted")
def scripted_smooth() -> Made:
    return Made(traced(mlp(10, 32, 16, 3, act=nn.Tanh, gain=2)), row(), row(), 1)


@TABULAR("one dimension a row", kinked=True)
def single_feature() -> Made:
    return Made(mlp(1, 32, 32, 1, gain=3), torch.tensor([[1.7]]), -0.4, 0)


@TABULAR("sorting", kinked=True)
def sorted_features() -> Made:
    return Made(
        Function(lambda self, x: self.parts[0](x.sort(-1).values), mlp(10, 16, 2, act=nn.Tanh)), row(), row(), 1
    )


@TABULAR("recommender")
def matrix_factorisation() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        user = (x @ self.items) / (x.sum(1, keepdim=True) + 1e-3)
        return (user @ self.items.T).softmax(-1)

    return Made(
        Function(forward, items=torch.randn(20, 6)), (torch.rand(1, 20) > 0.6).float(), 0.0, 3, more={"singular": "0"}
    )


@TABULAR("topic model")
def topic_shares() -> Made:
    """Shares of words: counts over their sum, from a document that is all but empty."""
    return Made(
        Function(lambda self, x: self.parts[0](x / x.sum(1, keepdim=True)), mlp(12, 16, 3, act=nn.Softplus)),
        torch.randint(0, 9, (1, 12)).float(),
        1e-3 * torch.rand(1, 12),
        1,
        more={"singular": "0"},
    )
