"""Small models of graphs: the features of all nodes are one row."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.engine.zoo.cases import Function, Made, Register
from tests.engine.zoo.tabular import mlp

GRAPH = Register()
NODES = 8


def edges(loops: bool = False) -> Tensor:
    """(2, edges): a ring, chords, and loops where asked for."""
    at = torch.arange(NODES)
    pairs = [
        torch.stack([at, (at + 1) % NODES]),
        torch.stack([(at + 1) % NODES, at]),
        torch.tensor([[0, 2, 5], [4, 7, 1]]),
    ]
    return torch.cat([*pairs, torch.stack([at, at])] if loops else pairs, 1)


def nodes(features: int = 5) -> Tensor:
    return torch.randn(1, NODES, features)


def adjacency() -> Tensor:
    found = torch.zeros(NODES, NODES)
    found[tuple(edges(True))] = 1
    degree = found.sum(1)
    return found / (degree[:, None] * degree).sqrt()


@GRAPH("GCN", kinked=True)
def gcn() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        x = F.relu(self.parts[0](self.a @ x))
        return self.parts[1](self.a @ x).mean(1)

    return Made(Function(forward, nn.Linear(5, 16), nn.Linear(16, 3), a=adjacency()), nodes(), 0.0, 1)


@GRAPH("GCN", kinked=True)
def gcn_as_many_nodes_as_rows() -> Made:
    """Nodes come first, then the rows: a dimension that is not the rows is as long as they are."""

    def forward(self: Any, x: Tensor) -> Tensor:
        x = torch.einsum("mn,bnf->mbf", self.a, x)
        x = F.relu(self.parts[0](x))
        return self.parts[1](torch.einsum("mn,nbf->bmf", self.a, x)[:, 2])

    return Made(Function(forward, nn.Linear(5, 16), nn.Linear(16, 3), a=adjacency()), nodes(), 0.0, 1)


@GRAPH("GAT", kinked=True)
def graph_attention() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        h = self.parts[0](x)
        scores = F.leaky_relu(h @ self.left + (h @ self.right).transpose(1, 2), 0.2)
        scores = scores.masked_fill(self.a == 0, -1e9)
        return self.parts[1](F.elu(scores.softmax(-1) @ h).mean(1))

    tensors = {"left": torch.randn(12, 1), "right": torch.randn(12, 1), "a": adjacency()}
    return Made(Function(forward, nn.Linear(5, 12), nn.Linear(12, 3), **tensors), nodes(), 0.0, 1)


@GRAPH("GIN", kinked=True)
def isomorphism_network() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        for part in self.parts[:2]:
            x = part(1.1 * x + (self.a > 0).to(x.dtype) @ x)
        return self.parts[2](x.sum(1))

    return Made(Function(forward, mlp(5, 16, 16), mlp(16, 16, 16), nn.Linear(16, 2), a=adjacency()), nodes(), 0.0, 1)


def scattering(loops: bool, act: type[nn.Module]) -> nn.Module:
    """Messages along edges, added where they arrive."""

    def forward(self: Any, x: Tensor) -> Tensor:
        source, goal = self.edges
        for message, update in zip(self.parts[:4:2], self.parts[1:4:2], strict=True):
            sent = message(torch.cat([x[:, source], x[:, goal]], -1))
            arrived = torch.zeros(len(x), NODES, sent.shape[-1], dtype=x.dtype).index_add(1, goal, sent)
            x = update(torch.cat([x, arrived], -1))
        return self.parts[4](x.mean(1))

    parts = [mlp(10, 16, 8, act=act), mlp(13, 16, 8, act=act), mlp(16, 16, 8, act=act), mlp(16, 16, 8, act=act)]
    return Function(forward, *parts, nn.Linear(8, 2), edges=edges(loops))


@GRAPH("message passing", kinked=True)
def message_passing_index_add() -> Made:
    return Made(scattering(False, nn.ReLU), nodes(), 0.0, 1)


@GRAPH("message passing", kinked=True)
def message_passing_self_loops() -> Made:
    return Made(scattering(True, nn.ReLU), nodes(), nodes(), 1)


@GRAPH("message passing")
def message_passing_smooth() -> Made:
    return Made(scattering(True, nn.SiLU), nodes(), 0.0, 1)


@GRAPH("message passing", kinked=True)
def flattened_batch_of_graphs() -> Made:
    """As PyG has it: the nodes of all graphs in one dimension, a number of its graph for each."""

    def forward(self: Any, x: Tensor) -> Tensor:
        rows = len(x)
        offset = torch.arange(rows).repeat_interleave(self.edges.shape[1]) * NODES
        source, goal = self.edges.repeat(1, rows) + offset
        flat = x.reshape(rows * NODES, -1)
        sent = F.relu(self.parts[0](flat[source]))
        arrived = torch.zeros(rows * NODES, 16, dtype=x.dtype).index_add(0, goal, sent)
        hidden = F.relu(self.parts[1](arrived))
        graph = torch.arange(rows).repeat_interleave(NODES)
        pooled = torch.zeros(rows, 16, dtype=x.dtype).index_add(0, graph, hidden)
        return self.parts[2](pooled)

    return Made(
        Function(forward, nn.Linear(5, 16), nn.Linear(16, 16), nn.Linear(16, 2), edges=edges(True)), nodes(), 0.0, 1
    )


@GRAPH("GraphSAGE", kinked=True, singular="0")
def sage_with_norm() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        mean = (self.a > 0).to(x.dtype) @ x / 3
        h = F.relu(self.parts[0](torch.cat([x, mean], -1)))
        return self.parts[1](F.normalize(h, dim=-1).amax(1))

    first = nn.Linear(10, 12, bias=False)
    return Made(Function(forward, first, nn.Linear(12, 2), a=adjacency()), nodes(), 0.0, 1)


@GRAPH("molecule")
def schnet_like() -> Made:
    """Positions of atoms: distances, radial functions, a cosine cut-off."""

    def forward(self: Any, x: Tensor) -> Tensor:
        gap = x.unsqueeze(2) - x.unsqueeze(1)
        distance = (gap.square().sum(-1) + 1e-8).sqrt()
        radial = torch.exp(-2 * (distance.unsqueeze(-1) - self.centres).square())
        cut = 0.5 * (torch.cos(distance.clamp(max=3) * torch.pi / 3) + 1) * (1 - torch.eye(NODES, dtype=x.dtype))
        return (F.softplus(self.parts[0](radial)).squeeze(-1) * cut).sum((1, 2))

    x = 1.5 * nodes(3)
    return Made(
        Function(forward, mlp(10, 16, 1, act=nn.Softplus), centres=torch.linspace(0, 4, 10)),
        x,
        x + 0.8 * nodes(3),
        more={"kinked": True},
    )


@GRAPH("graph transformer", singular="0")
def graph_transformer() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        h = self.parts[0](self.parts[2](x))
        q, k, v = h.chunk(3, -1)
        weights = (q @ k.transpose(1, 2) / 4 + (self.a + 1e-2).log()).softmax(-1)
        return self.parts[1]((weights @ v).mean(1))

    return Made(Function(forward, nn.Linear(5, 48), nn.Linear(16, 2), nn.LayerNorm(5), a=adjacency()), nodes(), 0.0, 1)
